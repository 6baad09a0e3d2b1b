"""Company and poison: two runs of the same study at once, and a member that is no number."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import torch

from tests.faults.scene import Bench
from tests.faults.verdict import FAILED, MISSED, Injection


def pair(bench: Bench, draw: Random, verb: str) -> Injection:
    """Two processes run the same command on the same archive, one a little after the other."""
    with bench.small.scene(verb) as scene:
        first = scene.start()
        time.sleep(draw.uniform(0, 0.8 * scene.seconds))
        at_work = first.running and not scene.archive.sealed(scene.spec)
        ends = scene.start().end(), first.end()
        return scene.settle(*ends) if at_work else Injection(verb, MISSED)


@dataclass(frozen=True)
class Poison:
    """Called in a process: a member, or the loss of a step, is no number, or its gradient is."""

    verb: str
    place: int
    gradient: bool = False

    def __call__(self) -> None:
        {"simulate": self._solver, "train": self._loss, "generate": self._sampler}[self.verb]()

    def _solver(self) -> None:
        from pushforward.solvers import Problem

        def poisoned(run: Callable[..., Any], problem: Any, members: range, *a: Any, **o: Any):
            solution = run(problem, members, *a, **o)
            return self._spoil(solution, solution.fields, members)

        _wrap(Problem, "run", poisoned)

    def _sampler(self) -> None:
        from pushforward.generative import Surrogate

        def poisoned(sample: Callable[..., Any], one: Any, members: range, *a: Any, **o: Any):
            fields = sample(one, members, *a, **o)
            return self._spoil(fields, fields, members)

        _wrap(Surrogate, "sample", poisoned)

    def _loss(self) -> None:
        from pushforward import training

        steps = iter(range(10**9))

        def poisoned(descend: Callable[..., Any], level: Any, parameters: Any, *a: Any):
            said = descend(level, parameters, *a)
            if next(steps) == self.place:
                said = said if self.gradient else said * torch.nan
                for p in parameters if self.gradient else ():
                    p.grad = None if p.grad is None else p.grad * torch.nan
            return said

        _wrap(training, "descend", poisoned)

    def _spoil(self, result: Any, fields: torch.Tensor, members: range) -> Any:
        if self.place in members:
            fields[self.place - members.start].view(-1)[-1] = torch.nan
        return result


def _wrap(owner: Any, name: str, poisoned: Callable[..., Any]) -> None:
    """Puts in a function's place one that is given it, and its arguments."""
    before = getattr(owner, name)
    setattr(owner, name, lambda *a, **o: poisoned(before, *a, **o))


def poison(bench: Bench, draw: Random, verb: str) -> Injection:
    """A number that is none turns up; the remedy is that it does not the next time."""
    with bench.small.scene(verb) as scene:
        steps = scene.spec.steps if verb == "train" else scene.spec.members
        fault = Poison(verb, draw.randrange(steps), gradient=draw.random() < 0.5)
        end = scene.run(arm=fault)
        found = scene.settle(end)
        if end.code == 0:
            why = f"a number that is none was not noticed: {end.said[-300:]!r}"
            return Injection(verb, FAILED, found.sentence, found.seconds, why)
        return found
