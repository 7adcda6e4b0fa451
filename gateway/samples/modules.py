"""Modules that samples share (PS3.3 C.7, C.12), with an identifying value in every element that can hold one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pydicom import Dataset
from pydicom.uid import UID

from gateway.samples.fake_identity import Identity

__all__ = [
    "Study",
    "code",
    "common",
    "equipment",
    "general_image",
    "marker",
    "other_study",
    "reference",
    "request_attributes",
    "series",
]

#: What Manufacturer (0008,0070) begins with; it survives the basic profile, and so tells samples from other images.
#: Without spaces, because Orthanc finds nothing by a value that holds one.
_MARKER: Final = "GATEWAY-SAMPLE"


@dataclass(frozen=True, slots=True)
class Study:
    """What the instances of one study share: the elements of patient and study, and who issues the rest."""

    identity: Identity
    run_id: str
    shared: Dataset
    name: str
    study_uid: str
    frame_of_reference_uid: str

    @classmethod
    def begin(cls, identity: Identity, run_id: str) -> Study:
        """A new study of a new patient."""
        name, study_uid = identity.name(), identity.uid()
        return cls(identity, run_id, _patient_and_study(identity, name, study_uid), name, study_uid, identity.uid())


def marker(run_id: str) -> str:
    """The Manufacturer (0008,0070) of the samples of a run.

    The run's characters stand in pairs: longer numbers and unknown words are not technical, and would go.
    """
    pairs = (run_id[start : start + 2] for start in range(0, len(run_id), 2))
    return f"{_MARKER}-{'+'.join(pairs)}"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """An item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(instance: Dataset) -> Dataset:
    """An item that refers to ``instance`` by SOP class and instance UID."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance.SOPClassUID, instance.SOPInstanceUID
    return item


def common(study: Study, sop_class: UID, modality: str, number: int) -> Dataset:
    """A data set with the patient, study and SOP Common modules filled.

    Parameters
    ----------
    study
        whom it is about
    sop_class
        its SOP class
    modality
        its modality
    number
        its Instance Number, unique over the run
    """
    identity, dataset = study.identity, Dataset()
    dataset.update(study.shared)
    dataset.SpecificCharacterSet = identity.repertoire.element
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, identity.uid()
    dataset.Modality, dataset.InstanceNumber = modality, number
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = identity.date(), identity.time()
    dataset.InstanceCreatorUID = identity.uid()
    dataset.TimezoneOffsetFromUTC = identity.characteristic("+0130")
    dataset.ContributingEquipmentSequence = [_contributor(identity)]
    dataset.OriginalAttributesSequence = [_original_attributes(identity)]
    return dataset


def series(study: Study, dataset: Dataset, *, uid: str, description: str) -> None:
    """Fill the General Series module (PS3.3 C.7.3.1), the patient's name within its description."""
    identity = study.identity
    dataset.SeriesInstanceUID, dataset.SeriesNumber = uid, 1
    dataset.SeriesDate, dataset.SeriesTime = identity.date(), identity.time()
    dataset.SeriesDescription = f"{description} {identity.plain_name()}"
    dataset.ProtocolName = identity.remark("protocol of")
    dataset.PerformingPhysicianName, dataset.OperatorsName = identity.name(), identity.plain_name()
    dataset.PerformingPhysicianIdentificationSequence = [_person(identity)]
    dataset.OperatorIdentificationSequence = [_person(identity)]
    dataset.PerformedProcedureStepID = identity.number("PPS")
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = identity.date(), identity.time()
    dataset.PerformedProcedureStepEndDate, dataset.PerformedProcedureStepEndTime = identity.date(), identity.time()
    dataset.PerformedProcedureStepDescription = identity.remark("step for")
    dataset.CommentsOnThePerformedProcedureStep = f"repeated for {identity.plain_name()}"
    dataset.RequestAttributesSequence = [request_attributes(identity)]


