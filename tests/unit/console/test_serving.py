"""The job of the process that answers over HTTP."""

from __future__ import annotations

import subprocess
import sys


def test_only_the_process_that_answers_loads_the_server() -> None:
    """Every other process, and every command, would wait for it and keep it in memory."""
    listing = "import gateway.console.serving, sys; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True).stdout
    assert "'structlog'" in loaded
    for name in ("starlette", "uvicorn", "anyio", "h11"):
        assert f"'{name}'" not in loaded
