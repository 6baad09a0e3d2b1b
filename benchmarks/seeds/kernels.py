r"""What a transition kernel costs, worked out by hand and automatically: MDM's table 1.

A batch of 256 images at 256 times of their own is perturbed by critically damped Langevin
dynamics, M = 1 and v0 = 0.01 as in MDM's code, beta from 0.1 to 10: for each time the mean's
factor phi and a Cholesky factor of Sig, and for each coefficient x two numbers phi x + L eps. The
same in four ways, in single precision where nothing else is said:

    analytic    CLD's closed form, and that of a 2 x 2 Cholesky factor
    automatic   MDM's: exp of the 4 x 4 block [[F, N], [0, -F^T]] tau, and of F tau
    doubling    ours, for any K: `Dynamics.factors` in double precision, then rounded
    levels      ours, what a training takes: one number y_1 = cos(theta) x + sin(theta) eps, all
                that the K numbers say about x, at the path's log snr, which needs no factor at all

Times are of the processor, one thread, medians of interleaved rounds. The error of a kernel is the
largest over the times: of phi, and of Sig_ij in units of (Sig_ii Sig_jj)^{1/2}, against the closed
form in 60 digits; that of `levels` is of 1 / snr, in parts of it.

    Singhal, Goldstein, Ranganath, MDM (2023), arXiv:2302.07261, table 1: seconds on their machine
    Dockhorn, Vahdat, Kreis, CLD (2022), arXiv:2112.07068, appendix B
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from statistics import median

import mpmath
import torch
from torch import Tensor

from benchmarks.training.rounds import interleaved
from pushforward.generative import Modes, Process, preset
from pushforward.generative.denoiser import angle
from pushforward.generative.path import Levels

BATCH, EARLIEST, V0, ROUNDS = 256, 1e-3, 0.01, 15
SHAPES = {"mnist": (1, 28, 28), "cifar": (3, 32, 32)}
PUBLISHED = {
    "mnist": {"analytic": 0.0062, "automatic": 0.007},
    "cifar": {"analytic": 0.027, "automatic": 0.029},
}
PROCESS = Process("cld", mass=1.0, v0=V0)
DYNAMICS = PROCESS.dynamics()

Kernel = tuple[Tensor, Tensor]  # phi (batch, 2) and L (batch, 2, 2)


def times(batch: int = BATCH) -> Tensor:
    """Times of a batch, even from the earliest to 1, float64."""
    return torch.linspace(EARLIEST, 1, batch, dtype=torch.float64)


def own_time(t: Tensor) -> Tensor:
    """tau, the integral of beta."""
    return 0.1 * t + 4.95 * t * t


def analytic(t: Tensor) -> Kernel:
    """The closed form, for M = 1.

    >>> phi, L = analytic(times(2))
    >>> [round(x, 4) for x in phi[1].tolist()]        # e^-5.05 (1 + 5.05), -5.05 e^-5.05
    [0.0388, -0.0324]
    """
    z = own_time(t).float()
    shrunk = torch.exp(-2 * z)
    xx = shrunk * (torch.expm1(2 * z) - 2 * z - 2 * z * z + V0 * z * z)
    xv = -shrunk * z * ((1 - V0) * (1 - z) - (1 + z))
    vv = 1 - shrunk * (z * z + (1 - V0) * (1 - z) ** 2)
    first = xx.sqrt()
    below = xv / first
    last = (vv - below * below).sqrt()
    rows = [torch.stack([first, torch.zeros_like(z)], -1), torch.stack([below, last], -1)]
    return torch.exp(-z)[:, None] * torch.stack([1 + z, -z], -1), torch.stack(rows, -2)


def automatic(t: Tensor) -> Kernel:
    """The block exponential; NaN where Sig is not positive in single precision.

    >>> phi, L = automatic(times(2))
    >>> [round(x, 4) for x in phi[1].tolist()]
    [0.0388, -0.0324]
    """
    tau = own_time(t).float()[:, None, None]
    F, N, start = (part.float() for part in (DYNAMICS.F, DYNAMICS.N, DYNAMICS.V0))
    block = torch.cat([torch.cat([F, N], 1), torch.cat([torch.zeros_like(F), -F.mT], 1)])
    C, H = (
        torch.linalg.matrix_exp(block * tau) @ torch.cat([start, torch.eye(len(F))])
    ).split(len(F), 1)  # fmt: skip
    Sig = C @ torch.linalg.inv(H)
    L, fault = torch.linalg.cholesky_ex((Sig + Sig.mT) / 2)
    L = torch.where((fault > 0)[:, None, None], math.nan, L)
    return torch.linalg.matrix_exp(F * tau)[..., 0], L


def doubling(t: Tensor) -> Kernel:
    """The library's kernel.

    >>> phi, L = doubling(times(2))
    >>> [round(x, 4) for x in phi[1].tolist()]
    [0.0388, -0.0324]
    """
    R, _, h = DYNAMICS.factors(own_time(t))
    return (R @ h[..., None])[..., 0].float(), R.float()


KERNELS: dict[str, Callable[[Tensor], Kernel]] = {
    "analytic": analytic,
    "automatic": automatic,
    "doubling": doubling,
}


def perturbed(kernel: Callable[[Tensor], Kernel], t: Tensor, x: Tensor) -> Tensor:
    """Both variables (batch, coefficient, 2) of coefficients x (batch, coefficient)."""
    phi, L = kernel(t)
    eps = torch.randn(*x.shape, 2)
    return phi[:, None] * x[..., None] + eps @ L.mT


def seen(levels: Callable[[Tensor], Tensor], t: Tensor, x: Tensor) -> Tensor:
    """What a training sees, y_1, of coefficients x (batch, channel, mode)."""
    theta = angle(levels(t.float()))
    return torch.cos(theta) * x + torch.sin(theta) * torch.randn_like(x)


def path(shape: tuple[int, ...]) -> Levels:
    """The levels of an image's coefficients on MDM's clock, from its earliest time to 1."""
    first, last = DYNAMICS.log_snr(own_time(times(2))).tolist()
    modes = Modes(torch.zeros(shape[0], math.prod(shape[1:])))
    given = preset("gud").path
    return Levels(type(given)(schedule="process", highest=first, lowest=last), modes, DYNAMICS)


def exact(t: Tensor) -> tuple[Tensor, Tensor]:
    """phi and Sig in 60 digits, rounded to double precision."""
    phi, Sig = [], []
    with mpmath.workdps(60):
        for z in map(mpmath.mpf, own_time(t).tolist()):
            shrunk, r = mpmath.exp(-2 * z), 1 - mpmath.mpf(V0)
            xx = 1 - shrunk * ((1 + z) ** 2 + r * z * z)
            xv = -shrunk * z * (r * (1 - z) - (1 + z))
            vv = 1 - shrunk * (z * z + r * (1 - z) ** 2)
            phi.append([float(part * mpmath.exp(-z)) for part in (1 + z, -z)])
            Sig.append([[float(xx), float(xv)], [float(xv), float(vv)]])
    return torch.tensor(phi, dtype=torch.float64), torch.tensor(Sig, dtype=torch.float64)


def error(kernel: Callable[[Tensor], Kernel], t: Tensor) -> float:
    """The largest relative error of a kernel, infinite where it has no Cholesky factor.

    >>> error(doubling, times()) < 1e-6
    True
    """
    (phi, L), (phi_exact, Sig) = kernel(t), exact(t)
    size = Sig.diagonal(dim1=-2, dim2=-1).sqrt()
    off = (L.double() @ L.double().mT - Sig) / (size[..., :, None] * size[..., None, :])
    worst = max(float((phi - phi_exact).abs().max()), float(off.abs().max()))
    return worst if math.isfinite(worst) and not bool(off.isnan().any()) else math.inf


def error_of_levels(levels: Levels, t: Tensor) -> float:
    """The largest relative error of 1 / snr."""
    phi, Sig = exact(t)
    snr = (phi * torch.linalg.solve(Sig, phi[..., None])[..., 0]).sum(-1)
    share = (t - EARLIEST) / (1 - EARLIEST)
    return float((levels(share.float())[:, 0, 0].double().exp() / snr - 1).abs().max())


def measure(rounds: int = ROUNDS) -> dict[str, dict[str, dict[str, float]]]:
    """By data set and way: `seconds` a batch, those of the `kernel` alone, `error`, and the
    `published` seconds where there are some."""
    t = times()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, shape in SHAPES.items():
        x, levels = torch.randn(BATCH, shape[0], math.prod(shape[1:])), path(shape)
        share = (t - EARLIEST) / (1 - EARLIEST)
        jobs: dict[str, Callable[[], object]] = {
            way: partial(perturbed, kernel, t, x.flatten(1)) for way, kernel in KERNELS.items()
        }
        jobs["levels"] = partial(seen, levels, share, x)
        alone: dict[str, Callable[[], object]] = {
            f"{way} alone": partial(kernel, t) for way, kernel in KERNELS.items()
        }
        alone["levels alone"] = partial(levels, share.float())
        taken = {
            way: median(one.cpu) / 1e3 for way, one in interleaved(jobs | alone, rounds).items()
        }
        errors = {way: error(kernel, t) for way, kernel in KERNELS.items()}
        errors["levels"] = error_of_levels(levels, t)
        found[name] = {
            way: {"seconds": taken[way], "kernel": taken[f"{way} alone"], "error": errors[way]}
            for way in jobs
        }
        for way, seconds in PUBLISHED[name].items():
            found[name][way]["published"] = seconds
    return found
