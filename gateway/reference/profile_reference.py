"""The reference pages of the profile language and of its coverage of PS3.15, made from the code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from gateway.dicom.tag import show
from gateway.profile import Technical, Verb, load_profile, shipped_profiles
from gateway.profile.acquisition import ACQUISITION_PRIVATE
from gateway.profile.condition import EXTRA_NAMES, FUNCTIONS, MACROS
from gateway.profile.element import ElementName
from gateway.profile.explain import candidates
from gateway.profile.language import KEYS_OF_VERBS, PIXEL_KEYS, PixelRuleForm, ProfileFile, Rule
from gateway.profile.load import load_layers
from gateway.profile.methods import METHODS
from gateway.profile.pseudonym import ALPHABETS
from gateway.profile.safe_private import SAFE_PRIVATE
from gateway.profile.safe_private import edition as safe_edition
from gateway.profile.table import BASIC, VERB_OF_CODE, Row, edition, rows
from gateway.profile.verb import DESCRIPTIONS, resolve
from gateway.profile.wording import VERBS
from gateway.reference.settings_reference import GENERATED

#: The layer for attributes outside the table, and what ``keep`` adds there.
UNLISTED: Final = "unlisted-attributes"
_TECHNICAL: Final = "technical"
ACQUISITION: Final = "retain-acquisition-private"
_MOST_NAMES: Final = 300

__all__ = ["EXAMPLES", "TARGETS", "coverage_reference", "rules_reference"]

#: Key of a profile file -> what it holds.
_KEYS: Final[dict[str, str]] = {
    "profile": "The name: small letters, digits and hyphens. Others `use` it by this name if the file is called so.",
    "version": "The version, stamped into every output. `1` without it.",
    "describes": "What the profile is for, in one line.",
    "option": "For layers that carry out the profile or an option of PS3.15: its code of PS3.16 CID 7050.",
    "clause": "The clause of the standard that the rules of this file follow.",
    "identified": "`true`: the outputs may name the patient (below). Else keeping a direct identifier is an error.",
    "use": "The layers, in order. Each may use others; one that two layers use applies once.",
    "use-if-installed": (
        "Layers that follow those of `use` where the optional part is installed that they need (`clean-pixel-data` "
        "needs the extra `ocr`), and are left out elsewhere; `gateway profile check` says so."
    ),
    "identity": "`patient: {pseudonym: ...}`: where the patient's pseudonym comes from (below).",
    "dates": "`removed`, `unmodified`, or `{shift: per-patient, days: -730..-1}`: whole days, never 0.",
    "times": "How exact times of day stay (below): `keep`, `hour` or `remove`.",
    "vocabulary": "Files with words of the site, one a line, that `clean` keeps; paths are relative to the profile.",
    "when-unsure": "Where `clean` or `shift-date` cannot tell: `remove` the value, or `hold` the instance.",
    "accept": "Which instances are taken (below).",
    "attributes": "The rules (below).",
    "pixels": "What is done with pixel data (below).",
    "tests": "Examples that must come out as said (below). A profile whose tests fail is not activated.",
}
#: Key of a rule beside its action -> what it says.
_RULE_KEYS: Final[dict[str, str]] = {
    "because": "The reason. `gateway profile check` warns of a rule that weakens the basic profile without one.",
    "clause": "The clause of the standard that the rule follows; by default the file's.",
    "when": "A condition (below): the rule applies to instances for which it holds.",
    "keep-if-in": "An action of its own, a short `map`: `keep-if-in: {StudyDescription: descriptions.txt}` keeps a "
    "value that the file beside the profile lists, one a line, to the letter; others go, or as `otherwise` says.",
    "to": "`year` or `month`: the precision that is left.",
    "format": "Form of a computed pseudonym.",
    "table": "CSV file with the columns `value,pseudonym`; its path is relative to the profile.",
    "missing": "What happens to a value that the table lacks: `hold` (default), `remove` or `empty`.",
    "sequential": "Form of a numbered pseudonym: `{number:06}`.",
    "without": "`names`: words that hold a name of the header's persons or institutions go. For short texts, such as "
    "the name of a station.",
    "believe": "`sender`, of `safe-private`: what the instance's own (0008,0300) calls safe stays, too, whoever wrote "
    "that.",
    "only": "`technical`: a value stays only if it is made of technical words, codes and short numbers. `numeric`, of "
    "private elements: it stays only if VR, number of values and range are as the gateway's table of acquisition "
    "elements has them, or as the dictionary of private elements has them, which must say that it holds numbers.",
    "otherwise": "What happens to a value that the list lacks: `hold` (default), `remove`, `empty` or `keep`.",
}
#: Key of a pixel rule -> what it does, and an example.
_PIXEL_RULES: Final[dict[str, tuple[str, str]]] = {
    "mask": ("blackens rectangles in all frames", "mask: [[0, 0, 1024, 60], [-200, -40, -, -]]"),
    "keep-region": ("blackens everything outside the rectangles", "keep-region: [[150, 60, 724, 650]]"),
    "ultrasound-regions": (
        "blackens everything outside the regions of (0018,6011), if they are possible; if not, the instance is held",
        "ultrasound-regions: keep",
    ),
    "crop": (
        "takes edges away: blackened, or with `geometry: change` cut off",
        "crop: {top: 150, bottom: 150, left: 0, right: 0, geometry: keep}",
    ),
    "find-text": (
        (
            "finds text (needs the extra `ocr`): `blank` `all`, what is `identifying`, or `nothing`, which holds; "
            "`when-unsure` `hold` or `blank`; `strict` for signs that do not read as text; `scan` `every` instance, "
            "`sampled` (all but most slices of original series, of which all are searched once one had text) or only "
            "`risky` kinds; `thorough` `where-faint` text was found or `always`: words of the header are searched "
            "for in every place"
        ),
        "find-text: {blank: all, when-unsure: hold, strict: false, scan: every, thorough: where-faint}",
    ),
    "pass": ("vouches that no text is burned in; needs `because`", "pass: true"),
    "hold": ("has a person look first; needs `because`", "hold: true"),
    "deface": (
        (
            "takes faces out of whole series of CT and MR slices (needs the extra `deface`, or a program of your own): "
            "each slice waits for its series; where that is not sure, and of other kinds, what may show a face is held"
        ),
        "deface: true",
    ),
    "encode": (
        "how changed frames are written: `same`, `explicit`, `jpeg-ls`, `jpeg-2000`, `htj2k`, `rle`",
        "encode: jpeg-2000",
    ),
}
#: Key of a pixel rule beside what it does -> what it says.
_PIXEL_RULE_KEYS: Final[dict[str, str]] = {
    "because": "The reason; `pass` and `hold` need one.",
    "clause": "The clause of the standard that the rule follows; by default the file's.",
    "when": "A condition (below): the rule applies to instances for which it holds.",
}
#: Verb -> a rule with it, as it stands in ``attributes``.
EXAMPLES: Final = {verb: one.example for verb, one in DESCRIPTIONS.items()}
#: Form of a target -> which elements it names.
TARGETS: Final[dict[str, str]] = {
    "PatientName": "the element with this keyword, at every depth",
    '"(0010,0010)"': "the element with this tag, at every depth",
    '"(60xx,3000)"': "the element of every group or number that fits; an x stands for any hexadecimal digit",
    "private": "every private element, of an odd group, that no rule below names by its creator",
    '"(0019,xx10) SIEMENS MR HEADER"': "the private element 10 of this creator, whatever block the creator reserves",
    "safe-private": "private elements that Table E.3.10-1, or with `believe: sender` their own (0008,0300), calls safe",
    "unknown": "elements that the data dictionary does not know",
    "unlisted": "elements of the standard that no rule names",
    "/PatientName": "the element at the top level only",
    "RequestAttributesSequence/ScheduledProcedureStepID": "the element in the items of this sequence at the top level",
    '"*/PatientName"': "the element in the items of any sequence at the top level",
    '"**/PatientName"': "the element at any depth below the top level",
    '"VR:PN"': "every element of the standard with this value representation",
}
_CONDITION_EXAMPLES: Final = (
    ('Modality in ["CR", "DX"] && Manufacturer.startsWith("GE")', "values of the top level"),
    ('present("Rows") && Rows > 512', "an absent element reads as empty text: ask first"),
    ('"SECONDARY" in ImageType', "an element that may have several values is a list"),
    (
        'items("RequestAttributesSequence", "ScheduledProcedureStepID").exists(id, id.startsWith("X"))',
        "inside a sequence",
    ),
    (
        'items("ContentSequence/ConceptNameCodeSequence", "CodeMeaning").exists(m, same(m, "Findings"))',
        "inside a sequence that is inside another",
    ),
    ('value("(0019,xx10) ACME 1.1").startsWith("A")', "a private element, as text; `present` takes such a name, too"),
    ('sop_class == "CTImageStorage"', "the keyword of the SOP class; `SOPClassUID` compares with one, too"),
    ('same(Manufacturer, "GE Medical")', "equal texts, whatever their case, accents and blanks"),
    ('contains_any(StudyDescription, ["torax", "chest"])', "one of the words is in it, whatever its case and accents"),
    (
        "age_years() < 18",
        "the age in whole years: PatientAge, or from birth to examination; unknown, it holds the instance",
    ),
    ("days_between(StudyDate, ContentDate) > 1", "days from the first date to the second"),
    ('TransferSyntaxUID == "JPEG2000Lossless"', "the file meta information of the instance as it came"),
    ('called_ae == "RESEARCH"', "who sent it, and on which way"),
)

_RULES: Final = """\
# The rules of a profile

