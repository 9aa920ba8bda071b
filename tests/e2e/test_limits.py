# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Limits: each answers in SMTP, says so in the log, and holds against those who push."""

import contextlib
import itertools
import re
import select
import socket
import threading

import pytest

from harness import peer
from harness.backend import Backend
from harness.daemon import stopped
from harness.net import Deadline, until
from harness.peer import Listener

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
MB = 1 << 20
LONG = 300  # seconds for very much


def pause(wire, seconds):
    """Gives the other side this long to say something; whether it did."""
    return bool(select.select([wire.sock], [], [], seconds)[0])


def drip(wire, octets):
    """Sends an octet at a time until the other side speaks."""
    deadline = Deadline(30)
    for i in itertools.count():
        wire.send(octets[i % len(octets):][:1])
        if pause(wire, 0.1):
            return
        assert not deadline.over(), "dripped on for ever"


def flooded(wire, octets, most, quiet=1.0):
    """Sends up to `most` octets until they are not taken for `quiet` seconds, or until closed."""
    wire.sock.setblocking(False)
    sent = 0
    while sent < most:
        if not select.select([], [wire.sock], [], quiet)[1]:
            break
        try:
            sent += wire.sock.send(octets)
        except BlockingIOError:
            continue
        except OSError:
            break
    return sent


# -- T12: short limits

def test_silent_backend_greeting(daemon):
    with Listener() as far:
        # who has nothing to say before the greeting counts the connection as made when it comes
        d = daemon(f"127.0.0.1:{far.port}",
                   limits={"connect-timeout": "1s", "greeting-timeout": "1s"})
        with peer.Client(d.address) as c, far.accept():
            c.reply(421)
            assert c.rest() == b""
        d.session_end(end="server")


def test_dripped_backend_greeting(daemon):
    with Listener() as far:
        d = daemon(f"127.0.0.1:{far.port}", limits={"greeting-timeout": "1s"})
        with peer.Client(d.address) as c, far.accept() as server:
            deadline = Deadline(30)
            while not pause(c, 0.1):
                try:
                    server.send(b"220-still here\r\n"[:1] if not server.sent else b"x")
                except OSError:
                    break
                assert not deadline.over()
            c.reply(421)


def test_silent_client(daemon, backend):
    d = daemon(backend, limits={"command-timeout": "1s"})
    with peer.Client(d.address) as c:
        c.begin()
        c.reply(421)
        assert c.rest() == b""
    d.session_end(end="timeout")


def test_dripped_command(daemon, backend):
    d = daemon(backend, limits={"command-timeout": "1s"})
    with peer.Client(d.address) as c:
        c.begin()
        drip(c, b"NOOP ")
        c.reply(421)
    d.session_end(end="timeout")


@pytest.mark.parametrize("mode", ["offer", "implicit"])
def test_dripped_handshake(daemon, backend, mode):
    d = daemon(backend, inbound={"tls": mode}, limits={"tls-timeout": "1s"})
    with peer.Client(d.address) as c:
        if mode == "offer":
            c.reply(220)
            c.hello()
            c.command("STARTTLS", 220)
        drip(c, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"r" * 1000)
    d.session_end()


def test_dripped_record(daemon, backend, tls):
    """A TLS record that never gets whole is no progress."""
    d = daemon(backend, limits={"command-timeout": "1s"})
    with peer.Client(d.address) as c:
        c.begin(tls)
        raw = peer.Wire(socket.socket(fileno=socket.dup(c.sock.fileno())), "raw")
        raw.send(b"\x17\x03\x03\x40\x00")
        drip(raw, b"\x00")
        raw.close()
    d.session_end()


def test_stalled_data(daemon, backend):
    d = daemon(backend, limits={"block-timeout": "1s"})
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope()
        c.command("DATA", 354)
        c.send(b"Subject: and then\r\n")
        c.reply(421)
    d.session_end(end="timeout")
    assert not backend.store.messages


