"""What the operating system refuses on the log volume, as an error that says what to do."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eagle_logger.errors import DiskUnavailable

_TOO_MANY_OPEN_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_OF_THE_VOLUME = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, *_TOO_MANY_OPEN_FILES})


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Raise DiskUnavailable in place of an OSError, naming the file, or `path` if no file is
    known."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _TOO_MANY_OPEN_FILES:
            advice = "Raise the limit of open files (ulimit -n)"
        else:
            advice = "Free some space or repair the log volume"
        raise DiskUnavailable(
            f"{exc.strerror or exc}: {exc.filename or path}. {advice}; fetching resumes by itself."
        ) from exc


def concerns_whole_volume(exc: BaseException) -> bool:
    """Whether the operating system would refuse the same for every other file of the volume. Takes
    an OSError, or an error that was raised from one."""
    cause = exc if isinstance(exc, OSError) else exc.__cause__
    return isinstance(cause, OSError) and cause.errno in _OF_THE_VOLUME
