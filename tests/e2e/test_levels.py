# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What each level demands of a host on the Internet, and that nothing less ever passes."""

import ssl

import pytest

from harness import destination as far
from harness.certs import KINDS
from harness.internet import MESSAGE, send, transaction
from harness.peer import Client

pytestmark = pytest.mark.namespaces

# ---- the certificate table (T8) ----

# What verify and secure (which wants a name of the domain's own) make of each; "" is a pass.
CHAIN = {"expired", "not-yet-valid", "for-clients-only", "sha1", "rsa-1024", "constrained",
         "missing-intermediate", "expired-intermediate", "self-signed", "self-signed-expired",
         "self-signed-wrong-name", "own-ca", "own-ca-wrong-name"}
NAME = {"wildcard-of-a-top-level", "wildcard-inside-a-label", "cn-beside-other-names",
        "names-the-domain", "address", "nul-in-name", "wrong-name"}


def verify(kind):
    return "chain" if kind in CHAIN else "name" if kind in NAME else ""


def secure(kind):
    return "" if kind == "names-the-domain" else verify(kind)


def with_its_ca(kind):
    return {"own-ca": "", "own-ca-wrong-name": "name"}.get(kind, "chain")


def passes(kind):
    return ""


PINS = "tls = fingerprint\nfingerprint = {}"
ROWS = {
    "may": ("tls = may", passes),
    "encrypt": ("tls = encrypt", passes),
    "verify": ("tls = verify", verify),
    "secure": ("tls = secure", secure),
    "secure-match-mx": ("tls = secure\nmatch = mx", verify),
    "secure-match-another": ("tls = secure\nmatch = wrong.example",
                             lambda kind: "" if kind == "wrong-name" else
                             "chain" if kind in CHAIN else "name"),
    "verify-its-own-ca": ("tls = verify\nca = {own_ca}", with_its_ca),
    "fingerprint-of-the-key": (PINS.format("{spki}"), passes),
    "fingerprint-of-the-certificate": (PINS.format("{cert}"), passes),
    "fingerprint-rollover": (PINS.format("{none}") + "\nfingerprint = {spki}", passes),
    "fingerprint-of-another": (PINS.format("{none}"), lambda kind: "fingerprint"),
}


def host_name(kind):
    """A host of a name of two labels is what *.example would have to cover."""
    return f"{kind}.example" if kind == "wildcard-of-a-top-level" else f"mx1.{kind}.example"


@pytest.mark.parametrize("row", ROWS)
def test_certificates(internet, smarthost, row):
    policy, expected = ROWS[row]
    for kind in KINDS:
        server = internet.host(host_name(kind), kind)
        internet.domain(f"{kind}.example", server)
        pair = internet.zoo.pair(server.host, kind)
        internet.policies.put(f"{kind}.example", policy.format(
            own_ca=internet.own_ca, spki=pair.fingerprint("spki"),
            cert=pair.fingerprint("cert", "sha512"), none="sha256/spki:" + "ab" * 32))
    d = smarthost()
    wrong = []
    for kind in KINDS:
        before = len(d.lines)
        seen = send(d.address, f"bob@{kind}.example")
        end = d.session_end(before)
        server = internet.hosts[host_name(kind)]
        fine = bool(server.store.messages) == seen.accepted == (expected(kind) == "")
        verdict = end.get("verdict")
        if seen.accepted:
            fine = (fine and server.store.messages[0].secure and verdict == "pass"
                    and "in-clear" not in end)
        else:
            reply = seen.last
            fine = (fine and reply.startswith("451 4.7.5 ") and f"{kind}.example" in reply
                    and server.host in reply and verdict == expected(kind))
        if not fine:
            wrong.append((kind, expected(kind), verdict, seen.last))
        server.saw_nothing_in_clear()
    assert not wrong, "\n".join(map(str, wrong))


def test_none_never_tries(internet, smarthost):
    mx = internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = none")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    assert not mx.store.messages[0].secure and b"STARTTLS" not in mx.raw
    end = d.session_end(end="quit")
    assert end["far"] == "clear" and end["level"] == "none" and end["verdict"] == "pass"
    assert end["in-clear"] == "not-tried"


