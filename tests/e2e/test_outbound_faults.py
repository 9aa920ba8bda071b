# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What breaks while mail goes out: nothing that was acknowledged is lost, nothing is invented."""

import contextlib
import os
import random
import select
import signal
import threading

import pytest

from harness import destination as far
from harness import dns as names
from harness import mail, peer
from harness.daemon import sanitized, state
from harness.exchange import SENDERS, Exchange2003, Exchange2010, Job
from harness.internet import MESSAGE, send
from harness.net import WAIT, Deadline, until

pytestmark = pytest.mark.namespaces


def message(n):
    return mail.marked(b"Subject: x\r\n\r\nhello\r\n.\r\nthere\r\n" * (1 + n % 50), f"job-{n}-end")


def accounted_for(servers, jobs):
    """
    Every acknowledged recipient has its message, whole, exactly once; once more for each time that
    nobody learnt of it (RFC 1047). Nobody has what was not sent or acknowledged.
    """
    stored = {}
    for server in servers:
        for m in server.store.messages:
            for r in m.recipients:
                stored.setdefault((r, m.octets), []).append(m)
    for job in jobs:
        for r in job.delivered:
            copies = stored.pop((r, job.octets), [])
            told = sum(m.told for m in copies)
            assert told == 1 or (told > 1 and r in job.uncertain), \
                (r, [(m.recipients, m.told) for m in copies], job.replies)
    for (r, _), copies in stored.items():
        assert not any(m.told for m in copies) or any(r in j.uncertain for j in jobs), r


def only_for_now(jobs, *words):
    """Whatever was refused was refused for now, in one line, and says these."""
    for job in jobs:
        assert not job.bounced, job.replies
        for reply in job.replies:
            assert reply.startswith("4") and "\n" not in reply
            for word in words:
                assert word in reply, reply


# ---- upstream ----

LOST = [(phase, action)
        for phase in ("greeting", "ehlo", "ehlo-tls", "mail", "rcpt", "data", "body", "eod",
                      "queued", "rset", "quit")
        for action in (far.CLOSE, far.RESET, "421 4.3.2 shutting down")
        if not (phase == "body" and action.startswith("421"))]


@pytest.mark.parametrize("age,offer", [
    ("2003", "PIPELINING SIZE CHUNKING"), ("2003", "PIPELINING"), ("2003", "SIZE"),
    ("2010", "PIPELINING SIZE CHUNKING 8BITMIME"), ("2010", "PIPELINING 8BITMIME")])
def test_upstream_lost_at_every_phase(internet, smarthost, age, offer):
    servers = {}
    for n, (phase, action) in enumerate(LOST):
        servers[n] = internet.peer(f"d{n}.example", script={phase: (action, 1)})
    internet.policies.put("default", "tls = encrypt")
    d = smarthost(outbound={"offer": offer})
    for n, (phase, action) in enumerate(LOST):
        sender = SENDERS[age](d.address)
        jobs = [Job(message(n), f"bob@d{n}.example", f"carol@d{n}.example")]
        assert sender.run(jobs, rounds=4) == [], (phase, action, jobs[0].replies)
        assert not sender.trouble, (phase, action, sender.trouble)
        accounted_for([servers[n]], jobs)
        only_for_now(jobs)
        if servers[n].log and phase not in ("rset", "quit"):
            assert jobs[0].replies or jobs[0].uncertain, (phase, action, "who was told?")
        for reply in jobs[0].replies:
            ours = f"d{n}.example" in reply and f"mx1.d{n}.example" in reply
            assert ours or reply == action, (phase, action, reply)
        servers[n].saw_nothing_in_clear()
    d.healthy()


@pytest.mark.parametrize("how", ["data", "bdat"])
def test_near_lost_in_the_message(internet, smarthost, how):
    mx = internet.peer("peer.example")
    d = smarthost()
    for end in ("finish", "reset"):
        before = len(d.lines)
        with peer.Client(d.address) as c:
            c.begin()
            c.envelope("a@backend.example", "bob@peer.example")
            if how == "data":
                c.command("DATA", 354)
                c.send(b"Subject: x\r\n\r\nhalf a mess")
            else:
                c.send(b"BDAT 1000 LAST\r\nSubject: x\r\n\r\nhalf a mess")
            getattr(c, end)()
            d.session_end(before, end="client")
    assert not mx.store.messages
    assert send(d.address, "bob@peer.example").accepted
    assert [m.octets for m in mx.store.messages] == [MESSAGE]


