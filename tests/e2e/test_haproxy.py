# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Two Sealposts behind a real HAProxy, both as docs/scaling.md says, word for word."""

import shutil
import socket
import subprocess
import threading

import pytest

from harness import guide, peer
from harness.backend import Backend
from harness.net import WAIT, until

pytestmark = pytest.mark.namespaces

FRONT, ONE, TWO = "203.0.113.10", "10.0.0.5", "10.0.0.6"
ADDRESSES = (FRONT, ONE, TWO, "10.0.0.4", "10.0.0.10")
CLIENT = "198.51.100.1"
PAGE = "scaling.md"
CLIENTS = 8


@pytest.fixture
def addresses():
    """Those of the guide, here."""
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "lo"], check=True)
    yield
    for address in ADDRESSES:
        subprocess.run(["ip", "address", "del", f"{address}/32", "dev", "lo"], check=True)


@pytest.fixture
def exchange(addresses):
    with Backend(("10.0.0.10", 25)) as backend:
        yield backend
    assert not backend.errors, backend.errors


@pytest.fixture
def sealposts(built, exchange, open_folder, certs):
    text, = guide.blocks(PAGE, "sealpost.conf")
    both = [guide.Guided(open_folder / name, certs, text.replace(f"{ONE}:25", f"{address}:25"),
                         (address, 25))
            for name, address in (("one", ONE), ("two", TWO))]
    try:
        for d in both:
            d.start()
        yield both
    finally:
        for d in both:
            d.stop()
            d.unblemished()


@pytest.fixture
def haproxy(sealposts, tmp_path):
    if shutil.which("haproxy") is None:
        pytest.skip("no HAProxy")
    admin, config = tmp_path / "admin.sock", tmp_path / "haproxy.cfg"
    config.write_text(f"global\n    stats socket {admin} level admin\n\n"
                      + "\n".join(guide.blocks(PAGE, "haproxy.cfg")))
    process = subprocess.Popen(["haproxy", "-db", "-q", "-f", str(config)])
    try:
        until(lambda: process.poll() is not None or connects(), "HAProxy listens")
        yield admin
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait()


def connects():
    try:
        socket.create_connection((FRONT, 25)).close()
    except ConnectionRefusedError:
        return False
    return True


def client(tls=None, session=None):
    """A client as the Internet has them, at its first EHLO inside TLS."""
    c = peer.Client((FRONT, 25), source=(CLIENT, 0))
    c.begin()
    if tls is not None:
        c.command("STARTTLS", 220)
        c.sock = tls.wrap_socket(c.sock, server_hostname="mail.example.com", session=session)
        c.hello()
    return c


def of(record, address):
    return record.get("client", "").startswith(f"{address}:")


def test_each_serves_and_knows_the_client(haproxy, sealposts, exchange, tls):
    for _ in range(4):
        with client(tls) as c:
            c.envelope()
            c.data(b"Subject: x\r\n\r\nhello\r\n")
            c.quit()
    for d in sealposts:
        d.logged(lambda r: of(r, CLIENT) and r.get("end") == "quit"
                 and r["near"].startswith("TLS1.3"))
    exchange.store.wait(4)
    assert all(f"[{CLIENT}]".encode() in m.octets for m in exchange.store.messages)


def test_health_checks_are_sessions_of_haproxy(haproxy, sealposts):
    for d in sealposts:
        d.logged(lambda r: of(r, "10.0.0.4") and r.get("end") == "quit")


def test_whoever_comes_past_haproxy_chooses_no_address(sealposts, exchange):
    d = sealposts[0]
    with peer.Client(d.address, source=(CLIENT, 0)) as c:
        c.reply(220)
        c.command("PROXY TCP4 192.0.2.1 10.0.0.5 1 25", 500)
        c.quit()
    d.logged(lambda r: of(r, CLIENT) and "end" in r)


def test_a_session_of_the_one_is_taken_up_by_the_other(haproxy, sealposts, tls):
    """By the ticket key that they share."""
    with client(tls) as c:
        session = c.sock.session
        c.quit()
    first, other = sealposts
    if not any(of(r, CLIENT) for r in first.records()):
        first, other = other, first
    first.logged(lambda r: of(r, CLIENT) and "resumed" not in r["near"])
    first.stop()
    with client(tls, session) as c:
        assert c.sock.session_reused
        c.quit()
    other.logged(lambda r: of(r, CLIENT) and r["near"].endswith("/resumed"))


class Sender(threading.Thread):
    """A mail server that gives up nothing: it sends each of its messages until a 250 comes."""

    def __init__(self, number, tls, enough):
        super().__init__(daemon=True)
        self.number, self.tls, self.enough = number, tls, enough
        self.sent, self.again = 0, []

    def run(self):
        while not self.enough.is_set() and len(self.again) < 20:
            try:
                self.once()
            except (AssertionError, OSError) as e:
                self.again.append(repr(e))

    def once(self):
        with client(self.tls) as c:
            for _ in range(3):
                c.envelope()
                c.data(f"X-Which: {self.number}-{self.sent}\r\n\r\n.\r\n".encode())
                self.sent += 1
            c.quit()


def drain(admin, server):
    """As the guide does by socat."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(admin))
        s.sendall(f"set server mail/{server} state drain\n".encode())
        assert s.recv(4096).strip() == b""


@pytest.mark.parametrize("drained", [True, False], ids=["drained", "at once"])
def test_one_is_stopped_in_the_middle(haproxy, sealposts, exchange, tls, drained):
    """Who is not told comes again; no message is lost, and none comes twice."""
    enough = threading.Event()
    senders = [Sender(n, tls, enough) for n in range(CLIENTS)]
    for s in senders:
        s.start()
    exchange.store.wait(50)
    if drained:
        drain(haproxy, "one")
        sealposts[0].settle()
    assert sealposts[0].stop() == 0
    exchange.store.wait(len(exchange.store.messages) + 50)
    enough.set()
    for s in senders:
        s.join(WAIT)
        assert not s.is_alive()
    again = [why for s in senders for why in s.again]
    told = [why for why in again if "421 4.3.2" in why]
    # Who was just coming, once; who comes again is led to the other.
    assert len(again) - len(told) <= (0 if drained else CLIENTS), again
    came = sorted(m.octets.split(b"X-Which: ")[1].split(b"\r\n")[0]
                  for m in exchange.store.messages)
    assert came == sorted(b"%d-%d" % (s.number, n) for s in senders for n in range(s.sent))
