"""An ensemble of any size that nobody has stored: its members are drawn when they are asked for.

A member is addressed by its number (see `generative.surrogate`), so an ensemble of a million is
known as soon as its surrogate is: `VirtualEnsemble.dataset` is a Dataset of it in which nothing is
computed. An index draws the members that it names and no others, on one thread, all variables and
times of them at once; they stay in memory for a moment, for whoever asks for the next variable. A
request has the same bits whenever and wherever it is made (on processors of one kind); another
request that shares a member differs from it in round-off.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from pushforward import kept
from pushforward.archive import Archive
from pushforward.device import chosen, exact
from pushforward.drawn import Arrays, Drawn
from pushforward.generation import draw, labelled, template
from pushforward.given import FREE, Conditions, Given
from pushforward.places import Place
from pushforward.spec import Generation, Training
from pushforward.threads import one_thread

if TYPE_CHECKING:
    from pushforward.generative import Surrogate

T = TypeVar("T")
MEMORY = Drawn(limit=2**27)  # bytes of fields that a process holds
_gpu, _loading = threading.Lock(), threading.Lock()


@dataclass(frozen=True)
class VirtualEnsemble:
    """The members of a generation in the archive at `root`, drawn when they are asked for.

    `device` is that of `generate`. With `keep` whole blocks are drawn and stored as the generation
    that they are of, and read from there afterwards. `given` is what is known of all members (see
    `given`). Small, and picklable.

    >>> import tempfile
    >>> from pushforward.study import Study
    >>> generation = Study.load("smoke", ["generation.members=1000000"]).generation
    >>> VirtualEnsemble(generation, Archive(tempfile.mkdtemp()).root).dataset().vorticity.shape
    (1000000, 1, 16, 16)
    """

    generation: Generation
    root: Place
    device: str | None = None
    keep: bool = False
    given: Given | None = None

    def dataset(self) -> xr.Dataset:
        """Coordinates and attributes of the generation, and variables that are drawn when used.

        Their `preferred_chunks` are blocks of members: ``open_dataset(..., chunks={})`` makes one
        task of Dask's of each.
        """
        form = template(self.generation, range(0))
        count, attrs = self.generation.members, form["member"].attrs
        block = Archive(self.root).size(self.generation)[1] if self.keep else self.generation.block
        chunks = {**form.sizes, "member": min(block, count)}

        def lazy(name: str) -> xr.Variable:
            one = form[name]
            fields = _Fields(self, name, (count, *one.shape[1:]), one.dtype)
            data = indexing.LazilyIndexedArray(fields)
            return xr.Variable(one.dims, data, one.attrs, {"preferred_chunks": chunks})

        # a range takes no memory, and is asked without a table of labels
        member = {"member": ("member", pd.RangeIndex(count), attrs)}
        others = {name: one for name, one in form.coords.items() if name != "member"}
        about = dict(form.attrs)
        if self.given is not None:
            names = ", ".join(map(str, self.given.data.data_vars))
            about |= {"id": f"{about['id']}-given-{self.given.digest}", "given": names}
            about["summary"] = f"{about['summary']}, given {names}"
        return xr.Dataset({str(n): lazy(str(n)) for n in form}, member | others, about)

    def values(self, variable: str, key: Sequence[Any]) -> NDArray[Any]:
        """What an outer index takes of a variable (member, time, *space), as an array of its own.

        A number takes an axis away. Raises LookupError where the training is gone.
        """
        members = _numbers(key[0], self.generation.members)
        if not self.keep:
            arrays = MEMORY.get((*self._key, members.tobytes()), lambda: self._draw(members))
            return _picked(arrays[variable], (_first(key[0]), *key[1:]))
        archive = Archive(self.root)
        kept.keep(self.generation, archive, members, self._batch)
        return kept.read(self.generation, archive, variable, key)

    @cached_property
    def _key(self) -> tuple[str, ...]:
        given = "" if self.given is None else self.given.digest
        return self.generation.name, str(self.root), str(self.device), given

    def _draw(self, members: NDArray[Any]) -> Arrays:
        return self._with_surrogate(self._given, members.tolist())

    def _given(
        self, generation: Generation, members: Sequence[int], surrogate: Surrogate
    ) -> Arrays:
        if self.given is None:
            return draw(generation, members, surrogate)
        key = (*self._key, str(surrogate.basis.mask.device))
        conditions = _conditions(key, self.given, generation.training, surrogate)
        return draw(generation, members, surrogate, conditions)

    def _batch(self, members: range) -> xr.Dataset:
        return self._with_surrogate(labelled, members)

    def _with_surrogate(self, draw: Callable[[Generation, Any, Surrogate], T], members: Any) -> T:
        """Calls what draws: on one thread of a CPU, so that those of Dask do not pile up; on a
        GPU one after the other, which its memory is for."""
        number = members[0] // self.generation.block if len(members) else 0
        device = chosen(self.device, number)
        with one_thread(), _gpu if device.type == "cuda" else nullcontext(), exact(device):
            with _loading:
                surrogate = _loaded(self.root, self.generation.training.name, device)
            return draw(self.generation, members, surrogate)


class _Fields(BackendArray):
    """One variable of an ensemble, as xarray indexes it."""

    def __init__(
        self, ensemble: VirtualEnsemble, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.ensemble, self.name, self.shape, self.dtype = ensemble, name, shape, dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        support = indexing.IndexingSupport.OUTER
        return indexing.explicit_indexing_adapter(key, self.shape, support, self._read)

    def _read(self, key: tuple[Any, ...]) -> NDArray[Any]:
        return self.ensemble.values(self.name, key)


@lru_cache(maxsize=4)
def _loaded(root: Place, training: str, device: torch.device) -> Surrogate:
    """A trained surrogate, read once by a process."""
    return Archive(root).surrogate(training).to(device)


class _Known:
    """The conditions that were worked out last: they take a while, and are the same for all."""

    def __init__(self) -> None:
        self.key: tuple[str, ...] = ()
        self.conditions = FREE
        self.lock = threading.Lock()

    def __call__(
        self, key: tuple[str, ...], given: Given, training: Training, surrogate: Surrogate
    ) -> Conditions:
        with self.lock:
            if key != self.key:
                basis = surrogate.basis
                self.conditions = given.on(training, basis).to(basis.mask.device)
                self.key = key
            return self.conditions


_conditions = _Known()


def _numbers(key: Any, count: int) -> NDArray[Any]:
    """The members that an index names.

    >>> _numbers(-1, 8), _numbers(slice(0, 6, 2), 8)
    (array([7]), array([0, 2, 4]))
    """
    if isinstance(key, slice):
        return np.arange(*key.indices(count))
    return np.atleast_1d(np.where(np.less(key, 0), np.add(key, count), key))


def _first(key: Any) -> Any:
    """What is taken of the members that were drawn for an index: all, or the one."""
    return 0 if isinstance(key, (int, np.integer)) else slice(None)


def _picked(values: NDArray[Any], key: Sequence[Any]) -> NDArray[Any]:
    """Each axis by its own index, the last one first; a copy."""
    for axis in reversed(range(len(key))):
        values = values[(slice(None),) * axis + (key[axis],)]
    return np.array(values)
