"""The compiled kernels against the scheme written out, the torch path, and each other."""

from __future__ import annotations

import itertools
import math
import signal
import tomllib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pushforward.solvers import GaussianField, GrayScott, Grid, NavierStokes, Use, kernels
from pushforward.solvers.burgers import Burgers
from pushforward.solvers.equation import Equation
from pushforward.solvers.fitzhugh_nagumo import FitzHughNagumo, FitzHughNagumoCells
from pushforward.solvers.integrators import evolve
from pushforward.solvers.kernels import libraries
from pushforward.solvers.solution import Solution
from pushforward.solvers.tableaux import TABLEAUX

ISAS = list(libraries.built())
PAIR = TABLEAUX["ifrk54"]
FLOW = NavierStokes(viscosity=1e-3, drag=0.1, waves=((1, 2, 0.3, 0.4), (0, 1, 0.2, 0.1)))
SINGLE, DOUBLE = 2e-6, 5e-14  # round-off of a few steps, relative

pytestmark = [
    pytest.mark.skipif(not ISAS, reason="no kernel was compiled here"),
    pytest.mark.filterwarnings("ignore::pushforward.solvers.tail.ResolutionWarning"),
]
each_isa = pytest.mark.parametrize("isa", ISAS)
CASES: list[tuple[Equation, Grid]] = [
    (FLOW, Grid((64, 64), (1.0, 1.0))),
    (FLOW, Grid((48, 128), (1.0, 2.0))),
    (FLOW, Grid((96, 16), (2.0, 1.0))),
    (FLOW, Grid((24, 256), (1.0, 1.0))),
    (NavierStokes(), Grid((192, 32))),
    (GrayScott(), Grid((48, 64), (2.0, 2.0))),
    (GrayScott(), Grid((16, 24), (1.0, 2.0), "neumann")),
    (FitzHughNagumo(), Grid((64, 96), (2.0, 2.0))),
    (FitzHughNagumo(), Grid((32, 48), (2.0, 2.0), "neumann")),
    (FitzHughNagumoCells(), Grid((64, 16), (2.0, 1.0), "neumann")),
]


def start(equation: Equation, grid: Grid, members: int = 3) -> tuple[Tensor, Tensor | None]:
    """Smooth random coefficients, the later members the larger, and forcings."""
    field = GaussianField.matern(4.0, min(grid.extent) / 8, deviation=1.0)
    keep = grid.resolved(equation.dealias)
    draws = [
        field.sample(range(members), grid, seed, Use.INITIAL).double()
        for seed in range(len(equation.channels))
    ]
    size = torch.linspace(0.5, 3.0, members, dtype=torch.float64)[:, None, None, None]
    u_hat = grid.fft(torch.stack(draws, 1) * size) * keep
    if not equation.forced:
        return u_hat, None
    u_hat[..., 0, 0] = 0
    f = field.sample(range(members), grid, 0, Use.FORCING).double()
    return u_hat, grid.fft(f) * keep


def written_out(
    equation: Equation, grid: Grid, u: Tensor, f: Tensor | None, h: float, steps: int, scheme: str
) -> Tensor:
    """Lawson's scheme from its definition, in double precision."""
    pair, symbol = TABLEAUX[scheme], equation.linear(grid)
    rate = equation.nonlinear(grid, torch.float64, "cpu")
    for _ in range(steps):
        k: list[Tensor] = []
        stage = u
        for i in range(pair.stages):
            stage = torch.exp(float(pair.c[i]) * h * symbol) * u
            for j in range(i):
                factor = torch.exp(float(pair.c[i] - pair.c[j]) * h * symbol)
                stage = stage + h * float(pair.a[i][j]) * factor * k[j]
            k.append(rate(stage, None if f is None else f[:, None]))
        u = stage
    return u


def distance(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().square().sum().sqrt() / b.abs().square().sum().sqrt()).item()


def single(u: Tensor | None) -> Tensor | None:
    if u is None:
        return None
    return u.to(torch.complex64 if u.is_complex() else torch.float32)


