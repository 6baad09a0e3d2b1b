"""Paths: the clock's ends, its formulas, and the hierarchy of scales."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.generative import Path

Schedule = Literal["linear", "cosine", "vp"]
SCHEDULES: list[Schedule] = ["linear", "cosine", "vp"]
LOG_VARIANCE = torch.tensor([[0.0, -1.0, -7.0], [-0.5, -2.0, -3.0]], dtype=torch.float64)
quick = settings(max_examples=25, deadline=None, derandomize=True)


@given(
    schedule=st.sampled_from(SCHEDULES),
    hierarchy=st.floats(0, 1.5),
    lowest=st.floats(-9, -1),
    highest=st.floats(0, 9),
)
@quick
def test_every_coefficient_goes_from_clean_to_noise(
    schedule: Schedule, hierarchy: float, lowest: float, highest: float
) -> None:
    path = Path(hierarchy, schedule, lowest, highest)
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    levels = path(t, LOG_VARIANCE)
    assert levels.shape == (101, 2, 3)
    assert (levels.diff(dim=0) < 0).all()
    assert levels[0].min().item() == pytest.approx(highest, abs=1e-9)
    assert levels[-1].max().item() == pytest.approx(lowest, abs=1e-9)


@given(schedule=st.sampled_from(SCHEDULES), t=st.floats(0, 1), hierarchy=st.floats(0, 1.5))
@quick
def test_hierarchy_shifts_each_coefficient_by_its_share_of_the_spectrum(
    schedule: Schedule, t: float, hierarchy: float
) -> None:
    levels = Path(hierarchy, schedule)(torch.tensor([t]).double(), LOG_VARIANCE)[0]
    torch.testing.assert_close(levels - levels[0, 0], hierarchy * LOG_VARIANCE, atol=1e-9, rtol=0)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_hierarchy_of_zero_and_one(schedule: Schedule) -> None:
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    same = Path(0.0, schedule)(t, LOG_VARIANCE)
    assert (same == same[:, :1, :1]).all()  # GUD with a = 0: whitened coefficients alike
    # a = 1, standard diffusion: one noise level in data units, c_k / snr_k the same for all k
    noise = LOG_VARIANCE - Path(1.0, schedule)(t, LOG_VARIANCE)
    torch.testing.assert_close(noise, noise[:, :1, :1].expand_as(noise), rtol=0, atol=1e-9)


def stretched(path: Path, snr: torch.Tensor, s: torch.Tensor) -> None:
    """The clock runs through the reference curve snr(s), s linear in t between its own ends."""
    inside = (snr.log() < path.highest) & (snr.log() > path.lowest)
    assert inside.sum() > 100
    order = snr.log().flip(0)
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    clock = path.clock(t)
    at = torch.searchsorted(order, clock[1:-1].contiguous()).clamp(1, len(s) - 1)
    times = s.flip(0)[at]
    steps = times.diff()
    assert (steps - steps.mean()).abs().max() < 4 * float((s[1] - s[0]).abs())


def test_variance_preserving_clock_is_the_integral_of_beta() -> None:
    s = torch.linspace(0, 1, 200_001, dtype=torch.float64)[1:]
    beta = 0.1 + (20 - 0.1) * s
    integral = torch.cumulative_trapezoid(torch.cat([torch.tensor([0.1]).double(), beta]), dx=5e-6)
    stretched(Path(schedule="vp", lowest=-9, highest=6), 1 / torch.expm1(integral), s)


def test_cosine_clock_is_its_formula() -> None:
    s = torch.linspace(0, 1, 200_001, dtype=torch.float64)[1:-1]
    alpha_bar = torch.cos(math.pi / 2 * s) ** 2  # Nichol and Dhariwal, without the offset
    stretched(Path(schedule="cosine", lowest=-8, highest=8), alpha_bar / (1 - alpha_bar), s)


def test_linear_clock_is_linear() -> None:
    clock = Path(lowest=-3, highest=5).clock(torch.tensor([0.0, 0.25, 1.0]), span=4.0)
    torch.testing.assert_close(clock, torch.tensor([9.0, 6.0, -3.0]))


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("span", [0.0, 20.0])
def test_clock_is_finite_in_single_precision(schedule: Schedule, span: float) -> None:
    single = Path(schedule=schedule).clock(torch.linspace(0, 1, 64), span)
    double = Path(schedule=schedule).clock(torch.linspace(0, 1, 64).double(), span)
    assert torch.isfinite(single).all()
    torch.testing.assert_close(single.double(), double, rtol=0, atol=1e-3)


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="swap or change them"):
        Path(lowest=6.0, highest=-6.0)
    with pytest.raises(ValueError, match="hierarchy -1"):
        Path(hierarchy=-1.0)
