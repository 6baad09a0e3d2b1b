"""URLs without the passwords in them: an archive's root is told in messages, reports and records.

Credentials belong into the environment or a file of the cloud's own client, where fsspec finds
them; in a root they would be written down with every run.
"""

from __future__ import annotations

import re

# a URL, or one that a path made of it: s3://key:secret@bucket, https://host/runs?sig=...
_PASSWORD = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]+:/+[^\s@]*:[^\s@]*@")
_USER = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]+:/+)([^\s/@]+|[^\s@]*:[^\s@]*)@")
_QUERY = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]+:/+[^\s?]+)\?[^\s;,]+")


def hidden(text: str) -> str:
    """A text whose URLs have lost their users, passwords and queries.

    >>> hidden("s3://key:secret@bucket/runs is not there"), hidden("https://host/runs?sig=secret")
    ('s3://***@bucket/runs is not there', 'https://host/runs?***')
    """
    return _QUERY.sub(r"\1?***", _USER.sub(r"\1***@", text))


def refuse(root: object) -> None:
    """Raises ValueError for a root with credentials in it.

    >>> refuse("s3://key:secret@bucket/runs")
    Traceback (most recent call last):
    ValueError: expected a root without credentials, got s3://***@bucket/runs; put them into ...
    """
    text = str(root)
    if _PASSWORD.search(text) or _QUERY.search(text):  # a container of Azure stands before an @
        raise ValueError(
            f"expected a root without credentials, got {hidden(text)}; put them into the "
            "environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
