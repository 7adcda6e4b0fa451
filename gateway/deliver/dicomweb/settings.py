"""The settings of a DICOMweb server."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, StrictBool

from gateway.deliver.web_settings import BasicAuth, BearerAuth, ClientCertificateAuth, WebSettings
from gateway.sections.section import ByteSize, Count, FilePath, HttpUrl, Seconds

__all__ = ["SECTION", "DicomWebSettings"]

Auth: TypeAlias = Annotated[BasicAuth | BearerAuth | ClientCertificateAuth, Field(discriminator="type")]


class DicomWebSettings(WebSettings):
    """A DICOMweb server that takes instances by STOW-RS (PS3.18 10.5)."""

    codes: ClassVar[frozenset[str]] = frozenset(
        {"answer-early", "answer-empty", "answer-too-large", "not-listed", "refused", "rejected"}
    )

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


SECTION: Final = DicomWebSettings
