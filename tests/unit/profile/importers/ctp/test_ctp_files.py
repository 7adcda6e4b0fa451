"""Script files in both forms, look-up tables and pixel scripts are read, and refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ProfileError
from gateway.profile.importers.ctp import import_ctp
from gateway.profile.importers.ctp.anonymizer import AnonymizerFile, read_anonymizer
from gateway.profile.importers.ctp.ctp_lookup import read_lookup, table_csv
from gateway.profile.importers.ctp.ctp_names import (
    PrivateName,
    Reference,
    UnknownElement,
    display,
    parse_name,
    parse_reference,
)
from gateway.profile.importers.ctp.ctp_pixels import is_pixel_script
from gateway.profile.importers.ctp.properties import read_properties
from gateway.profile.pixel_program import Rectangle
from tests.unit.profile.importers.ctp.support import load

XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<script>
  <p t="SITE">17 &amp; more</p>
  <e en="T" t="00100010" n="PatientName">@empty()</e>
  <e en="F" t="00100020" n="PatientID">@keep()</e>
  <e en="T" t="0019[ACME, Inc.]1A" n="Grüße"><![CDATA[@if(this,isblank){<}{>}]]></e>
  <k en="T" t="0018">Group 18</k>
  <k en="F" t="0020">Group 20</k>
  <k en="T" t="safeprivateelements">Safe</k>
  <r en="T" t="privategroups">Private</r>
  <r en="F" t="curves">Curves</r>
</script>
"""
PROPERTIES = """# a comment
param.SITE=17 & more
set.[0010,0010]PatientName = @empty()
#set.[0010,0020]PatientID=@keep()
set.[0019,[ACME, Inc.]1A]Gr\\u00fc\\u00dfe=@if(this,isblank)\\
    {<}{>}
keep.group18=
#keep.group20=
keep.safeprivateelements=
remove.privategroups=
#remove.curves=
"""


@pytest.mark.parametrize("text", [XML, PROPERTIES], ids=["xml", "properties"])
def test_both_forms_say_the_same(text: str) -> None:
    script = read_anonymizer(text, file="s")
    assert script.parameters == {"SITE": "17 & more"}
    assert [(rule.element, rule.script) for rule in script.elements] == [
        (0x00100010, "@empty()"),
        (PrivateName(0x0019, "ACME, Inc.", 0x1A), "@if(this,isblank){<}{>}"),
    ]
    assert [group for _, group in script.keep_groups] == [0x0018]
    assert script.keep_safe
    assert list(script.removals) == ["privategroups"]


@pytest.mark.parametrize(("text", "lines"), [(XML, [4, 6]), (PROPERTIES, [3, 5])], ids=["xml", "properties"])
def test_rules_know_their_lines(text: str, lines: list[int]) -> None:
    assert [rule.line for rule in read_anonymizer(text, file="s").elements] == lines


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        # cut off
        ("<script>\n<e en='T' t='00100010'>", "s:2", "no XML"),
        # another document
        ("<config/>", "s:1", "root element is script"),
        # a rule of no kind
        ("<script>\n\n<x t='1'/></script>", "s:3", 'not "x"'),
        # a rule without its element
        ("<script><e en='T'>@keep()</e></script>", "s:1", '"t" of e is missing'),
        # rules inside rules
        ("<script>\n<e en='T' t='00100010'><e/></e></script>", "s:2", "inside another rule"),
        # a document type could declare entities that read files or fill the memory
        (
            "<!DOCTYPE script [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>\n<script><p t='A'>&a;</p></script>",
            "s:1",
            "document type",
        ),
        # a switch that CTP does not know would be ignored by it
        ("<script>\n<r en='T' t='overlay'/></script>", "s:2", 'did you mean "overlays"'),
        # a group that is none
        ("<script><k en='T' t='18x'/></script>", "s:1", "no group"),
        # two different rules for one element: CTP takes either of them
        ("set.[0010,0010]A=@keep()\nset.[0010,0010]B=@empty()", "s:2", "another rule in line 1"),
        # an empty script passes everything in CTP
        ("<script></script>", "s", "no rules"),
        # and so does an empty file
        ("", "s", "no rules"),
        # a line that is nothing
        ("set.[0010,0010]A=@keep()\nnonsense", "s:2", 'no "="'),
        # a key of no kind
        ("sett.[0010,0010]A=@keep()", "s:1", "begins with none of"),
        # no brackets
        ("set.00100010=@keep()", "s:1", "gggg,eeee"),
        # an escape that is none
        (r"param.A=\u12", "s:1", "hexadecimal"),
    ],
)
def test_refuses_files(text: str, place: str, problem: str) -> None:
    with pytest.raises(ProfileError) as caught:
        read_anonymizer(text, file="s")
    assert caught.value.facts["place"] == place
    assert problem in str(caught.value)


