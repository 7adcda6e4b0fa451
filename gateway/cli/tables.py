"""Lists for people: a table that fits the terminal, and whole lines when the output goes into a file or a program."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

__all__ = ["print_fields", "print_table", "say"]


def say(text: str = "", *, error: bool = False) -> None:
    """Print one line as it is, without markup or wrapping; on standard error if it tells of one."""
    stream = sys.stderr if error else sys.stdout
    stream.write(f"{text}\n")


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below column heads; columns that are empty in all rows are left out."""
    lines = [[" ".join(cell.split()) for cell in row] for row in rows]
    shown = [number for number in range(len(head)) if any(row[number] for row in lines)]
    head, lines = [head[number] for number in shown], [[row[number] for number in shown] for row in lines]
    if sys.stdout.isatty():
        table = Table(*head, box=None, pad_edge=False)
        for row in lines:
            table.add_row(*row)
        Console(highlight=False, markup=False).print(table)
        return
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for row in (head, *lines):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_fields(fields: Iterable[tuple[str, str]], *, indent: int = 0) -> None:
    """Print names and values, one a line, the values below each other; empty values are left out."""
    filled = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in filled), default=0)
    for name, value in filled:
        say(f"{' ' * indent}{name.ljust(width)}  {value}")