# ---- stripping (T4, T7) and what is slipped in (T2) ----

MANDATORY = ["encrypt", "verify", "secure", "fingerprint"]
STRIPPED = {
    "not-offered": {},
    "454": {"starttls": "454 4.7.0 TLS not available"},
    "502": {"starttls": "502 5.5.1 what?"},
    "554": {"starttls": "554 5.7.1 no"},
    "closed-at-starttls": {"starttls": far.CLOSE},
    "reset-at-starttls": {"starttls": far.RESET},
    "garbage-at-starttls": {"starttls": far.GARBAGE},
    "220-and-closed": {"starttls": far.REPLY_THEN_CLOSE},
    "220-and-more": {"starttls": far.EXTRA},
    "closed-at-client-hello": {"hello": far.CLOSE},
    "reset-at-client-hello": {"hello": far.RESET},
    "garbage-for-server-hello": {"hello": far.GARBAGE},
    "alert": {"hello": far.ALERT},
    "stall": {"hello": far.STALL},
    "ehlo-refused": {"ehlo": "502 5.5.1 what?"},
}
HANDSHAKES = [name for name, script in STRIPPED.items()
              if "hello" in script or script.get("starttls") in (far.REPLY_THEN_CLOSE, far.EXTRA)]


def stripped(internet, policy):
    """A domain for each way of stripping, and a daemon's worth of policies."""
    for name, script in STRIPPED.items():
        server = internet.peer(f"{name}.example", script=script)
        if name == "not-offered":
            server.keywords = tuple(k for k in server.keywords if k != "STARTTLS")
        pair = internet.zoo.pair(server.host)
        internet.policies.put(f"{name}.example", policy.format(pair.fingerprint()))
    return {name: internet.hosts[f"mx1.{name}.example"] for name in STRIPPED}


SHORT = {"tls-timeout": "2s"}


@pytest.mark.parametrize("level", MANDATORY)
def test_nothing_crosses_in_clear(internet, smarthost, level):
    policy = "tls = fingerprint\nfingerprint = {}" if level == "fingerprint" else f"tls = {level}"
    servers = stripped(internet, policy)
    d = smarthost(limits=SHORT)
    wrong = []
    for name, server in servers.items():
        before = len(d.lines)
        seen = send(d.address, f"bob@{name}.example")
        end = d.session_end(before)
        server.saw_nothing_in_clear()
        fine = (not seen.accepted and not server.store.messages
                and seen.last.startswith(("451 4.7.", "451 4.4.2", "451 4.3.0"))
                and f"{name}.example" in seen.last and server.host in seen.last
                and end["domain"] == f"{name}.example" and end["level"] == level
                and end["verdict"] != "pass")
        d.logged(lambda r: server.host in str(r) and r.get("reason"), before)
        if name in ("not-offered", "454", "502", "554"):
            fine = fine and seen.last.startswith("451 4.7.4 ")
        if name in HANDSHAKES:
            fine = fine and seen.last.startswith("451 4.7.5 ")
        if not fine:
            wrong.append((name, seen, end))
        server.script = {}
    assert not wrong, "\n".join(map(str, wrong))
    for name, server in servers.items():  # it was the host's fault, and nothing is held against it
        if name != "not-offered":
            assert send(d.address, f"bob@{name}.example").accepted, name
            server.saw_nothing_in_clear()


def test_under_may_mail_always_arrives(internet, smarthost):
    servers = stripped(internet, "tls = may")
    d = smarthost(limits=SHORT)
    wrong = []
    for name, server in servers.items():
        before = len(d.lines)
        seen = send(d.address, f"bob@{name}.example")
        end = d.session_end(before)
        message = server.store.messages[0] if server.store.messages else None
        why = "not-offered" if name in ("not-offered", "ehlo-refused") else "failed"
        if not (seen.accepted and message and message.octets == MESSAGE and not message.secure
                and end["far"] == "clear" and end["in-clear"] == why and end["level"] == "may"):
            wrong.append((name, seen, end))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", HANDSHAKES)
