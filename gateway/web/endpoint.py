"""Where a DICOMweb service is and how the gateway proves who it is: address, TLS, credentials."""

from __future__ import annotations

import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import ConfigurationError

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The base URL of a DICOMweb service.

    Attributes
    ----------
    secure: whether it is reached by TLS
    host, port: address; an IPv6 address without brackets
    path: of the service, without a slash at its end
    query: what is appended to every request's path, without the question mark
    """

    secure: bool
    host: str
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, url: str, *, place: str) -> Endpoint:
        """Take a base URL apart, such as ``https://archive.example/dicom-web``.

        Parameters
        ----------
        url: the URL; it may have a query (``?strategy=DirectArchive``)
        place: what an error names as its place

        Raises
        ------
        ConfigurationError: not an http or https URL, or one that carries credentials, a fragment or blanks
        """
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ConfigurationError(place=place, problem="the URL may hold printable ASCII characters only")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigurationError(place=place, problem="the URL is malformed") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ConfigurationError(place=place, problem="the URL must begin with http:// or https:// and name a host")
        if "@" in parts.netloc:
            raise ConfigurationError(place=place, problem="credentials belong under auth, not into the URL")
        if parts.fragment:
            raise ConfigurationError(place=place, problem="the URL may not have a fragment")
        return cls(
            secure=parts.scheme == "https",
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            path=parts.path.rstrip("/"),
            query=parts.query,
        )

    @property
    def authority(self) -> str:
        """The value of the Host header (RFC 9110 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"

    def target(self, resource: str) -> str:
        """The request target of a resource such as ``/studies``."""
        return f"{self.path}{resource}" + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True, slots=True)
class Authorization:
    """The value of an Authorization header, kept out of every ``repr``."""

    value: str = field(repr=False)

    @classmethod
    def basic(cls, user: str, password: str, *, place: str) -> Authorization:
        """User name and password (RFC 7617).

        Raises
        ------
        ConfigurationError: the user name holds a colon, or either a control character
        """
        if ":" in user or not (user + password).isprintable():
            problem = "the user name may not hold a colon, nor user name or password a control character"
            raise ConfigurationError(place=place, problem=problem)
        return cls("Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii"))

    @classmethod
    def bearer(cls, token: str, *, place: str) -> Authorization:
        """A token (RFC 6750).

        Raises
        ------
        ConfigurationError: the token is empty or holds blanks, control or non-ASCII characters
        """
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError(place=place, problem="a bearer token is printable ASCII without blanks")
        return cls(f"Bearer {token}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the server is verified and, with a client certificate, how the gateway identifies itself.

    Attributes
    ----------
    verify: whether the server's certificate and name are checked
    ca_file: PEM file of the authorities to trust instead of the system's
    certificate_file, key_file: PEM files of the client certificate; the key may be in the certificate's file
    key_password: of the key, or None
    """

    verify: bool = True
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)

    def context(self, *, place: str) -> ssl.SSLContext:
        """The context for connections.

        Raises
        ------
        ConfigurationError: a file cannot be read or does not hold what it should
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except OSError as error:
            raise ConfigurationError(place=place, problem=f"ca_file cannot be used: {_why(error)}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._load_certificate(context, place)
        return context

    def server_context(self, *, place: str) -> ssl.SSLContext:
        """The context for connections that the peer opens: it must show a certificate of the authorities too.

        Raises
        ------
        ConfigurationError: there is no certificate, or a file cannot be read or does not hold what it should
        """
        if self.certificate_file is None:
            raise ConfigurationError(place=place, problem="certificate_file is needed to accept connections by TLS")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        if self.verify:
            try:
                if self.ca_file is None:
                    context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
                else:
                    context.load_verify_locations(cafile=str(self.ca_file))
            except OSError as error:
                raise ConfigurationError(place=place, problem=f"ca_file cannot be used: {_why(error)}") from None
            context.verify_mode = ssl.CERT_REQUIRED
        self._load_certificate(context, place)
        return context

    def _load_certificate(self, context: ssl.SSLContext, place: str) -> None:
        if self.certificate_file is None:
            return
        try:
            # A callable even without a password: OpenSSL would otherwise ask for one on the terminal.
            context.load_cert_chain(self.certificate_file, self.key_file, lambda: self.key_password or "")
        except OSError as error:
            raise ConfigurationError(place=place, problem=f"the client certificate: {_why(error)}") from None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not a PEM file that can be read").lower().replace("_", " ")
    return error.strerror or type(error).__name__