def request_attributes(identity: Identity) -> Dataset:
    """An item of Request Attributes Sequence (0040,0275), itself with a nested reference and codes."""
    item = Dataset()
    item.RequestedProcedureID, item.ScheduledProcedureStepID = identity.number("RP"), identity.number("SPS")
    item.AccessionNumber, item.StudyInstanceUID = identity.number("ACC"), identity.uid()
    item.RequestedProcedureDescription = identity.remark("requested by phone")
    item.ScheduledProcedureStepDescription = identity.remark("scheduled for")
    item.ReasonForTheRequestedProcedure = f"fall of {identity.plain_name()}"
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = identity.number("ISSUER")
    item.IssuerOfAccessionNumberSequence = [issuer]
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", identity.uid()
    item.ReferencedStudySequence = [study]
    return item


def equipment(study: Study, dataset: Dataset) -> None:
    """Fill the General Equipment module (PS3.3 C.7.5.1); Manufacturer is the marker of the run."""
    identity = study.identity
    dataset.Manufacturer = marker(study.run_id)
    dataset.ManufacturerModelName = "Phantom"
    dataset.InstitutionName, dataset.InstitutionAddress = identity.institution(), identity.address()
    dataset.InstitutionalDepartmentName, dataset.StationName = identity.department(), identity.device("STATION")
    dataset.DeviceSerialNumber, dataset.DeviceUID = identity.device("SN-"), identity.uid()
    dataset.GantryID, dataset.PlateID = identity.device("GANTRY"), identity.device("PLATE")
    dataset.SoftwareVersions = "1.0"
    dataset.DateOfLastCalibration, dataset.TimeOfLastCalibration = identity.date(), identity.time()


def general_image(study: Study, dataset: Dataset, *, of: Dataset | None = None) -> None:
    """Fill the General Image module (PS3.3 C.7.6.1); ``of`` is an instance that it is derived from."""
    identity = study.identity
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionDate, dataset.AcquisitionTime = identity.date(), identity.time()
    dataset.AcquisitionDateTime, dataset.ContentDate = identity.date_time(), identity.date()
    dataset.ContentTime, dataset.AcquisitionNumber = identity.time(), 1
    dataset.IrradiationEventUID = identity.uid()
    dataset.ImageComments = f"taken by {identity.plain_name()}"
    dataset.DerivationDescription = identity.remark("derived from")
    if of is not None:
        source = reference(of)
        source.PurposeOfReferenceCodeSequence = [code("121320", "DCM", "Uncompressed predecessor")]
        dataset.SourceImageSequence = [source]
        localizer = reference(of)
        localizer.PurposeOfReferenceCodeSequence = [code("121311", "DCM", "Localizer")]
        dataset.ReferencedImageSequence = [localizer]
        dataset.StudiesContainingOtherReferencedInstancesSequence = [other_study(identity)]


