"""python -m benchmarks.quickstart [ROOT [STUDY]]: the page of a study, from its archive.

    ./go.sh run && python -m benchmarks.quickstart

Writes docs/results/quickstart.md: the verdict, every score of the trained and of the Gaussian
ensemble beside the solver's floor, the likelihoods, and how long each part took.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

import torch

from benchmarks.markdown import table
from pushforward import Archive, Study, evaluate, summary
from pushforward.flows.table import rows

PAGE = Path(__file__).resolve().parents[1] / "docs" / "results" / "quickstart.md"


def page(study: Study, archive: Archive) -> str:
    """The page in Markdown, from what is stored."""
    evaluation = study.evaluation
    training = evaluation.generation.training
    scores = evaluate(evaluation, archive)
    simulation, grid = training.simulation, "x".join(map(str, training.simulation.grid.shape))
    found = rows(scores)
    likelihood = archive.read_json(training, "likelihood.json")
    lines = (archive.folder(training) / "metrics.jsonl").read_text("utf-8").splitlines()
    seconds = json.loads(lines[-1])["seconds"]
    return "\n".join(
        [
            f"# {study.title}",
            "",
            "    ./go.sh run && .venv/bin/python -m benchmarks.quickstart",
            "",
            f"{simulation.members} solver members on {grid} points, {training.members} of which "
            f"are learnt from and {training.held_out} held out; {scores.attrs['members']} "
            f"generated members stand against as many of the {scores.attrs['pool']} that training "
            "never saw. "
            "The floor is the mean of the same score between two disjoint sets of solver members.",
            "",
            f"**{summary.verdict(scores)}** {summary.verdict(scores, 'gaussian')} "
            f"{summary.behind(1)}",
            "",
            table(list(found[0]), [list(row.values()) for row in found]),
            "",
            f"Training: {training.steps} steps of {training.batch} in {seconds:.0f} s "
            f"({platform.machine()}, torch {torch.__version__}). Likelihoods of held-out members:",
            "",
            table(["quantity", "value"], [[f"`{k}`", f"{v:.4g}"] for k, v in likelihood.items()]),
            "",
        ]
    )


def main(root: str = "runs", name: str = "quickstart") -> None:
    """Writes the page."""
    PAGE.write_text(page(Study.load(name), Archive(root)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
