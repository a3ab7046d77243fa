"""A health check: `answers.py URL` exits 0 if the URL answers 200 within a few seconds."""  # noqa: INP001  (a script of the image)

import sys
import urllib.error
import urllib.request

try:
    with urllib.request.urlopen(sys.argv[1], timeout=4) as answer:  # noqa: S310  (our own URL, from the compose file)
        sys.exit(0 if answer.status == 200 else 1)
except (urllib.error.URLError, OSError) as wrong:
    sys.exit(f"{sys.argv[1]}: {wrong}")
