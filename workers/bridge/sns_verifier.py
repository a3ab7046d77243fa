"""The verifier of SNS messages that the settings ask for."""

from __future__ import annotations

from eagle_logger.errors import ConfigurationError
from eagle_logger.settings import Settings
from eagle_logger.sns.certificate_cache import CertificateCache, FetchCertificate
from eagle_logger.sns.certificate_download import CertificateDownload
from eagle_logger.sns.verifier import SnsVerifier


def make_verifier(settings: Settings, fetch: FetchCertificate | None = None) -> SnsVerifier:
    """`fetch` is for tests; by default certificates come from Amazon's hosts. Raises
    ConfigurationError."""
    try:
        return SnsVerifier(
            settings.sns_topic_arns, CertificateCache(fetch or CertificateDownload())
        )
    except ValueError as exc:
        raise ConfigurationError(f"EAGLE_SNS_TOPIC_ARNS: {exc}") from None
