"""The command that registers a study with a Prefect server: deploy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pushforward.flows.browse import RUNS, Root
from pushforward.flows.options import cluster as chosen
from pushforward.flows.usage import loaded

FLAG = Parameter(negative="", show_default=False)


def deploy(
    study: str,
    /,
    *,
    work_pool: str,
    cron: str | None = None,
    interval: float | None = None,
    grow: int | None = None,
    name: str | None = None,
    root: Root = RUNS,
    workers: int | None = None,
    cluster: str | None = None,
    set: Annotated[tuple[str, ...], Parameter(name="--set", negative="", show_default=False)] = (),
    variant: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    smoke: Annotated[bool, FLAG] = False,
    paused: Annotated[bool, FLAG] = False,
) -> None:
    """Register a study with a Prefect server, to be run by schedule or when it is asked for.

    Parameters
    ----------
    study
        A YAML file, or the name of one in the catalogue.
    work_pool
        Whose workers run it; one of processes is made if there is none.
    cron
        When, as in "0 2 * * *".
    interval
        How often, in seconds, instead.
    grow
        Only simulate, this many members more than there are, each time.
    name
        What the deployment is called; by default like the study.
    root
        Folder of the archive, on the workers' machines.
    workers
        Processes for blocks of members; by default one.
    cluster
        A page that says where blocks and training run instead: a YAML file, or local, dask or
        slurm. The deployment keeps what it says now.
    set
        Change one value of the study, as in training.steps=100; may be repeated.
    variant
        Of a page with variants, this one, as in white; may be repeated, once an axis.
    smoke
        Shrink the study to seconds.
    paused
        Register it, with its schedule switched off.
    """
    given = loaded(study, set, smoke=smoke, variant=variant)
    where = chosen(workers if cluster else workers or 1, cluster)
    from pushforward.flows.deployments import Schedule
    from pushforward.flows.deployments import deploy as register

    called = register(
        given,
        str(root),
        work_pool,
        name=name or Path(study).stem,
        schedule=Schedule(cron, interval),
        cluster=where,
        by=grow,
        paused=paused,
    )
    print(f"{called} is registered; its workers: prefect worker start --pool {work_pool}")
    print(f"run it now: prefect deployment run {called}")
