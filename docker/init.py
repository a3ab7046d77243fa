"""Makes the key and the passwords on their volumes, when there are none, and looks for mistakes in the settings. Runs once,
before everything else; changes nothing that is there already."""  # noqa: INP001  (scripts of the image, no package)

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

from eagle_logger import wiring
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import load
from eagle_logger.users.cipher import new_key

SECRETS = Path(os.environ.get("EAGLE_SECRETS_DIR", "/secrets"))
REDIS = Path(os.environ.get("REDIS_CONFIG_DIR", "/redis"))
TEMPLATE = Path(__file__).with_name("redis.conf")


def main() -> int:
    make_secrets()
    wrong = mistakes()
    if wrong:
        print(*wrong, "Nothing was started: correct .env, then `docker compose up` again.", sep="\n", file=sys.stderr)  # noqa: T201
    return 2 if wrong else 0


def make_secrets() -> None:
    password = kept(SECRETS / "redis_password", secrets.token_urlsafe(32))
    kept(SECRETS / "EAGLE_SECRET_KEYS", new_key())
    kept(SECRETS / "EAGLE_API_TOKEN", secrets.token_urlsafe(32))
    kept(SECRETS / "flower_password", secrets.token_urlsafe(12))
    write(SECRETS / "EAGLE_REDIS_URL", f"redis://:{quote(password, safe='')}@redis:6379/0")
    write(REDIS / "password", password)
    write(REDIS / "redis.conf", f"{TEMPLATE.read_text()}requirepass {password}")


def mistakes() -> list[str]:
    """What every service would complain about, and start over for ever. They have the same settings as this container."""
    wrong = []
    try:
        wiring.cipher(load())
    except ConfigurationError as mistake:
        wrong += str(mistake).splitlines()
    if "sqs" in os.environ.get("COMPOSE_PROFILES", "").split(",") and not os.environ.get("EAGLE_SQS_QUEUE_URL"):
        wrong.append("EAGLE_SQS_QUEUE_URL is not set, but COMPOSE_PROFILES asks for who receives from that queue")
    return wrong


def kept(path: Path, fresh: str) -> str:
    """What the file holds; `fresh`, from now on, if it holds nothing."""
    if not path.exists() or not path.read_text().strip():
        write(path, fresh)
        print(f"made {path}", flush=True)  # noqa: T201
    return path.read_text().strip()


def write(path: Path, text: str) -> None:
    """Whole or not at all, for the owner's eyes only."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


if __name__ == "__main__":
    sys.exit(main())
