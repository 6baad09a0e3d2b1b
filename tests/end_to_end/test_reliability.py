"""Killed anywhere and run again, a verb leaves the bits of one that was never killed.

The kills are real (SIGKILL) and happen in processes of their own. This file is also their script:
it imports the package once and forks a child for every kill, which is fast enough to stop a verb
at *each* of the moments when it asks the system to make something durable (fsync, rename), besides
at random moments from outside. Disks that are full or read-only are real too where the system lets
a user mount one: a small tmpfs in a mount namespace of its own.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

from pushforward.archive import Archive
from pushforward.generation import generate
from pushforward.simulation import simulate, template
from pushforward.solvers import GaussianField, Grid, NavierStokes
from pushforward.spec import Simulation
from pushforward.training import train
from tests.faults.moments import At, Signal
from tests.faults.mounts import mount, private_mounts
from tests.faults.subject import VERBS, contents, spec_of

ALIVE, KILLED = 0, -signal.SIGKILL
ROOT, SCRIPT = Path(__file__).parents[2], "tests.end_to_end.test_reliability"
PAGE = 4096  # bytes, of a tmpfs


# -- the script


def fork(action: Callable[[], None]) -> int:
    """Runs an action in a child; its process number."""
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
    return child


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at_every_event(verb: str, archive: Archive) -> list[int]:
    """Kills the first run before its first durable event, the second before its second, ..."""
    codes: list[int] = []

    def run() -> None:
        At(len(codes), Signal())()
        VERBS[verb](spec_of(verb), archive)

    while not codes or codes[-1] == KILLED:
        codes.append(ended(fork(run)))
    return codes


def kill_from_outside(verb: str, archive: Archive) -> list[int]:
    """Kills three runs, each soon after it stored something new, and lets the fourth finish."""
    codes, moments, spec = [], random.Random(0), spec_of(verb)

    def stored() -> int:
        # folders come and go while the child works: os.walk passes over those that are gone
        return sum(len(files) for _, _, files in os.walk(archive.folder(spec)))

    for _ in range(3):
        before = stored()
        child = fork(lambda: VERBS[verb](spec, archive))
        while stored() == before and not archive.sealed(spec):
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        codes.append(ended(child))
    codes.append(ended(fork(lambda: VERBS[verb](spec, archive))))
    return codes


def pair(verb: str, archive: Archive) -> list[int]:
    """Two processes that run the same verb on the same archive at once."""
    children = [fork(lambda: VERBS[verb](spec_of(verb), archive)) for _ in range(2)]
    return [ended(child) for child in children]


def refuse(verb: str, archive: Archive) -> dict[str, Any]:
    """Runs a verb on a disk that fills up, then turns read-only, then is good, then read-only."""
    spec, said = spec_of(verb), {}

    def attempt(name: str) -> None:
        try:
            VERBS[verb](spec, archive)
        except OSError as error:
            said[name] = str(error)
        said[f"{name} missing"] = archive.missing(spec)

    if not archive.root.exists():
        archive.root.mkdir(parents=True)
        mount(archive.root, "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    ballast, disk = archive.root / "ballast", os.statvfs(archive.root)
    ballast.write_bytes(bytes((disk.f_bavail * disk.f_bsize // PAGE - 2) * PAGE))
    attempt("full")
    # how much a block takes differs from machine to machine: room is made until one fits
    while verb != "train" and len(said["full missing"]) == len(archive.blocks(spec)):
        os.truncate(ballast, ballast.stat().st_size - PAGE)
        attempt("full")
    mount(archive.root, "-o", "remount,ro")
    attempt("read-only")
    mount(archive.root, "-o", "remount,rw")
    ballast.unlink()
    attempt("good")
    mount(archive.root, "-o", "remount,ro")
    attempt("sealed")
    mount(archive.root, "-o", "remount,rw")
    return said | {"contents": contents(archive, spec)}


def main(action: str, root: str) -> None:
    # what torch and xarray import late is imported once, not in every child
    template(spec_of("simulate"))
    spec_of("simulate").problem().solve([0])
    actions: dict[str, Callable[[str, Archive], Any]] = {
        "events": kill_at_every_event,
        "outside": kill_from_outside,
        "pair": pair,
        "refuse": refuse,
    }
    logging.getLogger("pushforward").setLevel(logging.ERROR)
    print(json.dumps({verb: actions[action](verb, Archive(root)) for verb in VERBS}))


def script(action: str, root: Path, *before: str) -> Any:
    """What this file says, run with an action on every verb in turn, upstream first."""
    command = [*before, sys.executable, "-m", SCRIPT, action, str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# -- the tests


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Everything, uninterrupted."""
    archive = Archive(tmp_path_factory.mktemp("whole"))
    for verb, function in VERBS.items():
        function(spec_of(verb), archive)
    return archive


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("action", "kills"), [("outside", 2), ("events", 6)])
def test_killed_verbs_run_again_leave_the_same_bits(
    whole: Archive, tmp_path: Path, action: str, kills: int
):
    archive = Archive(tmp_path / "runs")
    for verb, codes in script(action, archive.root).items():
        spec = spec_of(verb)
        assert codes[-1] == ALIVE
        assert codes.count(KILLED) >= kills
        assert contents(whole, spec)
        assert contents(archive, spec) == contents(whole, spec)
        assert archive.verify(spec) == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_second_run_does_nothing_and_says_so(
    whole: Archive, verb: str, caplog: pytest.LogCaptureFixture
):
    def state() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in whole.root.rglob("*")}

    before = state()
    caplog.set_level(logging.INFO)
    VERBS[verb](spec_of(verb), whole)
    assert f"{spec_of(verb).name} is complete: nothing to do" in caplog.text
    assert state() == before


