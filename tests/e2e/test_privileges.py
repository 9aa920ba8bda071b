# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What each process may do: read from /proc, and tried from inside the living process."""

import errno
import os
import pathlib
import pwd
import re
import struct
import sys

import pytest

from harness import inject, peer
from harness.daemon import sanitized
from harness.inject import attempts
from harness.internet import send
from harness.net import until

NET_RAW = 1 << 13

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="what processes may do: needs root"),
]
no_filters = "a sanitizer is on: no process has a filter, none is confined"


@pytest.fixture(params=["auto", "transparent"])
def service(request, smarthost, internet):
    """All three kinds of process, at work; with a configuration that needs nothing, or spoofs."""
    internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = encrypt")
    source = request.param if request.param == "transparent" else "auto"
    d = smarthost({"source": source}, server={"workers": "2"})
    d.needed = NET_RAW if source == "transparent" else 0
    if not d.needed:
        assert send(d.address, "bob@peer.example").accepted
    # The policy process answers: it has given up what it had.
    assert send(d.address, "bob@nowhere.example").last.startswith("550 ")
    return d


def of(pid, key):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return re.search(rf"^{key}:\t(.*)$", text, re.M)[1].split()


def roles(d):
    return {"sealpost": [d.process.pid], "sealpost-worker": d.workers,
            "sealpost-policy": [d.policy_process]}


def test_users_and_capabilities(service):
    d = service
    nobody = pwd.getpwnam("nobody")
    assert sorted(sum(roles(d).values(), [])) == sorted(d.pids)
    for role, pids in roles(d).items():
        needed = 0 if role == "sealpost-policy" else d.needed
        for pid in pids:
            assert of(pid, "Uid") == [str(nobody.pw_uid)] * 4
            assert of(pid, "Gid") == [str(nobody.pw_gid)] * 4
            assert of(pid, "Groups") == [str(nobody.pw_gid)]
            for name in ("CapPrm", "CapEff"):
                assert int(of(pid, name)[0], 16) == needed, (role, name)
            # What is handed on by executing is the supervisor's to hand on.
            handed = needed if role == "sealpost" else 0
            for name in ("CapInh", "CapAmb"):
                assert int(of(pid, name)[0], 16) == handed, (role, name)
            assert of(pid, "NoNewPrivs") == ["1"]


def test_names_filters_and_dumps(service):
    for role, pids in roles(service).items():
        for pid in pids:
            assert of(pid, "Name") == [role]
            # A process that may not be dumped or traced belongs to root in /proc.
            assert pathlib.Path(f"/proc/{pid}/environ").stat().st_uid == 0
            if not sanitized():
                assert of(pid, "Seccomp") == ["2"]
                ours = int(of("self", "Seccomp_filters")[0])  # where tests are confined, too
                filters = int(of(pid, "Seccomp_filters")[0]) - ours
                assert filters == (1 if role == "sealpost" else 2)


def kinds(pid):
    """What stands behind each descriptor: a short word of the kernel's own."""
    found = []
    for entry in os.scandir(f"/proc/{pid}/fd"):
        target = os.readlink(entry.path)
        if int(entry.name) > 2:
            found.append(target if target.startswith("/") else target.split(":[")[0])
    return sorted(found)


def sockets(pid):
    return {os.readlink(e.path) for e in os.scandir(f"/proc/{pid}/fd")
            if os.readlink(e.path).startswith("socket:")}


def test_descriptors(service):
    """Workers: sockets, and what events need. No file, and of nobody else's sockets but one."""
    d = service
    # The supervisor's pair, the policy process's, the listening one twice (listener.c).
    until(lambda: all(kinds(pid).count("socket") == 4 for pid in d.workers),
          "no session is left, and there are four sockets")
    of_workers = [sockets(pid) for pid in d.workers]
    shared = set.intersection(*of_workers)
    assert len(shared) == 1, "the one they listen on"
    for pid in d.workers:
        assert set(kinds(pid)) <= {"socket", "anon_inode", "anon_inode:[eventpoll]",
                                   "anon_inode:[eventfd]", "anon_inode:[timerfd]"}, kinds(pid)
    policy = sockets(d.policy_process)
    assert not policy & set.union(*of_workers) and not policy & sockets(d.process.pid)
    assert not [k for k in kinds(d.policy_process) if k.startswith("/") and "policy.d" not in k]
    assert not sockets(d.process.pid) & set.union(*of_workers) - shared


# -- from inside

@pytest.fixture
def secrets(internet, tmp_path):
    """A key that the user of the service may read, and a policy file."""
    key = tmp_path / "secret.key"
    key.write_text("a key")
    key.chmod(0o644)
    return str(key), str(internet.policies.file("peer.example")), str(internet.policies.folder)


@pytest.mark.skipif(inject.why_not is not None, reason=str(inject.why_not))
def test_what_they_can_open(service, secrets):
    if sanitized():
        pytest.skip(no_filters)
    key, file, folder = secrets
    for pid in service.workers:
        tried = attempts(pid, key, file, folder, "/etc/passwd", "/proc/self/mem")
        assert tried == ["EPERM"] * 5
    tried = attempts(service.policy_process, file, folder, key, service.config, "/etc/shadow")
    assert tried == [None, None] + ["EACCES"] * 3, "what it is there for, and no more"
    # The supervisor reads keys, as the user that it has become.
    assert attempts(service.process.pid, key, "/etc/shadow") == [None, "EACCES"]
    with peer.Client(service.address) as c:  # they go on
        c.begin()
        c.quit()


# -- on a kernel without Landlock

# Becomes the command behind it, with a filter of system calls in front of the kernel.
CONFINE = """
import ctypes, os, sys
code = bytes.fromhex(sys.argv[1])
PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
class Program(ctypes.Structure):
    _fields_ = ("length", ctypes.c_ushort), ("code", ctypes.c_char_p)
program = Program(len(code) // 8, code)
assert ctypes.CDLL(None).prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def without(number, error):
    """A filter in BPF, by which this system call fails so."""
    load_number, if_equal, give = 0x20, 0x15, 0x06
    fails, allowed = 0x00050000 | error, 0x7fff0000
    return b"".join(struct.pack("=HBBI", *line) for line in (
        (load_number, 0, 0, 0), (if_equal, 0, 1, number), (give, 0, 0, fails),
        (give, 0, 0, allowed)))


def test_without_landlock(smarthost, internet):
    """That is said, and mail flows."""
    if sanitized():
        pytest.skip(no_filters)
    internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = encrypt")
    landlock_create_ruleset = 444
    code = without(landlock_create_ruleset, errno.ENOSYS)
    d = smarthost(through=[sys.executable, "-c", CONFINE, code.hex()])
    d.logged(lambda r: "the kernel has no Landlock" in r["message"])
    assert send(d.address, "bob@peer.example").accepted
