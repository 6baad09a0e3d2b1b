"""Time stepping: exact linear part, orders, tolerances, times, members by themselves, refusals."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from pushforward.solvers import Equation, GaussianField, GrayScott, Grid, NavierStokes, integrate
from pushforward.solvers.allen_cahn import AllenCahn
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.integrators import Scheme, evolve
from pushforward.solvers.kdv import KortewegDeVries

pytestmark = pytest.mark.filterwarnings("ignore::pushforward.solvers.tail.ResolutionWarning")
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
ORDERS = {"ifrk32": 3, "ifrk43": 4, "ifrk54": 5, "etdrk4": 4, "etdrk2": 2}
EMBEDDED: tuple[Scheme, ...] = ("ifrk32", "ifrk43", "ifrk54", "etdrk4")


@given(
    step=st.floats(0.01, 50.0),
    time=st.floats(0.5, 30.0),
    scheme=st.sampled_from(SCHEMES),
    boundary=st.sampled_from(["periodic", "neumann"]),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_linear_part_is_exact_for_any_step(
    step: float, time: float, scheme: Scheme, boundary: Any
) -> None:
    """Without u, and without feed and kill, v does nothing but diffuse."""
    grid = Grid((12, 8), (2.0, 1.0), boundary)
    equation = GrayScott(feed_rate=0.0, kill_rate=0.0, diffusivity_v=3e-3)
    v = GaussianField.matern(2.0, 0.2, cutoff=2).sample([0], grid)
    start = torch.stack([torch.zeros_like(v), v], 1)
    step = max(step, time / 50)
    end = integrate(
        equation, grid, start, times=(time,), step=step, scheme=scheme, kernel="torch"
    )[:, 0]
    exact = grid.ifft(grid.fft(v) * torch.exp(time * 3e-3 * grid.laplacian()))
    torch.testing.assert_close(end[:, 1], exact, rtol=0, atol=1e-12 * float(v.abs().max()))
    assert end[:, 0].abs().max() == 0


def flow() -> tuple[Equation, Grid, torch.Tensor, dict[str, Any], float]:
    grid = Grid((24, 24))
    field = GaussianField.matern(4.0, 0.5, deviation=2.0, cutoff=7, mean=False)
    start, force = field.sample([0, 1], grid)[:, None], field.sample([2, 3], grid)
    equation = NavierStokes(
        viscosity=0.02, drag=0.1, drift=(0.5, -1.0), waves=((2, 0, -1.0, 0.0),)
    )
    return equation, grid, start, {"forcing": force}, 1.0


def reaction() -> tuple[Equation, Grid, torch.Tensor, dict[str, Any], float]:
    grid = Grid((24, 24), (0.6, 0.6))
    equation = GrayScott(feed_rate=0.04, kill_rate=0.06)
    z = GaussianField.squared_exponential(0.1, cutoff=7).sample([0, 1], grid)
    return equation, grid, equation.initial_state(torch.stack([z, z], 1), grid), {}, 40.0


def wave() -> tuple[Equation, Grid, torch.Tensor, dict[str, Any], float]:
    grid = Grid((48,))
    start = torch.stack([torch.sin(grid.coordinates()[0]), torch.cos(2 * grid.coordinates()[0])])
    return KortewegDeVries(nonlinearity=1.0, dispersion=0.05), grid, start[:, None], {}, 1.0


@pytest.mark.parametrize("case", [flow, reaction, wave])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_error_falls_with_the_order_of_the_scheme(case: Any, scheme: Scheme) -> None:
    equation, grid, start, more, time = case()
    start = grid.ifft(grid.fft(start) * grid.resolved(2 / 3))

    def solve(count: int, scheme: Scheme = scheme) -> torch.Tensor:
        more["kernel"] = "torch"
        return integrate(
            equation, grid, start, times=(time,), step=time / count, scheme=scheme, **more
        )

    order = ORDERS[scheme]
    first = {2: 40, 3: 20, 4: 20, 5: 10}[order] * (3 if case is wave else 1)
    counts = [first, 2 * first, 4 * first]
    exact = solve(4 * counts[-1], "ifrk54")
    errors = [float((solve(count) - exact).abs().max()) for count in counts]
    overall = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert order - 0.3 < overall < order + 0.8, errors
    assert float((exact[:, -1] - start).abs().max()) > 0.1 * float(start.abs().max())  # it moved
    assert errors[0] > 1e-9  # and the errors are not round-off


def published() -> tuple[NavierStokes, Grid, torch.Tensor]:
    """Flows like the Fourier neural operator's, without forcing, on a small grid."""
    grid = Grid((32, 32), (1.0, 1.0))
    law = GaussianField.matern(2.5, 1 / 7, amplitude=7**1.5, mean=False)
    return NavierStokes(viscosity=1e-3), grid, law.sample([0, 1], grid)[:, None]


