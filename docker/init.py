"""Makes the key and the passwords on their volume if there are none, copies to each service those that it needs, and looks for
mistakes in the settings. Runs once, before everything else; changes no key or password."""  # noqa: INP001  (scripts of the image, no package)

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
REDIS_DATA = Path(os.environ.get("REDIS_DATA_DIR", "/redis-data"))
HANDED_OUT = Path(os.environ.get("HANDED_OUT_DIR", "/handed-out"))
TEMPLATE = Path(__file__).with_name("redis.conf")

NEEDS: dict[str, set[str]] = {
    "worker": {"EAGLE_REDIS_URL", "EAGLE_SECRET_KEYS"},
    "bridge": {"EAGLE_REDIS_URL", "EAGLE_SECRET_KEYS", "EAGLE_API_TOKEN"},
    "redis-only": {"EAGLE_REDIS_URL"},
    "flower": {"EAGLE_REDIS_URL", "flower_password"},
    "grafana": {"flower_password"},
}
"""The secrets that the services see, by the volume that they mount: `secrets-worker`, and so on."""
SHARED_UNTIL = 12
"""The format of the first Redis (7.4) whose files Valkey cannot read."""


def main() -> int:
    make_secrets()
    hand_out()
    found = mistakes()
    if found:
        found.append("Nothing was started: correct .env, then `docker compose up` again.")
        print(*found, sep="\n", file=sys.stderr)  # noqa: T201
    return 2 if found else 0


def make_secrets() -> None:
    password = kept(SECRETS / "redis_password", secrets.token_urlsafe(32))
    kept(SECRETS / "EAGLE_SECRET_KEYS", new_key())
    kept(SECRETS / "EAGLE_API_TOKEN", secrets.token_urlsafe(32))
    kept(SECRETS / "flower_password", secrets.token_urlsafe(12))
    write(SECRETS / "EAGLE_REDIS_URL", f"redis://:{quote(password, safe='')}@redis:6379/0")
    write(REDIS / "password", password)
    write(REDIS / "redis.conf", f"{TEMPLATE.read_text()}requirepass {password}")


def hand_out() -> None:
    """Copy to each volume the secrets that its services need, and no others. A file that a person added to `secrets` goes to
    every service that reads settings, which is all but Grafana."""
    known = set().union(*NEEDS.values()) | {"redis_password"}
    there = {
        path.name for path in SECRETS.iterdir() if path.is_file() and not path.name.startswith(".")
    }
    for name, needed in NEEDS.items():
        volume = HANDED_OUT / name
        if not volume.is_dir():
            continue
        wanted = there & (needed if name == "grafana" else needed | (there - known))
        for file in volume.iterdir():
            if file.name not in wanted:
                file.unlink()
        for one in sorted(wanted):
            text = (SECRETS / one).read_text().strip()
            if not (volume / one).exists() or (volume / one).read_text().strip() != text:
                write(volume / one, text)


def mistake_in_image(image: str) -> str | None:
    """Why the image cannot read the files on the volume, if so. The server would otherwise restart for ever."""
    headers = [path.open("rb").read(9) for path in REDIS_DATA.glob("**/*.rdb")]
    written = next(
        (header for header in headers if header[:5] == b"REDIS" and header[5:].isdigit()), b""
    )
    if "valkey" in image and written and int(written[5:]) >= SHARED_UNTIL:
        return (
            f"REDIS_IMAGE is {image}, but the volume redis-data was written by Redis 7.4 or newer, which Valkey cannot read: "
            "set REDIS_IMAGE=redis:8.2-alpine; to change over, see docs/how-to/redis-backup.md"
        )
    if "valkey" not in image and any(header[:6] == b"VALKEY" for header in headers):
        return (
            f"REDIS_IMAGE is {image}, but the volume redis-data was written by Valkey 9 or newer, which Redis cannot read: "
            "name an image of Valkey; to change over, see docs/how-to/redis-backup.md"
        )
    return None


def mistakes() -> list[str]:
    """What every service would complain about, and start over for ever. They have the same settings as this container."""
    wrong = []
    try:
        wiring.cipher(load())
    except ConfigurationError as mistake:
        wrong += str(mistake).splitlines()
    if "sqs" in os.environ.get("COMPOSE_PROFILES", "").split(",") and not os.environ.get(
        "EAGLE_SQS_QUEUE_URL"
    ):
        wrong.append(
            "EAGLE_SQS_QUEUE_URL is not set, but COMPOSE_PROFILES asks for who receives from that queue"
        )
    if os.environ.get("PUBLISH_ON"):
        wrong.append(
            "PUBLISH_ON is no setting any more: set BRIDGE_PUBLISH_ON, FLOWER_PUBLISH_ON, GRAFANA_PUBLISH_ON or "
            "PROMETHEUS_PUBLISH_ON, each for one service"
        )
    if mistake := mistake_in_image(os.environ.get("REDIS_IMAGE", "")):
        wrong.append(mistake)
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
