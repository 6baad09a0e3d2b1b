"""Angles: shares that add up, clean and resting coefficients, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pushforward.generative.angles import Angles, log_snr
from pushforward.generative.denoiser import angle

LIKE = torch.zeros(1, 1, 2, dtype=torch.float64)


def common(t: Tensor) -> Tensor:
    return (14 - 26 * t)[:, None, None].expand(-1, 1, 2)


def sequential(t: Tensor) -> Tensor:
    """The second coefficient drowns first; both are clean or lost outside of their windows."""
    clock = torch.stack([14 - 26 * (2 * t - 1), 14 - 26 * 2 * t], 1)[:, None]
    return clock.masked_fill(clock > 14, math.inf).masked_fill(clock < -12, -math.inf)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_snr_is_the_inverse_of_the_angle(dtype: torch.dtype) -> None:
    levels = torch.tensor([-math.inf, -15, -3, 0, 3, 20, math.inf], dtype=dtype)
    tolerance = 1e-3 if dtype == torch.float32 else 1e-9
    torch.testing.assert_close(log_snr(angle(levels)), levels, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("levels", [common, sequential])
def test_an_integral_over_shares_is_the_integral_over_angles(
    levels: Callable[[Tensor], Tensor],
) -> None:
    """of cos(theta) d theta = sin at the ends, by the midpoint rule over shares."""
    angles = Angles(levels, LIKE)
    theta, slope = angles.at((torch.arange(40000, dtype=torch.float64) + 0.5) / 40000)
    ends = angles(torch.tensor([0.0, 1.0], dtype=torch.float64))
    exact = ends[1].sin() - ends[0].sin()
    torch.testing.assert_close((theta.cos() * slope).mean(0), exact, rtol=0, atol=1e-5)
    plain = Angles(levels, LIKE, cells=4).at(torch.full((1,), 0.5, dtype=torch.float64))
    assert not torch.allclose(plain[0].cos() * plain[1], exact, atol=1e-2)


def test_times_give_every_step_its_share() -> None:
    """Half by the angle, half by log(1 + snr): here the same for both coefficients."""
    times = Angles(common, LIKE).times(8)
    theta = angle(14 - 26 * times)
    depth = (theta.sin().square() + 1e-6).log()
    share = theta.diff() / (theta[-1] - theta[0]) / 2 + depth.diff() / (depth[-1] - depth[0]) / 2
    torch.testing.assert_close(share, torch.full_like(share, 1 / 8), rtol=0, atol=1e-4)
    assert times[0] == 0
    assert times[-1] == 1


def test_a_path_is_not_looked_at_where_it_rests() -> None:
    def levels(t: Tensor) -> Tensor:
        return (10 - 60 * t).clamp(-10, 10)[:, None, None].expand(-1, 1, 2)

    angles = Angles(levels, LIKE)
    assert float(angles.end.max()) < 0.35
    theta, slope = angles.at(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert torch.isfinite(theta).all()
    assert torch.isfinite(slope).all()


def test_what_counts() -> None:
    def levels(t: Tensor) -> Tensor:
        noisy = 5 - 10 * t
        return torch.stack([noisy + math.inf, noisy], 1)[:, None]

    assert Angles(levels, LIKE).counted.tolist() == [[False, True]]
    with pytest.raises(ValueError, match="some coefficient gets noisy"):
        Angles(levels, LIKE, torch.tensor([[True, False]]))


def test_refusals() -> None:
    with pytest.raises(ValueError, match="levels that fall"):
        Angles(lambda t: common(1 - t), LIKE)
    with pytest.raises(ValueError, match="levels of shape"):
        Angles(common, torch.zeros(1, 1, 3, dtype=torch.float64))
    with pytest.raises(ValueError, match="nan"):
        Angles(lambda t: common(t) * math.nan, LIKE)
