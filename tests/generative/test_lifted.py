"""Lifted samplers: what y says about x, covariances followed to the end, mixtures, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from pushforward.generative.exact import CovarianceDenoiser, GaussianDenoiser, MixtureDenoiser
from pushforward.generative.kernel import Dynamics
from pushforward.generative.lifted import (
    bridge,
    euler_maruyama,
    sscs,
    strang,
    strang_evaluations,
)
from pushforward.generative.process import Process
from pushforward.generative.reversal import view

Levels = Callable[[torch.Tensor], torch.Tensor]
strang2 = partial(strang, order=2)
PROCESSES: dict[str, Dynamics] = {
    kind: Process(kind).dynamics()  # type: ignore[arg-type]
    for kind in ("vp", "ve", "cld", "psld", "alda", "malda")
}
PROCESSES["turned"] = Process(
    "learned", rotation=((0.0, -3.0), (3.0, 0.0)), diffusion=((0.2, 0.1), (0.1, 0.9)), full=True
).dynamics()
MODES = 6


def common(clean: float = 9.0, noisy: float = -8.0, modes: int = MODES) -> Levels:
    """One clock for all coefficients."""
    return lambda t: (clean + (noisy - clean) * t).view(-1, 1, 1).expand(-1, 1, modes)


def tilted(clean: float = 9.0, noisy: float = -8.0) -> Levels:
    """GUD's: the later in the order, the lower."""
    order = torch.linspace(0, 6, MODES, dtype=torch.float64)
    return lambda t: clean + 6 - order + (noisy - clean - 6) * t.view(-1, 1, 1).double()


def impulses(count: int, modes: int = MODES) -> Callable[[int], torch.Tensor]:
    """Member j has normal j equal to 1 and all others 0: its result is the response to it."""

    def normals(i: int) -> torch.Tensor:
        z = torch.zeros(count, 1, modes, dtype=torch.float64)
        z[i] = 1
        return z

    return normals


def variance(
    sampler: Any, dynamics: Dynamics, levels: Levels, data: torch.Tensor, steps: int
) -> torch.Tensor:
    """Of every coefficient of the samples of N(0, data): all is linear, so it is exact."""
    count = dynamics.variables * (steps + 1)
    x = sampler(
        GaussianDenoiser(data), levels, dynamics, impulses(count, len(data[0])), steps=steps
    )
    return x.square().sum(0)


def wrong(sampler: Any, dynamics: Dynamics, levels: Levels, data: torch.Tensor, steps: int):
    return float((variance(sampler, dynamics, levels, data, steps) / data - 1).abs().max())


UNIT = torch.ones(1, MODES, dtype=torch.float64)
OTHER = torch.tensor([[4.0, 1.5, 0.8, 0.4, 0.2, 0.1]], dtype=torch.float64)


@pytest.mark.parametrize("name", PROCESSES)
def test_one_variable_says_all_about_x(name: str) -> None:
    """The posterior mean given all K variables, by brute force, is the denoiser's at y_1."""
    dynamics, K = PROCESSES[name], PROCESSES[name].variables
    generator = torch.Generator().manual_seed(0)
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    means = torch.randn(3, 2, dtype=torch.float64, generator=generator)
    roots = 0.3 * torch.randn(3, 2, 2, dtype=torch.float64, generator=generator)
    covariances = roots @ roots.mT + 0.02 * torch.eye(2, dtype=torch.float64)
    tau = torch.tensor([0.3, 0.9], dtype=torch.float64)  # each coefficient at its own time
    phi, Sig = dynamics.kernel(tau)
    H, noise = torch.block_diag(*phi[..., None]), torch.block_diag(*Sig)
    y = torch.randn(50, 2 * K, dtype=torch.float64, generator=generator)
    logs, parts = [], []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        law = torch.distributions.MultivariateNormal(H @ mean, H @ covariance @ H.T + noise)
        logs.append(weight.log() + law.log_prob(y))
        gain = covariance @ H.T @ law.precision_matrix
        parts.append(mean + (y - H @ mean) @ gain.T)
    share = torch.softmax(torch.stack(logs), 0)
    truth = (share[..., None] * torch.stack(parts)).sum(0)
    level = dynamics.log_snr(tau)
    y_1 = (view(dynamics, tau).see * y.view(50, 2, K)).sum(-1)
    xi = (y_1 * (1 + torch.exp(-level)).sqrt())[:, None]
    denoiser = CovarianceDenoiser(weights, means[:, None], covariances)
    found = denoiser(xi, level.expand(50, 1, 2))[:, 0]
    assert (found - truth).abs().max() < 1e-12
    if K > 1:  # negative control: position alone does not
        rough = y.view(50, 2, K)[..., 0] / phi[:, 0]
        assert (denoiser(rough[:, None], level.expand(50, 1, 2))[:, 0] - truth).abs().max() > 0.01


