r"""Mixtures of Gaussian fields on a small grid, and how far an ensemble is from one.

The law is fixed once, in the space of fields: u ~ sum_j w_j N(m_j, S_j). What a basis makes of it
is affine, x = R (u - m), so the whitened coefficients are an exact mixture, too, with means
R (m_j - m) and full covariances R S_j R^T, whatever the basis was whitened by.

An ensemble of n fields is measured by three families of statistics: `mean` (averages over the box,
of patches and waves), `spectrum` (the power of each shell of waves) and `tail` (how often those
averages lie far out). Each family is a vector f(u) whose mean and covariance C are known in
closed form: for the power of Gaussians, Cov(u^T A u, u^T B u) = 2 tr(A S B S) + 4 m^T A S B m; for
the tails, normal and bivariate normal probabilities. So

    n (mean f - E f)^T C^{-1} (mean f - E f)  ~  chi^2 with as many degrees as f has entries,

and its probability is told as that of a standard normal beyond z: "z standard errors".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from pushforward.generative import Basis, CovarianceDenoiser
from pushforward.solvers import Grid

GRID = Grid((4, 8), extent=(0.5, 1.0))
FAR = 1.6  # deviations from the mean at which a tail begins


@dataclass(frozen=True, eq=False)
class Mixture:
    """Weights (j,), means (j, N) and covariances (j, N, N) of fields at the N points of GRID."""

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def draws(self, count: int, generator: torch.Generator) -> Tensor:
        """Fields (count, 1, *grid)."""
        which = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        size = self.means.shape[1]
        z = torch.randn(count, size, generator=generator, dtype=torch.float64)
        values, vectors = torch.linalg.eigh(self.covariances)
        roots = vectors * values.clamp_min(0).sqrt()[:, None]
        u = (self.means[:, None] + z @ roots.mT)[which, torch.arange(count)]
        return u.view(count, 1, *GRID.shape)

    def seen_by(self, basis: Basis) -> CovarianceDenoiser:
        """The exact denoiser of the law's whitened coefficients."""
        points = torch.eye(GRID.size, dtype=torch.float64).view(-1, 1, *GRID.shape)
        start = basis.analyse(torch.zeros_like(points[:1]), GRID)
        rows = (basis.analyse(points, GRID) - start).flatten(1)  # R^T
        means = (start.flatten(1) + self.means @ rows).unflatten(1, start.shape[1:])
        return CovarianceDenoiser(self.weights, means, rows.T @ self.covariances @ rows)


