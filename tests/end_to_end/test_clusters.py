"""The templates of sbatch: what they say, what they do, and a real Slurm where there is one.

`srun` and `scontrol` are stand-ins that write down what they were asked. With a real Slurm (see
conftest) two ranks train, are queued again, and end with the bits of two that were left alone; the
tests' folder must then be one that the nodes see too:
`pytest -m slow tests/end_to_end/test_clusters.py --basetemp=FOLDER`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from pushforward.archive import WEIGHTS, Archive
from pushforward.curve import FILE as METRICS
from pushforward.flows import cli
from pushforward.simulation import simulate
from pushforward.study import Study
from pushforward.training import train

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "catalogs" / "clusters"
TEMPLATES = sorted(FOLDER.glob("*.sbatch"))
PAGE = ROOT / "docs" / "clusters.md"
# of `sbatch --help` (22.05 to 24.11), those that a template has a use for
KNOWN = {
    *("account", "array", "constraint", "cpus-per-task", "dependency", "exclusive", "export"),
    *("gpus-per-node", "gres", "job-name", "mail-type", "mem", "mem-per-cpu", "nodes", "ntasks"),
    *("ntasks-per-node", "open-mode", "output", "parsable", "partition", "qos", "requeue"),
    *("signal", "time"),
}
BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="needs bash")


def headers(template: Path) -> dict[str, str]:
    """The options in a template, also those that a user still has to uncomment."""
    lines = re.findall(r"^#?#SBATCH (.*)$", template.read_text("utf-8"), re.MULTILINE)
    pairs = [re.fullmatch(r"--([a-z-]+)(?:=(\S+))?", line) for line in lines]
    assert lines
    assert all(pairs), lines
    return {pair[1]: pair[2] for pair in pairs if pair}


Submission = tuple[list[str], str, list[str]]


def submissions(text: str) -> list[Submission]:
    """Every `sbatch ... TEMPLATE ...` of a text: sbatch's options, the template, its arguments."""
    found = []
    for line in re.findall(r"sbatch ((?:--\S+ )*\S*\w+\.sbatch\b.*)", text):
        words = shlex.split(line.replace(")", " "), comments=True)
        at = next(i for i, word in enumerate(words) if word.endswith(".sbatch"))
        found.append((words[:at], Path(words[at]).name, words[at + 1 :]))
    return found


def documented() -> list[Submission]:
    """What the templates and the page tell a user to type."""
    texts = [path.read_text("utf-8") for path in TEMPLATES]
    texts += re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return [one for text in texts for one in submissions(text)]


