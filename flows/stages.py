"""One thin flow per verb: simulate, train, generate, evaluate.

Each takes a spec, the archive's root and maybe the cluster that computes, calls the verb, and
returns the name under which the result lies in the archive; fields never pass through Prefect.
Specs and clusters are pydantic models, so a flow can be filled in as a form, deployed and
scheduled. What it leaves in Prefect besides its runs are artifacts: the progress of blocks, the
score table, and a page that says where the report is.
"""

from __future__ import annotations

import re
from html import escape

from prefect import flow, task
from prefect.artifacts import (
    create_image_artifact,
    create_link_artifact,
    create_markdown_artifact,
    create_table_artifact,
)
from prefect.cache_policies import NO_CACHE

from pushforward import evaluation as scoring
from pushforward import generation as sampling
from pushforward import report as reporting
from pushforward import simulation as solving
from pushforward import training as learning
from pushforward.archive import Archive
from pushforward.flows.blocks import Blocks
from pushforward.flows.clusters import ONE, Cluster
from pushforward.flows.engines import reached, shared
from pushforward.flows.table import rows
from pushforward.flows.terminal import share_console
from pushforward.places import Place
from pushforward.samples import contact
from pushforward.spec import Evaluation, Generation, Simulation, Training

share_console()


@flow(flow_run_name="{simulation.name}", persist_result=False)
def simulate(simulation: Simulation, root: str = "runs", cluster: Cluster = ONE) -> str:
    """Solves the equation for every member that is missing; the verb, with a task run per block.

    >>> simulate.name, list(simulate.parameters.properties)
    ('simulate', ['simulation', 'root', 'cluster'])
    """
    blocks = Blocks(simulation.name, cluster)
    return solving.simulate(simulation, reached(root, cluster), map=blocks)


@flow(flow_run_name="{training.name}", persist_result=False)
def train(
    training: Training,
    root: str = "runs",
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Trains the surrogate, from its last checkpoint if there is one; the verb, as one task run.

    >>> train.name, list(train.parameters.properties)
    ('train', ['training', 'root', 'max_seconds', 'log', 'device'])
    """
    return _train(training, root, max_seconds, log, device)


@flow(flow_run_name="{generation.name}", persist_result=False)
def generate(
    generation: Generation,
    root: str = "runs",
    cluster: Cluster = ONE,
    device: str | None = None,
) -> str:
    """Samples every member that is missing; the verb, with a task run per block.

    >>> generate.name, list(generate.parameters.properties)
    ('generate', ['generation', 'root', 'cluster', 'device'])
    """
    blocks = Blocks(generation.name, shared(cluster, device))
    return sampling.generate(generation, reached(root, cluster), map=blocks, device=device)


@flow(flow_run_name="{evaluation.name}", persist_result=False)
def evaluate(
    evaluation: Evaluation,
    root: str = "runs",
    title: str = "",
    description: str = "",
    workers: int = 1,
) -> str:
    """Scores the ensemble and writes the report, under a title; leaves both as artifacts.

    `workers` are processes beside this one.

    >>> evaluate.name, list(evaluate.parameters.properties)
    ('evaluate', ['evaluation', 'root', 'title', 'description', 'workers'])
    """
    table = _score(evaluation, root, workers)
    page = _report(evaluation, root, title, description)
    ensemble = evaluation.generation.name
    create_table_artifact(
        table=table, key=f"{evaluation.name}-scores", description=f"Scores of {ensemble}"
    )
    create_markdown_artifact(
        markdown=_summary(ensemble, table, page), key=f"{evaluation.name}-report"
    )
    create_image_artifact(
        image_url=contact(evaluation, Archive(root)),
        key=f"{evaluation.name}-samples",
        description="The solver above, the surrogate below, on one colour scale",
    )
    create_link_artifact(
        link=page.as_uri(), link_text=f"Report on {ensemble}", key=f"{evaluation.name}-link"
    )
    return evaluation.name


@task(name="train", task_run_name="{training.name}", cache_policy=NO_CACHE, persist_result=False)
def _train(
    training: Training,
    root: str,
    max_seconds: float | None,
    log: str | None,
    device: str | None,
) -> str:
    options = {"max_seconds": max_seconds, "log": log, "device": device}
    return learning.train(training, Archive(root), **options)


@task(name="score", task_run_name="{evaluation.name}", cache_policy=NO_CACHE, persist_result=False)
def _score(evaluation: Evaluation, root: str, workers: int) -> list[dict[str, str]]:
    return rows(scoring.evaluate(evaluation, Archive(root), workers=workers))


@task(
    name="report",
    task_run_name="{evaluation.name} report",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def _report(evaluation: Evaluation, root: str, title: str, description: str) -> Place:
    page = reporting.report(
        evaluation, Archive(root), title=title, description=description, again=False
    )
    return page.resolve()


def _summary(ensemble: str, table: list[dict[str, str]], page: Place) -> str:
    """The markdown artifact: how many scores are inside their floor, and where the report lies."""
    inside = sum(row["inside"] == "yes" for row in table)
    shown = re.sub(r"([\\\[\]`*_])", r"\\\1", escape(str(page), quote=False))
    return (
        f"# {ensemble}\n\n{inside} of {len(table)} scores are inside the solver's own floor.\n\n"
        f"Report: [{shown}]({page.as_uri()})\n"
    )
