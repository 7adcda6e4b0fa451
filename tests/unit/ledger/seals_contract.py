"""Who can write to the database cannot do so unnoticed: receipts, triggers and the tails of chains. On any database."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import sqlalchemy as sa

from gateway.audit import AuditAction, AuditEntry
from gateway.custody.sealing import Sealer, broken_seals, guard_trail, missing_from_log
from gateway.deid import ProjectKey
from gateway.ledger import AUDIT, DeliveryResult, InstanceState, Ledger, chain_of
from gateway.ledger.audit_trail import verify_trail
from gateway.ledger.chain import digest_of, facts_of, link_document
from gateway.ledger.schema import APPEND_ONLY
from tests.unit.ledger.build import at, bring, claim, deidentified, finish, received, take

KEYS = {AUDIT: (ProjectKey(b"g" * 32),), chain_of("lungs"): (ProjectKey(b"l" * 32),)}


def entry(number: int) -> AuditEntry:
    return AuditEntry(actor="somebody", action=AuditAction.KEY_CHANGED, subject=f"entry {number}")


def delivered(ledger: Ledger, count: int) -> None:
    """So many instances, each confirmed with a receipt."""
    ledger.instances.record([received(n) for n in range(1, count + 1)], now=at(0))
    finish(ledger, *(deidentified(one.instance_id) for one in claim(ledger)))
    results = [
        DeliveryResult(
            delivery_id=one.delivery_id,
            state="confirmed",
            receipt={"project": "lungs", "instance": one.instance_id, "delivery": one.delivery_id},
        )
        for one in take(ledger)
    ]
    ledger.deliveries.record("deliverer", results, now=at(1))


def run(ledger: Ledger, *statements: str, **values: object) -> None:
    """As somebody does who can write to the database."""
    with ledger._database.engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement), values)


def without_guards(ledger: Ledger) -> None:
    dialect = ledger._database.dialect
    on = " ON audit" if dialect == "postgresql" else ""
    names = re.findall(r"CREATE TRIGGER (\w+)", " ".join(APPEND_ONLY[dialect]))
    run(ledger, *(f"DROP TRIGGER {name}{on}" for name in names))


def rewrite_tail(ledger: Ledger, first: int) -> None:
    """Write the audit trail anew from a number on, with digests that fit."""
    without_guards(ledger)
    previous = ""
    for record in list(ledger.audit.trail()):
        document, digest = record.document, record.digest
        if record.number >= first:
            facts = dict(facts_of(record.document) or {})
            facts["actor"] = "somebody else"
            document = link_document(facts, number=record.number, previous=previous)
            digest = digest_of(document)
            run(
                ledger,
                "UPDATE audit SET document = :document, digest = :digest WHERE number = :number",
                document=document, digest=digest, number=record.number,
            )  # fmt: skip
        previous = digest
    run(ledger, "UPDATE audit_chain SET digest = :digest", digest=previous)
    ledger.seals.restore_guards()


class SealsContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_p3_each_confirmation_has_its_receipt(self, ledger: Ledger) -> None:
        delivered(ledger, 3)
        assert ledger.accounts.draw().problems == ()
        # What was confirmed without one, as some were before there were receipts, is counted.
        bring(ledger, InstanceState.DELIVERED, 4)
        assert ledger.accounts.draw().problems == ()

    @pytest.mark.parametrize(
        ("statements", "says"),
        [
            # The last receipt is removed, and the end of the chain fits.
            (
                (
                    "DELETE FROM receipts WHERE number = 3",
                    "UPDATE receipt_chains SET number = 2, digest = (SELECT digest FROM receipts WHERE number = 2)",
                ),
                "project lungs: 2 receipts, but 3 confirmations should have one",
            ),
            # One is invented for a delivery that nobody has confirmed.
            (
                (
                    (
                        "INSERT INTO receipts (project, number, delivery_id, digest, document)"
                        " VALUES ('lungs', 4, (SELECT max(id) FROM deliveries), 'x', '{}')"
                    ),
                ),
                "1 receipts are of deliveries that were never confirmed (the first is number 4)",
            ),
            # A delivery is said to be confirmed, in the history as well.
            (
                (
                    "UPDATE deliveries SET state = 'confirmed' WHERE state = 'pending'",
                    (
                        "INSERT INTO history (instance_id, delivery_id, at, state_before, state_after, actor, code,"
                        " detail)"
                        " SELECT instance_id, id, 0, 'pending', 'confirmed', 'x', '', '' FROM deliveries"
                        " WHERE id = (SELECT max(id) FROM deliveries)"
                    ),
                    "UPDATE instances SET state = 'delivered' WHERE state = 'deidentified'",
                    (
                        "INSERT INTO history (instance_id, at, state_before, state_after, actor, code, detail)"
                        " SELECT max(id), 0, 'deidentified', 'delivered', 'x', '', '' FROM instances"
                    ),
                ),
                "project lungs: 3 receipts, but 4 confirmations should have one",
            ),
        ],
    )
    def test_p3_receipts_and_confirmations_that_do_not_belong_together(
        self, ledger: Ledger, statements: tuple[str, ...], says: str
    ) -> None:
        delivered(ledger, 3)
        bring(ledger, InstanceState.DEIDENTIFIED, 4)
        assert ledger.accounts.draw().problems == ()
        run(ledger, *statements)
        assert any(says in problem for problem in ledger.accounts.draw().problems), ledger.accounts.draw().problems

    def test_triggers_that_are_missing_are_noticed_and_put_back(self, ledger: Ledger) -> None:
        ledger.audit.write(entry(1))
        assert ledger.seals.missing_guards() == []
        guard_trail(ledger, KEYS)
        assert len(list(ledger.audit.trail())) == 1  # nothing to tell
        without_guards(ledger)
        assert ledger.seals.missing_guards()
        guard_trail(ledger, KEYS)
        assert ledger.seals.missing_guards() == []
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            run(ledger, "DELETE FROM audit")
        *_, told = ledger.audit.trail()
        assert told.text("action") == "tampering-noticed"
        assert "triggers" in told.facts["problem"]

    def test_triggers_that_do_nothing_are_noticed(self, ledger: Ledger) -> None:
        if ledger._database.dialect == "sqlite":
            run(
                ledger,
                "DROP TRIGGER audit_keeps_rows",
                "CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT 1; END",
            )
        else:
            run(ledger, "ALTER TABLE audit DISABLE TRIGGER audit_keeps")
        assert len(ledger.seals.missing_guards()) == 1
        ledger.seals.restore_guards()
        assert ledger.seals.missing_guards() == []
        if ledger._database.dialect == "postgresql":
            run(
                ledger,
                "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql"
                " AS 'BEGIN RETURN OLD; END'",
            )
            assert ledger.seals.restore_guards() == ["audit_keeps"]
            assert ledger.seals.missing_guards() == []

    def test_a_tail_that_was_written_anew_shows(self, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
        delivered(ledger, 2)
        for number in range(1, 4):
            ledger.audit.write(entry(number))
        sealer = Sealer(ledger, KEYS)
        assert sealer.seal(now=at(1)) == 2
        assert sealer.seal(now=at(2)) == 0  # nothing has grown
        ledger.audit.write(entry(4))
        # Another gateway's life goes on where this one ended.
        assert Sealer(ledger, KEYS).seal(now=at(3)) == 1
        told = capsys.readouterr().out.splitlines()
        assert list(broken_seals(ledger, KEYS)) == []
        assert list(missing_from_log(ledger, told)) == []

        rewrite_tail(ledger, 2)
        assert list(verify_trail(ledger.audit.trail(), ledger.audit.end())) == []  # the chain alone does not tell
        assert [problem.partition(" at ")[0] for problem in broken_seals(ledger, KEYS)] == [
            "audit: number 3 is not what it was when it was sealed",
            "audit: number 4 is not what it was when it was sealed",
        ]
        # Without its seals the log still knows.
        run(ledger, "DELETE FROM chain_seals WHERE chain = 'audit'")
        assert list(broken_seals(ledger, KEYS)) == []
        assert len(list(missing_from_log(ledger, told))) == 2
        guard_trail(ledger, KEYS)

    def test_a_tail_that_was_cut_off_shows(self, ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
        delivered(ledger, 3)
        Sealer(ledger, KEYS).seal(now=at(1))
        told = capsys.readouterr().out.splitlines()
        run(ledger, "DELETE FROM receipts WHERE number = 3", "UPDATE receipt_chains SET number = 2")
        assert [problem.partition(" is ")[0] for problem in broken_seals(ledger, KEYS)] == ["receipts:lungs: number 3"]
        run(ledger, "DELETE FROM chain_seals")
        (problem,) = missing_from_log(ledger, told)
        assert problem.startswith("receipts:lungs: the log knows another number 3")

    @pytest.mark.parametrize(
        ("statement", "says"),
        [
            ("UPDATE chain_seals SET digest = 'x' WHERE number = 1", "the seal of number 1 was changed"),
            (
                "DELETE FROM chain_seals WHERE number = 1",
                "the seal of number 2 was changed, or one before",
            ),
            ("UPDATE chain_seals SET key_id = 'x' WHERE number = 2", "number 2 was sealed by a key that is not there"),
        ],
    )
    def test_seals_that_were_changed_show(self, ledger: Ledger, statement: str, says: str) -> None:
        sealer = Sealer(ledger, KEYS)
        for number in (1, 2, 3):
            ledger.audit.write(entry(number))
            sealer.seal(now=at(number))
        assert list(broken_seals(ledger, KEYS)) == []
        run(ledger, statement)
        assert any(says in problem for problem in broken_seals(ledger, KEYS))

    def test_another_key_seals_what_comes_and_vouches_for_what_was(self, ledger: Ledger) -> None:
        ledger.audit.write(entry(1))
        Sealer(ledger, KEYS).seal(now=at(1))
        rotated: Mapping[str, tuple[ProjectKey, ...]] = {AUDIT: (ProjectKey(b"n" * 32), *KEYS[AUDIT])}
        ledger.audit.write(entry(2))
        Sealer(ledger, rotated).seal(now=at(2))
        assert list(broken_seals(ledger, rotated)) == []
        assert len({seal.key_id for seal in ledger.seals.read()}) == 2
        # The last ones alone, as at start, say no more than they know.
        assert list(broken_seals(ledger, rotated, newest=1)) == []
