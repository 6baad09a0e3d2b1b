"""The page of the fault table, in Markdown, made of the stored numbers alone."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

COMMAND = "OMP_NUM_THREADS=1 python -m tests.faults"
LIBRARIES = ("torch", "zarr", "prefect", "distributed", "fsspec")
CHANGES = ("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
OUTCOMES = {
    "unharmed": "went on through it",
    "resumed": "cut off, then the same bits",
    "refused": "one sentence, then the same bits",
    "mended": "found and mended",
    "failed": "failed",
}


def about(root: Path) -> dict[str, Any]:
    """How a row was made: commit, date, versions, and the kind of machine."""
    return {
        "commit": _git(root, "rev-parse", "--short", "HEAD"),
        "changed": bool(
            _git(root, "status", "--porcelain", "--untracked-files=no", "--", ":!docs")
        ),
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in LIBRARIES},
        "machine": f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores",
    }


def write(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The page of rows, by name."""
    heads = ["fault", "injected", "missed", *OUTCOMES.values(), "worst recovery", "`--only`"]
    lines = [_line(name, row) for name, row in rows.items()]
    bad = [f"- {row['title']}: {text}" for row in rows.values() for text in row["failures"]]
    total = sum(row["injections"] for row in rows.values())
    failed = sum(row["outcomes"]["failed"] for row in rows.values())
    verdict = f"{failed} failed" if failed else "none failed"
    if bad and not failed:
        verdict += ", some are wanting"
    parts = [
        "# Faults",
        f"    {COMMAND}",
        f"{total} injections of {len(rows)} faults: **{verdict}**. {_made(rows)}",
        _table(heads, lines),
        *(["## Failures", "\n".join(bad)] if bad else []),
        "## What a user is told",
        "The sentences as they were said, three kinds for each fault at most.",
        *_sentences(rows),
        METHOD,
    ]
    return "\n\n".join(parts) + "\n"


METHOD = """\
## What is counted

The study is the smallest there is: 8 x 8 points, a network of one layer, each verb a fraction
of a second. What is compared is every stored byte of arrays, their description and weights. A
fault comes at a random point of the work: between two events at which the process makes
something durable (fsync, rename), or at any time, from outside. One that finds nobody at work
is *missed* and injected again. The draws are seeded; what else the machine does meanwhile is
not.

- *went on through it*: the command ended well, and left the bits of a clean run.
- *cut off, then the same bits*: it was killed without a word; the same command went on, to the
  bits of a clean run.
- *one sentence, then the same bits*: it complained in exactly one sentence, without a
  traceback; after the remedy that is named, the same command left the bits of a clean run.
- *found and mended*: `verify` named the damaged result and exited with 1, no reader was given
  other numbers, and `verify --repair` made the bits of a clean run again.
- *failed*: anything else. Right after each fault, too, no result may be sealed that `verify`
  rejects.

*Worst recovery* is the longest time of the command that was run again, from its start, without
the imports: children are forked from a process that has made them."""


def _line(name: str, row: Mapping[str, Any]) -> list[str]:
    counts = [str(row["outcomes"][key] or "") for key in OUTCOMES]
    counts[-1] = f"**{counts[-1]}**" if counts[-1] else "0"
    verbs = ", ".join(row["verbs"])
    title = f"{row['title']} ({verbs}); remedy: {row['remedy']}"
    seconds = f"{row['worst_seconds']:.1f} s"
    return [title, str(row["injections"]), str(row["missed"]), *counts, seconds, f"`{name}`"]


def _sentences(rows: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    for row in rows.values():
        if row["sentences"]:
            title = row["title"][0].upper() + row["title"][1:]
            yield f"{title}:\n\n" + "\n".join(f"    {text}" for text in row["sentences"])


def _made(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """One phrase for each way in which rows were made, with the commits they were made from."""
    ways: dict[str, list[str]] = {}
    for row in rows.values():
        made = row["about"]
        versions = ", ".join(f"{k} {v}" for k, v in made["versions"].items() if v)
        way = f"Python {made['python']}, {versions}; {made['machine']}; seed {row['seed']}"
        commit = f"{made['commit']}{' with changes' if made['changed'] else ''} ({made['date']})"
        ways.setdefault(way, []).append(commit)
    return " ".join(
        f"Made from {', '.join(dict.fromkeys(commits))}: {way}." for way, commits in ways.items()
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git(root: Path, *words: str) -> str:
    """What git says of the tree; nothing where there is none."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()
