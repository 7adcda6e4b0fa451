"""Routes: which project an instance belongs to, and which of the project's destinations it goes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from gateway.dicom.instance import Instance
from gateway.errors import ConfigurationError, InstanceError
from gateway.profile import Condition
from gateway.profile.situation import situation
from gateway.settings.configuration import Settings

ProjectType = TypeVar("ProjectType")


class NoRoute(InstanceError):
    """No route matches the instance (source {source}, called AE title {called_ae}): add one to the configuration."""


class NoDestination(InstanceError):
    """No destination of project {project} takes the instance: their conditions exclude it."""


class IdentifiedRefused(InstanceError):
    """The profile keeps who the patient is, and destination {destination} does not say that it accepts identified
    instances.
    """


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an instance, as the association said: the configured source and the AE titles; and by which route of
    the configuration it came, empty where none was asked or the route has no name.
    """

    source: str
    calling_ae: str
    called_ae: str
    route: str = ""

    @property
    def facts(self) -> dict[str, str]:
        """What conditions may ask of it."""
        return {
            "source": self.source,
            "calling_ae": self.calling_ae,
            "called_ae": self.called_ae,
            "route": self.route,
        }


@dataclass(frozen=True, slots=True)
class _Route:
    project: str
    name: str
    source: str | None
    called_ae: Sequence[str]
    calling_ae: Sequence[str]
    when: Condition | None

    def matches(self, sender: Sender, instance: Instance) -> bool:
        if self.source is not None and sender.source != self.source:
            return False
        if self.called_ae and sender.called_ae not in self.called_ae:
            return False
        if self.calling_ae and sender.calling_ae not in self.calling_ae:
            return False
        return _holds(self.when, sender, instance)


def _holds(condition: Condition | None, sender: Sender, instance: Instance) -> bool:
    if condition is None:
        return True
    return condition.evaluate(situation(instance, condition.keywords, sender.facts))


def _compiled(text: str | None, place: str) -> Condition | None:
    return None if text is None else Condition.compile(text, place=place, error=ConfigurationError)


class Router:
    """Decides project and destinations of every instance by its original elements.

    The project is that of the first route that matches; without routes, the only one. The destinations are those of
    the project whose conditions hold.

    Parameters
    ----------
    settings
        the configuration, whose routes name known projects
    projects
        project name -> whatever stands for it

    Raises
    ------
    ConfigurationError
        the condition of a route or a destination has an error
    """

    def __init__(self, settings: Settings, projects: Mapping[str, object]) -> None:
        self._only = next(iter(projects)) if len(projects) == 1 and not settings.routes else None
        self._routes = [
            _Route(
                route.project,
                route.name or "",
                route.source,
                route.called_ae,
                route.calling_ae,
                _compiled(route.when, f"routes[{number}].when"),
            )
            for number, route in enumerate(settings.routes)
        ]
        conditions = {
            name: _compiled(destination.when, f"destinations.{name}.when")
            for name, destination in settings.destinations.items()
        }
        self._accepting = frozenset(
            name for name, destination in settings.destinations.items() if destination.accepts_identified
        )
        self._destinations = {
            name: [(destination, conditions[destination]) for destination in project.destinations]
            for name, project in settings.projects.items()
        }

    def project(self, sender: Sender, instance: Instance) -> str:
        """The name of the project that ``instance`` belongs to. As ``route``."""
        return self.route(sender, instance)[0]

    def route(self, sender: Sender, instance: Instance) -> tuple[str, Sender]:
        """The name of the project that ``instance`` belongs to, and the sender with the name of its route.

        Raises
        ------
        NoRoute
            no route matches
        RuleFailed
            a condition cannot be evaluated for this instance
        """
        if self._only is not None:
            return self._only, sender
        for route in self._routes:
            if route.matches(sender, instance):
                return route.project, replace(sender, route=route.name)
        raise NoRoute(source=sender.source or "-", called_ae=sender.called_ae or "-")

    def destinations(
        self, project: str, sender: Sender, instance: Instance, *, identified: bool = False
    ) -> tuple[str, ...]:
        """The names of the destinations of ``project`` that ``instance`` goes to.

        Parameters
        ----------
        project, sender, instance
            what goes, and how it came
        identified
            whether its output names the patient

        Raises
        ------
        NoDestination
            every condition excludes it
        IdentifiedRefused
            a destination takes no identified instances
        RuleFailed
            a condition cannot be evaluated for this instance
        """
        names = tuple(name for name, condition in self._destinations[project] if _holds(condition, sender, instance))
        if not names:
            raise NoDestination(project=project)
        refusing = [name for name in names if name not in self._accepting] if identified else []
        if refusing:
            raise IdentifiedRefused(destination=refusing[0])
        return names
