r"""The four problems that every code is given: initial states, forcings and what is constant.

Navier-Stokes is FNO's: vorticity on the unit torus, w_0 ~ N(0, 7^3 (-Lap + 49)^-2.5) cut at a wave
number that every code's dealiasing keeps, f = 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)).
Gray-Scott is The Well's maze, from random bumps; FitzHugh-Nagumo is PDEBench's, from noise in each
cell, between walls. All drawn with numpy, so that no code is its own judge.

    Li et al., arXiv:2010.08895; Ohana et al., arXiv:2412.00568; Takamoto et al., arXiv:2210.07182
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

TARGETS = (1e-3, 1e-5)  # relative L2 errors at which codes are compared
MOMENTS = (0.1, 1.0)  # shares of the time at which errors are taken; the larger one counts


@dataclass(frozen=True)
class Case:
    """One problem: `members` initial states of `points`^2 on a square of side `extent` to `time`.

    `cut` is the largest wave number (half waves between walls) of the initial states; `guess` the
    number of steps at which a search for few enough begins. With `batch`, that many are solved
    side by side, the members over and over.
    """

    name: str
    title: str
    equation: str
    points: int
    extent: float
    members: int
    time: float
    cut: int
    guess: int
    constants: dict[str, float] = field(default_factory=dict)
    batch: int = 0

    @property
    def walls(self) -> bool:
        """Whether nothing flows through the boundary; otherwise the square is a torus."""
        return self.equation == "fitzhugh_nagumo"

    @property
    def corner(self) -> float:
        """The lower end of both axes, as the data set's authors have it."""
        return 0.0 if self.equation == "navier_stokes" else -self.extent / 2

    def quick(self) -> Case:
        """The same, small: two members, a tenth of the time."""
        return replace(self, members=2, time=self.time / 10)

    def initial(self) -> Array:
        """The initial states, float64 (member, channel, y, x)."""
        rng = np.random.default_rng(0)
        draw = {"navier_stokes": _vorticity, "gray_scott": _bumps, "fitzhugh_nagumo": _noise}
        drawn = draw[self.equation](self, rng)
        return drawn[np.arange(self.batch or self.members) % self.members]

    def forcing(self) -> Array:
        """Navier-Stokes's forcing, float64 (y, x)."""
        x = np.arange(self.points) / self.points
        phase = 2 * math.pi * (x[:, None] + x)
        return 0.1 * (np.sin(phase) + np.cos(phase))


FITZHUGH_NAGUMO = {"diffusivity_u": 1e-3, "diffusivity_v": 5e-3, "threshold": 5e-3}
MAZE = {"feed_rate": 0.029, "kill_rate": 0.057, "diffusivity_u": 2e-5, "diffusivity_v": 1e-5}
CASES = {
    case.name: case
    for case in (
        Case(
            "ns64", "Navier-Stokes 64²", "navier_stokes", 64, 1.0, 20, 10.0, 20, 40,
            {"viscosity": 1e-3},
        ),
        Case(
            "ns256", "Navier-Stokes 256²", "navier_stokes", 256, 1.0, 4, 5.0, 80, 150,
            {"viscosity": 1e-4},
        ),
        Case("gs128", "Gray-Scott 128²", "gray_scott", 128, 2.0, 8, 200.0, 41, 100, MAZE),
        Case(
            "fhn128", "FitzHugh-Nagumo 128²", "fitzhugh_nagumo", 128, 2.0, 4, 5.0, 85, 400,
            FITZHUGH_NAGUMO,
        ),
    )
}  # fmt: skip


def _vorticity(case: Case, rng: np.random.Generator) -> Array:
    n = case.points
    k = np.fft.fftfreq(n, 1 / n)[:, None], np.arange(n // 2 + 1)[None]
    square = 4 * math.pi**2 * (k[0] ** 2 + k[1] ** 2)
    deviation = np.sqrt(7.0**3 * (square + 49) ** -2.5)
    deviation[(abs(k[0]) > case.cut) | (k[1] > case.cut)] = 0
    deviation[0, 0] = 0
    noise = rng.standard_normal((case.members, 1, n, n))
    return np.fft.irfft2(np.fft.rfft2(noise) * deviation * n, s=(n, n))


def _bumps(case: Case, rng: np.random.Generator) -> Array:
    """The Well's sums of 10 to 100 Gaussians g, scaled to [0, 1]: states (1 - g, g)."""
    n = case.points
    x = case.corner + case.extent * np.arange(n) / n
    states = []
    for _ in range(case.members):
        count = rng.integers(10, 101)
        height, sharpness = rng.uniform(1, 3, count), rng.uniform(150, 300, count)
        profiles = []
        for _axis in range(2):
            centre = rng.uniform(-1, 1, (count, 1))
            distance = (x - centre + case.extent / 2) % case.extent - case.extent / 2
            profiles.append(np.exp(-sharpness[:, None] * distance**2))
        g = np.einsum("b,by,bx->yx", height, *profiles)
        g = (g - g.min()) / (g.max() - g.min())
        states.append([1 - g, g])
    waves = np.fft.rfft2(np.array(states))
    k = np.abs(np.fft.fftfreq(n, 1 / n))[:, None], np.arange(n // 2 + 1)[None]
    waves[..., (k[0] > case.cut) | (k[1] > case.cut)] = 0
    return np.fft.irfft2(waves, s=(n, n))


def _noise(case: Case, rng: np.random.Generator) -> Array:
    """PDEBench's noise, left as it is: codes that cut waves cut it themselves."""
    return rng.standard_normal((case.members, 2, case.points, case.points))
