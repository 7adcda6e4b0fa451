"""Who may come in and by which door: the DICOM and HTTP listeners, the sources, and the users."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, StrictBool, StrictStr, model_validator

from gateway.association.tls import ClientCertificates, normal_fingerprint, normal_name, normal_subject, server_context
from gateway.sections.section import (
    AETitle,
    AETitles,
    ByteSize,
    Count,
    FilePath,
    Form,
    Networks,
    Port,
    Seconds,
    Secret,
    Section,
    Text,
)
from gateway.settings.accounts import Role, User, checked_password_hash, checked_token_hash, token_digest


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _each(check: Callable[[str], str]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Bring every text into its one form."""

    def checked(values: tuple[str, ...]) -> tuple[str, ...]:
        texts = tuple(map(check, values))
        if len(set(texts)) < len(texts):
            raise ValueError("something is listed twice")
        return texts

    return checked


Texts: TypeAlias = tuple[StrictStr, ...]
Subjects = Annotated[
    Texts, BeforeValidator(_one_or_more), AfterValidator(_each(normal_subject)), Form("distinguished name or list")
]
CertificateNames = Annotated[
    Texts, BeforeValidator(_one_or_more), AfterValidator(_each(normal_name)), Form("DNS name, URI, address or list")
]
Fingerprints = Annotated[
    Texts, BeforeValidator(_one_or_more), AfterValidator(_each(normal_fingerprint)), Form("hexadecimal text or list")
]
PasswordHash = Annotated[StrictStr, AfterValidator(checked_password_hash), Form("Argon2id hash")]
TokenHash = Annotated[StrictStr, AfterValidator(checked_token_hash), Form("`sha256:` and 64 hexadecimal digits")]


class HttpTls(Section):
    """TLS of the HTTP listener: TLS 1.2 or 1.3. It speaks nothing else then."""

    certificate_file: FilePath = Field(
        description="PEM file of the gateway's certificate and those between it and the authority",
        examples=["gateway.pem"],
    )
    key_file: FilePath | None = Field(
        None,
        description="PEM file of its key, unless that is in the certificate's file; for the service account alone",
        examples=["gateway.key"],
    )
    key_password: Secret | None = Field(None, description="password of the key", examples=["${GATEWAY_KEY_PASSWORD}"])

    def context(self, *, place: str) -> ssl.SSLContext:
        """The context of the door.

        Raises
        ------
        ConfigurationError
            a file cannot be read, does not hold what it should, or others may read the key
        """
        password = self.key_password
        return server_context(
            place=place,
            certificate_file=self.certificate_file,
            key_file=self.key_file,
            key_password=None if password is None else password.get_secret_value(),
        )


class DicomTls(HttpTls):
    """DICOM over TLS (PS3.15 B.12: BCP 195 RFC 8996, 9325), on a port of its own."""

    port: Port = Field(2762, description="port to listen on; 0 takes a free one")
    client_certificates: ClientCertificates = Field(
        ClientCertificates.NONE,
        description="certificates of peers: `none` is asked for, one is `optional`, or `required`; what a peer shows "
        "must be valid",
    )
    ca_file: FilePath | None = Field(
        None,
        description="PEM file of the authorities whose certificates peers show, or of the peers' own certificates",
        examples=["hospital-ca.pem"],
    )

    @model_validator(mode="after")
    def _knows_authorities(self) -> DicomTls:
        if (self.client_certificates is ClientCertificates.NONE) != (self.ca_file is None):
            raise ValueError("client_certificates: optional or required, and ca_file, go together")
        return self

    def context(self, *, place: str) -> ssl.SSLContext:
        """The context of the door.

        Raises
        ------
        ConfigurationError
            a file cannot be read, does not hold what it should, or others may read the key
        """
        password = self.key_password
        return server_context(
            place=place,
            certificate_file=self.certificate_file,
            key_file=self.key_file,
            key_password=None if password is None else password.get_secret_value(),
            ca_file=self.ca_file,
            client_certificates=self.client_certificates,
        )


