"""Boxes with walls, end to end: fields of half waves learnt, kept, drawn on other grids."""

from __future__ import annotations

import json
import math

import pytest
import torch

from pushforward.generative import BASES, Backbone, Sampler, Surrogate, preset
from pushforward.generative.bases import outline, suits
from pushforward.generative.pixel import PixelBasis
from pushforward.solvers import GaussianField, Grid, diagnostics

GRID, FINE = (Grid((n, n + 1), (1.0, 2.0), "neumann") for n in (11, 33))
PAGE = preset("gud", basis="cosine", backbone=Backbone(width=8, modes=3, layers=1))
FIELD = GaussianField.matern(3.0, 0.3, deviation=1.0, cutoff=9)


def fitted(count: int = 300) -> Surrogate:
    return Surrogate.fit(PAGE, FIELD.sample(range(count), GRID)[:, None].float(), GRID)


def test_draws_have_the_spectrum_of_half_waves() -> None:
    u = fitted().sample(range(300), sampler=Sampler(steps=4))[:, 0].double()
    symbol = FIELD.symbol(GRID)
    expected = diagnostics.shell_sums(symbol, GRID)
    # both the fit and the draws are samples of 300
    error = (2 * 2 * diagnostics.shell_sums(symbol**2, GRID) / 300).sqrt()
    power = diagnostics.power_spectrum(u, GRID).mean(0)
    assert bool(((power - expected).abs() < 4 * error + 1e-5).all())
    rough = GaussianField.matern(2.0, 0.3, deviation=1.0, cutoff=9).symbol(GRID)
    wrong = diagnostics.shell_sums(rough, GRID)
    assert not bool(((power - wrong).abs() < 4 * error + 1e-5).all())


def test_a_member_is_one_function_between_the_walls() -> None:
    surrogate = fitted(60)
    coarse, fine = (surrogate.sample([3], grid, sampler=Sampler(steps=2)) for grid in (GRID, FINE))
    middles = fine[..., 1::3, :]  # the first axis has three times the points
    there = GRID.resample(coarse.double(), Grid((11, 34), GRID.extent, "neumann"))
    torch.testing.assert_close(middles.double(), there, rtol=0, atol=1e-5)
    for other in (Grid((12, 12), (1.0, 2.0)), Grid((12, 12), boundary="neumann")):
        with pytest.raises(ValueError, match="expected a grid of the box"):
            surrogate.sample([3], other)


def test_a_surrogate_comes_back_with_its_walls() -> None:
    surrogate = fitted(60)
    config = json.loads(json.dumps(surrogate.config))
    again = Surrogate.restore(config, surrogate.state_dict())
    assert again.grid == surrogate.grid
    assert again.sample([4]).equal(surrogate.sample([4]))
    del config["grid"]["boundary"]  # as it was kept before there were walls
    old = Surrogate.restore(
        {**config, "grid": {**config["grid"], "shape": [12, 12]}}, {**surrogate.state_dict()}
    )
    assert old.grid.boundary == "periodic"


@pytest.mark.parametrize("kind", BASES)
def test_a_basis_is_taken_between_its_own_sides_only(kind: str) -> None:
    walls, torus = Grid((8, 8), boundary="neumann"), Grid((8, 8))
    fits = {"fourier": [torus], "cosine": [walls]}.get(kind, [torus, walls])
    for grid in (walls, torus):
        if grid in fits:
            suits(kind, grid)
            assert outline(kind, grid, 1).extent == grid.extent
        else:
            with pytest.raises(ValueError, match=f"boundary {grid.boundary}, got {kind}; choose"):
                outline(kind, grid, 1)


def test_fourier_waves_and_translations_are_refused_between_walls() -> None:
    u = FIELD.sample(range(30), GRID)[:, None]
    with pytest.raises(ValueError, match="got fourier, whose waves go around the box"):
        Surrogate.fit(preset("gud"), u.float(), GRID)
    basis = PixelBasis.fit(u, GRID)
    x = basis.analyse(u[:2], GRID)
    with pytest.raises(ValueError, match="expected a periodic box to move fields in"):
        basis.translate(x, torch.zeros(2, 2))


def test_networks_see_the_walls() -> None:
    """A network of pixels joins the ends of a torus, and not those between walls."""
    grids = (Grid((8, 8)), Grid((8, 8), boundary="neumann"))
    page = preset("gud", basis="pixel", backbone=Backbone(width=8, modes=2, layers=1))
    for grid in grids:
        u = torch.randn(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        network = Surrogate.fit(page, u, grid).denoiser.network
        assert getattr(network, "periodic", None) == grid.periodic


def test_the_prior_of_half_waves_sums_to_one() -> None:
    basis = fitted(60).basis
    modes = basis.modes
    assert modes.frequency is not None
    k = 2 * math.pi / max(modes.extent) * modes.frequency
    field = GaussianField.matern(3.0, 0.3)
    assert field.log_share(k, modes.extent, "neumann").exp().sum() == pytest.approx(1, abs=0.05)


def test_blocks_need_even_numbers_of_points() -> None:
    u = FIELD.sample(range(30), GRID)[:, None].float()
    with pytest.raises(ValueError, match="expected an even number of points on every axis"):
        Surrogate.fit(preset("gud", basis="haar"), u, GRID)
