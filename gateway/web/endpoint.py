"""Where a DICOMweb service is and how the gateway proves who it is: address, TLS, credentials."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gateway.errors import ConfigurationError

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The base URL of a DICOMweb service.

    Attributes
    ----------
    secure
        whether it is reached by TLS
    host, port
        address; an IPv6 address without brackets
    path
        of the service, without a slash at its end
    query
        what is appended to every request's path, without the question mark
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
        url
            the URL; it may have a query (``?strategy=DirectArchive``)
        place
            what an error names as its place

        Raises
        ------
        ConfigurationError
            not an http or https URL, or one that carries credentials, a fragment or blanks
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
        ConfigurationError
            the user name holds a colon, or either a control character
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
        ConfigurationError
            the token is empty or holds blanks, control or non-ASCII characters
        """
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise ConfigurationError(place=place, problem="a bearer token is printable ASCII without blanks")
        return cls(f"Bearer {token}")
