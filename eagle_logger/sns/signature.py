"""The signature of an SNS message: PKCS#1 v1.5, over SHA-1 (version 1) or SHA-256 (version 2).

`MessageAttributes` and `UnsubscribeURL` are not signed, so eagle_logger uses neither.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from eagle_logger.sns.message import MessageType, SnsMessage
from eagle_logger.sns.refusals import MessageRefused, Reason

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "1": hashes.SHA1(),  # noqa: S303  (SNS signs with it unless the topic is set to version 2)
    "2": hashes.SHA256(),
}


def string_to_sign(message: SnsMessage) -> bytes:
    """For each signed field, in byte order of the keys: key, line feed, value, line feed.

    Source: Amazon's SNS developer guide, "Verifying the signatures of Amazon SNS messages".
    """
    signed = {
        "Message": message.message,
        "MessageId": message.message_id,
        "Timestamp": message.timestamp,
        "TopicArn": message.topic_arn,
        "Type": message.type.value,
    }
    if message.type is MessageType.NOTIFICATION:
        optional = {"Subject": message.subject}
    else:
        optional = {"SubscribeURL": message.subscribe_url, "Token": message.token}
    signed.update((key, value) for key, value in optional.items() if value is not None)
    return "".join(f"{key}\n{signed[key]}\n" for key in sorted(signed)).encode()


def decode_signature(message: SnsMessage) -> tuple[hashes.HashAlgorithm, bytes]:
    """The hash and the bytes of the signature; this needs no key. Raises MessageRefused."""
    algorithm = _HASHES.get(message.signature_version)
    if algorithm is None:
        raise MessageRefused(Reason.SIGNATURE_VERSION, "SNS signs with version 1 or 2")
    try:
        return algorithm, base64.b64decode(message.signature, validate=True)
    except binascii.Error:
        raise MessageRefused(Reason.SIGNATURE_ENCODING, "the Signature is not base64") from None


def verify_signature(message: SnsMessage, key: RSAPublicKey) -> None:
    """Raises MessageRefused unless the owner of the key signed exactly this message."""
    algorithm, signature = decode_signature(message)
    try:
        key.verify(signature, string_to_sign(message), PKCS1v15(), algorithm)
    except InvalidSignature:
        raise MessageRefused(
            Reason.BAD_SIGNATURE, "the signature does not match the message"
        ) from None