def test_a_fallback_is_remembered_and_logged(internet, smarthost, name):
    mx = internet.peer("peer.example", script={k: v for k, v in STRIPPED[name].items()})
    d = smarthost(limits=SHORT)
    assert send(d.address, "bob@peer.example").accepted
    assert len(mx.wires) == 2, "TLS, and once more without"
    assert b"STARTTLS" in mx.wires[0].raw and b"STARTTLS" not in mx.wires[1].raw
    assert b"MAIL" not in far.clear_part(bytes(mx.wires[0].raw))
    d.logged(lambda r: "clear" in r["message"] and "mx1.peer.example" in str(r))
    # again, though the host has mended its ways: for half an hour nobody tries
    mx.script = {}
    before = len(d.lines)
    assert send(d.address, "bob@peer.example").accepted
    assert len(mx.wires) == 3 and b"STARTTLS" not in mx.wires[2].raw
    assert d.session_end(before)["in-clear"] == "failed-before"
    # who demands TLS of the same address is not concerned
    internet.domain("other.example", mx)
    internet.policies.put("other.example", "tls = encrypt")
    d.reload()
    assert send(d.address, "bob@other.example").accepted
    assert mx.store.messages[-1].secure


def test_the_line_tells_of_a_message_whose_host_is_gone(internet, smarthost):
    """How it went, not that there is no connection any more."""
    internet.peer("good.example", script={"eod": far.REPLY_THEN_CLOSE})
    internet.peer("plain.example", None, script={"eod": far.REPLY_THEN_CLOSE})
    d = smarthost()
    for domain in ("good.example", "plain.example"):
        before = len(d.lines)
        with Client(d.address) as c:
            c.reply(220)
            c.hello("backend.example")
            assert transaction(c, f"bob@{domain}").accepted
            c.command("MAIL FROM:<alice@backend.example>", 250)
            c.command("RCPT TO:<bob@nobody.example>", 550)
            c.quit()
        end = d.session_end(before)
        assert end["transactions"] == "1"
        if domain == "good.example":
            assert end["far"].startswith("TLS1.3/") and "in-clear" not in end
        else:
            assert end["far"] == "clear" and end["in-clear"] == "not-offered"


def test_the_line_names_a_domain_of_which_nothing_is_known(internet, smarthost):
    d = smarthost()
    assert not send(d.address, "bob@nobody.example").accepted
    end = d.session_end()
    assert end["domain"] == "nobody.example" and "level" not in end


def test_a_fallback_is_of_one_name_alone(internet, smarthost):
    """Whoever gives somebody else's host a name that it refuses does not take TLS from others."""
    theirs = internet.peer("peer.example")
    internet.dns.a("mx.evil.example", theirs.listener.address[0])
    internet.domain("evil.example", "mx.evil.example")
    d = smarthost(limits=SHORT)
    theirs.script = dict(STRIPPED[HANDSHAKES[0]])
    assert send(d.address, "bob@evil.example").accepted
    theirs.script = {}
    assert not theirs.store.messages[-1].secure
    assert send(d.address, "bob@peer.example").accepted
    assert theirs.store.messages[-1].secure


def test_a_454_is_no_reason_to_connect_again(internet, smarthost):
    mx = internet.peer("peer.example", script={"starttls": "454 4.7.0 not now"})
    assert send(smarthost().address, "bob@peer.example").accepted
    assert len(mx.wires) == 1


def test_what_is_slipped_in_behind_220_steers_nothing(internet, smarthost):
    mx = internet.peer("peer.example", script={"starttls": far.EXTRA})
    internet.policies.put("peer.example", "tls = encrypt")
    d = smarthost()
    with Client(d.address) as c:
        lines = c.begin()
        assert not any(b"AUTH" in line or b"evil" in line for line in lines)
        assert transaction(c, "bob@peer.example").last.startswith("451 4.7.5")
        assert not any(b"AUTH" in line for line in c.hello())
        c.quit()
    assert not mx.store.messages
    mx.saw_nothing_in_clear()