def run(
    template: str, folder: Path, *arguments: str, code: int = 0, **environment: str
) -> tuple[int, list[list[str]], list[list[str]]]:
    """Runs a template with stand-ins; its exit code, and what srun and scontrol were asked."""
    for name, ends in (("srun", code), ("scontrol", 0)):
        said = folder / name
        said.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" . >>"$0.said"\nexit {ends}\n')
        said.chmod(0o755)
    given = {"SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "3", "PATH": f"{folder}:/bin:/usr/bin"}
    command = [str(BASH), str(FOLDER / template), *arguments]
    done = subprocess.run(command, env=given | environment, timeout=60, capture_output=True)
    return done.returncode, heard(folder / "srun"), heard(folder / "scontrol")


def heard(stand_in: Path) -> list[list[str]]:
    said = stand_in.with_suffix(".said")
    calls = said.read_text("utf-8").split("\n.\n")[:-1] if said.exists() else []
    said.unlink(missing_ok=True)
    return [call.split("\n") for call in calls]


def parsed(arguments: list[str]) -> None:
    """Reads a command line as `pushforward` does, and runs nothing."""
    cli.app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_there_are_templates() -> None:
    assert [path.name for path in TEMPLATES] == ["study.sbatch", "train.sbatch"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_asks_for_what_sbatch_knows(template: Path) -> None:
    options = headers(template)
    assert set(options) <= KNOWN
    assert options["open-mode"] == "append"
    assert "requeue" in options
    assert re.fullmatch(r"USR1@\d+", str(options["signal"]))
    assert "%j" in str(options["output"])


@needs_bash
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_is_sound_shell(template: Path) -> None:
    checks = [[str(BASH), "-n"], *([["shellcheck"]] if shutil.which("shellcheck") else [])]
    for check in checks:
        done = subprocess.run([*check, str(template)], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_bash
def test_what_is_documented_is_what_the_command_line_reads(tmp_path: Path) -> None:
    found = documented()
    assert {name for _, name, _ in found} == {path.name for path in TEMPLATES}
    assert len(found) >= 13
    for options, name, arguments in found:
        assert {word[2:].partition("=")[0] for word in options} <= KNOWN, options
        code, (asked,), _ = run(name, tmp_path, *arguments, SLURM_ARRAY_TASK_ID="3")
        assert code == 0
        assert {one.partition("=")[0] for one in asked[: asked.index("pushforward")]} <= {
            *("--cpus-per-task", "--kill-on-bad-exit", "--wait")
        }
        command = asked[asked.index("pushforward") + 1 :]
        parsed(command)
        assert not any("%a" in word for word in command)
        with pytest.raises(CycloptsError):  # negative control
            parsed([*command, "--max-second", "3"])


def test_commands_of_the_page_are_what_the_command_line_reads() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    lines = re.findall(r"\bpushforward (\w+ .*)", "".join(blocks))
    found = [shlex.split(line, comments=True) for line in lines]
    assert sum("--cluster" in words for words in found) >= 3
    for words in found:
        parsed(words)
        with pytest.raises(CycloptsError):  # negative control
            parsed([*words, "--clutser", "dask"])


@needs_bash
@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
@pytest.mark.parametrize("code", [0, 1, 2, 75, 137, 138])
def test_a_job_is_queued_again_when_it_was_told_to_stop(
    template: Path, code: int, tmp_path: Path
) -> None:
    again = [["requeue", "17"]] if code in (75, 138) else []
    arguments = ("train", "smoke")
    assert run(template.name, tmp_path, *arguments, code=code)[::2] == (code, again)
    last = {"RESTARTS": "2", "SLURM_RESTART_COUNT": "1"}
    assert run(template.name, tmp_path, *arguments, code=code, **last)[::2] == (code, again)
    last["SLURM_RESTART_COUNT"] = "2"
    assert run(template.name, tmp_path, *arguments, code=code, **last)[::2] == (code, [])


@needs_bash
def test_words_stay_whole_and_threads_are_the_cores(tmp_path: Path) -> None:
    words = ("a study.yaml", "--set", "training.seed=%a", "--root", "%a/x %a")
    _, (asked,), _ = run("train.sbatch", tmp_path, *words, SLURM_ARRAY_TASK_ID="12")
    assert asked[0] == "--cpus-per-task=3"
    train = ["train", "a study.yaml", "--set", "training.seed=12", "--root", "12/x 12"]
    assert asked[asked.index("pushforward") + 1 :] == [*train, "--no-prefect"]
    _, (asked,), _ = run("study.sbatch", tmp_path, "run", "x")
    assert asked[-6:] == ["pushforward", "run", "x", "--no-prefect", "--workers", "3"]


# -- a real Slurm


def submit(folder: Path, options: list[str], *arguments: str, **environment: str) -> str:
    """Trains smoke on two ranks by a job, until it leaves the queue; what it wrote."""
    script = folder / "pushforward"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pushforward.flows "$@"\n')
    script.chmod(0o755)
    here: Mapping[str, str] = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    size = ["--ntasks-per-node=2", "--cpus-per-task=1", "--mem-per-cpu=1G", "--time=10"]
    command = ["sbatch", "--parsable", *size, *options, str(FOLDER / "train.sbatch"), *arguments]
    said = subprocess.run(
        command, cwd=folder, env=here | environment, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    job = said.stdout.strip().partition(";")[0]
    try:
        wait(job)
    finally:
        subprocess.run(["scancel", job], capture_output=True, timeout=60)
    return next(folder.glob(f"*-{job}.out")).read_text("utf-8")


def wait(job: str, patience: float = 900) -> None:
    """Until a job is gone from the queue."""
    end = time.monotonic() + patience
    asked = ["squeue", "--noheader", "--jobs", job]
    while subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip():
        assert time.monotonic() < end, f"job {job} is still queued"
        time.sleep(1)


@pytest.mark.slow
@pytest.mark.usefixtures("slurm")
def test_two_ranks_are_queued_again_and_end_with_the_bits_of_a_whole_run(tmp_path: Path) -> None:
    training = Study.load("smoke").training
    alone, whole, turns = (Archive(tmp_path / name) for name in ("alone", "whole", "turns"))
    simulate(training.simulation, alone)
    for archive in (whole, turns):
        shutil.copytree(alone.root, archive.root)
    train(training, alone)

    said = submit(tmp_path, [], "smoke", "--root", "whole")
    assert whole.sealed(training), said

    budget = ("--max-seconds", "1e-9")
    said = submit(tmp_path, [], "smoke", "--root", "turns", *budget, RESTARTS="1")
    assert said.count(f"pushforward: {training.name} stopped at step 1 of 20") == 1
    assert said.count("exit code 75: queued again, 1 of at most 1 times") == 1
    assert said.count("goes on at step 1 of 20") == 1
    assert said.count("exit code 75, but queued again 1 times before") == 1
    assert not turns.sealed(training)

    said = submit(tmp_path, [], "smoke", "--root", "turns")
    assert said.count("goes on at step 2 of 20") == 1
    assert "the result will differ" not in said
    assert turns.sealed(training)

    stored = [(one.folder(training) / WEIGHTS).read_bytes() for one in (whole, turns)]
    assert stored[0] == stored[1]
    losses = [
        [line["loss"] for line in one.read_lines(training, METRICS)] for one in (alone, turns)
    ]
    assert len(losses[0]) == training.steps
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert losses[0][1:] != pytest.approx(losses[0][:-1], rel=1e-2)  # negative control
