"""What the commands that run a study are told besides it: the archive, changes, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from pushforward.flows.usage import UsageError, loaded_all

if TYPE_CHECKING:
    from pushforward import Study
    from pushforward.flows.clusters import Dask, Local, Slurm

Source = Annotated[
    str, Parameter(help="A YAML file, or the name of one in the catalogue, such as smoke.")
]
FLAG = Parameter(negative="", show_default=False)
Device = Annotated[
    str | None,
    Parameter(help="What the network computes on: auto, cpu, cuda or cuda:N; by default auto."),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """What all commands that run a study understand."""

    root: str = "runs"
    "Folder of the archive, or a URL such as s3://bucket/runs."
    set: Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)] = ()
    "Change one value of the study, as in training.steps=100; may be repeated."
    variant: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    "Of a page with variants, only these, as in white; may be repeated."
    smoke: Annotated[bool, FLAG] = False
    "Shrink the study to seconds: does it hold together?"
    no_prefect: Annotated[bool, FLAG] = False
    "Call the verbs directly, without Prefect's record of the run."
    debug: Annotated[bool, FLAG] = False
    "Show tracebacks, and all that Prefect logs."


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Where:
    """Where it runs."""

    workers: int | None = None
    "Processes for blocks of members; by default one per core."
    cluster: str | None = None
    "A page that says where blocks and training run: a YAML file, or local, dask or slurm."


PLAIN, HERE = Options(), Where()


def load(source: str, options: Options) -> dict[str, Study]:
    """A page's studies with their overrides; whatever is wrong in them is a mistake of usage."""
    try:
        return loaded_all(source, options.set, smoke=options.smoke, variant=options.variant)
    except UsageError as mistake:
        if options.debug and mistake.__cause__ is not None:
            raise mistake.__cause__ from None
        raise


def cluster(workers: int | None, page: str | None) -> Local | Dask | Slurm:
    """The page of the cluster, or so many processes here; what is wrong is a mistake of usage.

    >>> cluster(3, None)
    Local(kind='local', workers=3)
    """
    from pushforward.flows.clusters import Local
    from pushforward.flows.clusters import load as read

    if page is None:
        return Local(workers=counted(workers))
    if workers is not None:
        raise UsageError(
            f"expected --workers or --cluster, got {workers} and {page}; the page says how many: "
            "leave --workers out"
        )
    try:
        return read(page)
    except (ValueError, OSError) as mistake:
        raise UsageError(f"--cluster: {mistake}") from None


def counted(workers: int | None) -> int | None:
    """A number of processes as it was given, refused if it is none."""
    if workers is not None and workers < 1:
        raise UsageError(f"--workers: expected 1 or more, got {workers}; ask for 1")
    return workers
