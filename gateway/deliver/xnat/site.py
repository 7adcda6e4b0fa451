"""How the site and the project are set up, as far as deliveries depend on it and XNAT tells it to this user."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.deliver.xnat import listing
from gateway.deliver.xnat.client import XnatClient, path_of
from gateway.deliver.xnat.settings import XnatSettings

CHANGES_UIDS: Final = (
    "an anonymization script gives studies another Study Instance UID: instances that come late are recognised by the "
    "session's label and by a note that the gateway leaves with it, and merged whatever their UID; take that out of "
    "the script, the gateway has replaced the UIDs already"
)
#: An assignment to Study, Series or SOP Instance UID in DicomEdit; comments begin with //.
_ASSIGNS_UID: Final = re.compile(r"^(?!\s*//)[^\n]*\((?:0020,000[DdEe]|0008,0018)\)\s*(?::=|\?=)", re.MULTILINE)
_REJECTS: Final = re.compile(r"^(?!\s*//)[^\n]*\breject\s*\[", re.MULTILINE)
#: What a template must tell for a file to be recognised by its name.
_TELLING: Final = ("SOPInstanceUID}",)
#: After so long nginx gives up, as xnat-docker-compose sets it up.
_PROXY_SECONDS: Final = 100
_CODES: Final = {"0": "manual", "4": "auto-archive", "5": "auto-archive, overwriting"}


@dataclass(slots=True)
class Findings:
    """What was found: remarks for the administrator, and what is to be mended."""

    remarks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def findings(client: XnatClient, options: XnatSettings) -> Findings:
    """Look at settings, scripts, filters and preferences.

    Raises
    ------
    DeliveryFailed
        no answer
    """
    report = Findings()
    _prearchive(client, options, report)
    unread = [name for name, path in _scripts(options.project) if not _script(client, name, path, report)]
    if unread:
        report.remarks.append(
            f"XNAT does not show this user the {' and the '.join(unread)}: ask whether they change UIDs"
        )
    for whose, path in _filters(options.project):
        if _is_enabled(client, path):
            report.remarks.append(f"a series import filter of the {whose} drops what it does not want")
    _preferences(client, options, report)
    report.remarks.append(
        f"a proxy before XNAT must wait until a batch of up to {options.max_instances} instances is filed, up to "
        f"{options.timeout_seconds:.0f} s: that of xnat-docker-compose gives up after {_PROXY_SECONDS} s"
    )
    return report


def _prearchive(client: XnatClient, options: XnatSettings, report: Findings) -> None:
    code = listing.prearchive_code(client, options.project)
    if code:
        report.remarks.append(f"its prearchive setting is {_CODES.get(code, 'unknown')}")
    if options.mode == "stow" and options.into == "archive" and code in ("4", "5"):
        report.faults.append(
            "mode: stow takes no labels, and the project archives by itself: a session that it archives has the labels "
            "that XNAT finds in the instances; set the project's prearchive setting to manual"
        )


def _scripts(project: str) -> tuple[tuple[str, str], ...]:
    return (
        ("site's anonymization script", path_of("xapi", "anonymize", "site")),
        ("project's anonymization script", path_of("xapi", "anonymize", "projects", project)),
    )


def _script(client: XnatClient, name: str, path: str, report: Findings) -> bool:
    """Look at a script; whether XNAT shows it, or there is none."""
    enabled = _json(client, f"{path}/enabled")
    answer = client.request("GET", path)
    if answer.status == 404 or enabled is False:
        return True
    if answer.status != 200:
        return False
    text = answer.body.decode("utf-8", "replace")
    if _ASSIGNS_UID.search(text):
        report.faults.append(f"{name}: {CHANGES_UIDS}")
    if _REJECTS.search(text):
        report.remarks.append(f"the {name} rejects some instances: they are not delivered")
    return True


def _filters(project: str) -> tuple[tuple[str, str], ...]:
    config = ("config", "seriesImportFilter", "config")
    return (("site", path_of("data", *config)), ("project", path_of("data", "projects", project, *config)))


def _is_enabled(client: XnatClient, path: str) -> bool:
    content = _json(client, path)
    try:
        return content["ResultSet"]["Result"][0]["status"] == "enabled" if content else False
    except (TypeError, KeyError, IndexError):
        return False


def _preferences(client: XnatClient, options: XnatSettings, report: Findings) -> None:
    if options.mode == "stow":
        template = _json(client, path_of("xapi", "siteConfig", "dicomFileNameTemplate"))
        if isinstance(template, str) and not any(one in template for one in _TELLING):
            report.faults.append(
                "the site's dicomFileNameTemplate tells neither ${SOPInstanceUID} nor "
                "${HashSOPClassUIDWithSOPInstanceUID}: arrivals by STOW-RS cannot be verified; set mode: zip"
            )
    if _json(client, path_of("xapi", "siteConfig", "preventCrossModalityMerge")) is False:
        report.remarks.append("sessions may be of several modalities")
    elif options.other_modality_session is None:
        report.remarks.append(
            "XNAT adds nothing of another modality to a session that is archived (preventCrossModalityMerge): give the "
            "destination enough completeness, or other_modality_session"
        )


def _json(client: XnatClient, path: str) -> Any:
    """A value of XNAT's, as far as it tells it to this user; else None."""
    answer = client.request("GET", path, query={"format": "json"} if path.startswith("/data") else None)
    if answer.status != 200 or not answer.whole:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        # Preferences of type text may come as they are.
        return answer.body.decode("utf-8", "replace").strip()
