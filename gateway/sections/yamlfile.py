"""YAML files as typed models, with errors that say where, what and what was probably meant.

YAML 1.2's core schema is read: ``true`` and ``false`` are the only booleans, dates and ``12:30`` stay text, ``010`` is
ten. One document per file; no tags, no merge keys, no duplicate keys. Anchors and aliases are allowed, within bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.errors import GatewayError
from gateway.sections.hints import LISTS, meant_key, of_syntax, of_tag, of_type

ModelT = TypeVar("ModelT", bound=BaseModel)

#: Keys and indices from the top of the file to a value.
KeyPath: TypeAlias = tuple[str | int, ...]

MAXIMUM_BYTES: Final = 1024 * 1024
#: Values after aliases are expanded, and levels of nesting.
MAXIMUM_VALUES: Final = 100_000
MAXIMUM_DEPTH: Final = 64
_MAXIMUM_PROBLEMS: Final = 10
#: How many of them an error carries for a list.
_MAXIMUM_TOLD: Final = 500

_PREFIX: Final = "tag:yaml.org,2002:"
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_SENSITIVE: Final = r"\w*(?:secret|passw|passphrase|token|credential|private_?key)\w*"
_SENSITIVE_KEY = re.compile(_SENSITIVE, re.IGNORECASE)
_SENSITIVE_VALUE = re.compile(rf"(\b{_SENSITIVE}[\"']?\s*:\s*)\S.*", re.IGNORECASE)
_USER_INFORMATION = re.compile(r"(://)[^/@\s]+@")


class Place(NamedTuple):
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class _Loader(yaml.SafeLoader):
    """Composes nodes; scalars are resolved here rather than by YAML 1.1's rules."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the name and the type are PyYAML's


@dataclass(frozen=True, slots=True)
class Document(Generic[ModelT]):
    """A file that was read: its model and where everything stands.

    Attributes
    ----------
    model
        the content
    source
        text and positions
    """

    model: ModelT
    source: _Source

    def place(self, *path: str | int) -> Place:
        """Where the value at ``path`` (keys and indices from the top) stands, or the nearest value around it."""
        return self.source.place(path)

    def error(self, *path: str | int, problem: str, word: str = "", words: Iterable[str] = ()) -> GatewayError:
        """An error about the value at ``path``, to be raised by the caller.

        Parameters
        ----------
        path
            keys and indices from the top
        problem
            what is wrong
        word, words
            what was written and what could have been; the nearest is suggested
        """
        return self.source.error([_Problem(self.source.place(path), problem + suggestion(word, words))])


