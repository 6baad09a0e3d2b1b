"""Conditioned ensembles where the law is known: fair CRPS beside the solver's own, flat ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from benchmarks.conditional import linear
from pushforward import Archive, Study, simulate, train
from pushforward.generative import Sampler, Surrogate
from pushforward.given import Given

PAGE = Path(linear.__file__).with_name("linear.yaml")
SMALL = [
    "simulation.grid.shape=[16,16]",
    "simulation.initial.cutoff=4",
    "simulation.forcing.cutoff=4",
    "simulation.members=768",
    "training.members=512",
    "training.held_out=16",
    "training.steps=0",
    "evaluation.members=16",
    "generation.members=16",
]
CASES, MEMBERS = 64, 16


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.load(PAGE, SMALL)


@pytest.fixture(scope="module")
def archive(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("runs"))
    simulate(study.simulation, archive)
    train(study.training, archive)
    return archive


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear, "CASES", CASES)
    monkeypatch.setattr(linear, "MEMBERS", MEMBERS)


def network(study: Study, archive: Archive) -> Surrogate:
    """The surrogate; an untrained one without its network, which says nothing yet."""
    surrogate = archive.surrogate(study.training)
    return surrogate if study.training.steps else surrogate.gaussian()


def drawn(study: Study, archive: Archive, forcing: torch.Tensor, sampler: Sampler) -> torch.Tensor:
    """Ensembles (case, member, *grid) given every forcing."""
    surrogate, out = network(study, archive), []
    for case, f in enumerate(forcing):
        known = Given.of(linear.field(f, study.training, "forcing"))
        observed, guided = known.on(study.training, surrogate.basis)
        assert guided is None
        members = range(case * MEMBERS, (case + 1) * MEMBERS)
        out.append(surrogate.sample(members, sampler=sampler, observed=observed)[:, -1])
    return torch.stack(out)


@pytest.mark.parametrize("sampler", [Sampler(steps=3), Sampler(steps=6, churn=1.0)])
def test_given_its_forcing_an_ensemble_is_as_good_as_the_solvers(
    study: Study, archive: Archive, few: None, sampler: Sampler
) -> None:
    truth, forcing, solver = linear.solved(study.training)
    mine = linear.scores(drawn(study, archive, forcing, sampler), truth)
    theirs = linear.scores(solver, truth)
    found = linear.row("", mine, theirs, sampler.evaluations)
    assert found["crps"] < 1.1
    assert found["rank_p"] > 1e-3
    assert found["spread_skill"] == pytest.approx(1, abs=0.1)
    # told another forcing, or none, it is not
    shuffled = linear.scores(drawn(study, archive, forcing.roll(1, 0), sampler), truth)
    assert linear.row("", shuffled, theirs, 0)["crps"] > 1.5
    free = network(study, archive).sample(range(CASES * MEMBERS), sampler=sampler)
    alone = linear.scores(free[:, -1].unflatten(0, (CASES, MEMBERS)), truth)
    assert linear.row("", alone, theirs, 0)["crps"] > 1.2


def test_the_mean_is_what_the_forcing_does(study: Study, archive: Archive, few: None) -> None:
    """E[w | f] = (1 - e^{-nu k^2 t}) / (nu k^2) f, wave by wave."""
    _, forcing, _ = linear.solved(study.training)
    problem = study.simulation.problem()
    grid, t, nu = problem.grid, problem.times[-1], 0.05
    k2 = sum(k.double().square() for k in grid.integers())
    gain = -torch.expm1(-nu * k2 * t) / (nu * k2).clamp_min(1e-30)
    exact = grid.ifft(grid.fft(forcing) * torch.where(k2 > 0, gain, t))
    u = drawn(study, archive, forcing, Sampler(steps=3)).double()
    spread = float((u.mean(1) - exact).std() / exact.std())
    within = float(u.var(1).mean().sqrt())
    assert spread == pytest.approx(within / np.sqrt(MEMBERS) / float(exact.std()), rel=0.3)


def test_labels_reach_the_right_channel(study: Study, archive: Archive) -> None:
    known = Given.of(xr.DataArray(np.ones((16, 16)), dims=("y", "x"), name="vorticity"))
    observed, guided = known.on(study.training, archive.surrogate(study.training).basis)
    assert observed is None  # whitened given the forcing, which is not known
    assert guided is not None


@pytest.mark.slow
def test_a_trained_one_stays_so(tmp_path: Path, few: None) -> None:
    study = Study.load(PAGE, [*SMALL, "training.steps=600", "training.held_out=64"])
    archive = Archive(tmp_path)
    simulate(study.simulation, archive)
    train(study.training, archive)
    truth, forcing, solver = linear.solved(study.training)
    mine = linear.scores(drawn(study, archive, forcing, Sampler(steps=16)), truth)
    found = linear.row("", mine, linear.scores(solver, truth), 16)
    assert found["crps"] < 1.1
    assert found["rank_p"] > 1e-3


def test_the_engine_draws_given_what_is_known(study: Study, archive: Archive) -> None:
    """Members given a forcing, or a few values, from xarray; each the same in any company."""
    known = archive.open(study.training.simulation).isel(member=700, time=0)
    options = {"engine": "pushforward", "root": archive.root, "members": 10**6}
    name = study.training.name
    given = xr.open_dataset(name, given=known[["forcing"]], chunks={}, **options)
    some = given.isel(member=[5, 999_999]).load()
    held = known.forcing - known.forcing.mean()
    np.testing.assert_allclose(some.forcing[0], held, atol=0.02 * float(held.std()))
    alone = given.vorticity.isel(member=-1).load()
    np.testing.assert_allclose(some.vorticity[1], alone, atol=1e-8)
    assert float(abs(some.vorticity[0] - some.vorticity[1]).max()) > 1e-4
    sensors = known.vorticity.where(known.vorticity.x < 1.5)
    free = xr.open_dataset(name, **options).vorticity.isel(member=slice(0, 8))
    seen = xr.open_dataset(name, given=sensors.drop_vars("member"), deviation=1e-5, **options)
    seen = seen.vorticity.isel(member=slice(0, 8)).load()
    left = {"x": slice(0, 1.4)}
    miss = abs(seen - known.vorticity).sel(left).mean()
    assert miss < 0.1 * abs(free - known.vorticity).sel(left).mean()
    assert (
        seen.sel(x=slice(3, 5)).std("member").mean()
        > 0.5 * free.sel(x=slice(3, 5)).std("member").mean()
    )
    with pytest.raises(ValueError, match="to_zarr"):
        xr.open_dataset(name, given=known[["forcing"]], keep=True, **options)
    with pytest.raises(ValueError, match="expected values of forcing, vorticity"):
        xr.open_dataset(name, given=known.forcing.rename("force"), **options)