@pytest.mark.heavy
def test_random_accidents(internet, smarthost):
    """Both sides break anywhere, many times, four clients at once."""
    servers = [internet.peer(f"d{n}.example") for n in range(8)]
    d = smarthost(server={"log-level": "warning"})
    phases = [p for p in far.PHASES if p not in ("hello", "starttls")]
    everything, lock = [], threading.Lock()

    def work(part):
        rng = random.Random(part)
        sender = SENDERS[("2003", "2010")[part % 2]](d.address)
        for n in range(part, 240, 4):
            job = Job(message(n), *[f"bob{n}-{k}@d{rng.randrange(8)}.example" for k in range(3)])
            for server in rng.sample(servers, 3):
                action = rng.choice([far.CLOSE, far.RESET, "421 4.3.2 no", "451 4.3.0 not now"])
                with contextlib.suppress(KeyError):  # two threads may count one down
                    server.script[rng.choice(phases)] = (action, 1)
            sender.run([job], rounds=30)
            with lock:
                everything.append(job)
        assert not sender.trouble, sender.trouble

    run_all([threading.Thread(target=work, args=(p,)) for p in range(4)])
    assert len(everything) == 240 and not [j for j in everything if j.queued]
    accounted_for(servers, everything)
    only_for_now(everything)
    d.healthy()


def run_all(threads, seconds=300):
    deadline = Deadline(seconds)
    for t in threads:
        t.daemon = True
        t.start()
    for t in threads:
        t.join(deadline.left())
        assert not t.is_alive(), "still at it"


# ---- the policy process ----


def kill_policy(d, after=None):
    pid = until(lambda: d.policy_process not in (None, after) and d.policy_process,
                "there is a policy process")
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.patient
def test_policy_process_killed_under_load(internet, smarthost):
    """Domain after domain is asked about while it dies again and again."""
    mx = internet.host("mx.hoster.example")
    internet.policies.put("default", "tls = secure\nmatch = mx")
    for n in range(300):
        internet.domain(f"d{n}.example", mx)
    d = smarthost()
    jobs = [Job(message(n), f"bob@d{n}.example") for n in range(300)]
    done = threading.Event()

    def deliver(part):
        mine = jobs[part::2]
        SENDERS[("2003", "2010")[part]](d.address).run(mine, rounds=10 ** 6, seconds=240)

    def kill():
        killed = None
        for _ in range(3):
            mark = len(mx.store.messages)
            until(lambda: done.is_set() or len(mx.store.messages) >= mark + 40, "some mail")
            if done.is_set():
                return
            killed = kill_policy(d, killed)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    run_all([threading.Thread(target=deliver, args=(p,)) for p in range(2)])
    done.set()
    killer.join(WAIT)
    assert not [j for j in jobs if j.queued]
    accounted_for([mx], jobs)
    only_for_now(jobs, "4.3.0")
    until(lambda: d.policy_process, "it is there again")
    until(lambda: not [p for p in d.pids if state(p) == "Z"], "no zombie is left")
    d.healthy()


def test_policy_process_killed_with_a_question_open(internet, smarthost):
    mx = internet.peer("peer.example")
    told = threading.Event()
    internet.dns.misbehave("peer.example", told, "MX")
    d = smarthost()
    with peer.Client(d.address) as c:
        c.begin()
        c.command("MAIL FROM:<alice@backend.example>", 250)
        c.send("RCPT TO:<bob@peer.example>\r\n")
        internet.dns.wait_asked("peer.example", "MX")
        killed = kill_policy(d)
        reply = c.reply()
        assert reply[0].startswith(b"451 4.3.0 ") and len(reply) == 1, reply
        c.quit()
    told.set()
    d.logged(lambda r: f"the policy process {killed} ended" in r["message"])
    d.logged(lambda r: "the policy process was started again" in r["message"])
    d.settle()
    assert send(d.address, "bob@peer.example").accepted
    assert len(mx.store.messages) == 1


def test_policy_process_that_hangs(internet, smarthost):
    """Stopped, it answers nothing: the question has a time limit, and another takes its place."""
    internet.peer("peer.example")
    d = smarthost(limits={"policy-timeout": "1s"})
    internet.peer("other.example")
    with d.policy_process_stopped():
        reply = send(d.address, "bob@peer.example").last
        assert reply.startswith("451 4."), reply
    until(lambda: send(d.address, "bob@other.example").accepted, "mail flows again")


def test_what_is_known_needs_no_policy_process(internet, smarthost):
    """A domain asked about before is still served while it is down, or refused for now."""
    mx = internet.peer("peer.example")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    with d.policy_process_stopped():
        assert send(d.address, "bob@peer.example").accepted
    assert len(mx.store.messages) == 2


def test_it_ends_with_the_daemon(internet, smarthost):
    internet.peer("peer.example")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    pid = d.policy_process
    assert d.stop() == 0
    until(lambda: state(pid) in "XZ", "the policy process is gone")


