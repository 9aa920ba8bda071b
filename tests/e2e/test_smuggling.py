# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Smuggling: one message sent is one message received, wherever the octets are cut."""

import random
import re

import pytest

from harness import peer
from harness.net import until

EVIL = (b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<victim@c.example>\r\nDATA\r\n"
        b"Subject: smuggled\r\n\r\nbad")
ENDS = [b"\n.\n", b"\n.\r", b"\r.\n", b"\r.\r", b"\n.\r\n", b"\r.\r\n", b"\r\n\0.\r\n",
        b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n.\n", b"\r\n.\r", b"\r\n.\0\r\n",
        b"\r\n .\r\n", b"\r\n.\t\r\n"]
IDS = [repr(e)[2:-1].replace("\\", "") for e in ENDS]


def clean(octets):
    """No bare CR, no bare LF, no NUL: nobody, strict or lenient, reads another end of data."""
    return (b"\0" not in octets
            and octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n"))


def unread(port):
    """Octets that wait in the daemon's receive queues."""
    total = 0
    with open("/proc/net/tcp") as f:
        for line in f.readlines()[1:]:
            field = line.split()
            if field[1].endswith(f":{port:04X}") and field[3] == "01":
                total += int(field[4].split(":")[1], 16)
    return total


def attempt(d, backend, context, octets, cut=None):
    """One message with these octets in it; all replies behind the 354."""
    with peer.Client(d.address) as c:
        c.begin(context)
        c.envelope()
        c.command("DATA", 354)
        whole = b"Subject: x\r\n\r\nfirst" + octets + EVIL + b"\r\n.\r\nQUIT\r\n"
        if cut is None:
            c.send(whole)
        else:
            at = whole.index(octets) + cut
            c.send(whole[:at])
            until(lambda: unread(d.port) == 0, "the first part is read")
            c.send(whole[at:])
        return re.findall(rb"(?m)^(\d\d\d) ([^\r]*)", c.rest())


def judge(d, backend, replies, octets, reject=False):
    codes = [code for code, _ in replies]
    if b"\0" in octets:
        assert replies[0][0] == b"550" and b"5.6.0" in replies[0][1], replies
    elif reject and not clean(octets):
        assert replies[0][0] == b"550" and b"5.6.11" in replies[0][1], replies
    else:
        assert codes == [b"250", b"221"], replies
    assert codes.count(b"354") == 0 and codes.count(b"250") <= 1 and len(codes) <= 2, replies
    wire = backend.wires[-1]
    received = bytes(wire.received)
    assert clean(received), received
    assert received.count(b"\r\nDATA\r\n") >= 1
    assert received.count(b"\r\n.\r\n") == codes.count(b"250")
    assert len(backend.store.messages) == codes.count(b"250")


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("octets", ENDS, ids=IDS)
@pytest.mark.parametrize("policy", ["normalize", "reject"])
def test_false_ends(daemon, backend, tls, octets, secure, policy):
    d = daemon(backend, inbound={"bare-newline": policy, "received": "off"})
    for cut in [None, *range(len(octets) + 1)]:
        backend.store.messages.clear()
        replies = attempt(d, backend, tls if secure else None, octets, cut)
        judge(d, backend, replies, octets, policy == "reject")
    d.healthy()


def framed(rng):
    """Random octets up to the first true end of data, which is put behind where there is none."""
    octets = bytes(rng.choice(b"\r\n.\0a\r\n.") for _ in range(rng.randrange(40))) + b"\r\n.\r\n"
    at = (b"\r\n" + octets).index(b"\r\n.\r\n")
    return octets[:at + 3]


@pytest.mark.heavy
@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_random_strings(daemon, backend, tls, secure):
    rng = random.Random(5321)
    d = daemon(backend, inbound={"received": "off"})
    for n in range(1500 if not secure else 500):
        octets = framed(rng)
        backend.store.messages.clear()
        with peer.Client(d.address) as c:
            c.begin(tls if secure else None)
            c.envelope()
            c.command("DATA", 354)
            cut = rng.randrange(len(octets) + 1)
            c.send(octets[:cut])
            c.send(octets[cut:] + b"QUIT\r\n")
            codes = re.findall(rb"(?m)^(\d\d\d) ", c.rest())
        if b"\0" in octets:
            assert codes[0] == b"550" and len(codes) <= 2, (octets, codes)
        else:
            assert codes == [b"250", b"221"], (octets, codes)
        received = bytes(backend.wires[-1].received)
        assert clean(received), (octets, received)
        assert len(backend.store.messages) == codes.count(b"250")
        backend.wires.clear()
    d.healthy()


@pytest.mark.parametrize("octets", [b"\r\n.\r\n", b"a\nb", b"\0", bytes(range(256))], ids=range(4))
def test_chunks_are_counted_not_read(daemon, backend, tls, octets):
    """In BDAT nothing is an end and nothing is repaired."""
    message = b"Subject: x\r\n\r\n" + octets + EVIL + b"\r\n.\r\n"
    d = daemon(backend, inbound={"received": "off"})
    with peer.Client(d.address) as c:
        c.begin(tls)
        for size in (1, 7, len(message)):
            c.envelope()
            c.bdat(message, size)
        c.quit()
    assert [m.octets for m in backend.store.messages] == [message] * 3
