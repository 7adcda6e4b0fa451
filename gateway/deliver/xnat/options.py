"""How a project of an XNAT server is delivered to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gateway.deliver.xnat.labels import LabelTemplates
from gateway.deliver.xnat.proof import Compare

#: Where studies go: see ``XnatOptions``.
Into: TypeAlias = Literal["archive", "prearchive", "project"]


@dataclass(frozen=True, slots=True, kw_only=True)
class XnatOptions:
    """How a project is delivered to.

    Attributes
    ----------
    project: ID of the XNAT project
    labels: how subjects and sessions are called
    into: the archive; the prearchive; or what the project's own setting says (auto-archive or not)
    mode: a zip per batch; one request per instance; STOW-RS of the DICOMweb plugin, which cannot go with
        ``into="project"``, because it takes no labels
    max_instances: instances per batch
    max_bytes: bytes of instances per batch; a larger instance goes alone
    connections: studies at the same time; further threads wait
    timeout_seconds: see ``Connection``; XNAT answers an import when it has filed all of it
    ask_seconds: between questions about a study that XNAT has taken and is still at work on
    allow_auto_archive: whether studies go into the prearchive of a project that archives by itself after a while
    other_modality_session: label of the session for instances that come late and of which XNAT would make another type
        of session, with ``{session}`` and ``{modality}``; None: into the session of the study, as XNAT allows
    compare: what of a listed file proves that the instance is there: see ``proof``
    answer_bytes: of an answer that are read at most; the listing of a scan has some 400 bytes per file
    """

    project: str
    labels: LabelTemplates = field(default_factory=LabelTemplates)
    into: Into = "archive"
    mode: Literal["zip", "gradual", "stow"] = "zip"
    max_instances: int = 500
    max_bytes: int = 1024**3
    connections: int = 2
    timeout_seconds: float = 300.0
    ask_seconds: float = 15.0
    allow_auto_archive: bool = False
    other_modality_session: str | None = None
    compare: Compare = "detect"
    answer_bytes: int = 64 * 1024**2

    def __post_init__(self) -> None:
        if self.mode == "stow" and self.into == "project":
            raise ValueError("mode stow needs into archive or prearchive")
