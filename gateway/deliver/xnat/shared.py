"""What all deliveries of a destination share."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.deliver.books import Books, MemoryBooks
from gateway.deliver.xnat.directory import Directory
from gateway.deliver.xnat.memory import Memory
from gateway.deliver.xnat.newcomers import Newcomers
from gateway.deliver.xnat.project import ProjectCheck
from gateway.deliver.xnat.settings import XnatSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The destination's options, and what is known from one delivery to the next; for several threads.

    Attributes
    ----------
    options
        how the project is delivered to
    books
        what else is on its way, and who has which label
    project
        what was found of the project
    directory
        the project's labels
    memory
        what this process has sent
    newcomers
        the files that XNAT did not have before
    """

    options: XnatSettings
    books: Books
    project: ProjectCheck
    directory: Directory
    memory: Memory = field(default_factory=Memory)
    newcomers: Newcomers = field(default_factory=Newcomers)

    @classmethod
    def of(cls, options: XnatSettings, books: Books | None = None) -> Shared:
        """With nothing known yet; without ``books`` those of the process itself."""
        books = MemoryBooks() if books is None else books
        directory = Directory(options.project, books)
        return cls(options=options, books=books, project=ProjectCheck(options), directory=directory)
