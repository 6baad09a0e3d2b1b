"""Synthetic interferograms: Mogi's source, the air's covariance, one function a member."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, optimize

from pushforward.solvers import GaussianField, Grid, StationaryField
from pushforward.solvers.interferograms import Interferograms, mogi

SIDES = (12e3, 9e3)
LAW = Interferograms()
CALM = replace(LAW, weather=(0.0, 0.0), noisiness=(0.0, 0.0), trend=0.0)


def scene(n: int, m: int | None = None) -> Grid:
    return Grid((n, m or n), SIDES, "neumann")


def displaced(r: float, nu: float = 0.25) -> tuple[float, float]:
    numbers = (torch.tensor(x, dtype=torch.float64) for x in (r, 3000.0, 5e6))
    out, up = mogi(*numbers, poisson=nu)
    return float(out), float(up)


@pytest.mark.parametrize("nu", [0.0, 0.25, 0.5])
def test_lifted_volume_is_that_of_the_source_and_more(nu: float) -> None:
    """The ground rises by 2 (1 - nu) dV in all: more than dV unless rock is incompressible."""
    lifted, _ = integrate.quad(lambda r: 2 * math.pi * r * displaced(r, nu)[1], 0, np.inf)
    assert lifted == pytest.approx(2 * (1 - nu) * 5e6, rel=1e-6)
    assert abs(lifted - 2 * (1 - nu - 0.1) * 5e6) > 5e5  # another ratio is seen


def test_displacement_has_the_known_shape() -> None:
    """Away from the source; half the height at 0.766 depths, farthest outward at 0.707."""
    for r in (10.0, 2e3, 4e4):
        out, up = displaced(r)
        assert out / up == pytest.approx(r / 3000)
    assert displaced(0.0) == (0.0, pytest.approx(0.75 / math.pi * 5e6 / 3000**2))
    half = math.sqrt(4 ** (1 / 3) - 1) * 3000
    assert displaced(half)[1] == pytest.approx(displaced(0.0)[1] / 2)
    found = optimize.minimize_scalar(lambda r: -displaced(r)[0], (0.0, 1e3, 1e4)).x
    assert found == pytest.approx(3000 / math.sqrt(2), rel=1e-4)
    far, farther = (math.hypot(*displaced(r)) for r in (3e6, 6e6))
    assert far / farther == pytest.approx(4, rel=1e-5)  # like 1 / R^2


def test_displacement_is_seen_along_the_line_of_sight() -> None:
    law = replace(CALM, sources=(2, 2), poisson=0.3)
    grid = scene(10, 14)
    places = law.chamber(range(3), grid, seed=4).numpy()
    y, x = (c.numpy() for c in grid.coordinates())
    east, north = np.meshgrid(x, y)
    total = np.zeros((3, *grid.shape))
    for source in places:
        for member, (at_north, at_east, depth, volume) in enumerate(source):
            away = np.stack([east - at_east, north - at_north, np.full_like(east, depth)])
            u = 0.7 / np.pi * volume * away / np.linalg.norm(away, axis=0) ** 3
            total[member] += np.tensordot(law.look, u, 1)
    found = law.displacement(range(3), grid, seed=4)
    np.testing.assert_allclose(found, total, rtol=1e-12, atol=1e-12)
    assert np.abs(total).max() > 0.01
    other = replace(law, heading=-167.0).displacement(range(3), grid, seed=4)  # from the west
    assert (found - other).abs().max() > 0.01
    assert math.hypot(*law.look) == pytest.approx(1)


def test_phase_turns_once_in_half_a_wavelength() -> None:
    still = replace(CALM, sources=(0, 0), trend=1e-6)
    grid = scene(16)
    delay, phase = still.delay([2], grid), still.phase([2], grid)
    turns = (phase - phase[0, 0, 0]) / (2 * math.pi)
    expected = (delay - delay[0, 0, 0]) / (0.0555 / 2)
    torch.testing.assert_close(turns, expected, rtol=0, atol=1e-9)
    slopes = np.gradient(delay[0].numpy(), *grid.spacing)
    assert all(np.ptp(slope) < 1e-15 and abs(slope[0, 0]) <= 1e-6 for slope in slopes)


def test_pixels_are_of_length_one() -> None:
    x = LAW.draw(range(20), scene(32), seed=1)
    assert x.shape == (20, 2, 32, 32)
    torch.testing.assert_close(x.square().sum(1), torch.ones(20, 32, 32).double())
    phase = torch.atan2(x[:, 1], x[:, 0])
    turns = (LAW.phase(range(20), scene(32), seed=1) - phase) / (2 * math.pi)
    torch.testing.assert_close(turns, turns.round(), rtol=0, atol=1e-9)
    assert turns.round().abs().max() > 1  # some fringes are wrapped


def test_numbers_of_sources_are_equally_likely_and_within_their_ends() -> None:
    n, grid = 3000, scene(4)
    chambers = LAW.chamber(range(n), grid, seed=1)
    count = (chambers[..., 3] != 0).sum(0)
    for k in range(3):
        share = float((count == k).double().mean())
        assert abs(share - 1 / 3) < 4 * math.sqrt(2 / 9 / n)
    assert abs(float((count == 0).double().mean()) - 1 / 2) > 0.1
    there = chambers[0, count > 0]
    ends = ((0, SIDES[0]), (0, SIDES[1]), LAW.depth, LAW.volume)
    for column, (low, high) in zip(there.T, ends, strict=True):
        assert low <= float(column.min()) < float(column.max()) <= high
        z = (column.mean() - (low + high) / 2) / ((high - low) / math.sqrt(12 * len(there)))
        assert abs(float(z)) < 4
    correlation = torch.corrcoef(torch.cat([chambers[0].T[:3], chambers[1].T[:3]]))
    rest = correlation - torch.eye(6)
    assert float(rest.abs().max()) < 4.5 / math.sqrt(n)


def test_air_is_stationary_with_kolmogorovs_structure_function() -> None:
    air = replace(CALM, weather=(1.0, 1.0), sources=(0, 0))
    grid, n = scene(96, 72), 400
    z = air.delay(range(n), grid, seed=2)
    edges, inside = (z[:, i].square().mean(1) for i in (0, 48))
    error = math.sqrt(float(edges.var() + inside.var()) / n)
    assert abs(float(edges.mean() - inside.mean())) < 4 * error
    folded = GaussianField.matern(11 / 6, 4000.0, deviation=0.005).sample(range(n), grid, 2)
    assert float(folded[:, 0].square().mean()) > 1.5 * float(folded[:, 48].square().mean())
    kernel = StationaryField(exponent=11 / 6, length=4000.0, deviation=0.005)
    steps = [2, 4, 8, 16]
    r = torch.tensor(steps).double() * grid.spacing[0]
    grown = [(z[:, s:] - z[:, :-s]).square().mean((1, 2)) for s in steps]
    for step, squares in zip(r, grown, strict=True):
        ends = torch.stack([torch.zeros(()), step])
        wanted = float(2 * (kernel.covariance(ends, 2) @ torch.tensor([1.0, -1.0]).double()))
        assert abs(float(squares.mean()) - wanted) < 4 * float(squares.std()) / n**0.5 + 2e-7
    near = math.log2(float(grown[1].mean() / grown[0].mean()))
    assert near == pytest.approx(5 / 3, abs=0.25)  # the outer scale is not far


@pytest.mark.parametrize("law", [LAW, replace(LAW, decorrelation=None)], ids=["all", "no noise"])
def test_a_member_is_one_function_on_every_grid(law: Interferograms) -> None:
    cut = replace(law, turbulence=replace(law.turbulence, cutoff=39))
    if cut.decorrelation is not None:
        cut = replace(cut, decorrelation=replace(cut.decorrelation, cutoff=30))
    coarse, fine = (cut.draw([0, 7], scene(n), seed=3) for n in (40, 120))
    torch.testing.assert_close(coarse, fine[..., 1::3, 1::3], rtol=0, atol=1e-9)
    assert (coarse - fine[..., ::3, ::3]).abs().max() > 1e-2  # a pixel off
    whole = [law.draw([0, 7], scene(n), seed=3) for n in (40, 120)]
    assert (whole[0] - whole[1][..., 1::3, 1::3]).abs().max() > 1e-3  # a coarse grid lacks some


def test_members_are_addressed() -> None:
    whole = LAW.draw(range(9), scene(24), seed=2)
    assert torch.equal(LAW.draw([7, 2], scene(24), seed=2), whole[[7, 2]])
    assert (LAW.draw(range(9), scene(24), seed=3) - whole).abs().amax((1, 2, 3)).min() > 0.1
    assert LAW.draw([], scene(24)).shape == (0, 2, 24, 24)


def test_what_cannot_be_is_refused() -> None:
    bads: list[tuple[dict[str, Any], str]] = [
        ({"sources": (2, 1)}, "0 <= lowest <= highest sources, got 2, 1"),
        ({"sources": (-1, 1)}, "highest sources"),
        ({"depth": (0.0, 1.0)}, "below the ground"),
        ({"volume": (1.0, -1.0)}, "expected lowest <= highest volume"),
        ({"weather": (0.0, math.inf)}, "highest weather"),
        ({"noisiness": (-1.0, 1.0)}, "highest noisiness"),
        ({"wavelength": 0.0}, "wavelength > 0"),
        ({"poisson": 0.6}, "poisson <= 1/2"),
        ({"heading": math.nan}, "finite angles"),
    ]
    for bad, said in bads:
        with pytest.raises(ValueError, match=said):
            Interferograms(**bad)
    for grid in (Grid((8, 8), SIDES), Grid((8,), (1.0,), "neumann")):
        with pytest.raises(ValueError, match="a scene of two axes"):
            LAW.draw([0], grid)
    rough = replace(LAW, turbulence=GaussianField.matern(0.9, 1.0))
    with pytest.raises(ValueError, match="trace class"):
        rough.check(scene(8), 1)
