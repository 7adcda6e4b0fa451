"""A DicomAnonymizer script as rules over the basic profile.

CTP keeps what its script does not mention, and what stands in sequences without a script; here the basic profile is
underneath, so that such elements have its rules. What the script says overrides them, explicitly, element by element.
What cannot be carried over falls back to the basic profile's rule, or is removed where that would keep it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.dicom.dictionary import VR_OF, entry, is_known
from gateway.dicom.tag import is_group_length, is_private, show
from gateway.profile import Program, Verb
from gateway.profile.acquisition import ACQUISITION_PRIVATE
from gateway.profile.importers.ctp.anonymizer import AnonymizerFile, ElementRule
from gateway.profile.importers.ctp.branches import Branch, Scope, branches, mentions, scopes
from gateway.profile.importers.ctp.ctp_conditions import Inexpressible, Test, condition, joined
from gateway.profile.importers.ctp.ctp_names import PrivateName, Reference, display
from gateway.profile.importers.ctp.ctp_outcomes import Affix, Outcomes
from gateway.profile.importers.ctp.model import (
    Acceptance,
    Draft,
    NotCarried,
    NotTranslatable,
    Outcome,
    Patient,
    Phase,
    Rule,
)
from gateway.profile.importers.ctp.script import Call, Script, ScriptError, parse_script
from gateway.profile.lookup import PATIENT_COLUMNS
from gateway.profile.rules import KEPT_OR_HASHED, ONLY_KEPT
from gateway.profile.safe_private import SAFE_PRIVATE
from gateway.profile.stamps import STAMPS
from gateway.profile.target import FOREIGN_GROUPS

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
#: Code of PS3.16 CID 7050 -> the layer that carries the option out.
_LAYERS: Final = {
    "113103": "clean-graphics", "113104": "clean-structured-content", "113105": "clean-descriptors",
    "113106": "retain-longitudinal-full-dates", "113107": "retain-longitudinal-modified-dates",
    "113108": "retain-patient-characteristics", "113109": "retain-device-identity", "113110": "retain-uids",
    "113111": "retain-safe-private", "113112": "retain-institution-identity",
}  # fmt: skip
#: Group of the delimiters of items and sequences (PS3.5 7.5).
_DELIMITERS: Final = 0xFFFE
#: Groups that CTP keeps when it removes unspecified elements: description of the image, and the image.
_ALWAYS_KEPT: Final = (0x0028, 0x7FE0)
_REPEATING: Final = {0x5000: "curves", 0x6000: "overlays"}
_KEYED: Final = frozenset(("hash", "hashname", "hashptid", "encrypt"))
_FALLS: Final = "the element has the basic profile's rule"
_REMOVED: Final = "the element is removed"
_SECRET: Final = re.compile(r"(@\s*(?:en|de)crypt\s*\([^,()]*,)[^)]*")
_LONGEST_SCRIPT: Final = 160


def shown(script: str) -> str:
    """A script for comments and messages: one line, not too long, without the keys of ``@encrypt``."""
    line = " ".join(_SECRET.sub(r"\1***", script).split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= _LONGEST_SCRIPT else f"{line[: _LONGEST_SCRIPT - 3]}..."


class Translation:
    """Translates one script file into a draft of a profile.

    Parameters
    ----------
    file
        the script file
    lookups
        type of key -> key -> value
    basic
        the basic profile
    draft
        takes what comes of it
    """

    def __init__(
        self, file: AnonymizerFile, *, lookups: Mapping[str, Mapping[str, str]], basic: Program, draft: Draft
    ) -> None:
        self._file = file
        self._lookups = lookups
        self._basic = basic
        self._draft = draft
        self._scripts = {rule.element: rule.script for rule in file.elements}

    def run(self) -> None:
        """Translate the switches and every rule."""
        self._switches()
        for rule in self._file.elements:
            self._element(rule)

    def _report(self, line: int, script: str, why: str, what_instead: str) -> None:
        self._draft.not_carried.append(NotCarried(self._file.place(line), shown(script), why, what_instead))

    def _comment(self, rule: ElementRule) -> str:
        return f"line {rule.line}: {shown(rule.script)}"

    def _add(self, phase: Phase, target: str, outcome: Outcome, *, when: str = "", comment: str = "") -> None:
        self._draft.rules.append(Rule(phase, target, outcome, when, comment))

    # Switches for whole groups.

    def _switches(self) -> None:
        file, removals = self._file, self._file.removals
        if file.keep_safe:
            self._draft.use.append("retain-safe-private")
            self._report(
                file.keep_safe,
                "keep safe private elements",
                "CTP has a list of its own of private elements that it takes for safe",
                "the standard's table of safe private attributes decides (PS3.15 Table E.3.10-1)",
            )
        if "privategroups" not in removals and "unspecifiedelements" not in removals:
            self._report(
                1,
                "private groups are not removed",
                "CTP keeps private elements as they are; what they hold nobody knows",
                'private elements are removed; keep single ones by creator: keep: ["(0019,xx10) CREATOR"]; '
                + _proposed(None),
            )
        for group, kind in _REPEATING.items():
            if kind in removals:
                comment = f"line {removals[kind]}: remove {kind}"
                pattern = f"({group >> 8:02x}xx,xxxx)"
                self._add(Phase.ELEMENTS, pattern, Outcome("remove"), comment=comment)
            else:
                self._report(
                    1,
                    f"{kind} are not removed",
                    f"CTP keeps {kind} as they are, with the text that may be drawn in them",
                    "the basic profile removes them; the layer clean-graphics cleans what it can",
                )
        self._kept_groups()

    def _kept_groups(self) -> None:
        removes = self._file.removals.get("unspecifiedelements", 0)
        for line, group in self._file.keep_groups:
            if group & 1:
                self._report(
                    line,
                    f"keep group {group:04X}",
                    "a whole private group, of which nobody knows what it holds",
                    f'private elements are removed; keep single ones: keep: ["({group:04X},xx10) CREATOR"]; '
                    + _proposed(group),
                )
            elif group & 0xFF00 in _REPEATING or group < 0x0008:
                self._report(line, f"keep group {group:04X}", "the group is not kept as a whole", _FALLS)
        if not removes:
            return
        comment = f"line {removes}: remove unspecified elements"
        self._add(Phase.GROUPS, "unlisted", Outcome("remove"), comment=comment)
        kept = dict.fromkeys(_ALWAYS_KEPT, removes)
        kept |= {group: line for line, group in self._file.keep_groups if not group & 1 and group >= 0x0008}
        self._unspecified_sequences(frozenset(kept), comment)
        for group, line in kept.items():
            if group & 0xFF00 in _REPEATING:
                continue
            comment = (
                f"line {line}: " + ("CTP always keeps group" if line == removes else "keep group") + f" {group:04X}"
            )
            for tag in sorted(VR_OF):
                if tag >> 16 == group and not is_group_length(tag) and self._basic.action(tag).verb is Verb.KEEP:
                    self._add(Phase.GROUPS, display(tag), Outcome("keep"), comment=comment)

    def _unspecified_sequences(self, kept: frozenset[int], comment: str) -> None:
        """Sequences that the basic profile leaves with their items: what the script keeps would stay inside."""
        for tag, action in sorted(self._basic.actions.items()):
            left = action.verb is not Verb.REMOVE and entry_vr(tag) == "SQ"
            if left and tag not in self._scripts and tag >> 16 not in kept and not self._by_switch(tag):
                self._add(Phase.GROUPS, display(tag), Outcome("remove"), comment=comment)

    # Single elements.

    def _element(self, rule: ElementRule) -> None:
        element = rule.element
        if element is None or (isinstance(element, int) and element >> 16 == _DELIMITERS):
            self._report(rule.line, f"{rule.name}: {rule.script}", "it names no element", "nothing")
            return
        try:
            script = parse_script(rule.script)
        except ScriptError as failed:
            self._fall_back(rule, str(failed))
            return
        if isinstance(element, PrivateName):
            self._private(rule, element, script)
        elif element in (PATIENT_NAME, PATIENT_ID):
            self._patient(rule, element, script)
        elif is_private(element) or element in STAMPS or element >> 16 in FOREIGN_GROUPS or is_group_length(element):
            if mentions(script, "quarantine", "skip"):
                self._hold_all(rule, "conditions do not see the element")
            elif is_private(element):
                self._private_by_tag(rule, element, script)
            elif element in STAMPS:
                self._stamped(rule, element, script)
            else:
                self._report(rule.line, rule.script, f"{show(element)} is not in the data set", "the gateway writes it")
        elif not self._by_switch(element):
            self._standard(rule, element, script)

    def _by_switch(self, element: int) -> bool:
        """Whether a switch removes the element before its script is looked at."""
        return _REPEATING.get(element >> 16 & 0xFF00) in self._file.removals

    def _private_by_tag(self, rule: ElementRule, tag: int, script: Script) -> None:
        if not _is(script, "remove"):
            what = f'keep: ["({tag >> 16:04X},xx{tag & 0xFF:02X}) CREATOR"]'
            why = "a private element means nothing without its creator"
            self._report(rule.line, rule.script, why, f"{_REMOVED}; name it with its creator: {what}")

    def _private(self, rule: ElementRule, element: PrivateName, script: Script) -> None:
        """A private element: kept or emptied as the script says, otherwise removed as all private ones."""
        if element.offset is None or _is(script, "remove"):
            return
        outcomes = self._outcomes(0x00000000)
        try:
            results = [one for branch in branches(script, "top", outcomes) for one in outcomes.of(branch.script)]
        except NotTranslatable as failed:
            if mentions(script, "quarantine", "skip"):
                self._hold_all(rule, str(failed))
            self._report(rule.line, rule.script, str(failed), _REMOVED)
            return
        if any(one.action == "hold" for one in results):
            self._hold_all(rule, "conditions do not see whether a private element is there")
        elif len(results) == 1 and results[0].action in ("keep", "empty"):
            self._add(Phase.ELEMENTS, str(element), results[0], comment=self._comment(rule))
        else:
            self._report(rule.line, rule.script, "private elements are kept, emptied or removed", _REMOVED)

    def _stamped(self, rule: ElementRule, element: int, script: Script) -> None:
        codes = re.findall(r"\b1131\d\d\b", rule.script) if element == 0x00120064 else []
        layers = [_LAYERS[code] for code in codes if code in _LAYERS]
        if not layers and _is(script, "remove"):
            return
        what = "the gateway writes the profile, its version and the options that it carries out"
        if layers:
            what += f"; the script claims {', '.join(layers)}: add what is true of them to use"
        self._report(rule.line, rule.script, "the gateway says itself what it did", what)

    def _outcomes(self, tag: int) -> Outcomes:
        return Outcomes(
            tag,
            parameters=self._file.parameters,
            lookups=self._lookups,
            draft=self._draft,
            stays=self._stays,
        )

    def _stays(self, tag: int) -> bool:
        """Whether the profile keeps the element as received, for sure."""
        script = self._scripts.get(tag)
        if script is None:
            return self._basic.action(tag).verb is Verb.KEEP and not self._file.removals.get("unspecifiedelements")
        try:
            calls = parse_script(script)
        except ScriptError:
            return False
        return tag not in (PATIENT_NAME, PATIENT_ID) and _is(calls, "keep", "require")

    def _standard(self, rule: ElementRule, tag: int, script: Script) -> None:
        name, comment = display(tag), self._comment(rule)
        places = scopes(script)
        if places == ("top",):
            # CTP tests the item that the element stands in; nested ones take the safe way.
            self._add_fallback(tag, name, comment)
        for scope in places:
            target = {"any": name, "top": f"/{name}", "items": f"**/{name}"}[scope]
            outcomes = self._outcomes(tag)
            try:
                ways = branches(script, scope, outcomes)
            except NotTranslatable as failed:
                if mentions(script, "quarantine", "skip"):
                    self._hold_all(rule, str(failed))
                self._fall_back(rule, str(failed), failed.what_instead, target=target)
                continue
            for way in ways:
                self._way(rule, tag, scope, way, outcomes)
            for why, what in dict.fromkeys(outcomes.remarks):
                self._report(rule.line, rule.script, why, what)

    def _way(self, rule: ElementRule, tag: int, scope: Scope, way: Branch, outcomes: Outcomes) -> None:
        """The rules of one branch."""
        name, comment = display(tag), self._comment(rule)
        when = "" if way.when == "true" else way.when
        target = {"any": name, "top": f"/{name}", "items": f"**/{name}"}[scope]
        try:
            results = outcomes.of(way.script)
        except NotTranslatable as failed:
            self._fall_back(rule, str(failed), failed.what_instead, target=target, when=when)
            return
        for outcome in results:
            if outcome.action == "hold":
                self._hold_element(rule, tag, scope, way)
                if scope == "any":
                    self._add_fallback(tag, target, comment)
                continue
            if tag in ONLY_KEPT:
                if outcome.action != "keep":
                    why = f"{name} can only be kept: instances are not readable without it"
                    self._report(rule.line, rule.script, why, "it is kept")
                continue
            if tag in KEPT_OR_HASHED and outcome.action not in ("keep", "hash-uid"):
                why = f"{name} can only be kept or replaced: archives find instances by it"
                self._report(rule.line, rule.script, why, "hash-uid")
                self._add(_phase(when), target, Outcome("hash-uid"), when=when, comment=comment)
                continue
            if outcome.top_only and scope == "items":
                self._fall_back(rule, f"{outcome.action} works at the top level", target=target, when=when)
                continue
            if outcome.top_only and scope == "any" and len(results) == 1:
                self._add_fallback(tag, name, comment)
            if outcome.action == "keep" and entry_vr(tag) in ("DA", "DT"):
                self._draft.dates_kept = True
            both = joined([part for part in (when, outcome.when) if part], "&&") if when or outcome.when else ""
            where = name if outcome.top_only else target
            self._add(_phase(both, outcome), where, outcome, when=both, comment=comment)

    def _hold(self, rule: ElementRule, when: str) -> None:
        because = f"the CTP script {self._file.file}, line {rule.line}, holds such instances"
        self._draft.accept.append(Acceptance("hold", when, because, self._comment(rule)))

    def _hold_all(self, rule: ElementRule, why: str) -> None:
        """Where it cannot be told which instances CTP would hold, all are."""
        self._hold(rule, "true")
        self._report(rule.line, rule.script, why, "every instance is held; write an accept rule that says which")

    def _hold_element(self, rule: ElementRule, tag: int, scope: Scope, way: Branch) -> None:
        """``@quarantine()`` and ``@skip()``, which run where the element is present."""
        always = any(isinstance(part, Call) and part.name == "always" for part in way.script)
        if mentions(way.script, "skip"):
            why = "CTP passes the original on, with the whole identity"
            self._report(rule.line, rule.script, why, "such instances are held")
        try:
            present = "true" if always else condition(Reference((), tag), Test.EXISTS)
        except Inexpressible:
            present = "true"
        if scope == "items":
            present = "true"
        self._hold(rule, joined([way.when, present], "&&"))

    def _add_fallback(self, tag: int, target: str, comment: str, *, when: str = "") -> str:
        """The rule for what is not carried over: the basic profile's, or removal where that would keep the original."""
        if tag in ONLY_KEPT:
            return "it is kept"
        if self._basic.action(tag).verb is not Verb.KEEP:
            return _FALLS
        outcome = Outcome("remove-or-empty-or-dummy" if is_known(tag) else "remove")
        self._add(Phase.CONDITIONAL if when else Phase.FALLBACKS, target, outcome, when=when, comment=comment)
        return _REMOVED

    def _fall_back(
        self, rule: ElementRule, why: str, what_instead: str = "", *, target: str = "", when: str = ""
    ) -> None:
        element = rule.element
        result = _REMOVED
        if isinstance(element, int) and (element in STAMPS or element >> 16 in FOREIGN_GROUPS):
            result = "the gateway writes it"
        elif isinstance(element, int) and not is_private(element):
            result = self._add_fallback(element, target or display(element), self._comment(rule), when=when)
        offer = f"{result}; {what_instead}" if what_instead else result
        self._report(rule.line, rule.script, why, offer)

    # The patient.

    def _patient(self, rule: ElementRule, tag: int, script: Script) -> None:
        """Patient's Name and Patient ID share one pseudonym, which ``identity`` describes; Patient ID decides how."""
        outcomes = self._outcomes(tag)
        calls = [part for part in script if isinstance(part, Call) and part.name != "always"]
        name = calls[0].name if len(calls) == 1 else ""
        if _is(script, "keep", "require", "process"):
            self._add(Phase.ELEMENTS, display(tag), Outcome("keep"), comment=self._comment(rule))
            return
        if mentions(script, "quarantine", "skip"):
            if mentions(script, "if", "select"):
                self._hold_all(rule, "which instances are held depends on conditions in the script of the identity")
            else:
                self._hold_element(rule, tag, "any", Branch((), script))
            return
        why = ""
        if mentions(script, "if", "select"):
            why = "a project has one kind of pseudonym for all instances"
        elif name not in _KEYED | {"lookup", "integer"}:
            why = "this would not tell patients apart, or write the original"
        elif tag == PATIENT_ID:
            try:
                self._draft.patient = self._pseudonym(rule, calls[0], outcomes)
            except NotTranslatable as failed:
                why = str(failed)
        elif PATIENT_ID in self._scripts:
            what = "the same pseudonym as Patient ID"
            self._report(rule.line, rule.script, "Patient's Name and Patient ID have one pseudonym", what)
        if why:
            self._report(rule.line, rule.script, why, "a pseudonym computed from the project's secret")
        for why, what in dict.fromkeys(outcomes.remarks):
            self._report(rule.line, rule.script, why, what)

    def _pseudonym(self, rule: ElementRule, call: Call, outcomes: Outcomes) -> Patient:
        parts = parse_script(rule.script)
        position = parts.index(call)
        texts = [part if isinstance(part, str) else "" for part in parts]
        affix = Affix("".join(texts[:position]).strip(), "".join(texts[position + 1 :]).strip())
        comment = self._comment(rule)
        if call.name == "lookup":
            if affix != Affix() or not outcomes.is_this(call):
                raise NotTranslatable("the pseudonym comes from another element, or has text around it")
            table = outcomes.table(call, PATIENT_COLUMNS)
            if outcomes.missing(call) != "hold":
                outcomes.remarks.append(("an instance without identity belongs to nobody", "it is held"))
            return Patient("lookup", table=table, comment=comment)
        if call.name == "integer":
            return Patient("sequential", outcomes.sequential_format(call, affix), comment=comment)
        return Patient("keyed", outcomes.keyed_format(call, affix), comment=comment)


def _proposed(group: int | None) -> str:
    """What layers vouch for of private elements, of one group or of all, with their creators."""
    proposals = []
    for layer, rows in (
        ("retain-safe-private", ((place[0], place[2]) for place in SAFE_PRIVATE)),
        ("retain-acquisition-private", ((place[0], row.creator) for place, row in ACQUISITION_PRIVATE.items())),
    ):
        creators = sorted({creator for one, creator in rows if group in (None, one)})
        if creators:
            proposals.append(f"use: [{layer}] keeps what is known of {', '.join(creators)}")
    return "; ".join(proposals) or "no layer knows anything of this group"


def entry_vr(tag: int) -> str:
    """The standard's VR of ``tag``, empty if it has none."""
    row = entry(tag)
    return row.vr if row is not None else ""


def _is(script: Script, *names: str) -> bool:
    """Whether the script is one call of these functions, with ``@always()`` or without."""
    calls = [part for part in script if not (isinstance(part, Call) and part.name == "always")]
    return len(calls) == 1 and isinstance(calls[0], Call) and calls[0].name in names


def _phase(when: str, outcome: Outcome | None = None) -> Phase:
    if when or (outcome is not None and outcome.top_only):
        return Phase.CONDITIONAL
    return Phase.ELEMENTS
