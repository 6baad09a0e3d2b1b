"""A training as a job of Slurm's: submitted, waited for, and found again.

The job is the installed template train.sbatch with the page's values: sbatch's options, lines of
shell before the work, and how often it may be queued again. It goes on by itself: when it is
pre-empted or its time is up it stores a checkpoint, is queued again and goes on from there, and it
needs nobody who waits. Who runs the same command again, after whatever became of the first one,
finds the job by the training's name and the archive, and waits for that.
"""

from __future__ import annotations

import shlex
import sysconfig
import time
from importlib import resources
from pathlib import Path

import yaml

from pushforward.archive import Archive
from pushforward.blocks import done
from pushforward.flows import slurm
from pushforward.flows.clusters import Slurm
from pushforward.flows.engines import reached
from pushforward.progress import say
from pushforward.spec import Training
from pushforward.study import Study

SECONDS = 5.0  # between two looks at the queue
REQUEUE = 75  # with what a training exits that was told to stop
SETUP = "# module load python && source .venv/bin/activate\n"  # in the template, and what follows
RESTARTS = "restarts=${RESTARTS:-50}"


def train_by_slurm(
    study: Study,
    root: str,
    cluster: Slurm,
    *,
    max_seconds: float | None = None,
    log: str | None = None,
    device: str | None = None,
) -> str:
    """Trains what is missing of a study's surrogate as a job; returns the training's name.

    The options are those of the verb, of every turn of the job.

    Raises LookupError when the simulation is not complete, OSError when sbatch refuses,
    InterruptedError when the job was queued again as often as the page allows, ChildProcessError,
    with what it said last, when it ended otherwise.
    """
    archive, training = reached(root, cluster), study.training
    if done(training, archive):
        return training.name
    archive.require(training.simulation)
    folder = Path(cluster.folder).absolute()
    job = slurm.queued(training.name, str(archive.root))
    if job is None:
        given = {"--max-seconds": max_seconds, "--log": log, "--device": device}
        words = [word for key, one in given.items() if one is not None for word in (key, str(one))]
        job = _submit(study, archive, cluster, folder, words)
    _wait(job, training.name)
    if not archive.sealed(training):
        _complain(job, training, folder / f"{training.name}-{job}.out")
    say(f"{training.name} is complete: by job {job}")
    return training.name


def script(cluster: Slurm) -> str:
    """The template with what a page says, but for what it asks of sbatch.

    >>> text = script(Slurm(setup=("module load python",), training={"restarts": 3}))
    >>> "\\nmodule load python\\n" in text, "\\nrestarts=3 " in text
    (True, True)
    """
    template = resources.files("pushforward.catalogs") / "clusters" / "train.sbatch"
    own = f"export PATH={shlex.quote(sysconfig.get_path('scripts'))}:$PATH"
    lines = "\n".join((own, *cluster.setup))
    text = template.read_text(encoding="utf-8").replace(SETUP, f"{lines}\n")
    return text.replace(RESTARTS, f"restarts={cluster.training.restarts}")


def options(cluster: Slurm, training: Training, root: str, folder: Path) -> list[str]:
    """What sbatch is asked for a training: options, which win over the template's own."""
    ranks = cluster.training
    gpus = [f"--gpus-per-node={ranks.gpus_per_node}"] if ranks.gpus_per_node else []
    return [
        f"--job-name={training.name}",
        f"--comment={root}",
        f"--output={folder / training.name}-%j.out",
        f"--nodes={ranks.nodes}",
        f"--ntasks-per-node={ranks.ranks_per_node}",
        f"--cpus-per-task={ranks.cores_per_rank}",
        *gpus,
        *slurm.options(cluster, ranks),
    ]


def _submit(study: Study, archive: Archive, cluster: Slurm, folder: Path, words: list[str]) -> str:
    training, root = study.training, str(archive.root)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{training.name}.yaml"
    page.write_text(yaml.safe_dump(study.sections(), sort_keys=False), encoding="utf-8")
    text = folder / f"{training.name}.sbatch"
    text.write_text(script(cluster), encoding="utf-8")
    asked = options(cluster, training, root, folder)
    job = slurm.submit(asked, text, [str(page), "--root", root, *words])
    say(f"{training.name}: job {job} is submitted; it writes {folder / training.name}-{job}.out")
    return job


def _wait(job: str, name: str) -> None:
    """Until a job has left the queue; says what becomes of it meanwhile."""
    before = ""
    try:
        while state := slurm.state(job):
            if state != before:
                say(f"{name}: job {job} is {state}")
            before = state
            time.sleep(SECONDS)
    except KeyboardInterrupt:
        say(f"{name}: job {job} goes on by itself; `scancel {job}` ends it")
        raise


def _complain(job: str, training: Training, log: Path) -> None:
    """Raises what follows from a job that left the queue without the weights."""
    word, code = slurm.ending(job)
    if code == REQUEUE:
        raise InterruptedError(
            f"{training.name} stopped in job {job}, which was queued again as often as its page "
            "allows; the same command goes on from here"
        )
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    said = [line for line in lines if line.startswith("pushforward: ")] or lines or ["nothing"]
    raise ChildProcessError(
        f'expected job {job} to complete {training.name}, got {word}, and last "{said[-1]}"; '
        f"see {log}, and run the same command again: what is stored is kept"
    )