def same(a: kernels.Answers, b: kernels.Answers, rows: list[int]) -> bool:
    """Whether a's members are b's at those rows, to the last bit (NaNs are not equal)."""
    return all(torch.equal(x, y[rows]) for x, y in zip(a, b, strict=True))


@each_isa
@pytest.mark.parametrize(("equation", "grid"), CASES)
def test_steps_are_those_of_the_scheme(isa: str, equation: Equation, grid: Grid) -> None:
    u, f = start(equation, grid)
    h, steps = 0.01, 3
    expected = written_out(equation, grid, u, f, h, steps, "ifrk54")
    args = ((0.0, h * steps), PAIR, h)
    got = kernels.solve(equation, grid, u, f, *args, kernel=isa)
    assert got.status.tolist() == [kernels.FINISHED] * 3
    assert got.steps.tolist() == [steps] * 3
    assert distance(got.frames[:, 1], expected) < DOUBLE
    assert distance(got.frames[:, 0], u) < 1e-15
    one = single(u)
    assert one is not None
    rough = kernels.solve(equation, grid, one, single(f), *args, kernel=isa)
    assert rough.frames.dtype == one.dtype
    assert distance(rough.frames[:, 1].to(u.dtype), expected) < SINGLE


def test_a_slightly_wrong_scheme_is_seen() -> None:
    """Negative control: the nonlinear part matters much more than round-off."""
    equation, grid = CASES[0]
    u, f = start(equation, grid)
    wrong = written_out(equation, grid, u, f, 0.03 * (1 + 1e-4), 1, "ifrk54")
    got = kernels.solve(equation, grid, u, f, (0.03,), PAIR, 0.03)
    assert distance(got.frames[:, 0], wrong) > 1e4 * DOUBLE
    still = torch.exp(0.03 * equation.linear(grid)) * u
    assert distance(got.frames[:, 0], still) > 1e3 * SINGLE


@each_isa
@pytest.mark.parametrize("scheme", ["ifrk32", "ifrk43"])
@pytest.mark.parametrize("case", [0, 5, 8])
def test_other_pairs(isa: str, scheme: str, case: int) -> None:
    equation, grid = CASES[case]
    u, f = start(equation, grid)
    expected = written_out(equation, grid, u, f, 0.02, 2, scheme)
    got = kernels.solve(equation, grid, u, f, (0.04,), TABLEAUX[scheme], 0.02, kernel=isa)
    assert distance(got.frames[:, 0], expected) < DOUBLE


@each_isa
@pytest.mark.parametrize("n", [n for n in range(16, 1025) if n & (n - 1) == 0 or n % 48 == 0])
def test_every_length_of_transform(isa: str, n: int) -> None:
    """One tiny step of every size; what is not 2^n or 3 2^n is refused."""
    for equation, grid in (
        (NavierStokes(), Grid((n, 16), (1.0, 1.0))),
        (FitzHughNagumo(), Grid((n, 16), (1.0, 1.0), "neumann")),
    ):
        served = n // (n & -n) in (1, 3)
        assert kernels.supports(equation, grid, torch.float64, "ifrk54", kernel=isa) == served
        if served:
            u, _ = start(equation, grid, members=1)
            expected = written_out(equation, grid, u, None, 0.01, 1, "ifrk32")
            got = kernels.solve(
                equation, grid, u, None, (0.01,), TABLEAUX["ifrk32"], 0.01, kernel=isa
            )
            assert distance(got.frames[:, 0], expected) < DOUBLE


