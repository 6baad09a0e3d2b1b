"""Averages of weights: power profiles, and any width made afterwards from two that are stored."""

import math

import numpy as np
import pytest
import torch

from pushforward import snapshots
from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.ema import (
    WIDTHS,
    Decay,
    Power,
    Snapshot,
    coefficients,
    exponent,
    follow,
    reconstruct,
)
from pushforward.simulation import simulate
from pushforward.spec import Training
from pushforward.study import Study

STEPS, STORED = 4096, 32


def sequence(count: int = STEPS) -> torch.Tensor:
    """A scalar that settles down as weights do, and trembles on the way."""
    t = torch.arange(1, count + 1, dtype=torch.float64)
    noise = torch.randn(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return 3 * torch.exp(-t / 800) * torch.cos(t / 90) + 0.1 * noise + (t / count) ** 2


def tracked(values: torch.Tensor, width: float, every: int | None = None) -> list[Snapshot]:
    """The average of a width along a sequence, as it is now and then."""
    average, found = [torch.zeros((), dtype=torch.float64)], []
    for step, value in enumerate(values):
        follow(average, [value], Power(width).weight(step))
        if (step + 1) % (every or len(values)) == 0:
            found.append(Snapshot(width, step + 1, [average[0].clone()]))
    return found


@pytest.mark.parametrize("width", [0.02, 0.05, 0.1, 0.2, 0.28])
def test_a_power_average_has_the_weights_of_its_profile(width: float) -> None:
    """(s^(gamma + 1) - (s - 1)^(gamma + 1)) / t^(gamma + 1), whose deviation is the width."""
    count = 400
    weights = torch.eye(count, dtype=torch.float64)
    average = [torch.zeros(count, dtype=torch.float64)]
    for step in range(count):
        follow(average, [weights[step]], Power(width).weight(step))
    s = torch.arange(count + 1, dtype=torch.float64) / count
    truth = (s ** (exponent(width) + 1)).diff()
    torch.testing.assert_close(average[0], truth, rtol=1e-9, atol=1e-12)
    middle = (s[1:] + s[:-1]) / 2
    mean = (truth * middle).sum()
    deviation = (truth * (middle - mean).square()).sum().sqrt()
    assert float(deviation) == pytest.approx(width, rel=2e-3)


@pytest.mark.parametrize("power", [1, 2, 5])
def test_the_average_of_a_power_is_in_closed_form(power: int) -> None:
    t = torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS
    found = tracked(t**power, 0.1)[-1].tensors[0]
    gamma = exponent(0.1)
    assert float(found) == pytest.approx((gamma + 1) / (gamma + 1 + power), rel=1e-3)


def test_decay_is_what_it_was() -> None:
    for step in (0, 5, 999, 10**5):
        assert Decay(0.99).weight(step) == 1 - min(0.99, (step + 1) / (step + 10))


@pytest.mark.parametrize("width", [0.04, 0.06, 0.075, 0.09, 0.12, 0.15])
def test_a_width_is_reconstructed_from_two_others(width: float) -> None:
    values = sequence()
    kept = [one for stored in WIDTHS for one in tracked(values, stored, STEPS // STORED)]
    truth = float(tracked(values, width)[-1].tensors[0])
    assert float(reconstruct(kept, width)[0]) == pytest.approx(truth, abs=2e-3)
    # the nearest of those that were kept is not it
    nearest = min(kept[STORED - 1 :: STORED], key=lambda one: abs(one.width - width))
    assert abs(float(nearest.tensors[0]) - truth) > 4e-3


def test_an_average_of_an_earlier_step_is_reconstructed() -> None:
    values, step = sequence(), STEPS // 2 + 50
    kept = [one for stored in WIDTHS for one in tracked(values, stored, STEPS // STORED)]
    truth = float(tracked(values[:step], 0.08)[-1].tensors[0])
    assert float(reconstruct(kept, 0.08, step)[0]) == pytest.approx(truth, abs=0.02)
    assert abs(float(reconstruct(kept, 0.08)[0]) - truth) > 0.2


def test_shares_are_those_of_least_squares_over_the_profiles() -> None:
    """Against the profiles themselves, on a grid of 20,000 points."""
    stored = [(width, step) for width in WIDTHS for step in (50, 100, 150, 200)]
    s = (np.arange(20_000) + 0.5) / 100

    def profile(width: float, t: float) -> np.ndarray:
        gamma = exponent(width)
        return np.where(s <= t, (gamma + 1) * s**gamma / t ** (gamma + 1), 0)

    columns = np.stack([profile(*one) for one in stored], 1)
    truth = np.linalg.lstsq(columns, profile(0.07, 200), rcond=None)[0]
    found = coefficients(stored, 0.07, 200)
    np.testing.assert_allclose(found, truth / truth.sum(), atol=5e-3)
    gap = columns @ found - profile(0.07, 200)
    wrong = columns @ coefficients(stored, 0.09, 200) - profile(0.07, 200)
    assert np.square(wrong).sum() > 10 * np.square(gap).sum()


def test_a_stored_average_is_itself() -> None:
    stored = [(width, step) for width in WIDTHS for step in (10, 20, 30)]
    for place, (width, step) in enumerate(stored):
        assert coefficients(stored, width, step).tolist() == np.eye(6)[place].tolist()


def test_impossible_averages_are_refused() -> None:
    with pytest.raises(ValueError, match="expected an average stored at step 5 or before"):
        coefficients([(0.05, 10)], 0.1, 5)
    with pytest.raises(ValueError, match="expected an average stored at step 0"):
        reconstruct([], 0.1)
    with pytest.raises(ValueError, match=r"expected a relative width above 0 and at most 0.28"):
        reconstruct([Snapshot(0.1, 1, [torch.zeros(1)])], 0.5)


# -- in a training


@pytest.fixture(scope="module")
def training() -> Training:
    return Study.load("smoke", ["training.snapshots=5"]).training


@pytest.fixture(scope="module")
def whole(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("whole"))
    simulate(training.simulation, archive)
    for one in (training, change(training, snapshots=0), change(training, width=0.08)):
        room.train(one, archive)
    return archive


def change(training: Training, **values: object) -> Training:
    return Training.model_validate({**dict(training), **values})


def network(archive: Archive, training: Training) -> list[torch.Tensor]:
    return [p.detach() for p in archive.surrogate(training).denoiser.parameters()]


def test_options_that_ask_for_nothing_leave_a_name_as_it_was(training: Training) -> None:
    plain = Study.load("smoke").training
    assert plain.name == "training-2d0bc7e970"  # of before there were snapshots and widths
    assert len({plain.name, training.name, change(plain, width=0.08).name}) == 3


def test_snapshots_leave_the_weights_as_they_are(training: Training, whole: Archive) -> None:
    plain = change(training, snapshots=0)
    weights, others = (whole.read_tensors(one, WEIGHTS)[0] for one in (training, plain))
    for name, tensor in weights.items():
        assert torch.equal(tensor, others[name]), name
    lines = [whole.read_lines(one, METRICS) for one in (training, plain)]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]
    files = {path.name for path in whole.folder(training).glob("average-*")}
    assert files == {f"average-{step:06d}.safetensors" for step in (4, 8, 12, 16, 20)}
    assert files <= whole.manifest(training)["files"].keys()
    assert not [*whole.folder(plain).glob("average-*")]


def test_the_width_that_a_training_keeps_is_the_one_reconstructed(
    training: Training, whole: Archive
) -> None:
    kept = network(whole, change(training, width=0.08))
    surrogate = snapshots.averaged(training, whole, 0.08)
    made = [p.detach() for p in surrogate.denoiser.parameters()]
    plain = network(whole, training)

    def distance(others: list[torch.Tensor]) -> float:
        pairs = zip(kept, others, strict=True)
        return math.sqrt(sum(float((a - b).square().sum()) for a, b in pairs))

    assert distance(made) < 0.05 * distance(plain)
    assert not torch.equal(surrogate.log_gain, whole.surrogate(training).log_gain)


def test_a_resumed_training_leaves_the_same_snapshots(
    training: Training, whole: Archive, archive: Archive
) -> None:
    simulate(training.simulation, archive)
    one = change(training, width=0.08)
    for _ in range(7):
        with pytest.raises(InterruptedError):
            room.train(one, archive, max_seconds=1e-9)
    room.train(one, archive)
    for name, tensor in whole.read_tensors(one, WEIGHTS)[0].items():
        assert torch.equal(tensor, archive.read_tensors(one, WEIGHTS)[0][name]), name
    for step in snapshots.steps(one):
        name = snapshots.FILE.format(step)
        a, b = (place.read_tensors(one, name)[0] for place in (whole, archive))
        assert a.keys() == b.keys()
        assert all(torch.equal(tensor, b[key]) for key, tensor in a.items())


def test_without_snapshots_it_says_what_to_set(training: Training, whole: Archive) -> None:
    with pytest.raises(LookupError, match=r"set training.snapshots, for instance to 16"):
        snapshots.averaged(change(training, snapshots=0), whole, 0.1)


def test_more_snapshots_than_steps_are_refused(training: Training) -> None:
    with pytest.raises(ValueError, match="expected snapshots <= steps, got 21 and 20"):
        change(training, snapshots=21)
