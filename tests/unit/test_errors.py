"""The hierarchy of errors: drawn as it is, and never without messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest

import gateway
from gateway import errors
from gateway.errors import GatewayError

#: A line of the tree: what leads to the name, and the name.
BRANCH = re.compile(r"^((?:│   |    )*)(?:├── |└── )(\w+)")


def drawn() -> list[tuple[str, str]]:
    """Name and parent of every class in the trees at the top of the module."""
    found = []
    trail: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if line in ("GatewayError", "Exception"):
            trail = [line]
        elif branch := BRANCH.match(line):
            del trail[len(branch[1]) // 4 + 1 :]
            # What Python brings is only where its children hang.
            if branch[2] != "ValueError":
                found.append((branch[2], trail[-1]))
            trail.append(branch[2])
    return found


def below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


def test_every_error_is_in_the_tree() -> None:
    for module in walk_packages(gateway.__path__, "gateway."):
        # Alembic runs this one, with a database.
        if not module.name.endswith(("__main__", "migrations.env")):
            import_module(module.name)
    own = {kind for kind in below(BaseException) if kind.__module__.split(".")[0] == "gateway"}
    real = [(kind.__name__, kind.__bases__[0].__name__) for kind in own - {GatewayError}]
    assert sorted(drawn()) == sorted(real)


def test_a_message_is_the_first_paragraph_with_the_facts() -> None:
    error = errors.LedgerRefused(operation="read", server="the database", state="28P01", other="unused")
    assert str(error).startswith("The ledger cannot read: the database refuses the gateway (28P01). Set user and")
    # A fact that is missing does not raise while an error is reported.
    assert str(errors.SpoolUnavailable(operation="read", name="x")) == "The spool cannot read x: <reason>."


def test_a_class_without_a_message_is_none() -> None:
    with pytest.raises(TypeError, match="Nameless has no message"):
        type("Nameless", (GatewayError,), {})


@pytest.mark.parametrize(
    ("environment", "arguments"),
    [
        pytest.param({}, ["-OO", "-m", "gateway"], id="by an option"),
        pytest.param(
            {"PYTHONOPTIMIZE": "2"}, ["-c", "from gateway.cli.app import main; main()"], id="by the environment"
        ),
    ],
)
def test_without_docstrings_the_gateway_does_not_start(environment: dict[str, str], arguments: list[str]) -> None:
    ended = subprocess.run(
        [sys.executable, *arguments, "version"],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.strip() == (
        "gateway: the texts of errors and commands are docstrings, which python -OO and PYTHONOPTIMIZE=2 take away: "
        "start without"
    )
    assert ended.stdout == ""


def test_without_assertions_it_starts() -> None:
    ended = subprocess.run(
        [sys.executable, "-O", "-m", "gateway", "version"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip()