def test_dripped_data_ends_with_the_session_time(daemon, backend):
    d = daemon(backend, limits={"block-timeout": "2s", "session-time": "3s"})
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope()
        c.command("DATA", 354)
        drip(c, b"a" * 70 + b"\r\n")
    d.session_end()
    assert not backend.store.messages


def test_session_time(daemon, backend):
    d = daemon(backend, limits={"session-time": "1s"})
    with peer.Client(d.address) as c:
        c.begin()
        until(lambda: c.command("NOOP")[-1].startswith(b"421"), "its end")


class Stalling(Backend):
    """Says nothing any more from one verb on."""

    silent = None

    def say(self, wire, text, **names):
        if not text.startswith(self.silent or "never"):
            super().say(wire, text, **names)


@pytest.mark.parametrize("silent,limit", [
    ("250 2.1.0", "command-timeout"), ("354", "data-timeout"), ("250 2.6.0", "eod-timeout")])
def test_backend_that_falls_silent(daemon, silent, limit):
    with Stalling() as server:
        server.silent = silent
        d = daemon(server, limits={limit: "1s"})
        with peer.Client(d.address) as c:
            c.begin()
            c.send(b"MAIL FROM:<a@b.example>\r\n")
            reply = c.reply()
            for line in ("RCPT TO:<b@c.example>", "DATA"):
                if reply[-1].startswith(b"250"):
                    reply = c.command(line)
            if reply[-1].startswith(b"354"):
                c.send(b"Subject: x\r\n\r\n.\r\n")
                reply = c.reply()
            assert reply[-1].startswith(b"4"), reply
        d.session_end()


def test_backend_that_never_reads_the_body(daemon):
    """The other direction of back-pressure ends as well: the client is told, not kept for ever."""
    with Stopper() as server:
        d = daemon(server, limits={"block-timeout": "1s", "data-timeout": "1s", "eod-timeout": "1s",
                                   "session-time": "6s"})
        with peer.Client(d.address) as c:
            c.begin()
            c.envelope()
            c.command("DATA", 354)
            flooded(c, b"x" * 998 + b"\r\n", 64 * MB)
            until(lambda: pause(c, 0.05), "the session ends")
        d.session_end()


# -- T13: how many at a time

def test_connections(daemon, backend):
    d = daemon(backend, limits={"connections": 3})
    held = [peer.Client(d.address) for _ in range(3)]
    for c in held:
        c.reply(220)
    with peer.Client(d.address) as c:
        c.reply(421)
        assert c.rest() == b""
    d.logged(lambda r: "connections" in str(r))
    held.pop().quit()
    d.session_end(end="quit")
    with peer.Client(d.address) as c:
        c.reply(220)
    for c in held:
        c.close()


def test_connections_per_address(daemon, backend):
    d = daemon(backend, limits={"connections-per-address": 2})
    held = [peer.Client(d.address, source=("127.0.0.21", 0)) for _ in range(2)]
    for c in held:
        c.reply(220)
    with peer.Client(d.address, source=("127.0.0.21", 0)) as c:
        c.reply(421)
        assert c.rest() == b""
    with peer.Client(d.address, source=("127.0.0.22", 0)) as c:
        c.reply(220)
    held.pop().quit()
    d.session_end(end="quit")
    with peer.Client(d.address, source=("127.0.0.21", 0)) as c:
        c.reply(220)
    for c in held:
        c.close()


def test_refused_clients_take_no_place(daemon, backend):
    """Those above connections-per-address may stay on: they do not count in `connections`."""
    d = daemon(backend, limits={"connections": 6, "connections-per-address": 2})
    held = [peer.Client(d.address, source=("127.0.0.21", 0)) for _ in range(10)]
    codes = [c.reply()[0][:3] for c in held]
    assert codes == [b"220"] * 2 + [b"421"] * 8
    with peer.Client(d.address, source=("127.0.0.22", 0)) as c:
        c.reply(220)
    for c in held:
        c.close()


