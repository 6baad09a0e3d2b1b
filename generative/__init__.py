"""Diffusion on function space, usable by itself: from fields to a surrogate that draws more.

FourierBasis -> Path -> Denoiser (GaussianDenoiser, NeuralDenoiser) -> sampler -> Surrogate
"""

from pushforward.generative.backbone import FNO, SpectralConv
from pushforward.generative.basis import FourierBasis
from pushforward.generative.denoiser import (
    Denoiser,
    GaussianDenoiser,
    MixtureDenoiser,
    NeuralDenoiser,
)
from pushforward.generative.path import Path
from pushforward.generative.sampler import integrate_path
from pushforward.generative.surrogate import Architecture, Surrogate

__all__ = [
    "FNO",
    "Architecture",
    "Denoiser",
    "FourierBasis",
    "GaussianDenoiser",
    "MixtureDenoiser",
    "NeuralDenoiser",
    "Path",
    "SpectralConv",
    "Surrogate",
    "integrate_path",
]
