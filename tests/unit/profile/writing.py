"""Profiles written for a test."""

from __future__ import annotations

from pathlib import Path

from gateway.profile import Program, load_profile

#: A profile over basic, to which rules are added.
BASE = "profile: mine\nuse: [basic]\n"


def write(directory: Path, text: str, name: str = "mine") -> Path:
    """Write a profile into ``directory``."""
    path = directory / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(directory: Path, text: str, name: str = "mine") -> Program:
    """Write and load a profile."""
    write(directory, text, name)
    return load_profile(name, search=[directory])


def attributes(*rules: str) -> str:
    """A profile over basic with these rules, each as YAML without its hyphen."""
    return BASE + "attributes:\n" + "".join(f"  - {rule}\n" for rule in rules)
