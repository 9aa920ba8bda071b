# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The same session with and without the proxy differs only in what the proxy is there to change."""

import random
import re
import select

import pytest

from harness import peer
from harness.backend import EXTENSIONS, Backend, Exchange2003

MESSAGE = b"Subject: x\r\n\r\n.dot\r\n..\r\nbye\r\n"

# Each step is what the client sends in one go and the number of replies that it then awaits.
SESSIONS = {
    "plain": [(b"EHLO c.example\r\n", 1), (b"MAIL FROM:<a@c.example>\r\n", 1),
              (b"RCPT TO:<b@d.example>\r\n", 1), (b"DATA\r\n", 1),
              (peer.stuff(MESSAGE), 1), (b"QUIT\r\n", 1)],
    "helo": [(b"HELO c.example\r\n", 1), (b"MAIL FROM:<>\r\n", 1),
             (b"RCPT TO:<b@d.example>\r\n", 1), (b"DATA\r\n", 1), (b".\r\n", 1), (b"QUIT\r\n", 1)],
    "pipelined": [(b"EHLO c.example\r\n", 1),
                  (b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@d.example>\r\n"
                   b"RCPT TO:<nobody@d.example>\r\nDATA\r\n", 4),
                  (peer.stuff(MESSAGE) + b"RSET\r\nNOOP\r\nQUIT\r\n", 4)],
    "all-refused": [(b"EHLO c.example\r\n", 1),
                    (b"MAIL FROM:<a@c.example>\r\nRCPT TO:<nobody@d.example>\r\nDATA\r\n", 3),
                    (b"RSET\r\n", 1), (b"QUIT\r\n", 1)],
    "parameters": [(b"EHLO c.example\r\n", 1),
                   (b"MAIL FROM:<a@c.example> SIZE=1000 BODY=8BITMIME RET=HDRS ENVID=x+3Dy\r\n", 1),
                   (b"RCPT TO:<b@d.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@d.example\r\n", 1),
                   (b"DATA\r\n", 1), (peer.stuff(MESSAGE), 1), (b"QUIT\r\n", 1)],
    "chunks": [(b"EHLO c.example\r\n", 1),
               (b"MAIL FROM:<a@c.example>\r\nRCPT TO:<b@d.example>\r\n"
                b"BDAT 5\r\nabcdeBDAT 7\r\n\r\n.\r\nxyBDAT 0 LAST\r\n", 5), (b"QUIT\r\n", 1)],
    "twice": [(b"EHLO c.example\r\n", 1),
              (b"MAIL FROM:<a@c.example>\r\n", 1), (b"RCPT TO:<b@d.example>\r\n", 1),
              (b"RSET\r\n", 1),
              (b"MAIL FROM:<z@c.example>\r\n", 1), (b"RCPT TO:<b@d.example>\r\n", 1),
              (b"RCPT TO:<c@d.example>\r\n", 1), (b"DATA\r\n", 1), (peer.stuff(MESSAGE), 1),
              (b"MAIL FROM:<a@c.example>\r\n", 1), (b"RCPT TO:<b@d.example>\r\n", 1),
              (b"DATA\r\n", 1), (b"\r\n.\r\n", 1), (b"QUIT\r\n", 1)],
}


class TwoLines(Backend):
    recipient_ok = "250-2.1.5 {recipient}\r\n250 2.1.5 a reply of two lines"


def hold(address, session, context):
    """The replies, one list of lines each, STARTTLS and what it needs left out."""
    replies = []
    with peer.Client(address) as c:
        replies.append(c.reply())
        if context is not None:
            c.hello()
            c.secure(context)
        for octets, count in session:
            c.send(octets)
            replies += [c.reply() for _ in range(count)]
        assert c.rest() == b""
    return replies


def plain(replies):
    """An EHLO reply becomes the set of its keywords; trailing blanks do not count."""
    out = []
    for lines in replies:
        lines = [line.rstrip() for line in lines]
        if len(lines) > 3 and all(line.startswith(b"250") for line in lines):
            words = {line[4:].upper() for line in lines[1:]} - {b"STARTTLS", b"OK"}
            strange = {w for w in words if w.split()[0].split(b"=")[0] in (
                b"TURN", b"ETRN", b"VRFY", b"AUTH", b"X-EXPS", b"XEXCH50", b"X-LINK2STATE")}
            lines = [lines[0], sorted(words - strange - {b"SIZE"})]
        out.append(lines)
    return out


