"""The fault table can fail: what is wrong on purpose is told; and a few faults, injected once."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pushforward.archive import WEIGHTS, Archive
from pushforward.shelf import MANIFEST

if "forkserver" not in multiprocessing.get_all_start_methods():
    pytest.skip("needs fork", allow_module_level=True)

from tests.faults import __main__ as command
from tests.faults import page, table, verdict
from tests.faults.commands import End
from tests.faults.scene import Bench, Scene
from tests.faults.subject import data
from tests.faults.table import FAULTS, Fault, summary
from tests.faults.verdict import FAILED, MENDED, MISSED, REFUSED, RESUMED, Injection

WELL = End(0, "")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with Bench(tmp_path_factory.mktemp("bench")) as made:
        yield made


@pytest.fixture
def training(bench: Bench) -> Iterator[Scene]:
    """A training that is complete."""
    with bench.small.scene("train", complete=True) as scene:
        yield scene


@pytest.mark.parametrize(
    ("name", "verb", "outcome"),
    [
        ("process", "simulate", RESUMED),
        ("poison", "train", REFUSED),
        ("flipped", "generate", MENDED),
    ],
)
def test_a_fault_is_survived(bench: Bench, name: str, verb: str, outcome: str):
    tries = (FAULTS[name].inject(bench, Random(seed), verb) for seed in range(9))
    found = next(one for one in tries if one.outcome != MISSED)
    assert (found.outcome, found.why) == (outcome, "")
    assert ("; " in found.sentence) is (outcome == REFUSED)


# -- negative controls


def settled(scene: Scene, end: End = WELL, again: Callable[[], End] = lambda: WELL) -> Injection:
    return scene.settle(end, again=again)


def test_what_is_whole_is_not_called_damaged(training: Scene):
    assert settled(training).outcome == verdict.UNHARMED


def test_a_sealed_result_that_verify_rejects_has_failed(training: Scene):
    path = data(training.result)[0]
    path.write_bytes(path.read_bytes()[:-1])
    found = settled(training)
    assert found.outcome == FAILED
    assert f"sealed, and rejected: {training.spec.name}: {WEIGHTS}" in found.why


def test_other_bits_have_failed_though_their_seal_is_in_order(training: Scene):
    from pushforward.disk import digest
    from pushforward.ledger import digest_of

    path, seal = training.result / WEIGHTS, training.result / MANIFEST
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    values = json.loads(seal.read_text("utf-8"))
    values["files"][WEIGHTS] = digest(path)
    del values["sha256"]
    seal.write_text(json.dumps(values | {"sha256": digest_of(values)}), "utf-8")
    assert training.archive.verify(training.spec) == []
    assert settled(training).why == f"other bytes in {WEIGHTS}"


def test_a_result_that_is_not_there_again_has_failed(bench: Bench):
    with bench.small.scene("train") as scene:
        assert settled(scene).why == f"{scene.spec.name} is not sealed"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("Traceback (most recent call last):\n  x\nKeyError: 'x'", "a traceback: KeyError: 'x'"),
        ("", "expected one sentence, got 0"),
        ("pushforward: a; b\npushforward: c; d", "expected one sentence, got 2"),
        ("pushforward: 503 Slow Down", "expected a remedy"),
    ],
)
def test_anything_but_one_sentence_has_failed(training: Scene, said: str, why: str):
    found = settled(training, End(1, said))
    assert found.outcome == FAILED
    assert found.why.startswith(why)
    told = settled(training, End(1, "pushforward: expected a, got b; do c"))
    assert (told.outcome, told.sentence) == (REFUSED, "expected a, got b; do c")


def test_a_command_that_fails_again_has_failed(training: Scene):
    found = settled(training, End(-9, ""), lambda: End(1, "pushforward: x; y"))
    assert found.why.startswith("the same command ended with 1")


def test_too_few_hits_are_a_failure():
    hits = [Injection("train", RESUMED)] * 3
    assert summary(hits, 0, 3)["failures"] == []
    assert summary(hits, 9, 4)["failures"] == ["expected 4 injections that hit, got 3"]


@pytest.mark.parametrize(("outcome", "code"), [(RESUMED, 0), (FAILED, 1)])
def test_the_command_says_by_its_code_whether_all_was_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str, code: int
):
    def inject(bench: Bench, draw: Random, verb: str) -> Injection:
        return Injection(verb, outcome, "expected a, got b; do c", 1.0, "lost" * code)

    faults: dict[str, Any] = {"x": Fault("a fault of mine", "nothing", inject)}
    results = tmp_path / "faults.json"
    for room in (table, command):
        monkeypatch.setattr(room, "FAULTS", faults)
    monkeypatch.setattr("sys.argv", ["x", "--only", "x", "--times", "3", f"--results={results}"])
    assert command.main() == code
    text = results.with_suffix(".md").read_text("utf-8")
    assert text == page.write(json.loads(results.read_text("utf-8")))
    assert ("**3 failed**" in text) is bool(code)
    assert "    expected a, got b; do c" in text
    assert str(tmp_path) not in text
    assert Archive(tmp_path).search() == []
