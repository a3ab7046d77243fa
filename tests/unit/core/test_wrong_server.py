from __future__ import annotations

import pytest
from redis._parsers.base import BaseParser

from eagle_logger.core.wrong_server import (
    comes_from_full_disk,
    comes_from_full_memory,
    comes_from_wrong_server,
)

REFUSALS = [
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only replica. script: 4ca2, on @user_script:1.",
    (
        "ERR Error running script (call to f_4ca2): @user_script: 1: "
        "-READONLY You can't write against a read only replica."
    ),
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MASTERDOWN Link with PRIMARY is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS Not enough good replicas to write.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "LOADING Redis is loading the dataset in memory",
    "LOADING Valkey is loading the dataset in memory",
]
FULL_DISK = [
    (
        "MISCONF Redis is configured to save RDB snapshots, "
        "but it's currently unable to persist to disk."
    ),
    "MISCONF Errors writing to the AOF file: No space left on device",
    (
        "MISCONF Errors writing to the AOF file: No space left on device "
        "script: 4ca2, on @user_script:1."
    ),
]
FULL_MEMORY = [
    "OOM command not allowed when used memory > 'maxmemory'.",
    ("OOM command not allowed when used memory > 'maxmemory'. script: 4ca2, on @user_script:1."),
]
OTHERS = [
    "NOSCRIPT No matching script. Please use EVAL.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOAUTH Authentication required.",
    "ERR unknown command",
    "BUSY Redis is busy running a script.",
]


def as_redis_py_raises(reply: str) -> Exception:
    error: Exception = BaseParser.parse_error(reply)  # type: ignore[no-untyped-call]  # redis-py has no types there
    return error


@pytest.mark.parametrize("reply", REFUSALS)
def test_a_server_that_is_not_the_primary_is_known_by_its_reply(reply: str) -> None:
    assert comes_from_wrong_server(as_redis_py_raises(reply))


@pytest.mark.parametrize("reply", FULL_DISK)
def test_a_server_whose_disk_is_full_is_known_by_its_reply(reply: str) -> None:
    assert comes_from_full_disk(as_redis_py_raises(reply))
    assert not comes_from_wrong_server(as_redis_py_raises(reply))


@pytest.mark.parametrize("reply", FULL_MEMORY)
def test_a_server_whose_memory_is_full_is_known_by_its_reply(reply: str) -> None:
    assert comes_from_full_memory(as_redis_py_raises(reply))
    assert not comes_from_full_disk(as_redis_py_raises(reply))
    assert not comes_from_wrong_server(as_redis_py_raises(reply))


@pytest.mark.parametrize("reply", OTHERS)
def test_other_errors_are_not_taken_for_a_wrong_or_a_full_server(reply: str) -> None:
    assert not comes_from_full_memory(as_redis_py_raises(reply))
    assert not comes_from_full_disk(as_redis_py_raises(reply))
    assert not comes_from_wrong_server(as_redis_py_raises(reply))
    assert not comes_from_wrong_server(TimeoutError("Timeout reading from 127.0.0.1:6379"))
