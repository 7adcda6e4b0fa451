"""The form of a profile file: its keys and the types of their values.

Keys of the language that this version does not carry out are known here, so that the loader refuses them by name:
a rule that is silently ignored would leave identity in place.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway.profile.verb import Verb

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
_Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
_Elements = Annotated[list[str], Field(min_length=1)]

#: Keys that the language has and this version refuses, at the top level and in a rule.
DEFERRED_KEYS: Final = ("accept", "pixels", "tests")
DEFERRED_RULE_KEYS: Final = ("when", "clean", "generalise")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PatientRule(_Part):
    """How the patient's pseudonym is made."""

    pseudonym: Literal["keyed"] = "keyed"
    format: str | None = None
    lookup: Any = None
    missing: Any = None


class IdentityRule(_Part):
    """What replaces identity."""

    patient: PatientRule


class Rule(_Part):
    """One entry of ``attributes``: a single action, the elements it applies to, and why."""

    keep: _Elements | None = None
    remove: _Elements | None = None
    empty: _Elements | None = None
    dummy: _Elements | None = None
    hash_uid: _Elements | None = Field(None, alias="hash-uid")
    remove_or_empty: _Elements | None = Field(None, alias="remove-or-empty")
    remove_or_dummy: _Elements | None = Field(None, alias="remove-or-dummy")
    empty_or_dummy: _Elements | None = Field(None, alias="empty-or-dummy")
    remove_or_empty_or_dummy: _Elements | None = Field(None, alias="remove-or-empty-or-dummy")
    remove_or_empty_or_hash_uid: _Elements | None = Field(None, alias="remove-or-empty-or-hash-uid")
    replace: Annotated[dict[str, str], Field(min_length=1)] | None = None
    because: str = ""
    clause: str | None = None
    when: Any = None
    clean: Any = None
    generalise: Any = None

    def actions(self) -> dict[Verb, list[tuple[str | int, str, str | None]]]:
        """Verb -> its elements as (key below the verb in the file, name of the element, value to write)."""
        found: dict[Verb, list[tuple[str | int, str, str | None]]] = {}
        for verb in Verb:
            if verb is Verb.REPLACE:
                if self.replace is not None:
                    found[verb] = [(name, name, value) for name, value in self.replace.items()]
            elif verb is not Verb.CLEAN:
                names: list[str] | None = getattr(self, verb.value.replace("-", "_"))
                if names is not None:
                    found[verb] = [(number, name, None) for number, name in enumerate(names)]
        return found


class ProfileFile(_Part):
    """A whole profile file."""

    profile: _Name
    version: _Version = "1"
    describes: str = ""
    option: str | None = None
    clause: str = ""
    use: list[_Name] = []
    identity: IdentityRule | None = None
    dates: Any = None
    attributes: list[Rule] = []
    accept: Any = None
    pixels: Any = None
    tests: Any = None