def waves() -> tuple[Tensor, Tensor]:
    """Orthonormal cosines and sines (w, N) of all resolved waves, and their |k|, longest side."""
    x, y = torch.meshgrid(*GRID.coordinates(), indexing="ij")
    rows, lengths = [], []
    for k in range(-GRID.shape[0] // 2 + 1, GRID.shape[0] // 2):
        for m in range(GRID.shape[1] // 2):
            if m == 0 and k < 0:
                continue  # its sine and cosine are there as those of -k
            phase = 2 * math.pi * (k * x / GRID.extent[0] + m * y / GRID.extent[1]).flatten()
            pair = [torch.cos(phase), torch.sin(phase)] if (k, m) != (0, 0) else [phase + 1]
            rows += [wave / wave.norm() for wave in pair]
            lengths += [math.hypot(k / GRID.extent[0], m / GRID.extent[1])] * len(pair)
    return torch.stack(rows), torch.tensor(lengths, dtype=torch.float64)


def mixture(steeper: float = 0.0) -> Mixture:
    """A rough, homogeneous Gaussian field and a smooth one whose amplitude varies over the box.

    Both hold resolved waves alone, so that every basis represents them. `steeper` makes the
    spectra fall off faster, k^-2steeper: another law, for controls.
    """
    rows, length = waves()
    x, y = (axis.flatten() for axis in torch.meshgrid(*GRID.coordinates(), indexing="ij"))
    x, y = 2 * math.pi * x / GRID.extent[0], 2 * math.pi * y / GRID.extent[1]
    first = 0.9 + 0.3 * torch.cos(y) + 0.2 * torch.sin(x)
    second = -1.2 + 0.4 * torch.sin(y) - 0.3 * torch.cos(x + 2 * y)
    spectra = [(1 + length**2) ** -(decay + steeper) for decay in (0.75, 1.25)]
    amplitude = (rows * (1 + 0.5 * torch.cos(y - x))) @ rows.T  # of waves on waves
    covariances = []
    for spectrum, change in zip(spectra, (torch.eye(len(rows)).double(), amplitude), strict=True):
        root = rows.T @ change * spectrum.sqrt()
        root = root / root.square().sum(1).mean().sqrt()
        covariances.append(root @ root.T)
    weights = torch.tensor([0.6, 0.4], dtype=torch.float64)
    return Mixture(weights, torch.stack([first, second]), torch.stack(covariances))


@dataclass(frozen=True, eq=False)
class Family:
    """A vector of statistics by its exact mean (m,) and covariance (m, m) over fields."""

    mean: Tensor
    covariance: Tensor

    def error(self, values: Tensor) -> float:
        """How far the mean of values (n, m) is from the truth, in standard errors (see above)."""
        difference = values.mean(0) - self.mean
        factor = torch.linalg.cholesky(self.covariance / len(values))
        white = torch.linalg.solve_triangular(factor, difference[:, None], upper=False)
        half = torch.tensor([len(difference) / 2, float(white.square().sum()) / 2]).double()
        beyond = torch.special.gammaincc(half[0], half[1])
        return -float(torch.special.ndtri(beyond.clamp_min(1e-300)))


class Truth:
    """The three families of a mixture: `errors` of an ensemble."""

    def __init__(self, law: Mixture) -> None:
        self.law = law
        self.rows, length = waves()
        self.shell = length.round().long()
        self.averages = self._averages()
        self.mean = self.averages @ (law.weights @ law.means)
        among = self._mixed([self.averages @ m for m in law.means], self._spreads)
        self.far = FAR * among.diagonal().sqrt()
        self.families = {
            "mean": Family(self.mean, among),
            "spectrum": self._spectrum(),
            "tail": self._tail(),
        }

    def errors(self, u: Tensor) -> dict[str, float]:
        """Errors of fields (n, 1, *grid) in standard errors, by family."""
        u = u.flatten(1).double()
        seen = u @ self.averages.T
        power = (u @ self.rows.T).square() @ self._members.T / GRID.size
        beyond = torch.cat([seen > self.mean + self.far, seen < self.mean - self.far], 1)
        values = {"mean": seen, "spectrum": power, "tail": beyond.double()}
        return {name: family.error(values[name]) for name, family in self.families.items()}

    def _averages(self) -> Tensor:
        """Linear functionals (m, N): the box, two patches, a point, a long and a short wave."""
        patch = torch.zeros(3, *GRID.shape, dtype=torch.float64)
        patch[0, :2, :4], patch[1, 2:, 3:5], patch[2, 1, 6] = 1 / 8, 1 / 4, 1
        box = torch.full((1, GRID.size), 1 / GRID.size, dtype=torch.float64)
        long, short = int((self.shell == 1).nonzero()[0]), int((self.shell == 3).nonzero()[-1])
        return torch.cat([box, patch.flatten(1), self.rows[[long, short]]])

    @cached_property
    def _spreads(self) -> list[Tensor]:
        return [self.averages @ S @ self.averages.T for S in self.law.covariances]

    @cached_property
    def _members(self) -> Tensor:
        """Which waves (shell, w) belong to a shell."""
        return torch.nn.functional.one_hot(self.shell).double().T

    def _mixed(self, means: list[Tensor], covariances: list[Tensor]) -> Tensor:
        """The covariance of a mixture of vectors of these means and covariances."""
        weights, mean = self.law.weights, torch.stack(means)
        apart = mean - weights @ mean
        within = torch.einsum("j,jab->ab", weights, torch.stack(covariances))
        return within + torch.einsum("j,ja,jb->ab", weights, apart, apart)

    def _spectrum(self) -> Family:
        means, covariances = [], []
        for m, S in zip(self.law.means, self.law.covariances, strict=True):
            m, S = self.rows @ m, self.rows @ S @ self.rows.T
            means.append(self._members @ (S.diagonal() + m**2) / GRID.size)
            pairs = 2 * S**2 + 4 * torch.outer(m, m) * S  # of u_a^2 and u_b^2
            covariances.append(self._members @ pairs @ self._members.T / GRID.size**2)
        mean = self.law.weights @ torch.stack(means)
        return Family(mean, self._mixed(means, covariances))

    def _tail(self) -> Family:
        """Both tails of every average: exact probabilities, joint ones as well."""
        means, joints = [], []
        sign = torch.cat([torch.ones_like(self.far), -torch.ones_like(self.far)])
        for m, spread in zip(self.law.means, self._spreads, strict=True):
            deviation = spread.diagonal().sqrt().repeat(2)
            offset = (self.mean - self.averages @ m).repeat(2)
            limit = (sign * offset + self.far.repeat(2)) / deviation
            correlation = spread.repeat(2, 2) / torch.outer(deviation, deviation)
            means.append(torch.special.ndtr(-limit))
            joints.append(both_beyond(limit, correlation * torch.outer(sign, sign)))
        mean = self.law.weights @ torch.stack(means)
        joint = torch.einsum("j,jab->ab", self.law.weights, torch.stack(joints))
        return Family(mean, joint - torch.outer(mean, mean))


def both_beyond(limit: Tensor, correlation: Tensor) -> Tensor:
    """P(z_a > limit_a and z_b > limit_b) of standard normals, by Simpson's rule over z_a."""
    count = 4001
    x = torch.linspace(0, 1, count, dtype=torch.float64) * 12  # beyond limit_a
    weight = torch.full((count,), 2.0, dtype=torch.float64)
    weight[1::2], weight[0], weight[-1] = 4.0, 1.0, 1.0
    weight = weight * 12 / (count - 1) / 3
    z = limit[:, None] + x
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * weight
    joint = torch.diag(torch.special.ndtr(-limit))
    for a in range(len(limit)):
        for b in range(len(limit)):
            rho = float(correlation[a, b])
            if abs(rho) < 1 - 1e-12:
                rest = (limit[b] - rho * z[a]) / math.sqrt(1 - rho**2)
                joint[a, b] = (density[a] * torch.special.ndtr(-rest)).sum()
    return joint  # a tail and its opposite exclude each other: 0
