"""A health check: `answers.py URL [USER:FILE]` exits 0 if the URL answers 200 within a few seconds. FILE holds the password."""  # noqa: INP001  (a script of the image)

import base64
import sys
import urllib.error
import urllib.request
from pathlib import Path

request = urllib.request.Request(sys.argv[1])  # noqa: S310  (our own URL, from the compose file)
for who in sys.argv[2:]:
    user, _, file = who.partition(":")
    secret = f"{user}:{Path(file).read_text().strip()}".encode()
    request.add_header("Authorization", f"Basic {base64.b64encode(secret).decode()}")
try:
    with urllib.request.urlopen(request, timeout=8) as answer:  # noqa: S310
        sys.exit(0 if answer.status == 200 else 1)
except (urllib.error.URLError, OSError) as wrong:
    sys.exit(f"{sys.argv[1]}: {wrong}")
