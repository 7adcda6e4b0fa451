"""A document of sections with text and tables, as Markdown and as one self-contained HTML file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import TypeAlias

__all__ = ["Block", "Document", "Section", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text below column heads.

    Attributes
    ----------
    head
        heads of the columns
    rows
        cells, as many in each row as there are columns; a column that is empty in all rows is not shown
    code
        heads of the columns whose cells are written as in a profile
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    code: frozenset[str] = frozenset()

    def shown(self) -> tuple[list[str], list[list[str]]]:
        """Heads and rows of the columns that hold something."""
        columns = [number for number in range(len(self.head)) if any(row[number] for row in self.rows)]
        return [self.head[number] for number in columns], [[row[number] for number in columns] for row in self.rows]


#: A paragraph, a list, or a table.
Block: TypeAlias = str | Sequence[str] | Table


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A titled sequence of sections.

    Attributes
    ----------
    title
        heading of the whole
    subtitle
        one line below it
    language
        RFC 5646 tag of the text
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    language: str = "en"

    def markdown(self) -> str:
        """The document in Markdown with tables (CommonMark with the tables of GitHub)."""
        lines = [f"# {self.title}", "", _marked(self.subtitle)]
        for section in self.sections:
            lines += ["", f"## {section.title}"]
            for block in section.blocks:
                lines += ["", *_markdown(block)]
        return "\n".join(lines) + "\n"

    def html(self) -> str:
        """The document as HTML that needs no other file and prints well."""
        style = (files("gateway.rehearsal") / "data" / "document.css").read_text(encoding="utf-8")
        contents = "".join(
            f'<li><a href="#s{number}">{escape(section.title)}</a></li>'
            for number, section in enumerate(self.sections, start=1)
        )
        body = "\n".join(
            f'<section id="s{number}">\n<h2>{escape(section.title)}</h2>\n'
            f"{''.join(_html(one) for one in section.blocks)}</section>"
            for number, section in enumerate(self.sections, start=1)
        )
        return (
            f'<!DOCTYPE html>\n<html lang="{escape(self.language)}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
            f'<header>\n<h1>{escape(self.title)}</h1>\n<p class="subtitle">{escape(self.subtitle)}</p>\n</header>\n'
            f"<nav><ol>{contents}</ol></nav>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
        )


def _markdown(block: Block) -> Iterator[str]:
    if isinstance(block, str):
        yield _marked(block)
    elif isinstance(block, Table):
        head, rows = block.shown()
        yield f"| {' | '.join(head)} |"
        yield f"|{'---|' * len(head)}"
        for row in rows:
            cells = (
                f"`{text}`" if column in block.code and text else _marked(text)
                for column, text in zip(head, row, strict=True)
            )
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    else:
        yield from (f"- {_marked(text)}" for text in block)


def _marked(text: str) -> str:
    """Text in which nothing is markup: a profile's author may write anything as a reason."""
    escaped = "".join(f"\\{one}" if one in "\\`*_[]<>#" else one for one in text)
    return " ".join(escaped.split())


def _html(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>\n"
    if isinstance(block, Table):
        heads, rows = block.shown()
        head = "".join(f"<th>{escape(name)}</th>" for name in heads)
        coded = [name in block.code for name in heads]
        body = "".join(
            "<tr>"
            + "".join(f"<td>{_cell(text, code=code)}</td>" for text, code in zip(row, coded, strict=True))
            + "</tr>\n"
            for row in rows
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
    return "<ul>\n" + "".join(f"<li>{escape(text)}</li>\n" for text in block) + "</ul>\n"


def _cell(text: str, *, code: bool) -> str:
    """The text of a cell; a keyword may break between its words."""
    broken = re.sub(r"(?<=[a-z])(?=[A-Z])", "\0", text)
    shown = escape(broken).replace("\0", "<wbr>")
    return f"<code>{shown}</code>" if code and text else shown
