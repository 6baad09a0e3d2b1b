"""The benchmark of all combinations: its measure against exact draws, and a quick run of it."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from scipy import stats

from pushforward.generative import BASES

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    """Imports a module of the benchmarks' folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        yield importlib.import_module


@pytest.fixture(scope="module")
def truth(benchmark: Any) -> Any:
    mixture = benchmark("mixture")
    return mixture.Truth(mixture.mixture())


@pytest.fixture(scope="module")
def quick(benchmark: Any) -> Any:
    combinations = benchmark("combinations").quick()
    combinations.run()
    return combinations


def test_the_measure_of_exact_draws_is_standard_normal(benchmark: Any, truth: Any) -> None:
    found = benchmark("controls").exact_draws(truth, members=1000, times=200, seed=0)
    for family in ("mean", "spectrum", "tail"):
        errors = [one[family] for one in found]
        assert stats.kstest(errors, "norm").pvalue > 6e-5, family  # 4 standard errors


def test_the_measure_sees_a_wrong_law(benchmark: Any, truth: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    draws = truth.law.draws(4000, generator)
    assert max(truth.errors(draws).values()) < 4
    assert truth.errors(draws + 0.1)["mean"] > 4
    assert truth.errors(draws * 1.03)["spectrum"] > 4
    far = (draws.abs().amax((1, 2, 3)) > 3.5)[:, None, None, None]
    assert truth.errors(torch.where(far, 0.8, 1.0) * draws)["tail"] > 4
    other = benchmark("mixture").mixture(steeper=0.2).draws(4000, generator)
    assert truth.errors(other)["spectrum"] > 4


def test_joint_tails_are_those_of_the_bivariate_normal(benchmark: Any) -> None:
    limit = torch.tensor([0.5, 1.2], dtype=torch.float64)
    for rho in (-0.7, 0.0, 0.95):
        correlation = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=torch.float64)
        found = benchmark("mixture").both_beyond(limit, correlation)
        law = stats.multivariate_normal([0.0, 0.0], correlation.numpy())  # type: ignore[arg-type]
        assert math.isclose(float(found[0, 1]), law.cdf((-limit).numpy()), abs_tol=1e-6)
        assert math.isclose(float(found[1, 1]), stats.norm.sf(1.2), abs_tol=1e-12)


@pytest.mark.parametrize("kind", BASES)
def test_side_by_side_is_the_library_s_denoiser(benchmark: Any, truth: Any, kind: str) -> None:
    generator = torch.Generator().manual_seed(1)
    grid = benchmark("mixture").GRID
    basis = BASES[kind].fit(truth.law.draws(400, generator), grid)
    fields = truth.law.draws(5, generator)
    again = basis.synthesise(basis.analyse(fields, grid), grid)
    torch.testing.assert_close(again, fields, rtol=0, atol=1e-6)  # nothing is lost
    one = truth.law.seen_by(basis)
    modes = len(basis.shell)
    y = torch.randn(5, 2, modes, generator=generator).double()
    log_snr = 3 * torch.randn(1, 2, modes, generator=generator).double().expand_as(y)
    both = benchmark("ensembles").SideBySide(one).correction(y, log_snr)
    for channel, part in enumerate(both.split(1, 1)):
        some = slice(channel, channel + 1)
        torch.testing.assert_close(part, one.correction(y[:, some], log_snr[:, some]))


def test_no_combination_is_beyond_four_standard_errors(benchmark: Any, quick: Any) -> None:
    catalogue = benchmark("catalogue")
    assert quick.results
    for (_, path, _, name), result in quick.results.items():
        assert result.worst < 4, (path, name, result)
        sampler = quick.samplers[name].at(catalogue.PATHS[path])
        assert result.evaluations == sampler.evaluations, name
    assert {key[3] for key in quick.results} == set(quick.samplers)


def test_what_cannot_work_is_refused(benchmark: Any) -> None:
    found = benchmark("combinations").Combinations(bases=("fourier", "pca"), processes=("ve",))
    assert ("fourier", "columns, disjoint") in found.refused
    assert ("fourier", "blur") not in found.refused
    assert ("pca", "blur") in found.refused
    assert set(found.declined) == {("ve", "sscs")}
    for said in (*found.refused.values(), *found.declined.values()):
        assert said.startswith("expected ")
        assert ", got " in said


def test_controls_are_seen_to_be_wrong(benchmark: Any, quick: Any) -> None:
    controls = benchmark("controls")
    basis, truth = quick.fitted["fourier"], quick.truth
    for name, errors in controls.controls(basis, truth, members=1000, seed=3):
        assert max(errors.values()) > 4, name


def test_the_page_tells_it_all(benchmark: Any, quick: Any) -> None:
    text = benchmark("page").write(quick, 60.0, slow=(30, 60))
    for word in (*quick.bases, *quick.paths, *quick.samplers, *quick.refused.values()):
        assert word in text


def test_all_is_accounted_for(quick: Any) -> None:
    count = quick.account()
    assert sum(count.values()) == 2 * 3 * len(quick.samplers)
    assert count["run"] == len(quick.results)
    assert count["refused"] == len(quick.refused) * len(quick.samplers)
    lost = next(iter(quick.results))
    kept = quick.results.pop(lost)
    with pytest.raises(RuntimeError, match="nothing became of"):
        quick.account()
    quick.results[lost] = kept
