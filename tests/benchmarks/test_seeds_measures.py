"""Measures of the seeds' rows: on the smoke versions of pages, and against what is known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.seeds import columns, mixtures, phases, warm
from benchmarks.seeds.autocovariance import distance
from benchmarks.seeds.costs import costs
from benchmarks.seeds.scored import scored, within
from pushforward import Archive, Study, evaluate, generate, simulate, train
from pushforward.generative import (
    Backbone,
    CovarianceDenoiser,
    Sampler,
    Surrogate,
    Windows,
    preset,
    slide,
)
from pushforward.generative import (
    Path as Way,
)
from pushforward.solvers import GaussianField, Grid
from pushforward.variants import family

SEEDS = Path(__file__).resolve().parents[2] / "catalogs" / "seeds"
LAST = {"simulation": 1, "training": 2, "generation": 3, "evaluation": 4}


def made(
    archive: Archive, page: str, last: str, overrides: Sequence[str] = ()
) -> dict[str, Study]:
    """The smoke studies of a page, run as far as a verb."""
    studies = {
        name: study.smoke() for name, study in family(SEEDS / f"{page}.yaml", overrides).items()
    }
    verbs: tuple[Any, ...] = (simulate, train, generate, evaluate)
    for study in studies.values():
        for verb, spec in list(zip(verbs, study.specs, strict=True))[: LAST[last]]:
            verb(spec, archive)
    return studies


def numbers(found: Any) -> Iterator[float]:
    """Every number of JSON values, which they must be."""
    if isinstance(found, Mapping):
        for one in found.values():
            yield from numbers(one)
    elif isinstance(found, list):
        for one in found:
            yield from numbers(one)
    elif isinstance(found, int | float):
        yield float(found)


def plain(found: Any) -> bool:
    """Whether values are those of JSON and all their numbers are finite."""
    return json.loads(json.dumps(found)) == found and all(map(math.isfinite, numbers(found)))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return Archive(tmp_path_factory.mktemp("seeds"))


@pytest.fixture(scope="module")
def mixture(archive: Archive) -> dict[str, Study]:
    """Untrained, so that what the network says is what the best linear denoiser does."""
    return made(
        archive, "multilevel_mixture", "evaluation", ["training.steps=0", "evaluation.bootstrap=4"]
    )


@pytest.fixture(scope="module")
def volcano(archive: Archive) -> dict[str, Study]:
    return made(archive, "ddo_volcano", "generation", ["training.steps=4"])


# strips


def test_strips_of_every_order(archive: Archive) -> None:
    studies = made(archive, "gud_columns", "training", ["training.steps=4"])
    found = columns.strips(archive, studies, members=4)
    assert list(found["orders"]) == ["b 0.5", "b 0.3", "haar and columns"]
    assert "strips of b 0.5 3 windows wide" in found["said"]
    assert plain(found)
    for name, one in found["orders"].items():
        assert math.isfinite(one["likelihood"]["nats_per_dimension"])
        assert ("strip" in one) == name.startswith("b ")
    bounds, wide = columns.tables(found)
    assert (len(bounds.lines), len(wide.lines)) == (3, 6)
    assert {len(line) for line in wide.lines} == {len(wide.head)}
    one = found["orders"]["b 0.3"]
    assert len(one["strip"]["variance"]["value"]) == columns.WINDOWS
    assert len(one["solver"]["autocovariance"]["value"]) == one["window"] // 2 - 1
    assert len(one["independent"]["apart"]["value"]) == columns.WINDOWS - 1


TORUS, COUNT = Grid((4, 16)), 400


def covariance() -> torch.Tensor:
    """Of an exponential kernel on a torus along columns, and of rows that are alike by half."""
    k, r = torch.arange(TORUS.shape[1]).double(), torch.arange(TORUS.shape[0]).double()
    gap = (k[:, None] - k).abs()
    along = torch.exp(-torch.minimum(gap, len(k) - gap) / 3)
    return torch.kron(0.5 ** (r[:, None] - r).abs(), along)


def on_torus(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(count, TORUS.size, generator=generator, dtype=torch.float64)
    return (z @ torch.linalg.cholesky(covariance()).mT).view(count, 1, *TORUS.shape)


def exact(delay: float) -> Surrogate:
    """A surrogate with the exact denoiser of the torus."""
    path = Way(windows=Windows("column", delay), schedule="linear", lowest=-8, highest=8)
    small = Backbone("unet", width=8, layers=1)
    u = on_torus(500)
    surrogate = Surrogate.fit(preset("gud", basis="pixel", path=path, backbone=small), u, TORUS)
    basis = surrogate.basis
    factor = float(basis.factor) * math.sqrt(TORUS.size)
    surrogate.denoiser = CovarianceDenoiser(
        torch.ones(1),
        basis.whiten(torch.zeros_like(basis.mean))[None].float(),
        (covariance() / factor**2)[None].float(),
    )
    return surrogate


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """Strips and windows apart of the exact denoiser, against the torus itself."""
    surrogate, window = exact(0.7), TORUS.shape[1]
    options: dict[str, Any] = {"sampler": Sampler(steps=96), "batch": 3 * COUNT}
    solver = columns.torus(on_torus(4000)[:, 0])
    wide = slide(columns.unrolled(surrogate), range(COUNT), 3 * window, **options)
    parts = surrogate.sample(range(3 * COUNT), **options)
    apart = torch.cat(parts.chunk(3), -1)
    return {
        "solver": solver,
        "strip": columns.against(columns.measured(wide[:, 0].double(), window, solver), solver),
        "apart": columns.against(columns.measured(apart[:, 0].double(), window, solver), solver),
    }


def test_the_torus_is_measured_right(known: dict[str, Any]) -> None:
    found = known["solver"]["autocovariance"]
    for lag, (value, error) in enumerate(zip(found["value"], found["error"], strict=True), 1):
        assert abs(value - float(covariance()[0, lag])) < 4 * error
    assert known["solver"]["variance"] == pytest.approx(1, abs=4 * known["solver"]["error"])


def test_an_exact_strip_is_the_torus_across_seams(known: dict[str, Any]) -> None:
    assert max(one["errors"] for one in known["strip"]["off"].values()) < 4


def test_an_exact_strip_repeats_a_part_of_its_window(known: dict[str, Any]) -> None:
    shared = known["strip"]["apart"]
    assert shared["value"][0] > 6 * shared["error"][0]
    assert shared["value"][0] < 0.4  # and most is new
    assert shared["value"][1] < shared["value"][0] / 2


def test_strips_go_on_that_are_like_windows(known: dict[str, Any]) -> None:
    assert columns._goes_on(known["strip"], known["apart"])
    assert not columns._goes_on(known["apart"], known["apart"])
    window = TORUS.shape[1]
    noise = torch.randn(COUNT, 4, 3 * window, generator=torch.Generator().manual_seed(0)).double()
    white = columns.measured(noise, window, known["solver"])
    assert not columns._goes_on(columns.against(white, known["solver"]), known["apart"])


def test_windows_apart_have_nothing_across_seams(known: dict[str, Any]) -> None:
    apart = known["apart"]
    for key in ("across", "apart"):  # a window's end and the next one's start are strangers
        pairs = zip(apart[key]["value"], apart[key]["error"], strict=True)
        assert all(abs(value) < 4 * error for value, error in pairs)
    assert apart["off"]["inside"]["errors"] < 4
    assert apart["off"]["across"]["errors"] > 8


def test_a_strip_may_be_unrolled_only_here() -> None:
    surrogate = exact(0.7)
    with pytest.raises(ValueError, match="expected a box whose ends do not meet"):
        slide(surrogate, [0], 20)
    assert columns.unrolled(surrogate).grid.boundary == "neumann"
    assert surrogate.grid.periodic  # it is a copy
    assert surrogate.basis.grid.periodic


# autocovariances


def test_autocovariances_stand_over_the_solver_s_own() -> None:
    field, square = GaussianField.matern(3.0, 1 / 4), Grid((16, 16))
    pool, ours = field.sample(range(400), square, 0), field.sample(range(100), square, 1)
    same = distance(ours, pool)
    assert same["value"] < 1.5 * same["limit"]
    rough = GaussianField.matern(3.0, 1 / 8).sample(range(100), square, 1)
    for other in (1.3 * ours, rough * (pool.std() / rough.std())):  # the controls
        assert distance(other, pool)["value"] > 2 * same["limit"]
    with pytest.raises(ValueError, match="a pool of at least 200"):
        distance(pool[:100], pool[:150])


# phases


def test_circular_distances_of_every_grid(archive: Archive, volcano: dict[str, Study]) -> None:
    found = phases.circular(archive, volcano)
    assert list(found) == ["60", "120"]
    assert plain(found)
    for name, one in found.items():
        assert list(one) == ["trained", "gaussian"]
        for ensemble in one.values():
            assert list(ensemble) == ["variance", "skewness", "total"]
            assert {*ensemble["total"]} == {"value", "error", "floor", "floor_high", "members"}
            assert ensemble["total"]["members"] == volcano[name].generation.members


def test_distances_of_the_same_and_of_others(archive: Archive, volcano: dict[str, Study]) -> None:
    study = volcano["120"]
    law, grid = study.simulation.data, study.simulation.grid
    assert law is not None
    pool = law.draw(range(512), grid, 5).float()
    own = phases.distances(pool[-128:], pool, ("cosine", "sine"))
    assert own["total"]["value"] == 0
    other = phases.distances(law.draw(range(600, 728), grid, 5).float(), pool, ("cosine", "sine"))
    assert other["total"]["value"] < other["total"]["floor_high"]
    white = torch.randn(128, 2, *grid.shape, generator=torch.Generator().manual_seed(0))
    noise = phases.distances(white, pool, ("cosine", "sine"))
    assert noise["total"]["value"] > 2 * noise["total"]["floor_high"]
    longer = phases.distances(3 * pool[-128:], pool, ("cosine", "sine"))
    assert longer["total"]["value"] < 1e-6  # angles have no length


# warm


def test_a_race_of_two_starts(archive: Archive) -> None:
    studies = made(archive, "multilevel_warm_start", "training")
    found = warm.race(archive, studies)
    assert [*found] == ["ratio", "starts", "curves", "step_costs", "targets"]
    assert all(map(math.isfinite, numbers(found)))
    json.dumps(found)
    steps = studies["cold"].training.steps
    assert found["ratio"] == found["targets"]["final"]["ratio"]["cost"]
    assert found["starts"]["warm"]["reached_cost"] == found["targets"]["final"]["warm"]["cost"]
    cold, half = found["curves"]["cold"], found["targets"]["half"]
    assert cold[-1]["cost"] == cold[-1]["step"] == steps  # it has one level
    assert half["cold"]["cost"] <= steps / 2 + 1e-9
    assert found["targets"]["final"]["cold"]["seconds"] <= cold[-1]["seconds"]
    share = found["step_costs"]["warm"]["relative"][0]
    expected = steps / 2 * (1 + share)
    assert found["curves"]["warm"][-1]["cost"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="expected the studies cold and warm, got cold; give"):
        warm.race(archive, {"cold": studies["cold"]})


def paced(losses: Sequence[float], pace: float) -> list[dict[str, float]]:
    """A curve with a test every step, which takes `pace`."""
    return [
        {"step": i, "seconds": i * pace, "cost": i * pace, "loss": loss}
        for i, loss in enumerate(losses, 1)
    ]


def test_the_ratio_of_known_curves() -> None:
    losses = [1.0, 0.8, 0.6, 0.5, 0.45]
    curves = {"cold": paced(losses, 2.0), "warm": paced(losses, 0.5)}
    assert warm.compared(curves, 0.55)["ratio"] == {"seconds": 0.25, "cost": 0.25}
    same = {"cold": curves["cold"], "warm": curves["cold"]}
    assert warm.compared(same, 0.55)["ratio"] == {"seconds": 1.0, "cost": 1.0}
    never = warm.compared({**curves, "warm": paced([1.0, 0.9], 0.5)}, 0.55)
    assert never["warm"]["cost"] is None
    assert never["ratio"]["cost"] is None
    assert warm.between(curves["cold"], "step", 2.5) == pytest.approx(0.7)


# mixtures, scores, costs


def test_an_untrained_score_is_the_best_linear_one(
    archive: Archive, mixture: dict[str, Study]
) -> None:
    found = mixtures.score_errors(archive, mixture)
    assert plain(found)
    for name, study in mixture.items():
        assert found[name]["points"] == list(study.generation.target.shape)
        assert found[name]["share"] == pytest.approx(1, abs=1e-3)
        assert found[name]["error"] == pytest.approx(found[name]["linear_error"], abs=1e-3)


def test_an_exact_score_has_no_error(
    archive: Archive, mixture: dict[str, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = mixture["32"]
    surrogate = archive.surrogate(study.training)
    law, grid = study.simulation.data, study.training.learnt_on
    known = mixtures.of_law(law, surrogate.basis, grid)  # type: ignore[arg-type]
    surrogate.denoiser = known.float()
    monkeypatch.setattr(Archive, "surrogate", lambda *_: surrogate)
    found = mixtures.score_errors(archive, {"32": study})
    assert found["32"]["share"] < 1e-6
    assert found["32"]["error"] < 1e-3 < found["32"]["linear_error"]


def test_members_that_diverged(
    archive: Archive, mixture: dict[str, Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = mixtures.diverged(archive, mixture)
    for name, one in found.items():
        assert one == {
            "not finite": 0,
            "ten times too large": 0,
            "members": mixture[name].generation.members,
        }
    opened = Archive.open

    def broken(self: Archive, spec: Any, **options: Any) -> Any:
        fields = opened(self, spec, **options).load()
        if spec.kind == "generation":
            for channel in fields:
                fields[channel][0] = math.nan
                fields[channel][1] *= 1e3
        return fields

    monkeypatch.setattr(Archive, "open", broken)
    found = mixtures.diverged(archive, {"32": mixture["32"]})
    assert found["32"]["not finite"] == 1
    assert found["32"]["ten times too large"] == 1


def test_scores_side_by_side(archive: Archive, mixture: dict[str, Study]) -> None:
    names = ["w1", "energy_distance"]
    found = scored(archive, mixture, names)
    assert list(found) == ["32", "64"]
    assert plain(found)
    for one in found.values():
        assert [*one] == ["trained", "gaussian", "members"]
        # a network that has learnt nothing is the Gaussian surrogate
        assert one["trained"]["w1"]["value"] == pytest.approx(one["gaussian"]["w1"]["value"])
        assert one["trained"]["inside"] <= one["trained"]["of"]
        assert one["trained"]["w1"]["ratio"] == pytest.approx(
            one["trained"]["w1"]["value"] / one["trained"]["w1"]["floor"]
        )
        assert within(one, names, math.inf)
        assert not within(one, names, 0.0)


def test_costs_of_a_family(archive: Archive, mixture: dict[str, Study]) -> None:
    found = costs(archive, mixture)
    json.dumps(found)
    results = {spec.name for study in mixture.values() for spec in study.specs}
    assert {*found["seconds"]} == results
    training = mixture["32"].training
    assert found["trainings"][training.name] == {
        "members": training.members,
        "steps": 0,
        "batch": training.batch,
        "parameters": sum(p.numel() for p in archive.surrogate(training).parameters()),
    }
    assert found["seeds"][training.name] == training.seed
    simulated = archive.manifest(mixture["32"].simulation)
    total = sum(block["seconds"] for block in simulated["blocks"])
    assert found["seconds"][mixture["32"].simulation.name] == pytest.approx(total, abs=0.051)
