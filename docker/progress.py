"""A health check: `progress.py NAME [SECONDS]` exits 0 if that process reported progress so lately (30). `%h`: this host.

What `eagle-logger healthcheck` does, for a tenth of its cost: with a dozen containers asking every few seconds, that counts.
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
    if (
        not url.startswith("redis://") or "?" in url
    ):  # TLS, a Unix socket, another spelling: the command knows how
        os.execvp("eagle-logger", ["eagle-logger", "healthcheck", name, "--within", str(within)])  # noqa: S606  (no shell is the point)
    try:
        note, (seconds, _) = ask(url, ("HGET", "eagle:progress", name), ("TIME",))
    except (OSError, hiredis.HiredisError) as wrong:
        return f"Redis at {urlsplit(url).hostname} does not answer: {wrong}"
    if note is None:
        return f"{name} has not reported within the hour"
    age = float(seconds) - json.loads(note)["at"]
    return f"{name}: last progress {age:.0f} s ago" if age > within else None


def ask(url: str, *commands: tuple[str, ...]) -> list:
    parts = urlsplit(url)
    user = [unquote(parts.username)] if parts.username else []
    login = [("AUTH", *user, unquote(parts.password or ""))] if user or parts.password else []
    words = [*login, ("SELECT", parts.path.strip("/") or "0"), *commands]
    reader = hiredis.Reader()
    answers = []
    with socket.create_connection(
        (unquote(parts.hostname or "localhost"), parts.port or 6379), timeout=5
    ) as connection:
        connection.sendall(b"".join(map(hiredis.pack_command, words)))
        while len(answers) < len(words):
            received = connection.recv(65536)
            if not received:
                raise ConnectionError("Redis closed the connection")
            reader.feed(received)
            while (answer := reader.gets()) is not False:
                answers.append(answer)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers[-len(commands) :]


if __name__ == "__main__":
    sys.exit(
        main(sys.argv[1].replace("%h", socket.gethostname()), float((sys.argv[2:] or ["30"])[0]))
    )
