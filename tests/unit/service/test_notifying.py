"""Telling people: by the ledger's messages, to receivers that take them, do not, or end in the middle."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.ledger import Ledger
from gateway.ledger.notices import Occurrence
from gateway.ledger.tally import Tally
from gateway.metrics import Metrics
from gateway.notify import Message, NotifyFailed
from gateway.service.conditions import Conditions
from gateway.service.notifying import Teller, Wishes
from gateway.settings.configuration import Settings, load_settings
from gateway.settings.notification_settings import Event
from tests.unit.ledger.build import START, at
from tests.unit.ledger.notices_contract import hold

SECRET = "a-secret-that-nobody-guesses-0123456789"
CONFIGURATION = """
projects:
  chest: {destinations: [archive]}
  brain: {destinations: [vault]}
routes: [{project: chest, source: pacs}, {project: brain}]
sources: {pacs: {calling_ae: PACS}, other: {calling_ae: OTHER}}
destinations: {archive: {type: folder, path: archive}, vault: {type: folder, path: vault}}
notifications:
  desk: {type: webhook, url: "http://127.0.0.1:9/", secret: "${HOOK_SECRET}", pseudonyms: true}
  chest-team:
    type: webhook
    url: http://127.0.0.1:9/
    secret: ${HOOK_SECRET}
    projects: [chest]
    events: [held, study-complete, destination-down]
