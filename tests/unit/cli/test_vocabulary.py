"""The vocabulary of a site: counted by patients, sealed until accepted, on the record, kept by the cleaner."""

from __future__ import annotations

import io
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.audit import AuditAction
from gateway.cli.app import main
from gateway.custody.vocabulary_key import VocabularyKey, word_of
from gateway.deid.clean import Cleaner
from gateway.deid.context import Context
from gateway.deid.people import is_name
from gateway.errors import ConfigurationError
from gateway.ledger import Ledger
from gateway.ledger.site_words import WordState
from gateway.service.projects import activate_profiles
from gateway.settings.configuration import Settings, load_settings
from gateway.treatment.site_vocabulary import Sightings, decide, proposed_words
from tests.unit.ledger.build import deidentified, finish, one

SECRET = "0123456789abcdef" * 4
DESCRIPTION = 0x00081030
LEAST = 3


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    secret = tmp_path / "lungs.key"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (tmp_path / "cleaned.yaml").write_text("profile: cleaned\ndescribes: x\nuse: [basic, clean-descriptors]\n")
    configuration = tmp_path / "gateway.yaml"
    project = f"secret_file: {secret}, profile: cleaned"
    configuration.write_text(
        f"data: data\nprofiles: [{tmp_path}]\n"
        f"projects:\n  lungs: {{{project}, propose_words: {LEAST}}}\n  bones: {{{project}, propose_words: 0}}\n"
        "routes: [{project: lungs}]\n"
    )
    monkeypatch.setenv("GATEWAY_CONFIG", str(configuration))
    monkeypatch.delenv("GATEWAY_DATA", raising=False)
    found = load_settings(configuration, {})
    found.data.mkdir()
    return found


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(settings.ledger_url) as opened:
        yield opened