def without_trace(octets):
    return re.sub(rb"\AReceived: from [^\r\n]*\r\n(\t[^\r\n]*\r\n)+", b"", octets)


@pytest.mark.parametrize("kind", [TwoLines, Exchange2003], ids=["scripted", "exchange-2003"])
@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("name", SESSIONS)
def test_same(daemon, tls, kind, secure, name):
    session = SESSIONS[name]
    with kind() as straight, kind() as behind:
        d = daemon(behind)
        expected = hold(straight.listener.address, session, None)
        seen = hold(d.address, session, tls if secure else None)
        assert plain(seen) == plain(expected)
        arrived = [(m.sender, m.recipients, without_trace(m.octets), m.how)
                   for m in behind.store.messages]
        assert arrived == [(m.sender, m.recipients, m.octets, m.how)
                           for m in straight.store.messages]
        assert not straight.errors and not behind.errors


def random_session(rng):
    """Whole commands in any order, right and wrong, some of them in one segment."""
    steps, in_mail, recipients = [(b"EHLO c.example\r\n", 1)], False, 0
    for _ in range(rng.randrange(3, 25)):
        octets, count = b"", 0
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            kind = rng.choice(("mail", "mail", "rcpt", "rcpt", "rcpt", "nobody", "rset", "noop",
                               "bdat", "bdat", "data", "ehlo"))
            if kind == "data":
                if octets:
                    break
                steps.append((b"DATA\r\n", 1))
                if in_mail and recipients:
                    steps.append((peer.stuff(rng.choice((MESSAGE, b"", b"a\r\n" * 3000))), 1))
                    in_mail = False
                continue
            if kind == "bdat":
                size, last = rng.choice((0, 1, 7, 5000)), rng.random() < 0.5
                octets += b"BDAT %d%s\r\n" % (size, b" LAST" if last else b"")
                octets += b"\r\n.\r\nRS"[:size] + b"x" * max(0, size - 7)
                in_mail = in_mail and not (last and recipients)
                # a chunk that has begun, or was refused, ends all that may follow but RSET
                octets += b"RSET\r\n"
                in_mail = False
                count += 2
                continue
            octets += {"mail": b"MAIL FROM:<a@c.example>\r\n", "rcpt": b"RCPT TO:<b@d.example>\r\n",
                       "nobody": b"RCPT TO:<nobody@d.example>\r\n", "rset": b"RSET\r\n",
                       "noop": b"NOOP\r\n", "ehlo": b"EHLO c.example\r\n"}[kind]
            count += 1
            if kind == "mail" and not in_mail:
                in_mail, recipients = True, 0
            elif kind == "rcpt" and in_mail:
                recipients += 1
            elif kind in ("rset", "ehlo"):
                in_mail = False
        if octets:
            steps.append((octets, count))
    return steps + [(b"QUIT\r\n", 1)]


class OneByOne(Backend):
    """Does not offer PIPELINING, and holds everybody to it, as Exim and OpenSMTPD do."""

    keywords = tuple(k for k in EXTENSIONS if k != "PIPELINING")

    def say(self, wire, text, **names):
        if wire.unread or select.select([wire.sock], [], [], 0)[0]:
            early = bytes(wire.received[-200:])
            self.errors.append(AssertionError(f"spoke before our reply: {early}"))
        super().say(wire, text, **names)


@pytest.mark.parametrize("kind", [Backend, OneByOne], ids=["pipelining", "one-by-one"])
@pytest.mark.parametrize("seed", range(40))
def test_random_sessions(daemon, tls, kind, seed):
    """The same codes in the same order, and the same messages."""
    rng = random.Random(seed)
    with Backend() as straight, kind() as behind:
        d = daemon(behind, limits={"commands-out-of-order": 1000})
        for _ in range(8):
            session = random_session(rng)
            expected = hold(straight.listener.address, session, None)
            seen = hold(d.address, session, tls if seed % 2 else None)
            codes = [[lines[-1][:3] for lines in replies] for replies in (seen, expected)]
            short = [(octets[:200], count) for octets, count in session]
            assert codes[0] == codes[1], (short, *zip(*codes))
        assert [(m.sender, m.recipients, without_trace(m.octets)) for m in behind.store.messages] \
            == [(m.sender, m.recipients, m.octets) for m in straight.store.messages]
        assert not behind.errors
        d.healthy()
