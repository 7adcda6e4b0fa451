"""The settings of a project of an XNAT server."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from pydantic import Field, StrictBool, StrictStr, field_validator, model_validator

from gateway.deliver.web_settings import BasicAuth, WebSettings
from gateway.deliver.xnat.labels import LabelTemplates
from gateway.sections.section import ByteSize, Count, FilePath, Form, HttpUrl, Seconds, Secret, Section, Text
from gateway.web.endpoint import Authorization

__all__ = ["SECTION", "AliasTokenAuth", "XnatSettings"]


class AliasTokenAuth(Section):
    """An XNAT alias token, which stands for a user without that user's password."""

    type: Literal["alias-token"] = Field(description="an alias token")
    alias: Secret = Field(description="its alias", examples=["${XNAT_ALIAS}"])
    secret: Secret = Field(description="its secret", examples=["${XNAT_SECRET}"])


XnatAuth: TypeAlias = Annotated[BasicAuth | AliasTokenAuth, Field(discriminator="type")]


class XnatSettings(WebSettings):
    """A project of an XNAT server, by its REST interface. What has arrived is read from the server's own listings."""

    codes: ClassVar[frozenset[str]] = frozenset(
        {
            "altered",
            "auto-archive",
            "conflict",
            "invalid-label",
            "label-collision",
            "misrouted",
            "missing",
            "no-project",
            "no-rights",
            "not-xnat",
            "partial",
            "processing",
            "proxy",
            "rejected",
            "unrecognised",
            "waits-for-a-person",
            "workflow",
        }
    )

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
    def labels(self) -> LabelTemplates:
        """How subjects and sessions are called."""
        return LabelTemplates(subject=self.subject, session=self.session)

    def authorization(self, *, place: str) -> Authorization:
        """Credentials for the login; a token is used like a user and a password."""
        auth = self.auth
        if isinstance(auth, AliasTokenAuth):
            return Authorization.basic(auth.alias.get_secret_value(), auth.secret.get_secret_value(), place=place)
        return Authorization.basic(auth.username, auth.password.get_secret_value(), place=place)

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
    def _has_labels(self) -> XnatSettings:
        # The plug-in takes no labels: they are given when the gateway archives the session.
        if self.mode == "stow" and self.into == "project":
            raise ValueError("mode: stow needs into: archive or prearchive")
        return self


SECTION: Final = XnatSettings
