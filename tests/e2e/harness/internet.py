# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""An Internet of the test's own: name server, mail servers at port 25, and whoever sends there."""

import contextlib
import pathlib
import shutil
import socket
import tempfile

from . import peer
from .daemon import Policies
from .destination import Destination
from .dns import Dns

NETWORK = "198.51.100"       # all of it is ours, in the tests' own namespace (net.isolate())
NETWORK_6 = "2001:db8:25::"  # ... and of this 1 to 31
MESSAGE = b"Subject: hello\r\n\r\nhello there\r\n"


class Internet:
    """Hosts get an address of their own each, 198.51.100.10 and so on, and listen at port 25."""

    def __init__(self, zoo, dns="127.0.0.1"):
        self.zoo = zoo
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sealpost-internet-"))
        self.folder.chmod(0o755)
        self.policies = Policies(self.folder)
        self.ca = self.readable(zoo.ca)
        self.own_ca = shutil.copy(zoo.own_ca, self.policies.folder)  # a policy file names it
        self.hosts = {}
        self._last = 9
        self._open = contextlib.ExitStack()
        self.dns = self._open.enter_context(Dns(dns))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()
        shutil.rmtree(self.folder)

    def readable(self, file):
        """
        A copy of it for whoever is not root: the daemon, and what an administrator runs, too. What
        is in pytest's folders is for root alone.
        """
        return shutil.copy(file, self.folder)

    def address(self):
        """The next one that nobody has."""
        self._last += 1
        return f"{NETWORK}.{self._last}"

    def host(self, name, certificate="good", address=None, addresses=(), port=25, **how):
        """A mail server. `certificate` is a kind, a pair, or None for one without STARTTLS."""
        address = address or self.address()
        pair = (self.zoo.pair(name, certificate) if isinstance(certificate, str) else certificate)
        server = Destination((address, port), pair, name, **how)
        self._open.enter_context(server)
        self.dns.a(name, address, *addresses)
        self.hosts[name] = server
        return server

    def dead(self, name):
        """A host that refuses connections."""
        self.dns.a(name, self.address())
        return name

    def domain(self, name, *hosts):
        """Its MX hosts (servers or names), the first preferred; (preference, host) as well."""
        def named(host):
            return host.host if isinstance(host, Destination) else host
        self.dns.mx(name, *[(h[0], named(h[1])) if isinstance(h, tuple) else named(h)
                            for h in hosts])

    def peer(self, name, certificate="good", **how):
        """A domain with one host, mx1."""
        server = self.host(f"mx1.{name}", certificate, **how)
        self.domain(name, server)
        return server

    def silent(self, name):
        """A host where connections are neither accepted nor refused: its backlog is full."""
        address = self.address()
        listener = self._open.enter_context(peer.Listener((address, 25), backlog=0))
        for _ in range(4):
            s = self._open.enter_context(socket.socket())
            s.setblocking(False)
            s.connect_ex((address, listener.port))
        self.dns.a(name, address)
        return name

    def no_errors(self):
        for server in self.hosts.values():
            assert not server.errors, server.errors
        assert not self.dns.errors, self.dns.errors


def policy_section(internet):
    """[policy] for it: nothing in it is signed, and no anchor speaks for more than an island."""
    anchor = internet.folder / "island.key"
    anchor.write_text(f"island.lab. IN DS 1 13 2 {'ab' * 32}\n")
    anchor.chmod(0o644)
    return {"directory": internet.policies.folder, "resolver": internet.dns.resolver,
            "trust-anchor": anchor, "ca": internet.ca}


class Outcome:
    """What a client was told, reply by reply; each a list of lines."""

    def __init__(self):
        self.mail, self.recipients, self.data, self.end = None, [], None, None
        self.lost = False

    @property
    def accepted(self):
        return self.end is not None and self.end[-1].startswith(b"2")

    @property
    def last(self):
        """The reply that decided: to the message, or to what was refused."""
        for reply in (self.end, self.data, *reversed(self.recipients), self.mail):
            if reply is not None:
                return b"\n".join(reply).decode("latin-1")
        return ""

    def __repr__(self):
        return f"<{self.mail} {self.recipients} {self.data} {self.end} lost={self.lost}>"


def transaction(client, *recipients, sender="alice@backend.example", message=MESSAGE,
                seconds=None):
    """One, on a connection that has said EHLO; stops where it is refused."""
    seen = Outcome()
    try:
        seen.mail = client.command(f"MAIL FROM:<{sender}>", seconds=seconds)
        if not seen.mail[-1].startswith(b"250"):
            return seen
        for recipient in recipients:
            seen.recipients.append(client.command(f"RCPT TO:<{recipient}>", seconds=seconds))
            if seen.recipients[-1][-1].startswith(b"421"):
                seen.lost = client.rest() == b""
                return seen
        if not any(r[-1].startswith(b"25") for r in seen.recipients):
            client.command("RSET", 250)
            return seen
        seen.data = client.command("DATA", seconds=seconds)
        if seen.data[-1].startswith(b"354"):
            client.send(peer.stuff(message))
            seen.end = client.reply(seconds=seconds)
    except (peer.Ended, OSError):
        seen.lost = True
    return seen


def send(address, *recipients, source=None, **words):
    """A session of one transaction."""
    with peer.Client(address, source=source) as c:
        c.reply(220)
        c.hello("backend.example")
        seen = transaction(c, *recipients, **words)
        if not seen.lost and not seen.last.startswith("421"):
            c.quit()
        return seen


