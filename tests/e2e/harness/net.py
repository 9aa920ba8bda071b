# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""A network of the tests' own, ports in it, and waiting for facts instead of sleeping."""

import ctypes
import itertools
import os
import select
import socket
import subprocess
import time

WAIT = float(os.environ.get("SEALPOST_TEST_WAIT", "60"))  # seconds that any one fact may take

_CLONE_NEWNET = 0x40000000
_outside = None  # descriptor of the network namespace that we came from
_ports = itertools.count(2000)


def isolate():
    """Moves this process into a network namespace of its own; returns why not, or None."""
    global _outside
    if os.geteuid() != 0:
        return "needs root"
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        os.close(outside)
        return os.strerror(ctypes.get_errno())
    _outside = outside
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "198.51.100.1/24", "dev", "lo"], check=True)
    subprocess.run(["ip", "-force", "-batch", "-"], capture_output=True, text=True, input="".join(
        f"address add 2001:db8:25::{n:x}/128 dev lo nodad\n" for n in range(1, 32)))
    with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as f:
        f.write("20000 65000")
    return None


def isolated():
    return _outside is not None


def run_outside(command, **options):
    """Runs a command where the machine's own network is, for what must be downloaded."""
    if _outside is None:
        return subprocess.run(command, **options)
    return subprocess.run(["nsenter", f"--net=/proc/self/fd/{_outside}", "--"] + command,
                          pass_fds=[_outside], **options)


def free_port():
    """
    A port that nobody listens on. In a namespace of our own nobody else takes any, and these
    lie outside the range of the kernel's own choice: no race. Elsewhere the kernel chooses.
    """
    if isolated():
        return next(_ports)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Deadline:
    def __init__(self, seconds=None):
        self.end = time.monotonic() + (WAIT if seconds is None else seconds)

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def over(self):
        return self.left() == 0.0


def until(fact, what, seconds=None):
    """
    Looks until fact() is true and returns its value: for facts of which nobody tells us
    (another process's descriptors, a file that a mail server will write).
    """
    deadline = Deadline(seconds)
    while True:
        value = fact()
        if value:
            return value
        if deadline.over():
            raise AssertionError(f"waited in vain: {what}")
        select.select([], [], [], 0.005)


def listening(port):
    """Whether somebody listens on this TCP port, asked of the kernel: no connection is made."""
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}") as f:
            for line in itertools.islice(f, 1, None):
                field = line.split()
                if field[3] == "0A" and int(field[1].rsplit(":", 1)[1], 16) == port:
                    return True
    return False
