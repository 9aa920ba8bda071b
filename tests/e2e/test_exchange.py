# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Exchange of every age behind the proxy: what of its EHLO reaches the Internet."""

import pytest

from harness import peer
from harness.backend import EXCHANGES

PASSED = {"SIZE", "8BITMIME", "CHUNKING", "BINARYMIME", "DSN", "ENHANCEDSTATUSCODES", "SMTPUTF8"}


def keywords(lines):
    return {line[4:].split()[0].decode().upper() for line in lines[1:]}


@pytest.mark.parametrize("age", EXCHANGES)
def test_keywords(daemon, tls, age):
    with EXCHANGES[age]() as server:
        d = daemon(server)
        offered = {k.split()[0].upper() for k in server.keywords}
        with peer.Client(d.address) as c:
            greeting = c.reply(220)[0].decode()
            assert greeting == server.greeting.format(host=server.host).rstrip() \
                or greeting == server.greeting.format(host=server.host)
            clear = keywords(c.hello())
            assert clear == (offered & PASSED) | {"PIPELINING", "STARTTLS"}
            c.secure(tls)
            assert keywords(c.hello()) == clear - {"STARTTLS"}
            c.quit()
        d.session_end(end="quit")
        assert not server.errors


@pytest.mark.parametrize("age", EXCHANGES)
@pytest.mark.parametrize("line,code", [
    ("XEXCH50 12 2", 500), ("X-EXPS GSSAPI", 500), ("X-LINK2STATE LAST CHUNK={0}", 500),
    ("X-ANONYMOUSTLS", 500), ("TURN", 502), ("ATRN a.example", 502), ("ETRN a.example", 502),
    ("VRFY bob", 252), ("EXPN all", 252), ("HELP", 214), ("AUTH NTLM", 5), ("XSHADOW x", 500),
    ("XCLIENT ADDR=192.0.2.1", 5)])
def test_verbs_that_never_pass(daemon, tls, age, line, code):
    with EXCHANGES[age]() as server:
        d = daemon(server)
        with peer.Client(d.address) as c:
            c.begin(tls)
            c.command(line, code)
            c.envelope()
            c.data(b"Subject: after it\r\n\r\nstill in step\r\n")
            c.quit()
        assert line.split()[0].encode() not in bytes(server.wires[0].received)
        assert not server.errors


def test_parameters_of_exchange_do_not_pass(daemon, tls):
    with EXCHANGES["2010"]() as server:
        d = daemon(server)
        with peer.Client(d.address) as c:
            c.begin(tls)
            for parameter in ("XSHADOW=a", "XOORG=b.example", "XATTRDIRECT=Incoming", "AUTH=<>x"):
                c.command(f"MAIL FROM:<alice@client.example> {parameter}", 5)
            c.envelope()
            c.command("RSET", 250)
            c.quit()
        assert b"XSHADOW" not in server.wires[0].received