@each_isa
@pytest.mark.parametrize("case", [2, 8])
@pytest.mark.parametrize("tolerance", [None, 1e-4])
def test_a_member_is_the_same_bits_in_any_company(
    isa: str, case: int, tolerance: float | None
) -> None:
    equation, grid = CASES[case]
    u, f = start(equation, grid, members=40)
    u, f = single(u), single(f)
    assert u is not None
    u = u * (0.3 if tolerance is None else 4)
    u[5, 0, 1, 1] = 1e30  # blows up, and must not be noticed elsewhere

    def solve(rows: list[int]) -> kernels.Answers:
        force = None if f is None else f[rows]
        return kernels.solve(
            equation, grid, u[rows], force, (0.0, 0.1, 0.3), PAIR, 0.02, tolerance, isa
        )

    full = solve(list(range(40)))
    assert full.status.tolist() == [kernels.BLEW_UP if m == 5 else 0 for m in range(40)]
    if tolerance is not None:
        assert len(set(full.steps.tolist())) > 2  # lanes do go their own ways
    torch.manual_seed(0)
    for rows in ([39], [5, 7], list(range(17)), list(range(39, -1, -1)), [7] * 9 + [3]):
        assert same(solve(rows), full, rows)
    rows = torch.randperm(40).tolist()
    assert same(solve(rows), full, rows)
    assert not same(solve([8]), full, [9])  # negative control
    assert len(solve([]).frames) == 0


@each_isa
@pytest.mark.parametrize("case", [1, 5, 8])
def test_the_error_follows_the_tolerance(isa: str, case: int) -> None:
    equation, grid = CASES[case]
    u, f = start(equation, grid)
    times = (0.4, 1.0)

    def solve(tolerance: float) -> kernels.Answers:
        return kernels.solve(
            equation, grid, u, f, times, PAIR, None, tolerance=tolerance, kernel=isa
        )

    reference = solve(1e-11)
    for tolerance in (1e-4, 1e-6, 1e-8):
        got = solve(tolerance)
        error = distance(got.frames, reference.frames)
        assert tolerance / 1e3 < error < 10 * tolerance
        assert (got.steps < reference.steps).all()


@each_isa
@pytest.mark.parametrize("case", [0, 5, 8])
@pytest.mark.parametrize("tolerance", [None, 1e-5])
def test_torch_takes_the_same_steps(isa: str, case: int, tolerance: float | None) -> None:
    equation, grid = CASES[case]
    u_hat, f_hat = start(equation, grid)
    force = None if f_hat is None else grid.ifft(f_hat)

    def run(kernel: str) -> Solution:
        return evolve(
            equation,
            grid,
            grid.ifft(u_hat),
            times=(0.0, 0.05, 0.2),
            step=0.03,
            tolerance=tolerance,
            forcing=force,
            kernel=kernel,
        )

    fast, slow = run(isa), run("torch")
    assert (fast.kernel, slow.kernel) == (isa, "torch")
    assert torch.equal(fast.steps, slow.steps)
    assert torch.equal(fast.rejected, slow.rejected)
    assert distance(fast.fields, slow.fields) < 1e-12


@each_isa
def test_fixed_steps_divide_each_interval(isa: str) -> None:
    equation, grid = CASES[2]
    u, f = start(equation, grid)
    got = kernels.solve(equation, grid, u, f, (0.1, 0.3, 0.35), PAIR, 0.1, kernel=isa)
    assert got.steps.tolist() == [1 + 2 + 1] * 3


@each_isa
def test_failures_are_told_of_with_their_times(isa: str) -> None:
    equation, grid = CASES[0]
    u, f = start(equation, grid)
    u[1] *= 1e4  # far beyond what a step of 0.1 stands
    got = kernels.solve(equation, grid, u, f, (1.0, 2.0), PAIR, 0.1, kernel=isa)
    assert got.status.tolist() == [kernels.FINISHED, kernels.BLEW_UP, kernels.FINISHED]
    assert 0 < got.failed_at[1] <= 2
    count = got.failed_at[1].item() / 0.1
    assert math.isclose(count, round(count), rel_tol=1e-6)  # after a whole step
    assert torch.isfinite(torch.view_as_real(got.frames)).all()
    u[1] = math.nan
    got = kernels.solve(equation, grid, u, f, (1.0,), PAIR, None, 1e-4, kernel=isa)
    assert got.status.tolist() == [kernels.FINISHED, kernels.BLEW_UP, kernels.FINISHED]
    assert got.failed_at[1] == 0
    u, f = start(equation, grid, 1)
    got = kernels.solve(equation, grid, u, f, (1.0,), PAIR, None, 1e-30, kernel=isa)
    assert got.status.tolist() == [kernels.STEP_UNDERFLOW]


