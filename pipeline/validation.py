"""What a training measures on members it does not learn from: loss, calibration, likelihood.

Noise and noise levels are the same every time, so that two measurements differ by the network
alone. Calibration is E[D xi] / E x^2 per shell and noise level, 1 for an exact denoiser: where it
is not, a sampler changes the spectrum (see `generative.calibration`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from pushforward.batches import Batch
from pushforward.checkpoint import State
from pushforward.device import carried
from pushforward.generative import Surrogate
from pushforward.generative.calibration import table
from pushforward.generative.images import bits_of
from pushforward.solvers import Use
from pushforward.spec import Training

STRENGTHS = 7  # of a network for a range of them, whose likelihoods are bounded
MEASURED = 64  # members whose likelihood is bounded, and whose calibration is followed


def validate(
    surrogate: Surrogate, state: State, held_out: Tensor, training: Training
) -> dict[str, Any]:
    """Loss and calibration of the averaged weights, for the learning curve.

    `held_out_loss` is NaN without held-out members; `calibration` is the table's ratio (level,
    channel, shell), None where there is nothing to learn.
    """
    own = [p.detach().clone() for p in state.parameters]
    state.settle()
    with torch.no_grad():
        losses = [surrogate.loss(*batch) for batch in batches(surrogate, held_out, training)]
    found = calibration(surrogate, held_out[:MEASURED], training)
    state.put(own)
    ratio = [
        [[one if one is None else round(one, 3) for one in row] for row in channel]
        for channel in found["ratio"]
    ]
    loss = float(torch.cat(losses).mean()) if losses else math.nan
    return {"held_out_loss": loss, "calibration": ratio}


def calibration(surrogate: Surrogate, held_out: Tensor, training: Training) -> dict[str, Any]:
    """E[D xi] / E x^2 per noise level, channel and shell, ready for JSON."""
    parts = batches(surrogate, held_out, training)
    return table(surrogate.denoiser, surrogate.basis, surrogate.levels, parts)


def likelihood(surrogate: Surrogate, held_out: Tensor, training: Training) -> dict[str, Any]:
    """The variational bound in nats a dimension of the fields, with what the Gaussian surrogate
    has, and the gain over it in nats a member with its standard error; empty below two members.

    Of images that were dequantised also bits a dimension, with the Gaussian's and a standard
    error; of a network for a range of strengths all of it along the path of each of a few.
    """
    x = carried(held_out[:MEASURED], surrogate.basis.mask.device)
    if len(x) < 2:
        return {}
    found = _along(surrogate, x, training, 1.0, 32)
    low, high = training.surrogate.variation.strengths
    if low < high:
        few = [low + (high - low) * i / (STRENGTHS - 1) for i in range(STRENGTHS)]
        each = [{"strength": a, **_along(surrogate, x, training, a, 16)} for a in few]
        found["strengths"] = each
    return found


def _along(
    surrogate: Surrogate, x: Tensor, training: Training, strength: float, times: int
) -> dict[str, Any]:
    """What `likelihood` says of one path."""
    bound = surrogate.likelihood(x, seed=training.seed, times=times, strength=strength)
    log_det, scale = surrogate.basis.log_det, training.dequantisation
    basis, bits = surrogate.basis, {}
    if scale is not None and basis.dimensions == basis.channels * surrogate.grid.size:
        slope = scale.log_slope(basis.synthesise(x, surrogate.grid))
        own, gaussian = bits_of(bound, slope, scale, surrogate)
        bits = {
            "bits_per_dimension": float(own.mean()),
            "bits_error": float(own.std() / math.sqrt(len(x))),
            "gaussian_bits_per_dimension": float(gaussian.mean()),
        }
    return bits | {
        "nats_per_dimension": float(bound.per_dimension(log_det).mean()),
        "gaussian_nats_per_dimension": float(bound.baseline_per_dimension(log_det).mean()),
        "gain_per_member": float(bound.gain.mean()),
        "gain_error": float(bound.gain.std() / math.sqrt(len(x))),
        "dimensions": bound.dimensions,
        "members": len(x),
        "evaluations": bound.evaluations,
    }


def batches(surrogate: Surrogate, held_out: Tensor, training: Training) -> list[Batch]:
    """Held-out fields in batches, each at levels spread over the path, with fixed noise."""
    device, parts = surrogate.basis.mask.device, []
    for start in range(0, len(held_out), training.batch):
        x = carried(held_out[start : start + training.batch], device)
        members = range(start, start + len(x))
        t = (torch.arange(len(x), device=device) + 0.5) / len(x)
        eps = surrogate.basis.noise(training.seed, Use.VALIDATION, members)
        parts.append(Batch(x, t, eps, surrogate.levels(t)))
    return parts
