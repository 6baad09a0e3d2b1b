"""Rows of GUD (Gerdes et al., arXiv:2410.02667)."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import number
from benchmarks.seeds import columns
from benchmarks.seeds.bits import compared, held_out, likelihoods
from benchmarks.seeds.cells import likelihood_table, score_table, strength_table
from benchmarks.seeds.row import Family, Row, Table, Verdict
from benchmarks.seeds.scored import scored
from pushforward import Archive

PAPER = "GUD"
SCORES = ("log_spectral_distance", "w1", "sliced_w1", "energy_distance")
PUBLISHED = {"cifar10": 3.17, "pcam": 3.90}
SMOOTH = 0.35  # bits or nats a dimension between the best and the worst strength: smooth in a


def _grid(archive: Archive, families: dict[str, Family]) -> dict[str, Any]:
    digits, flow = families["gud_mnist"], families["gud_vorticity"]
    return {
        "digits": likelihoods(archive, digits),
        "digits_scores": scored(archive, digits, SCORES),
        "flow": likelihoods(archive, flow),
        "flow_scores": scored(archive, flow, SCORES),
        "columns": columns.strips(archive, families["gud_columns"]),
        "columns_scores": scored(archive, families["gud_columns"], SCORES),
    }


def _best(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The strength with the lowest bound, and by how much the others differ, of each network."""
    out = {}
    for name, said in found.items():
        if "strengths" in said:
            each = [
                (float(one.get("bits_per_dimension", -one["nats_per_dimension"])), one["strength"])
                for one in said["strengths"]
            ]
            out[name] = (min(each)[1], max(each)[0] - min(each)[0])
    return out


def _grid_verdict(found: dict[str, Any]) -> Verdict:
    sets = {"MNIST": found["digits"], "vorticity": found["flow"]}
    best = {f"{of}, {name}": one for of, said in sets.items() for name, one in _best(said).items()}
    near = [name for name, (a, _) in best.items() if abs(a - 1) <= 0.2 + 1e-9]
    spread = max(width for _, width in best.values())
    said = (
        f"the bound is lowest within 0.2 of a = 1 for {len(near)} of {len(best)} networks ("
        + ", ".join(f"{name}: a = {a:.1f}" for name, (a, _) in best.items())
        + f"), and moves by at most {number(spread)} a dimension from a = 0.4 to 1.6"
    )
    seam = found["columns"]
    said += f"; {seam['said']}"
    good = bool(best) and len(near) == len(best) and spread <= SMOOTH and seam["right"]
    return Verdict("confirmed" if good else "not confirmed", said)


def _grid_tables(found: dict[str, Any]) -> list[Table]:
    scores = "Trained (Gaussian surrogate) over the floor."
    return [
        likelihood_table(found["digits"], "MNIST: bounds at a = 1."),
        strength_table(found["digits"], "MNIST: bits a dimension along a, from one network each."),
        score_table(found["digits_scores"], SCORES, f"MNIST. {scores}"),
        strength_table(found["flow"], "Vorticity: minus nats a dimension along a."),
        score_table(found["flow_scores"], SCORES, f"Vorticity. {scores}"),
        score_table(found["columns_scores"], SCORES, f"Vorticity by columns. {scores}"),
        *columns.tables(found["columns"]),
    ]


def _images_verdict(found: dict[str, Any]) -> Verdict:
    if not found["likelihoods"]:
        return Verdict("beyond the budget", "no files of either set were there")
    said = ", ".join(
        f"{name}: {one['bits_per_dimension']:.2f} bits a dimension (Gaussian "
        f"{one['gaussian_bits_per_dimension']:.2f}, published by columns "
        f"{PUBLISHED[name.split()[0]]:.2f})"
        for name, one in found["likelihoods"].items()
    )
    if "pcam" not in found["likelihoods"]:
        said += "; the files of PCAM were not there: its loader is tested on files of its format"
    told = [(one, PUBLISHED[name.split()[0]]) for name, one in found["likelihoods"].items()]
    return compared(told, said)


def _images_tables(found: dict[str, Any]) -> list[Table]:
    own = found["likelihoods"]
    return (
        [
            likelihood_table(own, "Bounds on images that were held out."),
            strength_table(own, "Bits a dimension along a, from one network."),
        ]
        if own
        else []
    )


ROWS = (
    Row(
        "gud_grid",
        PAPER,
        "basis x prior x softness; columns; strips",
        ("gud_mnist", "gud_vorticity", "gud_columns"),
        "likelihood and quality vary smoothly with a, from one network, and are best near "
        "standard diffusion, a = 1; a field is extended beyond its training width by sliding "
        "columns",
        "curves of FID and NLL of CIFAR-10; their numbers are not to be had",
        _grid,
        _grid_verdict,
        _grid_tables,
        gpu=True,
        note="The paper's prior and its schedule are one knob here: along eq. 20 the log snr does "
        "not depend on the prior, so its white prior is told by its other ends, at a = 1.",
    ),
    Row(
        "gud_images",
        PAPER,
        "CIFAR-10 and PCAM, bits a dimension",
        ("gud_images",),
        "hierarchies of wavelets and columns compete with standard diffusion",
        "3.17 bits a dimension on CIFAR-10 (Haar and columns), 3.90 and 3.94 on PCAM (columns)",
        held_out,
        _images_verdict,
        _images_tables,
        subset=("data_batch_1.bin.gz",),
        gpu=True,
    ),
)
