"""What clients of object stores raise is a mistake of the user's, too: one sentence.

Each has exceptions of its own besides OSError; those of clients that are in use are known.
"""

from __future__ import annotations

import sys

CLIENTS = (
    ("botocore.exceptions", "BotoCoreError"),
    ("botocore.exceptions", "ClientError"),
    ("aiohttp", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("azure.core.exceptions", "AzureError"),
)


def refusal(error: Exception) -> OSError | None:
    """The sentence for what a client raised; None for anything else.

    >>> refusal(ZeroDivisionError()) is None
    True
    """
    known = [getattr(sys.modules[name], one) for name, one in CLIENTS if name in sys.modules]
    if not isinstance(error, tuple(known)):
        return None
    reason = " ".join(str(error).split())
    return OSError(
        f'expected the store of the archive to answer, got "{reason}"; check the address, the '
        "network and the credentials, and run the same command again"
    )