class Problems:
    """What is wrong in one file, gathered, so that its author sees all of it at once.

    Parameters
    ----------
    document
        the file
    """

    def __init__(self, document: Document[Any]) -> None:
        self._document = document
        self._errors: list[GatewayError] = []

    def extend(self, errors: Iterable[GatewayError]) -> None:
        """Take errors that were made by the document."""
        self._errors.extend(errors)

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Take an error that the block raises; what the block would have done is left out."""
        try:
            yield
        except GatewayError as failed:
            if not isinstance(failed.facts.get("problems"), tuple):
                raise
            self._errors.append(failed)

    def refuse(self) -> None:
        """Raise an error that tells all that was gathered, if anything was, in the order of the file."""
        all_problems: list[_Problem] = []
        for error in self._errors:
            problems = error.facts["problems"]
            assert isinstance(problems, tuple)
            all_problems += [_Problem(place, text) for place, text, _ in problems]
        if all_problems:
            raise self._document.source.error(sorted(dict.fromkeys(all_problems), key=lambda one: one.place[1:]))


def load_yaml(
    source: Path | str,
    model: type[ModelT],
    *,
    error: type[GatewayError],
    name: str = "<text>",
) -> ModelT:
    """Read a YAML file into ``model``.

    Parameters
    ----------
    source
        a file, or the text itself
    model
        the model; keys that it does not have are errors, whatever its configuration says
    error
        class of the errors, with the facts ``place`` and ``problem``; ``excerpt`` shows the line
    name
        what errors call a text

    Raises
    ------
    error
        the file cannot be read, is no YAML, or does not fit the model. All problems are reported, the first first.
    """
    return read_yaml(source, model, error=error, name=name).model


def read_yaml(
    source: Path | str,
    model: type[ModelT],
    *,
    error: type[GatewayError],
    name: str = "<text>",
) -> Document[ModelT]:
    """Like ``load_yaml``, keeping the positions for later checks."""
    text = _text(source, error) if isinstance(source, Path) else source
    read = _Source(str(source) if isinstance(source, Path) else name, text, error)
    if len(text) > MAXIMUM_BYTES:
        raise read.error([_Problem(read.place(()), f"the file is longer than {MAXIMUM_BYTES} bytes")])
    data = _Builder(read).build()
    try:
        validated = model.model_validate({} if data is None else data, extra="forbid")
    except ValidationError as failed:
        problems = [_explain(one, model, read) for one in failed.errors(include_url=False)]
        raise read.error(_each_once(problems)) from None
    return Document(validated, read)


def _each_once(problems: Iterable[_Problem]) -> list[_Problem]:
    """The problems in the order of the file; what is true of a whole list is told of its first entry."""
    told: list[_Problem] = []
    for one in sorted(problems, key=lambda one: one.place[1:]):
        before = told[-1] if told else None
        same = before is not None and (before.place.line, before.text) == (one.place.line, one.text)
        if not (same and LISTS in one.text):
            told.append(one)
    return told


def suggestion(word: str, words: Iterable[str]) -> str:
    """``; did you mean "..."?`` with the one of ``words`` that is nearest to ``word``; empty if none is near."""
    candidates = list(words)
    folded = {candidate.lower(): candidate for candidate in candidates}
    near = get_close_matches(word.lower(), folded, n=1, cutoff=0.6) if word else []
    return f'; did you mean "{folded[near[0]]}"?' if near else ""


class _Problem(NamedTuple):
    place: Place
    text: str


class _Source:
    """The text of a file, the positions of its values, and errors about them."""

    def __init__(self, name: str, text: str, error: type[GatewayError]) -> None:
        self.name = name
        self.text = text
        self.keys: dict[KeyPath, Place] = {}
        self.values: dict[KeyPath, Place] = {}
        self.raw: dict[KeyPath, str] = {}
        self._error = error

    def at(self, mark: Any) -> Place:
        return Place(self.name, mark.line + 1, mark.column + 1)

    def place(self, path: KeyPath) -> Place:
        for end in range(len(path), -1, -1):
            place = self.values.get(path[:end])
            if place is not None:
                return place
        return Place(self.name, 1, 1)

    def error(self, problems: list[_Problem]) -> GatewayError:
        first, *others = problems
        text = first.text
        line = self._line(first.place)
        each = tuple((one.place, one.text, self._excerpt(one.place)) for one in problems[:_MAXIMUM_TOLD])
        if line.strip():
            text += f" | {line.strip()}"
        for other in others[: _MAXIMUM_PROBLEMS - 1]:
            text += f" - line {other.place.line}, column {other.place.column}: {other.text}"
        if len(problems) > _MAXIMUM_PROBLEMS:
            text += f" - and {len(problems) - _MAXIMUM_PROBLEMS} more"
        return self._error(
            place=str(first.place),
            problem=text,
            file=first.place.file,
            line=first.place.line,
            column=first.place.column,
            excerpt=self._excerpt(first.place),
            problems=each,
        )

    def _excerpt(self, place: Place) -> str:
        """The line and a pointer to the place."""
        return f"{self._line(place)}\n{' ' * (place.column - 1)}^"

    def _line(self, place: Place) -> str:
        lines = self.text.splitlines()
        line = lines[place.line - 1] if place.line <= len(lines) else ""
        return _USER_INFORMATION.sub(r"\1***@", _SENSITIVE_VALUE.sub(r"\1***", line))[:160]


def _text(path: Path, error: type[GatewayError]) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except OSError as failed:
        raise error(place=str(path), problem=f"the file cannot be read: {failed.strerror}") from None
    if len(content) > MAXIMUM_BYTES:
        raise error(place=str(path), problem=f"the file is longer than {MAXIMUM_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as failed:
        before = content[: failed.start]
        place = Place(str(path), before.count(b"\n") + 1, failed.start - (before.rfind(b"\n") + 1) + 1)
        raise error(place=str(place), problem="the file is not UTF-8 text here") from None


class _Builder:
    """Composes the nodes of a text and builds plain values from them, noting where each one stands."""

    def __init__(self, source: _Source) -> None:
        self._source = source
        self._values = 0
        self._open: list[int] = []

    def build(self) -> Any:
        node = self._compose()
        return None if node is None else self._value(node, ())

    def _compose(self) -> Node | None:
        try:
            loader = _Loader(self._source.text)
            try:
                return loader.get_single_node()
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as failed:
            raise self._syntax(failed) from None
        except yaml.reader.ReaderError as failed:
            line = self._source.text.count("\n", 0, failed.position) + 1
            column = failed.position - (self._source.text.rfind("\n", 0, failed.position) + 1) + 1
            place = Place(self._source.name, line, column)
            problem = f"the character U+{failed.character:04X} is not allowed"
            raise self._source.error([_Problem(place, problem)]) from None
        except RecursionError:
            raise self._fail(self._source.place(()), "the file is nested too deeply") from None

    def _syntax(self, failed: yaml.MarkedYAMLError) -> GatewayError:
        mark = failed.problem_mark or failed.context_mark
        place = self._source.at(mark) if mark is not None else self._source.place(())
        lines = self._source.text.splitlines()
        line = lines[place.line - 1] if place.line <= len(lines) else ""
        text = failed.problem or "this is not YAML"
        hint = of_syntax(text, line, place.column - 1)
        if "\t" in line[: len(line) - len(line.lstrip())] or "'\\t'" in text:
            text = "lines are indented by spaces, not by tabs"
        elif "mapping values are not allowed" in text:
            text += "; check the indentation, or put text that holds a colon in quotes"
        elif hint:
            flow = failed.context_mark if "flow" in (failed.context or "") else None
            text += hint if flow is None else f"{hint} ({failed.context} that begins in line {flow.line + 1})"
        elif "expected <block end>" in text and failed.context_mark is not None:
            text = (
                f"the line does not fit in here: check its indentation against line {failed.context_mark.line + 1}, "
                "where the part begins that it stands in"
            )
        elif failed.context and failed.context_mark is not None:
            text += f" ({failed.context} that begins in line {failed.context_mark.line + 1})"
        return self._fail(place, text)

    def _fail(self, place: Place, problem: str) -> GatewayError:
        return self._source.error([_Problem(place, problem)])

    def _value(self, node: Node, path: KeyPath) -> Any:
        place = self._source.at(node.start_mark)
        self._source.values[path] = place
        self._values += 1
        if self._values > MAXIMUM_VALUES:
            raise self._fail(place, f"the file holds more than {MAXIMUM_VALUES} values")
        if len(path) > MAXIMUM_DEPTH:
            raise self._fail(place, "the file is nested too deeply")
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node.tag not in (f"{_PREFIX}map", f"{_PREFIX}seq"):
            raise self._tag(node, place)
        if id(node) in self._open:
            raise self._fail(place, "an alias contains itself")
        self._open.append(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self._value(child, (*path, number)) for number, child in enumerate(node.value)]
            assert isinstance(node, MappingNode)
            return self._mapping(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._source.at(key_node.start_mark)
            if not isinstance(key_node, ScalarNode) or not key_node.value:
                raise self._fail(place, "a key is a word")
            key = key_node.value
            if key == "<<":
                raise self._fail(place, "merge keys (<<) are not supported")
            if key in mapping:
                line = self._source.keys[(*path, key)].line
                raise self._fail(place, f'the key "{key}" stands here a second time; the first is in line {line}')
            self._source.keys[(*path, key)] = place
            mapping[key] = self._value(value_node, (*path, key))
        return mapping

    def _tag(self, node: Node, place: Place) -> GatewayError:
        """A tag, which hardly anybody means: a text that begins with an exclamation mark looks like one."""
        lines = self._source.text.splitlines()
        line = lines[place.line - 1][place.column - 1 :] if place.line <= len(lines) else ""
        hint = f"; {of_tag(line)}" if line.startswith("!") and not line.startswith("!!") else ""
        return self._fail(place, f"tags are not allowed: {node.tag.removeprefix(_PREFIX)}{hint}")

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        text = node.value
        self._source.raw[path] = text
        if node.tag != f"{_PREFIX}str":
            raise self._tag(node, self._source.at(node.start_mark))
        if node.style is not None:
            return str(text)
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text) if len(text) < 4000 else text
        if _NUMBER.fullmatch(text):
            return float(text)
        return str(text)


def _explain(failed: Any, model: type[BaseModel], source: _Source) -> _Problem:
    """One finding of pydantic in this module's words, at its place in the file."""
    kind, location, context = failed["type"], tuple(failed["loc"]), failed.get("ctx", {})
    path = _path(location, source)
    name = str(location[-1]) if location else ""
    if kind == "extra_forbidden":
        known = sorted({key for one in _models_at(model, location[:-1]) for key in _keys(one)})
        place = source.keys.get(path) or source.place(path)
        meant = meant_key(name, known)
        near = f'; the key is "{meant}"' if meant else suggestion(name, known) or _listing(known)
        return _Problem(place, f'unknown key "{name}"{near}')
    if kind == "missing":
        return _Problem(source.place(path), f'the key "{name}" is missing')
    if kind == "union_tag_not_found":
        return _Problem(source.place(path), f"the key {_discriminator(context)} is missing")
    if kind == "union_tag_invalid":
        path = (*path, _discriminator(context).strip('"'))
    expected = context.get("expected_tags" if kind == "union_tag_invalid" else "expected", "")
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        words = _QUOTED.findall(expected)
        written = _shown(path, source)
        near = suggestion(source.raw.get(path, ""), words)
        return _Problem(source.place(path), f"{written} is not allowed{near or _listing(words)}")
    raw = source.raw.get(path)
    if _shown(path, source) == "this value":
        raw = None
    known = [key for one in _models_at(model, location) for key in _keys(one)]
    inside_list = len(path) > 1 and isinstance(path[-1], int)
    return _Problem(source.place(path), _plain_message(failed) + of_type(kind, raw, known, inside_list=inside_list))


