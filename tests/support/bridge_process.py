"""A bridge that trusts a fake of SNS: `python -m tests.support.bridge_process CERTIFICATES`.

CERTIFICATES is a JSON file (URL → PEM) that takes the place of Amazon's host. Everything else is as
in `python -m workers.server`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvloop

from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.telemetry import configure_logging
from tests.support.fake_sns import FakeSns


def write_certificates(sns: FakeSns, path: Path) -> None:
    path.write_text(json.dumps({url: pem.decode() for url, pem in sns.certificates.items()}))


def main(path: str) -> None:
    from workers.app import app
    from workers.server.lifecycle import serve
    from workers.tasks import enqueue_adhoc

    certificates: dict[str, str] = json.loads(Path(path).read_text())

    async def fetch_certificate(url: str) -> bytes:
        if url not in certificates:
            raise MessageRefused(Reason.CERTIFICATE_MISSING, "there is no such certificate")
        return certificates[url].encode()

    configure_logging("json")
    uvloop.run(serve(app.eagle_settings, enqueue_adhoc, fetch_certificate=fetch_certificate))


if __name__ == "__main__":
    main(*sys.argv[1:])
