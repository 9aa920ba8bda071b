# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Backends that fail in every way and at every moment; connections that break at random."""

import random
import re
import socket
import threading

import pytest

from harness import peer
from harness.backend import Backend
from harness.daemon import sanitized
from harness.net import free_port, until
from harness.peer import Listener

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
SCRIPT = [b"EHLO c.example\r\n", b"MAIL FROM:<a@b.example>\r\n", b"RCPT TO:<b@c.example>\r\n",
          b"DATA\r\n", MESSAGE + b".\r\n", b"QUIT\r\n"]
ANSWERS = [b"220 far ESMTP\r\n",
           b"250-far greets you\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1000000\r\n",
           b"250 2.1.0 OK\r\n", b"250 2.1.5 OK\r\n", b"354 go ahead\r\n",
           b"250 2.0.0 queued as 1\r\n",
           b"221 2.0.0 bye\r\n"]


def converse(address, tls=None):
    """Plays the client to the end or until refused; the replies' codes, '' where it closed."""
    codes = []
    with peer.Client(address) as c:
        try:
            codes.append(c.reply()[-1][:3].decode())
            for octets in SCRIPT:
                if codes[-1][:1] not in "23":
                    break
                c.send(octets)
                codes.append(c.reply()[-1][:3].decode())
        except (peer.Ended, OSError):
            codes.append("")
        if codes[-1] == "421":
            assert c.rest() == b""
    return codes


def acknowledged(codes):
    return len(codes) > 5 and codes[5][:1] == "2"


def test_refused(daemon):
    d = daemon(f"127.0.0.1:{free_port()}")
    with peer.Client(d.address) as c:
        assert c.reply()[0][:9] in (b"421 4.4.1", b"421 4.3.0")
        assert c.rest() == b""
    end = d.session_end(end="server")
    assert "refused" in end.get("reason", "").lower()


@pytest.mark.namespaces
def test_backend_that_does_not_answer(daemon):
    """A full backlog: the SYN is dropped and nothing comes."""
    with Listener(backlog=0) as far:
        fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", far.port))
            fill.append(s)
        d = daemon(f"127.0.0.1:{far.port}", limits={"connect-timeout": "1s"})
        with peer.Client(d.address) as c:
            assert c.reply()[0][:9] in (b"421 4.4.1", b"421 4.3.0")
        d.session_end(end="server")
        for s in fill:
            s.close()


class Failing(Backend):
    """Ends the connection when it would say something for the nth time."""

    at, how = 0, "close"

    def session(self, wire):
        wire.said = 0
        super().session(wire)

    def send(self, wire):
        wire.said += 1
        if wire.said > self.at:
            getattr(wire, self.how)()
            raise peer.Ended("on purpose")

    def say(self, wire, text, **names):
        self.send(wire)
        super().say(wire, text, **names)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("at", range(7))
def test_backend_ends_instead_of_a_reply(daemon, at, how):
    """0 greeting, 1 EHLO, 2 MAIL, 3 RCPT, 4 DATA, 5 the end of data, 6 QUIT."""
    with Failing() as server:
        server.at, server.how = at, how
        d = daemon(server)
        codes = converse(d.address)
        if at < 6:
            assert codes[-1][:1] == "4" and not acknowledged(codes), codes
            assert len(codes) == at + 1, codes
        else:
            assert acknowledged(codes)
        d.session_end()
        d.healthy()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("way", ["data", "bdat"])
def test_backend_ends_within_a_body(daemon, tls, how, way):
    """The rest of the message is swallowed, then one 4xx: nothing of it is taken for a command."""
    with Listener() as far:
        d = daemon(f"127.0.0.1:{far.port}")
        class Half(Backend):
            def session(self, wire):
                self.say(wire, self.greeting)
                while True:
                    line = wire.line(60)
                    if line.startswith(b"EHLO"):
                        wire.send(b"250-far\r\n250-8BITMIME\r\n250 CHUNKING\r\n")
                    elif line.startswith(b"DATA"):
                        wire.send(b"354 go\r\n")
                        wire.exactly(50000, 60)
                        getattr(wire, how)()
                        return
                    elif line.startswith(b"BDAT"):
                        wire.exactly(min(int(line.split()[1]), 50000), 60)
                        if int(line.split()[1]) > 50000:
                            getattr(wire, how)()
                            return
                        wire.send(b"250 OK\r\n")
                    else:
                        wire.send(b"250 OK\r\n")

        with Half(listener=far):
            with peer.Client(d.address) as c:
                c.begin(tls)
                c.envelope()
                message = 30000 * (b"MAIL FROM:<evil@b.example>\r\n"
                                   b"RCPT TO:<x@y.example>\r\nDATA\r\n")
                if way == "data":
                    c.command("DATA", 354)
                    c.send(peer.stuff(message))
                else:
                    c.send(b"BDAT %d LAST\r\n" % len(message) + message)
                reply = c.reply()
                assert reply[-1][:1] == b"4" and len(reply) == 1
                c.send(b"NOOP\r\n")
                rest = b""
                try:
                    rest = c.line()
                except (peer.Ended, OSError):
                    pass
                assert rest[:3] in (b"", b"250", b"421"), rest
            d.session_end()
            d.healthy()


