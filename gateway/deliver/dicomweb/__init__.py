"""A DICOMweb server as a destination: STOW-RS (PS3.18 10.5), and QIDO-RS (PS3.18 10.6) as the confirmation."""
