"""Losses: their weights against the papers', their norms, and what training minimises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from pushforward.generative import (
    Denoiser,
    Hierarchy,
    Loss,
    Modes,
    Objective,
    Path,
    Prior,
    Variation,
    preset,
)
from pushforward.generative.denoiser import angle
from pushforward.generative.exact import GaussianDenoiser
from pushforward.generative.loss import rate

LOG_VARIANCE = torch.log(torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64))
MODES = Modes(LOG_VARIANCE, torch.tensor([0.0, 1.0, 2.0]), extent=(1.0, 1.0))
MASK = torch.ones(1, 3, dtype=torch.bool)
LOSSES = [Loss(), Loss("flat"), Loss("noise"), Loss("noise", 1.0), Loss("noise", 0.5),
          Loss("data"), Loss("data", 1.0), Loss("elbo")]  # fmt: skip


class Off(Denoiser):
    """F off by a number in one coefficient, for given x and eps."""

    def __init__(self, x: torch.Tensor, eps: torch.Tensor, error: torch.Tensor) -> None:
        super().__init__()
        self.x, self.eps, self.error = x, eps, error

    def correction(self, y: torch.Tensor, log_snr: torch.Tensor) -> torch.Tensor:
        theta = angle(log_snr)
        return torch.sin(theta) * self.x - torch.cos(theta) * self.eps + self.error


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("prior", [Prior(), Prior("matern", 2.0), Prior("white")], ids=str)
def test_loss_of_an_untrained_denoiser_is_one(loss: Loss, prior: Prior) -> None:
    n = 4000
    generator = torch.Generator().manual_seed(0)
    x, eps = torch.randn(2, n, 1, 3, generator=generator, dtype=torch.float64)
    t = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    objective = Objective(loss, Path(Hierarchy(0.5), prior).on(MODES), MASK)
    found = objective(GaussianDenoiser(), x, t, eps)
    error = 4 * float(found.std()) / n**0.5
    assert float(found.mean()) == pytest.approx(1, abs=error)
    assert error < 0.2
    wrong = objective(Off(x, eps, torch.tensor(0.5)), x, t, eps)
    assert float(wrong.mean()) != pytest.approx(1, abs=error)


@pytest.mark.parametrize("prior", [Prior(), Prior("matern", 2.0), Prior("white")], ids=str)
@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0])
def test_weights_are_errors_in_field_units(prior: Prior, norm: float) -> None:
    """`noise` is |C^{-(1-p)/2} (error of C^{1/2} eps)|^2, `data` the same of the field u."""
    levels = Path(Hierarchy(), prior).on(MODES)
    t = torch.tensor([0.4], dtype=torch.float64)
    log_snr = levels(t)
    v = LOG_VARIANCE.exp()
    # the noise's spectrum from the path: c_k / v_k falls as log snr rises
    c = v * torch.exp(levels.clock(t) - log_snr)
    df = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    d_estimate = torch.sin(angle(log_snr)) * df * v.sqrt()
    d_noise = torch.cos(angle(log_snr)) * df * c.sqrt()
    for name, error in (("noise", d_noise), ("data", d_estimate)):
        expected = (c ** (norm - 1) * error**2).sum()
        weights = Loss(name, norm).weights(levels, t, log_snr)  # type: ignore[arg-type]
        assert float((weights * df**2).sum()) == pytest.approx(float(expected), rel=1e-9)


def test_evidence_weight_is_the_speed_of_the_snr() -> None:
    """1/2 |d snr / dt| |D - x|^2 with dD = sin(theta) dF."""
    levels = Path(Hierarchy(1.0), Prior(), "cosine").on(MODES)
    t = torch.tensor([0.3], dtype=torch.float64)
    h = 1e-6
    speed = (levels(t - h).exp() - levels(t + h).exp()) / (2 * h)
    expected = 0.5 * speed * torch.sin(angle(levels(t))) ** 2
    found = Loss("elbo").weights(levels, t, levels(t))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    assert (rate(levels, torch.tensor([0.0, 1.0]).double()) > 0).all()


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_given_and_missing_coefficients_are_not_learnt(loss: Loss) -> None:
    levels = Path().on(MODES)
    t = torch.tensor([0.5])
    log_snr = levels(t)
    log_snr[..., 0], log_snr[..., 1] = torch.inf, -torch.inf
    weights = loss.weights(levels, t, log_snr)
    assert weights[0, 0, :2].tolist() == [0, 0]
    assert weights[0, 0, 2] > 0


def test_l2_weights_do_not_depend_on_resolution_and_white_ones_do() -> None:
    """Sums of trace-class weights over coefficients converge as more of them are kept."""

    def total(n: int, prior: Prior, norm: float) -> float:
        k = torch.arange(1, n + 1, dtype=torch.float64)
        modes = Modes(torch.log(0.5 * k**-4.0)[None], k, points=n, extent=(1.0,))
        path = Path(Hierarchy(), prior, lowest=-4, highest=6, ends="given")
        levels, t = path.on(modes), torch.tensor([0.5], dtype=torch.float64)
        return float(Loss("noise", norm).weights(levels, t, levels(t)).sum())

    smooth = [total(n, Prior("matern", 1.5), 1.0) for n in (64, 128, 256)]
    assert smooth[1] == pytest.approx(smooth[2], rel=1e-3)
    white = [total(n, Prior("white"), 0.0) for n in (64, 128, 256)]
    assert white[1] != pytest.approx(white[2], rel=1e-3)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Loss("noise", 1.5), "norm from 0 to 1"),
        (lambda: Loss("turn", 0.5), "norm 0 for the weight turn"),
        (lambda: Variation(strengths=(2.0, 1.0)), "low <= high"),
        (lambda: Variation(clean=0.7, drowned=0.7), "clean \\+ drowned <= 1"),
        (lambda: Variation(apart=-0.1), "lower them"),
    ],
)
def test_bad_numbers_are_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def uniforms(n: int, count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, count, generator=torch.Generator().manual_seed(seed)).double()


def test_a_weight_that_is_a_speed_takes_no_varied_levels() -> None:
    with pytest.raises(ValueError, match="turn or noise"):
        preset("cld", variation=Variation(apart=0.5))


def test_variation_gives_the_shares_it_names() -> None:
    n, channels = 4000, 2
    modes = Modes(torch.zeros(channels, 3).double())
    variation = Variation(clean=0.2, drowned=0.3, apart=0.4)
    levels = Path(Hierarchy(), lowest=-4, highest=4).on(modes)
    t = torch.full((n,), 0.5, dtype=torch.float64)
    found = variation(levels, t, uniforms(n, variation.numbers(channels)))
    clean, drowned = found == torch.inf, found == -torch.inf
    # both channels fixed at once is 0.5^2 of the members, which are left free
    for share, expected in ((clean, 0.2 * 0.5), (drowned, 0.3 * 0.5)):
        error = 4 * (expected * (1 - expected) / n) ** 0.5
        assert float(share[:, 0, 0].double().mean()) == pytest.approx(expected, abs=error)
    assert not ((clean | drowned).all(1)).any()
    free = found[~(clean | drowned).any((1, 2))]
    apart = (free[:, 0, 0] != free[:, 1, 0]).double().mean()
    assert float(apart) == pytest.approx(0.4, abs=4 * (0.24 / len(free)) ** 0.5)
    assert (free.abs() <= 4).all()


def test_variation_of_strength_is_uniform_and_of_each_member() -> None:
    variation, levels = Variation(strengths=(0.4, 1.6)), Path(Hierarchy(1.0)).on(MODES)
    u = uniforms(200, 4)
    found = variation(levels, torch.full((200,), 0.3).double(), u)
    spread = (found[:, 0, 0] - found[:, 0, 2]) / (LOG_VARIANCE[0, 0] - LOG_VARIANCE[0, 2])
    torch.testing.assert_close(spread, 0.4 + 1.2 * u[:, 0])
    assert not Variation().varies
    still = Variation()(levels, torch.tensor([0.3]).double(), uniforms(1, 4))
    torch.testing.assert_close(still, levels(torch.tensor([0.3]).double()))
    assert replace(variation, strengths=(1.0, 1.0)) == Variation()
