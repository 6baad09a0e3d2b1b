"""The processes that train together: who each is, and what they tell each other.

    torchrun --nproc-per-node 2 -m pushforward.flows train STUDY       RANK, WORLD_SIZE, LOCAL_RANK
    srun --ntasks 2 pushforward train STUDY                            SLURM_PROCID, SLURM_STEP_...

Everybody who trains has the same weights; rank r computes members r, r + n, r + 2 n, ... of every
batch, and gradients are added in one bucket, so that any number of ranks descends the same
gradient up to the order of a sum. The first rank alone writes. Words travel by gloo from the CPU
and by nccl from a GPU.

A step of srun is told by SLURM_STEP_NUM_TASKS: SLURM_NTASKS also stands in the batch script around
it, which is no rank. Without MASTER_ADDR the ranks meet on loopback if they share a node, else on
the step's first node, whose name scontrol knows.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from pushforward.device import CPU, chosen
from pushforward.progress import quiet

PATIENCE = timedelta(hours=2)  # the others wait while the first one validates and calibrates
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Which of `count` ranks a process is, which on its machine, and where they meet."""

    rank: int = 0
    count: int = 1
    local: int = 0
    address: str = LOOPBACK
    port: int = 29500


def place(environment: Mapping[str, str] | None = None) -> Place:
    """What torchrun or srun says that this process is; alone where neither started it.

    Raises ValueError for variables that are missing or no numbers, OSError when scontrol does not
    answer.

    >>> place({})
    Place(rank=0, count=1, local=0, address='127.0.0.1', port=29500)
    >>> place({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1",
    ...        "SLURM_JOB_ID": "17", "MASTER_ADDR": "node1"})
    Place(rank=3, count=4, local=1, address='node1', port=20017)
    """
    here = os.environ if environment is None else environment
    if "RANK" in here and "WORLD_SIZE" in here:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT")
        rank, count, local, port = (_number(here, name) for name in names)
        return Place(rank, count, local, here.get("MASTER_ADDR", LOOPBACK), port)
    if here.get("SLURM_STEP_NUM_TASKS", "1") == "1":
        return Place()
    names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_JOB_ID")
    rank, count, local, job = (_number(here, name) for name in names)
    # two jobs on one node must not meet
    port = _number(here, "MASTER_PORT") if "MASTER_PORT" in here else 20000 + job % 10000
    return Place(rank, count, local, here.get("MASTER_ADDR") or _first_node(here), port)


class Ranks:
    """What the ranks say to each other; one alone says nothing, and copies nothing.

    >>> alone = Ranks()
    >>> alone.first, alone.slots(4), alone.agree(7)
    (True, range(0, 4), 7.0)
    """

    def __init__(self, rank: int = 0, count: int = 1, device: torch.device = CPU) -> None:
        self.rank, self.count, self.device = rank, count, device

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def slots(self, batch: int) -> range:
        """Which members of a batch are this rank's: each n-th, so that all see every level.

        >>> Ranks(1, 3).slots(8)
        range(1, 8, 3)
        """
        return range(self.rank, batch, self.count)

    def add(self, tensors: Sequence[Tensor], numbers: Tensor) -> Tensor:
        """Adds tensors of one type over the ranks, in place, and numbers; returns the numbers.

        All are on one device, which nobody waits for here.
        """
        if self.count == 1:
            return numbers
        flat = [*(tensor.reshape(-1) for tensor in tensors), numbers.to(tensors[0])]
        bucket = torch.cat(flat)
        with _heard():
            dist.all_reduce(bucket)
        *sums, said = bucket.split([len(part) for part in flat])
        for tensor, total in zip(tensors, sums, strict=True):
            tensor.copy_(total.view_as(tensor))
        return said

    def share(self, tensors: Sequence[Tensor]) -> None:
        """Gives every rank the first one's tensors, in place."""
        if self.count > 1:
            with _heard():
                for tensor in tensors:
                    dist.broadcast(tensor, src=0)

    def agree(self, number: float) -> float:
        """The first rank's number; all are here when the first one goes on from `wait`."""
        said = torch.tensor(float(number), dtype=torch.float64)
        self.share([said])
        return float(said)

    def wait(self) -> None:
        """Goes on when every rank has come here."""
        if self.count > 1:
            with _heard():
                dist.all_reduce(torch.zeros(()))


@contextmanager
def joined(device: str | None = None) -> Iterator[Ranks]:
    """The ranks that this process is one of, which say nothing on a terminal but for the first.

    A process group that the caller has made is used as it is; else one is made of what `place`
    says, and ended afterwards. `device` is the name of what they compute on (see `device`); each
    takes the one of its number on its machine.
    Raises ConnectionError when the ranks do not find each other, or lose one, ValueError for one
    GPU for all of them, LookupError for a GPU that is not there.
    """
    here = place()
    own = chosen(device, here.local)
    if dist.is_available() and dist.is_initialized():
        ranks = Ranks(dist.get_rank(), dist.get_world_size(), own)
        with quiet(not ranks.first):
            yield ranks
        return
    if here.count == 1:
        yield Ranks(device=own)
        return
    if ":" in (device or ""):
        raise ValueError(
            f"expected a GPU for each of {here.count} ranks, got {device} for all; leave out its "
            "number"
        )
    gpu = own.type == "cuda"
    if gpu:
        torch.cuda.set_device(own)  # which nccl asks for
    with _heard():
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            **_meeting(here),
            rank=here.rank,
            world_size=here.count,
            timeout=PATIENCE,
        )
    try:
        with quiet(here.rank > 0):
            yield Ranks(here.rank, here.count, own)
    finally:
        dist.destroy_process_group()


def _meeting(here: Place) -> dict[str, Any]:
    """Where the ranks meet, as torch takes it; on one machine nobody else can come.

    By itself torch's store listens on every address, and so does gloo on that of the host's name.
    """
    agent = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"  # torchrun's, which is there
    if here.address != LOOPBACK or agent:
        return {"init_method": f"tcp://{here.address}:{here.port}"}
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    options: dict[str, Any] = {"is_master": here.rank == 0, "timeout": PATIENCE}
    if here.rank == 0:
        listener = socket.create_server((LOOPBACK, here.port))
        options["master_listen_fd"] = listener.detach()  # the store closes it
    store = dist.TCPStore(LOOPBACK, here.port, here.count, **options)  # type: ignore[attr-defined]
    return {"store": store}


@contextmanager
def _heard() -> Iterator[None]:
    """One sentence for a rank that is gone."""
    try:
        yield
    except (RuntimeError, OSError) as error:  # a lost peer, a store not seen, a port that is taken
        lines = str(error).strip().splitlines() or ["no answer"]
        raise ConnectionError(
            f'expected every rank to go on, got "{lines[0]}"; see what the others say and run the '
            "same command again: what is stored is kept"
        ) from error


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "nothing")
    if not value.isdecimal():
        raise ValueError(f"expected a number in {name}, got {value}; start with torchrun or srun")
    return int(value)


def _first_node(environment: Mapping[str, str]) -> str:
    """Where the ranks of a step of srun meet."""
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        return LOOPBACK
    names = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_NODELIST", ""))
    try:
        command = ["scontrol", "show", "hostnames", names]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return found.stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        raise OSError(
            f'expected scontrol to name the nodes of "{names}", got {error}; set MASTER_ADDR to '
            "the first node's name"
        ) from None
