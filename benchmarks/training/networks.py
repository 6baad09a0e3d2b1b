"""The networks that are compared: ours, neuraloperator's FNO and a U-Net, alike in size.

neuraloperator's FNO has as many channels, layers and waves (n_modes = 2 modes + 1 an axis) and no
grid embedding; all else is its default. It hears the noise level as one more channel of input,
where ours is modulated by a whole vector.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

from pushforward.generative import Surrogate
from pushforward.generative.denoiser import NeuralDenoiser
from pushforward.generative.unet import UNet

from .cases import SEED, Case

DEPTH = 4  # resolutions of the U-Net


class Peer(nn.Module):
    """neuraloperator's FNO, called as ours is: (fields, condition) -> fields."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, u: Tensor, condition: Tensor) -> Tensor:
        level = condition.mean(1).view(-1, 1, *[1] * (u.ndim - 2))
        return self.network(torch.cat([u, level.expand(-1, -1, *u.shape[2:])], 1))


def shape(surrogate: Surrogate) -> tuple[int, int, int]:
    """The numbers of channels in and out, and of the condition, of a denoiser's network."""
    basis = surrogate.basis
    return 4 * basis.channels, 2 * basis.channels, 2 * basis.channels * basis.bands


def neuraloperator(case: Case, surrogate: Surrogate) -> nn.Module:
    """The peer's network for a denoiser; raises ImportError where it is not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = importlib.import_module("neuralop.models")
        channels_in, channels_out, _ = shape(surrogate)
        return Peer(
            models.FNO(
                n_modes=(2 * case.modes + 1,) * 2,
                in_channels=channels_in + 1,
                out_channels=channels_out,
                hidden_channels=case.width,
                n_layers=case.backbone.layers,
                positional_embedding=None,
            )
        )


def unet(surrogate: Surrogate) -> nn.Module:
    """A U-Net of as many parameters as the denoiser's network, as near as widths allow."""
    channels_in, channels_out, condition = shape(surrogate)
    wanted = parameters(network(surrogate))

    def build(width: int) -> nn.Module:
        return UNet(
            channels_in, channels_out, condition=condition, width=width, layers=DEPTH, ndim=2
        )

    @cache
    def gap(width: int) -> float:
        with torch.device("meta"):
            return abs(parameters(build(width)) - wanted)

    return build(min(range(4, 129, 2), key=gap))


def neural(surrogate: Surrogate) -> NeuralDenoiser:
    """A surrogate's denoiser; raises ValueError for the Gaussian one, which has no network."""
    denoiser = surrogate.denoiser
    if not isinstance(denoiser, NeuralDenoiser):
        raise ValueError("expected a surrogate with a network, got the Gaussian one; fit one")
    return denoiser


def network(surrogate: Surrogate) -> nn.Module:
    """The network of a surrogate's denoiser."""
    return neural(surrogate).network


def install(
    surrogate: Surrogate, make: Callable[[Surrogate], nn.Module] | None, one_grid: bool
) -> None:
    """Gives a surrogate's denoiser another network (None: its own), and lets it work at the full
    size of the grid alone, or coarser where noise has drowned the finer waves."""
    denoiser = neural(surrogate)
    if make is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(SEED)
            denoiser.network = make(surrogate)
    if one_grid:
        denoiser.grids = denoiser.grids[-1:]


def parameters(network: nn.Module) -> int:
    """The number of real parameters; a complex one is two.

    >>> parameters(nn.Linear(3, 2))
    8
    """
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in network.parameters())
