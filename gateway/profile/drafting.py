"""A first profile, written for somebody who has answered a few questions: with comments, and with tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["DATES", "IDS", "KEEPABLE", "MODALITIES", "Draft", "site_files"]

#: Modalities that a draft knows something of.
MODALITIES: Final = ("CR", "CT", "DX", "MG", "MR", "NM", "PT", "US", "XA")
#: Answer about dates -> what it means.
DATES: Final[Mapping[str, str]] = {
    "removed": "dates go",
    "shifted": "dates move by the same secret number of days for all of a patient",
    "kept": "dates stay as they are",
}
#: Answer about patients -> what it means.
IDS: Final[Mapping[str, str]] = {
    "keyed": "pseudonyms are computed from the project's secret",
    "sequential": "patients are numbered in order of arrival",
    "lookup": "pseudonyms come from a table of yours",
}
#: Options of the standard that a draft can add, with what they do.
KEEPABLE: Final[Mapping[str, str]] = {
    "clean-descriptors": "descriptions stay without what identifies in them",
    "clean-structured-content": "reports stay without what identifies in them",
    "clean-graphics": "drawings over images stay without text that identifies",
    "clean-pixel-data": "text that is burned into images is looked for and blackened (needs the extra ocr)",
    "retain-patient-characteristics": "age, sex, size and weight stay",
    "retain-device-identity": "which device made an image stays",
    "retain-institution-identity": "which institution made an image stays",
    "retain-safe-private": "private elements that the standard calls safe stay",
    "retain-uids": "UIDs stay, by which images can be found again in the PACS",
}
_OPTION_OF_DATES: Final = {
    "shifted": "retain-longitudinal-modified-dates",
    "kept": "retain-longitudinal-full-dates",
}
_EXAMPLE: Final = "GARCIA LOPEZ^MARIA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The answers of which a profile is made.

    Attributes
    ----------
    name
        of the profile, as a file can have it
    describes
        what it is for, in one line
    modalities
        which images it takes; none for all
    options
        layers besides the basic profile, of ``KEEPABLE``
    dates
        of ``DATES``
    ids
        of ``IDS``
    prefix
        what pseudonyms begin with, capital letters and digits
    """

    name: str
    describes: str = ""
    modalities: Sequence[str] = ()
    options: Sequence[str] = ()
    dates: Literal["removed", "shifted", "kept"] = "removed"
    ids: Literal["keyed", "sequential", "lookup"] = "keyed"
    prefix: str = "SUBJ"

    def files(self) -> dict[str, str]:
        """The files by name: the profile, and the table that it asks for."""
        contents = {f"{self.name}.yaml": self._text()}
        if self.ids == "lookup":
            contents[f"{self.name}-subjects.csv"] = "patient_id,pseudonym\n"
        return contents

    def _text(self) -> str:
        parts = (
            self._head(), self._identity(), self._dates(), self._accept(), self._attributes(), self._pixels(),
            self._tests(),
        )  # fmt: skip
        return "\n".join(part for part in parts if part)

    def _head(self) -> str:
        dates = _OPTION_OF_DATES.get(self.dates)
        layers = ["basic", *(one for one in KEEPABLE if one in self.options), *([dates] if dates else [])]
        lines = [
            f"# Check: gateway profile check {self.name}.yaml     Try: gateway profile explain {self.name}.yaml IMAGE",
            f"profile: {self.name}",
            'version: "1"                # goes into every output: count it up with each change',
            f"describes: {_quoted(self.describes or 'What the images are for, in one line')}",
            "",
            "# What everything begins with. The basic profile of the standard (PS3.15) takes away what may identify;",
            "# each further layer lets something stay, or cleans it. Later layers count more.",
            "use:",
            *(f"  - {layer}{_comment(layer)}" for layer in layers),
        ]
        return "\n".join(lines) + "\n"

    def _identity(self) -> str:
        rule = {
            "keyed": f'{{pseudonym: keyed, format: "{self.prefix}-{{base32:10}}"}}',
            "sequential": f'{{pseudonym: sequential, format: "{self.prefix}-{{number:05}}"}}',
            "lookup": f"{{pseudonym: lookup, table: {self.name}-subjects.csv, missing: hold}}",
        }[self.ids]
        more = "; who is not in it waits" if self.ids == "lookup" else ""
        return f"# Who the patient is in the output: {IDS[self.ids]}{more}.\nidentity:\n  patient: {rule}\n"

    def _dates(self) -> str:
        if self.dates != "shifted":
            return ""
        return (
            "# All dates of a patient move by the same number of days, which only the project's secret tells.\n"
            "dates: {shift: per-patient, days: -730..-1}\n"
        )

    def _accept(self) -> str:
        if not self.modalities:
            return ""
        listed, named = ", ".join(f'"{one}"' for one in self.modalities), _and(self.modalities)
        return (
            "# Which instances are taken at all: the first decision that fits counts.\n"
            f"accept:\n  - reject: '!(Modality in [{listed}])'\n    because: the project takes {named} only\n"
        )

    def _attributes(self) -> str:
        return (
            "# Your own rules, which count more than all layers. Each has a reason: the report shows it.\n"
            "attributes:\n"
            "  - replace: {InstitutionName: Research Bank}\n"
            "    because: everything comes from one source\n"
            "  # - keep: [BodyPartExamined]\n"
            "  #   because: why the research needs it\n"
            "  # - generalise: {PatientAge: {bins: 5Y, top: 090Y}}\n"
            '  #   when: Modality == "CT"\n'
            "  #   because: five years are precise enough\n"
        )

    def _pixels(self) -> str:
        return (
            "# Text in images. Kinds that often have some (ultrasound, captures) are held for a person if no rule\n"
            "# here treats them.\n"
            "# pixels:\n"
            "#   - mask: [[0, 0, -, 60]]\n"
            '#     when: Manufacturer.startsWith("ACME") && Rows == 768 && Columns == 1024\n'
            "#     because: the banner of this device, measured on 40 images\n"
        )

    def _tests(self) -> str:
        modality = next((one for one in self.modalities if one != "US"), "" if self.modalities else "CT")
        given = f"      Modality: {modality}\n" if modality else "      Modality: US\n"
        lines = [
            "# What must be true. A profile whose tests fail does not become active.",
            "tests:",
            "  - name: nothing of the patient is left",
            "    given:",
            f"{given}      PatientName: {_EXAMPLE}",
            '      PatientID: "4711"',
            "      InstitutionName: Hospital of the Test",
            '      StudyDate: "20240229"',
            *(["    image: false"] if not modality else []),
            "    expect:",
            "      InstitutionName: Research Bank",
            *(['      PatientName: "{patient}"'] if self.ids != "lookup" else []),
            *(['      StudyDate: "20240229"'] if self.dates == "kept" else []),
            *(['      StudyDate: ""'] if self.dates == "removed" else []),
            "    never: [GARCIA, LOPEZ, Hospital]",
        ]
        if self.ids == "lookup":
            at = lines.index("    expect:")
            lines[at:] = ["    outcome: held             # nobody is in the table yet"]
        if self.modalities:
            lines += ["  - name: other kinds are not taken", "    given: {Modality: SR}", "    outcome: rejected"]
        return "\n".join(lines) + "\n"


