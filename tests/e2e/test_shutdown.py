# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""SIGTERM: the idle are sent away, transactions end, nothing that was received whole is lost."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness import peer
from harness.backend import Backend
from harness.daemon import Sealpost, stopped
from harness.net import WAIT

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


class Slow(Backend):
    """Keeps its reply to the end of data until told."""

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.go_on, self.asked = threading.Event(), threading.Event()

    def acknowledge(self, wire, message):
        self.asked.set()
        self.go_on.wait(60)
        super().acknowledge(wire, message)

    def close(self):
        self.go_on.set()
        super().close()


def terminate(d):
    d.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_the_idle_are_told_at_once(daemon, backend, tls, secure):
    d = daemon(backend)
    with peer.Client(d.address) as c, peer.Client(d.address) as greeted:
        c.begin(tls if secure else None)
        greeted.reply(220)
        terminate(d)
        for wire in (c, greeted):
            wire.reply(421)
            assert wire.rest() == b""
    assert d.process.wait(WAIT) == 0


@pytest.mark.parametrize("secure", [False, True], ids=["clear", "tls"])
def test_a_transaction_ends(daemon, backend, tls, secure):
    d = daemon(backend)
    with peer.Client(d.address) as c, peer.Client(d.address) as idle:
        idle.begin()
        c.begin(tls if secure else None)
        c.command("MAIL FROM:<a@b.example>", 250)
        terminate(d)
        idle.reply(421)  # so it has seen the signal
        c.command("RCPT TO:<b@c.example>", 250)
        c.data(MESSAGE)
        c.reply(421)
        assert c.rest() == b""
    assert d.process.wait(WAIT) == 0
    assert len(backend.store.messages) == 1


def test_nobody_new_comes_in(daemon, backend):
    d = daemon(backend)
    with peer.Client(d.address) as c, peer.Client(d.address) as idle:
        idle.begin()
        c.begin()
        c.command("MAIL FROM:<a@b.example>", 250)
        terminate(d)
        idle.reply(421)
        with pytest.raises((ConnectionError, AssertionError)):
            with peer.Client(d.address) as late:
                late.reply(220)
        c.command("RSET", 250)
        c.reply(421)
    assert d.process.wait(WAIT) == 0


def test_those_who_wait_to_be_accepted_are_told(daemon, backend):
    """More than the workers take in one turn: the others are not reset."""
    d = daemon(backend, server={"workers": "2"}, limits={"connections-per-address": 1000})
    with stopped(d.workers):
        waiting = [peer.Client(d.address) for _ in range(150)]
        terminate(d)
        d.logged(lambda r: r["message"].endswith("sessions still open: 0"))
    for c in waiting:
        if c.reply()[0].startswith(b"220"):  # accepted before the worker had heard of it
            c.reply(421)
        assert c.rest() == b""
        c.close()
    assert d.process.wait(10) == 0


# As systemd does it: what comes over the socket is descriptor 3 of what it becomes.
AS_SYSTEMD = """if 1:
    import os, socket, sys
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(sys.argv[1])
        passed = socket.recv_fds(s, 1, 1)[1][0]
    os.dup2(passed, 3)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="inbound")
    os.execv(sys.argv[2], sys.argv[2:])
"""


def test_at_a_socket_of_systemds_they_wait_for_the_next(daemon, backend, tmp_path):
    with socket.create_server(("127.0.0.1", 0), backlog=200) as lasting, \
            socket.create_server(str(tmp_path / "fd"), family=socket.AF_UNIX) as handing:

        def hand_over():
            with handing.accept()[0] as s:
                socket.send_fds(s, [b"x"], [lasting.fileno()])

        thread = threading.Thread(target=hand_over)
        thread.start()
        d = daemon(backend, limits={"connections-per-address": 1000},
                   through=[sys.executable, "-c", AS_SYSTEMD, str(tmp_path / "fd")])
        thread.join()
        with stopped(d.workers):
            waiting = [peer.Client(lasting.getsockname()) for _ in range(50)]
            terminate(d)
            d.logged(lambda r: r["message"].endswith("sessions still open: 0"))
        assert d.process.wait(10) == 0
        lasting.settimeout(0)
        with contextlib.suppress(BlockingIOError):  # those who were not taken before the end
            while True:
                lasting.accept()[0].send(b"220 the next\r\n")
        assert waiting[-1].reply(220)
        for c in waiting:
            c.close()


def test_an_unending_transaction_is_given_a_time(daemon, backend):
    d = daemon(backend, limits={"shutdown-timeout": "1s"})
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope()
        terminate(d)
        c.reply(421)
    assert d.process.wait(WAIT) == 0


def test_the_reply_to_an_end_of_data_is_awaited(daemon):
    """Longer than shutdown-timeout: who has sent the whole message hears what became of it."""
    with Slow() as server:
        d = daemon(server, limits={"shutdown-timeout": "1s", "eod-timeout": "30s"})
        with peer.Client(d.address) as c:
            c.begin()
            c.envelope()
            c.command("DATA", 354)
            c.send(peer.stuff(MESSAGE))
            assert server.asked.wait(WAIT)
            begun = time.monotonic()
            terminate(d)
            with pytest.raises(peer.Silence):
                c.reply(seconds=2.5)
            server.go_on.set()
            c.reply(250)
            assert time.monotonic() - begun > 2
            c.reply(421)
        assert d.process.wait(WAIT) == 0
        assert len(server.store.messages) == 1


def test_a_reply_that_never_comes_is_logged_as_a_possible_duplicate(daemon):
    with Slow() as server:
        d = daemon(server, limits={"shutdown-timeout": "1s", "eod-timeout": "2s"})
        with peer.Client(d.address) as c:
            c.begin()
            c.envelope()
            c.command("DATA", 354)
            c.send(peer.stuff(MESSAGE))
            assert server.asked.wait(WAIT)
            terminate(d)
            try:
                assert c.reply()[0].startswith(b"4")
            except peer.Ended:
                pass
        assert d.process.wait(WAIT) == 0
        d.logged(lambda r: "twice" in str(r))


def test_sigint_and_exit_status(daemon, backend):
    d = daemon(backend)
    assert d.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("text", [
    "[inbound]\nlisten = 127.0.0.1:1\n", "[nonsense]\n", "[inbound\n"])
def test_a_broken_configuration_does_not_serve(built, tmp_path, text):
    file = tmp_path / "broken.conf"
    file.write_text(text)
    done = subprocess.run([built, "serve", "-c", str(file)], capture_output=True, text=True,
                          timeout=WAIT)
    assert done.returncode in (1, 3) and "broken.conf:" in done.stderr


def test_an_address_that_is_taken(daemon, backend, certs, tmp_path, built):
    first = daemon(backend)
    second = Sealpost(tmp_path, certs, [backend.address])
    second.config.write_text(first.config.read_text())
    done = subprocess.run([built, "serve", "-c", str(second.config)], capture_output=True,
                          text=True, timeout=WAIT)
    assert done.returncode == 3 and str(first.port) in done.stderr, done
    first.healthy()
