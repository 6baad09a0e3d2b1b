r"""Linear diffusions of one coefficient with K variables: transition kernel, snr, inverse clock.

A coefficient x is the first of K variables y; the others, auxiliaries such as a velocity, start
independent of it, y(0) = (x, v), v ~ N(0, V0), and all diffuse in the process's own time tau,

    dy = F y dtau + N^{1/2} dW,      y(tau) | x ~ N(phi x, Sig),    phi = exp(F tau) e_0,
    Sig = int_0^tau exp(F s) N exp(F s)^T ds + exp(F tau) V0 exp(F tau)^T.

**Doubling.** Phi = exp(F h) and the integral come from their Taylor series for |F| h <= 1/2 and
then from Sig(2h) = Sig + Phi Sig Phi^T, Phi(2h) = Phi Phi, the latter as E(2h) = 2 E + E E while
E = Phi - 1 is small, which does not multiply the rounding of 1. Only positive semidefinite terms
are added to Sig and nothing is inverted, so Sig_ij is right to a few roundings of
(Sig_ii Sig_jj)^{1/2} for small and large tau, in float32 as well, where block exponentials grow
and S - Phi S Phi^T cancels. An entry that passes through 0 has fewer digits of its own, and phi
has those of 1. Critically damped F are defective, so nothing is diagonalised.

**Signal to noise.** snr(tau) = phi^T Sig^{-1} phi falls at the rate w = |N^{1/2} Sig^{-1} phi|^2;
its inverse is the clock tau(lambda), lambda = log snr, on which every path can run. All is read
off a factor, Sig = R R^T: with h = R^{-1} phi, snr = |h|^2. For small tau Sig itself is near
singular (position is velocity times time), but the noise carried back to tau = 0,
W = int_0^tau exp(-F s) N exp(-F s)^T ds, is only badly scaled: there R = exp(F tau) chol(W + V0).

    Van Loan, IEEE TAC 23 (1978);  Singhal, Goldstein, Ranganath, MDM (2023), arXiv:2302.07261
    Dockhorn, Vahdat, Kreis, CLD (2022), arXiv:2112.07068
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

SHORT = 0.5  # |F| tau up to which the series are used
TERMS = 20  # of the series: 1 / 20! is beyond float64
KNOWN = 64  # levels whose times are kept in mind
LIMIT = 80.0  # |log snr| beyond which a coefficient counts as clean or as pure noise


@dataclass(frozen=True, eq=False)
class Dynamics:
    """Drift F, noise N, stationary covariance S (None where there is none) and covariance V0 at
    tau = 0, all (K, K) in float64; the first variable is the data's.

    >>> I = torch.ones(1, 1, dtype=torch.float64)
    >>> vp = Dynamics(-I / 2, I, I, 0 * I)
    >>> vp.log_snr(torch.tensor([1.0], dtype=torch.float64))    # 1 / (e - 1)
    tensor([-0.5413], dtype=torch.float64)
    >>> vp.clock(torch.tensor([-0.5413], dtype=torch.float64)).round(decimals=3)
    tensor([1.], dtype=torch.float64)
    """

    F: Float[Tensor, "K K"]
    N: Float[Tensor, "K K"]
    S: Float[Tensor, "K K"] | None
    V0: Float[Tensor, "K K"]

    @property
    def variables(self) -> int:
        """K."""
        return len(self.F)

    def to(self, device: torch.device | str) -> Dynamics:
        """The same on another device; itself where it is there already."""
        if self.F.device == torch.device(device):
            return self
        S = None if self.S is None else self.S.to(device)
        return Dynamics(self.F.to(device), self.N.to(device), S, self.V0.to(device))

    def transition(
        self, tau: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape K K"], Float[Tensor, "*shape K K"]]:
        """exp(F tau) and the covariance of the noise gathered over tau, in tau's dtype.

        Raises ValueError for negative or infinite tau.
        """
        if not (tau.isfinite() & (tau >= 0)).all():
            raise ValueError(f"expected finite tau >= 0, got {tau}; see `clock` for clean levels")
        halvings = torch.ceil(torch.log2(tau.detach() * (self.size / SHORT))).clamp_min(0)
        E, Sig = self._short(tau * torch.exp2(-halvings), 1)
        eye = self._eye.to(tau)
        Phi = eye + E
        for done in range(int(halvings.max())) if tau.numel() else ():
            again = (halvings > done)[..., None, None]
            Sig = torch.where(again, Sig + Phi @ Sig @ Phi.mT, Sig)
            E = torch.where(again, 2 * E + E @ E, E)
            small = E.detach().abs().amax((-1, -2), keepdim=True) < 0.5
            Phi = torch.where(small, eye + E, torch.where(again, Phi @ Phi, Phi))
        return Phi, (Sig + Sig.mT) / 2

    def kernel(
        self, tau: Float[Tensor, "*shape"]
    ) -> tuple[Float[Tensor, "*shape K"], Float[Tensor, "*shape K K"]]:
        """phi and Sig of y(tau) | x ~ N(phi x, Sig), the auxiliaries' start included, in tau's
        dtype."""
        Phi, Sig = self.transition(tau)
        return Phi[..., 0], Sig + Phi @ self.V0.to(tau) @ Phi.mT

    def factors(
        self, tau: Float[Tensor, "*shape"]
    ) -> tuple[
        Float[Tensor, "*shape K K"], Float[Tensor, "*shape K K"], Float[Tensor, "*shape K"]
    ]:
        """R, R^{-1} and h = R^{-1} phi with Sig = R R^T, for tau > 0, in float64."""
        tau, edge = tau.to(self.F), self.F.new_tensor(SHORT / self.size)
        near = tau <= edge
        eye, short = self._eye, torch.where(near, tau, edge)
        (ahead, _), (back, W) = self._short(short, 1), self._short(short, -1)
        L = torch.linalg.cholesky(W + self.V0)
        L_inv = torch.linalg.solve_triangular(L, eye, upper=False)
        phi, Sig = self.kernel(torch.where(near, edge, tau))
        far = torch.linalg.cholesky(Sig)
        far_inv = torch.linalg.solve_triangular(far, eye, upper=False)
        square = near[..., None, None]
        return (
            torch.where(square, L + ahead @ L, far),
            torch.where(square, L_inv + L_inv @ back, far_inv),
            torch.where(near[..., None], L_inv[..., 0], (far_inv @ phi[..., None])[..., 0]),
        )

    def log_snr(self, tau: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """log phi^T Sig^{-1} phi, infinite at tau = 0; worked out in float64."""
        clean = tau == 0
        level, _ = self._level(torch.where(clean, 1 / self.size, tau).to(self.F))
        return torch.where(clean, torch.inf, level.to(tau))

    def rate(self, tau: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """w = -d snr / d tau >= 0 for tau > 0; worked out in float64."""
        level, slope = self._level(tau.to(self.F))
        return (slope * level.exp()).to(tau)

    def clock(self, log_snr: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """tau at which the log snr is this; worked out in float64, differentiable in F and N.

        Above 80 it is 0, clean; below -80 it is that of -80, where 1e-17 of the data is left.
        Raises ValueError for NaN.
        """
        if log_snr.isnan().any():
            raise ValueError("expected log snr, got NaN; look at the path that gave it")
        wanted, index = log_snr.detach().to(self.F).unique(return_inverse=True)
        target = wanted.clamp(-LIMIT, LIMIT)
        log_tau = self._plain._inverted(target)
        if self._plain is not self:  # the implicit function's derivative
            level, slope = self._level(log_tau.exp())
            log_tau = log_tau + (level - target) / (slope * log_tau.exp()).detach()
        return torch.where(wanted > LIMIT, 0.0, log_tau.exp())[index].to(log_snr)

    @property
    def _eye(self) -> Tensor:
        return torch.eye(self.variables).to(self.F)

    @cached_property
    def size(self) -> float:
        """|F|, the largest column sum; the inverse of the unit in which tau is short or long."""
        return float(self.F.detach().abs().sum(-2).max()) or float(self.N.detach().abs().max())

    def _level(self, tau: Tensor) -> tuple[Tensor, Tensor]:
        """log snr and -d log snr / d tau."""
        _, R_inv, h = self.factors(tau)
        snr = h.square().sum(-1)
        score = (R_inv.mT @ h[..., None])[..., 0]
        return snr.log(), ((score @ self.N) * score).sum(-1) / snr

    def _inverted(self, target: Tensor) -> Tensor:
        """`_invert`, which keeps single levels in mind: every step of a training asks for the ends
        of its path."""
        if len(target) != 1:
            return self._invert(target)
        level = float(target)
        if level not in self._known:
            if len(self._known) == KNOWN:
                self._known.clear()
            with torch.inference_mode(False):  # what is kept in mind must serve training, too
                self._known[level] = self._invert(target.clone())
        return self._known[level]

    @cached_property
    def _known(self) -> dict[float, Tensor]:
        return {}

    def _invert(self, target: Tensor) -> Tensor:
        """log tau by Newton's method, by halves where that leaves its bracket."""
        taus, levels = self._octaves
        above = torch.searchsorted(-levels, -target).clamp(1, len(levels) - 1)
        low, high = taus[above - 1].log(), taus[above].log()
        share = (levels[above - 1] - target) / (levels[above - 1] - levels[above])
        at, last = low + share * (high - low), torch.full_like(target, torch.inf)
        for _ in range(80):
            level, slope = self._level(at.exp())
            miss = level - target
            low, high = torch.where(miss > 0, at, low), torch.where(miss > 0, high, at)
            step = miss / (slope * at.exp())
            fast = (2 * miss.abs() <= last.abs()) | (step.abs() < 1e-10)
            good = fast & (at + step >= low) & (at + step <= high)
            to, last = torch.where(good, at + step, (low + high) / 2), miss
            done, at = bool(((to - at).abs() < 1e-10).all()), to
            if done:
                break
        return at

    @cached_property
    def _plain(self) -> Dynamics:
        """Itself where nothing is to be differentiated, else its numbers."""
        if not (self.F.requires_grad or self.N.requires_grad):
            return self
        return Dynamics(self.F.detach(), self.N.detach(), self.S, self.V0)

    @cached_property
    def _octaves(self) -> tuple[Tensor, Tensor]:
        """log snr at every power of two of tau, over all that the clock can be asked for."""

        def levels(start: int, stop: int) -> tuple[Tensor, Tensor]:
            taus = torch.exp2(torch.arange(start, stop).to(self.F)) / self.size
            return taus, self.log_snr(taus)

        taus, found = levels(-16, 16)
        while found[0] <= LIMIT:
            before = round(float((taus[0] * self.size).log2()))
            more, lower = levels(before - 16, before)
            taus, found = torch.cat([more, taus]), torch.cat([lower, found])
        while found[-1] >= -LIMIT:
            after = round(float((taus[-1] * self.size).log2())) + 1
            more, higher = levels(after, after + 16)
            taus, found = torch.cat([taus, more]), torch.cat([found, higher])
        return taus, found

    @cached_property
    def _series(self) -> tuple[Tensor, Tensor]:
        """(F / |F|)^j / j!, j >= 1, and L^j N / (j + 1)!, j >= 0, with L X = (F X + X F^T) / |F|:
        (j, K K)."""
        A = self.F / self.size
        flows, noises = [A], [self.N]
        for j in range(1, TERMS):
            flows.append(A @ flows[-1] / (j + 1))
            step = A @ noises[-1]
            noises.append((step + step.mT) / (j + 1))
        return torch.stack(flows).flatten(1), torch.stack(noises).flatten(1)

    def _short(self, tau: Tensor, sign: int) -> tuple[Tensor, Tensor]:
        """exp(sign F tau) - 1 and int_0^tau exp(sign F s) N exp(sign F s)^T ds for small tau."""
        x = (sign * self.size * tau)[..., None]
        powers = x ** torch.arange(TERMS, device=tau.device)
        shape = (self.variables, self.variables)
        flows, noises = (terms.to(tau) for terms in self._series)
        E = ((powers * x) @ flows).unflatten(-1, shape)
        return E, tau[..., None, None] * (powers @ noises).unflatten(-1, shape)