def half_open(d, source="127.0.0.1"):
    c = peer.Client(d.address, source=(source, 0))
    c.reply(220)
    c.hello()
    c.command("STARTTLS", 220)
    c.send(b"\x16\x03\x01\x02\x00\x01")
    return c


def refused_tls(d, source="127.0.0.1"):
    """Behind 454 most would deliver in clear: 421, and they come again."""
    with peer.Client(d.address, source=(source, 0)) as c:
        c.begin()
        c.command("STARTTLS", "421 4.7.0 proxy.example Too many TLS handshakes")
        assert c.rest() == b""
        client = "{}:{}".format(*c.sock.getsockname())
    d.logged(lambda r: "client refused" in r["message"] and r.get("client") == client
             and r["reason"] == "too many TLS handshakes")


def test_half_open_handshakes(daemon, backend, tls):
    d = daemon(backend, limits={"handshakes": 3, "tls-timeout": "60s"})
    held = [half_open(d, f"127.0.0.{n}") for n in range(2, 5)]
    refused_tls(d)
    client = "{}:{}".format(*held[0].sock.getsockname())
    held.pop(0).reset()
    d.session_end(client=client, end="tls")
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.quit()
    for c in held:
        c.close()


def test_one_address_cannot_take_all_handshakes(daemon, backend, tls):
    d = daemon(backend, limits={"handshakes": 10, "tls-timeout": "60s"})
    held = [half_open(d, "127.0.0.2") for _ in range(2)]
    refused_tls(d, "127.0.0.2")
    held.append(half_open(d, "127.0.0.3"))
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.quit()
    for c in held:
        c.close()


def test_half_open_implicit_handshakes(daemon, backend):
    d = daemon(backend, inbound={"tls": "implicit"}, limits={"handshakes": 3, "tls-timeout": "60s"})
    held = [peer.Client(d.address, source=(f"127.0.0.{n}", 0)) for n in range(2, 5)]
    for c in held:
        c.send(b"\x16\x03\x01\x02\x00\x01")
    with peer.Client(d.address) as c:
        c.send(b"\x16\x03\x01\x02\x00\x01")
        assert b"220" not in c.rest()
    for c in held:
        c.close()
    d.healthy()


def told_at_starttls(d, sources):
    """Those of clients that ask for TLS at once."""
    clients = [peer.Client(d.address, source=(source, 0)) for source in sources]
    for c in clients:
        c.begin()
    with stopped(d.workers):  # so that all of them ask in the same second
        for c in clients:
            c.send(b"STARTTLS\r\n")
    told = [c.reply()[0][:3] for c in clients]
    for c in clients:
        c.close()
    return told


def test_handshakes_per_second(daemon, backend):
    d = daemon(backend, limits={"handshakes-per-second": 2})
    told = told_at_starttls(d, [f"127.0.0.{n}" for n in range(2, 10)])
    assert set(told) == {b"220", b"421"} and told.count(b"220") >= 2, told


def test_one_address_cannot_take_all_of_a_second(daemon, backend, tls):
    d = daemon(backend, limits={"handshakes-per-second": 20})
    told = told_at_starttls(d, ["127.0.0.2"] * 15)
    assert set(told) == {b"220", b"421"}, told
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.quit()


# -- T14, T17: nobody reads

class Stopper(Backend):
    """Stops reading in the midst of a message until told to go on."""

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.go_on = threading.Event()
        self.stopped = threading.Event()

    def read_data(self, wire):
        self.stopped.set()
        self.go_on.wait(60)
        return super().read_data(wire)

    def close(self):
        self.go_on.set()
        super().close()


