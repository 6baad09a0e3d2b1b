"""Which blocks of a result are done: the markers, a small file each.

    root/<name>/blocks/000000.json     which members, checksums, seconds, machine

A marker is written after its block's data, both flushed to the disk, so a block is done when its
marker exists. How many blocks there are is said by the spec as it was first stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pushforward import files
from pushforward.lineage import Spec
from pushforward.places import Place
from pushforward.shelf import Shelf

BLOCKS = "blocks"
# read, and not what was written; any other OSError says nothing of what is stored
UNREADABLE = (files.Damaged, FileNotFoundError, ValueError, RuntimeError, KeyError, TypeError)


class Ledger(Shelf):
    """A shelf whose results have blocks of members, done or missing.

    >>> import tempfile
    >>> Ledger(tempfile.mkdtemp()).missing("simulation-1a2b3c4d5e")
    Traceback (most recent call last):
    LookupError: simulation-1a2b3c4d5e is not in ...; `search` lists what is
    """

    def blocks(self, spec: Spec | str) -> range:
        """The numbers of a result's blocks; none for what has no members on disk."""
        members, block = self.size(spec)
        return range(-(-members // block))

    def span(self, spec: Spec | str, block: int) -> range:
        """The members of one block."""
        members, size = self.size(spec)
        if not 0 <= block * size < members:
            raise ValueError(f"expected a block of {self.blocks(spec)}, got {block}; choose one")
        return range(block * size, min(block * size + size, members))

    def missing(self, spec: Spec | str) -> list[int]:
        """The blocks that are not done."""
        folder = self.folder(spec) / BLOCKS
        there = set(files.listing(folder))
        return [block for block in self.blocks(spec) if _name(block) not in there]

    def done(self, spec: Spec | str, block: int) -> bool:
        """Whether one block is done."""
        return files.exists(self.marker(spec, block))

    def marker(self, spec: Spec | str, block: int) -> Place:
        """Where a block's marker lies, or would lie."""
        return self.folder(spec) / BLOCKS / _name(block)

    def markers(self, spec: Spec | str) -> list[dict[str, Any]]:
        """The markers of the blocks that are done; one that cannot be read is a block's number."""
        markers: list[dict[str, Any]] = []
        for block in self.blocks(spec):
            try:
                marker = files.read_json(self.marker(spec, block))
                markers.append(marker if sound(marker) else {"block": block})
            except FileNotFoundError:
                continue
            except UNREADABLE:
                markers.append({"block": block})
        return markers

    def size(self, spec: Spec | str) -> tuple[int, int]:
        """How many members a result has on disk, and how many of them make a block there."""
        values = spec.model_dump() if isinstance(spec, Spec) else {}
        stored = self.described(spec)
        if stored is not None:
            values = stored["spec"]
        elif isinstance(spec, str):
            self.stored(spec)
        return (values["members"], values["block"]) if "block" in values else (0, 1)


def _name(block: int) -> str:
    return f"{block:06d}.json"


def digest_of(values: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON values, but for one of their own, however they are written.

    >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    True
    """
    plain = json.loads(json.dumps(dict(values)))  # as they are read back
    plain.pop("sha256", None)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def sound(values: Mapping[str, Any]) -> bool:
    """Whether JSON values are those that their own checksum was taken of, if they have one.

    Those before 2026-11-29 have none.
    """
    return values.get("sha256") in (None, digest_of(values))
