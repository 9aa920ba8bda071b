# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Several workers and a policy process: all serve, count together, and are lost one by one."""

import os
import pathlib
import pwd
import re
import resource
import shutil
import signal
import ssl
import struct
import subprocess
import tempfile
import time

import pytest

from harness import inject, peer
from harness.backend import Backend
from harness.daemon import Sealpost, program, sanitized, state, stopped
from harness.internet import MESSAGE, policy_section, send
from harness.net import WAIT, free_port, until

THREE = {"workers": "3"}

no_sanitizer = pytest.mark.skipif(program() and sanitized(),
                                  reason="a sanitizer needs all memory there is")


class Hanging:
    """A daemon with a worker that hangs, and a client of it: it takes twenty seconds to tell."""

    def __init__(self, d):
        self.d = d
        self.worker, self.other = d.workers
        self.client = client_of(d, self.worker)
        os.kill(self.worker, signal.SIGSTOP)


@pytest.fixture(scope="module", autouse=True)
def hanging(built, certs):
    """Begins before the other tests, which are this file's first. The last one looks at it."""
    with tempfile.TemporaryDirectory() as folder, Backend() as server, \
            Sealpost(pathlib.Path(folder), certs, [server.address], server={"workers": "2"}) as d:
        yield Hanging(d)
        d.unblemished()


@pytest.fixture(scope="module", autouse=True)
def untaken(built, certs):
    """Likewise: a daemon, and a worker of it that never takes a new configuration up."""
    if os.geteuid() != 0 or inject.why_not:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder, Backend() as server:
        shutil.chown(folder, "nobody")  # who reads the file again
        with Sealpost(pathlib.Path(folder), certs, [server.address],
                      server={"workers": "2"}) as d:
            worker = d.workers[0]
            with inject.inside(worker) as it:  # what it is told is taken away
                d.process.send_signal(signal.SIGHUP)
                until(lambda: (it.read(inject.ORDERS, 700) or b"")[:4]
                      == struct.pack("=I", inject.SETUP), "it is told")
            yield d, worker
            d.unblemished()


def gone(pid):
    """Ended, and waited for by its parent."""
    return state(pid) == "X"


def only(d, worker):
    """Whoever comes meanwhile comes to this one."""
    return stopped([w for w in d.workers if w != worker])


def client_of(d, worker, **how):
    """A client that this worker has greeted."""
    with only(d, worker):
        c = peer.Client(d.address, **how)
        c.reply(220)
    return c


def kill(d, pid):
    """... and until the supervisor has dealt with that."""
    os.kill(pid, signal.SIGKILL)
    d.logged(lambda r: f"process {pid} ended" in r["message"])


def replaced(d, old, count=3):
    """Once there are as many as before, none of them one of `old`; in the order of their start."""
    def found():
        now = d.workers
        return len(now) == count and not set(now) & set(old) and now
    return until(found, "they are replaced")


def served(d):
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope()
        c.data(MESSAGE)
        c.quit()


# -- all of them serve, and count as one

def test_all_of_them_serve(daemon, backend, tls):
    d = daemon(backend, server=THREE)
    assert len(d.workers) == 3 and d.policy_process is None
    clients = [client_of(d, w) for w in d.workers]
    for c in clients:
        c.hello()
        c.secure(tls)
        c.hello()
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    until(lambda: len(sessions(d)) == 3, "all have ended")
    assert len(backend.store.messages) == 3


def sessions(d):
    """Ids of the sessions whose end is in the log, once for each line."""
    return [r["session"] for r in d.records() if "session" in r and "end" in r]


def test_ids_are_unique(daemon, backend):
    d = daemon(backend, server=THREE)
    count = 0
    for _ in range(2):
        workers = d.workers
        for w in workers:
            with only(d, w):
                for _ in range(10):
                    with peer.Client(d.address) as c:
                        c.reply(220)
                        c.quit()
                    count += 1
        until(lambda: len(sessions(d)) == count, "all have ended")
        for w in workers:
            kill(d, w)
        replaced(d, workers)
    assert len(set(sessions(d))) == count


