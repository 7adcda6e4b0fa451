"""The acceptance test of an installation, on a gateway with its embedded defaults."""

from __future__ import annotations

import sys
from io import StringIO

from rich.console import Console

from gateway.samples.command import Run, run_samples
from tests.fixtures.commands import gateway_command
from tests.fixtures.gateway import GatewayProcess
from tests.fixtures.warm import run_warm


def test_every_planted_identity_is_gone(gateway_process: GatewayProcess) -> None:
    output = StringIO()
    console = Console(file=output, width=160)
    status = run_samples(Run(check=True), environ=gateway_process.environ, console=console)
    assert status == 0, output.getvalue() + gateway_process.process.output
    assert "16 of 18 instances arrived" in output.getvalue()
    # Two ultrasound loops: the basic profile says nothing of pixels.
    assert "2 are of a kind that often has text burned in" in output.getvalue()
    done = gateway_command("held", "list", environ=gateway_process.environ)
    assert done.stdout.count("burned-in-text-suspected") == 2


def test_command_line(gateway_process: GatewayProcess) -> None:
    """Two runs: the second has instances of its own and finds them all."""
    command = [sys.executable, "-m", "gateway", "samples", "--check", "--studies", "2"]
    for _ in range(2):
        done = run_warm(command, environ=gateway_process.environ)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "12 of 12 instances arrived" in done.stdout
