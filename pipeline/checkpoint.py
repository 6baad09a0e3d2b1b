"""A training's whole state as plain tensors, so that it can stop and go on without a difference.

Network, its moving averages, the optimiser's moments and the step lie in one safetensors file,
with the fingerprint of what they were made of (see `fingerprint`) and a checksum. It is written
beside its place, flushed and moved there in one step, so a kill leaves the last whole one; and by
a thread of its own, from a copy, so that the loop goes on meanwhile.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from pushforward import files
from pushforward.archive import Archive
from pushforward.bands import added
from pushforward.ema import Decay, Power, Rule, follow
from pushforward.fingerprint import verify
from pushforward.progress import say
from pushforward.shelf import CHECKPOINT
from pushforward.spec import Training

CLIP = 1.0  # largest norm of a gradient


@dataclass
class State:
    """What changes while a training runs: parameters, their average, the optimiser, the step.

    `average` follows `rule` and is what is kept; `others` are followed to be stored on the way, by
    their widths. `losses` are those since the last line of the learning curve, `tally` the same by
    band of noise (see `bands`).
    """

    parameters: Sequence[nn.Parameter]
    average: list[Tensor]
    optimizer: torch.optim.Optimizer
    rule: Rule = field(default_factory=lambda: Decay(0.999))
    others: dict[float, list[Tensor]] = field(default_factory=dict)
    step: int = 0
    seconds: float = 0.0
    losses: list[float] = field(default_factory=list)
    tally: list[float] = field(default_factory=lambda: added([]))

    def __post_init__(self) -> None:
        for p in self.parameters:  # what AdamW starts with, so that there is something to fill
            self.optimizer.state[p] = {
                "step": torch.zeros((), device=p.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }

    def advance(self, rate: float) -> None:
        """One step down the parameters' gradients, and of their moving averages."""
        torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        follow(self.average, self.parameters, self.rule.weight(self.step))
        for width, average in self.others.items():
            follow(average, self.parameters, Power(width).weight(self.step))
        self.step += 1

    def settle(self) -> None:
        """Puts the average in the parameters' place."""
        self.put(self.average)

    def put(self, values: Sequence[Tensor]) -> None:
        """Gives the parameters other values."""
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors themselves, by name."""
        named: dict[str, Tensor] = {}
        for i, (parameter, average) in enumerate(zip(self.parameters, self.average, strict=True)):
            named[f"{i}.parameter"], named[f"{i}.average"] = parameter.detach(), average
            for name, value in self.optimizer.state[parameter].items():
                named[f"{i}.{name}"] = value
            for width, others in self.others.items():
                named[f"{i}.average.{width:g}"] = others[i]
        return named


class Checkpoint:
    """The stored state of a training; a context that ends when all is on the disk.

    `made_of` is the training's `fingerprint`.
    """

    def __init__(self, training: Training, archive: Archive, made_of: dict[str, Any]) -> None:
        self.training, self.archive, self.made_of = training, archive, made_of
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.shutdown()
        if error is None:  # else the first error is the one to tell
            self.wait()

    def save(self, state: State) -> None:
        """Copies the state and has it stored meanwhile; waits for the one before.

        Raises OSError when the disk refused the one before, FloatingPointError for a state that is
        not finite: the next run would go on from it for ever.
        """
        self.wait()
        tensors = state.tensors().items()
        copied = {name: tensor.to("cpu", copy=True) for name, tensor in tensors}
        if not all(bool(tensor.isfinite().all()) for tensor in copied.values()):
            raise FloatingPointError(
                f"expected finite weights, got others at step {state.step}; lower "
                f"training.learning_rate (now {self.training.learning_rate:g})"
            )
        values = {"step": state.step, "seconds": state.seconds}
        values |= {"losses": [*state.losses], "tally": [*state.tally]}
        self._pending = self._writer.submit(self._store, copied, values)

    def wait(self) -> None:
        """Goes on when the last state that was saved is on the disk; OSError where it is not."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def load(self, state: State) -> bool:
        """Takes up the stored state; False when there is none.

        Raises ValueError for a checkpoint of something else, OSError for a damaged one.
        """
        path = self.archive.folder(self.training) / CHECKPOINT
        if not files.exists(path):
            return False
        try:
            tensors, values = self.archive.read_tensors(self.training, CHECKPOINT)
            if values["sha256"] != checksum(tensors):
                raise ValueError("another checksum")
        except (ValueError, KeyError, OSError) as error:
            raise OSError(
                f"expected a whole checkpoint in {path}, got a damaged one ({error}); remove it "
                "to train anew"
            ) from None
        if changed := verify(values["made_of"], self.made_of, path):
            say(f"{self.training.name}: {changed}")
        for name, tensor in state.tensors().items():
            tensor.copy_(tensors[name])
        state.step, state.seconds = values["step"], values["seconds"]
        state.losses = values["losses"]
        state.tally = values.get("tally", state.tally)  # which older checkpoints do not have
        return True

    def _store(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        whole = values | {"made_of": self.made_of, "sha256": checksum(tensors)}
        self.archive.write_tensors(self.training, CHECKPOINT, tensors, whole)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of tensors and their names, in hex.

    >>> checksum({"a": torch.zeros(2)}) == checksum({"b": torch.zeros(2)})
    False
    """
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode())
        found.update(tensors[name].detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