A profile is one YAML file. [Write your first profile](../tutorial/first-profile.md) shows how to make one;
`gateway profile check FILE` finds what is wrong in it.

An unknown key, element or function is an error with file, line, column and the nearest right word; all that is wrong is
shown at once. A profile with an error never becomes active. The check also runs the tests of a profile and tries it on
the smallest instance of each common kind: what would hold all of them is an error, what would hold some a warning. A
file that leaves open what becomes of elements that no rule names can only be used by others: `--layer` checks it.

## Keys of a profile

| key | holds |
|---|---|"""
_ACTIONS: Final = """\

## Rules

`attributes` is a list of rules. Each has one action with the elements that it is about. Later rules override earlier
ones, and the profile's own rules override its layers. Rules apply at every depth of nested sequences unless a target
says otherwise. A kept sequence is kept as a container: the rules apply inside."""
_TARGETS: Final = """\

## Targets

What stands in quotes here needs them in the file.

| target | elements |
|---|---|"""
_TIMES: Final = """\

What the gateway says of an instance is no rule's: Patient Identity Removed (0012,0062), De-identification Method
(0012,0063) with its codes (0012,0064), and Longitudinal Temporal Information Modified (0028,0303) at the top level are
written after all rules and say what was done. A rule that would take them away (`remove: [unlisted]`, `"VR:SH"`) leaves
them alone, and one that writes them is an error. To a dummy item that the gateway writes the rules apply as to any.

