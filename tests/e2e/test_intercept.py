# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Mail taken on its way out: by the firewall rules that we ship, between three namespaces."""

import os
import signal

import pytest

from harness import destination as far
from harness import peer
from harness.gateway import gateway, intercept, internet  # noqa: F401
from harness.internet import MESSAGE
from harness.net import free_port
from test_load import NET_RAW, rights

pytestmark = pytest.mark.namespaces

WAYS = ("redirect", "tproxy")
FAMILIES = pytest.mark.parametrize("six", [0, 1], ids=["ipv4", "ipv6"])
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


# ---- a message ----

@FAMILIES
@pytest.mark.parametrize("way,source", [("redirect", "auto"), ("tproxy", "auto"),
                                        ("tproxy", "transparent")])
def test_a_message_is_taken_and_leaves_encrypted(gateway, internet, intercept, way, six, source):
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    d = intercept(way, {"source": source})
    seen = gateway.deliver(host, "bob@peer.example")
    assert seen.accepted, seen
    message = mx.store.wait(1)
    assert message.octets == MESSAGE and message.secure
    assert message.server_name == "mx1.peer.example"
    assert gateway.sources() == {(gateway.BACKEND if source == "transparent" else gateway.WAN)[six]}
    gateway.no_envelope_in_clear()
    end = d.session_end(end="quit")
    assert host in end["host"] and end["verdict"] == "pass", end


@FAMILIES
def test_a_fixed_source(gateway, internet, intercept, six):
    host = gateway.HOSTS[0][six]
    extra = ("11.0.0.99", "2a11::99")[six]
    gateway.address("proxy", "wan", extra + ("/24", "/64")[six])
    gateway.serve(internet, address=host)
    intercept("redirect", {"source": extra}, [gateway.LAN[six]])
    assert gateway.deliver(host, "bob@peer.example").accepted
    assert gateway.sources() == {extra}


def test_a_kept_source_is_masqueraded_like_all_that_is_forwarded(gateway, internet, intercept):
    host = gateway.HOSTS[0][0]
    mx = gateway.serve(internet, address=host)
    intercept("tproxy", {"source": "transparent"})
    gateway.nft("proxy", """
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat;
		oifname "wan" masquerade
	}
}
""")
    assert gateway.deliver(host, "bob@peer.example").accepted
    assert mx.store.messages[0].secure and gateway.sources() == {gateway.WAN[0]}
    gateway.no_envelope_in_clear()


@FAMILIES
def test_both_connections_may_have_the_same_ends(gateway, internet, intercept, six):
    """The one that was taken and the one that we open: conntrack must not mix them."""
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    intercept("tproxy", {"source": "transparent"})
    gateway.sysctl("proxy", "ipv4/ip_local_port_range", "40000 40000")
    seen = gateway.deliver(host, "bob@peer.example", source=(gateway.BACKEND[six], 40000))
    assert seen.accepted and mx.store.messages[0].secure, seen
    assert {source for source, _ in gateway.wire.flows()} == {(gateway.BACKEND[six], 40000)}


@FAMILIES
def test_where_addresses_move_between_machines(gateway, internet, intercept, six):
    """Whoever may bind to any address is not taken to have them all."""
    for family in ("ipv4", "ipv6"):
        gateway.sysctl("proxy", f"{family}/ip_nonlocal_bind", 1)
    host = gateway.HOSTS[0][six]
    gateway.serve(internet, address=host)
    intercept()
    assert gateway.deliver(host, "bob@peer.example").accepted
    with gateway.connect(gateway.WAN[six]) as c:
        refused(c)


def test_it_goes_where_it_was_going(gateway, internet, intercept):
    """The MX that the backend chose is the one that gets it, whatever is preferred."""
    with gateway.inside("wan"):
        servers = [internet.host(f"mx{n}.peer.example", address=gateway.HOSTS[n][0])
                   for n in range(3)]
        internet.domain("peer.example", *servers)
    intercept()
    for n in (2, 0, 1):
        assert gateway.deliver(gateway.HOSTS[n][0], "bob@peer.example").accepted
        assert servers[n].store.messages[-1].server_name == f"mx{n}.peer.example"
    assert [len(s.store.messages) for s in servers] == [1, 1, 1]


