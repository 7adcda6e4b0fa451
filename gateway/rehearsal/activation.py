"""Whether a profile may be used: a gateway does not activate one whose own tests fail."""

from __future__ import annotations

from gateway.errors import ProfileError
from gateway.extras import deface, ocr
from gateway.profile import Program
from gateway.settings.pixel_settings import FaceSettings

__all__ = ["lacks_of_faces", "require_passing"]


def lacks_of_faces(program: Program, faces: FaceSettings) -> str | None:
    """What is missing of what takes faces away, if a rule of the profile wants that; None if nothing is.

    The profile can be used without it: what may show a face is then held.
    """
    missing = deface.missing() if program.pixels.defaces and faces.command is None else None
    return None if missing is None else f"{missing}; until then what may show a face is held"


def require_passing(program: Program) -> Program:
    """``program``, if its own tests pass; a profile without tests is taken.

    Raises
    ------
    ProfileError
        a rule looks for text and the parts for it are not installed; or a test fails, of which the first is
        named; its values are not told
    """
    missing = ocr.missing() if program.pixels.needs_text_finder else None
    if missing is not None:
        raise ProfileError(place=program.profile, problem=missing)
    if not program.tests:
        return program
    # Profiles without tests shall not cost every worker the modules that build instances.
    from gateway.rehearsal.profile_tests import run_tests

    failed = [verdict.test for verdict in run_tests(program).verdicts if not verdict.passed]
    if failed:
        first = failed[0]
        more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
        problem = f'the test "{first.name}"{more} fails; "gateway profile test" with this profile tells how'
        raise ProfileError(place=f"{first.origin.file}:{first.origin.line}", problem=problem)
    return program
