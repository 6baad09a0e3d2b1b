"""One list of members handed to a compiled kernel: the structure of job.h, and its arrays."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from pushforward.solvers.equation import Equation
from pushforward.solvers.grid import Grid
from pushforward.solvers.kernels.family import VORTICITY, family, kept, symbols
from pushforward.solvers.tableaux import Tableau

STAGES, CHANNELS = 8, 2
FINISHED, BLEW_UP, STEP_UNDERFLOW = 0, 1, 2
Pair = ctypes.c_double * CHANNELS


class Job(ctypes.Structure):
    """job.h's structure; both change together."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("family", "channels", "members", "times")),
        *((name, ctypes.c_int32) for name in ("stages", "rate")),
        ("n", ctypes.c_int32 * 2),
        ("kept", ctypes.c_int32 * 2),
        ("unit", ctypes.c_double * 2),
        ("symbol", ctypes.c_void_p * 2),
        ("scale", Pair),
        ("matrix", Pair * CHANNELS),
        ("constant", Pair),
        ("a", (ctypes.c_double * STAGES) * STAGES),
        ("c", ctypes.c_double * STAGES),
        ("e", ctypes.c_double * STAGES),
        *((name, ctypes.c_double) for name in ("order", "step", "tolerance")),
        *((name, ctypes.c_void_p) for name in ("time", "initial", "forcing", "steady")),
        *((name, ctypes.c_void_p) for name in ("frames", "steps", "rejected")),
        *((name, ctypes.c_void_p) for name in ("status", "failed_at")),
    )


class Answers(NamedTuple):
    """What a kernel wrote, a row a member, in the order given.

    `frames` are coefficients (member, time, channel, *spectral), zeros from a failure on; `steps`
    and `rejected` int64; `status` FINISHED, BLEW_UP or STEP_UNDERFLOW; `failed_at` the time (the
    last one for members that finished).

    >>> Answers._fields[:2]
    ('frames', 'steps')
    """

    frames: Tensor
    steps: Tensor
    rejected: Tensor
    status: Tensor
    failed_at: Tensor

    @classmethod
    def empty(cls, u_hat: Tensor, times: int) -> Answers:
        """Room for the answers to some initial coefficients."""
        members = len(u_hat)
        return cls(
            u_hat.new_zeros((members, times, *u_hat.shape[1:])),
            torch.zeros(members, dtype=torch.int64),
            torch.zeros(members, dtype=torch.int64),
            torch.zeros(members, dtype=torch.int32),
            torch.zeros(members, dtype=torch.float64),
        )


@dataclass
class Request:
    """A job and the tensors its pointers point into."""

    job: Job
    holds: list[Tensor] = field(default_factory=list)

    def point(self, name: str, values: Tensor) -> None:
        """Sets a pointer of the job to a tensor's first number."""
        values = values.resolve_conj().contiguous()
        self.holds.append(values)
        setattr(self.job, name, values.data_ptr())


def request(
    equation: Equation,
    grid: Grid,
    u_hat: Tensor,
    f_hat: Tensor | None,
    times: Sequence[float],
    tableau: Tableau,
    step: float | None,
    tolerance: float | None,
    answers: Answers,
) -> Request:
    """The job of a list of members."""
    known, tables = family(equation, grid), symbols(equation, grid)
    if known is None or tables is None:
        raise ValueError(
            f"expected an equation and grid that `supports` knows, got {equation} on {grid}; "
            "use the torch path"
        )
    job = Job(family=known.kind, rate=known.rate, channels=u_hat.shape[1])
    job.members, job.times, job.stages = len(u_hat), len(times), tableau.stages
    job.n[:], job.kept[:] = grid.shape, kept(equation, grid)
    job.unit[:] = [2 * math.pi / length for length in grid.extent]
    job.scale[:], job.constant[:] = known.scale, known.constant
    for row, values in zip(job.matrix, known.matrix, strict=True):
        row[:] = values
    for i, row in enumerate(tableau.a):
        job.a[i][: len(row)] = [float(weight) for weight in row]
    job.c[: tableau.stages] = [float(node) for node in tableau.c]
    job.e[: tableau.stages] = [float(weight) for weight in tableau.error]
    job.order = tableau.estimate_order + 1
    job.step, job.tolerance = math.inf if step is None else step, tolerance or 0.0
    asked = Request(job, list(tables))
    job.symbol[:] = [table.data_ptr() for table in tables]
    asked.point("time", torch.tensor(times, dtype=torch.float64))
    asked.point("initial", u_hat)
    if f_hat is not None:
        asked.point("forcing", f_hat.to(u_hat.dtype))
    steady = getattr(equation, "steady", None) if known.kind == VORTICITY else None
    constant = steady(grid) if steady is not None else None
    if constant is not None:
        asked.point("steady", constant.to(torch.complex128))
    for name, room in answers._asdict().items():
        asked.point(name, room)
    return asked
