"""Where instances go: the settings of every kind of destination."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AliasChoices, Field, StrictBool, StrictStr, field_validator, model_validator

from gateway.sections.section import (
    AETitle,
    ByteSize,
    Count,
    FilePath,
    Form,
    HttpUrl,
    Networks,
    Port,
    Seconds,
    Secret,
    Section,
    Text,
)


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


Auth: TypeAlias = Annotated[BasicAuth | BearerAuth | ClientCertificateAuth, Field(discriminator="type")]


class Completeness(Section):
    """When a study is whole: nothing of it goes to the destination before. A study may still grow afterwards."""

    quiet_seconds: Seconds = Field(120.0, description="time after which a study that got no instance is whole")
    expected_instances: Count | None = Field(
        None, description="instances with which a study is whole at once", examples=[2]
    )


class _Destination(Section):
    """What every destination has."""

    type: str
    when: Text | None = Field(
        None,
        description="condition in CEL on the elements of the original: which instances go there; every one by default",
        examples=["Modality in ['CR', 'DX']"],
    )
    accepts_identified: StrictBool = Field(
        False,
        validation_alias=AliasChoices("accepts_identified", "accepts-identified"),
        description="take instances of profiles that say `identified: true`, which name the patient",
    )
    completeness: Completeness | None = Field(
        None, description="send whole studies only; instances as they come by default"
    )
    transfer_syntax: Literal["as-is", "explicit", "jpeg-ls", "jpeg-2000", "htj2k", "rle"] = Field(
        "as-is",
        description="encoding of the images that are sent: `as-is`, Explicit VR Little Endian, or compressed without "
        "loss; what the syntax cannot hold goes in Explicit VR Little Endian",
    )

    @property
    def can_be_asked(self) -> bool:
        """Whether it can tell if it has an instance, so that one that was sent again is sent there if it has not."""
        return False

    @property
    def threads(self) -> int:
        """Batches that are delivered at the same time."""
        return 1

    @property
    def mixes_studies(self) -> bool:
        """Whether a batch may be of several studies, where one has few instances that are due."""
        return False

    @property
    def quiet_seconds(self) -> float | None:
        """Without ``completeness``: how long more of a study may come after the last; None where that is nothing to it.

        Only destinations ask that do not deliver whole studies, and yet do something when a study is complete.
        """
        return None

    @property
    def batch_instances(self) -> int:
        """Most instances of a batch."""
        return 50

    @property
    def batch_bytes(self) -> int:
        """Most bytes of a batch; a larger instance is a batch of its own."""
        return 256 * 1024**2


class _Networked(_Destination):
    """A destination whose settings say how much is on its way at the same time."""

    # Each kind has its own limits for these, and its own words.
    if TYPE_CHECKING:
        connections: int
        max_instances: int
        max_bytes: int

    @property
    def threads(self) -> int:
        """Batches that are delivered at the same time."""
        return self.connections

    @property
    def batch_instances(self) -> int:
        """Most instances of a batch."""
        return self.max_instances

    @property
    def batch_bytes(self) -> int:
        """Most bytes of a batch; a larger instance is a batch of its own."""
        return self.max_bytes


class FolderDestination(_Destination):
    """A folder, laid out as `PatientID/StudyInstanceUID/SeriesInstanceUID/SOPInstanceUID.dcm` of the new values."""

    type: Literal["folder"] = Field(description="a folder")
    path: FilePath = Field(description="the folder; created when missing", examples=["/srv/archive"])

    @property
    def can_be_asked(self) -> bool:
        """It looks whether it has the file."""
        return True

    @property
    def mixes_studies(self) -> bool:
        """Whether a batch may be of several studies, where one has few instances that are due."""
        return True


class DicomWebDestination(_Networked):
    """A DICOMweb server that takes instances by STOW-RS (PS3.18 10.5)."""

    type: Literal["dicomweb"] = Field(description="a DICOMweb server")
    url: HttpUrl = Field(
        description="base URL of the service; `/studies` is appended", examples=["https://archive.example/dicom-web"]
    )
    auth: Auth | None = Field(None, description="how the gateway proves who it is; nothing by default")
    verify_tls: StrictBool = Field(default=True, description="check the server's certificate")
    ca_file: FilePath | None = Field(
        None, description="PEM file of the authorities to trust instead of the system's", examples=["ca.pem"]
    )
    study_in_url: StrictBool = Field(
        default=False, description="store to `/studies/{study}` with the new Study Instance UID instead of `/studies`"
    )
    max_instances: Count = Field(50, description="instances per request")
    max_bytes: Annotated[ByteSize, Field(ge=1)] = Field(
        256 * 1024**2, description="bytes per request; a larger instance goes alone"
    )
    connections: Annotated[Count, Field(le=64)] = Field(2, description="requests at the same time")
    timeout_seconds: Seconds = Field(60.0, description="silence after which a request has failed")
    duplicates: Literal["confirm", "refuse"] = Field(
        "confirm",
        description="an instance that the server says it already has: `confirm` counts it as delivered, `refuse` makes "
        "the delivery dead, for a human to decide",
    )
    confirm: Literal["response", "qido"] = Field(
        "response",
        description="what confirms a delivery: the server's `response` to the store request, or that the server then "
        "finds the instance by QIDO-RS, with the new UIDs in the URL",
    )
    confirm_seconds: Seconds = Field(
        300.0, description="time in which QIDO-RS must find an instance; after that it is stored again"
    )

    @property
    def can_be_asked(self) -> bool:
        """It is asked by QIDO-RS."""
        return self.confirm == "qido"


class TlsSettings(Section):
    """TLS of a DICOM destination (PS3.15 B)."""

    verify: StrictBool = Field(default=True, description="check the node's certificate and host name")
    ca_file: FilePath | None = Field(
        None, description="PEM file of the authorities to trust instead of the system's", examples=["ca.pem"]
    )
    certificate_file: FilePath | None = Field(
        None, description="PEM file of the gateway's certificate", examples=["client.pem"]
    )
    key_file: FilePath | None = Field(
        None, description="PEM file of its key, unless that is in the certificate's file", examples=["client.key"]
    )
    key_password: Secret | None = Field(None, description="password of the key", examples=["${CLIENT_KEY_PASSWORD}"])


class CommitmentSettings(Section):
    """Storage Commitment (PS3.4 J): a delivery is confirmed when the node has committed itself to keep the instance."""

    host: Text | None = Field(
        None,
        description="address to listen on for the node's reports; by default the one from which this machine reaches "
        "the node",
        examples=["10.1.0.5"],
    )
    port: Annotated[Port, Field(ge=1)] | None = Field(
        None,
        description="port to listen on for the node's reports; without one they must come on the association that "
        "asked, which then stays open",
        examples=[11113],
    )
    addresses: Networks = Field(
        (),
        description="addresses that reports come from; by default those of the node's `host`, and nobody else's",
        examples=[["10.1.0.0/28"]],
    )
    timeout_seconds: Seconds = Field(3600.0, description="time without a report after which instances are sent again")


class DicomDestination(_Networked):
    """A DICOM node that takes instances by C-STORE (PS3.4 B)."""

    type: Literal["dicom"] = Field(description="a DICOM node")
    host: Text = Field(description="name or address of the node", examples=["pacs.example"])
    port: Annotated[Port, Field(ge=1)] = Field(104, description="its DICOM port")
    called_ae: AETitle = Field(description="its AE title", examples=["ARCHIVE"])
    calling_ae: AETitle = Field("GATEWAY", description="AE title that the gateway calls itself")
    tls: TlsSettings | None = Field(None, description="use TLS; plain DICOM by default")
    connections: Annotated[Count, Field(le=64)] = Field(2, description="associations at the same time")
    max_instances: Count = Field(100, description="instances per batch")
    max_bytes: Annotated[ByteSize, Field(ge=1)] = Field(1024**3, description="bytes per batch; a larger one goes alone")
    max_pdu_bytes: Annotated[ByteSize, Field(ge=4096, le=1024 * 1024)] = Field(
        262144, description="longest PDU that is sent, if the node takes as long ones"
    )
    timeout_seconds: Seconds = Field(60.0, description="silence after which an association is aborted")
    idle_seconds: Seconds = Field(10.0, description="time that an association without work is kept")
    duplicates: Literal["confirm", "refuse"] = Field(
        "confirm",
        description="an instance that the node says it already has: `confirm` counts it as delivered, `refuse` makes "
        "the delivery dead, for a human to decide",
    )
    commitment: CommitmentSettings | None = Field(
        None, description="ask for Storage Commitment; by default the answer to C-STORE confirms"
    )

    @property
    def can_be_asked(self) -> bool:
        """It is asked for storage commitment."""
        return self.commitment is not None


class AliasTokenAuth(Section):
    """An XNAT alias token, which stands for a user without that user's password."""

    type: Literal["alias-token"] = Field(description="an alias token")
    alias: Secret = Field(description="its alias", examples=["${XNAT_ALIAS}"])
    secret: Secret = Field(description="its secret", examples=["${XNAT_SECRET}"])


