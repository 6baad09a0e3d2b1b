"""Solutions held against what they should be, and pictures of every data set.

    python -m benchmarks.validation                       docs/validation.md and its pictures
    python -m benchmarks.validation --members 0           without checking the data sets
    python -m benchmarks.validation --studies burgers     of the data sets, only these

References and certificates are kept where benchmarks keep what they find, and read again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from . import figures, page
from .budgets import closures
from .curves import by_step, by_tolerance
from .datasets import datasets
from .further import path, plate, variance
from .subjects import subjects

DOCS = Path(__file__).resolve().parents[2] / "docs"
FOLDER = DOCS / "validation"


def main() -> None:
    """Makes the pictures and writes the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--members", type=int, default=2, help="of each data set's pilot; 0: none")
    parser.add_argument("--studies", nargs="*", help="only these data sets")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    began = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - began:5.0f} s  {text}", flush=True)

    FOLDER.mkdir(parents=True, exist_ok=True)
    orders, tolerances = [], []
    for subject in subjects():
        say(subject.title)
        orders.append([*by_step(subject)])
        tolerances.append(by_tolerance(subject))
    found = page.Findings(
        orders, tolerances, closures(), plate(), path(), variance(), [], FOLDER.name
    )
    figures.orders(found.orders, found.plate, found.path, FOLDER / "orders.png")
    figures.tolerances(found.tolerances, FOLDER / "tolerances.png")
    figures.budgets(found.closures, FOLDER / "budgets.png")
    for one in datasets(chosen.members, chosen.studies):
        say(one.name)
        labels, fields = one.frames()
        figures.frames(labels, fields, one.simulation.channels, FOLDER / f"{one.name}.png")
        found.datasets.append(one)
    (DOCS / "validation.md").write_text(page.write(found), encoding="utf-8")
    say(str(DOCS / "validation.md"))


if __name__ == "__main__":
    main()
