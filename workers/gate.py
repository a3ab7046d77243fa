"""The gate that the settings ask for."""

from __future__ import annotations

from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings
from eagle_logger.sns.download import CertificateDownload
from eagle_logger.sns.gate import Gate
from eagle_logger.sns.keyring import FetchCertificate, Keyring


def make_gate(settings: Settings, fetch: FetchCertificate | None = None) -> Gate:
    """`fetch` is for tests; by default certificates come from Amazon's hosts. Raises ConfigurationError."""
    try:
        return Gate(settings.sns_topic_arns, Keyring(fetch or CertificateDownload()))
    except ValueError as wrong:
        raise ConfigurationError(f"EAGLE_SNS_TOPIC_ARNS: {wrong}") from None
