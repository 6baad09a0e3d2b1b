"""All that is measured of one case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import nn

from pushforward.generative import Surrogate

from . import networks
from .cases import Case
from .rounds import Times, interleaved
from .steps import Step, evaluation, given, gradient

OURS, PEER, UNET = "pushforward FNO", "neuraloperator FNO", "pushforward U-Net"
ALONE, FORWARD, STEP, LIBRARY = (
    "network, forwards and backwards",
    "network, forwards, no gradients",
    "training step, full grid",
    "training step, as the library takes it",
)
PARTS: tuple[str, ...] = ("batch", "descend", "advance")


@dataclass
class Measured:
    """Times by what was done and by whose network, numbers of parameters, and the parts of a
    step; `failed` says why there is no peer."""

    case: Case
    parameters: dict[str, int] = field(default_factory=dict)
    times: dict[str, dict[str, Times]] = field(default_factory=dict)
    parts: dict[str, Times] = field(default_factory=dict)
    grids: list[int] = field(default_factory=list)
    failed: str = ""


def measured(case: Case, rounds: int) -> Measured:
    """Everything of a case, in interleaved rounds."""
    found, makers = Measured(case), _makers(case)
    try:
        steps = {name: Step(case, make) for name, make in makers.items()}
    except ImportError as error:
        found.failed = str(error)
        del makers[PEER]
        steps = {name: Step(case, make) for name, make in makers.items()}
    library = Step(case, one_grid=False)
    found.grids = [grid.shape[0] for grid in library.grids]
    whole = {STEP: steps, LIBRARY: {OURS: library}}
    nets = {name: networks.network(step.surrogate) for name, step in steps.items()}
    found.parameters = {name: networks.parameters(net) for name, net in nets.items()}
    found.times = {
        **_alone(case, nets, library.surrogate, rounds, "cpu"),
        **_whole(whole, rounds),
    }
    found.parts = interleaved({part: getattr(library, part) for part in PARTS}, rounds)
    if torch.cuda.is_available():
        there = {name: net.to("cuda") for name, net in nets.items()}
        found.times |= _alone(case, there, library.surrogate, rounds, "cuda")
    return found


def _makers(case: Case) -> dict[str, Callable[[Surrogate], nn.Module] | None]:
    """Who is compared; None is the denoiser's own network."""
    makers: dict[str, Callable[[Surrogate], nn.Module] | None] = {OURS: None}
    makers[PEER] = partial(networks.neuraloperator, case)
    if case.convolutional:
        makers[UNET] = networks.unet
    return makers


def _alone(
    case: Case, nets: dict[str, nn.Module], surrogate: Surrogate, rounds: int, device: str
) -> dict[str, dict[str, Times]]:
    """Networks by themselves, on normal numbers."""
    channels, _, condition = networks.shape(surrogate)
    u, c = given(case, channels, condition, device)
    return {
        f"{title}{', GPU' if device == 'cuda' else ''}": interleaved(
            {name: make(net, u, c) for name, net in nets.items()}, rounds
        )
        for title, make in ((FORWARD, evaluation), (ALONE, gradient))
    }


def _whole(whole: dict[str, dict[str, Step]], rounds: int) -> dict[str, dict[str, Times]]:
    """Steps, all of them in the same rounds."""
    jobs = {(what, who): step for what, steps in whole.items() for who, step in steps.items()}
    found = interleaved(jobs, rounds)
    times = {what: {who: found[what, who] for who in steps} for what, steps in whole.items()}
    if PEER in times[STEP]:
        times[LIBRARY][PEER] = times[STEP][PEER]
    return times
