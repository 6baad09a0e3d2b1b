r"""A Gaussian next to a posterior, for chains to start from and to step with.

Of white coefficients w ~ N(0, I) and o = G(w) + N(0, s^2) the posterior's mode m minimises
|w|^2 / 2 + |G(w) - o|^2 / (2 s^2). Gauss and Newton's steps find it, and the Jacobian J there
gives the covariance (I + J^T J / s^2)^{-1} = L L^T. In v, w = m + L v, the posterior is

    exp(-Psi(v)) N(0, I),    Psi = |G(w) - o|^2 / (2 s^2) + |w|^2 / 2 - |v|^2 / 2,

the same law exactly, whatever m and L are, with Psi nearly constant where G is nearly linear: a
chain of preconditioned Crank-Nicolson in v takes steps of nearly 1 where one in w crept.

    Rudolf, Sprungk, Found. Comput. Math. 18 (2018), doi:10.1007/s10208-016-9340-x
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

STEPS, HALVINGS = 20, 12
SMALL = 1e-5  # of a white coefficient, for differences


@dataclass(frozen=True, eq=False)
class Reference:
    """w = mean + factor v, coefficient by coefficient as vectors."""

    mean: Float[Tensor, " wave"]
    factor: Float[Tensor, "wave wave"]

    def place(self, v: Float[Tensor, "chain ..."]) -> Float[Tensor, "chain ..."]:
        """w of v, in v's shape."""
        return (self.mean + v.flatten(1) @ self.factor.T).view_as(v)

    def misfit(self, phi: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Psi of v, from Phi of w."""

        def psi(v: Tensor) -> Tensor:
            w = self.place(v)
            return phi(w) + (w.square() - v.square()).flatten(1).sum(1) / 2

        return psi


def reference(
    forward: Callable[[Tensor], Tensor],
    size: int,
    values: Float[Tensor, " value"],
    deviation: float,
) -> Reference:
    """That of G = `forward`, which takes (batch, size) to (batch, value), seen through noise.

    >>> found = reference(lambda w: 2 * w, 1, torch.tensor([3.0], dtype=torch.float64), 1.0)
    >>> found.mean.item(), found.factor.square().item()                   # 6 / 5 and 1 / 5
    (1.2, 0.2)
    """

    def objective(w: Tensor) -> Tensor:
        short = (forward(w) - values) / deviation
        return (short.square().sum(1) + w.square().sum(1)) / 2

    m, eye = torch.zeros(1, size, dtype=torch.float64), torch.eye(size, dtype=torch.float64)
    lengths = 0.5 ** torch.arange(HALVINGS, dtype=torch.float64)[:, None]
    for _ in range(STEPS):
        rows = jacobian(forward, m) / deviation
        short = (values - forward(m)[0]) / deviation
        step = torch.linalg.solve(eye + rows.T @ rows, rows.T @ short - m[0])
        tries = m + lengths * step  # all of them at once
        best = tries[objective(tries).argmin()][None]
        if float(objective(m) - objective(best)) < 1e-6:
            break
        m = best
    rows = jacobian(forward, m) / deviation
    factor = torch.linalg.inv(torch.linalg.cholesky(eye + rows.T @ rows)).T
    return Reference(m[0].round(decimals=12), factor)


def jacobian(
    forward: Callable[[Tensor], Tensor], w: Float[Tensor, "1 wave"]
) -> Float[Tensor, "value wave"]:
    """J of G at w, by central differences."""
    shifts = SMALL * torch.eye(w.shape[1], dtype=torch.float64)
    return ((forward(w + shifts) - forward(w - shifts)) / (2 * SMALL)).T
