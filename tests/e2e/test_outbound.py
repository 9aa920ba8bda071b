# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Mail that goes out: where it is sent, and what the old server is told where it cannot be."""

import re
import signal
import threading

import pytest

from harness import destination as far
from harness import dns as names
from harness import nsd, peer
from harness.destination import Destination
from harness.internet import MESSAGE, send, transaction
from harness.net import free_port, until

pytestmark = pytest.mark.namespaces

SMARTHOST_KEYWORDS = {"PIPELINING", "SIZE", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES", "SMTPUTF8",
                      "CHUNKING", "LIMITS"}


def keywords(lines):
    return {line[4:].split()[0].decode().upper() for line in lines[1:]}


def begun(d, **words):
    c = peer.Client(d.address, **words)
    c.begin(helo="backend.example")
    return c


# ---- a message, and what is said about it ----


def test_a_message_leaves_encrypted(internet, smarthost):
    mx = internet.peer("peer.example")
    d = smarthost()
    with peer.Client(d.address) as c:
        assert c.reply(220)[0].startswith(b"220 proxy.example ")
        lines = c.hello("backend.example")
        assert keywords(lines) == SMARTHOST_KEYWORDS and b"RCPTDOMAINMAX=1" in lines[-1]
        seen = transaction(c, "bob@peer.example")
        assert seen.accepted, seen
        c.quit()
    message = mx.store.wait(1)
    assert message.octets == MESSAGE and message.recipients == ["bob@peer.example"]
    assert message.secure and message.server_name == "mx1.peer.example"
    mx.saw_nothing_in_clear()
    assert b"EHLO proxy.example\r\n" in mx.wires[0].received
    end = d.session_end(end="quit")
    assert end["service"] == "outbound" and end["near"] == "clear"
    assert end["far"].startswith("TLS1.3/TLS_") and end["transactions"] == "1"
    assert end["from"] == "<alice@backend.example>" and end["to"] == "<bob@peer.example>"
    assert end["domain"] == "peer.example" and end["level"] == "may"
    assert end["verdict"] == "pass" and end.get("reason", "") == ""
    assert "mx1.peer.example" in end["host"]


def test_every_message_of_a_session_goes_over_one_leg(internet, smarthost):
    mx = internet.peer("peer.example")
    d = smarthost()
    with begun(d) as c:
        for n in range(20):
            seen = transaction(c, f"bob{n}@peer.example", f"carol{n}@peer.example")
            assert seen.accepted, seen
        c.quit()
    assert len(mx.store.messages) == 20 and len(mx.wires) == 1
    assert mx.store.messages[7].recipients == ["bob7@peer.example", "carol7@peer.example"]
    assert d.session_end(end="quit")["transactions"] == "20"


def test_what_a_satisfying_peer_refuses_is_refused_in_its_words(internet, smarthost):
    mx = internet.peer("peer.example", script={"mail": ("550 5.7.1 not from you", 1)})
    d = smarthost()
    with begun(d) as c:
        seen = transaction(c, "bob@peer.example")
        assert seen.recipients[0] == [b"550 5.7.1 not from you"]
        seen = transaction(c, "nobody@peer.example", "bob@peer.example")
        assert seen.accepted and seen.recipients[0][0].startswith(b"550 5.1.1 ")
        mx.script = {"eod": ("554 5.7.1 spam", 1)}
        assert transaction(c, "bob@peer.example").end == [b"554 5.7.1 spam"]
        assert transaction(c, "bob@peer.example").accepted
        c.quit()


def test_callouts(internet, smarthost):
    """MAIL FROM:<>, RCPT, QUIT: is the recipient there?"""
    mx = internet.peer("peer.example")
    d = smarthost()
    for recipient, code in (("bob@peer.example", 250), ("nobody@peer.example", 550)):
        with begun(d) as c:
            c.command("MAIL FROM:<>", 250)
            c.command(f"RCPT TO:<{recipient}>", code)
            c.quit()
    assert not mx.store.messages and not mx.errors


def test_nobody_else_is_served(internet, smarthost):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"backends": "127.0.0.7 198.51.100.0/28"})
    for source in ("127.0.0.1", "198.51.100.200"):
        with peer.Client(d.address, source=(source, 0)) as c:
            assert c.rest()[:9] in (b"421 4.7.1", b"421 4.7.0", b"")
    assert not mx.wires
    for source in ("127.0.0.7", "198.51.100.5"):
        if source.startswith("127"):
            assert send(d.address, "bob@peer.example", source=(source, 0)).accepted
    assert len(mx.store.messages) == 1


