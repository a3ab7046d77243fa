"""The first service of the compose file, which runs once, before every other.

It makes the key and the passwords on their volume, copies to each service the ones that it needs,
and looks for mistakes in the settings. It never changes a key or a password that is there.
"""  # noqa: INP001  (scripts of the image, no package)

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote

from eagle_logger import wiring
from eagle_logger.disk.atomic_files import replace_file
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
FIRST_FORMAT_OF_REDIS_ALONE = 12
"""The version of Redis' file format (Redis 7.4) from which on Valkey cannot read it."""


def main() -> int:
    make_secrets()
    hand_out_secrets()
    found = mistakes()
    if found:
        found.append("Nothing was started: correct .env, then `docker compose up` again.")
        print(*found, sep="\n", file=sys.stderr)  # noqa: T201
    return 2 if found else 0


def make_secrets() -> None:
    password = read_or_make(SECRETS / "redis_password", secrets.token_urlsafe(32))
    read_or_make(SECRETS / "EAGLE_SECRET_KEYS", new_key())
    read_or_make(SECRETS / "EAGLE_API_TOKEN", secrets.token_urlsafe(32))
    read_or_make(SECRETS / "flower_password", secrets.token_urlsafe(12))
    write(SECRETS / "EAGLE_REDIS_URL", f"redis://:{quote(password, safe='')}@redis:6379/0")
    write(REDIS / "password", password)
    write(REDIS / "redis.conf", f"{TEMPLATE.read_text()}requirepass {password}")


def hand_out_secrets() -> None:
    """Copy to each volume the secrets that its services need, and no others.

    A file that a person added to `secrets` goes to every service that reads settings, which is all
    but Grafana.
    """
    known = set().union(*NEEDS.values()) | {"redis_password"}
    present = {
        path.name for path in SECRETS.iterdir() if path.is_file() and not path.name.startswith(".")
    }
    for volume_name, needed in NEEDS.items():
        volume = HANDED_OUT / volume_name
        if not volume.is_dir():
            continue
        added_by_a_person = set() if volume_name == "grafana" else present - known
        wanted = present & (needed | added_by_a_person)
        for file in volume.iterdir():
            if file.name not in wanted:
                file.unlink()
        for name in sorted(wanted):
            secret = (SECRETS / name).read_text().strip()
            copy = volume / name
            if not copy.exists() or copy.read_text().strip() != secret:
                write(copy, secret)


def mistake_in_image(image: str) -> str | None:
    """Why this image of Redis or Valkey cannot read the files on the volume; None if it can. The
    server would otherwise restart for ever."""
    headers = [path.open("rb").read(9) for path in REDIS_DATA.glob("**/*.rdb")]
    redis_header = next(
        (header for header in headers if header[:5] == b"REDIS" and header[5:].isdigit()), b""
    )
    is_of_redis_alone = bool(redis_header) and int(redis_header[5:]) >= FIRST_FORMAT_OF_REDIS_ALONE
    if "valkey" in image and is_of_redis_alone:
        return (
            f"REDIS_IMAGE is {image}, but the volume redis-data was written by Redis 7.4 or newer, "
            "which Valkey cannot read: set REDIS_IMAGE=redis:8.2-alpine; to change over, see "
            "docs/how-to/redis-backup.md"
        )
    if "valkey" not in image and any(header[:6] == b"VALKEY" for header in headers):
        return (
            f"REDIS_IMAGE is {image}, but the volume redis-data was written by Valkey 9 or newer, "
            "which Redis cannot read: name an image of Valkey; to change over, see "
            "docs/how-to/redis-backup.md"
        )
    return None


def mistakes() -> list[str]:
    """The mistakes for which every service would end and start over for ever. All services have the
    settings of this container."""
    found = []
    try:
        wiring.cipher(load())
    except ConfigurationError as exc:
        found += str(exc).splitlines()
    profiles = os.environ.get("COMPOSE_PROFILES", "").split(",")
    if "sqs" in profiles and not os.environ.get("EAGLE_SQS_QUEUE_URL"):
        found.append(
            "EAGLE_SQS_QUEUE_URL is not set, "
            "but COMPOSE_PROFILES asks for the service that receives from that queue"
        )
    if os.environ.get("PUBLISH_ON"):
        found.append(
            "PUBLISH_ON is no setting any more: set BRIDGE_PUBLISH_ON, FLOWER_PUBLISH_ON, "
            "GRAFANA_PUBLISH_ON or PROMETHEUS_PUBLISH_ON, each for one service"
        )
    if mistake := mistake_in_image(os.environ.get("REDIS_IMAGE", "")):
        found.append(mistake)
    return found


def read_or_make(path: Path, new: str) -> str:
    """What the file holds. If it holds nothing, `new` is written to it."""
    if not path.exists() or not path.read_text().strip():
        write(path, new)
        print(f"made {path}", flush=True)  # noqa: T201
    return path.read_text().strip()


def write(path: Path, text: str) -> None:
    replace_file(path, f"{text}\n".encode(), durable=True)


if __name__ == "__main__":
    sys.exit(main())