def test_the_same_rule_twice_is_one() -> None:
    script = read_anonymizer("set.[0010,0010]A=@keep()\nset.[0010,0010]B=@keep()", file="s")
    assert isinstance(script, AnonymizerFile)
    assert len(script.elements) == 1


def test_properties_as_java_reads_them() -> None:
    text = "! comment\n\n  a = b=c \\\n   d\ne\\=f=\\t\\u0041\\\\\n"
    assert [(one.line, one.key, one.value) for one in read_properties(text, file="p")] == [
        (3, "a", "b=c d"),
        (5, "e=f", "\tA\\"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        # keyword of the standard
        ("PatientName", 0x00100010),
        # names of dcm4che 1, which shortens Sequence and Referenced
        ("RefImageSeq", 0x00081140),
        ("RefSOPInstanceUID", 0x00081155),
        # names of dcm4che 1 in the singular
        ("OperatorName", 0x00081070),
        # hexadecimal, with and without comma, brackets and parentheses; leading zeros may be missing
        ("00100020", 0x00100020),
        ("100020", 0x00100020),
        ("[0010,0020]", 0x00100020),
        ("(10,20)", 0x00100020),
        # private, in all the ways that the scripts have
        ("0019[SIEMENS MR HEADER]10", PrivateName(0x0019, "SIEMENS MR HEADER", 0x10)),
        ("[0019,[SIEMENS MR HEADER]0f]", PrivateName(0x0019, "SIEMENS MR HEADER", 0x0F)),
        ("9[CTP]02", PrivateName(0x0009, "CTP", 0x02)),
        # the creator element itself
        ("001900[ACME]", PrivateName(0x0019, "ACME", None)),
    ],
)
def test_names(name: str, expected: int | PrivateName) -> None:
    assert parse_name(name) == expected


# a misspelt keyword; a private name of an even group; neither offset nor creator; nothing
@pytest.mark.parametrize("name", ["PatientNam", "0010[ACME]10", "0019[ACME]", ""])
def test_names_of_nothing(name: str) -> None:
    with pytest.raises(UnknownElement):
        parse_name(name)


def test_references() -> None:
    assert parse_reference("this", this=0x00100010) == Reference((), 0x00100010)
    assert parse_reference("", this=0x00100010) == Reference((), 0x00100010)
    assert parse_reference("root:Modality") == Reference((), 0x00080060)
    assert parse_reference("RefImageSeq::RefSOPClassUID") == Reference((0x00081140,), 0x00081150)


def test_display_is_what_profiles_write() -> None:
    assert display(0x00100010) == "PatientName"
    # no keyword: the standard does not know it
    assert display(0x00081234) == "(0008,1234)"
    assert display(PrivateName(0x0019, "ACME", 0x0A)) == "(0019,xx0A) ACME"


LOOKUP = "ptid/A 1=P1\nptid/B=@ptid/C\nptid/C=@other/x\nother/x= P3 \nptid/A 1 = P1\n"


def test_lookup_table() -> None:
    expected = {"ptid": {"A 1": "P1", "B": "P3", "C": "P3"}, "other": {"x": "P3"}}
    assert read_lookup(LOOKUP, file="t.properties") == expected
    assert read_lookup("ptid/A 1,P1\n\nptid/B,@other/x\nother/x,P3\n", file="t.csv")["ptid"] == {"A 1": "P1", "B": "P3"}


def test_table_is_what_profiles_read() -> None:
    assert table_csv({'a,"b': "P1", "c": "P2"}, "value") == 'value,pseudonym\n"a,""b",P1\nc,P2\n'


@pytest.mark.parametrize(
    ("text", "file", "problem"),
    [
        # no type
        ("4711=P1", "t", "t:1.*type/key"),
        # the same key twice, otherwise
        ("p/1=A\np/1=B", "t", "t:2.*line 1"),
        # a reference to nothing
        ("p/1=@p/2", "t", "t:1.*does not exist"),
        # a circle
        ("p/1=@p/2\np/2=@p/1", "t", "t:1.*more than 10 times"),
        # three cells
        ("p/1,A,B", "t.csv", "t.csv:1.*two cells"),
    ],
)
def test_refuses_tables(text: str, file: str, problem: str) -> None:
    with pytest.raises(ProfileError, match=problem):
        read_lookup(text, file=file)


def test_errors_of_tables_show_no_identity() -> None:
    with pytest.raises(ProfileError) as caught:
        read_lookup("ptid/MRN-4711=@ptid/TINA\n", file="t")
    assert "4711" not in str(caught.value)
    assert "TINA" not in str(caught.value)


