"""Injects faults, row by row, and writes the page; exits with 1 when one was not survived."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported anywhere; children inherit it
# of children that are killed, locks stay behind; their tracker would tell of each at the end
os.environ.setdefault("PYTHONWARNINGS", "ignore:resource_tracker:UserWarning")

from tests.faults.mounts import private_mounts
from tests.faults.page import about, write
from tests.faults.scene import Bench
from tests.faults.table import FAULTS, measure

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results" / "faults.json"
INSIDE = "PUSHFORWARD_FAULTS_MOUNTS"  # set where disks of one's own may be mounted


def main() -> int:
    """Reads the options, and injects."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*FAULTS], metavar="NAME", default=[*FAULTS])
    parser.add_argument("--times", type=int, default=20, help="injections that hit, of each fault")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON; the page is .md")
    given = parser.parse_args()
    inside = os.environ.get(INSIDE) == "1"
    here = [name for name in given.only if inside or not FAULTS[name].mounts]
    made = about(ROOT)  # now: who works on the tree meanwhile does not change what is running
    there = [name for name in given.only if name not in here]
    with tempfile.TemporaryDirectory(prefix="faults-") as folder, Bench(Path(folder)) as bench:
        for name in here:

            def keep(row: dict[str, Any], name: str = name) -> None:
                store(given.results, name, row | {"about": made})

            row = measure(name, bench, given.times, given.seed, keep)
            keep(row)
            tell(name, row)
    if there:
        elsewhere(there, given)
    if inside:
        return 0
    rows = stored(given.results)
    given.results.with_suffix(".md").write_text(write(rows), encoding="utf-8")
    return 1 if any(rows[name]["failures"] for name in given.only if name in rows) else 0


def elsewhere(names: Sequence[str], given: argparse.Namespace) -> None:
    """Runs rows where disks may be mounted; says which are not run where the system has none."""
    command = private_mounts()
    if command is None:
        print(f"not run: {', '.join(names)}: needs a mount namespace", file=sys.stderr)
        return
    options = ["--times", str(given.times), "--seed", str(given.seed)]
    options += ["--results", str(given.results), "--only", *names]
    command += [sys.executable, "-m", "tests.faults", *options]
    subprocess.run(command, env={**os.environ, INSIDE: "1"}, cwd=ROOT, check=True)


def stored(path: Path) -> dict[str, Any]:
    """The rows so far, in the table's order."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: rows[name] for name in FAULTS if name in rows}


def store(path: Path, name: str, row: dict[str, Any]) -> None:
    """Adds a row, or puts it in its former one's place."""
    text = json.dumps(stored(path) | {name: row}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def tell(name: str, row: dict[str, Any]) -> None:
    """One line of a row, and what failed."""
    counts = ", ".join(f"{count} {key}" for key, count in row["outcomes"].items() if count)
    print(f"{name}: {counts}, {row['missed']} missed, {row['minutes']} minutes", flush=True)
    for text in row["failures"]:
        print(f"  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
