"""The certificate a message says it was signed with: where it may lie, whose it must be, and when
it is good.

Amazon serves one leaf without its chain, so there is no chain to check: what is trusted is the
https connection to the one host that may serve it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from eagle_logger.sns.refusals import MessageRefused, Reason
from eagle_logger.sns.topics import Topic

_PATH = re.compile(r"/SimpleNotificationService-[0-9a-fA-F]{32}\.pem")
_MIN_KEY_BITS = 2048


def check_url(url: str, topic: Topic) -> None:
    """Raises MessageRefused unless the URL is, letter by letter, one where this topic's region
    keeps its certificates.

    What is compared is the whole text, so nothing depends on how a URL parser reads the odd ones;
    the parser only finds words for the refusal.
    """
    prefix = f"https://{topic.certificate_host}"
    if not (url.startswith(prefix) and _PATH.fullmatch(url[len(prefix) :])):
        reason = _why(url, topic)
        raise MessageRefused(reason, "the signing certificate is not where SNS keeps this topic's")


def _why(url: str, topic: Topic) -> Reason:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return Reason.CERTIFICATE_HOST
    if parts.scheme != "https":
        return Reason.CERTIFICATE_SCHEME
    if "@" in parts.netloc:
        return Reason.CERTIFICATE_USER_INFO
    if parts.hostname != topic.certificate_host:
        return Reason.CERTIFICATE_HOST
    return Reason.CERTIFICATE_PORT if port is not None else _why_path(parts)


def _why_path(parts: SplitResult) -> Reason:
    return Reason.CERTIFICATE_QUERY if parts.query or parts.fragment else Reason.CERTIFICATE_PATH


@dataclass(frozen=True, slots=True)
class Certificate:
    """What matters of a signing certificate."""

    key: RSAPublicKey
    names: frozenset[str]
    not_before: datetime
    not_after: datetime

    @classmethod
    def parse(cls, pem: bytes) -> Certificate:
        """Raises MessageRefused unless it is a certificate in PEM with an RSA key of at least 2048
        bits."""
        try:
            found = x509.load_pem_x509_certificate(pem)
            key = found.public_key()
            names = _names(found)
        except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension):
            raise MessageRefused(
                Reason.CERTIFICATE_UNREADABLE, "what lies there is no certificate"
            ) from None
        if not isinstance(key, RSAPublicKey) or key.key_size < _MIN_KEY_BITS:
            raise MessageRefused(
                Reason.CERTIFICATE_UNREADABLE, "the certificate has no RSA key of 2048 bits or more"
            )
        return cls(key, names, found.not_valid_before_utc, found.not_valid_after_utc)

    def check(self, topic: Topic, now: float) -> None:
        """Raises MessageRefused unless it is SNS's own and valid now (Unix seconds)."""
        if not self.names & topic.certificate_names:
            raise MessageRefused(
                Reason.CERTIFICATE_NAME, "the certificate was issued to somebody else than SNS"
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


def _names(found: x509.Certificate) -> frozenset[str]:
    """The alternative names; the common name only where there are none (RFC 6125, 6.4.4)."""
    try:
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return frozenset(str(name.value).lower() for name in common)
    return frozenset(name.lower() for name in alternative.get_values_for_type(x509.DNSName))
