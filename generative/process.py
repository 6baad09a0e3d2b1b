r"""Diffusion processes by name: what one coefficient does on its way from data to noise.

All but `ve` have a stationary law N(0, S) and are written in the complete form of the linear
diffusions that have it, with a skew Q and a D >= 0,

    dy = -(D + Q) S^{-1} y dtau + sqrt(2 D) dW.

    vp       K = 1   D = 1/2: dx = -x/2 dtau + dW; with one variable there is no other
    ve       K = 1   dx = dW, no stationary law
    cld      K = 2   mass M = 0.25, friction G = 2 sqrt(M) (critical):  S = diag(1, M),
                     Q = [[0, -1], [1, 0]], D = diag(0, G)
    psld     K = 2   data_friction g = 0.01, friction n = 4.01:  S = diag(1, m), m = 4 / (n - g)^2,
                     Q = [[0, -1], [1, 0]] / 2, D = diag(g, m n) / 2
    alda     K = 3   mass M = 1, coupling c = 1, friction p = 1:  S = diag(1, M, M),
                     Q = [[0, -M, 0], [M, 0, -c], [0, c, 0]], D = diag(0, 0, p M)
    malda    K = variables = 3   mass M = 1, friction G = 2 sqrt(M):  S = diag(1, M, ..),
                     Q = 1 below and -1 above the diagonal, D = diag(0, G, ..)
    learned  K = variables = 2   S = 1, `rotation` Q and `diffusion` D as rows of numbers, without
                     them a chain of equal couplings and D = 1/2; learning starts from what is
                     given and learns all of D if `full`, else its diagonal (see `learned`)

The auxiliaries start from N(0, v0 S); v0 is as published, 0.04 for cld and psld, else 0.01.

    Ma, Chen, Fox, complete recipe (2015), arXiv:1506.04696;  Song et al. (2021), arXiv:2011.13456
    Dockhorn et al., CLD (2022), arXiv:2112.07068;  Pandey, Mandt, PSLD (2023), arXiv:2303.01748
    Singhal, Goldstein, Ranganath, MDM (2023), arXiv:2302.07261, for alda, malda and learning
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal

import torch
from torch import Tensor

from pushforward.generative.kernel import Dynamics

Rows = tuple[tuple[float, ...], ...]
Kind = Literal["vp", "ve", "cld", "psld", "alda", "malda", "learned"]

PUBLISHED: dict[str, dict[str, float | int | None]] = {  # None: worked out of the others
    "vp": {},
    "ve": {},
    "cld": {"v0": 0.04, "mass": 0.25, "friction": None},
    "psld": {"v0": 0.04, "friction": 4.01, "data_friction": 0.01},
    "alda": {"v0": 0.01, "mass": 1.0, "friction": 1.0, "coupling": 1.0},
    "malda": {"v0": 0.01, "mass": 1.0, "friction": None, "variables": 3},
    "learned": {"v0": 0.01, "variables": 2, "rotation": None, "diffusion": None, "full": False},
}


@dataclass(frozen=True)
class Process:
    """A process by its plain numbers; None is the published one. See the module's text.

    Raises ValueError for a number the kind does not have, when Q is not skew, D not positive
    semidefinite, S not a stationary law, noise does not reach all variables, or nothing damps, and
    for a diffusion with entries off its diagonal that is not said to be `full`.

    >>> Process("cld").dynamics().F
    tensor([[ 0.,  4.],
            [-1., -4.]], dtype=torch.float64)
    >>> Process("cld", friction=0.0)
    Traceback (most recent call last):
    ValueError: expected noise that reaches all 2 variables, got a Kalman rank of 0; couple the \