def test_connections_are_counted_over_all(daemon, backend):
    d = daemon(backend, server=THREE,
               limits={"connections": 5, "connections-per-address": 2})
    workers = d.workers
    held = [client_of(d, workers[n], source=("127.0.0.2", 0)) for n in range(2)]
    with only(d, workers[2]), peer.Client(d.address, source=("127.0.0.2", 0)) as c:
        c.reply(421)
    held += [client_of(d, workers[n % 3], source=("127.0.0.3", 0)) for n in range(2)]
    held += [client_of(d, workers[2], source=("127.0.0.4", 0))]
    with only(d, workers[1]), peer.Client(d.address, source=("127.0.0.5", 0)) as c:
        c.reply(421)
    client = "{}:{}".format(*held[0].sock.getsockname())
    held[0].quit()
    d.session_end(client=client)
    d.settle()
    held.append(client_of(d, workers[1], source=("127.0.0.2", 0)))
    for c in held[1:]:
        c.quit()


def test_handshakes_are_counted_over_all(daemon, backend, tls):
    d = daemon(backend, server=THREE, limits={"handshakes": 2, "tls-timeout": "60s"})
    workers = d.workers
    held = [client_of(d, workers[n], source=(f"127.0.0.{n + 2}", 0)) for n in range(2)]
    for c in held:
        c.hello()
        c.command("STARTTLS", 220)
    d.settle()
    early, late = client_of(d, workers[2]), client_of(d, workers[2])
    early.hello()
    early.command("STARTTLS", 421)
    late.hello()
    kill(d, workers[0])  # what it had begun is nobody's any more
    late.secure(tls)
    late.hello()
    late.quit()


def test_a_ticket_is_good_everywhere(daemon, backend, certs):
    """A session resumed by another worker than the one that gave the ticket; by its successor."""
    d = daemon(backend, server=THREE)
    context = peer.client_context(certs.ca, maximum=ssl.TLSVersion.TLSv1_2)

    def session(worker, ticket=None):
        with client_of(d, worker) as c:
            c.hello()
            c.command("STARTTLS", 220)
            c.sock = context.wrap_socket(c.sock, server_hostname="proxy.example", session=ticket)
            c.hello()
            ticket = c.sock.session
            reused = c.sock.session_reused
            c.quit()
        return ticket, reused

    ticket, reused = session(d.workers[0])
    assert ticket.has_ticket and not reused
    for w in d.workers:
        assert session(w, ticket)[1]
    old = d.workers
    for w in old:
        kill(d, w)
    for w in replaced(d, old):
        assert session(w, ticket)[1]


def test_more_sockets_than_orders_at_a_time(daemon, backend):
    """All of them are handed on, to each worker."""
    ports = [[free_port() for _ in range(12)] for _ in range(15)]
    more = "".join(f"[inbound a-name-of-some-length-{n}]\nbackend = {backend.address}\nlisten = "
                   + " ".join(f"127.0.0.1:{p}" for p in section) + "\n"
                   for n, section in enumerate(ports))
    d = daemon(backend, server=THREE, more=more)
    for section in ports:
        with peer.Client(("127.0.0.1", section[-1])) as c:
            c.begin()
            c.quit()
    assert not any("ended" in line for line in d.lines)


# -- a worker is lost

def test_a_worker_killed(daemon, backend):
    """Its clients are hung up on, the others' go on; another one follows, with its slot empty."""
    d = daemon(backend, server=THREE, limits={"connections-per-address": 3})
    first, *others = d.workers
    lost = [client_of(d, first, source=("127.0.0.2", 0)) for _ in range(3)]
    lost[0].hello()
    lost[0].envelope()
    lost[0].command("DATA", 354)
    lost[0].send(b"Subject: half\r\n")
    kept = [client_of(d, w) for w in others]
    kept[0].hello()
    kept[0].envelope()
    kill(d, first)
    for c in lost:
        assert c.rest() == b""
    kept[0].data(MESSAGE)
    kept[1].hello()
    fresh = until(lambda: set(d.workers) - {first, *others}, "another one").pop()
    again = [client_of(d, fresh, source=("127.0.0.2", 0)) for _ in range(3)]
    with peer.Client(d.address, source=("127.0.0.2", 0)) as c:
        c.reply(421)
    for c in again + kept:
        c.quit()
    assert [m.octets[-len(MESSAGE):] for m in backend.store.messages] == [MESSAGE]
    assert sum("worker process" in line and "signal 9" in line for line in d.lines) == 1


