"""Layers that act at a point: a matrix across channels, coordinates between walls."""

from __future__ import annotations

import math

import torch

from pushforward.generative.band import resample
from pushforward.generative.pointwise import Pointwise, located


def test_pointwise_layer_is_a_matrix_at_every_point() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        local = Pointwise(2, 3).double()
    local.bias.data += 1
    u = torch.randn(3, 2, 8, 5, generator=torch.Generator().manual_seed(1)).double()
    expected = torch.einsum("oi,biyx->boyx", local.weight, u) + local.bias[..., None]
    torch.testing.assert_close(local(u), expected)


def test_coordinates_are_the_same_functions_on_every_grid() -> None:
    few, many = (located(torch.zeros(2, 1, *shape).double())[:, 1:] for shape in ((3, 4), (9, 6)))
    torch.testing.assert_close(resample(few, (9, 6), periodic=False), many, rtol=0, atol=1e-14)
    torch.testing.assert_close(many.flip(-1)[:, 1], -many[:, 1])  # they tell left from right
    torch.testing.assert_close(many.flip(-1)[:, 0], many[:, 0])
    y = (torch.arange(9).double() + 0.5) / 9
    torch.testing.assert_close(many[0, 0, :, 2], torch.cos(math.pi * y))
