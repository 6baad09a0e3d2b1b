r"""Bits per dimension of images under a surrogate: from whole pixels to the number papers quote.

Pixels p become unbounded fields y (see `dequantisation`), these whitened coefficients x of the
surrogate's basis, and x gets a log density in nats (a bound of it, see `likelihood`, or that of
the probability flow, see `flow_density`). Raw coefficients z are orthonormal ones of the values at
N points over sqrt(N), so d values have

    log p(y) = log p(x) + log |d x / d z| - d / 2 log N,

and dequantisation turns that into bits. A density over all values needs all coefficients: a basis
that dropped some gives its fields on a plane only, where nothing else has a density at all.

    Theis, van den Oord, Bethge (2016), arXiv:1511.01844, on what bits of generative models mean
    Song et al., score SDE (2021), arXiv:2011.13456, for the two ways to score
"""

from __future__ import annotations

import math
from typing import Literal

from jaxtyping import Float, Shaped
from torch import Tensor

from pushforward.generative.dequantisation import Dequantisation
from pushforward.generative.flow_density import flow_log_density
from pushforward.generative.likelihood import Likelihood
from pushforward.generative.surrogate import Surrogate
from pushforward.solvers import Use


def image_bits(
    surrogate: Surrogate,
    pixels: Shaped[Tensor, "n channel *grid"],
    uniforms: Float[Tensor, "n channel *grid"],
    *,
    dequantisation: Dequantisation | None = None,
    method: Literal["bound", "flow"] = "bound",
    times: int = 32,
    seed: int = 0,
    strength: float = 1.0,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Bits per dimension of whole images, and those of the Gaussian of the surrogate's spectrum.

    `surrogate` is fitted to fields that `dequantisation` (None: the default one) encoded;
    `uniforms` in [0, 1) spread each pixel over its bin. The "bound" looks at `times` times, the
    "flow" takes `times` / 4 steps with two probes of its trace: `times` + 4 network evaluations
    either way, for all images at once; give many of them a batch at a time, each its own `seed`.
    `strength` multiplies the hierarchy of the path, for a network trained on a range of them.

    Raises ValueError for images of another shape than the surrogate was fitted to, a basis that
    dropped coefficients, `times` that are no positive multiple of 4, a negative strength, and
    pixels that `dequantisation` refuses.

    >>> import torch
    >>> from pushforward.generative import Backbone, preset
    >>> from pushforward.solvers import Grid
    >>> generator = torch.Generator().manual_seed(0)
    >>> pixels = torch.randint(256, (64, 1, 8, 8), generator=generator)    # 8 bits each
    >>> uniforms = torch.rand(pixels.shape, generator=generator)
    >>> fields, _ = Dequantisation().encode(pixels, uniforms)
    >>> page = preset("vp", basis="pixel", backbone=Backbone("unet", width=8, layers=2))
    >>> surrogate = Surrogate.fit(page, fields, Grid((8, 8)))
    >>> bits, gaussian = image_bits(surrogate, pixels, uniforms, times=4)
    >>> 8 < bits.mean() < 8.3, bool((bits == gaussian).all())              # until it is trained
    (tensor(True), True)
    """
    _check(surrogate, pixels, times)
    scale = dequantisation or Dequantisation()
    fields, slope = scale.encode(pixels, uniforms)
    basis = surrogate.basis
    x = basis.analyse(fields, surrogate.grid).float()
    if method == "bound":
        score = surrogate.likelihood(x, seed=seed, times=times, strength=strength)
    else:
        score = _flow(surrogate, x, seed, times, strength)
    return bits_of(score, slope, scale, surrogate)


def bits_of(
    score: Likelihood,
    slope: Float[Tensor, " n"],
    dequantisation: Dequantisation,
    surrogate: Surrogate,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Bits per dimension, and the Gaussian's, of whitened fields that were scored.

    `slope` is log |dy / du| of the fields (see `Dequantisation`). Raises ValueError for a basis
    that dropped coefficients.
    """
    basis, shape = surrogate.basis, (surrogate.basis.channels, *surrogate.grid.shape)
    if basis.dimensions < math.prod(shape):
        raise ValueError(
            f"expected a basis that keeps all {math.prod(shape)} values of an image, got "
            f"{basis.kind} with {basis.dimensions} coefficients, which has no density over "
            "pixels; choose pixel, haar, cosine or pca, and a small floor"
        )
    log_det = basis.log_det - basis.dimensions / 2 * math.log(surrogate.grid.size)
    bits, gaussian = (
        dequantisation.bits(nats + log_det, slope.to(nats), basis.dimensions)
        for nats in (score.total, score.baseline.sum((1, 2)))
    )
    return bits, gaussian


def _flow(surrogate: Surrogate, x: Tensor, seed: int, times: int, strength: float) -> Likelihood:
    """The flow's density of whitened fields, with as many evaluations as the bound."""

    def normals(i: int) -> Tensor:
        return surrogate.basis.noise(seed, Use.LIKELIHOOD, range(len(x)), i)

    return flow_log_density(
        surrogate.denoiser,
        surrogate.along(strength),
        x,
        normals,
        steps=times // 4,
        trace="rademacher",
        kept=surrogate.basis.mask,
    )


def _check(surrogate: Surrogate, pixels: Tensor, times: int) -> None:
    """Raises ValueError for images that the surrogate has no density for."""
    shape = (surrogate.basis.channels, *surrogate.grid.shape)
    if tuple(pixels.shape[1:]) != shape:
        raise ValueError(
            f"expected images (channel, *grid) of shape {shape} that the surrogate was fitted to, "
            f"got {tuple(pixels.shape[1:])}; fit one to images of this shape"
        )
    if times < 4 or times % 4:
        raise ValueError(f"expected a positive multiple of 4 times, got {times}; take 4, 8, ...")
