# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
What an intercepted connection makes of the decision: it has one address, and the domain's mail
servers lend that their names and their rules.
"""

import ssl

import pytest

from harness import destination as far
from harness import dns as names
from harness.gateway import gateway, intercept, internet  # noqa: F401
from harness.internet import transaction
from harness.net import until

pytestmark = pytest.mark.namespaces


def hosted(gateway, internet, *domains, at=0, pointing=0, shows="good", **how):
    """
    Domains whose mx1 are all one server, at this host; `pointing` at another host, the name
    server says that they are there.
    """
    names = [f"mx1.{d}" for d in domains]
    with gateway.inside("wan"):
        server = internet.host(names[0], shows, address=gateway.HOSTS[at][0], **how)
    for name, domain in zip(names, domains):
        internet.domain(domain, name)
        internet.dns.a(name, gateway.HOSTS[pointing][0])
    return by_name(server)


def begun(gateway, at=0):
    c = gateway.connect(gateway.HOSTS[at][0])
    c.begin(helo="backend.example")
    return c


def by_name(server, pairs=()):
    """
    The server shows the certificate that it is asked for by name, and notes the names: `asked`
    has one for each leg, those too that we gave up before the handshake was complete.
    """
    contexts = {}
    for name, pair in dict(pairs).items():
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[name].load_cert_chain(*pair)

    def choose(tls, name, _):
        tls.asked_name = name
        tls.context = contexts.get(name, server.context)
        server.asked.append(name)
    server.asked = []
    server.context.sni_callback = choose
    return server


# ---- the name, and whom it serves ----

def test_one_leg_for_all_messages(gateway, internet, intercept):
    server = hosted(gateway, internet, "peer.example")
    d = intercept()
    with begun(gateway) as c:
        for n in range(20):
            assert transaction(c, f"u{n}@peer.example", f"v{n}@peer.example").accepted
        c.quit()
    assert len(server.store.messages) == 20 and len(server.wires) == 1
    assert d.session_end(end="quit")["transactions"] == "20"


def test_a_leg_serves_another_domain_that_it_satisfies(gateway, internet, intercept):
    server = hosted(gateway, internet, "one.example", "two.example")
    intercept()
    with begun(gateway) as c:
        assert transaction(c, "u@one.example").accepted
        assert transaction(c, "u@two.example").accepted
        assert transaction(c, "u@one.example", "u@two.example").accepted
        c.quit()
    assert server.asked == ["mx1.one.example"]
    assert server.store.messages[2].recipients == ["u@one.example", "u@two.example"]


def test_a_leg_does_not_serve_a_domain_that_demands_more(gateway, internet, intercept):
    """Its certificate is another domain's: a leg with the right name shows no better one."""
    server = hosted(gateway, internet, "one.example", "two.example")
    internet.policies.put("two.example", "tls = secure")
    intercept()
    with begun(gateway) as c:
        assert transaction(c, "u@one.example").accepted
        seen = transaction(c, "u@one.example", "u@two.example")
        assert seen.accepted and seen.recipients[1][0].startswith(b"452 4.5.3"), seen
        seen = transaction(c, "u@two.example")
        assert seen.last.startswith("421 4.7.5") and "two.example" in seen.last, seen
    assert server.asked == ["mx1.one.example", "mx1.two.example"]
    assert [m.recipients for m in server.store.messages] == [["u@one.example"]] * 2
    gateway.no_envelope_in_clear()


def test_a_new_leg_with_the_name_that_the_next_domain_needs(gateway, internet, intercept):
    server = hosted(gateway, internet, "one.example", "two.example")
    by_name(server, {n: internet.zoo.pair(n) for n in ("mx1.one.example", "mx1.two.example")})
    for domain in ("one.example", "two.example"):
        internet.policies.put(domain, "tls = secure")
    intercept()
    with begun(gateway) as c:
        for domain in ("one.example", "two.example", "one.example"):
            assert transaction(c, f"u@{domain}").accepted
        c.quit()
    assert server.asked == ["mx1.one.example", "mx1.two.example", "mx1.one.example"]
    gateway.no_envelope_in_clear()


def test_whoever_bears_a_name_of_the_domain_is_its_server(gateway, internet, intercept):
    """The name server says another address: a secure connection proves more than that."""
    server = hosted(gateway, internet, "peer.example", pointing=1)
    internet.policies.put("peer.example", "tls = secure")
    intercept()
    assert gateway.deliver(gateway.HOSTS[0][0], "u@peer.example").accepted
    assert server.asked == ["mx1.peer.example"]


@pytest.mark.parametrize("level,taken", [("may", True), ("encrypt", True), ("verify", False),
                                         ("secure", False)])
def test_a_server_that_is_none_of_the_domains(gateway, internet, intercept, level, taken):
    server = hosted(gateway, internet, "other.example")
    internet.domain("peer.example", "mx1.peer.example")
    internet.dns.a("mx1.peer.example", gateway.HOSTS[1][0])
    internet.policies.put("peer.example", f"tls = {level}")
    intercept()
    seen = gateway.deliver(gateway.HOSTS[0][0], "u@peer.example")
    assert seen.accepted == taken, seen
    assert taken or seen.last.startswith("421 4.7.5"), seen
    assert len(server.store.messages) == taken
    gateway.no_envelope_in_clear()


def test_a_second_name_is_tried_where_the_first_shows_nothing_good(gateway, internet, intercept):
    with gateway.inside("wan"):
        server = internet.host("mx1.peer.example", "wrong-name", address=gateway.HOSTS[0][0])
    by_name(server, {"mx2.peer.example": internet.zoo.pair("mx2.peer.example")})
    internet.domain("peer.example", server, "mx2.peer.example")
    internet.dns.a("mx2.peer.example", gateway.HOSTS[0][0])
    internet.policies.put("peer.example", "tls = secure")
    intercept()
    assert gateway.deliver(gateway.HOSTS[0][0], "u@peer.example").accepted
    assert server.asked == ["mx1.peer.example", "mx2.peer.example"]
    gateway.no_envelope_in_clear()


