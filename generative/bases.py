"""The bases by name.

Fourier and cosine waves are functions on every grid of a box, Haar's blocks on grids that halve;
pixel and PCA coefficients belong to the grid they were fitted on.
"""

from __future__ import annotations

from pushforward.generative.basis import Basis
from pushforward.generative.cosine import CosineBasis
from pushforward.generative.fourier import FourierBasis
from pushforward.generative.haar import HaarBasis
from pushforward.generative.pca import PCABasis
from pushforward.generative.pixel import PixelBasis

BASES: dict[str, type[Basis]] = {
    basis.kind: basis for basis in (FourierBasis, CosineBasis, HaarBasis, PCABasis, PixelBasis)
}
