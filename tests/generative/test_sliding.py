"""Sliding windows: the law of a strip from windows of it, states, addresses, refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from pushforward.generative import (
    Backbone,
    CovarianceDenoiser,
    Denoiser,
    GaussianDenoiser,
    Path,
    Sampler,
    Surrogate,
    Windows,
    preset,
    slide,
)
from pushforward.generative.denoiser import angle
from pushforward.generative.front import Front
from pushforward.generative.sliding import moved
from pushforward.solvers import Grid

ROWS, WINDOW, COUNT = 4, 10, 600
GRID = Grid((ROWS, WINDOW), boundary="neumann")
SMALL = Backbone("unet", width=8, layers=1)
COLUMN, ROW = 0.75, 0.5  # correlations of neighbours


def covariance(width: int) -> torch.Tensor:
    """Of an autoregression along columns: given a clear column, those on its sides are apart."""
    k, r = torch.arange(width).double(), torch.arange(ROWS).double()
    along, across = COLUMN ** (k[:, None] - k).abs(), ROW ** (r[:, None] - r).abs()
    return torch.kron(across, along)


def draws(count: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(count, ROWS * width, generator=generator, dtype=torch.float64)
    return (z @ torch.linalg.cholesky(covariance(width)).mT).view(count, 1, ROWS, width)


def page(delay: float = 0.7, size: int = 1, **changes: Any) -> Any:
    path = Path(windows=Windows("column", delay, size), lowest=-8, highest=8)
    return preset("gud", basis="pixel", path=path, backbone=SMALL, **changes)


def fitted(delay: float = 0.7, size: int = 1) -> Surrogate:
    """A surrogate with the window's exact denoiser."""
    surrogate = Surrogate.fit(page(delay, size), draws(500, WINDOW), GRID)
    basis = surrogate.basis
    factor = float(basis.factor) * math.sqrt(GRID.size)
    surrogate.denoiser = CovarianceDenoiser(
        torch.ones(1),
        basis.whiten(torch.zeros_like(basis.mean))[None].float(),
        (covariance(WINDOW) / factor**2)[None].float(),
    )
    return surrogate


def off(strips: torch.Tensor) -> torch.Tensor:
    """Products of columns up to a window apart, and of rows, against the law: z scores."""
    u, z = strips[:, 0].double(), []
    for lag in range(WINDOW):
        pairs = u[..., : u.shape[-1] - lag] * u[..., lag:]
        for found, exact in ((pairs, 1.0), ((u[:, 0, lag:] * u[:, 1, : len(u[0, 0]) - lag]), ROW)):
            each = found.flatten(1).mean(1)
            z.append((each.mean() - exact * COLUMN**lag) / (each.std() / math.sqrt(len(each))))
    return torch.stack(z)


def spreads(strips: torch.Tensor) -> torch.Tensor:
    """z scores of every point's mean square over members."""
    squares = strips.double().square()
    return (squares.mean(0) - 1) / (math.sqrt(2 / len(strips)))


@pytest.mark.parametrize(
    ("delay", "size", "stride", "sampler"),
    [
        (0.7, 1, None, Sampler(steps=64)),
        (0.7, 1, 3, Sampler(steps=128, churn=1.0)),
        (0.7, 1, 6, Sampler("heun", steps=48)),
        (0.5, 1, 1, Sampler(steps=64)),
        (0.95, 1, 5, Sampler(steps=400)),
        (0.8, 2, 4, Sampler(steps=96)),
    ],
)
def test_a_strip_four_windows_wide_has_the_law_of_the_whole(
    delay: float, size: int, stride: int | None, sampler: Sampler
) -> None:
    surrogate, width = fitted(delay, size), 4 * WINDOW
    strips = slide(surrogate, range(COUNT), width, sampler=sampler, stride=stride, batch=COUNT)
    assert strips.shape == (COUNT, 1, ROWS, width)
    assert off(strips).abs().max() < 4
    assert spreads(strips).abs().max() < 4.5
    # the control: windows drawn by themselves, side by side
    parts = surrogate.sample(range(4 * COUNT), sampler=sampler, batch=4 * COUNT)
    apart = torch.cat(parts.chunk(4), -1)
    assert spreads(apart).abs().max() < 4.5
    assert off(apart).abs().max() > 8


def test_the_law_of_a_strip_is_the_denoiser_s() -> None:
    """Without what the network says of neighbours, columns are as good as white."""
    surrogate = fitted().gaussian()
    strips = slide(surrogate, range(COUNT), 4 * WINDOW, sampler=Sampler(steps=8), batch=COUNT)
    assert off(strips).abs().max() > 20


