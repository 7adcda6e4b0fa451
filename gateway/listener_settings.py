"""Who may come in and by which door: the DICOM and HTTP listeners, and the sources."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, model_validator

from gateway.setting import AETitle, AETitles, ByteSize, Count, Networks, Port, Seconds, Section, Text


class Dicom(Section):
    """The DICOM listener: Storage SCP and Verification SCP."""

    ae_title: AETitle = Field("GATEWAY", description="AE title of the gateway")
    host: Text = Field("0.0.0.0", description="address to listen on")  # noqa: S104 - a PACS is another machine
    port: Port = Field(11112, description="port to listen on; 0 takes a free one")
    max_associations: Count = Field(64, description="associations at the same time; more are refused for now")
    max_pdu_bytes: Annotated[ByteSize, Field(ge=4096, le=16 * 1024 * 1024)] = Field(
        131072, description="longest PDU that peers may send"
    )
    network_timeout_seconds: Seconds = Field(
        60.0, description="silence after which an association is aborted, or given up before it is established"
    )
    accept_unknown_sop_classes: StrictBool = Field(
        default=True, description="accept storage SOP classes that the standard does not know, private ones included"
    )


class Http(Section):
    """The HTTP listener: `/metrics`, `/healthz` and `/readyz`."""

    host: Text = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port to listen on; 0 takes a free one")


class Source(Section):
    """A peer that may send. An association must meet every condition that is given."""

    calling_ae: AETitles = Field((), description="AE titles that the peer calls itself", examples=["PACS"])
    called_ae: AETitles = Field((), description="AE titles that it may call", examples=["GATEWAY"])
    addresses: Networks = Field((), description="addresses that it comes from", examples=[["10.1.0.0/16"]])

    @model_validator(mode="after")
    def _has_a_condition(self) -> Source:
        if not (self.calling_ae or self.called_ae or self.addresses):
            raise ValueError("a source needs calling_ae, called_ae or addresses")
        return self
