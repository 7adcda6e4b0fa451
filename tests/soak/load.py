"""What a soaked gateway is sent: studies of CT slices, or of samples of every kind, each of another patient."""

from __future__ import annotations

import io
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from typing import Final

import pydicom
from pydicom import Dataset
from pydicom.uid import UID, CTImageStorage

from gateway.samples import Sample, generate, send

_SYLLABLES: Final = [consonant + vowel for consonant in "bdfgklmnprst" for vowel in "aeiou"]
#: Instances of a study, unless told otherwise.
OF_A_STUDY: Final = 10


class Load(threading.Thread):
    """Sends study after study at a constant rate.

    Parameters
    ----------
    port: of the gateway
    rate: instances a second
    seed: decides what is sent
    of_a_study: instances of a study, each study of another patient
    every_kind: samples of every kind, of which many are held, instead of CT slices
    """

    def __init__(self, port: int, *, rate: float, seed: int, of_a_study: int, every_kind: bool) -> None:
        super().__init__(name="load", daemon=True)
        self._port = port
        self._rate = rate
        self._studies = studies(seed, of_a_study=of_a_study, every_kind=every_kind)
        self.stopping = threading.Event()
        self.sent = 0
        #: Why instances were not acknowledged -> how many.
        self.refused = Counter[str]()

    def run(self) -> None:
        """Send until told to stop; what falls behind does not catch up."""
        for samples in self._studies:
            started = time.monotonic()
            report = send(samples, host="127.0.0.1", port=self._port, calling_ae="SOAK", called_ae="GATEWAY")
            self.sent += len(report.taken)
            self.refused.update(
                one.problem if one.status is None else f"status {one.status:04X}H" for one in report.refused
            )
            if self.stopping.wait(max(0.0, len(samples) / self._rate - (time.monotonic() - started))):
                return


def studies(seed: int, *, of_a_study: int = OF_A_STUDY, every_kind: bool = False) -> Iterator[list[Sample]]:
    """Studies without end; the same seed gives the same.

    The samples are made once, which takes long, and get another patient each time.

    Parameters
    ----------
    seed: decides what there is in them
    of_a_study: instances of a study
    every_kind: samples of every kind instead of CT slices
    """
    chosen = random.Random(seed)
    moulds = [(sample, pydicom.dcmread(io.BytesIO(sample.content))) for sample in generate(seed, f"soak-{seed}")]
    if not every_kind:
        moulds = [one for one in moulds if one[1].SOPClassUID == CTImageStorage]
    at = 0
    for number in count(1):
        patient = _patient(chosen)
        study = []
        for place in range(of_a_study):
            mould, dataset = moulds[at % len(moulds)]
            at += 1
            study.append(_made(mould, deepcopy(dataset), patient, study=number, place=place))
        yield study


def _patient(chosen: random.Random) -> dict[str, str]:
    def word() -> str:
        return "".join(chosen.choices(_SYLLABLES, k=3)).upper()

    def uid() -> str:
        return f"1.2.826.0.1.3680043.8.498.{chosen.getrandbits(96)}"

    born = f"{chosen.randrange(1940, 2000)}{chosen.randrange(1, 13):02}{chosen.randrange(1, 29):02}"
    return {
        "PatientName": f"{word()}^{word()}",
        "PatientID": f"MRN{chosen.getrandbits(32):010}",
        # Samples of several patients become a study of one: two issuers would make two of them.
        "IssuerOfPatientID": "SOAK",
        "PatientBirthDate": born,
        "PatientAddress": f"{word()} STREET {chosen.randrange(1, 200)}",
        "PatientTelephoneNumbers": f"+49 30 {chosen.randrange(10**7, 10**8)}",
        "ReferringPhysicianName": f"{word()}^{word()}",
        "OperatorsName": f"{word()}^{word()}",
        "AccessionNumber": f"A{chosen.getrandbits(30):010}",
        "StudyID": str(chosen.getrandbits(20)),
        "StudyDate": f"20{chosen.randrange(10, 26)}{chosen.randrange(1, 13):02}{chosen.randrange(1, 29):02}",
        "StudyTime": f"{chosen.randrange(24):02}{chosen.randrange(60):02}{chosen.randrange(60):02}",
        "StudyInstanceUID": uid(),
        "SeriesInstanceUID": uid(),
        "FrameOfReferenceUID": uid(),
    }


def _made(mould: Sample, dataset: Dataset, patient: dict[str, str], *, study: int, place: int) -> Sample:
    for name, value in patient.items():
        setattr(dataset, name, value)
    # A series holds what is of one kind.
    dataset.SeriesInstanceUID = f"{patient['SeriesInstanceUID']}.{sum(map(ord, mould.sop_class_uid))}"
    dataset.SOPInstanceUID = f"{patient['StudyInstanceUID']}.{place}"
    dataset.InstanceNumber = place + 1
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    file = io.BytesIO()
    dataset.save_as(file)
    return Sample(
        number=place + 1,
        study=study,
        title=mould.title,
        sop_class_uid=mould.sop_class_uid,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        transfer_syntax=mould.transfer_syntax,
        content=file.getvalue(),
        planted=(),
        may_be_held=mould.may_be_held,
    )
