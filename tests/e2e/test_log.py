# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What is written down: one line at a session's end, nothing forged, nothing secret."""

import base64
import fcntl
import os
import subprocess

import pytest

from harness import mail, peer
from harness.backend import EXTENSIONS, Backend
from harness.daemon import program
from harness.net import WAIT, listening, until

MESSAGE = b"Subject: a secret subject\r\n\r\nthe secret body\r\n"

HOSTILE = [b"EHLO a\x1b[31mred\x07", b"EHLO x\0y", b"EHLO \xff\xfe\x80.example",
           b"EHLO x\" end=quit session=1 client=\"6.6.6.6:1", b"EHLO a\rb.example", b"EHLO a\\x0ab",
           b"MAIL FROM:<\x1b]0;title\x07@b.example>", b"MAIL FROM:<a\0b@c.example>",
           b"MAIL FROM:<\"a b\\\"=\"@c.example>", b"RCPT TO:<\xc3\xbc@c.example>", b"\x1b\x1b\x1b",
           b"NOOP \x9b2J", b"STARTTLS \x1b", b"\xff" * 100, b"A=B session=2 \"",
           b"EHLO " + b"h" * 1900]


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n"], ids=["crlf", "lf", "crcrlf"])
def test_nothing_of_a_peer_reaches_the_log_raw(daemon, backend, line, end):
    d = daemon(backend)
    with peer.Client(d.address) as c:
        c.reply(220)
        if not line.startswith(b"EHLO"):
            c.hello()
        if line.startswith(b"RCPT"):
            c.command("MAIL FROM:<a@b.example>", 250)
        c.send(line + end)
        reply = c.reply()
        if not reply[-1].startswith(b"421"):
            c.command("NOOP")
            c.send(b"QUIT\r\n")
            c.rest()
        address = "%s:%d" % c.sock.getsockname()[:2] if c.sock.fileno() >= 0 else None
    ended = d.session_end()
    assert address is None or ended["client"] == address
    d.stop()
    for written in d.lines:
        assert all(" " <= ch <= "~" for ch in written), repr(written)
        assert len(written) <= 2200
    ends = [r for r in d.records() if "end" in r and "session" in r]
    assert len(ends) == 1 and ends[0]["client"] != "6.6.6.6:1"
    # and nothing but whole lines went to the backend
    far = bytes(backend.wires[0].received)
    assert b"\0" not in far and far.count(b"\n") == far.count(b"\r\n") == far.count(b"\r")


def test_hostile_words_of_the_backend(daemon):
    class Hostile(Backend):
        greeting = "220 \x1b[31m far\x07 end=quit session=9"
        recipient_ok = "550 \x1b]0;x\x07 no\x80"

    with Hostile() as server:
        d = daemon(server)
        with peer.Client(d.address) as c:
            c.begin()
            c.command("MAIL FROM:<a@b.example>", 250)
            c.command("RCPT TO:<b@c.example>", 550)
            c.quit()
        d.session_end(end="quit")
        d.stop()
        assert all(" " <= ch <= "~" for line in d.lines for ch in line)


def test_the_line_of_a_session(daemon, backend, tls):
    d = daemon(backend)
    with peer.Client(d.address) as c:
        name = "%s:%d" % c.sock.getsockname()[:2]
        c.begin(tls, helo="c.example")
        c.envelope("alice@client.example", "bob@backend.example", "carol@backend.example")
        c.data(MESSAGE)
        c.envelope("alice@client.example", "dave@backend.example")
        c.data(MESSAGE)
        c.quit()
    end = d.session_end(client=name)
    assert end["service"] == "inbound" and end["helo"] == "c.example" and end["end"] == "quit"
    assert end["near"].startswith("TLS1.3/TLS_") and end["far"] == "clear"
    assert end["transactions"] == "2" and end["from"] == "<alice@client.example>"
    assert end["to"] in ("<bob@backend.example>", "<dave@backend.example>")
    assert int(end["bytes"]) >= 2 * len(MESSAGE) and 0 <= float(end["seconds"]) < 60
    received = backend.store.messages[0].octets.decode("latin-1")
    assert end["session"] in received, "Received has the id"
    assert "secret" not in "\n".join(d.lines)