def test_our_own_certificate_on_the_near_side(internet, smarthost, tls):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"tls": "offer"})
    with peer.Client(d.address) as c:
        assert b"STARTTLS" in b"".join(c.begin())
        c.secure(tls)
        c.hello()
        assert transaction(c, "bob@peer.example").accepted
        c.quit()
    assert d.session_end(end="quit")["near"].startswith("TLS1.3")
    assert mx.store.messages[0].secure


# ---- which host ----


def test_hosts_are_tried_by_preference(internet, smarthost):
    first, second, third = (internet.host(f"mx{n}.peer.example") for n in (1, 2, 3))
    internet.domain("peer.example", (30, third), (10, first), (20, second))
    d = smarthost(limits={"connect-timeout": "1s"})
    assert send(d.address, "bob@peer.example").accepted
    assert len(first.wires) == 1 and not second.wires and not third.wires
    first.close()
    assert send(d.address, "bob@peer.example").accepted
    assert len(second.wires) == 1 and not third.wires
    second.script = {"greeting": "421 4.3.2 shutting down"}
    assert send(d.address, "bob@peer.example").accepted
    assert third.store.wait(1).server_name == "mx3.peer.example"


def test_a_host_that_does_not_answer_is_passed_over(internet, smarthost):
    second = internet.host("mx2.peer.example")
    internet.domain("peer.example", internet.silent("mx1.peer.example"), second)
    d = smarthost(limits={"connect-timeout": "1s"})
    assert send(d.address, "bob@peer.example").accepted
    assert len(second.store.messages) == 1


@pytest.mark.parametrize("phase,action", [
    ("greeting", far.CLOSE), ("greeting", "554 5.7.1 not you"), ("greeting", far.STALL),
    ("ehlo", "421 4.3.2 no"), ("ehlo", far.CLOSE), ("starttls", far.CLOSE), ("hello", far.GARBAGE),
    ("hello", far.STALL), ("ehlo-tls", "421 4.3.2 no"), ("ehlo-tls", far.CLOSE)])
def test_a_host_that_fails_is_passed_over(internet, smarthost, phase, action):
    first, second = (internet.host(f"mx{n}.peer.example") for n in (1, 2))
    internet.domain("peer.example", first, second)
    internet.policies.put("peer.example", "tls = encrypt")
    first.script = {phase: action}
    late = ["tls-timeout"] if phase == "hello" else ["connect-timeout", "greeting-timeout"]
    d = smarthost(limits={limit: "2s" for limit in late} if action == far.STALL else None)
    seen = send(d.address, "bob@peer.example")
    assert seen.accepted, seen
    assert len(second.store.messages) == 1 and not first.store.messages
    first.saw_nothing_in_clear()


def test_equal_preferences_share_the_load(internet, smarthost):
    hosts = [internet.host(f"mx{n}.peer.example") for n in (1, 2)]
    last = internet.host("mx3.peer.example")
    internet.domain("peer.example", *[(10, h) for h in hosts], (20, last))
    d = smarthost()
    for _ in range(40):
        assert send(d.address, "bob@peer.example").accepted
    counts = [len(h.store.messages) for h in hosts]
    assert sum(counts) == 40 and all(counts), counts
    assert not last.wires


def test_all_addresses_of_a_host_are_tried(internet, smarthost):
    server = Destination(("2001:db8:25::5", 25), internet.zoo.pair("mx1.peer.example"),
                         "mx1.peer.example")
    with server:
        internet.dns.a("mx1.peer.example", internet.address(), internet.address(),
                       "2001:db8:25::6", "2001:db8:25::5")
        internet.domain("peer.example", "mx1.peer.example")
        d = smarthost()
        assert send(d.address, "bob@peer.example").accepted
        assert server.store.wait(1).server_name == "mx1.peer.example"


def test_a_domain_without_mx_is_its_own_host(internet, smarthost):
    server = internet.host("peer.example")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    assert server.store.wait(1).server_name == "peer.example"


def test_a_domain_that_is_an_alias(internet, smarthost):
    mx = internet.peer("real.example")
    internet.dns.cname("peer.example", "real.example")
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    assert mx.store.wait(1).recipients == ["bob@peer.example"], "no address is rewritten"


