"""gateway.profile.verb: Table E.1-1a with the attribute's Type."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.profile import Verb, resolve

#: Run with a folder: adds a verb to the one module, and says what the others make of it.
ADDED = """
import importlib.util, json, sys
from pathlib import Path

import gateway
path = Path(gateway.__file__).parent / "profile" / "verb.py"
text = path.read_text(encoding="utf-8")
text = text.replace('    KEEP = "keep"\\n', '    SHOUT = "shout"\\n    KEEP = "keep"\\n', 1)
text = text.replace(
    "    Verb.KEEP: Description(",
    "    Verb.SHOUT: Description('is written in capitals', 'shout: [StudyDescription]', keys=('to',),"
    " vrs=WORDS, works='shout is for words'),\\n    Verb.KEEP: Description(", 1,
)
import types
module = types.ModuleType("gateway.profile.verb")
module.__file__ = str(path)
sys.modules["gateway.profile.verb"] = module
exec(compile(text, str(path), "exec"), module.__dict__)

from gateway.reference.profile_reference import rules_reference
from gateway.errors import ProfileError
from gateway.profile import load_profile
from gateway.profile.wording import in_words

def load(rule):
    file = Path(sys.argv[1]) / "mine.yaml"
    file.write_text("profile: mine\\nuse: [basic]\\nattributes:\\n  - " + rule + "\\n")
    try:
        return load_profile(file)
    except ProfileError as error:
        return error.message

program = load("shout: [StudyDescription]")
print(json.dumps({
    "words": in_words(program.action(0x00081030)),
    "vr": load("shout: [StudyDate]"),
    "key": load("{shout: [StudyDescription], format: x}"),
    "form": load("shout: StudyDescription"),
    "near": load("shuot: [StudyDescription]"),
    "reference": "| `shout` | is written in capitals | `shout: [StudyDescription]` |" in rules_reference(),
}))
"""


def test_a_verb_is_described_once(tmp_path: Path) -> None:
    """What the loader, the check, the words and the reference know of a verb stands in its description alone."""
    asked = subprocess.run(
        [sys.executable, "-c", ADDED, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert asked.returncode == 0, asked.stderr
    found = json.loads(asked.stdout)
    assert found["words"] == "is written in capitals"
    assert "shout is for words, and StudyDate has VR DA" in found["vr"]
    assert '"format" belongs to pseudonymise, and this rule says shout' in found["key"]
    assert "mine.yaml" in found["form"]
    assert "shout" in found["near"]
    assert found["reference"]


@pytest.mark.parametrize(
    ("verb", "optional", "may_be_empty", "needs_value"),
    [
        # Z/D
        (Verb.EMPTY_OR_DUMMY, Verb.EMPTY, Verb.EMPTY, Verb.DUMMY),
        # X/Z
        (Verb.REMOVE_OR_EMPTY, Verb.REMOVE, Verb.EMPTY, Verb.EMPTY),
        # X/D: RT Plan Date is Type 2, its zero length keeps the plan valid
        (Verb.REMOVE_OR_DUMMY, Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
        # X/Z/D
        (Verb.REMOVE_OR_EMPTY_OR_DUMMY, Verb.REMOVE, Verb.EMPTY, Verb.DUMMY),
        # X/Z/U*
        (Verb.REMOVE_OR_EMPTY_OR_HASH_UID, Verb.REMOVE, Verb.HASH_UID, Verb.HASH_UID),
    ],
)
def test_compound_verbs(verb: Verb, optional: Verb, may_be_empty: Verb, needs_value: Verb) -> None:
    assert resolve(verb, "3") is optional
    assert resolve(verb, "2") is may_be_empty
    assert resolve(verb, "2C") is may_be_empty
    assert resolve(verb, "1") is needs_value
    assert resolve(verb, "1C") is needs_value
    # An unknown IOD: the choice that every Type allows.
    assert resolve(verb, None) is needs_value
    assert verb.is_compound


SIMPLE = [Verb.KEEP, Verb.REMOVE, Verb.EMPTY, Verb.DUMMY, Verb.HASH_UID, Verb.CLEAN, Verb.REPLACE]


@pytest.mark.parametrize("verb", SIMPLE)
@pytest.mark.parametrize("element_type", ["1", "1C", "2", "2C", "3", None])
def test_simple_verbs_stay(verb: Verb, element_type: str | None) -> None:
    assert resolve(verb, element_type) is verb
    assert not verb.is_compound


@pytest.mark.parametrize("verb", list(Verb))
@pytest.mark.parametrize("element_type", ["1", "2", "3", None])
def test_nothing_compound_is_left(verb: Verb, element_type: str | None) -> None:
    found = resolve(verb, element_type)
    assert not found.is_compound
    # Only a rule that says keep, or cleans by itself, leaves the original.
    assert found is not Verb.KEEP or verb is Verb.KEEP


def test_a_wrong_type_is_an_error() -> None:
    with pytest.raises(ValueError, match="no attribute Type"):
        resolve(Verb.REMOVE_OR_EMPTY, "4")


def test_references_stay_where_they_are_listed() -> None:
    for element_type in ("1", "2", "3", None):
        assert resolve(Verb.REMOVE_OR_EMPTY_OR_HASH_UID, element_type, lists_references=True) is Verb.HASH_UID
        assert resolve(Verb.REMOVE_OR_EMPTY, element_type, lists_references=True) is not Verb.HASH_UID
