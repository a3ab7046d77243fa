"""A health check: `answers.py URL [USER:FILE [SECONDS]]` exits 0 if the URL answers within a few
seconds. FILE holds the password.

With SECONDS, the answer is Flower's list of workers, and Flower must have heard of one of them
within so many seconds. Otherwise Flower would count as healthy while it reaches no worker: it
answers 200 with what it once knew.
"""  # noqa: INP001  (a script of the image)

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def main(url: str, login: str = "", seconds: str = "") -> str | None:
    """What is wrong; None if nothing is."""
    try:
        with urllib.request.urlopen(request(url, login), timeout=8) as answer:  # noqa: S310  (a URL from the compose file)
            workers = json.load(answer) if seconds else {}
    except (OSError, ValueError) as exc:  # an HTTPError is an OSError
        return f"{url}: {exc}"
    if seconds:
        newest = max((worker.get("timestamp", 0.0) for worker in workers.values()), default=0.0)
        if time.time() - newest > float(seconds):
            return f"{url}: no worker was heard of for {seconds} s"
    return None


def request(url: str, login: str) -> urllib.request.Request:
    result = urllib.request.Request(url)  # noqa: S310
    if login:
        user, _, file = login.partition(":")
        credentials = f"{user}:{Path(file).read_text().strip()}".encode()
        result.add_header("Authorization", f"Basic {base64.b64encode(credentials).decode()}")
    return result


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
