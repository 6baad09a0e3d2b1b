"""The README's examples run as they stand."""

import re
from pathlib import Path

import pytest
import yaml

from pushforward import Study
from pushforward.spec import Generation, Simulation, restore

README = Path(__file__).parents[2] / "README.md"


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_main_job_is_eleven_lines() -> None:
    lines = [line for line in examples()[0].splitlines() if line.strip()]
    assert len(lines) <= 11


def test_the_main_job_runs(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(examples()[0], str(README), "exec"), names)
    ensemble = names["ensemble"]
    assert dict(ensemble.sizes) == {"member": 16, "time": 1, "y": 16, "x": 16}  # type: ignore[attr-defined]
    assert {"value", "floor_mean"} <= set(names["scores"].data_vars)  # type: ignore[attr-defined]


def test_the_solver_alone_runs() -> None:
    names: dict[str, object] = {}
    exec(compile(examples()[1], str(README), "exec"), names)
    assert names["u"].shape == (4, 2, 1, 64, 64)  # type: ignore[attr-defined]


def test_surrogates_alone_run() -> None:
    names: dict[str, object] = {}
    exec(compile(examples()[2], str(README), "exec"), names)
    assert names["drawn"].shape == (8, 1, 64, 64)  # type: ignore[attr-defined]
    drawn, truth = names["likely"], names["fields"]
    assert (drawn.std(0) < 0.5 * truth.std(0)).float().mean() > 0.9  # type: ignore[attr-defined]


def test_scores_alone_run() -> None:
    names: dict[str, object] = {}
    exec(compile(examples()[3], str(README), "exec"), names)
    scores = names["scores"].isel(variable=0)  # type: ignore[attr-defined]
    assert not scores.inside.sel(score="w1")
    assert scores.inside.sel(score="flatness")
    forecast = names["verify_forecast"](names["ensemble"], names["cases"])  # type: ignore[operator]
    assert forecast.spread_skill.item() == pytest.approx(1, abs=0.1)


def test_an_ensemble_is_queried(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for example in (examples()[0], examples()[4]):  # what was trained first is opened
        exec(compile(example, str(README), "exec"), names)
    assert names["many"].sizes == {"member": 10**6, "time": 1, "y": 128, "x": 128}  # type: ignore[attr-defined]
    assert names["member"].shape == (1, 128, 128)  # type: ignore[attr-defined]
    spread, stored = names["spread"], names["ensemble"].vorticity.std("member")  # type: ignore[attr-defined]
    assert 0.5 < float((spread / stored).mean()) < 2  # type: ignore[operator]


def documents() -> list[dict]:
    texts = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return [yaml.safe_load(text) for text in texts]


def test_the_simulation_in_it_is_one() -> None:
    simulation = restore("simulation", documents()[0]["simulation"])
    assert isinstance(simulation, Simulation)
    assert simulation.problem().solved_on.shape == (256, 256)


def test_the_study_in_it_is_one() -> None:
    document = documents()[1]
    study = Study.load("smoke").model_dump(mode="json")
    generation = study["evaluation"]["generation"]
    generation["sampler"] = document["generation"]["sampler"]
    generation["training"]["surrogate"] = document["training"]["surrogate"]
    spec = restore("generation", generation)
    assert isinstance(spec, Generation)
    assert spec.training.surrogate.backbone.kind == "uno"
    assert spec.sampler.evaluations == 23
