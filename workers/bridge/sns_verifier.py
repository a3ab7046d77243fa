"""The gate that the settings ask for."""

from __future__ import annotations

from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings
from eagle_logger.sns.certificate_cache import FetchCertificate, Keyring
from eagle_logger.sns.certificate_download import CertificateDownload
from eagle_logger.sns.verifier import Gate


def make_gate(settings: Settings, fetch: FetchCertificate | None = None) -> Gate:
    """`fetch` is for tests; by default certificates come from Amazon's hosts. Raises ConfigurationError."""
    try:
        return Gate(settings.sns_topic_arns, Keyring(fetch or CertificateDownload()))
    except ValueError as wrong:
        raise ConfigurationError(f"EAGLE_SNS_TOPIC_ARNS: {wrong}") from None
