"""Replacement scripts of the DicomAnonymizer are parsed completely."""

from __future__ import annotations

import pytest

from gateway.profile.importers.ctp.script import Call, Script, ScriptError, parse_script


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # nothing
        ("", ()),
        # text alone
        ("Anonymous", ("Anonymous",)),
        # a call without arguments
        ("@keep()", (Call("keep", ()),)),
        # blanks in the name and around arguments mean nothing
        ("@ hash ( this , 8 )", (Call("hash", ("this", "8")),)),
        # text before and after a call
        ("PRE-@hash(this)-SUF", ("PRE-", Call("hash", ("this",)), "-SUF")),
        # a backslash takes the meaning from the at sign, and from itself
        (r"a\@b\\c", (r"a@b\c",)),
        # commas and parentheses in quotation marks belong to the argument
        ('@contents(this,"a,(b)","c")', (Call("contents", ("this", '"a,(b)"', '"c"')),)),
        # commas in brackets belong to the argument: private names, classes of characters
        ("@contents(0019[A,B]10)", (Call("contents", ("0019[A,B]10",)),)),
        # parentheses inside an argument
        ("@contents(this,(a))", (Call("contents", ("this", "(a)")),)),
        # an escaped quotation mark does not end the argument
        (r'@contents(this,"\"")', (Call("contents", ("this", r'"\""')),)),
        # an escaped character at the end stands for itself
        ("a\\", ("a",)),
        # two calls in a row
        ("@always()@empty()", (Call("always", ()), Call("empty", ()))),
        # the else block may be missing: it is empty
        ("@if(this,isblank){@remove()}", (Call("if", ("this", "isblank"), ((Call("remove", ()),), ())),)),
        # blanks before the blocks
        (
            '@if(this,equals,"x") {a} {b}',
            (Call("if", ("this", "equals", '"x"'), (("a",), ("b",))),),
        ),
        # blocks inside blocks
        (
            "@if(A,exists){@if(B,exists){1}{2}}{3}",
            (Call("if", ("A", "exists"), ((Call("if", ("B", "exists"), (("1",), ("2",))),), ("3",))),),
        ),
        # braces in quotation marks are text
        ('@append(){"}"}', (Call("append", (), (('"}"',),)),)),
        # select inside if, with text after it
        (
            "@select(){@keep()}{@if(A,exists){1}{2}}x",
            (
                Call("select", (), ((Call("keep", ()),), (Call("if", ("A", "exists"), (("1",), ("2",))),))),
                "x",
            ),
        ),
        # an unknown function is parsed: whoever translates refuses it
        ("@frobnicate(a,b)", (Call("frobnicate", ("a", "b")),)),
    ],
)
def test_parses(text: str, expected: Script) -> None:
    assert parse_script(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # a function without parentheses
        ("@keep", "no parentheses"),
        # no name
        ("@(this)", "no name"),
        # an argument list that never ends
        ("@hash(this", "the parenthesis of @hash is not closed"),
        # a quotation mark that never ends takes the parenthesis with it
        ('@contents(this,"a)', "the parenthesis of @contents is not closed"),
        # a conditional without a block
        ("@if(this,isblank)", "@if has no block"),
        # a block that never ends
        ("@if(this,isblank){@remove()", "a brace of @if is not closed"),
        # CTP ignores what follows a missing else block; nothing is ignored here
        ("@if(this,isblank){@remove()}rest", '"rest" follows the only block'),
        # nested beyond reason
        ("@append(){" * 40 + "}" * 40, "nested too deeply"),
    ],
)
def test_refuses(text: str, problem: str) -> None:
    with pytest.raises(ScriptError, match=problem.replace("(", r"\(")):
        parse_script(text)
