"""The signature of an SNS message: PKCS#1 v1.5, over SHA-1 (version 1) or SHA-256 (version 2).

`MessageAttributes` and `UnsubscribeURL` are not signed, so nothing here or elsewhere looks at them.
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
    "1": hashes.SHA1(),  # noqa: S303  (it is what SNS signs with unless a topic asks for version 2)
    "2": hashes.SHA256(),
}


def string_to_sign(envelope: SnsMessage) -> bytes:
    """`Key`, line feed, value, line feed for each signed field, in byte order of the keys (Amazon
    SNS developer guide)."""
    signed = {
        "Message": envelope.message,
        "MessageId": envelope.message_id,
        "Timestamp": envelope.timestamp,
        "TopicArn": envelope.topic_arn,
        "Type": envelope.type.value,
    }
    if envelope.type is MessageType.NOTIFICATION:
        optional = {"Subject": envelope.subject}
    else:
        optional = {"SubscribeURL": envelope.subscribe_url, "Token": envelope.token}
    signed.update((key, value) for key, value in optional.items() if value is not None)
    return "".join(f"{key}\n{signed[key]}\n" for key in sorted(signed)).encode()


def decoded(envelope: SnsMessage) -> tuple[hashes.HashAlgorithm, bytes]:
    """How and what was signed, as far as it can be told without a key. Raises MessageRefused."""
    algorithm = _HASHES.get(envelope.signature_version)
    if algorithm is None:
        raise MessageRefused(Reason.SIGNATURE_VERSION, "SNS signs with version 1 or 2")
    try:
        return algorithm, base64.b64decode(envelope.signature, validate=True)
    except binascii.Error:
        raise MessageRefused(Reason.SIGNATURE_ENCODING, "the Signature is not base64") from None


def verify(envelope: SnsMessage, key: RSAPublicKey) -> None:
    """Raises MessageRefused unless the holder of the key signed exactly this."""
    algorithm, signature = decoded(envelope)
    try:
        key.verify(signature, string_to_sign(envelope), PKCS1v15(), algorithm)
    except InvalidSignature:
        raise MessageRefused(
            Reason.BAD_SIGNATURE, "the signature does not match the message"
        ) from None
