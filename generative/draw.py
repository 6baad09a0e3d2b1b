r"""How an ensemble is drawn: a sampler by its plain numbers, and what it costs.

    multistep       the flow, or with churn the reverse diffusion, of `sampler`: the default
    heun            the same, by a rule of two evaluations a step
    langevin        annealed Langevin dynamics by one of its rules (DDO)
    euler_maruyama  the reverse SDE of the process, step by step (Multilevel diffusion, MDM)
    sscs            the same, split symmetrically about the stationary law (CLD)
    strang          the same, split about the Gaussian field of the data: exact for it
    bridge          ancestral: the posterior of an earlier state given the estimate

The first three see levels alone and serve any process. The others move all variables of the
process; `strang` and `bridge` draw the same law for all processes on a path (see `lifted`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from pushforward.generative.denoiser import Denoiser
from pushforward.generative.heun import heun, heun_evaluations
from pushforward.generative.kernel import Dynamics
from pushforward.generative.langevin import Rule, annealed_langevin, langevin_evaluations
from pushforward.generative.lifted import (
    bridge,
    euler_maruyama,
    sscs,
    strang,
    strang_evaluations,
)
from pushforward.generative.process import Process
from pushforward.generative.sampler import Levels, Normals, integrate_path

Method = Literal["multistep", "heun", "langevin", "euler_maruyama", "sscs", "strang", "bridge"]
FLOWS: tuple[Method, ...] = ("multistep", "heun")
LIFTED: dict[str, Callable[..., Tensor]] = {
    "euler_maruyama": euler_maruyama,
    "sscs": sscs,
    "strang": strang,
    "bridge": bridge,
}


@dataclass(frozen=True)
class Sampler:
    """A sampler: `steps` levels of noise from the path's noisy end to its clean one.

    `order` (1, 2) is that of multistep, and of strang, which then takes two evaluations a step;
    `churn`, 0 for the probability flow and 1 for the reverse diffusion, serves multistep and heun;
    `inner` relaxations a level of size `step` by `rule` serve langevin (see `langevin`);
    `strength` multiplies the hierarchy of a surrogate's path, for networks trained on a range of
    them. A method or churn of None is the surrogate's own, and without one multistep and 0.

    Raises ValueError for fewer than one step, negative churn, and for numbers that mean nothing to
    the method.

    >>> Sampler("langevin", steps=100, inner=3).evaluations
    301
    """

    method: Method | None = None
    steps: int = 16
    order: Literal[1, 2] = 2
    churn: float | None = None
    inner: int = 3
    step: float = 0.5
    rule: Rule = "wiener"
    strength: float = 1.0

    def __post_init__(self) -> None:
        if (
            min(self.steps, self.inner) < 1
            or min(self.churn or 0, self.strength) < 0
            or self.step <= 0
        ):
            raise ValueError(
                "expected steps, inner >= 1, step > 0 and churn, strength >= 0, got "
                f"{self.steps}, {self.inner}, {self.step}, {self.churn}, {self.strength}; change "
                "the one that is off"
            )
        if self.churn and self.method not in (None, *FLOWS):
            raise ValueError(
                f"expected churn 0 for the sampler {self.method}, got {self.churn}; choose "
                "multistep or heun, or leave churn out"
            )
        idle = {
            "order": self.order != 2 and self.method not in (None, "multistep", "strang"),
            **{
                name: getattr(self, name) != default and self.method not in (None, "langevin")
                for name, default in (("inner", 3), ("step", 0.5), ("rule", "wiener"))
            },
        }
        for name in filter(idle.get, idle):
            raise ValueError(
                f"expected no {name} for the sampler {self.method}, got {getattr(self, name)}; "
                "leave it out, or choose a sampler that has one"
            )

    def or_else(self, method: Method, churn: float) -> Sampler:
        """With method and churn filled in where they are None; churn belongs to its method.

        >>> Sampler(steps=8).or_else("multistep", 1.0).churn
        1.0
        >>> Sampler("heun").or_else("multistep", 1.0).churn
        0.0
        """
        own = churn if self.method is None else 0.0
        return replace(
            self,
            method=self.method or method,
            churn=own if self.churn is None else self.churn,
        )

    @property
    def evaluations(self) -> int:
        """The network evaluations of a member; starting from an observation takes one more."""
        if self.method == "heun":
            return heun_evaluations(self.steps)
        if self.method == "langevin":
            return langevin_evaluations(self.steps, self.inner, self.rule)
        if self.method == "strang":
            return strang_evaluations(self.steps, self.order)
        return self.steps

    @property
    def reversal(self) -> float:
        """The churn that it runs at: 1 for what is the reverse diffusion by itself."""
        return 1.0 if self.method in LIFTED else self.churn or 0.0

    def __call__(
        self,
        denoiser: Denoiser,
        levels: Levels,
        normals: Normals,
        *,
        dynamics: Dynamics | None = None,
        start: Tensor | None = None,
        watch: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Whitened fields x (batch, channel, mode); see `integrate_path` for the arguments.

        `dynamics` is the process of the lifted samplers. Langevin dynamics takes no `watch`.

        Raises ValueError for a lifted sampler without a process.
        """
        churn = self.churn or 0.0
        if self.method in (None, "multistep"):
            return integrate_path(
                denoiser,
                levels,
                normals,
                steps=self.steps,
                order=self.order,
                churn=churn,
                start=start,
                watch=watch,
            )
        if self.method == "heun":
            return heun(
                denoiser,
                levels,
                normals,
                steps=self.steps,
                churn=churn,
                start=start,
                watch=watch,
            )
        if self.method == "langevin":
            return annealed_langevin(
                denoiser,
                levels,
                normals,
                steps=self.steps,
                inner=self.inner,
                rule=self.rule,
                step=self.step,
                start=start,
            )
        if dynamics is None:
            raise ValueError(f"expected a process for the sampler {self.method}, got none")
        if start is not None and levels(torch.ones(1, device=start.device)).ndim != 3:
            raise ValueError(
                f"expected one observation for all members with the sampler {self.method}, got "
                "one each; choose multistep or heun"
            )
        lifted = LIFTED[str(self.method)]
        if self.method == "strang":
            lifted = partial(strang, order=self.order)
        return lifted(
            denoiser, levels, dynamics, normals, steps=self.steps, start=start, watch=watch
        )


def check_process(sampler: Sampler, process: Process) -> None:
    """Raises ValueError for a sampler that the process does not have.

    >>> check_process(Sampler("sscs"), Process("ve"))
    Traceback (most recent call last):
    ValueError: expected a process with a stationary law for the sampler sscs, got ve; use strang
    """
    if sampler.method == "sscs" and process.kind == "ve":
        raise ValueError(
            "expected a process with a stationary law for the sampler sscs, got ve; use strang"
        )


class Counted(Denoiser):
    """A denoiser that counts the fields it has been evaluated on.

    >>> import torch
    >>> from pushforward.generative.exact import GaussianDenoiser
    >>> counted = Counted(GaussianDenoiser())
    >>> y = Sampler(steps=3)(counted, lambda t: -t[:, None, None], lambda i: torch.ones(5, 1, 1))
    >>> counted.fields
    15
    """

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser, self.fields = denoiser, 0

    def correction(self, y: Tensor, log_snr: Tensor) -> Tensor:
        self.fields += len(y)
        return self.denoiser.correction(y, log_snr)
