"""The whole study as one flow: simulate, train, generate, evaluate and report, as subflows.

Every stage asks the archive what is missing, so a study that was interrupted goes on where it
stopped, and a complete one only says so. With a page of Slurm's the training is a job.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow

from pushforward.archive import Archive
from pushforward.flows.clusters import ONE, Cluster, Dask, Local, Slurm
from pushforward.flows.stages import evaluate, generate, simulate, train
from pushforward.flows.training_job import train_by_slurm
from pushforward.growth import grown
from pushforward.spec import Simulation
from pushforward.study import Study

STAGES = ("simulate", "train", "generate", "evaluate")


@flow(name="study", flow_run_name="{study.title}", persist_result=False)
def run(
    study: Study, root: str = "runs", cluster: Cluster = ONE, device: str | None = None
) -> str:
    """Takes a study from its YAML to a scored ensemble; returns the evaluation's name.

    >>> run.name, list(run.parameters.properties)
    ('study', ['study', 'root', 'cluster', 'device'])
    """
    return [stage_of(study, root, cluster, stage, device=device) for stage in STAGES][-1]


@flow(name="grow", flow_run_name="{simulation.name}", persist_result=False)
def grow(simulation: Simulation, by: int, root: str = "runs", cluster: Cluster = ONE) -> str:
    """Simulates `by` members more than the archive has; returns the larger simulation's name.

    >>> grow.name, list(grow.parameters.properties)
    ('grow', ['simulation', 'by', 'root', 'cluster'])
    """
    return simulate(grown(simulation, Archive(root), by), root, cluster)


@flow(name="train", flow_run_name="{study.training.name}", persist_result=False)
def submit(
    study: Study,
    root: str,
    cluster: Slurm,
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Trains the surrogate by a job of Slurm's, and waits for it; returns the training's name."""
    return train_by_slurm(study, root, cluster, max_seconds=max_seconds, log=log, device=device)


def stage_of(
    study: Study,
    root: str,
    cluster: Local | Dask | Slurm,
    stage: str,
    *,
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Runs one verb of a study as a flow, where the cluster's page says; returns the name.

    `max_seconds` and `log` are those of a training by itself.
    """
    if stage == "simulate":
        return simulate(study.simulation, root, cluster)
    if stage == "train":
        if isinstance(cluster, Slurm):
            return submit(study, root, cluster, max_seconds, log, device)
        return train(study.training, root, max_seconds, log, device)
    if stage == "generate":
        return generate(study.generation, root, cluster, device)
    return evaluate(study.evaluation, root, study.title, study.description, cluster.here)


def run_stages(
    study: Study,
    root: str,
    cluster: Local | Dask | Slurm,
    stages: Sequence[str],
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Runs the whole study as one flow, or one of its verbs by itself; returns the last name."""
    if len(stages) > 1:
        return run(study, root, cluster, device)
    (stage,) = stages
    return stage_of(study, root, cluster, stage, max_seconds=max_seconds, log=log, device=device)
