"""Training: zero steps are the Gaussian surrogate, an interruption changes no bit."""

import json
import math
import shutil

import pytest
import torch

from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.generative import Sampler
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.spec import Simulation, Training
from pushforward.study import Study


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.load("smoke")


@pytest.fixture
def stored(study: Study, tmp_path) -> Archive:
    archive = Archive(tmp_path)
    simulate(study.simulation, archive)
    return archive


def change(training: Training, **values: object) -> Training:
    return Training.model_validate({**dict(training), **values})


def weights(training: Training, archive: Archive) -> dict[str, torch.Tensor]:
    return archive.read_tensors(training, WEIGHTS)[0]


def test_zero_steps_are_the_exact_gaussian_surrogate(study: Study, stored: Archive) -> None:
    training = change(study.training, steps=0)
    room.train(training, stored)
    surrogate = stored.surrogate(training)
    some = surrogate.sample(range(3), sampler=Sampler(steps=3))
    once = surrogate.gaussian().sample(range(3), sampler=Sampler(steps=1))
    assert torch.equal(some, once)


def test_training_changes_the_samples_and_writes_its_curve(study: Study, stored: Archive) -> None:
    room.train(study.training, stored)
    surrogate = stored.surrogate(study.training)
    assert not torch.allclose(
        surrogate.sample(range(3)), surrogate.gaussian().sample(range(3)), atol=1e-4
    )
    lines = stored.read_lines(study.training, METRICS)
    assert [line["step"] for line in lines] == list(range(1, 21))
    assert math.isfinite(lines[-1]["held_out_loss"])
    table = stored.read_json(study.training, room.CALIBRATION)
    assert len(table["ratio"]) == len(table["log_snr"])
    tests = [line["calibration"] for line in lines if "calibration" in line]
    assert len(tests) >= 2  # followed while it trains, and as it is at the end
    last = [one for level in tests[-1] for row in level for one in row if one is not None]
    whole = [one for level in table["ratio"] for row in level for one in row if one is not None]
    assert last == pytest.approx(whole, abs=1e-3)
    found = stored.read_json(study.training, room.LIKELIHOOD)
    assert found["members"] == study.training.held_out
    assert found["dimensions"] == surrogate.basis.dimensions
    # a network of 20 steps is near the Gaussian surrogate, whose density is in closed form
    assert abs(found["gain_per_member"]) < 0.2 * found["dimensions"]
    gap = found["nats_per_dimension"] - found["gaussian_nats_per_dimension"]
    assert gap == pytest.approx(found["gain_per_member"] / found["dimensions"], abs=1e-4)
    assert not (stored.folder(study.training) / CHECKPOINT).exists()


