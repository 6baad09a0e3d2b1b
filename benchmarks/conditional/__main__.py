"""Conditioned ensembles against a known law, and with sparse sensors.

    OMP_NUM_THREADS=1 python -m benchmarks.conditional                  docs/results/conditional.md
    OMP_NUM_THREADS=1 python -m benchmarks.conditional --root FOLDER    keeps what it trained
    OMP_NUM_THREADS=1 python -m benchmarks.conditional --only linear    one part, printed

Two trainings of half an hour each on one core, and one of minutes; what is in the folder already
is not trained again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.conditional import linear, sensors
from benchmarks.conditional.page import NAMES, written
from benchmarks.training.page import processor
from pushforward import Archive, Study, simulate, train

PAGE = Path(__file__).resolve().parents[2] / "docs" / "results" / "conditional.md"
PARTS = ("linear", *NAMES)


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", help="archive to keep what is made in")
    parser.add_argument("--only", choices=PARTS, help="one part, printed and not written")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(asked.root or folder)
        found = {part: measured(part, archive) for part in PARTS if asked.only in (None, part)}
    if asked.only is None:
        PAGE.write_text(written(found, processor()), encoding="utf-8")
        PAGE.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def measured(part: str, archive: Archive) -> list[dict[str, Any]]:
    """The rows of a part, told as they come."""
    study = Study.load(Path(__file__).parent / f"{part}.yaml")
    simulate(study.simulation, archive)
    train(study.training, archive)
    how = linear.measure if part == "linear" else sensors.measure
    return how(study, archive, lambda row: print(json.dumps(row), flush=True))


if __name__ == "__main__":
    main()
