"""``gateway vocabulary``: words of the house that descriptors lose, proposed by the gateway, decided on by a person."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from gateway.audit import acting_person
from gateway.cli.ledger import opened_ledger
from gateway.cli.shared_options import ConfigFile
from gateway.cli.tables import print_table, say
from gateway.ledger.site_words import WordState
from gateway.settings.configuration import load_settings

vocabulary = typer.Typer(help="Words of the house that cleaned descriptors lose.", no_args_is_help=True)

_Project = Annotated[str, typer.Option(help="Whose words.")]
_Words = Annotated[list[str], typer.Argument(help="Words that `gateway vocabulary list` shows.")]
_Because = Annotated[str, typer.Option(help="Why; goes into the audit trail.")]


@vocabulary.command("list")
def list_words(
    *,
    project: _Project,
    state: Annotated[WordState | None, typer.Option(help="Only this state.")] = WordState.PROPOSED,
    every: Annotated[bool, typer.Option("--all", help="Of any state.")] = False,
    config: ConfigFile = None,
) -> None:
    """List words that many patients' texts have and no list of names: candidates, the newest first."""
    from gateway.treatment.site_vocabulary import proposed_words

    settings = load_settings(config, os.environ)
    with opened_ledger(config) as ledger:
        words = proposed_words(settings, ledger, project)
    rows = [
        (
            one.text or f"(sealed with a secret that is gone, {one.word.token})",
            one.word.state.value,
            str(one.word.patients),
            f"{one.word.proposed_at:%Y-%m-%d}",
        )
        for one in words
        if every or one.word.state is state
    ]
    if not rows:
        say("no words")
        return
    print_table(("word", "state", "patients", "since"), rows)


@vocabulary.command()
def accept(words: _Words, *, project: _Project, because: _Because = "", config: ConfigFile = None) -> None:
    """Let the cleaner of the project keep words from the next start or reload (SIGHUP) on."""
    count = _decide(words, project, because, state=WordState.ACCEPTED, config=config)
    say(f"{count} words are accepted; they count from the next start or reload of the gateway on")


@vocabulary.command()
def reject(words: _Words, *, project: _Project, because: _Because = "", config: ConfigFile = None) -> None:
    """Never propose words again; what was accepted is taken back."""
    say(f"{_decide(words, project, because, state=WordState.REJECTED, config=config)} words are rejected")


def _decide(words: list[str], project: str, because: str, *, state: WordState, config: ConfigFile) -> int:
    from gateway.treatment.site_vocabulary import decide

    settings = load_settings(config, os.environ)
    with opened_ledger(config) as ledger:
        return decide(settings, ledger, project, words, state=state, actor=acting_person(), because=because)
