"""Where an ensemble comes from, as sections of its report: use and provenance.

Everything is read from the archive: the lines that training logged, the manifests of the whole
lineage, and the study itself, which is printed in full so that one file and one command repeat it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from pushforward import learnt, page
from pushforward.archive import Archive
from pushforward.curve import FILE as METRICS
from pushforward.repetition import written
from pushforward.study import Study


def usage(study: Study, archive: Archive) -> list[str]:
    """How to open the ensemble, with this package and without it."""
    name, channel = study.generation.name, study.simulation.channels[0]
    path = archive.folder(study.generation) / "data.zarr"
    with_archive = f"""
from pushforward import Archive

ensemble = Archive({str(archive.root)!r}).open({name!r})
ensemble.{channel}.quantile([0.05, 0.95], dim="member")
"""
    without = f"""
import xarray as xr

ensemble = xr.open_zarr({str(path)!r}, consolidated=False)
"""
    return [
        page.paragraph("As labelled arrays, read when they are used:"),
        page.code(with_archive),
        page.paragraph("or with xarray alone:"),
        page.code(without),
    ]


def provenance(study: Study, archive: Archive, scored: Mapping[str, Any]) -> list[str]:
    """The lineage with its seconds, the code, the machines, and the study with its command.

    `scored` are the attributes of the scores.
    """
    manifests = [archive.manifest(spec) for spec in study.specs]
    costs = [_cost(study, archive, manifest, scored["seconds"]) for manifest in manifests]
    rows = [
        (
            f"<code>{escape(manifest['name'])}</code>",
            escape(learnt.clock(cost)),
            escape(
                str(manifest["provenance"]["time"]).replace("T", " ").replace("+00:00", " UTC")
            ),
            escape(_code(manifest["provenance"]["code"])),
        )
        for manifest, cost in zip(manifests, costs, strict=True)
    ]
    last = manifests[-1]["provenance"]
    libraries = ", ".join(f"{k} {v}" for k, v in last["libraries"].items() if v)
    text = written(study)
    command = f"pushforward run study.yaml --root {archive.root}"
    return [
        page.table(["Result", "Time computed", "Sealed", "Code"], rows),
        page.facts(
            [
                *((f"machine{label}", text) for label, text in _machines(manifests)),
                ("libraries", libraries),
                ("scores", _sizes(scored)),
            ]
        ),
        page.paragraph("To repeat it, save the study below as study.yaml and run"),
        page.code(command),
        page.folded("The study", page.code(text)),
    ]


def _sizes(scored: Mapping[str, Any]) -> str:
    """What the scores are of: members, splits, resamples, and where few stand for all.

    >>> facts = {"members": 2000, "pool": 4000, "splits": 200, "bootstrap": 100, "seed": 0}
    >>> _sizes({**facts, "pairs": 1024}).split("; ")[1]
    'pairs and nearest neighbours of the first 1024'
    """
    text = (
        f"{scored['members']} members a side, floors from {scored['splits']} splits of "
        f"{scored['pool']} unseen solver members, errors from {scored['bootstrap']} resamples, "
        f"seed {scored['seed']}"
    )
    if scored.get("pairs", scored["members"]) < scored["members"]:
        text += f"; pairs and nearest neighbours of the first {scored['pairs']}"
    if scored.get("fitted", scored["pool"]) < scored["pool"]:
        text += f"; units measured on the first {scored['fitted']} of the pool"
    return text


def _cost(
    study: Study, archive: Archive, manifest: dict[str, Any], evaluation: float
) -> float | None:
    """Seconds of work: the sum over blocks, or what training and evaluation wrote down."""
    if manifest["kind"] == "evaluation":
        return evaluation
    if manifest["kind"] == "training":
        return learnt.seconds(archive.read_lines(study.training, METRICS))
    return manifest.get("seconds") or None


def _code(code: dict[str, Any]) -> str:
    commit = f", commit {code['commit'][:10]}" if code.get("commit") else ""
    return f"{code.get('version') or ''}{commit}{', with changes' if code.get('dirty') else ''}"


def _machines(manifests: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Every machine once, with the kinds of result that it sealed when there are several."""
    seen: dict[str, list[str]] = {}
    for manifest in manifests:
        machine = manifest["provenance"]["machine"]
        facts = [
            machine.get("host"),
            machine.get("processor"),
            f"{machine['cores']} cores" if machine.get("cores") else None,
            machine.get("gpu"),
            machine.get("system"),
            f"Python {machine['python']}" if machine.get("python") else None,
        ]
        seen.setdefault(", ".join(str(fact) for fact in facts if fact), []).append(
            manifest["kind"]
        )
    if len(seen) == 1:
        return [("", next(iter(seen)))]
    return [(f" ({', '.join(kinds)})", text) for text, kinds in seen.items()]
