"""Why an SNS message is refused: one word for each reason, and the status that answers SNS."""

from __future__ import annotations

from enum import StrEnum

from eagle_logger.errors import Permanent, Transient


class Reason(StrEnum):
    """The value is the word in log lines, answers and counters (`sns_<reason>`, `sqs_<reason>`)."""

    TOO_LARGE = "too_large"
    RAW_DELIVERY = "raw_delivery"
    NOT_JSON = "not_json"
    TOO_COMPLEX = "too_complex"
    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    TYPE_MISMATCH = "type_mismatch"
    TOPIC_NOT_ALLOWED = "topic_not_allowed"
    TOO_OLD = "too_old"
    FROM_THE_FUTURE = "from_the_future"
    CERTIFICATE_URL = "certificate_url"
    SIGNATURE_VERSION = "signature_version"
    SIGNATURE_ENCODING = "signature_encoding"
    CERTIFICATE_UNAVAILABLE = "certificate_unavailable"
    CERTIFICATE_FETCHES_EXHAUSTED = "certificate_fetches_exhausted"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_REDIRECT = "certificate_redirect"
    CERTIFICATE_TOO_LARGE = "certificate_too_large"
    CERTIFICATE_UNREADABLE = "certificate_unreadable"
    CERTIFICATE_NAME = "certificate_name"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_NOT_YET_VALID = "certificate_not_yet_valid"
    BAD_SIGNATURE = "bad_signature"
    NO_CLOUD_ID = "no_cloud_id"
    TOO_MANY_CLOUD_IDS = "too_many_cloud_ids"

    @property
    def status(self) -> int:
        """The HTTP status that answers SNS. It delivers again after 5xx and 429, and after no other
        4xx."""
        return _STATUSES.get(self, 403)


_STATUSES = {
    Reason.TOO_LARGE: 413,
    **dict.fromkeys(
        (
            Reason.RAW_DELIVERY,
            Reason.NOT_JSON,
            Reason.TOO_COMPLEX,
            Reason.MALFORMED,
            Reason.UNKNOWN_TYPE,
            Reason.TYPE_MISMATCH,
            Reason.SIGNATURE_VERSION,
            Reason.SIGNATURE_ENCODING,
            Reason.NO_CLOUD_ID,
            Reason.TOO_MANY_CLOUD_IDS,
        ),
        400,
    ),
    Reason.CERTIFICATE_UNAVAILABLE: 503,
    Reason.CERTIFICATE_FETCHES_EXHAUSTED: 503,
}


class MessageRefused(Permanent):
    """The message will be refused however often it is delivered."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class CertificateUnavailable(Transient):
    """The signing certificate could not be fetched now. SNS should deliver the message again."""

    def __init__(self, message: str, reason: Reason = Reason.CERTIFICATE_UNAVAILABLE) -> None:
        super().__init__(message)
        self.reason = reason