"""


@dataclass
class Receiver:
    """Somebody who is told, and may not take it."""

    name: str = "desk"
    taken: list[Message] = field(default_factory=list)
    failing: str = ""
    dies: bool = False

    def send(self, message: Message) -> None:
        if self.failing:
            raise NotifyFailed(notifier=self.name, reason="x", reason_code=self.failing)
        self.taken.append(message)
        if self.dies:
            raise KeyboardInterrupt


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "gateway.yaml"
    path.write_text(CONFIGURATION)
    return load_settings(path, {"GATEWAY_DATA": str(tmp_path / "data"), "HOOK_SECRET": SECRET})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    wanted = [event.value for event in Event]
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite3", wanted=wanted) as opened:
        yield opened


def teller(settings: Settings, ledger: Ledger, receiver: Receiver, metrics: Metrics | None = None) -> Teller:
    assert settings.notifications is not None
    child = cast("Any", SimpleNamespace(stopping=threading.Event()))
    one = settings.notifications["desk"]
    return Teller(receiver, one, ledger=ledger, metrics=metrics or Metrics(), child=child)


def sum_up(settings: Settings, ledger: Ledger) -> None:
    ledger.notices.sum_up(Wishes(settings, identified=[]).of)


def occurrence(**changes: Any) -> Occurrence:
    one = Occurrence(
        event="held",
        at=START,
        project="chest",
        destination="",
        code="x",
        instance_id=1,
        series="",
        study="",
        patient="",
    )
    return replace(one, **changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, {"desk", "chest-team"}),
        ({"project": "brain"}, {"desk"}),
        ({"project": ""}, {"desk", "chest-team"}),  # of no project yet: it may be anybody's
        ({"event": "delivery-dead"}, {"desk"}),  # the team did not ask for it
        ({"event": "study-complete"}, {"chest-team"}),  # the desk did not, by default
        ({"event": "destination-down", "project": "", "destination": "archive"}, {"desk", "chest-team"}),
        ({"event": "destination-down", "project": "", "destination": "vault"}, {"desk"}),  # no way of the team's
        ({"event": "destination-down", "project": "", "destination": "gone"}, {"desk"}),
        ({"event": "disk-low", "project": ""}, {"desk"}),
    ],
)
def test_who_is_told_of_what(settings: Settings, changes: dict[str, Any], told: set[str]) -> None:
    wishes = Wishes(settings, identified=[])
    assert {want.notifier for want in wishes.of(occurrence(**changes))} == told


def test_pseudonyms_are_told_to_who_asks_and_never_of_identified_outputs(settings: Settings) -> None:
    def names(identified: list[str], project: str) -> dict[str, bool]:
        wants = Wishes(settings, identified=identified).of(occurrence(project=project))
        return {want.notifier: want.names for want in wants}

    assert names([], "chest") == {"desk": True, "chest-team": False}
    assert names(["chest"], "chest") == {"desk": False, "chest-team": False}
    assert names(["chest"], "brain") == {"desk": True}


def test_what_is_held_is_told_once(settings: Settings, ledger: Ledger) -> None:
    receiver = Receiver()
    telling = teller(settings, ledger, receiver)
    hold(ledger, *range(3))
    sum_up(settings, ledger)
    assert telling.send_next(at(11))
    assert not telling.send_next(at(10**9))
    (message,) = receiver.taken
    assert message.body["count"] == 3
    assert message.text == "3 instances held in project lungs since 2026-01-01 12:00 UTC: rule-failed."


def test_a_burst_is_two_messages_and_says_how_many_more(settings: Settings, ledger: Ledger) -> None:
    receiver = Receiver()
    telling = teller(settings, ledger, receiver)
    hold(ledger, 1)
    sum_up(settings, ledger)
    assert telling.send_next(datetime.now(START.tzinfo))
    hold(ledger, *range(100, 137))
    sum_up(settings, ledger)
    soon = datetime.now(START.tzinfo)
    assert not telling.send_next(soon + timedelta(seconds=890))
    assert telling.send_next(soon + timedelta(seconds=910))
    assert [message.body["count"] for message in receiver.taken] == [1, 37]
    assert receiver.taken[1].text.startswith("37 more instances held in project lungs since ")
    assert len({message.id for message in receiver.taken}) == 2


def test_a_receiver_that_is_down_is_told_everything_later(settings: Settings, ledger: Ledger) -> None:
    receiver, metrics = Receiver(failing="unreachable"), Metrics()
    telling = teller(settings, ledger, receiver, metrics)
    hold(ledger, 1)
    sum_up(settings, ledger)
    now, tries = at(11), 0
    while now < at(6 * 3600):
        tries += not telling.send_next(now)
        now += timedelta(seconds=60)
    failed = metrics.registry.get_sample_value(
        "gateway_notifications_failed_total", {"notifier": "desk", "reason": "unreachable"}
    )
    # It is asked seldom in the end: at least every half an hour.
    assert failed is not None
    assert 12 <= failed <= 22
    assert metrics.registry.get_sample_value("gateway_notifier_up", {"notifier": "desk"}) == 0
    hold(ledger, *range(100, 150))
    sum_up(settings, ledger)
    receiver.failing = ""
    assert telling.send_next(now + timedelta(hours=1))
    assert telling.send_next(datetime.now(START.tzinfo) + timedelta(hours=1))
    assert [message.body["count"] for message in receiver.taken] == [1, 50]
    assert metrics.registry.get_sample_value("gateway_notifier_up", {"notifier": "desk"}) == 1


def test_killed_after_it_was_sent_one_message_comes_twice_and_says_so(settings: Settings, ledger: Ledger) -> None:
    receiver = Receiver(dies=True)
    hold(ledger, 1, 2)
    sum_up(settings, ledger)
    with pytest.raises(KeyboardInterrupt):
        teller(settings, ledger, receiver).send_next(at(11))
    receiver.dies = False
    hold(ledger, 3)
    sum_up(settings, ledger)
    again = teller(settings, ledger, receiver)
    assert again.send_next(at(60))
    first, second = receiver.taken
    # The same to the byte: what came meanwhile is of the next message.
    assert first.encoded() == second.encoded()
    assert again.send_next(datetime.now(START.tzinfo) + timedelta(hours=1))
    assert receiver.taken[2].body["count"] == 1


def test_no_message_holds_what_was_not_asked_for() -> None:
    tally = Tally()
    tally.add(at=START, code="x", instance=7)
    body = Message.of(tally, id="1", event=Event.HELD, project="chest", more=False).body
    assert "studies" not in body
    assert "patients" not in body
    assert json.loads(json.dumps(body)) == body


@pytest.mark.parametrize("event", Event)
def test_every_event_has_words(event: Event) -> None:
    tally = Tally()
    tally.add(at=START, code="some-code", destination="archive")
    one = Message.of(tally, id="1", event=event, project="chest", more=False)
    tally.add(at=START + timedelta(hours=1), code="some-code", destination="archive")
    two = Message.of(tally, id="1", event=event, project="chest", more=True)
    assert "since 2026-01-01 12:00 UTC: archive, some-code." in one.text
    assert "2 more" in two.text
    assert one.action.endswith(".")


def test_conditions_wait_for_the_ledger_and_keep_nobody_waiting(settings: Settings, ledger: Ledger) -> None:
    conditions = Conditions(ledger)
    conditions.destination("archive", "")
    conditions.destination("archive", "credentials")
    conditions.destination("archive", "credentials")
    conditions.disk("spool", low=True)
    conditions.profiles(refused=False)
    conditions.profiles(refused=True)
    conditions.destination("archive", "")
    conditions.stop()
    receiver = Receiver()
    sum_up(settings, ledger)
    telling = teller(settings, ledger, receiver)
    while telling.send_next(datetime.now(START.tzinfo) + timedelta(minutes=1)):
        pass
    texts = {message.event: message.text for message in receiver.taken}
    assert set(texts) == {"destination-down", "destination-up", "disk-low", "profile-refused"}
    assert texts["destination-down"].startswith("destination down since ")
    assert texts["destination-down"].endswith(": archive, credentials.")
    assert texts["disk-low"].endswith(": spool.")
