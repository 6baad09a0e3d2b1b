"""The one room where results are stored: in blocks, sealed when they are complete.

    root/<name>/spec.json           the spec, with the layout it was first made with
               data.zarr/           arrays, one shard per block of members (see `layout`)
               blocks/000000.json   markers: which members, checksums, seconds, machine (see
                                    `ledger`)
               <files>              weights, metrics, reports (see `shelf`)
               certificate.json     what `pushforward check` found, before or after (no part of
                                    the seal: it can be made anew)
               manifest.json        the seal: provenance, blocks and files with their checksums

A block is done when its marker exists. A result is complete when it is sealed; before that every
block is read back and compared with its marker. Everything is written atomically and all that a
process decides on is on disk, so a verb may be killed at any instant and run again, and two may
run at once: they write the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import xarray as xr

from pushforward import certificate, critical, files, layout
from pushforward.effort import Effort
from pushforward.entries import Entry, entries
from pushforward.ledger import BLOCKS, UNREADABLE, Ledger
from pushforward.lineage import Spec
from pushforward.provenance import code, machine, now, provenance
from pushforward.shelf import CHECKPOINT, DATA, MANIFEST, SPEC
from pushforward.spec import KINDS, Simulation, Training

if TYPE_CHECKING:
    from pushforward.generative import Surrogate

WEIGHTS = "surrogate.safetensors"
ORPHAN_AGE = 600.0  # seconds without a write after which a `.partial` has no living writer


class Archive(Ledger):
    """The results below a local folder, or a URL that fsspec knows (``s3://bucket/runs``).

    The folder is made when the first result is stored; a bucket must be there.
    Raises ValueError for a URL with credentials in it, or without an installed client.

    >>> import tempfile
    >>> Archive(tempfile.mkdtemp()).search()
    []
    """

    def sealed(self, spec: Spec | str) -> bool:
        """Whether the result is complete."""
        return (self.folder(spec) / MANIFEST).exists()

    def require(self, spec: Spec | str) -> None:
        """Raises LookupError, with what to run, unless the result is complete."""
        if self.sealed(spec):
            return
        folder = self.folder(spec)
        kind = folder.name.partition("-")[0]
        call = f"{KINDS[kind].verb}(study.{kind}, archive)"
        if not (folder / SPEC).exists():
            raise LookupError(f"{folder.name} is not in {self.root}; run {call} first")
        count, left = len(self.blocks(spec)), len(self.missing(spec))
        state = f"is incomplete ({count - left} of {count} blocks)" if count else "is incomplete"
        raise LookupError(f"{folder.name} in {self.root} {state}; run {call} again")

    def manifest(self, spec: Spec | str) -> dict[str, Any]:
        """The seal of a complete result; LookupError for one that is absent or incomplete."""
        self.require(spec)
        return files.read_json(self.folder(spec) / MANIFEST)

    def search(self, **where: Any) -> list[Entry]:
        """The results whose lineage has all of the values, complete or not, by name.

        A key is a name in the spec (`viscosity`, `kind`; `equation` for the equation's kind) or
        the end of a dotted path; a value is equal, or a pair (least, largest).
        """
        return [entry for entry in entries(self.root) if entry.matches(where)]

    def open(self, spec: Spec | str, **options: Any) -> xr.Dataset:
        """A complete result's arrays, read when they are used; `options` go to `xr.open_zarr`.

        ``chunks={}`` gives dask arrays, one block a chunk, for ensembles larger than memory.
        Fields stored on the critical grid come on the full one. The attributes of a simulation say
        what its solver did and what its certificate says.
        Raises LookupError for a result that is absent, incomplete, or has no arrays.
        """
        self.require(spec)
        path = self.folder(spec) / DATA
        if not path.exists():
            raise LookupError(f"expected arrays in {path.parent}, got files only; read these")
        known = self.stored(spec) if isinstance(spec, str) else spec
        dataset = critical.opened(path, **options)
        if isinstance(known, Simulation):
            effort = Effort.read(self.manifest(spec)["blocks"])
            dataset.attrs |= {"solver": str(effort)} if effort is not None else {}
            dataset.attrs |= certificate.summary(path.parent)
        first = getattr(known, "channels", ())  # a folder lists its arrays in any order
        return dataset[[*first, *sorted({*dataset.data_vars} - {*first}, key=str)]]

    def surrogate(self, training: Training | str) -> Surrogate:
        """The trained surrogate; LookupError, with what to run, when it is not complete."""
        from pushforward.generative import Surrogate

        self.require(training)
        tensors, metadata = self.read_tensors(training, WEIGHTS)
        return Surrogate.restore(metadata["config"], tensors)

    def create(self, spec: Spec, template: xr.Dataset | None = None) -> None:
        """Makes a result's folder, and its arrays if a template is given; what is there stays."""
        folder = self.folder(spec)
        files.sweep(folder, ORPHAN_AGE)
        if not (folder / SPEC).exists():
            values = {"kind": spec.kind, "name": spec.name, "spec": spec.model_dump(mode="json")}
            files.write_json(folder / SPEC, values)
        if template is not None:
            layout.allocate(folder / DATA, template, self.size(spec)[1])

    def write(
        self,
        spec: Spec,
        block: int,
        dataset: xr.Dataset,
        seconds: float = 0.0,
        effort: Effort | None = None,
    ) -> None:
        """Stores exactly the members of one block, of all variables, and marks the block as done.

        A block that is done stays as it is.
        Raises ValueError for other members, variables or shapes than the block's,
        FloatingPointError for values that are not finite, OSError when the disk refuses; the block
        is then not marked, and nothing else is touched.
        """
        if self.done(spec, block):
            return
        members = self.span(spec, block)
        try:
            stored = layout.write(self.folder(spec) / DATA, members, dataset)
            marker = {
                "block": block,
                "members": [members.start, members.stop],
                "arrays": stored,
                "seconds": round(seconds, 3),
                **({} if effort is None else {"solver": effort.values()}),
                "machine": machine(),
                "code": code(),
                "time": now(),
            }
            files.write_json(self.marker(spec, block), marker)
        except FileNotFoundError:
            # another process did this block too, and swept this one's file when it sealed
            if not self.done(spec, block):
                raise

    def seal(self, spec: Spec) -> None:
        """Marks a result as complete, after reading back every block; a sealed one stays.

        Raises LookupError when blocks are missing, and OSError when stored blocks differ from
        their checksums; the markers of these are taken away, so that they are computed again.
        """
        if self.sealed(spec):
            return
        self.create(spec)
        folder = self.folder(spec)
        if self.missing(spec):
            self.require(spec)
        markers = self.markers(spec)
        faults = [marker for marker in markers if not self._intact(spec, marker)]
        for marker in faults:
            self.marker(spec, marker["block"]).unlink(missing_ok=True)
        if faults:
            numbers = ", ".join(str(marker["block"]) for marker in faults)
            raise OSError(
                f"expected what was written to {folder}, read back something else in block "
                f"{numbers}; check the disk and run the same command again"
            )
        files.sweep(folder)
        effort = Effort.read(markers)
        manifest = {
            "name": folder.name,
            "kind": spec.kind,
            "provenance": provenance(),
            **({} if effort is None else {"solver": effort.values()}),
            "seconds": round(sum(marker["seconds"] for marker in markers), 3),
            "blocks": markers,
            "files": {name: files.digest(folder / name) for name in self._files(spec)},
        }
        files.write_json(folder / MANIFEST, manifest)

    def verify(self, spec: Spec | str) -> list[str]:
        """What is stored of a result but differs from its checksum: blocks and files.

        >>> import tempfile
        >>> Archive(tempfile.mkdtemp()).verify("simulation-1a2b3c4d5e")
        Traceback (most recent call last):
        LookupError: simulation-1a2b3c4d5e is not in ...; `search` lists what is
        """
        folder = self.folder(spec)
        self.size(spec)  # is it there at all?
        seal = files.read_json(folder / MANIFEST) if self.sealed(spec) else {}
        markers = seal.get("blocks") or self.markers(spec)
        bad = [f"block {one['block']}" for one in markers if not self._intact(spec, one)]
        for name, digest in seal.get("files", {}).items():
            if not (folder / name).is_file() or files.digest(folder / name) != digest:
                bad.append(name)
        return bad

    def take(self, spec: Spec, block: int, other: str) -> bool:
        """Takes one block from another result whose members are the same, if it has it intact.

        It is linked where the file system can, else copied, and its marker with it. False where
        the other one has no such whole block, has it in other files, or has it damaged.
        """
        mine, theirs = self.folder(spec), self.folder(other)
        members = self.span(spec, block)
        if not self.marker(other, block).exists() or self.span(other, block) != members:
            return False
        try:
            marker = files.read_json(self.marker(other, block))
        except UNREADABLE:
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
        written again, and blocks that can then be read are kept. Returns the checksums that every
        block had.
        """
        folder, seal = self.folder(spec), self.folder(spec) / MANIFEST
        sealed = files.read_json(seal) if seal.exists() else {}
        files.remove(seal)
        if template is None:
            for name in sealed.get("files", {}):
                if name != SPEC:
                    files.remove(folder / name)
            return {}
        described = [name.removeprefix(f"{DATA}/") for name in faults if name.startswith(DATA)]
        if described:
            layout.mend(folder / DATA, template, self.size(spec)[1], described)
        markers = sealed.get("blocks") or self.markers(spec)
        for one in markers:
            if self._intact(spec, one):
                files.write_json(self.marker(spec, one["block"]), one)
            else:
                files.remove(self.marker(spec, one["block"]))
        return {one["block"]: one.get("arrays", {}) for one in markers}

    def _intact(self, spec: Spec | str, marker: dict[str, Any]) -> bool:
        """Whether a block can be read back as it was written."""
        try:
            members = range(*marker["members"])
            path = self.folder(spec) / DATA
            return layout.checksums(path, members, sorted(marker["arrays"])) == marker["arrays"]
        except (TimeoutError, ConnectionError):  # of a store: no damage
            raise
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
            if PurePath(path).name not in (MANIFEST, CHECKPOINT, certificate.FILE)
            and not path.endswith((".jsonl", files.PARTIAL))
            and not path.startswith(chunks)
        )
