r"""The second verb: fit a surrogate to stored members.

    whiten -> [ batch(step) -> loss -> AdamW -> moving average ] x steps -> calibrate -> weights

The loop is a function of the step alone (see `batches`), so a training that is killed or told to
stop, and run again, ends with the same bits as one that never was, on the same machine and numbers
of threads and ranks; a checkpoint says when these are others (see `fingerprint`). The learning
rate warms up over 100 steps and falls to 0 as half a cosine. What is kept is a moving average of
the weights (see `ema`).

Files of a training: surrogate.safetensors (weights, basis, gains), metrics.jsonl (losses, pace and
tests, a line a logged step, see `curve`), calibration.json (on held-out fields, per shell),
likelihood.json (on held-out fields, beside the Gaussian surrogate's), average-*.safetensors where
they are asked for (see `snapshots`), checkpoint.safetensors while it runs.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from pushforward import files, snapshots
from pushforward.archive import WEIGHTS, Archive
from pushforward.batches import Members
from pushforward.blocks import done
from pushforward.checkpoint import Checkpoint, State
from pushforward.curve import FILE as METRICS
from pushforward.curve import Curve
from pushforward.descent import begin, descend, learning_rate
from pushforward.device import carried, exact
from pushforward.fingerprint import fingerprint
from pushforward.generative import Surrogate
from pushforward.loggers import package, telling
from pushforward.pace import Pace, waits
from pushforward.preemption import Preemption
from pushforward.preparation import prepare
from pushforward.progress import bar, say
from pushforward.ranks import Ranks, joined
from pushforward.schedule import Schedule
from pushforward.shelf import CHECKPOINT
from pushforward.spec import Training
from pushforward.validation import calibration, likelihood, validate

FEW = 1024  # members that a process may be learnt from
MEASURED = 64  # held-out members that what a network leaves unknown is measured on
CALIBRATION, LIKELIHOOD = "calibration.json", "likelihood.json"


def train(
    training: Training,
    archive: Archive,
    *,
    threads: int | None = None,
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Trains what is missing of a surrogate, and seals it; returns its name.

    `threads` are torch's for a batch in one slice (None: as they are set); slices have one each.
    Run again after any interruption: it goes on at its last checkpoint, to the same bits. After
    `max_seconds`, and at SIGTERM and SIGUSR1, it finishes its step, stores a checkpoint and stops.
    Started by torchrun or srun, every rank computes its share of each batch (see `ranks`).
    `log` names a logger that is told the learning curve (see `loggers`), `device` what computes:
    auto (None), cpu, cuda or cuda:N (see `device`).

    Raises LookupError, with what to run, when the simulation is not complete or a logger's package
    is missing or no such device is there, InterruptedError
    when it was told to stop, ValueError for a checkpoint of other data and for more ranks than
    members in a batch, FloatingPointError when the loss is no number any more, ConnectionError
    when a rank is lost, OSError when the disk refuses.

    >>> import tempfile
    >>> from pushforward import Archive, Study
    >>> train(Study.load("smoke").training, Archive(tempfile.mkdtemp()))
    Traceback (most recent call last):
    LookupError: simulation-... is not in ...; run simulate(study.simulation, archive) first
    """
    with joined(device) as ranks, exact(ranks.device), Preemption(max_seconds) as stop:
        if ranks.agree(done(training, archive)):
            return training.name
        archive.require(training.simulation)
        check_ranks(training, ranks)
        if log is not None:
            package(log)  # on every rank, so that none waits for one that refuses
        before = torch.get_num_threads()
        torch.set_num_threads(1 if training.slices > 1 else threads or before)
        try:
            # the weights are the last thing stored before the seal
            if not ranks.agree(files.exists(archive.folder(training) / WEIGHTS)):
                learn(training, archive, ranks, stop, log if ranks.first else None)
        finally:
            torch.set_num_threads(before)
        if ranks.first:
            close(training, archive)
        ranks.wait()
    return training.name


def check_ranks(training: Training, ranks: Ranks) -> None:
    """Raises ValueError where a rank would have nothing to do."""
    if ranks.count * training.slices > training.batch:
        raise ValueError(
            f"expected ranks x slices <= training.batch of {training.batch}, got {ranks.count} x "
            f"{training.slices}; start fewer ranks or raise training.batch"
        )


def learn(
    training: Training, archive: Archive, ranks: Ranks, stop: Preemption, log: str | None
) -> None:
    """From stored fields to stored weights."""
    if ranks.first:
        archive.create(training)
    surrogate, seen, held_out = prepare(training, archive, ranks.device)
    try:
        optimise(surrogate, seen, held_out, training, archive, ranks, stop, log)
    finally:
        seen.close()  # what is read ahead, and the threads
    if ranks.first:
        finish(surrogate, seen, held_out, training, archive, stop)