def test_a_dead_destination_lets_the_backend_try_the_next(gateway, internet, intercept):
    gateway.serve(internet)
    intercept()
    with gateway.connect(gateway.HOSTS[1][0]) as c:
        assert refused(c).startswith(b"421")


# ---- where nothing goes ----

def refused(client, wanted=b"4"):
    """Told so before any command, or at the latest at its envelope, and let go."""
    reply = client.reply()[-1]
    for line in ("EHLO backend.example", "MAIL FROM:<a@backend.example>",
                 "RCPT TO:<bob@peer.example>"):
        if reply[:1] == b"2":
            reply = client.command(line)[-1]
    assert reply[:1] in wanted.split(b"|"), reply
    return reply


@FAMILIES
@EVERY_WAY
@pytest.mark.parametrize("side", ["LAN", "WAN"])
def test_not_to_ourselves(gateway, internet, intercept, way, six, side):
    d = intercept(way, {"allow-private": "yes"})
    with gateway.connect(getattr(gateway, side)[six]) as c:
        refused(c)
    d.logged(lambda r: "machine itself" in str(r) or "not intercepted" in str(r))
    assert not gateway.wire.flows()


@FAMILIES
@EVERY_WAY
@pytest.mark.parametrize("allowed", [False, True], ids=["private", "allowed"])
def test_not_to_private_addresses(gateway, internet, intercept, way, six, allowed):
    host = gateway.PRIVATE[six]
    mx = gateway.serve(internet, address=host)
    d = intercept(way, {"allow-private": "yes" if allowed else "no"})
    if allowed:
        assert gateway.deliver(host, "bob@peer.example").accepted
        assert len(mx.store.messages) == 1
        return
    with gateway.connect(host) as c:
        refused(c)
    d.logged(lambda r: "private" in str(r))
    assert not mx.wires and not gateway.wire.flows()


@FAMILIES
def test_not_to_another_port(gateway, internet, intercept, six):
    d = intercept("redirect")
    gateway.nft("proxy", f"insert rule inet sealpost intercept tcp dport 587 "
                         f"redirect to :{d.port}")
    with gateway.connect(gateway.HOSTS[0][six], port=587) as c:
        refused(c)
    d.logged(lambda r: "another port" in str(r))
    assert not gateway.wire.flows(587) and not gateway.wire.flows()


@FAMILIES
@EVERY_WAY
def test_not_what_was_sent_to_us(gateway, internet, intercept, way, six):
    """The backend itself at our port: nobody knows where it wants to go."""
    d = intercept(way)
    with gateway.connect(gateway.LAN[six], port=d.port) as c:
        refused(c)
    d.logged(lambda r: "not intercepted" in str(r))
    assert not gateway.wire.flows()


@FAMILIES
@EVERY_WAY
def test_not_for_strangers(gateway, internet, intercept, way, six):
    """Whoever is no backend is served nothing, at our port or intercepted by a rule too wide."""
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    d = intercept(way)
    stranger = (gateway.STRANGER[six], 0)
    with gateway.connect(gateway.LAN[six], d.port, stranger) as c:
        refused(c, b"4|5")
    gateway.firewall(way, d.port, backends=gateway.BACKEND + gateway.STRANGER)
    with gateway.connect(host, source=stranger) as c:
        refused(c, b"4|5")
    d.logged(lambda r: gateway.STRANGER[six] in str(r))
    assert not mx.wires and not gateway.wire.flows()
    assert not internet.dns.asked("peer.example")


# ---- the guard ----

@FAMILIES
@EVERY_WAY
@pytest.mark.parametrize("how", ["never-started", "stopped", "killed"])
def test_while_we_are_down_nothing_leaves(gateway, internet, intercept, way, six, how):
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    if how == "never-started":
        gateway.firewall(way, free_port())
    else:
        d = intercept(way)
        with gateway.connect(host) as c:
            c.begin()
            if how == "killed":
                c.command("MAIL FROM:<a@backend.example>", 250)
                for pid in d.pids:
                    os.kill(pid, signal.SIGKILL)
                d.process.wait()
                with pytest.raises((peer.Ended, OSError)):
                    c.command("RCPT TO:<bob@peer.example>")
            else:
                d.process.terminate()
                c.reply(421)
        d.stop()
    before = len(gateway.wire.flows())
    with pytest.raises(ConnectionRefusedError):
        gateway.connect(host)
    assert len(gateway.wire.flows()) == before
    assert gateway.BACKEND[six] not in gateway.sources()
    assert not mx.store.messages
    gateway.no_envelope_in_clear()


