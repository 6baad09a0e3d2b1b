"""Random bumps: shapes against a Gaussian's closed form, parameters against their laws."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from pushforward.solvers import Grid, Use
from pushforward.solvers.random_bumps import RandomBumps

BOXES = [
    Grid((64, 64), (2.0, 2.0)),
    Grid((48, 64), (1.5, 2.0), "neumann"),
    Grid((256,), (2.0,)),
    Grid((32, 32, 32), (1.0, 1.0, 1.0)),
]


@pytest.mark.parametrize("grid", BOXES, ids=str)
def test_one_bump_is_a_gaussian(grid: Grid) -> None:
    """The second differences of log z are -2 s h^2, where images and the minimum are far."""
    s = 400.0
    law = RandomBumps(count=(1, 1), sharpness=(s, s))
    z = law.sample(range(6), grid)
    for axis, h in zip(grid.axes, grid.spacing, strict=True):
        log = z.log()
        second = log.roll(1, axis) - 2 * log + log.roll(-1, axis)
        seen = (z > 0.05) & (z.roll(1, axis) > 0.05) & (z.roll(-1, axis) > 0.05)
        if not grid.periodic:  # a mirrored bump is not alone
            edge = [slice(None)] * (1 + grid.ndim)
            width = math.ceil(0.2 / h)
            for end in (slice(0, width), slice(-width, None)):
                edge[axis] = end
                seen[tuple(edge)] = False
        assert seen.sum() > 10
        torch.testing.assert_close(
            second[seen], torch.full_like(second[seen], -2 * s * h * h), rtol=1e-3, atol=0
        )


@pytest.mark.parametrize("grid", BOXES[:2], ids=str)
def test_bumps_add_up_and_are_scaled(grid: Grid) -> None:
    """Against the sum over bumps and images written out, on the grid of the extremes."""
    law = RandomBumps(count=(5, 12))
    grid = replace(grid, shape=(RandomBumps.reference[2],) * 2)
    z = law.sample([3], grid, seed=5)[0]
    assert (float(z.min()), float(z.max())) == (0, 1)
    y, x = grid.coordinates()
    total = torch.zeros_like(z)
    for a, s, cy, cx in law.bumps([3], grid, seed=5)[:, 0].T.tolist():
        for sy in (1, -1) if not grid.periodic else (1,):
            for sx in (1, -1) if not grid.periodic else (1,):
                for ny in (-1, 0, 1):
                    for nx in (-1, 0, 1):
                        period = 1 if grid.periodic else 2
                        dy = y[:, None] - sy * cy - ny * period * grid.extent[0]
                        dx = x - sx * cx - nx * period * grid.extent[1]
                        total += a * torch.exp(-s * (dy**2 + dx**2))
    scaled = (total - total.min()) / (total.max() - total.min())
    torch.testing.assert_close(z, scaled, rtol=0, atol=1e-12)


def test_parameters_are_uniform() -> None:
    """Counts, heights, sharpnesses and places, each within 4 standard errors."""
    grid, members = Grid((8, 8), (2.0, 3.0)), range(1000)
    a, s, cy, cx = RandomBumps().bumps(members, grid)
    present = a > 0
    count = present.sum(1).double()
    assert {10, 100} >= {int(count.min().clamp(max=10)), int(count.max().clamp(min=100))}
    spread = math.sqrt((91**2 - 1) / 12)
    assert abs(float(count.mean()) - 55) < 4 * spread / math.sqrt(1000)
    assert abs(float(count.mean()) - 50) > 4 * spread / math.sqrt(1000)  # a control: from 0
    n = float(count.sum())
    for values, low, high in ((a, 1, 3), (s, 150, 300), (cy, 0, 2), (cx, 0, 3)):
        drawn = values[present]
        assert low <= float(drawn.min()) < float(drawn.max()) < high
        error = (high - low) / math.sqrt(12 * n)
        assert abs(float(drawn.mean()) - (low + high) / 2) < 4 * error
        deviation = (high - low) / math.sqrt(12)
        assert float(drawn.std()) == pytest.approx(deviation, rel=4 * math.sqrt(0.2 / n))
    joined = torch.stack([v[present] for v in (a, s, cy, cx)])
    off = torch.corrcoef(joined) - torch.eye(4)
    assert off.abs().max() < 4 / math.sqrt(n)


def test_members_are_addressed() -> None:
    law, grid = RandomBumps(), Grid((16, 16), (2.0, 2.0))
    whole = law.sample(range(5), grid, seed=2)
    assert torch.equal(law.sample([3, 1], grid, seed=2), whole[[3, 1]])
    for other in (
        law.sample(range(5), grid, seed=3),
        law.sample(range(5), grid, seed=2, step=1),
        law.sample(range(5), grid, seed=2, use=Use.FORCING),
    ):
        assert (other - whole).abs().amax((-2, -1)).min() > 0.1


def test_a_member_is_one_function() -> None:
    law = RandomBumps()
    for boundary, step in (("periodic", slice(None, None, 4)), ("neumann", slice(1, None, 3))):
        coarse = Grid((32, 32), (2.0, 2.0), boundary)  # type: ignore[arg-type]
        fine = replace(coarse, shape=(128, 128) if boundary == "periodic" else (96, 96))
        z = law.sample([0], fine)[:, step, step]
        torch.testing.assert_close(law.sample([0], coarse), z, rtol=0, atol=1e-12)


def test_bad_ranges_are_refused() -> None:
    bads: list[dict[str, Any]] = [
        {"count": (0, 3)},
        {"amplitude": (2.0, 1.0)},
        {"sharpness": (-1.0, 1.0)},
    ]
    for bad in bads:
        with pytest.raises(ValueError, match=f"lowest <= highest {next(iter(bad))}"):
            RandomBumps(**bad)
