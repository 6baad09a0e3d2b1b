"""Filters of Multilevel diffusion: their spectra, what every wave gets, and on every grid."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pytest
import torch

from pushforward.generative import FourierBasis, Hierarchy, Modes, Path, Prior, filters
from pushforward.solvers import GaussianField, Grid, priors, spectra

UNIT = (1.0, 1.0)
LAPLACIAN = Prior("laplacian", exponent=1.1)
BAND = Prior("band", length=1 / 6)
COMBINED = Prior("combined", exponent=1.1, length=1 / 6)
PRIORS = [LAPLACIAN, BAND, COMBINED]


def waves(n: int, extent: tuple[float, ...] = UNIT) -> tuple[Grid, torch.Tensor]:
    """A grid, and how many waves per longest side each of its coefficients has."""
    grid = Grid((n,) * len(extent), extent)
    return grid, (-grid.laplacian()).sqrt() * max(extent) / (2 * math.pi)


def shares(prior: Prior, f: torch.Tensor, extent: tuple[float, ...] = UNIT) -> torch.Tensor:
    modes = Modes(torch.zeros(1, f.numel()).double(), f.flatten(), extent=extent)
    return (-prior.offset(modes)).exp().view_as(f)


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.kind)
@pytest.mark.parametrize("extent", [UNIT, (2.0, 1.0)])
def test_shares_sum_to_one_and_no_wave_is_left_out(
    prior: Prior, extent: tuple[float, ...]
) -> None:
    grid, f = waves(1024, extent)
    share = shares(prior, f, extent)
    assert float((share * grid.multiplicity() * grid.resolved()).sum()) == pytest.approx(1.0)
    assert (share > 0).all()


def test_the_laplacian_s_mean_has_what_its_longest_wave_has() -> None:
    """The field of the same name is the oracle beside the mean; it never draws the mean itself."""
    _, f = waves(32)
    share = shares(LAPLACIAN, f)
    theirs = priors.laplacian().log_share(2 * math.pi * f, UNIT).exp()
    ratio = (share / theirs).flatten()
    torch.testing.assert_close(ratio[1:], ratio[1].expand(len(ratio) - 1), rtol=1e-9, atol=0)
    assert share[0, 0] == share[0, 1] == share[1, 0]
    assert theirs[0, 0] == 0
    between = Modes(torch.zeros(1, 2).double(), torch.tensor([0.0, 0.5]).double(), folds=2)
    offset = LAPLACIAN.offset(between)  # between walls the longest wave is half a one
    assert offset[0, 0] == offset[0, 1]
    assert offset[0, 0] != LAPLACIAN.offset(Modes(between.log_variance, between.frequency))[0, 0]


@pytest.mark.parametrize(
    ("prior", "weight"), [(BAND, 0.0), (COMBINED, 10.0)], ids=["band", "both"]
)
def test_the_band_has_the_mean_square_of_random_filters(prior: Prior, weight: float) -> None:
    grid, f = waves(16)
    inside = (f > 0) & (f < 6) & (torch.arange(9) > 0)  # a plane k_d = 0 has mirrored weights
    laplacian = torch.where(f > 0, weight * (2 * math.pi * f.clamp_min(1.0)) ** -1.1, 0.0)
    scale = 1.0 if prior.kind == "band" else 0.5
    draws = torch.stack(
        [(scale * spectra.random_filter(grid, (6, 6), law) + laplacian) for law in range(600)]
    )[:, inside].abs().square()  # fmt: skip
    mean, error = draws.mean(0), draws.std(0) / math.sqrt(600)
    share = shares(prior, f)[inside]
    total = filters._total(prior.kind, UNIT, "periodic", prior.exponent, prior.length)  # type: ignore[arg-type]
    off = (share * total - mean) / error
    assert off.abs().max() < 4.5
    assert abs(float(off.mean())) * math.sqrt(inside.sum()) < 4
    if weight:  # the control: filters that act on noises of their own
        apart = (0.25 * filters.POWER + laplacian[inside] ** 2 - mean) / error
        assert abs(float(apart.mean())) * math.sqrt(inside.sum()) > 8


def test_beyond_its_band_a_filter_is_small_and_falls() -> None:
    f = torch.tensor([5.99, 6.0, 12.0]).double()
    inside, edge, beyond = shares(BAND, f)
    assert edge / inside == pytest.approx(filters.BEYOND)
    assert beyond / edge == pytest.approx(2.0**-4)
    share = shares(COMBINED, f)
    assert share[2] / share[1] == pytest.approx(2.0**-2.2)
    for length in (0.167, 0.166):  # a page rounds
        assert shares(Prior("band", length=length), f)[1] == edge


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: prior.kind)
def test_a_wave_s_share_does_not_depend_on_the_grid(prior: Prior) -> None:
    """Of bases fitted on two grids; white noise, the control, thins out."""
    field = GaussianField.matern(3.0, 0.3, deviation=1.0, cutoff=6)
    found = []
    for n in (16, 32):
        grid = Grid((n, n), UNIT)
        basis = FourierBasis.fit(field.sample(range(40), grid)[:, None], grid)
        modes = basis.modes
        found.append([modes.log_variance - one.offset(modes) for one in (prior, Prior("white"))])
        levels = Path(Hierarchy(), prior, lowest=-10, highest=9, ends="given").on(modes)
        assert levels(torch.ones(1)).max() < 0  # all of them drown
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=1e-12)
    assert (found[0][1] - found[1][1]).abs().min() > 1.3


def test_a_study_s_name_has_no_new_numbers_in_it() -> None:
    assert asdict(BAND) == {"kind": "band", "exponent": 2.0, "length": 1 / 6}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LAPLACIAN.offset(Modes(torch.zeros(1, 2))), "basis of waves for a laplacian"),
        (lambda: shares(Prior("laplacian", exponent=1.0), torch.ones(1)), "2 exponent > 2"),
        (lambda: shares(Prior("band", exponent=0.5), torch.ones(1)), "2 exponent > 2"),
    ],
)
def test_bad_numbers_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
