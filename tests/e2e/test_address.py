# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""How the backend learns the client's address, how we learn it from a balancer, IPv6."""

import itertools
import re
import socket
import ssl
import struct

import pytest

from harness import mail, peer
from harness.backend import EXTENSIONS, Backend
from harness.daemon import program
from harness.net import Deadline, free_port
from harness.netns import Net
from harness.peer import Listener

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
CLIENT = ("127.0.0.99", 0)
V2 = b"\r\n\r\n\0\r\nQUIT\n"
_marks = (f"address-{n}-end" for n in itertools.count())


def v2_header(source, destination, command=1, tlvs=b""):
    """A PROXY v2 header; addresses are (host, port), None for LOCAL without any."""
    if source is None:
        return V2 + bytes([0x20 | command, 0]) + struct.pack("!H", len(tlvs)) + tlvs
    six = ":" in source[0]
    family = socket.AF_INET6 if six else socket.AF_INET
    block = (socket.inet_pton(family, source[0]) + socket.inet_pton(family, destination[0])
             + struct.pack("!HH", source[1], destination[1]) + tlvs)
    fixed = bytes([0x20 | command, 0x21 if six else 0x11]) + struct.pack("!H", len(block))
    return V2 + fixed + block


# -- PROXY accepted from balancers

V1_GOOD = [(b"PROXY TCP4 203.0.113.9 192.0.2.1 41022 25\r\n", "203.0.113.9:41022"),
           (b"PROXY TCP6 2001:db8::9 2001:db8::1 41022 25\r\n", "[2001:db8::9]:41022"),
           (v2_header(("203.0.113.9", 41022), ("192.0.2.1", 25)), "203.0.113.9:41022"),
           (v2_header(("2001:db8::9", 41022), ("2001:db8::1", 25)), "[2001:db8::9]:41022"),
           (v2_header(("203.0.113.9", 41022), ("192.0.2.1", 25), tlvs=b"\x04\0\x0a" + b"\0" * 10),
            "203.0.113.9:41022")]
LOCAL = [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 203.0.113.9 192.0.2.1 41022 25\r\n",
         v2_header(None, None, 0), v2_header(("203.0.113.9", 41022), ("192.0.2.1", 25), 0)]
BROKEN = [b"EHLO no.header\r\n", b"PROXY TCP4 203.0.113.999 192.0.2.1 41022 25\r\n",
          b"PROXY TCP4 203.0.113.9 192.0.2.1 41022 99999\r\n", b"PROXY TCP4\r\n",
          b"PROXY " + b"x" * 200 + b"\r\n", V2 + b"\x21\x11\xff\xff" + b"\0" * 12,
          V2 + b"\x31\x11\0\x0c" + b"\0" * 12, V2 + b"\x21\x11\0\x04" + b"\0" * 4,
          V2 + b"\x2f\x11\0\x0c" + b"\0" * 12]


def balanced(d, header, mode, tls, split=False):
    c = peer.Client(d.address)
    if split:
        for i in range(len(header)):
            c.send(header[i:i + 1])
    else:
        c.send(header)
    if mode == "implicit":
        c.starttls(tls, "proxy.example")
    return c


@pytest.mark.parametrize("mode", ["offer", "implicit"])
@pytest.mark.parametrize("split", [False, True], ids=["whole", "bytewise"])
@pytest.mark.parametrize("header,client", V1_GOOD, ids=range(len(V1_GOOD)))
def test_header_of_a_balancer(daemon, backend, tls, mode, split, header, client):
    d = daemon(backend, inbound={"accept-proxy-from": "127.0.0.0/8", "tls": mode})
    with balanced(d, header, mode, tls, split) as c:
        c.begin()
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    assert d.session_end(end="quit")["client"] == client
    host = client.rsplit(":", 1)[0].strip("[]")
    literal = f"[IPv6:{host}]" if ":" in host else f"[{host}]"
    assert literal.encode() in backend.store.messages[0].octets