# -- near goes early

@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("first", [1, 4, len(SCRIPT)], ids=["commands", "message", "whole"])
def test_half_closed(daemon, backend, tls, secure, first):
    """Near has sent what it had and closed its side: all of it is answered, then we close."""
    d = daemon(backend)
    with peer.Client(d.address) as c:
        c.begin(tls if secure else None)
        for octets in SCRIPT[:len(SCRIPT) - first]:
            c.send(octets)
            c.reply()
        c.send(b"".join(SCRIPT[len(SCRIPT) - first:]))
        if not secure:
            c.finish()
        replies = re.findall(rb"(?m)^(\d\d\d) ", c.rest())
        assert replies == [b"250", b"250", b"250", b"354", b"250", b"221"][-first:]
    assert len(backend.store.messages) == 1


# -- replies cut, split, replaced

class Scripted(Backend):
    """Answers by a list; `whole` says whether the reply to the end of data went out whole."""

    answers = ANSWERS
    how = "close"
    cut = None       # octets of all replies after which the connection ends
    by_octet = False

    def session(self, wire):
        left = self.cut
        for n, octets in enumerate(self.answers):
            if n == 5:
                wire.until(b"\r\n.\r\n", 60)
            elif n:
                line = wire.line(60)
                if line == b"QUIT":
                    octets = self.answers[-1]
            if left is not None:
                if left < len(octets):
                    wire.send(octets[:left])
                    getattr(wire, "finish" if self.how == "close" else "reset")()
                    wire.rest(60)
                    return
                left -= len(octets)
            if n == 5 and octets.startswith(b"2"):
                self.store.add(None)
            if self.by_octet:
                for i in range(len(octets)):
                    wire.send(octets[i:i + 1])
            else:
                wire.send(octets)
        wire.rest(60)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_every_reply_cut_at_every_octet(daemon, how):
    with Scripted() as server:
        server.how = how
        d = daemon(server, inbound={"received": "off"})
        total = sum(map(len, ANSWERS))
        for cut in range(total - len(ANSWERS[-1])):
            server.cut = cut
            before = len(server.store.messages)
            codes = converse(d.address)
            assert not acknowledged(codes), (cut, codes)
            assert len(server.store.messages) == before
            assert codes[-1][:1] == "4", (cut, codes)
        d.healthy()


def test_replies_octet_by_octet(daemon, tls):
    with Scripted() as server:
        server.by_octet = True
        d = daemon(server)
        codes = converse(d.address)
        assert codes == ["220", "250", "250", "250", "354", "250", "221"]


STRANGE = [b"220 x\r\n", b"250 x\r\n", b"334 x\r\n", b"354 x\r\n", b"421 4.3.2 x\r\n", b"450 x\r\n",
           b"500 x\r\n", b"550 5.0.0 x\r\n", b"554 x\r\n", b"199 x\r\n", b"999 x\r\n", b"000 x\r\n",
           b"25 x\r\n", b"hello\r\n", b"\r\n", b"250-x\r\n550 y\r\n", b"250\n", b"250-x\n250 y\n",
           b"250 a\0b\r\n", b"250 \x1b[2J\r\n", b"2500 x\r\n", b"250x\r\n", b"-250 x\r\n"]


@pytest.mark.parametrize("phase", range(6), ids=["greeting", "ehlo", "mail", "rcpt", "data", "eod"])
def test_every_reply_where_another_is_expected(daemon, phase):
    """Always an answer, never an acknowledgement that the backend did not give."""
    with Scripted() as server:
        d = daemon(server, inbound={"received": "off"}, limits={
            "eod-timeout": "2s", "data-timeout": "2s", "command-timeout": "2s",
            "greeting-timeout": "2s", "block-timeout": "2s"})
        for octets in STRANGE:
            server.answers = ANSWERS[:phase] + [octets] + ANSWERS[phase + 1:]
            before = len(server.store.messages)
            codes = converse(d.address)
            taken = len(server.store.messages) > before
            assert not acknowledged(codes) or taken, (octets, codes)
            assert codes[-1] != "" or len(codes) == 7, (octets, codes)
            assert all(re.fullmatch("[2-5][0-9][0-9]", code)
                       for code in codes if code), (octets, codes)
        d.healthy()


def test_unsolicited_and_doubled_replies(daemon):
    """Each command gets its own reply: what comes unasked ends the session, not the order."""
    for phase in range(1, 6):
        with Scripted() as server:
            server.answers = list(ANSWERS)
            server.answers[phase] += b"250 2.0.0 and another\r\n"
            d = daemon(server, inbound={"received": "off"})
            before = len(server.store.messages)
            codes = converse(d.address)
            assert not acknowledged(codes) or len(server.store.messages) > before, (phase, codes)
            d.healthy()


