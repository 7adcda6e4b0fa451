"""Whatever a script says, the import makes a profile that loads, and nothing stays that no script lets stay."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.dicom.dictionary import tag_of
from gateway.errors import InstanceError, ProfileError
from gateway.profile import Verb, load_profile
from tests.unit.profile.importers.ctp.support import (
    FORMS,
    Script,
    apply,
    decision,
    import_script,
    instance,
    load,
    shown,
)

#: What the instance has; the texts are such that no pattern, table or number of the scripts leaves them as they are.
VALUES = {
    "StudyDescription": "ORIGINAL A/B",
    "SeriesDescription": "ORIGINAL C/D",
    "InstitutionName": "ORIGINAL E",
    "AccessionNumber": "ORIG1",
    "ReferringPhysicianName": "ORIGINAL^F",
    "StudyDate": "20200131",
    "PatientBirthDate": "19500617",
    "PatientAge": "047Y",
    "PatientAddress": "ORIGINAL G",
    "DeviceSerialNumber": "ORIG2",
    "ContentDate": "20200130",
    "FrameOfReferenceUID": "1.2.3.9",
    "PatientComments": "ORIGINAL H",
    "PatientID": "ORIG3",
    "PatientName": "ORIGINAL^I",
}
#: Calls after which a value may stay as it is: the script says so, or names no part of it that these values have.
LETTING = ("keep", "require", "contents", "value", "uppercase", "lowercase", "truncate", "pathelement", "modifydate")
#: Calls after which none may.
CHANGING = (
    "@remove()", "@empty()", "@blank(3)", "@hash(this)", "@hash(this,4)", "@hashname(this,8)", "@hashptid(@N,this)",
    "@hashuid(@UIDROOT,this)", "@hashdate(this,PatientID)", "@incrementdate(this,@DAYS)", "@lookup(this,t)",
    "@lookup(this,t,keep)", "@lookup(this,none)", "@integer(this,n,4)", "@encrypt(this,@SITEID)", "@round(this,5)",
    "@initials(this)", "@date()", "@time()", "@append(){x}", "@call(x)", "@decrypt(this,k)",
    "@dateinterval(this,t,PatientID)", "@modify(this)", "@keep", "@if(", "plain", "@param(@SITEID)", "@param(@NONE)",
    "@hash(PatientID)", "x@hash(this)y", "@remove()@hash(this)", "@require", "", "}", "@quarantine()", "@skip()",
)  # fmt: skip
KEEPING = ("@keep()", "@require()", "@contents(this)", '@value(this,"d")', "@uppercase(this)", "@pathelement(this,0)")
TESTS = (
    'Modality,equals,"ct"', "this,isblank", "StudyDate,exists", "SeriesNumber,greaterthan,3", 'Modality,matches,"C."',
    'this,contains,"orig"', "0019[ACME]10,exists", 'Modality,frob,"x"', "Nonsense,exists",
)  # fmt: skip
#: Shrinking would load thousands of profiles: a script that fails is short enough.
_SETTINGS = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def scripts(leaves: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Scripts whose branches end in these."""
    leaf = st.sampled_from(leaves)
    return st.recursive(
        leaf | leaf.map(lambda text: f"@always(){text}"),
        lambda inner: (
            st.builds("@if({}){{{}}}{{{}}}".format, st.sampled_from(TESTS), inner, inner)
            | st.builds("@select(){{{}}}{{{}}}".format, inner, inner)
        ),
        max_leaves=4,
    )


_BASIC = load_profile("basic")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ctp")


def test_nothing_stays_unless_its_script_lets_it(directory: Path) -> None:
    accepted = 0

    @given(
        elements=st.dictionaries(st.sampled_from(sorted(VALUES)), scripts(CHANGING + KEEPING), min_size=6),
        form=st.sampled_from(FORMS),
        removals=st.sets(st.sampled_from(("privategroups", "unspecifiedelements", "curves", "overlays"))),
    )
    @_SETTINGS
    def check(elements: dict[str, str], form: str, removals: set[str]) -> None:
        nonlocal accepted
        parameters = {"SITEID": "17", "N": "18", "UIDROOT": "1.2.3", "DAYS": "-10"}
        script = Script(elements, parameters, remove=tuple(sorted(removals)))
        try:
            program = load(directory, import_script(directory, script, form, lookup="t/OTHER=X\n"))
        except ProfileError:
            # A script that keeps who the patient is makes no profile that is used.
            return
        dataset = instance(Modality="CT", SeriesNumber="7", **VALUES)
        try:
            if decision(directory, program, dataset) != "accepted":
                return
            output = apply(directory, program, dataset)
        except InstanceError:
            return
        accepted += 1
        for keyword, original in VALUES.items():
            tag = tag_of(keyword)
            assert tag is not None
            if shown(output, keyword) == original and _BASIC.action(tag).verb is not Verb.KEEP:
                assert any(f"@{name}(" in elements.get(keyword, "") for name in LETTING), keyword

    check()
    # Not all were held.
    assert accepted >= 5


# any text at all is either refused with its place or imported into a profile that loads
@given(text=st.text(max_size=60), form=st.sampled_from(FORMS))
@_SETTINGS
def test_any_text_is_a_script(directory: Path, text: str, form: str) -> None:
    plain = "".join(character for character in text if character.isprintable())
    elements = {"StudyDescription": plain, "PatientID": plain, "ImageComments": f"@{plain}()", "KVP": "@keep()"}
    load(directory, import_script(directory, Script(elements), form))
