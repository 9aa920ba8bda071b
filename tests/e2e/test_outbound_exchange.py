# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Exchange of two ages as the old server that sends, with its habits and its trouble."""

import pytest

from harness import mail, peer
from harness.destination import Destination
from harness.exchange import SENDERS, Job

pytestmark = [pytest.mark.namespaces, pytest.mark.parametrize("age", SENDERS)]


def jobs_for(domain, count=1):
    messages = list(mail.ordinary().values())
    return [Job(mail.marked(messages[n % len(messages)], f"m{n}"), f"bob{n}@{domain}",
                f"carol{n}@{domain}") for n in range(count)]


def all_there(server, jobs):
    """Each of these once, octet for octet, for its recipients."""
    stored = sorted((m.octets, sorted(m.recipients)) for m in server.store.messages)
    assert stored == sorted((j.octets, sorted(j.delivered)) for j in jobs)
    assert all(m.secure for m in server.store.messages)


def test_many_messages_in_a_session(internet, smarthost, age):
    mx = internet.peer("peer.example")
    d = smarthost()
    sender = SENDERS[age](d.address)
    jobs = jobs_for("peer.example", 30)
    assert sender.run(jobs) == [] and not sender.trouble
    assert sender.sessions == 1 and len(mx.wires) == 1
    assert {m.how for m in mx.store.messages} == {"BDAT"}
    all_there(mx, jobs)
    mx.saw_nothing_in_clear()


def test_without_chunking(internet, smarthost, age):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"offer": "PIPELINING SIZE 8BITMIME"})
    sender = SENDERS[age](d.address)
    jobs = jobs_for("peer.example", 12)
    assert sender.run(jobs) == [] and not sender.trouble
    assert {m.how for m in mx.store.messages} == {"DATA"}
    all_there(mx, jobs)


def test_far_without_chunking(internet, smarthost, age):
    """BDAT becomes DATA; an old host without anything else either."""
    mx = internet.peer("peer.example", keywords_tls=["8BITMIME"])
    d = smarthost()
    sender = SENDERS[age](d.address)
    jobs = jobs_for("peer.example", 12)
    assert sender.run(jobs) == [] and not sender.trouble
    assert {m.how for m in mx.store.messages} == {"DATA"}
    all_there(mx, jobs)


class Talkative(Destination):
    """Every reply in several lines."""

    go_ahead = "354-now then\r\n354-and in your own words\r\n354 go ahead"
    greeting = "220-{host} ESMTP\r\n220-no spam\r\n220 please"
    sender_ok = "250-2.1.0 {sender}\r\n250 2.1.0 ok"
    recipient_ok = "250-2.1.5 {recipient}\r\n250 2.1.5 ok"
    queued = "250-2.0.0 thank you\r\n250 2.0.0 queued as {n}"


def test_replies_in_several_lines(internet, smarthost, age):
    address = internet.address()
    with Talkative((address, 25), internet.zoo.pair("mx1.peer.example"),
                   "mx1.peer.example") as mx:
        internet.dns.a("mx1.peer.example", address)
        internet.domain("peer.example", "mx1.peer.example")
        d = smarthost(outbound={"offer": "PIPELINING SIZE 8BITMIME"})
        sender = SENDERS[age](d.address)
        jobs = jobs_for("peer.example", 5)
        assert sender.run(jobs) == [] and not sender.trouble
        all_there(mx, jobs)


def test_recipients_that_are_unknown(internet, smarthost, age):
    mx = internet.peer("peer.example")
    d = smarthost()
    sender = SENDERS[age](d.address)
    jobs = [Job(b"Subject: a\r\n\r\na\r\n", "nobody1@peer.example", "bob@peer.example"),
            Job(b"Subject: b\r\n\r\nb\r\n", "nobody2@peer.example", "nobody3@peer.example"),
            Job(b"Subject: c\r\n\r\nc\r\n", "bob@peer.example", "nobody4@peer.example")]
    assert sender.run(jobs) == [] and not sender.trouble
    assert [j.bounced for j in jobs] == [["nobody1@peer.example"],
                                         ["nobody2@peer.example", "nobody3@peer.example"],
                                         ["nobody4@peer.example"]]
    assert len(mx.store.messages) == 2 and sender.sessions == 1
    assert all("is unknown" in r for j in jobs for r in j.replies)


def test_all_unknown_with_data_pipelined(internet, smarthost, age):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"offer": "PIPELINING SIZE 8BITMIME"})
    sender = SENDERS[age](d.address)
    jobs = [Job(b"Subject: b\r\n\r\nb\r\n", "nobody2@peer.example", "nobody3@peer.example"),
            Job(b"Subject: a\r\n\r\na\r\n", "bob@peer.example")]
    assert sender.run(jobs) == [] and not sender.trouble and sender.sessions == 1
    assert len(mx.store.messages) == 1


def test_a_message_for_many_domains(internet, smarthost, age):
    """One queue for all, as a smart host has it: what must wait is sent by itself."""
    names = [f"d{n}.example" for n in range(6)]
    servers = [internet.peer(n) for n in names]
    d = smarthost()
    sender = SENDERS[age](d.address)
    jobs = [Job(mail.marked(mail.dots(), f"m{n}"), *[f"{who}{n}@{name}" for name in names
                                                     for who in ("bob", "carol")])
            for n in range(3)]
    assert sender.run(jobs) == [] and not sender.trouble
    for name, server in zip(names, servers):
        got = sorted(r for m in server.store.messages for r in m.recipients)
        assert got == sorted(f"{who}{n}@{name}" for n in range(3) for who in ("bob", "carol"))
        assert {m.octets for m in server.store.messages} == {j.octets for j in jobs}
    assert all(r.startswith("452 4.5.3 Too many recipients") for j in jobs for r in j.replies)


def test_callouts(internet, smarthost, age):
    internet.peer("peer.example")
    d = smarthost()
    for recipient, code in (("bob@peer.example", 250), ("nobody@peer.example", 550)):
        with peer.Client(d.address) as c:
            c.begin()
            c.send(f"MAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\nQUIT\r\n")
            c.reply(250), c.reply(code), c.reply(221)
            assert c.rest() == b""


def test_a_large_message(internet, smarthost, age):
    mx = internet.peer("peer.example")
    d = smarthost()
    sender = SENDERS[age](d.address)
    jobs = [Job(mail.big(3), "bob@peer.example"), Job(b"", "bob@peer.example")]
    assert sender.run(jobs) == [] and not sender.trouble
    all_there(mx, jobs)


def test_starttls_on_the_near_side(internet, smarthost, age):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"tls": "offer"})
    sender = SENDERS[age](d.address)
    jobs = jobs_for("peer.example", 4)
    assert sender.run(jobs) == [] and not sender.trouble
    all_there(mx, jobs)
    assert d.session_end(end="quit")["near"].startswith("TLS1.3" if sender.starttls else "clear")


def test_a_refusal_is_the_queues_last_error(internet, smarthost, age):
    """What the administrator will read there: domain, host and reason."""
    internet.peer("peer.example", "expired")
    internet.policies.put("peer.example", "tls = secure")
    d = smarthost()
    sender = SENDERS[age](d.address)
    job = Job(b"Subject: a\r\n\r\na\r\n", "bob@peer.example", "carol@peer.example")
    assert sender.run([job], rounds=1) == [job] and not sender.trouble
    assert len(job.replies) == 2
    for reply in job.replies:
        assert reply.startswith("451 4.7.5 ") and "\n" not in reply
        assert "peer.example" in reply and "mx1.peer.example" in reply and "expired" in reply


