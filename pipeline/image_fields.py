r"""Fields that are made of images: what their channels are, and their values at the pixels.

intensity         p / 255, p the pixels of 0..255; gray ones 0.299 R + 0.587 G + 0.114 B
signed_distance   to the outline of a digit, at 32 x 32 points, see `signed_distance`
logit             of (p + v) / 256, v uniform, see `dequantisation`
phase             cosine and sine of the phases of complex images
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from pushforward.generative.dequantisation import Dequantisation
from pushforward.solvers import Use
from pushforward.solvers.normals import uniforms

Field = Literal["intensity", "signed_distance", "logit", "phase"]
COLOURS = ("red", "green", "blue")
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
SPREAD = 32  # the step of the uniforms that spread pixels; stand-ins have lower ones
ABOUT = {
    "intensity": "intensity, from 0 to 1",
    "logit": "logit of the dequantised intensity",
    "signed_distance": "signed distance to the outline, in sides of the image",
    "cosine": "cosine of the phase",
    "sine": "sine of the phase",
}


def channels_of(field: str, coloured: bool) -> dict[str, str]:
    """The channels of a field, and what they are.

    >>> list(channels_of("intensity", True)), list(channels_of("phase", False))
    (['red', 'green', 'blue'], ['cosine', 'sine'])
    """
    if field == "phase":
        return {name: ABOUT[name] for name in ("cosine", "sine")}
    if field == "signed_distance" or not coloured:
        return {field: ABOUT[field]}
    ending = "" if field == "intensity" else f"_{field}"
    return {f"{colour}{ending}": f"{ABOUT[field]}, {colour}" for colour in COLOURS}


def intensities(
    pixels: UInt8[Tensor, "member channel row column"], gray: bool = False
) -> Float[Tensor, "member _ row column"]:
    """Intensities from 0 to 1, float64; the luma of three colours if `gray`.

    >>> intensities(torch.tensor([51, 0, 255]).byte()[None, :, None, None], gray=True).item()
    0.1738
    """
    field = pixels.double() / 255
    if not gray:
        return field
    red, green, blue = (w * field[:, [c]] for c, w in enumerate(LUMA))
    return red + green + blue


def logits(
    pixels: UInt8[Tensor, "member channel row column"],
    members: Sequence[int],
    seed: int,
    scale: Dequantisation,
) -> Float[Tensor, "member channel row column"]:
    """Logits of whole pixels, each spread over its bin by its own uniform number.

    >>> pixels, scale = torch.tensor([[[[0, 7, 255]]]]).byte(), Dequantisation()
    >>> scale.decode(logits(pixels, [3], 0, scale)).tolist()
    [[[[0, 7, 255]]]]
    """
    places = torch.meshgrid(*(torch.arange(n) for n in pixels.shape[1:]), indexing="ij")
    return scale.encode(pixels, uniforms(seed, Use.INITIAL, members, places, SPREAD))[0]


def phases(images: NDArray[Any]) -> Float[Tensor, "member 2 row column"]:
    """Cosine and sine of the phases of complex images (member, 1, ...); that of 0 is 0.

    >>> phases(np.array([[[[2j, 0]]]]))[0, :, 0].tolist()
    [[6.123233995736766e-17, 1.0], [1.0, 0.0]]
    """
    angle = np.angle(images[:, 0].astype(np.complex128))
    return torch.from_numpy(np.stack([np.cos(angle), np.sin(angle)], 1))
