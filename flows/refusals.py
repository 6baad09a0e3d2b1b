"""What clients of object stores and of Prefect raise is one sentence, too.

Each has exceptions of its own besides OSError; those of clients that are in use are known.
"""

from __future__ import annotations

import os
import sys

CLIENTS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
)


class ServerGone(OSError):
    """A Prefect server that does not answer any more."""


def refusal(error: Exception) -> OSError | None:
    """The sentence for what a client or the system raised; None for anything else.

    >>> str(refusal(TimeoutError("no answer")))
    'expected the store of the archive to answer, got "no answer"; check the address, the...
    >>> refusal(ZeroDivisionError()) is None, refusal(OSError("got this; do that")) is None
    (True, True)
    """
    reason = " ".join(str(error).split())
    if "httpx" in sys.modules and isinstance(error, sys.modules["httpx"].TransportError):
        return ServerGone(
            f'expected the Prefect server to answer, got "{reason}"; start it again, or leave it '
            "out with --no-prefect, and run the same command again: what is stored is kept"
        )
    known = [getattr(sys.modules[name], one) for name, one in CLIENTS if name in sys.modules]
    bare = isinstance(error, OSError) and "; " not in reason  # no remedy: not one of ours
    if not bare and not isinstance(error, tuple(known)):
        return None
    return OSError(
        f'expected the store of the archive to answer, got "{reason}"; check the address, the '
        "network and the credentials, and run the same command again"
    )


def leave(code: int) -> int:
    """Ends the process at once, with what it has said, where a lasting server was asked.

    Prefect would first try to tell a server that is gone of every event, seconds for each. A
    temporary one is a child, which is stopped at the end: then this returns the code.
    """
    from prefect.settings import get_current_settings

    if get_current_settings().api.url is None:
        return code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
