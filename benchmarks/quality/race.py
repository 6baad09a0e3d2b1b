"""One training against the clock: what it draws when some seconds of the processor are spent.

The clock stands while members are drawn. The learning rate is constant after its warm-up and
weights are averaged over the last tenth of what has been done, so that every mark is as good as a
training that was meant to end there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from pushforward.archive import Archive
from pushforward.batches import Resident, load
from pushforward.checkpoint import State
from pushforward.descent import WARM_UP, begin, descend
from pushforward.generative import Sampler, Surrogate
from pushforward.levels import at
from pushforward.schedule import Schedule
from pushforward.study import Study

from .arms import ARMS, OURS, Arm

SAMPLER = Sampler(steps=12)  # the same for all; each draws from its own levels
BATCH = 16  # members a step: more steps in the time than the study's


@dataclass
class Problem:
    """The study, and its simulated fields (member, channel, *grid) in their three parts."""

    study: Study
    learnt: Tensor
    unseen: Tensor
    members: int  # that are drawn

    @classmethod
    def of(cls, study: Study, archive: Archive) -> Problem:
        """Reads the fields of a simulation that is complete."""
        training, simulation = study.training, study.simulation
        fields = load(training, archive, range(simulation.members))
        used = training.members + training.held_out
        size = study.evaluation.members
        return cls(study, fields[: training.members], fields[used:], size)


@dataclass(frozen=True)
class Mark:
    """What a training drew after some seconds of the processor, and how many steps it had made."""

    seconds: float
    steps: int
    members: Tensor


def race(problem: Problem, arm: Arm, seed: int, marks: Sequence[float]) -> Iterator[Mark]:
    """Trains from a seed, on one thread, until the last mark; what is drawn at each."""
    training = arm.training(problem.study.training, seed, BATCH)
    grid = training.simulation.grid
    surrogate = Surrogate.fit(training.surrogate, problem.learnt, grid, seed=seed)
    arm.install(surrogate, seed)
    x = surrogate.basis.analyse(problem.learnt, grid)
    schedule = Schedule(surrogate, Resident(x, seed), training, range(BATCH))
    state = begin(surrogate, training)
    shares = [level.share for level in training.levels]
    ends = [sum(shares[: i + 1]) * marks[-1] for i in range(len(shares))]
    spent, left = 0.0, list(marks)
    with ThreadPoolExecutor(1) as pool:
        while left:
            since = time.process_time()
            level = at(ends, spent)
            batch = schedule.batches[level](state.step)
            descend(schedule.surrogates[level], state.parameters, batch, training, pool)
            state.advance(training.learning_rate * min(1.0, (state.step + 1) / WARM_UP))
            spent += time.process_time() - since
            if spent >= left[0]:
                left.pop(0)
                yield Mark(spent, state.step, drawn(problem, surrogate, state))


def untrained(problem: Problem) -> Mark:
    """What the Gaussian surrogate draws, which is where training starts from."""
    training = ARMS[OURS].training(problem.study.training, 0, BATCH)
    grid = training.simulation.grid
    surrogate = Surrogate.fit(training.surrogate, problem.learnt, grid).gaussian()
    return Mark(0.0, 0, surrogate.sample(range(problem.members), sampler=SAMPLER))


def drawn(problem: Problem, surrogate: Surrogate, state: State) -> Tensor:
    """Members by the averaged weights; the training goes on with its own."""
    own = [p.detach().clone() for p in state.parameters]
    state.settle()
    members = surrogate.sample(
        range(problem.members), seed=problem.study.generation.seed, sampler=SAMPLER
    )
    state.put(own)
    return members
