"""Learning a process: its start, its invariances, its gradient, and that few steps get better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from pushforward.generative.exact import GaussianDenoiser, MixtureDenoiser
from pushforward.generative.kernel import Dynamics
from pushforward.generative.learned import (
    DRAWN,
    FLOOR,
    STEPS,
    LearnedProcess,
    energy_distance,
    learn,
)
from pushforward.generative.lifted import euler_maruyama, sscs, strang
from pushforward.generative.process import Process

# two components, whitened: of mean 0 and variance 1 in both coefficients
WEIGHTS = torch.tensor([0.3, 0.7], dtype=torch.float64)
_MEANS = torch.tensor([[[-1.4, 0.0]], [[0.6, 0.0]]], dtype=torch.float64)
_VARIANCES = torch.tensor([[[0.05, 0.5]], [[0.1, 1.2]]], dtype=torch.float64)
_SPREAD = (WEIGHTS.view(2, 1, 1) * (_MEANS**2 + _VARIANCES)).sum(0)
MEANS, VARIANCES = _MEANS / _SPREAD.sqrt(), _VARIANCES / _SPREAD
DENOISER = MixtureDenoiser(WEIGHTS, MEANS, VARIANCES)


def levels(t: torch.Tensor) -> torch.Tensor:
    return (8 - 14 * t).view(-1, 1, 1).expand(-1, 1, 2).double()


def normals(count: int, seed: int) -> Callable[[int], torch.Tensor]:
    def draw(i: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed * 10007 + i)
        return torch.randn(count, 1, 2, dtype=torch.float64, generator=generator)

    return draw


def fields(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    which = (torch.rand(count, dtype=torch.float64, generator=generator) > WEIGHTS[0]).long()
    return MEANS[which] + VARIANCES[which].sqrt() * normals(count, seed + 1)(0)


def blank(variables: int, full: bool = False) -> LearnedProcess:
    """What learning starts from where nothing else is said."""
    return LearnedProcess(Process("learned", variables=variables, full=full))


def held_out(dynamics: Dynamics, steps: int, blocks: int = 12, size: int = 800) -> torch.Tensor:
    """Energy distances to new fields, of independent blocks with the same normals for all."""
    found = []
    for block in range(blocks):
        with torch.no_grad():
            x = sscs(DENOISER, levels, dynamics, normals(size, 100 + block), steps=steps)
        found.append(energy_distance(x, fields(size, 200 + 3 * block)))
    return torch.stack(found)


# given in a time with tr D = 1.2, not 1
TURNED = Process(
    "learned",
    v0=0.3,
    rotation=((0.0, -3.0), (3.0, 0.0)),
    diffusion=((0.3, 0.1), (0.1, 0.9)),
    full=True,
)
GIVEN = [
    Process("learned"),
    TURNED,
    replace(TURNED, diffusion=((0.3, 0.0), (0.0, 0.9)), full=None),
    Process("learned", variables=4, v0=0.0, full=True),
]


@pytest.mark.parametrize("given", GIVEN)
def test_it_starts_as_the_given_process_in_its_own_time(given: Process) -> None:
    process = LearnedProcess(given).process()
    assert replace(process, rotation=given.rotation, diffusion=given.diffusion) == given
    wanted, found = given.dynamics(), process.dynamics()
    speed = wanted.variables / wanted.N.trace()
    close = partial(torch.testing.assert_close, rtol=1e-13, atol=1e-14)
    close(found.F, speed * wanted.F)
    close(found.N, speed * wanted.N)
    assert found.V0.equal(wanted.V0)
    again = LearnedProcess(process).process().dynamics()
    close(again.F, found.F)
    close(again.N, found.N)


def test_learning_starts_from_the_process_it_is_given() -> None:
    def first(process: Process) -> float:
        with torch.no_grad():
            x = sscs(DENOISER, levels, process.dynamics(), normals(DRAWN, 7), steps=STEPS)
        return energy_distance(x, y).item()

    y = fields(128, 5)
    for given in (TURNED, replace(GIVEN[2], v0=0.1)):
        process, distances = learn(given, DENOISER, levels, y, lambda count: normals(count, 7))
        assert abs(distances[0] - first(given)) < 1e-9
        assert abs(distances[0] - first(replace(given, v0=None))) > 1e-4  # negative control
        assert abs(distances[0] - first(Process("learned", v0=given.v0))) > 1e-4
        assert min(distances) < distances[0]
        assert abs(min(distances) - first(process)) < 1e-9
        assert (process.full, process.v0) == (given.full, given.v0)
        N = process.dynamics().N
        assert N.equal(N.diagonal().diag()) is (given.full is None)


def test_a_process_learnt_down_to_the_floor_can_be_learnt_further() -> None:
    learned = LearnedProcess(TURNED)
    with torch.no_grad():
        learned.B.copy_(torch.tensor([[0.6, 0.3], [1.2, 0.6]], dtype=torch.float64))  # rank 1
    process = learned.process()
    assert torch.linalg.eigvalsh(process.dynamics().N / 2)[0].item() == pytest.approx(FLOOR)
    twin = LearnedProcess(process).process()
    torch.testing.assert_close(twin.dynamics().N, process.dynamics().N, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("variables", "full"), [(2, False), (3, True)])
def test_it_starts_as_vp(variables: int, full: bool) -> None:
    dynamics = blank(variables, full).dynamics()
    level = torch.linspace(-8, 8, 9, dtype=torch.float64)
    vp = Process("vp").dynamics()
    torch.testing.assert_close(dynamics.clock(level), vp.clock(level), rtol=1e-10, atol=0)


def test_mixing_faster_changes_nothing() -> None:
    """F and N times a number: samples and loss are those of before."""
    slow, fast = (blank(2, True) for _ in range(2))
    with torch.no_grad():
        slow.B.copy_(torch.tensor([[0.7, 0.2], [0.1, 1.3]], dtype=torch.float64))
        fast.B.copy_(slow.B * 5**0.5)
        fast.G.copy_(slow.G * 5)
    one, two = (sscs(DENOISER, levels, p.dynamics(), normals(4, 1), steps=4) for p in (slow, fast))
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
    plain = slow.dynamics()
    hasty = Dynamics(3 * plain.F, 3 * plain.N, plain.S, plain.V0)
    two = sscs(DENOISER, levels, hasty, normals(4, 1), steps=4)
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
    with torch.no_grad():  # negative control: to turn faster alone is another process
        fast.G.mul_(5)
    two = sscs(DENOISER, levels, fast.dynamics(), normals(4, 1), steps=4)
    assert (one - two).abs().max() > 0.01


@pytest.mark.parametrize("sampler", [sscs, euler_maruyama])
@pytest.mark.parametrize("full", [False, True])
def test_the_gradient_goes_through_doubling_and_clock(sampler: Any, full: bool) -> None:
    learned, y = blank(2, full), fields(60, 1)
    with torch.no_grad():
        shape = learned.B.shape
        learned.B.mul_(torch.linspace(0.8, 1.3, shape.numel()).double().view(shape))
        if full:
            learned.B[0, 1] = 0.2

    def loss() -> torch.Tensor:
        x = sampler(DENOISER, levels, learned.dynamics(), normals(60, 3), steps=4)
        return energy_distance(x, y)

    h = 1e-5
    found = torch.autograd.grad(loss(), [learned.G, learned.B])
    for parameter, gradient in zip((learned.G, learned.B), found, strict=True):
        entry = parameter.data.view(-1)
        for i in range(len(entry)):
            sides = []
            for shift in (h, -2 * h):
                entry[i] += shift
                sides.append(loss().item())
            entry[i] += h
            quotient = (sides[0] - sides[1]) / (2 * h)
            assert abs(quotient - gradient.view(-1)[i].item()) < 1e-5 * (1 + abs(quotient))


def test_few_steps_get_better() -> None:
    """On held-out fields and normals, by more than four standard errors of the paired blocks."""
    learned = blank(2)
    before = held_out(learned.dynamics(), steps=4)
    losses = learned.fit(DENOISER, levels, fields(800, 5), normals(800, 7), steps=4, iterations=30)
    after = held_out(learned.dynamics(), steps=4)
    gain = before - after
    assert len(losses) == 31
    assert min(losses) < 0.6 * losses[0]
    assert gain.mean() > 4 * gain.std() / math.sqrt(len(gain))
    assert after.mean() < 0.7 * before.mean()
    assert all(parameter.grad is None for parameter in DENOISER.parameters())


def test_what_is_learnt_is_kept_as_numbers_and_repeats() -> None:
    runs, start = [], Process("learned", variables=3, full=True, v0=0.1)
    for _ in range(2):
        learned = LearnedProcess(start)
        losses = learned.fit(
            DENOISER, levels, fields(60, 5), normals(60, 7), steps=4, iterations=3, rate=0.02
        )
        runs.append((losses, learned.process()))
    assert runs[0] == runs[1]
    process = runs[0][1]
    assert replace(process, rotation=None, diffusion=None) == start
    for matrix in ("F", "N", "V0"):
        torch.testing.assert_close(
            getattr(process.dynamics(), matrix), getattr(learned.dynamics(), matrix)
        )
    kept = LearnedProcess(start)
    kept.load_state_dict(learned.state_dict())
    assert kept.process() == process


def test_the_best_is_kept() -> None:
    """A rate that overshoots leaves the parameters of the lowest distance."""
    learned, y, z = blank(2), fields(100, 5), normals(100, 7)
    losses = learned.fit(DENOISER, levels, y, z, steps=4, iterations=8, rate=0.5)
    with torch.no_grad():
        x = sscs(DENOISER, levels, learned.dynamics(), z, steps=4)
    assert energy_distance(x, y).item() == pytest.approx(min(losses), abs=1e-12)


def test_energy_distance_is_unbiased_and_sees_a_shift() -> None:
    same, moved = [], []
    for seed in range(200):
        x, y = normals(40, 2 * seed)(0), normals(40, 2 * seed + 1)(0)
        same.append(energy_distance(x, y))
        moved.append(energy_distance(x, y + 0.5))
    same, moved = torch.stack(same), torch.stack(moved)
    assert same.mean().abs() < 4 * same.std() / math.sqrt(200)
    assert moved.mean() > 4 * moved.std() / math.sqrt(200)


def test_what_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(ValueError, match="expected two members a side"):
        energy_distance(torch.zeros(1, 1, 1), torch.zeros(5, 1, 1))
    learned = blank(2)
    with pytest.raises(ValueError, match="expected a process of kind learned to learn, got cld"):
        LearnedProcess(Process("cld"))
    with pytest.raises(ValueError, match=r"of at least 0\.001 in all directions .* got 0;"):
        LearnedProcess(Process("learned", diffusion=((0.0, 0.0), (0.0, 1.0))))
    broken = fields(10, 1) * math.nan
    with pytest.raises(ValueError, match="expected samples that stay finite"):
        learned.fit(DENOISER, levels, broken, normals(10, 1), steps=3, iterations=2)


def test_exact_rules_have_nothing_to_learn() -> None:
    """Their law is the same for all processes: two of them, as far as one sees."""
    whole = GaussianDenoiser(torch.full((1, 2), 0.3, dtype=torch.float64))
    count, spreads = 2 * 7, []
    z = torch.eye(count, dtype=torch.float64).view(count, count, 1, 1).expand(-1, -1, 1, 2)
    turned = Process(
        "learned", rotation=((0.0, -4.0), (4.0, 0.0)), diffusion=((0.1, 0.0), (0.0, 2.0))
    )
    for process in (Process("learned"), turned):
        dynamics = process.dynamics()
        found = [rule(whole, levels, dynamics, z.__getitem__, steps=6) for rule in (strang, sscs)]
        spreads.append([x.square().sum(0) for x in found])
    torch.testing.assert_close(spreads[0][0], spreads[1][0], rtol=1e-9, atol=0)
    assert (spreads[0][1] / spreads[1][1] - 1).abs().max() > 1e-3
