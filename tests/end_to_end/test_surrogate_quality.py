"""What the quickstart promises, on the product's own verbs and scores.

The zero-step model has the solver's spectrum, on a small flow; the whole quickstart (slow: a
quarter of an hour) stays within the limits that its page of results states.
"""

from pathlib import Path

import pytest
import xarray as xr

from pushforward import Archive, Study, evaluate, generate, simulate, train

SMALL = (
    "simulation.grid={shape: [32, 32]}",
    "simulation.times=[2.0]",
    "simulation.initial.cutoff=8",
    "simulation.members=960",
    "simulation.block=480",
    "training.members=384",
    "training.held_out=64",
    "training.steps=0",
    "generation.members=128",
    "evaluation.members=128",
    "evaluation.splits=50",
    "evaluation.bootstrap=10",
)


def scored(study: Study, root: Path, workers: int = 1) -> xr.Dataset:
    archive = Archive(root)
    simulate(study.simulation, archive, workers=workers)
    train(study.training, archive)
    generate(study.generation, archive, workers=workers)
    return evaluate(study.evaluation, archive).isel(variable=0)


@pytest.mark.slow
def test_the_zero_step_model_has_the_solver_s_spectrum(tmp_path: Path) -> None:
    scores = scored(Study.load("quickstart", SMALL), tmp_path)
    ratio = scores.ratio.sel(score="log_spectral_distance")
    assert float(ratio.sel(ensemble="trained")) < 1.5
    # and not what is not Gaussian: otherwise the flow would be no test
    assert not bool(scores.inside.sel(ensemble="trained", score="gradient_flatness"))


@pytest.mark.slow
def test_the_quickstart_keeps_its_promises(tmp_path: Path) -> None:
    study = Study.load("quickstart")
    assert study.generation.drawn_with.evaluations <= 20
    assert min(study.generation.members, study.evaluation.members) >= 256
    scores = scored(study, tmp_path, workers=2)
    ratio, value = scores.ratio.sel(ensemble="trained"), scores.value
    assert float(ratio.sel(score="log_spectral_distance")) <= 2
    assert float(ratio.sel(score="w1")) <= 2
    signed = ["mmd", "energy_distance"]
    assert float(ratio.drop_sel(score=signed).max()) <= 4
    gaussian = scores.ratio.sel(ensemble="gaussian", score="log_spectral_distance")
    assert float(gaussian) <= 1.5
    for name in ("w1", "gradient_w1", "flatness", "gradient_flatness", "mmd"):
        trained, untrained = (value.sel(ensemble=e, score=name) for e in ("trained", "gaussian"))
        assert float(trained) < float(untrained), name
