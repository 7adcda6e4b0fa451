"""Trying an XNAT destination out: log in, look at project and site, store a test instance, verify it, remove it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import monotonic
from typing import Final

from gateway.deliver.base import Check, Parcel
from gateway.deliver.books import MemoryBooks
from gateway.deliver.xnat import listing, site
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.project import ProjectCheck
from gateway.deliver.xnat.settings import XnatSettings
from gateway.deliver.xnat.shared import Shared
from gateway.deliver.xnat.study import StudyDelivery
from gateway.errors import DeliveryFailed

_VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.-]{0,31}", re.ASCII)


def probe(client: XnatClient, options: XnatSettings, parcel: Parcel | None) -> Iterator[Check]:
    """Try the destination, step by step: see ``Probing``."""
    try:
        client.log_in()
        yield Check(ok=True, text=f"logged in to {_version(client)}")
        obstacle = ProjectCheck(options).obstacle(client)
        if obstacle is not None:
            yield Check(ok=False, text=f"project {options.project}: {obstacle.detail}")
            return
        owner = options.project in listing.owned_projects(client)
        role = "an owner of it" if owner else "no owner of it, and may not delete from its archive"
        findings = site.findings(client, options)
        remarks = "".join(f"; {remark}" for remark in findings.remarks)
        text = f"project {options.project} exists, and the user may create subjects in it; the user is {role}{remarks}"
        yield Check(ok=True, text=text)
        yield from (Check(ok=False, text=fault) for fault in findings.faults)
        if parcel is not None:
            yield from _store(client, options, parcel, owner=owner)
    except DeliveryFailed as error:
        yield Check(ok=False, text=str(error.facts["reason"]))


def _store(client: XnatClient, options: XnatSettings, parcel: Parcel, *, owner: bool) -> Iterator[Check]:
    # Who may not delete from the archive leaves nothing there: the prearchive is enough to see that instances come.
    tried = options if owner else options.model_copy(update={"into": "prearchive", "allow_auto_archive": True})
    labels = options.labels.of(patient_id=parcel.patient_id, study_uid=parcel.study_uid)
    known = labels.subject in listing.subjects(client, options.project)
    shared = Shared.of(tried, MemoryBooks())
    delivery = StudyDelivery(client, shared, labels, patient_id=parcel.patient_id, study_uid=parcel.study_uid)
    started = monotonic()
    [outcome] = delivery.send([parcel])
    seconds = monotonic() - started
    stored = outcome.state == "confirmed"
    text = f"test instance {outcome.code}: {outcome.detail} ({seconds:.1f} s)"
    if tried.into != options.into:
        text += (
            "; it went into the prearchive, since the user may not remove it from the archive: archiving was not tried"
        )
    yield Check(ok=stored, text=text)
    session_path = listing.session_path(options.project, labels.subject, labels.session)
    places = [row.path for uid, row in listing.prearchive(client, project=options.project) if uid == parcel.study_uid]
    session = listing.session(client, session_path)
    if session is not None:
        places.append(session_path)
        if session.study_uid not in ("", parcel.study_uid):
            yield Check(ok=False, text=site.CHANGES_UIDS)
    # A subject that was there before is somebody's.
    if not known and labels.subject in listing.subjects(client, options.project):
        places.append(path_of("data", "projects", options.project, "subjects", labels.subject))
    for place in places:
        answer = client.request("DELETE", place, query={"removeFiles": "true"})
        if answer.status in (401, 403):
            text = f"test instance not removed: the user may not delete it; delete session {labels.session} of subject "
            yield Check(ok=False, text=f"{text}{labels.subject} in XNAT")
            return
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
