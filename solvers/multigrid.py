r"""Five-point systems on a rectangle of cells: conjugate gradients after one multigrid cycle.

Between neighbouring cells, and between the outermost cells and the wall (value 0), flows
conductance x difference; A u = b balances it against a source in every cell. A is symmetric and
positive definite. Coarser levels pair cells along both axes and put the conductances of the paths
between their centres in series and side by side, so a system of the same kind remains. One V-cycle
(two Chebyshev-Jacobi sweeps before and after, bilinear interpolation and its transpose, a direct
solve at the coarsest level) is symmetric, and leaves conjugate gradients about ten steps on any
grid. Grids that cannot be halved down to a few cells meet the direct solver earlier, and so do
conductances that jump by factors beyond bilinear interpolation (some hundreds, from cell to cell).

All arithmetic is float64, of one system at a time: a system gives the same bits in any company.

    Wesseling, An Introduction to Multigrid Methods (1992); Saad, Iterative Methods for Sparse
    Linear Systems (2003), doi:10.1137/1.9780898718003
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

Vector = np.ndarray
COARSEST = 64  # unknowns, from which on elimination costs less than a further level
SWEEPS = 2
ITERATIONS = 60  # beyond which elimination costs less


class Faces(NamedTuple):
    """The conductances of all faces: x (ny, nx + 1), y (ny + 1, nx), walls first and last."""

    x: np.ndarray
    y: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """The cells, (ny, nx)."""
        return len(self.x), self.y.shape[1]

    def matrix(self) -> sparse.dia_array:
        """A, over the cells in row-major order.

        >>> Faces(np.full((1, 3), 2.0), np.full((2, 2), 1.0)).matrix().toarray()
        array([[ 6., -2.],
               [-2.,  6.]])
        """
        (ny, nx), zeros = self.shape, np.zeros_like
        diagonal = self.x[:, 1:] + self.x[:, :-1] + self.y[1:] + self.y[:-1]
        east, north = zeros(diagonal), zeros(diagonal)
        east[:, 1:] = -self.x[:, 1:-1]  # column j of a diagonal holds what multiplies u_j
        north[1:] = -self.y[1:-1]
        west, south = zeros(diagonal), zeros(diagonal)
        west[:, :-1] = -self.x[:, 1:-1]
        south[:-1] = -self.y[1:-1]
        data = np.stack([diagonal, east, west, north, south]).reshape(5, -1)
        offsets, size = np.array([0, 1, -1, nx, -nx]), ny * nx
        if nx == 1:  # both pairs would claim the offsets 1 and -1
            data, offsets = data[[0, 3, 4]], offsets[[0, 3, 4]]
        return sparse.dia_array((data, offsets), shape=(size, size))

    def coarser(self) -> Faces:
        """The conductances between cells twice as wide."""
        return Faces(_join(self.x), _join(self.y.T).T)


def _join(faces: np.ndarray) -> np.ndarray:
    """Every other face, with half the resistances inside the new cells; two rows side by side."""
    resistance = 1 / faces
    path = resistance[:, ::2].copy()
    path[:, 1:] += resistance[:, 1::2] / 2
    path[:, :-1] += resistance[:, 1::2] / 2
    conductance = 1 / path
    return conductance[::2] + conductance[1::2]


@lru_cache(maxsize=32)
def _interpolation(shape: tuple[int, int]) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Bilinear interpolation from cells twice as wide to `shape`, 0 at the wall; its transpose."""

    def line(n: int) -> sparse.csr_array:
        cells, coarse = np.arange(n), np.arange(n) // 2
        other = np.where(cells % 2, coarse + 1, coarse - 1)
        inside = (other >= 0) & (other < n // 2)
        near = np.where(inside, 3 / 4, 1 / 2)
        rows = np.concatenate([cells, cells[inside]])
        columns = np.concatenate([coarse, other[inside]])
        values = np.concatenate([near, np.full(inside.sum(), 1 / 4)])
        return sparse.csr_array((values, (rows, columns)), shape=(n, n // 2))

    up = sparse.csr_array(sparse.kron(line(shape[0]), line(shape[1])))
    return up, sparse.csr_array(up.T)


def preconditioner(faces: Faces) -> Callable[[Vector], Vector]:
    """One V-cycle from 0 as a function of the residual; the inverse itself on the coarsest level.

    >>> ones = Faces(np.ones((4, 5)), np.ones((5, 4)))
    >>> solve = preconditioner(ones)
    >>> bool(np.allclose(ones.matrix() @ solve(np.arange(16.0)), np.arange(16.0)))
    True
    """
    matrix, (ny, nx) = faces.matrix(), faces.shape
    if ny * nx <= COARSEST or ny % 2 or nx % 2:
        return _eliminated(matrix)
    below, (up, down) = preconditioner(faces.coarser()), _interpolation((ny, nx))
    inverse = 1 / matrix.diagonal()
    # Chebyshev's points on the upper three quarters of the spectrum of D^-1 A, which ends below 2
    angles = math.pi * (np.arange(SWEEPS) + 0.5) / SWEEPS
    weights = [inverse / (1.25 + 0.75 * math.cos(angle)) for angle in angles]

    def cycle(b: Vector) -> Vector:
        u = weights[0] * b
        for weight in weights[1:]:
            u += weight * (b - matrix @ u)
        u += up @ below(down @ (b - matrix @ u))
        for weight in reversed(weights):
            u += weight * (b - matrix @ u)
        return u

    return cycle


def _eliminated(matrix: sparse.dia_array) -> Callable[[Vector], Vector]:
    """A's inverse by elimination, in an order of minimum degree; A is definite: no pivots."""
    options = {"SymmetricMode": True}
    return splu(matrix.tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options).solve


def solve(faces: Faces, b: np.ndarray, tolerance: float = 1e-10) -> tuple[np.ndarray, float]:
    """The cells' values u (ny, nx) with A u = b, and the relative residual |b - A u| / |b|.

    The residual is above `tolerance` where the conductances differ too much for float64.

    >>> faces = Faces(np.ones((32, 33)), np.ones((33, 32)))
    >>> u, residual = solve(faces, np.ones((32, 32)))
    >>> u.shape, residual <= 1e-10
    ((32, 32), True)
    """
    matrix, precondition = faces.matrix(), preconditioner(faces)
    right = b.ravel()
    u, r = np.zeros_like(right), right.copy()
    p, old = np.zeros_like(right), 1.0
    enough = tolerance * _norm(right)
    for _ in range(ITERATIONS):
        if not _norm(r) > enough:
            break
        z = precondition(r)
        rho = _dot(r, z)
        p = z + rho / old * p
        q = matrix @ p
        step = rho / _dot(p, q)
        u += step * p
        r -= step * q
        old = rho
    # the recursion's residual drifts from the true one: what is told is the true one
    left = _norm(right - matrix @ u)
    if not left <= 2 * enough:
        u = _eliminated(matrix)(right)
        left = _norm(right - matrix @ u)
    return u.reshape(b.shape), left / _norm(right) if left else 0.0


def _dot(a: Vector, b: Vector) -> float:
    """A sum in numpy's own order: a BLAS dot product may depend on threads and addresses."""
    return float((a * b).sum())


def _norm(a: Vector) -> float:
    return math.sqrt(_dot(a, a))
