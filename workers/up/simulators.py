"""What `--homes N` simulates on this machine: Rainforest's relay with N homes, S3, SNS and SQS."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from eagle_logger.core.users import Credentials, User
from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings
from eagle_logger.users.store import NewUser, Users
from workers.up.data_dir import read_or_make_secret
from workers.up.ports import free_port, port_of

BUCKET = "eagle-logger"
_TOPIC = _QUEUE = "eagle-logger"
ROTATE_OPEN_EVERY_S = 30.0
SETTINGS_OF_SIMULATORS = (
    "relay_url",
    "relay_ca",
    "archive_url",
    "s3_endpoint_url",
    "aws_endpoint_url",
    "aws_access_key_id",
    "aws_secret_access_key",
    "sns_topic_arns",
    "sqs_queue_url",
)
"""Settings that --homes decides."""
_ACCOUNT = "123456789012"
_REGION = "us-east-1"
_FOLDER = "simulator"
_USERS_FILE = "users.jsonl"
_USERS_PER_WRITE = 500


@dataclass(frozen=True, slots=True)
class SimulatorSetup:
    """Where the stand-ins listen and keep their files. `with_aws`: whether SNS and SQS are
    simulated too. That needs the packages of the extra `stand-ins`."""

    homes: int
    directory: Path
    relay_port: int
    s3_port: int
    aws_port: int
    secret: str = field(repr=False)
    with_aws: bool = False

    @classmethod
    def make(
        cls, homes: int, data_dir: Path, former: dict[str, Any], *, with_aws: bool
    ) -> SimulatorSetup:
        """`former`: the settings that an earlier `up` wrote. Its ports are used again if they are
        free."""
        directory = data_dir.absolute() / _FOLDER
        directory.mkdir(parents=True, exist_ok=True)
        ports = [
            free_port(port_of(former.get(name)))
            for name in ("relay_url", "s3_endpoint_url", "aws_endpoint_url")
        ]
        secret = read_or_make_secret(directory / "aws-secret")
        return cls(homes, directory, ports[0], ports[1], ports[2], secret, with_aws)

    @property
    def relay_origin(self) -> str:
        return f"http://127.0.0.1:{self.relay_port}"

    @property
    def s3_url(self) -> str:
        return f"http://127.0.0.1:{self.s3_port}"

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def s3_directory(self) -> Path:
        return self.directory.parent / "s3"

    @property
    def ledger(self) -> Path:
        return self.directory / "ledger.jsonl"

    @property
    def users_file(self) -> Path:
        return self.directory / _USERS_FILE

    def services(self) -> dict[str, str]:
        """The settings that lead to the stand-ins, by name."""
        settings = {
            "relay_url": f"{self.relay_origin}/cgi-bin/post_manager",
            "archive_url": f"s3://{BUCKET}/archive",
            "s3_endpoint_url": self.s3_url,
            "aws_region": _REGION,
            "aws_access_key_id": "EAGLESTANDIN",
            "aws_secret_access_key": self.secret,
        }
        if self.with_aws:
            settings |= {
                "aws_endpoint_url": self.aws_url,
                "sns_topic_arns": f"arn:aws:sns:{_REGION}:{_ACCOUNT}:{_TOPIC}",
                "sqs_queue_url": f"{self.aws_url}/{_ACCOUNT}/{_QUEUE}",
            }
        return settings


def has_simulated_homes(data_dir: Path) -> bool:
    """Whether this data directory was ever used with simulated homes."""
    return (data_dir / _FOLDER / _USERS_FILE).exists()


def read_homes(users_file: Path) -> list[NewUser]:
    """The simulated homes as users, from the file that the simulator writes."""
    accounts = [json.loads(line) for line in users_file.read_text().splitlines()]
    return [
        NewUser(
            User(account["cloud_id"]),
            Credentials(account["cloud_id"], account["user_email"], account["user_pw"]),
        )
        for account in accounts
    ]


async def register_homes(users: Users, population: Sequence[NewUser]) -> int:
    """Add the homes that are not users yet, and put parked ones again. Returns how many.

    Raises ConfigurationError if there are other users: the simulated relay would refuse them, and
    they would be parked.
    """
    wanted = {home.user.cloud_id: home for home in population}
    strangers = []
    async for batch in users.all():
        for stored in batch:
            home = wanted.get(stored.user.cloud_id)
            if home is None:
                strangers.append(stored.user.cloud_id)
            elif stored.state.parked is None:
                del wanted[stored.user.cloud_id]
    if strangers:
        raise ConfigurationError(
            f"{len(strangers)} users in Redis are none of the {len(population)} simulated homes, "
            f"such as {strangers[0]}: the simulated relay would refuse them. Start without "
            "--homes, with more homes, or with another --data."
        )
    missing = list(wanted.values())
    for start in range(0, len(missing), _USERS_PER_WRITE):
        await users.put(missing[start : start + _USERS_PER_WRITE])
    return len(missing)


def create_topic_and_queue(settings: Settings) -> None:
    """Set up the stand-in for SNS and SQS: a topic, and a queue that is subscribed to it.

    The stand-in forgets both when it ends; calling this again does no harm. Raises botocore's
    errors, and ConfigurationError if the stand-in chose other names than the settings have.
    """
    secret = settings.aws_secret_access_key
    options: dict[str, Any] = {
        "region_name": settings.aws_region,
        "endpoint_url": settings.aws_endpoint_url,
        "aws_access_key_id": settings.aws_access_key_id,
        "aws_secret_access_key": secret.get_secret_value() if secret else None,
    }
    sns, sqs = boto3.client("sns", **options), boto3.client("sqs", **options)
    topic = sns.create_topic(Name=_TOPIC)["TopicArn"]
    dead_letters = f"{_QUEUE}-dead-letters"
    sqs.create_queue(QueueName=dead_letters)
    target = {"deadLetterTargetArn": _queue_arn(dead_letters), "maxReceiveCount": 5}
    policy = json.dumps(target)
    created = sqs.create_queue(QueueName=_QUEUE, Attributes={"RedrivePolicy": policy})
    queue = created["QueueUrl"]
    if topic not in settings.sns_topic_arns or queue != settings.sqs_queue_url:
        raise ConfigurationError(
            f"the stand-in for AWS made {topic} and {queue}, which is not what was planned"
        )
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=_queue_arn(_QUEUE))


def _queue_arn(name: str) -> str:
    return f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{name}"
