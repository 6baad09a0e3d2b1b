"""What a command that runs a study does: its verbs, as flows or plainly, and what it tells.

Everything heavy is imported when it is needed, so that --help answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pushforward.credentials import refuse
from pushforward.flows.usage import UsageError

if TYPE_CHECKING:
    from pushforward import Study
    from pushforward.flows.clusters import Dask, Local, Slurm
    from pushforward.ranks import Place

SPECS = {  # which part of a study each verb takes
    "simulate": "simulation",
    "train": "training",
    "generate": "generation",
    "evaluate": "evaluation",
}


def place() -> Place:
    """Which of the ranks of a training this process is.

    >>> place().rank
    0
    """
    from pushforward.ranks import place

    return place()


def check_device(name: str | None) -> None:
    """Refuses at once what would be refused after the simulation.

    >>> check_device("cpu")
    """
    from pushforward.device import chosen

    try:
        chosen(name)
    except (ValueError, LookupError) as mistake:
        raise UsageError(f"--device: {mistake}") from None


def as_flows(
    studies: Iterable[Study],
    root: str,
    cluster: Local | Dask | Slurm,
    stages: Sequence[str],
    options: Mapping[str, Any],
    *,
    debug: bool,
) -> None:
    """Runs verbs of studies as flows, one study after the other.

    `options` are those of a training by itself, and the device of what computes with the network.
    """
    refuse(root)  # before Prefect writes down what its flows are called with
    from pushforward.flows.terminal import prefect_in_terminal

    with prefect_in_terminal(debug):
        from pushforward.flows.study import run_stages

        for study in studies:
            run_stages(study, root, cluster, stages, **options)


def plainly(
    study: Study,
    root: str,
    cluster: Local | Dask | Slurm,
    stages: Sequence[str],
    options: Mapping[str, Any],
) -> None:
    """The same without Prefect."""
    import pushforward as verbs
    from pushforward.flows.engines import mapped, reached, shared

    archive, device = reached(root, cluster), options.get("device")
    for stage in stages:
        if stage == "simulate":
            verbs.simulate(study.simulation, archive, map=mapped(cluster))
        elif stage == "train":
            _train(study, root, cluster, options)
        elif stage == "generate":
            run = mapped(shared(cluster, device))
            verbs.generate(study.generation, archive, map=run, device=device)
        else:
            verbs.evaluate(study.evaluation, archive, workers=cluster.here)
    if stages[-1] == "evaluate":
        from pushforward.report import report as write

        said = {"title": study.title, "description": study.description}
        write(study.evaluation, archive, **said, again=False)


def _train(
    study: Study, root: str, cluster: Local | Dask | Slurm, options: Mapping[str, Any]
) -> None:
    """Here, or by a job."""
    from pushforward.flows.clusters import Slurm

    if isinstance(cluster, Slurm):
        from pushforward.flows.training_job import train_by_slurm

        train_by_slurm(study, root, cluster, **options)
        return
    import pushforward as verbs

    verbs.train(study.training, verbs.Archive(root), **options)


def tell(study: Study, root: str, stage: str, *, titled: bool = False) -> None:
    """Prints what came out of the last stage: a name, or scores, under the study's title."""
    if titled:
        print(study.title)
    if stage == "evaluate":
        _tell_scores(study, root)
    else:
        print(getattr(study, SPECS[stage]).name)


def _tell_scores(study: Study, root: str) -> None:
    """The ensemble's name, its scores, and where the report lies: what all the work was for."""
    from pushforward.archive import Archive
    from pushforward.evaluation import SCORES_FILE, restore
    from pushforward.flows.table import console, show
    from pushforward.report import FILE

    archive, evaluation = Archive(root), study.evaluation
    out = console()
    show(restore(archive.read_json(evaluation, SCORES_FILE)), out)
    out.print(f"ensemble  {evaluation.generation.name}", highlight=False)
    out.print(f"report    {archive.file(evaluation, FILE)}", highlight=False, soft_wrap=True)
