# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The tests' own name server, without the daemon: what fails here is no fault of the proxy's."""

import socket
import struct
import subprocess
import threading

import pytest

from harness import dns as world
from harness import nsd
from harness.net import Deadline
from harness.peer import Ended, Silence, dial

pytestmark = pytest.mark.world

NUMBER = 0x4d58


def query(name, type_):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return (struct.pack(">6H", NUMBER, 0x0100, 1, 0, 0, 0) + labels + b"\0"
            + struct.pack(">HH", world.TYPES[type_], 1))


def ask(dns, name, type_, seconds=None):
    """(number, code, truncated, answers, the octets) of what comes by UDP; None for nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(Deadline(seconds).left())
        s.sendto(query(name, type_), (dns.host, dns.port))
        try:
            octets = s.recv(65535)
        except TimeoutError:
            return None
    number, flags, _, answers = struct.unpack(">4H", octets[:8])
    return number, flags & 15, bool(flags & 0x0200), answers, octets


def test_answers():
    with world.Dns() as dns:
        dns.domain("peer.example", "192.0.2.1", ["192.0.2.2", "2001:db8::2"])
        dns.cname("alias.example", "peer.example")
        dns.null_mx("null.example")
        for name, type_, expected in (
                ("peer.example", "MX", (0, 2)), ("PEER.example", "MX", (0, 2)),
                ("mx2.peer.example", "A", (0, 1)), ("mx2.peer.example", "AAAA", (0, 1)),
                ("mx1.peer.example", "AAAA", (0, 0)), ("alias.example", "MX", (0, 3)),
                ("null.example", "MX", (0, 1)), ("example", "A", (0, 0)),
                ("no.example", "A", (3, 0)), ("alias.example", "TXT", (0, 1))):
            number, code, truncated, answers, _ = ask(dns, name, type_)
            assert (number, truncated) == (NUMBER, False)
            assert (code, answers) == expected, (name, type_)
        assert ask(dns, "null.example", "MX")[4].endswith(b"\0\3\0\0\0")
        assert len(dns.asked("peer.example", "MX")) == 2
        dns.remove("mx2.peer.example")
        assert ask(dns, "mx2.peer.example", "A")[1] == 3
        assert not dns.errors


def test_too_much_for_udp_comes_by_tcp():
    with world.Dns() as dns:
        dns.mx("big.example", *[f"a-host-with-a-long-name-{n}.big.example" for n in range(50)])
        assert ask(dns, "big.example", "MX")[2]
        with dial((dns.host, dns.port)) as wire:
            wire.send(struct.pack(">H", len(query("big.example", "MX"))))
            wire.send(query("big.example", "MX"))
            octets = wire.exactly(struct.unpack(">H", wire.exactly(2))[0])
            assert struct.unpack(">H", octets[6:8]) == (50,)


def test_misbehaviour():
    with world.Dns() as dns:
        dns.a("a.example", "192.0.2.1")

        def seen(how):
            dns.misbehave("a.example", how)
            return ask(dns, "a.example", "A", 0.3 if how == world.SILENT else None)

        assert seen(world.SERVFAIL)[1] == 2 and seen(world.REFUSED)[1] == 5
        assert seen(world.SILENT) is None
        assert seen(world.WRONG_ID)[0] != NUMBER and seen(world.TRUNCATED)[2]
        assert b"\xff" * 20 in seen(world.GARBAGE)[4]
        assert seen(world.WRONG_NAME)[4][13:14] == b"~"
        assert seen(world.CUT_SHORT)[2]
        with dial((dns.host, dns.port)) as wire:
            wire.send(struct.pack(">H", len(query("a.example", "A"))) + query("a.example", "A"))
            with pytest.raises((Ended, Silence)):
                wire.exactly(struct.unpack(">H", wire.exactly(2))[0])
        told = threading.Event()
        dns.misbehave("a.example", told)
        threading.Thread(target=lambda: (dns.wait_asked("a.example", count=10), told.set())).start()
        assert ask(dns, "a.example", "A")[3] == 1
        dns.misbehave("a.example", None)
        dns.misbehave("*", world.SERVFAIL, "AAAA")
        assert ask(dns, "a.example", "A")[3] == 1 and ask(dns, "b.example", "AAAA")[1] == 2
        assert not dns.errors


ZONE = """@ MX 10 mx
mx A 127.0.0.1
other A 127.0.0.2
"""
KINDS = {"good.lab": ("secure", "secure"), "plain.lab": ("insecure", "insecure"),
         "broken.lab": ("bogus", "BOGUS"), "late.lab": ("expired", "BOGUS")}


@pytest.mark.skipif(nsd.missing() is not None, reason=str(nsd.missing()))
def test_a_signed_world(tmp_path):
    """What a validating resolver makes of each of its zones."""
    with nsd.SignedWorld(tmp_path, {n: (k, ZONE) for n, (k, _) in KINDS.items()}) as signed:
        config = tmp_path / "unbound.conf"
        config.write_text(f'server:\n do-not-query-localhost: no\n chroot: ""\n'
                          f' trust-anchor-file: "{signed.anchor}"\n'
                          f'forward-zone:\n name: "."\n forward-addr: {signed.resolver}\n')

        def seen(name, type_):
            return subprocess.run(["unbound-host", "-C", str(config), "-v", "-t", type_, name],
                                  capture_output=True, text=True).stdout

        for name, (_, expected) in KINDS.items():
            assert f"({expected}" in seen(name, "MX"), seen(name, "MX")
        assert "(secure)" in seen("other.broken.lab", "A"), "only its MX is broken"
        assert "(secure)" in seen("none.lab", "A")
