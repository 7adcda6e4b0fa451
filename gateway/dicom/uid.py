"""Unique identifiers (PS3.5 9)."""

from __future__ import annotations

import re
from typing import Final

_UID: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
#: What PS3.6 A registers under the root of the standard: the arcs in use have at most nine components of at most four
#: digits. An identifier that somebody made up under this root carries a date, a device or a counter and does not fit.
_REGISTERED: Final = re.compile(r"1\.2\.840\.10008\.[1-9][0-9]?(?:\.(?:0|[1-9][0-9]{0,3})){1,8}", re.ASCII)


def is_valid_uid(text: str) -> bool:
    """Whether ``text`` is a UID: at most 64 characters, numeric components without leading zeros (PS3.5 9.1)."""
    return len(text) <= 64 and _UID.fullmatch(text) is not None


def is_well_known(text: str) -> bool:
    """Whether the standard registers ``text`` or may in a later edition: classes, transfer syntaxes, coding schemes,
    context groups, templates, well-known instances and frames of reference (PS3.6 A). Such a UID identifies nobody.
    """
    return _REGISTERED.fullmatch(text) is not None


def is_instance_uid(text: str) -> bool:
    """Whether ``text`` is a UID outside the standard's own: it names an instance, a private class or a device."""
    return is_valid_uid(text) and not is_well_known(text)
