"""Faces in series of slices: the series as a volume, the command that finds its face, the check of what it found."""