@pytest.mark.heavy
@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_receiver_that_stopped(daemon, tls, secure):
    total = 100 * MB
    block = (b"x" * 998 + b"\r\n") * 1000
    with Stopper() as server:
        d = daemon(server)
        with peer.Client(d.address) as c:
            c.begin(tls if secure else None)
            c.envelope()
            c.command("DATA", 354)
            before = d.rss()
            progress = [0]

            def pump():
                while progress[0] < total:
                    c.send(block, LONG)
                    progress[0] += len(block)
                c.send(b".\r\n", LONG)

            pumping = threading.Thread(target=pump)
            pumping.start()
            # Back-pressure has come up to the client when nobody makes a step any more.
            seen, cpu, deadline = -1, -1, Deadline()
            while seen != progress[0] or d.cpu() - cpu > 0.1:
                seen, cpu = progress[0], d.cpu()
                pumping.join(1.0)
                assert not deadline.over(), "waits by spinning"
            assert seen < total, "nothing held the sender back"
            assert d.rss() < before + d.slack + 2 * MB
            server.go_on.set()
            pumping.join(LONG)
            c.reply(250, LONG)
            assert d.rss() < before + d.slack + 2 * MB
            c.quit()
        octets = server.store.messages[0].octets
        assert octets.endswith(block) and octets.count(b"x" * 998) == progress[0] // 1000


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_replies_that_nobody_reads(daemon, backend, tls, secure):
    count = 10000
    d = daemon(backend)
    with peer.Client(d.address) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.begin(tls if secure else None)
        before = d.rss()
        sending = threading.Thread(target=lambda: c.send(b"NOOP\r\n" * count, LONG))
        sending.start()
        sending.join(1)
        assert d.rss() < before + d.slack + 3 * MB
        for _ in range(count):
            c.reply(250)
        sending.join()
        c.quit()
    d.healthy()


def test_replies_that_nobody_ever_reads(daemon, backend):
    d = daemon(backend, limits={"command-timeout": "1s", "session-time": "5s"})
    with peer.Client(d.address) as c:
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.begin()
        before = d.rss()
        flooded(c, b"NOOP\r\n" * 1000, 200 * MB, 0.5)
        d.session_end()
        assert d.rss() < before + d.slack + 3 * MB


# -- T15: too much of everything

def converse(far, *replies):
    """A backend that answers one line after another with these, then reads to the end."""
    def serve():
        try:
            with far.accept() as server:
                for n, octets in enumerate(replies):
                    if n:
                        server.line()
                    server.send(octets, LONG)
                server.rest(LONG)
        except (AssertionError, OSError):
            pass
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


GREETING = b"220 far ESMTP\r\n"


@pytest.mark.heavy
@pytest.mark.parametrize("reply", [
    b"250-an endless reply\r\n" * 500000, b"250-" + b"x" * (10 * MB) + b"\r\n250 OK\r\n",
    b"250 " + b"x" * (10 * MB),
    b"250-far\r\n" + b"".join(b"250-KEYWORD%d\r\n" % n for n in range(10000))
    + b"250 OK\r\n"], ids=["endless", "long-line", "long-last-line", "keywords"])
@pytest.mark.parametrize("phase", ["greeting", "ehlo"])
def test_replies_without_measure(daemon, reply, phase):
    with Listener() as far:
        d = daemon(f"127.0.0.1:{far.port}")
        before = d.rss()
        if phase == "greeting":
            converse(far, b"220" + reply.replace(b"\n250", b"\n220")[3:])
        else:
            converse(far, GREETING, reply)
        with peer.Client(d.address) as c:
            if phase == "ehlo":
                c.reply(220)
                c.send(b"EHLO c.example\r\n")
            assert c.reply()[-1].startswith(b"4")
            c.rest()
        d.session_end(end="server")
        assert d.rss() < before + d.slack + 4 * MB
        d.healthy()


def test_recipients(daemon, backend, tls):
    total = 100000
    d = daemon(backend, limits={"recipients": 100, "commands-out-of-order": 10000})
    with peer.Client(d.address) as c:
        c.begin(tls)
        before = d.rss()
        c.command("MAIL FROM:<a@b.example>", 250)
        good, late, closed = 0, 0, False
        for start in range(0, total, 1000):
            c.send(b"".join(b"RCPT TO:<user%d@c.example>\r\n" % n
                            for n in range(start, start + 1000)))
            try:
                for _ in range(1000):
                    code = c.reply()[0]
                    good += code.startswith(b"250")
                    late += code.startswith((b"452 4.5.3", b"452"))
                    if code.startswith(b"421"):
                        closed = True
                        break
            except (peer.Ended, OSError):
                closed = True
            if closed:
                break
        assert good == 100 and (late == total - 100 or closed)
        assert d.rss() < before + d.slack + 2 * MB
    d.session_end()


