"""The form of a profile file: its keys and the types of their values.

A key that no model knows is an error: a rule that is silently ignored would leave identity in place.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, create_model

from gateway.profile.verb import DESCRIPTIONS, Verb

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
_YEARS: Final = re.compile(r"[1-9][0-9]?Y")
_TOP: Final = re.compile(r"[0-9]{2,3}Y")


def _name(written: str) -> str:
    """A name that a file can have, and that needs no quotes."""
    if _NAME.fullmatch(written) is None:
        plain = unicodedata.normalize("NFKD", written).encode("ascii", "ignore").decode("ascii").lower()
        near = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64]
        hint = f': write "{near}"' if near else ""
        raise ValueError(f"a name has small letters, digits and hyphens, at most 64{hint}")
    return written


def _years(written: object) -> object:
    """A number of years, which says that it is one."""
    if isinstance(written, int) or (isinstance(written, str) and _YEARS.fullmatch(written) is None):
        number = re.sub(r"\D", "", str(written))
        raise ValueError(f"years are written with a Y: {int(number)}Y" if number else "years are written so: 5Y")
    return written


def _top(written: object) -> object:
    """The highest age, which says its unit."""
    if isinstance(written, int) or (isinstance(written, str) and _TOP.fullmatch(written) is None):
        number = re.sub(r"\D", "", str(written))
        raise ValueError(f"an age is written with a Y: {int(number):03d}Y" if number else "an age is written so: 090Y")
    return written


_Name = Annotated[str, AfterValidator(_name)]
_Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")]
_Text = Annotated[str, StringConstraints(min_length=1)]
_Elements = Annotated[list[str], Field(min_length=1)]
_Values = Annotated[dict[str, str], Field(min_length=1)]
_Rectangles = Annotated[list[list[int | Literal["-"]]], Field(min_length=1)]
_Edge = Annotated[int, Field(ge=0, le=65_535)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PatientRule(_Part):
    """How the patient's pseudonym is made."""

    pseudonym: Literal["keyed", "lookup", "sequential"] = "keyed"
    format: str | None = None
    table: _Text | None = None
    missing: Literal["hold", "keyed"] | None = None
    issuers: Literal["one", "distinct"] | None = None
    not_ids: list[_Text] | None = Field(None, alias="not-ids")


class IdentityRule(_Part):
    """What replaces identity."""

    patient: PatientRule


class AcceptForm(_Part):
    """One entry of ``accept``: a decision on the instances for which a condition holds, and why."""

    accept: _Text | None = None
    reject: _Text | None = None
    hold: _Text | None = None
    because: _Text


class GeneraliseForm(_Part):
    """How a value becomes coarser: bins of years, a step, or a number of characters."""

    bins: Annotated[str | None, BeforeValidator(_years)] = None
    top: Annotated[str | None, BeforeValidator(_top)] = None
    round: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    first: Annotated[int, Field(ge=1, le=64)] | None = None


class RegexForm(_Part):
    """What is searched for in a value, and what takes its place."""

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    replacement: Annotated[str, StringConstraints(max_length=1000)]
    otherwise: Literal["keep", "remove", "empty", "hold"] = "remove"


class RuleKeys(_Part):
    """What stands in one entry of ``attributes`` beside its action."""

    #: A way to write ``map``: each value of a file stands for itself.
    keep_if_in: _Values | None = Field(None, alias="keep-if-in")

    to: Literal["year", "month"] | None = None
    format: str | None = None
    table: _Text | None = None
    missing: Literal["hold", "remove", "empty"] | None = None
    sequential: str | None = None
    otherwise: Literal["hold", "remove", "empty", "keep"] | None = None
    without: Literal["names"] | None = None
    only: Literal["technical", "numeric"] | None = None
    believe: Literal["sender"] | None = None
    because: str = ""
    clause: str | None = None
    when: _Text | None = None

    def actions(self) -> dict[Verb, list[str] | dict[str, Any]]:
        """Verb -> its elements, with what is said of each if the verb wants that."""
        return {verb: value for verb in Verb if (value := getattr(self, _FIELDS[verb])) is not None}


