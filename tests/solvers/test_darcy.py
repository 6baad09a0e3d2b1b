"""Darcy flow against closed forms on smooth, constant and layered plates; balance, bits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from pushforward.solvers import GaussianField, Grid, multigrid
from pushforward.solvers.darcy import Darcy, conductances

FIELD = GaussianField.matern(2.0, 1 / 3, amplitude=3.0, mean=False)  # the law of FNO's sets


def plate(ny: int, nx: int | None = None, extent: tuple[float, float] = (1.0, 1.0)) -> Grid:
    return Grid((ny, nx or ny), extent, "neumann")


def points(grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    y, x = (axis.numpy() for axis in grid.coordinates())
    return y[:, None], x[None, :]


def slope(shapes: list[int], errors: list[float]) -> float:
    return -float(np.polyfit(np.log(shapes), np.log(errors), 1)[0])


def permeability(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.exp(np.sin(3 * x + y) + 0.5 * np.cos(2 * y - x))


def pressure(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    return np.sin(math.pi * x) * np.sin(2 * math.pi * y) * (1 + x)


def source(y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """-div(a grad p) by complex steps: the derivative of g is Im g(x + i e) / e, to round-off."""
    e = 1e-20

    def flux(y: np.ndarray, x: np.ndarray, axis: int) -> np.ndarray:
        """a p_y or a p_x in closed form, of complex arguments."""
        s, c = np.sin(math.pi * x), np.cos(math.pi * x)
        along_x = (math.pi * c * (1 + x) + s) * np.sin(2 * math.pi * y)
        along_y = 2 * math.pi * np.cos(2 * math.pi * y) * s * (1 + x)
        return permeability(y, x) * (along_x if axis else along_y)

    return -np.imag(flux(y, x + 1j * e, 1) + flux(y + 1j * e, x, 0)) / e


def manufactured_error(n: int, shift: float = 0.0) -> float:
    """The error of the smooth case; `shift` puts the permeability that many cells aside."""
    grid = plate(n, n + 16)
    y, x = points(grid)
    h_y, h_x = grid.spacing
    faces = conductances(permeability(y + shift * h_y, x + shift * h_x), grid)
    p, _ = multigrid.solve(faces, source(y, x) * h_y * h_x)
    return float(np.abs(p - pressure(y, x)).max())


def test_smooth_plates_are_solved_to_second_order() -> None:
    shapes = [16, 32, 64, 128]
    errors = [manufactured_error(n) for n in shapes]
    assert 1.9 < slope(shapes, errors) < 2.1
    assert errors[-1] < 1e-3
    # negative control: a permeability half a cell aside costs an order
    assert slope(shapes, [manufactured_error(n, 0.5) for n in shapes]) < 1.2


def test_uniform_plate_is_the_double_sine_series() -> None:
    shapes, errors = [16, 32, 64], []
    for n in shapes:
        grid = plate(n)
        y, x = points(grid)
        series = np.zeros(grid.shape)
        for i, j in itertools.product(range(1, 200, 2), repeat=2):
            sines = np.sin(i * math.pi * y) * np.sin(j * math.pi * x)
            series += 16 / math.pi**4 / (i * j * (i**2 + j**2)) * sines
        darcy = Darcy(source=1.0)
        state = 2.0 * torch.ones(1, 2, *grid.shape, dtype=torch.float64)
        p = darcy.solve(state, grid)[0, 1].numpy()
        errors.append(float(np.abs(2.0 * p - series).max()))
    assert 1.8 < slope(shapes, errors) < 2.2
    assert errors[-1] < 4e-5


def test_layers_are_exact() -> None:
    """-(a p')' = 1 with a constant in each cell: the flux is linear, p known at every middle.

    The scheme misses nothing but f h^2 / (8 a), the parabola inside a cell.
    """
    n = 24
    h, a = 1 / n, np.exp(2 * np.random.default_rng(0).standard_normal(n))
    edges = np.arange(n + 1) * h
    # p falls through a cell by the integral of (q_0 + x) / a; q_0 is such that it ends at 0
    weight, drive = h / a, (edges[1:] ** 2 - edges[:-1] ** 2) / 2 / a
    q = -drive.sum() / weight.sum()
    before = -np.concatenate([[0], np.cumsum(q * weight + drive)])[:-1]
    middle = before - (q * h / 2 + ((edges[:-1] + h / 2) ** 2 - edges[:-1] ** 2) / 2) / a

    def scheme(mean: Any) -> np.ndarray:
        x = np.concatenate([[2 * a[0]], mean(a[1:], a[:-1]), [2 * a[-1]]]) / h
        line = multigrid.Faces(x[None], np.zeros((2, n)))
        return np.linalg.solve(line.matrix().toarray(), np.full(n, h))

    rows = plate(4, n)
    own = conductances(np.tile(a, (4, 1)), rows).x[0] / (rows.spacing[0] / rows.spacing[1])
    harmonic = scheme(lambda a, b: 2 * a * b / (a + b))
    np.testing.assert_allclose(own[1:-1], 2 * a[1:] * a[:-1] / (a[1:] + a[:-1]), rtol=1e-14)
    np.testing.assert_allclose(harmonic - h**2 / 8 / a, middle, rtol=1e-10)
    arithmetic = scheme(lambda a, b: (a + b) / 2)  # negative control
    assert np.abs(arithmetic - middle).max() > 0.05 * middle.max()


@pytest.mark.parametrize("coefficient", ["lognormal", "binary"])
def test_pressure_is_that_of_a_matrix_written_out(coefficient: Any) -> None:
    grid = plate(16, 24, (1.0, 2.0))
    darcy = Darcy(coefficient=coefficient, scale=2.0, source=3.0)
    fields = darcy.solve(darcy.initial_state(FIELD.sample([5], grid), grid), grid)[0].numpy()
    a, (ny, nx), (h_y, h_x) = fields[0], grid.shape, grid.spacing
    matrix = np.zeros((ny, nx, ny, nx))
    for j, i in itertools.product(range(ny), range(nx)):
        for dj, di in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            v, u = j + dj, i + di
            inside = 0 <= v < ny and 0 <= u < nx
            g = h_x / h_y if dj else h_y / h_x
            g *= 1 / (0.5 / a[j, i] + 0.5 / a[v, u]) if inside else 2 * a[j, i]
            matrix[j, i, j, i] += g
            if inside:
                matrix[j, i, v, u] -= g
    right = np.full(ny * nx, 3.0 * h_y * h_x)
    exact = np.linalg.solve(matrix.reshape(ny * nx, ny * nx), right).reshape(ny, nx)
    np.testing.assert_allclose(fields[1], exact, rtol=1e-8)


def test_what_is_fed_in_leaves_at_the_rim() -> None:
    grid, darcy = plate(32), Darcy(scale=2.0, source=0.7)
    a, p = darcy.solve(darcy.initial_state(FIELD.sample([1], grid), grid), grid)[0].numpy()
    faces = conductances(a, grid)
    rim = [faces.x[:, 0] @ p[:, 0], faces.x[:, -1] @ p[:, -1]]
    rim += [faces.y[0] @ p[0], faces.y[-1] @ p[-1]]
    assert sum(rim) == pytest.approx(0.7 * grid.volume, rel=1e-9)
    assert p.min() > 0
    assert max(rim) > 1.05 * min(rim)  # no symmetric plate


def test_pressure_follows_permeability_and_mirrors() -> None:
    grid, darcy = plate(32), Darcy()
    state = darcy.initial_state(FIELD.sample([2], grid), grid)
    images = torch.cat([state, 5 * state, state.flip(-1), state.transpose(-2, -1)])
    p = darcy.solve(images, grid)[:, 1]
    for image, known in zip(p[1:], (p[0] / 5, p[0].flip(-1), p[0].T), strict=True):
        torch.testing.assert_close(image, known, rtol=1e-8, atol=0)
    assert (p[0] - p[0].T).abs().max() > 1e-3 * p[0].max()


def test_permeabilities_are_maps_of_the_drawn_field() -> None:
    grid = plate(16)
    z = FIELD.sample(range(3), grid)
    lognormal = Darcy(scale=2.0).initial_state(z, grid)
    torch.testing.assert_close(lognormal[:, 0].log(), 2 * z)
    binary = Darcy(coefficient="binary", high=4.0, low=0.5).initial_state(z, grid)
    assert set(binary[:, 0].unique().tolist()) == {0.5, 4.0}
    assert bool(((binary[:, 0] == 4.0) == (z >= 0)).all())
    for state in (lognormal, binary):
        assert state.shape == (3, 2, 16, 16)
        assert state[:, 1].abs().max() == 0


def test_the_published_law_has_the_published_variance() -> None:
    """9 (-Laplacian + 9)^-2 with cosines, no mean: the sum over all waves, of the code's GRF.m."""
    k = np.arange(2000)
    k2 = math.pi**2 * (k[:, None] ** 2 + k**2)
    variance = 9 * ((k2 + 9.0) ** -2).sum() - 9 * 9.0**-2
    assert math.sqrt(variance) == pytest.approx(0.292, abs=5e-4)
    assert FIELD.trace(plate(256)) == pytest.approx(variance, rel=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("coefficient", ["lognormal", "binary"])
def test_members_have_their_bits_in_any_company(coefficient: Any, dtype: torch.dtype) -> None:
    grid, darcy = plate(32, 24), Darcy(coefficient=coefficient)

    def draw(members: list[int]) -> torch.Tensor:
        state = darcy.initial_state(FIELD.sample(members, grid), grid).to(dtype)
        return darcy.solve(state, grid)

    together = draw([4, 0, 7])
    for row, member in enumerate([4, 0, 7]):
        assert torch.equal(draw([member])[0], together[row])
    assert torch.equal(draw([7, 4, 0]), together[[2, 0, 1]])
    assert together.dtype == dtype


def test_single_precision_only_rounds() -> None:
    grid, darcy = plate(64), Darcy(coefficient="binary")
    state = darcy.initial_state(FIELD.sample([0], grid), grid)
    single, double = darcy.solve(state.float(), grid), darcy.solve(state, grid)
    assert torch.equal(single, double.float())


def test_restricted_solutions_approach_each_other() -> None:
    """The same functions on 16, 32 and 64 cells; a lognormal plate is smooth, a binary one not."""
    grids = [plate(n) for n in (16, 32, 64)]
    z = GaussianField.matern(2.0, 1 / 3, amplitude=3.0, mean=False, cutoff=14).sample(
        range(4), grids[-1]
    )
    for darcy in (Darcy(), Darcy(coefficient="binary")):
        second = darcy.coefficient == "lognormal"
        fields = [
            darcy.solve(darcy.initial_state(grids[-1].resample(z, grid), grid), grid)
            for grid in grids
        ]
        errors = []
        for grid, mine, finer in zip(grids, fields, fields[1:], strict=False):
            source = grids[grids.index(grid) + 1]
            known = darcy.restrict(finer, source, grid)
            errors.append(float((mine - known)[:, 1].norm() / known[:, 1].norm()))
            close = 0.1 if second else 0.35
            assert float((mine - known)[:, 0].norm() / known[:, 0].norm()) < close
        order = math.log2(errors[0] / errors[1])
        assert 1.7 < order < 2.3 if second else 0.3 < order < 1.8
        assert errors[1] < (3e-3 if second else 2e-2)


def test_restriction_keeps_means_and_names_the_majority() -> None:
    fine, coarse = plate(8), plate(4)
    fields = torch.rand(2, 3, 2, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    out = Darcy().restrict(fields, fine, coarse)
    blocks = fields.reshape(2, 3, 2, 4, 2, 4, 2)
    torch.testing.assert_close(out[:, :, 1], blocks[:, :, 1].mean((-3, -1)))
    torch.testing.assert_close(out[:, :, 0].log(), blocks[:, :, 0].log().mean((-3, -1)))
    binary = torch.full((1, 2, 8, 8), 3.0)
    binary[0, 0, :2, 0] = 12.0  # half of the first cell
    binary[0, 0, 2, 2] = 12.0  # a quarter of another
    kept = Darcy(coefficient="binary").restrict(binary, fine, coarse)[0, 0]
    assert kept[0, 0] == 12
    assert (kept == 3).sum() == 15
    for wrong in (plate(5), plate(4, 4, (2.0, 1.0)), Grid((4, 4), (1.0, 1.0))):
        with pytest.raises(ValueError, match="choose a shape that divides"):
            Darcy().restrict(fields, fine, wrong)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_permeabilities_that_are_not_positive_are_refused(value: float) -> None:
    state = torch.ones(2, 2, 8, 8, dtype=torch.float64)
    state[1, 0, 3, 3] = value
    with pytest.raises(ValueError, match=r"^expected a positive permeability, .* for member 1; "):
        Darcy().solve(state, plate(8))
    with pytest.raises(ValueError, match="for member 9; draw"):
        Darcy().solve(state, plate(8), members=[4, 9])


def test_permeabilities_that_float64_cannot_balance_are_refused() -> None:
    noise = torch.randn(1, 2, 16, 16, dtype=torch.float64, generator=torch.manual_seed(0))
    state = torch.exp(20 * noise)
    with pytest.raises(FloatingPointError, match=r"^member 3's pressure has a residual of "):
        Darcy().solve(state, plate(16), members=[3])


@pytest.mark.parametrize(
    "grid", [Grid((8, 8), (1.0, 1.0)), Grid((8,), (1.0,), "neumann"), Grid((4, 4, 4))], ids=str
)
def test_only_plates_between_walls_are_accepted(grid: Grid) -> None:
    for call in (
        lambda: Darcy().initial_state(None, grid),
        lambda: Darcy().solve(torch.ones(1, 2, *grid.shape), grid),
    ):
        with pytest.raises(ValueError, match=r"expected a grid of 2 axes with boundary neumann"):
            call()
    with pytest.raises(ValueError, match=r"\(1, 2, 8, 8\), got \(1, 2, 8, 9\); make it with"):
        Darcy().solve(torch.ones(1, 2, 8, 9), plate(8))


@pytest.mark.parametrize(
    "numbers",
    [{"scale": 0.0}, {"low": -3.0}, {"high": 2.0}, {"high": math.inf}, {"source": math.nan}],
    ids=str,
)
def test_numbers_out_of_order_are_refused(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="change their signs or order"):
        Darcy(**numbers)
