"""The settings of a DICOM node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StrictBool

from gateway.association.tls import Tls
from gateway.deliver.destination_settings import NetworkedSettings
from gateway.sections.section import (
    AETitle,
    ByteSize,
    Count,
    FilePath,
    Networks,
    Port,
    Seconds,
    Secret,
    Section,
    Text,
)

__all__ = ["SECTION", "CommitmentSettings", "DicomNodeSettings", "TlsSettings"]


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

    @property
    def files(self) -> Tls:
        """What the files make."""
        return Tls(
            verify=self.verify,
            ca_file=self.ca_file,
            certificate_file=self.certificate_file,
            key_file=self.key_file,
            key_password=None if self.key_password is None else self.key_password.get_secret_value(),
        )


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


class DicomNodeSettings(NetworkedSettings):
    """A DICOM node that takes instances by C-STORE (PS3.4 B)."""

    codes: ClassVar[frozenset[str]] = frozenset(
        {
            "aborted",
            "already-stored",
            "association-rejected",
            "commitment-port",
            "commitment-timeout",
            "context-refused",
            "no-commitment",
            "not-committed",
            "protocol",
            "rejected",
        }
    )
    outages: ClassVar[frozenset[str]] = frozenset({"association-rejected"})

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

    def warnings(self) -> Iterator[str]:
        """What is allowed and hardly meant."""
        if self.tls is not None and not self.tls.verify:
            yield "the node's certificate is not checked"

    def key_files(self) -> Iterator[tuple[str, Path]]:
        """The key of the gateway's certificate."""
        if self.tls is not None and self.tls.certificate_file is not None:
            yield "tls", self.tls.key_file or self.tls.certificate_file

    def ports(self) -> Iterator[tuple[str, int]]:
        """Where reports of commitment are listened for."""
        if self.commitment is not None and self.commitment.port is not None:
            yield "commitment.port", self.commitment.port


SECTION: Final = DicomNodeSettings
