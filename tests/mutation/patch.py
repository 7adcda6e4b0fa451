"""Changing modules that are loaded already: in a process of its own, which ends afterwards."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from functools import _lru_cache_wrapper
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

from tests.mutation.operators import Mutation, mutated


class NotPatched(Exception):
    """Nothing that is loaded could be changed."""


def apply(root: Path, mutation: Mutation) -> None:
    """Make the change, and forget what was made before it."""
    path = str(root / mutation.path)
    code = compile(mutated(root, mutation), path, "exec", dont_inherit=True)
    if mutation.function:
        _change_function(code, path, mutation)
    else:
        _change_constants(code, path)
    for one in gc.get_objects():
        if isinstance(one, _lru_cache_wrapper):
            one.cache_clear()


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


def _change_constants(code: CodeType, path: str) -> None:
    module = next(one for one in list(sys.modules.values()) if getattr(one, "__file__", None) == path)
    again = ModuleType(module.__name__)
    again.__file__ = path
    # Dataclasses look their module up.
    sys.modules[module.__name__] = again
    try:
        exec(code, vars(again))
    finally:
        sys.modules[module.__name__] = module
    done = False
    for name, new in vars(again).items():
        old = vars(module).get(name)
        if name.startswith("__") or isinstance(new, FunctionType | ModuleType | type) or _same(old, new):
            continue
        # Who imported it has it under the same name; what begins with an underscore is imported by nobody.
        holders = [module]
        if not name.startswith("_"):
            holders += [one for one in list(sys.modules.values()) if one.__name__.startswith(("gateway", "tests"))]
        for one in holders:
            if old is not None and vars(one).get(name) is old:
                setattr(one, name, new)
                done = True
    if not done:
        raise NotPatched(path)


def _same(old: object, new: object) -> bool:
    try:
        return bool(old == new)
    except Exception:  # noqa: BLE001 - what cannot be compared is no constant
        return True
