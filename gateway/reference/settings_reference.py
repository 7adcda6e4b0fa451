"""The reference pages of the configuration and the metrics, made from the code."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from importlib.resources import files
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.metrics import METERS
from gateway.sections.section import Form
from gateway.settings.configuration import OVERRIDES, Settings

GENERATED: Final = "<!-- Made by scripts/generate-docs from the code: edit that instead. -->"
_INDEFINITE: Final = {
    dict: "sections by name",
    tuple: "list of sections",
    bool: "`true` or `false`",
    float: "number",
    int: "number",
}

_CONFIGURATION: Final = """\
# Configuration

The gateway reads one YAML file: `gateway run --config FILE`, or the file that `GATEWAY_CONFIG` names. Without one it
runs on the defaults below. An unknown key or a wrong value stops it with file, line and column. Check a file with
`gateway config check`; `gateway config example` prints one with every key.

Relative paths are relative to the directory of the file. Sizes are written `2 GiB` or `500 MB`, durations `7d` or
`1h 30m`. Secrets do not stand in the file: `${NAME}` takes the environment variable `NAME`, which must be set; URLs may
contain it too.

| variable | stands above |
|---|---|"""
_METRICS: Final = """\
# Metrics

`/metrics` on the HTTP port, in Prometheus' text format. Counters and histograms begin at zero when the gateway starts.
Labels are names from the configuration, states, and codes of errors.

| name | kind | labels | meaning |
|---|---|---|---|"""


def configuration_example() -> str:
    """A configuration file with every key, commented out."""
    return (files("gateway.cli") / "data" / "gateway.yaml").read_text(encoding="utf-8")


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Every section of the configuration with its place: ``destinations.NAME.auth``."""
    yield "", Settings
    yield from _below(Settings, "")


def configuration_reference() -> str:
    """The configuration reference as Markdown."""
    variables = "\n".join(f"| `{variable}` | `{'.'.join(path)}` |" for variable, path in OVERRIDES.items())
    lines = [GENERATED, _CONFIGURATION, variables]
    for place, model in sections():
        lines += ["", f"## `{place}`" if place else "## Top level", ""]
        if place:
            lines += [" ".join((model.__doc__ or "").split()), ""]
        lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
        lines += [
            f"| `{key}` | {_cell(_form(field))} | {_cell(_default(field))} | {_cell(field.description or '')} |"
            for key, field in model.model_fields.items()
        ]
    return "\n".join(lines) + "\n"


def metrics_reference() -> str:
    """The list of metrics as Markdown."""
    lines = [GENERATED, _METRICS]
    for meter in METERS:
        labels = ", ".join(f"`{label}`" for label in meter.labels) or "-"
        lines.append(f"| `{meter.name}` | {meter.kind} | {labels} | {meter.help} |")
    return "\n".join(lines) + "\n"


def _below(model: type[BaseModel], place: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for key, field in model.model_fields.items():
        for suffix, inner in _models(field.annotation):
            variant = inner.model_fields.get("type")
            kind = f" (type: {get_args(variant.annotation)[0]})" if variant is not None else ""
            at = f"{place}{key}{suffix}"
            yield at + kind, inner
            yield from _below(inner, f"{at}.")


def _models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The sections that a field holds, with how they are addressed below it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
        return
    origin = get_origin(annotation)
    suffix = ".NAME" if origin is dict else "[]" if origin is tuple else ""
    if origin is Literal:
        return
    for argument in get_args(annotation):
        for inner, model in _models(argument):
            yield suffix + inner, model


def _form(field: FieldInfo) -> str:
    form = _form_of(field)
    return form.text if form is not None else _written(field.annotation)


def _form_of(field: FieldInfo) -> Form | None:
    """The form of a field or, when it may be absent, of its other alternative."""
    forms = [one for one in field.metadata if isinstance(one, Form)]
    alternatives = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    for argument in alternatives:
        if get_origin(argument) is Annotated:
            forms += [one for one in argument.__metadata__ if isinstance(one, Form)]
    return forms[0] if forms else None


def _written(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _written(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_written(one) for one in get_args(annotation) if one is not NoneType))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    return _INDEFINITE[origin or annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined or value is None or value == ():
        return "-"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    form = _form_of(field)
    return f"`{form.show(value) if form is not None else value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
