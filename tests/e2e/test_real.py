# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Real messages from every real client to every real server, byte for byte but for Received."""

import itertools
import re

import pytest

from harness import mail, peer, real, real_out
from harness.backend import EXCHANGES
from harness.daemon import Sealpost
from harness.net import free_port

BACKENDS = [*real.SERVERS, *(f"exchange-{age}" for age in EXCHANGES)]
MODES = [(c, m) for c in real.CLIENTS for m in real.modes(c)] + [("exim", "cleardata"),
                                                                ("exim", "tlsdata")]
ACROSS = [(c, m, b) for b in BACKENDS for c, m in MODES
          if not (c == "bdat" and b == "opensmtpd")]  # which does not offer CHUNKING
_marks = (f"mark-{n}-end" for n in itertools.count())


class Gateway:
    """A daemon before one server: STARTTLS on one port, TLS at once on another."""

    def __init__(self, kind, world, folder, certs):
        self.kind, self.world = kind, world
        self.scripted = None
        if kind in real.SERVERS:
            self.server = world.server(kind)
            address = self.server.address
        else:
            self.scripted = EXCHANGES[kind.split("-")[1]]().__enter__()
            address = self.scripted.address
        self.implicit = free_port()
        self.daemon = Sealpost(
            folder, certs, [address],
            limits={"connections-per-address": 1000, "command-timeout": "20s"},
            more=f"[inbound implicit]\nlisten = 127.0.0.1:{self.implicit}\n"
                 f"backend = {address}\ntls = implicit\nreceived = on\n").start()

    def port(self, mode):
        return self.implicit if mode.startswith("implicit") else self.daemon.port

    def stored(self, mark, seconds=None):
        """The message as the server stored it, LF line ends."""
        if not self.scripted:
            return self.server.stored(mark.encode(), seconds)
        count = 0
        while True:
            count += 1
            octets = self.scripted.store.wait(count, seconds).octets
            if mark.encode() in octets[:16384]:
                return octets.replace(b"\r\n", b"\n")

    def send(self, client, mode, message, folder):
        real.CLIENTS[client](self.world, mode, self.port(mode), "alice@client.example",
                             "bob@backend.example", message, folder)

    def close(self):
        self.daemon.stop()
        self.daemon.unblemished()
        if self.scripted:
            self.scripted.close()
            assert not self.scripted.errors, self.scripted.errors


@pytest.fixture(scope="module")
def gateways(built, world, certs, tmp_path_factory):
    made = {}

    def gateway(kind):
        if kind not in made:
            made[kind] = Gateway(kind, world, tmp_path_factory.mktemp(kind), certs)
        return made[kind]

    yield gateway
    for g in made.values():
        g.close()


def check(stored, message, mode):
    above = mail.below(stored, message)
    assert above is not None, f"not what was sent: {stored[:3000]!r}"
    ours = re.search(rb"^Received: from [^\n]+\n\tby proxy\.example with (\w+)([^;]*);",
                     above, re.M)
    assert ours, above
    if mode.startswith("clear"):
        assert ours.group(1) == b"ESMTP"
    else:
        assert ours.group(1) == b"ESMTPS" and b"TLS1." in ours.group(2)


@pytest.mark.real
@pytest.mark.parametrize("client,mode,kind", ACROSS, ids=["-".join(a) for a in ACROSS])
def test_client_to_server(gateways, client, mode, kind, tmp_path):
    if real.missing(client):
        pytest.skip(real.missing(client))
    gateway = gateways(kind)
    messages = mail.ordinary()
    if mode != "tls":  # every message once for every pair; the way of TLS changes little
        messages = {name: messages[name] for name in ("8bit", "dots")}
    sent = []
    for message in messages.values():
        mark = next(_marks)
        sent.append((mark, mail.marked(message, mark)))
        gateway.send(client, mode, sent[-1][1], tmp_path)
    for mark, message in sent:
        check(gateway.stored(mark), message, mode)
    gateway.daemon.healthy()


