"""What is kept between runs of the benchmark, in a folder that is not part of the repository."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(
    os.environ.get("PUSHFORWARD_BENCHMARKS")
    or Path(tempfile.gettempdir()) / "pushforward-benchmarks"
)


class Store:
    """A dictionary in a JSON file, written at every change, so that a run can be resumed."""

    def __init__(self, name: str) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.path = FOLDER / f"{name}.json"
        self.values: dict[str, Any] = {}
        if self.path.exists():
            self.values = json.loads(self.path.read_text(encoding="utf-8"))

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def get(self, key: str, default: Any) -> Any:
        """What is kept under a key, or the default."""
        return self.values.get(key, default)

    def __setitem__(self, key: str, value: Any) -> None:
        if self.path.exists():  # another run may have written meanwhile
            self.values |= json.loads(self.path.read_text(encoding="utf-8"))
        self.values[key] = value
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.values, indent=1), encoding="utf-8")
        new.replace(self.path)

    def clear(self) -> None:
        """Forgets everything."""
        self.values = {}
        self.path.unlink(missing_ok=True)
