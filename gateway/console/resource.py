"""What can be asked for over HTTP: a path's answer, who may have it, and the parameters of a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias
from urllib.parse import parse_qsl

from gateway.settings.accounts import Role

__all__ = ["ASKED_BY", "Answer", "BadQuery", "Query", "Resource", "number", "only", "parameters", "problem"]

_LONGEST_QUERY: Final = 2048

#: The name of the parameter that tells who asks; no parameter of a request has it.
ASKED_BY: Final = "@"

#: The parameters of a request: name -> value, each once.
Query: TypeAlias = Mapping[str, str]


class BadQuery(ValueError):
    """The parameters of a request are not understood."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent: status, media type and body."""

    body: bytes
    media_type: str = "application/json"
    status: HTTPStatus = HTTPStatus.OK

    @classmethod
    def of(cls, content: object, *, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        """``content`` as JSON."""
        return cls(json.dumps(content).encode() + b"\n", status=status)


@dataclass(frozen=True, slots=True)
class Resource:
    """What a path gives.

    Attributes
    ----------
    answer
        makes it from the parameters of a request, in a thread; raises ``BadQuery`` for those that it does not
        understand
    role
        who may see it; None for everybody
    is_posted
        asked by POST: the parameters are the texts of a JSON object in the body, since what stands in a URL
        comes into the logs of proxies; who asks is among them as ``ASKED_BY``
    is_for_machine
        without users, whoever is on this machine may see it
    """

    answer: Callable[[Query], Answer]
    role: Role | None
    is_posted: bool = False
    is_for_machine: bool = False


def problem(status: HTTPStatus, text: str) -> Answer:
    """What is answered where there is nothing to give."""
    return Answer.of({"problem": text}, status=status)


def parameters(query: str) -> Query:
    """The parameters of a request, each once.

    Raises
    ------
    BadQuery
        there are too many, or one comes twice
    """
    if len(query) > _LONGEST_QUERY:
        raise BadQuery("the parameters are too long")
    pairs = parse_qsl(query, keep_blank_values=True)
    named = dict(pairs)
    if len(named) < len(pairs):
        raise BadQuery("a parameter comes twice")
    return named


def number(query: Query, name: str, *, default: int, least: int = 1, most: int = 1000) -> int:
    """A parameter that is a number.

    Raises
    ------
    BadQuery
        it is none, or out of range
    """
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise BadQuery(f"{name} is a number from {least} to {most}")
    return int(text)


def only(query: Query, *names: str) -> None:
    """Refuse parameters that nobody reads: a misspelt one would be passed over.

    Raises
    ------
    BadQuery
        there are others than ``names``
    """
    if set(query) - set(names):
        raise BadQuery(f"the parameters are {', '.join(names)}" if names else "there are no parameters")