def test_the_rate_of_replacement_is_bounded(daemon, backend):
    """At once is after a second, then two; meanwhile the other serves."""
    d = daemon(backend, server={"workers": "2"})
    stays, victim = d.workers
    waits = []
    for _ in range(2):
        begun = time.monotonic()
        kill(d, victim)
        served(d)
        victim = until(lambda: set(d.workers) - {stays}, "another one").pop()
        waits.append(time.monotonic() - begun)
    assert waits[0] >= 1 and waits[1] >= 2, waits
    told = [r["message"] for r in d.records() if "another one is started" in r["message"]]
    assert [re.search(r"started in (\d+) s", text)[1] for text in told] == ["1", "2"], told


def limit_memory(pid, most, data):
    """To so many octets of address space and of data, or "unlimited"."""
    user = pwd.getpwnam("nobody")  # its own, who alone may
    subprocess.run(["prlimit", f"--pid={pid}", f"--as={most}:", f"--data={data}:"], check=True,
                   user=user.pw_uid, group=user.pw_gid, extra_groups=[])


def attention(d):
    """What `sealpost status` says of it; empty: all is well."""
    done = subprocess.run([program(), "status", "-c", str(d.config)], timeout=WAIT,
                          capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line.startswith("! ")]


def starve(pid):
    """It has what it has."""
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit_memory(pid, pages * resource.getpagesize(), 0)


def refuses(d, pid, text):
    """It does, when this is to be the configuration."""
    d.config.write_text(text)
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: f"process {pid} cannot take up the configuration: " in r["message"])
    d.logged(lambda r: "(generation 2), but not in all workers" in r["message"])
    assert any(f"worker process {pid} goes by the one before: " in line for line in attention(d))


def relents(d, pid):
    limit_memory(pid, "unlimited", "unlimited")
    d.logged(lambda r: f"process {pid} has taken up the configuration as well" in r["message"])
    assert attention(d) == []


@no_sanitizer
def test_a_worker_that_refuses_what_is_new(daemon, backend):
    """
    Here for want of memory: it is named, and goes by what it has, as its sessions do; the others
    do not wait for it. It takes it up when it can.
    """
    d = daemon(backend, server={"workers": "2"})
    workers = other, poor = d.workers
    c = client_of(d, poor)
    starve(poor)
    text = d.config.read_text()
    refuses(d, poor, text.replace("[limits]\n", "[limits]\nmessage-size = 2000\n"))
    with client_of(d, other) as new:
        assert b"SIZE 2000" in b" ".join(new.hello())
    relents(d, poor)
    with client_of(d, poor) as new:
        assert b"SIZE 2000" in b" ".join(new.hello())
    assert b"SIZE 2000" not in b" ".join(c.hello())
    c.envelope()
    c.data(MESSAGE)
    c.quit()
    assert d.workers == workers


@no_sanitizer
@pytest.mark.namespaces
def test_a_worker_that_refuses_a_policy_process(daemon, backend, internet):
    """There was none before. It gets its socket when it asks somebody."""
    d = daemon(backend, server={"workers": "2"})
    workers = d.workers
    poor = workers[1]
    starve(poor)
    internet.policies.put("peer.example", inbound="tls = encrypt")
    section = "".join(f"{k} = {v}\n" for k, v in policy_section(internet).items())
    refuses(d, poor, d.config.read_text() + "[policy]\n" + section)
    relents(d, poor)
    for worker in workers:
        def reply(worker=worker):
            with client_of(d, worker) as c:
                c.hello()
                return c.command("MAIL FROM:<a@peer.example>")[0]
        until(lambda reply=reply: reply().startswith(b"5"), "it is asked")
    assert d.workers == workers


# -- the policy process is lost

@pytest.fixture
def asking(smarthost, internet):
    """Three workers that send to peer.example, of which a file demands TLS."""
    internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = encrypt")
    return smarthost(server=THREE)


def ask_one(d, worker, recipient):
    """The client's reply to RCPT, of that worker."""
    with client_of(d, worker) as c:
        c.hello()
        c.command("MAIL FROM:<a@backend.example>", 250)
        reply = c.command(f"RCPT TO:<{recipient}>")
        c.command("QUIT", 221)
    return reply[0]


