"""Counter-based normals: Philox's published answers, the law, and addresses instead of streams."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pushforward.solvers import Use, normals, uniforms
from pushforward.solvers.kernels import libraries
from pushforward.solvers.normals import philox

ONES = 0xFFFFFFFF
KNOWN = [  # counter, key, answer: kat_vectors of Random123, philox4x32 with 10 rounds
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([ONES] * 4, [ONES] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(
    counter: list[int], key: list[int], answer: list[int]
) -> None:
    assert [word.item() for word in philox([torch.tensor([c]) for c in counter], key)] == answer


def parts(
    *, seed: int = 0, use: Use = Use.PRIOR, step: int = 0, members: int = 50
) -> torch.Tensor:
    """Independent standard normals, flat: the real and imaginary parts of 400 waves a member."""
    k = torch.arange(-10, 10)
    g = normals(seed, use, range(members), [k[:, None], k[None]], step)
    return torch.view_as_real(g).flatten()


def four_errors(sample: torch.Tensor, expected: float, variance: float) -> bool:
    return abs(sample.mean().item() - expected) < 4 * math.sqrt(variance / sample.numel())


def test_moments_are_those_of_a_standard_normal() -> None:
    g = parts()  # 40 000 numbers
    assert four_errors(g, 0, 1)
    assert four_errors(g**2, 1, 2)
    assert four_errors(g**3, 0, 15)
    assert four_errors(g**4, 3, 96)
    assert not four_errors((1.05 * g) ** 2, 1, 2)  # a 5 % wrong deviation is seen


def test_cumulative_distribution_is_normal() -> None:
    g = parts().sort().values
    theory = torch.special.ndtr(g)
    empirical = (torch.arange(len(g)) + 0.5) / len(g)
    limit = 1.95 / math.sqrt(len(g))  # Kolmogorov-Smirnov at 0.1 %
    assert (theory - empirical).abs().max() < limit
    assert (torch.special.ndtr(g + 0.05) - empirical).abs().max() > limit


@pytest.mark.parametrize("pair", ["parts", "waves", "members", "seeds", "uses", "steps"])
def test_numbers_at_different_addresses_are_independent(pair: str) -> None:
    g = torch.view_as_real(
        normals(0, Use.PRIOR, range(50), [torch.arange(20)[:, None], torch.arange(20)])
    )
    a, b = {
        "parts": (g[..., 0], g[..., 1]),
        "waves": (g[:, :, 1:], g[:, :, :-1]),
        "members": (g[1:], g[:-1]),
        "seeds": (parts(), parts(seed=1)),
        "uses": (parts(), parts(use=Use.CHURN)),
        "steps": (parts(step=1), parts(step=2)),
    }[pair]
    assert not torch.isin(a, b).any() or pair in ("waves", "members")  # those overlap by design
    assert four_errors(a * b, 0, 1)
    assert four_errors((a**2 - 1) * (b**2 - 1), 0, 4)
    assert not four_errors((a + 0.05 * b) * b, 0, 1)  # a correlation of 5 % is seen


@given(
    members=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=6, unique=True),
    waves=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
    step=st.integers(0, 2**24 - 1),
)
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_number_depends_on_its_address_alone(
    members: list[int], waves: list[int], seed: int, step: int
) -> None:
    k = torch.tensor(waves)
    together = normals(seed, Use.FORCING, members, [k], step)
    for i, member in enumerate(members):
        for j, wave in enumerate(waves):
            alone = normals(seed, Use.FORCING, [member], [torch.tensor(wave)], step)
            assert alone[0] == together[i, j]
    backwards = normals(seed, Use.FORCING, members[::-1], [k.flip(0)], step)
    assert torch.equal(backwards.flip(0, 1), together)


@pytest.mark.skipif(not libraries.built(), reason="no kernel was compiled here")
@pytest.mark.parametrize("isa", list(libraries.built()))
def test_compiled_numbers_have_torch_s_bits(isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks and their remainders, one to three words, negative ones, members at the ends."""
    k = torch.arange(-70, 71)
    many = [[k[:3]], [k[:, None], k[None] * 2**24], [k[:5, None, None], k[:, None], k[None, :2]]]

    def found(kernel: str) -> list[torch.Tensor]:
        monkeypatch.setenv(libraries.VARIABLE, kernel)
        members, use = [ONES, 0, 77], Use.NOISE
        draws = [normals(ONES, use, members, waves, 2**24 - 1) for waves in many]
        return draws + [uniforms(5, use, members, waves, 3) for waves in many]

    for mine, theirs in zip(found(isa), found("torch"), strict=True):
        assert torch.equal(mine, theirs)
    assert not torch.equal(found(isa)[3], found(isa)[3].flip(0))  # negative control
    assert uniforms(0, Use.PRIOR, [], [k]).shape == (0, 141)


def test_no_two_uses_and_steps_share_numbers() -> None:
    wave = [torch.tensor(1)]
    steps = [0, 1, 2, 3, 255, 256, 2**24 - 1]
    drawn = {normals(0, use, [0], wave, step).item() for use in Use for step in steps}
    assert len(drawn) == len(Use) * len(steps)


def test_components_of_a_wave_are_not_interchangeable() -> None:
    a, b = torch.tensor(3), torch.tensor(-5)
    one, two = (normals(0, Use.PRIOR, [0], waves) for waves in ([a, b], [b, a]))
    assert one != two


def test_uniforms_fill_the_unit_interval_evenly() -> None:
    u = uniforms(0, Use.LEVEL, range(100), [torch.arange(400)])
    assert 0 <= u.min() < 1e-3
    assert 1 - 1e-3 < u.max() < 1
    assert four_errors(u, 0.5, 1 / 12)
    assert four_errors(u**2, 1 / 3, 4 / 45)
    assert not four_errors(u**1.1, 0.5, 1 / 12)


@pytest.mark.parametrize(
    ("seed", "members", "step", "message"),
    [
        (-1, [0], 0, "seed -1"),
        (2**32, [0], 0, "seed 4294967296"),
        (0, [-1], 0, "count members from 0"),
        (0, [2**32], 0, "members in 0"),
        (0, [0], 2**24, "step 16777216"),
    ],
)
def test_addresses_that_do_not_fit_are_refused(
    seed: int, members: list[int], step: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        normals(seed, Use.PRIOR, members, [torch.arange(2)], step)