## Times of day

`times` says how exact times of day stay that a rule lets stay or shifts. Of several layers the last that says it
counts.

| `times` | TM | DT | offset from UTC (0008,0201) |
|---|---|---|---|
| `keep`, as without it | stays | stays, or is shifted | as its rule says |
| `hour` | `143522.5` becomes `14` | `20240315143522+0100` becomes `2024031514+0100` | as its rule says |
| `remove` | is removed, emptied or a dummy, as its Type allows | `20240315143522+0100` becomes `20240315` | goes |

It holds at every depth, for content items of structured reports, and for private elements of VR TM and DT; in a private
text, and where nobody knows the VR, what is a date and time and nothing else is cut, too. The hour is written as PS3.5
6.2 lets a shorter value be: `140000` would claim that it was two o'clock to the second, and could not be told from a
value that was. A value that is no time goes, or holds the instance, as `when-unsure` says. Cleaned text loses its times
of day whatever `times` says. The verifier looks at every TM and DT of the output, and for times of the original in its
texts.

Above it stand the rules of the profile itself, or of a layer that carries out no option of PS3.15, that name one
element by its keyword, tag or place, or one private element by its number:

```yaml
times: hour
attributes:
  - keep: [SeriesTime, AcquisitionTime, RadiopharmaceuticalStartTime]
    because: SUV is computed from them
  - shift-date: [RadiopharmaceuticalStartDateTime]   # needs because: its date moves, its time stays exact
    because: SUV is computed from it
```

