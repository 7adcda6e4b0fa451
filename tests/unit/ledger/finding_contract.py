"""Studies are found by tokens, by what the gateway named them, and listed page by page. On any database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.ledger import InstanceState, KnownBy, Ledger, Selection, StudyFilter
from gateway.remembering import BoundedMapping
from tests.unit.ledger.build import at, claim, deidentified, finish, held, outcome, received, rejected, take

#: Numbers of the first and the last association of the instances of the story.
FIRST, LAST = 1_764_556_623_000_001, 1_764_556_623_000_002


def known(study: str, instance: int, *, series: str = "", patient: str = "patient", accession: str = "") -> KnownBy:
    return KnownBy(
        patient=patient, accession=accession or f"accession-{study}", study=study,
        series=series or f"series-{study}", instance=instance,
    )  # fmt: skip


def story(ledger: Ledger) -> None:
    """Three studies: one delivered to one of two places, one with a hold and a rejection, one that waits."""
    ledger.instances.record(
        [
            received(1, known_by=known("a", 1), association=FIRST),
            received(2, known_by=known("a", 2, series="series-a2"), association=LAST),
            received(3, known_by=known("b", -3), source="mr"),
            received(4, known_by=known("b", 4), source="mr"),
        ],
        now=at(0),
    )
    claim(ledger)
    finish(
        ledger,
        deidentified(1, study="2.25.10", destinations=("archive", "research")),
        deidentified(2, study="2.25.10", destinations=("archive", "research"), patient_id="SUBJECT-1"),
        held(3),
        rejected(4),
    )
    ledger.deliveries.record("deliverer", [outcome(one.delivery_id) for one in take(ledger)], now=at(5))
    ledger.instances.record([received(5, known_by=known("c", 5, patient="other"))], now=at(9))


class FindingContract:
    """Every test takes the fixture ``ledger``: an open, empty ledger."""

    def test_p14_an_accession_number_leads_to_its_study(self, ledger: Ledger) -> None:
        story(ledger)
        matched, (report,) = ledger.studies.find({"accession": ["accession-a"], "patient": ["accession-a"]})
        assert matched == {"accession": 2}  # one for each series
        assert (report.received, report.study_uids, report.patient_ids) == (2, ("2.25.10",), ("SUBJECT-1",))
        assert report.arrived() == {"archive": (2, 2), "research": (0, 2)}
        assert report.associations == (FIRST, LAST)
        assert (report.first_received, report.last_event) == (at(0.001), at(5))

    def test_p14_a_held_instance_is_found_by_its_original(self, ledger: Ledger) -> None:
        story(ledger)
        matched, (report,) = ledger.studies.find({"instance": [-3]})
        assert matched == {"instance": 1}
        assert report.received == 1  # the instance that was asked for
        assert report.codes(InstanceState.HELD) == {"rule-failed": 1}
        assert [(group.first, group.source) for group in report.instances] == [(3, "mr")]
        (_, (whole,)) = ledger.studies.find({"study": ["b"]})
        assert whole.received == 2
        assert whole.codes(InstanceState.REJECTED) == {"no-reports": 1}
        assert (whole.study_uids, whole.deliveries) == ((), ())

    def test_p14_further_numbers_lead_to_the_study_as_well(self, ledger: Ledger) -> None:
        requests = (("accession", "request-1"), ("accession", "request-2"), ("patient", "old"))
        both = KnownBy(patient="patient", study="g", series="series-g", instance=7, also=requests)
        other = KnownBy(patient="patient", study="g", series="series-h", instance=8, also=requests[:1])
        ledger.instances.record(
            [received(n, known_by=one) for n, one in enumerate((both, both, other), 1)], now=at(0)
        )  # fmt: skip
        for tokens, count in (
            ({"accession": ["request-1"]}, 3),
            ({"accession": ["request-2"]}, 2),  # of the series that says so
            ({"patient": ["old"], "accession": ["old"]}, 2),
            ({"patient": ["patient"]}, 3),
            ({"patient": ["request-1"]}, 0),  # of another kind
        ):
            _, reports = ledger.studies.find(tokens)
            assert [report.received for report in reports] == [count] * bool(count), tokens

    def test_rows_that_are_remembered_are_those_that_are_there(
        self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ledger._database, "originals", BoundedMapping(3))

        def fails(*_: object, **__: object) -> None:
            raise RuntimeError("rolled back")

        with monkeypatch.context() as patched:
            patched.setattr("gateway.ledger.history.record", fails)
            for _ in range(2):
                # Its rows are not kept, so neither may their numbers be.
                with pytest.raises(RuntimeError, match="rolled back"):
                    ledger.instances.record([received(9, known_by=known("lost", 9))], now=at(0))
        for number in range(1, 25):
            ledger.instances.record([received(number, known_by=known(f"{number % 8}", number))], now=at(number))
            if number == 1:
                ledger.instances.record([received(25, known_by=known("lost", 25))], now=at(25))
                _, (report,) = ledger.studies.find({"study": ["lost"]})
                assert report.received == 1
        for study in range(8):
            _, (report,) = ledger.studies.find({"study": [f"{study}"]})
            assert report.received == 3

    def test_a_patient_has_several_studies_the_newest_first(self, ledger: Ledger) -> None:
        story(ledger)
        _, reports = ledger.studies.find({"patient": ["patient"]})
        assert [report.instances[0].source for report in reports] == ["mr", "ct-scanner"]
        assert reports[0].number > reports[1].number

    def test_what_nobody_has(self, ledger: Ledger) -> None:
        story(ledger)
        assert ledger.studies.find({"patient": ["nobody"], "instance": [99]}) == ({}, [])
        assert ledger.studies.find({}) == ({}, [])
        # An instance without a value is not found by asking for nothing.
        ledger.instances.record([received(6, known_by=KnownBy(instance=6))], now=at(9))
        assert ledger.studies.find({"patient": [], "study": []}) == ({}, [])

    def test_studies_come_page_by_page_and_none_is_missed(self, ledger: Ledger) -> None:
        story(ledger)
        pages, before = [], None
        while page := ledger.studies.reports(StudyFilter(), limit=2, before=before):
            pages.append([report.received for report in page])
            before = page[-1].number
        assert pages == [[1, 2], [2]]

    def test_filters_of_studies(self, ledger: Ledger) -> None:
        story(ledger)

        def listed(which: StudyFilter) -> list[int]:
            return [report.number for report in ledger.studies.reports(which, limit=10)]

        c, b, a = listed(StudyFilter())
        for selection, expected in (
            (Selection(source="mr"), [b]),
            (Selection(project="lungs"), [b, a]),
            (Selection(project="none"), []),
            (Selection(destination="research"), [a]),
            (Selection(patient_id="SUBJECT-1"), [a]),
            (Selection(study_uid="2.25.10"), [a]),
            (Selection(sop_uid="2.25.91"), [a]),
            (Selection(since=at(0.005)), [c]),
            (Selection(until=at(0.002)), [a]),
            (Selection(states=(InstanceState.HELD,)), [b]),
            (Selection(states=(InstanceState.RECEIVED, InstanceState.HELD)), [c, b]),
            (Selection(instance_ids=[4, 5]), [c, b]),
        ):
            assert listed(StudyFilter(selection=selection)) == expected, selection
        assert listed(StudyFilter(unfinished=True)) == [c, b, a]
        ledger.deliveries.record("deliverer", [outcome(one.delivery_id) for one in take(ledger, "research")], now=at(6))
        assert listed(StudyFilter(unfinished=True)) == [c, b]
        assert listed(StudyFilter(association=LAST)) == [a]
        # What is found of a study that only an instance was asked for is told of that instance alone.
        assert [report.received for report in ledger.studies.report_on(Selection(sop_uid="2.25.91"))] == [1]
        assert [report.received for report in ledger.studies.report_on(Selection(), association=LAST)] == [1]

    def test_instances_of_before_tokens_get_them(self, ledger: Ledger) -> None:
        ledger.instances.record([received(1), received(2), received(3, known_by=known("a", 3))], now=at(0))
        rows = ledger.studies.without_tokens(after=0, limit=10)
        assert [number for number, _ in rows] == [1, 2]
        assert ledger.studies.count_without_tokens() == 2
        ledger.studies.record_tokens({1: known("a", 1)})
        assert ledger.studies.without_tokens(after=0, limit=10) == [(2, received(2).spool_name)]
        _, (report,) = ledger.studies.find({"study": ["a"]})
        assert report.received == 2
        # What has no study yet is told of, and stands for none.
        (_, unknown) = sorted(ledger.studies.report_on(Selection()), key=lambda one: -one.number)
        assert (unknown.number, unknown.received) == (0, 1)

    def test_p1_recording_again_changes_nothing(self, ledger: Ledger) -> None:
        ledger.instances.record([received(1, known_by=known("a", 1))], now=at(0))
        ledger.instances.record([received(1, known_by=known("b", 2)), received(2, known_by=known("a", 2))], now=at(1))
        assert [report.received for report in ledger.studies.reports(StudyFilter(), limit=10)] == [2]

    def test_many_may_record_one_series_at_once(self, ledger: Ledger) -> None:
        with ThreadPoolExecutor(4) as pool:
            for _ in pool.map(
                lambda n: ledger.instances.record(
                    [received(10 * n + m, known_by=known(f"{m % 3}", 10 * n + m)) for m in range(9)], now=at(0)
                ),
                range(8),
            ):
                pass
        assert [report.received for report in ledger.studies.reports(StudyFilter(), limit=10)] == [24, 24, 24]

    def test_names_that_are_not_recorded(self, ledger: Ledger) -> None:
        ledger.instances.record([received(n) for n in (1, 3)], now=at(0))
        asked = [received(n).spool_name for n in (4, 3, 2, 1)]
        assert ledger.instances.unknown_spool_names(asked) == [asked[0], asked[2]]
        assert ledger.instances.unknown_spool_names([]) == []
