"""The compiled libraries: which were built, which of them this processor runs, what they offer.

Each instruction set is one shared library beside this file, with no tie to Python: `baseline` has
vectors of 16 bytes (SSE2, NEON), `avx2` of 32, `avx512` of 64. The widest that runs serves, unless
PUSHFORWARD_KERNEL names another; where none was built, torch does the work.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import os
from functools import lru_cache
from pathlib import Path

ISAS = ("baseline", "avx2", "avx512")  # from narrow to wide; the bits of `pushforward_cpu`
VARIABLE = "PUSHFORWARD_KERNEL"

SIZES = (ctypes.c_int64, ctypes.c_int64, ctypes.c_int)  # members, points, channels
FUNCTIONS = {  # those without a job, by name: what they take
    "layer": [*SIZES, *[ctypes.c_void_p] * 5],
    "layer_gradient": [*SIZES, *[ctypes.c_void_p] * 9],
    "head": [*SIZES, ctypes.c_int, *[ctypes.c_void_p] * 7],
    "head_gradient": [*SIZES, ctypes.c_int, *[ctypes.c_void_p] * 9],
    "uniforms": [*SIZES[:2], *[ctypes.c_void_p] * 2, *[ctypes.c_uint32] * 2]
    + [ctypes.c_void_p] * 2,
}


@lru_cache
def built() -> dict[str, ctypes.CDLL]:
    """The libraries that were built and that this processor runs, narrow ones first."""
    found: dict[str, ctypes.CDLL] = {}
    baseline = _load("baseline")
    if baseline is None:
        return found
    bits = baseline.pushforward_cpu()
    for n, isa in enumerate(ISAS):
        library = _load(isa) if n == 0 or bits >> (n - 1) & 1 else None
        if library is not None:
            found[isa] = library
    return found


def choose(kernel: str = "auto") -> str | None:
    """The library for a wish ("auto", "torch" or an instruction set); None: torch.

    "auto" is what the variable PUSHFORWARD_KERNEL says, or the widest there is.

    Raises ValueError for a name that is unknown, or that was not built or does not run here.

    >>> choose("torch") is None
    True
    """
    source = "kernel"
    if kernel == "auto":
        kernel, source = os.environ.get(VARIABLE, "auto"), VARIABLE
    there = list(built())
    if kernel == "auto":
        return there[-1] if there else None
    if kernel != "torch" and kernel not in there:
        known = ", ".join(("auto", "torch", *there))
        raise ValueError(
            f"expected {source} to be one of {known} here, got {kernel!r}; "
            "choose one of them, or build the kernels with a C compiler"
        )
    return None if kernel == "torch" else kernel


def _load(isa: str) -> ctypes.CDLL | None:
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_{isa}{suffix}")
        if path.is_file():
            try:
                return _typed(ctypes.CDLL(str(path)))
            except (OSError, AttributeError):  # built for another machine, or damaged
                return None
    return None


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    for kind in ("f32", "f64"):
        new = getattr(library, f"pushforward_{kind}_new")
        new.argtypes, new.restype = [ctypes.c_void_p], ctypes.c_void_p
        advance = getattr(library, f"pushforward_{kind}_advance")
        advance.argtypes, advance.restype = [ctypes.c_void_p], ctypes.c_int
        free = getattr(library, f"pushforward_{kind}_free")
        free.argtypes, free.restype = [ctypes.c_void_p], None
    for verb, arguments in FUNCTIONS.items():
        function = getattr(library, f"pushforward_{verb}")
        function.argtypes, function.restype = arguments, None
    library.pushforward_layer_unit.argtypes = []
    return library
