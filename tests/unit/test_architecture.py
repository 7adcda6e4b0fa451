"""Rooms depend downwards only, and no module imports itself by way of others."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gateway

ROOT = Path(gateway.__file__).parent
#: Room -> its level; a room may import rooms of lower levels only. Modules at the top of the package are of level 0.
LEVELS = {
    "dicom": 1,
    "extras": 1,
    "sections": 1,
    "association": 2,
    "web": 3,
    "deliver": 4,
    "settings": 5,
    "spool": 6,
    "ledger": 6,
    "profile": 6,
    "deid": 7,
    "pixels": 7,
    "verify": 7,
    "receive": 7,
    "samples": 7,
    "custody": 8,
    "notify": 9,
    "treatment": 9,
    "rehearsal": 10,
    "service": 11,
    "review": 12,
    "reference": 12,
    "console": 13,
    "cli": 14,
}
#: The longest module, in bytes.
LONGEST = 35_000


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of the gateway that ``path`` imports when it is loaded or its types are checked."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in _loaded(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "gateway":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "gateway")


def _loaded(node: ast.AST) -> Iterator[ast.AST]:
    """Statements that run at import, and what is for type checkers alone: not the bodies of functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        yield child
        yield from _loaded(child)


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / parts[1]).is_dir() else ""


def test_rooms_depend_downwards() -> None:
    known = modules()
    wrong = []
    for module, path in known.items():
        room = _room(module)
        for imported in set(imports(path, known)):
            other = _room(imported)
            if other != room and LEVELS.get(other, 0) >= LEVELS.get(room, 0) and module != "gateway.__main__":
                wrong.append(f"{module} imports {imported}")
    assert wrong == []


def test_every_room_has_a_level() -> None:
    rooms = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert rooms <= set(LEVELS)


def test_no_circles() -> None:
    known = modules()
    graph = {module: set(imports(path, known)) - {module} for module, path in known.items()}
    # A package's own modules load it first; what it re-exports is no circle of theirs.
    for module, below in graph.items():
        below -= {package for package in below if module.startswith(f"{package}.")}
    finished: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in finished:
            for imported in graph.get(module, ()):
                visit(imported, (*trail, module))
            finished.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_modules_are_short() -> None:
    assert {str(path) for path in modules().values() if path.stat().st_size > LONGEST} == set()


def test_a_file_is_found_by_its_name() -> None:
    """What stands in several packages is their pattern; modules of the command line are named as their command."""
    patterns = {"__init__", "settings", "destination"}
    names = Counter(path.stem for path in modules().values() if path.parent.name != "cli" and path.stem not in patterns)
    assert [name for name, count in names.items() if count > 1] == []


def test_importers_are_used_by_their_command_alone() -> None:
    """What a site needs once is no part of what runs."""
    users = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*.py")
        if "importers" not in path.parts and "gateway.profile.importers" in path.read_text(encoding="utf-8")
    }
    assert users == {"cli/profile.py"}


def test_nothing_of_the_product_needs_what_tries_and_measures_it() -> None:
    outside = re.compile(r"^\s*(?:from|import) (?:tests|benchmarks|scripts)\b", re.MULTILINE)
    assert [name for name, path in modules().items() if outside.search(path.read_text(encoding="utf-8"))] == []