@pytest.mark.parametrize("levels", [common(), tilted()], ids=["common", "tilted"])
@pytest.mark.parametrize("name", PROCESSES)
def test_strang_is_exact_for_gaussian_data(name: str, levels: Levels) -> None:
    for sampler in (strang, strang2):
        for steps in (1, 2, 7):
            assert wrong(sampler, PROCESSES[name], levels, UNIT, steps) < 1e-12
    assert wrong(bridge, PROCESSES[name], levels, UNIT, 7) > 0.1  # negative control


def test_sscs_is_exact_where_all_is_stationary() -> None:
    stationary = Process("cld", v0=1.0).dynamics()
    assert wrong(sscs, stationary, tilted(), UNIT, 7) < 1e-12
    assert wrong(sscs, PROCESSES["cld"], tilted(), UNIT, 7) > 1e-4
    assert wrong(sscs, PROCESSES["vp"], common(), UNIT, 7) < 1e-12


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("vp", tilted()),
        ("ve", common()),
        ("cld", tilted()),
        ("psld", common()),
        ("malda", common()),
    ],
)
def test_euler_and_bridge_are_of_order_one(name: str, levels: Levels) -> None:
    for sampler in (euler_maruyama, bridge):
        one, two = (wrong(sampler, PROCESSES[name], levels, UNIT, n + 1) for n in (90, 180))
        assert 1.6 < one / two < 2.4, (sampler, one, two)
        assert two < 0.1


@pytest.mark.parametrize("name", ["vp", "cld"])
def test_orders_of_the_splittings(name: str) -> None:
    """Of data that are not of unit variance, on a path long enough to leave the ends out."""
    levels = common(clean=16, noisy=-10)
    for sampler, steps, order in ((strang2, 50, 2), (strang, 80, 1), (sscs, 100, 1)):
        one, two = (
            wrong(sampler, PROCESSES[name], levels, OTHER, n + 1) for n in (steps, 2 * steps)
        )
        assert order - 0.45 < math.log2(one / two) < order + 0.45, (sampler, one, two)
        assert two < 0.1


@pytest.mark.parametrize("name", ["ve", "cld", "alda", "turned"])
def test_the_law_of_exact_rules_is_that_of_one_variable(name: str) -> None:
    for sampler in (strang, strang2, bridge):
        one, other = (
            variance(sampler, PROCESSES[which], tilted(), OTHER, 6) for which in ("vp", name)
        )
        torch.testing.assert_close(one, other, rtol=1e-7, atol=0)
    one, other = (
        variance(euler_maruyama, PROCESSES[which], tilted(), OTHER, 30) for which in ("vp", name)
    )
    assert (one / other - 1).abs().max() > 0.01  # negative control: it steps y itself


def test_euler_is_the_textbooks_step() -> None:
    """K = 1: x' = x + d (x / 2 + score) + sqrt(d) z on VP, tau = log(1 + e^-lambda)."""
    data, levels = torch.tensor([[0.5]], dtype=torch.float64), common(4, -4, 1)
    z = torch.tensor([1.3, -0.7, 0.4], dtype=torch.float64)
    x = euler_maruyama(
        GaussianDenoiser(data), levels, PROCESSES["vp"], lambda i: z[i].view(1, 1, 1), steps=3
    )
    tau = [math.log1p(math.exp(-level)) for level in (-4, 0, 4)]
    y = z[0]  # of unit variance: matched to unit data
    for i in (0, 1):
        spread = 0.5 * math.exp(-tau[i]) + 1 - math.exp(-tau[i])
        d = tau[i] - tau[i + 1]
        y = y + d * (y / 2 - y / spread) + math.sqrt(d) * z[i + 1]
    theta = math.atan(math.exp(-2))
    s, c = math.sin(theta), math.cos(theta)
    y = y * (1 + theta * s * c * (0.5 - 1) / (0.5 * c**2 + s**2))
    torch.testing.assert_close(x.flatten(), y.view(1), rtol=1e-10, atol=0)


def draws(count: int, modes: int = 2, seed: int = 0) -> Callable[[int], torch.Tensor]:
    def normals(i: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed * 10007 + i)
        return torch.randn(count, 1, modes, dtype=torch.float64, generator=generator)

    return normals


