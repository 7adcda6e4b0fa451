"""What the codecs' process gives up before the first frame: system calls, paths, capabilities, its user.

Once confined it can compute, have memory, and read from and write to the pipes that it has. Whatever takes over a codec
can do no more. Loaded by the child on its own, without the rest of the gateway.

The filter is a program of classic BPF that the kernel runs before each system call (Documentation/userspace-api/
seccomp_filter.rst). What it does not know is refused with EPERM; calls of another architecture's numbers end the
process. Where the kernel has Landlock, paths, TCP and signals are given up by that as well.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import sys
from collections.abc import Iterable
from enum import IntFlag
from pathlib import Path
from struct import Struct, pack
from typing import Final, NamedTuple

# Of prctl(2).
_PR_SET_DUMPABLE: Final = 4
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
# Of seccomp(2).
_SET_MODE_FILTER: Final = 1
_ALL_THREADS: Final = 1
#: Without it kernels before 5.16 slow the whole process down, against an attack on secrets that it does not have.
_NO_SPECULATION_COST: Final = 4
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
_KILL: Final = 0x80000000
# Instructions of classic BPF: load a word of struct seccomp_data, jump, return.
_INSTRUCTION: Final = Struct("<HBBI")
_LOAD: Final = 0x20
_IF_EQUAL: Final = 0x15
_IF_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06
_NUMBER: Final = 0
_ARCHITECTURE: Final = 4
_ARGUMENTS: Final = 16
_PROT_EXEC: Final = 4
_MAP_ANONYMOUS: Final = 0x20
# landlock(7): rights over files, TCP, and what lies outside of the domain, by version of the interface.
_LANDLOCK_CREATE: Final = 444
_LANDLOCK_RESTRICT: Final = 446
_LANDLOCK_VERSION: Final = 1
_FILES: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP: Final = 3
_SCOPES: Final = 3
#: A child started by root gets a user that nothing else has: this and its process id.
_USERS: Final = 2_000_000_000
_NOBODY: Final = 65534


class Machine(NamedTuple):
    """An architecture: its mark in the kernel's audit interface, the number of seccomp(2), and calls by number."""

    mark: int
    seccomp: int
    calls: dict[str, int]


#: What is allowed. Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux.
MACHINES: Final = {
    "x86_64": Machine(
        0xC000003E,
        317,
        {
            "read": 0,
            "write": 1,
            "readv": 19,
            "futex": 202,
            "brk": 12,
            "mmap": 9,
            "munmap": 11,
            "mprotect": 10,
            "mremap": 25,
            "madvise": 28,
            "alarm": 37,
            "setitimer": 38,
            "clock_gettime": 228,
            "gettimeofday": 96,
            "sched_yield": 24,
            "nanosleep": 35,
            "clock_nanosleep": 230,
            "sched_getaffinity": 204,
            "sysinfo": 99,
            "getrandom": 318,
            "getpid": 39,
            "gettid": 186,
            "tgkill": 234,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "sigaltstack": 131,
            "restart_syscall": 219,
            "close": 3,
            "exit": 60,
            "exit_group": 231,
        },
    ),
    "aarch64": Machine(
        0xC00000B7,
        277,
        {
            "read": 63,
            "write": 64,
            "readv": 65,
            "futex": 98,
            "brk": 214,
            "mmap": 222,
            "munmap": 215,
            "mprotect": 226,
            "mremap": 216,
            "madvise": 233,
            "setitimer": 103,
            "clock_gettime": 113,
            "gettimeofday": 169,
            "sched_yield": 124,
            "nanosleep": 101,
            "clock_nanosleep": 115,
            "sched_getaffinity": 123,
            "sysinfo": 179,
            "getrandom": 278,
            "getpid": 172,
            "gettid": 178,
            "tgkill": 131,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "sigaltstack": 132,
            "restart_syscall": 128,
            "close": 57,
            "exit": 93,
            "exit_group": 94,
        },
    ),
}


class Confinement(IntFlag):
    """What a process gave up."""

    NOTHING = 0
    #: System calls beyond those of ``MACHINES``.
    CALLS = 1
    #: Paths, by Landlock.
    PATHS = 2
    #: The user that started it; only root can.
    USER = 4


