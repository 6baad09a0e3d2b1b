r"""Paths: the log signal-to-noise ratio of every coefficient as a function of time.

At time t in [0, 1] a whitened coefficient is seen through noise,
xi_k = x_k + N(0, e^{-lambda_k(t)}), from clean (t = 0) to noise (t = 1). A path is a common clock
(see `clock`) and what sets the coefficients apart (see `ordering`),

    lambda_k(t) = Lambda(t) + log v_k - log c_k - sum a l_k - |k|^2 s(t)^2,

v the data's spectrum, c the noise's, a the strengths of the orders l, and s DDO's blur. The ends
of the clock are either as `given`, for a signal and a noise of unit variance at a point (the
published ones), or set so that they are `reached`: the weakest coefficient has log snr `highest`
at t = 0, the strongest one `lowest` at t = 1, whatever the resolution. Windows replace t by a time
of each group's own.

    Gerdes et al., GUD (2024), arXiv:2410.02667; Lim et al., DDO (2023), arXiv:2302.07400
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pushforward.generative import clock
from pushforward.generative.kernel import Dynamics
from pushforward.generative.modes import Modes
from pushforward.generative.ordering import Hierarchy, Prior, Windows

STANDARD, DATA = Hierarchy(variance=1.0), Prior("data")


@dataclass(frozen=True)
class Path:
    """A path by its plain numbers; `on` binds it to the coefficients of a basis.

    `blur` is (s(0), s(1)) with |k| in waves per longest side, s rising as sin^2(pi t / 2).

    Raises ValueError when `lowest` is not below `highest` or the blur is negative or shrinks.

    >>> path = Path(hierarchy=Hierarchy(variance=1.0), lowest=-5, highest=5)
    >>> levels = path.on(Modes(log_variance=torch.tensor([[-1.0, -5.0]])))
    >>> levels(torch.tensor([0.0, 1.0]))
    tensor([[[ 9.,  5.]],
    <BLANKLINE>
            [[-5., -9.]]])
    """

    hierarchy: Hierarchy = STANDARD
    prior: Prior = DATA
    schedule: clock.Schedule = "linear"
    lowest: float = -4.0
    highest: float = 5.0
    ends: Literal["reached", "given"] = "reached"
    blur: tuple[float, float] = (0.0, 0.0)
    windows: Windows | None = None

    def __post_init__(self) -> None:
        if self.lowest >= self.highest:
            raise ValueError(
                f"expected lowest < highest, got lowest {self.lowest} and highest {self.highest}; "
                "swap or change them"
            )
        if not 0 <= self.blur[0] <= self.blur[1]:
            raise ValueError(
                f"expected a blur (start, end) with 0 <= start <= end, got {self.blur}; change it"
            )

    def on(self, modes: Modes, dynamics: Dynamics | None = None) -> Levels:
        """The levels of a basis's coefficients; `dynamics` for the schedule `process`.

        Raises ValueError when the basis lacks what the path orders by.
        """
        return Levels(self, modes, dynamics)


class Levels:
    """A path bound to the coefficients of a basis: call it with times (batch,).

    >>> levels = Path(Hierarchy(), lowest=-3, highest=3).on(Modes(torch.zeros(1, 2)))
    >>> levels(torch.tensor([0.5]))
    tensor([[[0., 0.]]])
    """

    def __init__(self, path: Path, modes: Modes, dynamics: Dynamics | None = None) -> None:
        if path.blur[1] > 0 and modes.frequency is None:
            raise ValueError(
                "expected a basis of waves for a blur, got one without wave numbers; choose the "
                "fourier or cosine basis, or a blur of 0"
            )
        if path.schedule == "process" and dynamics is None:
            raise ValueError(
                "expected a process for the schedule process, got none; give one or choose linear"
            )
        self.path, self.modes, self.dynamics = path, modes, dynamics
        self.prior = path.prior.offset(modes).double()
        self.order = path.hierarchy.offset(modes).double()
        if path.windows is not None:
            path.windows.groups(modes)  # refuses here what it cannot group

    def __call__(
        self, t: Float[Tensor, " batch"], strength: Float[Tensor, " batch"] | float = 1.0
    ) -> Float[Tensor, "batch channel mode"]:
        """log snr at times t; `strength` multiplies the hierarchy, member by member."""
        strength = torch.as_tensor(strength, dtype=torch.float64, device=t.device)
        apart = self.prior.to(t.device) + strength.reshape(-1, 1, 1) * self.order.to(t.device)
        top, bottom = self._ends(apart)
        time = t.double()[:, None, None]
        if self.path.windows is not None:
            time = self.path.windows.local_time(t.double(), self.modes)
        common = clock.run(self.path.schedule, time, top, bottom, self.dynamics)
        return (common + apart + self._blurred(time)).to(t.dtype)

    def clock(self, t: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The common Lambda at times t, without windows."""
        top, bottom = self._ends((self.prior + self.order)[None])
        common = clock.run(
            self.path.schedule, t[:, None, None], top.to(t), bottom.to(t), self.dynamics
        )
        return common[:, 0, 0].to(t.dtype)

    def _ends(self, apart: Tensor) -> tuple[Tensor, Tensor]:
        """Lambda at t = 0 and t = 1, (batch, 1, 1)."""
        path = self.path
        if path.ends == "given":
            like = apart.new_ones(1, 1, 1)
            return path.highest * like, path.lowest * like
        zero, one = apart.new_zeros(1, 1, 1), apart.new_ones(1, 1, 1)
        weakest = (apart + self._blurred(zero)).amin((1, 2), keepdim=True)
        strongest = (apart + self._blurred(one)).amax((1, 2), keepdim=True)
        top, bottom = path.highest - weakest, path.lowest - strongest
        return top, bottom

    def _blurred(self, time: Tensor) -> Tensor | float:
        start, end = self.path.blur
        if end == 0 or self.modes.frequency is None:
            return 0.0
        s = start + (end - start) * torch.sin(0.5 * math.pi * time) ** 2
        return -((self.modes.frequency.to(time) * s) ** 2)
