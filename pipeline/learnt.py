"""How a surrogate was trained, as a section of its report: losses, calibration, what it cost."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import numpy as np

from pushforward import bands, figures, files, page
from pushforward.archive import Archive
from pushforward.curve import FILE as METRICS
from pushforward.generative import PRESETS
from pushforward.spec import Training
from pushforward.training import CALIBRATION, LIKELIHOOD


def training(spec: Training, archive: Archive) -> list[str]:
    """The loss by step and what training cost; a sentence when there was none."""
    lines = [line for line in archive.read_lines(spec, METRICS) if "loss" in line]
    # two processes that trained the same at once have both written
    lines = [line for _, line in sorted({line["step"]: line for line in lines}.items())]
    if spec.steps == 0 or not lines:
        return [page.paragraph("The network was not trained: this is the Gaussian surrogate.")]
    held_out = {
        float(line["step"]): float(line["held_out_loss"])
        for line in lines
        if line.get("held_out_loss") is not None and math.isfinite(line["held_out_loss"])
    }
    steps = [float(line["step"]) for line in lines]
    drawing = figures.history(steps, [float(line["loss"]) for line in lines], held_out)
    own = changed(asdict(spec.surrogate), asdict(PRESETS[spec.surrogate.preset]))
    network = _flat(asdict(spec.surrogate.backbone))
    surrogate = "; ".join([spec.surrogate.preset, ", ".join(network), *_flat(own)])
    facts = page.facts(
        [
            ("members", f"{spec.members}, and {spec.held_out} held out"),
            ("steps", f"{spec.steps} of {spec.batch} members"),
            ("levels", _grids(spec)),
            ("learning rate", f"{spec.learning_rate:g}, averaged with {_averaged(spec)}"),
            ("time", clock(seconds(lines))),
            ("pace", _pace(lines)),
            ("last loss", f"{lines[-1]['loss']:.4g}"),
            ("held-out loss", f"{list(held_out.values())[-1]:.4g}" if held_out else ""),
            ("likelihood", _likelihood(archive, spec)),
            ("surrogate", surrogate),
        ]
    )
    levels = _levels(lines)
    more = levels + _calibration(archive, spec)
    notes = ["Loss: thin, each logged one; thick, the running mean"]
    notes += ["; dots, on held-out members"] if held_out else []
    notes += [
        ". By noise: the running mean of members whose mean log snr lies in one band, the darker "
        "the noisier"
    ] * bool(levels)
    notes += [
        ". Calibration: what the denoiser gives back of each shell's power, 1 when exact, one "
        "line for each noise level, the darker the noisier"
    ] * (len(more) > len(levels))
    return [page.figures([drawing, *more, facts]), page.paragraph("".join(notes) + ".", "note")]


def _levels(lines: list[dict[str, Any]]) -> list[str]:
    """The loss by band of noise, where training logged it."""
    kept = [line for line in lines if "loss_by_level" in line]
    values = np.asarray([line["loss_by_level"] for line in kept], dtype=float)
    if len(kept) < 2 or not np.isfinite(values).any():
        return []
    steps = [float(line["step"]) for line in kept]
    return [figures.levels(steps, dict(zip(bands.names(), values.T, strict=True)))]


def _pace(lines: list[dict[str, Any]]) -> str:
    """Samples a second and milliseconds a step, as medians over lines; nothing if unlogged."""
    kept = [line for line in lines if "samples_per_second" in line]
    if not kept:
        return ""
    names = ("samples_per_second", "step_ms_p50", "step_ms_p95", "data_wait")
    rate, middle, high, wait = (statistics.median(line[name] for line in kept) for name in names)
    return (
        f"{rate:.4g} samples/s, {middle:.3g} ms a step (95%: {high:.3g}), {wait:.1%} of it "
        "waiting for data"
    )


def _grids(spec: Training) -> str:
    """The coarse grids that training began on; nothing where there were none."""
    shown = [f"{' × '.join(map(str, one.points))} for {one.share:.0%}" for one in spec.levels]
    return f"{', '.join(shown)} of the steps, then the data's" if shown else ""


def _averaged(spec: Training) -> str:
    """How the weights that are kept are averaged."""
    return f"{spec.ema:g}" if spec.width is None else f"a power of width {spec.width:g}"


def _likelihood(archive: Archive, spec: Training) -> str:
    """The bound on the log-likelihood of held-out members, where training measured it."""
    if not files.exists(archive.folder(spec) / LIKELIHOOD):
        return ""
    found = archive.read_json(spec, LIKELIHOOD)
    if not found:
        return ""
    bits = "" if "bits_per_dimension" not in found else (
        f"at most {found['bits_per_dimension']:.3f} \u00b1 {found['bits_error']:.3f} bits per "
        f"dimension, Gaussian surrogate {found['gaussian_bits_per_dimension']:.3f}; "
    )  # fmt: skip
    return bits + (
        f"at least {found['nats_per_dimension']:.4f} nats per dimension of held-out members, "
        f"Gaussian surrogate {found['gaussian_nats_per_dimension']:.4f}: "
        f"{found['gain_per_member']:.1f} \u00b1 {found['gain_error']:.1f} nats a member more"
    )


def _calibration(archive: Archive, spec: Training) -> list[str]:
    """How calibrated the denoiser is per shell and noise level, where training measured it."""
    if not files.exists(archive.folder(spec) / CALIBRATION):
        return []
    values = archive.read_json(spec, CALIBRATION)
    ratio = np.asarray(values["ratio"], dtype=float).mean(axis=1)  # over channels
    if not np.isfinite(ratio).any():
        return []
    return [figures.calibration(values["log_snr"], ratio)]


def seconds(lines: list[dict[str, Any]]) -> float | None:
    """The largest time that a training log holds."""
    values = [float(line["seconds"]) for line in lines if line.get("seconds") is not None]
    return max(values) if values else None


def clock(seconds: float | None) -> str:
    """A duration as people say it.

    >>> clock(3.21), clock(75), clock(None)
    ('3.2 s', '0:01:15', '')
    """
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def changed(values: dict[str, Any], base: dict[str, Any]) -> dict[str, Any]:
    """What of nested values is not as in a base, the network aside.

    >>> changed({"path": {"lowest": -2, "highest": 4}}, {"path": {"lowest": -4, "highest": 4}})
    {'path': {'lowest': -2}}
    """
    found = {}
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            value = changed(value, base[key])
            if value and key != "backbone":
                found[key] = value
        elif value != base.get(key):
            found[key] = value
    return found


def _flat(values: dict[str, Any]) -> list[str]:
    """Names and values of a nested mapping, one text each.

    >>> _flat({"path": {"hierarchy": 1.0}, "width": 32})
    ['hierarchy 1.0', 'width 32']
    """
    flat: list[str] = []
    for key, value in values.items():
        flat += _flat(value) if isinstance(value, dict) else [f"{key} {value}"]
    return flat
