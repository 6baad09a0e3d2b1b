"""What an FNO does at a point, compiled: the plain formulas in double precision, and torch's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pushforward.generative import perceptron
from pushforward.generative.fno import FNO
from pushforward.generative.head import headed
from pushforward.generative.layer import layered
from pushforward.solvers.kernels import libraries

ISAS = list(libraries.built())
SINGLE = 2e-6  # round-off of sums over channels and points, relative

pytestmark = pytest.mark.skipif(not ISAS, reason="no kernel was compiled here")
each_isa = pytest.mark.parametrize("isa", ISAS)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def off(found: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest number."""
    return float(((found - expected).abs().max() / expected.abs().max()).detach())


def parts(width: int, points: int) -> list[Tensor]:
    """h, z, back, local, mix of a layer with 4 waves a point of its first axis."""
    rows, size = points // 3, width**0.5
    back = drawn(3, 4, seed=2)
    return [
        drawn(2, points, width),
        drawn(2, 4, rows * width, seed=1),
        back,
        drawn(2, width, width, seed=3) / size,
        drawn(width, width, seed=4) / size,
    ]


def ends(width: int, points: int, channels: int) -> list[Tensor]:
    """h, hidden, bias, project, offset of a head."""
    size = width**0.5
    return [
        drawn(2, points, width),
        drawn(width, width, seed=1) / size,
        drawn(width, seed=2),
        drawn(channels, width, seed=3) / size,
        drawn(channels, seed=4),
    ]


def plain_layer(h: Tensor, z: Tensor, back: Tensor, local: Tensor, mix: Tensor) -> Tensor:
    seen = h @ local + (back @ z).view(h.shape)
    return h + (seen * torch.sigmoid(seen)) @ mix.T


def plain_head(h: Tensor, hidden: Tensor, bias: Tensor, project: Tensor, offset: Tensor) -> Tensor:
    seen = torch.einsum("dc,bpc->bpd", hidden, h) + bias
    return torch.einsum("od,bpd->bop", project, seen * torch.sigmoid(seen)) + offset[:, None]


def gradients(out: Tensor, given: list[Tensor]) -> list[Tensor]:
    wanted = [x for x in given if x.requires_grad]
    weight = drawn(*out.shape, seed=9).to(out)
    return list(torch.autograd.grad((out * weight).sum(), wanted, create_graph=True))


CASES = [("layer", 32, 3), ("layer", 64, 201), ("head", 32, 1), ("head", 64, 200)]


@each_isa
@pytest.mark.parametrize(("what", "width", "points"), CASES)
def test_it_is_the_plain_formula_and_its_gradients(
    isa: str, what: str, width: int, points: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks, their remainders and single points; first gradients, and those of gradients."""
    monkeypatch.setenv(libraries.VARIABLE, isa)
    made, plain = (layered, plain_layer) if what == "layer" else (headed, plain_head)
    given = parts(width, points) if what == "layer" else ends(width, points, 3)
    assert perceptron.serves(given[0], given[-1] if what == "layer" else given[1])
    exact = [x.double() for x in given]
    for n, (mine, theirs) in enumerate(zip(given, exact, strict=True)):
        for x in (mine, theirs):
            x.requires_grad_(what == "head" or n != 2)  # `back` is a table
    out, expected = made(*given), plain(*exact)
    assert off(out, expected) < SINGLE
    with torch.no_grad():
        assert torch.equal(made(*given), out)
    first, truth = gradients(out, given), gradients(expected, exact)
    for mine, theirs in zip(first, truth, strict=True):
        assert off(mine, theirs) < SINGLE
    second, truth = (
        torch.autograd.grad(found[0].square().sum(), some[0])[0]
        for found, some in ((first, given), (truth, exact))
    )
    assert off(second, truth) < 10 * SINGLE
    wrong = plain(*[*exact[:-1], 1.001 * exact[-1]])  # negative control
    assert off(out, wrong) > 10 * SINGLE


@each_isa
def test_the_activation_is_right_everywhere(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From drowned to saturated, and no number stays none."""
    monkeypatch.setenv(libraries.VARIABLE, isa)
    x = torch.linspace(-100, 100, 32 * 1001).view(1, -1, 32)
    zero, eye = torch.zeros(32), torch.eye(32)
    out, _ = perceptron.ended(x, eye, zero, eye[:8], zero[:8])
    expected = F.silu(x.double())[..., :8].mT
    torch.testing.assert_close(out.double(), expected, rtol=1e-6, atol=1e-30)
    x[0, 5, 3] = torch.nan
    out, _ = perceptron.ended(x, eye, zero, eye[:8], zero[:8])
    assert out[0, 3, 5].isnan()
    assert not out[0, :, 6].isnan().any()


@each_isa
def test_a_network_is_torch_s_to_round_off(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = FNO(3, 2, condition=4, width=32, modes=3, layers=2, ndim=2)
    for number, parameter in enumerate(network.parameters()):
        parameter.data += 0.1 * drawn(*parameter.shape, seed=number)
    u, condition = drawn(4, 3, 14, 10).requires_grad_(), drawn(4, 4)

    def found(kernel: str) -> list[Tensor]:
        monkeypatch.setenv(libraries.VARIABLE, kernel)
        out = network(u, condition)
        return [out, *gradients(out, [u, *network.parameters()])]

    for mine, theirs in zip(found(isa), found("torch"), strict=True):
        assert off(mine, theirs) < 10 * SINGLE


@each_isa
def test_a_member_s_bits_depend_on_no_other(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(libraries.VARIABLE, isa)
    h, seen, _, local, mix = parts(32, 201)
    seen = drawn(*h.shape, seed=7)
    together = perceptron.applied(h, seen.clone(), local, mix)
    alone = perceptron.applied(h[1:], seen[1:].clone(), local[1:], mix)
    assert torch.equal(together[1:], alone)


def test_what_it_does_not_serve_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    h, eye = drawn(1, 4, 32), torch.eye(32)
    assert perceptron.serves(h, eye)
    assert not perceptron.serves(h.double(), eye.double())
    assert not perceptron.serves(h[..., :6], eye[:6, :6])
    assert not perceptron.serves(h.to("meta"), eye.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not perceptron.serves(h, eye)
    with pytest.raises(ValueError, match="contiguous fields"):  # rather than another's memory
        perceptron.applied(h, drawn(1, 32, 4).mT, eye[None], eye)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert not perceptron.serves(h, eye)
    monkeypatch.undo()
    monkeypatch.setenv(libraries.VARIABLE, "torch")
    assert not perceptron.serves(h, eye)
    given = ends(32, 5, 2)
    assert off(headed(*given), plain_head(*(x.double() for x in given))) < SINGLE


def test_other_derivatives_are_the_plain_formula_s() -> None:
    """Forwards, and by torch.func, where no compiled pass can be seen through."""
    given, exact = ends(32, 7, 2), [x.double() for x in ends(32, 7, 2)]
    v = drawn(2, 7, 32, seed=8)

    def pushed(some: list[Tensor], v: Tensor) -> Tensor:
        return torch.func.jvp(lambda h: headed(h, *some[1:]), (some[0],), (v,))[1]

    assert off(pushed(given, v), pushed(exact, v.double())) < SINGLE
    back = [
        torch.func.grad(lambda h, s=some: headed(h, *s[1:]).square().sum())(some[0])
        for some in (given, exact)
    ]
    assert off(*back) < SINGLE