WEIGHTS = torch.tensor([0.7, 0.3], dtype=torch.float64)
MEANS = torch.tensor([[[-0.6, 0.0]], [[1.4, 0.5]]], dtype=torch.float64)
VARIANCES = torch.tensor([[[0.06, 0.8]], [[0.1, 0.3]]], dtype=torch.float64)


def off(x: torch.Tensor) -> list[float]:
    """Share, means and variances of the two components, in standard errors from the truth."""
    right, count, found = x[:, 0, 0] > 0.4, len(x), []
    found.append((right.double().mean().item() - 0.3) / math.sqrt(0.3 * 0.7 / count))
    for j, some in enumerate((~right, right)):
        number = WEIGHTS[j].item() * count
        mean, spread = x[some, 0].mean(0), x[some, 0].var(0)
        found += ((mean - MEANS[j, 0]) / (VARIANCES[j, 0] / number).sqrt()).tolist()
        found += ((spread / VARIANCES[j, 0] - 1) / math.sqrt(2 / number)).tolist()
    return found


@pytest.mark.parametrize(
    ("name", "sampler", "steps"),
    [
        ("cld", strang2, 50),
        ("turned", strang2, 50),
        ("cld", sscs, 120),
        ("psld", bridge, 200),
        ("vp", euler_maruyama, 200),
        ("cld", euler_maruyama, 200),
    ],
)
def test_a_mixture_is_sampled_with_its_components(name: str, sampler: Any, steps: int) -> None:
    levels = common(clean=10, noisy=-8, modes=2)
    x = sampler(
        MixtureDenoiser(WEIGHTS, MEANS, VARIANCES), levels, PROCESSES[name], draws(1000),
        steps=steps,
    )  # fmt: skip
    assert max(map(abs, off(x))) < 4, off(x)


def test_a_gaussian_is_not_taken_for_the_mixture() -> None:
    """The negative control of the last test, and a sampler of too few steps."""
    levels = common(clean=10, noisy=-8, modes=2)
    whole = GaussianDenoiser(torch.ones(1, 2, dtype=torch.float64))
    x = strang(whole, levels, PROCESSES["cld"], draws(1000), steps=10)
    assert max(map(abs, off(x))) > 4
    mixture = MixtureDenoiser(WEIGHTS, MEANS, VARIANCES)
    x = bridge(mixture, levels, PROCESSES["cld"], draws(1000), steps=10)
    assert max(map(abs, off(x))) > 4


class Counter(GaussianDenoiser):
    """Counts its calls."""

    calls = 0

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return super().correction(y, log_snr)


@pytest.mark.parametrize("sampler", [euler_maruyama, bridge, sscs, strang, strang2])
@pytest.mark.parametrize("steps", [1, 5])
def test_evaluations_normals_and_watch(sampler: Any, steps: int) -> None:
    drawn: list[int] = []
    seen: list[int] = []

    def normals(i: int) -> torch.Tensor:
        drawn.append(i)
        return draws(2, MODES)(i).float()

    def watch(i: int, y: torch.Tensor) -> torch.Tensor:
        seen.append(i)
        return 0 * y + 3 if i >= steps - 1 else y

    counter = Counter()
    x = sampler(counter, common(), PROCESSES["malda"], normals, steps=steps, watch=watch)
    assert counter.calls == (strang_evaluations(steps, 2) if sampler is strang2 else steps)
    assert drawn == list(range(len(drawn)))
    assert len(drawn) <= 3 * (steps + 1)
    assert seen == list(range(steps + 1))
    assert x.dtype == torch.float32
    assert torch.equal(x, torch.full_like(x, 3))


@pytest.mark.parametrize("sampler", [euler_maruyama, bridge, sscs, strang, strang2])
def test_a_change_of_what_is_seen_is_a_change_of_y(sampler: Any) -> None:
    """To look and put back is not to change; to scale before the first step is to start so."""
    run = partial(
        sampler, GaussianDenoiser(OTHER), tilted(), PROCESSES["cld"], draws(3, MODES), steps=6
    )
    start = draws(3, MODES)(0)
    if sampler in (euler_maruyama, bridge):
        torch.testing.assert_close(
            run(watch=lambda i, y: 2 * y if i == 0 else y), run(start=2 * start)
        )
    torch.testing.assert_close(run(watch=lambda i, y: y + 0), run(start=start))


