"""Denoisers against closed posteriors, quadrature, and the Wiener filter."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.generative import (
    Architecture,
    Backbone,
    FourierBasis,
    GaussianDenoiser,
    Hierarchy,
    MixtureDenoiser,
    NeuralDenoiser,
    Path,
    Surrogate,
)
from pushforward.generative.denoiser import angle
from pushforward.solvers import GaussianField, Grid, Use, uniforms

levels = st.floats(-8, 8)
quick = settings(max_examples=30, deadline=None, derandomize=True)


def scalar(value: float) -> torch.Tensor:
    return torch.full((1, 1, 1), value, dtype=torch.float64)


@given(log_snr=levels)
@quick
def test_angle_splits_signal_and_noise(log_snr: float) -> None:
    theta = angle(scalar(log_snr)).item()
    assert math.exp(log_snr) == pytest.approx(1 / math.tan(theta) ** 2, rel=1e-9)


@given(log_snr=levels, variance=st.floats(0.01, 50), xi=st.floats(-20, 20))
@quick
def test_gaussian_denoiser_is_the_closed_posterior(
    log_snr: float, variance: float, xi: float
) -> None:
    exact = GaussianDenoiser(torch.full((1, 1), variance, dtype=torch.float64))
    posterior = variance / (variance + math.exp(-log_snr)) * xi
    assert exact(scalar(xi), scalar(log_snr)).item() == pytest.approx(
        posterior, rel=1e-9, abs=1e-12
    )


def test_gaussian_denoiser_has_the_least_error_of_all_linear_ones() -> None:
    """On draws: the mean square error is the posterior variance, and any other gain has more."""
    generator = torch.Generator().manual_seed(0)
    variance = torch.tensor([[0.3, 4.0]], dtype=torch.float64)
    x = torch.randn(20_000, 1, 2, generator=generator, dtype=torch.float64) * variance.sqrt()
    level = torch.tensor([[0.5, -1.0]], dtype=torch.float64).expand_as(x)
    noise = torch.exp(-level / 2)
    xi = x + noise * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    error = (GaussianDenoiser(variance)(xi, level) - x).square()
    posterior = (1 / (1 / variance + level[0].exp()))[0]
    assert ((error.mean(0)[0] - posterior).abs() < 4 * posterior * math.sqrt(2 / 20_000)).all()
    wrong = (GaussianDenoiser(variance * 2)(xi, level) - x).square()
    assert (wrong.mean(0) > error.mean(0)).all()


WEIGHTS = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
MEANS = torch.tensor([-2.0, 0.5, 3.0], dtype=torch.float64)
VARIANCES = torch.tensor([0.1, 1.0, 0.4], dtype=torch.float64)


@pytest.mark.parametrize("log_snr", [-6.0, -2.0, 0.0, 1.5, 5.0])
@pytest.mark.parametrize("xi", [-5.0, -1.0, 0.0, 0.8, 4.0])
def test_mixture_denoiser_is_the_posterior_by_quadrature(log_snr: float, xi: float) -> None:
    x = torch.linspace(-12, 12, 200_001, dtype=torch.float64)
    prior = (
        WEIGHTS
        * torch.exp(-0.5 * (x[:, None] - MEANS) ** 2 / VARIANCES)
        / (2 * math.pi * VARIANCES).sqrt()
    ).sum(1)
    posterior = prior * torch.exp(-0.5 * (xi - x) ** 2 * math.exp(log_snr))
    brute = float((x * posterior).sum() / posterior.sum())
    exact = MixtureDenoiser(WEIGHTS, MEANS[:, None, None], VARIANCES[:, None, None])
    assert exact(scalar(xi), scalar(log_snr)).item() == pytest.approx(brute, abs=1e-8)
    one = GaussianDenoiser(1.0)(scalar(xi), scalar(log_snr)).item()
    assert abs(one - brute) > 1e-4  # the Wiener filter is not the answer


def test_mixture_components_are_chosen_by_all_coefficients_together() -> None:
    """One clear coefficient decides the component, and with it the mean of a drowned one."""
    means = torch.tensor([[[-3.0, -1.0]], [[3.0, 1.0]]], dtype=torch.float64)
    exact = MixtureDenoiser(torch.ones(2).double(), means, torch.full_like(means, 0.01))
    log_snr = torch.tensor([[[8.0, -20.0]]], dtype=torch.float64)
    xi = torch.tensor([[[3.0, 0.0]]], dtype=torch.float64)
    torch.testing.assert_close(exact(xi, log_snr)[0, 0, 1].item(), 1.0, rtol=0, atol=1e-3)


def skewed(grid: Grid, count: int, channels: int = 1, seed: int = 0) -> torch.Tensor:
    """Fields that are far from Gaussian: exponentials of Gaussian ones."""
    field = GaussianField.matern(3.0, 0.5, deviation=1.0, cutoff=4)
    z = field.sample(range(count * channels), grid, seed).unflatten(0, (count, channels))
    return torch.exp(z).float()


@pytest.mark.parametrize("grid", [Grid((24,)), Grid((16, 20)), Grid((12, 10, 12))], ids=str)
@pytest.mark.parametrize("channels", [1, 2])
def test_untrained_network_is_the_wiener_filter_exactly(grid: Grid, channels: int) -> None:
    basis = FourierBasis.fit(skewed(grid, 40, channels), grid)
    neural = NeuralDenoiser(basis, Backbone(width=6, modes=3, layers=1))
    xi = 3 * basis.noise(0, Use.PRIOR, range(5))
    log_snr = torch.linspace(-10, 10, 5)[:, None, None] + basis.log_variance.float()
    assert (neural.correction(xi, log_snr) == 0).all()
    wiener = torch.sigmoid(log_snr) * xi  # snr / (1 + snr)
    torch.testing.assert_close(neural(xi, log_snr), wiener, rtol=1e-5, atol=1e-6)


def disturb(neural: NeuralDenoiser) -> None:
    """Moves a network off its zero start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for parameter in neural.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)