#: Verb that takes forms of its own -> these, by element.
_FORMS: Final[dict[Verb, Any]] = {
    Verb.GENERALISE: Annotated[dict[str, GeneraliseForm], Field(min_length=1)],
    Verb.REGEX: Annotated[dict[str, RegexForm], Field(min_length=1)],
}
#: Verb -> the field that holds its elements: no name of pydantic's own, such as ``copy``.
_FIELDS: Final = {verb: f"{verb.value.replace('-', '_')}_" for verb in Verb}
#: Key of a rule that belongs to one verb -> that verb.
KEYS_OF_VERBS: Final = {key: verb for verb, one in DESCRIPTIONS.items() for key in one.keys}


def _content(verb: Verb) -> Any:
    """The type of what stands behind a verb."""
    match DESCRIPTIONS[verb].takes:
        case "elements":
            return _Elements
        case "values":
            return _Values
        case "lists":
            return Annotated[dict[str, _Values], Field(min_length=1)]
        case "forms":
            return _FORMS[verb]


if TYPE_CHECKING:
    Rule: TypeAlias = RuleKeys
else:
    Rule = create_model(
        "Rule",
        __base__=RuleKeys,
        __doc__="One entry of ``attributes``: a single action, the elements it applies to, and why.",
        **{_FIELDS[verb]: (_content(verb) | None, Field(None, alias=verb.value)) for verb in Verb},
    )


class CropForm(_Part):
    """What goes at the edges of an image, in pixels."""

    top: _Edge = 0
    bottom: _Edge = 0
    left: _Edge = 0
    right: _Edge = 0
    geometry: Literal["keep", "change"] = "keep"


class FindTextForm(_Part):
    """How text in images is looked for, and what happens to it."""

    blank: Literal["all", "identifying", "nothing"] = "all"
    when_unsure: Literal["hold", "blank"] = Field("hold", alias="when-unsure")
    strict: bool = False
    scan: Literal["every", "sampled", "risky"] = "every"
    thorough: Literal["where-faint", "always"] = "where-faint"


class PixelRuleForm(_Part):
    """One entry of ``pixels``: one thing to do with pixel data, for which instances, and why."""

    mask: _Rectangles | None = None
    keep_region: _Rectangles | None = Field(None, alias="keep-region")
    ultrasound_regions: Literal["keep"] | None = Field(None, alias="ultrasound-regions")
    crop: CropForm | None = None
    find_text: FindTextForm | None = Field(None, alias="find-text")
    pass_: Literal[True] | None = Field(None, alias="pass")
    hold: Literal[True] | None = None
    deface: Literal[True] | None = None
    encode: Literal["same", "explicit", "jpeg-ls", "jpeg-2000", "htj2k", "rle"] | None = None
    because: str = ""
    clause: str | None = None
    when: _Text | None = None

    def said(self) -> list[str]:
        """The keys that say what to do, as written."""
        return [key for key, name in PIXEL_KEYS.items() if getattr(self, name) is not None]


#: Key of a pixel rule that says what to do -> the field of ``PixelRuleForm`` that holds it.
PIXEL_KEYS: Final[dict[str, str]] = {
    field.alias or name: name
    for name, field in PixelRuleForm.model_fields.items()
    if name not in ("because", "clause", "when")
}


class ImageForm(_Part):
    """The pixels of a test's image."""

    rows: Annotated[int, Field(ge=1, le=4096)] = 512
    columns: Annotated[int, Field(ge=1, le=4096)] = 512
    frames: Annotated[int, Field(ge=1, le=32)] = 1
    colour: bool = False


class ExampleForm(_Part):
    """One entry of ``tests``: what an instance has, and what becomes of it."""

    name: str = ""
    file: _Text | None = None
    given: dict[str, Any] = {}
    image: bool | ImageForm | None = None
    expect: dict[str, Any] = {}
    never: list[_Text] = []
    black: _Rectangles | None = None
    same: _Rectangles | None = None
    outcome: Literal["accepted", "rejected", "held"] = "accepted"


class ProfileFile(_Part):
    """A whole profile file."""

    profile: _Name
    version: _Version = "1"
    describes: str = ""
    option: str | None = None
    clause: str = ""
    use: list[_Name] = []
    identified: bool = False
    use_if_installed: list[_Name] = Field([], alias="use-if-installed")
    identity: IdentityRule | None = None
    dates: Any = None
    times: Any = None
    vocabulary: list[_Text] = []
    when_unsure: Literal["remove", "hold"] | None = Field(None, alias="when-unsure")
    accept: list[AcceptForm] = []
    attributes: list[Rule] = []
    pixels: list[PixelRuleForm] = []
    tests: list[ExampleForm] = []