@pytest.mark.parametrize("stop", [3, 5, 12])
def test_an_interrupted_training_ends_with_the_same_bits(
    study: Study, stored: Archive, tmp_path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    room.train(study.training, stored)
    other = Archive(tmp_path / "other")
    simulate(study.simulation, other)
    rate = room.learning_rate

    def die(training: Training, step: int) -> float:
        if step == stop:
            raise KeyboardInterrupt
        return rate(training, step)

    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", die)
        with pytest.raises(KeyboardInterrupt):
            room.train(study.training, other)
    room.train(study.training, other)
    for name, tensor in weights(study.training, stored).items():
        assert torch.equal(tensor, weights(study.training, other)[name]), name
    steps = [line["step"] for line in other.read_lines(study.training, METRICS)]
    assert steps == list(range(1, 21))


def test_few_bits_are_of_the_study_and_go_on_to_the_same_ones(
    study: Study, stored: Archive, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = study.training
    assert change(whole, precision="float32").name == whole.name  # what is stored keeps its name
    few = change(whole, precision="bfloat16", steps=6, calibration=4, checkpoint_every=2)
    assert few.name != change(few, precision="float32").name
    room.train(few, stored)
    other, rate = Archive(tmp_path / "other"), room.learning_rate
    simulate(few.simulation, other)

    def die(training: Training, step: int) -> float:
        if step == 3:
            raise KeyboardInterrupt
        return rate(training, step)

    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", die)
        with pytest.raises(KeyboardInterrupt):
            room.train(few, other)
    room.train(few, other)
    whole = change(few, precision="float32")
    room.train(whole, stored)
    for name, tensor in weights(few, stored).items():
        assert torch.equal(tensor, weights(few, other)[name]), name
        assert tensor.dtype == weights(whole, stored)[name].dtype
    name = "denoiser.network.lift.weight"
    assert not torch.equal(weights(few, stored)[name], weights(whole, stored)[name])
    losses = [[one["loss"] for one in stored.read_lines(t, METRICS)] for t in (few, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_another_seed_gives_other_weights(study: Study, stored: Archive) -> None:
    other = change(study.training, seed=1)
    for training in (study.training, other):
        room.train(training, stored)
    name = "denoiser.network.lift.weight"
    assert not torch.equal(weights(study.training, stored)[name], weights(other, stored)[name])


def test_a_second_run_does_nothing_and_says_so(
    study: Study, stored: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    room.train(study.training, stored)
    before = (stored.folder(study.training) / WEIGHTS).stat().st_mtime_ns
    caplog.clear()
    room.train(study.training, stored)
    assert "nothing to do" in caplog.text
    assert (stored.folder(study.training) / WEIGHTS).stat().st_mtime_ns == before


def test_without_the_simulation_it_says_what_to_run(study: Study, tmp_path) -> None:
    with pytest.raises(LookupError, match=r"run simulate\(study.simulation, archive\) first"):
        room.train(study.training, Archive(tmp_path))


@pytest.mark.parametrize("steps", [1, 20])
def test_a_loss_that_is_no_number_is_refused(study: Study, stored: Archive, steps: int) -> None:
    wild = change(study.training, learning_rate=1e30, steps=steps)
    with pytest.raises(FloatingPointError, match="lower training"):
        room.train(wild, stored)
    assert not stored.sealed(wild)


def test_the_learning_rate_warms_up_and_falls_to_zero(study: Study) -> None:
    training = change(study.training, steps=1000, learning_rate=1.0)
    rates = [room.learning_rate(training, step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(rates[99], rel=0.01)
    assert rates[-1] < 1e-4
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_the_curve_is_plain_json_lines(study: Study, stored: Archive) -> None:
    room.train(study.training, stored)
    text = (stored.folder(study.training) / METRICS).read_text()
    keys = {"step", "loss", "learning_rate", "seconds"}
    assert all(keys <= json.loads(line).keys() for line in text.splitlines())


def test_slices_change_round_off_only_and_threads_change_nothing(
    study: Study, stored: Archive
) -> None:
    sliced = change(study.training, slices=2)
    room.train(study.training, stored)
    room.train(sliced, stored)
    whole, halves = weights(study.training, stored), weights(sliced, stored)
    losses = [stored.read_lines(one, METRICS)[0]["loss"] for one in (study.training, sliced)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert any(not torch.equal(halves[name], tensor) for name, tensor in whole.items())
    shutil.rmtree(stored.folder(sliced))
    room.train(sliced, stored, threads=2)
    for name, tensor in weights(sliced, stored).items():
        assert torch.equal(tensor, halves[name]), name


def test_translations_of_fields_with_a_varying_mean_are_refused(tmp_path, study: Study) -> None:
    steady = {"kind": "navier_stokes", "viscosity": 0.5, "waves": [[2, 0, -10.0, 0.0]]}
    values = study.simulation.model_dump() | {"equation": steady}
    simulation = Simulation.model_validate(values)
    archive = Archive(tmp_path)
    simulate(simulation, archive)
    training = change(study.training, simulation=simulation)
    with pytest.raises(ValueError, match="a mean that varies"):
        room.train(training, archive)
    room.train(change(training, translations=False), archive)


def test_a_process_of_three_variables_is_learnt_after_the_network(
    stored: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    """Learned-3 of MDM, from a page to fields; the control is a process that is given."""
    changes = ["training.steps=4", "training.surrogate.preset=learned"]
    three = "training.surrogate.process={kind: learned, variables: 3}"
    learned = Study.load("smoke", [*changes, three]).training
    room.train(learned, stored)
    assert "learnt a process" in caplog.text
    caplog.clear()
    surrogate = stored.surrogate(learned)
    process = surrogate.architecture.process
    assert learned.surrogate.process.rotation is None
    assert process.rotation is not None
    assert surrogate.dynamics.variables == len(process.rotation) == 3
    start = learned.surrogate.process.dynamics()
    assert (surrogate.dynamics.F - start.F).abs().max() > 1e-2
    assert surrogate.sample(range(2)).isfinite().all()
    given = Study.load("smoke", ["training.steps=4", "training.surrogate.preset=malda"]).training
    room.train(given, stored)
    assert "learnt a process" not in caplog.text
    assert stored.surrogate(given).architecture.process == given.surrogate.process