A rule for many elements (`VR:TM`, a pattern, a block of private elements, `private`, `safe-private`, `unlisted`) says
that they stay, and `times` how exact they are. What a rule writes itself (`replace`, `copy`, `map`, `generalise`,
`regex`) is written as it says.

Mind what needs minutes: decay and SUV of PET, uptake in nuclear medicine, dynamic series, the order of events in a dose
report. `gateway profile check` warns for PT and NM unless `accept` rejects them or the elements are named. A UID
that a rule keeps is replaced if it holds a date, for the time stands behind it; a time without a date is not told from
other digits there. Full dates with coarse times are no full dates: the output says 113107 and MODIFIED instead of
113106 and UNMODIFIED.
"""
_IDENTITY: Final = """\

## Identity

Patient's Name and Patient ID become the patient's pseudonym wherever a rule touches them at the top level.

| `identity: {patient: ...}` | pseudonym |
|---|---|
| `{pseudonym: keyed, format: "BIMCV-{base32:10}"}` | computed from the project's secret and the patient's identity |
| `{pseudonym: lookup, table: subjects.csv, missing: hold}` | from a CSV file (below) |
| `{pseudonym: sequential, format: "SUBJ-{number:05}"}` | a number in order of arrival, from the ledger |

A table of patients has the columns `patient_id,pseudonym` and perhaps `issuer`. A patient who is not in it holds the
instance; with `missing: keyed` and a `format` the pseudonym is computed instead.

A patient is who has a Patient ID. Whether an instance names the issuer makes no difference, since many studies have it
in some of their instances only; where several issuers number for themselves, say `issuers: distinct`. What is nobody's
ID is listed: `not-ids: [UNKNOWN, "0"]`; such patients, and those without an ID, are told apart by name and birth date,
and without these by study. Instances of one study that name two patients are held. Patient's Name and Patient ID are
written where an instance lacks them although its IOD has them.

A profile that keeps or copies what names the patient (Patient's Name, Patient ID and other IDs and names, birth date,
address, telephone) is an error, unless it says `identified: true`. Then nothing is claimed of its outputs: neither
Patient Identity Removed nor methods of de-identification are stamped, and earlier ones go; the report says so first;
and only a destination with `accepts-identified: true` takes them: with another one the instance is held.

Where a rule leaves a date of birth in part or shifted, it leaves none of patients who may be of the `top` of PatientAge
or more, 90 years where there is no top: an age of 090Y hides nothing beside the year of birth. What counts is every age
and date of birth in the instance, with the latest date of the examination; without such a date, today.

A format is fixed text with placeholders: """
_PIXELS: Final = """\

## Pixel data

`pixels` is a list of rules, and all that apply to an instance count: their areas add up. Of several `find-text` and
`pass`, and of several `encode`, the last one counts.

| rule | does | example |
|---|---|---|"""
_PIXEL_NOTES: Final = """\

A rectangle is `[x, y, width, height]` in pixels, from 0 at the upper left; a negative x or y counts from the right or
bottom edge, and a width or height of `-` goes up to the edge. One that begins outside an image holds the instance, and
so does a `keep-region` that ends outside.

Black is Pixel Padding Value where there is one, otherwise the darkest value. Compressed frames that change are written
as lossless JPEG-LS, native ones stay native; what is already lossy keeps its history. An instance in implicit VR stays
native. Thumbnails, bits that are no part of a sample, and the smallest and largest pixel values go; Image Type becomes
DERIVED. Burned In Annotation (0028,0301) becomes NO and 113101 is stamped only where areas went, text was looked for,
or a person looked.

`geometry: change` makes Rows and Columns smaller. Image Position (Patient) moves, of every frame where frames have
positions of their own in functional groups, and so do ultrasound regions, shutters, collimators and the origins of
overlays; the size of the field of view goes. An instance in which anything else depends on where pixels lie (slides,
projections of radiotherapy), or in which a position cannot be computed because the orientation or
the spacing of pixels is missing or told twice, is held. What private elements and other instances say of places in the
image is not adapted: `keep`, the default, leaves it right. The table is `gateway/pixels/data/geometry.csv`.

