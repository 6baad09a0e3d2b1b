r"""The metrics of the kernel-FFM benchmark, as its code computes them, for members (n, *grid).

What its tables call by a short name, and what it is (github.com/heraclixus/KFFM, `util/eval.py`,
`compute_*` and `spectrum_mse_*`; written anew from their definitions):

    mmd                 the *square* of the MMD, unbiased: the mean of three Gaussian kernels
                        exp(-|u - v|^2 / 2 s^2), s = (1/2, 1, 2) median, over whole fields, |.| the
                        plain Euclidean norm of the values; the median is that of the distances
                        (not their squares) within at most 500 + 500 members of both sides together
    sliced_w            the sliced Wasserstein distance of order 2 over 100 random directions of
                        the space of values (POT's: sqrt of the mean of W2^2)
    marginal_w1         W1 of the values at a point, averaged over the points
    mean_mse,           mean over the points of the squared difference of the pointwise mean,
    variance_mse        variance (n - 1), standardised skewness and excess kurtosis (both n)
    skewness_mse, kurtosis_mse
    log_spectrum        the *mean square*, over bins, of the difference of log10(s + 1e-10). In 2-D
                        s_j, j = 1 .. N/2, is the mean over members of |sum of u_k| over the waves
                        of one quadrant, 0 <= kx, ky <= N/2, with kx + ky = j: a sum of *complex*
                        coefficients (unnormalised FFT), in which phases cancel; not an energy
                        spectrum. In 1-D it is Welch's density, windows of min(256, n / 4) points.
    resolved_spectrum   ours: the same over bins whose s_j is at least 1e-4 of the largest; the
                        others are round-off of float32 in smooth flows, below any tolerance
    enstrophy_w1        W1 between the members' <w^2> / 2
    pdf_w1, pdf_skewness, pdf_kurtosis
                        of all values pooled: W1, and absolute differences

The benchmark compares 1000 members of the *training* set with 100 generated ones in 2-D (all 160
with 200 and all 50 000 with 500 in 1-D), one draw a training seed; `SIZES`.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import welch
from scipy.stats import kurtosis, skew, wasserstein_distance
from torch import Tensor

BANDWIDTHS = (0.5, 1.0, 2.0)
MEDIAN_OF, DIRECTIONS, TINY, RESOLVED = 500, 100, 1e-10, 1e-4


def theirs(real: Tensor, generated: Tensor, seed: int = 0) -> dict[str, float]:
    """Every metric of the benchmark, of members (n, *grid) on 1 or 2 axes.

    `seed` draws the directions of `sliced_w` and the members that the median is taken over.
    """
    found = {
        "mmd": mmd(real, generated, seed),
        "sliced_w": sliced_wasserstein(real, generated, seed),
        "marginal_w1": marginal_wasserstein(real, generated),
        **pointwise(real, generated),
        "log_spectrum": log_spectrum(real, generated),
        "resolved_spectrum": log_spectrum(real, generated, RESOLVED),
    }
    return found | (vorticity(real, generated) if real.ndim == 3 else {})


def median_distance(x: Tensor, y: Tensor, seed: int = 0) -> float:
    """The median Euclidean distance within some members of both sides together."""
    generator = torch.Generator().manual_seed(seed)
    count = min(MEDIAN_OF, len(x), len(y))
    both = torch.cat(
        [z.flatten(1)[torch.randperm(len(z), generator=generator)[:count]] for z in (x, y)]
    )
    distances = distance(both, both)
    return distances[distances > 0].median().item()


def distance(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances between rows, in float64."""
    return torch.cdist(x.flatten(1).double(), y.flatten(1).double())


def mmd(real: Tensor, generated: Tensor, seed: int = 0) -> float:
    """The unbiased squared MMD with the benchmark's kernel."""
    scale = median_distance(real, generated, seed)
    kernels = [
        kernel(distance(*pair), scale)
        for pair in ((real, real), (generated, generated), (real, generated))
    ]
    n, m = len(real), len(generated)
    within = (kernels[0].sum() - n) / (n * (n - 1)) + (kernels[1].sum() - m) / (m * (m - 1))
    return (within - 2 * kernels[2].mean()).item()


