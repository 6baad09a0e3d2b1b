"""The bases by name.

Fourier and cosine waves and principal components are functions on every grid of a box, Haar's
blocks on grids that halve; pixels belong to the grid they were fitted on.
"""

from __future__ import annotations

import torch

from pushforward.generative.basis import Basis
from pushforward.generative.cosine import CosineBasis
from pushforward.generative.fourier import FourierBasis
from pushforward.generative.haar import HaarBasis
from pushforward.generative.modes import Modes
from pushforward.generative.pca import PCABasis
from pushforward.generative.pixel import PixelBasis
from pushforward.solvers import Grid

BASES: dict[str, type[Basis]] = {
    basis.kind: basis for basis in (FourierBasis, CosineBasis, HaarBasis, PCABasis, PixelBasis)
}

ORDERED_BY = {  # what a path can order a basis's coefficients by, beside their variance
    "fourier": {"frequency"},
    "cosine": {"frequency"},
    "haar": {"level", "position"},
    "pca": set(),
    "pixel": {"position"},
}


def suits(kind: str, grid: Grid) -> None:
    """Raises ValueError where a solver's grid is not what a basis of that kind takes fields on.

    Fourier waves live on periodic boxes; cosines between walls, in the middles of cells.

    >>> suits("cosine", Grid((8, 8)))
    Traceback (most recent call last):
    ValueError: expected the basis fourier, haar, pixel or pca for the boundary periodic, got ...
    """
    other = "cosine" if grid.periodic else "fourier"
    if kind == other:
        own = "fourier" if grid.periodic else "cosine"
        raise ValueError(
            f"expected the basis {own}, haar, pixel or pca for the boundary {grid.boundary}, got "
            f"{kind}; choose {own}"
        )


def outline(kind: str, grid: Grid, channels: int) -> Modes:
    """Two coefficients that have what those of a basis of that kind have, fitted to nothing.

    A path that can be bound to them can be bound to the basis. Raises ValueError for a grid of
    another boundary than the basis's own (see `suits`).

    >>> outline("haar", Grid((8, 8)), 1).frequency is None
    True
    """
    suits(kind, grid)
    has = ORDERED_BY[kind]
    return Modes(
        torch.zeros(channels, 2),
        torch.tensor([1.0, 2.0]) if "frequency" in has else None,
        torch.tensor([0, 1]) if "level" in has else None,
        torch.tensor([[0.25] * grid.ndim, [0.75] * grid.ndim]) if "position" in has else None,
        points=grid.size,
        extent=grid.extent,
        folds=2 if kind == "cosine" else 1,
    )
