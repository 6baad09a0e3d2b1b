r"""Samplers that carry K variables a coefficient: Euler-Maruyama, bridge, SSCS, Strang splitting.

On the path lambda_k(t) coefficient k stands at its process's time tau_k = clock(lambda_k(t)), with
y_k = phi x_k + N(0, Sig) in K variables (see `kernel`). Of these only

    xi = phi^T Sig^{-1} y / snr = x + N(0, 1 / snr)

says anything about x, so one denoiser serves every process: D(xi, lambda) is E[x | all of y], and
the score of all K variables is -Sig^{-1} (y - phi D). With D = cos(theta) y_1 + sin(theta) F,
y_1 = cos(theta) xi, it splits about the Gaussian field of unit variance, whose y has the
covariance P = Sig + phi phi^T at every tau, with or without a stationary law:

    score = -P^{-1} y + sin(theta) Sig^{-1} phi F.

F = 0 where the field is Gaussian, and then the reverse process is linear with known transitions.
One step from tau to tau' < tau, d = tau - tau', is with

    euler_maruyama  y' = y + d (N score - drift y) + sqrt(d) N^{1/2} z, for K = 1 the reverse
                    diffusion of score SDEs, Multilevel and MDM; of order 1, unstable where stiff
    bridge          y' from its law given y and x = D; of order 1, the spread too small by O(d)
    sscs            CLD's, for any Q and D: the stationary law's exact reverse transition to the
                    middle of the step (in t), Euler's step d N (score + S^{-1} y) there, and the
                    exact transition again; exact for F = 0 if the auxiliaries start stationary
                    (v0 = 1), else of order 1
    strang          the same about the Gaussian field: its exact transitions and the denoiser's
                    push (see `reversal`), with one look at F (order 1) or a second half-way
                    (order 2); for F = 0 exact in any number of steps, for all processes

where a second half of a step is joined with the next first half. In reverse time phi^T Sig^{-1} y
is a Brownian motion with drift x in the snr's own time, whatever the process. So `strang` and
`bridge`, exact in what is linear, draw x from one law for all processes on a path; the other two
step y itself and differ by their errors.

All start from N(0, P), which is matched in its moments to the data, not from N(0, S), and end as
the flow does (see `sampler`), with x = y_1 + theta F at t = 0, which removes the noise that is
left. A coefficient whose level does not move stays as it starts.

    Singhal, Goldstein, Ranganath, MDM (2023), arXiv:2302.07261
    Song et al., score SDE (2021), arXiv:2011.13456;  Ho et al., DDPM (2020), arXiv:2006.11239
    Dockhorn, Vahdat, Kreis, CLD and SSCS (2022), arXiv:2112.07068
    Hagemann et al., Multilevel diffusion (2023), arXiv:2303.04772
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from pushforward.generative.denoiser import Denoiser
from pushforward.generative.kernel import Dynamics
from pushforward.generative.reversal import (
    bridge_step,
    euler_step,
    sscs_step,
    stationary_step,
    strang_step,
)
from pushforward.generative.sampler import Levels, Normals, step_times
from pushforward.generative.walk import Times, Walk, Watch

Fields = Float[Tensor, "batch channel mode"]


def euler_maruyama(
    denoiser: Denoiser,
    levels: Levels,
    dynamics: Dynamics,
    normals: Normals,
    *,
    steps: int = 500,
    start: Fields | None = None,
    watch: Watch | None = None,
) -> Fields:
    """Whitened fields x by the reverse SDE in steps of t: `steps` network evaluations.

    `levels(t)` (1, channel, mode) falls with t in [0, 1]; `normals(i)` gives standard normals of
    the result's shape and dtype, i < K for the start and K of them a step. `start` is the
    unit-variance y_1 = cos(theta) xi at levels(1) where it is not normals(0). `watch(i, y_1)`
    looks at, and replaces, it at evaluation i (i = 0..steps - 1), and x at the end (i = steps).

    Raises ValueError for steps < 1 and for levels that rise with t.

    >>> import torch
    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> from pushforward.generative.process import Process
    >>> levels = lambda t: (6 - 12 * t)[:, None, None].expand(-1, 1, 3)
    >>> normals = lambda i: torch.full((2, 1, 3), float(i == 0))
    >>> vp = Process("vp").dynamics()
    >>> euler_maruyama(GaussianDenoiser(), levels, vp, normals, steps=9).shape
    torch.Size([2, 1, 3])
    """
    times = _times(steps)
    walk = Walk(denoiser, levels, dynamics, normals, watch)
    return walk.run(times, list(pairwise(times)), euler_step, start)


def bridge(
    denoiser: Denoiser,
    levels: Levels,
    dynamics: Dynamics,
    normals: Normals,
    *,
    steps: int = 100,
    start: Fields | None = None,
    watch: Watch | None = None,
) -> Fields:
    """Whitened fields x by the law of y' given y and x = D: `steps` network evaluations.

    Arguments and errors are those of `euler_maruyama`; with K = 1 it is DDPM's ancestral sampler.

    >>> import torch
    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> from pushforward.generative.process import Process
    >>> levels = lambda t: (6 - 12 * t)[:, None, None].expand(-1, 1, 3)
    >>> normals = lambda i: torch.full((2, 1, 3), float(i == 0))
    >>> bridge(GaussianDenoiser(), levels, Process("cld").dynamics(), normals, steps=9).shape
    torch.Size([2, 1, 3])
    """
    times = _times(steps)
    walk = Walk(denoiser, levels, dynamics, normals, watch)
    return walk.run(times, list(pairwise(times)), bridge_step, start)


def strang(
    denoiser: Denoiser,
    levels: Levels,
    dynamics: Dynamics,
    normals: Normals,
    *,
    steps: int = 32,
    order: Literal[1, 2] = 1,
    start: Fields | None = None,
    watch: Watch | None = None,
) -> Fields:
    """Whitened fields x by splitting off the Gaussian field: `steps` network evaluations, with
    order 2 `strang_evaluations`.

    Arguments and errors are those of `euler_maruyama`; evaluations are at the middles of
    steps - 1 steps of t, with order 2 twice, and at t = 0.

    >>> import torch
    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> from pushforward.generative.process import Process
    >>> levels = lambda t: (6 - 12 * t)[:, None, None].expand(-1, 1, 1)
    >>> one = lambda j: lambda i: torch.full((1, 1, 1), float(i == j), dtype=torch.float64)
    >>> cld = Process("cld").dynamics()
    >>> x = [strang(GaussianDenoiser(), levels, cld, one(j), steps=4) for j in range(10)]
    >>> round(float(torch.stack(x).square().sum()), 12)     # the variance, of all normals together
    1.0
    """
    times, moves = _split(steps)
    walk = Walk(denoiser, levels, dynamics, normals, watch)
    return walk.run(times, moves, strang_step, start, midpoint=order == 2)


def strang_evaluations(steps: int, order: int = 1) -> int:
    """The network evaluations of `strang`.

    >>> strang_evaluations(32), strang_evaluations(32, order=2)
    (32, 63)
    """
    return order * (steps - 1) + 1


def sscs(
    denoiser: Denoiser,
    levels: Levels,
    dynamics: Dynamics,
    normals: Normals,
    *,
    steps: int = 100,
    start: Fields | None = None,
    watch: Watch | None = None,
) -> Fields:
    """Whitened fields x by splitting off the stationary law: `steps` network evaluations.

    Arguments are those of `euler_maruyama`; evaluations are at the middles of steps - 1 steps of t
    and at t = 0.

    Raises ValueError as it does and for a process without a stationary law.

    >>> import torch
    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> from pushforward.generative.process import Process
    >>> levels = lambda t: (6 - 12 * t)[:, None, None].expand(-1, 1, 3)
    >>> normals = lambda i: torch.full((2, 1, 3), float(i == 0))
    >>> sscs(GaussianDenoiser(), levels, Process("cld").dynamics(), normals, steps=9).shape
    torch.Size([2, 1, 3])
    """
    if dynamics.S is None:
        raise ValueError("expected a process with a stationary law, got none; use `strang`")
    times, moves = _split(steps)
    walk = Walk(denoiser, levels, dynamics, normals, watch)
    return walk.run(times, moves, sscs_step, start, between=stationary_step)


def _split(steps: int) -> tuple[Times, list[Times]]:
    """Where a split step looks (the middles, and 0), and its edge, middle, edge, next middle."""
    edges = _times(steps)
    times = [(now + to) / 2 for now, to in pairwise(edges)] + edges[-1:]
    return times, list(zip(edges, times, edges[1:], times[1:], strict=False))


def _times(steps: int) -> list[float]:
    if steps < 1:
        raise ValueError(f"expected steps >= 1, got {steps}; take one at least")
    return step_times(steps).tolist()
