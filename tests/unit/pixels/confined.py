"""Run in a process like that of the codecs: tries what a codec that was taken over might try, and says what happened.

Arguments: ``confined`` or ``free``, the files of ``decoder`` and ``confinement``, a spool file, a victim's process id.
It prints JSON: attempt -> 0, or the number of the error that the kernel answered.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import mmap
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ARM = platform.machine() == "aarch64"


def number(on_x86: int, on_arm: int) -> int:
    return on_arm if _ARM else on_x86


def attempts(spool: Path, victim: int) -> dict[str, Callable[[], object]]:
    """What is tried, in this order: what ends or leaves the process comes last."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    own = ctypes.create_string_buffer(b"taken over" * 10)
    page = mmap.PAGESIZE
    memory = libc.mmap(None, ctypes.c_size_t(page), 3, 0x22, -1, 0)
    name = os.fsencode(spool)

    def call(nr: int, *arguments: Any) -> int:
        ctypes.set_errno(0)
        result = int(libc.syscall(nr, *arguments))
        if result < 0:
            raise OSError(ctypes.get_errno(), "")
        return result

    def rename() -> None:
        os.rename(spool, f"{spool}.moved")
        os.rename(f"{spool}.moved", spool)

    def checked(result: int) -> None:
        if result in (-1, 2**64 - 1):
            raise OSError(ctypes.get_errno(), "")

    vector = struct.pack("<QQ", ctypes.addressof(own), 8)
    # Whether the address is mapped there, too, is of no account: an error that says so is no refusal.
    other = vector
    return {
        # Files: read, write, make, change, link, rename, remove, list, look at.
        "open-read": lambda: os.open(spool, os.O_RDONLY),
        "open-write": lambda: os.open(spool, os.O_WRONLY),
        "open-create": lambda: os.open(f"{spool}.new", os.O_CREAT | os.O_WRONLY),
        "open-secrets": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "truncate": lambda: os.truncate(spool, 1),
        "link": lambda: os.link(spool, f"{spool}.link"),
        "symlink": lambda: os.symlink(spool, f"{spool}.symlink"),
        "rename": rename,
        "chmod": lambda: os.chmod(spool, 0o666),
        "chown": lambda: os.chown(spool, os.getuid(), os.getgid()),
        "utime": lambda: os.utime(spool),
        "setxattr": lambda: os.setxattr(spool, "user.x", b"1"),
        "mkdir": lambda: os.mkdir(f"{spool}.directory"),
        "mknod": lambda: os.mknod(f"{spool}.node"),
        "listdir": lambda: os.listdir(spool.parent),
        "stat": lambda: os.stat(spool),
        "chdir": lambda: os.chdir(spool.parent),
        "unlink": lambda: os.unlink(spool),
        "inotify": lambda: call(number(294, 26), 0),
        # Other processes: read, write, trace, signal, take descriptors of.
        "process_vm_readv": lambda: call(number(310, 270), victim, vector, 1, other, 1, 0),
        "process_vm_writev": lambda: call(number(311, 271), victim, vector, 1, other, 1, 0),
        "ptrace-attach": lambda: call(number(101, 117), 16, victim, 0, 0),
        "kill-0": lambda: os.kill(victim, 0),
        "kill-parent": lambda: os.kill(os.getppid(), 0),
        "kill-stop": lambda: os.kill(victim, signal.SIGCONT),
        "tgkill": lambda: call(number(234, 131), victim, victim, signal.SIGCONT),
        "pidfd_open": lambda: call(434, victim, 0),
        "kcmp": lambda: call(number(312, 272), os.getpid(), victim, 2, 0, 0),
        "prlimit": lambda: resource.prlimit(victim, resource.RLIMIT_CORE),
        "setpriority": lambda: os.setpriority(os.PRIO_PROCESS, 0, 5),
        "sched_setaffinity": lambda: os.sched_setaffinity(victim, os.sched_getaffinity(0)),
        # The network, and other ways out.
        "socket-inet": lambda: socket.socket(socket.AF_INET),
        "socket-unix": lambda: socket.socket(socket.AF_UNIX),
        "socket-netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
        "socketpair": socket.socketpair,
        "pipe": os.pipe,
        "dup": lambda: os.dup(0),
        "memfd_create": lambda: os.memfd_create("code"),
        "io_uring_setup": lambda: call(425, 8, ctypes.create_string_buffer(120)),
        "userfaultfd": lambda: call(number(323, 282), 0),
        "bpf": lambda: call(number(321, 280), 1, ctypes.create_string_buffer(128), 128),
        "perf_event_open": lambda: call(number(298, 241), ctypes.create_string_buffer(128), 0, -1, -1, 0),
        "keyctl": lambda: call(number(250, 219), 0, -3, 1),
        "shmget": lambda: call(number(29, 194), 0, 4096, 0o1600),
        "uname": lambda: call(number(63, 160), ctypes.create_string_buffer(400)),
        # Code that was not loaded.
        "mmap-exec": lambda: checked(libc.mmap(None, ctypes.c_size_t(page), 5, 0x22, -1, 0)),
        "mmap-file": lambda: checked(libc.mmap(None, ctypes.c_size_t(page), 1, 2, 0, 0)),
        "mprotect-exec": lambda: call(number(10, 226), ctypes.c_void_p(memory), ctypes.c_size_t(page), 5),
        # Rights.
        "setuid": lambda: os.setuid(0),
        "unshare": lambda: call(number(272, 97), 1),
        "mount": lambda: call(number(165, 40), name, name, b"none", 4096, None),
        "chroot": lambda: os.chroot("/"),
        "prctl-dumpable": lambda: call(number(157, 167), 4, 1, 0, 0, 0),
        "setrlimit": lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
        "rt_sigaction": lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
        # More processes and threads, and another program.
        "fork": lambda: os.fork() or os._exit(0),
        "clone3": lambda: call(435, struct.pack("<11Q", *[0] * 11), 88) or os._exit(0),
        "execve": lambda: os.execv("/bin/true", ["true"]),
    }


def main() -> None:
    mode, decoder_file, confinement_file, spool, victim = sys.argv[1:]
    specification = importlib.util.spec_from_file_location("decoder", decoder_file)
    assert specification is not None
    assert specification.loader is not None
    decoder = importlib.util.module_from_spec(specification)
    sys.modules["decoder"] = decoder
    specification.loader.exec_module(decoder)
    decoder.load()
    tried = attempts(Path(spool), int(victim))
    given_up = decoder.restrict(1 << 30, Path(confinement_file)) if mode == "confined" else 0
    # In a free process the last one would leave nobody to report.
    tried = tried if given_up else {name: attempt for name, attempt in tried.items() if name != "execve"}
    found: dict[str, int] = {"given-up": given_up}
    for name, attempt in tried.items():
        try:
            attempt()
        except OSError as error:
            found[name] = error.errno or -1
        except ValueError:  # setrlimit says so of EPERM
            found[name] = 1
        else:
            found[name] = 0
    os.write(1, json.dumps(found).encode())


if __name__ == "__main__":
    main()