XnatAuth: TypeAlias = Annotated[BasicAuth | AliasTokenAuth, Field(discriminator="type")]


class XnatDestination(_Networked):
    """A project of an XNAT server, by its REST interface. What has arrived is read from the server's own listings."""

    type: Literal["xnat"] = Field(description="a project of an XNAT server")
    url: HttpUrl = Field(description="base URL of the server, without `/data`", examples=["https://xnat.example"])
    auth: XnatAuth = Field(description="how the gateway proves who it is")
    project: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Form("text")] = Field(
        description="ID of the XNAT project: 1 to 64 letters, digits, `_` and `-`; it must exist, and the user must be "
        "allowed to create subjects in it",
        examples=["CHEST"],
    )
    subject: Text = Field(
        "{patient}", description="label of the subject: text and `{patient}`, the pseudonym in Patient ID"
    )
    session: Text = Field(
        "{patient}-{study}",
        description="label of the session: text, `{patient}` and `{study}`, 10 characters made from the new Study "
        "Instance UID",
    )
    into: Literal["archive", "prearchive", "project"] = Field(
        "archive",
        description="where studies go: into the `archive`, into the `prearchive`, where a human archives them, or "
        "where the setting of the XNAT `project` puts them",
    )
    mode: Literal["zip", "gradual", "stow"] = Field(
        "zip",
        description="how instances travel: a `zip` per batch of a study, one request per instance (`gradual`), or "
        "STOW-RS of XNAT's DICOMweb plugin (`stow`)",
    )
    verify_tls: StrictBool = Field(default=True, description="check the server's certificate")
    ca_file: FilePath | None = Field(
        None, description="PEM file of the authorities to trust instead of the system's", examples=["ca.pem"]
    )
    max_instances: Annotated[Count, Field(le=1000)] = Field(500, description="instances per batch")
    max_bytes: Annotated[ByteSize, Field(ge=1)] = Field(
        1024**3, description="bytes per batch; a larger instance goes alone"
    )
    connections: Annotated[Count, Field(le=64)] = Field(2, description="studies at the same time")
    timeout_seconds: Seconds = Field(
        300.0, description="silence after which a request has failed; the server answers when it has filed a batch"
    )
    ask_seconds: Seconds = Field(
        15.0, description="time between questions about a study that XNAT has taken and is still at work on"
    )

    gather_seconds: Seconds = Field(
        10.0,
        description="without `completeness`: time without a further instance after which the session of a study is "
        "archived; until then its instances gather in the prearchive",
    )
    allow_auto_archive: StrictBool = Field(
        default=False,
        description="with `into: prearchive`: deliver to a project that archives by itself what lies in its prearchive "
        "for some minutes, without a person",
    )
    other_modality_session: Text | None = Field(
        None,
        description="label of a session of its own for instances that come after the session of their study was "
        "archived and that XNAT does not mix with it: text, `{session}` and `{modality}`; by default they wait for a "
        "person",
        examples=["{session}_{modality}"],
    )
    compare: Literal["detect", "digest", "name"] = Field(
        "detect",
        description="what of a listed file confirms an instance: its `digest`, which needs a site without "
        "anonymization scripts; its `name` alone; or `detect`: its digest where XNAT leaves instances as they were "
        "sent, else its name and size",
    )

    @property
    def quiet_seconds(self) -> float | None:
        """Without ``completeness``: how long more of a study may come after the last one."""
        return self.gather_seconds

    @field_validator("other_modality_session")
    @classmethod
    def _tells_sessions_apart(cls, template: str | None) -> str | None:
        if template is not None and not re.fullmatch(
            r"[A-Za-z0-9_-]*\{session\}(?:[A-Za-z0-9_-]|\{modality\})+|(?:[A-Za-z0-9_-]|\{modality\})+\{session\}[A-Za-z0-9_-]*",
            template,
        ):
            raise ValueError("the label of a session of its own is {session} with {modality}, letters, digits, _ and -")
        return template

    @property
    def can_be_asked(self) -> bool:
        """It is asked for its listing of the session."""
        return True

    @field_validator("subject")
    @classmethod
    def _tells_patients_apart(cls, template: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]*\{patient\}[A-Za-z0-9_-]*", template):
            raise ValueError("a subject's label is {patient} between letters, digits, _ and -")
        return template

    @field_validator("session")
    @classmethod
    def _tells_studies_apart(cls, template: str) -> str:
        parts = re.split(r"\{(patient|study)\}", template)
        if "study" not in parts[1::2] or not all(re.fullmatch("[A-Za-z0-9_-]*", text) for text in parts[::2]):
            raise ValueError("a session's label holds {study} and may hold {patient}, letters, digits, _ and -")
        return template

    @model_validator(mode="after")
    def _has_labels(self) -> XnatDestination:
        # The plug-in takes no labels: they are given when the gateway archives the session.
        if self.mode == "stow" and self.into == "project":
            raise ValueError("mode: stow needs into: archive or prearchive")
        return self


Destination: TypeAlias = Annotated[
    FolderDestination | DicomWebDestination | DicomDestination | XnatDestination, Field(discriminator="type")
]
