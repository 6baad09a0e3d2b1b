"""Spectra continued to finer grids: exact on power laws and exponential decays, and on draws."""

from __future__ import annotations

import math

import pytest
import torch

from pushforward.generative.cosine import CosineBasis
from pushforward.generative.extension import continued
from pushforward.generative.fourier import FourierBasis
from pushforward.generative.haar import HaarBasis
from pushforward.solvers import GaussianField, Grid, Use


def power_law(shells: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Factors of two channels of decay k^-4 and k^-3 in variance with correlation 0.6."""
    k = torch.arange(shells).double()
    correlated = torch.linalg.cholesky(torch.tensor([[1.0, 0.6], [0.6, 1.0]]).double())
    deviation = torch.stack([k**-2.0, 3 * k**-1.5], 1)
    deviation[0] = 7.0
    return deviation[..., None] * correlated, k


def follow(factor: torch.Tensor, shells: int, count: torch.Tensor | None = None) -> torch.Tensor:
    """The factors of shells that are new as a whole, behind those that are fitted."""
    known = torch.ones(len(factor)).long() if count is None else count
    counts = torch.cat([known, torch.zeros(shells - len(known)).long()])
    k = torch.arange(shells).double()
    return continued(factor, k.log(), counts, (counts == 0).long(), 1e-30)


def test_a_power_law_is_continued_exactly() -> None:
    factor, _ = power_law(40)
    count = torch.arange(20) * 6 + 1
    found = follow(factor[:20], 40, count)
    torch.testing.assert_close(found[20:], factor[20:], rtol=1e-11, atol=0)
    assert (found[:20] == 0).all()  # nothing is new there
    bent = factor.clone()
    bent[15:20] *= 0.5  # negative control: not one line over the last octave
    wrong = follow(bent[:20], 40, count)
    assert (wrong[30:, 0, 0] / factor[30:, 0, 0] - 1).abs().min() > 0.1


def test_an_exponential_decay_is_continued_exactly_and_a_growth_is_not() -> None:
    factor, k = power_law(40)
    smooth = factor * torch.exp(-0.2 * k)[:, None, None]
    found = follow(smooth[:20], 30)
    torch.testing.assert_close(found[20:], smooth[20:30], rtol=1e-9, atol=0)
    rising = factor * torch.exp(0.2 * k)[:, None, None]
    line = follow(rising[:20], 40)[20:, 0, 0].log()  # negative control: a power law instead
    slope = line.diff() / k[20:].log().diff()
    torch.testing.assert_close(slope, slope[:1].expand_as(slope), rtol=1e-9, atol=0)
    assert line[-1] < rising[-1, 0, 0].log() - 1


@pytest.mark.parametrize(("exponent", "bend"), [(2.0, 16.0), (4.0, 8.0)])
def test_a_bend_is_no_exponential(exponent: float, bend: float) -> None:
    """Matern's spectrum, exact and with the scatter of a thousand members."""
    k = torch.arange(128).double()
    factor = (1 + (k / bend) ** 2).pow(-exponent / 2)[:, None, None]
    count = 6 * torch.arange(32) + 1
    error = (follow(factor[:32], 128, count)[64:] / factor[64:]).log().abs().max()
    assert error < 0.1
    noise = torch.randn(32, generator=torch.Generator().manual_seed(0)).double()
    rough = factor[:32] * (noise / (2 * 1000 * count).sqrt()).exp()[:, None, None]
    assert (follow(rough, 128, count)[32:64] / factor[32:64]).log().abs().max() < 0.5
    steep = factor * torch.exp(-k / 8)[:, None, None]  # the control
    assert (follow(steep[:32], 128, count)[64:] / factor[64:]).log().min() < -4


def test_unequal_spacing_takes_all_shells_that_are_known_in_part() -> None:
    coarse, fine = Grid((16, 64)), Grid((32, 128))
    field = GaussianField.matern(4.0, 1 / 8)
    wide = FourierBasis.fit(field.sample(range(200), coarse)[:, None], coarse).extend(fine)
    truth = FourierBasis.fit(field.sample(range(200), fine)[:, None], fine)
    for shell in (12, 24, 36):
        powers = []
        for basis in (wide, truth):
            frequency = basis.modes.frequency
            assert frequency is not None
            powers.append(basis.log_variance[0][frequency.round() == shell].exp().sum())
        assert abs(float(powers[0] / powers[1]) - 1) < 0.15


def test_few_whole_shells_are_not_fitted_alone() -> None:
    """16 points an axis: shells 4 to 7 are too few, so corners up to 11 are fitted as well."""
    factor, k = power_law(24)
    part = factor.clone()
    part[:6] *= 9  # the last octave of all that is known is 6 to 11
    count, added = torch.full((24,), 8), torch.zeros(24).long()
    count[12:], added[8:] = 0, 8
    found = continued(part[:12], k.log(), count, added, 1e-30)
    torch.testing.assert_close(found[8:], factor[8:], rtol=1e-11, atol=0)
    added[8:12] = 0  # the control: as many shells, whole ones, of which five are off
    part[:8] *= 9
    wrong = continued(part[:12], k.log(), count, added, 1e-30)
    assert (wrong[12:, 0, 0] / factor[12:, 0, 0]).log().abs().min() > 0.1


def test_a_channel_that_ends_inside_the_octave_stays_ended() -> None:
    factor, _ = power_law(32)
    factor[12:, 0] = 0
    for one in (factor, factor.flip(1, 2).tril()):
        found = follow(one[:16], 32)[16:].diagonal(dim1=-2, dim2=-1) > 0
        assert sorted(found.any(0).tolist()) == [False, True]
    both = follow(power_law(32)[0][:16], 32)[16:].diagonal(dim1=-2, dim2=-1) > 0
    assert both.all()  # the control


def test_an_extended_basis_is_not_extended_again() -> None:
    u = GaussianField.power_law(2.0).sample(range(20), COARSE)[:, None]
    for basis in (FourierBasis.fit(u, COARSE), CosineBasis.fit(u, COARSE)):
        assert len(basis.extend(FINE).band) == len(basis.extend(FINE).shell)
        with pytest.raises(ValueError, match="got one that was extended"):
            basis.extend(FINE).extend(Grid((128, 128)))


def test_what_a_shell_lacks_makes_up_its_variance() -> None:
    """A quarter of a shell is known, above the power law or below."""
    factor, k = power_law(24)
    count = torch.full((24,), 8)
    added = torch.zeros(24).long()
    count[20:], added[20:] = 2, 6
    part = factor.clone()
    part[20:] *= torch.tensor([1.5, 1.0, 0.5, 3.0]).double()[:, None, None]  # in deviation
    found = continued(part, k.log(), count, added, 1e-11)
    wanted = torch.tensor([(1 - 0.25 * 2.25) / 0.75, 1, 1, 1 / 9], dtype=torch.float64).sqrt()
    torch.testing.assert_close(found[20:], factor[20:] * wanted[:, None, None], rtol=1e-11, atol=0)


def test_only_the_last_octave_counts() -> None:
    factor, _ = power_law(40)
    other = factor.clone()
    other[:9] *= 5  # 19 / 2 = 9.5
    torch.testing.assert_close(follow(other[:20], 40)[20:], factor[20:], rtol=1e-11, atol=0)


def test_shells_without_coefficients_are_filled() -> None:
    factor, _ = power_law(20)
    holed = factor.clone()
    holed[17] = 0
    holed[0] = 0
    count = torch.ones(20).long()
    count[17] = count[0] = 0
    found = follow(holed, 20, count)
    torch.testing.assert_close(found[17], factor[17], rtol=1e-11, atol=0)
    assert (found[0] == 0).all()  # the constant is on no scale


def test_what_falls_below_the_floor_is_dropped() -> None:
    factor, k = power_law(40)
    new = torch.arange(40) >= 20
    found = continued(factor[:20], k.log(), 1 - new.long(), new.long(), 30.0**-4 / 49)
    kept = found[:, 0, 0] > 0
    assert kept[20:30].all()
    assert not kept[31:].any()


def test_two_shells_are_needed() -> None:
    factor, _ = power_law(4)
    with pytest.raises(ValueError, match=r"at least 2 shells .* got 1; fit the basis on a grid"):
        follow(factor[:2], 4)


def log_error(log_k: torch.Tensor, count: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """The standard error of a continued log variance: that of a line through known points.

    `count` numbers stand behind each variance, whose log then has variance 2 / count.
    """
    weight = count / count.sum()
    middle = (weight * log_k).sum()
    spread = (count * (log_k - middle) ** 2).sum()
    return (2 / count.sum() + 2 * (at - middle) ** 2 / spread).sqrt()


COARSE, FINE = Grid((32, 32)), Grid((64, 64))


def gap(basis: FourierBasis, truth: GaussianField, count: int) -> torch.Tensor:
    """The error of the continued variances of shells 26 to 31 in standard errors."""
    fine = basis.extend(FINE)
    k = torch.arange(26, 32)
    found = 2 * fine.factor[k, 0, 0].log()
    last = 15  # the last whole shell
    octave = torch.arange(last // 2 + 1, last + 1)
    size = torch.bincount(basis.shell)[octave].double() * count
    error = log_error(octave.double().log(), size, k.double().log())
    symbol = 2 * math.log(truth.amplitude) - 2 * truth.exponent * k.double().log()
    return (found - symbol + math.log(FINE.volume)) / error


def test_draws_of_a_power_law_are_continued_within_sampling_error() -> None:
    field = GaussianField.power_law(2.0, amplitude=3.0)
    basis = FourierBasis.fit(field.sample(range(400), COARSE)[:, None], COARSE)
    assert gap(basis, field, 400).abs().max() < 4
    for exponent in (1.98, 2.02):
        other = GaussianField.power_law(exponent, amplitude=3.0)
        assert gap(basis, other, 400).abs().min() > 4


def test_old_coefficients_come_first_and_are_what_they_were() -> None:
    field = GaussianField.power_law(2.0)
    u = field.sample(range(60), COARSE)
    u = torch.stack([u, u.roll(1, -1) + 0.3 * field.sample(range(60), COARSE, 1)], 1) + 2.0
    for basis in (FourierBasis.fit(u, COARSE), CosineBasis.fit(u, COARSE)):
        fine = basis.extend(FINE)
        old = len(basis.shell)
        assert fine.grid == FINE
        assert fine.dimensions > 3 * basis.dimensions
        for name in ("mean", "mask", "shell"):
            assert torch.equal(getattr(fine, name)[..., :old], getattr(basis, name))
        assert (fine.mean[:, old:] == 0).all()
        noise = fine.noise(0, Use.PRIOR, [3])
        assert torch.equal(noise[..., :old], basis.noise(0, Use.PRIOR, [3]))
        variance = [b.log_variance + 2 * b.scale.log()[:, None] for b in (fine, basis)]
        kept = basis.mask
        torch.testing.assert_close(variance[0][:, :old][kept], variance[1][kept])
        z = noise.double()
        there = fine.read(fine.synthesise(z, FINE), FINE)[..., :old]
        here = basis.read(basis.synthesise(z[..., :old], COARSE), COARSE)
        torch.testing.assert_close(there, here, rtol=0, atol=1e-10)
        assert torch.equal(fine.band[:old], basis.band)
        same = basis.extend(COARSE)
        assert torch.equal(same.shell, basis.shell)


def test_a_dealiased_spectrum_is_continued_to_the_new_cut() -> None:
    coarse, fine = Grid((24, 24)), Grid((48, 48))
    rough = GaussianField.power_law(1.5).sample(range(60), coarse)
    cut = coarse.ifft(coarse.fft(rough) * coarse.resolved(2 / 3))[:, None]
    basis = FourierBasis.fit(cut, coarse)
    assert basis.waves.abs().max() == 7
    wide = basis.extend(fine)
    assert wide.waves.abs().max() == 15  # the largest below 2/3 of 24
    assert wide.dimensions == 31 * 31 - 1  # the mean, absent before, is not made up
    half_waves = CosineBasis.fit(cut, coarse)
    low = half_waves.place(half_waves.read(cut, coarse) * (half_waves.waves < 16).all(1), coarse)
    wide_cosine = CosineBasis.fit(low, coarse).extend(fine)
    assert wide_cosine.waves.max() == 31


def test_haar_levels_are_continued() -> None:
    """The line through the last two levels of differences, on what white noise integrates to."""
    generator = torch.Generator().manual_seed(0)
    basis = HaarBasis.fit(torch.randn(400, 1, 16, 8, generator=generator), Grid((16, 8)))
    scales = torch.tensor([1.0, 1.0, 0.5, 0.125]).double()
    basis.factor.copy_(scales[:, None, None])
    basis.inverse.copy_(1 / scales[:, None, None])
    fine = basis.extend(Grid((64, 32)))
    assert fine.depth == 5
    wanted = torch.tensor([1, 1, 0.5, 0.125, 0.125 / 4, 0.125 / 16]).double()
    torch.testing.assert_close(fine.factor.flatten(), wanted)
    assert fine.mask.sum() == 64 * 32
    z = fine.noise(0, Use.PRIOR, [1])
    assert torch.equal(z[..., :128], basis.noise(0, Use.PRIOR, [1]))
    torch.testing.assert_close(
        fine.synthesise(z, Grid((16, 8))), basis.synthesise(z[..., :128], Grid((16, 8)))
    )
    for shape in ((16, 16), (48, 24), (32, 8)):
        with pytest.raises(ValueError, match=r"2, 4, 8, \.\.\. times"):
            basis.extend(Grid(shape))
    shallow = HaarBasis.fit(torch.randn(40, 1, 16, generator=generator), Grid((16,)), levels=1)
    with pytest.raises(ValueError, match="at least 2 shells"):
        shallow.extend(Grid((32,)))
