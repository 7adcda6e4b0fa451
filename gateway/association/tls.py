"""TLS: of the gateway's own doors and who is at the other end of one, and of the connections that it opens.

The doors keep to the BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12), which includes the
earlier Non-Downgrading BCP 195 profile (PS3.15 B.10) that many senders still speak: TLS 1.2 or 1.3, key exchange with
forward secrecy, authenticated encryption, no renegotiation, no compression.
"""

from __future__ import annotations

import hashlib
import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.errors import ConfigurationError
from gateway.permissions import require_private_key

if TYPE_CHECKING:
    from cryptography import x509

#: Cipher suites of TLS 1.2 by OpenSSL's names (RFC 9325 4.2); those of TLS 1.3 are all good.
CIPHERS: Final = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


class ClientCertificates(StrEnum):
    """Whether a peer must show a certificate of its own."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


_VERIFY: Final = {
    ClientCertificates.NONE: ssl.CERT_NONE,
    ClientCertificates.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientCertificates.REQUIRED: ssl.CERT_REQUIRED,
}


def server_context(
    *,
    place: str,
    certificate_file: Path,
    key_file: Path | None = None,
    key_password: str | None = None,
    ca_file: Path | None = None,
    client_certificates: ClientCertificates = ClientCertificates.NONE,
    system_authorities: bool = False,
) -> ssl.SSLContext:
    """The context of a door that peers open (PS3.15 B.12).

    Parameters
    ----------
    place
        what an error names as its place, such as ``dicom.tls``
    certificate_file
        PEM file of the gateway's certificate and the chain below the authority
    key_file
        PEM file of its key; None when that is in the certificate's file
    key_password
        of the key, or None
    ca_file
        PEM file of the authorities of client certificates; a self-signed certificate is its own authority
    client_certificates
        whether peers show theirs
    system_authorities
        without a ``ca_file``, client certificates may be of the authorities that the system trusts

    Raises
    ------
    ConfigurationError
        a file cannot be read, does not hold what it should, or others may read the key
    """
    if client_certificates is not ClientCertificates.NONE and ca_file is None and not system_authorities:
        raise ConfigurationError(place=place, problem="client certificates need ca_file: whose are accepted")
    require_private_key(key_file or certificate_file, place=place)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # PDUs and requests tell their own ends: a connection cut without a closing alert is an end like any other.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.verify_mode = _VERIFY[client_certificates]
    if ca_file is not None:
        # A device's certificate may itself be what is trusted, whoever issued it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except OSError as error:
            raise ConfigurationError(place=place, problem=f"ca_file cannot be used: {_why(error)}") from None
    elif client_certificates is not ClientCertificates.NONE:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    _load_certificate(context, certificate_file, key_file, key_password, place=place, what="the certificate")
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS with a peer that the gateway connects to: how it is verified, and how the gateway identifies itself.

    Attributes
    ----------
    verify
        whether the peer's certificate and name are checked
    ca_file
        PEM file of the authorities to trust instead of the system's
    certificate_file
        PEM file of the gateway's certificate there
    key_file
        PEM file of its key, which may be in the certificate's file
    key_password
        of the key, or None
    """

    verify: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)

    def context(self, *, place: str) -> ssl.SSLContext:
        """The context for connections.

        Parameters
        ----------
        place
            what an error names as its place

        Raises
        ------
        ConfigurationError
            a file cannot be read or does not hold what it should
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except OSError as error:
            raise ConfigurationError(place=place, problem=f"ca_file cannot be used: {_why(error)}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate_file is not None:
            what = "the client certificate"
            _load_certificate(context, self.certificate_file, self.key_file, self.key_password, place=place, what=what)
        return context

    def server_context(self, *, place: str) -> ssl.SSLContext:
        """The context for connections that the peer opens: it must show a certificate of the authorities too.

        Parameters
        ----------
        place
            what an error names as its place

        Raises
        ------
        ConfigurationError
            there is no certificate, or a file cannot be read or does not hold what it should
        """
        if self.certificate_file is None:
            raise ConfigurationError(place=place, problem="certificate_file is needed to accept connections by TLS")
        return server_context(
            place=place,
            certificate_file=self.certificate_file,
            key_file=self.key_file,
            key_password=self.key_password,
            ca_file=self.ca_file if self.verify else None,
            client_certificates=ClientCertificates.REQUIRED if self.verify else ClientCertificates.NONE,
            system_authorities=True,
        )


def _load_certificate(
    context: ssl.SSLContext,
    certificate_file: Path,
    key_file: Path | None,
    key_password: str | None,
    *,
    place: str,
    what: str,
) -> None:
    try:
        # A callable even without a password: OpenSSL would otherwise ask for one on the terminal.
        context.load_cert_chain(certificate_file, key_file, lambda: key_password or "")
    except OSError as error:
        raise ConfigurationError(place=place, problem=f"{what} cannot be used: {_why(error)}") from None


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A verified certificate of a peer.

    Attributes
    ----------
    subject
        distinguished name as RFC 4514 writes it
    names
        subject alternative names: DNS names in lower case, URIs and IP addresses
    fingerprint
        SHA-256 of the certificate, 64 lower-case hexadecimal digits
    """

    subject: str
    names: frozenset[str]
    fingerprint: str


