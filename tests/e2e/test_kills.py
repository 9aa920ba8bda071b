# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Workers and the policy process killed at random under load: nothing acknowledged is lost."""

import collections
import contextlib
import os
import random
import re
import signal
import threading
import time

import pytest

from harness import peer
from harness.net import WAIT, Deadline, free_port

NOT_SENT, SENT, REFUSED, ACKNOWLEDGED = "not sent", "sent", "refused", "acknowledged"


class Sender(threading.Thread):
    """
    One message after another, each with a name that no other has, and what became of it. A dropped
    connection is fine, and so is "later"; anything else is a fault.
    """

    def __init__(self, name, address, recipient, context, enough):
        super().__init__(daemon=True)
        self.name, self.address, self.recipient = name, address, recipient
        self.context, self.enough = context, enough
        self.fates, self.faults, self.drops = {}, [], 0

    def run(self):
        while not self.enough.is_set() and not self.faults:
            try:
                self.session()
            except (peer.Ended, OSError):
                self.drops += 1  # ssl's errors are OSErrors, too
            except peer.Silence:
                if "greeted" in self.at:
                    self.faults.append(f"silence {self.at}")
            except AssertionError as e:
                self.faults.append(str(e))

    def session(self):
        self.at = "before"
        with peer.Client(self.address) as c:
            c.reply(220, seconds=1)  # longer where all workers are gone
            self.at = "greeted"
            c.hello("backend.example")
            if self.context:
                c.secure(self.context)
                c.hello("backend.example")
            for _ in range(random.randint(1, 5)):
                self.message(c)
            c.quit()

    def message(self, c):
        name = f"{self.name}-{len(self.fates)}"
        self.fates[name] = NOT_SENT
        octets = b"X-Name: %s\r\n\r\n" % name.encode() + os.urandom(random.choice(
            (1, 1000, 200000))).hex().encode() + b"\r\n"
        for command in ("MAIL FROM:<a@backend.example>", f"RCPT TO:<{self.recipient}>", "DATA"):
            reply = c.command(command)[-1]
            if reply.startswith(b"4"):
                self.fates[name] = REFUSED
                c.command("RSET", 250)
                return
            assert reply[:1] in b"23", reply
        for at in range(0, len(octets), 70000):
            c.send(octets[at:at + 70000])
        self.fates[name] = SENT
        c.send(b".\r\n")
        reply = c.reply()[-1]
        assert reply[:1] in b"24", reply
        self.fates[name] = ACKNOWLEDGED if reply.startswith(b"2") else REFUSED


def seen_enough(senders, killed):
    """Each of them has, at whatever pace; or there is a fault to be shown."""
    fates = collections.Counter(fate for s in senders for fate in list(s.fates.values()))
    return any(s.faults for s in senders) or (
        killed["worker-process"] > 10 and killed["policy-process"] > 1
        and fates[ACKNOWLEDGED] > 100
        and all(s.drops > 0 and ACKNOWLEDGED in list(s.fates.values()) for s in senders))


def kill_at_random(d, senders):
    """One of whoever runs, some time."""
    killed, deadline = collections.Counter(), Deadline(120)
    while not seen_enough(senders, killed):
        assert not deadline.over(), (killed, [(s.name, s.drops, s.fates) for s in senders])
        time.sleep(random.uniform(0.1, 0.6))
        role = random.choice(("worker-process", "worker-process", "policy-process"))
        victims = d.children(role)
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(victims), signal.SIGKILL)
                killed[role] += 1


@pytest.mark.heavy
@pytest.mark.namespaces
def test_nothing_acknowledged_is_lost(smarthost, internet, backend, tls):
    out = internet.peer("peer.example")
    out.keep = backend.keep = False
    internet.policies.put("peer.example", "tls = encrypt")
    internet.policies.put("default", inbound="tls = may")
    port = free_port()
    d = smarthost(server={"workers": "6", "log-level": "info"},
                  limits={"connections-per-address": 100},
                  more=f"[inbound]\nlisten = 127.0.0.1:{port}\nbackend = {backend.address}\n"
                       "tls = offer\nreceived = on\n")
    enough = threading.Event()
    senders = [Sender(f"{way}{n}", address, recipient, context, enough)
               for n in range(3)
               for way, address, recipient, context in (
                   ("out", d.address, "bob@peer.example", None),
                   ("in", ("127.0.0.1", port), "bob@backend.example", tls if n else None))]
    for s in senders:
        s.start()
    try:
        kill_at_random(d, senders)
    finally:
        enough.set()
    for s in senders:
        s.join(2 * WAIT)
        assert not s.is_alive() and not s.faults, (s.name, s.faults)
    arrived = collections.Counter(
        re.search(rb"^X-Name: (\S+)\r$", m.octets, re.M)[1].decode()
        for store in (out.store, backend.store) for m in store.messages)
    for s in senders:
        for name, fate in s.fates.items():
            if fate == ACKNOWLEDGED:
                assert arrived[name] == 1, (name, arrived[name])
            elif fate == SENT:
                assert arrived[name] <= 1, (name, arrived[name])
            else:
                assert arrived[name] == 0, (name, fate, arrived[name])