def test_address_literals(internet, smarthost):
    mx = internet.host("mx1.peer.example")
    address = mx.listener.address[0]
    d = smarthost()
    assert send(d.address, f"bob@[{address}]").accepted
    assert mx.store.wait(1).secure
    internet.policies.put(f"[{address}]", "tls = fingerprint\nfingerprint = "
                          + internet.zoo.pair("mx1.peer.example").fingerprint())
    d.reload()
    seen = send(d.address, f"bob@[{address}]")
    assert seen.accepted, seen


@pytest.mark.parametrize("recipient", [
    "bob@peer.example.", "bob@PEER.example", "@r1.example,@r2.example:bob@peer.example",
    '"bob@evil.example"@peer.example', "bob%evil.example@peer.example"])
def test_the_domain_judged_is_the_domain_sent(internet, smarthost, recipient):
    mx, evil = internet.peer("peer.example"), internet.peer("evil.example")
    internet.policies.put("peer.example", "tls = secure")
    d = smarthost()
    seen = send(d.address, recipient)
    assert seen.accepted, seen
    sent, = mx.store.wait(1).recipients
    assert sent.lower().endswith("@peer.example") and not sent.startswith("@")
    assert d.session_end()["level"] == "secure" and not evil.wires


@pytest.mark.parametrize("recipient", ["bob", "bob@", "bob@-x-.example", "bob@a..example",
                                       f"bob@{'x' * 64}.example", "bob@[300.1.1.1]"])
def test_what_is_no_domain(internet, smarthost, recipient):
    d = smarthost()
    with begun(d) as c:
        c.command("MAIL FROM:<a@backend.example>", 250)
        assert c.command(f"RCPT TO:<{recipient}>", 5)[0][:9] in (b"501 5.1.3", b"550 5.1.2")
        c.quit()


# ---- several domains ----


def test_a_second_domain_in_a_transaction_has_to_wait(internet, smarthost):
    one, two = internet.peer("one.example"), internet.peer("two.example")
    d = smarthost()
    with begun(d) as c:
        seen = transaction(c, "bob@one.example", "bob@two.example", "carol@one.example")
        assert seen.accepted
        assert seen.recipients[1][0].startswith(b"452 4.5.3 Too many recipients")
        assert one.store.wait(1).recipients == ["bob@one.example", "carol@one.example"]
        assert transaction(c, "bob@two.example").accepted
        assert two.store.wait(1).recipients == ["bob@two.example"]
        c.quit()


def test_a_first_recipient_that_is_refused_does_not_take_the_second_along(internet, smarthost):
    internet.peer("one.example")
    two = internet.peer("two.example")
    d = smarthost()
    with begun(d) as c:
        seen = transaction(c, "nobody@one.example", "bob@two.example")
        assert seen.recipients[0][0].startswith(b"550 5.1.1 ")
        assert seen.accepted or seen.recipients[1][0].startswith(b"452 4.5.3 "), seen
        assert transaction(c, "bob@two.example").accepted
        c.quit()
    assert {m.sender for m in two.store.messages} == {"alice@backend.example"}


def test_a_second_domain_with_the_same_hosts_rides_along(internet, smarthost):
    mx = internet.host("mx.hoster.example")
    for name in ("one.example", "two.example", "three.example"):
        internet.domain(name, mx)
    internet.policies.put("two.example", "tls = secure\nmatch = mx")
    internet.policies.put("three.example", "tls = fingerprint\nfingerprint = sha256/spki:"
                          + "00" * 32)
    d = smarthost()
    with begun(d) as c:
        seen = transaction(c, "bob@one.example", "bob@two.example", "bob@three.example")
        assert seen.accepted, seen
        assert seen.recipients[1][0].startswith(b"250")
        assert seen.recipients[2][0].startswith((b"452 4.5.3", b"451 4.7."))
        c.quit()
    assert mx.store.wait(1).recipients == ["bob@one.example", "bob@two.example"]


def test_a_leg_that_is_not_good_enough_for_the_second_domain(internet, smarthost):
    """The same host, but one asks for more than its certificate gives."""
    mx = internet.host("mx.hoster.example", "self-signed")
    for name in ("one.example", "two.example"):
        internet.domain(name, mx)
    internet.policies.put("two.example", "tls = secure")
    d = smarthost()
    with begun(d) as c:
        seen = transaction(c, "bob@one.example", "bob@two.example")
        assert seen.accepted and seen.recipients[1][0].startswith(b"452 4.5.3")
        assert transaction(c, "bob@two.example").last.startswith("451 4.7.5")
        assert transaction(c, "bob@one.example").accepted
        c.quit()
    assert [m.recipients for m in mx.store.messages] == [["bob@one.example"]] * 2