def _patient_and_study(identity: Identity, name: str, study_uid: str) -> Dataset:
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID = name, identity.number("FAKE-MRN-")
    dataset.IssuerOfPatientID, dataset.PatientBirthTime = identity.number("ISSUER"), identity.time()
    dataset.PatientBirthDate, dataset.PatientSex = identity.date(), identity.characteristic("F")
    other = Dataset()
    other.PatientID, other.IssuerOfPatientID = identity.number("OTHER"), identity.number("ISSUER")
    other.TypeOfPatientID = "TEXT"
    dataset.OtherPatientIDsSequence = [other]
    dataset.OtherPatientNames, dataset.PatientBirthName = [identity.plain_name(), name], identity.name()
    dataset.PatientMotherBirthName, dataset.PatientComments = (
        identity.plain_name(),
        f"sister of {identity.plain_name()}",
    )
    dataset.PatientAddress, dataset.PatientTelephoneNumbers = identity.address(), identity.phone()
    dataset.RegionOfResidence, dataset.CountryOfResidence = identity.remark("county"), identity.remark("land")
    dataset.PatientReligiousPreference, dataset.MilitaryRank = identity.faith(), identity.remark("rank")
    dataset.ResponsiblePerson, dataset.ResponsiblePersonRole = identity.plain_name(), "PARENT"
    dataset.ResponsibleOrganization = identity.institution()
    dataset.EthnicGroup, dataset.Occupation = identity.characteristic("MARTIAN"), identity.occupation()
    dataset.PatientAge, dataset.PatientSize = identity.characteristic("053Y"), identity.characteristic("1.683")
    dataset.PatientWeight, dataset.SmokingStatus = identity.characteristic("71.25"), identity.characteristic("UNKNOWN")
    dataset.AdditionalPatientHistory = f"as told by {identity.plain_name()}, telephone {identity.phone()}"
    dataset.AdmissionID, dataset.ServiceEpisodeID = identity.number("ADM"), identity.number("EPISODE")
    dataset.AdmittingDiagnosesDescription = identity.remark("admitted for")
    dataset.ReasonForVisit = identity.remark("came for")
    dataset.StudyInstanceUID, dataset.StudyID = study_uid, identity.number("STUDY")
    dataset.StudyDate, dataset.StudyTime = identity.date(), identity.time()
    dataset.AccessionNumber, dataset.ReferringPhysicianName = identity.number("ACC"), identity.name()
    birth = dataset.PatientBirthDate
    dataset.StudyDescription = f"Follow-up {identity.plain_name()} {birth[6:]}.{birth[4:6]}.{birth[:4]}"
    dataset.ReferringPhysicianIdentificationSequence = [_person(identity)]
    dataset.PhysiciansOfRecord = [identity.name(), identity.plain_name()]
    dataset.NameOfPhysiciansReadingStudy, dataset.RequestingPhysician = identity.name(), identity.plain_name()
    dataset.RequestingService, dataset.RequestedProcedureDescription = identity.remark("ward"), identity.remark("for")
    dataset.CurrentPatientLocation = identity.remark("bed")
    visit = Dataset()
    visit.ReferencedSOPClassUID, visit.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.1.1", identity.uid()
    dataset.ReferencedPatientSequence = [visit]
    return dataset


def _person(identity: Identity) -> Dataset:
    """An item of the Person Identification macro (PS3.3 table 10-1)."""
    item = Dataset()
    item.PersonIdentificationCodeSequence = [code(identity.number("P"), "99FAKE", identity.plain_name())]
    item.PersonAddress, item.PersonTelephoneNumbers = identity.address(), identity.phone()
    item.InstitutionName, item.InstitutionAddress = identity.institution(), identity.address()
    return item


def _contributor(identity: Identity) -> Dataset:
    item = Dataset()
    item.Manufacturer, item.PurposeOfReferenceCodeSequence = "Phantom", [code("109101", "DCM", "Acquisition Equipment")]
    item.InstitutionName, item.StationName = identity.institution(), identity.device("STATION")
    item.DeviceSerialNumber, item.OperatorsName = identity.device("SN-"), identity.plain_name()
    item.OperatorIdentificationSequence = [_person(identity)]
    item.ContributionDateTime, item.ContributionDescription = identity.date_time(), identity.remark("sent from")
    return item


def _original_attributes(identity: Identity) -> Dataset:
    modified = Dataset()
    modified.PatientName, modified.PatientID = identity.plain_name(), identity.number("FORMER")
    nested = Dataset()
    nested.AccessionNumber, nested.RequestedProcedureID = identity.number("ACC"), identity.number("RP")
    modified.RequestAttributesSequence = [nested]
    item = Dataset()
    item.ModifiedAttributesSequence = [modified]
    item.AttributeModificationDateTime, item.ModifyingSystem = identity.date_time(), identity.device("SYSTEM")
    item.SourceOfPreviousValues, item.ReasonForTheAttributeModification = identity.institution(), "COERCE"
    return item


def other_study(identity: Identity) -> Dataset:
    """Three sequences deep, none of them in Table E.1-1: only a de-identifier that recurses finds the UIDs."""
    instance = Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", identity.uid()
    of_series = Dataset()
    of_series.SeriesInstanceUID, of_series.ReferencedInstanceSequence = identity.uid(), [instance]
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = identity.uid(), [of_series]
    return study
