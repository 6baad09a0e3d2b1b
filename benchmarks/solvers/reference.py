r"""The judge: the same problems in numpy and float64, stepped by scipy's DOP853.

No integrating factor, no exponential weights, no code of pushforward's. Two discretisations:

    waves    Fourier or cosine waves below two thirds of the highest, products at the points
    stencil  the five-point Laplacian, periodic or with ghost cells that mirror the outermost

A code is held to the one it discretises space by, so errors are those of time stepping (and of
round-off) alone.

    Hairer, Norsett, Wanner, Solving Ordinary Differential Equations I (1993)
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
from scipy import fft
from scipy.integrate import solve_ivp

from benchmarks.store import FOLDER

from .cases import MOMENTS, Array, Case

TOLERANCE = 1e-10
Rate = Callable[[Array], Array]


def reference(case: Case, space: str) -> Array:
    """The states at `MOMENTS`, float64 (moment, member, channel, y, x); computed once only."""
    key = hashlib.sha256(f"{case}{space}{TOLERANCE}{MOMENTS}".encode()).hexdigest()[:12]
    path = FOLDER / f"{case.name}-{space}-{key}.npy"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        found = np.stack([solve(case, space, u) for u in case.initial()], axis=1)
        new = path.with_suffix(".new.npy")
        np.save(new, found)
        new.replace(path)
    return np.load(path)


def error(found: Array, exact: Array) -> float:
    """The largest relative L2 error over members and channels; infinite where not finite."""
    difference = np.sqrt(((found - exact) ** 2).sum((-2, -1)) / (exact**2).sum((-2, -1)))
    return float(np.nan_to_num(difference, nan=np.inf).max())


def solve(case: Case, space: str, initial: Array, tolerance: float = TOLERANCE) -> Array:
    """One member's states (moment, channel, y, x)."""
    rate, start = _rate(case, space), initial
    if space == "waves":
        start = _cut(case)(initial)
    found = solve_ivp(
        lambda t, y: rate(y.reshape(start.shape)).ravel(),
        (0, case.time),
        start.ravel(),
        method="DOP853",
        t_eval=[share * case.time for share in MOMENTS],
        rtol=tolerance,
        atol=tolerance * float(np.sqrt((start**2).mean())),
    )
    return found.y.T.reshape(-1, *start.shape)


def _rate(case: Case, space: str) -> Rate:
    if case.equation == "navier_stokes":
        return _vorticity_rate(case)
    laplacian = _stencil(case) if space == "stencil" else _spectral(case)
    cut = (lambda u: u) if space == "stencil" else _cut(case)
    reaction = _gray_scott(case) if case.equation == "gray_scott" else _fitzhugh_nagumo(case)
    diffusivity = np.array([case.constants["diffusivity_u"], case.constants["diffusivity_v"]])
    return lambda u: diffusivity[:, None, None] * laplacian(u) + cut(reaction(u))


def _gray_scott(case: Case) -> Rate:
    feed, kill = case.constants["feed_rate"], case.constants["kill_rate"]

    def reaction(state: Array) -> Array:
        u, v = state
        return np.stack([feed * (1 - u) - u * v**2, u * v**2 - (feed + kill) * v])

    return reaction


def _fitzhugh_nagumo(case: Case) -> Rate:
    threshold = case.constants["threshold"]

    def reaction(state: Array) -> Array:
        u, v = state
        return np.stack([u - u**3 - threshold - v, u - v])

    return reaction


def _vorticity_rate(case: Case) -> Rate:
    """w_t = -u . grad w + nu Lap w + f in convective form, five transforms."""
    n = case.points
    k_y, k_x = 2 * math.pi * fft.fftfreq(n, 1 / n)[:, None], 2 * math.pi * np.arange(n // 2 + 1)
    square = k_y**2 + k_x**2
    inverse = 1 / np.where(square > 0, square, 1)
    keep = (abs(k_y) <= 2 * math.pi * n / 3) & (k_x <= 2 * math.pi * n / 3)
    gradient = np.stack(np.broadcast_arrays(1j * k_x, 1j * k_y))
    turned = gradient[::-1] * np.array([1, -1])[:, None, None] * inverse
    symbols = np.concatenate([turned, gradient])
    force, viscosity = fft.rfft2(case.forcing()), case.constants["viscosity"]

    def rate(state: Array) -> Array:
        waves = fft.rfft2(state[0])
        u, v, w_x, w_y = fft.irfft2(symbols * waves, s=(n, n))
        waves = force - keep * fft.rfft2(u * w_x + v * w_y) - viscosity * square * waves
        return fft.irfft2(waves, s=(n, n))[None]

    return rate


def _waves(case: Case) -> tuple[Array, Array]:
    """|k|^2 and where waves are kept, for the transform that the boundary asks for."""
    n = case.points
    if case.walls:
        k_y, k_x = np.arange(n)[:, None], np.arange(n)[None]
        unit, bound = math.pi / case.extent, 2 * n / 3
    else:
        k_y, k_x = fft.fftfreq(n, 1 / n)[:, None], np.arange(n // 2 + 1)[None]
        unit, bound = 2 * math.pi / case.extent, n / 3
    return unit**2 * (k_y**2 + k_x**2), (abs(k_y) < bound) & (k_x < bound)


def _multiplied(case: Case, symbol: Array) -> Rate:
    if case.walls:
        return lambda u: fft.idctn(symbol * fft.dctn(u, axes=(-2, -1)), axes=(-2, -1))
    return lambda u: fft.irfft2(symbol * fft.rfft2(u), s=(case.points, case.points))


def _spectral(case: Case) -> Rate:
    square, _ = _waves(case)
    return _multiplied(case, -square)


def _cut(case: Case) -> Rate:
    _, keep = _waves(case)
    return _multiplied(case, keep)


def _stencil(case: Case) -> Rate:
    width, mode = case.extent / case.points, "edge" if case.walls else "wrap"

    def laplacian(state: Array) -> Array:
        u = np.pad(state, ((0, 0), (1, 1), (1, 1)), mode=mode)
        neighbours = u[:, :-2, 1:-1] + u[:, 2:, 1:-1] + u[:, 1:-1, :-2] + u[:, 1:-1, 2:]
        return (neighbours - 4 * state) / width**2

    return laplacian