def test_network_gives_nothing_to_dropped_coefficients() -> None:
    grid = Grid((16, 16))
    basis = FourierBasis.fit(skewed(grid, 40, 2), grid)
    neural = NeuralDenoiser(basis, Backbone(width=6, modes=3, layers=1))
    disturb(neural)
    y = basis.noise(0, Use.PRIOR, range(4))
    log_snr = torch.tensor([-3.0, 0.0, 2.0, 9.0])[:, None, None].expand_as(y)
    answer = neural.correction(y, log_snr)
    assert (answer * ~basis.mask == 0).all()
    assert answer.std() > 1e-3
    alone = torch.cat([neural.correction(y[i : i + 1], log_snr[i : i + 1]) for i in range(4)])
    torch.testing.assert_close(alone, answer, rtol=1e-4, atol=1e-5)


def test_network_commutes_with_translations() -> None:
    """The denoiser of a homogeneous law sees no place in the box."""
    grid = Grid((16, 16))
    basis = FourierBasis.fit(skewed(grid, 40), grid)
    neural = NeuralDenoiser(basis, Backbone(width=6, modes=3, layers=1))
    disturb(neural)
    y = basis.noise(0, Use.PRIOR, range(3))
    size = neural.grids[-1].shape
    shift = torch.tensor([[1 / size[0], 3 / size[1]]] * 3)  # whole points of the network's grid
    log_snr = basis.log_variance.float().expand_as(y) + 8
    moved = neural.correction(basis.translate(y, shift), log_snr)
    expected = basis.translate(neural.correction(y, log_snr), shift)
    torch.testing.assert_close(moved, expected, rtol=1e-3, atol=1e-4)


