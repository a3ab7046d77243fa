"""A health check: `progress.py NAME [SECONDS]` exits 0 if that process noted progress within so
many seconds (30). `%h` in NAME is this host's name.

It does what `eagle-logger healthcheck` does, for a tenth of the CPU: a dozen containers run it
every few seconds. So it reads the notes in Redis itself, as `eagle_logger/users/redis/` writes
them.
"""  # noqa: INP001  (a script of the image)

import json
import os
import socket
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import hiredis

SECRET = Path(os.environ.get("EAGLE_SECRETS_DIR") or "/secrets", "EAGLE_REDIS_URL")


def main(name: str, within: float) -> str | None:
    """What is wrong; None if nothing is."""
    url = os.environ.get("EAGLE_REDIS_URL") or SECRET.read_text().strip()
    if not url.startswith("redis://") or "?" in url:
        # TLS, a Unix socket, or another spelling: the command understands them all.
        os.execvp("eagle-logger", ["eagle-logger", "healthcheck", name, "--within", str(within)])  # noqa: S606  (no shell is the point)
    try:
        note, (now, _) = answers(url, ("HGET", "eagle:progress", name), ("TIME",))
    except (OSError, hiredis.HiredisError) as exc:
        return f"Redis at {urlsplit(url).hostname} does not answer: {exc}"
    if note is None:
        return f"{name} has not reported within the hour"
    age = float(now) - json.loads(note)["at"]
    return f"{name}: last progress {age:.0f} s ago" if age > within else None


def answers(url: str, *commands: tuple[str, ...]) -> list:
    """Redis' answers to these commands. Raises OSError, HiredisError."""
    parts = urlsplit(url)
    user = [unquote(parts.username)] if parts.username else []
    login = [("AUTH", *user, unquote(parts.password or ""))] if user or parts.password else []
    sent = [*login, ("SELECT", parts.path.strip("/") or "0"), *commands]
    address = unquote(parts.hostname or "localhost"), parts.port or 6379
    reader = hiredis.Reader()
    received = []
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"".join(map(hiredis.pack_command, sent)))
        while len(received) < len(sent):
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("Redis closed the connection")
            reader.feed(data)
            while (answer := reader.gets()) is not False:
                received.append(answer)
    for answer in received:
        if isinstance(answer, Exception):
            raise answer
    return received[-len(commands) :]


if __name__ == "__main__":
    sys.exit(
        main(sys.argv[1].replace("%h", socket.gethostname()), float((sys.argv[2:] or ["30"])[0]))
    )
