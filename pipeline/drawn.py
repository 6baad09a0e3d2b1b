"""What was made lately is kept in memory, up to so many bytes, and made once.

A dataset asks for its variables and times one by one, and Dask asks from several threads at once,
but a surrogate draws all variables and times of some members together. So whoever asks first makes
them, those who ask meanwhile wait for it, and those who ask soon after find it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from typing import Any

from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


class Drawn:
    """Arrays by key, those that were asked for last, of at most `limit` bytes together.

    >>> import numpy as np
    >>> drawn = Drawn(limit=100)
    >>> for key in (1, 2, 1, 3, 1, 2):  # of 1, 2 and 3 two are held: 3 takes the place of 2
    ...     _ = drawn.get(key, lambda: print("made", key) or {"u": np.zeros(5)})
    made 1
    made 2
    made 3
    made 2
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[Hashable, Arrays] = OrderedDict()
        self._coming: dict[Hashable, Future[Arrays]] = {}

    def get(self, key: Hashable, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of a key, not to be written to; what `make` raises, all who wait get.

        Nothing is held of what is larger than the limit, or empty.
        """
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
            coming = self._coming.get(key)
            if coming is None:
                mine = self._coming[key] = Future()
        if coming is not None:
            return coming.result()
        try:
            arrays = make()
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            mine.set_exception(error)
            raise
        with self._lock:
            del self._coming[key]
            self._hold(key, arrays)
        mine.set_result(arrays)
        return arrays

    def clear(self) -> None:
        """Forgets all that is held."""
        with self._lock:
            self._held.clear()

    @property
    def bytes(self) -> int:
        """The bytes that are held."""
        return sum(_size(arrays) for arrays in self._held.values())

    def _hold(self, key: Hashable, arrays: Arrays) -> None:
        if not 0 < _size(arrays) <= self.limit:
            return
        self._held[key] = arrays
        while self.bytes > self.limit:
            self._held.popitem(last=False)


def _size(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays.values())
