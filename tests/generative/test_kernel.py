"""The transition kernel against block exponentials and published forms; snr, rate and clock."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from pushforward.generative.kernel import KNOWN, LIMIT, Dynamics
from pushforward.generative.process import Process, complete

KINDS: tuple[Any, ...] = ("vp", "ve", "cld", "psld", "alda", "malda", "learned")


def times(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def rotating(variables: int = 3, seed: int = 2) -> Dynamics:
    """A learned process with a full diffusion and strong rotation."""
    generator = torch.Generator().manual_seed(seed)
    G, B = torch.randn(2, variables, variables, dtype=torch.float64, generator=generator)
    D = B @ B.mT / variables
    return complete(
        2 * (G - G.mT), (D + D.mT) / 2, torch.eye(variables, dtype=torch.float64), 0.01
    )


ALL = [*(pytest.param(Process(kind).dynamics(), id=kind) for kind in KINDS)]
ALL += [pytest.param(rotating(), id="rotating")]


def van_loan(dynamics: Dynamics, tau: float) -> tuple[np.ndarray, np.ndarray]:
    """exp(F tau) and Sig with the start V0, by one exponential of twice the size."""
    F, N, V0 = (matrix.numpy() for matrix in (dynamics.F, dynamics.N, dynamics.V0))
    K = len(F)
    both = expm(np.block([[F, N], [np.zeros_like(F), -F.T]]) * tau) @ np.vstack([V0, np.eye(K)])
    return expm(F * tau), both[:K] @ np.linalg.inv(both[K:])


@pytest.mark.parametrize("dynamics", ALL)
def test_doubling_is_van_loans_exponential(dynamics: Dynamics) -> None:
    taus = times(1e-3, 0.1, 1.0, 5.0)
    phi, Sig = dynamics.kernel(taus)
    Phi, _ = dynamics.transition(taus)
    for i, tau in enumerate(taus.tolist()):
        flow, covariance = van_loan(dynamics, tau)
        assert np.abs(Phi[i].numpy() - flow).max() < 1e-12
        assert np.abs(phi[i].numpy() - flow[:, 0]).max() < 1e-12
        assert np.abs(Sig[i].numpy() - covariance).max() < 1e-12


def cld_by_hand(B: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Dockhorn et al., appendix B, with 1 / M = 4: kernel after int beta = B."""
    f, g, v0 = 1.0, 1.0, start / 4
    Phi = math.exp(-2 * B * g) * np.array([[1 + 2 * B * g, 4 * B * g**2], [-B, 1 - 2 * B * g]])
    grown = math.exp(4 * B * g)
    xx = grown - 1 - 4 * B * g - 8 * B**2 * g**2 + 16 * g**4 * B**2 * v0
    xv = 4 * g**2 * B * v0 + 4 * g * B**2 - 8 * g**3 * B**2 * v0
    vv = f**2 * (grown - 1) / 4 + f * B + v0 * (1 - 4 * g * B + 4 * g**2 * B**2) - 2 * B**2
    return Phi, np.array([[xx, xv], [xv, vv]]) / grown


