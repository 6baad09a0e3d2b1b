"""Step control: landings, the dead band, rejections, hopeless cases, empty channels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.solvers.controller import Controller

TOLERANCE = 1e-4


def clock(times: tuple[float, ...], longest: float = math.inf, scale: float = 1.0) -> Controller:
    return Controller(times, longest, TOLERANCE, order=4, scale=[scale], name=7)


@given(
    gaps=st.lists(st.floats(1e-3, 10.0), min_size=1, max_size=5),
    longest=st.floats(0.05, 20.0),
    size=st.floats(0.01, 100.0),
    start=st.booleans(),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_every_moment_is_met_exactly_and_no_step_is_too_long(
    gaps: list[float], longest: float, size: float, start: bool
) -> None:
    """With a local error of (size h)^4 tolerance, as a smooth problem has it."""
    times = tuple(sum(gaps[: i + 1]) for i in range(len(gaps)))
    times = (0.0, *times) if start else times
    control, met = clock(times, longest), []
    while not control.done:
        before = control.time
        control.propose()
        assert control.step <= longest * (1 + 1e-8)
        if control.judge([TOLERANCE * (size * control.step) ** 4], [1.0]):
            assert control.time == pytest.approx(before + control.step)
            assert size * control.step <= 1
            met += [control.time] if control.landed else []
        else:
            assert control.time == before
    assert met == [time for time in times if time > 0]
    assert control.steps >= sum(size * gap for gap in gaps)


def test_step_settles_where_the_error_is_a_little_below_the_tolerance() -> None:
    control, lengths = clock((100.0,)), []
    while not control.done:
        control.propose()
        if control.judge([TOLERANCE * control.step**4], [1.0]):
            lengths.append(control.step)
    assert all(0.7 < length <= 1 for length in lengths[:-1])
    assert len(set(lengths)) < 10  # so that tables last


def test_small_changes_leave_the_wish_alone_and_large_ones_do_not() -> None:
    for wanted, expected in ((1.1, 1.0), (1.3, 1.3), (9.0, 5.0), (0.95, 0.95)):
        control = clock((1000.0,), longest=1.0)
        control.propose()
        control.longest = math.inf
        error = TOLERANCE * (0.9 / wanted) ** 4
        assert control.judge([error], [1.0])
        assert control.wish == pytest.approx(expected)


def test_rejection_keeps_time_and_scale_and_shortens() -> None:
    for error, expected in ((16 * TOLERANCE, 0.45), (1.0001 * TOLERANCE, 0.9), (1e9, 0.2)):
        control = clock((1000.0,), longest=1.0)
        control.propose()
        assert not control.judge([error], [1.0])
        assert (control.time, control.steps, control.rejected) == (0.0, 0, 1)
        assert control.wish == pytest.approx(expected, rel=1e-3)


def test_equal_steps_keep_their_tables() -> None:
    control = clock((1.0, 2.0, 2.5), longest=0.1)
    changed = []
    while not control.done:
        changed.append(control.propose())
        control.judge([TOLERANCE * 0.9**4], [1.0])
    assert changed == [True] + [False] * 24


def test_error_is_measured_by_the_size_now_or_a_tenth_of_the_largest() -> None:
    control = clock((10.0,), longest=1.0)
    control.propose()
    assert control.judge([50 * TOLERANCE], [100.0])
    for error, accepted in ((9, True), (9, True), (11, False)):  # a tenth of 100, however often
        control.propose()
        assert control.judge([error * TOLERANCE], [0.5]) is accepted
    fresh = clock((10.0,), longest=1.0)
    fresh.propose()
    assert not fresh.judge([9 * TOLERANCE], [0.5])


def test_empty_channel_is_exact_until_something_appears_in_it() -> None:
    control = Controller((10.0,), 1.0, TOLERANCE, order=4, scale=[1.0, 0.0])
    control.propose()
    assert control.judge([0.0, 0.0], [1.0, 0.0])
    control.propose()
    assert not control.judge([0.0, 1e-9], [1.0, 0.0])  # an error of something that is nothing
    control.propose()
    assert control.judge([0.0, 1e-9], [1.0, 1e-3])


def insist(control: Controller, error: float) -> None:
    """The same error, however short the step."""
    while True:
        control.propose()
        control.judge([error], [1.0])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_member_that_blows_up_is_named_with_its_time(bad: float) -> None:
    control = clock((10.0,), longest=1.0)
    control.propose()
    control.judge([0.0], [1.0])
    message = r"^member 7 became non-finite at t=1; check"
    with pytest.raises(FloatingPointError, match=message):
        insist(control, bad)
    assert control.rejected == pytest.approx(math.log(1e9) / math.log(5), abs=1)


def test_error_that_never_falls_is_told() -> None:
    message = r"^member 7 needs ever shorter steps at t=0; raise"
    with pytest.raises(FloatingPointError, match=message):
        insist(clock((10.0,)), 1.0)


def test_finite_error_of_an_infinite_state_is_no_step() -> None:
    control = clock((10.0,))
    control.propose()
    assert not control.judge([1.0], [math.inf])
