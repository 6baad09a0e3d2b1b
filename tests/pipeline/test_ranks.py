"""Ranks descend one gradient, stop together, and the first alone writes.

This file is also the script of a launcher: it imports the package once and forks the ranks, which
find each other over loopback as those of torchrun do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from pushforward import disk
from pushforward import training as room
from pushforward.archive import WEIGHTS, Archive
from pushforward.batches import Batches
from pushforward.curve import FILE as METRICS
from pushforward.descent import begin, descend
from pushforward.ranks import Place, Ranks, place
from pushforward.shelf import CHECKPOINT
from pushforward.simulation import simulate
from pushforward.spec import Training
from pushforward.study import Study

LEVELS = "training.levels=[{points: [8, 8], share: 0.5}]"
STREAMED = "training.memory=2e-5"  # GiB, of which the fields take more


def spec(slices: int = 1, *changes: str) -> Training:
    return Study.load("smoke", [f"training.slices={slices}", *changes]).training


# -- the script


def only_the_first_writes(rank: int) -> None:
    """What the others would write is a mistake."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a rank that is not the first one wrote")

    if rank > 0:
        disk.write_bytes = disk.append_line = disk.remove = refuse


def send_at(step: int, number: int) -> None:
    """Sends this process a signal when it comes to a step."""
    rate = room.learning_rate

    def send(training: Training, now: int) -> float:
        if now == step:
            os.kill(os.getpid(), number)
        return rate(training, now)

    room.learning_rate = send


def as_rank(
    rank: int, count: int, port: int, root: str, step: int, number: int, changes: list[str]
) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    only_the_first_writes(rank)
    if rank == count - 1:
        send_at(step, number)
    room.train(spec(1, *changes), Archive(root))


def fork(action: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except InterruptedError as stopped:
            print(stopped, file=sys.stderr, flush=True)
            os._exit(75)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    return child


def launch(root: str, count: int, step: int, number: int, *changes: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.set_num_threads(1)
    children = [
        fork(lambda rank=rank: as_rank(rank, count, port, root, step, number, [*changes]))
        for rank in range(count)
    ]
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in children]))


