"""Five-point systems: their matrix, the preconditioner, solutions against elimination."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.linalg import eigh

from pushforward.solvers.multigrid import Faces, preconditioner, solve


def ones(ny: int, nx: int) -> Faces:
    """a = 1: conductance 1 between cells, 2 at the wall."""
    x, y = np.ones((ny, nx + 1)), np.ones((ny + 1, nx))
    x[:, [0, -1]], y[[0, -1]] = 2, 2
    return Faces(x, y)


def rough(ny: int, nx: int, deviation: float = 1.0, stretch: float = 1.0) -> Faces:
    """Conductances without any order."""
    rng = np.random.default_rng(ny * 1000 + nx)
    return Faces(
        np.exp(deviation * rng.standard_normal((ny, nx + 1))),
        stretch * np.exp(deviation * rng.standard_normal((ny + 1, nx))),
    )


def written_out(faces: Faces) -> np.ndarray:
    """The matrix cell by cell, from what flows through its faces."""
    ny, nx = faces.shape
    a = np.zeros((ny, nx, ny, nx))
    for j in range(ny):
        for i in range(nx):
            for g, (v, u) in (
                (faces.x[j, i], (j, i - 1)),
                (faces.x[j, i + 1], (j, i + 1)),
                (faces.y[j, i], (j - 1, i)),
                (faces.y[j + 1, i], (j + 1, i)),
            ):
                a[j, i, j, i] += g
                if 0 <= v < ny and 0 <= u < nx:
                    a[j, i, v, u] -= g
    return a.reshape(ny * nx, ny * nx)


@pytest.mark.parametrize("shape", [(4, 4), (5, 8), (8, 3), (1, 6), (6, 1)])
def test_matrix_balances_the_flows_through_the_faces(shape: tuple[int, int]) -> None:
    faces = rough(*shape)
    matrix = faces.matrix().toarray()
    np.testing.assert_allclose(matrix, written_out(faces), rtol=1e-14)
    np.testing.assert_array_equal(matrix, matrix.T)
    assert eigh(matrix, eigvals_only=True)[0] > 0


@pytest.mark.parametrize(
    "shape", [(16, 16), (32, 48), (48, 24), (36, 28), (21, 21), (22, 26), (64, 6)], ids=str
)
@pytest.mark.parametrize("deviation", [0.1, 1.0])
def test_solution_is_that_of_elimination(shape: tuple[int, int], deviation: float) -> None:
    faces = rough(*shape, deviation)
    b = np.random.default_rng(7).standard_normal(shape)
    u, residual = solve(faces, b)
    exact = np.linalg.solve(faces.matrix().toarray(), b.ravel()).reshape(shape)
    assert residual <= 1e-10
    assert np.abs(u - exact).max() < 1e-8 * np.abs(exact).max()


@pytest.mark.parametrize("deviation", [2.0, 3.0])
def test_conductances_that_jump_beyond_measure_meet_elimination(deviation: float) -> None:
    faces, b = rough(32, 32, deviation), np.ones((32, 32))
    u, residual = solve(faces, b)
    exact = np.linalg.solve(faces.matrix().toarray(), b.ravel()).reshape(b.shape)
    assert residual <= 1e-10
    assert np.abs(u / exact - 1).max() < 1e-6
    assert faces.x.max() / faces.x.min() > 1e5


def test_a_system_without_sources_rests() -> None:
    u, residual = solve(ones(16, 16), np.zeros((16, 16)))
    assert np.abs(u).max() == 0 == residual


def spectrum(faces: Faces, cycle: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The eigenvalues of the preconditioned matrix."""
    size = int(np.prod(faces.shape))
    b = np.stack([cycle(e) for e in np.eye(size)])
    np.testing.assert_allclose(b, b.T, atol=1e-13 * np.abs(b).max())  # conjugate gradients need it
    root = np.linalg.cholesky(faces.matrix().toarray())
    return np.linalg.eigvalsh(root.T @ b @ root)


@pytest.mark.parametrize("shape", [(16, 16), (32, 32), (16, 32)], ids=str)
def test_one_cycle_leaves_a_quarter_of_the_error_on_any_grid(shape: tuple[int, int]) -> None:
    faces = ones(*shape)
    values = spectrum(faces, preconditioner(faces))
    assert np.abs(1 - values).max() < 0.25
    # negative control: the smoother by itself does not reach the long waves
    diagonal = 1 / faces.matrix().diagonal()
    assert np.abs(1 - spectrum(faces, lambda b: diagonal * b)).max() > 0.9


def test_cycle_of_rough_conductances_is_positive() -> None:
    faces = rough(32, 32)
    values = spectrum(faces, preconditioner(faces))
    assert values.min() > 0.2
    assert values.max() < 1.5


def test_coarse_cells_conduct_like_the_fine_ones_of_a_uniform_plate() -> None:
    coarse = ones(16, 24).coarser()
    for mine, known in zip(coarse, ones(8, 12), strict=True):
        np.testing.assert_allclose(mine, known, rtol=1e-15)


def test_coarse_cells_of_layers_have_their_resistances_in_series() -> None:
    resistance = np.array([1.0, 2.0, 5.0, 3.0, 7.0])  # walls first and last
    faces = Faces(np.tile(1 / resistance, (4, 1)), np.ones((5, 4)))
    path = np.array([1 + 2 / 2, 2 / 2 + 5 + 3 / 2, 3 / 2 + 7])
    np.testing.assert_allclose(faces.coarser().x, np.tile(2 / path, (2, 1)))