Instances of kinds that often have text burned in are held if no rule treats or vouches for them."""
_ACCEPT: Final = """\

## Which instances are taken

`accept` is a list of decisions; the first whose condition holds counts, and without one the instance is accepted.

```yaml
accept:
  - reject: Modality in ["SR", "KO"]
    because: no images
  - hold: BurnedInAnnotation == "YES"
    because: burned-in text is reviewed
```

## Conditions

Conditions are written in CEL, the Common Expression Language. A name is the keyword of an element and stands for its
value at the top level. One that cannot be decided for an instance holds it.

| condition | asks |
|---|---|"""
_TESTS: Final = """\

## Tests

Each test gives the values of a small instance, runs it through the real engine and verifier, and says what comes out.

```yaml
tests:
  - name: the description loses the name
    given:
      PatientName: GARCIA LOPEZ^MARIA
      StudyDescription: TORAX PA GARCIA
    expect:
      PatientName: "{patient}"        # the pseudonym
      StudyDescription: TORAX PA
      InstitutionName: null           # absent
      AccessionNumber: ""             # there, without a value
    never: [GARCIA, LOPEZ]            # nowhere in the output
  - given: {Modality: SR}
    outcome: rejected                 # or held, or accepted, as it is without it
  - name: the banner goes
    given: {Modality: CR, Rows: 768, Columns: 1024, Manufacturer: ACME}
    image: true                       # a picture; or {rows: 512, columns: 512, frames: 1, colour: false}
    black: [[0, 0, -, 60]]            # rectangles that are blackened
    same: [[0, 60, -, -]]             # and that stay as they are
  - name: what the review node sends is held
    given: {Modality: CT, called_ae: REVIEW, calling_ae: WORKSTATION, source: pacs, route: trial}
    outcome: held
  - file: phantom.dcm                 # a file beside the profile, to which what is given is added
    given: {PatientName: GARCIA LOPEZ^MARIA}
    never: [GARCIA]
```

A list gives several values, a list of mappings the items of a sequence; `source`, `calling_ae`, `called_ae` and `route`
say who sent it. An instance of which the test says the Modality or the SOP class has a picture if that is an image: a
black one, in which no text is looked for, unless `image` says more; `image: false` gives none. So kinds that often have
text burned in are held in a test as they are in life. A file is best a phantom's: what a test finds in it is shown.
`gateway profile test` also lists the profile's rules, those about pixels too, that applied in no test."""

#: Column of the table -> the shipped layer that carries it out.
_LAYERS: Final[dict[str, str]] = {
    "basic": "basic",
    "retain_safe_private": "retain-safe-private",
    "retain_uids": "retain-uids",
    "retain_device": "retain-device-identity",
    "retain_institution": "retain-institution-identity",
    "retain_patient_chars": "retain-patient-characteristics",
    "retain_long_full_dates": "retain-longitudinal-full-dates",
    "retain_long_modified_dates": "retain-longitudinal-modified-dates",
    "clean_descriptors": "clean-descriptors",
    "clean_structured_content": "clean-structured-content",
    "clean_graphics": "clean-graphics",
}


#: Code of an option that the table has no column for -> the layer that carries it out, and how.
_PIXEL_LAYERS: Final[dict[str, tuple[str, str]]] = {
    "113101": ("clean-pixel-data", "1 pixel rule; rules of one's own add to it"),
    "113102": (
        "clean-recognizable-visual-features",
        "of whole series of CT and MR; what is not sure, and others, are held",
    ),
}