def site_files(name: str) -> dict[str, str]:
    """The files of a site: a layer with what is true of all its profiles, its words, and a profile that uses it.

    Parameters
    ----------
    name
        of the site, as a file can have it
    """
    layer = (
        f"# What is true of all profiles of this site. Check: gateway profile check --layer {name}-site.yaml\n"
        f"profile: {name}-site\n"
        'version: "1"\n'
        f"describes: What all profiles of {name} have in common\n"
        "\n"
        "# Words of the house that clean keeps in descriptions: names of protocols and devices, one a line.\n"
        f"vocabulary: [{name}-words.txt]\n"
        "\n"
        "attributes:\n"
        "  - remove: [InstitutionalDepartmentName, StationName]\n"
        "    because: they tell where in the house an image was made\n"
        "\n"
        "# What devices of the house always write into their images.\n"
        "# pixels:\n"
        "#   - mask: [[0, 0, -, 60]]\n"
        '#     when: Manufacturer.startsWith("ACME") && StationName == "US3" && Rows == 768\n'
        "#     because: the banner of ultrasound room 3, measured on 40 images\n"
    )
    profile = (
        "# The profile that projects of this site begin with. Copy it for one; gateway profile new makes others.\n"
        f"profile: {name}\n"
        'version: "1"\n'
        f"describes: The common profile of {name}\n"
        f"use: [basic, clean-descriptors, {name}-site]\n"
        "\n"
        "identity:\n"
        '  patient: {pseudonym: keyed, format: "SUBJ-{base32:10}"}\n'
        "\n"
        "tests:\n"
        "  - name: nothing of the patient is left\n"
        f"    given: {{Modality: CT, PatientName: {_EXAMPLE}, StationName: CT1}}\n"
        '    expect: {PatientName: "{patient}", StationName: null}\n'
        "    never: [GARCIA, LOPEZ]\n"
    )
    return {f"{name}-site.yaml": layer, f"{name}-words.txt": "protocol\n", f"{name}.yaml": profile}


def _comment(layer: str) -> str:
    said = KEEPABLE.get(layer) or next((DATES[one] for one, option in _OPTION_OF_DATES.items() if option == layer), "")
    return f"    # {said}" if said else "    # takes away all that may identify"


def _and(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
