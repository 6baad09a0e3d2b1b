r"""Learning a diffusion process: Q and D chosen for the quality of samples in few steps.

In the complete form with S = 1 (see `process`) every process with K variables is

    F = -(D + Q),   N = 2 D,   Q = G - G^T,   D = B B^T + a number   (or diagonal, B^2 + it),

stationary, damped and reached by noise for any numbers G and B. MDM learns them with the
likelihood. But that depends on a process through its snr alone, and a fixed beta(t) lets learning
simply mix faster. Here the path fixes the snr at every t and tau = clock(lambda) is solved for, so
F and N times a number are the same process and the end is as noisy as the path says; the number is
set by tr D = K / 2, which is VP's. In that time D >= `FLOOR`.

What is left to learn is how few steps do. The snr fixes even more: in reverse time
r = phi^T Sig^{-1} y is a Brownian motion with drift x in the snr's own time, whatever the process,
so `strang` and `bridge`, exact in what is linear, draw the same fields from all processes. `sscs`
and `euler_maruyama` step y itself, and there processes differ. `fit` unrolls such a sampler with a
denoiser that stays as it is, on fixed normals, and lowers by Adam the unbiased energy distance
between its samples X and given fields Y,

    2 E|X - Y| - E|X - X'| - E|Y - Y'|.

    Singhal, Goldstein, Ranganath, MDM (2023), arXiv:2302.07261
    Szekely, Rizzo, energy statistics (2013), J. Stat. Plan. Inference 143
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from pushforward.generative.denoiser import Denoiser
from pushforward.generative.kernel import Dynamics
from pushforward.generative.lifted import sscs
from pushforward.generative.process import Process, complete
from pushforward.generative.sampler import Levels, Normals

STEPS, ITERATIONS = 4, 30  # few steps are what is learnt for: with 8 there is nothing to gain
FLOOR = 1e-3  # of D, so that a process cannot lose its law while it is learnt
DRAWN, HELD_AGAINST = 16, 128  # members drawn at each iteration, and fields they are held against


class LearnedProcess(nn.Module):
    """A process whose rotation and diffusion are parameters, from a given one onwards.

    Its variables, its v0 and whether all of D is learnt or the diagonal alone stay those of
    `process`. Raises ValueError for another kind than learned, and for a diffusion that leaves a
    direction with less than `FLOOR`.

    >>> learned = LearnedProcess(Process("learned"))     # of VP's snr
    >>> level = torch.tensor([0.3], dtype=torch.float64)
    >>> tau = learned.dynamics().clock(level)
    >>> vp = Process("vp").dynamics()
    >>> bool((vp.log_snr(tau) - level).abs() < 1e-9)
    True
    """

    def __init__(self, process: Process) -> None:
        super().__init__()
        if process.kind != "learned":
            raise ValueError(
                f"expected a process of kind learned to learn, got {process.kind}; choose the "
                "preset learned"
            )
        dynamics = process.dynamics()
        F, speed = dynamics.F, dynamics.variables / dynamics.N.trace()
        values, axes = torch.linalg.eigh(speed * dynamics.N / 2)
        if values[0] < FLOOR * (1 - 1e-9):  # one that was learnt may be at the floor, but rounded
            raise ValueError(
                f"expected a diffusion to learn from of at least {FLOOR:g} in all directions when "
                f"tr D = K / 2, got {float(values[0]):.2g}; raise its smallest entries"
            )
        root = axes * ((values - FLOOR).clamp_min(0) / (1 - 2 * FLOOR)).sqrt() @ axes.mT
        self.given = process
        self.G = nn.Parameter(-speed * (F - F.mT) / 4)  # Q / 2
        self.B = nn.Parameter(root if process.full else root.diagonal().clone())

    def dynamics(self) -> Dynamics:
        """Its matrices, differentiable in the parameters."""
        Q, D = self._rotation_and_diffusion()
        return complete(Q, D, torch.eye(len(Q)).to(Q), self.given._number("v0"))

    def process(self) -> Process:
        """It as plain numbers: before learning, the given process in the time in which
        tr D = K / 2, up to rounding.

        >>> given = Process("learned", diffusion=((1.0, 0.0), (0.0, 3.0)), v0=0.2)
        >>> process = LearnedProcess(given).process()
        >>> process.dynamics().N.round(decimals=9), process.v0
        (tensor([[0.5000, 0.0000],
                [0.0000, 1.5000]], dtype=torch.float64), 0.2)
        """
        with torch.no_grad():
            both = self._rotation_and_diffusion()
        Q, D = (tuple(map(tuple, matrix.tolist())) for matrix in both)
        return replace(self.given, rotation=Q, diffusion=D)

    def _rotation_and_diffusion(self) -> tuple[Tensor, Tensor]:
        """Q and D, in the time in which tr D = K / 2."""
        D = self.B @ self.B.mT if self.B.ndim == 2 else self.B.square().diag()
        speed = len(D) / 2 / D.trace()
        D = speed * (D + D.mT) / 2 * (1 - 2 * FLOOR) + FLOOR * torch.eye(len(D)).to(D)
        return speed * (self.G - self.G.mT), D

    def fit(
        self,
        denoiser: Denoiser,
        levels: Levels,
        x: Float[Tensor, "member channel mode"],
        normals: Normals,
        *,
        steps: int = 8,
        sampler: Callable[..., Tensor] = sscs,
        iterations: int = 100,
        rate: float = 0.05,
    ) -> list[float]:
        """Learns for `sampler` in `steps` steps against whitened fields x; the energy distance
        before every one of the iterations, and after the last.

        Raises ValueError for fewer than two fields or samples, and when the distance is no number.
        """
        optimiser = torch.optim.Adam(self.parameters(), lr=rate)
        losses: list[float] = []
        best = [p.detach().clone() for p in (self.G, self.B)]
        for left in range(iterations, -1, -1):
            y = sampler(denoiser, levels, self.dynamics(), normals, steps=steps)
            loss = energy_distance(y, x.to(y))
            losses.append(float(loss.detach()))
            if not loss.isfinite():
                raise ValueError(
                    f"expected samples that stay finite, got a distance of {losses[-1]} after "
                    f"{len(losses) - 1} iterations; take more steps or a smaller rate"
                )
            if losses[-1] == min(losses):
                best = [p.detach().clone() for p in (self.G, self.B)]
            if left:
                self.G.grad, self.B.grad = torch.autograd.grad(loss, [self.G, self.B])
                optimiser.step()
        with torch.no_grad():
            for parameter, value in zip((self.G, self.B), best, strict=True):
                parameter.copy_(value)
        return losses


def learn(
    process: Process,
    denoiser: Denoiser,
    levels: Levels,
    x: Float[Tensor, "member channel mode"],
    normals: Callable[[int], Normals],
) -> tuple[Process, list[float]]:
    """A process learnt for few steps of a given denoiser, and the energy distances on the way.

    Learning starts from `process` and keeps what it says of v0, variables and `full`;
    `normals(count)` are those of so many members. See `LearnedProcess` and its `fit`.

    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> levels = lambda t: (6 - 10 * t)[:, None, None].expand(-1, 1, 2)
    >>> x = torch.randn(20, 1, 2, generator=torch.Generator().manual_seed(0))
    >>> normals = lambda n: lambda i: torch.sin(torch.arange(2.0 * n) * (i + 1)).view(n, 1, 2)
    >>> start = Process("learned", full=True)
    >>> process, distances = learn(start, GaussianDenoiser(0.5), levels, x, normals)
    >>> process.full, len(distances)
    (True, 31)
    """
    learned = LearnedProcess(process).to(x.device)
    distances = learned.fit(
        Frugal(denoiser),
        levels,
        x[:HELD_AGAINST],
        normals(DRAWN),
        steps=STEPS,
        iterations=ITERATIONS,
    )
    return learned.process(), distances


class Frugal(Denoiser):
    """A denoiser that keeps nothing for the backward pass: it is evaluated again there.

    A sampler that is unrolled for a gradient then needs the memory of one step.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        return checkpoint(self.denoiser.correction, y, log_snr, use_reentrant=False)


def energy_distance(
    x: Float[Tensor, "a channel mode"], y: Float[Tensor, "b channel mode"]
) -> Float[Tensor, ""]:
    """The unbiased energy distance of two ensembles, differentiable.

    Raises ValueError for fewer than two members on a side.

    >>> a, b = torch.zeros(2, 1, 1), torch.tensor([[[1.0]], [[3.0]]])
    >>> round(energy_distance(a, b).item(), 4)      # 2 * 2 - 0 - 2
    2.0
    """
    if min(len(x), len(y)) < 2:
        raise ValueError(
            f"expected two members a side, got {len(x)} and {len(y)}; give more samples"
        )
    x, y = x.flatten(1), y.flatten(1)
    return 2 * torch.cdist(x, y).mean() - torch.pdist(x).mean() - torch.pdist(y).mean()
