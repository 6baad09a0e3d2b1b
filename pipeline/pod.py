r"""Proper orthogonal decomposition: the few patterns that hold most of the variance.

The modes phi_j are the eigenvectors of the covariance of solver members, orthonormal in the mean
over points, c_j = <(u - mean) phi_j> the coefficients. They come from
the smaller of two symmetric matrices, between members (Sirovich's snapshots) or between points; at
most 1024 members are looked at. With m, S the mean and covariance of the coefficients of the
scored ensemble a and of the solver's members b:

    pod_spectrum  sqrt(mean_j log10(S_a,jj / S_b,jj)^2), dex
    frechet       sqrt(|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a^{1/2} S_b S_a^{1/2})^{1/2})), the
                  Wasserstein-2 distance of the two Gaussians, in units of sigma: as far in root
                  mean square over the points

Both are functions of sums of c_j and c_i c_j. The modes must be fitted on members that stand on
neither side, as those that were trained on: a mode holds more variance of the members that it was
fitted to than of any others, and fresh members would seem too quiet. A yardstick without modes
(`Yardstick.modes`) has no such scores.

    Sirovich, Quart. Appl. Math. 45 (1987), doi:10.1090/qam/910462
    Dowson, Landau, J. Multivariate Anal. 12 (1982), doi:10.1016/0047-259X(82)90077-X
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.scores import Score, Statistic
from pushforward.solvers import Grid
from pushforward.yardstick import Yardstick

COUNT = 32
SNAPSHOTS = 1024  # members at most that the modes are fitted to
RANK = 1e-9  # of the largest variance, below which a direction is round-off
PART = 2**22  # numbers worked on at once


@dataclass(frozen=True)
class Pod:
    """Modes (mode, point) of the fluctuation about `mean` (point,), and their variances (mode,).

    >>> grid = Grid((16,))
    >>> x = grid.coordinates()[0]
    >>> waves = torch.stack([torch.cos(x), torch.sin(2 * x), -torch.cos(x), -torch.sin(2 * x)])
    >>> pod = Pod.fit(waves, grid)
    >>> [round(v, 6) for v in pod.variances.tolist()]       # each half the time, mean square 1/2
    [0.25, 0.25]
    """

    grid: Grid
    mean: Float[Tensor, " point"]
    modes: Float[Tensor, "mode point"]
    variances: Float[Tensor, " mode"]

    @classmethod
    def fit(cls, sample: Float[Tensor, "member ..."], grid: Grid, count: int = COUNT) -> Pod:
        """The first modes of members (member, *grid), as many as they have, at most `count`.

        Raises ValueError for fewer than two members.
        """
        if len(sample) < 2:
            raise ValueError(
                f"expected at least 2 members for modes, got {len(sample)}; give more members"
            )
        chosen = torch.linspace(0, len(sample) - 1, min(len(sample), SNAPSHOTS)).round().long()
        x = sample[chosen].flatten(1)
        mean = x.double().mean(0)
        between_members = len(x) <= x.shape[1]
        values, vectors = torch.linalg.eigh(_gram(x, mean, between_members))
        values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
        kept = values > RANK * values[0]
        values, vectors = values[kept], vectors[:, kept]
        modes = vectors.T.contiguous()
        if between_members:
            parts = x.split(max(1, PART // len(x)), 1)
            means = mean.split(max(1, PART // len(x)))
            modes = torch.cat(
                [modes @ (p.double() - m) for p, m in zip(parts, means, strict=True)], 1
            )
        modes *= (grid.size**0.5) / modes.norm(dim=1, keepdim=True)
        return cls(grid, mean, modes, values / (len(x) * grid.size))

    def project(self, fields: Float[Tensor, "member ..."]) -> Float[Tensor, "member mode"]:
        """The coefficients of members (member, *grid), float64.

        >>> grid = Grid((8,))
        >>> pod = Pod.fit(torch.randn(6, 8), grid, count=3)
        >>> u = pod.mean + 2 * pod.modes[1]
        >>> [round(c, 9) + 0.0 for c in pod.project(u[None])[0].tolist()]
        [0.0, 2.0, 0.0]
        """
        x = fields.double().flatten(1) - self.mean
        return x @ self.modes.T / self.grid.size

    def whiten(self, fields: Float[Tensor, "member ..."]) -> Float[Tensor, "member mode"]:
        """The coefficients over their standard deviations.

        >>> pod = Pod.fit(torch.randn(40, 8), Grid((8,)), count=3)
        >>> u = pod.mean + 3 * pod.variances[1].sqrt() * pod.modes[1]
        >>> round(pod.whiten(u[None])[0, 1].item(), 9)
        3.0
        """
        return self.project(fields) / self.variances.sqrt()


def moments(c: Float[Tensor, "member mode"]) -> Float[Tensor, "member feature"]:
    """c_j, then c_i c_j for i <= j.

    >>> moments(torch.tensor([[2.0, 3.0]]))
    tensor([[2., 3., 4., 6., 9.]])
    """
    i, j = torch.triu_indices(c.shape[1], c.shape[1])
    return torch.cat([c, c[:, i] * c[:, j]], 1)


def gaussian(m: Float[Tensor, "... feature"]) -> tuple[Tensor, Tensor]:
    """The mean (..., mode) and covariance (..., mode, mode) of mean `moments`.

    >>> gaussian(moments(torch.tensor([[2.0], [4.0]])).mean(0))
    (tensor([3.]), tensor([[1.]]))
    """
    size = round((-3 + (9 + 8 * m.shape[-1]) ** 0.5) / 2)  # features = size (size + 3) / 2
    mean, upper = m[..., :size], m[..., size:]
    i, j = torch.triu_indices(size, size)
    second = m.new_zeros(*m.shape[:-1], size, size)
    second[..., i, j] = upper
    second[..., j, i] = upper
    return mean, second - mean[..., :, None] * mean[..., None, :]


def frechet(a: Float[Tensor, "... feature"], b: Float[Tensor, "... feature"]) -> Tensor:
    """The Wasserstein-2 distance of the Gaussians with mean `moments` a and b: (...).

    >>> zero, one = torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([[2.0], [6.0]]).double()
    >>> frechet(moments(zero).mean(0), moments(one).mean(0)).item() ** 2      # 4^2 + (2 - 1)^2
    17.0
    """
    (mean_a, s_a), (mean_b, s_b) = gaussian(a), gaussian(b)
    values, vectors = torch.linalg.eigh(s_a)
    root = (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT
    both = torch.linalg.eigvalsh(root @ s_b @ root).clamp_min(0).sqrt().sum(-1)
    trace = (s_a + s_b).diagonal(dim1=-2, dim2=-1).sum(-1)
    return ((mean_a - mean_b).square().sum(-1) + trace - 2 * both).clamp_min(0).sqrt()


def spectrum_distance(a: Float[Tensor, "... feature"], b: Float[Tensor, "... feature"]) -> Tensor:
    """The root mean square log10 ratio of the coefficients' variances: (...).

    >>> c = torch.randn(50, 3).double()
    >>> round(spectrum_distance(moments(10 * c).mean(0), moments(c).mean(0)).item(), 9)
    2.0
    """
    a, b = (gaussian(m)[1].diagonal(dim1=-2, dim2=-1).clamp_min(1e-300) for m in (a, b))
    return (a / b).log10().square().mean(-1).sqrt()


def _gram(x: Tensor, mean: Tensor, between_members: bool) -> Tensor:
    """Inner products of fluctuations between members, or between points, float64."""
    size = x.shape[0] if between_members else x.shape[1]
    out = torch.zeros(size, size, dtype=torch.float64)
    if between_members:
        step = max(1, PART // len(x))
        for part, m in zip(x.split(step, 1), mean.split(step), strict=True):
            d = part.double() - m
            out.addmm_(d, d.T)
    else:
        for part in x.split(max(1, PART // x.shape[1])):
            d = part.double() - mean
            out.addmm_(d.T, d)
    return out


def _rows(fields: Tensor, yardstick: Yardstick) -> Tensor:
    if yardstick.modes is None:
        return fields.new_zeros(len(fields), 0)
    return moments(yardstick.modes.project(fields) / yardstick.deviation)


def _frechet(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    return frechet(a, b) if a.shape[-1] else torch.full_like(a.sum(-1), torch.nan)


def _pod_spectrum(a: Tensor, b: Tensor, yardstick: Yardstick) -> Tensor:
    return spectrum_distance(a, b) if a.shape[-1] else torch.full_like(a.sum(-1), torch.nan)


MODES = Statistic("modes", _rows)
SCORES = (
    Score("pod_spectrum", "POD spectrum", "dex", MODES, _pod_spectrum),
    Score("frechet", "Fréchet distance in POD space", "σ", MODES, _frechet),
)