# -- a real server is killed

@pytest.mark.real
@pytest.mark.parametrize("phase", ["greeted", "mail", "body", "after"])
def test_real_server_killed(daemon, world, tls, phase, tmp_path):
    from harness.real import Postfix
    server = Postfix(tmp_path / "postfix").start()
    d = daemon(server.address)
    try:
        with peer.Client(d.address) as c:
            c.begin(tls)
            if phase != "greeted":
                c.envelope()
            if phase == "body":
                c.command("DATA", 354)
                c.send(b"Subject: x\r\n\r\n" + b"line\r\n" * 10000)
            if phase == "after":
                c.data(MESSAGE)
            server.stop()
            if phase == "body":
                c.send(b".\r\n")
                assert c.reply()[0].startswith(b"4")
            else:
                c.send(b"NOOP\r\n")
                assert c.reply()[0].startswith(b"4")
        d.session_end()
        with peer.Client(d.address) as c:
            c.reply(421)
    finally:
        server.stop()


# -- random resets

class Loser(Backend):
    """Resets every so often, at a random reply."""

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.random = random.Random(7)

    def say(self, wire, text, **names):
        if self.random.random() < 0.02:
            wire.reset()
            raise peer.Ended("on purpose")
        super().say(wire, text, **names)


def session_with_a_reset(address, context, rng, number):
    """One session that is cut at a random octet, or not; the marks of what was acknowledged."""
    acknowledged = []
    mark = b"m%d" % number
    use_tls = rng.random() < 0.25
    cut = rng.randrange(0, 700) if rng.random() < 0.6 else None
    budget = [cut]
    ending = rng.choice(["reset", "finish", "close"])

    def send(c, octets):
        if budget[0] is not None:
            if budget[0] < len(octets):
                if budget[0]:
                    c.send(octets[:budget[0]])
                getattr(c, ending)()
                raise peer.Ended("on purpose")
            budget[0] -= len(octets)
        c.send(octets)

    try:
        with peer.Client(address) as c:
            c.reply(220)
            send(c, b"EHLO c.example\r\n")
            c.reply(250)
            if use_tls:
                send(c, b"STARTTLS\r\n")
                c.reply(220)
                if budget[0] is not None and budget[0] < 100:
                    c.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:budget[0]])
                    getattr(c, ending)()
                    raise peer.Ended("on purpose")
                c.starttls(context, "proxy.example")
                send(c, b"EHLO c.example\r\n")
                c.reply(250)
            for n in range(2):
                name = b"%s-%d" % (mark, n)
                body = b"X-Mark: " + name + b"\r\n\r\n" + b"body\r\n" * rng.randrange(0, 30)
                send(c, b"MAIL FROM:<a@b.example>\r\nRCPT TO:<b@c.example>\r\n")
                c.reply(250)
                c.reply(250)
                if rng.random() < 0.5:
                    send(c, b"DATA\r\n")
                    c.reply(354)
                    send(c, body + b".\r\n")
                else:
                    send(c, b"BDAT %d LAST\r\n" % len(body) + body)
                c.reply(250)
                acknowledged.append(name)
            send(c, b"QUIT\r\n")
            c.reply(221)
    except (AssertionError, OSError):
        pass
    return acknowledged


@pytest.mark.heavy
def test_ten_thousand_sessions_with_random_resets(daemon, tls):
    """Under a sanitizer, which looks at each, two thousand."""
    total, threads = 2000 if sanitized() else 10000, 4
    with Loser(keep=False) as server:
        d = daemon(server, server={"log-level": "warning"}, limits={
            "connections-per-address": 1000, "handshakes-per-second": 100000})
        for n in range(50):  # what the first sessions allocate once is no leak
            session_with_a_reset(d.address, tls, random.Random(n), 10 ** 6 + n)
        until(lambda: settled(d), "the first sessions end")
        descriptors, before = d.descriptors(), d.rss()
        acknowledged, lock = [], threading.Lock()

        def work(part):
            rng = random.Random(part)
            mine = []
            for n in range(part, total, threads):
                mine += session_with_a_reset(d.address, tls, rng, n)
            with lock:
                acknowledged.extend(mine)

        workers = [threading.Thread(target=work, args=(p,)) for p in range(threads)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        until(lambda: d.descriptors() <= descriptors, "every descriptor comes back")
        assert d.rss() < before + d.slack + (4 << 20)
        stored = {}
        for m in server.store.messages:
            name = re.search(rb"^X-Mark: (\S+)", m.octets, re.M).group(1)
            stored[name] = stored.get(name, 0) + 1
        assert len(acknowledged) > total / 4
        assert not [name for name in acknowledged if stored.get(name) != 1]
        assert not server.errors
        d.healthy()


def settled(d):
    """No connection of the daemon's is left, its listening socket apart."""
    with open("/proc/net/tcp") as f:
        port = f"{d.port:04X}"
        return not any(line.split()[1].endswith(":" + port) and line.split()[3] in ("01", "08")
                       for line in f.readlines()[1:])
