"""How an ensemble lies in Zarr: one shard = one block of members = one writer.

An ensemble is described by a *template*: an `xarray.Dataset` with its coordinates and attributes
in full and its variables as shapes only. On disk it is a Zarr v3 group of sharded arrays, filled
with NaN. A shard holds `block` members; inside it lie chunks, the smallest ones of at least 64 KB
that hold whole fields, then several members, then several times, so that reading one frame of a
few members reads little more. A chunk is compressed by Blosc: bytes of like weight side by side,
then LZ4; fields take fewer bytes than by Zstandard alone, and come back sooner
(docs/results/reading.md). Behind that stands a CRC-32C: a flipped bit is an error when it is read,
not a wrong number. A group appears whole, by one rename.

    Zarr v3 core and sharding: https://zarr-specs.readthedocs.io/en/latest/v3/
"""

from __future__ import annotations

import hashlib
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
import zarr.codecs
from numpy.typing import NDArray

from pushforward import files, places
from pushforward.codec import Codec, shard_file
from pushforward.discovery import MEMBER
from pushforward.places import Place
from pushforward.solvers import Grid

SMALL, LARGE = 2**16, 2**20  # bytes of a chunk
AXES = ("z", "y", "x")
ENCODING = ("data_type", "chunk_grid", "codecs")  # what makes bytes of values, in Zarr's metadata
CONVENTIONS = "CF-1.11, ACDD-1.3"


