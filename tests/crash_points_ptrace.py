"""The kernel's tracing of a process from Python: stopping it before the system calls that change something.

A seccomp filter in the traced process stops it at the calls of ``CALLS`` alone, so everything else runs at full speed,
SQLite's own writes are met like any other, and the calls are counted over all threads of the process.
"""

import ctypes
import os
import platform
import signal
import struct
from dataclasses import dataclass
from functools import cache

AT_FDCWD = -100
CALLS = {
    1: "write",
    2: "open",
    18: "pwrite64",
    20: "writev",
    26: "msync",
    40: "sendfile",
    44: "sendto",
    46: "sendmsg",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    85: "creat",
    86: "link",
    87: "unlink",
    88: "symlink",
    90: "chmod",
    91: "fchmod",
    92: "chown",
    93: "fchown",
    162: "sync",
    257: "openat",
    258: "mkdirat",
    260: "fchownat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    266: "symlinkat",
    268: "fchmodat",
    275: "splice",
    277: "sync_file_range",
    285: "fallocate",
    296: "pwritev",
    306: "syncfs",
    316: "renameat2",
    326: "copy_file_range",
    328: "pwritev2",
    437: "openat2",
}
"""By their numbers on x86-64."""

_TRACEME, _CONT, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
_OPTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x80 | 0x100000  # good syscall stops, (v)fork and clone, seccomp, exit kill
_EVENT_SECCOMP = 7
_WALL = 0x40000000
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _MODE_FILTER = 22, 38, 2
_AUDIT_X86_64 = 0xC000003E
_RET_TRACE, _RET_ALLOW = 0x7FF00000, 0x7FFF0000
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_EXIT, _SECCOMP = 2, 3
_INFO_BYTES = 96

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a thread stands still: ``call`` is about to happen, or it ended with ``result``; or another reason."""

    thread: int
    call: str = ""
    args: tuple[int, ...] = ()
    result: int | None = None
    deliver: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """A thread is gone; with the last one, the process, and ``code`` is its exit status (negative: the signal)."""

    thread: int
    code: int


@cache
def why_not() -> str:
    """Why nothing can be traced here; empty where it can."""
    if platform.machine() != "x86_64" or platform.system() != "Linux":
        return f"system calls are known by their numbers on x86-64 Linux only, this is {platform.machine()}"
    child = os.fork()
    if child == 0:
        os._exit(0 if _libc.ptrace(_TRACEME, 0, None, None) == 0 else 1)
    return "" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 else "the kernel lets nobody trace"


def be_traced() -> None:
    """In the process that is to be traced, before it starts a thread: wait for the tracer, then obey the filter."""
    _checked(_libc.ptrace(_TRACEME, 0, None, None))
    os.kill(os.getpid(), signal.SIGSTOP)
    program = _filter()
    held = ctypes.create_string_buffer(program)
    fprog = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(held))
    _checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(_libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.create_string_buffer(fprog), 0, 0))


def attach(child: int) -> None:
    """Begin to trace a child that called ``be_traced``."""
    os.waitpid(child, 0)
    _checked(_libc.ptrace(_SETOPTIONS, child, None, _OPTIONS))
    go_on(child)


def go_on(thread: int, deliver: int = 0, *, to_the_end_of_the_call: bool = False) -> None:
    """Let a stopped thread run; one that was killed meanwhile is no error."""
    _libc.ptrace(_SYSCALL if to_the_end_of_the_call else _CONT, thread, None, deliver)


def wait() -> Stop | End:
    """The next thing that happens to anything traced."""
    thread, status = os.waitpid(-1, _WALL)
    if not os.WIFSTOPPED(status):
        return End(thread, os.waitstatus_to_exitcode(status))
    event, number = status >> 16, os.WSTOPSIG(status)
    if event == _EVENT_SECCOMP or number == signal.SIGTRAP | 0x80:
        return _call_of(thread)
    silent = event or number in (signal.SIGSTOP, signal.SIGTRAP)
    return Stop(thread, deliver=0 if silent else number)


def text_at(memory: int, address: int) -> str:
    """The path that stands at an address of the traced process; ``memory`` is its ``/proc/PID/mem``."""
    page = 4096
    read = os.pread(memory, page - address % page, address)
    if b"\0" not in read:
        read += os.pread(memory, page, address + len(read))
    return os.fsdecode(read[: read.index(b"\0")])


def _call_of(thread: int) -> Stop:
    info = ctypes.create_string_buffer(_INFO_BYTES)
    if _libc.ptrace(_GET_SYSCALL_INFO, thread, ctypes.c_void_p(_INFO_BYTES), info) < 0:
        return Stop(thread)  # killed meanwhile
    if info.raw[0] == _EXIT:
        return Stop(thread, result=struct.unpack_from("q", info.raw, 24)[0])
    number, *args = struct.unpack_from("7Q", info.raw, 24)
    return Stop(thread, CALLS[number], tuple(args))


def _filter() -> bytes:
    """Stop at ``CALLS``, let all else through; what is not of this machine's kind is let through as well."""
    numbers = list(CALLS)
    steps = [struct.pack("HBBI", _LOAD, 0, 0, 4), struct.pack("HBBI", _JUMP_EQUAL, 0, len(numbers) + 1, _AUDIT_X86_64)]
    steps.append(struct.pack("HBBI", _LOAD, 0, 0, 0))
    steps += [struct.pack("HBBI", _JUMP_EQUAL, len(numbers) - n, 0, number) for n, number in enumerate(numbers)]
    steps += [struct.pack("HBBI", _RETURN, 0, 0, ret) for ret in (_RET_ALLOW, _RET_TRACE)]
    return b"".join(steps)


def _checked(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
