"""The benchmark of solvers: its judge, its search for settings, and the schemes written anew."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::pushforward.solvers.tail.ResolutionWarning")
ROOT = Path(__file__).resolve().parents[2]
Room = Callable[[str], Any]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    """Imports a room of the benchmark, which keeps its references in a folder of the test's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        patch.setenv("PUSHFORWARD_BENCHMARKS", str(tmp_path_factory.mktemp("benchmarks")))
        yield lambda name: importlib.import_module(f"benchmarks.solvers.{name}")


@pytest.fixture(scope="module")
def flow(room: Room) -> Any:
    """A small flow."""
    return replace(room("cases").CASES["ns64"], points=32, members=2, time=1.0, cut=6)


def error(room: Room, code: Any, case: Any, setting: float, space: str = "waves") -> float:
    code.advance(code.plan(setting), 1.0)
    reference = room("reference")
    return reference.error(code.state(), reference.reference(case, space)[-1])


def test_the_judge_agrees_with_pushforward(room: Room, flow: Any) -> None:
    build = room("codes.pushforward_evolve").build
    code = build(flow, "float64", scheme="ifrk54", adaptive=True)
    assert error(room, code, flow, 1e-11) < 1e-9


def test_the_judge_of_cells_agrees_with_pushforward(room: Room) -> None:
    cells = replace(room("cases").CASES["fhn128"], points=16, members=1, time=0.5)
    build = room("codes.pushforward_evolve").build
    code = build(cells, "float64", scheme="ifrk54", adaptive=True, space="stencil")
    assert error(room, code, cells, 1e-10, "stencil") < 1e-8
    code = build(cells, "float64", scheme="ifrk54", adaptive=True, space="waves")
    assert error(room, code, cells, 1e-10, "stencil") > 1e-3  # other equations are told apart


def test_the_scripts_scheme_is_of_first_order(room: Room, flow: Any) -> None:
    code = room("codes.fno_script").build(flow, "float64")
    errors = [error(room, code, flow, steps) for steps in (50, 100, 200)]
    orders = np.diff(np.log(errors)) / -math.log(2)
    assert np.all(abs(orders - 1) < 0.1), errors


def test_single_precision_loses_the_scripts_viscosity(room: Room, flow: Any) -> None:
    """1 +- h nu k^2 / 2 is rounded to 1: with its published step the script hardly converges."""
    build, steps = room("codes.fno_script").build, 5000
    single, double = (error(room, build(flow, t), flow, steps) for t in ("float32", "float64"))
    assert single > 1.5 * double


def test_the_simulator_tends_to_the_cells(room: Room) -> None:
    cells = replace(room("cases").CASES["fhn128"], points=16, members=1, time=0.5)
    code = room("codes.pdebench_simulator").build(cells, "float64")
    coarse, fine = (error(room, code, cells, tolerance, "stencil") for tolerance in (1e-3, 1e-6))
    assert fine < 1e-5 < 1e-2
    assert fine < coarse < 1e-2


@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_search_finds_the_fewest_steps(room: Room, order: int) -> None:
    search = room("search")
    asked: list[float] = []

    def solve(steps: float) -> dict[str, Any]:
        asked.append(steps)
        wrong = None if steps < 15 else (7 / steps) ** order
        return {"error": wrong, "seconds": 1e-3}

    found = search.Search(solve, order, adaptive=False)
    for target in (1e-2, 1e-4):
        one = found.target(target, 40)
        able = [steps for steps in search.STEPS if steps >= 15 and (7 / steps) ** order <= target]
        assert one.reached
        assert one.setting == min(able)
    assert len(asked) < 20


def test_the_search_extrapolates_what_takes_too_long(room: Room) -> None:
    search = room("search")
    slow = search.Search(lambda n: {"error": 1 / n, "seconds": 0.1 * n}, 1, adaptive=False)
    one = slow.target(1e-5, 40)
    assert one.extrapolated
    assert one.setting == pytest.approx(1e5, rel=1e-9)


def test_the_search_tells_when_round_off_is_in_the_way(room: Room) -> None:
    search = room("search")
    rounded = search.Search(
        lambda n: {"error": 1 / n**4 + 1e-4, "seconds": 1e-3}, 4, adaptive=False
    )
    one = rounded.target(1e-5, 40)
    assert not one.reached
    assert one.error == pytest.approx(1e-4, rel=0.1)


def test_the_search_stops_where_a_code_refuses(room: Room) -> None:
    search = room("search")

    def solve(tolerance: float) -> dict[str, Any]:
        if tolerance < 2e-6:
            return {"error": None, "seconds": 0.0, "notes": {"refused": "round-off"}}
        return {"error": 3 * tolerance, "seconds": 1e-3}

    found = search.Search(solve, 5, adaptive=True)
    assert found.target(1e-5, 1e-5).setting == pytest.approx(10**-5.5)
    one = found.target(1e-6, 1e-6)
    assert not one.reached
    assert one.error == pytest.approx(3 * 10**-5.5)
