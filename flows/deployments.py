"""Schedules: a study registered with a Prefect server, to be run by its workers.

A deployment holds the study itself, as it was when it was registered, and an absolute archive. It
runs one at a time, and who comes meanwhile waits: it then finds what is done and computes the
rest. A run whose process is gone cannot say so; its heartbeats stop, and an automation of the
server's calls it crashed, which frees its place. The next run goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect.automations import Automation
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    StateType,
)
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from pushforward.credentials import refuse
from pushforward.flows.clusters import ONE, Dask, Local, Slurm
from pushforward.flows.study import grow, run
from pushforward.places import absolute

if TYPE_CHECKING:
    from pushforward.study import Study

HEARTBEAT, SILENCE = 30, 90  # seconds between a run's heartbeats, and without any until it is dead
TAG = "pushforward"  # of every run of a deployment made here
WATCH = "pushforward: runs whose process is gone"
ENDS = ("Completed", "Failed", "Cancelled", "Crashed")


@dataclass(frozen=True)
class Schedule:
    """When a deployment runs: by a cron line or every so many seconds; else when it is asked to.

    Raises ValueError for both at once, and for less than a second.
    """

    cron: str | None = None
    interval: float | None = None

    def __post_init__(self) -> None:
        if self.cron is not None and self.interval is not None:
            raise ValueError(
                f"expected a cron line or an interval, got {self.cron!r} and {self.interval:g}; "
                "leave one out"
            )
        if self.interval is not None and not self.interval >= 1:
            raise ValueError(
                f"expected an interval of at least 1 second, got {self.interval:g}; raise it"
            )

    def options(self) -> dict[str, Any]:
        """As Prefect takes them."""
        given = {"cron": self.cron, "interval": self.interval}
        return {key: value for key, value in given.items() if value is not None}


def deploy(
    study: Study,
    root: str,
    pool: str,
    *,
    name: str,
    schedule: Schedule | None = None,
    cluster: Local | Dask | Slurm = ONE,
    by: int | None = None,
    paused: bool = False,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Registers a study to be run by a work pool's workers; returns the deployment's full name.

    With `by`, a run simulates that many members more than there are instead. A pool that is not
    there is made, of processes on the worker's machine. `environment` is added to that of runs.

    Raises ConnectionError without a lasting server, ValueError for a root with credentials.
    """
    refuse(root)
    if get_current_settings().api.url is None:
        raise ConnectionError(
            "expected a Prefect server that stays, got none; start one with `prefect server "
            "start`, and set PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    flow, parameters = run if by is None else grow, asked(study, by)
    if isinstance(cluster, Slurm):  # a run has a working directory of its own
        cluster = cluster.model_copy(update={"folder": str(Path(cluster.folder).absolute())})
    make_pool(pool)
    deployment = flow.to_deployment(
        name=name,
        parameters=parameters
        | {"root": absolute(root), "cluster": cluster.model_dump(mode="json")},
        description=escape(study.description or study.title, quote=False),  # is Markdown
        tags=[TAG, study.simulation.subject.kind],
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
        ),
        work_pool_name=pool,
        job_variables={
            "env": {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT), **(environment or {})}
        },
        entrypoint_type=EntrypointType.MODULE_PATH,
        enforce_parameter_schema=False,  # a study is checked by itself, in one sentence
        paused=paused,
        **(schedule or Schedule()).options(),
    )
    deployment.apply()  # type: ignore[union-attr]  (not a coroutine where no loop runs)
    watch()
    return f"{flow.name}/{name}"


def asked(study: Study, by: int | None = None) -> dict[str, Any]:
    """What a run is told of its study, or of its simulation: also where the data's files lie.

    Raises ValueError for a location with credentials, which the server would keep.

    >>> from pushforward.study import Study
    >>> list(asked(Study.load("smoke"))["study"])[:3], list(asked(Study.load("smoke"), by=8))
    (['title', 'description', 'simulation'], ['simulation', 'by'])
    """
    sections, files = study.sections(), study.simulation.location
    if files is not None:
        refuse(files)
        local = str(Path(files).expanduser().absolute())
        sections["simulation"]["location"] = files if "://" in files else local
    return {"study": sections} if by is None else {"simulation": sections["simulation"], "by": by}


def make_pool(name: str) -> None:
    """Makes a work pool of processes, unless there is one of that name."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=name, type="process"))
        except ObjectAlreadyExists:
            return


def watch(silence: float = SILENCE) -> None:
    """Has the server call a run of ours crashed whose heartbeats stop for so many seconds.

    Of ours alone, by their tag: other people's beat as they please. One that an earlier version
    made is made to say the same.
    """
    alive = "prefect.flow-run.heartbeat"
    automation = Automation(
        name=WATCH,
        trigger=EventTrigger(
            after={alive},
            expect={alive, *(f"prefect.flow-run.{end}" for end in ENDS)},
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={
                "prefect.resource.role": "tag",
                "prefect.resource.id": f"prefect.tag.{TAG}",
            },
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[
            ChangeFlowRunState(
                name=None, state=StateType.CRASHED, message="no heartbeat: it is gone", force=False
            )
        ],
    )
    try:
        there: Any = Automation.read(name=WATCH)  # no coroutine where no loop runs
    except ValueError:
        _ = automation.create()
        return
    automation.id = there.id
    _ = automation.update()