def test_what_is_said_before_tls_counts_for_nothing(internet, smarthost):
    """T3b and T5: only what is said under TLS does."""
    mx = internet.peer("peer.example", keywords=["XEXCH50", "AUTH NTLM", "SIZE 1"],
                       keywords_tls=["SIZE 50000000", "8BITMIME", "DSN"])
    d = smarthost()
    with Client(d.address) as c:
        lines = b"\n".join(c.begin())
        assert b"XEXCH50" not in lines and b"AUTH" not in lines
        c.command("MAIL FROM:<a@backend.example> SIZE=1000 BODY=8BITMIME RET=HDRS", 250)
        c.command("RCPT TO:<bob@peer.example>", 250)
        c.data(b"Subject: x\r\n\r\n" + b"x\r\n" * 1000)
        c.quit()
    assert b"RET=HDRS" in mx.wires[0].received and mx.store.messages[0].secure


def test_words_of_a_stranger_are_no_verdict(internet, smarthost):
    """A 5xx from a host that has not shown who it is never bounces mail."""
    for name, script in (("a", {"greeting": "554 5.7.1 go away"}), ("b", {"ehlo": "550 5.7.1 no"}),
                         ("c", {"starttls": "550 5.7.1 no"}), ("d", {"mail": "550 5.7.1 no"})):
        internet.peer(f"{name}.example", "self-signed", script=script)
        internet.policies.put(f"{name}.example", "tls = secure")
    d = smarthost()
    for name in "abcd":
        reply = send(d.address, f"bob@{name}.example").last
        assert reply.startswith("451 ") and f"mx1.{name}.example" in reply, reply
        internet.hosts[f"mx1.{name}.example"].saw_nothing_in_clear()


# ---- protocols, hosts, verdicts that change ----


PROTOCOLS = [("tls1.2+", "1.2", True), ("tls1.2+", "1.3", True), ("tls1.2+", "1.0", False),
             ("tls1.3", "1.3", True), ("tls1.3", "1.2", False), ("legacy", "1.0", True),
             ("legacy", "1.1", True), ("legacy", "1.3", True)]
VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1,
            "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("protocols,version,good", PROTOCOLS)
def test_protocols(internet, smarthost, protocols, version, good):
    mx = internet.peer("peer.example", "rsa-2048", minimum=VERSIONS[version],
                       maximum=VERSIONS[version])
    internet.policies.put("peer.example", f"tls = encrypt\nprotocols = {protocols}")
    d = smarthost()
    seen = send(d.address, "bob@peer.example")
    assert seen.accepted == good, seen
    mx.saw_nothing_in_clear()
    if good:
        assert d.session_end(end="quit")["far"].startswith(f"TLS{version}/")
    else:
        assert seen.last.startswith("451 4.7.5 ")


def test_hosts_that_are_not_believed_are_not_called(internet, smarthost):
    evil, good = internet.host("mx.evil.example"), internet.host("in.protection.example")
    internet.domain("peer.example", evil, good)
    internet.policies.put("peer.example", "tls = secure\nmatch = mx\nmx = *.protection.example")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    assert good.store.messages and not evil.wires
    internet.domain("other.example", evil)
    internet.policies.put("other.example", "tls = encrypt\nmx = *.protection.example")
    d.reload()
    reply = send(d.address, "bob@other.example").last
    assert reply.startswith("451 4.7.0 ") and "mx.evil.example" in reply, reply
    assert not evil.wires


def test_the_sni_is_the_hosts_name(internet, smarthost):
    """Whatever the domain, and however the host is looked at."""
    mx = internet.host("mx.hoster.example")
    for name, level in (("one.example", "may"), ("two.example", "secure\nmatch = mx"),
                        ("three.example", "encrypt")):
        internet.domain(name, mx)
        internet.policies.put(name, f"tls = {level}")
    d = smarthost()
    for name in ("one.example", "two.example", "three.example"):
        assert send(d.address, f"bob@{name}").accepted
    assert {m.server_name for m in mx.store.messages} == {"mx.hoster.example"}


def test_the_next_host_may_satisfy(internet, smarthost):
    bad, good = internet.host("mx1.peer.example", "expired"), internet.host("mx2.peer.example")
    internet.domain("peer.example", bad, good)
    internet.policies.put("peer.example", "tls = secure")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    assert not bad.store.messages and good.store.messages
    bad.saw_nothing_in_clear()
    end = d.session_end(end="quit")
    assert "mx2.peer.example" in end["host"] and end["verdict"] == "pass"