def optimise(
    surrogate: Surrogate,
    seen: Members,
    held_out: Tensor,
    training: Training,
    archive: Archive,
    ranks: Ranks,
    stop: Preemption,
    log: str | None,
) -> None:
    """The loop, from the last checkpoint to the last step; leaves averaged weights in place.

    Raises InterruptedError, with a checkpoint on the disk, when any rank is told to stop.
    """
    schedule = Schedule(surrogate, seen, training, ranks.slots(training.batch))
    state = begin(surrogate, training)
    made_of = fingerprint(training, archive, state.parameters, ranks.count)
    pace, asked = Pace(training.batch), 0.0

    def test() -> dict[str, Any]:
        return validate(surrogate, state, held_out, training)

    with (
        Checkpoint(training, archive, made_of) as checkpoint,
        ThreadPoolExecutor(training.slices) as pool,
    ):
        resume(state, checkpoint, training, ranks)
        began = time.monotonic() - state.seconds
        with (
            telling(log, training, archive.root, state.step) as tell,
            bar(training.verb, training.steps, "steps", done=state.step) as advance,
        ):
            curve = Curve(training, archive, state, tell) if ranks.first else None
            while state.step < training.steps and not asked:
                pace.begin()
                rate = learning_rate(training, state.step)
                level, batch = schedule(state.step)
                pace.fed()
                said = descend(level, state.parameters, batch, training, pool)
                gradients = [p.grad for p in state.parameters if p.grad is not None]
                said = ranks.add(gradients, torch.cat([said, said.new_tensor([stop.asked])]))
                state.advance(rate)
                loss, *tally, asked = said.tolist()  # here alone a step waits for a GPU
                pace.end()
                state.seconds = time.monotonic() - began
                if curve is not None:
                    curve.add(loss, tally, rate, pace, test)
                advance(1, loss=loss, **{"samples/s": pace.rate})
                due = state.step % training.checkpoint_every == 0 or state.step == training.steps
                if ranks.first:
                    snapshots.store(state, training, archive)
                    if due or asked:
                        checkpoint.save(state)
    if asked:
        ranks.wait()  # until the first one has stored it: who ends earlier may end the others
        raise InterruptedError(stopped(training, state.step, stop.reason or "on another rank"))
    state.settle()


def resume(state: State, checkpoint: Checkpoint, training: Training, ranks: Ranks) -> None:
    """Takes up the checkpoint, if there is one; every rank starts from what the first one has."""
    if ranks.first and checkpoint.load(state):
        say(f"{training.name} goes on at step {state.step} of {training.steps}")
    ranks.share([*state.tensors().values()])
    state.step = int(ranks.agree(state.step))


def stopped(training: Training, step: int, reason: str) -> str:
    """What is said to who told a training to stop."""
    return (
        f"{training.name} stopped at step {step} of {training.steps} ({reason}); the same command "
        "goes on from here"
    )


def finish(
    surrogate: Surrogate,
    seen: Members,
    held_out: Tensor,
    training: Training,
    archive: Archive,
    stop: Preemption,
) -> None:
    """Calibrates, measures on held-out fields, and stores the weights.

    Raises InterruptedError between its parts at a signal; a time budget it may outlast, or a
    short one would never see its end.
    """

    def pause() -> None:
        if stop.signal:
            raise InterruptedError(stopped(training, training.steps, stop.signal))

    if training.steps:
        if training.surrogate.process.kind == "learned":
            x = carried(seen.first(FEW), surrogate.basis.mask.device)
            distances = surrogate.learn(x, seed=training.seed)
            say(f"{training.name}: learnt a process, {distances[0]:.4g} -> {min(distances):.4g}")
        say(f"{training.name}: calibrating")
        pause()
        surrogate.calibrate(training.calibration, seed=training.seed)
        pause()
        few = carried(held_out[:MEASURED], surrogate.basis.mask.device)
        surrogate.measure(few, seed=training.seed)
    pause()
    archive.write_json(training, CALIBRATION, calibration(surrogate, held_out, training))
    archive.write_json(training, LIKELIHOOD, likelihood(surrogate, held_out, training))
    archive.write_tensors(training, WEIGHTS, surrogate.state_dict(), {"config": surrogate.config})


def close(training: Training, archive: Archive) -> None:
    """Removes the checkpoint of a training whose weights are stored, and seals it."""
    archive.remove(training, CHECKPOINT)
    archive.seal(training)
    waited = waits(archive.read_lines(training, METRICS))
    said = f"{training.name} is complete: {training.steps} steps in {archive.folder(training)}"
    facts = {"name": training.name, "steps": training.steps, "data_wait": waited}
    say(
        said + ("" if waited is None else f", {waited:.1%} waiting for data"),
        event="complete",
        **facts,
    )
