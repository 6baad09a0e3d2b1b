"""What all backbones promise: zero until trained, any grid, a condition heard in every block."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from pushforward.generative.backbone import Backbone
from pushforward.generative.band import resample

FNO = Backbone("fno", width=6, modes=3, layers=2)
UNO = Backbone("uno", width=6, modes=3, layers=2)
UNET = Backbone("unet", width=6, layers=2)
FREE = [dataclasses.replace(kind, alias_free=True) for kind in (FNO, UNO)]
ALL = [FNO, UNO, UNET, *FREE]
GRIDS = [(16,), (7,), (8, 12), (9, 5), (5, 6, 4)]
PAIRS = [
    *itertools.permutations([(9,), (16,), (31,)], 2),
    *itertools.permutations([(9, 10), (16, 11), (32, 9), (20, 20)], 2),
    ((9, 10, 11), (14, 9, 10)),
]


def name(value: object) -> str:
    if isinstance(value, Backbone):
        return value.kind + "-alias-free" * value.alias_free
    return str(value).replace(" ", "")


def build(
    backbone: Backbone,
    ndim: int,
    periodic: bool = True,
    trained: bool = True,
    dtype: torch.dtype = torch.float64,
) -> nn.Module:
    """A network from 2 channels to 3, with 4 conditions; `trained` moves all its parameters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = backbone.build(2, 3, condition=4, ndim=ndim, periodic=periodic).double()
        if trained:
            for parameter in network.parameters():
                parameter.data += 0.2 * torch.randn_like(parameter)
    return network.to(dtype)


def rough(shape: tuple[int, ...], seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 2, *shape, generator=generator, dtype=torch.float64)


def band_limited(shape: tuple[int, ...], periodic: bool = True) -> torch.Tensor:
    """The same functions on every grid of at least 9 points an axis: waves |k_i| <= 4."""
    return resample(rough((9,) * len(shape)), shape, periodic)


CONDITION = torch.tensor(
    [[0.1, -1.0, 2.0, 0.5], [1.0, 0.3, -0.2, 0.0], [-2.0, 1.0, 0.4, 0.9]], dtype=torch.float64
)


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize("shape", GRIDS, ids=name)
@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_untrained_networks_are_zero_on_any_grid(
    backbone: Backbone, shape: tuple[int, ...], periodic: bool
) -> None:
    untrained = build(backbone, len(shape), periodic, trained=False)
    out = untrained(rough(shape), CONDITION)
    assert out.shape == (3, 3, *shape)
    assert (out == 0).all()
    trained = build(backbone, len(shape), periodic)
    assert trained(rough(shape), CONDITION).std() > 0.01
    assert trained(rough(shape), CONDITION).isfinite().all()


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_every_parameter_learns_after_a_first_step(backbone: Backbone, periodic: bool) -> None:
    network = build(backbone, 2, periodic, trained=False)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    u = rough((18, 16))  # with waves beyond the band of alias-free networks
    target = u[:, [0, 1, 0]] ** 2 + u[:, [1, 0, 1]]
    for _ in range(2):
        optimiser.zero_grad()
        (network(u, CONDITION) - target).square().mean().backward()
        before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
        optimiser.step()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 1e-9, key
        assert not parameter.equal(before[key]), key


@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_weights_serve_every_grid(backbone: Backbone) -> None:
    """No shape in a state depends on a grid: what ran on one is loaded for another."""
    one, two = build(backbone, 2), build(backbone, 2, trained=False)
    out = one(rough((12, 7)), CONDITION)
    two(rough((20, 20)), CONDITION)
    two.load_state_dict(one.state_dict())
    assert two(rough((12, 7)), CONDITION).equal(out)


