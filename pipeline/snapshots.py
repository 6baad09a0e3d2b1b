"""Averaged weights that are stored while a training runs, and surrogates with any other average.

    average-000500.safetensors      "0.05/0", "0.05/1", ..., "0.1/0", ...: width / parameter

A training with `snapshots` = n stores two averages (see `ema`) n times, evenly, the last time at
its end. They are part of its result. Parameters are numbered in the network's own order.
"""

from __future__ import annotations

from pushforward.archive import Archive
from pushforward.checkpoint import State
from pushforward.ema import Snapshot, reconstruct
from pushforward.generative import Surrogate
from pushforward.spec import Training

FILE = "average-{:06d}.safetensors"


def steps(training: Training) -> list[int]:
    """After how many steps averages are stored.

    >>> from pushforward.study import Study
    >>> steps(Study.load("smoke", ["training.snapshots=3"]).training)
    [6, 13, 20]
    """
    count = training.snapshots
    return [(place + 1) * training.steps // count for place in range(count)]


def store(state: State, training: Training, archive: Archive) -> None:
    """Stores the state's averages, where they are due; the same bits where they are there."""
    if state.step in steps(training):
        tensors = {
            f"{width:g}/{place}": tensor
            for width, average in state.others.items()
            for place, tensor in enumerate(average)
        }
        about = {"step": state.step, "widths": [*state.others]}
        archive.write_tensors(training, FILE.format(state.step), tensors, about)


def stored(training: Training, archive: Archive) -> list[Snapshot]:
    """The averages that a complete training has left.

    Raises LookupError for a training that is not complete, or has left none.
    """
    archive.require(training)
    if not training.snapshots:
        raise LookupError(
            f"expected a training with snapshots, got {training.name} without; set "
            "training.snapshots, for instance to 16, and train it"
        )
    found = []
    for step in steps(training):
        tensors, about = archive.read_tensors(training, FILE.format(step))
        for width in about["widths"]:
            own = [name for name in tensors if name.startswith(f"{width:g}/")]
            ordered = sorted(own, key=lambda name: int(name.partition("/")[2]))
            found.append(Snapshot(width, step, [tensors[name] for name in ordered]))
    return found


def averaged(
    training: Training, archive: Archive, width: float, *, step: int | None = None
) -> Surrogate:
    """The surrogate with weights averaged by another relative width, calibrated anew.

    `step` is where the average ends (None: with the training).

    Raises LookupError as `stored` does, ValueError for a width that no average has.
    """
    surrogate = archive.surrogate(training)
    mean = reconstruct(stored(training, archive), width, step)
    parameters = [p for p in surrogate.denoiser.parameters() if p.requires_grad]
    for parameter, tensor in zip(parameters, mean, strict=True):
        parameter.data.copy_(tensor)
    surrogate.calibrate(training.calibration, seed=training.seed)
    return surrogate
