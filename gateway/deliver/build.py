"""From settings to destinations."""

from __future__ import annotations

import ssl

from gateway.association.requestor import Node
from gateway.deliver.base import Destination
from gateway.deliver.books import Books
from gateway.deliver.dicom_node import CommitmentOptions, DicomNodeDestination, NodeOptions
from gateway.deliver.folder import FolderDestination
from gateway.deliver.stow import StowDestination, StowOptions
from gateway.deliver.xnat import LabelTemplates, XnatDestination, XnatOptions
from gateway.errors import ConfigurationError
from gateway.settings import destination_settings
from gateway.web.endpoint import Authorization, Endpoint, Tls


def build_destination(
    name: str, settings: destination_settings.Destination, *, books: Books | None = None
) -> Destination:
    """The destination that the settings describe. Nothing is sent or connected.

    Parameters
    ----------
    name: the destination's name in the configuration
    settings: its section
    books: what the ledger knows for the destination; without, it knows only what it does itself

    Raises
    ------
    ConfigurationError: the URL, a certificate or the credentials cannot be used
    """
    if isinstance(settings, destination_settings.FolderDestination):
        return FolderDestination(name, settings.path)
    place = f"destinations.{name}"
    if isinstance(settings, destination_settings.DicomDestination):
        return _dicom_node(name, settings, place)
    endpoint = Endpoint.parse(settings.url, place=place)
    if isinstance(settings, destination_settings.XnatDestination):
        return _xnat(name, settings, endpoint, place, books)
    options = StowOptions(
        max_instances=settings.max_instances,
        max_bytes=settings.max_bytes,
        connections=settings.connections,
        timeout_seconds=settings.timeout_seconds,
        study_in_url=settings.study_in_url,
        duplicates=settings.duplicates,
        confirm=settings.confirm,
        confirm_seconds=settings.confirm_seconds,
    )
    return StowDestination(
        name,
        endpoint,
        options=options,
        context=_context(settings, endpoint, place),
        authorization=_authorization(settings, place),
    )


def _xnat(
    name: str, settings: destination_settings.XnatDestination, endpoint: Endpoint, place: str, books: Books | None
) -> XnatDestination:
    auth = settings.auth
    if isinstance(auth, destination_settings.AliasTokenAuth):
        user, password = auth.alias.get_secret_value(), auth.secret.get_secret_value()
    else:
        user, password = auth.username, auth.password.get_secret_value()
    options = XnatOptions(
        project=settings.project,
        labels=LabelTemplates(subject=settings.subject, session=settings.session),
        into=settings.into,
        mode=settings.mode,
        max_instances=settings.max_instances,
        max_bytes=settings.max_bytes,
        connections=settings.connections,
        timeout_seconds=settings.timeout_seconds,
        ask_seconds=settings.ask_seconds,
        allow_auto_archive=settings.allow_auto_archive,
        other_modality_session=settings.other_modality_session,
        compare=settings.compare,
    )
    return XnatDestination(
        name,
        endpoint,
        authorization=Authorization.basic(user, password, place=place),
        options=options,
        context=_context(settings, endpoint, place),
        books=books,
    )


def _dicom_node(name: str, settings: destination_settings.DicomDestination, place: str) -> DicomNodeDestination:
    tls = settings.tls
    files = None if tls is None else _tls(tls)
    node = Node(
        destination=name,
        host=settings.host,
        port=settings.port,
        called_ae=settings.called_ae,
        calling_ae=settings.calling_ae,
        timeout_seconds=settings.timeout_seconds,
        max_pdu_bytes=settings.max_pdu_bytes,
        context=None if files is None else files.context(place=place),
    )
    commitment = settings.commitment
    options = NodeOptions(
        connections=settings.connections,
        idle_seconds=settings.idle_seconds,
        duplicates=settings.duplicates,
        commitment=None
        if commitment is None
        else CommitmentOptions(
            host=commitment.host,
            port=commitment.port,
            networks=commitment.addresses,
            context=None if files is None or commitment.port is None else files.server_context(place=place),
            timeout_seconds=commitment.timeout_seconds,
        ),
    )
    return DicomNodeDestination(name, node, options=options)


def _tls(settings: destination_settings.TlsSettings) -> Tls:
    password = settings.key_password
    return Tls(
        verify=settings.verify,
        ca_file=settings.ca_file,
        certificate_file=settings.certificate_file,
        key_file=settings.key_file,
        key_password=password.get_secret_value() if password is not None else None,
    )


def _context(
    settings: destination_settings.DicomWebDestination | destination_settings.XnatDestination,
    endpoint: Endpoint,
    place: str,
) -> ssl.SSLContext | None:
    auth = settings.auth
    certificate = auth if isinstance(auth, destination_settings.ClientCertificateAuth) else None
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


def _authorization(settings: destination_settings.DicomWebDestination, place: str) -> Authorization | None:
    auth = settings.auth
    if isinstance(auth, destination_settings.BasicAuth):
        return Authorization.basic(auth.username, auth.password.get_secret_value(), place=place)
    if isinstance(auth, destination_settings.BearerAuth):
        return Authorization.bearer(auth.token.get_secret_value(), place=place)
    return None
