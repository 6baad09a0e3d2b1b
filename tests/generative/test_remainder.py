"""What a denoiser leaves unknown: closed forms, a table between levels, and what is stored."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.generative import Backbone, Denoiser, FourierBasis, Surrogate, preset
from pushforward.generative.remainder import between, remainder
from pushforward.solvers import GaussianField, Grid, Use

GRID = Grid((12, 12))
SMALL = Backbone(width=8, modes=4, layers=1)
COUNT = 200


def fields(count: int = COUNT) -> torch.Tensor:
    return GaussianField.matern(3.0, 0.6, deviation=1.0, cutoff=4).sample(range(count), GRID)[
        :, None
    ]


class Half(Denoiser):
    """F for coefficients of half the variance that they are whitened by, in one shell."""

    def __init__(self, shell: torch.Tensor) -> None:
        super().__init__()
        self.variance = torch.where(shell == 2, 0.5, 1.0)

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        sin, cos = (f(torch.atan(torch.exp(-log_snr / 2))) for f in (torch.sin, torch.cos))
        return sin * cos * (self.variance - 1) / (self.variance * cos**2 + sin**2) * y


def test_it_is_the_posterior_variance_over_wieners() -> None:
    basis = FourierBasis.fit(fields(), GRID)
    one = Half(basis.shell)
    x = basis.noise(0, Use.VALIDATION, range(2000)).double() * one.variance.sqrt()
    levels = torch.tensor([3.0, 0.0, -3.0]).view(3, 1, 1).expand(-1, *basis.mask.shape).double()
    found = remainder(
        one,
        basis,
        levels,
        x,
        lambda i: basis.noise(1, Use.SCORE, range(2000), i).double(),
        batch=512,
    )
    for row, level in zip(found, (3.0, 0.0, -3.0), strict=True):
        cos2 = 1 / (1 + math.exp(-level))
        exact = 0.5 / (0.5 * cos2 + 1 - cos2)
        modes = int((basis.mask[0] & (basis.shell == 2)).sum())
        error = 4 * math.sqrt(2 / (2000 * modes))
        assert float(row[0, 2]) == pytest.approx(exact, rel=error)
        assert float(row[0, 1]) == pytest.approx(1, rel=2 * error)


def test_between_levels_it_is_interpolated_and_beyond_them_kept() -> None:
    basis = FourierBasis.fit(fields(), GRID)
    levels = torch.tensor([4.0, 0.0, -4.0]).view(3, 1, 1).expand(-1, *basis.mask.shape)
    table = torch.tensor([1.0, 0.5, 0.1]).view(3, 1, 1).expand(-1, 1, basis.shells)
    for level, exact in (
        (4.0, 1.0),
        (2.0, 0.75),
        (0.0, 0.5),
        (-3.0, 0.2),
        (9.0, 1.0),
        (-9.0, 0.1),
    ):
        found = between(table, levels, basis, torch.full(basis.mask.shape, level))
        torch.testing.assert_close(found, torch.full(basis.mask.shape, exact))
    mixed = torch.full(basis.mask.shape, math.inf)
    mixed[:, 0] = -math.inf  # clean and unobserved ones
    found = between(table, levels, basis, mixed)
    assert found[0, 0] == pytest.approx(0.1)
    assert (found[0, 1:] == 1).all()


def test_a_surrogate_measures_and_keeps_it() -> None:
    u = fields()
    one = Surrogate.fit(preset("gud", backbone=SMALL), u, GRID)
    assert (one.left == 1).all()
    one.measure(one.basis.analyse(u, GRID).float())
    # F = 0 until it is trained: nothing but the Wiener filter
    error = 6 * math.sqrt(2 / (COUNT * 4))
    assert float((one.left[..., 1:4] - 1).abs().max()) < error
    again = Surrogate.restore(one.config, one.state_dict())
    assert again.left.equal(one.left)
    before = {name: x for name, x in one.state_dict().items() if name != "left"}
    assert (Surrogate.restore(one.config, before).left == 1).all()
    assert (one.gaussian().left == 1).all()
