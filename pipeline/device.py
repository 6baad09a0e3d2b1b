"""Where networks compute: chosen when a verb is called, and no part of a study.

    auto     a GPU if torch sees one, else the CPU
    cuda     a GPU; of several ranks or blocks on a machine, each the one of its own number
    cuda:1   that GPU

What is random has the same address everywhere (see `solvers.normals`), bases are fitted and
members are whitened on the CPU, and what is stored comes back to it. So a study is the same on
any device up to the order of its sums, and a checkpoint goes on from one to another and says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

CPU = torch.device("cpu")
SHARE = 0.5  # of a GPU's free memory that members may take for good; the rest is for the network


def chosen(name: str | None = None, number: int = 0) -> torch.device:
    """The device of that name (None: auto) for the `number`-th of those who share a machine.

    Raises ValueError for what is none, LookupError for one that torch does not see here.

    >>> chosen("cpu"), chosen("tpu")
    Traceback (most recent call last):
    ValueError: expected a device auto, cpu, cuda or cuda:N, got tpu; choose one
    """
    name = name or "auto"
    kind, _, index = name.partition(":")
    if name not in ("auto", "cpu", "cuda") and not (kind == "cuda" and index.isdecimal()):
        raise ValueError(f"expected a device auto, cpu, cuda or cuda:N, got {name}; choose one")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not count):
        return CPU
    place = int(index) if index else number % max(count, 1)
    if place >= count:
        raise LookupError(
            f"expected a GPU number {place} for the device {name}, got {count} that torch sees, "
            "counted from 0; choose auto or cpu, or install the build of torch for your GPU"
        )
    return torch.device("cuda", place)


def sharing(workers: int, name: str | None = None) -> int:
    """How many of some processes have something to compute on: of GPUs one each.

    >>> sharing(8, "cpu"), sharing(8, "cuda:1")
    (8, 1)
    """
    if ":" in (name or ""):
        return 1
    gpus = 0 if name == "cpu" or not torch.cuda.is_available() else torch.cuda.device_count()
    return min(workers, gpus) if gpus else workers


def described(device: torch.device) -> str:
    """What of a device decides how sums are rounded.

    >>> described(torch.device("cpu"))
    'cpu'
    """
    if device.type == "cpu":
        return "cpu"
    return f"{device.type} ({torch.cuda.get_device_name(device)})"


def carried(x: Tensor, device: torch.device) -> Tensor:
    """x on a device; to a GPU by way of pinned memory, while this process goes on."""
    if x.device == device:
        return x
    if device.type == "cuda" and x.device.type == "cpu" and not x.is_pinned():
        x = x.pin_memory()
    return x.to(device, non_blocking=device.type == "cuda")


def settled(x: Tensor, device: torch.device) -> Tensor:
    """x for good on a device where it leaves room for the network, else where it is."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if x.numel() * x.element_size() > SHARE * free:
            return x
    return x.to(device)


@contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Sums on a GPU in the same order every time, as they are on a CPU by themselves."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_device(device)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS first starts
    before = torch.are_deterministic_algorithms_enabled()
    alike = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=alike)
