# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""A policy host of MTA-STS: HTTPS at port 443 of an address that counts as public."""

import socket
import ssl
import subprocess
import threading

from .net import WAIT, isolated
from .peer import Ended, Silence

# Global unicast that nobody routes to us; all of it is ours in the tests' own namespace.
NETWORK = "44.128.0"
PATH = "/.well-known/mta-sts.txt"


def prepare():
    """Why there can be no such host here, or None."""
    if not isolated():
        return "needs a network namespace of its own, for addresses that count as public"
    subprocess.run(["ip", "address", "replace", f"{NETWORK}.1/24", "dev", "lo"], check=True)
    return None


def policy(mode="enforce", *mx, max_age=86400, end="\r\n"):
    lines = ["version: STSv1", f"mode: {mode}", *[f"mx: {m}" for m in mx], f"max_age: {max_age}"]
    return "".join(line + end for line in lines)


def response(body, status="200 OK", type_="text/plain", headers=()):
    body = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    if type_:
        head.append(f"Content-Type: {type_}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class PolicyHost:
    """
    Serves what `answer` is to whoever asks: the octets of a response, or a function that is given
    the connection. `requests` are the first lines and Hosts of what was asked, `connections`
    counts what came before TLS as well, `most` is how many there were at once.
    """

    def __init__(self, address, pair, answer=b"", port=443):
        self.address, self.answer = address, answer
        self.requests, self.connections, self.most = [], 0, 0
        self._now = 0
        self._changed = threading.Condition()
        self.closing = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pair.certificate, pair.key)
        self._listener = socket.create_server((address, port), backlog=1024)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        if self.closing.is_set():
            return
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                s = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _count(self, by):
        with self._changed:
            self._now += by
            self.connections += by > 0
            self.most = max(self.most, self._now)
            self._changed.notify_all()

    def _serve(self, s):
        self._count(1)
        try:
            with s:
                s.settimeout(WAIT)
                with self._context.wrap_socket(s, server_side=True) as tls:
                    self._talk(tls)
        except (OSError, Ended, Silence):
            pass
        finally:
            self._count(-1)

    def _talk(self, tls):
        head = b""
        while b"\r\n\r\n" not in head:
            octets = tls.recv(4096)
            if not octets:
                return
            head += octets
        lines = head.decode("latin-1").split("\r\n")
        host = next((x.partition(":")[2].strip() for x in lines if x.lower().startswith("host:")),
                    None)
        with self._changed:
            self.requests.append((lines[0], host))
            self._changed.notify_all()
        if callable(self.answer):
            self.answer(self, tls)
        else:
            tls.sendall(self.answer)

    def wait_asked(self, count=1, seconds=WAIT):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, seconds), \
                f"{self.address} was asked {self.requests}"


class PolicyWorld:
    """Policy hosts, and the domains that announce them, in a Dns of the test's."""

    def __init__(self, dns, zoo):
        self.dns, self.zoo = dns, zoo
        self._hosts, self._last = [], 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for host in self._hosts:
            host.close()

    def address(self):
        self._last += 1
        return f"{NETWORK}.{self._last}"

    def announce(self, domain, id_="1", ttl=1):
        """In place of what was announced; None: nothing."""
        self.record(domain, *([f"v=STSv1; id={id_};"] if id_ else []), ttl=ttl)

    def record(self, domain, *texts, ttl=1):
        self.dns.set(f"_mta-sts.{domain}", "TXT", *texts, ttl=ttl)

    def host(self, domain, answer, certificate="good", address=None, name=None):
        """A policy host for a domain whose record says id=1. `certificate`: a kind of Zoo's."""
        pair = self.zoo.pair(name or f"mta-sts.{domain}", certificate)
        host = self.host_of_many([domain], pair, answer, address)
        self.announce(domain)
        return host

    def host_of_many(self, domains, pair, answer, address=None):
        host = PolicyHost(address or self.address(), pair, answer)
        self._hosts.append(host)
        for domain in domains:
            self.dns.a(f"mta-sts.{domain}", host.address, ttl=1)
        return host
