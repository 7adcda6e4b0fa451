"""Breaks one mechanism of the gateway, so that the tests of the promise that rests on it have to fail.

A plugin of pytest (``-p tests.sabotage``), of ``tests.sabotaged`` and of ``tests.crash.entry``: the environment
variable ``SABOTAGE`` names what is broken, in the tests' own process, in the gateways that they start and in those
under torture. ``scripts/check-promises`` goes through all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

_VARIABLE: Final = "SABOTAGE"


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A mechanism that is broken, and what has to notice.

    Attributes
    ----------
    promise: number in the table of docs/reliability.md
    breaks: the mechanism, in words
    apply: breaks it in this process
    tests: pytest's arguments; without any, a gateway is tortured at ``points``
    points: names of points of tests.crash.points
    """

    promise: str
    breaks: str
    apply: Callable[[], None]
    tests: tuple[str, ...] = ()
    points: tuple[str, ...] = ()


def _replace(module: Any, name: str, value: Any) -> None:
    setattr(module, name, value)


def _no_flush() -> None:
    from gateway.spool import Durability, incoming

    # What the writer compares with: the strictest wish is taken for none.
    _replace(incoming, "Durability", SimpleNamespace(NONE=Durability.FULL, FULL=None))


def _no_rebuilding() -> None:
    from gateway.spool import Spool

    _replace(Spool, "names", lambda _spool: iter(()))


def _engine_of_straw() -> None:
    """De-identification leaves everything, and neither check on the output looks."""
    from dataclasses import replace

    from gateway.deid import Deidentifier
    from gateway.dicom.segments import FileRange
    from gateway.verify import Verifier

    apply = Deidentifier.apply

    def pass_on(self: Any, instance: Any, *arguments: Any, **named: Any) -> Any:
        output = apply(self, instance, *arguments, **named)
        return replace(output, segments=(FileRange(instance.path, 0, instance.path.stat().st_size),))

    _replace(Deidentifier, "apply", pass_on)
    _replace(Verifier, "check", lambda *_arguments, **_named: None)


def _errors_pass() -> None:
    from gateway.treatment.treatment import holding

    _replace(holding, "__exit__", lambda *_arguments: None)


def _a_destination_forgotten() -> None:
    from dataclasses import replace

    instances: Any = import_module("gateway.ledger.instances")
    create = instances.create_deliveries

    def forget(connection: Any, results: Any, **named: Any) -> None:
        create(connection, [replace(one, destinations=one.destinations[1:]) for one in results], **named)

    _replace(instances, "create_deliveries", forget)


def _every_status_is_success() -> None:
    from gateway.deliver.dicom_node.destination import DicomNodeDestination

    judged = DicomNodeDestination._judged
    _replace(DicomNodeDestination, "_judged", lambda self, _status: judged(self, 0))


def _failures_in_a_response_unread() -> None:
    from dataclasses import replace

    stow: Any = import_module("gateway.deliver.dicomweb.destination")
    read = stow.read_store_response

    def unread(body: bytes) -> Any:
        response = read(body)
        return None if response is None else replace(response, failed={})

    _replace(stow, "read_store_response", unread)


def _a_full_disk_unnoticed() -> None:
    from contextlib import contextmanager, suppress

    from gateway.spool.disk import Disk

    @contextmanager
    def ignore(*_arguments: Any, **_named: Any) -> Any:
        with suppress(OSError):
            yield

    _replace(Disk, "errors", ignore)


def _duplicates_unrecognised() -> None:
    from gateway.ledger import instances

    _replace(instances, "_standing", lambda *_arguments: {})


def _late_retries() -> None:
    from gateway.ledger import instances

    _replace(instances, "supersede", lambda *_arguments, **_named: None)


def _no_progress_asked() -> None:
    from gateway.association import transfer

    _replace(transfer.DataTransfer, "_keeps_pace", lambda *_arguments: True)


