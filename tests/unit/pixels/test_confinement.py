"""What a codec that was taken over can do: nothing but compute and answer."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from gateway.errors import ConfigurationError, DecoderUnavailable
from gateway.pixels import confinement, decoder
from gateway.pixels.confinement import MACHINES, Confinement, filter_of
from gateway.pixels.decoder import Codec
from gateway.pixels.sandbox import FrameClaims, Sandbox, check_confinement, confinement_notes
from gateway.settings.configuration import Settings
from gateway.settings.pixel_settings import PixelSettings
from tests.unit.pixels import confined
from tests.unit.pixels.stored import noise

PIXELS = noise((16, 24), "u1")
STREAM = bytes(imagecodecs.jpeg8_encode(PIXELS, lossless=True))
CLAIMS = FrameClaims(shape=(16, 24), size=1, signed=False, bits=8)
#: Where the kernel's own numbers are, by Debian's linux-libc-dev.
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
#: What a process without privileges may not do either.
ROOT_ONLY = {"mount", "chroot", "bpf", "perf_event_open", "setuid", "keyctl", "userfaultfd"}


@pytest.fixture(scope="module")
def victim() -> Iterator[int]:
    """A process of the same account, as the child's parent is."""
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process.pid
        process.kill()


def attempt(mode: str, confinement_file: Path, folder: Path, victim: int) -> dict[str, int]:
    spool = folder / "instance.dcm"
    spool.write_bytes(b"original")
    # Even where everybody may: the modes of files are not what refuses.
    folder.chmod(0o777)
    spool.chmod(0o666)
    command = [sys.executable, "-I", "-B", str(confined.__file__), mode, str(decoder.__file__)]
    done = subprocess.run(
        [*command, str(confinement_file), str(spool), str(victim)], capture_output=True, check=True, timeout=60
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


def test_every_forbidden_call_is_refused(tmp_path: Path, victim: int) -> None:
    found = attempt("confined", Path(confinement.__file__), tmp_path, victim)
    given_up = Confinement(found.pop("given-up"))
    assert Confinement.CALLS in given_up
    assert (Confinement.USER in given_up) == (os.geteuid() == 0)
    assert {name: answer for name, answer in found.items() if answer != errno.EPERM} == {}
    assert [path.name for path in tmp_path.iterdir()] == ["instance.dcm"]
    assert (tmp_path / "instance.dcm").read_bytes() == b"original"


def test_nothing_else_would_have_refused_them(tmp_path: Path, victim: int) -> None:
    """The same attempts in a process that gave up nothing: none is answered with EPERM."""
    found = attempt("free", Path(confinement.__file__), tmp_path, victim)
    refused = {name for name, answer in found.items() if answer == errno.EPERM}
    assert refused <= (set() if os.geteuid() == 0 else ROOT_ONLY)
    # They are real: what counts most succeeds.
    for name in ("open-write", "link", "rename", "unlink", "kill-parent", "socket-inet", "fork", "mmap-exec"):
        assert found[name] == 0, name


@pytest.fixture
def no_filter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The module as it is on a machine whose system calls it does not know."""
    file = tmp_path / "confinement.py"
    file.write_text(Path(confinement.__file__).read_text(encoding="utf-8") + "\nMACHINES.clear()\n", encoding="utf-8")
    monkeypatch.setattr(confinement, "__file__", str(file))
    monkeypatch.setattr(confinement, "MACHINES", {})
    return file


def test_without_a_filter_there_is_landlock(no_filter: Path, tmp_path: Path, victim: int) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    found = attempt("confined", no_filter, folder, victim)
    given_up = Confinement(found["given-up"])
    assert Confinement.CALLS not in given_up
    if Confinement.PATHS in given_up:
        for name in ("open-read", "open-write", "open-create", "link", "symlink", "rename", "mkdir", "unlink"):
            assert found[name] in (errno.EACCES, errno.EMFILE, errno.EXDEV), name
        assert (folder / "instance.dcm").read_bytes() == b"original"


def test_a_setting_decides_whether_codecs_run_without_a_filter(no_filter: Path) -> None:
    assert no_filter.exists()
    required, preferred = PixelSettings(), PixelSettings(confinement="preferred")
    with Sandbox(required) as box, pytest.raises(DecoderUnavailable, match=r"confinement: preferred"):
        box.decode(Codec.JPEG, STREAM, CLAIMS)
    with Sandbox(preferred) as box:
        np.testing.assert_array_equal(box.decode(Codec.JPEG, STREAM, CLAIMS), PIXELS)
    with pytest.raises(ConfigurationError, match=f"no system calls of {platform.machine()}"):
        check_confinement(required)
    check_confinement(preferred)
    (note,) = confinement_notes()
    assert "codecs run unconfined" in note


def test_a_kernel_without_seccomp_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    # What such a kernel answers to prctl(PR_SET_SECCOMP).
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EINVAL)
    with pytest.raises(ConfigurationError, match="no filter of system calls"):
        check_confinement(Settings().pixels)


def test_here_codecs_are_confined() -> None:
    check_confinement(PixelSettings())
    assert confinement_notes() == ()


# Linux's headers have the numbers that all later machines share, and those of the machine itself.
@pytest.mark.parametrize("machine", sorted({"aarch64", platform.machine()}))
def test_the_numbers_are_the_kernel_s(machine: str) -> None:
    text = HEADERS[machine].read_text(encoding="ascii")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    calls = MACHINES[machine].calls
    assert {name: known[name] for name in calls} == calls
    assert MACHINES[machine].seccomp == known["seccomp"]


def run(code: bytes, number: int, arguments: tuple[int, ...] = (), *, mark: int) -> int:
    """What the filter answers: the few instructions of classic BPF that it is made of."""
    words = {0: number, 4: mark} | {16 + 8 * at: value for at, value in enumerate(arguments)}
    held, at = 0, 0
    while True:
        operation, yes, no, value = confinement._INSTRUCTION.unpack_from(code, 8 * at)
        at += 1
        if operation == 0x20:
            held = words.get(value, 0)
        elif operation == 0x06:
            return int(value)
        else:
            met = held == value if operation == 0x15 else bool(held & value)
            at += yes if met else no


ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000


@pytest.mark.parametrize("machine", sorted(MACHINES))
@pytest.mark.parametrize(
    ("call", "arguments", "answer"),
    [
        ("read", (), ALLOW),
        ("exit_group", (), ALLOW),
        # Memory without a file behind it that is not executable.
        ("mmap", (0, 4096, 3, 0x22), ALLOW),
        ("mmap", (0, 4096, 3, 0x02), REFUSE),
        ("mmap", (0, 4096, 7, 0x22), REFUSE),
        ("mprotect", (0, 4096, 3), ALLOW),
        ("mprotect", (0, 4096, 5), REFUSE),
        # A signal to itself, as abort(3) sends one.
        ("tgkill", (77, 77, 6), ALLOW),
        ("tgkill", (78, 77, 6), REFUSE),
    ],
)
def test_what_the_filter_answers(machine: str, call: str, arguments: tuple[int, ...], answer: int) -> None:
    kind = MACHINES[machine]
    assert run(filter_of(kind, 77), kind.calls[call], arguments, mark=kind.mark) == answer


@pytest.mark.parametrize("machine", sorted(MACHINES))
def test_the_filter_allows_nothing_else(machine: str) -> None:
    kind = MACHINES[machine]
    code = filter_of(kind, 77)
    allowed = {number for number in range(600) if run(code, number, (77, 0, 0, 0x20), mark=kind.mark) == ALLOW}
    assert allowed == set(kind.calls.values())
    # The numbers of x32, and those of another architecture.
    assert run(code, 0x40000000 | kind.calls["read"], mark=kind.mark) == REFUSE
    assert run(code, kind.calls["read"], mark=0x40000003) == KILL
    assert len(code) // 8 < 4096
