"""Members out of core: the same bits whatever the threads do, and little held at once."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from pushforward import preparation
from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.batches import Batches, Resident, Streamed, load
from pushforward.curve import FILE as METRICS
from pushforward.reader import Plan, Reader
from pushforward.simulation import simulate
from pushforward.spec import Training
from pushforward.study import Study

PLAN = Plan(members=53, pack=4, group=5)


class Numbers:
    """Fields that say which member they are; counts what it was asked for."""

    def __init__(self, delay: float = 0.0) -> None:
        self.delay, self.asked, self.lock = delay, [], threading.Lock()

    def read(self, members: range, out: np.ndarray | None = None) -> np.ndarray:
        time.sleep(self.delay * random.random())
        with self.lock:
            self.asked.append(members)
        return np.array(members, np.float32)[:, None, None] * np.ones((1, 1, 2), np.float32)

    def __getstate__(self) -> dict:
        return {"delay": 0.0}

    def __setstate__(self, state: dict) -> None:
        self.__init__(**state)


@pytest.fixture
def reader() -> Iterator[Reader]:
    one = Reader(Numbers(), PLAN, seed=3)
    yield one
    one.close()


def members(reader: Reader, places: range) -> list[int]:
    return reader.rows(places)[:, 0, 0].int().tolist()


def test_every_member_comes_once_an_epoch_in_another_order(reader: Reader) -> None:
    epochs = [members(reader, range(53 * e, 53 * e + 53)) for e in range(3)]
    for number, epoch in enumerate(epochs):
        assert sorted(epoch) == list(range(53))
        assert epoch == reader.order(number).tolist()
    assert len({*map(tuple, epochs)}) == 3
    other = Reader(Numbers(), PLAN, seed=4)
    assert other.order(0).tolist() != epochs[0]


def test_a_group_is_shuffled_over_its_packs(reader: Reader) -> None:
    epoch = reader.epoch(0)
    for start, packs in zip(epoch.starts, epoch.groups, strict=True):
        own = sorted(member for pack in packs for member in PLAN.span(pack))
        some = epoch.order[start : start + len(own)].tolist()
        assert sorted(some) == own
        assert some != own
        assert len({member // PLAN.pack for member in some[:8]}) > 2


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bits_do_not_depend_on_the_timing_of_threads(reader: Reader, threads: int) -> None:
    steps = [range(8 * step, 8 * step + 8) for step in range(20)]
    truth = [reader.rows(step) for step in steps]
    slow = Reader(Numbers(delay=0.01), PLAN, seed=3, threads=threads)
    for step, rows in zip(steps, truth, strict=True):
        assert torch.equal(slow.rows(step), rows)
    slow.close()


def test_a_row_is_a_function_of_its_place(reader: Reader) -> None:
    late = reader.rows(range(200, 208))
    assert torch.equal(reader.rows(range(0, 8)), Reader(Numbers(), PLAN, seed=3).rows(range(8)))
    assert torch.equal(reader.rows(range(200, 208)), late)
    assert torch.equal(reader.rows(range(200, 208, 3)), late[::3])  # a rank's share


@pytest.mark.parametrize("batch", [1, 8, 9])
def test_no_more_is_held_than_two_groups(batch: int) -> None:
    source = Numbers()
    plan = Plan(53, 4, 2 * -(-batch // 4) + 1)
    reader, most = Reader(source, plan, seed=0), 0
    for step in range(4 * 53 // batch):
        reader.rows(range(batch * step, batch * step + batch))
        most = max(most, reader.held)
    assert 0 < most <= 2 * plan.group * plan.pack
    reader.close()
    assert reader.held == 0
    # every pack once an epoch: nothing is read twice
    assert len(source.asked) <= 6 * plan.packs


@pytest.mark.parametrize(
    ("memory", "size", "batch"),
    [(2**20, 2**10, 16), (2**30, 2**16, 64), (2**26, 2**22, 1), (2**33, 2**18, 32)],
)
def test_a_plan_keeps_to_its_memory(memory: int, size: int, batch: int) -> None:
    plan = Plan.within(memory, size, 10**5, batch)
    assert plan.pack & (plan.pack - 1) == 0
    assert 2 * plan.group * plan.pack * size <= memory
    assert plan.group > 3  # so that members of several packs come mixed
    tight = Plan.within(size, size, 10**5, batch)  # a batch in two groups is the least
    assert tight.pack == 1
    assert tight.group == 2 * batch + 1


def test_the_next_group_is_read_meanwhile(reader: Reader) -> None:
    assert isinstance(reader.source, Numbers)
    reader.rows(range(8))
    first = len(reader.epoch(0).groups[0]) + len(reader.epoch(0).groups[1])
    for _ in range(1000):
        if len(reader.source.asked) == first:
            break
        time.sleep(0.01)
    assert len(reader.source.asked) == first


class Written(Numbers):
    """Writes where it is told to, and counts how often it had to take new memory."""

    new = 0

    def read(self, members: range, out: np.ndarray | None = None) -> np.ndarray:
        values = super().read(members)
        with self.lock:
            self.new += out is None
        if out is None:
            return values
        out[...] = values
        return out


@pytest.mark.parametrize("batch", [4, 9])
def test_memory_is_used_again_and_no_batch_lies_in_it(reader: Reader, batch: int) -> None:
    source = Written(delay=0.002)
    other = Reader(source, PLAN, seed=3)
    steps = [range(batch * step, batch * step + batch) for step in range(6 * 53 // batch)]
    found = [other.rows(step) for step in steps]
    for step, rows in zip(steps, found, strict=True):
        assert torch.equal(rows, reader.rows(step))
    # short packs are new; of whole ones no more than two groups have, and those dropped unread
    assert source.new < len(source.asked) / 2
    other.close()
    assert not other._spare


def test_what_cannot_be_read_is_told(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> np.ndarray:
        raise OSError("expected a disk")

    monkeypatch.setattr(reader.source, "read", refuse)
    with pytest.raises(OSError, match="expected a disk"):
        reader.rows(range(8))


# -- in a training


def change(training: Training, **values: object) -> Training:
    return Training.model_validate({**dict(training), **values})


@pytest.fixture(scope="module")
def training() -> Training:
    """32 members of 1 KB in a memory of 12: a group has 6, in packs of 1."""
    return change(Study.load("smoke", ["training.batch=2"]).training, memory=12 / 2**20)


@pytest.fixture(scope="module")
def stored(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Archive:
    archive = Archive(tmp_path_factory.mktemp("stored"))
    simulate(training.simulation, archive)
    return archive


def streamed(training: Training, archive: Archive) -> Streamed:
    _, found, _ = preparation.prepare(training, archive)
    assert isinstance(found, Streamed)
    return found


def test_streamed_fields_are_the_stored_ones(training: Training, stored: Archive) -> None:
    found, fields = streamed(training, stored), load(training, stored)
    assert found.reader.plan == Plan(members=32, pack=1, group=6)
    order = found.order(0)
    assert torch.equal(found.reader.rows(range(32)), fields[order])
    found.reader.close()


def test_above_its_memory_a_training_streams_and_below_it_does_not(
    training: Training, stored: Archive
) -> None:
    assert isinstance(preparation.prepare(change(training, memory=None), stored)[1], Resident)
    assert isinstance(
        preparation.prepare(change(training, memory=48 / 2**20), stored)[1], Resident
    )
    found = streamed(change(training, memory=47 / 2**20), stored)
    assert found.reader.plan.members == 32
    assert (
        change(training, memory=None).name
        == Study.load("smoke", ["training.batch=2"]).training.name
    )


def test_out_of_core_ends_like_resident_in_the_same_order(
    training: Training, stored: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with the order of resident ones: that is the negative control."""
    room.train(training, stored)
    found = streamed(training, stored)
    surrogate, _, held_out = preparation.prepare(training, stored)

    def resident(*_: object) -> object:
        fields = load(training, stored, range(training.members))
        x = surrogate.basis.analyse(fields, training.simulation.grid)
        one = Resident(x, training.seed)
        if ordered:
            one.order = found.order
        return preparation.fitted(training, fields), one, held_out

    losses = []
    monkeypatch.setattr(room, "prepare", resident)
    for ordered in (True, False):
        other = Archive(tmp_path / str(ordered))
        simulate(training.simulation, other)
        room.train(training, other)
        losses.append([line["loss"] for line in other.read_lines(training, METRICS)])
    truth = [line["loss"] for line in stored.read_lines(training, METRICS)]
    assert losses[0] == pytest.approx(truth, rel=1e-4)
    assert losses[1] != pytest.approx(truth, rel=1e-2)
    found.reader.close()


