"""What is stored is what was written: every block and file against its checksum.

    manifest.json      has the checksums of all files and blocks, and one of itself
    blocks/*.json      have one of themselves each, and are told again in the manifest
    data.zarr          shards by the checksums of their values, all else by that of the file

Logs (.jsonl), and the certificate and the report, which are made anew, are no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

import xarray as xr

from pushforward import bounds, certificate, files, layout
from pushforward.ledger import BLOCKS, UNREADABLE, Ledger, sound
from pushforward.lineage import Spec
from pushforward.shelf import CHECKPOINT, DATA, MANIFEST, REPORT, SPEC


class Inspected(Ledger):
    """A ledger whose results are checked, taken from each other, and opened to be mended.

    >>> import tempfile
    >>> Inspected(tempfile.mkdtemp()).sealed("simulation-1a2b3c4d5e")
    False
    """

    def sealed(self, spec: Spec | str) -> bool:
        """Whether the result is complete."""
        return files.exists(self.folder(spec) / MANIFEST)

    def verify(self, spec: Spec | str) -> list[str]:
        """What is stored of a result but differs from its checksum: blocks and files.

        >>> import tempfile
        >>> Inspected(tempfile.mkdtemp()).verify("simulation-1a2b3c4d5e")
        Traceback (most recent call last):
        LookupError: simulation-1a2b3c4d5e is not in ...; `search` lists what is
        """
        self.size(spec)  # is it there at all?
        folder, seal = self.folder(spec), self._seal(spec)
        bad = [MANIFEST] if self.sealed(spec) and not seal else []
        markers = seal.get("blocks") or self.markers(spec)
        bad += [f"block {one['block']}" for one in markers if not self._intact(spec, one)]
        if seal:  # every block is sealed
            there = {one["block"] for one in markers}
            bad += [f"block {block}" for block in self.blocks(spec) if block not in there]
        for name, digest in seal.get("files", {}).items():
            path = folder / name if bounds.inside(name) else None
            if path is None or not files.exists(path) or files.digest(path) != digest:
                bad.append(name)
        told = {one["block"]: one for one in self.markers(spec)} if seal else {}
        for one in seal.get("blocks", ()):
            own = told.get(one["block"], {})  # of another writer of the same bits, perhaps
            same = all(own.get(key) == one.get(key) for key in ("members", "arrays"))
            if f"block {one['block']}" not in bad and not same:
                bad.append(f"{BLOCKS}/{self.marker(spec, one['block']).name}")
        return bad

    def take(self, spec: Spec, block: int, other: str) -> bool:
        """Takes one block from another result whose members are the same, if it has it intact.

        It is linked where the file system can, else copied, and its marker with it. False where
        the other one has no such whole block, has it in other files, or has it damaged.
        """
        mine, theirs = self.folder(spec), self.folder(other)
        members = self.span(spec, block)
        marker = self._marked(other, block)
        if marker is None or self.span(other, block) != members:
            return False
        names = sorted(marker.get("arrays", ()))
        if names != layout.fields(mine / DATA) or not self._intact(other, marker):
            return False
        if not layout.take(mine / DATA, theirs / DATA, members, names):
            return False
        files.write_json(self.marker(spec, block), marker)
        return True

    def reopen(
        self, spec: Spec, faults: Sequence[str], template: xr.Dataset | None
    ) -> dict[int, dict[str, str]]:
        """Takes away the seal and what `verify` found damaged, so that its verb makes it again.

        `template` describes the arrays, if there are any: what is damaged of their description is
        written again, all of it where the seal is damaged that would tell, and blocks that can
        then be read are kept. Returns the checksums that every block had.
        """
        folder, seal = self.folder(spec), self._seal(spec)
        lost = MANIFEST in faults
        files.remove(folder / MANIFEST)
        if template is None:
            for name in self._files(spec) if lost else seal.get("files", {}):
                if name != SPEC and bounds.inside(name):
                    files.remove(folder / name)
            return {}
        named = [name for name in faults if name.startswith(f"{DATA}/") and bounds.inside(name)]
        described = [name.removeprefix(f"{DATA}/") for name in named]
        if described or lost:
            damaged = None if lost else described
            layout.mend(folder / DATA, template, self.size(spec)[1], damaged)
        markers = seal.get("blocks") or self.markers(spec)
        for one in markers:
            if self._intact(spec, one):
                files.write_json(self.marker(spec, one["block"]), one)
            else:
                files.remove(self.marker(spec, one["block"]))
        return {one["block"]: one.get("arrays", {}) for one in markers}

    def _marked(self, spec: Spec | str, block: int) -> dict[str, Any] | None:
        """The marker of a block; None where it is not there, or damaged."""
        try:
            marker = files.read_json(self.marker(spec, block))
            return marker if sound(marker) else None
        except UNREADABLE:
            return None

    def _complete(self, spec: Spec | str, names: Sequence[str]) -> None:
        """Raises OSError where shards of some variables are lost: Zarr would give NaN."""
        path, blocks = self.folder(spec) / DATA, [*map(str, self.blocks(spec))]
        for name in names if blocks else []:
            there = {one.partition("/")[0] for one in files.listing(path / name / "c")}
            if lost := [block for block in blocks if block not in there]:
                raise OSError(
                    f"expected {len(blocks)} shards in {path / name}, got none for block "
                    f"{', '.join(lost[:5])}; run `pushforward verify --repair`"
                )

    def _seal(self, spec: Spec | str) -> dict[str, Any]:
        """What the manifest holds; nothing where it is not there, or not what was sealed."""
        path = self.folder(spec) / MANIFEST
        try:
            seal = files.read_json(path)
            return seal if sound(seal) else {}
        except UNREADABLE:
            return {}

    def _intact(self, spec: Spec | str, marker: dict[str, Any]) -> bool:
        """Whether a block can be read back as it was written."""
        try:
            members = range(*marker["members"])
            path, names = self.folder(spec) / DATA, sorted(marker["arrays"])
            whole = all(map(bounds.inside, names))
            return whole and layout.checksums(path, members, names) == marker["arrays"]
        except UNREADABLE:  # a failed checksum of a chunk, a lost file, a marker that is none
            return False

    def _files(self, spec: Spec | str) -> list[str]:
        """Everything but blocks, markers, the seal, logs, and what is made anew."""
        folder = self.folder(spec)
        fields = layout.fields(folder / DATA) if self.blocks(spec) else []
        chunks = (f"{BLOCKS}/", *(f"{DATA}/{name}/c/" for name in fields))
        return sorted(
            path
            for path in files.listing(folder)
            if PurePath(path).name not in (MANIFEST, CHECKPOINT, certificate.FILE, REPORT)
            and not path.endswith((".jsonl", files.PARTIAL))
            and not path.startswith(chunks)
        )
