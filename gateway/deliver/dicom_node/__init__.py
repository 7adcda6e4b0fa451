"""A DICOM node as a destination: C-STORE (PS3.4 B), and Storage Commitment (PS3.4 J) as the confirmation."""
