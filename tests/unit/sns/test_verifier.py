"""What the verifier accepts, and what it refuses for which reason."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from eagle_logger.sns.certificate_cache import CertificateCache
from eagle_logger.sns.message import MAX_BYTES, MessageType, SnsMessage, parse_message
from eagle_logger.sns.refusals import CertificateUnavailable, MessageRefused, Reason
from eagle_logger.sns.verifier import SnsVerifier
from tests.support.certificates import rsa_key
from tests.support.fake_sns import HOST, TOPIC, FakeSns, body, sign, timestamp

HEX = "0123456789abcdef0123456789abcdef"
PATH = f"/SimpleNotificationService-{HEX}.pem"


@pytest.fixture
def sns() -> FakeSns:
    return FakeSns()


@pytest.fixture
def verifier(sns: FakeSns) -> SnsVerifier:
    return SnsVerifier([TOPIC], CertificateCache(sns.fetch_certificate))


async def accept(
    verifier: SnsVerifier,
    received: bytes,
    *,
    header_type: str | None = None,
    raw_delivery: bool = False,
) -> SnsMessage:
    message = parse_message(received, header_type=header_type, raw_delivery=raw_delivery)
    await verifier.verify(message)
    return message


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "", "a subject"])
async def test_a_genuine_notification_is_accepted(
    sns: FakeSns, verifier: SnsVerifier, version: str, subject: str | None
) -> None:
    accepted = await accept(
        verifier, body(sns.notification("00ce69\nwith ünïcödé", subject=subject, version=version))
    )
    assert accepted.message == "00ce69\nwith ünïcödé"
    assert accepted.subject == subject
    assert accepted.type is MessageType.NOTIFICATION
    assert accepted.moment == pytest.approx(time.time(), abs=60)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
async def test_a_genuine_confirmation_is_accepted(
    sns: FakeSns, verifier: SnsVerifier, kind: str, version: str
) -> None:
    fields = sns.confirmation(kind, version=version)
    accepted = await accept(verifier, body(fields), header_type=kind)
    assert (accepted.type, accepted.token) == (kind, fields["Token"])


async def test_fields_that_are_not_signed_are_ignored(sns: FakeSns, verifier: SnsVerifier) -> None:
    fields = {
        **sns.notification("00ce69"),
        "MessageAttributes": {"a": {"Type": "String", "Value": "b"}},
        "UnsubscribeURL": 5,
    }
    assert (await accept(verifier, body(fields))).message == "00ce69"


@pytest.mark.parametrize("age", [timedelta(minutes=59), timedelta(minutes=-14)])
async def test_a_message_may_be_up_to_an_hour_old_and_a_clock_a_little_wrong(
    sns: FakeSns, verifier: SnsVerifier, age: timedelta
) -> None:
    assert await accept(verifier, body(sns.notification("00ce69", Timestamp=timestamp(age))))


async def test_an_empty_allow_list_refuses_everything(sns: FakeSns) -> None:
    with pytest.raises(MessageRefused) as refused:
        await accept(
            SnsVerifier([], CertificateCache(sns.fetch_certificate)),
            body(sns.notification("00ce69")),
        )
    assert refused.value.reason is Reason.TOPIC_NOT_ALLOWED
    assert sns.fetched == []


def test_the_allow_list_holds_nothing_but_arns() -> None:
    with pytest.raises(ValueError, match="not the ARN"):
        SnsVerifier(["fetch"], CertificateCache(FakeSns().fetch_certificate))


def altered(**changes: Any) -> Callable[[FakeSns], bytes]:
    """A genuine message, changed on its way."""
    return lambda sns: body({**sns.notification("00ce69", subject="hello"), **changes})


def signed(**changes: Any) -> Callable[[FakeSns], bytes]:
    """Signed by the owner of the key."""
    return lambda sns: body(sns.notification("00ce69", **changes))


def without(*names: str) -> Callable[[FakeSns], bytes]:
    def forge(sns: FakeSns) -> bytes:
        fields = sns.notification("00ce69", subject="hello")
        return body({name: value for name, value in fields.items() if name not in names})

    return forge


def confirmation_altered(**changes: Any) -> Callable[[FakeSns], bytes]:
    return lambda sns: body({**sns.confirmation(), **changes})


def confirmation_without(name: str) -> Callable[[FakeSns], bytes]:
    return lambda sns: body(
        {key: value for key, value in sns.confirmation().items() if key != name}
    )


def by_another_key(sns: FakeSns) -> bytes:
    return body(sign(sns.notification("00ce69"), rsa_key("another")))


def as_the_other_version(sns: FakeSns) -> bytes:
    return body({**sns.notification("00ce69", version="1"), "SignatureVersion": "2"})


def retyped(sns: FakeSns) -> bytes:
    """A notification whose text looks like a confirmation, passed off as one."""
    return body(
        {
            **sns.notification("00ce69"),
            "Type": "SubscriptionConfirmation",
            "Token": "t",
            "SubscribeURL": "https://x.example/",
        }
    )


def subject_moved_into_the_message(sns: FakeSns) -> bytes:
    """The signed lines would be the same if a field could hold more than one line."""
    fields = sns.notification("00ce69", subject="hello")
    moved = {**fields, "MessageId": f"{fields['MessageId']}\nSubject\nhello"}
    del moved["Subject"]
    return body(moved)


def key_twice(sns: FakeSns) -> bytes:
    return body(sns.notification("00ce69")).replace(b"{", b'{"Message": "ffffff",', 1)


OTHER_TOPIC = "arn:aws:sns:us-east-1:123456789012:another"

FORGED_URLS = {
    "http": f"http://{HOST}{PATH}",
    "file": "file:///etc/passwd",
    "no scheme": f"//{HOST}{PATH}",
    "a bucket called sns": f"https://sns.s3-us-west-2.amazonaws.com{PATH}",
    "a longer host": f"https://{HOST}.evil.example{PATH}",
    "a prefixed host": f"https://evil-{HOST}{PATH}",
    "another region's host": f"https://sns.eu-west-1.amazonaws.com{PATH}",
    "China's host": f"https://{HOST}.cn{PATH}",
    "an address inside": f"https://169.254.169.254{PATH}",
    "a host with a dot at its end": f"https://{HOST}.{PATH}",
    "a broken address": f"https://[::1{PATH}",
    "a backslash": f"https://evil.example\\@{HOST}{PATH}",
    "user info": f"https://{HOST}@evil.example{PATH}",
    "a user on the right host": f"https://user:word@{HOST}{PATH}",
    "a port": f"https://{HOST}:8443{PATH}",
    "the usual port": f"https://{HOST}:443{PATH}",
    "another path": f"https://{HOST}/evil.pem",
    "a folder before": f"https://{HOST}/evil{PATH}",
    "dots in the path": f"https://{HOST}/a/..{PATH}",
    "31 digits": f"https://{HOST}{PATH.replace('f.pem', '.pem')}",
    "a line feed at its end": f"https://{HOST}{PATH}\n",
    "a query": f"https://{HOST}{PATH}?a=b",
    "a fragment": f"https://{HOST}{PATH}#a",
}

# These are refused before any certificate is fetched.
FORGERIES: list[tuple[str, Reason, Callable[[FakeSns], bytes]]] = [
    ("10 MB", Reason.TOO_LARGE, lambda sns: b" " * 10_000_000),
    ("a byte too long", Reason.TOO_LARGE, lambda sns: b" " * (MAX_BYTES + 1)),
    ("nothing", Reason.NOT_JSON, lambda sns: b""),
    ("raw text", Reason.NOT_JSON, lambda sns: b"00ce69"),
    ("a form", Reason.NOT_JSON, lambda sns: b"Type=Notification&Message=00ce69"),
    (
        "UTF-16",
        Reason.NOT_JSON,
        lambda sns: json.dumps(sns.notification("00ce69")).encode("utf-16"),
    ),
    ("cut off", Reason.NOT_JSON, lambda sns: body(sns.notification("00ce69"))[:-2]),
    ("a key twice", Reason.NOT_JSON, key_twice),
    ("NaN", Reason.NOT_JSON, lambda sns: b'{"Type": NaN}'),
    (
        "a number of 200 000 digits",
        Reason.NOT_JSON,
        lambda sns: b'{"Type": ' + b"9" * 200_000 + b"}",
    ),
    ("arrays 100 000 deep", Reason.TOO_COMPLEX, lambda sns: b"[" * 100_000),
    (
        "objects 30 000 deep",
        Reason.TOO_COMPLEX,
        lambda sns: b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    ),
    ("a list", Reason.MALFORMED, lambda sns: b"[]"),
    ("null", Reason.MALFORMED, lambda sns: b"null"),
    ("raw JSON without an envelope", Reason.UNKNOWN_TYPE, lambda sns: b'{"cloud_id": "00ce69"}'),
    ("unknown type", Reason.UNKNOWN_TYPE, altered(Type="Announcement")),
    ("a type that is no text", Reason.UNKNOWN_TYPE, altered(Type={"a": 1})),
    ("no Message", Reason.MALFORMED, without("Message")),
    ("no Signature", Reason.MALFORMED, without("Signature")),
    ("no SigningCertURL", Reason.MALFORMED, without("SigningCertURL")),
    ("no TopicArn", Reason.MALFORMED, without("TopicArn")),
    ("no Timestamp", Reason.MALFORMED, without("Timestamp")),
    ("Message is a number", Reason.MALFORMED, altered(Message=2738)),
    ("half a surrogate pair", Reason.MALFORMED, altered(Message="\ud800")),
    ("lines in the MessageId", Reason.MALFORMED, subject_moved_into_the_message),
    (
        "lines in the Subject",
        Reason.MALFORMED,
        altered(Subject="hello\nTimestamp\n2026-11-01T00:00:00.000Z"),
    ),
    ("a month 13", Reason.MALFORMED, altered(Timestamp="2026-13-01T00:00:00.000Z")),
    ("a time without a zone", Reason.MALFORMED, altered(Timestamp="2026-11-01T00:00:00.000")),
    ("a confirmation without a token", Reason.MALFORMED, confirmation_without("Token")),
    ("another topic", Reason.TOPIC_NOT_ALLOWED, altered(TopicArn=OTHER_TOPIC)),
    ("another topic, signed", Reason.TOPIC_NOT_ALLOWED, signed(TopicArn=OTHER_TOPIC)),
    ("a topic's beginning", Reason.TOPIC_NOT_ALLOWED, altered(TopicArn=TOPIC[:-1])),
    ("a longer topic", Reason.TOPIC_NOT_ALLOWED, altered(TopicArn=TOPIC + "x")),
    ("too old", Reason.TOO_OLD, signed(Timestamp=timestamp(timedelta(minutes=61)))),
    # Two hours, because the times are those of the collection of the tests, minutes ago.
    ("from the future", Reason.FROM_THE_FUTURE, signed(Timestamp=timestamp(timedelta(hours=-2)))),
    *(
        (name, Reason.CERTIFICATE_URL, signed(SigningCertURL=url))
        for name, url in FORGED_URLS.items()
    ),
    ("version 3", Reason.SIGNATURE_VERSION, altered(SignatureVersion="3")),
    ("version 01", Reason.SIGNATURE_VERSION, altered(SignatureVersion="01")),
    ("not base64", Reason.SIGNATURE_ENCODING, altered(Signature="%%%%")),
]

# These are refused only with the genuine certificate, fetched from its own host.
FALSE_SIGNATURES: list[tuple[str, Callable[[FakeSns], bytes]]] = [
    ("altered Message", altered(Message="ffffff")),
    ("altered Subject", altered(Subject="goodbye")),
    ("Subject taken away", without("Subject")),
    ("altered Timestamp", altered(Timestamp=timestamp(timedelta(minutes=5)))),
    ("altered MessageId", altered(MessageId="another")),
    ("empty signature", altered(Signature="AAAA")),
    ("another's key", by_another_key),
    ("the other version", as_the_other_version),
    ("another type", retyped),
    ("altered Token", confirmation_altered(Token="another")),
    (
        "SubscribeURL pointing inside",
        confirmation_altered(SubscribeURL="http://169.254.169.254/latest/meta-data/"),
    ),
]


@pytest.mark.parametrize(
    ("reason", "forge"), [pytest.param(why, forge, id=name) for name, why, forge in FORGERIES]
)
async def test_a_forgery_is_refused_before_anything_is_fetched(
    sns: FakeSns, verifier: SnsVerifier, reason: Reason, forge: Callable[[FakeSns], bytes]
) -> None:
    with pytest.raises(MessageRefused) as refused:
        await accept(verifier, forge(sns))
    assert refused.value.reason is reason
    assert 400 <= reason.status < 500
    assert sns.fetched == []


@pytest.mark.parametrize(
    "forge", [pytest.param(forge, id=name) for name, forge in FALSE_SIGNATURES]
)
async def test_a_false_signature_is_refused(
    sns: FakeSns, verifier: SnsVerifier, forge: Callable[[FakeSns], bytes]
) -> None:
    with pytest.raises(MessageRefused) as refused:
        await accept(verifier, forge(sns))
    assert refused.value.reason is Reason.BAD_SIGNATURE
    assert sns.fetched == [sns.certificate_url]


async def test_raw_delivery_and_a_header_of_another_type_are_refused(
    sns: FakeSns, verifier: SnsVerifier
) -> None:
    with pytest.raises(MessageRefused) as raw:
        await accept(verifier, b"00ce69", raw_delivery=True)
    with pytest.raises(MessageRefused) as mismatch:
        await accept(
            verifier, body(sns.notification("00ce69")), header_type="SubscriptionConfirmation"
        )
    assert (raw.value.reason, mismatch.value.reason) == (Reason.RAW_DELIVERY, Reason.TYPE_MISMATCH)
    assert sns.fetched == []


async def test_a_certificate_of_another_owner_or_time_is_refused(
    sns: FakeSns, verifier: SnsVerifier
) -> None:
    issue = sns.authority.issue
    stolen = {
        Reason.CERTIFICATE_NAME: issue("www.example.com"),
        Reason.CERTIFICATE_EXPIRED: issue(
            "sns.amazonaws.com", start=timedelta(days=-2), end=timedelta(days=-1)
        ),
        Reason.CERTIFICATE_NOT_YET_VALID: issue(
            "sns.amazonaws.com", start=timedelta(days=1), end=timedelta(days=2)
        ),
    }
    for reason, certificate in stolen.items():
        forged = sns.notification("00ce69", SigningCertURL=sns.publish_certificate(certificate))
        with pytest.raises(MessageRefused) as refused:
            await accept(verifier, body(forged))
        assert refused.value.reason is reason


async def test_a_certificate_that_cannot_be_fetched_now_is_no_refusal(
    sns: FakeSns, verifier: SnsVerifier
) -> None:
    sns.away = True
    with pytest.raises(CertificateUnavailable) as unavailable:
        await accept(verifier, body(sns.notification("00ce69")))
    assert unavailable.value.reason.status == 503
    sns.away = False
    assert await accept(verifier, body(sns.notification("00ce69")))


def test_reasons_are_words_for_labels() -> None:
    assert all(
        reason.value.replace("_", "").isalpha() and reason.value.islower() for reason in Reason
    )
