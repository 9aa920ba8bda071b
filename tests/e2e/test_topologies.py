# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The topologies of docs/deployment.md that route, built as it says, word for word."""

import re

import pytest

from harness import guide, peer
from harness.backend import EXTENSIONS, Backend
from harness.daemon import program
from harness.internet import MESSAGE, send
from harness.netns import Net

pytestmark = pytest.mark.namespaces

EXCHANGE, MX, CLIENT = "10.0.0.10", "11.0.0.11", "11.0.0.99"
# There is no DNS here; under tls = may an intercepted connection needs none.
MORE = """
[limits]
policy-timeout = 2s
[policy]
resolver = 127.0.0.1@1
dane = no
mta-sts = no
directory = {folder}/policy.d
cache = {folder}
"""


class Topology(Net):
    """Exchange, Sealpost and what is beyond the router, where clients and MX hosts are."""

    def __init__(self, *more):
        super().__init__("exchange", "sealpost", "outside", *more)

    def __enter__(self):
        super().__enter__()
        self.lay()
        self.address("exchange", "eth0", f"{EXCHANGE}/24")
        self.address("outside", "lo", f"{MX}/32", f"{CLIENT}/32")
        return self

    def redirects(self):
        """How often Sealpost's machine told somebody of a shorter way to somewhere."""
        names, values = (line.split() for line in
                         self.run("sealpost", "grep", "^Icmp:", "/proc/net/snmp").splitlines())
        return int(values[names.index("OutRedirects")])


class Inline(Topology):
    CONFIGURATION, ADDRESS, GATEWAY, SENDER = 0, "203.0.113.10", "10.0.0.1", "203.0.113.10"

    def lay(self):
        self.cable("sealpost", "eth0", "outside")
        self.cable("sealpost", "eth1", "exchange")
        self.address("sealpost", "eth0", "203.0.113.10/24")
        self.address("sealpost", "eth1", "10.0.0.1/24")
        self.address("outside", "eth0", "203.0.113.1/24")
        self.default_route("sealpost", "203.0.113.1")
        self.default_route("outside", "203.0.113.10")
        self.sysctl("sealpost", "ipv4/ip_forward", 1)


class OneArm(Topology):
    CONFIGURATION, ADDRESS, GATEWAY, SENDER = 1, "10.0.0.5", "10.0.0.5", "10.0.0.5"

    def __init__(self):
        super().__init__("switch")

    def lay(self):
        self.run("switch", "ip", "link", "add", "switch", "type", "bridge")
        self.run("switch", "ip", "link", "set", "switch", "up")
        for name in ("exchange", "sealpost", "outside"):
            self.cable("switch", name, name)
            self.run("switch", "ip", "link", "set", name, "master", "switch")
        self.address("sealpost", "eth0", "10.0.0.5/24")
        self.address("outside", "eth0", "10.0.0.254/24")
        self.default_route("sealpost", "10.0.0.254")
        settings, = guide.blocks("deployment.md", "sysctl.conf")
        for line in settings.splitlines():
            key, value = line.split(" = ")
            self.sysctl("sealpost", key.removeprefix("net.").replace(".", "/"), value)


@pytest.fixture(params=[Inline, OneArm])
def topology(request):
    with request.param() as t:
        t.default_route("exchange", t.GATEWAY)
        yield t


@pytest.fixture
def sealpost(built, topology, open_folder, certs):
    text = guide.blocks("deployment.md", "sealpost.conf")[topology.CONFIGURATION]
    folder = open_folder / "sealpost"
    d = guide.Guided(folder, certs, text + MORE.format(folder=folder),
                     network=topology.names["sealpost"])
    topology.run("sealpost", program(), "firewall", "-c", str(d.config), "up")
    try:
        yield d.start()
    finally:
        d.stop()
        d.unblemished()


class MailHost(Backend):
    keywords = (*EXTENSIONS, "STARTTLS")


def test_mail_comes_in(topology, sealpost, tls):
    """By TLS, and Exchange sees the sender's own address."""
    with topology.inside("exchange"):
        exchange = Backend((EXCHANGE, 25))
    with exchange:
        with topology.inside("outside"):
            c = peer.Client((topology.ADDRESS, 25), source=(CLIENT, 0))
        with c:
            c.begin(tls, name="mail.example.com")
            c.envelope()
            c.data(MESSAGE)
            assert exchange.wire(0).sock.getpeername()[0] == CLIENT
            c.quit()
        assert exchange.store.messages[0].octets.endswith(MESSAGE)


def test_mail_goes_out(topology, sealpost, certs):
    """By TLS, from Sealpost's address; without Sealpost not at all."""
    with topology.inside("outside"):
        mx = MailHost((MX, 25), peer.server_context(certs.pair("mx.peer.example")))
    with mx:
        wire = topology.capture("outside", "eth0")
        with topology.inside("exchange"):
            seen = send((MX, 25), "bob@peer.example")
        assert seen.accepted, seen
        assert {source[0] for source, _ in wire.flows()} == {topology.SENDER}
        for line in wire.clear():
            assert re.fullmatch(rb"(EHLO|HELO) [!-~]+|STARTTLS", line), line
        sealpost.stop()
        with topology.inside("exchange"), pytest.raises(ConnectionRefusedError):
            send((MX, 25), "bob@peer.example")
        assert len(mx.wires) == 1


def test_what_is_not_mail_passes(topology, sealpost):
    """And nobody tells Exchange of a way past Sealpost, which its mail would take, too."""
    with topology.inside("outside"):
        web = peer.Listener((MX, 80))
    with web:
        with topology.inside("exchange"):
            client = peer.dial((MX, 80))
        with client, web.accept() as wire:
            client.send(b"GET\r\n")
            assert wire.line() == b"GET"
    assert topology.redirects() == 0
