"""Trying an XNAT destination out: log in, look at the project, store a test instance, verify it, remove it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from gateway.deliver.base import Check, Parcel
from gateway.deliver.xnat import listing
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.newcomers import Newcomers
from gateway.deliver.xnat.options import XnatOptions
from gateway.deliver.xnat.study import StudyDelivery, project_obstacle
from gateway.errors import DeliveryFailed

_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.-]{0,31}", re.ASCII)


def probe(client: XnatClient, options: XnatOptions, parcel: Parcel | None) -> Iterator[Check]:
    """Try the destination, step by step: see ``Probing``."""
    try:
        client.log_in()
        yield Check(ok=True, text=f"logged in to {_version(client)}")
        obstacle = project_obstacle(client, options.project)
        if obstacle is not None:
            yield Check(ok=False, text=f"project {options.project}: {obstacle.detail}")
            return
        yield Check(ok=True, text=f"project {options.project} exists, and the user may create subjects in it")
        if parcel is not None:
            yield from _store(client, options, parcel)
    except DeliveryFailed as error:
        yield Check(ok=False, text=str(error.facts["reason"]))


def _store(client: XnatClient, options: XnatOptions, parcel: Parcel) -> Iterator[Check]:
    labels = options.labels.of(patient_id=parcel.patient_id, study_uid=parcel.study_uid)
    known = listing.subject_label(client, options.project, labels.subject) is not None
    delivery = StudyDelivery(client, options, labels, study_uid=parcel.study_uid, newcomers=Newcomers())
    [outcome] = delivery.send([parcel])
    stored = outcome.state == "confirmed"
    yield Check(ok=stored, text=f"test instance {outcome.code}: {outcome.detail}")
    session = listing.session_path(options.project, labels.subject, labels.session)
    subject = path_of("data", "projects", options.project, "subjects", labels.subject)
    places = [row.path for row in listing.prearchive(client, parcel.study_uid, project=options.project)]
    if listing.session(client, session) is not None:
        places.append(session)
    # A subject that was there before is somebody's.
    if not known and listing.subject_label(client, options.project, labels.subject) is not None:
        places.append(subject)
    for place in places:
        answer = client.request("DELETE", place, query={"removeFiles": "true"})
        if answer.status not in (200, 204, 404):
            yield Check(ok=False, text=f"test instance not removed: status {answer.status}; delete it in XNAT")
            return
    if places:
        yield Check(ok=True, text="test instance removed")


def _version(client: XnatClient) -> str:
    """Name and version of the server, as far as it tells in a form that can be repeated."""
    content = client.get(path_of("xapi", "siteConfig", "buildInfo"))
    version = content.get("version") if isinstance(content, dict) else None
    return f"XNAT {version}" if isinstance(version, str) and _VERSION.fullmatch(version) else "XNAT"
