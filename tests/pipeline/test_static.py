"""Forcings learnt beside the frames: first in the stack, generated without a time, scored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pushforward import Archive, Study, evaluate, generate, simulate, train
from pushforward.batches import load
from pushforward.evaluation import labels
from pushforward.shards import Fields
from pushforward.shelf import DATA

STUDY = ["training.static=[forcing]", "training.frames=[0,1]", "training.steps=2"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("runs"))
    simulate(Study.load("smoke", STUDY).simulation, archive)
    return archive


@pytest.mark.parametrize("storage", ["full", "critical"])
def test_a_forcing_stands_first_in_the_stack(tmp_path: Path, storage: str) -> None:
    training = Study.load("smoke", [*STUDY, f"simulation.storage={storage}"]).training
    archive = Archive(tmp_path)
    simulate(training.simulation, archive)
    assert training.stack == ((None, "forcing"), (0, "vorticity"), (1, "vorticity"))
    fields, stored = load(training, archive), archive.open(training.simulation)
    some = slice(0, len(fields))
    np.testing.assert_array_equal(fields[:, 0], stored.forcing[some])
    np.testing.assert_array_equal(fields[:, 2], stored.vorticity[some, 1])
    source = Fields(archive.folder(training.simulation) / DATA, training.stack)
    np.testing.assert_allclose(source.read(range(5, 9)), fields[5:9], atol=1e-6)


def test_it_is_generated_and_scored(archive: Archive) -> None:
    study = Study.load("smoke", STUDY)
    train(study.training, archive)
    generate(study.generation, archive)
    drawn = archive.open(study.generation)
    assert drawn.forcing.dims == ("member", "y", "x")
    assert drawn.vorticity.dims == ("member", "time", "y", "x")
    surrogate = archive.surrogate(study.training)
    u = surrogate.sample(
        range(8), seed=study.generation.seed, sampler=study.generation.sampler, batch=8
    )
    np.testing.assert_allclose(drawn.forcing[:8], u[:, 0], atol=1e-6)
    np.testing.assert_allclose(drawn.vorticity[:8], u[:, 1:], atol=1e-6)
    scores = evaluate(study.evaluation, archive)
    named = ["forcing", "vorticity at t=0.5", "vorticity at t=1"]
    assert labels(study.training) == named
    assert [str(name) for name in scores.variable.values] == [*named, "joint"]


def test_the_untrained_surrogate_knows_what_a_forcing_does(archive: Archive) -> None:
    """Forcing and solution are correlated in the Gaussian surrogate as in the data."""
    changes = ["simulation.forcing.deviation=8", "training.steps=0", "training.members=32"]
    study = Study.load("smoke", [*STUDY, *changes])
    simulate(study.simulation, archive)
    train(study.training, archive)
    data = load(study.training, archive)[:, [0, 2]].double().flatten(2)
    drawn = archive.surrogate(study.training).sample(range(400))[:, [0, 2]].double().flatten(2)
    true, found = (float((u[:, 0] * u[:, 1]).mean() / u.std((0, 2)).prod()) for u in (data, drawn))
    shuffled = float((data[:, 0] * data.roll(1, 0)[:, 1]).mean() / data.std((0, 2)).prod())
    assert true > 0.3
    assert found == pytest.approx(true, abs=0.15)
    assert abs(shuffled) < 0.2


def test_a_study_without_a_forcing_has_none_to_learn() -> None:
    with pytest.raises(ValueError, match="drawn forcing for static"):
        Study.load("smoke", ["training.static=[forcing]", "simulation.forcing=null"])
    with pytest.raises(ValueError, match="static, once"):
        Study.load("smoke", ["training.static=[forcing, forcing]"])


def test_names_of_older_studies_stay() -> None:
    page = Study.load("smoke")
    assert page.training.name == Study.load("smoke", ["training.static=[]"]).training.name
    assert page.training.name != Study.load("smoke", STUDY).training.name


def test_smoke_keeps_it() -> None:
    assert Study.load("smoke", STUDY).smoke().training.static == ("forcing",)