def test_one_transaction_after_the_other_to_other_domains(internet, smarthost):
    servers = {f"d{n}.example": internet.peer(f"d{n}.example") for n in range(5)}
    d = smarthost()
    with begun(d) as c:
        for name in [*servers, *servers]:
            assert transaction(c, f"bob@{name}").accepted
        c.quit()
    for name, server in servers.items():
        assert [m.recipients for m in server.store.messages] == [[f"bob@{name}"]] * 2


def test_a_leg_lost_while_idle_is_opened_anew(internet, smarthost):
    mx = internet.peer("peer.example")
    d = smarthost()
    with begun(d) as c:
        assert transaction(c, "bob@peer.example").accepted
        mx.wires[0].finish()
        until(lambda: mx.wires[0].ended, "the idle leg is closed")  # its own thread reads it
        d.settle()
        assert transaction(c, "bob@peer.example").accepted
        c.quit()
    assert len(mx.wires) == 2 and len(mx.store.messages) == 2


# ---- what cannot be sent ----


def refused(d, recipient, code, *words):
    """The reply to this recipient, which must begin so and name these."""
    reply = send(d.address, recipient).last
    assert reply.startswith(code), reply
    for word in (recipient.partition("@")[2], *words):
        assert word in reply, reply
    assert "\n" not in reply, "Exchange 2003 wants one line"
    return reply


def test_domains_that_take_no_mail(internet, smarthost):
    internet.dns.null_mx("null.example")
    internet.dns.set("empty.example", "TXT", "neither MX nor address")
    internet.domain("dangling.example", "mx.gone.example")
    d = smarthost()
    refused(d, "bob@null.example", "556 5.1.10")
    refused(d, "bob@gone.example", "550 5.1.2")
    refused(d, "bob@empty.example", "550 5.1.2")
    assert send(d.address, "bob@dangling.example").last[:3] in ("550", "451")


@pytest.mark.parametrize("how", [names.SERVFAIL, names.REFUSED, names.SILENT, names.GARBAGE,
                                 names.WRONG_ID, names.WRONG_NAME, names.CUT_SHORT])
@pytest.mark.parametrize("what", ["MX", "A"])
def test_a_name_server_that_does_not_answer(internet, smarthost, how, what):
    mx = internet.peer("peer.example")
    internet.dns.misbehave("peer.example" if what == "MX" else "mx1.peer.example", how)
    d = smarthost(limits={"policy-timeout": "2s"})
    refused(d, "bob@peer.example", "451 4.4.3")
    assert not mx.wires
    d.logged(lambda r: "4.4.3" in r.get("reason", "") and "peer.example" in r["reason"])


def test_a_truncated_answer_is_asked_for_again(internet, smarthost):
    mx = internet.peer("peer.example")
    internet.dns.misbehave("*", names.TRUNCATED)
    assert send(smarthost().address, "bob@peer.example").accepted
    assert mx.store.wait(1)


def test_a_name_server_that_is_gone_and_comes_back(internet, smarthost):
    mx = internet.peer("peer.example")
    internet.dns.misbehave("*", names.SERVFAIL)
    d = smarthost(limits={"policy-timeout": "2s"})
    refused(d, "bob@peer.example", "451 4.4.3")
    internet.dns.misbehave("*", None)
    internet.peer("other.example")
    assert send(d.address, "bob@other.example").accepted
    assert not mx.wires or mx.store.messages


def test_mail_waits_for_a_slow_name_server(internet, smarthost):
    """Others are served meanwhile."""
    internet.peer("peer.example")
    other = internet.peer("other.example")
    told = threading.Event()
    internet.dns.misbehave("peer.example", told, "MX")
    d = smarthost()
    with begun(d) as c:
        c.command("MAIL FROM:<alice@backend.example>", 250)
        c.send("RCPT TO:<bob@peer.example>\r\nDATA\r\n")
        internet.dns.wait_asked("peer.example", "MX")
        assert send(d.address, "bob@other.example").accepted
        told.set()
        c.reply(250)
        c.reply(354)
        c.send(peer.stuff(MESSAGE))
        c.reply(250)
        c.quit()
    assert other.store.messages


