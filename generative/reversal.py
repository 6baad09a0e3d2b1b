r"""Steps back in a process's time, from tau to tau' < tau: affine maps of K variables.

Of y = phi x + N(0, Sig) only y_1 = see . y says anything about x (see `lifted`),

    see = Sig^{-1} phi / sqrt(snr (1 + snr)),      lift = phi sqrt((1 + snr) / snr),

and y - lift y_1 is independent of x and of y_1. A step is y' = A y + b F + L z, with F the
denoiser's correction at y_1 and z standard normal. All that depends on tau is in A, b and L, which
are made in float64, once per level, and then applied in the data's own dtype.

**Back through a Gaussian.** With y' ~ N(m, R' R'^T) and y = Phi y' + N(0, Q), y' given y has the
gain G and the covariance C, for any factors R' and R of the covariances of y' and y,

    G = R' T^T R^{-1},             T = R^{-1} Phi R',
    C = R' (1 + B^T B)^{-1} R'^T,  B = chol(Q)^{-1} Phi R',

products, not differences of nearly equal matrices, for steps however short. The bridge has
R' R'^T = Sig' and m = phi' D; the Gaussian field has P' = Sig' + phi' phi'^T and m = 0.

**The push** is what the denoiser adds to the Gaussian field, dy / dtau = N Sig^{-1} phi
(D - cos(theta) y_1) backwards. Along it cos(theta) y_1 = s nears D at the rate
kappa = |N^{1/2} Sig^{-1} phi|^2 / (1 + snr) of tau, whose integral is known,
W = log((1 + snr_end) / (1 + snr_start)). D - (1 - h) s is held, h = 1 - 1 / (2 + W): of a short
push half is expected to come back in D, of a long one nothing, so that s moves by the part
(1 - e^{-h W}) / h of its way, which is stable for any W. The variables beside y_1 move with it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.generative.kernel import Dynamics


class Step(NamedTuple):
    """y' = A y + b F + L z: (.., K, K), (.., K) and (.., K, K)."""

    A: Tensor
    b: Tensor
    L: Tensor


class View(NamedTuple):
    """y_1 = see . y, y = lift y_1 + rest z: (.., K), (.., K) and (.., K, K - 1)."""

    see: Tensor
    lift: Tensor
    rest: Tensor


class _Level:
    """What steps need of one side, at tau with 0 replaced; `clean` says where."""

    def __init__(self, dynamics: Dynamics, tau: Tensor) -> None:
        self.clean = tau == 0
        self.R, self.R_inv, self.h = dynamics.factors(
            torch.where(self.clean, 1 / dynamics.size, tau)
        )
        self.snr = self.h.square().sum(-1)
        self.cos = (self.snr / (1 + self.snr)).sqrt()
        self.sin = 1 / (1 + self.snr).sqrt()
        self.phi = _apply(self.R, self.h)
        self.score = _apply(self.R_inv.mT, self.h)  # Sig^-1 phi

    def field(self) -> Tensor:
        """The Cholesky factor of the Gaussian field's covariance."""
        return torch.linalg.cholesky(
            self.R @ self.R.mT + self.phi[..., :, None] * self.phi[..., None, :]
        )


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a[..., :, None] * b[..., None, :]


def view(dynamics: Dynamics, tau: Tensor) -> View:
    """The variable that is seen, and the way back, at tau >= 0.

    >>> from pushforward.generative.process import Process
    >>> found = view(Process("cld").dynamics(), torch.tensor([0.5], dtype=torch.float64))
    >>> round(float((found.see * found.lift).sum()), 12)
    1.0
    """
    at, eye = _Level(dynamics, tau), torch.eye(dynamics.variables).to(tau)
    first, clean = eye[0], at.clean[..., None]
    see = torch.where(clean, first, at.score * (at.sin / at.snr.sqrt())[..., None])
    lift = torch.where(clean, first, at.phi / at.cos[..., None])
    # a reflection that takes the first axis to h: its other columns span what h leaves
    direction = at.h / at.snr.sqrt()[..., None]
    normal = direction + torch.where(direction[..., :1] < 0, -1.0, 1.0) * first
    mirror = eye - _outer(normal, 2 * normal / normal.square().sum(-1, keepdim=True))
    start = dynamics.V0.diagonal().sqrt().diag()
    rest = torch.where(clean[..., None], start, at.R @ mirror)[..., 1:]
    return View(see, lift, rest)


def euler_step(dynamics: Dynamics, tau: Tensor, to: Tensor) -> Step:
    """Euler-Maruyama on the reverse SDE."""
    at, d = _Level(dynamics, tau), tau - to
    field_inv = torch.cholesky_inverse(at.field())
    drift = dynamics.F + dynamics.N @ field_inv
    A = torch.eye(dynamics.variables).to(tau) - d[..., None, None] * drift
    b = d[..., None] * at.sin[..., None] * (at.score @ dynamics.N)
    root, fault = torch.linalg.cholesky_ex(dynamics.N)
    if int(fault):  # not all variables have noise of their own
        spread, axes = torch.linalg.eigh(dynamics.N)
        root = axes * spread.clamp_min(0).sqrt()
    L = d.sqrt()[..., None, None] * root
    return _still(Step(A, b, L), d)