PIXELS = """US machines
{ Modality.equals("US") * StationName.equals("{768}") } (0,0,1024,60) (-100,-50,100,50)

{ Manufacturer.contains("X") }
  (1,2,3,4)
{ Manufacturer.contain("X") } (1,2,3,4)
"""


def test_pixel_scripts_are_told_from_filters() -> None:
    assert is_pixel_script(PIXELS)
    assert not is_pixel_script('Modality.equals("US") // {x}')


@pytest.mark.parametrize("option", ["filter", "pixels"])
def test_signatures_become_masks(tmp_path: Path, option: str) -> None:
    path = tmp_path / "p.script"
    path.write_text(PIXELS)
    if option == "filter":
        imported = import_ctp(None, path, None, "imported")
    else:
        imported = import_ctp(None, None, None, "imported", pixels=path)
    assert [(one.place, one.script) for one in imported.not_carried] == [
        ("p.script:6", '{Manufacturer.contain("X")} (1,2,3,4)'),
    ]
    found = [
        ("" if rule.condition is None else rule.condition.text, rule.says) for rule in load(tmp_path, imported).pixels
    ]
    assert found == [
        # CTP's ranges include their ends; an area that reaches the edge goes up to it
        (
            'Modality == "US" && StationName == "{768}"',
            ("Mask", (Rectangle(0, 0, 1025, 61), Rectangle(-100, -50, 0, 0))),
        ),
        ('Manufacturer.contains("X")', ("Mask", (Rectangle(1, 2, 4, 5),))),
        # one that CTP takes as false, blanking nothing, holds every image
        ("", ("HoldPixels",)),
    ]


@pytest.mark.parametrize(
    ("signature", "rules", "told"),
    [
        # three numbers are no area: such images are held
        ('{ Modality.equals("US") } (0,0,5)', [("HoldPixels", 'Modality == "US"')], "an area is not"),
        # nor are words
        ('{ Modality.equals("US") } (a,0,5,5)', [("HoldPixels", 'Modality == "US"')], "an area is not"),
        # what cannot be said holds those that the rest is about, whatever it says; not every image
        ('{ Modality.equals("US") * PixelData.equals("x") } (0,0,5,5)', [("HoldPixels", 'Modality == "US"')], "VR"),
        (
            '{ Modality.equals("US") * Manufacturer.contain("X") } (0,0,5,5)',
            [("HoldPixels", 'Modality == "US"')],
            "no method",
        ),
        ('{ false. * PixelData.equals("x") } (0,0,5,5)', [], "VR"),
        # an element that the standard does not have is empty
        ('{ Modality.equals("US") * [1018,1018].equals("") } (0,0,5,5)', [("Mask", 'Modality == "US"')], "no such"),
        # never true: nothing to blank
        ("{ false. } (0,0,5,5)", [], "never true"),
        # always true: all images
        ("{ true. } (0,0,5,5)", [("Mask", "")], ""),
        # compared otherwise than CTP does: told
        ('{ SliceThickness.isLessThan("2.0") } (0,0,5,5)', [("Mask", "*")], "digits"),
    ],
)
def test_signatures_that_ctp_reads_otherwise(
    tmp_path: Path, signature: str, rules: list[tuple[str, str]], told: str
) -> None:
    path = tmp_path / "p.script"
    path.write_text(signature)
    imported = import_ctp(None, None, None, "imported", pixels=path)
    found = [
        (rule.says[0], "" if rule.condition is None else rule.condition.text)
        for rule in load(tmp_path, imported).pixels
    ]
    assert [kind for kind, _ in found] == [kind for kind, _ in rules]
    assert all(wanted in ("*", is_) for (_, is_), (_, wanted) in zip(found, rules, strict=True))
    assert [told in one.why for one in imported.not_carried] == [True] * bool(told)


def test_a_script_without_signatures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.script"
    path.write_text('Modality.equals("US")')
    with pytest.raises(ProfileError, match="no signature"):
        import_ctp(None, None, None, "imported", pixels=path)


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read"):
        import_ctp(tmp_path / "none.xml", None, None, "imported")
    with pytest.raises(ProfileError, match="nothing to import"):
        import_ctp(None, None, None, "imported")
    with pytest.raises(ProfileError, match="lower-case"):
        import_ctp(tmp_path / "none.xml", None, None, "My Profile")
    (tmp_path / "latin.xml").write_bytes(b"<script>\n\xe4</script>")
    with pytest.raises(ProfileError, match=r"latin\.xml:2.*UTF-8"):
        import_ctp(tmp_path / "latin.xml", None, None, "imported")