def test_a_bogus_domain(internet, smarthost, tmp_path):
    if nsd.missing():
        pytest.skip(nsd.missing())
    mx = internet.host("mx.lab")
    zone = f"@ MX 10 mx\nmx A {mx.listener.address[0]}\n"
    kinds = {"good.lab": nsd.SECURE, "plain.lab": nsd.INSECURE, "broken.lab": nsd.BOGUS,
             "late.lab": nsd.EXPIRED}
    zones = {name: (kind, zone) for name, kind in kinds.items()}
    zones["broken-a.lab"] = (nsd.BOGUS, zone, "A")
    with nsd.SignedWorld(tmp_path, zones) as signed:
        anchor = internet.folder / "root.key"
        anchor.write_text(signed.anchor.read_text())
        anchor.chmod(0o644)
        d = smarthost(policy={"resolver": signed.resolver, "trust-anchor": anchor})
        for name in ("good.lab", "plain.lab"):
            seen = send(d.address, f"bob@{name}")
            assert seen.accepted, seen
        for name in ("broken.lab", "late.lab", "broken-a.lab"):
            refused(d, f"bob@{name}", "451 4.4.3")


def test_a_broken_policy_file_closes_its_own_domain(internet, smarthost):
    internet.peer("peer.example"), internet.peer("other.example")
    internet.policies.put("other.example", "tls = encrypt")
    file = internet.policies.put("peer.example", "tls = encrypt\nmatc = domain")
    d = smarthost()
    refused(d, "bob@peer.example", "451 4.3.5", f"{file.name}:4")
    assert send(d.address, "bob@other.example").accepted
    d.logged(lambda r: f"{file}:4" in r["message"])


def test_policy_files_are_read_again(internet, smarthost):
    mx = internet.peer("peer.example", None)
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted

    internet.policies.put("peer.example", "tls = encrypt")
    d.reload()
    refused(d, "bob@peer.example", "451 4.7.4", "mx1.peer.example")
    file = internet.policies.put("peer.example", "tls = may\nnonsense = 1")
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: f"{file}:4" in r["message"])
    refused(d, "bob@peer.example", "451 4.7.4", "mx1.peer.example")  # its last good version
    internet.policies.remove("peer.example")
    d.reload()
    assert send(d.address, "bob@peer.example").accepted
    assert len(mx.store.messages) == 2


def test_files_by_name(internet, smarthost):
    """The exact name, then the nearest ancestor with subdomains = yes, then default."""
    for name in ("peer.example", "a.peer.example", "b.a.peer.example", "other.example"):
        internet.peer(name, None)
    internet.policies.put("default", "tls = may")
    internet.policies.put("peer.example", "tls = encrypt", head="subdomains = yes")
    internet.policies.put("a.peer.example", "tls = none")
    d = smarthost()
    assert send(d.address, "bob@other.example").accepted
    assert send(d.address, "bob@a.peer.example").accepted
    refused(d, "bob@peer.example", "451 4.7.4")
    refused(d, "bob@b.a.peer.example", "451 4.7.4")


def test_on_failure_bounce(internet, smarthost):
    internet.peer("peer.example", None)
    internet.policies.put("peer.example", "tls = encrypt\non-failure = bounce")
    refused(smarthost(), "bob@peer.example", "5", "mx1.peer.example")


def test_levels_that_nobody_asks_for(internet, smarthost):
    mx = internet.peer("peer.example")
    levels = {"one.example": "dane", "two.example": "dane-only"}
    for name, level in levels.items():
        internet.domain(name, mx)
        internet.policies.put(name, f"tls = {level}")
    d = smarthost(policy={"dane": "no"})
    for name in levels:
        refused(d, f"bob@{name}", "451 4.3.5", "not available")
    assert not mx.wires


# ---- what the synthesised EHLO promised ----


def test_what_the_far_host_lacks(internet, smarthost):
    mx = internet.peer("peer.example", keywords=["SIZE 1000"], keywords_tls=["SIZE 2000"])
    d = smarthost()
    with begun(d) as c:
        def reply(parameters):
            c.command(f"MAIL FROM:<alice@backend.example> {parameters}", 250)
            last = c.command("RCPT TO:<bob@peer.example>")[-1]
            c.command("RSET", 250)
            return last
        assert reply("BODY=8BITMIME").startswith(b"451 4.6.3")
        assert reply("SMTPUTF8").startswith(b"550 5.6.7")
        assert reply("SIZE=2001").startswith(b"552 5.3.4")
        assert reply("SIZE=1500 RET=HDRS ENVID=x BODY=7BIT").startswith(b"250")
        c.command("MAIL FROM:<alice@backend.example> RET=HDRS", 250)
        c.command("RCPT TO:<bob@peer.example> NOTIFY=NEVER ORCPT=rfc822;bob@peer.example", 250)
        c.send(b"BDAT 5\r\n.a\r\n.")
        c.reply(250)
        c.send(b"BDAT 7 LAST\r\n..b\r\nc\n")
        c.reply(250)
        c.quit()
    message = mx.store.wait(1)
    assert message.how == "DATA" and message.octets == b".a\r\n...b\r\nc\r\n"
    assert not any(word in bytes(mx.wires[0].received) for word in (b"RET=", b"NOTIFY", b"ORCPT"))
    d.logged(lambda r: "no DSN" in str(r))