def together(
    archive: Archive, count: int, step: int = -1, number: int = signal.SIGTERM, *changes: str
) -> tuple[list[int], str]:
    """Trains on some ranks, of which the last gets a signal at a step; their codes and words."""
    numbers = (str(one) for one in (count, step, int(number)))
    script = [sys.executable, "-P", __file__, str(archive.root), *numbers, *changes]
    done = subprocess.run(script, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


# -- the tests


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Trained by one process, in one slice and in two."""
    archive = Archive(tmp_path_factory.mktemp("alone"))
    simulate(spec().simulation, archive)
    for slices in (1, 2):
        room.train(spec(slices), archive)
    return archive


@pytest.fixture
def fresh(alone: Archive, tmp_path: Path) -> Archive:
    archive = Archive(tmp_path / "runs")
    shutil.copytree(alone.folder(spec().simulation), archive.folder(spec().simulation))
    return archive


def weights(training: Training, archive: Archive) -> dict[str, torch.Tensor]:
    return archive.read_tensors(training, WEIGHTS)[0]


def losses(training: Training, archive: Archive) -> list[float]:
    return [line["loss"] for line in archive.read_lines(training, METRICS)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_ranks_have_the_bits_of_two_slices_though_stopped(
    alone: Archive, fresh: Archive
) -> None:
    """A sum of two is the same in any order, so not even round-off is left."""
    codes, said = together(fresh, 2, step=6)
    assert codes == [75, 75]  # both at once, though one alone was told
    assert "stopped at step 7 of 20 (SIGTERM)" in said
    assert "stopped at step 7 of 20 (on another rank)" in said
    assert fresh.read_tensors(spec(), CHECKPOINT)[1]["step"] == 7
    codes, said = together(fresh, 2)
    assert codes == [0, 0]
    assert said.count(f"{spec().name} goes on at step 7 of 20") == 1
    assert said.count("is complete") == 1
    for name, tensor in weights(spec(2), alone).items():
        assert torch.equal(tensor, weights(spec(), fresh)[name]), name
    assert losses(spec(), fresh) == pytest.approx(losses(spec(2), alone), rel=1e-6)
    assert together(fresh, 2)[0] == [0, 0]  # nothing to do


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_four_ranks_learn_the_same_up_to_round_off(alone: Archive, fresh: Archive) -> None:
    """Held against losses: AdamW divides by a gradient's size, even where that is round-off."""
    assert together(fresh, 4)[0] == [0, 0, 0, 0]
    assert losses(spec(), fresh) == pytest.approx(losses(spec(), alone), rel=1e-5)
    one, four = (archive.read_lines(spec(), METRICS)[-1] for archive in (alone, fresh))
    assert four["held_out_loss"] == pytest.approx(one["held_out_loss"], rel=1e-5)
    assert losses(spec(), alone)[1:] != pytest.approx(losses(spec(), alone)[:-1], rel=1e-2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("changes", [(LEVELS,), pytest.param((STREAMED,), marks=pytest.mark.slow)])
def test_two_ranks_go_through_levels_and_streams_as_two_slices(
    alone: Archive, fresh: Archive, changes: tuple[str, ...]
) -> None:
    """A sum of two is the same in any order, but a shift may round by its place in a vector."""
    changes = (*changes, "training.steps=6", "training.calibration=4")
    assert together(fresh, 2, -1, signal.SIGTERM, *changes)[0] == [0, 0]
    room.train(spec(2, *changes), fresh)
    two, slices = losses(spec(1, *changes), fresh), losses(spec(2, *changes), fresh)
    assert two == pytest.approx(slices, rel=1e-5)
    assert two[0] != pytest.approx(losses(spec(), alone)[0], rel=1e-3)  # they change something


@pytest.mark.parametrize("count", [2, 3, 4, 8])
def test_shares_of_a_batch_add_up_to_its_gradient(alone: Archive, count: int) -> None:
    training = spec()
    surrogate, x, _ = room.prepare(training, alone)
    state = begin(surrogate, training)
    for parameter in state.parameters:  # away from the zeros it starts with
        parameter.data += 0.1 * torch.cos(torch.arange(parameter.numel())).view_as(parameter)

    def gradient(slots: range) -> tuple[float, torch.Tensor]:
        batch = Batches(x, surrogate, training, slots)(3)
        with ThreadPoolExecutor(1) as pool:
            loss = descend(surrogate, state.parameters, batch, training, pool)[0]
        return float(loss), torch.cat(
            [p.grad.flatten() for p in state.parameters if p.grad is not None]
        )

    shares = [gradient(Ranks(rank, count).slots(training.batch)) for rank in range(count)]
    loss, truth = gradient(range(training.batch))
    assert sum(part for part, _ in shares) == pytest.approx(loss, rel=1e-6)
    total = torch.stack([part for _, part in shares]).sum(0)
    assert float((total - truth).norm()) < 1e-5 * float(truth.norm())
    assert float((count * shares[0][1] - truth).norm()) > 0.1 * float(truth.norm())


def test_a_share_is_of_the_whole_batch(alone: Archive) -> None:
    training = spec()
    surrogate, x, _ = room.prepare(training, alone)
    whole = Batches(x, surrogate, training)(5)
    for rank in range(3):
        share = Batches(x, surrogate, training, Ranks(rank, 3).slots(training.batch))(5)
        for name, part, values in zip(share._fields, share, whole, strict=True):
            if name == "x":  # whose shifts may round by where in a vector a number stands
                torch.testing.assert_close(part, values[rank::3], rtol=1e-5, atol=1e-5)
            else:
                assert torch.equal(part, values[rank::3]), name


def test_a_rank_without_members_is_refused() -> None:
    room.check_ranks(spec(2), Ranks(0, 4))
    with pytest.raises(ValueError, match=r"ranks x slices <= training.batch of 8, got 5 x 2;"):
        room.check_ranks(spec(2), Ranks(0, 5))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_lost_rank_is_one_sentence_and_fewer_go_on(
    alone: Archive, fresh: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    codes, said = together(fresh, 2, step=7, number=signal.SIGKILL)
    assert codes == [1, -signal.SIGKILL]
    assert "ConnectionError: expected every rank to go on, got " in said
    assert fresh.read_tensors(spec(), CHECKPOINT)[1]["step"] == 5
    with caplog.at_level("INFO"):
        room.train(spec(), fresh)
    assert "expected ranks 2 as before, got 1: the result will differ by round-off" in caplog.text
    assert losses(spec(), fresh) == pytest.approx(losses(spec(), alone), rel=1e-5)


TORCHRUN = {"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_PORT": "29400"}
SRUN = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1"}
SRUN |= {"SLURM_JOB_ID": "123456", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "n[3-4]"}


def test_torchrun_says_who_a_process_is() -> None:
    assert place(TORCHRUN | {"MASTER_ADDR": "n3"}) == Place(2, 4, 1, "n3", 29400)


def test_srun_says_who_a_process_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\n[ "$*" = "show hostnames n[3-4]" ] && printf "n3\\nn4\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert place(SRUN) == Place(3, 4, 1, "n3", 23456)
    assert place(SRUN | {"MASTER_ADDR": "n9", "MASTER_PORT": "1"}) == Place(3, 4, 1, "n9", 1)
    assert place(SRUN | {"SLURM_STEP_NUM_NODES": "1"}).address == "127.0.0.1"
    with pytest.raises(OSError, match="set MASTER_ADDR to the first node's name"):
        place(SRUN | {"SLURM_STEP_NODELIST": "else"})


def test_a_batch_script_of_slurm_is_no_rank() -> None:
    assert place({"SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "1"}) == Place()


@pytest.mark.parametrize("lost", ["SLURM_LOCALID", "SLURM_JOB_ID", "SLURM_PROCID"])
def test_a_variable_that_is_missing_is_named(lost: str) -> None:
    with pytest.raises(ValueError, match=f"expected a number in {lost}, got nothing"):
        place({name: value for name, value in SRUN.items() if name != lost})


if __name__ == "__main__":
    count, step, number = map(int, sys.argv[2:5])
    launch(sys.argv[1], count, step, number, *sys.argv[5:])
