# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
Domains that publish TLSA records, an MTA-STS policy, or both, in a signed world, with their MX
hosts and policy hosts, and daemons that send to them.
"""

import contextlib
import pathlib
import shutil
import tempfile

import pytest

from . import nsd, sts, tlsa
from .daemon import Policies, Sealpost
from .destination import Destination
from .gateway import SHORT, Gateway
from .internet import NETWORK, send

LIMITS = {"connect-timeout": "10s", "tls-timeout": "10s", "greeting-timeout": "10s",
          "policy-timeout": "10s", "connections-per-address": 1000}


class Published:
    """
    What is in it is told first; then it is entered, and serves. `inside` is where its servers'
    sockets are made, at addresses of `networks`, the mail servers' and the policy hosts'. With
    `meddled` its name server's answers can be spoiled: `meddler`.
    """

    def __init__(self, zoo, certs, dns="127.0.0.1", inside=contextlib.nullcontext,
                 networks=(NETWORK, sts.NETWORK), meddled=False):
        self.zoo, self.certs, self.dns, self.inside = zoo, certs, dns, inside
        self.networks, self.meddled = networks, meddled
        self._last = 99
        # Not below pytest's folder, which only root may enter.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-published-"))
        self.folder.chmod(0o755)
        self.files = Policies(self.folder)
        self.hosts = {}
        self._zones = {}     # name: [kind, lines, the type whose signatures are broken]
        self._policies = []  # (domains, response, address)
        self._open = contextlib.ExitStack()

    # -- what is in it

    def address(self, network=0):
        self._last += 1
        assert self._last < 255
        return f"{self.networks[network]}.{self._last}"

    def zone(self, name, kind=nsd.SECURE, broken=None):
        self._zones[name] = [kind, "", broken]

    def records(self, name, *lines):
        """Lines about a name, which lies in one of the zones; {} is the name."""
        zone = max((z for z in self._zones if f".{name}".endswith(f".{z}")), key=len)
        self._zones[zone][1] += "".join(line.replace("{}", f"{name}.") + "\n" for line in lines)

    def host(self, name, shown="good", *records):
        """
        An MX host; `shown` is None for one without STARTTLS. Records are the words of
        harness.tlsa.
        """
        address, pair = self.address(), self.zoo.pair(name, shown) if shown else None
        words = tlsa.words(self.zoo, pair)
        self.records(name, f"{{}} A {address}",
                     *(f"_25._tcp.{{}} TLSA {r.format(**words)}" for r in records))
        with self.inside():
            server = Destination((address, 25), pair, name)
        self.hosts[name] = self._open.enter_context(server)
        return server

    def domain(self, name, *hosts):
        """The first preferred."""
        self.records(name, *(f"{{}} MX {n}0 {host}." for n, host in enumerate(hosts, 1)))

    def policy(self, text, domains):
        """All of these have this MTA-STS policy, at one host."""
        address = self.address(1)
        for domain in domains:
            self.records(domain, '_mta-sts.{} TXT "v=STSv1; id=1;"', f"mta-sts.{{}} A {address}")
        self._policies.append(([f"mta-sts.{d}" for d in domains], sts.response(text), address))

    # -- while it serves

    def __enter__(self):
        with self.inside():
            for names, response, address in self._policies:
                pair = self.zoo.pair(names[0], "good", more=tuple(names[1:]))
                host = sts.PolicyHost(address, pair, response)
                self._open.callback(host.close)
            zones = {name: (kind, lines, *([broken] if broken else []))
                     for name, (kind, lines, broken) in self._zones.items()}
            keys = self.folder / "zones"
            keys.mkdir()
            self.world = self._open.enter_context(nsd.SignedWorld(keys, zones, self.dns))
            if self.meddled:
                self.meddler = self._open.enter_context(nsd.Meddler(self.world))
        return self

    def __exit__(self, *_):
        self._open.close()
        shutil.rmtree(self.folder)
        for server in self.hosts.values():
            assert not server.errors, server.errors

    @contextlib.contextmanager
    def serve(self, outbound=None, policy=None, limits=None, **options):
        """A daemon that sends here."""
        files = {"ca": self.zoo.ca, "trust-anchor": self.world.anchor}
        for name, file in files.items():    # who is not root reads them
            files[name] = shutil.copy(file, self.folder / name)
        resolver = (self.meddler if self.meddled else self.world).resolver
        with Sealpost(self.folder, self.certs, [], outbound=outbound or {"route": "smarthost"},
                      policy={"directory": self.files.folder, "resolver": resolver, **files,
                              **(policy or {})},
                      limits=LIMITS | (limits or {}), **options) as daemon:
            yield daemon
            daemon.healthy()


class Served:
    """A world, and a daemon that sends to it."""

    def __init__(self, world, daemon, gateway=None):
        self.world, self.daemon, self.gateway = world, daemon, gateway
        self.chooses = gateway is None    # among the hosts of a domain

    def send(self, recipient, server=None):
        """
        One message; where the backend chooses the host it is this one. What the backend was told,
        and whether anything of the message was in clear on the way to any server.
        """
        servers, domain = self.world.hosts.values(), recipient.rpartition("@")[2]
        wires, stored = ([len(s.wires) for s in servers],
                         [len(s.store.messages) for s in servers])
        words = {"sender": f"alice@{domain}",
                 "message": f"Subject: to {domain}\r\n\r\nhello\r\n".encode()}
        if self.gateway:
            seen = self.gateway.deliver(server.listener.address[0], recipient, **words)
        else:
            seen = send(self.daemon.address, recipient, **words)
        arrived = sum(m.sender == words["sender"]
                      for s, n in zip(servers, stored) for m in s.store.messages[n:])
        assert arrived == seen.accepted, (seen, arrived)
        clear = any(b"@" + domain.encode() in bytes(w.raw)
                    for s, n in zip(servers, wires) for w in s.wires[n:])
        return seen, clear


def _needed():
    why = nsd.missing() or sts.prepare()
    if why:
        pytest.skip(why)


@contextlib.contextmanager
def smarthost(zoo, certs, fill, limits=None, **how):
    _needed()
    world = Published(zoo, certs, **how)
    fill(world)
    with world, world.serve(limits=limits) as daemon:
        yield Served(world, daemon)


@contextlib.contextmanager
def intercept(zoo, certs, fill, limits=None, **how):
    _needed()
    with Gateway() as gateway:
        for network in ("11.0.0.64/26", "11.0.0.128/25"):
            gateway.run("wan", "ip", "route", "add", "local", network, "dev", "lo")
        world = Published(zoo, certs, Gateway.DNS, lambda: gateway.inside("wan"),
                          ["11.0.0", "11.0.0"], **how)
        fill(world)
        keys = {"route": "intercept", "backends": Gateway.BACKEND[0]}
        with world, world.serve(keys, limits=SHORT | (limits or {}), listen=Gateway.LAN[0],
                                network=gateway.names["proxy"]) as daemon:
            gateway.firewall("redirect", daemon.port)
            yield Served(world, daemon, gateway)


ROUTES = {"smarthost": smarthost, "intercept": intercept}
