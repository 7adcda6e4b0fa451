"""Documents as Markdown and HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from gateway.profile.load import load_layers
from gateway.rehearsal.document import Document, Section, Table
from gateway.rehearsal.report import report

DOCUMENT = Document(
    "Profile <x>",
    "Version 1",
    (
        Section("First", ("A *plain* text.", ["one", "two | three"])),
        Section(
            "Second",
            (
                Table(
                    ("element", "when", "because"),
                    (("PatientName", "", "a | b"), ("(0010,0020)", "", "<script>")),
                    frozenset(("element",)),
                ),
            ),
        ),
    ),
)


def test_markdown() -> None:
    assert DOCUMENT.markdown() == (
        "# Profile <x>\n\nVersion 1\n\n## First\n\nA \\*plain\\* text.\n\n- one\n- two | three\n\n## Second\n\n"
        "| element | because |\n|---|---|\n| `PatientName` | a \\| b |\n| `(0010,0020)` | \\<script\\> |\n"
    )


class _Strict(HTMLParser):
    """Collects tags, and fails on one that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not {name for name, _ in attrs} & {"src", "onclick"}
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> _Strict:
    parser = _Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def test_html_is_escaped_and_complete() -> None:
    html = DOCUMENT.html()
    assert "script" not in parsed(html).seen
    assert "&lt;script&gt;" in html
    assert "Profile &lt;x&gt;" in html
    assert "<code>Patient<wbr>Name</code>" in html
    assert "when" not in html.partition("<body>")[2]  # a column without content


def test_report_of_a_shipped_example() -> None:
    loaded = load_layers("chest-radiographs")
    document = report(loaded)
    parsed(document.html())
    text = document.markdown()
    assert loaded.program.digest in text
    for layer in loaded.layers:
        assert layer.name.replace("_", "\\_") in text
    for code in loaded.program.codes:
        assert f"{code.value} {code.meaning}" in text
    for rule in loaded.program.accept:
        assert rule.because in text
    titles = [section.title for section in document.sections]
    assert titles == [
        "Summary",
        "Method",
        "Which instances are taken",
        "Pixel data",
        "What this profile decides itself",
        "What each layer decides",
        "What stays",
        "What is changed",
        "What is removed",
        "Groups, places and the rest",
        "Tests",
        "Limits",
    ]


def test_report_tells_the_pixel_rules(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "profile: mine\nuse: [basic, clean-pixel-data]\npixels:\n"
        '  - mask: [[0, 0, 9, 9]]\n    when: Modality == "US"\n    because: DPO decision 2026-014\n'
    )
    text = report(load_layers(path)).markdown()
    assert "blackened: " in text
    assert "DPO decision 2026-014" in text
    assert "text is looked for in every image, of original series of slices in some" in text
    assert "113101 only where the pixels of the instance were treated or searched" in text
    assert "113101" not in report(load_layers("basic")).markdown()


def test_report_lists_every_element_once() -> None:
    """What stays, what is changed and what is removed are all the elements that have a rule."""
    loaded = load_layers("basic")
    listed: list[str] = []
    for section in report(loaded).sections:
        if section.title in ("What stays", "What is changed", "What is removed"):
            table = section.blocks[1]
            assert isinstance(table, Table)
            listed += [name for row in table.rows for name in row[-1].split(", ")]
    assert len(listed) == len(set(listed)) == len({*loaded.program.actions, *loaded.program.rules})
