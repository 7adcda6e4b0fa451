"""The kinds of destination: each is a package of this room, and everything about it stands there.

A kind has two modules. ``settings`` holds its section of ``gateway.yaml`` as ``SECTION``, a ``DestinationSettings``
with the one ``type`` that it is chosen by; ``destination`` holds what is made from such a section as ``DESTINATION``.
Nothing else lists the kinds: the configuration, its check, its reference and the counters ask here.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, TypeAlias, Union, cast

from pydantic import Field

import gateway.deliver
from gateway.deliver.destination_settings import DestinationSettings

if TYPE_CHECKING:
    # Loading the configuration loads this, and should not load what delivery needs.
    from gateway.deliver.base import Destination
    from gateway.deliver.books import Books

__all__ = ["KINDS", "Configured", "build_destination"]


class _Maker(Protocol):
    """What a kind's ``DESTINATION`` is."""

    def __call__(self, name: str, settings: Any, *, books: Books | None) -> Destination: ...


def _sections() -> Iterator[type[DestinationSettings]]:
    for module in pkgutil.iter_modules(gateway.deliver.__path__, "gateway.deliver."):
        if module.ispkg:
            yield import_module(f"{module.name}.settings").SECTION


#: The section of each kind, in the order of their packages' names.
KINDS: Final = tuple(_sections())

#: A section of ``destinations``, of whichever kind its ``type`` says.
if TYPE_CHECKING:
    Configured: TypeAlias = DestinationSettings
else:
    Configured = Annotated[Union[KINDS], Field(discriminator="type")]  # noqa: UP007 - of a tuple


def build_destination(name: str, settings: DestinationSettings, *, books: Books | None = None) -> Destination:
    """The destination that the settings describe. Nothing is sent or connected.

    Parameters
    ----------
    name
        the destination's name in the configuration
    settings
        its section
    books
        what the ledger knows for the destination; without, it knows only what it does itself

    Raises
    ------
    ConfigurationError
        the URL, a certificate or the credentials cannot be used
    """
    package = type(settings).__module__.rpartition(".")[0]
    maker = cast("_Maker", import_module(f"{package}.destination").DESTINATION)
    return maker(name, settings, books=books)
