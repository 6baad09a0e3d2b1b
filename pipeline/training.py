r"""The second verb: fit a surrogate to stored members.

    whiten -> [ batch(step) -> loss -> AdamW -> moving average ] x steps -> calibrate -> weights

The loop is a function of the step alone (see `batches`), so a training that is killed and run
again ends with the same bits as one that never was, on the same machine and number of threads. The
learning rate warms up over 100 steps and falls to 0 as half a cosine. What is kept is the moving
average of the weights, with decay min(ema, (step + 1) / (step + 10)).

Files of a training: surrogate.safetensors (weights, basis, gains), metrics.jsonl (a line a logged
step: step, loss, learning_rate, seconds, and now and then held_out_loss and calibration, see
`validation`), calibration.json (on held-out fields, per shell), likelihood.json (on held-out
fields, beside the Gaussian surrogate's), checkpoint.safetensors while it runs.

    Loshchilov, Hutter, AdamW (2019), arXiv:1711.05101
"""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn

from pushforward.archive import WEIGHTS, Archive
from pushforward.batches import Batch, Batches, load
from pushforward.blocks import done
from pushforward.checkpoint import State
from pushforward.curve import Curve
from pushforward.generative import Surrogate
from pushforward.progress import bar, say
from pushforward.shelf import CHECKPOINT
from pushforward.spec import Training
from pushforward.validation import calibration, likelihood, validate

CALIBRATION, LIKELIHOOD = "calibration.json", "likelihood.json"
WARM_UP, WEIGHT_DECAY, BETAS = 100, 1e-4, (0.9, 0.99)


def train(training: Training, archive: Archive, *, threads: int | None = None) -> str:
    """Trains what is missing of a surrogate, and seals it; returns its name.

    `threads` are torch's for a batch in one slice (None: as they are set); slices have one each.
    Run again after any interruption: it goes on at its last checkpoint, to the same bits.

    Raises LookupError, with what to run, when the simulation is not complete, FloatingPointError
    when the loss is no number any more, OSError when the disk refuses.

    >>> import tempfile
    >>> from pushforward import Archive, Study
    >>> train(Study.load("smoke").training, Archive(tempfile.mkdtemp()))
    Traceback (most recent call last):
    LookupError: simulation-... is not in ...; run simulate(study.simulation, archive) first
    """
    if done(training, archive):
        return training.name
    archive.require(training.simulation)
    archive.create(training)
    if (archive.folder(training) / WEIGHTS).is_file():  # the last thing stored before the seal
        return close(training, archive)
    fields = load(training, archive)
    surrogate = Surrogate.fit(
        training.surrogate,
        fields[: training.members],
        training.simulation.grid,
        seed=training.seed,
    )
    if training.translations and not surrogate.basis.homogeneous:
        raise ValueError(
            "expected fields whose mean is the same everywhere for training.translations, got a "
            "mean that varies in space; set training.translations=false"
        )
    x = surrogate.basis.analyse(fields, training.simulation.grid)
    windows = training.surrogate.path.windows
    if windows is not None:
        groups = int(windows.groups(surrogate.basis.modes).max()) + 1
        how = "one after the other" if windows.disjoint(groups) else "overlapping"
        say(f"{training.name}: {groups} windows by {windows.by}, {how}")
    before = torch.get_num_threads()
    torch.set_num_threads(1 if training.slices > 1 else threads or before)
    try:
        optimise(surrogate, x[: training.members], x[training.members :], training, archive)
        finish(surrogate, x[: training.members], x[training.members :], training, archive)
    finally:
        torch.set_num_threads(before)
    return close(training, archive)


def optimise(
    surrogate: Surrogate, x: Tensor, held_out: Tensor, training: Training, archive: Archive
) -> None:
    """The loop, from the last checkpoint to the last step; leaves averaged weights in place."""
    parameters = [p for p in surrogate.denoiser.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=training.learning_rate, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=True
    )
    state = State(parameters, [p.detach().clone() for p in parameters], optimizer)
    if state.load(training, archive):
        say(f"{training.name} goes on at step {state.step} of {training.steps}")
    curve = Curve(training, archive, state)
    batches = Batches(x, surrogate, training)
    began = time.monotonic() - state.seconds
    with (
        bar(training.verb, training.steps, "steps", done=state.step) as advance,
        ThreadPoolExecutor(training.slices) as pool,
    ):
        while state.step < training.steps:
            rate = learning_rate(training, state.step)
            loss = descend(surrogate, parameters, batches(state.step), training.slices, pool)
            state.advance(rate, training.ema)
            state.seconds = time.monotonic() - began
            curve.add(loss, rate, lambda: validate(surrogate, state, held_out, training))
            advance(1, loss=loss)
            if state.step % training.checkpoint_every == 0 or state.step == training.steps:
                state.save(training, archive)
    state.settle()


def descend(
    surrogate: Surrogate,
    parameters: list[nn.Parameter],
    batch: Batch,
    slices: int,
    pool: ThreadPoolExecutor,
) -> float:
    """Leaves the gradient of a batch's mean loss in the parameters; returns the loss.

    Every slice holds each n-th member, so all see the whole range of levels and cost the same.
    They are added in order: bits depend on the number of slices, not on that of cores.
    """
    size = len(batch.t)

    def one(first: int) -> tuple[float, tuple[Tensor, ...]]:
        part = (values[first::slices] for values in batch)
        loss = surrogate.loss(*part).sum() / size
        return float(loss.detach()), torch.autograd.grad(loss, parameters)

    losses, gradients = zip(*pool.map(one, range(slices)), strict=True)
    for parameter, *parts in zip(parameters, *gradients, strict=True):
        parameter.grad = sum(parts[1:], start=parts[0])
    return sum(losses)


def learning_rate(training: Training, step: int) -> float:
    """The learning rate of a step: a linear warm-up and half a cosine to 0."""
    warm = min((step + 1) / min(WARM_UP, max(training.steps, 1)), 1.0)
    fall = 0.5 * (1 + math.cos(math.pi * step / max(training.steps, 1)))
    return training.learning_rate * warm * fall


def finish(
    surrogate: Surrogate, x: Tensor, held_out: Tensor, training: Training, archive: Archive
) -> None:
    """Calibrates, measures on held-out fields, and stores the weights."""
    if training.steps:
        if training.surrogate.process.kind == "learned":
            distances = surrogate.learn(x, seed=training.seed)
            say(f"{training.name}: learnt a process, {distances[0]:.4g} -> {min(distances):.4g}")
        say(f"{training.name}: calibrating")
        surrogate.calibrate(training.calibration, seed=training.seed)
    archive.write_json(training, CALIBRATION, calibration(surrogate, held_out, training))
    archive.write_json(training, LIKELIHOOD, likelihood(surrogate, held_out, training.seed))
    archive.write_tensors(training, WEIGHTS, surrogate.state_dict(), {"config": surrogate.config})


def close(training: Training, archive: Archive) -> str:
    """Removes the checkpoint of a training whose weights are stored, and seals it."""
    archive.remove(training, CHECKPOINT)
    archive.seal(training)
    say(f"{training.name} is complete: {training.steps} steps in {archive.folder(training)}")
    return training.name
