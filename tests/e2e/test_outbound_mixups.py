# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""One session, several domains: none of them is ever served by what another was granted."""

import os
import signal
import threading
import time

import pytest

from harness import destination as far
from harness import dns as names
from harness.internet import send, transaction
from harness.net import WAIT, until
from harness.peer import Client

pytestmark = pytest.mark.namespaces


@pytest.fixture
def client(smarthost):
    """A backend's session behind its EHLO, and the daemon."""
    opened = []

    def open_one(**how):
        d = smarthost(**how)
        opened.append(Client(d.address))
        opened[-1].reply(220)
        opened[-1].hello("backend.example")
        return opened[-1], d
    yield open_one
    for c in opened:
        c.close()


def slow(internet, domain):
    """Its MX records come when the event is set."""
    answer = threading.Event()
    internet.dns.misbehave(domain, answer, "MX")
    return answer


def forgotten_question(internet, c):
    """
    A recipient's question is out when the transaction that it belongs to ends, because the host
    of another recipient goes. The question's answer is the event.
    """
    first = internet.peer("first.example")
    answer = slow(internet, "slow.example")
    c.envelope("alice@backend.example", "a@first.example")
    c.send("RCPT TO:<b@slow.example>\r\n")
    internet.dns.wait_asked("slow.example", "MX")
    for wire in first.wires:
        wire.finish()
    assert c.reply()[-1].startswith(b"451 4.4.2 ")
    c.command("RSET", 250)
    return answer


def test_an_answer_about_another_domain(internet, client):
    """It comes while the bank is asked about: the bank's mail goes to the bank, by TLS."""
    thief = internet.peer("slow.example", None)
    bank = internet.peer("bank.example")
    internet.policies.put("bank.example", "tls = verify")
    c, d = client()
    answer = forgotten_question(internet, c)
    other = slow(internet, "bank.example")
    c.command("MAIL FROM:<alice@backend.example>", 250)
    c.send("RCPT TO:<secret@bank.example>\r\n")
    internet.dns.wait_asked("bank.example", "MX")
    answer.set()
    internet.dns.wait_asked("mx1.slow.example")
    d.settle()
    other.set()
    assert c.reply()[-1].startswith(b"250 ")
    assert not thief.wires and bank.wires[-1].secure
    c.quit()


def test_an_answer_behind_the_end_of_its_session(internet, client):
    c, d = client()
    answer = forgotten_question(internet, c)
    internet.peer("slow.example")
    assert transaction(c, "b@first.example").accepted   # its answer is at hand
    c.quit()
    d.session_end(end="quit")
    answer.set()
    internet.dns.wait_asked("mx1.slow.example")
    assert send(d.address, "b@slow.example").accepted
    d.healthy()


def test_an_answer_while_another_host_is_called(internet, client):
    """The bank was known at once: what comes about the other one then is of no concern."""
    thief = internet.peer("slow.example", None)
    bank = internet.peer("bank.example")
    internet.policies.put("bank.example", "tls = verify")
    c, d = client()
    assert send(d.address, "a@bank.example").accepted
    answer = forgotten_question(internet, c)
    go_on = threading.Event()
    bank.greet = lambda wire, greet=bank.greet: (go_on.wait(WAIT), greet(wire))
    c.command("MAIL FROM:<alice@backend.example>", 250)
    before = len(bank.wires)
    c.send("RCPT TO:<secret@bank.example>\r\n")
    until(lambda: len(bank.wires) > before, "the bank is called")
    answer.set()
    internet.dns.wait_asked("mx1.slow.example")
    d.settle()
    go_on.set()
    assert c.reply()[-1].startswith(b"250 ")
    assert not thief.wires and bank.wires[-1].secure
    c.quit()


def test_no_host_is_believed(internet, client):
    """A domain without a host that it may use is not served by the leg that is up."""
    other = internet.peer("other.example", None)
    internet.domain("bank.example", internet.peer("elsewhere.example", None))
    internet.policies.put("bank.example", "tls = encrypt\nmx = *.bank.example")
    c, _ = client()
    assert transaction(c, "a@other.example").accepted
    for _ in range(3):
        seen = transaction(c, "secret@bank.example")
        assert not seen.accepted and seen.last.startswith("451 4.7.0 "), seen
        # That no memory of the refusal helps.
        assert transaction(c, "a@gone.example").last.startswith("550 5.1.2 ")
    assert b"secret@" not in other.raw
    assert transaction(c, "a@other.example").accepted
    c.quit()


