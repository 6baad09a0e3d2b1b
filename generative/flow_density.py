r"""The log density of the probability flow: what its ordinary differential equation makes of x.

In the unit-variance variable y (see `denoiser`) the flow is dy_k = -F_k d theta_k, and along it

    log p(x) = log N(y(1); 0, 1) - sum_k int (dF_k / dy_k) d theta_k,

from theta = 0, where y = x, to theta(1). Below theta(0) no denoiser was trained. F is an odd
function of theta for every smooth density, so there it is taken for linear, theta / theta(0) times
its value at theta(0), which leaves an error of O(theta(0)^4). At the other end y is taken for the
N(0, 1) that the sampler starts from: with exact denoisers that is the error of the path's noisy
end, not of the integration. Steps are of classical Runge and Kutta, fourth order, even along the
path (`angles`).

The trace is exact (a backward pass per coefficient: small fields only) or Hutchinson's estimate,
sum_k v_k (d F_j / d y_k) v_j with v of random signs or normals, fresh for every step; it is
unbiased, for its mean is the exact sum over the same steps. F = 0 has no trace: only what is not
Gaussian is estimated.

    Chen et al., neural ODEs (2018), arXiv:1806.07366;  Grathwohl et al., FFJORD (2018),
    arXiv:1810.01367;  Song et al., score SDE (2021), arXiv:2011.13456
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pushforward.generative.angles import Angles, log_snr
from pushforward.generative.denoiser import Denoiser
from pushforward.generative.likelihood import Likelihood, log_normal
from pushforward.generative.sampler import Levels, Normals

Field = Callable[[float, Tensor], tuple[Tensor, Tensor]]  # (s, y) -> dy / ds, weighted trace


def flow_log_density(
    denoiser: Denoiser,
    levels: Levels,
    x: Float[Tensor, "batch channel mode"],
    normals: Normals | None = None,
    *,
    steps: int = 32,
    trace: Literal["exact", "rademacher", "normal"] = "exact",
    probes: int = 2,
    kept: Bool[Tensor, "channel mode"] | None = None,
) -> Likelihood:
    """log p(x) of the flow on the path `levels`, with 4 (`steps` + 1) evaluations.

    `levels` and `kept` are those of `elbo`. The trace is "exact" or Hutchinson's with `probes`
    (2 or more, for a standard error) vectors of signs ("rademacher") or normals, made from
    `normals(i)`, i = 1..(steps + 1) * probes. Members must not see each other in the denoiser.

    Raises ValueError for fewer than 1 step or 2 probes, or an estimate without `normals`.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> x, levels = torch.ones(1, 1, 1), lambda t: (14 - 28 * t)[:, None, None]
    >>> density = flow_log_density(GaussianDenoiser(4.0), levels, x, steps=16)
    >>> round(density.total.item(), 3)                  # log N(1; 0, 4)
    -1.737
    """
    if steps < 1 or probes < 2:
        raise ValueError(
            f"expected steps >= 1 and probes >= 2, got {steps} and {probes}; take more of them"
        )
    if trace != "exact" and normals is None:
        raise ValueError(
            f'expected normals for the probes of trace "{trace}", got none; give them, or take '
            'trace "exact" if the field is small'
        )
    angles = Angles(levels, x, kept)
    times = angles.times(steps)
    y, begin = x.detach(), torch.zeros_like(angles.first)
    count = 1 if trace == "exact" else probes
    lost = x.new_zeros(count, *x.shape)
    for step in range(steps + 1):  # the first from theta = 0 to theta(0)
        end = angles(times[step : step + 1])
        vectors = None
        if trace != "exact" and normals is not None:
            drawn = [normals(step * probes + probe + 1) for probe in range(probes)]
            vectors = [torch.where(v < 0, -1.0, 1.0).to(v) for v in drawn]
            vectors = vectors if trace == "rademacher" else drawn
        field = _field(denoiser, begin, end, angles.counted, vectors, below=step == 0)
        y, part = _runge_kutta(field, y)
        lost += part
        begin = end
    end_law = log_normal(y) * angles.counted
    spread = (lost - lost.mean(0)).square().sum(0)
    total_spread = (lost - lost.mean(0)).sum((2, 3)).square().sum(0)
    freedom = max(count * (count - 1), 1)
    return Likelihood(
        end_law - lost.mean(0),
        log_normal(x) * angles.counted,
        (spread / freedom).sqrt(),
        (total_spread / freedom).sqrt(),
        dimensions=int(angles.counted.sum()),
        evaluations=4 * (steps + 1),
    )


def _field(
    denoiser: Denoiser,
    begin: Tensor,
    end: Tensor,
    counted: Tensor,
    vectors: list[Tensor] | None,
    *,
    below: bool,
) -> Field:
    """The flow for s from 0 to 1, theta from begin to end; `below` theta(0), F is linear in it."""
    width = end - begin

    def field(s: float, y: Tensor) -> tuple[Tensor, Tensor]:
        theta = end if below else begin + s * width
        rate = s * width if below else width
        with torch.enable_grad():
            y = y.detach().requires_grad_()
            f = denoiser.correction(y, log_snr(theta).expand_as(y))
            traces = _traces(f, y, (rate * counted)[0], vectors)
        return -rate * f.detach(), traces

    return field


def _traces(f: Tensor, y: Tensor, weight: Tensor, vectors: list[Tensor] | None) -> Tensor:
    """weight_k dF_k / dy_k (probe, batch, channel, mode); one "probe" if it is exact."""
    out = y.new_zeros(1 if vectors is None else len(vectors), *y.shape)
    if not f.requires_grad:  # F does not depend on y
        return out
    if vectors is not None:
        for probe, v in enumerate(vectors):
            (pulled,) = torch.autograd.grad(f, y, weight * v, retain_graph=True)
            out[probe] = pulled * v
        return out
    for c, k in weight.nonzero().tolist():
        (row,) = torch.autograd.grad(f[:, c, k].sum(), y, retain_graph=True)
        out[0, :, c, k] = weight[c, k] * row[:, c, k]
    return out


def _runge_kutta(field: Field, y: Tensor) -> tuple[Tensor, Tensor]:
    """y after the step, and the integral of the trace over it."""
    v1, d1 = field(0.0, y)
    v2, d2 = field(0.5, y + v1 / 2)
    v3, d3 = field(0.5, y + v2 / 2)
    v4, d4 = field(1.0, y + v3)
    return y + (v1 + 2 * (v2 + v3) + v4) / 6, (d1 + 2 * (d2 + d3) + d4) / 6