class Arrivals:
    """Instances that come, one after the other."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings, self._ledger, self._number = settings, ledger, 0

    def bring(self, patient: str, *words: str, project: str = "lungs", worker: Sightings | None = None) -> int:
        """How many sightings one instance told, by a worker of its own unless one is given."""
        self._number += 1
        seen = (worker or Sightings(self._settings)).of(project, words, patient)
        finish(self._ledger, deidentified(one(self._ledger, self._number), project=project, sightings=seen))
        return len(seen)


@pytest.fixture
def arrivals(settings: Settings, ledger: Ledger) -> Arrivals:
    return Arrivals(settings, ledger)


def shown(settings: Settings, ledger: Ledger) -> dict[str | None, WordState]:
    return {word.text: word.word.state for word in proposed_words(settings, ledger, "lungs")}


def test_a_word_is_proposed_when_enough_patients_have_it(
    settings: Settings, ledger: Ledger, arrivals: Arrivals
) -> None:
    for _ in range(5):
        arrivals.bring("SUBJECT-1", "xarbinotza")
    arrivals.bring("SUBJECT-2", "xarbinotza")
    assert shown(settings, ledger) == {}
    arrivals.bring("SUBJECT-3", "xarbinotza")
    assert shown(settings, ledger) == {"xarbinotza": WordState.PROPOSED}


@pytest.mark.parametrize(
    "word",
    # names of many, in several countries; too short, too long, not of letters
    ["garcia", "schwarz", "rossi", "kowalski", "hollingsworth", "ab", "x" * 41, "h4471823"],
)
def test_names_and_what_is_no_word_are_never_proposed(
    settings: Settings, ledger: Ledger, arrivals: Arrivals, word: str
) -> None:
    assert [arrivals.bring(f"SUBJECT-{number}", word) for number in range(LEAST)] == [0] * LEAST
    assert shown(settings, ledger) == {}


def test_a_worker_tells_a_patient_s_word_once_and_a_project_may_have_none(
    settings: Settings, arrivals: Arrivals
) -> None:
    worker = Sightings(settings)
    assert [arrivals.bring("SUBJECT-1", "xarbinotza", worker=worker) for _ in range(2)] == [1, 0]
    assert arrivals.bring("SUBJECT-2", "xarbinotza", worker=worker) == 1
    assert arrivals.bring("SUBJECT-1", "xarbinotza", project="bones", worker=worker) == 0
    assert arrivals.bring("", "xarbinotza", worker=worker) == 0


def test_the_ledger_has_no_word_in_clear_until_it_is_accepted(
    settings: Settings, ledger: Ledger, arrivals: Arrivals
) -> None:
    def stored() -> str:
        with sqlite3.connect(settings.data / "ledger.sqlite3") as raw:
            return "\n".join(raw.iterdump())

    for number in range(LEAST):
        arrivals.bring(f"SUBJECT-{number}", "xarbinotza", "zumbrilla")
    assert "xarbinotza" not in stored()
    assert b"xarbinotza".hex() not in stored().lower()
    decide(settings, ledger, "lungs", ["zumbrilla"], state=WordState.REJECTED, actor="dpo", because="unclear")
    assert "zumbrilla" not in stored()
    decide(settings, ledger, "lungs", ["Xarbinotza"], state=WordState.ACCEPTED, actor="dpo", because="a ward's test")
    assert "xarbinotza" in stored()
    assert shown(settings, ledger) == {"xarbinotza": WordState.ACCEPTED, "zumbrilla": WordState.REJECTED}
    trail = [tuple(map(record.text, ("action", "subject", "actor"))) for record in ledger.audit.trail()]
    assert trail == [(AuditAction.WORDS_REJECTED, "lungs", "dpo"), (AuditAction.WORDS_ACCEPTED, "lungs", "dpo")]


def test_what_is_decided_is_not_proposed_again(settings: Settings, ledger: Ledger, arrivals: Arrivals) -> None:
    for number in range(LEAST):
        arrivals.bring(f"SUBJECT-{number}", "zumbrilla")
    decide(settings, ledger, "lungs", ["zumbrilla"], state=WordState.REJECTED, actor="dpo", because="")
    for number in range(2 * LEAST):
        arrivals.bring(f"OTHER-{number}", "zumbrilla")
    assert shown(settings, ledger) == {"zumbrilla": WordState.REJECTED}


def test_an_accepted_word_stays_in_that_project_under_another_digest(
    settings: Settings, ledger: Ledger, arrivals: Arrivals
) -> None:
    before = activate_profiles(settings, ledger.vocabulary.accepted())
    for number in range(LEAST):
        arrivals.bring(f"SUBJECT-{number}", "xarbinotza")
    decide(settings, ledger, "lungs", ["xarbinotza"], state=WordState.ACCEPTED, actor="dpo", because="")
    after = activate_profiles(settings, ledger.vocabulary.accepted())

    def left(programs: object, project: str) -> str | None:
        assert isinstance(programs, dict)
        return Cleaner(programs[project], Context()).text(DESCRIPTION, b"LO", "TORAX XARBINOTZA")

    assert left(dict(before), "lungs") == "TORAX"
    assert left(dict(after), "lungs") == "TORAX XARBINOTZA"
    assert left(dict(after), "bones") == "TORAX"
    assert before["lungs"].digest != after["lungs"].digest
    assert before["bones"].digest == after["bones"].digest
    # the same words, the same program: on any node, after any start
    assert activate_profiles(settings, ledger.vocabulary.accepted())["lungs"].digest == after["lungs"].digest


def test_a_word_that_was_not_proposed_cannot_be_decided_on(settings: Settings, ledger: Ledger) -> None:
    with pytest.raises(ConfigurationError, match="word 1 was not proposed") as refused:
        decide(settings, ledger, "lungs", ["garcia"], state=WordState.ACCEPTED, actor="dpo", because="")
    assert "garcia" not in str(refused.value)
    assert list(ledger.audit.trail()) == []


def test_a_sealed_word_opens_only_with_its_key_at_its_place(
    settings: Settings, ledger: Ledger, arrivals: Arrivals
) -> None:
    for number in range(LEAST):
        arrivals.bring(f"SUBJECT-{number}", "xarbinotza")
    (word,) = ledger.vocabulary.words("lungs")
    key, other = VocabularyKey(SECRET.encode(), "lungs"), VocabularyKey(b"another secret of thirty-two byte", "lungs")
    assert word_of([other, key], word) == "xarbinotza"
    assert word_of([other], word) is None
    assert VocabularyKey(SECRET.encode(), "bones").open(word) is None
    assert key.open(replace(word, token="0" * 32)) is None


def test_the_cleaner_tells_words_that_nobody_knows(settings: Settings) -> None:
    cleaner = Cleaner(activate_profiles(settings)["lungs"], Context(names=frozenset(("garcia",))))
    cleaner.text(DESCRIPTION, b"LO", "TORAX XARBINOTZA GARCIA 4471823")
    assert cleaner.unknown == {"xarbinotza"}


@pytest.mark.parametrize(("word", "name"), [("garcia", True), ("nguyen", True), ("torax", False), ("derrame", False)])
def test_names_of_many_are_known(word: str, *, name: bool) -> None:
    assert is_name(word) is name


def test_the_command(
    settings: Settings,
    ledger: Ledger,
    arrivals: Arrivals,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["gateway", "vocabulary", *arguments, "--project", "lungs"])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capsys.readouterr()
        try:
            main()
        except SystemExit as ended:
            return ended.code or 0, capsys.readouterr().out
        return 0, capsys.readouterr().out

    assert run("list") == (0, "no words\n")
    for number in range(LEAST):
        arrivals.bring(f"SUBJECT-{number}", "xarbinotza", "zumbrilla")
    code, out = run("list")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [
        ["xarbinotza", "proposed", "3"],
        ["zumbrilla", "proposed", "3"],
    ] or {line.split()[0] for line in out.splitlines()[1:]} == {"xarbinotza", "zumbrilla"}
    assert run("accept", "xarbinotza", "--because", "a ward's test")[0] == 0
    assert run("reject", "zumbrilla")[0] == 0
    assert run("list") == (0, "no words\n")
    assert {line.split()[0] for line in run("list", "--all")[1].splitlines()[1:]} == {"xarbinotza", "zumbrilla"}
    assert run("accept", "garcia")[0] == 2
    assert settings.projects["lungs"].propose_words == LEAST
