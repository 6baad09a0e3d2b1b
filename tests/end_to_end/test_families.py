"""A study of every family of equations runs from its page of YAML to a report."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from several import mostly_slow

from pushforward import Archive, Study, evaluate, generate, simulate, train
from pushforward.report import report

STUDIES = {
    "a line": """
  equation: {kind: burgers, viscosity: 0.1}
  grid: {shape: [64]}
  initial: {kind: matern, exponent: 3, length: 0.5, deviation: 1, cutoff: 5}
  tolerance: 1e-4
  times: [0, 0.5]
  storage: critical""",
    "walls, two channels": """
  equation: {kind: fitzhugh_nagumo}
  grid: {shape: [32, 32], extent: [2, 2], boundary: neumann}
  initial: {kind: matern, exponent: 4, length: 0.3, deviation: 1, cutoff: 5}
  tolerance: 1e-4
  times: [0.5]
  storage: critical""",
    "no time": """
  equation: {kind: darcy}
  grid: {shape: [32, 32], extent: [1, 1], boundary: neumann}
  initial: {kind: matern, exponent: 3, length: 0.3, deviation: 1}
  times: [0]""",
    "a finer grid to solve on": """
  equation: {kind: gray_scott}
  grid: {shape: [32, 32], extent: [2, 2]}
  initial: {kind: random_bumps}
  tolerance: 1e-4
  times: [5]
  solver_grid: {shape: [48, 48]}""",
    "noise": """
  equation: {kind: navier_stokes, viscosity: 0.05}
  grid: {shape: [32, 32]}
  noise: {kind: matern, exponent: 4, length: 0.3, deviation: 1, mean: false}
  step: 0.015625
  times: [0.5]""",
}
REST = """
  members: 112
training:
  members: 32
  held_out: 16
  steps: 10
  translations: {translations}
  surrogate: {{basis: {basis}, backbone: {{width: 8, modes: 4, layers: 2}}}}
generation: {{members: 16, sampler: {{steps: 4}}}}
evaluation: {{members: 16, splits: 20, bootstrap: 20}}
"""


def study(name: str, root: Path) -> Study:
    walls = "neumann" in STUDIES[name]
    rest = REST.format(
        basis="cosine" if walls else "fourier", translations="false" if walls else "true"
    )
    path = root / "study.yaml"
    path.write_text(f"title: {name}\nsimulation:{STUDIES[name]}{rest}")
    return Study.load(path).smoke()


@pytest.mark.parametrize("name", mostly_slow(STUDIES, "a line", "no time"))
def test_it_runs_to_its_report(name: str, tmp_path: Path) -> None:
    made, archive = study(name, tmp_path), Archive(tmp_path / "runs")
    simulate(made.simulation, archive)
    train(made.training, archive)
    generate(made.generation, archive)
    evaluate(made.evaluation, archive)
    assert name in report(made.evaluation, archive, title=name).read_text("utf-8")
    solved, drawn = archive.open(made.simulation), archive.open(made.generation)
    for channel in made.simulation.channels:
        assert solved[channel].shape[2:] == made.simulation.grid.shape
        assert drawn[channel].shape[2:] == made.simulation.grid.shape
        assert np.isfinite(drawn[channel].values).all()
        assert float(solved[channel].isel(time=-1).std()) > 0
    assert archive.verify(made.simulation) == []