@pytest.mark.parametrize("name", ["vp", "ve", "cld", "alda", "turned"])
@pytest.mark.parametrize("sampler", [bridge, strang, strang2])
def test_float32_is_float64(sampler: Any, name: str) -> None:
    levels, dynamics = common(clean=12), PROCESSES[name]
    normals = draws(20, MODES)
    whole = MixtureDenoiser(
        WEIGHTS, MEANS[..., [0, 1, 1, 1, 1, 1]], VARIANCES[..., [0, 1, 1, 1, 1, 1]]
    )
    half = MixtureDenoiser(whole.log_weights.exp().float(), whole.means.float(), whole.variances)
    half.variances = half.variances.float()
    x = sampler(whole, levels, dynamics, normals, steps=20)
    y = sampler(half, levels, dynamics, lambda i: normals(i).float(), steps=20)
    assert y.dtype == torch.float32
    assert (x - y).abs().max() < 2e-4


@pytest.mark.parametrize("name", ["vp", "cld", "alda"])
@pytest.mark.parametrize("sampler", [euler_maruyama, bridge, sscs, strang, strang2])
def test_clean_stays_and_pure_noise_is_a_start(sampler: Any, name: str) -> None:
    """+inf at all times conditions on what is known, -inf at the start is noise and no more."""

    def levels(t: torch.Tensor) -> torch.Tensor:
        moving = (9 - 15 * t).view(-1, 1, 1)
        clean = torch.full_like(moving, math.inf)
        sudden = torch.where(moving < -5.9, -math.inf, moving)
        ends = torch.where(moving > 8.9, math.inf, moving)
        return torch.cat([clean, moving, sudden, ends], -1)

    start = draws(4, 4)(0)
    data = torch.full((1, 4), 0.5, dtype=torch.float64)
    steps = 300 if sampler is euler_maruyama else 30
    if sampler is euler_maruyama:  # which cannot leap from pure noise
        sane, levels = levels, lambda t: sane(t)[..., [0, 1, 1, 3]]
    x = sampler(
        GaussianDenoiser(data), levels, PROCESSES[name], draws(4, 4), steps=steps, start=start
    )
    assert torch.equal(x[..., 0], start[..., 0])
    assert x.isfinite().all()
    assert (x[..., 1:] - start[..., 1:]).abs().min() > 0


def test_a_given_start_conditions() -> None:
    """From an observation through noise, samples are the posterior's: mean and variance."""
    levels, seen = common(clean=12, noisy=0.0, modes=1), 0.8
    data = torch.tensor([[0.4]], dtype=torch.float64)
    start = torch.full((4000, 1, 1), seen / math.sqrt(2), dtype=torch.float64)  # xi = seen
    for name in ("vp", "cld", "malda"):
        x = strang(
            GaussianDenoiser(data), levels, PROCESSES[name], draws(4000, 1), steps=30, order=2,
            start=start,
        )  # fmt: skip
        spread = 0.4 / 1.4
        assert abs(x.mean().item() - seen * 0.4 / 1.4) < 4 * math.sqrt(spread / 4000)
        assert abs(x.var().item() / spread - 1) < 4 * math.sqrt(2 / 4000)


@pytest.mark.parametrize("sampler", [euler_maruyama, bridge, sscs, strang, strang2])
def test_what_is_no_walk_is_refused(sampler: Any) -> None:
    run = partial(sampler, GaussianDenoiser(), normals=draws(1, MODES))
    with pytest.raises(ValueError, match="expected steps >= 1"):
        run(levels=common(), dynamics=PROCESSES["vp"], steps=0)
    for levels in (common(-5, 5), lambda t: common()(t) * math.nan):
        with pytest.raises(ValueError, match="expected levels that fall with t"):
            run(levels=levels, dynamics=PROCESSES["vp"], steps=4)
    if sampler is sscs:
        with pytest.raises(ValueError, match="expected a process with a stationary law"):
            run(levels=common(), dynamics=PROCESSES["ve"], steps=4)


def test_many_levels_are_done_by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = partial(strang, GaussianDenoiser(OTHER), tilted(), PROCESSES["cld"], draws(2, MODES))
    whole = run(steps=9)
    monkeypatch.setattr("pushforward.generative.walk.TOGETHER", 2 * MODES)
    assert torch.allclose(run(steps=9), whole, rtol=1e-12)


def test_no_stationary_law_is_needed_for_the_field() -> None:
    """The Gaussian field's rules see S nowhere."""
    bare = replace(PROCESSES["cld"], S=None)
    for sampler in (strang, bridge, euler_maruyama):
        one, two = (
            sampler(GaussianDenoiser(OTHER), common(), dynamics, draws(2, MODES), steps=9)
            for dynamics in (bare, PROCESSES["cld"])
        )
        assert torch.equal(one, two)