@pytest.mark.real
@pytest.mark.parametrize("how", ["data", "bdat"])
def test_exim_that_holds_everybody_to_one_command_at_a_time(daemon, world, tls, how):
    """Without PIPELINING even the BDAT of our Received line is to be answered before the next."""
    server = world.server("exim", pipelining_advertise_hosts="")
    d = daemon(server.address)
    mark = next(_marks)
    message = mail.marked(mail.eight_bit(), mark)
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.send(b"MAIL FROM:<a@client.example>\r\nRCPT TO:<bob@backend.example>\r\n")
        c.reply(250), c.reply(250)
        c.data(message) if how == "data" else c.bdat(message, 100)
        c.quit()
    check(server.stored(mark.encode()), message, "tls")


BIG = [("smtplib", "tls", "postfix"), ("bdat", "implicit", "exim"), ("curl", "tls", "opensmtpd"),
       ("postfix", "clear", "exchange-2010"), ("exim", "tls", "exchange-2016"),
       ("exim", "tlsdata", "postfix")]


@pytest.mark.real
@pytest.mark.heavy
@pytest.mark.parametrize("client,mode,kind", BIG, ids=["-".join(b) for b in BIG])
def test_fifty_megabytes(gateways, client, mode, kind, tmp_path):
    if real.missing(client):
        pytest.skip(real.missing(client))
    gateway = gateways(kind)
    mark = next(_marks)
    message = mail.marked(mail.big(50), mark)
    before = gateway.daemon.rss()
    gateway.send(client, mode, message, tmp_path)
    check(gateway.stored(mark, 60), message, mode)
    most = before + gateway.daemon.slack + (8 << 20)
    assert gateway.daemon.rss() < most, "memory follows the size of the message"


ODD = {"empty": b"", "dot": b".\r\n", "crlf": b"\r\n", "no-final-newline": b"Subject: x\r\n\r\nend",
       "binary": bytes(range(256)) * 40, "very-long-lines": mail.very_long_lines()}


@pytest.mark.parametrize("received", ["on", "off"])
@pytest.mark.parametrize("age", EXCHANGES)
def test_odd_messages(daemon, tls, age, received):
    """What only a scripted client sends; the server sees it octet for octet."""
    with EXCHANGES[age]() as server:
        d = daemon(server, inbound={"received": received})
        with peer.Client(d.address) as c:
            c.begin(tls)
            for name, message in ODD.items():
                ways = [c.bdat] if name in ("binary", "no-final-newline") else [c.bdat, c.data]
                for way in ways:
                    if name == "binary":
                        c.command("MAIL FROM:<a@client.example> BODY=BINARYMIME", 250)
                        c.command("RCPT TO:<bob@backend.example>", 250)
                    else:
                        c.envelope()
                    way(message)
                    octets = server.store.messages[-1].octets
                    if received == "off":
                        assert octets == message, name
                    else:
                        assert octets.endswith(message), name
                        above = octets[:len(octets) - len(message)]
                        trace = rb"Received: [^\r\n]+\r\n(\t[^\r\n]+\r\n)+"
                        assert re.fullmatch(trace, above), above
            c.quit()
        assert not server.errors


@pytest.mark.real
@pytest.mark.parametrize("kind", real_out.SENDERS)
def test_who_gets_no_handshake_keeps_the_mail(daemon, world, backend, kind, tmp_path):
    """Also who would be content with clear text: behind our 421 it is TLS that comes later."""
    d = daemon(backend, limits={"handshakes": 1, "tls-timeout": "60s"})
    sender = real_out.SENDERS[kind](tmp_path / "sender", d.port, tls=True).start()
    try:
        with peer.Client(d.address, source=("127.0.0.2", 0)) as busy:
            busy.begin()
            busy.command("STARTTLS", 220)
            with peer.Client((sender.host, sender.port)) as c:
                c.begin()
                c.envelope("alice@client.example", "bob@backend.example")
                c.data(mail.marked(mail.eight_bit(), "mark-kept-end"))
                c.quit()
            d.logged(lambda r: r.get("reason") == "too many TLS handshakes")
        sender.retry("mark-kept-end")
        delivered = d.logged(lambda r: r.get("transactions") == "1")
        assert delivered["near"].startswith("TLS1."), sender.log()
    finally:
        sender.stop()