ones left out or give them friction
    """

    kind: Kind = "vp"
    v0: float | None = None
    mass: float | None = None
    friction: float | None = None
    data_friction: float | None = None
    coupling: float | None = None
    variables: int | None = None
    rotation: Rows | None = None
    diffusion: Rows | None = None
    full: bool | None = None

    def __post_init__(self) -> None:
        if self.kind not in PUBLISHED:
            raise ValueError(
                f"expected a process of {', '.join(PUBLISHED)}, got {self.kind!r}; choose one"
            )
        given = [f.name for f in fields(self) if getattr(self, f.name) is not None]
        for name in set(given) - {"kind", *PUBLISHED[self.kind]}:
            raise ValueError(f"expected no {name} for {self.kind}, got one; leave it out")
        N = self.dynamics().N
        if not self.full and not torch.equal(N, N.diagonal().diag()):
            raise ValueError(
                f"expected a diagonal diffusion where it is not full, got {self.diffusion}; "
                "set full to true, or its other entries to 0"
            )

    def dynamics(self) -> Dynamics:
        """The matrices of it, checked, with kernel and clock."""
        if self.kind == "ve":
            one = torch.ones(1, 1, dtype=torch.float64)
            return Dynamics(0 * one, one, None, 0 * one)
        Q, D, S = FORMS[self.kind](self)
        return checked(complete(Q, D, S, self._number("v0") if len(Q) > 1 else 0.0))

    def _number(self, name: str) -> float:
        """A number as given or published, finite and where it must be not negative."""
        value = getattr(self, name)
        value = PUBLISHED[self.kind][name] if value is None else value
        if value is None:
            value = 2 * math.sqrt(self._number("mass"))  # critical damping
        lowest = {"variables": 2, "v0": 0.0, "mass": 1e-12}.get(name, -math.inf)
        if not (math.isfinite(value) and value >= lowest):
            raise ValueError(
                f"expected a finite {name} of at least {lowest:g} for {self.kind}, got {value}; "
                "change it"
            )
        return value


def complete(Q: Tensor, D: Tensor, S: Tensor, v0: float) -> Dynamics:
    """The dynamics of skew Q, positive semidefinite D, stationary S and start v0 S: (K, K) each.

    Raises ValueError when Q is not skew or D is not symmetric and positive semidefinite.

    >>> half = torch.full((1, 1), 0.5, dtype=torch.float64)
    >>> complete(0 * half, half, 2 * half, 0.0).N
    tensor([[1.]], dtype=torch.float64)
    """
    finite = bool(Q.isfinite().all() & D.isfinite().all())
    if not finite or Q.shape != S.shape or D.shape != S.shape or not torch.equal(Q, -Q.mT):
        raise ValueError(
            f"expected a skew rotation and a diffusion {tuple(S.shape)}, got {Q.tolist()} and "
            f"{D.tolist()}; make them K rows of K finite numbers, the rotation with Q = -Q^T"
        )
    lowest = torch.linalg.eigvalsh(D.detach()).min() if torch.equal(D, D.mT) else torch.nan
    if not lowest >= -1e-12 * D.detach().abs().max():
        raise ValueError(
            f"expected a symmetric positive semidefinite diffusion, got {D.tolist()}; "
            "make it B B^T, and frictions not negative"
        )
    V0 = v0 * S
    V0 = torch.block_diag(V0.new_zeros(1, 1), V0[1:, 1:])
    return Dynamics(-(D + Q) @ torch.linalg.inv(S), 2 * D, S, V0)


def checked(dynamics: Dynamics) -> Dynamics:
    """The same, when it forgets its start and noise reaches all of it.

    Raises ValueError when noise does not reach every variable (Kalman), when S is not a stationary
    law (not positive, or F S + S F^T + N is not 0), or when F does not damp (Hurwitz).

    >>> checked(Process("ve").dynamics()).variables
    1
    """
    F, N, S, K = dynamics.F, dynamics.N, dynamics.S, dynamics.variables
    A, reach = F / dynamics.size, [N / N.abs().max().clamp_min(1e-300)]
    for _ in range(K - 1):
        reach.append(A @ reach[-1])
    rank = int(torch.linalg.matrix_rank(torch.cat(reach, -1), rtol=1e-9))
    if rank < K:
        raise ValueError(
            f"expected noise that reaches all {K} variables, got a Kalman rank of {rank}; couple "
            "the ones left out or give them friction"
        )
    if S is None:
        return dynamics
    if int(torch.linalg.cholesky_ex(S).info) or not torch.equal(S, S.mT):
        raise ValueError(
            f"expected a symmetric positive stationary covariance, got {S.tolist()}; give "
            "positive masses"
        )
    flux = F @ S
    residual = float((flux + flux.mT + N).abs().max() / flux.abs().max())
    if not residual < 1e-10:
        raise ValueError(
            f"expected F S + S F^T + N = 0, got a relative residual of {residual:.1e}; build F "
            "and N from Q, D and S"
        )
    abscissa = float(torch.linalg.eigvals(F).real.max())
    if abscissa >= 0:
        raise ValueError(
            f"expected a damped drift, got one with growth rate {abscissa:.1e}; add friction"
        )
    return dynamics


def _chain(*couplings: float) -> Tensor:
    """Q whose variables are coupled one to the next."""
    below = torch.diag(torch.tensor(couplings, dtype=torch.float64), -1)
    return below - below.mT


def _diagonal(*entries: float) -> Tensor:
    return torch.diag(torch.tensor(entries, dtype=torch.float64))


def _vp(_: Process) -> tuple[Tensor, Tensor, Tensor]:
    return _diagonal(0), _diagonal(0.5), _diagonal(1)


def _cld(process: Process) -> tuple[Tensor, Tensor, Tensor]:
    mass, friction = process._number("mass"), process._number("friction")
    return _chain(1), _diagonal(0, friction), _diagonal(1, mass)


def _psld(process: Process) -> tuple[Tensor, Tensor, Tensor]:
    own, friction = process._number("data_friction"), process._number("friction")
    if friction == own:
        raise ValueError(f"expected friction unlike data_friction, got {own} for both; change one")
    mass = 4 / (friction - own) ** 2
    return _chain(0.5), _diagonal(own / 2, mass * friction / 2), _diagonal(1, mass)


def _alda(process: Process) -> tuple[Tensor, Tensor, Tensor]:
    mass, friction = process._number("mass"), process._number("friction")
    Q = _chain(mass, process._number("coupling"))
    return Q, _diagonal(0, 0, friction * mass), _diagonal(1, mass, mass)


def _malda(process: Process) -> tuple[Tensor, Tensor, Tensor]:
    mass, friction = process._number("mass"), process._number("friction")
    others = int(process._number("variables")) - 1
    below = torch.ones(others + 1, others + 1, dtype=torch.float64).tril(-1)
    return below - below.mT, _diagonal(0, *[friction] * others), _diagonal(1, *[mass] * others)


def _learned(process: Process) -> tuple[Tensor, Tensor, Tensor]:
    variables = int(process._number("variables"))
    Q, D = _chain(*[1] * (variables - 1)), _diagonal(*[0.5] * variables)
    if process.rotation is not None:
        Q = torch.tensor(process.rotation, dtype=torch.float64)
    if process.diffusion is not None:
        D = torch.tensor(process.diffusion, dtype=torch.float64)
    return Q, D, torch.eye(variables, dtype=torch.float64)


FORMS: dict[str, Callable[[Process], tuple[Tensor, Tensor, Tensor]]] = {
    "vp": _vp,
    "cld": _cld,
    "psld": _psld,
    "alda": _alda,
    "malda": _malda,
    "learned": _learned,
}
