"""Every preset runs the smoke study end to end from one key of its YAML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from several import mostly_slow

from pushforward import Archive, Study, evaluate, generate, simulate, train
from pushforward.generative import PRESETS


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """One archive for all: presets share the simulation, and nothing else."""
    archive = Archive(tmp_path_factory.mktemp("presets"))
    simulate(Study.load("smoke").simulation, archive)
    return archive


@pytest.mark.parametrize("name", mostly_slow(PRESETS, "psld"))
def test_a_preset_runs_the_smoke_study(name: str, archive: Archive) -> None:
    study = Study.load("smoke", [f"training.surrogate.preset={name}", "training.steps=8"])
    train(study.training, archive)
    generate(study.generation, archive)
    scores = evaluate(study.evaluation, archive)
    ensemble = archive.open(study.generation).load()
    assert study.training.surrogate.preset == name
    assert ensemble.attrs["network_evaluations"] == study.generation.drawn_with.evaluations
    assert name in ensemble.attrs["source"]
    assert np.isfinite(ensemble.vorticity).all()
    values = scores.value.sel(score="log_spectral_distance")
    # a network hardly trained is near the Gaussian surrogate, which is near the data
    assert np.isfinite(values).all()
    assert float(values.max()) < 0.5


def test_presets_differ_in_more_than_their_name(tmp_path: Path) -> None:
    specs = [
        Study.load("smoke", [f"training.surrogate.preset={name}"]).training for name in PRESETS
    ]
    assert len({spec.name for spec in specs}) == len(PRESETS)
    models = [spec.surrogate for spec in specs]
    parts = {(str(one.path), str(one.process), str(one.loss)) for one in models}
    assert len(parts) == len(PRESETS)
