"""Import scripts of RSNA CTP: DicomAnonymizer, DicomFilter and look-up table become a profile.

Never silently weaker: what CTP would let pass and the basic profile would not, passes only by an explicit rule of the
script; where CTP fails open the profile holds; everything that is not carried over is listed with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from gateway.errors import ProfileError
from gateway.profile import Program, load_profile
from gateway.profile.importers.ctp.anonymizer import read_anonymizer
from gateway.profile.importers.ctp.ctp_lookup import read_lookup
from gateway.profile.importers.ctp.ctp_pixels import import_pixels, is_pixel_script
from gateway.profile.importers.ctp.filters import FilterError, filter_condition, narrowest_condition
from gateway.profile.importers.ctp.model import Acceptance, Draft, NotCarried
from gateway.profile.importers.ctp.rsna_anonymizer import REMARK
from gateway.profile.importers.ctp.translate import Translation, shown
from gateway.profile.importers.ctp.write import write_profile

_MAXIMUM_BYTES: Final = 16 * 1024 * 1024
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import made.

    Attributes
    ----------
    profile_text
        the profile, a YAML file; its tables are expected beside it
    tables
        file name -> content of the look-up tables, which hold identity
    not_carried
        what the profile does not do, or does more strictly, in the order of the files
    """

    profile_text: str
    tables: Mapping[str, str]
    not_carried: tuple[NotCarried, ...]


def import_ctp(
    anonymizer: Path | None,
    filter: Path | None,  # noqa: A002
    lookup: Path | None,
    name: str,
    *,
    pixels: Path | None = None,
) -> Imported:
    """Translate scripts of CTP.

    Parameters
    ----------
    anonymizer
        a script of the DicomAnonymizer, XML or properties
    filter
        a script of the DicomFilter; or one of the DicomPixelAnonymizer
    lookup
        a look-up table, properties or CSV
    name
        the name of the profile, that of its file without ``.yaml``
    pixels
        a script of the DicomPixelAnonymizer

    Returns
    -------
    The profile, its tables, and what could not be carried over.

    Raises
    ------
    ProfileError
        a file cannot be read or is no such script; the error names file and line
    """
    if not _NAME.fullmatch(name):
        raise ProfileError(place=name, problem="the name of a profile has lower-case letters, digits and hyphens")
    if anonymizer is None and filter is None and pixels is None:
        problem = "there is nothing to import: give an anonymizer script, a filter or a pixel script"
        raise ProfileError(place=name, problem=problem)
    draft = Draft(name, [path.name for path in (anonymizer, filter, pixels, lookup) if path is not None])
    lookups = {} if lookup is None else read_lookup(_text(lookup), file=lookup.name)
    if anonymizer is not None:
        file = read_anonymizer(_text(anonymizer), file=anonymizer.name)
        if file.dialect:
            draft.not_carried.append(NotCarried(file.place(1), "the whole script", *REMARK))
        Translation(file, lookups=lookups, basic=_basic(), draft=draft).run()
    if filter is not None:
        _import_filter(_text(filter), filter.name, draft)
    if pixels is not None:
        text = _text(pixels)
        if not is_pixel_script(text):
            raise ProfileError(place=pixels.name, problem="the script has no signature with areas to blank")
        import_pixels(text, file=pixels.name, draft=draft)
    return Imported(write_profile(draft), draft.tables, tuple(draft.not_carried))


@cache
def _basic() -> Program:
    return load_profile("basic")


def _import_filter(text: str, file: str, draft: Draft) -> None:
    if is_pixel_script(text):
        import_pixels(text, file=file, draft=draft)
        return
    because = f"the CTP filter {file} lets nothing else pass"
    lines = text.splitlines() or [""]
    try:
        passes, remarks = filter_condition(text)
        draft.not_carried += [
            NotCarried(f"{file}:{line}", shown(lines[line - 1]), why, "the condition of the accept rule")
            for line, why in remarks
        ]
    except FilterError as failed:
        place = f"{file}:{failed.line}"
        script = shown(lines[min(failed.line, len(lines)) - 1])
        passes = _sure(text)
        instead = "write accept rules that say what passes"
        held = f"every instance is held; {instead}"
        if passes != "false":
            held = f"what passes whatever this test says goes on, the rest is held; {instead}"
        draft.not_carried.append(NotCarried(place, script, str(failed), held))
        because = f"the CTP filter {file} could not be imported, see line {failed.line}"
    comment = f"CTP holds or drops, as its stage is configured, what the filter {file} does not let pass."
    if passes != "false":
        draft.accept.append(Acceptance("accept", passes, f"the CTP filter {file} lets it pass", comment))
    if passes != "true":
        draft.accept.append(Acceptance("hold", "true", because, "" if passes != "false" else comment))


def _sure(text: str) -> str:
    """The condition for what a filter lets pass whatever its tests say that cannot be said."""
    try:
        return narrowest_condition(text).text
    except FilterError:
        return "false"


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAXIMUM_BYTES + 1)
    except OSError as failed:
        raise ProfileError(place=path.name, problem=f"the file cannot be read: {failed.strerror}") from None
    if len(content) > _MAXIMUM_BYTES:
        raise ProfileError(place=path.name, problem=f"the file is longer than {_MAXIMUM_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as failed:
        line = content[: failed.start].count(b"\n") + 1
        raise ProfileError(place=f"{path.name}:{line}", problem="the file is not UTF-8 text here") from None
