"""The command line: ``pushforward run STUDY`` and the verbs one by one.

Commands read a study, call a flow (or, with --no-prefect, the verb itself), and print what a
person wants to know next. Results go to stdout, progress and complaints to stderr. A mistake of
the user's is one sentence: exit code 2 when the command or the study is wrong, 1 when the run
failed (or a check, or a verification), 75 (EX_TEMPFAIL) when a training was told to stop and wants
to be queued again, 130 after Ctrl-C. A traceback is shown only with --debug,
or for a defect of the program.

torch and Prefect are imported by the commands that need them, so that --help answers at once.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cyclopts import App, CycloptsError

import pushforward
from pushforward.flows import browse, runs, schedules, upkeep
from pushforward.flows.options import HERE, PLAIN, Device, Options, Source, Where, load
from pushforward.flows.options import cluster as chosen
from pushforward.flows.refusals import ServerGone, leave, refusal
from pushforward.flows.usage import UsageError, sentence

MISTAKES = (ValueError, LookupError, OSError, FloatingPointError)
REQUEUE = 75  # EX_TEMPFAIL of sysexits.h, which not every system's os knows

app = App(
    name="pushforward",
    help="Generative surrogates of PDEs: simulate, train, generate, evaluate.",
    version=lambda: pushforward.__version__,
    suppress_keyboard_interrupt=False,  # main says what follows from it
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command of the command line and exits with its code.

    >>> main(["--version"])
    Traceback (most recent call last):
    SystemExit: 0
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(_exit_code(given))


def _exit_code(given: list[str]) -> int:
    try:
        code = app(given, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except (UsageError, CycloptsError) as mistake:
        return _complain(mistake, 2)
    except InterruptedError as stopped:
        return _complain(stopped, REQUEUE) if runs.place().rank == 0 else REQUEUE
    except Exception as error:
        mistake = refusal(error) or (error if isinstance(error, MISTAKES) else None)
        if mistake is None or "--debug" in given:
            raise
        code = _complain(mistake, 1)
        return leave(code) if isinstance(mistake, ServerGone) else code
    except KeyboardInterrupt:
        print("pushforward: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _complain(mistake: Exception, code: int) -> int:
    print(f"pushforward: {sentence(mistake)}", file=sys.stderr)
    return code


@app.command(sort_key=0)
def run(
    study: Source,
    /,
    *,
    device: Device = None,
    where: Where = HERE,
    options: Options = PLAIN,
) -> None:
    """Take a study from YAML to a scored ensemble and a report."""
    _stages(study, options, where, tuple(runs.SPECS), {"device": device})


@app.command(sort_key=1)
def simulate(study: Source, /, *, where: Where = HERE, options: Options = PLAIN) -> None:
    """Solve a study's equation for every member that is missing."""
    _stages(study, options, where, ("simulate",))


@app.command(sort_key=2)
def train(
    study: Source,
    /,
    *,
    max_seconds: float | None = None,
    log: Literal["tensorboard", "mlflow", "wandb"] | None = None,
    device: Device = None,
    where: Where = HERE,
    options: Options = PLAIN,
) -> None:
    """Train a study's surrogate, from its last checkpoint if there is one.

    At SIGTERM, at SIGUSR1 and when its time is up it stores a checkpoint and exits with 75: the
    same command goes on from there. Under torchrun or srun all ranks train together, without
    Prefect. With a page of Slurm's it is a job, which is waited for.

    Parameters
    ----------
    max_seconds
        Stop after this time; by default only at the end.
    log
        A logger that is told the learning curve, beside the one in the archive.
    """
    if max_seconds is not None and not max_seconds > 0:
        raise UsageError(f"--max-seconds: expected more than 0, got {max_seconds:g}; raise it")
    how = {"max_seconds": max_seconds, "log": log, "device": device}
    _stages(study, options, where, ("train",), how)


@app.command(sort_key=3)
def generate(
    study: Source,
    /,
    *,
    device: Device = None,
    where: Where = HERE,
    options: Options = PLAIN,
) -> None:
    """Sample every member of a study's ensemble that is missing."""
    _stages(study, options, where, ("generate",), {"device": device})


@app.command(sort_key=4)
def evaluate(study: Source, /, *, where: Where = HERE, options: Options = PLAIN) -> None:
    """Score a study's ensemble and write the report, here whatever the cluster."""
    _stages(study, options, where, ("evaluate",))


@app.command(sort_key=5)
def report(study: Source, /, *, options: Options = PLAIN) -> None:
    """Write the report of an evaluated study again."""
    studies = load(study, options).values()
    from pushforward.archive import Archive
    from pushforward.report import report as write

    archive = Archive(options.root)
    for one in studies:
        print(write(one.evaluation, archive, title=one.title, description=one.description))


@app.command(sort_key=6)
def check(
    study: Source,
    /,
    *,
    members: int = 4,
    limit: float = 1e-3,
    workers: int | None = None,
    options: Options = PLAIN,
) -> int:
    """Solve a few members better, and say whether a study's data are converged.

    The time step or tolerance, the grid and the precision are refined one by one and together.
    The errors are stored with the data as their certificate, which may be there already or not
    yet. Exits with 1 when the data are not converged.

    Parameters
    ----------
    members
        How many members are solved again: the first ones.
    limit
        The largest relative L2 error that is called converged.
    workers
        Processes for blocks of members; by default one per core.
    """
    if members < 1 or not limit > 0:
        raise UsageError(
            f"expected --members of at least 1 and --limit above 0, got {members} and {limit:g}; "
            "raise them"
        )
    simulations = {one.simulation.name: one.simulation for one in load(study, options).values()}
    from pushforward import Archive, certify
    from pushforward.certificate_table import rows
    from pushforward.flows.table import console, draw

    archive, here = Archive(options.root), chosen(workers, None).here
    out, converged = console(), True
    for simulation in simulations.values():
        found = certify(simulation, archive, members=members, limit=limit, workers=here)
        draw(rows(found), out)
        out.print(found.verdict, soft_wrap=True)
        converged = converged and found.converged
    return 0 if converged else 1


def _stages(
    source: str,
    options: Options,
    where: Where,
    stages: Sequence[str],
    how: Mapping[str, Any] | None = None,
) -> None:
    """Runs some of the verbs of a study, as flows or plainly, and says what came out.

    `how` are options of a training by itself, and the device of what computes with the network.
    """
    cluster = chosen(where.workers, where.cluster)
    studies, root, how = load(source, options), str(options.root), how or {}
    runs.check_device(how.get("device"))
    here = runs.place()
    if here.count > 1 and stages != ("train",):
        raise UsageError(
            f"expected train under torchrun or srun, got {here.count} ranks for "
            f"{', '.join(stages)}; start these once, with --workers"
        )
    if here.count > 1 and where.cluster is not None:
        raise UsageError(
            f"expected ranks without a cluster, got {where.cluster} for each of {here.count}; "
            "leave out --cluster, or start this once"
        )
    if options.no_prefect or here.count > 1:  # one server a rank would be many
        for study in studies.values():
            runs.plainly(study, root, cluster, stages, how)
    else:
        runs.as_flows(studies.values(), root, cluster, stages, how, debug=options.debug)
    if here.rank == 0:
        for study in studies.values():
            runs.tell(study, root, stages[-1], titled=len(studies) > 1)


app.command(browse.entries, name="list", sort_key=7)
app.command(browse.show, sort_key=8)
app.command(browse.export, sort_key=8)
app.command(upkeep.verify, sort_key=9)
app.command(upkeep.gc, sort_key=10)
app.command(schedules.deploy, sort_key=11)
