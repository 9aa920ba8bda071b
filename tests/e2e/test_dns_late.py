# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""A DNS that answers late, or half of what it is asked, or nothing any more (RFC 7672 §2.1)."""

import concurrent.futures
import threading

import pytest

from harness import nsd
from harness.destination import Destination
from harness.internet import send
from harness.net import until
from harness.tlsa import words

pytestmark = pytest.mark.namespaces

A, MX, AAAA, TLSA = 1, 15, 28, 52
HOST, ADDRESS = "mx.d.lab", "198.51.100.61"
QUESTIONS = {"mx": ("d.lab", MX), "a": (HOST, A), "aaaa": (HOST, AAAA),
             "tlsa": (f"_25._tcp.{HOST}", TLSA)}
EVERY_QUESTION = pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)


@pytest.fixture(scope="module")
def signed(tmp_path_factory, zoo):
    why = nsd.missing()
    if why:
        pytest.skip(why)
    pair = zoo.pair(HOST, "self-signed")  # whom its record alone makes good
    record = "3 1 1 {leaf}".format(**words(zoo, pair))
    zone = (f"@ MX 10 mx\nmx A {ADDRESS}\n_25._tcp.mx TLSA {record}\n"
            "_mta-sts TXT \"v=STSv1; id=1;\"\nmta-sts A 44.128.0.9\n"
            f"_25._tcp.mta-sts TLSA {record}")
    with nsd.SignedWorld(tmp_path_factory.mktemp("late"), {"d.lab": (nsd.SECURE, zone)}) as world:
        world.pair = pair
        yield world


@pytest.fixture
def meddler(signed):
    with nsd.Meddler(signed) as m:
        yield m


@pytest.fixture
def server(signed):
    with Destination((ADDRESS, 25), signed.pair, HOST) as s:
        yield s
    assert not s.errors


@pytest.fixture
def serve(smarthost, signed, meddler, internet):
    anchor = internet.readable(signed.anchor)

    def start(timeout, **policy):
        return smarthost(limits={"policy-timeout": timeout}, policy={
            "resolver": meddler.resolver, "trust-anchor": anchor, "mta-sts": "no", **policy})
    return start


def passes(server, seen):
    assert seen.accepted, seen
    assert server.store.messages[-1].secure


def refused_before_it_is_called(server, seen):
    assert seen.last.startswith("451 4.4.3"), seen
    assert not server.wires and not server.store.messages


def forget(daemon, internet, level):
    """By a change of the files: no answer is kept any more, those that failed neither."""
    internet.policies.put("default", f"tls = {level}")
    daemon.reload()


@EVERY_QUESTION
def test_late_but_in_time(serve, meddler, server, question):
    come = threading.Event()
    meddler.spoil(*question, come)
    daemon = serve("60s")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        seen = pool.submit(send, daemon.address, "u@d.lab")
        until(lambda: question in meddler.asked, "it is asked")
        assert not seen.done() and not server.wires
        come.set()
        passes(server, seen.result())
    assert daemon.session_end(domain="d.lab")["dane"] == "EE"


@EVERY_QUESTION
def test_too_late_and_known_from_then_on(serve, internet, meddler, server, question):
    come = threading.Event()
    meddler.spoil(*question, come)
    daemon = serve("2s")
    refused_before_it_is_called(server, send(daemon.address, "u@d.lab"))
    meddler.release(come)
    forget(daemon, internet, "encrypt")
    passes(server, send(daemon.address, "u@d.lab"))
    meddler.dead = True
    forget(daemon, internet, "may")  # but libunbound knows it all
    passes(server, send(daemon.address, "u@d.lab"))


@EVERY_QUESTION
def test_no_answer_half_way(serve, internet, meddler, server, question):
    meddler.spoil(*question, "silent")
    daemon = serve("2s")
    for _ in range(2):
        refused_before_it_is_called(server, send(daemon.address, "u@d.lab"))
    meddler.spoil(*question, None)
    forget(daemon, internet, "encrypt")
    until(lambda: send(daemon.address, "u@d.lab").accepted, "it is heard", 60)


def test_a_policy_host_needs_no_tlsa(serve, meddler, server):
    daemon = serve("60s", **{"mta-sts": "yes"})
    passes(server, send(daemon.address, "u@d.lab"))
    until(lambda: ("mta-sts.d.lab", AAAA) in meddler.asked, "its addresses are asked for")
    daemon.logged(lambda r: "the MTA-STS policy of d.lab cannot be had" in r["message"])
    assert {name for name, type_ in meddler.asked if type_ == TLSA} == {f"_25._tcp.{HOST}"}
