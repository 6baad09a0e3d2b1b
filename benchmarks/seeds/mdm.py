"""Rows of multivariate diffusion models (Singhal et al., arXiv:2302.07261)."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds import kernels
from benchmarks.seeds.bits import compared, held_out, likelihoods
from benchmarks.seeds.cells import likelihood_table, score_table
from benchmarks.seeds.row import Family, Row, Table, Verdict
from benchmarks.seeds.scored import scored
from pushforward import Archive

PAPER = "MDM"
SCORES = ("log_spectral_distance", "w1", "sliced_w1", "energy_distance")
MNIST = {"vp": 1.09, "cld": 0.92, "alda": 2.06, "learned-2": 0.96}  # of the submission
FAR = 1.25  # times a published number or time, beyond which it is not the same regime
IMAGES = {"cifar10, vp": 3.36, "cifar10, cld": 3.56, "cifar10, learned-2": 3.01}


def _digits(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    (studies,) = families.values()
    return {
        "likelihoods": likelihoods(archive, studies),
        "scores": scored(archive, studies, SCORES),
        "kernels": kernels.measure(),
    }


def _digits_verdict(found: dict[str, Any]) -> Verdict:
    own = found["likelihoods"]
    bits = {name: one["bits_per_dimension"] for name, one in own.items()}
    said = "bits a dimension " + ", ".join(
        f"{name} {value:.2f}" + (f" (published {MNIST[name]:.2f})" if name in MNIST else "")
        for name, value in bits.items()
    )
    said += f"; the Gaussian surrogate {own['vp']['gaussian_bits_per_dimension']:.2f}"
    fixed = min((value, name) for name, value in bits.items() if not name.startswith("learned"))
    learned = min((value, name) for name, value in bits.items() if name.startswith("learned"))
    error = max(own[name]["bits_error"] for _, name in (fixed, learned))  # of the same images
    match = learned[0] <= fixed[0] + error
    dear = max(
        each["automatic"]["seconds"] / each["analytic"]["seconds"]
        for each in found["kernels"].values()
    )
    said += (
        f"; the best learnt one is {learned[0] - fixed[0]:+.3f} from the best fixed one; an "
        f"automatic kernel takes {number(dear)} times an analytic one's time"
    )
    if min(bits.values()) > FAR * MNIST["vp"]:
        return Verdict("beyond the budget", said)
    return Verdict("confirmed" if match and dear <= FAR else "not confirmed", said)


def _digits_tables(found: dict[str, Any]) -> list[Table]:
    head = ["images", "kernel", "seconds a batch of 256", "of these the kernel", "relative error",
            "published"]  # fmt: skip
    lines = [
        [images, way, f"{one['seconds']:.4f}", f"{one['kernel']:.4f}", f"{one['error']:.1e}",
         number(one.get("published"))]
        for images, each in found["kernels"].items()
        for way, one in each.items()
    ]  # fmt: skip
    scores = "Logits of digits, trained (Gaussian surrogate) over the floor."
    return [
        likelihood_table(found["likelihoods"], "Bounds on digits that were held out."),
        score_table(found["scores"], SCORES, scores),
        Table("Transition kernels of CLD, analytic and automatic (table 1).", head, lines),
    ]


def _images_verdict(found: dict[str, Any]) -> Verdict:
    if not found["likelihoods"]:
        return Verdict("beyond the budget", "no files of either set were there")
    said = ", ".join(
        f"{name} {one['bits_per_dimension']:.2f} bits a dimension"
        + (f" (published {IMAGES[name]:.2f})" if name in IMAGES else "")
        for name, one in found["likelihoods"].items()
    )
    if not any(name.startswith("imagenet32") for name in found["likelihoods"]):
        said += "; the files of ImageNet32 were not there: its loader is tested on its format"
    told = [(one, IMAGES[name]) for name, one in found["likelihoods"].items() if name in IMAGES]
    return compared(told, said)


def _images_tables(found: dict[str, Any]) -> list[Table]:
    own = found["likelihoods"]
    return [likelihood_table(own, "Bounds on images that were held out.")] if own else []


ROWS = (
    Row(
        "mdm_mnist",
        PAPER,
        "six diffusions on MNIST",
        ("mdm_mnist",),
        "learnt multivariate diffusions match or surpass fixed ones, and automatic kernels cost "
        "about as much as analytic ones",
        "bits a dimension of the submission: VP 1.09, learned 0.96, CLD 0.92, ALDA 2.06; "
        "kernels 0.0062 (analytic) and 0.007 s (automatic)",
        _digits,
        _digits_verdict,
        _digits_tables,
        gpu=True,
    ),
    Row(
        "mdm_images",
        PAPER,
        "CIFAR-10 and ImageNet32",
        ("mdm_images",),
        "the same on coloured images",
        "bits a dimension of the submission on CIFAR-10: VP 3.36, learned 3.01, CLD 3.56",
        held_out,
        _images_verdict,
        _images_tables,
        subset=("data_batch_1.bin.gz",),
        gpu=True,
    ),
)