def template(
    grid: Grid,
    members: range,
    times: Sequence[float],
    channels: Mapping[str, str],
    dtype: str,
    static: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """The shape of an ensemble: variables (member, time, *space), `static` ones (member, *space).

    `channels` and `static` map names to what they are. Takes no memory for the fields.

    >>> template(Grid((8, 8)), range(100), [0.0, 1.0], {"u": "speed"}, "float32").u.shape
    (100, 2, 8, 8)
    """
    space = AXES[-grid.ndim :]
    coordinates: dict[str, Any] = {
        "member": (
            "member",
            np.arange(members.start, members.stop, members.step),  # many at once
            MEMBER,
        ),
        "time": (
            "time",
            np.asarray(times, float),
            {"long_name": "time", "axis": "T", "units": "1"},
        ),
    }
    for name, points in zip(space, grid.coordinates(), strict=True):
        about = {"long_name": f"{name} coordinate", "axis": name.upper(), "units": "1"}
        # an array taken out of the dataset keeps its coordinates only
        coordinates[name] = (name, points.numpy(), about | {"boundary": grid.boundary})

    def variable(dims: tuple[str, ...], about: str) -> tuple[Any, ...]:
        shape = [len(coordinates[dim][1]) for dim in dims]
        empty = np.broadcast_to(np.array(np.nan, dtype), shape)
        return dims, empty, {"long_name": about, "units": "1"}

    variables = {k: variable(("member", "time", *space), v) for k, v in channels.items()}
    variables |= {k: variable(("member", *space), v) for k, v in (static or {}).items()}
    extent = {"box_extent": list(grid.extent), "boundary": grid.boundary}
    about = {"Conventions": CONVENTIONS, **(attributes or {}), **extent}
    return xr.Dataset(variables, coordinates, about)


def chunks(shape: Sequence[int], block: int, itemsize: int) -> tuple[int, ...]:
    """The inner chunk of an array (member, ..., *space): 64 KB to 1 MB where it can be.

    >>> chunks((2048, 5, 64, 64), block=64, itemsize=4)      # 4 members of one frame
    (4, 1, 64, 64)
    >>> chunks((4, 3, 1024, 1024), block=4, itemsize=4)      # a fraction of a field
    (1, 1, 16, 1024)
    """
    size = [1] * len(shape)
    # fields from the last axis upwards, then members, then times
    fields = [*reversed(range(min(2, len(shape) - 1), len(shape)))] if len(shape) > 1 else []
    order = [*fields, *(axis for axis in range(min(2, len(shape))) if axis not in fields)]
    for axis in order:
        bytes_now = math.prod(size) * itemsize
        if bytes_now >= SMALL:
            break
        whole = block if axis == 0 else shape[axis]
        fitting = [n for n in range(1, whole + 1) if whole % n == 0 and n * bytes_now <= LARGE]
        enough = [n for n in fitting if n * bytes_now >= SMALL]
        size[axis] = enough[0] if enough else fitting[-1]
    return tuple(size)


def compressors(itemsize: int) -> tuple[zarr.codecs.BloscCodec, zarr.codecs.Crc32cCodec]:
    """What the chunks of an array go through, for numbers of so many bytes.

    >>> [type(codec).__name__ for codec in compressors(4)]
    ['BloscCodec', 'Crc32cCodec']
    """
    blosc = zarr.codecs.BloscCodec(cname="lz4", clevel=5, shuffle="shuffle", typesize=itemsize)
    return blosc, zarr.codecs.Crc32cCodec()


def allocate(path: Place, dataset: xr.Dataset, block: int) -> None:
    """Makes the group of a template at `path`, whole or not at all; one that is there stays."""
    files.make_folder(path, lambda place: _build(place, dataset, block), last="zarr.json")


def write(path: Place, members: range, dataset: xr.Dataset) -> dict[str, str]:
    """Writes whole shards: the members of one block, of every variable; returns their checksums.

    Each shard is stored whole or not at all. Raises ValueError for a dataset that is not exactly
    these members of every variable, FloatingPointError naming the first member that is not
    finite, OSError when the disk refuses.
    """
    arrays = _checked(path, members, dataset)
    values = {name: dataset[name].values for name in arrays}
    with ThreadPoolExecutor(1) as pool:  # without the interpreter's lock, while shards are made
        found = {name: pool.submit(checksum, one) for name, one in values.items()}
        for name, array in arrays.items():
            codec = Codec.of(array)
            if codec is None:
                raise ValueError(
                    f"expected {path / name} to have shards as this archive writes them, got "
                    "others; remove the folder and run its verb again"
                )
            number = members.start // codec.shard[0]
            place = shard_file(path / name, number, array.ndim)
            files.write_bytes(place, codec.encode(values[name]))
    return {name: one.result() for name, one in sorted(found.items())}


def take(path: Place, other: Place, members: range, names: Sequence[str]) -> bool:
    """Links or copies the shards of some members from another group of the same layout.

    False, and nothing is done, where shards are encoded or cut in another way.
    """
    pairs = []
    for name in names:
        mine, theirs = (places.array(one / name) for one in (path, other))
        written = [one.metadata.to_dict() for one in (mine, theirs)]
        if any(written[0].get(what) != written[1].get(what) for what in ENCODING):
            return False
        number = members.start // (mine.shards or mine.chunks)[0]
        pairs.append([shard_file(one / name, number, mine.ndim) for one in (other, path)])
    for source, target in pairs:
        files.link(source, target)
    return True


def mend(path: Place, dataset: xr.Dataset, block: int, damaged: Sequence[str] | None) -> None:
    """Writes what is damaged of a group's description again, from its template.

    `damaged` are paths of files in the group, None all of them. Of a coordinate all files are
    written, since an earlier version may have encoded them in another way.
    """
    arrays = {Path(name).parts[0] for name in damaged or ()}
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "whole"
        _build(fresh, dataset, block)
        for name in sorted(files.listing(fresh)):
            first = Path(name).parts[0]
            if damaged is None or name in damaged or (first in arrays and first in dataset.coords):
                files.write_bytes(path / name, (fresh / name).read_bytes())


def fields(path: Place) -> list[str]:
    """The names of the sharded arrays of a group: its variables, not its coordinates."""
    arrays = places.group(path).arrays()
    return sorted(name for name, array in arrays if array.shards is not None)


def checksums(path: Place, members: range, names: Sequence[str]) -> dict[str, str]:
    """The SHA-256 of what is stored of some members, by variable; raises if it is unreadable."""
    stored = {}
    for name in names:
        array = places.array(path / name)
        stored[name] = checksum(np.asarray(array[members.start : members.stop]))
    return stored


def checksum(values: NDArray[Any]) -> str:
    """The SHA-256 of an array's type, shape and values.

    >>> checksum(np.zeros(2)) == checksum(np.zeros((2, 1)))
    False
    """
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}\n".encode())
    digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _checked(path: Place, members: range, dataset: xr.Dataset) -> dict[str, zarr.Array[Any]]:
    """The arrays that some members go to; refuses a dataset that is not exactly these, and finite.

    Raises ValueError, and FloatingPointError naming the first member that is not finite.
    """
    given = np.asarray(dataset["member"].values) if "member" in dataset.coords else np.array([])
    if not np.array_equal(given, members):
        raise ValueError(
            f"expected members {members.start}..{members.stop - 1}, a whole shard with one "
            f"writer, got {_range(given)}; write whole blocks"
        )
    group = places.group(path)
    expected = {name: array for name, array in group.arrays() if array.shards is not None}
    if {*expected} != {*dataset.data_vars}:
        raise ValueError(
            f"expected the variables {', '.join(sorted(expected))}, got "
            f"{', '.join(sorted(map(str, dataset.data_vars)))}; give all of them in one write"
        )
    for name, array in expected.items():
        variable = dataset[name]
        shape = (len(members), *array.shape[1:])
        if variable.shape != shape or variable.dtype != array.dtype:
            raise ValueError(
                f"expected {name} to be {array.dtype} of shape {shape}, got {variable.dtype} of "
                f"shape {variable.shape}; convert it"
            )
        finite = np.isfinite(variable.values).reshape(len(members), -1).all(axis=1)
        if not finite.all():
            raise FloatingPointError(
                f"expected finite values, got member {members[int(np.argmin(finite))]} of {name} "
                "with others; nothing of its block is stored"
            )
    return expected


def _build(path: Path, dataset: xr.Dataset, block: int) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=3, attributes=dict(dataset.attrs))
    for name, variable in dataset.variables.items():
        about: dict[str, Any] = {
            "name": str(name),
            "compressors": compressors(variable.dtype.itemsize),
            "dimension_names": [str(dim) for dim in variable.dims],
            "attributes": dict(variable.attrs),
        }
        if name in dataset.coords:
            group.create_array(data=variable.values, chunks=variable.shape, **about)
            continue
        inner = chunks(variable.shape, block, variable.dtype.itemsize)
        group.create_array(
            shape=variable.shape,
            dtype=variable.dtype,
            chunks=inner,
            shards=(block, *variable.shape[1:]),
            fill_value=np.nan,
            **about,
        )
    with warnings.catch_warnings():  # that no version of the format asks for it
        warnings.simplefilter("ignore")
        # a copy of all descriptions in the group's own, which plain xarray and a store far away
        # look for first; it is marked as one that readers may pass over, as this package does
        zarr.consolidate_metadata(path, zarr_format=3)


def _range(members: NDArray[Any]) -> str:
    return f"{members[0]}..{members[-1]}" if len(members) else "none"
