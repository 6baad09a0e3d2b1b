"""Fields at any points: trigonometric sums, points of the grid, a negative control, refusals."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from pushforward.solvers import GaussianField, Grid
from pushforward.solvers.interpolation import evaluate

BOXES: list[tuple[tuple[int, ...], tuple[float, ...], Literal["periodic", "neumann"]]] = [
    ((12,), (3.0,), "periodic"),
    ((7,), (3.0,), "neumann"),
    ((8, 12), (1.0, 2.0), "periodic"),
    ((6, 9), (1.0, 2.0), "neumann"),
    ((4, 6, 8), (1.0, 2.0, 0.5), "periodic"),
]


@pytest.mark.parametrize(("shape", "extent", "boundary"), BOXES)
def test_at_its_own_points_a_field_is_itself(shape, extent, boundary) -> None:
    grid = Grid(shape, extent, boundary)
    u = torch.randn(3, 2, *shape, dtype=torch.float64)
    points = torch.stack(torch.meshgrid(*grid.coordinates(), indexing="ij"), -1).flatten(0, -2)
    torch.testing.assert_close(evaluate(u, grid, points).view_as(u), u, rtol=0, atol=1e-12)


@pytest.mark.parametrize("boundary", ["periodic", "neumann"])
def test_between_its_points_it_is_the_function(boundary) -> None:
    grid = Grid((16, 10), (2.0, 3.0), boundary)
    turn = (2 if grid.periodic else 1) * math.pi

    def f(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        wave = torch.cos(turn * 2 * y / 2.0) * torch.cos(turn * 3 * x / 3.0)
        return wave + (torch.sin(turn * 3 * y / 2.0 + turn * x / 3.0) if grid.periodic else 0)

    y, x = torch.meshgrid(*grid.coordinates(), indexing="ij")
    points = torch.rand(40, 2, dtype=torch.float64) * torch.tensor(grid.extent)
    found = evaluate(f(y, x), grid, points)
    torch.testing.assert_close(found, f(*points.T), rtol=0, atol=1e-12)
    nearest = [
        (points[:, i] / h - (0 if grid.periodic else 0.5)).round().long()
        for i, h in enumerate(grid.spacing)
    ]
    beside = f(y, x)[nearest[0] % 16, nearest[1] % 10]
    assert float((beside - found).abs().max()) > 0.1  # a nearest point is not good enough


def test_a_finer_grid_is_a_set_of_points() -> None:
    coarse, fine = Grid((8, 8)), Grid((24, 16))
    u = GaussianField.matern(3.0, 0.5, cutoff=3).sample(range(2), coarse)
    points = torch.stack(torch.meshgrid(*fine.coordinates(), indexing="ij"), -1).flatten(0, -2)
    there = evaluate(u, coarse, points).view(2, 24, 16)
    torch.testing.assert_close(there, coarse.resample(u, fine), rtol=0, atol=1e-12)


def test_a_periodic_box_goes_on() -> None:
    grid, points = Grid((8,), (2.0,)), torch.tensor([[0.3], [2.3], [-1.7]], dtype=torch.float64)
    found = evaluate(torch.randn(8, dtype=torch.float64), grid, points)
    torch.testing.assert_close(found[1:], found[:1].expand(2), rtol=0, atol=1e-12)


def test_points_that_are_none_are_refused() -> None:
    walls = Grid((8,), (2.0,), "neumann")
    with pytest.raises(ValueError, match="beyond them"):
        evaluate(torch.zeros(8), walls, torch.tensor([[2.1]]))
    with pytest.raises(ValueError, match=r"finite points \(point, 1\)"):
        evaluate(torch.zeros(8), walls, torch.tensor([[0.1, 0.2]]))
    with pytest.raises(ValueError, match="finite points"):
        evaluate(torch.zeros(8), walls, torch.tensor([[math.nan]]))
