"""A small SNS. As the real one does, it signs, sets headers, asks for confirmation, and delivers
again what was not accepted. Its certificates come from an authority that only a test trusts.

In tests that open no socket, `FakeSns.fetch_certificate` takes the place of a request to Amazon's
host. `serve_certificates` is that host itself, with TLS, on loopback.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason
from tests.support.certificates import Authority, Issued

TOPIC = "arn:aws:sns:us-east-1:123456789012:fetch"
HOST = "sns.us-east-1.amazonaws.com"
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}

Fields = dict[str, Any]


def timestamp(age: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) - age).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sign(fields: Fields, key: rsa.RSAPrivateKey) -> Fields:
    """The same message with a Signature by this key over the fields that SNS signs, in the version
    that the message names."""
    lines = "".join(
        f"{name}\n{fields[name]}\n" for name in SIGNED[fields["Type"]] if name in fields
    )
    algorithm = hashes.SHA1() if fields["SignatureVersion"] == "1" else hashes.SHA256()
    signature = key.sign(lines.encode(), padding.PKCS1v15(), algorithm)
    return {**fields, "Signature": base64.b64encode(signature).decode()}


def headers(fields: Mapping[str, Any]) -> dict[str, str]:
    return {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-id": str(fields.get("MessageId")),
        "x-amz-sns-message-type": str(fields.get("Type")),
        "x-amz-sns-topic-arn": str(fields.get("TopicArn")),
    }


def body(fields: Mapping[str, Any]) -> bytes:
    """The JSON as SNS writes it: one field a line, blanks around the colon."""
    return json.dumps(fields, indent=2, separators=(",", " : ")).encode()


@dataclass
class FakeSns:
    """One topic. `certificates` maps URLs to PEM; `fetched` lists the URLs that were asked for."""

    topic: str = TOPIC
    host: str = HOST
    authority: Authority = field(default_factory=Authority)
    certificates: dict[str, bytes] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        self.signer = self.authority.issue("sns.amazonaws.com")
        self.certificate_url = self.publish_certificate(self.signer)

    def publish_certificate(self, issued: Issued) -> str:
        url = f"https://{self.host}/SimpleNotificationService-{uuid.uuid4().hex}.pem"
        self.certificates[url] = issued.pem
        return url

    async def fetch_certificate(self, url: str) -> bytes:
        self.fetched.append(url)
        away = self.away
        await asyncio.sleep(0)
        if away:
            raise CertificateUnavailable("the fake is away")
        if url not in self.certificates:
            raise MessageRefused(Reason.CERTIFICATE_MISSING, "there is no such certificate")
        return self.certificates[url]

    def notification(
        self, message: str, *, subject: str | None = None, version: str = "1", **changes: Any
    ) -> Fields:
        """A signed notification; `changes` replace fields before it is signed."""
        fields = {**self._common("Notification", version), "Message": message}
        if subject is not None:
            fields["Subject"] = subject
        return sign({**fields, **changes}, self.signer.key)

    def confirmation(
        self, kind: str = "SubscriptionConfirmation", *, version: str = "1", **changes: Any
    ) -> Fields:
        token = uuid.uuid4().hex
        fields = {
            **self._common(kind, version),
            "Message": f"You have chosen to subscribe to the topic {self.topic}.",
            "Token": token,
            "SubscribeURL": f"https://{self.host}/?Action=ConfirmSubscription&TopicArn={self.topic}&Token={token}",
        }
        return sign({**fields, **changes}, self.signer.key)

    def _common(self, kind: str, version: str) -> Fields:
        return {
            "Type": kind,
            "MessageId": str(uuid.uuid4()),
            "TopicArn": self.topic,
            "Timestamp": timestamp(),
            "SignatureVersion": version,
            "SigningCertURL": self.certificate_url,
            "UnsubscribeURL": f"https://{self.host}/?Action=Unsubscribe&SubscriptionArn={self.topic}:1",
        }

    async def deliver(
        self,
        endpoint: str,
        fields: Mapping[str, Any],
        *,
        pause: float = 0.05,
        attempts: int = 200,
        statuses: list[int] | None = None,
    ) -> list[int]:
        """Post the message until it is accepted or refused for good, as SNS does.

        Returns the statuses in order (0: no answer), which also appear in `statuses` as they come.
        """
        statuses = [] if statuses is None else statuses
        async with aiohttp.ClientSession() as session:
            while len(statuses) < attempts:
                statuses.append(await _post(session, endpoint, fields))
                if 200 <= statuses[-1] < 300 or (400 <= statuses[-1] < 500 and statuses[-1] != 429):
                    break
                await asyncio.sleep(pause)
        return statuses


async def _post(session: aiohttp.ClientSession, endpoint: str, fields: Mapping[str, Any]) -> int:
    try:
        async with session.post(endpoint, data=body(fields), headers=headers(fields)) as response:
            await response.read()
            return response.status
    except aiohttp.ClientError:
        return 0


class LoopbackResolver(AbstractResolver):
    """Leads every host to one server on loopback; `asked` lists the hosts that were looked up."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port
        self.asked.append(host)
        loopback = ResolveResult(
            hostname=host,
            host="127.0.0.1",
            port=self._port,
            family=family,
            proto=0,
            flags=socket.AI_NUMERICHOST,
        )
        return [loopback]

    async def close(self) -> None:
        pass


@asynccontextmanager
async def serve_certificates(
    tls: Issued, responses: Sequence[web.StreamResponse] | web.Application
) -> AsyncIterator[LoopbackResolver]:
    """A TLS server with this certificate that gives these responses in turn, or runs this
    application. Yields the resolver that leads to it."""
    application = responses if isinstance(responses, web.Application) else _in_turn(responses)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls.server_context())
    await site.start()
    try:
        yield LoopbackResolver(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _in_turn(responses: Sequence[web.StreamResponse]) -> web.Application:
    waiting = list(responses)

    async def answer(request: web.Request) -> web.StreamResponse:
        del request
        return waiting.pop(0)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    return application