@pytest.mark.heavy
@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_line_without_end(daemon, backend, tls, secure):
    d = daemon(backend)
    with peer.Client(d.address) as c:
        c.begin(tls if secure else None)
        before = d.rss()
        flooded_through = 0
        try:
            while flooded_through < 1000 * MB:
                c.send(b"A" * MB, 5)
                flooded_through += MB
                if not secure and pause(c, 0):
                    break
        except (AssertionError, OSError):
            pass
        assert d.rss() < before + d.slack + 2 * MB
        d.healthy()


def test_long_command(daemon, backend):
    d = daemon(backend, limits={"command-length": 600})
    with peer.Client(d.address) as c:
        c.begin()
        c.command("NOOP " + "x" * (600 - 7), 250)
        c.command("NOOP " + "x" * (600 - 6), 500)
        c.command("NOOP " + "x" * 5000, 500)
        c.command("NOOP", 250)
        c.quit()
    assert b"x" * 594 not in backend.wires[0].received


def test_message_size(daemon, backend, tls):
    d = daemon(backend, limits={"message-size": 100000})
    with peer.Client(d.address) as c:
        lines = c.begin(tls)
        assert b"250-SIZE 100000" in lines or b"250 SIZE 100000" in lines
        c.command("MAIL FROM:<a@b.example> SIZE=100001", "552 5.3.4")
        c.envelope()
        c.command("RSET", 250)
        c.envelope()
        c.data(b"x" * 70 + b"\r\n" + b"y" * 99000 + b"\r\n", 250)
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.envelope()
        c.data((b"z" * 70 + b"\r\n") * 3000, "552 5.3.4")
    assert len(backend.store.messages) == 1


def test_commands_out_of_order(daemon, backend):
    d = daemon(backend, limits={"commands-out-of-order": 5})
    with peer.Client(d.address) as c:
        c.begin()
        for n in range(20):
            if c.command("WHAT")[0].startswith(b"421"):
                break
        else:
            raise AssertionError("never tired of it")
        assert 4 <= n <= 6 and c.rest() == b""
    d.session_end(end="abuse")


# -- T16

@pytest.mark.heavy
def test_descriptors_exhausted(daemon, backend, tls):
    limit = 64
    d = daemon(backend, limits={"connections-per-address": 1000},
               through=["prlimit", f"--nofile={limit}:{limit}", "--"])
    held = [peer.Client(d.address) for _ in range(limit)]
    silent, greeted, told = set(held), [], []

    def hear():
        for c in [c for c in silent if pause(c, 0)]:
            silent.remove(c)
            with contextlib.suppress(peer.Ended, OSError):
                line = c.reply()[0]
                assert line.startswith((b"220", b"421")), line
                (greeted if line.startswith(b"220") else told).append(c)
        return len(greeted) > 10 and told
    until(hear, "some are served, and some without a place are told 421")
    d.settle()
    hear()
    assert len(greeted) < limit
    d.healthy()
    cpu = d.cpu()
    select.select([], [], [], 1.0)  # a second in which a loop that spins would be seen
    assert d.cpu() - cpu < 0.2, "spins"
    greeted[0].secure(tls) if greeted[0].hello() else None
    greeted[0].hello()
    greeted[0].envelope()
    greeted[0].data(MESSAGE)
    for c in held:
        c.close()
    until(lambda: d.descriptors() < 30, "the descriptors come back")
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    assert re.search("(?i)descriptor|too many open files|EMFILE", "\n".join(d.lines))
