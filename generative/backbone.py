"""A backbone: the network inside a denoiser, as plain numbers.

All three kinds act on fields (batch, channel, *grid) of any grid and hear a condition vector in
every block (FiLM); their weights do not depend on the grid, and they return exactly zero until
they are trained.

    fno    Fourier layers at the grid's resolution: the same operator on every grid (see `fno`)
    uno    Fourier layers around a U of resolutions: large scales deeper, cheaper (see `uno`)
    unet   convolutions of three points and attention: for pixels and images (see `unet`)

With `alias_free` an FNO or UNO is one operator on all grids to rounding: it works with the waves
|k_i| <= 2 modes, on points of its own, and answers linearly to what lies beyond (see `band`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import nn

from pushforward.generative.band import BandLimited
from pushforward.generative.fno import FNO
from pushforward.generative.unet import UNet
from pushforward.generative.uno import UNO

REACH = 2  # waves of an alias-free network per convolved one: what a product of two of them makes


@dataclass(frozen=True)
class Backbone:
    """The kind and size of a network.

    `width` is the number of channels (at full resolution), `modes` that of the waves convolved
    along each axis (unused by `unet`), `layers` that of the Fourier layers (`fno`) or of the
    resolutions (`uno`, `unet`).

    Raises ValueError for an unknown kind, for numbers below 1, and for an alias-free `unet`.

    >>> Backbone(kind="uno", width=16).layers
    4
    """

    kind: Literal["fno", "uno", "unet"] = "fno"
    width: int = 32
    modes: int = 12
    layers: int = 4
    alias_free: bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("fno", "uno", "unet"):
            raise ValueError(
                f"expected a backbone of kind 'fno', 'uno' or 'unet', got {self.kind!r}; "
                "choose one of them"
            )
        for name in ("width", "modes", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"expected a backbone's {name} to be at least 1, got {getattr(self, name)}; "
                    "choose a positive number"
                )
        if self.alias_free and self.kind == "unet":
            raise ValueError(
                "expected alias_free false for kind 'unet', got true; its convolutions count "
                "points, so choose 'fno' or 'uno' for one operator on all grids"
            )

    def build(
        self,
        channels_in: int,
        channels_out: int,
        *,
        condition: int,
        ndim: int,
        periodic: bool = True,
    ) -> nn.Module:
        """A network (batch, channels_in, *grid), (batch, condition) -> (batch, channels_out,
        *grid) on any grid of `ndim` axes, zero until trained; its weights are drawn from torch's
        generator.

        `periodic` false puts reflecting walls around the box instead of joining its ends.

        >>> import torch
        >>> network = Backbone(width=8, modes=3, layers=1).build(2, 1, condition=3, ndim=2)
        >>> network(torch.ones(4, 2, 9, 16), torch.ones(4, 3)).shape
        torch.Size([4, 1, 9, 16])
        """
        if min(channels_in, channels_out, condition) < 1 or not 1 <= ndim <= 3:
            raise ValueError(
                "expected at least one channel in, one out and one condition, on 1 to 3 axes, got "
                f"{channels_in}, {channels_out}, {condition} on {ndim}; change the one that is off"
            )
        size = {"condition": condition, "width": self.width, "layers": self.layers}
        if self.kind == "unet":
            return UNet(channels_in, channels_out, **size, ndim=ndim, periodic=periodic)
        network = {"fno": FNO, "uno": UNO}[self.kind](
            channels_in,
            channels_out,
            **size,
            modes=self.modes,
            ndim=ndim,
            periodic=periodic,
            alias_free=self.alias_free,
        )
        if not self.alias_free:
            return network
        return BandLimited(
            network,
            channels_in,
            channels_out,
            condition=condition,
            band=REACH * self.modes,
            periodic=periodic,
        )
