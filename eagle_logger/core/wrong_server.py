"""Replies by which a Redis server says that it cannot serve: it is not the primary, it is not
ready, or its disk or its memory is full."""

from __future__ import annotations

import re

_NOT_THE_PRIMARY_OR_NOT_READY = re.compile(
    r"\bREADONLY\b|read only replica"  # a replica; Redis 6 wraps it into a script's own error
    r"|\bMASTERDOWN\b|replica-serve-stale-data"  # a replica that lost its primary
    # A primary that was cut off from its replicas: another server may be the primary now.
    r"|\bNOREPLICAS\b"
    r"|\bUNBLOCKED\b"  # it became a replica while a command was waiting
    r"|\bLOADING\b|loading the dataset"  # it was started anew and is not ready
)
_FULL_MEMORY = re.compile(r"\bOOM\b|used memory > 'maxmemory'")
_FULL_DISK = re.compile(r"\bMISCONF\b|Errors writing to the AOF file|unable to persist to disk")


def comes_from_wrong_server(error: Exception) -> bool:
    """Whether this reply says that the client needs another server, or a new connection.

    After a failover, connections to the old primary may stay open for years, and it refuses every
    write. Only a new connection leads to the new primary.
    """
    return bool(_NOT_THE_PRIMARY_OR_NOT_READY.search(_reply(error)))


def comes_from_full_disk(error: Exception) -> bool:
    """Whether the server refuses writes because its disk is full. It accepts them again once there
    is room."""
    return bool(_FULL_DISK.search(_reply(error)))


def comes_from_full_memory(error: Exception) -> bool:
    """Whether the server refuses writes because it holds `maxmemory` bytes. It accepts them again
    once there is room."""
    return bool(_FULL_MEMORY.search(_reply(error)))


def _reply(error: Exception) -> str:
    """The server's reply. redis-py takes the first word of some replies into `status_code`."""
    return f"{getattr(error, 'status_code', None) or ''} {error}"
