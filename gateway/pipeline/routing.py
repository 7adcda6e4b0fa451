"""Routes: which project an instance belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.config import Settings
from gateway.dicom.instance import Instance
from gateway.dicom.value import values_by_keyword
from gateway.errors import ConfigurationError, InstanceError
from gateway.profile import Condition

ProjectType = TypeVar("ProjectType")


class NoRoute(InstanceError):
    """No route matches the instance (source {source}, called AE title {called_ae}): add one to the configuration."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an instance, as the association said: the configured source and the AE titles."""

    source: str
    calling_ae: str
    called_ae: str


@dataclass(frozen=True, slots=True)
class _Route:
    project: str
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
        if self.when is None:
            return True
        values: dict[str, object] = dict(values_by_keyword(instance, self.when.keywords))
        values.update(source=sender.source, calling_ae=sender.calling_ae, called_ae=sender.called_ae)
        return self.when.evaluate(values)


class Router:
    """Decides the project of every instance: the first route that matches; without routes, the only project.

    Parameters
    ----------
    settings: the configuration, whose routes name known projects
    projects: project name -> whatever stands for it

    Raises
    ------
    ConfigurationError: the condition of a route has an error
    """

    def __init__(self, settings: Settings, projects: Mapping[str, object]) -> None:
        self._only = next(iter(projects)) if len(projects) == 1 and not settings.routes else None
        self._routes = [
            _Route(
                route.project,
                route.source,
                route.called_ae,
                route.calling_ae,
                None
                if route.when is None
                else Condition.compile(route.when, place=f"routes[{number}].when", error=ConfigurationError),
            )
            for number, route in enumerate(settings.routes)
        ]

    def project(self, sender: Sender, instance: Instance) -> str:
        """The name of the project that ``instance`` belongs to.

        Raises
        ------
        NoRoute: no route matches
        RuleFailed: a condition cannot be evaluated for this instance
        """
        if self._only is not None:
            return self._only
        for route in self._routes:
            if route.matches(sender, instance):
                return route.project
        raise NoRoute(source=sender.source or "-", called_ae=sender.called_ae or "-")
