"""Folders by name, and the files in them: weights, metrics, reports.

A result lies in the folder of its spec's name. Files in it are JSON, lines of JSON, text, tensors
(safetensors: no pickled code runs when they are read); all but appended lines are whole or absent
(see `files`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from pushforward import files
from pushforward.formats import readable
from pushforward.lineage import Spec
from pushforward.places import Place, place
from pushforward.spec import KINDS, restore

DATA, SPEC, MANIFEST = "data.zarr", "spec.json", "manifest.json"
REPORT = "report.html"
CHECKPOINT = "checkpoint.safetensors"  # of a training that runs: no part of its result


def named(name: str) -> bool:
    """Whether this is a name of a result, which is a folder's and leads nowhere else.

    >>> named("simulation-1a2b3c4d5e"), named("simulation-../x"), named("weather-1")
    (True, False, False)
    """
    kind = re.fullmatch(r"([a-z]+)-\w+", name, re.ASCII)
    return kind is not None and kind[1] in KINDS


class Shelf:
    """The folders below a root, and their files; `Archive` adds blocks and seals to it."""

    def __init__(self, root: str | Place) -> None:
        self.root = place(root)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r})"

    def folder(self, spec: Spec | str) -> Place:
        """Where a result lies."""
        name = spec if isinstance(spec, str) else spec.name
        if not named(name):
            raise LookupError(
                f"expected a name like simulation-1a2b3c4d5e, got {name!r}; correct it"
            )
        return self.root / name

    def stored(self, spec: Spec | str) -> Spec:
        """The spec as it was first stored: the same name, with the layout that is on disk.

        Raises LookupError when a name is given that is not there, ValueError for one of a later
        format.
        """
        values = self.described(spec)
        if values is not None:
            return restore(values["kind"], values["spec"])
        if isinstance(spec, str):
            raise LookupError(f"{spec} is not in {self.root}; `search` lists what is")
        return spec

    def described(self, spec: Spec | str) -> Mapping[str, Any] | None:
        """What spec.json holds of a result; None where it is not there.

        Raises ValueError for one of a later format (see `formats`).
        """
        path = self.folder(spec) / SPEC
        try:
            return readable(files.read_json(path), path)
        except FileNotFoundError:
            return None

    def write_tensors(
        self,
        spec: Spec,
        filename: str,
        tensors: Mapping[str, Tensor],
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Stores tensors and JSON-able metadata as safetensors."""
        plain = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        text = json.dumps(metadata or {}, sort_keys=True)
        data = safetensors.torch.save(plain, {"json": text})
        files.write_bytes(self.folder(spec) / filename, data)

    def read_tensors(
        self, spec: Spec | str, filename: str
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and the metadata that `write_tensors` stored.

        Raises OSError when a sealed file is no longer what was sealed, and for one that is none of
        tensors.
        """
        path = self.file(spec, filename)
        seal = path.with_name(MANIFEST)
        told = files.read_json(seal)["files"] if files.exists(seal) else None
        if told is not None and told.get(filename) != files.digest(path):
            raise OSError(
                f"expected {path} as it was sealed, read back something else; remove the folder "
                f"{path.parent} and run its verb again"
            )
        data = files.read_bytes(path)
        try:
            head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
            return safetensors.torch.load(data), json.loads(head["__metadata__"]["json"])
        except (ValueError, LookupError, TypeError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise OSError(
                f"expected tensors as safetensors in {path}, got something else ({reason:.80}); "
                "remove it and run its verb again"
            ) from None

    def write_json(self, spec: Spec, filename: str, values: Any) -> None:
        """Stores JSON values."""
        files.write_json(self.folder(spec) / filename, values)

    def read_json(self, spec: Spec | str, filename: str) -> Any:
        """The JSON values of a file."""
        return files.read_json(self.file(spec, filename))

    def write_text(self, spec: Spec, filename: str, text: str) -> Place:
        """Stores a text, and says where."""
        files.write_bytes(self.folder(spec) / filename, text.encode())
        return self.folder(spec) / filename

    def append_line(self, spec: Spec, filename: str, values: Mapping[str, Any]) -> None:
        """Adds one line of JSON to a file (``metrics.jsonl``)."""
        files.append_line(self.folder(spec) / filename, json.dumps(values))

    def write_lines(self, spec: Spec, filename: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Stores lines of JSON, in place of those that are there."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        files.write_bytes(self.folder(spec) / filename, text.encode())

    def remove(self, spec: Spec, filename: str) -> None:
        """Removes a file, if it is there (a checkpoint, when its training is done)."""
        files.remove(self.folder(spec) / filename)

    def read_lines(self, spec: Spec | str, filename: str) -> list[dict[str, Any]]:
        """The whole lines of JSON in a file, if any; a line torn by a kill is not one."""
        return [json.loads(line) for line in files.read_lines(self.folder(spec) / filename)]

    def file(self, spec: Spec | str, filename: str) -> Place:
        """The path of a file that is there.

        Raises LookupError, with what there is, for one that is not.
        """
        path = self.folder(spec) / filename
        if not files.exists(path):
            there = sorted(item.name for item in path.parent.glob("*") if item.is_file())
            raise LookupError(
                f"expected {filename} in {path.parent}, got {', '.join(there) or 'no files'}; "
                f"remove the folder and run its verb again"
            )
        return path
