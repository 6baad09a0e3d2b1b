r"""Images that stand in for those of a published set: drawn, written in its format, read again.

    mnist                 strokes: exp(-(z / s)^2) times a window that vanishes at the image's
                          edge, over its maximum; z is smooth Gaussian noise, so that its lines of
                          level 0 are drawn. Some pixels are white and those at the edge are black
    cifar10, imagenet32,  a colour's brightness is the logistic function of coarse noise, finer
    pcam                  noise, and coarse noise that all colours share
    volcano               exp(i phi), phi coarse noise of a few turns and the cone of a source

They are nobody's data, and say nothing about results: with them a study goes through every line
that it goes through with the real files. Image m is the same one whatever else is drawn.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pushforward.image_archives import write_arrays, write_patches
from pushforward.image_files import Bytes, write_cifar, write_idx
from pushforward.interferogram_files import Complex, write_interferograms
from pushforward.published import COLLECTIONS
from pushforward.solvers import Grid
from pushforward.solvers.random_cells import RandomCells
from pushforward.stacks import OPENERS, taken

SHARED = 3  # the step of the noise that colours share; those of the colours are 0, 1, 2
FINE = 16  # the first step of finer noise


def stand_in(kind: str, numbers: Sequence[int]) -> NDArray[Any]:
    """Images of these numbers, as they come from files of the set's format.

    >>> stand_in("mnist", [0, 5]).shape, stand_in("volcano", [3]).dtype
    ((2, 1, 28, 28), dtype('complex64'))
    """
    if not len(numbers):
        return taken([], np.zeros(0, np.int64), kind)
    stream = io.BytesIO()
    if kind == "mnist":
        write_idx(stream, strokes(numbers))
    elif kind == "cifar10":
        write_cifar(stream, textures(numbers, 32))
    elif kind == "imagenet32":
        write_arrays(stream, textures(numbers, 32))
    elif kind == "pcam":
        write_patches(stream, textures(numbers, COLLECTIONS[kind].shape[1]))
    else:
        write_interferograms(stream, cones(numbers))
    if kind in ("mnist", "cifar10"):  # published gzipped
        stream = io.BytesIO(gzip.compress(stream.getvalue(), compresslevel=1))
    return taken(OPENERS[kind](stream), np.arange(len(numbers)), kind)


def _noise(numbers: Sequence[int], cells: int, side: int, step: int) -> Tensor:
    """Smooth noise (member, side, side): normals of a coarse lattice, interpolated."""
    lattice, fine = (Grid((n, n), (1.0, 1.0), "neumann") for n in (cells, side))
    z = RandomCells(cells=lattice.shape, noise="normal").sample(numbers, lattice, step=step)
    return lattice.resample(z, fine)


def _radius(side: int) -> Tensor:
    """Distances of pixels from the middle, in sides."""
    x = Grid((side,), (1.0,), "neumann").coordinates()[0] - 0.5
    return torch.hypot(x[:, None], x)


def strokes(numbers: Sequence[int], side: int = 28) -> Bytes:
    """Strokes that stand in for digits, (member, 1, side, side).

    >>> image = strokes([0])
    >>> int(image.max()), int(image[..., 0].max())
    (255, 0)
    """
    window = (torch.cos(2 * torch.pi * _radius(side).clamp(max=0.5)) + 1) / 2
    ink = torch.exp(-((_noise(numbers, 6, side, 0) / 0.3) ** 2)) * window.clamp(min=0)
    ink = ink / ink.amax((1, 2), keepdim=True)
    ink[:, [0, -1]] = ink[:, :, [0, -1]] = 0
    return (255 * ink).round().to(torch.uint8).numpy()[:, None]


def textures(numbers: Sequence[int], side: int) -> Bytes:
    """Textures that stand in for photographs, (member, 3, side, side).

    >>> textures([0, 1], 32).shape
    (2, 3, 32, 32)
    """
    shared = _noise(numbers, 5, side, SHARED)
    colours = [
        1.5 * shared + _noise(numbers, 5, side, c) + 0.4 * _noise(numbers, 16, side, FINE + c)
        for c in range(3)
    ]
    return (255 * torch.sigmoid(torch.stack(colours, 1))).round().to(torch.uint8).numpy()


def cones(numbers: Sequence[int], side: int = 128) -> Complex:
    """Wrapped phases that stand in for interferograms, (member, 1, side, side).

    >>> abs(cones([0])).max().round(6)
    np.float32(1.0)
    """
    height = 6 * _noise(numbers, 4, 4, FINE)[:, :1, :1]
    phase = 2 * _noise(numbers, 5, side, 0) + height / (1 + (4 * _radius(side)) ** 2) ** 1.5
    return torch.polar(torch.ones_like(phase), phase).to(torch.complex64).numpy()[:, None]
