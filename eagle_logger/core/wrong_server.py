"""The replies of a Redis server that is not the one to talk to, or not now."""

from __future__ import annotations

import re

_REPLIES = re.compile(
    r"\bREADONLY\b|read only replica"  # a replica; Redis 6 wraps it into a script's own error
    r"|\bMASTERDOWN\b|replica-serve-stale-data"  # a replica that lost its primary
    r"|\bNOREPLICAS\b"  # a primary that was cut off from its replicas: another one may have taken over
    r"|\bUNBLOCKED\b"  # it became a replica while a command was waiting
    r"|\bLOADING\b|loading the dataset"  # it was started anew and is not ready
)
_NO_ROOM = re.compile(r"\bMISCONF\b|Errors writing to the AOF file|unable to persist to disk")


def comes_from_wrong_server(error: Exception) -> bool:
    """Whether this reply says that another server, or a new connection, is needed.

    After a failover, connections to the old primary may stay open for years, and it refuses every
    write. Only a new connection leads to the new primary.
    """
    return bool(_REPLIES.search(f"{getattr(error, 'status_code', None) or ''} {error}"))


def comes_from_full_disk(error: Exception) -> bool:
    """Whether the server refuses writes because its disk is full. It accepts them again once there
    is room."""
    return bool(_NO_ROOM.search(f"{getattr(error, 'status_code', None) or ''} {error}"))
