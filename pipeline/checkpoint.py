"""A training's whole state as plain tensors, so that it can stop and go on without a difference.

Network, its moving average, the optimiser's moments and the step lie in one safetensors file,
written atomically: a kill leaves the last whole one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pushforward.archive import Archive
from pushforward.shelf import CHECKPOINT
from pushforward.spec import Training

CLIP = 1.0  # largest norm of a gradient


@dataclass
class State:
    """What changes while a training runs: parameters, their average, the optimiser, the step."""

    parameters: Sequence[nn.Parameter]
    average: list[Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def advance(self, rate: float, decay: float) -> None:
        """One step down the parameters' gradients, and of their moving average."""
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        weight = 1 - min(decay, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for average, parameter in zip(self.average, self.parameters, strict=True):
                average.lerp_(parameter, weight)
        self.step += 1

    def settle(self) -> None:
        """Puts the average in the parameters' place."""
        self.put(self.average)

    def put(self, values: Sequence[Tensor]) -> None:
        """Gives the parameters other values."""
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def save(self, training: Training, archive: Archive) -> None:
        """Stores the state in the training's folder."""
        tensors: dict[str, Tensor] = {}
        for i, (parameter, average) in enumerate(zip(self.parameters, self.average, strict=True)):
            tensors[f"{i}.parameter"], tensors[f"{i}.average"] = parameter, average
            for name, value in self.optimizer.state[parameter].items():
                tensors[f"{i}.{name}"] = value
        archive.write_tensors(
            training, CHECKPOINT, tensors, {"step": self.step, "seconds": self.seconds}
        )

    def load(self, training: Training, archive: Archive) -> bool:
        """Takes up the stored state; False when there is none."""
        try:
            tensors, metadata = archive.read_tensors(training, CHECKPOINT)
        except LookupError:
            return False
        self.step, self.seconds = metadata["step"], metadata["seconds"]
        with torch.no_grad():
            for i, (parameter, average) in enumerate(
                zip(self.parameters, self.average, strict=True)
            ):
                parameter.copy_(tensors[f"{i}.parameter"])
                average.copy_(tensors[f"{i}.average"])
                self.optimizer.state[parameter] = {
                    name: tensors[f"{i}.{name}"] for name in ("step", "exp_avg", "exp_avg_sq")
                }
        return True
