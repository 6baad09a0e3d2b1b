"""Diffusion on function space, usable by itself: from fields to a surrogate that draws more.

    bases        basis; fourier, cosine, haar, pixel, pca; waves, wavelets, whitening, extension,
                 decay, addresses, modes
    paths        path: clock, ordering (priors, hierarchies, windows), filters; variation
    conditions   observation (as starts), guidance (by functionals)
    processes    process, kernel; learned
    networks     backbone; fno, uno, unet; spectral, band, pointwise
    denoisers    denoiser, exact; loss, calibration
    samplers     draw; sampler, heun, langevin, lifted; walk, reversal
    likelihood   likelihood, flow_density, angles; dequantisation
    all of it    presets -> surrogate -> images, front, sliding

A basis whitens fields, a path says how clear each coefficient is at each time, a denoiser guesses
the clear field, a sampler walks the path with it; a preset names one of each.
"""

from pushforward.generative.backbone import Backbone
from pushforward.generative.bases import BASES
from pushforward.generative.basis import Basis
from pushforward.generative.cosine import CosineBasis
from pushforward.generative.denoiser import Denoiser, NeuralDenoiser
from pushforward.generative.dequantisation import Dequantisation
from pushforward.generative.draw import Counted, Sampler
from pushforward.generative.exact import CovarianceDenoiser, GaussianDenoiser, MixtureDenoiser
from pushforward.generative.flow_density import flow_log_density
from pushforward.generative.fno import FNO
from pushforward.generative.fourier import FourierBasis
from pushforward.generative.guidance import Functionals, Guided, at_points, functionals, together
from pushforward.generative.haar import HaarBasis
from pushforward.generative.heun import heun
from pushforward.generative.images import image_bits
from pushforward.generative.kernel import Dynamics
from pushforward.generative.langevin import annealed_langevin
from pushforward.generative.learned import LearnedProcess
from pushforward.generative.lifted import bridge, euler_maruyama, sscs, strang
from pushforward.generative.likelihood import Likelihood, elbo, terminal_divergence
from pushforward.generative.loss import Loss, Objective
from pushforward.generative.modes import Modes
from pushforward.generative.observation import Observation, observe
from pushforward.generative.ordering import Hierarchy, Prior, Windows
from pushforward.generative.path import Levels, Path
from pushforward.generative.pca import PCABasis
from pushforward.generative.pixel import PixelBasis
from pushforward.generative.presets import PRESETS, Architecture, preset
from pushforward.generative.process import Process
from pushforward.generative.sampler import integrate_path
from pushforward.generative.sliding import slide
from pushforward.generative.spectral import CosineConv, SpectralConv
from pushforward.generative.surrogate import Surrogate
from pushforward.generative.unet import UNet
from pushforward.generative.uno import UNO
from pushforward.generative.variation import Variation

__all__ = [
    "BASES",
    "FNO",
    "PRESETS",
    "UNO",
    "Architecture",
    "Backbone",
    "Basis",
    "CosineBasis",
    "CosineConv",
    "Counted",
    "CovarianceDenoiser",
    "Denoiser",
    "Dequantisation",
    "Dynamics",
    "FourierBasis",
    "Functionals",
    "GaussianDenoiser",
    "Guided",
    "HaarBasis",
    "Hierarchy",
    "LearnedProcess",
    "Levels",
    "Likelihood",
    "Loss",
    "MixtureDenoiser",
    "Modes",
    "NeuralDenoiser",
    "Objective",
    "Observation",
    "PCABasis",
    "Path",
    "PixelBasis",
    "Prior",
    "Process",
    "Sampler",
    "SpectralConv",
    "Surrogate",
    "UNet",
    "Variation",
    "Windows",
    "annealed_langevin",
    "at_points",
    "bridge",
    "elbo",
    "euler_maruyama",
    "flow_log_density",
    "functionals",
    "heun",
    "image_bits",
    "integrate_path",
    "observe",
    "preset",
    "slide",
    "sscs",
    "strang",
    "terminal_divergence",
    "together",
]