def test_it_ends_when_the_daemon_is_killed(internet, smarthost):
    internet.peer("peer.example")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    pid = d.policy_process
    d.stop(signal.SIGKILL)
    until(lambda: state(pid) in "XZ", "the policy process is gone")


# ---- names ----


@pytest.mark.patient
def test_name_server_dying_lying_and_slow(internet, smarthost):
    """It changes its mind all the time while a queue of many domains is worked off."""
    servers = [internet.host(f"mx{n}.hoster.example") for n in range(2)]
    for n in range(120):
        internet.domain(f"d{n}.example", *servers)
    d = smarthost(limits={"policy-timeout": "1s"})
    jobs = [Job(message(n), f"bob@d{n}.example") for n in range(120)]
    moods = [names.SERVFAIL, None, names.WRONG_NAME, names.TRUNCATED, names.REFUSED, None,
             names.CUT_SHORT]
    sender = Exchange2003(d.address)
    for n in range(0, 120, 10):
        internet.dns.misbehave("*", moods[n // 10 % len(moods)])
        sender.run(jobs[n:n + 10], rounds=1)
    internet.dns.misbehave("*", None)
    # a failure may be kept for some seconds (RFC 2308 §7): new ones are not to be waited for
    left = sender.run(jobs, rounds=10 ** 6, seconds=120)
    assert not left and not sender.trouble
    accounted_for(servers, jobs)
    for job in jobs:
        only_for_now([job], "4.4.3", job.delivered[0].partition("@")[2])
    assert any(j.replies for j in jobs)


def test_dead_name_server_under_load_blocks_nobody(internet, smarthost):
    """Many wait for names; who is known is served at once (T18)."""
    mx = internet.peer("peer.example")
    d = smarthost(limits={"policy-timeout": "6s"})
    assert send(d.address, "bob@peer.example").accepted
    internet.dns.misbehave("*", names.SILENT)
    with contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(50):
            c = stack.enter_context(peer.Client(d.address))
            c.begin()
            c.command("MAIL FROM:<a@backend.example>", 250)
            waiting.append(c)
        for n, c in enumerate(waiting):
            c.send(f"RCPT TO:<bob@d{n}.example>\r\n")
        for _ in range(2):
            assert send(d.address, "bob@peer.example").accepted
        assert not select.select([c.sock for c in waiting], [], [], 0)[0], "while they wait"
        for n, c in enumerate(waiting):
            reply = c.reply()
            assert reply[0].startswith(b"451 4.4.3 ") and f"d{n}.example".encode() in reply[0]
    assert len(mx.store.messages) == 3
    d.healthy()


def test_all_work_of_a_recipient_has_one_budget(internet, smarthost):
    hosts = [internet.silent(f"mx{n}.peer.example") for n in range(16)]
    internet.domain("peer.example", *hosts)
    d = smarthost(limits={"connect-timeout": "1s", "rcpt-budget": "3s"})
    deadline = Deadline(12)  # of sixteen seconds
    reply = send(d.address, "bob@peer.example").last
    assert reply.startswith("451 4.4.") and "peer.example" in reply and not deadline.over()


@pytest.mark.parametrize("sender", [Exchange2003, Exchange2010])
def test_the_end_of_service_in_a_message(internet, smarthost, sender):
    """SIGTERM while the queue is worked off: what was acknowledged is there."""
    mx = internet.peer("peer.example")
    d = smarthost()
    jobs = [Job(message(n), "bob@peer.example") for n in range(200)]
    worker = threading.Thread(target=lambda: sender(d.address).run(jobs, rounds=1), daemon=True)
    worker.start()
    mx.store.wait(20)
    d.process.send_signal(signal.SIGTERM)
    worker.join(WAIT)
    assert not worker.is_alive() and d.stop() == 0
    acknowledged = [j for j in jobs if j.delivered]
    assert len(acknowledged) >= 20
    for job in jobs:
        copies = sum(m.octets == job.octets for m in mx.store.messages)
        assert copies == bool(job.delivered) or job.uncertain


def test_another_directory_in_the_place_of_the_policy_files(internet, smarthost):
    """The process that reads them sees what was there when it began: another one takes over."""
    if sanitized():
        pytest.skip("a sanitizer is on: the process sees every directory")
    internet.peer("d.example")
    d = smarthost()
    assert send(d.address, "bob@d.example").accepted
    before = d.policy_process
    folder = internet.policies.folder
    folder.rename(folder.with_name("before"))
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    internet.policies.put("default", "tls = fingerprint\nfingerprint = sha256/cert:" + "00" * 32)
    d.process.send_signal(signal.SIGHUP)
    until(lambda: d.policy_process not in (None, before), "another policy process is there")
    until(lambda: send(d.address, "bob@d.example").last.startswith("451 4.7.5"),
          "the new file is in force")