def rules_reference() -> str:
    """The reference of the profile language as Markdown."""
    lines = [GENERATED, _RULES]
    lines += [f"| `{key}` | {_KEYS[key]} |" for key in _names(ProfileFile)]
    lines += [_ACTIONS, "", "| action | the element | example |", "|---|---|---|"]
    lines += [f"| `{verb}` | {VERBS[verb]} | {_example(EXAMPLES[verb])} |" for verb in Verb]
    lines += ["", "Beside its action a rule has these keys:", "", "| key | of | says |", "|---|---|---|"]
    for key in _names(Rule):
        if key not in tuple(Verb):
            owner = Verb.MAP if key == "keep-if-in" else KEYS_OF_VERBS.get(key)
            lines.append(f"| `{key}` | {f'`{owner}`' if owner else 'any'} | {_RULE_KEYS[key]} |")
    lines += ["", *_types()]
    lines += [_TARGETS]
    lines += [f"| `{target}` | {elements} |" for target, elements in TARGETS.items()]
    placeholders = ", ".join(f"`{{{kind}:N}}` (N of {alphabet})" for kind, alphabet in ALPHABETS.items())
    lines += [_TIMES.rstrip("\n")]
    lines += [_IDENTITY + f"{placeholders}, or for numbers `{{number:0N}}`."]
    lines += [_PIXELS]
    lines += [f"| `{key}` | {_PIXEL_RULES[key][0]} | `{_PIXEL_RULES[key][1]}` |" for key in PIXEL_KEYS]
    lines += ["", "Beside it a pixel rule has these keys:", "", "| key | says |", "|---|---|"]
    lines += [f"| `{key}` | {_PIXEL_RULE_KEYS[key]} |" for key in _names(PixelRuleForm) if key not in PIXEL_KEYS]
    lines += [_PIXEL_NOTES]
    lines += [_ACCEPT]
    lines += [f"| `{_cell(text)}` | {what} |" for text, what in _CONDITION_EXAMPLES]
    functions = ", ".join(f"`{name}`" for name in sorted(FUNCTIONS))
    macros = ", ".join(f"`{name}`" for name in sorted(MACROS))
    extra = ", ".join(f"`{name}`" for name in sorted(EXTRA_NAMES))
    lines += ["", f"Functions: {functions}. Macros over lists: {macros}. Names that are no elements: {extra}.", _TESTS]
    return "\n".join(lines) + "\n"


def coverage_reference() -> str:
    """How the shipped layers carry out Table E.1-1 of PS3.15, as Markdown."""
    columns = list(dict.fromkeys(column for row in rows() for column in row.codes))
    lines = [
        GENERATED,
        "# Coverage of PS3.15",
        "",
        f"DICOM PS3.15 Annex E, Table E.1-1, edition {edition()}: {len(rows())} rows. Each column is one shipped",
        "layer; `use: [basic, retain-uids]` in a profile enables it. A test compares every layer with its column.",
        f"The private elements that `retain-safe-private` keeps are those of Table E.3.10-1, edition {safe_edition()}:",
        f"{len(SAFE_PRIVATE)} rows.",
        "",
        "| profile or option | code | layer | rows | in the table | rules of the layer |",
        "|---|---|---|---|---|---|",
    ]
    codes = _option_codes()
    for column in columns:
        counted = Counter(row.codes[column] for row in rows() if column in row.codes)
        actions = ", ".join(f"{count} {code}" for code, count in counted.most_common())
        layer = _LAYERS[column]
        option = METHODS[codes[layer]]
        cells = (option.meaning, option.value, f"`{layer}`", str(counted.total()), actions, _carried_out(layer))
        lines.append(f"| {' | '.join(cells)} |")
    lines += [
        f"| {METHODS[code].meaning} | {code} | `{layer}` | - | - | {does} |"
        for code, (layer, does) in sorted(_PIXEL_LAYERS.items())
    ]
    lines += [
        "",
        *_acquisition(),
        "",
        "## Action codes",
        "",
        "| code | action of the gateway | the element |",
        "|---|---|---|",
    ]
    lines += [f"| {code} | `{verb}` | {VERBS[verb]} |" for code, verb in VERB_OF_CODE.items()]
    lines += ["", *_types(), "", "## Beyond the table", "", *_beyond(), "", "## The table", ""]
    lines += ["Empty cells: the option leaves the attribute to the basic profile.", ""]
    lines.append(f"| attribute | tag | {' | '.join(_LAYERS[column] for column in columns)} |")
    lines.append(f"|---|---|{'---|' * len(columns)}")
    lines += [
        f"| {row.keyword or row.name} | {_tag(row)} | {' | '.join(row.codes.get(column, '') for column in columns)} |"
        for row in rows()
    ]
    return "\n".join(lines) + "\n"


