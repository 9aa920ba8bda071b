# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What a worker can do to the others once it is somebody else's: it speaks through its socket."""

import contextlib
import os
import socket
import struct
import time

import pytest

from harness import inject, peer
from harness.daemon import stopped
from harness.inject import ORDERS, SETUP, TAKEN, inside
from harness.internet import send

pytestmark = [
    pytest.mark.namespaces,
    pytest.mark.skipif(os.geteuid() != 0, reason="to be inside a process: needs root"),
    pytest.mark.skipif(inject.why_not is not None, reason=str(inject.why_not)),
]


def packet(kind, number=0, text=""):
    """As in proxy/orders.h."""
    return struct.pack("=II", kind, number) + text.encode() + b"\0"


@pytest.fixture
def service(smarthost, internet):
    internet.peer("peer.example")
    d = smarthost({}, server={"workers": "2"})
    assert send(d.address, "bob@peer.example").accepted
    return d


@pytest.mark.parametrize("news", [
    packet(TAKEN, 1), packet(TAKEN, 2), packet(SETUP, 1), packet(TAKEN, 1)[:-1],
    packet(0), packet(1 << 31), b"\1", packet(TAKEN, 1, "x" * 2000),
], ids=["again", "of-another", "an-order", "cut", "nothing", "unknown", "short", "long"])
def test_news_that_are_none(service, news):
    worker = service.workers[0]
    with contextlib.suppress(ProcessLookupError):  # it may be ended at once
        with inside(worker) as it:
            assert it.write(ORDERS, news) == len(news)
    service.logged(lambda r: f"the worker process {worker} ended" in r["message"])
    assert send(service.address, "bob@peer.example").accepted  # by the other one


def end_what_listens(d):
    """A connection to nobody: no filter sees that. Once: there is a spare of that descriptor."""
    nobody = struct.pack("=H14x", socket.AF_UNSPEC)
    with inside(d.workers[0]) as it:
        assert any(it.connect(fd, nobody) == 0 for fd in range(4, 12))


def test_it_ends_a_socket_that_all_listen_on(service):
    with stopped([service.process.pid]):  # which would see it sooner or later
        end_what_listens(service)
        with pytest.raises(ConnectionRefusedError):
            peer.Client(service.address)
    service.logged(lambda r: "listens no more" in r["message"])
    assert send(service.address, "bob@peer.example").accepted


def test_a_socket_that_was_ended_listens_again_at_once(service):
    """Not when the supervisor looks round, which is every five seconds."""
    begun = time.monotonic()
    for _ in range(3):
        after = len(service.lines)
        end_what_listens(service)
        service.logged(lambda r: "listens no more" in r["message"], after=after)
        assert send(service.address, "bob@peer.example").accepted
    assert time.monotonic() - begun < 10
