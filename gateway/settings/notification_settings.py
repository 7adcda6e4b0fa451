"""Who is told what happens, and how: the settings of notifications."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictStr, model_validator

from gateway.sections.section import (
    Duration,
    FilePath,
    Form,
    HttpUrl,
    Port,
    ProjectName,
    Seconds,
    Secret,
    Section,
    Text,
)


class Event(StrEnum):
    """What people can be told of."""

    STUDY_COMPLETE = "study-complete"
    HELD = "held"
    DELIVERY_DEAD = "delivery-dead"
    DESTINATION_DOWN = "destination-down"
    DESTINATION_UP = "destination-up"
    DISK_LOW = "disk-low"
    PROFILE_REFUSED = "profile-refused"


#: What is told when nothing else is asked for: studies arrive all day long.
_USUAL: Final = tuple(event for event in Event if event is not Event.STUDY_COMPLETE)
#: A mailbox (RFC 5321 4.1.2) without quoted local parts; nothing that could begin another header field.
_MAILBOX: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?")


def _mailbox(value: str) -> str:
    if not _MAILBOX.fullmatch(value):
        raise ValueError("an address is written as name@host.example")
    return value


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise ValueError("at least one is needed")
    if len(set(values)) < len(values):
        raise ValueError("something is listed twice")
    return values


Mailbox = Annotated[StrictStr, AfterValidator(_mailbox), Form("e-mail address")]
Mailboxes = Annotated[
    tuple[Mailbox, ...], BeforeValidator(_one_or_more), AfterValidator(_some), Form("e-mail address or list of them")
]
Events = Annotated[
    tuple[Event, ...],
    BeforeValidator(_one_or_more),
    AfterValidator(_some),
    Form(f"list of {', '.join(f'`{event.value}`' for event in Event)}", ", ".join),
]
Projects = Annotated[
    tuple[ProjectName, ...], BeforeValidator(_one_or_more), AfterValidator(_some), Form("list of projects")
]


class _Notification(Section):
    """What every notification has."""

    type: str
    events: Events = Field(_USUAL, description="what is told; everything but `study-complete` by default")
    projects: Projects | None = Field(
        None, description="projects whose events are told; by default all", examples=[["chest"]]
    )
    every: Duration = Field(
        900, description="least time between two messages of one event and project; what happens meanwhile is summed up"
    )
    quiet: Duration = Field(
        120, description="time after the last delivery after which a study without open deliveries counts as complete"
    )
    pseudonyms: StrictBool = Field(
        default=False,
        description="name the new Patient IDs and Study Instance UIDs; never those of profiles that keep identity",
    )
    timeout_seconds: Seconds = Field(20.0, description="silence after which a message has failed; it is sent again")


class WebhookNotification(_Notification):
    """A JSON document is posted to a URL, signed by HMAC-SHA-256. Redirects are not followed, proxies not used."""

    type: Literal["webhook"] = Field(description="a webhook")
    url: HttpUrl = Field(description="where it is posted to", examples=["https://desk.example/hooks/gateway"])
    secret: Secret | None = Field(
        None, description="secret of the signature: at least 32 characters", examples=["${HOOK_SECRET}"]
    )
    secret_file: FilePath | None = Field(
        None, description="file with that secret, readable by the service account alone", examples=["/etc/hook.key"]
    )
    verify_tls: StrictBool = Field(default=True, description="check the server's certificate")
    ca_file: FilePath | None = Field(
        None, description="PEM file of the authorities to trust instead of the system's", examples=["ca.pem"]
    )

    @model_validator(mode="after")
    def _one_secret(self) -> WebhookNotification:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError("a webhook has secret or secret_file: its receiver must know who sends")
        return self


class SmtpNotification(_Notification):
    """An e-mail is handed to a mail server (RFC 5321)."""

    type: Literal["smtp"] = Field(description="e-mail")
    host: Text = Field(description="name of the mail server", examples=["mail.example"])
    port: Annotated[Port, Field(ge=1)] | None = Field(
        None, description="its port; by default 587 with `starttls`, 465 with `tls`, 25 with `none`", examples=[587]
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is encrypted; a server that does not do so gets no message"
    )
    verify_tls: StrictBool = Field(default=True, description="check the server's certificate")
    ca_file: FilePath | None = Field(
        None, description="PEM file of the authorities to trust instead of the system's", examples=["ca.pem"]
    )
    username: Text | None = Field(None, description="user name; nobody logs in by default", examples=["gateway"])
    password: Secret | None = Field(None, description="password", examples=["${MAIL_PASSWORD}"])
    password_file: FilePath | None = Field(
        None, description="file with the password, readable by the service account alone", examples=["/etc/mail.key"]
    )
    sender: Mailbox = Field(description="address of the sender", examples=["gateway@hospital.example"])
    to: Mailboxes = Field(description="who gets it", examples=[["pacs-team@hospital.example"]])

    @property
    def the_port(self) -> int:
        """The port of the mail server."""
        return self.port or {"starttls": 587, "tls": 465, "none": 25}[self.security]

    @model_validator(mode="after")
    def _logs_in(self) -> SmtpNotification:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file exclude each other")
        if (self.username is None) != (self.password is None and self.password_file is None):
            raise ValueError("username and password, or password_file, go together")
        if self.username is not None and self.security == "none":
            raise ValueError("a password is not sent unencrypted: use security: starttls or tls")
        return self


Notification: TypeAlias = Annotated[WebhookNotification | SmtpNotification, Field(discriminator="type")]
