"""Quality by time on the quickstart: preconditioning, colour of the noise, levels.

    OMP_NUM_THREADS=1 python -m benchmarks.quality            docs/results/quality.md, .json, .png
    OMP_NUM_THREADS=1 python -m benchmarks.quality --quick    the smoke study, printed

Every training is of one thread and stops by the processor's time. What was drawn is kept in the
benchmarks' folder (PUSHFORWARD_BENCHMARKS): an interrupted run goes on after its last training.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from benchmarks.store import FOLDER as STORE
from pushforward import Archive, Study, simulate

from . import figure, page
from .arms import ARMS
from .keep import Kept
from .race import Problem, race

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
MARKS, SEEDS = (10.0, 20.0, 40.0, 80.0), 3


def main() -> None:
    """Runs what is missing, scores it, and writes or prints the page."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="the smoke study, printed")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    marks, seeds = ((0.5, 1.0), 1) if quick else (MARKS, SEEDS)
    study = Study.load("smoke" if quick else "quickstart")
    archive = Archive(STORE / "quality")
    simulate(study.simulation, archive)
    problem, kept = Problem.of(study, archive), Kept(study, marks)
    for seed in range(seeds):  # one of each first, should it be interrupted
        for name, arm in ARMS.items():
            if not kept.raced(name, seed):
                kept.keep(name, seed, race(problem, arm, seed, marks))
                print(f"seed {seed}: {arm.title}", flush=True)
    rows = kept.scored(problem, seeds)
    text = page.write(problem, rows)
    if quick:
        print(text)
        return
    (RESULTS / "quality.md").write_text(text, encoding="utf-8")
    (RESULTS / "quality.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    figure.draw(rows, RESULTS / "quality.png")


if __name__ == "__main__":
    main()
