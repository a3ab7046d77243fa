"""A health check: `answers.py URL [USER:FILE [SECONDS]]` exits 0 if the URL answers well within a few seconds. FILE holds the
password.

With SECONDS the answer is Flower's list of workers, and it must have heard of one of them so lately: Flower answers 200 with
what it once knew, also when it reaches nobody any more.
"""  # noqa: INP001  (a script of the image)

import base64
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path


def main(url: str, who: str = "", seconds: str = "") -> str | None:
    """What is wrong; None if nothing is."""
    try:
        with urllib.request.urlopen(request(url, who), timeout=8) as answer:  # noqa: S310  (our own URL, from the compose file)
            known = json.load(answer) if seconds else {}
    except (OSError, ValueError) as wrong:  # an HTTPError is an OSError
        return f"{url}: {wrong}"
    if seconds:
        newest = max((worker.get("timestamp", 0.0) for worker in known.values()), default=0.0)
        if time.time() - newest > float(seconds):
            return f"{url}: no worker was heard of for {seconds} s"
    return None


def request(url: str, who: str) -> urllib.request.Request:
    asking = urllib.request.Request(url)  # noqa: S310
    if who:
        user, _, file = who.partition(":")
        secret = f"{user}:{Path(file).read_text().strip()}".encode()
        asking.add_header("Authorization", f"Basic {base64.b64encode(secret).decode()}")
    return asking


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
