"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

ConfigFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", envvar="GATEWAY_CONFIG", metavar="FILE", help="gateway.yaml; embedded defaults without it."
    ),
]
