"""The projects of a configuration, made ready: program, key, destinations (promise: per-project isolation)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.custody.secret import project_secret
from gateway.deid import ProjectKey
from gateway.deid.number_source import NumberSource
from gateway.profile import Program, load_profile, shipped_profiles
from gateway.profile.digest import with_words
from gateway.rehearsal.activation import require_passing
from gateway.settings.configuration import Settings
from gateway.treatment.pixel_stage import PixelStage
from gateway.treatment.treatment import Treatment


@dataclass(frozen=True, slots=True)
class Project:
    """One project: what treats its instances, what keys its tokens, where its outputs go."""

    name: str
    treatment: Treatment
    key: ProjectKey
    destinations: tuple[str, ...]


def activate_profiles(
    settings: Settings, accepted: Mapping[str, frozenset[str]] = MappingProxyType({})
) -> Mapping[str, Program]:
    """Compile the profile of every project and run its tests: project -> program.

    What is compiled here is what every process applies, whatever becomes of the files afterwards.

    Parameters
    ----------
    settings
        the configuration
    accepted
        project -> words that its cleaner keeps besides those of the profile

    Raises
    ------
    ProfileError
        a profile has an error, or one of its tests fails; nothing becomes active
    """
    search = (*settings.profiles, shipped_profiles())
    return {
        name: with_words(require_passing(load_profile(project.profile, search=search)), accepted.get(name, frozenset()))
        for name, project in settings.projects.items()
    }


def make_projects(
    settings: Settings,
    programs: Mapping[str, Program],
    *,
    established: Collection[str],
    numbers: Callable[[str], NumberSource] | None = None,
    pixels: PixelStage | None = None,
) -> Mapping[str, Project]:
    """Join every project's program with its secret.

    Parameters
    ----------
    settings
        the configuration
    programs
        project -> its active program
    established
        projects that have instances already; a secret is made for others only, because with a new one the
        same patient would become another
    numbers
        project -> where its sequential pseudonyms come from; needed to treat instances, not to check a profile
    pixels
        what treats pixels in this process; needed to treat instances by other than the settings' defaults

    Raises
    ------
    ConfigurationError
        a secret is missing, too short or readable by others
    """
    projects = {}
    for name, project in settings.projects.items():
        key = ProjectKey(project_secret(settings, name, create=name not in established))
        source = None if numbers is None else numbers(name)
        treatment = Treatment(programs[name], key, numbers=source, pixels=pixels)
        projects[name] = Project(name, treatment, key, tuple(project.destinations))
    return projects
