"""IODs without an image: reports, structure sets, presentation states, documents (PS3.3 A.35, A.19, A.33, A.45)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    RTStructureSetStorage,
)

from gateway.samples.extras import add_private_block
from gateway.samples.images import SIDE
from gateway.samples.modules import Study, code, common, equipment, other_study, reference, request_attributes, series

__all__ = ["encapsulated_pdf", "presentation_state", "structure_set", "structured_report"]

_DETACHED_STUDY: Final = UID("1.2.840.10008.3.1.2.3.1")


def structured_report(study: Study, numbers: Iterator[int], of: Sequence[Dataset]) -> Dataset:
    """A Comprehensive SR with identity in items of every textual value type, and references to the images ``of``."""
    identity = study.identity
    dataset = _begin(study, ComprehensiveSRStorage, "SR", next(numbers), "Report on")
    del dataset.ProtocolName
    dataset.ReferencedPerformedProcedureStepSequence = []
    dataset.ContentDate, dataset.ContentTime = identity.date(), identity.time()
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "VERIFIED"
    verifier = Dataset()
    verifier.VerifyingObserverName, verifier.VerificationDateTime = identity.name(), identity.date_time()
    verifier.VerifyingOrganization = identity.institution()
    verifier.VerifyingObserverIdentificationCodeSequence = []
    dataset.VerifyingObserverSequence = [verifier]
    author = Dataset()
    author.ObserverType, author.PersonName = "PSN", identity.plain_name()
    author.InstitutionName, author.InstitutionCodeSequence = identity.institution(), []
    author.PersonIdentificationCodeSequence = []
    dataset.AuthorObserverSequence = [author]
    request = request_attributes(identity)
    request.RequestedProcedureCodeSequence, request.PlacerOrderNumberImagingServiceRequest = [], identity.number("PLC")
    request.FillerOrderNumberImagingServiceRequest = identity.number("FIL")
    del request.ScheduledProcedureStepID, request.ScheduledProcedureStepDescription
    # Nothing of the Basic Profile touches an issuer here, which a name space identifier does not make a person.
    del request.IssuerOfAccessionNumberSequence
    dataset.ReferencedRequestSequence, dataset.PerformedProcedureCodeSequence = [request], []
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(study, of)]
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic imaging study")]
    dataset.ObservationDateTime = identity.date_time()
    image = _item("CONTAINS", "IMAGE", code("121080", "DCM", "Best illustration of finding"))
    image.ReferencedSOPSequence = [reference(of[0])]
    findings = _item("CONTAINS", "CONTAINER", code("121070", "DCM", "Findings"))
    findings.ContinuityOfContent = "SEPARATE"
    text = _item("CONTAINS", "TEXT", code("121071", "DCM", "Finding"))
    text.TextValue = f"{identity.plain_name()}, born {identity.date()}, of {identity.address()}: no abnormality."
    text.ObservationDateTime = identity.date_time()
    findings.ContentSequence = [text, image, _measurement(study)]
    dataset.ContentSequence = [
        _person_item(study, "HAS OBS CONTEXT", code("121008", "DCM", "Person Observer Name")),
        _person_item(study, "HAS OBS CONTEXT", code("121029", "DCM", "Subject Name")),
        _uid_item(study, code("121028", "DCM", "Subject UID")),
        _date_item(study, code("121031", "DCM", "Subject Birth Date")),
        _date_time_item(study, code("111526", "DCM", "DateTime Started")),
        findings,
        _text_item("HAS OBS CONTEXT", code("121013", "DCM", "Device Observer Name"), identity.device("DEVICE")),
    ]
    return dataset


def structure_set(study: Study, numbers: Iterator[int], of: Sequence[Dataset]) -> Dataset:
    """An RT Structure Set that refers to the images ``of`` four sequences deep."""
    identity = study.identity
    dataset = _begin(study, RTStructureSetStorage, "RTSTRUCT", next(numbers), "Contours for")
    dataset.StructureSetLabel = identity.remark("set")
    dataset.StructureSetName, dataset.StructureSetDescription = identity.plain_name(), identity.remark("contours of")
    dataset.StructureSetDate, dataset.StructureSetTime = identity.date(), identity.time()
    dataset.ApprovalStatus, dataset.ReviewDate, dataset.ReviewTime = "APPROVED", identity.date(), identity.time()
    dataset.ReviewerName, dataset.FrameOfReferenceUID = identity.plain_name(), study.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""
    of_series = Dataset()
    of_series.SeriesInstanceUID = of[0].SeriesInstanceUID
    of_series.ContourImageSequence = [reference(image) for image in of]
    of_study = Dataset()
    of_study.ReferencedSOPClassUID, of_study.ReferencedSOPInstanceUID = _DETACHED_STUDY, study.study_uid
    of_study.RTReferencedSeriesSequence = [of_series]
    frame = Dataset()
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = study.frame_of_reference_uid, [of_study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    region = Dataset()
    region.ROINumber, region.ReferencedFrameOfReferenceUID = 1, study.frame_of_reference_uid
    region.ROIName, region.ROIDescription = f"GTV {identity.plain_name()}", identity.remark("drawn for")
    region.ROIGenerationAlgorithm = "MANUAL"
    dataset.StructureSetROISequence = [region]
    outline = Dataset()
    outline.ContourImageSequence, outline.ContourGeometricType = [reference(of[0])], "CLOSED_PLANAR"
    outline.NumberOfContourPoints, outline.ContourData = 3, [0, 0, 0, 10, 0, 0, 0, 10, 0]
    contour = Dataset()
    contour.ROIDisplayColor, contour.ReferencedROINumber, contour.ContourSequence = [255, 0, 0], 1, [outline]
    dataset.ROIContourSequence = [contour]
    observation = Dataset()
    observation.ObservationNumber, observation.ReferencedROINumber = 1, 1
    observation.RTROIInterpretedType, observation.ROIInterpreter = "GTV", identity.name()
    observation.ROIObservationLabel = identity.remark("sx")
    dataset.RTROIObservationsSequence = [observation]
    add_private_block(study, dataset)
    return dataset


def presentation_state(study: Study, numbers: Iterator[int], of: Sequence[Dataset]) -> Dataset:
    """A Grayscale Softcopy Presentation State with a name among its graphic annotations."""
    identity = study.identity
    dataset = _begin(study, GrayscaleSoftcopyPresentationStateStorage, "PR", next(numbers), "Marks on")
    dataset.ContentLabel, dataset.ContentDescription = "MARKS", "Marks"
    dataset.ContentCreatorName = identity.name()
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = identity.date(), identity.time()
    of_series = Dataset()
    of_series.SeriesInstanceUID, of_series.ReferencedImageSequence = of[0].SeriesInstanceUID, [reference(of[0])]
    of_series.RetrieveAETitle = identity.application_entity()
    dataset.ReferencedSeriesSequence, dataset.Laterality = [of_series], ""
    dataset.StudiesContainingOtherReferencedInstancesSequence = [other_study(identity)]
    text = Dataset()
    text.BoundingBoxAnnotationUnits, text.BoundingBoxTopLeftHandCorner = "PIXEL", [1, 1]
    text.BoundingBoxBottomRightHandCorner, text.BoundingBoxTextHorizontalJustification = [20, 10], "LEFT"
    text.UnformattedTextValue = f"{identity.plain_name()} {identity.phone()}"
    side = Dataset()
    side.AnchorPointAnnotationUnits, side.AnchorPoint, side.AnchorPointVisibility = "PIXEL", [5, 5], "N"
    side.UnformattedTextValue = "LEFT"
    graphic = Dataset()
    graphic.GraphicAnnotationUnits, graphic.GraphicDimensions, graphic.NumberOfGraphicPoints = "PIXEL", 2, 2
    graphic.GraphicData, graphic.GraphicType = [2.0, 2.0, 12.0, 12.0], "POLYLINE"
    annotation = Dataset()
    annotation.GraphicLayer, annotation.TextObjectSequence = "NOTES", [text, side]
    annotation.GraphicObjectSequence = [graphic]
    dataset.GraphicAnnotationSequence = [annotation]
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = "NOTES", 1
    dataset.GraphicLayerSequence = [layer]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [SIDE, SIDE]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    dataset.DisplayedAreaSelectionSequence = [area]
    dataset.PresentationLUTShape = "IDENTITY"
    return dataset


def encapsulated_pdf(study: Study, numbers: Iterator[int]) -> Dataset:
    """A letter as Encapsulated PDF: identity in its text and its document information."""
    identity = study.identity
    dataset = _begin(study, EncapsulatedPDFStorage, "DOC", next(numbers), "Letter about")
    dataset.ConversionType, dataset.BurnedInAnnotation = "WSD", "YES"
    dataset.ContentDate, dataset.ContentTime = identity.date(), identity.time()
    dataset.AcquisitionDateTime = identity.date_time()
    dataset.DocumentTitle = "Letter"
    dataset.ConceptNameCodeSequence = [code("11488-4", "LN", "Consultation Note")]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    pdf = _pdf(
        author=identity.plain_name(), text=f"{identity.plain_name()}, {identity.address()}, {identity.number('FAKE-')}"
    )
    dataset.EncapsulatedDocument, dataset.EncapsulatedDocumentLength = pdf, len(pdf)
    if len(pdf) % 2:
        dataset.EncapsulatedDocument = pdf + b"\0"
    return dataset


def _begin(study: Study, sop_class: UID, modality: str, number: int, description: str) -> Dataset:
    dataset = common(study, sop_class, modality, number)
    series(study, dataset, uid=study.identity.uid(), description=description)
    equipment(study, dataset)
    return dataset


def _item(relationship: str, value_type: str, concept: Dataset) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = relationship, value_type, [concept]
    return item


def _person_item(study: Study, relationship: str, concept: Dataset) -> Dataset:
    item = _item(relationship, "PNAME", concept)
    item.PersonName = study.identity.name()
    return item


def _text_item(relationship: str, concept: Dataset, text: str) -> Dataset:
    item = _item(relationship, "TEXT", concept)
    item.TextValue = text
    return item


def _measurement(study: Study) -> Dataset:
    """A diameter, inferred from the text before it, to which it refers by position (PS3.3 C.17.3.2.5)."""
    item = _item("CONTAINS", "NUM", code("81827009", "SCT", "Diameter"))
    value = Dataset()
    value.NumericValue, value.MeasurementUnitsCodeSequence = "12.5", [code("mm", "UCUM", "mm")]
    item.MeasuredValueSequence = [value]
    source = Dataset()
    source.RelationshipType, source.ReferencedContentItemIdentifier = "INFERRED FROM", [1, 6, 1]
    comment = _text_item("HAS PROPERTIES", code("121106", "DCM", "Comment"), study.identity.remark("measured by"))
    item.ContentSequence = [source, comment]
    return item


def _uid_item(study: Study, concept: Dataset) -> Dataset:
    item = _item("HAS OBS CONTEXT", "UIDREF", concept)
    item.UID = study.identity.uid()
    return item


def _date_item(study: Study, concept: Dataset) -> Dataset:
    item = _item("HAS OBS CONTEXT", "DATE", concept)
    item.Date = study.identity.date()
    return item


def _date_time_item(study: Study, concept: Dataset) -> Dataset:
    item = _item("HAS OBS CONTEXT", "DATETIME", concept)
    item.DateTime = study.identity.date_time()
    return item


def _evidence(study: Study, of: Sequence[Dataset]) -> Dataset:
    of_series = Dataset()
    of_series.SeriesInstanceUID, of_series.ReferencedSOPSequence = (
        of[0].SeriesInstanceUID,
        [reference(image) for image in of],
    )
    of_study = Dataset()
    of_study.StudyInstanceUID, of_study.ReferencedSeriesSequence = study.study_uid, [of_series]
    return of_study


def _pdf(*, author: str, text: str) -> bytes:
    """A PDF of one page with its text uncompressed, as report writers of modalities make them."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 %s >> >> >>"
        % b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        f"<< /Author ({author}) >>".encode("latin-1"),
    ]
    document, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R /Info 5 0 R >>\n" % (len(objects) + 1)
    return bytes(document + b"startxref\n%d\n%%%%EOF\n" % start)