def kernel(distances: Tensor, scale: float) -> Tensor:
    """The mean of three Gaussian kernels of distances."""
    return sum(torch.exp(-distances.square() / (2 * (f * scale) ** 2)) for f in BANDWIDTHS) / 3


def quantile_gap(x: np.ndarray, y: np.ndarray, power: int) -> np.ndarray:
    """W_p^p between columns of x and y, (n, column) and (m, column)."""
    a, b = np.sort(x, axis=0), np.sort(y, axis=0)
    levels = np.union1d(np.arange(1, len(a)) / len(a), np.arange(1, len(b)) / len(b))
    edges = np.concatenate([[0.0], levels, [1.0]])
    middle = (edges[1:] + edges[:-1]) / 2
    gap = np.abs(a[(middle * len(a)).astype(int)] - b[(middle * len(b)).astype(int)])
    return np.einsum("l,lc->c", np.diff(edges), gap**power)


def sliced_wasserstein(real: Tensor, generated: Tensor, seed: int = 0) -> float:
    """The root of the mean, over random directions, of the squared W2 of the projections."""
    x, y = (z.flatten(1).double().numpy() for z in (real, generated))
    directions = np.random.default_rng(seed).normal(size=(x.shape[1], DIRECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    return float(np.sqrt(quantile_gap(x @ directions, y @ directions, 2).mean()))


def marginal_wasserstein(real: Tensor, generated: Tensor) -> float:
    """W1 of the values at a point, averaged over the points."""
    return float(quantile_gap(real.flatten(1).numpy(), generated.flatten(1).numpy(), 1).mean())


def pointwise(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Mean squared differences of four pointwise statistics."""
    x, y = (z.flatten(1).double().numpy() for z in (real, generated))
    statistics = {
        "mean_mse": lambda z: z.mean(0),
        "variance_mse": lambda z: z.var(0, ddof=1),
        "skewness_mse": lambda z: skew(z, axis=0),
        "kurtosis_mse": lambda z: kurtosis(z, axis=0),
    }
    return {name: float(np.mean((f(x) - f(y)) ** 2)) for name, f in statistics.items()}


def spectrum(fields: Tensor) -> np.ndarray:
    """Their spectrum: see the head of this file."""
    if fields.ndim == 2:
        n = fields.shape[1]
        window = min(256, n // 4) if n > 16 else n
        return welch(fields.numpy(), nperseg=window, axis=-1)[1].mean(0)
    n = fields.shape[-1]
    if fields.shape[-2] != n:
        raise ValueError(f"expected square fields, got {tuple(fields.shape[1:])}; crop them")
    corner = torch.fft.fft2(fields)[:, : n // 2 + 1, : n // 2 + 1]
    k = torch.arange(n // 2 + 1)
    total = (k[:, None] + k[None, :]).flatten()
    sums = corner.new_zeros(len(fields), n + 1).index_add(1, total, corner.flatten(1))
    return sums[:, 1 : n // 2 + 1].abs().mean(0).numpy()


def log_spectrum(real: Tensor, generated: Tensor, share: float = 0.0) -> float:
    """The mean squared difference of the decimal logarithms of their spectra.

    Over the bins in which the real one is at least a `share` of its largest value.
    """
    a, b = spectrum(real), spectrum(generated)
    seen = a >= share * a.max()
    return float(np.mean((np.log10(a + TINY) - np.log10(b + TINY))[seen] ** 2))


def vorticity(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Their diagnostics of vorticity."""
    a, b = (z.double().square().mean((-2, -1)).numpy() / 2 for z in (real, generated))
    x, y = (z.flatten().numpy() for z in (real, generated))
    return {
        "enstrophy_w1": float(wasserstein_distance(a, b)),
        "pdf_w1": float(wasserstein_distance(x, y)),
        "pdf_skewness": float(abs(skew(x) - skew(y))),
        "pdf_kurtosis": float(abs(kurtosis(x) - kurtosis(y))),
    }