@pytest.mark.parametrize("header", [h for h, _ in V1_GOOD], ids=range(len(V1_GOOD)))
def test_header_and_client_hello_in_one_segment(daemon, backend, header):
    """What stands behind the header is TLS already."""
    d = daemon(backend, inbound={"accept-proxy-from": "127.0.0.0/8", "tls": "implicit"})
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = peer.client_context().wrap_bio(incoming, outgoing, server_hostname="proxy.example")
    with peer.Client(d.address) as c:
        c.send_ahead = header

        def turn(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    c.send(c.send_ahead + outgoing.read())
                    c.send_ahead = b""
                    assert c.fill(Deadline())
                    incoming.write(c.take(len(c.unread)))

        turn(tls.do_handshake)
        assert turn(lambda: tls.read(4096)).startswith(b"220 ")


@pytest.mark.parametrize("header", LOCAL, ids=range(len(LOCAL)))
def test_balancer_for_itself(daemon, backend, tls, header):
    d = daemon(backend, inbound={"accept-proxy-from": "127.0.0.0/8"})
    with balanced(d, header, "offer", tls) as c:
        c.begin()
        c.quit()
    assert d.session_end(end="quit")["client"].startswith("127.0.0.1:")


@pytest.mark.parametrize("header", BROKEN, ids=range(len(BROKEN)))
def test_broken_header(daemon, backend, tls, header):
    d = daemon(backend, inbound={"accept-proxy-from": "127.0.0.0/8"},
               limits={"command-timeout": "2s", "greeting-timeout": "2s"})
    with balanced(d, header, "offer", tls) as c:
        assert b"220" not in c.rest()
    d.healthy()


def test_a_balancer_that_says_nothing(daemon, backend):
    limits = {f"{what}-timeout": "1s" for what in ("command", "greeting", "tls", "connect")}
    d = daemon(backend, inbound={"accept-proxy-from": "127.0.0.0/8"}, limits=limits)
    with peer.Client(d.address) as c:
        assert b"220" not in c.rest()


@pytest.mark.parametrize("header", [h for h, _ in V1_GOOD[:3]], ids=range(3))
def test_header_of_a_stranger(daemon, backend, header):
    """Whoever is no balancer cannot choose an address: it is no command, or the end."""
    d = daemon(backend, inbound={"accept-proxy-from": "192.0.2.0/24 127.0.0.50"})
    with peer.Client(d.address, source=CLIENT) as c:
        c.reply(220)
        c.send(header)
        assert c.reply()[0][:1] in (b"4", b"5")
        c.finish()
        c.rest()
    assert d.session_end()["client"].startswith("127.0.0.99:")
    with peer.Client(d.address, source=("127.0.0.50", 0)) as c:
        c.send(header)
        c.begin()


def test_limit_per_address_counts_the_client_behind_the_balancer(daemon, backend, tls):
    d = daemon(backend, inbound={"accept-proxy-from": "127.0.0.0/8"},
               limits={"connections-per-address": 2})
    held = []
    for n in range(1, 6):
        held.append(balanced(d, b"PROXY TCP4 203.0.113.%d 192.0.2.1 4000 25\r\n" % n, "offer", tls))
        held[-1].reply(220)
    for expected in (220, 421):
        held.append(balanced(d, b"PROXY TCP4 203.0.113.1 192.0.2.1 4001 25\r\n", "offer", tls))
        held[-1].reply(expected)
    for c in held:
        c.close()


# -- XCLIENT

class Xclient(Backend):
    keywords = EXTENSIONS + ("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT",)
    refuse = False

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.told = []

    def other(self, wire, verb, rest):
        if verb != "XCLIENT":
            return super().other(wire, verb, rest)
        self.told.append(dict(p.split("=", 1) for p in rest.split()))
        self.say(wire, "550 5.7.0 not you" if self.refuse else self.greeting)


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_xclient(daemon, tls, secure):
    with Xclient() as server:
        d = daemon(server, inbound={"client-address": "xclient"})
        with peer.Client(d.address, source=CLIENT) as c:
            port = c.sock.getsockname()[1]
            lines = c.begin(tls if secure else None, helo="client+odd.example")
            assert not any(b"XCLIENT" in line for line in lines)
            c.envelope()
            c.data(MESSAGE)
            c.quit()
        told = {}
        for t in server.told:
            told.update(t)
        assert told["ADDR"] == "127.0.0.99" and told["PORT"] == str(port)
        if "HELO" in told:
            assert told["HELO"] in ("client+2Bodd.example", "client.example")
        assert len(server.store.messages) == 1


def test_xclient_speaks_only_what_is_understood(daemon):
    with Xclient() as server:
        server.keywords = EXTENSIONS + ("XCLIENT ADDR",)
        d = daemon(server, inbound={"client-address": "xclient"})
        with peer.Client(d.address, source=CLIENT) as c:
            c.begin()
            c.envelope()
        assert server.told and all(set(t) == {"ADDR"} for t in server.told)


def test_xclient_ipv6(daemon):
    with Xclient() as server:
        d = daemon(server, inbound={"client-address": "xclient"}, listen="[::1]")
        with peer.Client(d.address) as c:
            c.begin()
            c.envelope()
        assert server.told[0]["ADDR"].upper() == "IPV6:::1"


def test_xclient_not_offered(daemon, backend):
    """A backend that does not know it gets mail all the same, and no strange command."""
    d = daemon(backend, inbound={"client-address": "xclient"})
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    assert b"XCLIENT" not in backend.wires[0].received


def test_xclient_refused_fails_closed(daemon):
    """A backend that will not have it would take every client for us: no mail, a 4xx."""
    with Xclient() as server:
        server.refuse = True
        d = daemon(server, inbound={"client-address": "xclient"})
        with peer.Client(d.address) as c:
            reply = c.reply()
            for line in ("EHLO a.example", "MAIL FROM:<a@b.example>"):
                if reply[-1][:1] == b"2":
                    reply = c.command(line)
            assert reply[-1][:1] == b"4", reply
        assert not server.store.messages


# -- PROXY spoken to the backend

class Headed(Backend):
    """Reads a PROXY header before its greeting."""

    version = 1

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.headers = []

    def session(self, wire):
        if self.version == 1:
            self.headers.append(wire.line())
        else:
            head = wire.exactly(16)
            assert head[:12] == V2
            self.headers.append(head + wire.exactly(struct.unpack("!H", head[14:])[0]))
        super().session(wire)


def test_proxy_v1(daemon, tls):
    with Headed() as server:
        d = daemon(server, inbound={"client-address": "proxy-v1"})
        with peer.Client(d.address, source=CLIENT) as c:
            port = c.sock.getsockname()[1]
            c.begin(tls)
            c.envelope()
            c.data(MESSAGE)
            c.quit()
        assert server.headers == [b"PROXY TCP4 127.0.0.99 127.0.0.1 %d %d" % (port, d.port)]


def test_proxy_v1_ipv6(daemon):
    with Headed() as server:
        d = daemon(server, inbound={"client-address": "proxy-v1"}, listen="[::1]")
        with peer.Client(d.address) as c:
            port = c.sock.getsockname()[1]
            c.begin()
        assert server.headers == [b"PROXY TCP6 ::1 ::1 %d %d" % (port, d.port)]


def tlvs(octets):
    found = {}
    while octets:
        kind, length = octets[0], struct.unpack("!H", octets[1:3])[0]
        assert len(octets) >= 3 + length
        found[kind] = octets[3:3 + length]
        octets = octets[3 + length:]
    return found


@pytest.mark.parametrize("mode", ["offer", "implicit"])
def test_proxy_v2(daemon, tls, mode):
    with Headed() as server:
        server.version = 2
        d = daemon(server, inbound={"client-address": "proxy-v2", "tls": mode})
        context = tls if mode == "implicit" else None
        with peer.Client(d.address, CLIENT, context, "proxy.example") as c:
            port = c.sock.getsockname()[1]
            c.begin(None if context else tls)
            c.envelope()
            c.data(MESSAGE)
            c.quit()
        header, = server.headers
        assert header[12:14] == b"\x21\x11"
        assert header[16:28] == (socket.inet_aton("127.0.0.99") + socket.inet_aton("127.0.0.1")
                                 + struct.pack("!HH", port, d.port))
        found = tlvs(header[28:])
        if mode == "offer":
            assert 0x20 not in found
        else:
            assert found[0x02] == b"proxy.example"
            client, verify = struct.unpack("!BI", found[0x20][:5])
            assert client & 1 and not client & 6 and verify != 0  # TLS, no client certificate
            inside = tlvs(found[0x20][5:])
            assert inside[0x21] == b"TLSv1.3" and b"AES" in inside[0x23]


def test_proxy_v2_passes_on_what_the_balancer_said(daemon, tls):
    with Headed() as server:
        d = daemon(server, inbound={"client-address": "proxy-v1",
                                    "accept-proxy-from": "127.0.0.0/8"})
        with balanced(d, V1_GOOD[0][0], "offer", tls) as c:
            c.begin()
        assert server.headers[0].startswith(b"PROXY TCP4 203.0.113.9 ")


# -- a real Postfix is told

@pytest.mark.real
@pytest.mark.parametrize("mode,options", [
    ("xclient", {"smtpd_authorized_xclient_hosts": "127.0.0.0/8"}),
    ("proxy-v1", {"smtpd_upstream_proxy_protocol": "haproxy"}),
    ("proxy-v2", {"smtpd_upstream_proxy_protocol": "haproxy"})])
@pytest.mark.parametrize("near", ["offer", "implicit"])
def test_postfix_learns_the_address(daemon, world, tls, mode, options, near):
    server = world.server("postfix", **options)
    d = daemon(server.address, inbound={"client-address": mode, "tls": near})
    mark = next(_marks)
    context = tls if near == "implicit" else None
    with peer.Client(d.address, CLIENT, context, "proxy.example") as c:
        c.begin(None if context else tls)
        c.envelope()
        c.data(mail.marked(MESSAGE, mark))
        c.quit()
    stored = server.stored(mark.encode())
    received = re.search(rb"^Received: from \S+ \(unknown \[([^\]]*)\]\)\n\tby postfix\.backend",
                         stored, re.M)
    assert received and received.group(1) == b"127.0.0.99", stored
    assert d.session_end(end="quit")["transactions"] == "1"


# -- IPv6

def test_ipv6(daemon, tls):
    with Backend(("::1", 0)) as server:
        d = daemon(server, listen=["[::1]", "127.0.0.1"])
        for host in ("::1", "127.0.0.1"):
            with peer.Client((host, d.port)) as c:
                c.begin(tls)
                c.envelope()
                c.data(MESSAGE)
                c.quit()
        assert b"([IPv6:::1])" in server.store.messages[0].octets
        assert b"([127.0.0.1])" in server.store.messages[1].octets
        assert d.session_end(end="quit")["client"].startswith("[::1]:")


def test_backends_in_turn(daemon, backend, tls):
    dead = f"127.0.0.1:{free_port()}"
    d = daemon([dead, backend])
    with peer.Client(d.address) as c:
        c.begin(tls)
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    d.logged(lambda r: dead in str(r))


# -- transparent

class Lan(Net):
    """The Internet (198.51.100.9), the proxy between, the backend (10.9.9.2)."""

    client, backend = "198.51.100.9", "10.9.9.2"

    def __init__(self):
        super().__init__("out", "proxy", "in")

    def __enter__(self):
        super().__enter__()
        for name, far, near in (("out", self.client, "198.51.100.1"),
                                ("in", self.backend, "10.9.9.1")):
            self.cable("proxy", name, name)
            self.address("proxy", name, f"{near}/24")
            self.address(name, "eth0", f"{far}/24")
            self.default_route(name, near)
        return self


@pytest.mark.namespaces
def test_transparent(daemon, tls):
    with Lan() as lan:
        with lan.inside("in"):
            listener = Listener((lan.backend, 0))
        with Backend(listener=listener) as server:
            d = daemon(server, inbound={"client-address": "transparent"}, listen="198.51.100.1",
                       network=lan.names["proxy"])
            lan.run("proxy", program(), "firewall", "-c", str(d.config), "up")
            with lan.inside("out"):
                c = peer.Client(d.address)
            with c:
                c.begin(tls)
                assert server.wire(0).sock.getpeername()[0] == lan.client
                c.envelope()
                c.data(MESSAGE)
                c.quit()
            assert len(server.store.messages) == 1
            d.session_end(end="quit")
            d.stop()
