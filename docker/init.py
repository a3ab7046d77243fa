"""Makes the key and the passwords on their volumes, when there are none. Runs once, before everything else; changes nothing
that is there already."""  # noqa: INP001  (scripts of the image, no package)

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

SECRETS = Path(os.environ.get("EAGLE_SECRETS_DIR", "/secrets"))
REDIS = Path("/redis")
TEMPLATE = Path(__file__).with_name("redis.conf")


def main() -> None:
    password = kept(SECRETS / "redis_password", secrets.token_urlsafe(32))
    kept(SECRETS / "EAGLE_SECRET_KEYS", Fernet.generate_key().decode())
    kept(SECRETS / "EAGLE_API_TOKEN", secrets.token_urlsafe(32))
    kept(SECRETS / "flower_password", secrets.token_urlsafe(12))
    write(SECRETS / "EAGLE_REDIS_URL", f"redis://:{password}@redis:6379/0")
    write(REDIS / "password", password)
    write(REDIS / "redis.conf", f"{TEMPLATE.read_text()}requirepass {password}")


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
    main()
