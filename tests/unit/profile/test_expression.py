"""Regular expressions of users mean what Python means by them, and take time that grows with the text alone."""

from __future__ import annotations

import pickle
import re

import pytest

from gateway.profile.expression import Expression, ExpressionWrong

TEXTS = (
    "", "abc", "xxaxx", "a\nb", "ca c", "ÁNGEL GARCÍA 12", "A-B_é É AÉ 123", "٣٤ 5", "]a[:", "foo.bar\tx", "李明 CT",
    "x\u0301y e\u0301",
)  # fmt: skip


@pytest.mark.parametrize(
    "pattern",
    [
        r"(\w+)\s+\d+",  # groups
        r"^([A-Z]+) .*",  # the start of the text
        r"x*",  # matches of nothing, also after one of something
        r"a|b",
        r"",
        r"$",
        r"\b\w+\b",  # words of any script have edges
        r"\bÁNGEL\b",
        r"\bA\b|\bB",
        r"(?:a|\b)c",
        r"[^\W\d_]+",  # letters
        r"[^\W_]+",
        r"[\w-]+",
        r"[]a]",  # a bracket that comes first is one of the class
        r"[^]a]",
        r"(?P<name>\w)(\d)?",  # a group that takes no part
        r"\Aab",
        r"(?i)é",  # letters of any script have two cases
        r"\d{2,3}",
        r"\x41\u00c9",
        r"(?s)\A(.*)\Z",
        r"\W",
        r"\S+",
        r"a\s*b",
        r"\.",
    ],
)
def test_means_what_python_means(pattern: str) -> None:
    expression = Expression(pattern)
    template = expression.template(r"<\g<0>>")
    for text in TEXTS:
        # A combining mark belongs to the letter before it; Python takes it for none.
        if "\u0301" not in text:
            assert expression.substitute(template, text) == re.subn(pattern, r"<\g<0>>", text), text


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "expected"),
    [
        (r"(\w+)-(\w+)", r"\2-\1", "á-b cd-é", "b-á é-cd"),
        (r"\b(?P<first>\w)\w*\b", r"\g<first>.", "ÁNGEL GARCÍA", "Á. G."),  # an edge is no group of the author's
        (r"(a)(b)?", r"[\1\2]", "a ab", "[a] [ab]"),
        (r"\b(A)\b(B)?", r"\1\2", "A", "A"),
        (r"(1)(2)(3)(4)(5)(6)(7)(8)(9)(0)", r"\10", "1234567890", "0"),
        ("x", r"\\n", "x", "\\n"),
        (r"\w+", "", "e\u0301toile 5", " "),  # nothing of a decomposed letter stays
    ],
)
def test_replacement(pattern: str, replacement: str, text: str, expected: str) -> None:
    expression = Expression(pattern)
    assert expression.substitute(expression.template(replacement), text)[0] == expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", r"missing \)"),
        ("[a", r"a \[ has no \]"),
        ("\\", "ends in a backslash"),
        ("a**", "bad repetition"),
        ("a{2000}", "repetition size"),
        (r"\x4", "2 hexadecimal digits"),
        (r"x(?=y)", "at character 2: .* looks ahead"),
        (r"(?!y)", "looks ahead"),
        (r"(?<=y)x", "looks behind"),
        (r"(?<!y)x", "looks behind"),
        (r"(a)\1", r"at character 4: \\1 refers to a group"),
        (r"(?P<n>a)(?P=n)", "refers to a group"),
        (r"(a)?(?(1)b|c)", "asks for a group"),
        (r"\B", r"\\B"),
        (r"[\W]", r"\\p\{L\} is a letter"),
    ],
)
def test_what_cannot_be_searched_for_is_told(pattern: str, reason: str) -> None:
    with pytest.raises(ExpressionWrong, match=reason):
        Expression(pattern)


@pytest.mark.parametrize("replacement", [r"\2", r"\g<2>", r"\g<name>", r"\q", "\\"])
def test_wrong_replacement(replacement: str) -> None:
    with pytest.raises(ExpressionWrong):
        Expression("(a)").template(replacement)


@pytest.mark.parametrize(
    "pattern",
    [r"(a+)+$", r"(a|aa)+$", r"(a|a?)+$", r"(.*a){20}$", r"\b(\w+\s?)+$", r"^(([a-z])+.)+[A-Z]([a-z])+$"],
)
def test_nested_repetitions_end(pattern: str) -> None:
    # Python's engine does not come to an end with forty letters.
    expression = Expression(pattern)
    expression.substitute(expression.template(""), "a" * 5_000 + "!")


def test_travels_to_other_processes() -> None:
    expression = pickle.loads(pickle.dumps(Expression(r"\bA\b")))
    assert expression.substitute(expression.template("x"), "A BA") == ("x BA", 1)
