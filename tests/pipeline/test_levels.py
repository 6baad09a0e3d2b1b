"""Levels: a coarse step is the fine one's restriction, and a border is a step like any other."""

import math
from pathlib import Path

import pytest
import torch

from pushforward import preparation
from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.generative import FourierBasis, Surrogate
from pushforward.generative.restriction import ladder, restricted
from pushforward.levels import Level, at, check, ends, scaled
from pushforward.schedule import Schedule
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.solvers import Grid, Use
from pushforward.spec import Training
from pushforward.study import Study

OPTION = "training.levels=[{points: [6, 6], share: 0.3}, {points: [10, 10], share: 0.25}]"


@pytest.fixture(scope="module")
def training() -> Training:
    return Study.load("smoke", [OPTION]).training


@pytest.fixture(scope="module")
def whole(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Trained without a pause."""
    archive = Archive(tmp_path_factory.mktemp("whole"))
    simulate(training.simulation, archive)
    room.train(training, archive)
    return archive


def prepared(training: Training, archive: Archive) -> tuple[Surrogate, torch.Tensor, Schedule]:
    surrogate, members, held_out = preparation.prepare(training, archive)
    schedule = Schedule(surrogate, members, training, range(training.batch))
    return surrogate, held_out, schedule


def change(training: Training, **values: object) -> Training:
    return Training.model_validate({**dict(training), **values})


def test_levels_end_where_their_shares_do(training: Training) -> None:
    assert ends(training.levels, training.steps) == [6, 11, 20]
    assert [at([6, 11, 20], step) for step in range(20)] == [0] * 6 + [1] * 5 + [2] * 9
    assert ends((), 20) == [20]


def test_a_coarse_batch_is_the_fine_one_s_restriction(training: Training, whole: Archive) -> None:
    """The same members, shifts and noise; so coupled, that nothing else is new at a border."""
    surrogate, _, schedule = prepared(training, whole)
    for level, grid in enumerate((Grid((6, 6)), Grid((10, 10)))):
        kept = surrogate.basis.held(grid)
        assert 0 < int(kept.sum()) < len(kept)
        coarse, fine = schedule.batches[level](7), schedule.batches[2](7)
        assert torch.equal(coarse.eps, fine.eps[..., kept])
        assert torch.equal(coarse.t, fine.t)
        torch.testing.assert_close(coarse.x, fine.x[..., kept], rtol=1e-5, atol=1e-5)
        basis = schedule.surrogates[level].basis
        fields = surrogate.basis.synthesise(fine.x, grid)  # what the coarse grid shows
        torch.testing.assert_close(basis.analyse(fields, grid), coarse.x, rtol=1e-3, atol=1e-3)
    assert not torch.equal(schedule.batches[0](8).eps, schedule.batches[0](7).eps)


def test_one_network_goes_through_all_levels(training: Training, whole: Archive) -> None:
    surrogate, _, schedule = prepared(training, whole)
    parameters = [[*one.denoiser.parameters()] for one in schedule.surrogates]
    for own in parameters[:2]:
        assert all(a is b for a, b in zip(own, parameters[2], strict=True))
    sizes = [one.denoiser.get_buffer("size") for one in schedule.surrogates]
    assert torch.equal(sizes[0], sizes[2])
    gain = surrogate.denoiser.get_parameter("gain")
    coarse = schedule.surrogates[0].denoiser.get_buffer("certainty")
    assert bool((gain[:, coarse == 0] == 0).all())
    assert bool((gain[:, coarse > 0] == 1).all())
    assert bool((coarse == 0).any())


def test_a_step_belongs_to_its_level(training: Training, whole: Archive) -> None:
    _, _, schedule = prepared(training, whole)
    for step, level in ((0, 0), (5, 0), (6, 1), (10, 1), (11, 2), (19, 2)):
        surrogate, batch = schedule(step)
        assert surrogate is schedule.surrogates[level]
        assert batch.x.shape[-1] == surrogate.basis.mask.shape[-1]


@pytest.mark.parametrize("stop", [3, 5, 6, 7, 11, 15])
def test_a_training_goes_on_across_a_border_to_the_same_bits(
    training: Training, whole: Archive, archive: Archive, stop: int, monkeypatch
) -> None:
    simulate(training.simulation, archive)
    rate = room.learning_rate

    def die(spec: Training, step: int) -> float:
        if step == stop:
            raise KeyboardInterrupt
        return rate(spec, step)

    with monkeypatch.context() as patch:
        patch.setattr(room, "learning_rate", die)
        with pytest.raises(KeyboardInterrupt):
            room.train(change(training, checkpoint_every=1), archive)
    assert archive.read_tensors(training, CHECKPOINT)[1]["step"] == stop
    room.train(training, archive)
    for name, tensor in whole.read_tensors(training, WEIGHTS)[0].items():
        assert torch.equal(tensor, archive.read_tensors(training, WEIGHTS)[0][name]), name
    lines = [one.read_lines(training, METRICS) for one in (archive, whole)]
    assert [line["loss"] for line in lines[0]] == [line["loss"] for line in lines[1]]


def test_it_learns_on_coarse_grids_and_is_restored(training: Training, whole: Archive) -> None:
    lines = whole.read_lines(training, METRICS)
    assert all(math.isfinite(line["held_out_loss"]) for line in lines if "held_out_loss" in line)
    surrogate = whole.surrogate(training)
    drawn = surrogate.sample(range(3))
    assert drawn.shape == (3, 1, 16, 16)
    assert not torch.allclose(drawn, surrogate.gaussian().sample(range(3)), atol=1e-4)
    plain = change(training, levels=())
    room.train(plain, whole)
    others = whole.read_tensors(plain, WEIGHTS)[0]
    name = "denoiser.network.lift.weight"
    assert not torch.equal(whole.read_tensors(training, WEIGHTS)[0][name], others[name])


def test_without_levels_a_study_keeps_its_name(training: Training) -> None:
    assert change(training, levels=()).name == Study.load("smoke").training.name
    assert training.name != Study.load("smoke").training.name


def test_a_restricted_basis_says_the_same_of_its_waves() -> None:
    grid, generator = Grid((16, 16)), torch.Generator().manual_seed(0)
    u = torch.randn(64, 2, 16, 16, generator=generator, dtype=torch.float64)
    basis = FourierBasis.fit(u, grid)
    coarse = restricted(basis, Grid((10, 10)))
    kept = basis.held(Grid((10, 10)))
    x = basis.analyse(u, grid)[..., kept]
    assert torch.equal(coarse.analyse(u, grid), x)
    noise = basis.noise(3, Use.TRAINING, range(4), 9)
    assert torch.equal(coarse.noise(3, Use.TRAINING, range(4), 9), noise[..., kept])
    assert int(coarse.get_buffer("waves").abs().max()) == 4
    assert not torch.equal(coarse.noise(3, Use.TRAINING, range(4), 8), noise[..., kept])


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([Level((16, 16), 0.5)], "each finer than the one before, below"),
        ([Level((10, 10), 0.2), Level((8, 8), 0.2)], "each finer than the one before"),
        ([Level((8,), 0.5)], "levels of 4 points an axis or more"),
        ([Level((2, 8), 0.5)], "levels of 4 points an axis or more"),
        ([Level((6, 6), 0.5), Level((8, 8), 0.5)], "leave steps for the data's own grid, got 1"),
    ],
)
def test_impossible_levels_are_refused(levels: list[Level], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(levels, Grid((16, 16)))


def test_impossible_shares_and_bases_are_refused(training: Training) -> None:
    with pytest.raises(ValueError, match="a share of the steps between 0 and 1, got 1"):
        Level((8, 8), 1.0)
    haar = ["training.surrogate={basis: haar}", "training.translations=false", OPTION]
    with pytest.raises(ValueError, match="expected a basis of waves for levels, got haar"):
        Study.load("smoke", haar)


def test_levels_are_scaled_with_a_study(tmp_path: Path) -> None:
    levels = [Level((16, 16), 0.25), Level((32, 32), 0.25), Level((48, 64), 0.1)]
    small = scaled(levels, Grid((64, 64)), Grid((16, 16)))
    assert small == (Level((4, 4), 0.25), Level((8, 8), 0.25), Level((12, 16), 0.1))
    option = "training.levels=[{points: [16, 16], share: 0.5}]"
    shrunk = Study.load("quickstart", [option]).smoke().training
    assert [level.points for level in shrunk.levels] == [(4, 4)]


def test_a_surrogate_without_a_network_has_no_levels(training: Training, whole: Archive) -> None:
    surrogate = whole.surrogate(training).gaussian()
    with pytest.raises(ValueError, match="expected a surrogate with a network"):
        ladder(surrogate, [Grid((8, 8))])
