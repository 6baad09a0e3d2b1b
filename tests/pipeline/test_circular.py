"""Circular statistics against closed forms of von Mises' and wrapped exponential laws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from pushforward import questions
from pushforward.circular import circular_distances, circular_skewness, circular_variance
from pushforward.solvers import Grid
from pushforward.solvers.interferograms import Interferograms

MEMBERS, SIDE = 300, 48


def labelled(angles: np.ndarray) -> xr.DataArray:
    return xr.DataArray(angles, dims=("member", "y", "x"))


def split(angles: xr.DataArray, length: Any = 1.0) -> xr.Dataset:
    return xr.Dataset({"cosine": length * np.cos(angles), "sine": length * np.sin(angles)})


def von_mises(kappa: float, members: int = MEMBERS, seed: int = 0) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    return labelled(rng.vonmises(0.7, kappa, (members, SIDE, SIDE)))


def deviates(found: xr.DataArray, truth: float) -> float:
    """How many standard errors the mean over the members is off."""
    return abs(float(found.mean()) - truth) / (float(found.std()) / math.sqrt(found.size))


@pytest.mark.parametrize("kappa", [0.5, 2.0, 8.0])
def test_variance_and_skewness_of_von_mises(kappa: float) -> None:
    angles = von_mises(kappa)
    variance = 1 - special.iv(1, kappa) / special.iv(0, kappa)
    # R_1 of n angles is larger by (1 - R_1^2) / (2 n R_1) and less
    assert deviates(circular_variance(angles), variance) < 4.5
    assert deviates(circular_variance(angles), 1.02 * variance) > 10  # negative control
    assert deviates(circular_skewness(angles), 0.0) < 4
    assert deviates(circular_skewness(angles + 0.1 * angles**2), 0.0) > 10  # lopsided


@pytest.mark.parametrize("rate", [0.8, 3.0])
def test_skewness_of_a_wrapped_exponential_law(rate: float) -> None:
    """R_p = (1 + p^2 / rate^2)^(-1/2), T_p = atan(p / rate)."""
    rng = np.random.default_rng(1)
    angles = labelled(rng.exponential(1 / rate, (MEMBERS, SIDE, SIDE)))
    r1, r2 = ((1 + (p / rate) ** 2) ** -0.5 for p in (1, 2))
    truth = r2 * math.sin(math.atan(2 / rate) - 2 * math.atan(1 / rate)) / (1 - r1) ** 1.5
    assert truth < -0.1  # the tail lies at larger angles
    assert deviates(circular_skewness(angles), truth) < 4.5
    assert deviates(circular_skewness(-angles), -truth) < 4.5
    assert deviates(circular_skewness(angles), -truth) > 10
    assert deviates(circular_variance(angles), 1 - r1) < 4.5


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(-10, 10), st.integers(0, 2**31))
def test_turning_all_angles_changes_nothing(turn: float, seed: int) -> None:
    angles = labelled(np.random.default_rng(seed).vonmises(0, 1.5, (3, 6, 5)))
    for ask in (circular_variance, circular_skewness):
        np.testing.assert_allclose(ask(angles + turn), ask(angles), atol=1e-9)
        assert (ask(angles * 1.5) != ask(angles)).all()
    assert ((circular_variance(angles) >= 0) & (circular_variance(angles) <= 1)).all()


def test_forms_of_a_phase_are_the_same() -> None:
    angles = von_mises(1.0, 12)
    length = np.random.default_rng(3).uniform(0.2, 3.0, angles.shape)
    for ask in (circular_variance, circular_skewness):
        expected = ask(angles)
        assert expected.dims == ("member",)
        turned: Any = np.exp(1j * angles) * length
        for same in (split(angles), split(angles, length), turned):
            np.testing.assert_allclose(ask(same), expected, atol=1e-12)
        single = split(angles).astype("float32")
        np.testing.assert_allclose(ask(single), expected, atol=1e-5)
        renamed = split(angles).rename(cosine="re", sine="im")
        np.testing.assert_allclose(ask(renamed, parts=("re", "im")), expected, atol=1e-12)
        rows = ask(angles.expand_dims(time=2), over=["x"])
        assert dict(rows.sizes) == {"time": 2, "member": 12, "y": SIDE}
        lazy = ask(split(angles).chunk(member=5, y=7))
        assert lazy.chunks
        np.testing.assert_allclose(lazy.compute(), expected, atol=1e-12)
        xr.testing.assert_identical(getattr(angles.pushforward, ask.__name__)(), expected)
        assert getattr(questions, ask.__name__) is ask
    plain = split(angles, length)
    mean = np.abs((plain.cosine + 1j * plain.sine).mean(("y", "x")))
    assert np.abs(1 - mean - circular_variance(angles)).min() > 0.01  # lengths do matter


def test_one_angle_has_no_skewness_and_no_angle_no_statistic() -> None:
    still = labelled(np.full((2, 4, 4), 0.3))
    np.testing.assert_allclose(circular_variance(still), 0, atol=1e-15)
    assert np.isnan(circular_skewness(still)).all()
    hole = split(von_mises(1.0, 3))
    hole.cosine[1, 0, 0] = hole.sine[1, 0, 0] = 0.0
    for ask in (circular_variance, circular_skewness):
        assert np.isnan(ask(hole).values).tolist() == [False, True, False]
    opposite = labelled(np.array([[[0.0, math.pi]]]))
    np.testing.assert_allclose(circular_variance(opposite), 1)
    assert np.isfinite(circular_skewness(opposite)).all()


def test_distances_are_those_of_the_statistics() -> None:
    a, b = von_mises(2.0, 80, 1), von_mises(2.5, 80, 2)
    found = circular_distances(a, b, bootstrap=100)
    for ask in (circular_variance, circular_skewness):
        x, y = np.sort(ask(a)), np.sort(ask(b))
        one = found.sel(statistic=ask.__name__)
        assert float(one.value) == pytest.approx(np.abs(x - y).mean())
    assert float(found.value[2]) == pytest.approx(float(found.value[:2].sum()))
    assert (found.error > 0).all()
    xr.testing.assert_allclose(found, circular_distances(split(a), split(b), bootstrap=100))
    assert np.isnan(circular_distances(a, b, bootstrap=0).error).all()


def test_error_of_a_distance_is_what_repetitions_show() -> None:
    """Far apart the distance is a difference of means, and its error the known one."""
    trials = 150
    rng = np.random.default_rng(4)
    pairs = [[labelled(rng.vonmises(0, k, (60, 9, 9))) for k in (2, 3)] for _ in range(trials)]
    found = [circular_distances(a, b, bootstrap=40).isel(statistic=0) for a, b in pairs]
    spread = float(np.std([one.value for one in found], ddof=1))
    told = float(np.mean([one.error for one in found]))
    tolerance = 4 / math.sqrt(2 * trials)
    assert told == pytest.approx(spread, rel=tolerance)
    assert told / math.sqrt(2) < spread * (1 - tolerance)  # of one side alone it would be that


def test_floor_is_the_distance_between_two_of_the_solvers() -> None:
    grid = Grid((16, 16), (12e3, 12e3), "neumann")
    angles = labelled(Interferograms().phase(range(400), grid, seed=1).numpy())
    a, b, pool = angles[:60], angles[60:140], angles[140:]
    found = circular_distances(a, b, pool=pool, splits=100, bootstrap=2)
    assert (found.value < found.floor_high * 1.5).all()
    assert (found.floor < found.floor_high).all()
    wrong = circular_distances(2 * a, b, pool=pool, splits=100, bootstrap=2)
    assert float(wrong.value[0]) > float(wrong.floor_high[0])


def test_what_cannot_be_asked_is_refused() -> None:
    angles = von_mises(1.0, 4)
    with pytest.raises(ValueError, match="expected the variables cosine and sine, got u"):
        circular_variance(angles.to_dataset(name="u"))
    with pytest.raises(ValueError, match=r"pool of at least 4 \+ 4 members"):
        circular_distances(angles, angles, pool=angles)
    with pytest.raises(
        ValueError, match=r"expected fields of finite angles .* in b, got 1 others"
    ):
        circular_distances(angles, angles.where(angles.x + angles.member > 0))
    with pytest.raises(ValueError, match=r"in a, got \('time', 'member'\)"):
        circular_distances(angles.expand_dims(time=2), angles)
    circular_distances(angles.expand_dims(time=1), angles[:1], bootstrap=2)
