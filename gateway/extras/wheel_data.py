"""Data files of wheels whose code is never used, and whether they are installed with what else is needed beside them.

Such a wheel is installed without its dependencies: only its files count, and these are known by their SHA-256.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

__all__ = ["WheelData"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelData:
    """Files of one version of a wheel.

    Attributes
    ----------
    purpose
        what needs them, as the subject of a sentence
    name
        what the files are called in a sentence
    distribution, version
        of the wheel
    files
        file name -> SHA-256 of its content
    packages
        modules that are imported beside them
    install
        the command that installs everything
    """

    purpose: str
    name: str
    distribution: str
    version: str
    files: Mapping[str, str]
    packages: tuple[str, ...]
    install: str

    def missing(self) -> str | None:
        """What is not installed, with the command that installs it; None if everything is there.

        Nothing is imported, so the answer is cheap; that the files are the known ones is checked when they are read.
        """
        absent = [name for name in self.packages if find_spec(name) is None]
        if absent:
            return f"{self.purpose} needs {', '.join(absent)}; to install: {self.install}"
        if any(self.path(name) is None for name in self.files):
            return f"{self.purpose} needs {self.name} of {self.distribution} {self.version}; to install: {self.install}"
        return None

    def path(self, name: str) -> Path | None:
        """The installed file ``name``; None if it is not there."""
        try:
            files = distribution(self.distribution).files or ()
        except PackageNotFoundError:
            return None
        for file in files:
            if file.name == name:
                path = Path(str(file.locate()))
                return path if path.is_file() else None
        return None