def _heads_unchecked() -> None:
    from gateway.receive import store

    _replace(store, "check_head", lambda *_arguments, **_named: None)


def _pixels_read() -> None:
    from gateway.dicom import instance

    def read(path: Path) -> bytes:
        return path.read_bytes()

    _replace(instance, "_map", read)


def _a_name_in_the_log() -> None:
    """Somebody logs a value of a data element under a name that is let through."""
    import structlog

    from gateway.treatment.treatment import Treatment

    admit = Treatment.admit

    def talk(self: Any, instance: Any, *arguments: Any) -> Any:
        structlog.get_logger("gateway").info("instance opened", detail=instance.text(0x00100010))
        return admit(self, instance, *arguments)

    _replace(Treatment, "admit", talk)


def _a_value_in_an_error() -> None:
    """The words of a library that evaluates a condition, which may quote values, go into an error's text."""
    from gateway.errors import RuleFailed
    from gateway.profile.condition import Condition

    def quoted(self: Any, failed: BaseException) -> RuleFailed:
        return RuleFailed(where=self._where, reason=str(failed))

    _replace(Condition, "_failed", quoted)


def _plain_keys_in_the_ledger() -> None:
    """Rows are found by values of data elements, and not by keyed tokens of them."""
    from gateway.deid import ProjectKey

    _replace(ProjectKey, "token", lambda _key, *parts: " ".join(parts))


def _any_name_is_logged() -> None:
    from gateway import log

    _replace(log, "_safe", lambda _name, value: value)


def _everybody_may_send() -> None:
    from gateway.receive.access import AccessRules

    _replace(AccessRules, "match", lambda self, **_named: self._sources[0])


def _one_that_starves_stops_all() -> None:
    from gateway.service.worker import Worker

    def give_up(_worker: Any, _claim: Any, error: Exception) -> float:
        raise error

    _replace(Worker, "_wait", give_up)


def _leases_run_out() -> None:
    """What was under way when the ledger failed waits until its lease ends."""
    from gateway.service.worker import Worker

    _replace(Worker, "_unfinished", property(lambda _worker: False, lambda _worker, _value: None))


def _leaks_unsearched() -> None:
    from gateway.verify.scan import Scanner

    _replace(Scanner, "hits", lambda *_arguments: [])


def _any_schema_will_do() -> None:
    from gateway.ledger import migrate
    from gateway.ledger.schema import SCHEMA_VERSION

    _replace(migrate, "_version", lambda _connection: SCHEMA_VERSION)


def _unlisted_text_unthought_of() -> None:
    """The basic profile leaves the attributes that the table does not list as they are."""
    from gateway.profile.program import Program

    action = Program.action

    def forget(self: Any, tag: int) -> Any:
        found = action(self, tag)
        return self.unlisted if found.origin.layer == "unlisted-attributes" else found

    _replace(Program, "action", forget)


def _what_stays_unlooked_at() -> None:
    from gateway.deid.guard import Guards

    _replace(Guards, "at", lambda *_arguments: None)


_LEDGER: Final = "tests/unit/ledger/test_ledger_sqlite.py"
_CANARY: Final = "tests/integration/test_privacy_canary.py"
_ONE_LIFE: Final = "tests/faults/test_one_life.py"