def test_blocks_change_no_bit(whole: Archive, tmp_path: Path):
    simulation, generation = spec_of("simulate"), spec_of("generate")
    archive = Archive(tmp_path / "runs")
    wide = simulation.model_copy(update={"block": 16})
    training = generation.training.model_copy(update={"simulation": wide})
    ensemble = generation.model_copy(update={"block": 8, "training": training})
    simulate(wide, archive)
    train(training, archive)
    generate(ensemble, archive)
    for one, other in ((simulation, wide), (generation, ensemble)):
        assert one.name == other.name
        xr.testing.assert_identical(whole.open(one).load(), archive.open(other).load())


def test_workers_change_no_bit(whole: Archive, tmp_path: Path):
    archive = Archive(tmp_path / "runs")
    for verb in ("simulate", "train"):
        shutil.copytree(whole.folder(spec_of(verb)), archive.folder(spec_of(verb)))
    generate(spec_of("generate"), archive, workers=2)
    assert contents(archive, spec_of("generate")) == contents(whole, spec_of("generate"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_processes_at_once_change_no_bit(whole: Archive, tmp_path: Path):
    archive = Archive(tmp_path / "runs")
    for verb, codes in script("pair", archive.root).items():
        assert codes == [ALIVE, ALIVE]
        assert archive.verify(spec_of(verb)) == []
        assert contents(archive, spec_of(verb)) == contents(whole, spec_of(verb))


def test_a_missing_upstream_is_one_sentence(tmp_path: Path):
    archive = Archive(tmp_path / "runs")
    for verb, needed in (("train", "simulate"), ("generate", "train")):
        with pytest.raises(LookupError) as caught:
            VERBS[verb](spec_of(verb), archive)
        name = spec_of(needed).name
        kind = name.partition("-")[0]
        assert str(caught.value) == (
            f"{name} is not in {archive.root}; run {needed}(study.{kind}, archive) first"
        )


def test_a_member_that_blows_up_loses_nothing_stored(tmp_path: Path):
    archive = Archive(tmp_path / "runs")
    # without viscosity and with such a step some members blow up, and some do not
    wild = Simulation(
        equation=NavierStokes(viscosity=0.0),
        grid=Grid((16, 16)),
        initial=GaussianField.matern(2.0, 0.3, deviation=1.0),
        times=(8.0,),
        step=1.0,
        members=12,
        batch=1,
        block=1,
    )
    with pytest.raises(FloatingPointError) as caught:
        simulate(wild, archive)
    sentence = str(caught.value)
    done = 12 - len(archive.missing(wild))
    assert 0 < done < 12
    assert sentence.startswith(f"member {done} became non-finite at t=")
    assert "step" in sentence
    assert "\n" not in sentence
    before = contents(archive, wild)
    with pytest.raises(FloatingPointError, match=f"member {done} "):
        simulate(wild, archive)
    assert contents(archive, wild) == before
    with pytest.raises(LookupError, match="is incomplete"):
        archive.open(wild)


def test_a_full_and_a_read_only_disk_lose_nothing_stored(whole: Archive, tmp_path: Path):
    command = private_mounts()
    if command is None:
        pytest.skip("needs a mount namespace")
    root = tmp_path / "runs"
    for verb, said in script("refuse", root, *command).items():
        assert said["full"].startswith(f"expected to store {root / spec_of(verb).name}")
        assert 'got "No space left on device"; free some space and run the same' in said["full"]
        assert "\n" not in said["full"] + said["read-only"]
        assert 'got "Read-only file system"; choose a folder that can be' in said["read-only"]
        assert said["read-only missing"] == said["full missing"]
        assert not {"good", "sealed"} & said.keys()
        assert said["good missing"] == []
        assert said["contents"] == contents(whole, spec_of(verb))
        if verb != "train":
            assert 0 < len(said["full missing"]) < len(whole.blocks(spec_of(verb)))


if __name__ == "__main__":
    main(*sys.argv[1:])
