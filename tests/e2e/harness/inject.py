# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""System calls made by another process in place of its own: what it may do, tried from inside."""

import contextlib
import ctypes
import errno
import os
import platform

from .net import until

_GETREGS, _SETREGS, _ATTACH, _DETACH, _SYSCALL = 12, 13, 16, 17, 24
_ALL = 0x40000000    # __WALL
_READ, _WRITE, _CLOSE, _CONNECT, _OPENAT = 0, 1, 3, 42, 257
_AT_FDCWD = -100 & (1 << 64) - 1
_SYSCALL_OPCODE = b"\x0f\x05"

ORDERS = 3                   # a child's end of the pair, as in proxy/child.h
SETUP, TAKEN = 3, 8          # as in proxy/orders.h

NAMES = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp "
         "ss fs_base gs_base ds es fs gs").split()

why_not = None if platform.machine() == "x86_64" else "system calls are injected on x86-64 alone"


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in NAMES]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid, data=None):
    if _libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace: {os.strerror(ctypes.get_errno())}")


class Inside:
    """A process that is held in a system call of its own."""

    def __init__(self, pid):
        self.pid = pid
        self._own = self._registers()
        self._memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)

    def waits(self):
        """Whether it was in a system call, and not at work, when it was held."""
        return os.pread(self._memory, 2, self._own.rip - 2) == _SYSCALL_OPCODE

    def _registers(self):
        registers = _Registers()
        _ptrace(_GETREGS, self.pid, ctypes.byref(registers))
        return registers

    def _call(self, number, *arguments):
        registers = _Registers.from_buffer_copy(self._own)
        registers.rax = number
        registers.orig_rax = (1 << 64) - 1  # nothing of its own is begun again
        registers.rip -= 2
        for name, value in zip(("rdi", "rsi", "rdx", "r10"), arguments):
            setattr(registers, name, value)
        _ptrace(_SETREGS, self.pid, ctypes.byref(registers))
        for _ in ("its entry", "its end"):
            _ptrace(_SYSCALL, self.pid)
            os.waitpid(self.pid, _ALL)
        return ctypes.c_longlong(self._registers().rax).value

    @contextlib.contextmanager
    def _lent(self, octets):
        """The address of these, in its memory."""
        at = self._own.rsp - 8192
        before = os.pread(self._memory, len(octets), at)
        os.pwrite(self._memory, octets, at)
        yield at
        os.pwrite(self._memory, before, at)

    def open(self, path):
        """The error of open(path, O_RDONLY), or 0."""
        with self._lent(path.encode() + b"\0") as at:
            result = self._call(_OPENAT, _AT_FDCWD, at, os.O_RDONLY, 0)
        if result < 0:
            return -result
        assert self._call(_CLOSE, result) == 0
        return 0

    def write(self, fd, octets):
        """What write() gives."""
        with self._lent(octets) as at:
            return self._call(_WRITE, fd, at, len(octets))

    def connect(self, fd, address):
        """What connect() gives."""
        with self._lent(address) as at:
            return self._call(_CONNECT, fd, at, len(address))

    def read(self, fd, size):
        """The octets of a packet, whatever descriptor comes with it; None: there is none."""
        with self._lent(bytes(size)) as at:
            n = self._call(_READ, fd, at, size)
            return os.pread(self._memory, n, at) if n > 0 else None

    def leave(self):
        os.close(self._memory)
        _ptrace(_SETREGS, self.pid, ctypes.byref(self._own))


def _held(pid):
    """It, if it waits; else it is let go."""
    _ptrace(_ATTACH, pid)
    os.waitpid(pid, _ALL)
    process = Inside(pid)
    if process.waits():
        return process
    process.leave()
    _ptrace(_DETACH, pid)
    return None


@contextlib.contextmanager
def inside(pid):
    process = until(lambda: _held(pid), "it waits for something")
    try:
        try:
            yield process
        finally:
            process.leave()
    finally:
        try:
            _ptrace(_DETACH, pid)
        except ProcessLookupError:  # killed: its parent hears of its end after its tracer
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, _ALL)
            raise


def attempts(pid, *paths):
    """The names of the errors that opening each has, as that process tries it; None: it may."""
    with inside(pid) as process:
        return [errno.errorcode.get(process.open(str(path))) for path in paths]