class Authenticating(Backend):
    keywords = EXTENSIONS + ("AUTH PLAIN LOGIN NTLM GSSAPI CRAM-MD5",)

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.secrets = []

    def other(self, wire, verb, rest):
        if verb != "AUTH":
            return super().other(wire, verb, rest)
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN":
            if not initial:
                wire.send(b"334 \r\n")
                initial = wire.line().decode()
            self.secrets.append(initial)
        elif mechanism.upper() == "LOGIN":
            for question in (b"Username:", b"Password:"):
                wire.send(b"334 " + base64.b64encode(question) + b"\r\n")
                self.secrets.append(wire.line().decode())
        if self.secrets[-1] == "*":
            self.say(wire, "501 5.7.0 cancelled")
        else:
            self.say(wire, "235 2.7.0 ok" if "wrong" not in self.secrets[-1] else "535 5.7.8 no")


def test_auth_only_inside_tls_filtered_and_never_logged(daemon, tls):
    with Authenticating() as server:
        d = daemon(server, inbound={"auth": "PLAIN LOGIN"})
        secret = base64.b64encode(b"\0user\0pass word").decode()
        with peer.Client(d.address) as c:
            assert not any(b"AUTH" in line for line in c.begin())
            c.command(f"AUTH PLAIN {secret}", 5)
            assert not server.secrets
            c.secure(tls)
            lines = c.hello()
            offered, = [line for line in lines if b"AUTH" in line]
            assert sorted(offered[4:].split()) == [b"AUTH", b"LOGIN", b"PLAIN"]
            c.command("AUTH NTLM", 504)
            c.command("AUTH LOGIN", 334)
            c.command("RCPT TO:<evil@x.example>", 334)  # taken for an answer, not for a command
            c.command("*", 501)
            c.command("AUTH PLAIN", 334)
            c.command("QUIT", 235)                      # likewise
            c.envelope()
            c.data(MESSAGE)
            c.quit()
        assert b"RCPT TO:<evil@x.example>".decode() in server.secrets and "QUIT" in server.secrets
        assert len(server.store.messages) == 1
        d.session_end(end="quit")
        log = "\n".join(d.lines)
        assert secret not in log and "evil" not in log and "pass word" not in log


def test_long_auth_lines(daemon, tls):
    with Authenticating() as server:
        d = daemon(server, inbound={"auth": "PLAIN"})
        with peer.Client(d.address) as c:
            c.begin(tls)
            secret = "A" * (12288 - 13)
            c.command(f"AUTH PLAIN {secret}", 235)
            assert server.secrets == [secret]
            c.quit()


def test_auth_is_stripped_where_not_configured(daemon, tls):
    with Authenticating() as server:
        d = daemon(server)
        with peer.Client(d.address) as c:
            assert not any(b"AUTH" in line for line in c.begin(tls))
            c.command("AUTH PLAIN AGEAYg==", 5)
        assert b"AUTH" not in server.wires[0].received


@pytest.mark.parametrize("level,wanted", [("warning", False), ("info", True)])
def test_log_level(daemon, backend, level, wanted):
    d = daemon(backend, server={"log-level": level})
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope()
        c.data(mail.eight_bit())
        c.quit()
    if wanted:
        d.session_end(end="quit")
    d.stop()
    assert any("end=quit" in line for line in d.lines) == wanted


def serve_into(d, stream):
    """The daemon's program and configuration once more, with another standard error."""
    d.stop()
    return subprocess.Popen([program(), "serve", "-c", str(d.config)], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=stream)


def greeted_and_gone(address):
    with peer.Client(address) as c:
        c.reply(220)
        c.quit()


def test_a_log_that_nobody_reads_stops_no_mail(daemon, backend):
    """More lines than a pipe holds, and whoever should read them does not."""
    d = daemon(backend)
    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
    process = serve_into(d, writes)
    os.close(writes)
    until(lambda: listening(d.port), "a listener")
    for _ in range(60):
        greeted_and_gone(d.address)
    assert os.read(reads, 65536).count(b"end=quit") < 60
    greeted_and_gone(d.address)  # it reads on: so do the lines come again
    assert b"end=quit" in os.read(reads, 65536)
    process.terminate()
    assert process.wait(WAIT) == 0
    os.close(reads)


def test_a_log_whose_reader_is_gone_stops_no_mail(daemon, backend):
    d = daemon(backend)
    reads, writes = os.pipe()
    process = serve_into(d, writes)
    os.close(writes)
    until(lambda: listening(d.port), "a listener")
    os.close(reads)
    for _ in range(3):
        greeted_and_gone(d.address)
    process.terminate()
    assert process.wait(WAIT) == 0


def test_without_standard_streams_no_socket_becomes_one(daemon, backend):
    d = daemon(backend)
    d.stop()
    process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", program(), "serve",
                                "-c", str(d.config)])
    until(lambda: listening(d.port), "a listener")
    streams = [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in range(3)]
    process.terminate()
    assert process.wait(WAIT) == 0
    assert streams == ["/dev/null"] * 3
