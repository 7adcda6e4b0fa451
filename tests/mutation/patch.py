"""Changing modules that are loaded already: in a process of its own, which ends afterwards."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator, Mapping
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Final

from tests.mutation.operators import Mutation, mutated

_PLAIN: Final = (int, float, str, bytes, tuple, list, set, frozenset, Mapping, re.Pattern)


class NotPatched(Exception):
    """Nothing that is loaded could be changed."""


def apply(root: Path, mutation: Mutation) -> list[tuple[object, object]]:
    """Make the change, and forget what was made before it; returns constants as they were, and as they are."""
    changed: list[tuple[object, object]] = []
    path = str(root / mutation.path)
    code = compile(mutated(root, mutation), path, "exec", dont_inherit=True)
    if mutation.function:
        _change_function(code, path, mutation)
    else:
        changed = _change_constants(code, path)
    for one in gc.get_objects():
        if isinstance(one, _lru_cache_wrapper):
            one.cache_clear()
    return changed


def _change_function(code: CodeType, path: str, mutation: Mutation) -> None:
    changed = {one.co_firstlineno: one for one in _inside(code) if one.co_qualname == mutation.function}
    done = False
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename == path:
            new = changed.get(one.__code__.co_firstlineno)
            if new is not None and one.__code__.co_qualname == mutation.function:
                one.__code__ = new
                done = True
    if not done:
        raise NotPatched(mutation.function)


def _inside(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inside(constant)


def _change_constants(code: CodeType, path: str) -> list[tuple[object, object]]:
    module = next(one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == path)
    again = ModuleType(module.__name__)
    again.__file__ = path
    # Dataclasses look their module up.
    sys.modules[module.__name__] = again
    try:
        exec(code, vars(again))
    finally:
        sys.modules[module.__name__] = module
    changed: list[tuple[object, object]] = []
    for name, new in vars(again).items():
        old = vars(module).get(name)
        # What is made of others, such as a statement of SQL, is in what was made of it in turn.
        if name.startswith("__") or not isinstance(new, _PLAIN) or old == new:
            continue
        # Who imported it has it under the same name; what begins with an underscore is imported by nobody.
        holders = [module]
        if not name.startswith("_"):
            holders += [one for one in list(sys.modules.values()) if one.__name__.startswith(("gateway", "tests"))]
        for one in holders:
            if old is not None and vars(one).get(name) is old:
                setattr(one, name, new)
                changed.append((old, new))
    if not changed:
        raise NotPatched(path)
    return changed
