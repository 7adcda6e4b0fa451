"""What one branch of a replacement script does, in the words of the profile language.

A branch is a script without ``@if`` and ``@select``: text and function calls whose results CTP joins to the new value.
Where CTP is unsafe the translation is stricter: unkeyed hashes become keyed pseudonyms, a missing row of a look-up
table holds the instance, an unknown function is refused instead of being written as text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.dicom.dictionary import entry
from gateway.profile import Action, Origin, Verb
from gateway.profile.expression import Expression, ExpressionWrong
from gateway.profile.importers.ctp.ctp_conditions import Inexpressible, Test, condition, java_regex, negated
from gateway.profile.importers.ctp.ctp_lookup import table_csv
from gateway.profile.importers.ctp.ctp_names import PrivateName, Reference, UnknownElement, display, parse_reference
from gateway.profile.importers.ctp.model import Draft, NotTranslatable, Outcome
from gateway.profile.importers.ctp.script import FUNCTIONS, Call, Script
from gateway.profile.lookup import VALUE_COLUMNS
from gateway.profile.pseudonym import NUMBER_DIGITS
from gateway.profile.rules import check_action
from gateway.profile.verb_options import Source

#: VR -> longest value in characters, of those that can hold a pseudonym (PS3.5 6.2).
TEXT_LENGTHS: Final = {
    "AE": 16, "CS": 16, "LO": 64, "LT": 64, "PN": 64, "SH": 16, "ST": 64, "UC": 64, "UT": 64,
}  # fmt: skip
_DATES: Final = frozenset(("DA", "DT"))
_NUMBERS: Final = frozenset(("IS", "DS"))
_KEYED: Final = frozenset(("hash", "hashname", "hashptid", "encrypt"))
_FIXED_TEXT: Final = re.compile(r"[A-Za-z0-9 _-]*")
#: base32 characters that carry the bits a pseudonym needs, and those of the usual format.
_FEWEST, _USUAL = 8, 16
_SHORTEST_RANGE: Final = 365
_LONGEST_RANGE: Final = 36_525
_HASHDATE_DAYS: Final = 3650
#: Ages over 89 years are one group.
_OLDEST: Final = 90
_LONGEST_PREFIX: Final = 64
_ORIGIN: Final = Origin("ctp", "", "", 0)


@dataclass(frozen=True, slots=True)
class Affix:
    """The text around a pseudonym."""

    before: str = ""
    after: str = ""


class Outcomes:
    """Translates the branches of one element's script.

    Parameters
    ----------
    tag
        the element, one of the standard's
    parameters
        the script file's parameters
    lookups
        type of key -> key -> value
    draft
        takes tables and the date shift
    stays
        tells whether the resulting profile keeps an element as received
    """

    def __init__(
        self,
        tag: int,
        *,
        parameters: Mapping[str, str],
        lookups: Mapping[str, Mapping[str, str]],
        draft: Draft,
        stays: Callable[[int], bool],
    ) -> None:
        self._tag = tag
        self._parameters = parameters
        self._lookups = lookups
        self._draft = draft
        self._stays = stays
        row = entry(tag)
        self._vr = row.vr if row is not None else "UN"
        self.remarks: list[tuple[str, str]] = []

    def of(self, branch: Script) -> list[Outcome]:
        """The outcomes of a branch; later ones override earlier ones.

        Raises
        ------
        NotTranslatable
            the profile language has no such action, or the script is wrong
        """
        always = any(isinstance(part, Call) and part.name == "always" for part in branch)
        parts = self._parts(branch)
        calls = [part for part in parts if isinstance(part, Call)]
        for call in calls:
            if call.name not in FUNCTIONS:
                raise NotTranslatable(f"CTP has no function @{call.name[:40]}: it would write the call as the value")
        names = [call.name for call in calls]
        if "quarantine" in names or "skip" in names:
            return [Outcome("hold")]
        if "remove" in names:
            return [Outcome("remove")]
        if not calls:
            return self._text("".join(part for part in parts if isinstance(part, str)).strip(), always=always)
        if len(calls) > 1:
            raise NotTranslatable("the value is put together from several functions")
        position = parts.index(calls[0])
        affix = Affix(
            "".join(part for part in parts[:position] if isinstance(part, str)).lstrip(),
            "".join(part for part in parts[position + 1 :] if isinstance(part, str)).rstrip(),
        )
        return self._single(calls[0], affix, always=always)

    def reference(self, name: str) -> Reference:
        """The element that an argument names.

        Raises
        ------
        NotTranslatable
            it names none
        """
        try:
            return parse_reference(name, this=self._tag)
        except UnknownElement as failed:
            raise NotTranslatable(str(failed)) from None

    def is_this(self, call: Call, number: int = 0) -> bool:
        """Whether an argument of a call names the element itself."""
        return self.reference(call.argument(number)) == Reference((), self._tag)

    def parameter(self, argument: str) -> str:
        """The text of an argument that may be a parameter.

        Raises
        ------
        NotTranslatable
            the script has no such parameter; CTP would write "null"
        """
        if not argument.startswith(("@", "$")):
            return argument
        value = self._parameters.get(argument[1:].strip())
        if value is None:
            raise NotTranslatable(f"the script has no parameter {argument[:40]}")
        return value.strip()

    def affixed(self, placeholder: str, affix: Affix) -> str:
        """A pseudonym's format.

        Raises
        ------
        NotTranslatable
            the text around the pseudonym holds what formats do not
        """
        for text in (affix.before, affix.after):
            if not _FIXED_TEXT.fullmatch(text):
                raise NotTranslatable("the text around the pseudonym holds other characters than A-Z a-z 0-9 space _ -")
        return f"{affix.before}{placeholder}{affix.after}"

    def keyed_format(self, call: Call, affix: Affix) -> str:
        """The format of the keyed pseudonym that takes the place of a hash.

        Raises
        ------
        NotTranslatable
            the element's VR cannot hold one
        """
        limit = TEXT_LENGTHS.get(self._vr)
        if limit is None:
            raise NotTranslatable(f"VR {self._vr} cannot hold a hash: CTP leaves such a value as it is")
        number = {"hash": 1, "hashname": 1, "hashptid": 2}.get(call.name)
        wanted = self.parameter(call.argument(number)) if number is not None and call.argument(number) else ""
        room = limit - len(affix.before) - len(affix.after)
        count = min(max(int(wanted), _FEWEST) if wanted.isdigit() and int(wanted) else _USUAL, _USUAL, room)
        if count < _FEWEST:
            raise NotTranslatable(f"VR {self._vr} has no room for the text and a pseudonym of {_FEWEST} characters")
        if self._vr == "CS" and (affix.before + affix.after).upper() != affix.before + affix.after:
            raise NotTranslatable("VR CS holds capital letters only")
        return self.affixed(f"{{base32:{count}}}", affix)

    def table(self, call: Call, columns: tuple[str, str]) -> str:
        """The file name of the table that ``@lookup`` reads, written to the draft.

        Raises
        ------
        NotTranslatable
            there is no such table
        """
        kind = call.argument(1).strip()
        rows = self._lookups.get(kind)
        if not rows:
            raise NotTranslatable(f'there is no look-up table with keys of the type "{kind[:40]}"')
        if any(not value or "\\" in value for value in rows.values()) or "" in rows:
            raise NotTranslatable(f'the look-up table "{kind[:40]}" has empty cells or values with backslashes')
        slug = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-") or "table"
        suffix = "" if columns == VALUE_COLUMNS else "-patients"
        name = f"{self._draft.name}-{slug}{suffix}.csv"
        self._draft.tables[name] = table_csv(rows, columns[0])
        return name

    def missing(self, call: Call) -> str:
        """What ``@lookup`` does with a value that the table lacks."""
        action = call.argument(2).strip()
        if action in ("remove", "empty"):
            return action
        if action == "UC":
            self.remarks.append((
                "CTP looks up the value in capital letters",
                "values are compared as they are; a value in other letters holds the instance",
            ))  # fmt: skip
        elif action:
            self.remarks.append((
                f'CTP lets values pass that the table lacks ("{action[:20]}")',
                "such an instance is held; add the row, or write missing: remove or empty",
            ))  # fmt: skip
        return "hold"

    def _parts(self, branch: Script) -> list[str | Call]:
        """The branch without ``@always()``, its parameters filled in, neighbouring texts joined."""
        parts: list[str | Call] = []
        for part in branch:
            filled: str | Call = part
            if isinstance(part, Call):
                if part.name == "always":
                    continue
                if part.name == "param":
                    filled = self.parameter(part.argument(0) or "@")
            if isinstance(filled, str) and parts and isinstance(parts[-1], str):
                parts[-1] += filled
            else:
                parts.append(filled)
        return parts

    def _text(self, text: str, *, always: bool) -> list[Outcome]:
        if not text:
            if always:
                self.remarks.append(("CTP inserts an empty element where it is missing", "it is not inserted"))
            return [Outcome("empty")]
        return [self._write("insert" if always else "replace", text)]

    def _write(self, action: str, text: str, when: str = "") -> Outcome:
        """An outcome that writes a fixed value, which the VR must be able to hold."""
        if any(character < " " for character in text):
            raise NotTranslatable("the value holds control characters")
        try:
            check_action(self._tag, Action(Verb.REPLACE, _ORIGIN, text))
        except ValueError as failed:
            raise NotTranslatable(str(failed)) from None
        return Outcome(action, text, when=when, top_only=action == "insert")

    def _single(self, call: Call, affix: Affix, *, always: bool) -> list[Outcome]:
        """The outcomes of a single call with text around it."""
        if call.name in _KEYED:
            return self._keyed(call, affix)
        if call.name == "integer":
            return self._integer(call, affix)
        if affix != Affix():
            if call.name in ("contents", "value") and len(call.arguments) == 1 and self.is_this(call):
                return self._around(affix)
            raise NotTranslatable(f"text around @{call.name}")
        if call.name in _WITH_ALWAYS:
            outcomes: list[Outcome] = getattr(self, f"_{call.name}")(call, always=always)
        else:
            outcomes = getattr(self, f"_{call.name}")(call)
        return outcomes

    def _around(self, affix: Affix) -> list[Outcome]:
        before, after = (text.replace("\\", r"\\") for text in (affix.before, affix.after))
        return [self._regex(r"(?s)\A(.*)\Z", f"{before}\\1{after}", "keep")]

    def _regex(self, pattern: str, replacement: str, otherwise: str) -> Outcome:
        if self._vr not in {*TEXT_LENGTHS, "UR"}:
            raise NotTranslatable(f"VR {self._vr} is no text")
        try:
            expression = Expression(pattern)
        except ExpressionWrong as wrong:
            raise NotTranslatable(f"the regular expression cannot be searched for: {wrong}") from None
        try:
            expression.template(replacement)
        except ExpressionWrong as wrong:
            raise NotTranslatable(f"the replacement cannot be written: {wrong}") from None
        return Outcome("regex", {"pattern": pattern, "replacement": replacement, "otherwise": otherwise})

    def _keep(self, _call: Call) -> list[Outcome]:
        return [Outcome("keep")]

    def _process(self, _call: Call) -> list[Outcome]:
        return [Outcome("keep")]

    def _empty(self, _call: Call) -> list[Outcome]:
        return [Outcome("empty")]

    def _blank(self, _call: Call) -> list[Outcome]:
        return [Outcome("empty")]

    def _keyed(self, call: Call, affix: Affix) -> list[Outcome]:
        number = 1 if call.name == "hashptid" else 0
        if call.name == "encrypt":
            self.remarks.append(
                ("encrypted values can be decrypted by everybody who has the script", "keyed pseudonym")
            )
        if not self.is_this(call, number):
            self.remarks.append((
                f"CTP hashes another element, {call.argument(number)[:40]}",
                "the pseudonym is that of the element's own value",
            ))  # fmt: skip
        if self._vr == "UI":
            return [Outcome("hash-uid")]
        return [Outcome("pseudonymise", extra=(("format", self.keyed_format(call, affix)),))]

    def _hashuid(self, call: Call) -> list[Outcome]:
        if self._vr != "UI":
            raise NotTranslatable(f"hash-uid replaces UIDs, and the element has VR {self._vr}")
        if not self.is_this(call, 1):
            self.remarks.append(("CTP hashes another element", "the UID is derived from the element's own value"))
        if len(call.arguments) > 2:
            self.remarks.append(("CTP mixes another element into the UID", "equal UIDs stay equal, whatever else"))
        return [Outcome("hash-uid")]

    def sequential_format(self, call: Call, affix: Affix) -> str:
        """The format of the numbers that ``@integer`` gives."""
        width = call.argument(2).strip()
        digits = min(max(int(width), 1), 9) if width.isdigit() else 1
        return self.affixed(f"{{number:0{digits}}}", affix)

    def _integer(self, call: Call, affix: Affix) -> list[Outcome]:
        limit = TEXT_LENGTHS.get(self._vr)
        if limit is None:
            raise NotTranslatable(f"VR {self._vr} cannot hold the number")
        if not self.is_this(call):
            raise NotTranslatable("the number is that of another element's value")
        if len(affix.before) + len(affix.after) + NUMBER_DIGITS > limit:
            raise NotTranslatable(f"VR {self._vr} has no room for the text and a number")
        return [Outcome("pseudonymise", extra=(("sequential", self.sequential_format(call, affix)),))]

    def _lookup(self, call: Call) -> list[Outcome]:
        if "|" in call.argument(0):
            raise NotTranslatable("the key is put together from several elements")
        if not self.is_this(call):
            what = "copy the rows to a table of this element's own values, or map its values"
            raise NotTranslatable("the table is read with another element's value", what)
        if self._vr not in TEXT_LENGTHS:
            raise NotTranslatable(f"VR {self._vr} cannot hold a pseudonym from a table")
        table, missing = self.table(call, VALUE_COLUMNS), self.missing(call)
        return [Outcome("pseudonymise", extra=(("table", table), ("missing", missing)))]

    def _shift(self, first: int, last: int) -> list[Outcome]:
        if self._vr not in _DATES:
            raise NotTranslatable(f"VR {self._vr} is no date")
        self._draft.widen_shift(first, last)
        return [Outcome("shift-date")]

    def _hashdate(self, call: Call) -> list[Outcome]:
        if not self.is_this(call):
            raise NotTranslatable("the date is that of another element")
        return self._shift(-_HASHDATE_DAYS, -1)

    def _incrementdate(self, call: Call) -> list[Outcome]:
        if not self.is_this(call):
            raise NotTranslatable("the date is that of another element")
        if len(call.arguments) > 2:
            self.remarks.append((
                "CTP reads the days from a table by a key",
                "the shift is computed per patient from the project's secret",
            ))  # fmt: skip
            return self._shift(-_HASHDATE_DAYS, -1)
        self.remarks.append((
            "CTP moves the dates of all patients by the same days, which one known date gives away",
            "the shift is computed per patient from the project's secret",
        ))  # fmt: skip
        try:
            days = self.parameter(call.argument(1))
        except NotTranslatable as failed:
            # Other anonymizers fill it in, or move by days of their own: JITTER.
            self.remarks.append((str(failed), "the shift is computed per patient from the project's secret"))
            return self._shift(-_HASHDATE_DAYS, -1)
        if not re.fullmatch(r"[+-]?[0-9]{1,6}", days) or not int(days):
            raise NotTranslatable("the number of days is none, or 0")
        span = min(max(abs(int(days)), _SHORTEST_RANGE), _LONGEST_RANGE)
        return self._shift(-span, -1) if int(days) < 0 else self._shift(1, span)

    def _modifydate(self, call: Call) -> list[Outcome]:
        if not self.is_this(call) or self._vr not in _DATES:
            raise NotTranslatable("the date is that of another element" if self._vr in _DATES else "this is no date")
        year, month, day = (self.parameter(call.argument(number)).strip() for number in (1, 2, 3))
        given = [bool(re.fullmatch(r"[0-9]+", part)) for part in (year, month, day)]
        if given == [False, True, True] and int(month) == int(day) == 1:
            return [Outcome("truncate-date", extra=(("to", "year"),))]
        if given == [False, False, True] and int(day) == 1:
            return [Outcome("truncate-date", extra=(("to", "month"),))]
        if all(given):
            return [self._write("replace", f"{int(year):04d}{int(month):02d}{int(day):02d}")]
        if not any(given):
            return [Outcome("keep")]
        raise NotTranslatable("a date of which some parts are replaced is neither the date nor none", "truncate-date")

    def _dateinterval(self, _call: Call) -> list[Outcome]:
        what = "shift-date moves all dates of a patient by the same days, so that intervals stay"
        raise NotTranslatable("days since a base date from a table", what)

    def _date(self, _call: Call) -> list[Outcome]:
        raise NotTranslatable("the time of processing, which differs between the instances of a study")

    _time = _date

    def _round(self, call: Call) -> list[Outcome]:
        if not self.is_this(call):
            raise NotTranslatable("the value is that of another element")
        size = self.parameter(call.argument(1))
        if not re.fullmatch(r"[1-9][0-9]?", size) or int(size) > _OLDEST:
            raise NotTranslatable(f"the size of the groups is no number up to {_OLDEST}")
        if self._vr == "AS":
            self.remarks.append((
                "CTP rounds to the nearest multiple, whatever the unit, and lets ages above 90 years pass",
                "the first year of the group; the oldest are one group (45 CFR 164.514(b)(2)(i)(C))",
            ))  # fmt: skip
            top = int(size) * (_OLDEST // int(size))
            return [Outcome("generalise", {"bins": f"{size}Y", "top": f"{top:03d}Y"})]
        if self._vr in _NUMBERS:
            return [Outcome("generalise", {"round": int(size)})]
        raise NotTranslatable(f"VR {self._vr} is neither an age nor a number")

    def _contents(self, call: Call, *, always: bool) -> list[Outcome]:
        if len(call.arguments) < 2:
            return [Outcome("keep")] if self.is_this(call) else [self._copy(call, always=always)]
        if not self.is_this(call):
            raise NotTranslatable("a part of another element")
        if "\\" in call.argument(2):
            raise NotTranslatable("the replacement holds backslashes")
        replacement = re.sub(r"\$([0-9])", r"\\\1", call.argument(2))
        return [self._regex(java_regex(call.argument(1)), replacement, "keep")]

    def _value(self, call: Call, *, always: bool) -> list[Outcome]:
        default = call.argument(1)
        if not self.is_this(call):
            if default:
                raise NotTranslatable("a copy of another element with a default")
            return [self._copy(call, always=always)]
        outcomes = [Outcome("keep")]
        if default:
            outcomes.append(self._write("insert" if always else "replace", default, self._absent()))
        return outcomes

    def _copy(self, call: Call, *, always: bool, when: str = "") -> Outcome:
        source = self.reference(call.argument(0))
        tag = source.top_level
        if tag is None or isinstance(source.element, PrivateName):
            raise NotTranslatable("copies are made of top-level elements of the standard")
        if not self._stays(tag):
            raise NotTranslatable(f"the original of {display(tag)} would leave, which the profile does not keep")
        try:
            check_action(self._tag, Action(Verb.COPY, _ORIGIN, options=Source(tag)))
        except ValueError as failed:
            raise NotTranslatable(str(failed)) from None
        if not always and not when:
            when = self._present()
        return Outcome("copy", display(tag), when=when, top_only=True)

    def _require(self, call: Call, *, always: bool) -> list[Outcome]:
        outcomes = [Outcome("keep")]
        if not always or not call.arguments:
            if always:
                self.remarks.append(("CTP inserts an empty element where it is missing", "it is not inserted"))
            return outcomes
        absent = self._absent()
        source = self.reference(call.argument(0))
        default = call.argument(1)
        if default:
            outcomes.append(self._write("insert", default, absent))
        if source.top_level != self._tag:
            try:
                there = condition(source, Test.EXISTS)
            except Inexpressible as failed:
                raise NotTranslatable(str(failed)) from None
            outcomes.append(self._copy(call, always=True, when=f"{absent} && {there}"))
        return outcomes

    def _present(self) -> str:
        try:
            return condition(Reference((), self._tag), Test.EXISTS)
        except Inexpressible as failed:
            raise NotTranslatable(str(failed)) from None

    def _absent(self) -> str:
        return negated(self._present())

    def _truncate(self, call: Call) -> list[Outcome]:
        count = call.argument(1)
        if not self.is_this(call):
            raise NotTranslatable("a part of another element")
        if not re.fullmatch(r"-?[0-9]{1,4}", count) or self._vr not in TEXT_LENGTHS:
            raise NotTranslatable("the number of characters is none, or the element is no text")
        number = int(count)
        if not number:
            return [Outcome("empty")]
        if number > 0:
            return [Outcome("generalise", {"first": min(number, _LONGEST_PREFIX)})]
        return [self._regex(rf"(?s)\A.*?(.{{0,{-number}}})\Z", r"\1", "remove")]

    def _uppercase(self, call: Call) -> list[Outcome]:
        if not self.is_this(call):
            raise NotTranslatable("another element in other letters")
        self.remarks.append((f"profiles do not change letters: @{call.name}", "the value stays as it is"))
        return [Outcome("keep")]

    _lowercase = _uppercase

    def _pathelement(self, call: Call) -> list[Outcome]:
        index = call.argument(1)
        if not self.is_this(call) or not re.fullmatch(r"-?[0-9]{1,3}", index):
            raise NotTranslatable("a part of another element, or no number")
        number = int(index)
        if number >= 0:
            pattern = rf"(?s)\A(?:[^/]*/){{{number}}}([^/]*)(?:/.*)?\Z"
        else:
            pattern = rf"(?s)\A(?:.*/)?([^/]*)(?:/[^/]*){{{-number - 1}}}\Z"
        return [self._regex(pattern, r"\1", "remove")]

    def _append(self, _call: Call) -> list[Outcome]:
        raise NotTranslatable("a value is added to those of the element", "insert or replace, with all values")

    def _initials(self, _call: Call) -> list[Outcome]:
        raise NotTranslatable("initials identify, whatever their offset in the alphabet", "pseudonymise")

    def _decrypt(self, _call: Call) -> list[Outcome]:
        raise NotTranslatable("the original would be restored")

    def _call(self, _call: Call) -> list[Outcome]:
        raise NotTranslatable("a Java plug-in decides, which a profile cannot call")


#: Handlers that look at whether the element is created where it is missing.
_WITH_ALWAYS: Final = frozenset(("contents", "value", "require"))
