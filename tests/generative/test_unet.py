"""The convolutional U-Net: grids of any size, walls that reflect, attention between all points."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pushforward.generative.band import resample
from pushforward.generative.unet import Attention, ResidualBlock, UNet, double, halve

CONDITION = torch.tensor([[0.1, -1.0, 2.0, 0.5]] * 3, dtype=torch.float64)


def network(periodic: bool = True, ndim: int = 2, layers: int = 3) -> UNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        unet = UNet(2, 3, condition=4, width=8, layers=layers, ndim=ndim, periodic=periodic)
        for parameter in unet.double().parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
    return unet


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(3, 2, *shape, generator=torch.Generator().manual_seed(1)).double()


@pytest.mark.parametrize("shape", [(8,), (4, 6), (2, 8, 4)], ids=str)
def test_halving_takes_means_of_neighbours(shape: tuple[int, ...]) -> None:
    h = noise(*shape)
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(shape) - 1]
    for periodic in (True, False):
        torch.testing.assert_close(halve(h, periodic), pool(h, 2))
    torch.testing.assert_close(double(halve(h), shape), F.interpolate(pool(h, 2), scale_factor=2))


@pytest.mark.parametrize("shape", [(1,), (5,), (7, 4), (3, 5, 1)], ids=str)
def test_odd_axes_are_continued_by_a_point(shape: tuple[int, ...]) -> None:
    h = noise(*shape)
    around, reflected = halve(h), halve(h, periodic=False)
    assert around.shape[2:] == tuple((n + 1) // 2 for n in shape)
    assert double(around, shape).shape == h.shape
    corner = (..., *[-1] * len(shape))
    pieces = [[-1] if n % 2 == 0 else [-1, 0] for n in shape]
    pieces = [[-2, -1] if n % 2 == 0 else piece for n, piece in zip(shape, pieces, strict=True)]
    mean = torch.stack([h[(..., *at)] for at in itertools.product(*pieces)]).mean(0)
    torch.testing.assert_close(around[corner], mean)
    ends = [[-2, -1] if n % 2 == 0 else [-1] for n in shape]
    mean = torch.stack([h[(..., *at)] for at in itertools.product(*ends)]).mean(0)
    torch.testing.assert_close(reflected[corner], mean)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_a_convolution_does_not_reach_the_other_wall(ndim: int) -> None:
    bump = torch.zeros(1, 2, *[7] * ndim, dtype=torch.float64)
    bump[:, :, 0] = 1
    around, walls = network(True, ndim).lift, network(False, ndim).lift
    there = torch.cat([bump, torch.zeros(1, ndim, *[7] * ndim).double()], 1)  # no coordinates
    for lift, u, touched in ((around, bump, True), (walls, there, False)):
        change = lift(u) - lift(0 * u)
        assert change[:, :, 0].abs().max() > 0.1
        assert (change[:, :, -1].abs().max() > 0.1) == touched


def test_walls_reflect() -> None:
    """A block between walls does to a field what a periodic one does to the field doubled by
    reflection, if its kernels are even."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        walls = ResidualBlock(4, 8, 1, 5, periodic=False).double()
    torus = ResidualBlock(4, 8, 1, 5, periodic=True).double()
    for name in ("conv_in.weight", "conv.weight"):
        kernel = walls.get_parameter(name)
        kernel.data = kernel.data + kernel.data.flip(-1)
    torus.load_state_dict(walls.state_dict())
    h, e = torch.cat([noise(9), noise(9).flip(1)], 1), CONDITION[:, [0, 1, 2, 3, 0]]
    doubled = torus(torch.cat([h, h.flip(-1)], -1), e)
    torch.testing.assert_close(walls(h, e), doubled[..., :9])
    assert (torus(h, e) - doubled[..., :9]).abs().max() > 0.1  # negative control: it wraps


def test_attention_sees_all_points_and_no_order() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        attention = Attention(8).double()
        h = torch.randn(2, 8, 5, 3, dtype=torch.float64)
        order = torch.randperm(15)
    shuffled = h.flatten(2)[..., order].view_as(h)
    torch.testing.assert_close(attention(shuffled), attention(h).flatten(2)[..., order].view_as(h))
    far = h.clone()
    far[..., -1, -1] += 1
    assert (attention(far) - attention(h))[..., 0, 0].abs().max() > 1e-3


@pytest.mark.parametrize(("channels", "heads"), [(6, 1), (64, 2), (96, 3), (100, 2), (128, 4)])
def test_attention_equals_the_fused_kernel(channels: int, heads: int) -> None:
    attention = Attention(channels)
    assert attention.heads == heads
    h = torch.randn(2, channels, 4, 3, generator=torch.Generator().manual_seed(1))
    tokens = attention.norm(h).flatten(2).mT
    query, key, value = (
        part.unflatten(2, (heads, -1)).transpose(1, 2)
        for part in attention.read(tokens).chunk(3, 2)
    )
    mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    expected = h + attention.write(mixed).mT.view_as(h)
    torch.testing.assert_close(attention(h), expected, rtol=1e-5, atol=1e-5)


def test_a_block_is_local_but_for_the_means_of_its_norms() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        block = ResidualBlock(2, 4, 2, 4, periodic=False).double()
    u, far = noise(11, 11), noise(11, 11)
    far[..., 5, 5] += 1
    change = (block(far, CONDITION) - block(u, CONDITION)).abs().amax((0, 1))
    assert change[0, 0] > 0
    for name in ("norm_in", "norm"):
        block.set_submodule(name, nn.Identity())
    change = (block(far, CONDITION) - block(u, CONDITION)).abs().amax((0, 1))
    reached = change.nonzero()
    assert (reached.amin(0).tolist(), reached.amax(0).tolist()) == ([3, 3], [7, 7])


def test_it_is_no_operator_on_functions() -> None:
    """What the other backbones keep under refinement, it does not: its reach is in points."""
    unet, u = network(), 0.1 * noise(9, 9)
    with torch.no_grad():
        outputs = [unet(resample(u, (n, n)), CONDITION) for n in (16, 32, 64)]
    few, some, many = (resample(out, (9, 9)) for out in outputs)
    gaps = [float((fine - coarse).std()) for coarse, fine in ((few, some), (some, many))]
    assert gaps[1] > 0.3 * gaps[0] > 0.01