def modulations(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return ((key, part) for key, part in network.named_modules() if key.endswith("film"))


@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_condition_is_heard_in_every_block(backbone: Backbone) -> None:
    """With all other blocks deaf, each one alone still passes the condition on."""
    network = build(backbone, 2)
    u, keys = rough((12, 11)), [key for key, _ in modulations(network)]
    assert len(keys) >= backbone.layers
    for beyond in (key for key, _ in network.named_parameters() if "beyond.weight" in key):
        network.get_parameter(beyond).data.zero_()
    for heard in [*keys, None]:
        copy = build(backbone, 2)
        copy.load_state_dict(network.state_dict())
        for key, film in modulations(copy):
            if key != heard:
                film.get_parameter("weight").data.zero_()
        change = (copy(u, CONDITION) - copy(u, CONDITION.flip(0))).abs().max()
        assert (change > 1e-3) == (heard is not None), heard


@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_members_do_not_meet(backbone: Backbone) -> None:
    network, u = build(backbone, 2), rough((10, 9))
    out = network(u, CONDITION)
    torch.testing.assert_close(network(u[1:], CONDITION[1:]), out[1:], rtol=1e-11, atol=1e-11)


def asymmetry(
    backbone: Backbone, points: tuple[int, ...], shape: tuple[int, ...], periodic: bool = True
) -> float:
    """How far a network on `shape` is from commuting with a move by some points."""
    network, axes = build(backbone, len(shape), periodic), tuple(range(2, 2 + len(shape)))
    u = rough(shape)
    with torch.no_grad():
        there = network(u, CONDITION).roll(points, axes)
        gap = network(u.roll(points, axes), CONDITION) - there
    return float(gap.abs().max() / there.std())


@pytest.mark.parametrize("shape", [(26,), (26, 52), (26, 26, 26)], ids=name)
@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_periodic_networks_commute_with_translations(
    backbone: Backbone, shape: tuple[int, ...]
) -> None:
    """By the points that a network works on: the grid's own, the coarsest ones of a U-Net, the
    4 modes + 1 = 13 of an alias-free FNO. The depths of a UNO have none in common."""
    points = tuple(n // 13 for n in shape)
    if backbone.kind == "uno":
        backbone = dataclasses.replace(backbone, layers=1)
    if backbone == FNO:
        points = tuple(range(1, 1 + len(shape)))
    assert asymmetry(backbone, points, shape) < 1e-10
    assert asymmetry(backbone, points, shape, periodic=False) > 0.01  # walls stay where they are


@pytest.mark.parametrize("backbone", [UNO, *FREE], ids=name)
def test_between_their_points_they_almost_do(backbone: Backbone) -> None:
    """What is left are aliases of silu on twice as many points; a U-Net as negative control."""
    assert 1e-10 < asymmetry(backbone, (1, 1), (32, 32)) < 0.2
    assert asymmetry(UNET, (1, 1), (32, 32)) > 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize(("n", "m"), PAIRS, ids=name)
@pytest.mark.parametrize("backbone", FREE, ids=name)
def test_alias_free_networks_are_one_operator_on_all_grids(
    backbone: Backbone,
    n: tuple[int, ...],
    m: tuple[int, ...],
    periodic: bool,
    dtype: torch.dtype,
) -> None:
    """The output on N points is the output on M points, interpolated."""
    network = build(backbone, len(n), periodic, dtype=dtype)
    with torch.no_grad():
        on_n, on_m = (
            network(band_limited(shape, periodic).to(dtype), CONDITION.to(dtype))
            for shape in (n, m)
        )
    common = [min(sizes) for sizes in zip(n, m, strict=True)]
    common = [size - 1 + size % 2 for size in common] if periodic else common  # no Nyquist waves
    there, back = resample(on_n, common, periodic), resample(on_m, common, periodic)
    tolerance = (1e-12 if dtype == torch.float64 else 1e-5) * float(on_m.abs().max())
    torch.testing.assert_close(there, back, rtol=0, atol=tolerance)
    assert on_m.std() > 0.1


@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
@pytest.mark.parametrize("backbone", [FNO, UNO, UNET], ids=name)
def test_other_networks_are_not(backbone: Backbone, periodic: bool) -> None:
    network, n, m = build(backbone, 2, periodic), (11, 9), (22, 27)
    with torch.no_grad():
        on_n = network(band_limited(n, periodic), CONDITION)
        on_m = network(band_limited(m, periodic), CONDITION)
    gap = (resample(on_m, n, periodic) - on_n).abs().max() / on_m.std()
    assert gap > 0.01


@pytest.mark.parametrize("backbone", FREE, ids=name)
def test_waves_beyond_an_alias_free_band_are_answered_linearly(backbone: Backbone) -> None:
    """And by the condition: u with waves |k| <= 6 = 2 modes plus v with waves beyond."""
    network = build(backbone, 1)
    x = torch.arange(40, dtype=torch.float64) / 40
    v = torch.cos(2 * torch.pi * 9 * x).expand(3, 2, 40)
    u = band_limited((40,))
    zero = network(u, CONDITION)
    once, twice = network(u + v, CONDITION) - zero, network(u + 2 * v, CONDITION) - zero
    torch.testing.assert_close(twice, 2 * once, rtol=0, atol=1e-10)
    assert (once[0] / v[0, 0]).std() > 0.1  # another factor per channel, none per point
    torch.testing.assert_close(once, once[..., :1] * v[:, :1] / v[0, 0, 0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("backbone", [FNO, UNO], ids=name)
@pytest.mark.parametrize("periodic", [True, False], ids=["periodic", "walls"])
def test_more_modes_than_a_grid_resolves(backbone: Backbone, periodic: bool) -> None:
    """A coarse grid uses what it resolves: modes that it lacks change nothing there."""
    network = build(dataclasses.replace(backbone, modes=9), 2, periodic)
    small, large = rough((8, 7)), rough((24, 24))
    before, there = network(small, CONDITION), network(large, CONDITION)
    weight = next(p for key, p in network.named_parameters() if "spectral.weight" in key)
    weight.data[-1] += 1.0  # the highest waves of the first axis
    assert network(small, CONDITION).equal(before)
    assert (network(large, CONDITION) - there).abs().max() > 1e-3


@pytest.mark.parametrize("backbone", ALL, ids=name)
def test_networks_differentiate_forwards_and_twice(backbone: Backbone) -> None:
    """What likelihoods need: J v by forward mode, v J by reverse mode, and gradients of both."""
    network, u = build(backbone, 1), rough((8,))
    v, w = rough((8,), 2), torch.cat([rough((8,), 3), rough((8,), 4)[:, :1]], 1)

    def apply(u: torch.Tensor) -> torch.Tensor:
        return network(u, CONDITION)

    forward = torch.func.jvp(apply, (u,), (v,))[1]
    u = u.requires_grad_()
    (backward,) = torch.autograd.grad((apply(u) * w).sum(), u, create_graph=True)
    torch.testing.assert_close((forward * w).sum(), (backward * v).sum(), rtol=1e-10, atol=1e-10)
    (second,) = torch.autograd.grad((backward * v).sum(), u)
    assert second.abs().max() > 1e-6
    (many,) = torch.func.vmap(torch.func.vjp(apply, u.detach())[1])(torch.stack([w, 2 * w]))
    torch.testing.assert_close(many[1], 2 * backward.detach(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "width to be at least 1, got 0"),
        ({"modes": -1}, "modes to be at least 1, got -1"),
        ({"layers": 0}, "layers to be at least 1, got 0"),
        ({"kind": "unet", "alias_free": True}, "expected alias_free false"),
    ],
)
def test_impossible_backbones_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(Backbone(), **change)


def test_an_unknown_kind_is_refused() -> None:
    backbone = Backbone()
    object.__setattr__(backbone, "kind", "vit")  # past the types, which tests check at run time
    with pytest.raises(ValueError, match="got 'vit'; choose one"):
        backbone.__post_init__()


@pytest.mark.parametrize(
    ("channels", "condition", "ndim"),
    [((0, 1), 1, 2), ((1, 0), 1, 2), ((1, 1), 0, 2), ((1, 1), 1, 0), ((1, 1), 1, 4)],
)
def test_impossible_networks_are_refused(
    channels: tuple[int, int], condition: int, ndim: int
) -> None:
    with pytest.raises(ValueError, match="change the one that is off"):
        Backbone().build(*channels, condition=condition, ndim=ndim)
