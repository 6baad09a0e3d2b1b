"""Every experiment of the four seeds, made again, beside what was published.

    OMP_NUM_THREADS=1 python -m benchmarks.seeds                       docs/results/seeds.md
    OMP_NUM_THREADS=1 python -m benchmarks.seeds --root FOLDER         keeps what was made
    OMP_NUM_THREADS=1 python -m benchmarks.seeds --data FOLDER         where MNIST and CIFAR-10 are
    OMP_NUM_THREADS=1 python -m benchmarks.seeds --only mdm_mnist      one row
    OMP_NUM_THREADS=1 python -m benchmarks.seeds --page                the page, from the JSON

Some hours on one core. A row whose files are not there is run as far as they are, and says so.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.seeds import ddo, ddo_darcy, ddo_images, gud, mdm, multilevel
from benchmarks.seeds.costs import costs
from benchmarks.seeds.page import written
from benchmarks.seeds.row import Family, Row
from pushforward import Archive, Study
from pushforward.stacks import Stack
from pushforward.variants import cover, family

ROWS = tuple(
    row for room in (ddo, ddo_images, ddo_darcy, multilevel, gud, mdm) for row in room.ROWS
)
ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "catalogs" / "seeds"
RESULTS = ROOT / "docs" / "results" / "seeds"
RESERVE = 640  # images of a subset that are not learnt from: some validate, the others score


def main() -> None:
    """Makes what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="archive to keep what is made in")
    parser.add_argument("--data", help="folder of published files")
    parser.add_argument("--only", nargs="+", choices=[row.name for row in ROWS], help="rows")
    parser.add_argument("--variant", nargs="+", default=(), help="these variants alone")
    parser.add_argument("--page", action="store_true", help="write the page from what is stored")
    asked = parser.parse_args()
    rows = [row for row in ROWS if asked.only is None or row.name in asked.only]
    known = {part for row in rows for part in variants(row)}
    for name in {*asked.variant} - known:
        parser.error(f"expected variants of these rows, got {name}; choose from {sorted(known)}")
    torch.set_num_threads(1)
    if asked.data:
        os.environ["PUSHFORWARD_DATA"] = asked.data
    RESULTS.mkdir(exist_ok=True)
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for row in [] if asked.page else rows:
            try:
                text = json.dumps(made(row, asked.root or folder, chosen=asked.variant), indent=1)
            except subprocess.CalledProcessError as mistake:  # it has said why
                failed.append(f"{row.name}: {shlex.join(mistake.cmd)} failed")
                continue
            (RESULTS / f"{row.name}.json").write_text(text + "\n", encoding="utf-8")
    RESULTS.with_suffix(".md").write_text(page(), encoding="utf-8")
    if failed:
        sys.exit("\n".join(failed))


def variants(row: Row) -> set[str]:
    """The names that a row's variants are chosen by."""
    studies = (name for one in row.pages for name in family(str(PAGES / f"{one}.yaml")))
    return {part for name in studies for part in name.split(", ")}


def page() -> str:
    """The page of all rows that are stored."""
    stored = {row.name: RESULTS / f"{row.name}.json" for row in ROWS}
    found = {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name, path in stored.items()
        if path.exists()
    }
    return written(ROWS, found)


def made(
    row: Row, root: str, *, smoke: bool = False, chosen: Sequence[str] = ()
) -> dict[str, Any]:
    """Runs a row's pages and measures it; with `smoke` shrunk ones, whose numbers mean nothing.

    `chosen` are the variants to run, of the pages that have them; a row of which some were chosen
    is not judged.
    """
    families: dict[str, Family] = {}
    absent: list[str] = []
    changes: list[str] = []
    for name in row.pages:
        source = str(PAGES / f"{name}.yaml")
        every, own = there(source, row, chosen)
        if smoke:
            every, own = {one: study.smoke() for one, study in cover(family(source)).items()}, []
        else:
            absent += [one for one in family(source) if one not in every]
        changes += own
        families[name] = every
        run(source, root, [""] if smoke else [*every], own, smoke=smoke)
    began, archive = time.monotonic(), Archive(root)
    measured = row.measure(archive, families)
    together = {f"{a}: {b}": one for a, each in families.items() for b, one in each.items()}
    return {
        "row": row.name,
        "measured": measured,
        "costs": costs(archive, together) if together else NOTHING,
        "absent": absent,
        "chosen": [name for name in chosen if name in variants(row)],
        "changes": sorted({*changes}),
        "seconds": round(time.monotonic() - began, 1),
    }


NOTHING = {"seconds": {}, "trainings": {}, "commits": [], "machine": {"processor": "none"}}


def there(source: str, row: Row, chosen: Sequence[str] = ()) -> tuple[dict[str, Study], list[str]]:
    """The studies of a page whose files are there, whole or as a row's subset, and the overrides
    that they need."""
    known = {name for one in family(source) for name in one.split(", ")}
    asked = family(source, chosen=[name for name in chosen if name in known])
    whole = {name: study for name, study in asked.items() if readable(study)}
    if whole or not row.subset:
        return whole, []
    found, changes = {}, []
    for name, study in asked.items():
        data = study.simulation.data
        kind = getattr(data, "kind", "")
        counted = _counted(kind, row.subset)
        if counted is None:
            continue
        count, files, sums = counted
        own = [
            f"simulation.data={{kind: {kind}, field: {getattr(data, 'field', None)}, "
            f"files: [{files}], sha256: [{sums}]}}",
            f"simulation.members={count}",
            f"training.members={count - RESERVE}",
            f"training.held_out={RESERVE - 4 * study.evaluation.members}",
        ]
        found |= family(source, own, [name])
        changes = own
    return found, changes


def _counted(kind: str, files: Sequence[str]) -> tuple[int, str, str] | None:
    """How many images the files of a subset hold, their names here and checksums; or None."""
    if kind != "cifar10":
        return None
    stack = Stack(kind, files=tuple(files))
    try:
        found = [path for path, _ in stack.paths()]
        sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in found]
        return len(stack), ", ".join(path.name for path in found), ", ".join(sums)
    except (OSError, ValueError):
        return None


def readable(study: Study) -> bool:
    """Whether the first member of a study's data can be had; whatever is solved for can."""
    if study.simulation.solved:
        return True
    try:
        study.simulation.source().draw([0], study.simulation.grid, study.simulation.seed)
    except (OSError, LookupError, ValueError) as mistake:
        print(f"{study.title}: {mistake}", file=sys.stderr)
        return False
    return True


def run(
    source: str, root: str, variants: Sequence[str], changes: Sequence[str], *, smoke: bool
) -> None:
    """`pushforward run` on a page, as it is typed."""
    if not variants:
        return
    options = [word for name in variants if name for word in ("--variant", name)]
    options += [word for change in changes for word in ("--set", change)]
    command = [sys.executable, "-m", "pushforward.flows", "run", source, "--root", root]
    command += ["--no-prefect", "--workers", "1", *options]
    subprocess.run(command + ["--smoke"] * smoke, check=True)


if __name__ == "__main__":
    main()
