"""Makes the benchmarks importable, wherever pytest is started; they keep what they keep here."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
_folder = tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True)
os.environ.setdefault("PUSHFORWARD_BENCHMARKS", _folder.name)