def bridge_step(dynamics: Dynamics, tau: Tensor, to: Tensor) -> Step:
    """The law of y' given y and x = D."""
    at, after = _Level(dynamics, tau), _Level(dynamics, to)
    start = dynamics.V0.diagonal().sqrt().diag()
    first = torch.eye(dynamics.variables).to(tau)[0]
    # lower triangular, which keeps the scales of position and velocity apart
    R = torch.linalg.qr(after.R.mT).R.mT
    R = torch.where(after.clean[..., None, None], start, R)
    phi = torch.where(after.clean[..., None], first, after.phi)
    gain, noise = _back(dynamics, at.R_inv, R, tau - to)
    rest = phi - _apply(gain, at.phi)
    see = at.score * (at.sin / at.snr.sqrt())[..., None]
    A = gain + _outer(rest * at.cos[..., None], see)
    return _still(Step(A, rest * at.sin[..., None], noise), tau - to)


def field_step(dynamics: Dynamics, tau: Tensor, to: Tensor) -> Step:
    """The Gaussian field's own law of y' given y."""
    after = _Level(dynamics, to)
    start = dynamics.V0 + torch.diag(torch.eye(dynamics.variables).to(tau)[0])
    R = torch.where(after.clean[..., None, None], start.diagonal().sqrt().diag(), after.field())
    before = _Level(dynamics, tau).field()
    inverse = torch.linalg.solve_triangular(
        before, torch.eye(dynamics.variables).to(tau), upper=False
    )
    gain, noise = _back(dynamics, inverse, R, tau - to)
    return _still(Step(gain, torch.zeros_like(gain[..., 0]), noise), tau - to)


def strang_step(
    dynamics: Dynamics, before: Tensor, tau: Tensor, after: Tensor, to: Tensor
) -> tuple[Tensor, ...]:
    """The push over before .. after as seen at tau, then the field's law of y' given y at `to`.

    Beside A, b and L two numbers for a second look: half a push moves y_1 by ahead tan(theta) F,
    and F there plus kept F is then the F of the whole push.
    """
    at, sight, on = _Level(dynamics, tau), view(dynamics, tau), field_step(dynamics, tau, to)
    low, high = dynamics.log_snr(before).exp(), dynamics.log_snr(after).exp()
    # the integral of the rate of y_1 towards D
    way = torch.where(before > 0, torch.log1p((high - low) / (1 + low)), 0.0)
    held = 1 - 1 / (2 + way)
    whole, kept = -torch.expm1(-held * way) / held, -torch.expm1(-held * way / 2)
    time = (before - after) * torch.where(way > 1e-9, whole / way.clamp_min(1e-300), 1.0)
    push = at.score @ dynamics.N
    beside = push - sight.lift * (sight.see * push).sum(-1, keepdim=True)
    push = sight.lift * (whole / at.snr.sqrt())[..., None] + beside * (time * at.sin)[..., None]
    push = torch.where(at.clean[..., None], 0.0, push)
    kept = torch.where(at.clean, 0.0, kept)
    return on.A, _apply(on.A, push), on.L, kept / held, kept


def stationary_step(dynamics: Dynamics, tau: Tensor, to: Tensor) -> Step:
    """The law of y' given y as if y had its stationary law at tau already."""
    d = tau - to
    reverse = -(dynamics.F + dynamics.N @ torch.linalg.inv(dynamics.S))
    back = Dynamics(reverse, dynamics.N, dynamics.S, dynamics.V0)
    A, Q = back.transition(torch.where(d > 0, d, 1 / dynamics.size))
    return _still(Step(A, torch.zeros_like(A[..., 0]), torch.linalg.cholesky(Q)), d)


def sscs_step(dynamics: Dynamics, before: Tensor, tau: Tensor, after: Tensor, to: Tensor) -> Step:
    """Euler's step of what the score has beside the stationary law's, then that law's step."""
    at, on = _Level(dynamics, tau), stationary_step(dynamics, tau, to)
    d = torch.where(at.clean, 0.0, before - after)[..., None]
    excess = torch.linalg.inv(dynamics.S) - torch.cholesky_inverse(at.field())
    A = torch.eye(dynamics.variables).to(tau) + d[..., None] * (dynamics.N @ excess)
    b = d * at.sin[..., None] * (at.score @ dynamics.N)
    return Step(on.A @ A, _apply(on.A, b), on.L)


def _back(dynamics: Dynamics, R_inv: Tensor, R: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """The gain and a factor of the covariance of y' ~ N(., R R^T) given y, d later."""
    Phi, Q = dynamics.transition(torch.where(d > 0, d, 1 / dynamics.size))
    T = R_inv @ Phi @ R
    B = torch.linalg.solve_triangular(torch.linalg.cholesky(Q), Phi @ R, upper=False)
    C = torch.linalg.cholesky(torch.eye(dynamics.variables).to(B) + B.mT @ B)
    return R @ T.mT @ R_inv, torch.linalg.solve_triangular(C, R.mT, upper=False).mT


def _still(step: Step, d: Tensor) -> Step:
    """The step, or none where no time passes."""
    moves = (d > 0)[..., None]
    eye = torch.eye(step.A.shape[-1]).to(step.A)
    return Step(
        torch.where(moves[..., None], step.A, eye),
        torch.where(moves, step.b, 0.0),
        torch.where(moves[..., None], step.L, 0.0),
    )