def test_what_both_have_passes(internet, smarthost):
    mx = internet.peer("peer.example")
    d = smarthost()
    with begun(d) as c:
        c.command("MAIL FROM:<alice@backend.example> RET=HDRS BODY=8BITMIME SIZE=9 SMTPUTF8", 250)
        c.command("RCPT TO:<bob@peer.example> NOTIFY=FAILURE", 250)
        c.bdat("Subject: ü\r\n\r\nü\r\n".encode())
        c.quit()
    message = mx.store.wait(1)
    assert message.how == "BDAT" and message.octets == "Subject: ü\r\n\r\nü\r\n".encode()
    sent = bytes(mx.wires[0].received)
    assert b"RET=HDRS" in sent and b"NOTIFY=FAILURE" in sent and b"SMTPUTF8" in sent


@pytest.mark.parametrize("helo,expected", [
    ("hostname", b"proxy.example"), ("auto", b"proxy.example"), ("client", b"backend.example")])
def test_the_name_we_bear(internet, smarthost, helo, expected):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"helo": helo})
    assert send(d.address, "bob@peer.example").accepted
    assert set(re.findall(rb"EHLO (\S+)", bytes(mx.wires[0].received))) == {expected}


def test_the_address_we_come_from(internet, smarthost):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"source": "198.51.100.3"})
    assert send(d.address, "bob@peer.example").accepted
    assert mx.wires[0].from_address == "198.51.100.3"


@pytest.mark.parametrize("received", ["off", "on"])
def test_a_received_line_only_where_it_is_wanted(internet, smarthost, received):
    mx = internet.peer("peer.example")
    d = smarthost(outbound={"received": received} if received == "on" else {})
    assert send(d.address, "bob@peer.example").accepted
    octets = mx.store.wait(1).octets
    assert octets.endswith(MESSAGE) and octets.startswith(b"Received:") == (received == "on")


def test_a_client_certificate_of_ours(internet, smarthost):
    ours = internet.zoo.pair("proxy.example")
    mx = internet.peer("peer.example", client_ca=internet.zoo.ca)
    internet.peer("other.example", client_ca=internet.zoo.ca)
    internet.policies.put("peer.example", "tls = encrypt\nidentity = ours")
    d = smarthost(more=f"[identity ours]\ncertificate = {ours.certificate}\nkey = {ours.key}\n")
    assert send(d.address, "bob@peer.example").accepted
    assert send(d.address, "bob@other.example").accepted
    shown = mx.wires[0].tls.getpeercert()
    assert ("DNS", "proxy.example") in shown["subjectAltName"]
    assert not internet.hosts["mx1.other.example"].wires[0].tls.getpeercert()


# ---- both halves at once ----


def test_inbound_and_outbound_in_one_daemon(internet, smarthost, backend, tls):
    mx = internet.peer("peer.example")
    port = free_port()
    d = smarthost(more=f"[inbound]\nlisten = 127.0.0.1:{port}\nbackend = {backend.address}\n")
    assert send(d.address, "bob@peer.example").accepted
    with peer.Client(("127.0.0.1", port)) as c:
        c.begin(tls)
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    assert len(mx.store.messages) == len(backend.store.messages) == 1


def test_a_domain_whose_host_is_this_machine(internet, smarthost, backend):
    """Its MX is our own inbound service: the mail would come back, and go again."""
    ours = internet.address()
    internet.dns.a("mx1.loop.example", ours)
    internet.domain("loop.example", "mx1.loop.example")
    d = smarthost(more=f"[inbound]\nlisten = {ours}:25\nbackend = {backend.address}\n")
    seen = send(d.address, "bob@loop.example")
    assert not seen.accepted and not backend.store.messages
    reply = seen.recipients[0][-1]
    assert reply.startswith(b"451 4.4.1 loop.example via mx1.loop.example["), reply
    assert reply.endswith(b"mail would come back"), reply
