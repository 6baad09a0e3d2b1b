"""Where work runs: a small page beside the study, of which neither names nor bits know.

    kind: local                 processes on this machine; what runs without a page
    workers: 8                  absent: one a core

    kind: dask                  workers of Dask, one thread each
    workers: 8                  that are started here (absent: one a core), or
    address: tcp://node1:8786   those of a cluster that runs already

    kind: slurm                 jobs: blocks by dask-jobqueue, training by sbatch and srun
    partition: compute          absent: the site's default
    account: project
    options: [--qos=long]       further ones of sbatch, for every job
    setup: [module load python] lines of shell before the work
    interface: ib0              the network on which workers find this process
    folder: jobs                scripts and logs, in a folder that the nodes see
    blocks: {jobs: 8, cores: 4, memory_per_core: 2G, walltime: 04:00:00}
    training: {nodes: 1, ranks_per_node: 4, cores_per_rank: 4, walltime: 1-00:00:00, restarts: 50}

Simulations and ensembles are made block by block where the page says. Training runs where the
command was started, or as a job of Slurm; scores are always computed where it was started.
"""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from pushforward.lineage import Value
from pushforward.mistakes import sentence, unknown

Count = Annotated[int, Field(ge=1)]


def cores() -> int:
    """How many cores this process may use.

    >>> cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):  # what a batch system or container grants
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def seconds(value: Any) -> Any:
    """A time limit in seconds: H:MM:SS, with days before it as D-H:MM:SS, or a number.

    YAML reads 12:00:00 as a number of seconds by itself.

    >>> seconds("1-02:00:30"), seconds(43200)
    (93630, 43200)
    """
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)", value)
    if found is None:
        raise ValueError(f"expected a time as 4:00:00 or 1-12:00:00, got {value!r}; write it so")
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((24 * days + hours) * 60 + minutes) * 60 + rest


def _size(value: str) -> str:
    if re.fullmatch(r"[1-9]\d*[MG]", value) is None:
        raise ValueError(f"expected a size as 500M or 2G, got {value!r}; write it so")
    return value


def _word(value: str) -> str:
    if not value or any(not sign.isprintable() or sign.isspace() for sign in value):
        raise ValueError(f"expected one word, got {value!r}; leave out what is not of it")
    return value


def _option(value: str) -> str:
    if re.fullmatch(r"--[a-z][a-z-]*(=.+)?", value) is None or not value.isprintable():
        raise ValueError(f"expected an option as --qos=long, got {value!r}; write it so")
    return value


Word = Annotated[str, AfterValidator(_word)]
Options = tuple[Annotated[str, AfterValidator(_option)], ...]
Size = Annotated[str, AfterValidator(_size)]
Limit = Annotated[int, BeforeValidator(seconds), Field(ge=60)]


class Local(Value):
    """Processes on this machine; `workers` None: one a core that this process may use.

    >>> Local(workers=0)
    Traceback (most recent call last):
    ValueError: Local.workers: expected greater than or equal to 1, got 0; correct it
    """

    kind: Literal["local"] = "local"
    workers: Count | None = None

    @property
    def here(self) -> int:
        """How many processes work where the command was started."""
        return self.workers or cores()


class Dask(Value):
    """Workers of Dask, one thread each: started here, or those of a cluster at an `address`."""

    kind: Literal["dask"] = "dask"
    workers: Count | None = None
    address: Word | None = None

    @model_validator(mode="after")
    def _check(self) -> Dask:
        if self.workers is not None and self.address is not None:
            raise ValueError(
                f"expected workers or an address, got {self.workers} and {self.address}; a "
                "cluster that runs has workers already: leave one out"
            )
        return self

    @property
    def here(self) -> int:
        """How many processes work where the command was started."""
        return self.workers or cores()


class Job(Value):
    """What every job of Slurm's may be asked to have."""

    partition: Word | None = None
    options: Options = ()
    memory_per_core: Size = "2G"
    walltime: Limit = 4 * 3600


class Blocks(Job):
    """Jobs that compute blocks: a one-threaded worker for each of their `cores`."""

    jobs: Count = 1
    cores: Count = 1


class Ranks(Job):
    """The job that trains: its ranks, and how often it is queued again before somebody looks."""

    nodes: Count = 1
    ranks_per_node: Count = 1
    cores_per_rank: Count = 1
    gpus_per_node: Annotated[int, Field(ge=0)] = 0
    restarts: Annotated[int, Field(ge=0)] = 50
    walltime: Annotated[int, BeforeValidator(seconds), Field(ge=300)] = 4 * 3600
    # Slurm's signal comes two minutes before


class Slurm(Value):
    """Jobs of Slurm's; `partition` and `options` are those of every job that has none of its own.

    >>> Slurm(blocks={"walltime": "2:30"})
    Traceback (most recent call last):
    ValueError: Slurm.blocks.walltime: expected a time as 4:00:00 or 1-12:00:00, got '2:30'; ...
    """

    kind: Literal["slurm"] = "slurm"
    partition: Word | None = None
    account: Word | None = None
    options: Options = ()
    setup: tuple[str, ...] = ()
    interface: Word | None = None
    folder: Word = "jobs"
    blocks: Blocks = Blocks()
    training: Ranks = Ranks()

    @property
    def here(self) -> int:
        """How many processes work where the command was started."""
        return cores()


Cluster = Annotated[Local | Dask | Slurm, Field(discriminator="kind")]
KINDS: dict[str, type[Local | Dask | Slurm]] = {"local": Local, "dask": Dask, "slurm": Slurm}
ONE = Local(workers=1)


def load(source: str | Path) -> Local | Dask | Slurm:
    """The cluster in a YAML file, or of that name in the installed catalogue.

    Raises FileNotFoundError for a page that is not there, ValueError for what is wrong in it.

    >>> load("local")
    Local(kind='local', workers=None)
    """
    from pushforward.study import read

    values = read(source, resources.files("pushforward.catalogs") / "clusters", "cluster")
    kind = values.get("kind")
    if kind not in KINDS:
        raise ValueError(f"{source}: kind: {unknown(str(kind or 'none'), KINDS)}")
    try:
        return KINDS[kind].model_validate(values)
    except ValidationError as error:
        raise ValueError(f"{source}: {sentence(error, KINDS[kind])}") from None
