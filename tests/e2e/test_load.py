# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Many at once, nobody starved, no stalls, and no more rights than are needed."""

import os
import pathlib
import statistics
import threading
import time

import pytest

from harness import peer
from harness.backend import Backend
from harness.net import Deadline, until

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
NET_RAW = 1 << 13


def test_many_at_once(daemon, backend, tls):
    """Three hundred sessions in step, every third under TLS; each message arrives once."""
    d = daemon(backend, limits={"connections-per-address": 1000, "handshakes-per-second": 1000})
    clients = [peer.Client(d.address) for _ in range(300)]
    for n, c in enumerate(clients):
        c.begin(tls if n % 3 == 0 else None)
    for n, c in enumerate(clients):
        c.send(b"MAIL FROM:<a%d@b.example>\r\nRCPT TO:<b@c.example>\r\nDATA\r\n" % n)
    for c in clients:
        c.reply(250), c.reply(250), c.reply(354)
    for n, c in enumerate(clients):
        c.send(b"X-N: %d\r\n\r\n.\r\nQUIT\r\n" % n)
    for c in clients:
        c.reply(250), c.reply(221)
        assert c.rest() == b""
    seen = sorted(int(m.octets.split(b"X-N: ")[1].split()[0]) for m in backend.store.messages)
    assert seen == list(range(300))
    assert all(f"X-N: {m.sender[1:].split('@')[0]}\r\n".encode() in m.octets
               for m in backend.store.messages)


class Drain(Backend):
    """Keeps nothing of a message."""

    def read_data(self, wire):
        last = b""
        while last != b"\r\n.\r\n":
            assert wire.fill(Deadline())
            wire.received.clear()
            last = (last + wire.take(len(wire.unread)))[-5:]
        return b""


@pytest.mark.heavy
def test_large_messages_starve_nobody(daemon, tls):
    """While some send without end another one gets its answers, each in a few megabytes' time."""
    block, sent, enough = (b"x" * 998 + b"\r\n") * 500, [0] * 3, threading.Event()
    with Drain() as server:
        d = daemon(server)
        loud = [peer.Client(d.address) for _ in sent]
        for c in loud:
            c.begin(tls)
            c.envelope()
            c.command("DATA", 354)

        def send(n):
            while not enough.is_set():
                loud[n].send(block)
                sent[n] += 1
            loud[n].send(b".\r\n")
        sending = [threading.Thread(target=send, args=(n,), daemon=True) for n in range(len(loud))]
        with peer.Client(d.address) as quiet:
            quiet.begin(tls)
            for t in sending:
                t.start()
            meanwhile = []
            for _ in range(20):
                begun = sum(sent)
                until(lambda: sum(sent) > begun, "the messages go on")
                quiet.command("NOOP", 250)
                meanwhile.append(sum(sent) - begun)
            enough.set()
        for t, c in zip(sending, loud):
            t.join()
            c.reply(250)
            c.close()
        assert statistics.median(meanwhile) < 40, meanwhile


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_no_stalls(daemon, backend, tls, secure):
    """
    Nagle against delayed acknowledgements costs 40 ms a time: no step may have it as a rule. What
    a busy machine costs is no rule.
    """
    d = daemon(backend)
    waits = {}

    def step(name, act):
        begun = time.monotonic()
        act()
        waits.setdefault(name, []).append(time.monotonic() - begun)

    for _ in range(15):
        with peer.Client(d.address) as c:
            step("greeting", lambda: c.reply(220))
            step("ehlo", c.hello)
            if secure:
                step("starttls", lambda: c.command("STARTTLS", 220))
                step("handshake", lambda: c.starttls(tls, "proxy.example"))
                step("ehlo again", c.hello)
            step("mail", lambda: c.command("MAIL FROM:<a@b.example>", 250))
            step("rcpt", lambda: c.command("RCPT TO:<b@c.example>", 250))
            step("data", lambda: c.command("DATA", 354))
            step("message", lambda: (c.send(peer.stuff(MESSAGE)), c.reply(250)))
            step("envelope", c.envelope)
            step("bdat", lambda: c.bdat(MESSAGE, 10))
            step("quit", c.quit)
    late = {name: w for name, w in waits.items() if statistics.quantiles(w)[0] > 0.035}
    assert not late, late


def rights(pid):
    fields = dict(line.split(":\t", 1) for line
                  in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return {int(u) for u in fields["Uid"].split()}, {int(g) for g in fields["Gid"].split()}, \
        int(fields["CapPrm"], 16) | int(fields["CapEff"], 16) | int(fields["CapInh"], 16)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to drop: needs root")
@pytest.mark.parametrize("mode,needed", [("none", 0), ("xclient", 0), ("proxy-v2", 0),
                                         ("transparent", NET_RAW)])
def test_rights_after_the_start(daemon, backend, mode, needed):
    d = daemon(backend, inbound={"client-address": mode})
    for pid in d.pids:
        users, groups, capabilities = rights(pid)
        assert 0 not in users and 0 not in groups
        assert capabilities == needed, hex(capabilities)


def test_descriptors_are_not_inherited(daemon, backend):
    """What the tests' own process has open is not the daemon's, and each keeps few of its own."""
    d = daemon(backend)
    for pid in d.pids:
        assert len(os.listdir(f"/proc/{pid}/fd")) < 16