def test_an_interrupted_one_ends_with_the_same_bits(
    training: Training, stored: Archive, archive: Archive
) -> None:
    room.train(training, stored)
    simulate(training.simulation, archive)
    for _ in range(5):
        with pytest.raises(InterruptedError):
            room.train(training, archive, max_seconds=1e-9)
    room.train(training, archive)
    for name, tensor in stored.read_tensors(training, WEIGHTS)[0].items():
        assert torch.equal(tensor, archive.read_tensors(training, WEIGHTS)[0][name]), name


AWAKE = """
import pickle, sys
reader = pickle.loads(bytes.fromhex(sys.argv[1]))
print(reader.held, reader.rows(range(4)).double().sum().item())
reader.close()
"""


def test_a_reader_can_be_sent_to_a_spawned_process(training: Training, stored: Archive) -> None:
    found = streamed(training, stored)
    truth = found.reader.rows(range(4)).double().sum().item()
    script = [sys.executable, "-P", "-c", AWAKE, pickle.dumps(found.reader).hex()]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0", str(truth)]
    assert found.reader.held > 0
    found.reader.close()


def test_a_batch_of_streamed_members_is_that_of_resident_ones(
    training: Training, stored: Archive
) -> None:
    surrogate, found, _ = preparation.prepare(training, stored)
    assert isinstance(found, Streamed)
    fields = load(training, stored, range(training.members))
    one = Resident(surrogate.basis.analyse(fields, training.simulation.grid), training.seed)
    one.order = found.order
    for step in (0, 7, 40):
        pair = zip(*(Batches(x, surrogate, training)(step) for x in (found, one)), strict=True)
        for a, b in pair:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    assert torch.equal(found.first(3), one.first(3)) or torch.allclose(
        found.first(3), one.first(3)
    )
    found.reader.close()


def test_nothing_is_held_when_a_training_ends_or_stops(
    training: Training, stored: Archive, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulate(training.simulation, archive)
    found: list[Streamed] = []

    def keep(*arguments: object) -> object:
        surrogate, members, held_out = preparation.prepare(*arguments)  # type: ignore[arg-type]
        assert isinstance(members, Streamed)
        found.append(members)
        return surrogate, members, held_out

    monkeypatch.setattr(room, "prepare", keep)
    with pytest.raises(InterruptedError):
        room.train(training, archive, max_seconds=1e-9)
    room.train(training, archive)
    assert [one.reader.held for one in found] == [0, 0]
