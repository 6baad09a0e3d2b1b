r"""Dequantisation: densities of images of whole numbers, and bits per dimension.

A pixel p of 0..bins - 1 becomes u = (p + v) / bins with v uniform on [0, 1), and a density of u
bounds the probability of p: log P(p) >= E_v log p(u) - log bins. On (0, 1) nothing is Gaussian,
so the model sees

    y = logit(alpha + (1 - 2 alpha) u),    log |dy / du| = log(1 - 2 alpha) - log s - log(1 - s),

s the argument of the logit, and an image of d pixels costs

    -(log p(y) + log |dy / du|) / (d log 2) + log2(bins)    bits per dimension.

    Theis, van den Oord, Bethge (2016), arXiv:1511.01844, for the bound
    Dinh et al., Real NVP (2017), arXiv:1605.08803, for the logit with alpha = 0.05
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor


@dataclass(frozen=True)
class Dequantisation:
    """Whole numbers to unbounded fields and back, by its plain numbers; see the module's text.

    Raises ValueError unless bins >= 2 and 0 < alpha < 1/2.

    >>> pixels = torch.tensor([[[0, 7, 255]]])
    >>> scale = Dequantisation()
    >>> field, log_det = scale.encode(pixels, torch.full((1, 1, 3), 0.5))
    >>> scale.decode(field)
    tensor([[[  0,   7, 255]]])
    >>> scale.bits(-log_det, log_det, 3)     # u has density 1: 8 bits to tell a pixel
    tensor([8.])
    """

    bins: int = 256
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if self.bins < 2 or not 0 < self.alpha < 0.5:
            raise ValueError(
                f"expected bins >= 2 and 0 < alpha < 0.5, got {self.bins} and {self.alpha}; "
                "images of 8 bits have 256 bins, and alpha is 0.05 as a rule"
            )

    def encode(
        self,
        pixels: Shaped[Tensor, "batch channel *grid"],
        uniforms: Float[Tensor, "batch channel *grid"],
    ) -> tuple[Float[Tensor, "batch channel *grid"], Float[Tensor, " batch"]]:
        """Fields y and log |dy / du| of whole images, for pixels and uniforms in [0, 1).

        Raises ValueError for values that are not whole, or beyond the range of either.
        """
        values = pixels.to(uniforms.dtype)
        if not ((values >= 0) & (values < self.bins) & (values == values.floor())).all():
            raise ValueError(
                f"expected whole pixels from 0 to {self.bins - 1}, got values from "
                f"{float(values.min()):g} to {float(values.max()):g}; scale or round them first"
            )
        if not ((uniforms >= 0) & (uniforms < 1)).all():
            raise ValueError(
                f"expected uniforms in [0, 1), got values from {float(uniforms.min()):g} to "
                f"{float(uniforms.max()):g}; give uniform numbers, not normal ones"
            )
        s = self.alpha + (1 - 2 * self.alpha) * (values + uniforms) / self.bins
        fields = torch.logit(s)
        return fields, self.log_slope(fields)

    def log_slope(self, fields: Float[Tensor, "batch channel *grid"]) -> Float[Tensor, " batch"]:
        """log |dy / du| of fields y, summed over their values.

        >>> fields, log_slope = Dequantisation().encode(torch.ones(1, 1, 2), torch.zeros(1, 1, 2))
        >>> torch.equal(Dequantisation().log_slope(fields), log_slope)
        True
        """
        both = torch.nn.functional.softplus(fields) + torch.nn.functional.softplus(-fields)
        return (math.log(1 - 2 * self.alpha) + both).flatten(1).sum(1)

    def decode(
        self, fields: Float[Tensor, "batch channel *grid"]
    ) -> Int[Tensor, "batch channel *grid"]:
        """The pixels whose bins hold y; what lies beyond the range goes to its ends."""
        u = (torch.sigmoid(fields) - self.alpha) / (1 - 2 * self.alpha)
        return (u * self.bins).floor().long().clamp(0, self.bins - 1)

    def bits(
        self,
        log_density: Float[Tensor, " batch"],
        log_det: Float[Tensor, " batch"],
        dimensions: int,
    ) -> Float[Tensor, " batch"]:
        """Bits per dimension from the nats log p(y) of images and `log_det` = log |dy / du|.

        Raises ValueError for fewer than 1 dimension.
        """
        if dimensions < 1:
            raise ValueError(f"expected dimensions >= 1, got {dimensions}; count the pixels")
        return math.log2(self.bins) - (log_density + log_det) / (dimensions * math.log(2))
