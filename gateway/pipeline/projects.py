"""The projects of a configuration, made ready: program, key, destinations (promise: per-project isolation)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from gateway.config import Settings
from gateway.deid import ProjectKey
from gateway.pipeline.treatment import Treatment
from gateway.profile import load_profile, shipped_profiles
from gateway.secret import project_secret


@dataclass(frozen=True, slots=True)
class Project:
    """One project: what treats its instances, what keys its tokens, where its outputs go."""

    name: str
    treatment: Treatment
    key: ProjectKey
    destinations: tuple[str, ...]


def load_projects(settings: Settings, *, established: Collection[str]) -> Mapping[str, Project]:
    """Load every project's profile and secret.

    Parameters
    ----------
    settings: the configuration
    established: projects that have instances already; a secret is made for others only, because with a new one the
        same patient would become another

    Raises
    ------
    ProfileError: a profile has an error; nothing becomes active
    ConfigurationError: a secret is missing, too short or readable by others
    """
    search = (*settings.profiles, shipped_profiles())
    projects = {}
    for name, project in settings.projects.items():
        key = ProjectKey(project_secret(settings, name, create=name not in established))
        treatment = Treatment(load_profile(project.profile, search=search), key)
        projects[name] = Project(name, treatment, key, tuple(project.destinations))
    return projects