@each_isa
def test_a_state_at_rest_takes_few_steps(isa: str) -> None:
    """No error and no size is no error: the wish grows to the interval."""
    grid = CASES[0][1]
    u = torch.zeros(1, 1, *grid.spectral_shape, dtype=torch.complex128)
    got = kernels.solve(NavierStokes(), grid, u, None, (1.0, 9.0), PAIR, None, 1e-6, kernel=isa)
    assert not got.frames.any()
    assert got.steps.item() < 6


def test_what_is_not_known_is_left_to_torch() -> None:
    def known(equation: Equation, grid: Grid, scheme: str = "ifrk54", **other: object) -> bool:
        return kernels.supports(equation, grid, torch.float32, scheme, **other)  # type: ignore

    square = Grid((32, 32))
    assert known(NavierStokes(), square)
    assert not known(NavierStokes(), square, "etdrk4")
    assert not known(NavierStokes(), square, kernel="torch")
    assert not known(NavierStokes(), square, device="meta")
    assert not known(NavierStokes(), square, noise=object())
    assert not known(NavierStokes(drift=(1.0, 0.0)), square)
    assert not known(NavierStokes(), Grid((8, 32)))
    assert not known(NavierStokes(), Grid((32, 40)))
    assert not known(FitzHughNagumoCells(), square)  # nothing may be pruned
    assert not known(Burgers(), Grid((32,)))
    assert not kernels.supports(NavierStokes(), square, torch.float16, "ifrk54")
    with pytest.raises(ValueError, match="ask `supports` first"):
        kernels.solve(NavierStokes(), square, torch.zeros(1), None, (1.0,), PAIR, kernel="torch")


def test_the_choice_of_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(libraries.VARIABLE, raising=False)
    assert kernels.available() == kernels.choose("auto") == ISAS[-1]
    assert kernels.choose("torch") is None
    for isa in ISAS:
        assert kernels.choose(isa) == isa
    with pytest.raises(ValueError, match="expected kernel to be one of auto, torch, baseline"):
        kernels.choose("fortran")
    monkeypatch.setenv(libraries.VARIABLE, "baseline")
    assert kernels.available() == "baseline"
    assert kernels.choose(ISAS[-1]) == ISAS[-1]  # what the caller names goes first
    monkeypatch.setenv(libraries.VARIABLE, "fortran")
    with pytest.raises(ValueError, match="expected PUSHFORWARD_KERNEL to be one of"):
        kernels.available()


def test_without_libraries_torch_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(libraries.VARIABLE, raising=False)
    monkeypatch.setattr(libraries, "built", dict)
    assert kernels.available() is None
    assert not kernels.supports(NavierStokes(), Grid((32, 32)), torch.float32, "ifrk54")
    with pytest.raises(ValueError, match="build the kernels with a C compiler"):
        kernels.choose("baseline")


def test_isas_agree_to_round_off() -> None:
    equation, grid = CASES[5]
    u, f = start(equation, grid)
    frames = [
        kernels.solve(equation, grid, u, f, (0.5,), PAIR, 0.1, kernel=isa).frames for isa in ISAS
    ]
    for a, b in itertools.pairwise(frames):
        assert distance(a, b) < DOUBLE


def test_an_interrupt_is_heard() -> None:
    """Without an end in sight, what a signal's handler raises comes through."""

    def stop(*_: object) -> None:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        u, _ = start(NavierStokes(), Grid((16, 16)))
        with pytest.raises(InterruptedError):
            kernels.solve(NavierStokes(), Grid((16, 16)), u, None, (1e9,), PAIR, 1e-3)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_build_watches_every_header() -> None:
    """A changed header must make the libraries anew."""
    root = Path(__file__).resolve().parents[2]
    headers = {str(path.relative_to(root)) for path in (root / "solvers/kernels").glob("*.h")}
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    modules = project["tool"]["setuptools"]["ext-modules"]
    assert [module["name"].rpartition("._")[2] for module in modules] == list(libraries.ISAS)
    for module in modules:
        assert set(module["depends"]) == headers
        assert module["optional"]