def peer_certificate(connection: object) -> PeerCertificate | None:
    """The certificate that the peer of a socket has shown; None without TLS, without one, or if it cannot be read.

    Parameters
    ----------
    connection
        a socket; of TLS ones the handshake is done, which has verified the certificate
    """
    if not isinstance(connection, ssl.SSLSocket) or connection.context.verify_mode is ssl.CERT_NONE:
        return None
    encoded = connection.getpeercert(binary_form=True)
    return None if encoded is None else _parse(encoded)


@lru_cache(maxsize=256)
def _parse(encoded: bytes) -> PeerCertificate | None:
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(encoded)
        return PeerCertificate(
            subject=certificate.subject.rfc4514_string(),
            names=frozenset(_names(certificate)),
            fingerprint=hashlib.sha256(encoded).hexdigest(),
        )
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return None


def _names(certificate: x509.Certificate) -> Iterable[str]:
    from cryptography import x509

    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    yield from (name.lower() for name in extension.value.get_values_for_type(x509.DNSName))
    yield from extension.value.get_values_for_type(x509.UniformResourceIdentifier)
    yield from map(str, extension.value.get_values_for_type(x509.IPAddress))


def normal_subject(text: str) -> str:
    """A distinguished name in the one way in which ``PeerCertificate.subject`` is written.

    Raises
    ------
    ValueError
        it is no distinguished name of RFC 4514
    """
    from cryptography import x509

    try:
        name = x509.Name.from_rfc4514_string(text).rfc4514_string()
    except ValueError:
        name = ""
    if not name:
        raise ValueError("a subject is a distinguished name such as CN=pacs1,O=Hospital (RFC 4514)")
    return name


def normal_name(text: str) -> str:
    """A subject alternative name in the one way in which ``PeerCertificate.names`` are written.

    Raises
    ------
    ValueError
        it is empty, holds blanks, or is a pattern
    """
    if not text or not text.isascii() or not text.isprintable() or " " in text or "*" in text:
        raise ValueError("a certificate's name is a DNS name, URI or IP address, without wildcards")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text if ":" in text else text.lower()


def normal_fingerprint(text: str) -> str:
    """A SHA-256 fingerprint without colons, in lower case.

    Raises
    ------
    ValueError
        it is not 32 bytes in hexadecimal
    """
    digits = text.replace(":", "").lower()
    if len(digits) != 64 or set(digits) - set("0123456789abcdef"):
        raise ValueError("a fingerprint is SHA-256 in hexadecimal: openssl x509 -noout -fingerprint -sha256 -in FILE")
    return digits


#: What ``handshake_failure`` may answer.
HANDSHAKE_FAILURES: Final = frozenset(
    {"tls-certificate", "tls-timeout", "tls-no-certificate", "tls-expected", "tls-handshake"}
)


def handshake_failure(error: OSError) -> str:
    """A code for a handshake that failed, which says nothing about who tried."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls-certificate"
    if isinstance(error, TimeoutError):
        return "tls-timeout"
    reason = error.reason if isinstance(error, ssl.SSLError) else None
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "tls-no-certificate"
    if reason in _PLAIN:
        return "tls-expected"
    return "tls-handshake"


#: How OpenSSL names what begins with something else than a TLS record.
_PLAIN: Final = frozenset({"HTTP_REQUEST", "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG",
                           "RECORD_LAYER_FAILURE", "HTTPS_PROXY_REQUEST"})  # fmt: skip


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file that can be read").lower().replace("_", " ")
    return error.strerror or type(error).__name__