@pytest.mark.namespaces
def test_the_policy_process_killed(asking, internet):
    """All workers turn to the next one, who has the files; meanwhile 451."""
    d = asking
    for w in d.workers:
        assert ask_one(d, w, "bob@peer.example").startswith(b"250")
    first = d.policy_process
    with stopped([d.process.pid]):  # so that the next one does not come before that is seen
        os.kill(first, signal.SIGKILL)
        assert ask_one(d, d.workers[0], "bob@other.example").startswith(b"451")
    until(lambda: d.policy_process, "another one")
    internet.peer("third.example")
    internet.policies.put("third.example", "tls = encrypt")
    for w in d.workers:
        until(lambda: ask_one(d, w, "bob@third.example").startswith(b"250"), "it is asked")
    assert d.policy_process != first and len(d.workers) == 3


@pytest.mark.namespaces
def test_a_question_that_is_under_way(asking, internet):
    """... when the policy process is killed is answered 451, at once; its session goes on."""
    d = asking
    clients = [client_of(d, w) for w in d.workers]
    for c in clients:
        c.hello()
        c.command("MAIL FROM:<a@backend.example>", 250)
    first = d.policy_process
    with d.policy_process_stopped():
        for n, c in enumerate(clients):
            c.send(f"RCPT TO:<bob@d{n}.example>\r\n")
        d.settle()
        os.kill(first, signal.SIGKILL)
        for c in clients:
            c.reply(451)
    until(lambda: d.policy_process not in (None, first), "another one")
    for c in clients:
        until(lambda: c.command("RCPT TO:<bob@peer.example>")[0].startswith(b"250"), "it answers")
        c.data(MESSAGE)
        c.quit()


@pytest.mark.namespaces
def test_the_policy_process_hangs(smarthost, internet):
    """Longer than any answer may take: it is ended, and the next one is asked."""
    internet.peer("peer.example")
    d = smarthost(server=THREE, limits={"policy-timeout": "2s"})
    hung = d.policy_process
    os.kill(hung, signal.SIGSTOP)
    assert not send(d.address, "bob@peer.example").accepted
    until(lambda: gone(hung) and d.policy_process, "it is replaced")
    until(lambda: send(d.address, "bob@peer.example").accepted, "it is asked")


@pytest.mark.namespaces
def test_nothing_is_left_of_a_policy_process_that_hangs(asking):
    """... when all others end."""
    d = asking
    pids = d.pids
    with d.policy_process_stopped():
        d.process.send_signal(signal.SIGTERM)
        assert d.process.wait(WAIT) == 0
        until(lambda: all(gone(pid) for pid in pids[1:]), "all have ended")


# -- the supervisor is lost

@pytest.mark.namespaces
def test_the_supervisor_killed(asking, internet):
    """Transactions end, with answers of the policy process; then all end, and nothing is left."""
    d = asking
    pids, policy = d.pids, d.policy_process
    clients = [client_of(d, w) for w in d.workers]
    idle = [client_of(d, w) for w in d.workers]
    for c in clients:
        c.hello()
        c.command("MAIL FROM:<a@backend.example>", 250)
    d.process.kill()
    d.process.wait()
    for c in idle:
        c.reply(421)
        assert c.rest() == b""
    with pytest.raises((OSError, AssertionError)), peer.Client(d.address) as late:
        late.reply(220)
    for c in clients:
        c.command("RCPT TO:<bob@peer.example>", 250)
        assert not gone(policy)
        c.data(MESSAGE)
        c.reply(421)
        assert c.rest() == b""
    until(lambda: all(state(pid) in "XZ" for pid in pids), "all have ended")
    assert len(internet.hosts["mx1.peer.example"].store.messages) == 3
    d.status = -signal.SIGKILL


# -- a worker hangs

def test_a_worker_that_hangs(hanging):
    """It is ended and replaced; meanwhile the other one serves."""
    d = hanging.d
    served(d)
    d.logged(lambda r: "has not answered for" in r["message"])
    assert hanging.client.rest() == b""
    until(lambda: len(d.workers) == 2 and hanging.worker not in d.workers, "it is replaced")
    assert hanging.other in d.workers
    served(d)


@pytest.mark.skipif(os.geteuid() != 0 or inject.why_not is not None,
                    reason="to be inside a process: needs root, and x86-64")
def test_a_worker_that_never_takes_a_configuration_up(untaken):
    """It answers all the same whether it lives: the others must not wait for it for ever."""
    d, worker = untaken
    d.logged(lambda r: f"the worker process {worker} ended" in r["message"])
    until(lambda: len(d.workers) == 2 and worker not in d.workers, "it is replaced")
    d.logged(lambda r: "is in force (generation 2)" in r["message"])
    served(d)
