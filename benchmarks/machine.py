"""The machine: what it is, and what it can do at best."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.figures import Run
from benchmarks.programs import ROOT, synced
from gateway.version import __version__
from tests.fixtures.tools import tool

#: The fact which gateway was measured.
VERSION: Final = "gateway"

_MEGABYTE = 1 << 20
_LOOP: Final = """
import time
def loop():
    started = time.process_time()
    for _ in range(1_000_000):
        pass
    return time.process_time() - started
print(sorted(loop() for _ in range(9))[4])
"""
#: Where Linux tells of ext4's journals: a directory for each, named after the device.
_JOURNALS: Final = Path("/proc/fs/jbd2")
#: ext4's mark of a directory whose directories are spread over the disk (``chattr +T``), and how it is asked and set.
_TOP_DIRECTORY: Final = 0x00020000
_GET_FLAGS: Final = 0x80086601
_SET_FLAGS: Final = 0x40086602


def facts(folder: Path) -> dict[str, str]:
    """What must be known to compare figures: the machine, its file system and the versions of everything."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory / 2**30:.0f} GiB",
        "file system": _file_system(folder),
        "system": f"{platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "Python": platform.python_version(),
        "pynetdicom": version("pynetdicom"),
        "pydicom": version("pydicom"),
        "dcmtk": _said([tool("storescu"), "--version"], r"v(\d\S+)"),
        "Orthanc": _said([tool("Orthanc"), "--version"], r"Orthanc (\S+)"),
        **{name: _version(name) for name in ("dicognito", "dicom-anonymizer", "deid")},
        VERSION: gateway_version(),
    }


def gateway_version() -> str:
    """Version and commit of what is measured."""
    return f"{__version__} {_said(['git', '-C', str(ROOT), 'describe', '--always'], r'(.+)')}".strip()


def loop_ms() -> float:
    """Milliseconds of CPU that a million turns of a loop take while all cores do that, by the slowest core's median.

    Alone a core of a virtual machine may look fast, and be slow when the others work, which are threads of the same
    core; and it has phases in which other machines use it.
    """
    loops = [
        subprocess.Popen([sys.executable, "-ISc", _LOOP], stdout=subprocess.PIPE, text=True)
        for _ in os.sched_getaffinity(0)
    ]
    return max(float(loop.communicate()[0]) for loop in loops) * 1000


def spread(folder: Path) -> None:
    """Let the directories that are made in ``folder`` be far from each other, where the file system can do that.

    ext4 creates files near their directory. Without a journal it gives no inode away again that was freed within some
    minutes: it passes over them one by one. Where a run is spread, it does not meet what others removed.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    flags = array("l", [0])
    try:
        fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        flags[0] |= _TOP_DIRECTORY
        fcntl.ioctl(descriptor, _SET_FLAGS, flags)
    except OSError:
        pass  # no ext4
    finally:
        os.close(descriptor)


def bounds(folder: Path) -> Iterator[tuple[str, str, Callable[[], Run]]]:
    """Name, unit of work and a measurement of what the machine can do with 1 process."""
    folder.mkdir(parents=True, exist_ok=True)
    yield "create a file", "empty", lambda: _create(folder, 500)
    yield "write and fdatasync a file", "12 kB", lambda: _sync(folder, 12_000, 200)
    yield "write and fdatasync a file", "533 kB", lambda: _sync(folder, 533_000, 100)
    yield "write and fdatasync a file", "15 MB", lambda: _sync(folder, 15_000_000, 20)
    yield "copy a file in the page cache", "256 MB", lambda: _copy(folder)
    yield "send over loopback", "1 GB", _loopback


def _create(folder: Path, count: int) -> Run:
    """Where many files were removed a moment ago this may take much longer, as ``spread`` says; they are left."""
    new = Path(tempfile.mkdtemp(dir=folder))
    started = time.perf_counter()
    for number in range(count):
        os.close(os.open(new / f"{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    return Run(instances=count, size=0, seconds=time.perf_counter() - started)


def _sync(folder: Path, size: int, count: int) -> Run:
    data = os.urandom(size)
    new = Path(tempfile.mkdtemp(dir=folder))
    synced()
    started = time.perf_counter()
    for number in range(count):
        descriptor = os.open(new / f"{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, data)
        os.fdatasync(descriptor)
        os.close(descriptor)
    return Run(instances=count, size=count * size, seconds=time.perf_counter() - started)


def _copy(folder: Path) -> Run:
    size = 256 * _MEGABYTE
    source, target = folder / "source", folder / "target"
    source.write_bytes(os.urandom(_MEGABYTE) * 256)
    target.unlink(missing_ok=True)
    synced()
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            started = time.perf_counter()
            left = size
            while left:
                left -= os.copy_file_range(reading.fileno(), writing.fileno(), left)
            seconds = time.perf_counter() - started
    finally:
        source.unlink()
        target.unlink(missing_ok=True)
    return Run(instances=1, size=size, seconds=seconds)


def _loopback() -> Run:
    size = 1024 * _MEGABYTE
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=_pour, args=(server.getsockname()[1], size))
        sender.start()
        connection, _ = server.accept()
        with connection:
            buffer = bytearray(_MEGABYTE)
            started = time.perf_counter()
            while connection.recv_into(buffer):
                pass
            seconds = time.perf_counter() - started
        sender.join()
    return Run(instances=1, size=size, seconds=seconds)


def _pour(port: int, size: int) -> None:
    chunk = bytes(_MEGABYTE)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(size // _MEGABYTE):
            connection.sendall(chunk)


def _processor() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _file_system(folder: Path) -> str:
    """Type of the file system that ``folder`` is on, the longest mount point that it is below, and its journal."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    near = [mount for mount in mounts if folder.is_relative_to(mount[1])]
    kind = max(near, key=lambda mount: len(mount[1]))[2]
    if kind != "ext4":
        return kind
    device = folder.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
    return f"{kind} {'with' if any(_JOURNALS.glob(f'{name}-*')) else 'without'} a journal"


def _said(command: list[str], pattern: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, answer.stdout + answer.stderr)
    return found[1] if found else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
