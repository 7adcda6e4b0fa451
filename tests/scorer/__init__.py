"""An independent judge of de-identified outputs: its own reading of Table E.1-1, pydicom, none of the engine's code."""
