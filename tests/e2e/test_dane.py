# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Mail to domains with TLSA records (RFC 7672), through the daemon, in a signed world."""

import contextlib

import pytest

from harness import nsd
from harness.destination import Destination
from harness.internet import send
from harness.net import until
from harness.tlsa import NOBODY, words

pytestmark = pytest.mark.namespaces

SECURE, BOGUS = nsd.SECURE, nsd.BOGUS

# domain: what its one host shows (None: no STARTTLS); its TLSA records; what becomes of mail
# under `may`: what the log says of DANE and of the verdict, or the reply.
DOMAINS = {
    "leaf": ("good", "3 1 1 {leaf}", "EE"),
    "odd": ("self-signed-wrong-name", "3 0 1 {whole}", "EE"),
    "late": ("expired", "3 1 2 {leaf512}", "EE"),
    "other": ("good", NOBODY, "451 4.7.5"),
    "second": ("good", NOBODY + "|3 1 1 {leaf}", "EE"),
    "issuer": ("good", "2 1 1 {issuer}", "TA"),
    "unsent": ("good", "2 0 0 {root}", "TA"),
    "barekey": ("good", "2 1 0 {rootkey}", "TA"),
    "name": ("wrong-name", "2 1 1 {issuer}", "451 4.7.5"),
    "dates": ("expired", "2 1 1 {issuer}", "451 4.7.5"),
    "pkix": ("self-signed", "1 1 1 {leaf}", "unusable"),
    "pkixclear": (None, "1 1 1 " + "ab" * 32, "451 4.7.4"),
    "stripped": (None, NOBODY, "451 4.7.4"),
    "bogus": ("good", "3 1 1 {leaf}", "451 4.4.3"),
    "none": ("self-signed", "", None),
    "clear": (None, "", None),
}


@pytest.fixture(scope="module")
def signed(tmp_path_factory, zoo):
    why = nsd.missing()
    if why:
        pytest.skip(why)
    zones, servers = {}, {}
    with contextlib.ExitStack() as stack:
        for n, (name, (kind, records, _)) in enumerate(DOMAINS.items(), 60):
            address, host = f"198.51.100.{n}", f"mx.{name}.lab"
            pair = zoo.pair(host, kind) if kind else None
            servers[name] = stack.enter_context(Destination((address, 25), pair, host))
            lines = [f"_25._tcp.mx TLSA {r.format(**words(zoo, pair))}"
                     for r in records.split("|") if r]
            zone = "\n".join(["@ MX 10 mx", f"mx A {address}", *lines])
            zones[f"{name}.lab"] = (BOGUS, zone, "TLSA") if name == "bogus" else (SECURE, zone)
        zones["alias.lab"] = (SECURE, "@ MX 10 mx\nmx CNAME mx.leaf.lab.")
        zones["both.lab"] = (SECURE, "@ MX 10 mx.other.lab.\n@ MX 20 mx.none.lab.")
        world = stack.enter_context(nsd.SignedWorld(tmp_path_factory.mktemp("signed"), zones))
        world.servers = servers
        yield world


@pytest.fixture
def serve(smarthost, signed, internet):
    for server in signed.servers.values():
        server.store.messages.clear()
        server.wires.clear()

    anchor = internet.readable(signed.anchor)

    def start():
        return smarthost(policy={"resolver": signed.resolver, "trust-anchor": anchor})
    return start


def leg(daemon, domain):
    return daemon.session_end(domain=f"{domain}.lab")


@pytest.mark.parametrize("domain", DOMAINS)
def test_what_is_published_is_what_it_gets(serve, signed, domain):
    kind, _, outcome = DOMAINS[domain]
    server = signed.servers[domain]
    daemon = serve()
    seen = send(daemon.address, f"u@{domain}.lab")
    if outcome and outcome.startswith("451"):
        assert seen.last.startswith(f"{outcome} {domain}.lab"), seen
        assert not server.store.messages
        server.saw_nothing_in_clear()
        assert domain != "bogus" or not server.wires  # it is not even called
        return
    assert seen.accepted, seen
    assert server.store.messages[0].secure == (kind is not None)
    assert leg(daemon, domain).get("dane") == outcome


@pytest.mark.parametrize("level,dane,secure", [
    ("none", "yes", True), ("none", "no", False), ("may", "no", True)])
def test_only_dane_no_goes_below(serve, signed, internet, level, dane, secure):
    internet.policies.put("other.lab", f"tls = {level}\ndane = {dane}")
    server = signed.servers["other"]
    seen = send(serve().address, "u@other.lab")
    assert seen.accepted == (dane == "no"), seen
    if dane == "no":
        assert server.store.messages[0].secure == secure
    else:
        server.saw_nothing_in_clear()


def test_demands_add_up(serve, signed, internet):
    """Its records allow the certificate; no public authority does, and the file demands one."""
    internet.policies.put("odd.lab", "tls = verify")
    internet.policies.put("leaf.lab", "tls = verify")
    daemon = serve()
    seen = send(daemon.address, "u@odd.lab")
    assert seen.last.startswith("451 4.7.5 odd.lab"), seen
    assert send(daemon.address, "u@leaf.lab").accepted
    assert leg(daemon, "leaf")["chain"] == "valid"


def test_the_base_is_the_name_asked_for(serve, signed):
    daemon = serve()
    assert send(daemon.address, "u@alias.lab").accepted
    assert signed.servers["leaf"].store.messages[0].server_name == "mx.leaf.lab"
    assert leg(daemon, "alias")["host"].startswith("mx.alias.lab[")


def test_the_next_host_has_its_own_rule(serve, signed):
    daemon = serve()
    assert send(daemon.address, "u@both.lab").accepted
    assert signed.servers["none"].store.messages
    signed.servers["other"].saw_nothing_in_clear()


def test_a_new_certificate_without_its_record(serve, signed, zoo):
    """A session that was kept does not outlive what it was judged by."""
    server = signed.servers["second"]
    daemon = serve()
    assert send(daemon.address, "u@second.lab").accepted
    old, server.context = server.context, None
    server.present(zoo.pair("mx.second.lab", "good", 1))
    try:
        seen = send(daemon.address, "u@second.lab")
        assert seen.last.startswith("451 4.7.5 second.lab"), seen
    finally:
        server.context = old
    until(lambda: send(daemon.address, "u@second.lab").accepted, "accepted again")