# ---- resumption (T9) ----


def test_sessions_are_resumed(internet, smarthost):
    mx = internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = secure")
    d = smarthost()
    for _ in range(4):
        assert send(d.address, "bob@peer.example").accepted
    assert not mx.store.messages[0].resumed
    assert all(m.resumed for m in mx.store.messages[2:]), [m.resumed for m in mx.store.messages]
    assert mx.store.messages[-1].server_name == "mx1.peer.example"


def test_a_ticket_is_shown_to_its_own_host_and_under_its_own_policy_alone(internet, smarthost):
    one, two = internet.peer("one.example"), internet.peer("two.example")
    internet.domain("three.example", one)
    internet.policies.put("one.example", "tls = encrypt")
    internet.policies.put("three.example", "tls = verify")
    d = smarthost()

    def resumes(domain, server):
        assert send(d.address, f"bob@{domain}").accepted
        return far.offers_a_session(bytes(server.wires[-1].raw))
    assert [resumes("one.example", one) for _ in range(3)] == [False, True, True]
    assert [resumes("two.example", two) for _ in range(2)] == [False, True]
    assert [resumes("three.example", one) for _ in range(2)] == [False, True]
    internet.policies.put("one.example", "tls = verify")
    d.reload()
    assert not resumes("one.example", one)


@pytest.mark.parametrize("policy,code", [
    ("tls = secure", "451 4.7.5"), ("tls = verify", "451 4.7.5"),
    ("tls = fingerprint\nfingerprint = sha256/spki:" + "00" * 32, "451 4.7.5")])
def test_resumption_carries_no_verdict_to_another_policy(internet, smarthost, policy, code):
    mx = internet.host("mx.hoster.example", "self-signed")
    for name in ("one.example", "two.example"):
        internet.domain(name, mx)
    internet.policies.put("two.example", policy)
    d = smarthost()
    for _ in range(3):
        assert send(d.address, "bob@one.example").accepted
    assert mx.store.messages[-1].resumed
    for _ in range(2):
        assert send(d.address, "bob@two.example").last.startswith(code)
    # and the same domain, when its file changes
    internet.policies.put("one.example", policy)
    d.reload()
    for _ in range(2):
        assert send(d.address, "bob@one.example").last.startswith(code)
    assert len(mx.store.messages) == 3


def test_a_resumed_session_does_not_outlive_its_host(internet, smarthost):
    """The host shows another certificate, and its old tickets are worth nothing."""
    mx = internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = secure")
    d = smarthost()
    for _ in range(2):
        assert send(d.address, "bob@peer.example").accepted
    mx.present(internet.zoo.pair("mx1.peer.example", "self-signed"))
    assert send(d.address, "bob@peer.example").last.startswith("451 4.7.5")
    mx.present(internet.zoo.pair("mx1.peer.example", "good", serial=1))
    assert send(d.address, "bob@peer.example").accepted
    mx.saw_nothing_in_clear()


def test_key_rollover(internet, smarthost):
    old = internet.zoo.pair("mx1.peer.example", "self-signed")
    new = internet.zoo.pair("mx1.peer.example", "self-signed", serial=1)
    mx = internet.peer("peer.example", old)
    internet.policies.put("peer.example", "tls = fingerprint\nfingerprint = " + "\nfingerprint = "
                          .join((old.fingerprint(), new.fingerprint("cert"))))
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    mx.present(new)
    assert send(d.address, "bob@peer.example").accepted
    mx.present(internet.zoo.pair("mx1.peer.example", "self-signed", serial=2))
    reply = send(d.address, "bob@peer.example").last
    assert reply.startswith("451 4.7.5 ")


def test_only_one_handshake_for_many_recipients_and_messages(internet, smarthost):
    mx = internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = secure")
    d = smarthost()
    with Client(d.address) as c:
        c.begin()
        for n in range(3):
            assert transaction(c, *[f"b{n}-{m}@peer.example" for m in range(20)]).accepted
        c.quit()
    assert len(mx.wires) == 1 and len(mx.store.messages) == 3
