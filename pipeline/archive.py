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
run at once: machines of one instruction set write the same bits, and where two of different ones
meet in a block, the bits that were stored last are the ones that are sealed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xarray as xr

from pushforward import accessor as accessor  # what is opened here can be asked
from pushforward import certificate, critical, files, layout
from pushforward.catalogue import table
from pushforward.conditions import Condition, conditions
from pushforward.discovery import labelled
from pushforward.effort import Effort
from pushforward.entries import Entry, entries, find
from pushforward.formats import FORMAT
from pushforward.inspection import Inspected
from pushforward.ledger import digest_of
from pushforward.lineage import Spec, above
from pushforward.progress import say
from pushforward.provenance import code, machine, now, peak, peak_memory, provenance
from pushforward.shelf import DATA, MANIFEST, SPEC
from pushforward.spec import KINDS, Simulation, Training
from pushforward.tree import tree

if TYPE_CHECKING:
    import pandas as pd

    from pushforward.generative import Surrogate
    from pushforward.study import Study

WEIGHTS = "surrogate.safetensors"
ORPHAN_AGE = 600.0  # seconds without a write after which a `.partial` has no living writer


class Archive(Inspected):
    """The results below a local folder, or a URL that fsspec knows (``s3://bucket/runs``).

    The folder is made when the first result is stored; a bucket must be there.
    Raises ValueError for a URL with credentials in it, or without an installed client.

    >>> import tempfile
    >>> Archive(tempfile.mkdtemp()).search()
    []
    """

    def require(self, spec: Spec | str) -> None:
        """Raises LookupError, with what to run, unless the result is complete."""
        if self.sealed(spec):
            return
        folder = self.folder(spec)
        kind = folder.name.partition("-")[0]
        call = f"{KINDS[kind].verb}(study.{kind}, archive)"
        if not files.exists(folder / SPEC):
            raise LookupError(f"{folder.name} is not in {self.root}; run {call} first")
        count, left = len(self.blocks(spec)), len(self.missing(spec))
        state = f"is incomplete ({count - left} of {count} blocks)" if count else "is incomplete"
        raise LookupError(f"{folder.name} in {self.root} {state}; run {call} again")

    def manifest(self, spec: Spec | str) -> dict[str, Any]:
        """The seal of a complete result; LookupError for one that is absent or incomplete."""
        self.require(spec)
        self.described(spec)  # is it of a format that this version knows?
        return files.read_json(self.folder(spec) / MANIFEST)

    def search(self, *words: str | Condition, **where: Any) -> list[Entry]:
        """The results that meet all conditions, complete or not, by name.

        A key is a name in the spec (`viscosity`, `kind`; `equation` for the equation's kind) or
        the end of a dotted path, or `resolution`, the fewest points an axis; else a score of an
        evaluation, over its floor (`w1`). A value is equal, or a pair (least, largest); in words,
        ``search("viscosity < 1e-3", "resolution >= 128", equation="navier_stokes")``, it stands
        behind one of < <= > >= = !=. Raises ValueError for words that are no condition.
        """
        asked = conditions(words, where)
        return [entry for entry in entries(self.root) if entry.matches({}, *asked)]

    def find(self, name: str) -> Entry:
        """The one result that is called so, or whose name begins so; LookupError without one."""
        return find(self.root, name)

    def table(self, *words: str | Condition, **where: Any) -> pd.DataFrame:
        """The same results as a table: what they are of, lineage, scores, cost (see `catalogue`).

        `.to_xarray()` of it is a Dataset along `name`.
        """
        return table(self, *words, **where)

    def open(self, spec: Spec | str, **options: Any) -> xr.Dataset:
        """A complete result's arrays, read when they are used; `options` go to `xr.open_zarr`.

        ``chunks={}`` gives dask arrays, one block a chunk, for ensembles larger than memory.
        Fields stored on the critical grid come on the full one. Attributes follow CF and ACDD (see
        `discovery`); those of a simulation say what its solver did and what its certificate says.
        Raises LookupError for a result that is absent, incomplete, or has no arrays.
        """
        self.require(spec)
        path = self.folder(spec) / DATA
        if not files.exists(path):
            raise LookupError(f"expected arrays in {path.parent}, got files only; read these")
        known = self.stored(spec) if isinstance(spec, str) else spec
        dataset = labelled(critical.opened(path, **options))
        self._complete(spec, [str(name) for name in dataset.data_vars])
        if isinstance(known, Simulation):
            effort = Effort.read(self.manifest(spec)["blocks"])
            dataset.attrs |= {"solver": str(effort)} if effort is not None else {}
            dataset.attrs |= certificate.summary(path.parent) if known.solved else {}
        first = getattr(known, "channels", ())  # a folder lists its arrays in any order
        return dataset[[*first, *sorted({*dataset.data_vars} - {*first}, key=str)]]

    def tree(self, of: Study | Spec | str, **options: Any) -> xr.DataTree:
        """What is complete of a study, side by side: /solver, /generated, /scores (see `tree`).

        It may be given as a study, as the last of its specs, or as that one's name.
        """
        return tree(self, of, **options)

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
        if self.described(spec) is None:
            values = {"format": FORMAT, "from": above(spec), "kind": spec.kind, "name": spec.name}
            files.write_json(folder / SPEC, values | {"spec": spec.model_dump(mode="json")})
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
                "peak_memory": peak_memory(),
                **({} if effort is None else {"solver": effort.values()}),
                "machine": machine(),
                "code": code(),
                "time": now(),
            }
            other = self._marked(spec, block)
            own = {"sha256": digest_of(marker)}
            files.write_json(self.marker(spec, block), marker | own)
            if other is not None and other.get("arrays") != stored:
                # another machine sealed its own bits meanwhile, over which these were written
                files.remove(self.folder(spec) / MANIFEST)
                say(
                    f"{spec.name}: block {block} was stored by another machine meanwhile, with "
                    "other bits; this one's stay, and the result is sealed again"
                )
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
        if len(markers) < len(self.blocks(spec)):  # somebody found one damaged meanwhile
            self.require(spec)
        faults = [marker for marker in markers if not self._intact(spec, marker)]
        for marker in faults:
            files.remove(self.marker(spec, marker["block"]))
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
            "peak_memory": peak(markers),
            "blocks": markers,
            "files": {name: files.digest(folder / name) for name in self._files(spec)},
        }
        files.write_json(folder / MANIFEST, manifest | {"sha256": digest_of(manifest)})
