"""What Slurm is asked, and what it answers: its own commands, sbatch, squeue and scontrol.

Nothing here needs Slurm's accounting: a job that ran is remembered by scontrol for some minutes,
and what it made is read from the archive.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pushforward.flows.clusters import Job, Slurm

PATIENCE = 120.0  # seconds for an answer of Slurm's; a busy one takes some


def options(slurm: Slurm, job: Job) -> list[str]:
    """What sbatch is asked for every job of a page.

    >>> options(Slurm(partition="compute"), Job(walltime="1-12:00:00", options=("--qos=long",)))
    ['--partition=compute', '--time=1-12:00:00', '--mem-per-cpu=2G', '--qos=long']
    """
    words = {"partition": job.partition or slurm.partition, "account": slurm.account}
    named = [f"--{key}={word}" for key, word in words.items() if word is not None]
    size = [f"--time={limit(job.walltime)}", f"--mem-per-cpu={job.memory_per_core}"]
    return [*named, *size, *slurm.options, *job.options]


def limit(seconds: int) -> str:
    """A time limit as Slurm reads it: D-HH:MM:SS.

    >>> limit(300)
    '0-00:05:00'
    """
    minutes, rest = divmod(seconds, 60)
    days, minutes = divmod(minutes, 24 * 60)
    return f"{days}-{minutes // 60:02}:{minutes % 60:02}:{rest:02}"


def submit(options: Sequence[str], script: Path, arguments: Sequence[str] = ()) -> str:
    """Hands a script to sbatch; returns the job's number.

    Raises OSError, with what sbatch says, when it refuses or is not there.
    """
    done = _ask("sbatch", "--parsable", *options, str(script), *arguments)
    if done.returncode:
        raise OSError(_refusal(script, done.stderr))
    return done.stdout.strip().partition(";")[0]


def check(script: Path) -> None:
    """Raises OSError for a script that sbatch would refuse; queues nothing."""
    done = _ask("sbatch", "--test-only", str(script))
    if done.returncode:
        raise OSError(_refusal(script, done.stderr))


def state(job: str) -> str:
    """How a job stands in the queue, with the reason why it waits; nothing once it has left.

    Where Slurm does not answer, that is its state: no news.
    """
    done = _ask("squeue", "--noheader", "--jobs", job, "--format=%T %r")
    if done.returncode and "Invalid job id" not in done.stderr:
        return "not known: Slurm does not answer"
    word, _, reason = done.stdout.strip().partition(" ")
    return f"{word} ({reason})" if reason not in ("", "None") else word


def queued(name: str, comment: str) -> str | None:
    """The number of this user's job of that name and comment, if there is one in the queue.

    Raises OSError where Slurm does not answer.
    """
    done = _ask("squeue", "--noheader", "--me", "--name", name, "--format=%A %k")
    if done.returncode:  # it may be in the queue: a second one would write the same checkpoint
        said = [*done.stderr.strip().splitlines(), "no reason"][0]
        raise OSError(
            f'expected squeue to list jobs, got "{said}"; run the same command when Slurm answers '
            "again"
        )
    for line in done.stdout.splitlines():
        job, _, said = line.strip().partition(" ")
        if said.strip() == comment:
            return job
    return None


def ending(job: str) -> tuple[str, int | None]:
    """How a job ended, in a word, and its exit code; what Slurm has forgotten is not known."""
    said = _ask("scontrol", "--oneliner", "show", "job", job).stdout
    word, code = re.search(r"\bJobState=(\w+)", said), re.search(r"\bExitCode=(\d+):", said)
    return word[1] if word else "an end not known", int(code[1]) if code else None


def _refusal(script: Path, said: str) -> str:
    lines = [line.partition("error: ")[2] or line for line in said.strip().splitlines()]
    return (
        f'expected sbatch to take {script}, got "{lines[-1] if lines else "no reason"}"; correct '
        "the page of the cluster"
    )


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError:
        raise OSError(
            f"expected Slurm's {command[0]} on this machine, got none; run the command where jobs "
            "are submitted, or choose another cluster"
        ) from None
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer in {PATIENCE:g} s")
