"""Resampling: exact for band-limited functions on all grids. Activations without aliases."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pushforward.generative.band import Activation, BandLimited, along, resample
from pushforward.solvers import Grid

SHAPES = [
    *itertools.permutations([(7,), (12,), (31,)], 2),
    *itertools.permutations([(7, 8), (12, 9), (16, 16)], 2),
    ((7, 8, 9), (12, 7, 10)),
]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(2, 2, *shape, generator=torch.Generator().manual_seed(3)).double()


def waves(shape: tuple[int, ...], periodic: bool) -> torch.Tensor:
    """A sum of products of waves, evaluated at a grid's points: the oracle."""
    u = torch.zeros(1, 1, *shape, dtype=torch.float64)
    for k in (0, 1, 3):
        product = torch.ones(shape, dtype=torch.float64)
        for axis, n in enumerate(shape):
            x = (torch.arange(n, dtype=torch.float64) + (0 if periodic else 0.5)) / n
            phase = 2 * math.pi * k * x - axis - 1 if periodic else math.pi * (2 * k - axis) * x
            view = [n if a == axis else 1 for a in range(len(shape))]
            product = product * phase.cos().view(view)
        u = u + product / (1 + k)
    return u


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize(("n", "m"), SHAPES, ids=str)
def test_resampling_is_exact_in_the_band(
    n: tuple[int, ...], m: tuple[int, ...], periodic: bool
) -> None:
    there = resample(waves(n, periodic), m, periodic)
    torch.testing.assert_close(there, waves(m, periodic), rtol=0, atol=1e-13)
    other = resample(waves(n, periodic), m, not periodic)  # negative control: other boundaries
    assert (other - waves(m, periodic)).abs().max() > 0.01


@pytest.mark.parametrize(("n", "m"), [((8,), (14,)), ((16, 10), (8, 12)), ((6, 8, 6), (8, 6, 6))])
def test_resampling_agrees_with_the_solvers_grids(n: tuple[int, ...], m: tuple[int, ...]) -> None:
    """Whatever is on the grid; Nyquist waves are left out by both."""
    u, band = noise(*n), Grid(n)
    u = band.ifft(band.fft(u) * band.resolved())  # an axis of equal length keeps its Nyquist wave
    torch.testing.assert_close(resample(u, m), band.resample(u, Grid(m)), rtol=0, atol=1e-13)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
def test_resampling_to_fewer_points_projects(periodic: bool) -> None:
    """Down, up and down again is down; waves between the bands vanish."""
    few = resample(noise(15, 15), (9, 7), periodic)
    again = resample(resample(few, (15, 15), periodic), (9, 7), periodic)
    torch.testing.assert_close(again, few, rtol=0, atol=1e-13)
    x = (torch.arange(15).double() + (0 if periodic else 0.5)) / 15
    high = torch.cos((2 if periodic else 1) * math.pi * (5 if periodic else 9) * x)
    assert resample(high[None, None], (9,), periodic).abs().max() < 1e-13


def test_a_matrix_along_any_axis() -> None:
    h, matrix = noise(4, 5, 6), torch.randn(3, 5).double()
    torch.testing.assert_close(along(h, matrix, 3), torch.einsum("mn,bcynx->bcymx", matrix, h))
    torch.testing.assert_close(along(h.transpose(3, 4), matrix, 4), along(h, matrix, 3).mT)


def test_what_was_remembered_in_inference_serves_training() -> None:
    with torch.inference_mode():
        resample(torch.ones(1, 1, 21), (13,))
    u = torch.ones(1, 1, 21, requires_grad=True)
    resample(u, (13,)).square().sum().backward()
    assert u.grad is not None


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
def test_finer_points_have_fewer_aliases(periodic: bool) -> None:
    """Against silu on very many points, cut to the band: the error falls by much, not to zero."""
    h = resample(noise(9, 9), (11, 12), periodic)
    many = resample(F.silu(resample(h, (88, 96), periodic)), (11, 12), periodic)
    inside = resample(resample(F.silu(h), (9, 9), periodic), (11, 12), periodic)
    plain, free = Activation(False, periodic)(h), Activation(True, periodic)(h)
    assert plain.equal(F.silu(h))
    assert (free - many).std() < 0.1 * (plain - many).std()
    assert (inside - many).std() > 1e-3


class Square(nn.Module):
    def forward(self, u: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        self.points = u.shape[2:]
        return torch.cat([u, u], 1)[:, :3] ** 2


@pytest.mark.parametrize("shape", [(6, 40), (9, 9), (31, 8)], ids=str)
def test_a_band_limited_network_works_on_points_of_its_own(shape: tuple[int, ...]) -> None:
    network = BandLimited(Square(), 2, 3, condition=1, band=4).double()
    u = noise(*shape)
    out = network(u, torch.ones(2, 1).double())
    assert network.network.points == (9, 9)
    expected = torch.cat([u, u], 1)[:, :3]
    expected = resample(resample(expected, (9, 9)) ** 2, shape)
    torch.testing.assert_close(out, expected)


def test_what_lies_beyond_the_band_meets_one_matrix_of_the_condition() -> None:
    network = BandLimited(Square(), 2, 3, condition=1, band=4).double()
    network.beyond.weight.data = torch.arange(6).double()[:, None]
    x, condition = torch.arange(24).double() / 24, torch.tensor([[1.0], [-2.0]]).double()
    u = torch.cos(2 * math.pi * 7 * x).expand(2, 2, 24) * torch.tensor([1.0, 10.0])[:, None]
    factor = torch.tensor([10.0, 32.0, 54.0]).double()  # rows (0, 1), (2, 3), (4, 5)
    expected = condition[..., None] * factor[:, None] * u[:, :1]
    torch.testing.assert_close(network(u, condition), expected)
