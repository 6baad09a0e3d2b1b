r"""Signed distances to the outlines of digits, as functions of the plane.

    s = (d(x, inside) - d(x, outside)) / N,      inside = {pixels above 1/2},

on the lattice of N x N = 32 x 32 pixels that an image is first brought to, bilinearly, its corners
kept; d is the distance between middles of pixels, so that s is never within (-1/N, 1/N), negative
inside, and counts in sides of the image. This is MNIST-SDF (Lim et al.). The field is the
interpolant of the lattice's values by the waves of the box, so it is one function on every grid.

The bilinear weights of 28 to 32 pixels are whole multiples of 1/16: sums of them and whole pixels
are exact, and no member's outline depends on its company.

    Lim et al., Score-based diffusion models in function space (2023), arXiv:2302.07400
    Felzenszwalb, Huttenlocher, Distance transforms of sampled functions, Theory of Computing 8
    (2012), doi:10.4086/toc.2012.v008a019
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Shaped
from scipy.ndimage import distance_transform_edt
from torch import Tensor

LATTICE = 32


def bilinear(n: int, points: int) -> Float[Tensor, "points n"]:
    """The matrix from n cells to `points` cells of the same interval, linear between middles.

    Beyond the outermost middles the outermost values go on.

    >>> bilinear(2, 4)
    tensor([[1.0000, 0.0000],
            [0.7500, 0.2500],
            [0.2500, 0.7500],
            [0.0000, 1.0000]], dtype=torch.float64)
    """
    x = (torch.arange(points, dtype=torch.float64) + 0.5) * n / points - 0.5
    distance = (x.clamp(0, n - 1)[:, None] - torch.arange(n, dtype=torch.float64)).abs()
    return (1 - distance).clamp(min=0)


def signed_distance(
    pixels: Shaped[Tensor, "member 1 row column"], lattice: int = LATTICE
) -> Float[Tensor, "member 1 lattice lattice"]:
    """Signed distances on the lattice, float64, in sides of the image, negative inside.

    `pixels` are whole numbers of 0 to 255.

    Raises ValueError for an image that lies above or below one half everywhere: it has no outline.

    >>> pixels = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    >>> pixels[..., 14:] = 255                            # the right half is inside
    >>> (32 * signed_distance(pixels))[0, 0, 0, 13:19].tolist()
    [3.0, 2.0, 1.0, -1.0, -2.0, -3.0]
    """
    rows, columns = (bilinear(n, lattice) for n in pixels.shape[-2:])
    inside = (rows @ pixels.double() @ columns.T > 255 / 2).numpy()
    out = np.empty(inside.shape)
    for field, mask in zip(out[:, 0], inside[:, 0], strict=True):
        if mask.all() or not mask.any():
            raise ValueError(
                "expected images with pixels above and below one half, got one with an outline "
                "nowhere; leave it out, or take the field intensity"
            )
        outside, within = (np.asarray(distance_transform_edt(m)) for m in (~mask, mask))
        field[:] = outside - within
    return torch.from_numpy(out) / lattice
