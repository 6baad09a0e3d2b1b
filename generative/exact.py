r"""Exact denoisers: of Gaussian fields and of their mixtures, for tests and as references.

For x ~ N(m, S) and xi = x + N(0, diag(e^{-lambda})) the posterior mean is
m + S (S + diag(e^{-lambda}))^{-1} (xi - m), and for a mixture the posterior means are weighed by
the posterior weights of the components. In y = cos(theta) xi all of it stays finite at both ends:
y ~ N(cos m, cos S cos + sin^2).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative.denoiser import Denoiser, angle


class GaussianDenoiser(Denoiser):
    """The exact denoiser of x ~ N(0, diag(variance)).

    >>> exact = GaussianDenoiser(torch.tensor([[4.0]]))
    >>> xi, log_snr = torch.tensor([[[2.0]]]), torch.zeros(1, 1, 1)
    >>> round(exact(xi, log_snr).item(), 4)     # 4 / (4 + 1) of it
    1.6
    """

    variance: Tensor

    def __init__(self, variance: Float[Tensor, "channel mode"] | float = 1.0) -> None:
        super().__init__()
        self.register_buffer("variance", torch.as_tensor(variance))

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        theta = angle(log_snr)
        s, c = torch.sin(theta), torch.cos(theta)
        return s * c * (self.variance - 1) / (self.variance * c**2 + s**2) * y


class MixtureDenoiser(Denoiser):
    """The exact denoiser of a mixture of N(mean_j, diag(variance_j)).

    `weights` (component,), `means` and `variances` (component, channel, mode).

    >>> one = MixtureDenoiser(torch.ones(1), torch.zeros(1, 1, 1), torch.full((1, 1, 1), 4.0))
    >>> round(one(torch.tensor([[[2.0]]]), torch.zeros(1, 1, 1)).item(), 4)
    1.6
    """

    def __init__(self, weights: Tensor, means: Tensor, variances: Tensor) -> None:
        super().__init__()
        self.log_weights = torch.log(weights / weights.sum())
        self.means, self.variances = means, variances

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        theta = angle(log_snr)[:, None]
        s, c, y = torch.sin(theta), torch.cos(theta), y[:, None]
        spread = self.variances * c**2 + s**2
        distance = y - c * self.means
        log_p = self.log_weights - 0.5 * (distance**2 / spread + spread.log()).sum((-1, -2))
        weight = torch.softmax(log_p, 1)[..., None, None]
        # F of every component: of the mean, and of what y shows of the rest
        pull = s * self.means + s * c * (self.variances - 1) / spread * distance
        return (weight * pull).sum(1)


class CovarianceDenoiser(Denoiser):
    """The exact denoiser of a mixture of N(mean_j, covariance_j) with full covariances.

    `weights` (component,), `means` (component, channel, mode), `covariances` (component, d, d)
    with d = channel * mode. The levels must be the same for the whole batch, as a sampler's are.

    >>> one = CovarianceDenoiser(torch.ones(1), torch.zeros(1, 1, 1), torch.full((1, 1, 1), 4.0))
    >>> round(one(torch.tensor([[[2.0]]]), torch.zeros(1, 1, 1)).item(), 4)
    1.6
    """

    def __init__(self, weights: Tensor, means: Tensor, covariances: Tensor) -> None:
        super().__init__()
        self.log_weights = torch.log(weights / weights.sum())
        self.means, self.covariances = means.flatten(1), covariances

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        theta = angle(log_snr[0]).flatten()
        if not bool((log_snr == log_snr[:1]).all()):
            raise ValueError(
                "expected one log snr for the whole batch, got several; denoise them one by one"
            )
        s, c = torch.sin(theta), torch.cos(theta)
        flat = y.flatten(1)
        logs, parts = [], []
        for log_weight, mean, covariance in zip(
            self.log_weights, self.means, self.covariances, strict=True
        ):
            spread = c[:, None] * covariance * c + torch.diag(s**2)
            factor = torch.linalg.cholesky(spread)
            distance = flat - c * mean
            white = torch.linalg.solve_triangular(factor, distance.T, upper=False).T
            log_det = 2 * factor.diagonal().log().sum()
            logs.append(log_weight - 0.5 * (white.square().sum(1) + log_det))
            solved = torch.cholesky_solve(distance.T, factor).T
            # F is the mean of s x - c eps, and given a component that of eps is s w
            parts.append(s * (mean + (solved * c) @ covariance) - c * s * solved)
        weight = torch.softmax(torch.stack(logs, 1), 1)
        return (weight[..., None] * torch.stack(parts, 1)).sum(1).view_as(y)