def psld_by_hand(b: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Pandey and Mandt, appendix: kernel after int beta = b."""
    n, g = 4.01, 0.01
    mi = (g - n) ** 2 / 4
    m, c = 1 / mi, start / mi
    Phi = math.exp(-(n + g) / 4 * b) * np.array(
        [[1 + (n - g) / 4 * b, (g - n) ** 2 / 8 * b], [-b / 2, 1 + (g - n) / 4 * b]]
    )
    grown = math.exp((n + g) / 2 * b)
    xx = mi**2 / 4 * b * b * c - mi / 2 * b * b + (g - n) / 2 * b + grown - 1
    xm = mi * (g - n) / 8 * b * b * c + mi / 2 * b * c + (n - g) / 4 * b * b
    mm = mi / 4 * b * b * c + (g - n) / 2 * b * c - b * b / 2 + m * (n - g) / 2 * b
    return Phi, np.array([[xx, xm], [xm, mm + m * (grown - 1) + c]]) / grown


@pytest.mark.parametrize(("kind", "by_hand"), [("cld", cld_by_hand), ("psld", psld_by_hand)])
def test_published_closed_forms(kind: Any, by_hand: Any) -> None:
    dynamics = Process(kind).dynamics()
    for tau in (0.01, 0.5, 1.0, 4.0, 8.0):
        Phi, Sig = by_hand(tau, 0.04)
        assert np.abs(dynamics.transition(times(tau))[0][0].numpy() - Phi).max() < 1e-13
        assert np.abs(dynamics.kernel(times(tau))[1][0].numpy() - Sig).max() < 1e-13


@pytest.mark.parametrize("start", ["own", "none"])
@pytest.mark.parametrize("dynamics", ALL)
def test_float32_keeps_the_digits_of_the_deviations(dynamics: Dynamics, start: str) -> None:
    taus = torch.logspace(-4, math.log10(20), 300)
    if start == "none":
        dynamics = replace(dynamics, V0=0 * dynamics.V0)
    phi, Sig = dynamics.kernel(taus)
    exact_phi, exact = dynamics.kernel(taus.double())
    assert Sig.dtype == torch.float32
    size = exact.diagonal(dim1=-2, dim2=-1).sqrt()
    error = (Sig - exact) / (size[..., :, None] * size[..., None, :])
    assert error.abs().max() < (1e-6 if start == "none" else 2e-6)
    assert (phi - exact_phi).abs().max() < 1e-6
    if start == "none":  # else alda's position is at first velocity times tau, to float32
        assert not torch.linalg.cholesky_ex(Sig).info.any()


def test_the_stationary_form_does_not() -> None:
    """The negative control of the last test: S - Phi S Phi^T, in float32."""
    cld = Process("cld", v0=0.0).dynamics()
    assert cld.S is not None
    Phi, exact = cld.transition(times(1e-3))
    Phi, S = Phi.float(), cld.S.float()
    assert (((S - Phi @ S @ Phi.mT) - exact)[0, 0, 0] / exact[0, 0, 0]).abs() > 0.1


@pytest.mark.parametrize("start", [0.0, 0.04])
def test_snr_at_small_times(start: float) -> None:
    """Of position given both variables; velocity known or not at the start: 3 or 12."""
    cld = Process("cld", v0=start).dynamics()
    noise, mass = 2.0, 0.25
    for tau in (1e-7, 1e-9, 1e-12):
        limit = (3 if start else 12) * mass**2 / (noise * tau**3)
        assert abs(cld.log_snr(times(tau)).exp().item() / limit - 1) < 1e-4
    chain = Process("alda", v0=0.0).dynamics()
    level = chain.log_snr(times(1e-6, 1e-8))
    assert abs(float(level.diff()) / math.log(100) - 5) < 1e-4  # the order of the chain


@pytest.mark.parametrize("dynamics", ALL)
def test_the_rate_is_the_slope_of_the_snr(dynamics: Dynamics) -> None:
    taus = torch.logspace(-3, 1, 60, dtype=torch.float64)
    h = 1e-3 * taus
    ahead, more = (dynamics.log_snr(taus + k * h) - dynamics.log_snr(taus - k * h) for k in (1, 2))
    slope = -(8 * ahead - more) / (12 * h)  # of the logarithm, to fourth order
    rate = dynamics.rate(taus) / dynamics.log_snr(taus).exp()
    assert (rate >= 0).all()
    typical = 1 / taus  # where the slope nearly vanishes, the difference quotient rounds
    assert ((rate - slope).abs() / torch.maximum(rate, 0.05 * typical)).max() < 1e-6


def test_known_clocks() -> None:
    level = torch.linspace(-70, 70, 57, dtype=torch.float64)
    vp, ve = (Process(kind).dynamics().clock(level) for kind in ("vp", "ve"))
    torch.testing.assert_close(vp, torch.nn.functional.softplus(-level), rtol=1e-10, atol=0)
    torch.testing.assert_close(ve, torch.exp(-level), rtol=1e-10, atol=0)


@pytest.mark.parametrize("dynamics", ALL)
def test_the_clock_inverts_the_snr(dynamics: Dynamics) -> None:
    level = torch.linspace(-60, 60, 120, dtype=torch.float64).view(5, 1, 24)
    tau = dynamics.clock(level)
    assert tau.shape == level.shape
    assert (dynamics.log_snr(tau) - level).abs().max() < 1e-8
    assert (tau.flatten().diff() < 0).all()
    ends = dynamics.clock(times(math.inf, LIMIT + 1, -LIMIT, -LIMIT - 1, -math.inf))
    assert ends[:2].tolist() == [0, 0]
    assert ends[2] == ends[3] == ends[4] < math.inf
    assert dynamics.log_snr(times(0.0)).item() == math.inf
    single = dynamics.clock(level.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, dynamics.clock(level.float().double()).float())


def test_a_faster_process_is_the_same_by_its_clock() -> None:
    slow = rotating()
    fast = Dynamics(7 * slow.F, 7 * slow.N, slow.S, slow.V0)
    level = torch.linspace(-8, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(slow.clock(level), 7 * fast.clock(level), rtol=1e-10, atol=0)
    for a, b in zip(slow.kernel(slow.clock(level)), fast.kernel(fast.clock(level)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_the_clock_is_differentiable() -> None:
    level, h = times(-3.0, 0.5, 4.0), 1e-6

    def at(friction: torch.Tensor) -> torch.Tensor:
        D = torch.stack([0 * friction + 0.3, friction]).diag()
        Q = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
        dynamics = complete(Q, D, torch.eye(2, dtype=torch.float64), 0.01)
        tau = dynamics.clock(level)
        return torch.cat([tau, dynamics.kernel(tau)[1].flatten()])

    friction = torch.tensor(1.2, dtype=torch.float64)
    found = torch.autograd.functional.jacobian(at, friction)
    torch.testing.assert_close(
        found, (at(friction + h) - at(friction - h)) / (2 * h), rtol=1e-6, atol=1e-8
    )


def test_factors_are_of_the_covariance() -> None:
    for dynamics in (Process("alda").dynamics(), rotating()):
        taus = torch.logspace(-3, 1, 30, dtype=torch.float64)
        R, R_inv, h = dynamics.factors(taus)
        phi, Sig = dynamics.kernel(taus)
        torch.testing.assert_close(R @ R.mT, Sig, rtol=1e-11, atol=1e-14)
        off = (R @ h[..., None])[..., 0] - phi
        assert (off.abs() <= 1e-11 * (R.abs() @ h.abs()[..., None])[..., 0]).all()
        eye = torch.eye(3, dtype=torch.float64).expand_as(R)
        torch.testing.assert_close(R_inv @ R, eye, rtol=0, atol=1e-8)


@pytest.mark.parametrize("tau", [-1.0, math.inf, math.nan])
def test_no_time_is_refused(tau: float) -> None:
    with pytest.raises(ValueError, match="expected finite tau >= 0"):
        Process("vp").dynamics().transition(times(tau))


def test_no_level_is_refused() -> None:
    with pytest.raises(ValueError, match="expected log snr, got NaN"):
        Process("vp").dynamics().clock(times(math.nan))


def test_a_level_that_is_asked_for_again_has_the_same_bits() -> None:
    """It is kept in mind, and never what is differentiated or came from another process."""
    one, other = Process("cld").dynamics(), Process("malda").dynamics()
    with torch.inference_mode():
        first = one.clock(times(0.3))
    assert torch.equal(one.clock(times(0.3)), first.clone())
    assert torch.equal(replace(one).clock(times(0.3)), first.clone())
    assert not torch.equal(other.clock(times(0.3)), first.clone())
    (one.clock(times(0.3)) * torch.ones(1, requires_grad=True)).sum().backward()
    for level in torch.linspace(-3, 3, 200).tolist():
        one.clock(times(level))
    assert len(one._known) <= KNOWN
    F = one.F.clone().requires_grad_()
    for _ in range(2):
        (slope,) = torch.autograd.grad(replace(one, F=F).clock(times(0.3)).sum(), F)
        assert slope.abs().max() > 0