def _acquisition() -> list[str]:
    """The private elements that stay as numbers, whatever the standard's table of safe ones says."""
    lines = [
        "## Private elements of the acquisition",
        "",
        f"`{ACQUISITION}` is no option of the standard: it keeps numbers that research needs and makers write",
        "into private elements. Some of them are in Table E.3.10-1 as well; where both are used the form here counts.",
        "",
        "| element | what it holds | VR | values | from | to | form |",
        "|---|---|---|---|---|---|---|",
    ]
    for (group, offset, _creator), row in sorted(ACQUISITION_PRIVATE.items()):
        numeric = row.numeric
        low, high = ("" if one is None else f"{one:g}" for one in (numeric.low, numeric.high))
        form = f"`{_cell(numeric.form)}`" if numeric.form else ""
        cells = (f"({group:04X},xx{offset:02X}) {row.creator}", row.meaning, " or ".join(numeric.vrs), numeric.vm)
        lines.append(f"| {' | '.join((*cells, low, high, form))} |")
    return lines


def _names(model: type[ProfileFile | Rule | PixelRuleForm]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _example(text: str) -> str:
    return "<br>".join(f"`{_cell(line.strip())}`" for line in text.splitlines())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _types() -> list[str]:
    """What compound actions become by the Type of the attribute."""
    head = "An action that leaves a choice is decided by the Type of the attribute in the IOD of the instance:"
    lines = [head, "", "| action | Type 1 | Type 2 | Type 3 or not in the IOD |", "|---|---|---|---|"]
    lines += [
        f"| `{verb}` | {' | '.join(f'`{resolve(verb, one)}`' for one in ('1', '2', '3'))} |"
        for verb in Verb
        if verb.is_compound
    ]
    return [*lines, "", "Where nothing is known of the SOP class, the action of Type 1 is taken."]


def _carried_out(layer: str) -> str:
    """How many elements and patterns the layer treats in which way, on top of the basic profile."""
    program = load_layers(layer, beneath=BASIC).program
    actions = [*program.actions.values(), *(one.action for one in program.patterns)]
    actions += [one.action for one in program.paths]
    actions += [program.safe] if program.safe is not None else []
    counted = Counter(action.verb for action in actions if action.origin.layer == layer)
    return ", ".join(f"{count} `{verb}`" for verb, count in counted.most_common())


def _option_codes() -> dict[str, str]:
    """Shipped layer -> its code."""
    codes = {}
    for layer in _LAYERS.values():
        text = (shipped_profiles() / f"{layer}.yaml").read_text(encoding="utf-8")
        codes[layer] = next(line for line in text.splitlines() if line.startswith("option:")).split('"')[1]
    return codes


def _beyond() -> list[str]:
    """What the basic profile treats although the table does not list it, by reason."""
    program = load_profile(BASIC)
    listed = {row.value for row in rows() if not row.is_pattern}
    by_reason: dict[tuple[str, str, str], list[str]] = {}
    for tag in sorted(program.actions):
        action = candidates(program, ElementName((), tag))[-1]
        if tag not in listed and action.origin.layer == UNLISTED:
            only = f" only: {_TECHNICAL}" if isinstance(action.options, Technical) else ""
            by_reason.setdefault((action.verb.value, only, action.because), []).append(
                f"{ElementName((), tag).name} {show(tag)}"
            )
    lines = [
        f"The table's demands are met by its own layers. What goes beyond is the layer `{UNLISTED}`, which the basic",
        "profile uses: every attribute with a VR of text that the table does not list is in it with its reason, UIDs",
        "and dates too. A profile that wants one of them kept names it, and says why.",
        "",
        "| action | because | attributes |",
        "|---|---|---|",
    ]
    for (verb, only, because), names in sorted(by_reason.items()):
        shown = ", ".join(names) if len(names) <= _MOST_NAMES else "the others of VR CS"
        lines.append(f"| `{verb}{only}` | {because} | {len(names)}: {shown} |")
    return lines


def _tag(row: Row) -> str:
    if not row.is_pattern:
        return show(row.value)
    group, element = f"{row.value >> 16:04X}", f"{row.value & 0xFFFF:04X}"
    return f"({group[:2]}xx,{element if row.mask & 0xFFFF else 'xxxx'})"
