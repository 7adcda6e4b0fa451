"""Whose a study is: instances of one study that name two patients wait for a person.

Every worker says of each instance which patient its study belongs to, and who issued its Patient ID, in keyed tokens.
Where another instance said otherwise before, this one is held, and from then on every other instance of the study,
whichever of the two patients it names, until a person has rejected the wrong ones or let the right ones go on. What had
left before is not called back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.ledger.database import each_of, spelt
from gateway.ledger.records import DeidentifiedResult, HeldResult, Result
from gateway.ledger.schema import history, identities, instances
from gateway.ledger.states import InstanceState

__all__ = ["CONFLICTS", "claims_of", "lock_of", "one_patient"]

#: Project, kind, what -> whose it is -> the first instance that said so.
Claims: TypeAlias = "dict[tuple[str, str, str], dict[str, int]]"

#: Kind -> the code of a hold, and why.
CONFLICTS: Final = {
    "study": (
        "two-patients-in-study",
        "instances of its study name two patients: reject those that are wrong, then release the others",
    ),
    "patient-id": (
        "two-issuers-of-patient-id",
        "its Patient ID came from another issuer before: say issuers: distinct in the profile if these are two people",
    ),
}
_STANDING: Final = (
    sa.select(identities)
    .outerjoin(instances, instances.c.id == identities.c.instance_id)
    .where(
        identities.c.project == sa.bindparam("of_project"),
        identities.c.what.in_(each_of("things", sa.Text())),
        # What an instance has said stays when its row leaves, but for one that was rejected.
        sa.or_(instances.c.id.is_(None), instances.c.state != InstanceState.REJECTED),
    )
)
_CLAIM: Final = spelt(
    lambda insert: (said := insert(identities)).on_conflict_do_update(
        index_elements=["project", "kind", "what", "whose"], set_={"instance_id": said.excluded.instance_id}
    )
)
_HELD_BEFORE: Final = (
    sa.select(history.c.instance_id)
    .where(history.c.instance_id == sa.bindparam("of_instance"), history.c.code == sa.bindparam("of_code"))
    .limit(1)
)


def lock_of(result: Result) -> Iterable[int]:
    """Signed 64-bit numbers for what a result says of patients: two workers that finish one study see each other."""
    if isinstance(result, DeidentifiedResult):
        for kind, what, _ in result.identities:
            text = f"{result.project}\0{kind}\0{what}"
            yield int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), signed=True)


def claims_of(connection: Connection, results: Sequence[Result]) -> Claims:
    """What instances that were not rejected have said of what ``results`` speak of."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for result in results:
        if isinstance(result, DeidentifiedResult):
            wanted[result.project].update(what for _, what, _ in result.identities)
    claims: Claims = {}
    for project, things in wanted.items():
        if things:
            for row in connection.execute(_STANDING, {"of_project": project, "things": sorted(things)}):
                claims.setdefault((project, row.kind, row.what), {})[row.whose] = row.instance_id
    return claims


def one_patient(connection: Connection, result: DeidentifiedResult, claims: Claims) -> DeidentifiedResult | HeldResult:
    """``result``, or why its instance is held; what it says is recorded, and ``claims`` learns of it.

    An instance that was held for the same before, and that a person let go on, goes on.
    """
    held: HeldResult | None = None
    for kind, what, whose in result.identities:
        said = claims.setdefault((result.project, kind, what), {})
        if whose not in said:
            said[whose] = result.instance_id
            row = {"project": result.project, "kind": kind, "what": what, "whose": whose}
            statement = _CLAIM[connection.dialect.name]
            connection.execute(statement, {**row, "instance_id": result.instance_id})
        if len(said) > 1 and held is None:
            code, detail = CONFLICTS[kind]
            before = {"of_instance": result.instance_id, "of_code": code}
            if connection.execute(_HELD_BEFORE, before).first() is None:
                held = HeldResult(
                    instance_id=result.instance_id,
                    project=result.project,
                    code=code,
                    detail=detail,
                    sop_key=result.sop_key,
                    content_key=result.content_key,
                )
    return held or result
