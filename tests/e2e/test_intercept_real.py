# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Real mail servers whose mail is taken on its way out; they know of nothing."""

import itertools
import re

import pytest

from harness import mail, peer, real_out
from harness.gateway import Gateway, gateway, intercept, internet  # noqa: F401
from harness.net import until
from harness.real import Postfix

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

MESSAGE = mail.attachment("attachment", 200000)
FIRST, SECOND = (host[0] for host in Gateway.HOSTS[:2])


class PostfixBackend(Postfix):
    """Sends to two servers in turn, as it would to a domain's MX hosts."""

    def __init__(self, folder):
        super().__init__(folder, relayhost=f"[{FIRST}]:25, [{SECOND}]:25",
                         virtual_mailbox_domains="", maximal_backoff_time="2s",
                         smtp_tls_security_level="none")


class EximBackend(real_out.EximSender):
    command = ("exim4", "-bdf", "-q2s")

    def __init__(self, folder):
        super().__init__(folder, "")

    def files(self):
        files = super().files()
        text = files["etc/exim4/exim4.conf"]
        own = "route_list = * 127.0.0.1:: byname"
        assert own in text
        files["etc/exim4/exim4.conf"] = text.replace(own, f"route_list = * {FIRST}:{SECOND} byname")
        return files


@pytest.fixture(params=[PostfixBackend, EximBackend], ids=["postfix", "exim"])
def backend(request, world, gateway, tmp_path):
    """One that runs in the lan, and submit(recipient)."""
    with gateway.inside("lan"):
        server = request.param(tmp_path / "backend").start()
    marks = (f"mark-{n}-end" for n in itertools.count())

    def submit(recipient):
        message = mail.marked(MESSAGE, next(marks))
        with gateway.inside("lan"):
            c = peer.Client((server.host, server.port))
        with c:
            c.begin()
            c.envelope("alice@backend.example", recipient)
            c.data(message)
            c.quit()
        return message
    server.submit = submit
    yield server
    server.stop()


def both(gateway, internet, shows="good", level="secure"):
    """The domain's two servers; the first shows this certificate."""
    with gateway.inside("wan"):
        servers = [internet.host(f"mx{n + 1}.peer.example", how, address=host)
                   for n, (how, host) in enumerate(((shows, FIRST), ("good", SECOND)))]
    internet.domain("peer.example", *servers)
    internet.policies.put("peer.example", f"tls = {level}")
    return servers


@pytest.mark.parametrize("way,source", [("redirect", "auto"), ("tproxy", "transparent")])
def test_a_backend_that_knows_of_nothing(gateway, internet, intercept, backend, way, source):
    first, second = both(gateway, internet)
    d = intercept(way, {"source": source})
    message = backend.submit("bob@peer.example")
    stored = first.store.wait(1)
    assert stored.secure and mail.below(stored.octets.replace(b"\r\n", b"\n"), message) is not None
    assert gateway.sources() == {(gateway.BACKEND if source == "transparent" else gateway.WAN)[0]}
    gateway.no_envelope_in_clear()
    assert d.session_end(end="quit")["transactions"] == "1"
    assert not second.wires


@pytest.mark.parametrize("shows", ["wrong-name", "expired", "self-signed", None])
def test_a_backend_goes_to_the_next_server(gateway, internet, intercept, backend, shows):
    """What our 421 is for; and why is in the backend's log."""
    first, second = both(gateway, internet, shows)
    intercept()
    backend.submit("bob@peer.example")
    assert second.store.wait(1).secure
    assert not first.store.messages
    told = rf"421 4\.7\.[45] peer\.example via mx[12]\.peer\.example\[{re.escape(FIRST)}\]: "
    until(lambda: re.search(told, backend.log()), "it is told why")
    gateway.no_envelope_in_clear()


def test_a_backend_keeps_what_cannot_be_sent(gateway, internet, intercept, backend):
    first, second = both(gateway, internet, None)
    second.script["starttls"] = "454 4.7.0 not now"
    intercept()
    backend.submit("bob@peer.example")
    until(lambda: f"[{SECOND}]" in backend.log() or second.log, "it has tried both")
    assert not first.store.messages and not second.store.messages
    del second.script["starttls"]
    assert second.store.wait(1).secure
    gateway.no_envelope_in_clear()
