"""The last look at an output before it may leave."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gateway.dicom.instance import Instance
from gateway.dicom.segments import Segment
from gateway.errors import LeakSuspected
from gateway.profile import Program, Verb
from gateway.verify.assertion import Assertion
from gateway.verify.fold import squash
from gateway.verify.harvest import Finding, Harvest, harvest
from gateway.verify.identifying import Kind
from gateway.verify.needle import Needle, needles
from gateway.verify.output import read_output
from gateway.verify.scan import Scanner

#: UIDs that stand for no instance: the gateway's own dummy.
_DUMMY_UIDS: Final = frozenset(("2.25.0",))


class Verifier:
    """Verifies outputs of one program against their originals (promises P2, P11).

    Parameters
    ----------
    program: what the outputs must honour. Values of attributes that one of its rules keeps are not searched for, and
        neither are equal values of other attributes: they are known to stay.
    """

    def __init__(self, program: Program) -> None:
        self._kept = frozenset(tag for tag, action in program.actions.items() if action.verb is Verb.KEEP)
        # A shifted date meets another original date by chance; only dates of birth stay worth searching then.
        self._ignored = frozenset((Kind.DATE,)) if program.dates == "MODIFIED" else frozenset()
        self._assertion = Assertion(program)
        self._scanner = Scanner(program)

    def check(self, instance: Instance, output: Sequence[Segment]) -> None:
        """Verify ``output``, the whole Part 10 file that was made of ``instance``.

        Raises
        ------
        LeakSuspected: an identifying value of the original is found anywhere outside pixel data, or the program was
            not carried out; the facts name elements and kinds of values, never values
        InstanceError: the output cannot be read back
        SpoolCorrupt: a file is shorter than a segment of it
        """
        found = read_output(instance, output)
        self._assertion.check(instance, found)
        harvested = harvest(instance)
        hits = self._scanner.hits(found, instance.buffer, self._needles(harvested), self._uids(harvested))
        if hits:
            others = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
            raise LeakSuspected(
                where=hits[0].where, reason=f"kind {hits[0].kind}{others}", hits=tuple(str(hit) for hit in hits)
            )

    def _needles(self, harvested: Harvest) -> set[Needle]:
        kept = [finding for finding in harvested.findings if finding.tag in self._kept]
        wanted = [
            finding
            for finding in harvested.findings
            if finding.tag not in self._kept and finding.kind not in self._ignored
        ]
        known = {needle.form for needle in _made_of(kept)}
        device_type = f" {squash(' '.join(harvested.device_type))} "
        return {
            needle
            for needle in _made_of(wanted)
            if needle.form not in known and not (needle.kind is Kind.DEVICE and needle.form in device_type)
        }

    def _uids(self, harvested: Harvest) -> frozenset[str]:
        return frozenset(
            uid for uid, tags in harvested.uids.items() if not tags & self._kept and uid not in _DUMMY_UIDS
        )


def _made_of(findings: Iterable[Finding]) -> Iterable[Needle]:
    return (needle for finding in findings for needle in needles(finding.kind, finding.text))
