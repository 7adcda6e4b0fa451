"""The section of an XNAT destination: what it may say, and what is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.deliver.base import Destination
from gateway.deliver.kinds import Configured, build_destination
from gateway.deliver.xnat.destination import XnatDestination
from gateway.errors import ConfigurationError
from gateway.sections.section import reading
from gateway.settings.configuration import Settings
from tests.fixtures.xnat import xnat_server
from tests.unit.deliver.peers import make_parcel

SETTINGS: TypeAdapter[Configured] = TypeAdapter(Configured)
BASIC = {"type": "basic", "username": "gateway", "password": "${XNAT_PASSWORD}"}
TOKEN = {"type": "alias-token", "alias": "${XNAT_ALIAS}", "secret": "${XNAT_SECRET}"}
ENVIRON = {"XNAT_PASSWORD": "s3cret", "XNAT_ALIAS": "an-alias", "XNAT_SECRET": "t0ken"}


def settings(**fields: object) -> Configured:
    with reading(environ=ENVIRON):
        given = {"type": "xnat", "url": "https://xnat.example", "project": "CHEST", "auth": BASIC} | fields
        return SETTINGS.validate_python(given)


def build(**fields: object) -> Destination:
    return build_destination("xnat", settings(**fields))


@pytest.mark.parametrize(
    ("auth", "user"),
    [
        (BASIC, ("gateway", "s3cret")),
        (TOKEN, ("an-alias", "t0ken")),  # a token is used like a user and a password
    ],
)
def test_credentials(tmp_path: Path, auth: dict[str, str], user: tuple[str, str]) -> None:
    with xnat_server(tmp_path / "xnat", user=user) as double:
        made = build(url=double.url, auth=auth)
        assert isinstance(made, XnatDestination)
        assert made.name == "xnat"
        assert isinstance(made, Destination)
        assert all(check.ok for check in made.probe(None))
        made.close()


def test_labels_and_ways(tmp_path: Path) -> None:
    with xnat_server(tmp_path / "xnat") as double:
        double.store.projects["CHEST"].code = 0
        made = build(url=double.url, into="prearchive", subject="SITE1-{patient}", session="SITE1-{study}")
        made.send([make_parcel(tmp_path, 0)])
        made.close()
    [target] = double.made("POST", "/data/services/import")
    assert "subject=SITE1-PSEUDONYM-1&" in target
    assert "session=SITE1-" in target
    assert "dest=%2Fprearchive%2Fprojects%2FCHEST" in target


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"auth": None}, "auth"),  # nobody may import without a name
        ({"project": "A B"}, "project"),
        ({"project": ""}, "project"),
        ({"subject": "everybody"}, "patient"),  # all patients would be one
        ({"subject": "{patient} x"}, "letters"),  # XNAT would rewrite it
        ({"subject": "{patient}{study}"}, "letters"),
        ({"session": "{patient}"}, "study"),  # two studies of a patient would be one
        ({"session": "{patient}.{study}"}, "letters"),
        ({"session": "{study}-{sop}"}, "letters"),
        ({"mode": "stow", "into": "project"}, "stow"),
        ({"max_instances": 1001}, "max_instances"),  # more outcomes than the ledger takes at once
        ({"mode": "c-store"}, "mode"),
        ({"compare": "sha256"}, "compare"),
        ({"other_modality_session": "{session}"}, "session"),  # it would be the same session
        ({"other_modality_session": "{modality}"}, "session"),  # all studies of a modality would be one
        ({"other_modality_session": "{session} {modality}"}, "letters"),
        ({"into": "unassigned"}, "into"),
    ],
)
def test_settings_that_are_wrong(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        settings(**fields)


@pytest.mark.parametrize("template", ["{session}_{modality}", "{modality}-{session}", "{session}_late"])
def test_a_session_of_its_own(template: str) -> None:
    assert isinstance(build(other_modality_session=template), XnatDestination)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"ca_file": "/nothing.pem"}, "ca_file"),
        ({"auth": BASIC | {"username": "a:b"}}, "colon"),
    ],
)
def test_settings_that_cannot_be_used(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        build(**fields)
    assert "destinations.xnat" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_what_is_hardly_meant() -> None:
    section = {"type": "xnat", "project": "CHEST", "auth": BASIC}
    destinations = {
        "open": section | {"url": "http://xnat.example"},
        "unchecked": section | {"url": "https://xnat.example", "verify_tls": False},
    }
    with reading(environ=ENVIRON):
        projects = {"default": {"destinations": list(destinations)}}
        found = Settings.model_validate({"destinations": destinations, "projects": projects}).warnings()
    assert "destinations.open: credentials travel unencrypted" in found
    assert "destinations.unchecked: the server's certificate is not checked" in found
