"""Quality by time on the quickstart: preconditioning, colour of the noise, levels.

    OMP_NUM_THREADS=1 python -m benchmarks.quality            docs/results/quality.md, .json, .png
    OMP_NUM_THREADS=1 python -m benchmarks.quality --quick    the smoke study, printed

Every training is of one thread and stops by the processor's time. Rows are kept in the benchmarks'
folder (PUSHFORWARD_BENCHMARKS): an interrupted run of the same commit goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from pushforward import Archive, Study, simulate

from . import figure, page
from .keep import ARCHIVE
from .keep import rows as made
from .race import Problem

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
MARKS, SEEDS = (10.0, 20.0, 40.0), 3


def main() -> None:
    """Runs what is missing, scores it, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="the smoke study, printed")
    parser.add_argument("--workers", type=int, default=1, help="trainings at once")
    given = parser.parse_args()
    torch.set_num_threads(1)
    marks, seeds = ((0.5, 1.0), 1) if given.quick else (MARKS, SEEDS)
    study = Study.load("smoke" if given.quick else "quickstart")
    archive = Archive(ARCHIVE)
    simulate(study.simulation, archive)
    rows = made(study, marks, seeds, given.workers)
    problem = Problem.of(study, archive)
    text = page.write(problem, rows)
    if given.quick:
        print(text)
        return
    (RESULTS / "quality.md").write_text(text, encoding="utf-8")
    (RESULTS / "quality.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    figure.draw(rows, RESULTS / "quality.png")


if __name__ == "__main__":
    main()
