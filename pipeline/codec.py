"""How a shard is made: chunks, compressed one by one, and where each of them lies.

    chunk | CRC-32C | chunk | CRC-32C | ... | (offset, size) of every chunk | CRC-32C

A chunk is compressed by Blosc, or by Zstandard as archives were until 2026. This is Zarr's
sharding codec in the two makes that the archive has, as bytes in memory: Zarr reads and writes the
same shards, at a fraction of the speed, since it handles every chunk as a task of its own.

    Zarr v3 sharding codec: https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
from numpy.typing import NDArray

from pushforward.places import Place

ABSENT = 2**64 - 1  # the offset of a chunk that was never written
SOUND = 0x48674BC7  # the CRC-32C of any bytes with their own CRC-32C behind them
SHUFFLES = {"noshuffle": 0, "shuffle": 1, "bitshuffle": 2}


@dataclass(frozen=True)
class Codec:
    """The shards (member, ...) of one array: their shape, that of chunks, and what compresses."""

    shard: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: np.dtype[Any]
    compressor: Any  # whose own hints say that it returns nothing

    @classmethod
    def of(cls, array: Any) -> Codec | None:
        """The codec of a Zarr array; None for one of another make."""
        codecs = array.metadata.to_dict()["codecs"]
        if [one["name"] for one in codecs] != ["sharding_indexed"]:
            return None
        how = codecs[0]["configuration"]
        names = [one["name"] for one in how["codecs"]]
        own = (
            names in (["bytes", name, "crc32c"] for name in ("blosc", "zstd"))
            and [one["name"] for one in how["index_codecs"]] == ["bytes", "crc32c"]
            and how["codecs"][0]["configuration"]["endian"] == "little"
            and how["index_location"] == "end"
            and array.dtype.kind == "f"
            # a last shard of an array that is no multiple of it is stored in full, its members not
            and array.shape[1:] == array.shards[1:]
        )
        if not own:
            return None
        compressor = _compressor(names[1], how["codecs"][1]["configuration"])
        return cls(array.shards, array.chunks, array.dtype.newbyteorder("<"), compressor)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many chunks a shard has along each axis."""
        return tuple(n // k for n, k in zip(self.shard, self.chunk, strict=True))

    def encode(self, values: NDArray[Any]) -> bytes:
        """A shard with some members, its first ones; chunks of others are absent."""
        parts: list[bytes] = []
        index = np.full((*self.counts, 2), ABSENT, "<u8")
        offset = 0
        for place in np.ndindex(*self.counts):
            corner = [slice(p * k, p * k + k) for p, k in zip(place, self.chunk, strict=True)]
            if corner[0].start >= len(values):
                break
            data = self.compressor.encode(self._whole(values[tuple(corner)]))
            index[place] = offset, len(data) + 4
            parts += [data, _crc(data)]
            offset += len(data) + 4
        places = index.tobytes()
        return b"".join([*parts, places, _crc(places)])

    @property
    def index_size(self) -> int:
        """The bytes of the index at the end of a shard."""
        return 16 * math.prod(self.counts) + 4

    def index(self, data: bytes) -> NDArray[np.uint64]:
        """Offsets and sizes (*counts, 2) of the chunks, from the end of a shard.

        Raises ValueError for bytes that are none.
        """
        if len(data) < self.index_size:
            raise ValueError("a shorter file")
        return np.frombuffer(checked(data), "<u8").reshape(*self.counts, 2)

    def decode(self, data: bytes, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """The values of a chunk, in `out` if it is given: of the chunk's type, in one piece.

        Raises ValueError for bytes that are not what was encoded.
        """
        inside = checked(data)
        if out is not None:
            self.compressor.decode(inside, out)
            return out
        return np.frombuffer(self.compressor.decode(inside), self.dtype).reshape(self.chunk)

    def _whole(self, part: NDArray[Any]) -> NDArray[Any]:
        """A chunk's values; members that are not there are NaN."""
        if part.shape != self.chunk:
            whole = np.full(self.chunk, np.nan, self.dtype)
            whole[: len(part)] = part
            return whole
        return np.ascontiguousarray(part, self.dtype)


def shard_file(path: Place, number: int, ndim: int) -> Place:
    """Where a shard of an array of so many dimensions lies; shards are cut along the first one."""
    return path.joinpath("c", str(number), *["0"] * (ndim - 1))


def checked(data: bytes) -> memoryview:
    """What lies before the CRC-32C at the end of some bytes; ValueError where it is another."""
    if google_crc32c.value(data) != SOUND:
        raise ValueError("other bytes")
    return memoryview(data)[:-4]


def _crc(data: bytes) -> bytes:
    return google_crc32c.value(data).to_bytes(4, "little")


def _compressor(name: str, how: dict[str, Any]) -> Any:
    if name == "zstd":
        return numcodecs.Zstd(level=how["level"], checksum=how["checksum"])
    return numcodecs.Blosc(
        cname=how["cname"],
        clevel=how["clevel"],
        shuffle=SHUFFLES[how["shuffle"]],
        blocksize=how["blocksize"],
        typesize=how["typesize"],
    )
