"""The certificate that a message names: where it may lie, who must own it, and when it is valid.

Amazon serves one leaf certificate without its chain, so there is no chain to check. What is trusted
instead is the https connection to the one host that may serve it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.topics import Topic

_PATH = re.compile(r"/SimpleNotificationService-[0-9a-fA-F]{32}\.pem")
_MIN_KEY_BITS = 2048


def check_url(url: str, topic: Topic) -> None:
    """Raises MessageRefused unless the URL is one where this topic's region keeps its certificates.

    The whole text is compared, so nothing depends on how a URL parser reads odd ones.
    """
    prefix = f"https://{topic.certificate_host}"
    if not (url.startswith(prefix) and _PATH.fullmatch(url[len(prefix) :])):
        raise MessageRefused(
            Reason.CERTIFICATE_URL, "the signing certificate is not where SNS keeps this topic's"
        )


@dataclass(frozen=True, slots=True)
class Certificate:
    """The parts of a signing certificate that are checked."""

    key: RSAPublicKey
    names: frozenset[str]
    not_before: datetime
    not_after: datetime

    @classmethod
    def parse(cls, pem: bytes) -> Certificate:
        """Raises MessageRefused unless it is a certificate in PEM with an RSA key of at least 2048
        bits."""
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            key = certificate.public_key()
            names = _host_names(certificate)
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
            raise MessageRefused(
                Reason.CERTIFICATE_UNREADABLE, "there is no certificate at that URL"
            ) from None
        if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
            raise MessageRefused(
                Reason.CERTIFICATE_UNREADABLE, "the certificate has no RSA key of 2048 bits or more"
            )
        return cls(key, names, certificate.not_valid_before_utc, certificate.not_valid_after_utc)

    def check(self, topic: Topic, now: float) -> None:
        """Raises MessageRefused unless it belongs to SNS and is valid now (Unix seconds)."""
        if not self.names & topic.certificate_names:
            raise MessageRefused(
                Reason.CERTIFICATE_NAME, "the certificate was not issued to SNS in this region"
            )
        moment = datetime.fromtimestamp(now, UTC)
        if moment < self.not_before:
            raise MessageRefused(
                Reason.CERTIFICATE_NOT_YET_VALID, f"the certificate is valid from {self.not_before}"
            )
        if moment > self.not_after:
            raise MessageRefused(
                Reason.CERTIFICATE_EXPIRED, f"the certificate expired at {self.not_after}"
            )


def _host_names(certificate: x509.Certificate) -> frozenset[str]:
    """The alternative names, or the common name if there are none (RFC 6125, 6.4.4)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common_names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return frozenset(str(name.value).lower() for name in common_names)
    return frozenset(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