def confine(limits: Iterable[tuple[int, int]] = ()) -> Confinement:
    """Give up everything that codecs do not need, for ever; called once all code is loaded.

    Parameters
    ----------
    limits: resources and what the process may have of each, as ``resource.setrlimit`` takes them

    Returns
    -------
    What this kernel and this user made possible.
    """
    given_up = Confinement.NOTHING
    if os.geteuid() == 0 and _leave_root():
        given_up |= Confinement.USER
    alone = sum(1 for _ in Path("/proc/self/task").iterdir()) == 1
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if _give_up_paths(libc):
        given_up |= Confinement.PATHS
    for kind, limit in limits:
        resource.setrlimit(kind, (limit, limit))
    machine = _machine()
    if machine is not None and _filter_calls(libc, machine, alone=alone):
        given_up |= Confinement.CALLS
    return given_up


def missing() -> str | None:
    """Why system calls cannot be filtered here; None if they can. Gives nothing up."""
    if _machine() is None:
        return f"the gateway knows no system calls of {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    # A filter at no address: a kernel that knows filters says that the address is bad (prctl(2)).
    libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, 0, 0, 0)
    return None if ctypes.get_errno() == errno.EFAULT else "this kernel has no filter of system calls (seccomp)"


def filter_of(machine: Machine, pid: int) -> bytes:
    """The filter's instructions.

    Parameters
    ----------
    machine: the architecture
    pid: the process that it is for: it may send signals to itself, as abort(3) does
    """
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, machine.mark),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    refuse, allow = (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)
    # A call whose arguments count -> what is looked at: the low word of an argument, and where a match leads.
    judged = {
        # No code beyond what is loaded, and no file in memory.
        "mmap": [(_LOAD, 0, 0, _argument(2)), (_IF_ANY_BIT, 2, 0, _PROT_EXEC), (_LOAD, 0, 0, _argument(3)),
                 (_IF_ANY_BIT, 1, 0, _MAP_ANONYMOUS), refuse, allow],
        "mprotect": [(_LOAD, 0, 0, _argument(2)), (_IF_ANY_BIT, 0, 1, _PROT_EXEC), refuse, allow],
        "tgkill": [(_LOAD, 0, 0, _argument(0)), (_IF_EQUAL, 1, 0, pid), refuse, allow],
    }  # fmt: skip
    for name, number in machine.calls.items():
        block = judged.get(name, [allow])
        code += [(_IF_EQUAL, 0, len(block), number), *block]
    code.append(refuse)
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)


def _argument(number: int) -> int:
    """Where the low word of an argument is in struct seccomp_data."""
    return _ARGUMENTS + 8 * number


def _machine() -> Machine | None:
    # A 32-bit interpreter on a 64-bit kernel has other numbers.
    return MACHINES.get(platform.machine()) if sys.maxsize > 1 << 32 and sys.byteorder == "little" else None


def _leave_root() -> bool:
    for user in (_USERS + os.getpid(), _NOBODY):
        try:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        except OSError:  # a namespace without this user, or root without its capabilities
            continue
        return True
    return False


def _give_up_paths(libc: ctypes.CDLL) -> bool:
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), _LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = pack("<Q", _FILES[min(version, max(_FILES))])
    if version >= 4:
        rights += pack("<Q", _TCP)
    if version >= 6:
        rights += pack("<Q", _SCOPES)
    # A set of rules without a rule: nothing of it is allowed any more.
    rules = libc.syscall(_LANDLOCK_CREATE, rights, ctypes.c_size_t(len(rights)), 0)
    if rules < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT, rules, 0) == 0)
    finally:
        os.close(rules)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _filter_calls(libc: ctypes.CDLL, machine: Machine, *, alone: bool) -> bool:
    instructions = filter_of(machine, os.getpid())
    program = _Program(len(instructions) // _INSTRUCTION.size, instructions)
    for flags in (_ALL_THREADS | _NO_SPECULATION_COST, _ALL_THREADS):
        if libc.syscall(machine.seccomp, _SET_MODE_FILTER, flags, ctypes.byref(program)) == 0:
            return True
    # A service manager may refuse seccomp(2) and allow prctl(2), which binds one thread: the only one.
    filtered = alone and libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0
    return bool(filtered)
