"""Whether anything can be sent to a project.

An import into a project that does not exist, or is not the user's, is no error to XNAT: it files the study where nobody
looks for it. So the project is looked at before.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

from gateway.deliver.base import Verdict
from gateway.deliver.xnat import listing, verdict
from gateway.deliver.xnat.client import XnatClient
from gateway.deliver.xnat.settings import XnatSettings

#: How long rights and settings that were found to be right are not asked for again.
_GOOD_SECONDS: Final = 60.0
_MANUAL: Final = "0"
#: Settings of a project by which it archives what lies in its prearchive (PrearchiveCode.java).
_AUTO_ARCHIVE: Final = ("4", "5")


class ProjectCheck:
    """Looks at a project before it is sent to; for several threads.

    Parameters
    ----------
    options
        of the destination
    """

    def __init__(self, options: XnatSettings) -> None:
        self._options = options
        self._good_until = -1.0

    def obstacle(self, client: XnatClient) -> Verdict | None:
        """Why nothing can be sent to the project; None if something can.

        Raises
        ------
        DeliveryFailed
            XNAT does not tell
        """
        project = self._options.project
        # Each time: a server that admits guests hides the project from a session that has ended, and refuses nothing.
        project_id = listing.project_id(client, project)
        if project_id is None and client.forget():
            project_id = listing.project_id(client, project)
        if project_id is None:
            return verdict.NO_PROJECT
        if project_id != project:
            return verdict.PROJECT_SPELLING
        if monotonic() < self._good_until:
            return None
        if project not in listing.editable_projects(client):
            return verdict.NO_RIGHTS
        if self.archives_too_soon(client):
            return verdict.AUTO_ARCHIVE
        self._good_until = monotonic() + _GOOD_SECONDS
        return None

    def archives_too_soon(self, client: XnatClient) -> bool:
        """Whether the project archives what a person was to archive.

        Raises
        ------
        DeliveryFailed
            no answer
        """
        if self._options.into != "prearchive" or self._options.allow_auto_archive:
            return False
        code = listing.prearchive_code(client, self._options.project)
        if code not in (_MANUAL, *_AUTO_ARCHIVE):
            how = "does not tell the project's prearchive setting: a person archives only if it is manual; "
            raise client.unreadable(how + "allow_auto_archive: true sends without that")
        return code in _AUTO_ARCHIVE
