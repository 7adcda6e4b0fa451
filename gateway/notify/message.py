"""A message: what happened, how often, since when. Without identity.

What it holds: events and codes of the gateway, names of the configuration, counts, moments, numbers of instances in the
ledger; new Patient IDs and Study Instance UIDs only where they were asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from gateway.ledger.tally import Tally, moment
from gateway.settings.notification_settings import Event

__all__ = ["Message"]

#: Event -> singular and plural of what is counted, and what happened to it.
_WORDS: Final[Mapping[Event, tuple[str, str, str]]] = {
    Event.STUDY_COMPLETE: ("study", "studies", "complete"),
    Event.HELD: ("instance", "instances", "held"),
    Event.DELIVERY_DEAD: ("delivery", "deliveries", "given up"),
    Event.DESTINATION_DOWN: ("time", "times", "destination down"),
    Event.DESTINATION_UP: ("time", "times", "destination up again"),
    Event.DISK_LOW: ("time", "times", "disk low"),
    Event.PROFILE_REFUSED: ("time", "times", "profile refused"),
}
#: What to do.
_ACTIONS: Final[Mapping[Event, str]] = {
    Event.STUDY_COMPLETE: "Nothing is to be done.",
    Event.HELD: "See `gateway held list`.",
    Event.DELIVERY_DEAD: "See `gateway deliveries list --state dead`.",
    Event.DESTINATION_DOWN: "See `gateway destinations test`. Deliveries wait, and go on by themselves.",
    Event.DESTINATION_UP: "Nothing is to be done: what waited is on its way.",
    Event.DISK_LOW: "Free space or enlarge the disk before instances are refused.",
    Event.PROFILE_REFUSED: "See `gateway config check`; the profile that was active last goes on.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message.

    Attributes
    ----------
    id
        the same when it is sent again
    event
        what happened; empty for a trial
    project
        whose it is; empty for what concerns no project alone
    text
        a sentence for people
    action
        what to do
    body
        what programs read, the text among it
    """

    id: str
    event: str
    project: str
    text: str
    action: str
    body: Mapping[str, Any]

    @classmethod
    def of(cls, tally: Tally, *, id: str, event: Event, project: str, more: bool) -> Self:  # noqa: A002 - its name
        """What is told of a tally.

        Parameters
        ----------
        tally
            what has happened
        id
            of the message
        event, project
            what happened, and to whom it belongs
        more
            whether there was a message of this event and project before
        """
        text = _text(tally, event=event, project=project, more=more)
        body = {
            "id": id,
            "event": event.value,
            "project": project or None,
            "count": tally.count,
            "since": moment(tally.since),
            "until": moment(tally.until),
            "text": text,
            "action": _ACTIONS[event],
            "codes": dict(sorted(tally.codes.items())),
            "destinations": dict(sorted(tally.destinations.items())),
            "series": len(tally.series) or None,
            "instances": tally.instances,
            **({"studies": tally.studies} if tally.studies else {}),
            **({"patients": tally.patients} if tally.patients else {}),
        }
        return cls(id=id, event=event.value, project=project, text=text, action=_ACTIONS[event], body=body)

    @classmethod
    def trial(cls, *, name: str, now: datetime) -> Self:
        """The message of ``gateway notify test``."""
        text = f"This is a trial: the gateway can tell {name}."
        action = "Nothing is to be done."
        id_ = f"{name}/test/{now.timestamp():.0f}"
        body = {
            "id": id_, "event": "test", "project": None, "count": 1, "since": moment(now), "until": moment(now),
            "text": text, "action": action,
        }  # fmt: skip
        return cls(id=id_, event="test", project="", text=text, action=action, body=body)

    @classmethod
    def of_json(cls, body: Mapping[str, Any]) -> Self:
        """As the ledger keeps its body."""
        return cls(
            id=body["id"],
            event=body["event"],
            project=body["project"] or "",
            text=body["text"],
            action=body["action"],
            body=dict(body),
        )

    def encoded(self) -> bytes:
        """The body as it is sent and signed."""
        return json.dumps(self.body, ensure_ascii=False, sort_keys=True).encode()


def _text(tally: Tally, *, event: Event, project: str, more: bool) -> str:
    one, many, happened = _WORDS[event]
    again = " more" if more else ""
    where = f" in project {project}" if project else ""
    since = "" if tally.since is None else f" since {tally.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if one == "time":
        # What happens to a thing is told of the thing.
        what = happened + (f" {tally.count}{again} times" if tally.count > 1 else "")
    else:
        series = f" of {len(tally.series)} series" if len(tally.series) > 1 else ""
        what = f"{tally.count}{again} {one if tally.count == 1 else many}{series} {happened}"
    details = [*_counted(tally.destinations, single=tally.count == 1), *_counted(tally.codes, single=tally.count == 1)]
    return f"{what}{where}{since}" + (f": {', '.join(details)}" if details else "") + "."


def _counted(counter: Counter[str], *, single: bool) -> Sequence[str]:
    return [name if single or len(counter) == 1 else f"{name} {count}" for name, count in counter.most_common(10)]
