"""Documents that leave the ledger as a file, one a line, and come back to be compared with it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import typer

from gateway.errors import ConfigurationError

__all__ = ["read_file", "write_documents"]

Entry = TypeVar("Entry")


def write_documents(documents: Iterable[str], file: Path | None, *, what: str) -> None:
    """Write documents, one a line.

    Parameters
    ----------
    documents
        JSON, each without a line break
    file
        where to; it is there whole or not at all. None writes them to standard output
    what
        what they are, for the line that counts them
    """
    if file is None:
        for document in documents:
            sys.stdout.write(f"{document}\n")
        return
    draft = file.with_name(f".{file.name}.part")
    count = 0
    with draft.open("w", encoding="utf-8", newline="\n") as lines:
        for document in documents:
            lines.write(f"{document}\n")
            count += 1
    draft.replace(file)
    typer.echo(f"{count} {what} written to {file}")


def read_file(file: Path, read: Callable[[Sequence[str]], Iterable[Entry]]) -> list[Entry]:
    """What an exported file holds.

    Parameters
    ----------
    file
        as ``write_documents`` wrote it
    read
        makes entries of lines

    Raises
    ------
    ConfigurationError
        the file cannot be read, or is none of that kind
    """
    try:
        return list(read(file.read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise ConfigurationError(place=str(file), problem=error.strerror or "it cannot be read") from None
    except ValueError as error:
        raise ConfigurationError(place=str(file), problem=str(error)) from None
