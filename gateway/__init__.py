"""A de-identifying DICOM gateway."""
