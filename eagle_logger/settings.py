"""Every setting. `load` reads them once, at the start of a program; nothing else reads the
environment.

A setting comes from the environment (`EAGLE_…`), else from a file of the same name in
EAGLE_SECRETS_DIR, else from `services.json` in the data directory. `eagle-logger up` writes there
what it started, so that commands in a second terminal find it.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

from eagle_logger.clock import Clock
from eagle_logger.core import fernet_keys
from eagle_logger.core.kinds import KINDS, Kind
from eagle_logger.core.paths import DEFAULT_SHARDS
from eagle_logger.core.redis_address import RedisAddress
from eagle_logger.disk.atomic_files import replace_file
from eagle_logger.errors import ConfigurationError
from eagle_logger.network.tls import client_context
from eagle_logger.sns.topics import Topic

SERVICES_FILE = "services.json"
"""In the data directory."""
GIVEN_UP_FILE = "run/given_up.json"
"""In the data directory: the programs of `up` that keep dying, as a JSON list of names."""
PREFIX = "EAGLE_"

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_CELERYS_OWN_VARIABLES = {"CELERY_BROKER_URL", "CELERY_BROKER_READ_URL", "CELERY_BROKER_WRITE_URL"}


def _parse_seconds(value: Any) -> Any:
    """From `10m`, `1.5h`, `30` or `30s`. Pydantic judges everything else."""
    match = re.fullmatch(r"\s*([0-9.]+)\s*([smhd]?)\s*", value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else value


def _split_at_commas(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(item.strip() for item in value.split(",") if item.strip())


def _parse_clock(value: Any) -> Any:
    return Clock.parse(value) if isinstance(value, str) else value


def _unset_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Seconds = Annotated[float, BeforeValidator(_parse_seconds)]
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_at_commas)]
OptionalPath = Annotated[Path | None, BeforeValidator(_unset_if_blank)]
OptionalText = Annotated[str | None, BeforeValidator(_unset_if_blank)]


if TYPE_CHECKING:

    class _IntervalSettings(BaseSettings): ...

else:
    # One setting for each kind: EAGLE_DEMAND_INTERVAL, EAGLE_SUMMATION_INTERVAL, …
    _IntervalSettings = create_model(
        "_IntervalSettings",
        __base__=BaseSettings,
        **{
            spec.interval_name: (
                Seconds,
                Field(
                    spec.default_interval,
                    ge=1,
                    description=f"How often a user's {spec.kind} is fetched.",
                ),
            )
            for spec in KINDS.values()
        },
    )


class Settings(_IntervalSettings):
    """A setting's variable is its name in capitals behind `EAGLE_`. Times are seconds, unless they
    carry a unit (`10m`, `24h`)."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        extra="ignore",
        frozen=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )

    data_dir: Path = Field(
        Path("data"), description="Where log files, the private Redis and what `up` started live."
    )

    secrets_dir: Path | None = Field(
        None,
        description="A directory of files, each named like a variable, with its setting.",
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="Users, credentials (encrypted) and state: `redis://host:6379/0`, `rediss://…` "
        "(TLS) or `unix:///path?db=0`, each with `user:password@` before the host if Redis asks "
        "for it. Unset: `up` starts a private Redis.",
    )
    broker_url: OptionalText = Field(
        None,
        repr=False,
        description="Celery's messages; another database than the users'. Unset: database 1 of "
        "EAGLE_REDIS_URL's server.",
    )
    redis_ca: OptionalPath = Field(
        None,
        description="A CA bundle (PEM) for `rediss://` servers with a private certificate "
        "authority. Every program trusts it beside the system's authorities.",
    )
    secret_keys: Annotated[SecretStr | None, BeforeValidator(_unset_if_blank)] = Field(
        None, description="Fernet keys that encrypt passwords, newest first, separated by commas."
    )
    secret_keys_file: OptionalPath = Field(
        None, description="A file that holds EAGLE_SECRET_KEYS, one a line, newest first."
    )

    relay_url: str = Field(
        "https://rainforestcloud.com:9445/cgi-bin/post_manager",
        description="Rainforest's relay, or a simulated one.",
    )
    relay_ca: OptionalPath = Field(
        None, description="A CA bundle (PEM) for a relay with a private certificate authority."
    )
    in_step: bool = Field(
        True,
        description="Ask each gateway shortly after its meter speaks, once its replies have shown "
        "the meter's rhythm, and never more than a twentieth oftener than its interval says. "
        "`off`: ask at fixed intervals. A user may differ (`users add --plain`).",
    )
    connect_timeout: Seconds = Field(
        3, gt=0, description="Longest wait for a connection to the relay."
    )
    deadline: Seconds = Field(10, gt=0, description="Longest a whole visit to one user may take.")
    lease: Seconds = Field(
        20,
        gt=0,
        description="How long a user stays with a worker that does not report back.",
    )
    max_in_flight: int = Field(
        2000, ge=1, le=20_000, description="Gateways that one process asks at once."
    )

    shards: int = Field(
        DEFAULT_SHARDS,
        ge=1,
        le=4096,
        description="Groups of users; changed only with `eagle-logger shards set`.",
    )
    fetch_queues: int = Field(
        1, ge=1, le=1024, description="Fetch queues that the shards are spread over."
    )
    fetch_workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=256,
        description="Fetching processes that `up` starts. Default: one per core.",
    )
    fetch_threads: int = Field(
        32, ge=1, le=256, description="Messages that one fetching process handles at once."
    )
    users_per_message: int = Field(
        500, ge=1, le=1000, description="Users of one shard in one `fetch` message, at most."
    )
    max_waiting_messages: int = Field(
        1000,
        ge=1,
        description="Messages that may wait in all fetch queues together. A queue in which its "
        "share of them waits gets no more.",
    )

    max_open_files: int = Field(
        32_768,
        ge=1,
        description="Log files that one process keeps open, at most. It is quickest with one for "
        "each home that it fetches.",
    )
    min_free_disk: int = Field(
        256 * 1024 * 1024,
        ge=0,
        description="Bytes that must stay free on the log volume for fetching to go on.",
    )
    rotate_grace: Seconds = Field(
        600, ge=0, description="How long after its end an hour is sealed."
    )
    rotate_workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Rotating processes that `up` starts: one keeps up with some 100 000 homes.",
    )
    rotate_open_every: Seconds | None = Field(
        None, gt=0, description="Also rotate open hours this often, as further parts. Unset: off."
    )
    local_retention: Seconds = Field(
        86400, ge=0, description="How long a log file is kept after it was archived."
    )

    archive_url: OptionalText = Field(
        None,
        description="`s3://bucket/prefix` or `file:///directory`. Unset: `archive/` in the data "
        "directory.",
    )
    s3_endpoint_url: OptionalText = Field(
        None, description="An S3-like store with conditional writes, instead of Amazon's."
    )
    s3_checksums: str = Field(
        "when_supported",
        pattern="^(when_supported|when_required)$",
        description="`when_required` for stores that refuse checksum headers.",
    )
    aws_endpoint_url: OptionalText = Field(
        None, description="A server that speaks SNS and SQS, instead of Amazon's."
    )
    aws_region: str = Field(
        "us-east-1", description="Region for SNS and SQS, where their ARN or URL does not say."
    )
    aws_access_key_id: OptionalText = Field(
        None, description="Unset: boto3's own chain (environment, profile, instance role)."
    )
    aws_secret_access_key: Annotated[SecretStr | None, BeforeValidator(_unset_if_blank)] = Field(
        None, description="Goes with EAGLE_AWS_ACCESS_KEY_ID."
    )

    sns_topic_arns: CommaSeparated = Field(
        (), description="Topics whose messages are obeyed, separated by commas. Empty: none."
    )
    sqs_queue_url: OptionalText = Field(
        None,
        description="An SQS queue subscribed to the topic, where SNS cannot reach the bridge.",
    )
    api_token: Annotated[SecretStr | None, BeforeValidator(_unset_if_blank)] = Field(
        None, description="Bearer token of the /api routes. Unset: those routes are off."
    )
    bridge_host: str = Field("127.0.0.1", description="Address the bridge listens on.")
    bridge_port: int = Field(8888, ge=0, le=65535, description="Port the bridge listens on.")
    bridge_probe_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Port for /healthz, /readyz and /metrics alone. It answers even while the "
        "bridge's port is crowded. Unset: the bridge's port plus one.",
    )
    trusted_proxies: CommaSeparated = Field(
        (),
        description="Addresses or networks of the proxies before the bridge, separated by commas. "
        "The address that they give in X-Forwarded-For counts as the sender.",
    )
    flower_port: int = Field(
        5555, ge=0, le=65535, description="Port Flower listens on, on loopback."
    )

    process_name: str = Field(
        "",
        description="Name of this process in logs, leases and the User-Agent; `up` names its own.",
    )
    log_format: str = Field(
        "auto",
        pattern="^(auto|json|console)$",
        description="How processes log. auto: JSON, unless standard error is a terminal.",
    )
    test_clock: Annotated[Clock, NoDecode, BeforeValidator(_parse_clock)] = Field(
        default_factory=Clock,
        description="Tests only: `<origin>@<speed>` makes every clock run faster. Refused unless "
        "the relay is on loopback.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (pydantic calls it by this name)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        arguments = init_settings()
        services = InitSettingsSource(settings_cls, arguments.pop("services", {}))
        secrets = SecretsSettingsSource(settings_cls, secrets_dir=arguments.get("secrets_dir"))
        return InitSettingsSource(settings_cls, arguments), env_settings, secrets, services

    @model_validator(mode="after")
    def _refuse_mistakes(self) -> Self:
        mistakes = list(self._mistakes())
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _mistakes(self) -> Iterator[str]:
        """What pydantic cannot see in one value alone, one line each, by variable name."""
        if self.lease <= self.deadline:
            yield (
                f"EAGLE_LEASE ({self.lease:g} s) must be longer than EAGLE_DEADLINE "
                f"({self.deadline:g} s)"
            )
        if self.test_clock.is_accelerated and _host(self.relay_url) not in _LOOPBACK:
            yield (
                "EAGLE_TEST_CLOCK is for tests: it is refused unless EAGLE_RELAY_URL is on loopback"
            )
        for name, url, schemes in (
            ("RELAY_URL", self.relay_url, ("http", "https")),
            ("ARCHIVE_URL", self.archive_url, ("s3", "file")),
            ("S3_ENDPOINT_URL", self.s3_endpoint_url, ("http", "https")),
            ("AWS_ENDPOINT_URL", self.aws_endpoint_url, ("http", "https")),
            ("SQS_QUEUE_URL", self.sqs_queue_url, ("http", "https")),
        ):
            if url is not None and (mistake := _mistake_in_url(url, schemes)):
                yield f"EAGLE_{name} {mistake}"
        yield from self._mistakes_in_redis_addresses()
        for name, file in (("RELAY_CA", self.relay_ca), ("REDIS_CA", self.redis_ca)):
            if file is not None and (mistake := _mistake_in_certificates(file)):
                yield f"EAGLE_{name}: {mistake}"
        if (self.aws_access_key_id is None) != (self.aws_secret_access_key is None):
            yield (
                "EAGLE_AWS_ACCESS_KEY_ID and EAGLE_AWS_SECRET_ACCESS_KEY go together: set both or "
                "neither"
            )
        yield from _mistakes_in_topics(self.sns_topic_arns)
        yield from _mistakes_in_networks(self.trusted_proxies)
        if self.secret_keys is not None:
            keys = fernet_keys.keys_in(self.secret_keys.get_secret_value())
            yield from fernet_keys.mistakes_in(keys, "EAGLE_SECRET_KEYS")

    def _mistakes_in_redis_addresses(self) -> Iterator[str]:
        addresses = []
        for name, url in (("REDIS_URL", self.redis_url), ("BROKER_URL", self.broker_url)):
            if url is None:
                continue
            try:
                addresses.append(self._redis_address(url))
            except ValueError as exc:
                yield f"EAGLE_{name} {exc}"
        if len(addresses) == 2 and addresses[0].is_same_database(addresses[1]):
            yield "EAGLE_BROKER_URL must name another database than EAGLE_REDIS_URL"

    @property
    def clock(self) -> Clock:
        return self.test_clock

    @property
    def redis_address(self) -> RedisAddress:
        """The users' Redis."""
        return self._redis_address(self.redis_url)

    @property
    def broker_address(self) -> RedisAddress:
        """Celery's Redis: EAGLE_BROKER_URL, else database 1 beside the users' (or 0 if they are in
        1)."""
        if self.broker_url:
            return self._redis_address(self.broker_url)
        users = self.redis_address
        return users.on_database(0 if users.database == 1 else 1)

    @property
    def broker(self) -> str:
        """`broker_address` as redis-py reads it."""
        return self.broker_address.url

    def _redis_address(self, url: str) -> RedisAddress:
        return RedisAddress.parse(url, ca=str(self.redis_ca.absolute()) if self.redis_ca else None)

    @property
    def probe_port(self) -> int:
        """The port of the bridge's probes; 0 (any free one) if the bridge's own port is 0."""
        if self.bridge_probe_port is not None:
            return self.bridge_probe_port
        return self.bridge_port and self.bridge_port % 65535 + 1  # 1 comes after 65535

    @property
    def intervals(self) -> dict[Kind, float]:
        """Seconds between two requests for each kind, unless a user has an interval of its own."""
        return {spec.kind: getattr(self, spec.interval_name) for spec in KINDS.values()}

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def archive(self) -> str:
        """The archive's URL."""
        return self.archive_url or (self.data_dir / "archive").absolute().as_uri()


def load(data_dir: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings. `data_dir` (a `--data` option) wins over EAGLE_DATA_DIR; `overrides` win
    over everything.

    Raises a ConfigurationError that lists all mistakes, by variable name.
    """
    directory = data_dir or Path(os.environ.get("EAGLE_DATA_DIR") or "data")
    if directory.exists() and not directory.is_dir():
        raise ConfigurationError(f"EAGLE_DATA_DIR: {directory} is not a directory")
    values = {
        "secrets_dir": _secrets_directory(),
        **overrides,
        "services": _read_services(directory),
        "data_dir": directory,
    }
    mistakes = _mistakes_in_names(os.environ)
    try:
        settings = Settings(**values)
    except ValidationError as exc:
        mistakes += _by_variable_name(exc) + _mistakes_among_the_others(values, exc)
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    return settings


def write_services(directory: Path, services: Mapping[str, str]) -> None:
    """Write what `up` started, for the other commands. Only the owner may read the file, because
    URLs carry passwords."""
    content = json.dumps(services, indent=2) + "\n"
    replace_file(directory / SERVICES_FILE, content.encode(), durable=True)


def _mistake_in_url(url: str, schemes: Iterable[str]) -> str | None:
    """Does not repeat the URL, which may carry a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is no number
    except ValueError:
        return (
            "is no URL: its host and port should read host:port, and an IPv6 address stands in "
            "brackets"
        )
    if parts.scheme not in schemes:
        return f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
    if parts.scheme == "s3" and not parts.netloc:
        return "names no bucket: it should read s3://bucket/prefix"
    if parts.scheme == "file" and parts.netloc not in {"", "localhost"}:
        return "needs a third slash and a path from the root: file:///directory"
    if parts.scheme in {"http", "https"} and not parts.hostname:
        return "names no host"
    return None


def _mistake_in_certificates(file: Path) -> str | None:
    if not file.is_file():
        return f"there is no file {file}"
    try:
        client_context(file)
    except OSError as exc:  # an SSLError is one too
        return f"{file} cannot be read as certificates in PEM: {exc.strerror or exc}"
    return None


def _mistakes_in_topics(arns: Iterable[str]) -> Iterator[str]:
    for arn in arns:
        try:
            Topic.parse(arn)
        except ValueError as exc:
            yield f"EAGLE_SNS_TOPIC_ARNS: {exc}"


def _mistakes_in_networks(networks: Iterable[str]) -> Iterator[str]:
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield (
                f"EAGLE_TRUSTED_PROXIES: {network!r} is neither an address nor a network such as "
                "10.0.0.0/8"
            )


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None  # `_mistake_in_url` reports it


def _secrets_directory() -> Path | None:
    directory = os.environ.get("EAGLE_SECRETS_DIR")
    if directory and not Path(directory).is_dir():
        raise ConfigurationError(f"EAGLE_SECRETS_DIR: there is no directory {directory}")
    return Path(directory) if directory else None


def _read_services(directory: Path) -> dict[str, Any]:
    try:
        services = json.loads((directory / SERVICES_FILE).read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise ConfigurationError(
            f"{directory / SERVICES_FILE} cannot be read ({exc}); start `eagle-logger up` anew"
        ) from None
    return services if isinstance(services, dict) else {}


def _mistakes_in_names(variables: Iterable[str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    mistakes = []
    for name in sorted(variables):
        if name in _CELERYS_OWN_VARIABLES:
            mistakes.append(
                f"{name}: only Celery would follow it; unset it, and set EAGLE_BROKER_URL"
            )
        if name.startswith(PREFIX) and name not in known:
            similar = difflib.get_close_matches(name, known, 1)
            question = f"; did you mean {similar[0]}?" if similar else ""
            mistakes.append(f"{name}: there is no such setting{question}")
    return mistakes


def _mistakes_among_the_others(values: Mapping[str, Any], invalid: ValidationError) -> list[str]:
    """What contradicts what, among the settings that are valid each by itself. Pydantic looks for
    that only if all are, so the invalid ones take their defaults here."""
    names = [str(error["loc"][0]) for error in invalid.errors() if error["loc"]]
    if not names:
        return []
    defaults = {
        name: Settings.model_fields[name].get_default(call_default_factory=True) for name in names
    }
    try:
        Settings(**{**values, **defaults})
    except ValidationError as exc:
        return _by_variable_name(exc)
    return []


def _by_variable_name(invalid: ValidationError) -> list[str]:
    mistakes = []
    for error in invalid.errors(include_url=False, include_input=False):
        message = error["msg"].removeprefix("Value error, ")
        if error["loc"]:
            mistakes.append(f"{PREFIX}{str(error['loc'][0]).upper()}: {message}")
        else:  # the message of `Settings._refuse_mistakes`
            mistakes += message.splitlines()
    return mistakes
