"""From settings to destinations."""

from __future__ import annotations

import ssl

from gateway import config
from gateway.deliver.base import Destination
from gateway.deliver.endpoint import Authorization, Endpoint, Tls
from gateway.deliver.folder import FolderDestination
from gateway.deliver.stow import StowDestination, StowOptions
from gateway.errors import ConfigurationError


def build_destination(name: str, settings: config.FolderDestination | config.DicomWebDestination) -> Destination:
    """The destination that the settings describe. Nothing is sent or connected.

    Parameters
    ----------
    name: the destination's name in the configuration
    settings: its section

    Raises
    ------
    ConfigurationError: the URL, a certificate or the credentials cannot be used
    """
    if isinstance(settings, config.FolderDestination):
        return FolderDestination(name, settings.path)
    place = f"destinations.{name}"
    endpoint = Endpoint.parse(settings.url, place=place)
    options = StowOptions(
        max_instances=settings.max_instances,
        max_bytes=settings.max_bytes,
        connections=settings.connections,
        timeout_seconds=settings.timeout_seconds,
        study_in_url=settings.study_in_url,
    )
    return StowDestination(
        name,
        endpoint,
        options=options,
        context=_context(settings, endpoint, place),
        authorization=_authorization(settings, place),
    )


def _context(settings: config.DicomWebDestination, endpoint: Endpoint, place: str) -> ssl.SSLContext | None:
    auth = settings.auth
    certificate = auth if isinstance(auth, config.ClientCertificateAuth) else None
    if not endpoint.secure:
        if certificate is not None:
            raise ConfigurationError(place=place, problem="a client certificate needs an https:// URL")
        return None
    password = certificate.key_password if certificate is not None else None
    return Tls(
        verify=settings.verify_tls,
        ca_file=settings.ca_file,
        certificate_file=certificate.certificate_file if certificate is not None else None,
        key_file=certificate.key_file if certificate is not None else None,
        key_password=password.get_secret_value() if password is not None else None,
    ).context(place=place)


def _authorization(settings: config.DicomWebDestination, place: str) -> Authorization | None:
    auth = settings.auth
    if isinstance(auth, config.BasicAuth):
        return Authorization.basic(auth.username, auth.password.get_secret_value(), place=place)
    if isinstance(auth, config.BearerAuth):
        return Authorization.bearer(auth.token.get_secret_value(), place=place)
    return None
