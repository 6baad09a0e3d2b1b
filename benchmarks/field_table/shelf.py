"""What a run keeps so that the next goes on where it stopped: rows, and what was fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from benchmarks.store import FOLDER as STORE
from benchmarks.store import Store

FOLDER = STORE / "field_table"


def rows() -> Store:
    """The rows that are there already, by key."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    return Store("field_table/rows")


def kept(key: str) -> dict[str, Any] | None:
    """What was kept under a key: tensors and plain numbers."""
    path = _path(key)
    return torch.load(path, weights_only=True) if path.exists() else None


def keep(key: str, values: dict[str, Any]) -> None:
    """Keeps tensors and plain numbers, whole or not at all."""
    path = _path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    torch.save(values, new)
    new.replace(path)


def _path(key: str) -> Path:
    return FOLDER / "kept" / f"{key.replace('/', '-')}.pt"
