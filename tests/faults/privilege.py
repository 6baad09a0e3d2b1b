"""Root without its privilege to pass over permissions, as everybody else is.

capabilities(7), capset(2): https://man7.org/linux/man-pages/man7/capabilities.7.html
"""

from __future__ import annotations

import ctypes
import os
import sys

VERSION = 0x20080522  # of the interface: two words of 32 capabilities
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2


def renounce() -> None:
    """Takes from this thread, and those it starts, what lets root write anywhere; for good.

    Raises OSError where the system refuses; does nothing for anybody but root, and outside Linux.
    """
    if sys.platform != "linux" or os.geteuid() != 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    head = (ctypes.c_uint32 * 2)(VERSION, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice
    if library.capget(head, words):
        raise OSError(ctypes.get_errno(), "capget")
    for place in (0, 1):
        words[place] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    if library.capset(head, words):
        raise OSError(ctypes.get_errno(), "capset")
