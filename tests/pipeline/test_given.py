"""What is known, as labelled arrays: which law it asks for, when, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

from pushforward import Study
from pushforward.generative import Surrogate
from pushforward.given import Given
from pushforward.solvers import Grid, Use
from pushforward.solvers.interpolation import evaluate
from pushforward.spec import Training

FRAMES = ["training.static=[forcing]", "training.frames=[0,1]"]


def training(*changes: str) -> Training:
    return Study.load("smoke", [*FRAMES, *changes]).training


def fitted(training: Training) -> tuple[Surrogate, xr.Dataset]:
    """An untrained surrogate of correlated noise, and one member as labelled arrays."""
    grid = training.simulation.grid
    u = torch.randn(64, 3, *grid.shape, generator=torch.Generator().manual_seed(0))
    u = torch.stack([u[:, 0], u[:, 0] + u[:, 1], u[:, 1] + 0.5 * u[:, 2]], 1)
    surrogate = Surrogate.fit(training.surrogate, u, grid)
    y, x = (points.numpy() for points in grid.coordinates())
    member = xr.Dataset(
        {
            "forcing": (("y", "x"), u[0, 0].numpy()),
            "vorticity": (("time", "y", "x"), u[0, 1:].numpy()),
        },
        {"time": list(training.times), "y": y, "x": x},
    )
    return surrogate, member


def test_a_whole_first_channel_is_clean() -> None:
    spec = training()
    surrogate, member = fitted(spec)
    known = Given.of(member.forcing).on(spec, surrogate.basis)
    assert known.guided is None
    assert known.observed is not None
    level = known.observed.log_snr
    assert (level[0][surrogate.basis.mask[0]] == math.inf).all()
    assert (level[1:] == -math.inf).all()
    u = surrogate.sample(range(3), observed=known.observed)
    held = surrogate.basis.synthesise(
        surrogate.basis.analyse(
            torch.from_numpy(member.forcing.values)[None].expand(3, -1, -1), surrogate.grid
        ),
        surrogate.grid,
    )
    torch.testing.assert_close(u[:, 0], held[:1].expand(3, -1, -1), rtol=0, atol=1e-4)


def test_the_whole_past_of_channels_whitened_together() -> None:
    """Forcing and first frame come first and are clean; the last frame alone is functionals."""
    spec = training()
    surrogate, member = fitted(spec)
    past = Given.of(member.isel(time=[0])).on(spec, surrogate.basis)
    assert past.guided is None
    assert past.observed is not None
    x = surrogate.basis.analyse(
        torch.from_numpy(np.stack([member.forcing, *member.vorticity])), surrogate.grid
    )
    torch.testing.assert_close(past.observed.values[:2].float(), x[:2], rtol=0, atol=1e-5)
    assert (past.observed.log_snr[2] == -math.inf).all()
    later = Given.of(member.vorticity.isel(time=1)).on(spec, surrogate.basis)
    assert later.observed is None
    assert later.guided is not None
    assert len(later.guided.rows) == 16 * 16
    apart = training("training.surrogate.channels=apart")
    surrogate, member = fitted(apart)
    later = Given.of(member.vorticity.isel(time=1)).on(apart, surrogate.basis)
    assert later.guided is None
    assert later.observed is not None
    assert (later.observed.log_snr[:2] == -math.inf).all()


def test_noise_at_points_is_noise_of_coefficients() -> None:
    spec = training("training.surrogate.channels=apart")
    surrogate, member = fitted(spec)
    basis, deviation = surrogate.basis, 0.5
    seen = Given.of(member.forcing, deviation).on(spec, basis).observed
    assert seen is not None
    noise = deviation * torch.randn(4000, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    spread = basis.analyse(noise, surrogate.grid) - basis.analyse(0 * noise[:1], surrogate.grid)
    found, said = spread[:, 0].var(0), torch.exp(-seen.log_snr[0])
    kept = basis.mask[0]
    error = 4 * math.sqrt(2 / 4000)
    ratio = (found / said.float())[kept]
    assert abs(float(ratio.mean()) - 1) < error
    assert float((ratio - 1).abs().max()) < 1.5 * error


def test_a_coarser_grid_tells_its_own_waves() -> None:
    spec = training("training.surrogate.channels=apart")
    surrogate, member = fitted(spec)
    coarse, basis = Grid((8, 8)), surrogate.basis
    y, x = (points.numpy() for points in coarse.coordinates())
    small = surrogate.grid.resample(torch.from_numpy(member.forcing.values), coarse)
    given = xr.DataArray(small.numpy(), {"y": y, "x": x}, ("y", "x"), name="forcing")
    seen = Given.of(given).on(spec, basis).observed
    assert seen is not None
    told = seen.seen[0]
    assert told.equal(basis.held(coarse) & basis.mask[0])
    assert 0 < int(told.sum()) < int(basis.mask[0].sum())
    fields = torch.from_numpy(member.forcing.values)[None].expand(3, -1, -1)
    x = basis.analyse(fields, surrogate.grid)[0]
    torch.testing.assert_close(seen.values[0, told].float(), x[told], rtol=0, atol=1e-5)


@pytest.mark.parametrize("how", ["nan", "points"])
def test_values_at_points_are_functionals(how: str) -> None:
    spec = training()
    surrogate, member = fitted(spec)
    field = member.vorticity.isel(time=1)
    if how == "nan":
        known = xr.zeros_like(field, dtype=bool)
        known[3, 4] = known[10, 2] = True
        given = field.where(known)
        points = torch.tensor(
            [[float(field.y[3]), float(field.x[4])], [float(field.y[10]), float(field.x[2])]]
        )
    else:
        points = torch.tensor([[0.11, 3.0], [5.0, -1.0]])
        values = evaluate(torch.from_numpy(field.values), surrogate.grid, points)
        given = xr.DataArray(
            values.numpy(),
            {
                "y": ("point", points[:, 0].numpy()),
                "x": ("point", points[:, 1].numpy()),
                "time": float(field.time),
            },
            ("point",),
            name="vorticity",
        )
    seen = Given.of(given, 0.1).on(spec, surrogate.basis)
    assert seen.observed is None
    assert seen.guided is not None
    assert torch.allclose(seen.guided.variance, torch.tensor(0.01, dtype=torch.float64))
    u = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(3)).double()
    basis = surrogate.basis
    x = basis.analyse(u, surrogate.grid)
    offset = seen.guided.values - evaluate(
        torch.from_numpy(field.values.astype(float)), surrogate.grid, points.double()
    )
    there = evaluate(basis.synthesise(x, surrogate.grid)[:, 2], surrogate.grid, points.double())
    torch.testing.assert_close(seen.guided.of(x) - offset, there, rtol=1e-4, atol=1e-4)
    wrong = evaluate(basis.synthesise(x, surrogate.grid)[:, 1], surrogate.grid, points.double())
    assert float((seen.guided.of(x) - offset - wrong).abs().max()) > 0.5


def test_order_and_direction_of_axes_do_not_matter() -> None:
    spec = training()
    surrogate, member = fitted(spec)
    turned = member.forcing.transpose("x", "y").isel(y=slice(None, None, -1))
    one, two = (Given.of(x).on(spec, surrogate.basis).observed for x in (member.forcing, turned))
    assert one is not None
    assert two is not None
    torch.testing.assert_close(one.values, two.values)


def bad(member: xr.Dataset) -> list[tuple[Any, str]]:
    u = member.vorticity
    point = xr.DataArray([1.0], {"y": ("point", [0.0])}, ("point",), name="forcing")
    return [
        (member.forcing.rename("force"), "expected values of forcing, vorticity, got 'force'"),
        (u.assign_coords(time=[7.0, 8.0]), "at a time that was learnt"),
        (u.isel(time=0, drop=True), "coordinate time of 'vorticity'"),
        (member.forcing.expand_dims(member=2), "choose one member"),
        (member.forcing * np.nan, "finite values of 'forcing'"),
        (member.forcing.where(member.x > 1, np.inf), "1 infinite|infinite"),
        (member.forcing.assign_coords(x=member.x * 2), "on the box"),
        (point, "with coordinates y, x"),
    ]


@pytest.mark.parametrize("case", range(8))
def test_what_is_none_of_the_ensemble_is_refused(case: int) -> None:
    spec = training()
    surrogate, member = fitted(spec)
    given, words = bad(member)[case]
    with pytest.raises(ValueError, match=words):
        Given.of(given).on(spec, surrogate.basis)


def test_too_many_values_and_wrong_deviations_are_refused(monkeypatch) -> None:
    spec = training()
    surrogate, member = fitted(spec)
    monkeypatch.setattr("pushforward.given.MOST", 100)
    with pytest.raises(ValueError, match="at most 100 values"):
        Given.of(member.vorticity.isel(time=1)).on(spec, surrogate.basis)
    with pytest.raises(ValueError, match="deviations >= 0"):
        Given.of(member.forcing, -1.0)
    with pytest.raises(ValueError, match="after its variable"):
        Given.of(member.forcing, {"force": 1.0})
    with pytest.raises(TypeError, match="DataArray"):
        Given.of(3.0)  # type: ignore[arg-type]


def test_labels_decide_where_values_are() -> None:
    """Middles of coarse cells are points of the box, not its coarse grid."""
    spec = training("training.surrogate.channels=apart")
    surrogate, member = fitted(spec)
    cells = member.forcing.coarsen(x=2, y=2).mean()
    seen = Given.of(cells, 0.1).on(spec, surrogate.basis)
    assert seen.observed is None
    assert seen.guided is not None
    points = torch.cartesian_prod(*(torch.from_numpy(cells[d].values) for d in ("y", "x")))
    x = surrogate.basis.noise(0, Use.PRIOR, range(3)).double()
    fields = surrogate.basis.synthesise(x, surrogate.grid)[:, 0]
    mean = surrogate.basis.synthesise(0 * x[:1], surrogate.grid)[:, 0]
    there = evaluate(fields - mean, surrogate.grid, points)
    torch.testing.assert_close(seen.guided.of(x), there, rtol=1e-5, atol=1e-5)


def test_what_is_given_is_a_copy_and_every_time_stands_once() -> None:
    spec = training()
    surrogate, member = fitted(spec)
    one = Given.of(member.forcing)
    digest = one.digest
    member.forcing.values[:] = 0
    assert Given.of(one.data.forcing).digest == digest
    assert float(abs(one.data.forcing).max()) > 0
    u = member.vorticity
    with pytest.raises(ValueError, match="every time of 'vorticity' once"):
        Given.of(xr.concat([u[:1], -u[:1]], "time")).on(spec, surrogate.basis)  # type: ignore
