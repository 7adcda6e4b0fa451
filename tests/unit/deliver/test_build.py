from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from gateway.deliver.base import Destination
from gateway.deliver.dicomweb.destination import StowDestination
from gateway.deliver.folder.destination import FolderDestination
from gateway.deliver.kinds import Configured, build_destination
from gateway.errors import ConfigurationError
from gateway.sections.section import reading
from tests.unit.deliver.peers import Exchange, Peer, listing, make_parcel, uids_of

SECRET = "s3cr3t"
SETTINGS: TypeAdapter[Configured] = TypeAdapter(Configured)


def build(**fields: object) -> Destination:
    with reading(environ={"ARCHIVE_SECRET": SECRET, "BROKEN_SECRET": f"{SECRET} x"}):
        settings = SETTINGS.validate_python(fields)
    return build_destination("archive", settings)


def test_a_folder(tmp_path: Path) -> None:
    folder = build(type="folder", path=str(tmp_path / "out"))
    assert isinstance(folder, FolderDestination)
    folder.send([make_parcel(tmp_path, 0)])
    assert list((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.parametrize(
    ("auth", "field"),
    [
        (None, None),
        ({"type": "basic", "username": "gateway", "password": "${ARCHIVE_SECRET}"}, "Basic Z2F0ZXdheTpzM2NyM3Q="),
        ({"type": "bearer", "token": "${ARCHIVE_SECRET}"}, f"Bearer {SECRET}"),
    ],
)
def test_a_dicomweb_server(tmp_path: Path, auth: dict[str, str] | None, field: str | None) -> None:
    parcels = [make_parcel(tmp_path, number) for number in range(3)]

    def store(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.answer(200, json.dumps(listing(uids_of(exchange.request, parcels))))

    with Peer(store) as peer:
        stow = build(type="dicomweb", url=peer.url, auth=auth, max_instances=2, study_in_url=True)
        assert isinstance(stow, StowDestination)
        assert stow.name == "archive"
        assert [outcome.state for outcome in stow.send(parcels)] == ["confirmed"] * 3
        stow.close()
    assert [len(request.parts) for request in peer.requests] == [2, 1]
    assert [request.fields.get("authorization") for request in peer.requests] == [field] * 2
    assert peer.requests[0].line == "POST /dicom-web/studies/2.25.1000 HTTP/1.1"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "https://archive", "ca_file": "/nothing.pem"}, "ca_file"),
        ({"url": "https://archive", "auth": {"type": "client-certificate", "certificate_file": "/no.pem"}}, "client"),
        ({"url": "http://archive", "auth": {"type": "client-certificate", "certificate_file": "/no.pem"}}, "https://"),
        ({"url": "http://archive", "auth": {"type": "bearer", "token": "${BROKEN_SECRET}"}}, "bearer token"),
        (
            {"url": "http://archive", "auth": {"type": "basic", "username": "a:b", "password": "${ARCHIVE_SECRET}"}},
            "colon",
        ),
    ],
)
def test_settings_that_cannot_be_used(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as caught:
        build(type="dicomweb", **fields)
    assert "destinations.archive" in str(caught.value)
    assert SECRET not in str(caught.value)
