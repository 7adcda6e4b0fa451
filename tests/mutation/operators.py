"""Where a module can be broken, and how: one small change at a time."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

#: What a comparison becomes: its border moves, or it says the opposite.
_COMPARISONS: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
#: What these are called with reaches people only.
_SAYING: Final = frozenset(("debug", "error", "exception", "info", "warning"))
_LONGEST_SHOWN: Final = 120
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


#: A node, the outermost function around it, and whether a class or a function is.
_Found: TypeAlias = "tuple[ast.AST, str, bool]"


@dataclass(frozen=True, order=True, slots=True)
class Mutation:
    """One change of a module.

    Attributes
    ----------
    path: of the module, from the root of the repository
    line: where it stands
    function: the outermost function or method around it; empty at the top of the module
    before, after: the code
    place: number of the changed node among those of the module, and of its change
    """

    path: str
    line: int
    function: str
    before: str
    after: str
    place: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.before} -> {self.after}"


def mutations(root: Path, path: str) -> Iterator[Mutation]:
    """Every mutation of a module."""
    tree = ast.parse((root / path).read_text(encoding="utf-8"))
    for number, (node, function, in_class) in enumerate(_nodes(tree)):
        if in_class and not function:
            # What a class says of itself is made once, when it is defined.
            continue
        for which, changed in enumerate(_changes(node, constant=not function)):
            before, after = _difference(node, changed, which)
            yield Mutation(path, getattr(node, "lineno", 0), function, before, after, (number, which))


def mutated(root: Path, mutation: Mutation) -> ast.Module:
    """The module with the change made."""
    tree = ast.parse((root / mutation.path).read_text(encoding="utf-8"))
    number, which = mutation.place
    node = next(one for place, (one, *_) in enumerate(_nodes(tree)) if place == number)
    changed = list(_changes(node, constant=not mutation.function))[which]
    ast.copy_location(changed, node)

    class Change(ast.NodeTransformer):
        def visit(self, one: ast.AST) -> ast.AST:
            return changed if one is node else self.generic_visit(one)

    new = Change().visit(tree)
    assert isinstance(new, ast.Module)
    return ast.fix_missing_locations(new)


def _difference(node: ast.AST, changed: ast.AST, which: int) -> tuple[str, str]:
    if isinstance(node, ast.Dict):
        key = node.keys[which]
        return f"{'**' if key is None else ast.unparse(key)}: {ast.unparse(node.values[which])}", "left out"
    if isinstance(node, ast.Tuple):
        return ast.unparse(node.elts[which]), "left out"
    return _shown(node), _shown(changed)


def _shown(node: ast.AST) -> str:
    lines = ast.unparse(node).splitlines()
    shown = lines[0] if len(lines) < 2 else f"{lines[0]} ..."
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]} ..."


def _nodes(tree: ast.Module) -> Iterator[_Found]:
    """The nodes that may be changed, each with the outermost function around it and whether a class is."""

    def visit(node: ast.AST, parent: ast.AST, trail: tuple[str, ...], function: str) -> Iterator[_Found]:
        if _is_left_out(node, parent):
            return
        names, inner, children = trail, function, ast.iter_child_nodes(node)
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            names, children = (*trail, node.name), iter(node.body)
            if isinstance(node, _FUNCTIONS) and not function:
                inner = ".".join(names)
        yield node, inner, bool(trail)
        for child in children:
            yield from visit(child, node, names, inner)

    for statement in tree.body:
        yield from visit(statement, tree, (), "")


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_left_out(node: ast.AST, parent: ast.AST) -> bool:
    if isinstance(node, ast.Assert | ast.Import | ast.ImportFrom | ast.Raise | ast.JoinedStr) or _is_docstring(node):
        return True
    if isinstance(parent, ast.AnnAssign) and node is parent.annotation:
        return True
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("__all__", "__slots__"):
        return True
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    called = node.value if isinstance(node, ast.Expr) else node
    return isinstance(called, ast.Call) and isinstance(called.func, ast.Attribute) and called.func.attr in _SAYING


def _changes(node: ast.AST, *, constant: bool) -> Iterator[ast.AST]:
    """What may stand in place of a node; a ``constant`` of a module is gone, for one more or less is seldom another."""
    match node:
        case ast.Dict() if constant and 1 < len(node.keys) <= 60:
            for number in range(len(node.keys)):
                rest = [place for place in range(len(node.keys)) if place != number]
                yield ast.Dict([node.keys[place] for place in rest], [node.values[place] for place in rest])
        case ast.Tuple() if constant and 2 < len(node.elts) <= 60:
            for number in range(len(node.elts)):
                yield ast.Tuple([*node.elts[:number], *node.elts[number + 1 :]], ast.Load())
        case ast.BinOp() if constant and isinstance(node.op, ast.LShift | ast.Mult | ast.Add | ast.Sub):
            return
        case ast.Constant(value=int(number)) if constant and not isinstance(number, bool):
            yield ast.Constant(0 if number else 1)
        case ast.Compare(ops=[operator]) if type(operator) in _COMPARISONS:
            changed = copy.deepcopy(node)
            changed.ops = [_COMPARISONS[type(operator)]()]
            yield changed
        case ast.BoolOp():
            changed_operator = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield ast.BoolOp(changed_operator, node.values)
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _OPERATORS:
            yield ast.BinOp(node.left, _OPERATORS[type(node.op)](), node.right)
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(number)):
            yield ast.Constant(number + 1)
        case ast.Constant(value=bytes(raw)) if raw:
            yield ast.Constant(raw + b"X")
        case ast.If() | ast.IfExp() | ast.While() if not isinstance(node.test, ast.Compare | ast.BoolOp | ast.UnaryOp):
            negated = copy.copy(node)
            negated.test = ast.UnaryOp(ast.Not(), node.test)
            yield negated
        case ast.Return() if node.value is not None and not isinstance(node.value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.AugAssign():
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