def _plain_message(failed: Any) -> str:
    text = str(failed["msg"])
    for prefix in ("Value error, ", "Assertion failed, "):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    text = text.replace("Input should", "this should", 1).partition(" or instance of ")[0]
    if failed["type"] == "string_type" and isinstance(failed.get("input"), (int, float)):
        text += ": write it in quotes"
    elif failed.get("input") is None:
        text += ": there is no value"
    return text[:1].lower() + text[1:]


def _discriminator(context: Mapping[str, Any]) -> str:
    return '"' + str(context.get("discriminator", "")).strip("'") + '"'


def _listing(words: list[str]) -> str:
    return f"; possible: {', '.join(words)}" if words and len(words) <= 40 else ""


def _shown(path: KeyPath, source: _Source) -> str:
    text = source.raw.get(path)
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if text is None or len(text) > 60 or _SENSITIVE_KEY.search(key):
        return "this value"
    return f'"{text}"'


def _path(location: tuple[str | int, ...], source: _Source) -> KeyPath:
    """The place in the file that pydantic means: its locations also name the members of unions."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) in source.values:
            path = (*path, part)
    return path


def _keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _models_at(annotation: Any, location: tuple[str | int, ...]) -> Iterator[type[BaseModel]]:
    """The models that a value at ``location`` below ``annotation`` may have."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not location:
            yield annotation
        for name, field in annotation.model_fields.items():
            if location and location[0] == (field.alias or name):
                yield from _models_at(field.annotation, location[1:])
        return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        for member in arguments:
            # The first element of a location inside a union may name the member: its class or its discriminator.
            named = bool(location) and location[0] in _names(member)
            yield from _models_at(member, location[1:] if named else location)
    elif origin is not None and hasattr(annotation, "__metadata__"):
        yield from _models_at(arguments[0], location)
    elif location and arguments:
        yield from _models_at(arguments[-1] if arguments[-1] is not Ellipsis else arguments[0], location[1:])


def _names(member: Any) -> set[str]:
    if hasattr(member, "__metadata__"):
        member = get_args(member)[0]
    if not isinstance(member, type) or not issubclass(member, BaseModel):
        return set()
    literals = (field.annotation for field in member.model_fields.values() if get_origin(field.annotation) is Literal)
    return {member.__name__, *(str(word) for annotation in literals for word in get_args(annotation))}
