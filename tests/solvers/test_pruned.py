"""Transforms that leave out what is cut are the grid's own."""

from __future__ import annotations

import pytest
import torch

from pushforward.solvers import Grid
from pushforward.solvers.pruned import Pruned


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "grid",
    [
        Grid((16,)),
        Grid((4, 4)),
        Grid((16, 24), (1.0, 2.0)),
        Grid((8, 6, 4)),
        Grid((9, 8), (), "neumann"),
    ],
    ids=str,
)
def test_they_are_the_grids(grid: Grid, dtype: torch.dtype) -> None:
    u = torch.randn(3, 2, *grid.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    cut, keep = Pruned(grid, 2 / 3), grid.resolved(2 / 3)
    u_hat = cut.fft(u)
    torch.testing.assert_close(u_hat, grid.fft(u) * keep)
    assert not u_hat[..., ~keep].any()
    torch.testing.assert_close(cut.ifft(u_hat), grid.ifft(u_hat))


def test_a_member_has_the_same_bits_in_any_company() -> None:
    cut = Pruned(Grid((24, 16)), 2 / 3)
    u = torch.randn(5, 2, 24, 16, generator=torch.Generator().manual_seed(0))
    u_hat = cut.fft(u)
    back = cut.ifft(u_hat)
    for member in range(5):
        assert torch.equal(cut.fft(u[member : member + 1])[0], u_hat[member])
        assert torch.equal(cut.ifft(u_hat[member : member + 1])[0], back[member])
