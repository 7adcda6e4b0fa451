"""The files of the profiles that were active last, for a start with files that are broken.

An edit that makes a profile wrong is refused while the gateway runs, and the active one stays. Should the gateway be
started again before anybody mends the file, it goes on with the one that was active: a hospital that can send nothing
until a person comes would be worse, and nothing leaves by a profile that was not approved.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from gateway.profile import Program, load_profile, shipped_profiles
from gateway.rehearsal.activation import require_passing
from gateway.settings.configuration import Settings

__all__ = ["keep_profiles", "last_profiles"]

#: What profiles consist of: their files, look-up tables and lists of words.
_KINDS: Final = frozenset({".yaml", ".yml", ".csv", ".tsv", ".txt"})


def keep_profiles(settings: Settings) -> None:
    """Copy the files of the configured directories into the data directory: they were activated just now.

    Raises
    ------
    OSError
        a file cannot be read, or the copy not be written; the one before stays
    """
    target = _folder(settings)
    draft = target.with_name(f"{target.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    for number, source in enumerate(_sources(settings)):
        folder = draft / str(number)
        folder.mkdir(mode=0o700)
        for path in sorted(source.iterdir()):
            if path.is_file() and path.suffix in _KINDS:
                copy = folder / path.name
                copy.touch(mode=0o600)
                copy.write_bytes(path.read_bytes())
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)


def last_profiles(settings: Settings) -> Mapping[str, Program] | None:
    """The programs of the files that were active last: project -> program; None if there are none.

    Raises
    ------
    ProfileError
        they are wrong for this version of the gateway
    """
    target = _folder(settings)
    if not target.is_dir():
        return None
    search = [target / str(number) for number in range(len(list(_sources(settings))))]
    programs = {}
    for name, project in settings.projects.items():
        path = Path(project.profile)
        given = str(search[_place(settings, path)] / path.name) if _is_path(project.profile) else project.profile
        programs[name] = require_passing(load_profile(given, search=(*search, shipped_profiles())))
    return programs


def _folder(settings: Settings) -> Path:
    return settings.data / "active-profiles"


def _is_path(profile: str) -> bool:
    return profile.endswith((".yaml", ".yml"))


def _sources(settings: Settings) -> Iterator[Path]:
    """The directories that profiles are taken from, each once; those of profiles that are given by their path last."""
    given = [Path(one.profile).absolute().parent for one in settings.projects.values() if _is_path(one.profile)]
    for folder in dict.fromkeys((*settings.profiles, *given)):
        if folder.is_dir():
            yield folder


def _place(settings: Settings, path: Path) -> int:
    return list(_sources(settings)).index(path.absolute().parent)