def test_network_moves_with_the_mean_where_the_law_differs_from_place_to_place() -> None:
    """The mean alone tells it where it is: moved together, fields and mean move the answer."""
    grid = Grid((16, 16))
    x = torch.arange(16).double() / 16
    shift, moved = torch.tensor([[0.0, 0.25]] * 3), torch.sin(2 * math.pi * (x - 0.25))
    u = skewed(grid, 400)
    here, there = (
        FourierBasis.fit(u - u.mean(0) + 3 * mean, grid)
        for mean in (torch.sin(2 * math.pi * x), moved)
    )
    one, two, still = (
        NeuralDenoiser(basis, Backbone(width=6, modes=3, layers=1))
        for basis in (here, there, here)
    )
    disturb(one)
    for other in (two, still):
        other.load_state_dict(dict(one.named_parameters()), strict=False)
    y = here.noise(0, Use.PRIOR, range(3))
    log_snr = here.log_variance.float().expand_as(y) + 8
    expected = here.translate(one.correction(y, log_snr), shift)
    torch.testing.assert_close(
        two.correction(here.translate(y, shift), log_snr), expected, rtol=1e-2, atol=1e-3
    )
    wrong = still.correction(
        here.translate(y, shift), log_snr
    )  # negative control: an unmoved mean
    assert (wrong - expected).abs().max() > 0.05 * expected.abs().max()


def test_network_learns_where_a_field_is_rough() -> None:
    """A variance locked to the mean's crest is learnt by a network that sees the mean."""
    grid = Grid((32,))
    x = torch.arange(32).double() / 32
    noise = torch.randn(512, 1, 32, generator=torch.Generator().manual_seed(1)).double()
    crest = torch.sin(2 * math.pi * x)
    u = GaussianField.matern(2.0, 0.2, deviation=1.0).sample(range(512), grid)[:, None]
    u = u * torch.exp(crest) + 0.01 * noise
    losses = []
    for mean in (3 * crest, torch.zeros(32)):
        surrogate = Surrogate.fit(
            Architecture(backbone=Backbone(width=16, modes=8, layers=2)),
            u - u.mean(0) + mean,
            grid,
        )
        z = surrogate.basis.analyse(u - u.mean(0) + mean, grid).float()
        optimizer = torch.optim.Adam(surrogate.denoiser.parameters(), 3e-3)
        generator = torch.Generator().manual_seed(0)
        tail = []
        for _ in range(150):
            some = z[torch.randint(len(z), (64,), generator=generator)]
            places = (torch.arange(64) + torch.rand(64, generator=generator)) / 64
            eps = torch.randn(some.shape, generator=generator)
            loss = surrogate.loss(some, places, eps).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            tail.append(loss.item())
        losses.append(torch.tensor(tail[-50:]))
    told, untold = losses
    error = ((told.var() + untold.var()) / 50).sqrt()
    assert untold.mean() - told.mean() > 4 * error


@pytest.mark.parametrize("hierarchy", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("copies", [1, 2])
def test_loss_of_an_untrained_surrogate_is_one(hierarchy: float, copies: int) -> None:
    """Also where a channel repeats another: dropped coefficients are no part of the mean."""
    grid, count = Grid((16, 16)), 800
    u = skewed(grid, count).repeat(1, copies, 1, 1)
    architecture = Architecture(
        path=Path(Hierarchy(hierarchy)), backbone=Backbone(width=4, modes=2, layers=1)
    )
    surrogate = Surrogate.fit(architecture, u, grid)
    x = surrogate.basis.analyse(u, grid)
    t = uniforms(0, Use.LEVEL, range(count), [torch.zeros(1, dtype=torch.int64)])[:, 0].float()
    eps = surrogate.basis.noise(0, Use.TRAINING, range(count))
    loss = surrogate.loss(x, t, eps)
    assert loss.shape == (count,)
    error = loss.std().item() / math.sqrt(count)
    assert abs(loss.mean().item() - 1) < 4 * error
    assert abs(surrogate.loss(1.3 * x, t, eps).mean().item() - 1) > 4 * error