@pytest.mark.parametrize("scheme", EMBEDDED)
def test_error_is_that_of_the_tolerance(scheme: Scheme) -> None:
    """Under ten times it, and not far below, over five decades, against scipy's DOP853."""
    equation, grid, start = published()
    nonlinear, symbol = equation.nonlinear(grid, torch.float64, "cpu"), equation.linear(grid)
    keep = grid.resolved(2 / 3)

    def rate(_: float, y: np.ndarray) -> np.ndarray:
        u_hat = torch.from_numpy(y).view(torch.complex128).view(1, 1, *grid.spectral_shape)
        return (nonlinear(u_hat, None) + symbol * u_hat).flatten().view(torch.float64).numpy()

    ends = []
    for state in start:
        y = (grid.fft(state) * keep).flatten().view(torch.float64).numpy()
        end = solve_ivp(rate, (0, 2), y, method="DOP853", rtol=1e-11, atol=1e-14).y[:, -1].copy()
        ends.append(grid.ifft(torch.from_numpy(end).view(torch.complex128).view(symbol.shape)))
    exact = torch.stack(ends)
    for tolerance in (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
        found = integrate(
            equation,
            grid,
            start,
            times=(0.7, 2.0),
            tolerance=tolerance,
            scheme=scheme,
            kernel="torch",
        )[:, -1]
        error = (found - exact).flatten(1).norm(dim=1) / exact.flatten(1).norm(dim=1)
        assert (error < 10 * tolerance).all(), (tolerance, error)
        if tolerance < 1e-4:  # few long steps may do better
            assert (error > tolerance / 100).all(), (tolerance, error)


def test_tolerance_saves_steps_where_nothing_happens() -> None:
    """A flow that decays: steps grow with time, and all equal ones would have to be short."""
    grid = Grid((24, 24))
    start = GaussianField.matern(4.0, 0.5, deviation=4.0, mean=False).sample([0], grid)[:, None]
    early, late = (
        evolve(NavierStokes(viscosity=0.1), grid, start, times=(t,), tolerance=1e-5).steps.item()
        for t in (1.0, 50.0)
    )
    assert late < 4 * early


CASES = [
    (NavierStokes(viscosity=0.01), (32, 32), torch.float32),
    (NavierStokes(viscosity=0.01, drift=(1.0, 0.5)), (10, 14), torch.float64),
    (AllenCahn(diffusivity=0.01), (32, 32), torch.float64),
    (KortewegDeVries(nonlinearity=1.0, dispersion=0.01), (50,), torch.float32),
]


@pytest.mark.parametrize("how", [{"tolerance": 1e-4}, {"step": 0.02}], ids=["tolerance", "step"])
@pytest.mark.parametrize("scheme", ["ifrk54", "etdrk4"])
@pytest.mark.parametrize(("equation", "shape", "dtype"), CASES)
def test_member_is_the_same_bits_in_any_company(
    equation: Equation, shape: tuple[int, ...], dtype: torch.dtype, scheme: Scheme, how: Any
) -> None:
    grid = Grid(shape)
    field = GaussianField.squared_exponential(0.7, deviation=1.0, mean=False, cutoff=4)
    size = torch.linspace(0.1, 1.5, 7).view(-1, 1, *[1] * grid.ndim)  # steps of all lengths
    start = (size * equation.initial_state(field.sample(range(7), grid), grid)).to(dtype)

    def solve(rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        found = evolve(
            equation,
            grid,
            start[rows],
            times=(0.0, 0.3, 1.0),
            scheme=scheme,
            kernel="torch",
            **how,
        )
        return found.fields, found.steps

    fields, steps = solve(list(range(7)))
    for rows in ([0], [6], [2, 4], [5, 3, 1], [6, 5, 4, 3, 2, 1, 0], [2, 2, 0]):
        some, counts = solve(rows)
        assert torch.equal(some, fields[rows]), rows
        assert torch.equal(counts, steps[rows])
    assert len(set(steps.tolist())) > 2 or "step" in how


def test_forcing_goes_with_its_member_when_others_have_arrived() -> None:
    grid = Grid((16, 16))
    field = GaussianField.matern(4.0, 0.5, deviation=1.0, mean=False)
    force = field.sample(range(9), grid) * torch.linspace(0.01, 30, 9).view(-1, 1, 1)
    rest = torch.zeros(9, 1, 16, 16, dtype=torch.float64)
    together = evolve(
        NavierStokes(viscosity=0.05),
        grid,
        rest,
        times=(1.0,),
        tolerance=1e-4,
        forcing=force,
        kernel="torch",
    )
    assert together.steps[0] < together.steps[-1] / 2
    for m in (0, 4, 8):
        alone = integrate(
            NavierStokes(viscosity=0.05),
            grid,
            rest[:1],
            times=(1.0,),
            tolerance=1e-4,
            forcing=force[m : m + 1],
            kernel="torch",
        )
        assert torch.equal(alone[0], together.fields[m])


def test_steps_meet_the_times() -> None:
    grid, equation = Grid((8, 8)), GrayScott()
    start = equation.initial_state(None, grid) * 0.7
    ways: list[dict[str, Any]] = [{"step": 0.4}, {"tolerance": 1e-10}]
    for how in [*ways, {**ways[0], **ways[1]}]:
        often = evolve(equation, grid, start, times=(0.0, 1.0, 2.5), **how)
        assert often.fields.shape == (1, 3, 2, 8, 8)
        torch.testing.assert_close(often.fields[:, 0], start)
        once = integrate(equation, grid, start, times=(2.5,), **how)
        torch.testing.assert_close(once[:, -1], often.fields[:, -1], rtol=0, atol=1e-9)
        assert often.steps.item() >= (7 if "step" in how else 1)
        assert often.tail.shape == (1, 3)


def test_time_zero_alone_is_the_initial_state() -> None:
    grid = Grid((8, 8))
    start = GrayScott().initial_state(None, grid)
    ways: list[dict[str, Any]] = [{"step": 1.0}, {"tolerance": 1e-3}]
    for how in ways:
        found = evolve(GrayScott(), grid, start, times=(0.0,), kernel="torch", **how)
        torch.testing.assert_close(found.fields[:, 0], start)
        assert found.steps.tolist() == [0]


@pytest.mark.parametrize("scheme", ["ifrk32", "ifrk54", "etdrk4"])
@pytest.mark.parametrize("times", [(1e-6, 2e-6), (1e-6, 100.0), (0.3, 0.3 + 1e-9, 40.0)])
def test_intervals_may_be_very_short_and_very_long(
    times: tuple[float, ...], scheme: Scheme
) -> None:
    """At rest with forcing, the laminar flow w = f (1 - e^(-nu k^2 t)) / (nu k^2)."""
    grid = Grid((16, 16))
    rest = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    f = torch.cos(2 * grid.coordinates()[1]).expand(1, 16, 16)
    found = evolve(
        NavierStokes(viscosity=0.1),
        grid,
        rest,
        times=times,
        tolerance=1e-6,
        scheme=scheme,
        forcing=f,
        kernel="torch",
    )
    for i, time in enumerate(times):
        exact = f * -math.expm1(-0.4 * time) / 0.4
        assert (found.fields[0, i] - exact).norm() < 2e-5 * exact.norm()
    assert found.steps.item() < {"ifrk32": 3000, "ifrk54": 300, "etdrk4": 30}[scheme]


def test_scheme_whose_estimate_is_blind_to_steady_forcing_is_refused_there() -> None:
    """With N = f alone k_4 = k_5: no error is seen, and steps grow without bound."""
    grid = Grid((16, 16))
    rest = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    f = torch.cos(2 * grid.coordinates()[1]).expand(1, 16, 16)
    equation = NavierStokes(viscosity=0.1)
    with pytest.raises(ValueError, match="'ifrk43'; choose ifrk54"):
        integrate(equation, grid, rest, times=(9.0,), tolerance=1e-3, scheme="ifrk43", forcing=f)
    equal = integrate(equation, grid, rest, times=(9.0,), step=0.5, scheme="ifrk43", forcing=f)
    exact = f * -math.expm1(-3.6) / 0.4
    assert (equal[0, 0] - exact).norm() < 1e-5 * exact.norm()
    coarse = integrate(equation, grid, rest, times=(9.0,), step=9.0, scheme="ifrk43", forcing=f)
    assert (coarse[0, 0] - exact).norm() > 0.03 * exact.norm()  # what it would not see
    integrate(equation, grid, f[:, None], times=(9.0,), tolerance=1e-3, scheme="ifrk43")


def test_channel_of_zeros_stays_and_does_no_harm() -> None:
    grid, equation = Grid((12, 12)), GrayScott(feed_rate=0.02)
    start = 0.5 * equation.initial_state(None, grid)  # no v
    found = evolve(equation, grid, start, times=(10.0,), tolerance=1e-6, kernel="torch").fields
    assert found[0, 0, 1].abs().max() == 0
    assert found[0, 0, 0, 0, 0].item() == pytest.approx(1 - 0.5 * math.exp(-0.2), rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kernel", ["torch", "auto"])
def test_blow_up_names_the_member_and_the_time(dtype: torch.dtype, kernel: str) -> None:
    grid = Grid((16, 16))
    y, x = grid.coordinates()
    w = (torch.cos(y)[:, None] + torch.sin(2 * x))[None, None].to(dtype)
    start = torch.cat([w, 0 * w, 1e30 * w if dtype == torch.float32 else 1e200 * w])
    integrate(NavierStokes(), grid, start[:2], times=(0.3,), step=0.1, kernel=kernel)
    for members, name in ((None, 2), ([4, 7, 9], 9)):
        message = rf"^member {name} became non-finite at t=0(\.1)?; halve step \(now 0\.125\)$"
        with pytest.raises(FloatingPointError, match=message):
            integrate(
                NavierStokes(),
                grid,
                start,
                times=(0.3,),
                step=0.125,
                members=members,
                scheme="ifrk43",
                kernel=kernel,
            )
        with pytest.raises(FloatingPointError, match=f"^member {name} became non-finite at t=0; "):
            integrate(
                NavierStokes(),
                grid,
                start,
                times=(0.3,),
                tolerance=1e-3,
                members=members,
                kernel=kernel,
            )


def test_blow_up_later_is_dated() -> None:
    """Steps that are too long for a wave that grows: the date is that of the first bad step."""
    grid = Grid((8,))
    start = 1e3 * torch.cos(grid.coordinates()[0])[None, None]
    with pytest.raises(FloatingPointError) as raised:
        integrate(Burgers(viscosity=0.0), grid, start, times=(100.0,), step=0.5)
    time = float(str(raised.value).split("t=")[1].split(";")[0])
    integrate(Burgers(viscosity=0.0), grid, start, times=(time - 0.5,), step=0.5)


NAN = torch.zeros(3, 1, 8, 8)
NAN[1, 0, 3, 3] = math.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initial": torch.zeros(2, 8, 8)}, "add the missing axis"),
        ({"initial": torch.zeros(2, 2, 8, 8)}, "shape \\(member, channel"),
        ({"initial": torch.zeros(0, 1, 8, 8)}, "at least one member"),
        (
            {"initial": torch.zeros(2, 1, 8, 8).half()},
            "float32 or torch.float64, got torch.float16",
        ),
        ({"initial": NAN, "members": [4, 5, 6]}, "finite initial state, got NaN .* in member 5;"),
        ({"forcing": torch.zeros(1, 8, 8)}, "draw it on the same grid"),
        ({"forcing": torch.full((2, 8, 8), math.inf)}, "finite forcing, .* in member 0;"),
        ({"times": ()}, "increasing times"),
        ({"times": (1.0, 1.0)}, "increasing times"),
        ({"times": (-1.0, 1.0)}, "increasing times"),
        ({"times": (1.0, math.inf)}, "increasing times"),
        ({"step": 0.0}, "positive step"),
        ({"step": -1.0}, "positive step"),
        ({"step": math.nan}, "positive step"),
        ({"step": None}, "a step or a tolerance, got neither"),
        ({"tolerance": 0.0}, "a tolerance between 0 and 1"),
        ({"tolerance": 1e-6}, "at least 2e-06 in float32, got 1e-06; compute in float64"),
        ({"tolerance": 1e-3, "scheme": "etdrk2"}, "a scheme with an error estimate"),
        (
            {"grid": Grid((8, 8), boundary="neumann")},
            "boundary periodic for NavierStokes, got neu",
        ),
        ({"kernel": "abacus"}, "abacus"),
        (
            {"equation": GrayScott(), "initial": torch.zeros(2, 1, 8, 8)},
            "shape \\(member, channel",
        ),
        (
            {
                "equation": GrayScott(),
                "initial": torch.zeros(2, 2, 8, 8),
                "forcing": torch.zeros(2, 8, 8),
            },
            "no forcing for GrayScott",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "equation": NavierStokes(),
        "grid": Grid((8, 8)),
        "initial": torch.zeros(2, 1, 8, 8),
        "times": (1.0,),
        "step": 0.5,
    }
    with pytest.raises(ValueError, match=message):
        integrate(**{**arguments, **change})


def test_unknown_scheme_is_refused() -> None:
    scheme: Any = "euler"
    start = torch.zeros(1, 1, 8, 8)
    with pytest.raises(
        (ValueError, TypeError), match="etdrk2"
    ):  # by the type checker, if it is on
        integrate(NavierStokes(), Grid((8, 8)), start, times=(1.0,), step=0.1, scheme=scheme)