def test_policy_process_counts_anew(internet, client):
    """What was granted by one process is not taken for granted by the next."""
    peer = internet.peer("peer.example", None)
    c, d = client()
    assert transaction(c, "a@peer.example").accepted
    os.kill(d.policy_process, signal.SIGKILL)
    internet.policies.put("peer.example", "tls = encrypt")
    d.logged(lambda r: "started again" in r["message"])
    d.settle()
    internet.peer("other.example")
    assert send(d.address, "a@other.example").accepted  # it has read its files
    seen = transaction(c, "secret@peer.example")
    assert not seen.accepted and seen.last.startswith("451 4.7.4 "), seen
    assert b"secret@" not in peer.raw


def test_another_domain_behind_a_refused_recipient(internet, client):
    """Its host has never heard of the MAIL: a 503 of its would be the end of the message."""
    first = internet.peer("first.example", script={"rcpt": "550 5.1.1 no such user"})
    second = internet.peer("second.example")
    c, _ = client()
    seen = transaction(c, "nobody@first.example", "bob@second.example")
    assert seen.recipients[0][-1].startswith(b"550 5.1.1 ")
    assert seen.recipients[1][-1].startswith(b"452 4.5.3 "), seen
    assert transaction(c, "bob@second.example").accepted
    assert len(second.store.messages) == 1 and not first.store.messages
    c.quit()


def test_nobody_answers(internet, client):
    """The question that a transaction left behind does not end the session later on."""
    c, d = client(limits={"policy-timeout": "1s"})
    internet.dns.misbehave("slow.example", names.SILENT)
    internet.peer("first.example")
    forgotten_question(internet, c)
    assert transaction(c, "b@first.example").accepted
    c.command("NOOP", 250)
    c.quit()
    d.session_end(end="quit")


def test_a_policy_process_that_is_stuck(internet, smarthost):
    """Mail waits for it no longer than it would for another one."""
    internet.peer("peer.example")
    d = smarthost(limits={"policy-timeout": "1s"})
    pid = until(lambda: d.policy_process, "there is a policy process")
    os.kill(pid, signal.SIGSTOP)
    until(lambda: send(d.address, "b@peer.example").accepted, "mail goes out again")
    assert d.policy_process != pid
    d.logged(lambda r: "has not answered for 2 s" in r["message"])


@pytest.mark.parametrize("phase", ["mail", "rcpt"])
def test_the_budget_holds_for_the_last_reply(internet, client, phase):
    internet.peer("peer.example", script={phase: far.STALL})
    c, _ = client(limits={"rcpt-budget": "2s"})
    began = time.monotonic()
    assert transaction(c, "b@peer.example").last.startswith("451 4.4.2 ")
    assert 1.9 < time.monotonic() - began < 20


def test_the_budget_holds_for_no_longer(internet, client):
    """A host that is asked later has its time."""
    internet.peer("first.example")
    c, _ = client(limits={"rcpt-budget": "2s"})
    c.command("MAIL FROM:<alice@backend.example>", 250)
    c.command("RCPT TO:<a@first.example>", 250)
    time.sleep(2.5)
    c.command("DATA", 354)
    c.send(b".\r\n")
    c.reply(250)


def test_one_budget_for_a_recipient(internet, client):
    """The DNS is paid from it as well: the backend does not wait for ever."""
    internet.domain("slow.example", internet.silent("mx.slow.example"))
    c, _ = client(limits={"rcpt-budget": "3s", "connect-timeout": "30s"})
    answer = slow(internet, "slow.example")
    c.command("MAIL FROM:<alice@backend.example>", 250)
    began = time.monotonic()
    threading.Timer(2, answer.set).start()
    assert c.command("RCPT TO:<b@slow.example>")[-1].startswith(b"451 4.4.1 ")
    assert 2.9 < time.monotonic() - began < 20
