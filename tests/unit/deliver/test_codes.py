"""The list of codes of deliveries that did not arrive is whole: what is not in it would be counted from its second."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import gateway.deliver
from gateway.deliver.codes import OUTAGES, UNDELIVERED

ENDINGS = {"failed", "dead"}
#: Functions that make an error of the code that is their first argument.
MAKERS = {"_failed", "failed", "failure"}


def texts(node: ast.expr) -> Iterator[str]:
    """The literal texts that an expression may be."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def codes(tree: ast.AST) -> Iterator[str]:
    """The literal codes that follow ``failed`` or ``dead`` in calls, that makers get, or that are named ``code``."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Assign) and isinstance(call.value, ast.Constant) and isinstance(call.value.value, str):
            yield from (call.value.value for name in call.targets if isinstance(name, ast.Name) and name.id == "code")
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in MAKERS and call.args and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value)
        for state, code in zip(call.args, call.args[1:], strict=False):
            if ENDINGS & set(texts(state)) and isinstance(code, ast.Constant) and isinstance(code.value, str):
                yield code.value
        for keyword in call.keywords:
            if keyword.arg == "code" and isinstance(keyword.value, ast.Constant):
                yield str(keyword.value.value)


def found() -> set[str]:
    return {
        code
        for path in Path(gateway.deliver.__file__).parent.rglob("*.py")
        for code in codes(ast.parse(path.read_text(encoding="utf-8")))
    }


def test_every_code_in_the_source_is_in_the_list() -> None:
    assert len(found()) > 25
    assert found() - UNDELIVERED == set()


def test_what_concerns_a_destination_is_in_the_list() -> None:
    assert sorted(OUTAGES - UNDELIVERED) == []
