"""Samplers by name: what they cost, what they refuse, what they leave to the surrogate."""

from __future__ import annotations

from typing import Any, Literal, get_args

import pytest
import torch

from pushforward.generative import (
    Counted,
    Denoiser,
    GaussianDenoiser,
    Modes,
    Path,
    Process,
    Sampler,
)
from pushforward.generative.draw import Method
from pushforward.generative.learned import Frugal

METHODS = get_args(Method)
LEVELS = Path(lowest=-4, highest=6).on(Modes(torch.zeros(1, 3)))


def normals(count: int, seed: int = 0) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return lambda i: torch.randn(count, 1, 3, generator=generator)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["vp", "cld", "malda"])
def test_evaluations_are_as_announced(method: Any, kind: Any) -> None:
    orders: tuple[Literal[1, 2], ...] = (2, 1, 2)
    for steps, order in zip((1, 2, 5), orders, strict=True):
        if order == 1 and method not in ("multistep", "strang"):
            continue
        more: dict[str, Any] = {"inner": 2} if method == "langevin" else {}
        sampler = Sampler(method, steps=steps, order=order, **more)
        counted = Counted(GaussianDenoiser())
        x = sampler(counted, LEVELS, normals(4), dynamics=Process(kind).dynamics())
        assert x.shape == (4, 1, 3)
        assert counted.fields == 4 * sampler.evaluations


@pytest.mark.parametrize("method", ["multistep", "heun", "strang", "langevin"])
@pytest.mark.parametrize("kind", ["vp", "ve", "cld", "psld", "alda", "malda", "learned"])
def test_gaussian_fields_are_exact_in_few_steps(method: Any, kind: Any) -> None:
    """A sampler's output is linear in its numbers: the squares of all gains sum to 1."""
    total, first = torch.zeros(1, 1, 3, dtype=torch.float64), None
    for one in range(40):

        def numbers(i: int, one: int = one) -> torch.Tensor:
            return torch.full((1, 1, 3), float(i == one), dtype=torch.float64)

        sampler = Sampler(method, steps=3, churn=1.0 if method in ("heun",) else None)
        x = sampler(GaussianDenoiser(), LEVELS, numbers, dynamics=Process(kind).dynamics())
        first = x if first is None else first
        total += x.square()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-5, atol=0)
    assert first is not None
    assert first.abs().max() > 1e-6


def test_method_and_churn_left_out_are_the_surrogate_s() -> None:
    plain = Sampler(steps=8)
    assert plain.or_else("heun", 0.0) == Sampler("heun", steps=8, churn=0.0)
    assert plain.or_else("multistep", 1.0).churn == 1.0
    assert Sampler(churn=0.5).or_else("multistep", 1.0).churn == 0.5
    assert Sampler("heun").or_else("multistep", 1.0) == Sampler("heun", churn=0.0)
    assert plain.evaluations == 8


@pytest.mark.parametrize("method", METHODS)
def test_what_does_not_move_stays_as_it_starts(method: Any) -> None:
    """A clean coefficient, the others at large: how an observation conditions."""
    start = normals(5, seed=1)(0)

    def levels(t: torch.Tensor) -> torch.Tensor:
        found = LEVELS(t)
        found[..., 1] = torch.inf
        return found

    sampler = Sampler(method, steps=6)
    x = sampler(
        GaussianDenoiser(), levels, normals(5), dynamics=Process("cld").dynamics(), start=start
    )
    torch.testing.assert_close(x[..., 1], start[..., 1])
    other = sampler(
        GaussianDenoiser(), levels, normals(5, 9), dynamics=Process("cld").dynamics(), start=start
    )
    assert Sampler(method).reversal in (0, 1)
    assert (x[..., 0] == other[..., 0]).all() == (method in ("multistep", "heun"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Sampler(steps=0), "steps, inner >= 1"),
        (lambda: Sampler(inner=0), "steps, inner >= 1"),
        (lambda: Sampler(step=0.0), "step > 0"),
        (lambda: Sampler(churn=-1.0), "churn, strength >= 0"),
        (lambda: Sampler(strength=-1.0), "churn, strength >= 0"),
        (lambda: Sampler("strang", churn=0.5), "churn 0 for the sampler strang"),
        (lambda: Sampler("heun", order=1), "expected no order for the sampler heun"),
        (lambda: Sampler("bridge", rule="pcn"), "expected no rule for the sampler bridge"),
        (lambda: Sampler("multistep", inner=2), "expected no inner for the sampler multistep"),
        (
            lambda: Sampler("strang")(GaussianDenoiser(), LEVELS, normals(2)),
            "expected a process for the sampler strang",
        ),
    ],
)
def test_bad_samplers_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


class Scaled(Denoiser):
    """F = a y, with a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(0.3))

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        return self.a * torch.sin(y)


def test_a_frugal_denoiser_has_the_same_gradient() -> None:
    gradients = []
    for wrap in (Frugal, lambda one: one):
        denoiser = Scaled()
        x = Sampler(steps=4)(wrap(denoiser), LEVELS, normals(3))
        gradients.append(torch.autograd.grad(x.square().sum(), denoiser.a)[0])
    assert gradients[0] != 0
    torch.testing.assert_close(gradients[0], gradients[1])