def test_a_level_of_none_is_clear(gateway, internet, intercept):
    server = hosted(gateway, internet, "peer.example")
    internet.policies.put("peer.example", "tls = none")
    intercept()
    assert gateway.deliver(gateway.HOSTS[0][0], "u@peer.example").accepted
    assert not server.store.messages[0].secure
    assert b"STARTTLS" not in gateway.wire.clear()


def test_an_address_literal(gateway, internet, intercept):
    server = hosted(gateway, internet, "peer.example")
    intercept()
    seen = gateway.deliver(gateway.HOSTS[0][0], f"u@[{gateway.HOSTS[0][0]}]")
    assert seen.accepted and server.store.messages[0].secure, seen


@pytest.mark.parametrize("keys,source_kept,name", [
    ({}, False, b"proxy.example"), ({"source": "transparent"}, True, b"backend.example"),
    ({"helo": "client"}, False, b"backend.example"),
    ({"helo": "hostname", "source": "transparent"}, True, b"proxy.example")])
def test_the_name_that_we_say(gateway, internet, intercept, keys, source_kept, name):
    """SPF and reverse DNS look at the address and the name together."""
    server = hosted(gateway, internet, "peer.example")
    intercept("tproxy", keys)
    assert gateway.deliver(gateway.HOSTS[0][0], "u@peer.example").accepted
    said = [line for line in bytes(server.wires[0].received).split(b"\r\n")
            if line.startswith(b"EHLO")]
    assert said and set(said) == {b"EHLO " + name}


# ---- what goes wrong ----

@pytest.mark.parametrize("phase", ["ehlo", "ehlo-tls", "mail", "rcpt"])
@pytest.mark.parametrize("how", [far.CLOSE, far.RESET])
def test_a_server_lost_before_the_message(gateway, internet, intercept, phase, how):
    """421, so that the backend goes to its next one."""
    server = hosted(gateway, internet, "peer.example", script={phase: how})
    intercept()
    seen = gateway.deliver(gateway.HOSTS[0][0], "u@peer.example")
    assert seen.last.startswith("421 4."), seen
    assert not server.store.messages


@pytest.mark.parametrize("greeting", ["554 5.3.2 go away", "421 4.3.2 too busy",
                                      "HTTP/1.1 400 Bad Request"])
def test_what_is_said_in_clear_refuses_for_now_alone(gateway, internet, intercept, greeting):
    """Nobody has shown who says it."""
    server = hosted(gateway, internet, "peer.example", script={"greeting": greeting})
    intercept()
    seen = gateway.deliver(gateway.HOSTS[0][0], "u@peer.example")
    assert seen.last.startswith("421 4."), seen
    assert greeting.startswith("HTTP") or greeting[9:] in seen.last, seen
    assert not server.store.messages


def test_a_server_that_closed_while_idle(gateway, internet, intercept):
    server = hosted(gateway, internet, "peer.example")
    d = intercept()
    with begun(gateway) as c:
        assert transaction(c, "u@peer.example").accepted
        server.wires[0].finish()
        until(lambda: server.wires[0].ended, "the idle leg is closed")
        d.settle()
        assert transaction(c, "u@peer.example").accepted
        c.quit()
    assert len(server.wires) == 2 and len(server.store.messages) == 2
    gateway.no_envelope_in_clear()


@pytest.mark.parametrize("lie", [names.SERVFAIL, names.REFUSED, names.GARBAGE])
@pytest.mark.parametrize("level", ["may", "encrypt", "secure", "verify"])
@pytest.mark.parametrize("dane", ["yes", "no"])
def test_a_name_server_that_lies(gateway, internet, intercept, lie, level, dane):
    """
    The backend has found a server by itself. DNS matters where that must be an MX host, and
    where it must tell whether there is DANE (RFC 7672 §2.1.1).
    """
    taken = dane == "no" and level != "verify"
    server = hosted(gateway, internet, "peer.example")
    internet.policies.put("peer.example", f"tls = {level}\ndane = {dane}")
    internet.dns.misbehave("peer.example", lie)
    intercept()
    seen = gateway.deliver(gateway.HOSTS[0][0], "u@peer.example")
    assert seen.accepted == taken == len(server.store.messages), seen
    if not taken:
        assert seen.last.startswith("451 4.4.3") and "peer.example" in seen.last, seen
    gateway.no_envelope_in_clear()


def test_a_domain_that_takes_no_mail(gateway, internet, intercept):
    hosted(gateway, internet, "other.example")
    internet.dns.null_mx("peer.example")
    intercept()
    seen = gateway.deliver(gateway.HOSTS[0][0], "u@peer.example")
    assert seen.last.startswith(("556 5.1.10", "550 5.1.10")), seen


def test_a_recipient_without_a_domain(gateway, internet, intercept):
    """<postmaster> is that of whoever is called; nobody can show to be that."""
    host = gateway.HOSTS[0][0]
    mx = gateway.serve(internet, address=host)
    d = intercept()
    internet.policies.put("default", "tls = encrypt")
    assert gateway.deliver(host, "bob@peer.example").accepted
    d.reload()
    assert gateway.deliver(host, "postmaster").accepted
    assert mx.store.wait(2).recipients == ["postmaster"]
    internet.policies.put("default", "tls = verify")
    d.reload()
    assert gateway.deliver(host, "postmaster").last.startswith("451 4.7.0 ")
    gateway.no_envelope_in_clear()
