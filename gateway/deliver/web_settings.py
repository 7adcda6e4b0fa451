"""The settings of destinations that are web servers: how they are reached, and how the gateway proves who it is."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from gateway.association.tls import Tls
from gateway.deliver.destination_settings import NetworkedSettings
from gateway.errors import ConfigurationError
from gateway.sections.section import FilePath, Secret, Section, Text
from gateway.web.endpoint import Authorization, Endpoint


class BasicAuth(Section):
    """User name and password (RFC 7617)."""

    type: Literal["basic"] = Field(description="user name and password")
    username: Text = Field(description="user name", examples=["gateway"])
    password: Secret = Field(description="password", examples=["${ARCHIVE_PASSWORD}"])


class BearerAuth(Section):
    """A bearer token (RFC 6750)."""

    type: Literal["bearer"] = Field(description="a token")
    token: Secret = Field(description="token", examples=["${ARCHIVE_TOKEN}"])


class ClientCertificateAuth(Section):
    """A TLS client certificate."""

    type: Literal["client-certificate"] = Field(description="a TLS client certificate")
    certificate_file: FilePath = Field(description="PEM file of the certificate", examples=["client.pem"])
    key_file: FilePath | None = Field(
        None, description="PEM file of its key, unless that is in the certificate's file", examples=["client.key"]
    )
    key_password: Secret | None = Field(None, description="password of the key", examples=["${CLIENT_KEY_PASSWORD}"])


class WebSettings(NetworkedSettings):
    """A destination with a URL."""

    # Each kind has its own words for these.
    if TYPE_CHECKING:
        url: str
        auth: Any
        verify_tls: bool
        ca_file: Path | None

    def endpoint(self, *, place: str) -> Endpoint:
        """Where it is.

        Raises
        ------
        ConfigurationError
            the URL cannot be used
        """
        return Endpoint.parse(self.url, place=place)

    def context(self, *, place: str) -> ssl.SSLContext | None:
        """TLS; None if the URL asks for none.

        Raises
        ------
        ConfigurationError
            a file cannot be used, or there is a client certificate and no TLS
        """
        certificate = self.auth if isinstance(self.auth, ClientCertificateAuth) else None
        if not self.endpoint(place=place).secure:
            if certificate is not None:
                raise ConfigurationError(place=place, problem="a client certificate needs an https:// URL")
            return None
        password = certificate.key_password if certificate is not None else None
        return Tls(
            verify=self.verify_tls,
            ca_file=self.ca_file,
            certificate_file=certificate.certificate_file if certificate is not None else None,
            key_file=certificate.key_file if certificate is not None else None,
            key_password=password.get_secret_value() if password is not None else None,
        ).context(place=place)

    def authorization(self, *, place: str) -> Authorization | None:
        """Credentials of every request, if it has any.

        Raises
        ------
        ConfigurationError
            they cannot be used
        """
        if isinstance(self.auth, BasicAuth):
            return Authorization.basic(self.auth.username, self.auth.password.get_secret_value(), place=place)
        if isinstance(self.auth, BearerAuth):
            return Authorization.bearer(self.auth.token.get_secret_value(), place=place)
        return None

    def warnings(self) -> Iterator[str]:
        """What is allowed and hardly meant."""
        if self.auth is not None and self.url.startswith("http:"):
            yield "credentials travel unencrypted"
        if self.url.startswith("https:") and not self.verify_tls:
            yield "the server's certificate is not checked"

    def key_files(self) -> Iterator[tuple[str, Path]]:
        """The key of a client certificate."""
        if isinstance(self.auth, ClientCertificateAuth):
            yield "auth", self.auth.key_file or self.auth.certificate_file