class Dicom(Section):
    """The DICOM listener: Storage SCP and Verification SCP."""

    ae_title: AETitle = Field("GATEWAY", description="AE title of the gateway")
    host: Text = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - a PACS is another machine
    port: Port = Field(11112, description="port to listen on; 0 takes a free one")
    max_associations: Count = Field(64, description="associations at the same time; more are refused for now")
    max_associations_per_address: Count | None = Field(
        None,
        description="of these, from one address that no source names (an IPv6 network of 64 bits is one address); half "
        "of `max_associations` by default",
        examples=[32],
    )
    reserved_associations: Annotated[int, Field(strict=True, ge=0), Form("number")] | None = Field(
        None,
        description="of `max_associations`, kept for sources with `addresses` or `certificate`; a quarter by default, "
        "where there are such sources",
        examples=[16],
    )
    max_pending: Count = Field(
        256, description="connections without an association; of more, those that have said nothing give way"
    )
    max_pending_per_address: Count = Field(
        8, description="of these, from one address; of more, the oldest that is older than a second gives way"
    )
    association_timeout_seconds: Seconds = Field(
        10.0, description="time for the TLS handshake and the whole request for an association"
    )
    max_pdu_bytes: Annotated[ByteSize, Field(ge=4096, le=16 * 1024 * 1024)] = Field(
        131072, description="longest PDU that peers may send"
    )
    network_timeout_seconds: Seconds = Field(
        60.0, description="silence in the middle of a message after which an association is aborted"
    )
    idle_timeout_seconds: Seconds = Field(
        60.0, description="silence between messages after which an association is aborted"
    )
    min_bytes_per_second: ByteSize = Field(
        1024,
        description="least rate of a message, over `network_timeout_seconds` of waiting for it; less is aborted",
    )
    accept_unknown_sop_classes: StrictBool = Field(
        default=True, description="accept storage SOP classes that the standard does not know, private ones included"
    )
    tls: DicomTls | None = Field(None, description="accept DICOM over TLS; not by default")
    plain: StrictBool | None = Field(
        None, description="accept DICOM without TLS on `port`; by default only when there is no `tls`", examples=[True]
    )

    @property
    def accepts_plain(self) -> bool:
        """Whether DICOM without TLS is accepted."""
        return self.tls is None if self.plain is None else self.plain

    @property
    def associations_per_address(self) -> int:
        """Most associations of one address that no source names."""
        return self.max_associations_per_address or max(1, self.max_associations // 2)

    @property
    def associations_reserved(self) -> int:
        """Associations that are kept for sources that are told by more than titles."""
        return self.max_associations // 4 if self.reserved_associations is None else self.reserved_associations

    @model_validator(mode="after")
    def _limits_agree(self) -> Dicom:
        if self.associations_reserved >= self.max_associations:
            raise ValueError("reserved_associations: less than max_associations, or nobody else may ever send")
        if self.associations_per_address > self.max_associations:
            raise ValueError("max_associations_per_address: at most max_associations")
        if self.max_pending_per_address > self.max_pending:
            raise ValueError("max_pending_per_address: at most max_pending")
        return self

    @model_validator(mode="after")
    def _has_doors(self) -> Dicom:
        if not self.accepts_plain and self.tls is None:
            raise ValueError("plain: false needs tls: there is no other door")
        if self.tls is not None and self.accepts_plain and self.tls.port == self.port != 0:
            raise ValueError("tls.port: DICOM over TLS has a port of its own (PS3.15 B.10)")
        return self


class Http(Section):
    """The HTTP listener: `/healthz` and `/readyz` for everybody, `/metrics` and `/api/...` for users."""

    host: Text = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port to listen on; 0 takes a free one")
    tls: HttpTls | None = Field(None, description="use TLS; plain HTTP by default")
    max_connections: Annotated[Count, Field(ge=4)] = Field(
        32,
        description="clients at the same time whose request has not come, and answers at the same time; health has "
        "places of its own",
    )
    max_connections_per_address: Count = Field(8, description="of each, from one address")
    request_timeout_seconds: Seconds = Field(
        10.0, description="time for the TLS handshake and the whole head of a request"
    )
    trusted_proxies: Networks = Field(
        (),
        description="addresses of proxies whose `X-Forwarded-For` tells who asks, for limits and the log; nobody's is "
        "looked at by default",
        examples=[["10.1.0.8"]],
    )


class SourceCertificate(Section):
    """The certificate of a peer, which its authority vouches for. It must meet every condition that is given."""

    subject: Subjects = Field((), description="its subject, one of these", examples=["CN=pacs1,O=Hospital"])
    name: CertificateNames = Field(
        (), description="its subject alternative names, one of these among them", examples=["pacs1.hospital.example"]
    )
    fingerprint: Fingerprints = Field((), description="its SHA-256 fingerprint, one of these", examples=["ab" * 32])

    @model_validator(mode="after")
    def _has_a_condition(self) -> SourceCertificate:
        if not (self.subject or self.name or self.fingerprint):
            raise ValueError("a certificate needs subject, name or fingerprint")
        return self


class Source(Section):
    """A peer that may send. An association must meet every condition that is given."""

    calling_ae: AETitles = Field((), description="AE titles that the peer calls itself", examples=["PACS"])
    called_ae: AETitles = Field((), description="AE titles that it may call", examples=["GATEWAY"])
    addresses: Networks = Field((), description="addresses that it comes from", examples=[["10.1.0.0/16"]])
    certificate: SourceCertificate | None = Field(
        None, description="certificate that it shows; it comes by TLS then, and `dicom.tls` asks for certificates"
    )
    max_associations: Count | None = Field(
        None,
        validation_alias=AliasChoices("max_associations", "max-associations"),
        description="associations that it may have at the same time; no limit of its own by default",
        examples=[16],
    )

    @model_validator(mode="after")
    def _has_a_condition(self) -> Source:
        if not (self.calling_ae or self.called_ae or self.addresses or self.certificate):
            raise ValueError("a source needs calling_ae, called_ae, addresses or certificate")
        return self


class UserSettings(Section):
    """Somebody who may ask over HTTP, by password or by token. Without users, who has the gateway's own token may."""

    role: Role = Field(
        description="`viewer` sees figures, `data-protection-officer` also what is held and the audit trail, "
        "`administrator` everything"
    )
    password_hash: PasswordHash | None = Field(
        None, description="hash of the password, which `gateway access hash` makes", examples=["$argon2id$..."]
    )
    token_hash: TokenHash | None = Field(
        None, description="hash of the token, which `gateway access token` makes", examples=["sha256:..."]
    )
    token: Secret | None = Field(None, description="the token itself, from the environment", examples=["${TOKEN}"])

    @model_validator(mode="after")
    def _has_one_proof(self) -> UserSettings:
        if sum(proof is not None for proof in (self.password_hash, self.token_hash, self.token)) != 1:
            raise ValueError("a user has one of password_hash, token_hash and token")
        if self.token is not None:
            token_digest(self.token.get_secret_value())
        return self

    def user(self, name: str) -> User:
        """What the user proves to be, as the doors check it."""
        digest = (self.token_hash or "").removeprefix("sha256:")
        if self.token is not None:
            digest = token_digest(self.token.get_secret_value())
        return User(name=name, role=self.role, password_hash=self.password_hash or "", token_digest=digest)