SABOTAGES: Final = {
    "no-flush": Sabotage("P1", "success before the bytes are flushed", _no_flush,
                         ("tests/unit/spool/test_spool.py", "-k", "p1_commit_syncs")),
    "no-rebuilding": Sabotage("P1", "rows that were lost are not made again", _no_rebuilding,
                              points=("before the row",) * 4),
    "engine-of-straw": Sabotage("P2", "outputs are the originals, and nobody looks", _engine_of_straw,
                                points=("verified",)),
    "errors-pass": Sabotage("P2", "an error of a rule or a codec does not hold", _errors_pass,
                            ("tests/unit/service/test_holding.py",)),
    "a-destination-forgotten": Sabotage("P3", "an output without all its deliveries", _a_destination_forgotten,
                                        (_LEDGER, "-k", "deliver")),
    "leases-run-out": Sabotage("P3", "what a database's restart interrupted waits", _leases_run_out,
                               ("tests/faults/test_postgresql.py",)),
    "every-status-is-success": Sabotage("P4", "a C-STORE status is taken for success", _every_status_is_success,
                                        ("tests/unit/deliver/test_dicom_node.py",)),
    "failures-unread": Sabotage("P4", "failures inside a STOW-RS response of 200", _failures_in_a_response_unread,
                                ("tests/unit/deliver/test_stow.py",)),
    "failures-unread-by-a-gateway": Sabotage("P4", "the same in a running gateway", _failures_in_a_response_unread,
                                             ("tests/faults/test_archive.py", "-k", "response")),
    "full-disk-unnoticed": Sabotage("P5", "an error of writing is not told", _a_full_disk_unnoticed,
                                    ("tests/unit/spool/test_spool.py", "-k", "p5")),
    "full-disk-unnoticed-by-a-gateway": Sabotage("P5", "the same in a running gateway", _a_full_disk_unnoticed,
                                                 (_ONE_LIFE, "-k", "full_disk")),
    "one-that-starves-stops-all": Sabotage("P5", "the queue waits for an instance without room",
                                           _one_that_starves_stops_all, (_ONE_LIFE, "-k", "finds_no_room")),
    "duplicates-unrecognised": Sabotage("P6", "a copy goes through again", _duplicates_unrecognised,
                                        (_LEDGER, "-k", "p6")),
    "late-retries": Sabotage("P6", "an old version is sent after its correction", _late_retries,
                             (_LEDGER, "-k", "correction or superseded")),
    "no-progress-asked": Sabotage("P7", "a sender may trickle for ever", _no_progress_asked,
                                  ("tests/unit/receive/test_transfer.py", "-k", "trickling", "--timeout=30")),
    "heads-unchecked": Sabotage("P7", "data sets that are none are taken", _heads_unchecked,
                                ("tests/unit/receive/test_transfer.py", "-k", "p7")),
    "pixels-read": Sabotage("P8", "files are read and not mapped", _pixels_read,
                            ("tests/unit/dicom/test_instance.py", "-k", "memory")),
    "a-name-in-the-log": Sabotage("P9", "a patient's name is logged", _a_name_in_the_log, (_CANARY,)),
    "a-value-in-an-error": Sabotage("P9", "a library's words in the text of an error", _a_value_in_an_error,
                                    (_CANARY,)),
    "plain-keys": Sabotage("P9", "UIDs in a column of the ledger", _plain_keys_in_the_ledger, (_CANARY,)),
    "any-name-is-logged": Sabotage("P9", "values with unknown names are logged", _any_name_is_logged,
                                   ("tests/unit/test_log.py",)),
    "everybody-may-send": Sabotage("P10", "the source of an association is not checked", _everybody_may_send,
                                   ("tests/integration/test_gateway.py", "-k", "configured_sources")),
    "leaks-unsearched": Sabotage("P11", "the leak scan is left out", _leaks_unsearched,
                                 ("tests/unit/verify/test_verifier.py",)),
    "any-schema": Sabotage("P12", "the schema's version is not looked at", _any_schema_will_do,
                           ("tests/unit/ledger/test_ledger_migrate.py",)),
    "unlisted-unthought-of": Sabotage("P13", "what the table does not list stays", _unlisted_text_unthought_of,
                                      ("tests/unit/deid/test_unlisted.py",)),
    "unlooked-at": Sabotage("P13", "what stays is not looked at", _what_stays_unlooked_at,
                            ("tests/unit/deid/test_unlisted.py",)),
}  # fmt: skip

if _VARIABLE in os.environ:
    SABOTAGES[os.environ[_VARIABLE]].apply()