class Faint(Denoiser):
    """A denoiser whose corrections are half of what they should be."""

    def __init__(self, exact: Denoiser) -> None:
        super().__init__()
        self.exact = exact

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return 0.5 * self.exact.correction(y, log_snr)


@pytest.mark.parametrize(
    "sampler", [Sampler(steps=24), Sampler("heun", steps=24), Sampler(steps=24, churn=1.0)]
)
def test_columns_are_levelled_by_other_strips(sampler: Sampler) -> None:
    surrogate, width = fitted(), 4 * WINDOW
    surrogate.denoiser = Faint(surrogate.denoiser)

    def columns(levelled: int) -> torch.Tensor:
        strips = slide(
            surrogate, range(COUNT), width, sampler=sampler, levelled=levelled, batch=COUNT
        )
        return strips.double().square().mean((0, 1, 2))

    error = math.sqrt(2 / COUNT / 2)  # rows of a strip are alike: about two of the four count
    assert (columns(COUNT) - 1).abs().max() < 4 * math.hypot(error, error)
    assert abs(columns(0)[2 * WINDOW :].mean() - 1) > 4 * error  # the control
    wide = slide(surrogate, range(3), width, sampler=sampler, levelled=16)
    some = slide(surrogate, [1], width, sampler=sampler, levelled=16, batch=1)
    torch.testing.assert_close(some[0], wide[1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("grid", [Grid((12,), boundary="neumann"), GRID])
@pytest.mark.parametrize("second", ["free", "none", "twice"])
def test_levelled_strips_of_lines_and_of_several_channels(grid: Grid, second: str) -> None:
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(64, 2, *grid.shape, generator=generator)
    if second != "free":
        u[:, 1] = 3.0 if second == "none" else 2 * u[:, 0]
    surrogate = Surrogate.fit(page(), u, grid)
    surrogate.denoiser = GaussianDenoiser()
    strips = slide(surrogate, range(3), 20, sampler=Sampler(steps=8), levelled=64)
    assert strips.shape == (3, 2, *grid.shape[:-1], 20)
    assert strips.isfinite().all()
    plain = slide(surrogate, range(3), 20, sampler=Sampler(steps=8))
    gap = (strips - plain).abs().amax(tuple(range(2, strips.ndim)))  # the scatter of 64 strips
    assert ((gap > 0) == (u.std(0).amax(tuple(range(1, u.ndim - 1))) > 0)).all()
    assert gap.max() < 2


@pytest.mark.parametrize("delay", [0.5, 0.6, 0.75, 0.9, 0.95])
@pytest.mark.parametrize("size", [1, 2])
def test_a_moved_window_is_at_another_time_of_the_path(delay: float, size: int) -> None:
    """u_g(t + r d) = u_{g + r}(t); at rest what leaves is clear, what enters is noise."""
    surrogate = fitted(delay, size)
    n = WINDOW // size
    front = Front(n, delay)
    for r in range(1, front.clear):
        stay = torch.arange(n - r) * size
        for t in (front.rest, front.rest + 0.3 * front.spacing):
            before, after = (
                surrogate.levels(torch.tensor([s], dtype=torch.float64))[0, 0]
                for s in (t, t + r * front.spacing)
            )
            torch.testing.assert_close(before[stay + r * size], after[stay], rtol=0, atol=1e-9)
            assert (before - after).abs().max() > 1e-2
        moved_on = surrogate.levels(
            torch.tensor([front.rest + r * front.spacing], dtype=torch.float64)
        )[0, 0]
        torch.testing.assert_close(  # what has come in is at the path's noisy end
            moved_on[:WINDOW][(n - r) * size :], torch.full((r * size,), -8.0).double()
        )
    at_rest = surrogate.levels(torch.tensor([front.rest], dtype=torch.float64))[0, 0, :WINDOW]
    clear = front.clear * size
    torch.testing.assert_close(at_rest[:clear], torch.full((clear,), 8.0).double())
    assert clear == WINDOW or at_rest[clear] < 8 - 1e-6


class Watching(Denoiser):
    """F = 0; keeps the levels that it is asked at."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        self.seen.append(log_snr[0, 0].double())
        return torch.zeros_like(y)


def test_a_network_sees_states_of_its_path_alone() -> None:
    surrogate, watching = fitted(), Watching()
    surrogate.denoiser = watching
    slide(surrogate, [0], 3 * WINDOW, sampler=Sampler(steps=16))
    path = surrogate.levels(torch.linspace(0, 1, 4001).double())[:, 0]
    for seen in watching.seen:
        assert (path - seen).abs().amax(1).min() < 0.02
    assert len(watching.seen) > 16
    stranger = torch.full_like(path[0], 0.0)  # the control: all columns half clear
    assert (path - stranger).abs().amax(1).min() > 1


@pytest.mark.parametrize("churn", [0.0, 1.0])
def test_a_member_is_the_same_function_whatever_is_asked_beside_it(churn: float) -> None:
    surrogate, sampler = fitted(), Sampler(steps=8, churn=churn)
    wide = slide(surrogate, range(5), 37, sampler=sampler)
    assert torch.equal(slide(surrogate, range(5), 13, sampler=sampler), wide[..., :13])
    assert torch.equal(slide(surrogate, range(5), 4, sampler=sampler), wide[..., :4])
    some = slide(surrogate, [3, 1], 37, sampler=sampler, batch=1)
    torch.testing.assert_close(some, wide[[3, 1]], rtol=1e-4, atol=1e-4)
    assert (slide(surrogate, [3], 37, sampler=sampler, seed=1) - wide[3]).abs().max() > 0.1
    for first in range(5):  # no column comes twice
        assert (wide[..., first + 1 :] - wide[..., first : first + 1]).abs().amax((1, 2)).min() > 0


def test_without_a_move_a_strip_is_a_window_s_left_part() -> None:
    surrogate = fitted()
    surrogate.denoiser = GaussianDenoiser()
    found = slide(surrogate, range(3), 7, sampler=Sampler(steps=4))
    whole = surrogate.sample(range(3), sampler=Sampler(steps=4))
    torch.testing.assert_close(found, whole[..., :7])


def test_what_moves_is_the_field_where_the_mean_varies() -> None:
    ramp = torch.arange(WINDOW).double()
    u = torch.stack([draws(200, WINDOW)[:, 0] + ramp, 2 * draws(200, WINDOW, 1)[:, 0]], 1)
    u[:, 1] += u[:, 0]
    basis = Surrogate.fit(page(), u, GRID).basis
    assert not basis.homogeneous
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(3, 2, ROWS * WINDOW, generator=generator)
    cos = torch.cos(angle(torch.linspace(8, -2, WINDOW))).repeat(1, 2, ROWS)
    on = torch.cos(angle(torch.linspace(8, -2, WINDOW).roll(-2))).repeat(1, 2, ROWS)
    before = basis.synthesise(y / cos, GRID)
    after = basis.synthesise(moved(basis, y, cos, 2) / on, GRID)
    torch.testing.assert_close(after[..., :-2], before[..., 2:], rtol=1e-4, atol=1e-4)
    # the control: y alone carries the place it was whitened in
    plain = y.unflatten(-1, GRID.shape).roll(-2, -1).flatten(-2)
    assert (basis.synthesise(plain / on, GRID)[..., :-2] - before[..., 2:]).abs().min() > 1.5


def surrogate_of(grid: Grid = GRID, **changes: Any) -> Surrogate:
    u = torch.randn(64, 1, *grid.shape, generator=torch.Generator().manual_seed(0))
    return Surrogate.fit(replace(page(), **changes), u, grid)


def dead() -> Surrogate:
    u = draws(64, WINDOW)
    u[..., 0, 0] = 50.0
    return Surrogate.fit(page(), u, GRID)


ROWWISE = replace(page().path, windows=Windows("row", 0.7))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: slide(surrogate_of(basis="haar"), [0], 20), "got haar and windows by column"),
        (lambda: slide(surrogate_of(path=Path()), [0], 20), "got pixel and no windows"),
        (lambda: slide(surrogate_of(path=ROWWISE), [0], 20), "got pixel and windows by row"),
        (lambda: slide(surrogate_of(Grid((4, 8))), [0], 20), "ends do not meet"),
        (lambda: slide(dead(), [0], 20), "vary in the same points"),
        (lambda: slide(fitted(0.7, 3), [0], 20), "windows of 3, got 10"),
        (lambda: slide(fitted(0.45), [0], 20), "the front is wider than the window"),
        (lambda: slide(fitted(0.0), [0], 20), "the front is wider than the window"),
        (lambda: slide(fitted(0.7, 10), [0], 20), "two columns, got 0.7 and 1"),
        (lambda: slide(fitted(), [0], 20, stride=7), "a stride of 1 to 6 times 1"),
        (lambda: slide(fitted(0.8, 2), [0], 20, stride=3), "times 2 columns"),
        (lambda: slide(fitted(), [0], 20, stride=-1), "a stride of 1 to 6"),
        (lambda: slide(fitted(), [0], 0), "width, batch >= 1"),
        (lambda: slide(fitted(), [0], 20, levelled=1), "0 or at least 2 strips to level"),
        (lambda: slide(fitted(), [0], 20, sampler=Sampler("strang")), "got strang"),
    ],
)
def test_what_cannot_slide_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()
