"""What a checkpoint was made of: the study, the data, the network, and what decides the last bits.

Going on with other data or another network would train something that nobody asked for, so that
is refused. Going on with other threads, ranks, devices, libraries or vector instructions is sound,
but its sums round differently: it is said, and allowed, since a job that is queued again may get
another machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pushforward.archive import Archive
from pushforward.device import described
from pushforward.places import Place
from pushforward.provenance import code
from pushforward.solvers.kernels.libraries import choose
from pushforward.spec import Training

HARD = ("training", "data", "network")


def fingerprint(
    training: Training, archive: Archive, parameters: Sequence[Tensor], ranks: int
) -> dict[str, Any]:
    """What a training is made of, ready for JSON.

    `training` is its name, `data` digests the checksums of the stored blocks that it reads,
    `network` the shapes of its parameters; the rest decides how sums are rounded.
    """
    return {
        "training": training.name,
        "data": data(training, archive),
        "network": _digest([list(p.shape) for p in parameters]),
        "code": code()["commit"] or code()["version"],
        "torch": torch.__version__,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "kernel": choose() or "torch",
        "threads": torch.get_num_threads(),
        "ranks": ranks,
        "device": described(parameters[0].device),
    }


def data(training: Training, archive: Archive) -> str:
    """A digest of the blocks with the members that a training learns from or holds out.

    Raises LookupError, with what to run, when the simulation is not complete.
    """
    blocks = archive.manifest(training.simulation)["blocks"]
    last = training.members + training.held_out
    return _digest([[one["members"], one["arrays"]] for one in blocks if one["members"][0] < last])


def verify(stored: dict[str, Any], own: dict[str, Any], path: Place) -> str:
    """Says in a sentence what will round differently; nothing when all is as it was.

    Raises ValueError when the checkpoint at `path` is of something else.

    >>> now = {"training": "training-1", "data": "ab", "network": "cd", "threads": 2}
    >>> from pathlib import Path
    >>> verify(now | {"threads": 1}, now, Path("checkpoint"))
    'expected threads 1 as before, got 2: the result will differ by round-off; ...'
    >>> verify(now | {"data": "ef"}, now, Path("checkpoint"))
    Traceback (most recent call last):
    ValueError: expected a checkpoint of data ab, got one of ef; remove checkpoint to train anew
    """
    older = {"device": "cpu", "kernel": own.get("kernel")}  # which these do not say
    stored = older | stored
    for key in HARD:
        if stored.get(key) != own[key]:
            raise ValueError(
                f"expected a checkpoint of {key} {own[key]}, got one of {stored.get(key)}; "
                f"remove {path} to train anew"
            )
    other = [key for key in own if stored.get(key) != own[key]]
    if not other:
        return ""
    before = ", ".join(f"{key} {stored.get(key)}" for key in other)
    after = ", ".join(str(own[key]) for key in other)
    return (
        f"expected {before} as before, got {after}: the result will differ by round-off; "
        "go back to them for the same bits"
    )


def _digest(values: Any) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
