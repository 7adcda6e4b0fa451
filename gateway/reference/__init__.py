"""Pages that are made from the code: the configuration, the metrics, the profile language, conformance to DICOM."""
