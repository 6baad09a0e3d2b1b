"""What a training starts from: a basis fitted to members, and the members themselves.

Members are resident, whitened, where all of them take at most `memory` (`RESIDENT` where a study
does not say). Beyond that the basis is fitted to the first ones that fit, held-out members are
resident besides, however many a study has, and those that are learnt from are read from their
shards while the training runs (see `reader`), each rank reading all of them. Which of the two it
is, and in which order members come, is decided by numbers of the study, not of the machine. The
basis is fitted and resident members are whitened on the CPU; then all go to the device that
computes, members as far as they fit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pushforward.archive import Archive
from pushforward.batches import Members, Resident, Streamed, load
from pushforward.device import CPU, settled
from pushforward.generative import Surrogate
from pushforward.progress import say
from pushforward.reader import Plan, Reader
from pushforward.shards import Fields
from pushforward.shelf import DATA
from pushforward.spec import Training

GIB = 2**30
RESIDENT = 4.0  # GiB of float32 fields: above all studies of the catalogue
FEWEST = 256  # members that a basis is fitted to at least, if there are as many
FIT = 8  # how much more than its fields the fit of a basis takes, in float64 and complex


def prepare(
    training: Training, archive: Archive, device: torch.device = CPU
) -> tuple[Surrogate, Members, Tensor]:
    """An untrained surrogate on a device, the whitened members it learns from, and those held out
    (which stay on the CPU).

    Raises LookupError, with what to run, when the simulation is not complete, and ValueError for
    translations of fields whose mean varies in space.
    """
    memory = GIB * (RESIDENT if training.memory is None else training.memory)
    whole, grid = training.simulation.grid, training.learnt_on
    size = 4 * len(training.stack) * grid.size
    if (training.members + training.held_out) * size <= memory:
        fields = load(training, archive)
        surrogate = fitted(training, fields[: training.members])
        x = surrogate.basis.analyse(fields, grid)
        seen = settled(x[: training.members], device)
        return surrogate.to(device), Resident(seen, training.seed), x[training.members :]
    few = min(training.members, max(FEWEST, int(memory / (FIT * size))))
    surrogate = fitted(training, load(training, archive, range(few)))
    held_out = load(
        training, archive, range(training.members, training.members + training.held_out)
    )
    plan = Plan.within(memory, size, training.members, training.batch)
    say(
        f"{training.name}: {training.members * size / GIB:.3g} GiB of fields, read as they come, "
        f"at most {2 * plan.group * plan.pack * size / GIB:.2g} GiB at once, and "
        f"{training.held_out * size / GIB:.2g} GiB of held-out members beside them"
    )
    source = Fields(archive.folder(training.simulation) / DATA, training.stack)
    x = surrogate.basis.analyse(held_out, grid)
    surrogate = surrogate.to(device)  # and its basis, which whitens what is read
    return surrogate, Streamed(Reader(source, plan, training.seed), surrogate.basis, whole), x


def fitted(training: Training, fields: Tensor) -> Surrogate:
    """An untrained surrogate of fields (member, channel, *grid)."""
    grid = training.learnt_on
    surrogate = Surrogate.fit(training.surrogate, fields, grid, seed=training.seed)
    if training.translations and not surrogate.basis.homogeneous:
        raise ValueError(
            "expected fields whose mean is the same everywhere for training.translations, got a "
            "mean that varies in space; set training.translations=false"
        )
    windows = training.surrogate.path.windows
    if windows is not None:
        groups = int(windows.groups(surrogate.basis.modes).max()) + 1
        how = "one after the other" if windows.disjoint(groups) else "overlapping"
        say(f"{training.name}: {groups} windows by {windows.by}, {how}")
    return surrogate