@FAMILIES
def test_without_the_guard_it_would_leave(gateway, internet, six):
    """What the guard is for, and that these tests would see it."""
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    gateway.firewall("tproxy", free_port())
    gateway.run("proxy", "nft", "delete", "chain", "inet", "sealpost", "guard")
    assert gateway.deliver(host, "bob@peer.example").accepted
    assert not mx.store.messages[0].secure and gateway.sources() == {gateway.BACKEND[six]}
    assert b"MAIL FROM:<alice@backend.example>" in gateway.wire.clear()
    with pytest.raises(AssertionError):
        gateway.no_envelope_in_clear()


# ---- whoever sits on the wire and takes TLS away ----

STRIPPED = {
    "not-offered": {"certificate": None},
    "454": {"script": {"starttls": "454 4.7.0 TLS not available"}},
    "502": {"script": {"starttls": "502 5.5.1 Not implemented"}},
    "close": {"script": {"hello": far.CLOSE}},
    "reset": {"script": {"hello": far.RESET}},
    "alert": {"script": {"hello": far.ALERT}},
    "garbage": {"script": {"hello": far.GARBAGE}},
    "stall": {"script": {"hello": far.STALL}},
    "more-behind-220": {"script": {"starttls": far.EXTRA}},
}
MANDATORY = {"encrypt": "", "verify": "", "secure": "", "fingerprint":
             "fingerprint = sha256/spki:" + "0" * 64}


def stripped(gateway, internet, six, how, level, more=""):
    internet.policies.put("peer.example", f"tls = {level}\n{more}")
    return gateway.serve(internet, address=gateway.HOSTS[0][six], **STRIPPED[how])


@pytest.mark.parametrize("how", STRIPPED)
@pytest.mark.parametrize("level,six", [("encrypt", 0), ("encrypt", 1), ("verify", 0),
                                       ("secure", 1), ("fingerprint", 0)])
def test_mandatory_tls_that_is_stripped(gateway, internet, intercept, six, how, level):
    """No octet of an envelope, whatever the other side does, and the backend hears why."""
    mx = stripped(gateway, internet, six, how, level, MANDATORY[level])
    d = intercept("tproxy" if six else "redirect")
    seen = gateway.deliver(gateway.HOSTS[0][six], "bob@peer.example", message=MESSAGE)
    assert seen.last.startswith("421 4."), seen
    assert "peer.example" in seen.last and gateway.HOSTS[0][six] in seen.last, seen
    assert gateway.wire.flows(), "nobody went there"
    gateway.no_envelope_in_clear()
    mx.saw_nothing_in_clear()
    assert not mx.store.messages
    assert d.session_end()["verdict"] != "pass"


@FAMILIES
@pytest.mark.parametrize("how", STRIPPED)
def test_tls_that_is_stripped_under_may(gateway, internet, intercept, six, how):
    """The mail arrives, and the log says how."""
    mx = stripped(gateway, internet, six, how, "may")
    d = intercept("tproxy" if six else "redirect")
    seen = gateway.deliver(gateway.HOSTS[0][six], "bob@peer.example")
    assert seen.accepted, seen
    message = mx.store.wait(1)
    assert message.octets == MESSAGE and not message.secure
    assert b"RCPT TO:<bob@peer.example>" in gateway.wire.clear()
    assert d.session_end(end="quit")["far"] == "clear"


# ---- rights ----

@pytest.mark.parametrize("source,needed", [("auto", 0), ("transparent", NET_RAW)])
def test_rights_after_the_start(gateway, internet, intercept, source, needed):
    """Only who spoofs may, and what it starts to ask about policies may not."""
    gateway.serve(internet)
    d = intercept("tproxy", {"source": source})
    assert gateway.deliver(gateway.HOSTS[0][0], "bob@peer.example").accepted  # all are at work
    main, *others = d.pids
    assert others, "the policy process"
    for pid in d.pids:
        users, groups, capabilities = rights(pid)
        assert 0 not in users and 0 not in groups
        assert capabilities == (0 if pid == d.policy_process else needed), hex(capabilities)
