"""python -m benchmarks.field_table: the benchmark of function-space generative models, made again.

    OMP_NUM_THREADS=1 python -m benchmarks.field_table --tables a c d --budget 900 --seeds 3

Every row is made from its seeds within the stated budget, kept in the benchmarks' folder, and made
once: an interrupted run goes on where it stopped. Rows that were not run say so.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from . import shelf
from .datasets import DATASETS
from .page import page
from .rivals import RIVALS
from .tables import Run, table_a, table_b, table_c, table_d

RESULTS = Path(__file__).parents[2] / "docs" / "results"
TABLES = {"a": table_a, "b": table_b, "c": table_c, "d": table_d}


def main() -> None:
    """Makes what is missing of the tables asked for, and writes both results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.field_table", description=__doc__)
    parser.add_argument("--tables", nargs="*", choices=TABLES, default=list(TABLES))
    parser.add_argument("--budget", type=float, default=900.0, help="seconds of one fit")
    parser.add_argument("--clock", choices=("cpu", "wall"), default="cpu", help="of the budget")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--methods", nargs="+", choices=RIVALS, default=list(RIVALS))
    parser.add_argument(
        "--evaluations", nargs="*", default=[], metavar="METHOD=N", help="instead of its own"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)  # the budget is of one thread
    evaluations = {m: int(n) for m, _, n in (one.partition("=") for one in asked.evaluations)}
    run = Run(
        tuple(asked.datasets),
        tuple(asked.methods),
        asked.budget,
        asked.seeds,
        evaluations,
        asked.clock,
    )
    for name in asked.tables:
        TABLES[name](run)
    write()


def write() -> None:
    """docs/results/field_table.json and .md, from all rows there are."""
    rows = shelf.rows().values
    (RESULTS / "field_table.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    words = (Path(__file__).parent / "page.md").read_text(encoding="utf-8").rstrip()
    (RESULTS / "field_table.md").write_text(page(rows, words), encoding="utf-8")


if __name__ == "__main__":
    main()
