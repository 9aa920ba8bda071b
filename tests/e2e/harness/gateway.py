# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Interception: the machine between a backend and the Internet, and its firewall."""

import itertools
import re
import tempfile

import pytest

from . import peer
from .daemon import program, section
from .internet import Internet, policy_section, send
from .netns import Net

SHORT = {"connect-timeout": "10s", "tls-timeout": "2s", "greeting-timeout": "10s",
         "policy-timeout": "5s"}


class Gateway(Net):
    """
    The backend's network (lan), the Internet (wan) and between them the machine that Sealpost
    runs on (proxy). The addresses of this Internet are nobody's: here they count as public.
    Pairs are of IPv4 and IPv6.
    """

    LAN = ("10.9.9.1", "fd00:9::1")           # the proxy's, towards the backend
    BACKEND = ("10.9.9.2", "fd00:9::2")
    STRANGER = ("10.9.9.3", "fd00:9::3")      # beside the backend
    WAN = ("11.0.0.1", "2a11::1")             # the proxy's, towards the Internet
    HOSTS = tuple((f"11.0.0.{n}", f"2a11::{n}") for n in (11, 12, 13))
    DNS = "11.0.0.53"
    PRIVATE = ("192.168.77.7", "fd00:77::7")  # reached through the wan, yet private

    def __init__(self):
        super().__init__("lan", "proxy", "wan")

    def __enter__(self):
        super().__enter__()
        self.cable("proxy", "lan", "lan")
        self.cable("proxy", "wan", "wan")
        self.address("proxy", "lan", *_with(self.LAN))
        self.address("proxy", "wan", *_with(self.WAN))
        self.address("lan", "eth0", *_with(self.BACKEND), *_with(self.STRANGER))
        self.address("wan", "eth0", f"{self.DNS}/24", *_with(self.PRIVATE),
                     *itertools.chain.from_iterable(_with(h) for h in self.HOSTS))
        for name, gateways in (("lan", self.LAN), ("wan", self.WAN)):
            self.default_route(name, *gateways)
        for host in self.PRIVATE:
            via = self.HOSTS[0][":" in host]
            self.run("proxy", "ip", "route", "add", host, "via", via)
        self.sysctl("proxy", "ipv4/ip_forward", 1)
        self.sysctl("proxy", "ipv6/conf/all/forwarding", 1)
        for name, device in (("proxy", "lan"), ("proxy", "wan"), ("lan", "eth0"),
                             ("wan", "eth0")):
            self.settled(name, device)
        self.wire = self.capture("wan", "eth0")
        return self

    # -- the firewall

    def firewall(self, way, port, listen=LAN, **keys):
        """What `sealpost firewall` loads for such a service; `guard` and `backends` are keys."""
        keys = {"route": "intercept", "backends": self.BACKEND, **keys,
                "source": "transparent" if way == "tproxy" else "auto",
                "listen": [f"[{a}]:{port}" if ":" in a else f"{a}:{port}" for a in listen]}
        keys = {k: v if isinstance(v, str) else " ".join(v) for k, v in keys.items()}
        self.command("up", section("server", {"hostname": "proxy.example"})
                     + section("outbound", keys))

    def command(self, what, config):
        """`sealpost firewall`, told this configuration; what it printed."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(config)
            file.flush()
            return self.run("proxy", program(), "firewall", "-c", file.name, what)

    # -- both sides

    def serve(self, internet, name="peer.example", address=None, **how):
        """A domain of the Internet whose only mail server is here."""
        with self.inside("wan"):
            return internet.peer(name, address=address or self.HOSTS[0][0], **how)

    def connect(self, host, port=25, source=None):
        """From the backend to that host, as it believes."""
        with self.inside("lan"):
            return peer.Client((host, port), source=source or (self.BACKEND[":" in host], 0))

    def deliver(self, host, *recipients, source=None, **words):
        """A session of one transaction, likewise."""
        with self.inside("lan"):
            return send((host, 25), *recipients,
                        source=source or (self.BACKEND[":" in host], 0), **words)

    # -- what was on the wire

    def sources(self):
        """From where somebody has sent to port 25 over the wire of the Internet."""
        return {source[0] for source, _ in self.wire.flows()}

    def no_envelope_in_clear(self):
        """What anybody at the wire could read is how TLS is asked for, and nothing else."""
        for line in self.wire.clear():
            assert re.fullmatch(rb"(EHLO|HELO) [!-~]+|STARTTLS|QUIT", line), line


def _with(pair):
    return f"{pair[0]}/24", f"{pair[1]}/64"


@pytest.fixture
def gateway():
    with Gateway() as g:
        yield g


@pytest.fixture
def internet(gateway, zoo):
    """The servers of the wan; to be made while inside it."""
    with gateway.inside("wan"):
        i = Internet(zoo, Gateway.DNS)
    yield i
    with gateway.inside("wan"):
        i.__exit__()
    i.no_errors()


@pytest.fixture
def intercept(daemon, gateway, internet):
    """Starts a daemon on the gateway, and the firewall's rules that send it mail."""
    def start(way="redirect", outbound=None, listen=gateway.LAN):
        keys = {"route": "intercept", "backends": " ".join(gateway.BACKEND), **(outbound or {})}
        d = daemon([], outbound=keys, limits=SHORT, network=gateway.names["proxy"],
                   listen=[f"[{a}]" if ":" in a else a for a in listen],
                   policy=policy_section(internet))
        gateway.firewall(way, d.port)
        return d
    return start
