"""The whole study as one flow: simulate, train, generate, evaluate and report, as subflows.

Every stage asks the archive what is missing, so a study that was interrupted goes on where it
stopped, and a complete one only says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow

from pushforward.archive import Archive
from pushforward.device import sharing
from pushforward.flows.stages import evaluate, generate, simulate, train
from pushforward.growth import grown
from pushforward.spec import Simulation
from pushforward.study import Study


@flow(name="study", flow_run_name="{study.title}", persist_result=False)
def run(study: Study, root: str = "runs", workers: int = 1, device: str | None = None) -> str:
    """Takes a study from its YAML to a scored ensemble; returns the evaluation's name.

    >>> run.name, list(run.parameters.properties)
    ('study', ['study', 'root', 'workers', 'device'])
    """
    simulate(study.simulation, root, workers)
    train(study.training, root, device=device)
    generate(study.generation, root, sharing(workers, device), device)
    return evaluate(study.evaluation, root, study.title, study.description, workers)


@flow(name="grow", flow_run_name="{simulation.name}", persist_result=False)
def grow(simulation: Simulation, by: int, root: str = "runs", workers: int = 1) -> str:
    """Simulates `by` members more than the archive has; returns the larger simulation's name.

    >>> grow.name, list(grow.parameters.properties)
    ('grow', ['simulation', 'by', 'root', 'workers'])
    """
    return simulate(grown(simulation, Archive(root), by), root, workers)


def run_stages(
    study: Study,
    root: str,
    workers: int,
    stages: Sequence[str],
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Runs the whole study as one flow, or one of its verbs by itself; returns the last name.

    `max_seconds` and `log` are those of a training by itself.
    """
    if len(stages) > 1:
        return run(study, root, workers, device)
    if stages[0] == "simulate":
        return simulate(study.simulation, root, workers)
    if stages[0] == "train":
        return train(study.training, root, max_seconds, log, device)
    if stages[0] == "generate":
        return generate(study.generation, root, sharing(workers, device), device)
    return evaluate(study.evaluation, root, study.title, study.description, workers)
