# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""`sealpost probe`: what it finds, what it says of it, and that it sends no mail."""

import contextlib
import json
import os
import pathlib
import pty
import re
import subprocess
import time

import pytest

from harness import destination as far
from harness import sts
from harness.daemon import section
from harness.internet import policy_section
from harness.net import until

FINE, NO, USAGE, CANNOT = 0, 1, 2, 3
MANUAL = pathlib.Path(__file__).resolve().parents[2] / "docs" / "sealpost.1"

pytestmark = pytest.mark.namespaces


class Probe:
    """The program with a configuration for the test's Internet."""

    as_user = {}  # who runs it, in the words of subprocess

    def __init__(self, program, folder, policy, user="nobody"):
        self.program = program
        self.config = folder / "sealpost.conf"
        self.config.write_text(
            section("server", {"hostname": "proxy.example", "user": user}) +
            section("limits", {"connect-timeout": "10s", "tls-timeout": "10s",
                               "greeting-timeout": "10s", "policy-timeout": "10s"}) +
            section("outbound", {"listen": "127.0.0.1:2526", "route": "smarthost",
                                 "backends": "127.0.0.0/8"}) +
            section("policy", policy))

    def hasty(self):
        """Waits for nobody any longer than it takes to see that."""
        self.config.write_text(self.config.read_text().replace("= 10s", "= 2s"))
        return self

    def run(self, *words):
        done = subprocess.run([self.program, "probe", "-c", str(self.config), *words],
                              capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, **self.as_user)
        for bad in ("runtime error:", "Sanitizer"):
            assert bad not in done.stderr, done.stderr
        return done

    def told(self, target, status):
        """What is said to people, and its last line."""
        done = self.run(target)
        assert done.returncode == status, done
        assert done.stderr == "", done.stderr     # no terminal, no progress
        assert all(" " <= c <= "~" or c == "\n" for c in done.stdout), done.stdout
        return done.stdout, done.stdout.splitlines()[-1]

    def found(self, target, status):
        """The same for programs; that both agree is seen here, too."""
        done = self.run("--json", target)
        assert done.returncode == status, done
        said = json.loads(done.stdout)
        assert said["flows"] == (status == FINE) == (said["host"] is not None)
        return said


@pytest.fixture
def probe(built, tmp_path, internet):
    internet.policies.put("default", "tls = may")
    yield Probe(built, tmp_path, policy_section(internet))
    for server in internet.hosts.values():
        assert not server.store.messages
        server.saw_nothing_in_clear()
        for wire in server.wires:
            assert not re.search(rb"(?i)^(MAIL|RCPT|DATA|BDAT)", bytes(wire.received), re.M)


def secure(internet, domain, level="secure", more=""):
    internet.policies.put(domain, f"tls = {level}\n{more}")


def leaf_day(certificate):
    return certificate["not_before"].partition("T")[0]


# -- the protection that there would be

def test_a_good_host_under_secure(probe, internet):
    server = internet.peer("bank.example")
    secure(internet, "bank.example")
    text, last = probe.told("bank.example", FINE)
    assert last == ("mail to bank.example would flow by TLS1.3, certificate verified (secure), "
                    f"via mx1.bank.example[{server.listener.address[0]}]")
    for word in ("greeting    220 ", "tls         TLS1.3 TLS_", "names       mx1.bank.example",
                 "chain       valid, to the public CAs", "policy      is met",
                 "server name mx1.bank.example", "demand      secure ("):
        assert f"    {word}" in text, text
    said = probe.found("bank.example", FINE)
    [host] = said["hosts"]
    assert (host["stage"], host["verdict"], host["verified_by"]) == ("complete", "pass", "secure")
    assert host["tls"]["names"] == ["mx1.bank.example"]
    leaf = internet.zoo.pair("mx1.bank.example", "good").leaf()
    shown = host["tls"]["certificates"]
    assert [(c["subject"], c["issuer"]) for c in shown] == [
        ("CN=unused", "CN=Tests intermediate CA"),
        ("CN=Tests intermediate CA", "CN=Tests public CA")]
    assert ("    certificate CN=unused\n                given by CN=Tests intermediate CA\n"
            f"                valid from {leaf_day(shown[0])} to ") in text
    assert shown[0]["not_after"] == leaf.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    pair = internet.zoo.pair("mx1.bank.example", "good")
    assert "sha256/cert:" + shown[0]["sha256"] == pair.fingerprint("cert")
    assert "sha256/spki:" + shown[0]["spki_sha256"] == pair.fingerprint()
    assert all(w.server_name == "mx1.bank.example" for w in server.wires)
    until(lambda: all(bytes(w.received).endswith(b"QUIT\r\n") for w in server.wires),
          "it took its leave, each time")


def test_a_certificate_that_nobody_asks_about(probe, internet):
    internet.peer("plain.example", "self-signed")
    _, last = probe.told("plain.example", FINE)
    assert "by TLS1.3, certificate not verified (may), via mx1.plain.example[" in last
    [host] = probe.found("plain.example", FINE)["hosts"]
    assert host["tls"]["public_chain"] == "untrusted" and host["verified_by"] == ""


@pytest.mark.parametrize("kind,verdict,chain", [
    ("expired", "chain", "expired"), ("wrong-name", "name", "valid"),
    ("self-signed", "chain", "untrusted"), ("not-yet-valid", "chain", "not-yet-valid")])
def test_certificates_that_do_not_do(probe, internet, kind, verdict, chain):
    internet.peer("bad.example", kind)
    secure(internet, "bad.example")
    _, last = probe.told("bad.example", NO)
    assert last.startswith("mail to bad.example would be deferred: 451 4.7.5 bad.example via ")
    [host] = probe.found("bad.example", NO)["hosts"]
    assert (host["stage"], host["verdict"], host["code"]) == ("policy", verdict, "4.7.5")
    assert host["tls"]["public_chain"] == chain and host["verified_by"] == ""


def test_bounce(probe, internet):
    internet.peer("bad.example", "expired")
    secure(internet, "bad.example", more="on-failure = bounce")
    assert "would be sent back: 550 5.7.5" in probe.told("bad.example", NO)[1]


def test_a_pinned_key(probe, internet):
    internet.peer("pinned.example", "self-signed")
    pin = internet.zoo.pair("mx1.pinned.example", "self-signed").fingerprint()
    secure(internet, "pinned.example", "fingerprint", f"fingerprint = {pin}")
    assert "certificate verified (fingerprint)" in probe.told("pinned.example", FINE)[1]


@pytest.mark.parametrize("level,status", [("may", FINE), ("encrypt", NO)])
def test_what_became_of_starttls(probe, internet, level, status):
    internet.peer("good.example")
    internet.peer("no.example", script={"starttls": "454 4.7.0 not today"})
    for domain in ("good.example", "no.example"):
        secure(internet, domain, level)
    assert "    starttls    offered\n" in probe.told("good.example", FINE)[0]
    text, _ = probe.told("no.example", status)
    assert text.count("    starttls    offered, and refused: 454 4.7.0 not today\n") == 1
    [host] = probe.found("no.example", status)["hosts"]
    assert host["starttls"] and host["starttls_refused"] == "454 4.7.0 not today"


@pytest.mark.parametrize("level,status", [("may", FINE), ("encrypt", NO), ("none", FINE)])
def test_no_starttls(probe, internet, level, status):
    internet.peer("old.example", None)
    secure(internet, "old.example", level)
    text, last = probe.told("old.example", status)
    assert "    starttls    not offered\n" in text
    if status == FINE:
        assert "would flow in clear, protected by nothing (" in last
    else:
        assert "451 4.7.4" in last and "does not offer STARTTLS" in last


@pytest.mark.parametrize("level,status", [("may", FINE), ("encrypt", NO)])
@pytest.mark.parametrize("how", [far.CLOSE, far.STALL, far.GARBAGE, far.ALERT])
def test_a_handshake_that_fails(probe, internet, level, status, how):
    internet.peer("odd.example", script={"hello": how})
    secure(internet, "odd.example", level)
    said = (probe.hasty() if how == far.STALL else probe).found("odd.example", status)
    [host] = said["hosts"]
    if status == FINE:
        assert "TLS" in host["in_clear"] and "in clear" in said["result"]
    else:
        assert (host["stage"], host["code"]) == ("handshake", "4.7.5")


@pytest.mark.parametrize("phase,how,stage,code", [
    ("greeting", "554 5.3.2 go away", "greeting", "4.3.0"),
    ("greeting", far.STALL, "greeting", "4.4.2"),
    ("greeting", far.CLOSE, "greeting", "4.4.2"),
    ("greeting", far.GARBAGE, "greeting", "4.3.0"),
    ("ehlo", far.RESET, "ehlo", "4.4.2"),
    ("starttls", far.EXTRA, "starttls", "4.7.5"),
    ("ehlo-tls", far.CLOSE, "ehlo-again", "4.4.2")])
def test_a_session_that_goes_wrong(probe, internet, phase, how, stage, code):
    internet.peer("odd.example", script={phase: how})
    said = (probe.hasty() if how == far.STALL else probe).found("odd.example", NO)
    [host] = said["hosts"]
    assert (host["stage"], host["code"]) == (stage, code), host
    assert f"451 {code} odd.example" in said["result"]


@pytest.mark.parametrize("level,status", [("may", FINE), ("encrypt", NO)])
@pytest.mark.parametrize("phase", ["ehlo", "starttls"])
def test_a_no_on_the_way_to_tls(probe, internet, level, status, phase):
    internet.peer("odd.example", script={phase: "502 5.5.1 what?"})
    secure(internet, "odd.example", level)
    said = probe.found("odd.example", status)
    if status == FINE:
        assert "would flow in clear" in said["result"] and said["hosts"][0]["in_clear"]
    else:
        assert said["hosts"][0]["code"] == "4.7.4" and "(it said: 502 5.5.1" in said["result"]


# -- which hosts

def test_mx_by_mx(probe, internet):
    internet.dead("mx1.firm.example")
    good = internet.host("mx2.firm.example")
    bad = internet.host("mx3.firm.example", "expired")
    other = internet.host("mx4.firm.example")
    internet.domain("firm.example", (10, "mx1.firm.example"), (20, good), (30, bad), (40, other))
    secure(internet, "firm.example")
    said = probe.found("someone@firm.example", FINE)
    assert [(h["name"], h["preference"], h["stage"]) for h in said["hosts"]] == [
        ("mx1.firm.example", 10, "connect"), ("mx2.firm.example", 20, "complete"),
        ("mx3.firm.example", 30, "policy"), ("mx4.firm.example", 40, "complete")]
    assert said["host"] == 1 and "via mx2.firm.example[" in said["result"]
    text, _ = probe.told("someone@firm.example", FINE)
    assert "no mail was sent: whether the user exists was not asked" in text
    assert said["hint"] == ""


def test_a_host_that_is_not_believed(probe, internet):
    good, evil = internet.host("mx1.firm.example"), internet.host("mx.evil.example")
    internet.domain("firm.example", (10, evil), (20, good))
    secure(internet, "firm.example", "encrypt", "mx = *.firm.example")
    said = probe.found("firm.example", FINE)
    assert [(h["name"], h["stage"], h["verdict"], h["address"] == "") for h in said["hosts"]] == [
        ("mx.evil.example", "passed-over", "mx", True),
        ("mx1.firm.example", "complete", "pass", False)]
    assert evil.wires == []


def test_no_host_is_believed(probe, internet):
    evil = internet.host("mx.evil.example")
    internet.domain("firm.example", evil)
    secure(internet, "firm.example", "encrypt", "mx = *.firm.example")
    said = probe.found("firm.example", NO)
    assert [h["stage"] for h in said["hosts"]] == ["passed-over"] and evil.wires == []
    assert "451 4.7.0 firm.example" in said["result"] and "`mx`" in said["hint"]


@pytest.mark.parametrize("address,hint", [
    (f"{sts.NETWORK}.77", "port 25 may be blocked on the way"),
    ("127.0.0.1", "addresses such as these are not those of hosts on the Internet"),
    ("10.0.0.1", "addresses such as these are not those of hosts on the Internet")])
def test_a_dead_host(probe, internet, address, hint):
    assert sts.prepare() is None
    internet.dns.a("mx1.dead.example", address)
    internet.domain("dead.example", "mx1.dead.example")
    text, last = probe.told("dead.example", NO)
    assert "451 4.4.1" in last and hint in text


def test_an_address_literal(probe, internet):
    """It is said once: the domain is its own host."""
    server = internet.host("mx1.bank.example")
    literal = f"[{server.listener.address[0]}]"
    last = probe.told(literal, FINE)[1]
    assert last == f"mail to {literal} would flow by TLS1.3, certificate not verified (may)"
    text, last = probe.told("[127.0.0.1]", NO)
    assert last.endswith(" would be deferred: 451 4.4.1 [127.0.0.1]: connection refused"), last
    assert "port 25" not in text


def test_a_silent_host(probe, internet):
    internet.domain("silent.example", internet.silent("mx1.silent.example"))
    _, last = probe.hasty().told("silent.example", NO)
    assert "no answer in time" in last


def test_one_host_alone(probe, internet):
    server = internet.host("relay.example", port=587)
    said = probe.found("relay.example:587", FINE)
    assert (said["port"], said["level"]) == (587, "verify")
    assert said["result"].startswith("mail through relay.example:587 would flow by TLS1.3, "
                                     "certificate verified (verify), via relay.example[")
    address = server.listener.address[0]
    assert "not verified (encrypt)" in probe.told(f"{address}:587", FINE)[1]


def test_tls_comes_first_at_465(probe, internet):
    server = internet.host("relay.example", port=465, implicit=True)
    assert "starttls    not used: TLS comes first" in probe.told("relay.example:465", FINE)[0]
    said = probe.found("relay.example:465", FINE)
    assert said["hosts"][0]["greeting"].startswith("220 ")
    assert b"STARTTLS" not in server.raw


@pytest.mark.parametrize("domain,status,reply", [
    ("null.example", "null-mx", "556 5.1.10"), ("gone.example", "no-domain", "550 5.1.2"),
    ("a b.example", "invalid", "501 5.1.3"), ("a..example", "invalid", "501 5.1.3"),
    ("198.51.100.1", "invalid", "501 5.1.3")])
def test_domains_that_take_no_mail(probe, internet, domain, status, reply):
    internet.dns.null_mx("null.example")
    said = probe.found(domain, NO)
    assert said["status"] == status and said["hosts"] == []
    assert f"mail to {domain} would be sent back: {reply}" in said["result"]
    assert ("address meant" in said["hint"]) == (status == "invalid")


def test_a_broken_policy_file(probe, internet):
    internet.peer("broken.example")
    internet.policies.put("broken.example", "tls = wrong")
    done = probe.run("--json", "broken.example")
    assert done.returncode == NO
    said = json.loads(done.stdout)
    assert (said["status"], said["level"], said["hosts"]) == ("broken", "", [])
    assert "451 4.3.5" in said["result"]
    assert "broken.example.policy" in done.stderr


@pytest.mark.parametrize("what,code,hint", [
    ("certificate", "4.7.5", "whoever runs the host has to mend its certificate ({file}:"),
    ("name", "4.7.5", "or `match` of the policy file allow the name that it bears ({file}:"),
    ("starttls", "4.7.4", "the host has to offer TLS, as is demanded of it ({file}:"),
    ("key", "4.7.5", "ask whoever runs the host ({file}:"),
    ("refused", "4.3.0", "whoever runs the host can tell more of that reply"),
    ("file", "4.3.5", "mail waits until that file is mended"),
    ("dns", "4.4.3", "unless sealpost check finds fault with our resolver"),
    ("gone", "5.1.2", "is the domain spelt as it should be?")])
def test_what_is_to_be_done(probe, internet, what, code, hint):
    """One line before the last: who can mend it, and which line of which file demands it."""
    domain, file = "odd.example", internet.policies.file("odd.example")
    certificate = {"certificate": "expired", "name": "wrong-name", "starttls": None}
    level = {"starttls": "encrypt", "key": "fingerprint", "file": "wrong", "refused": "may"}
    if what != "gone":
        internet.peer(domain, certificate.get(what, "good"),
                      script={"greeting": "554 5.7.1 not you"} if what == "refused" else {})
    if what == "dns":
        internet.dns.misbehave(domain, "servfail")
    secure(internet, domain, level.get(what, "verify"),
           f"fingerprint = sha256/spki:{'ab' * 32}" if what == "key" else "")
    done = probe.run(domain)
    *_, last_but_one, last = done.stdout.splitlines()
    assert done.returncode == NO and f" {code} " in last
    assert hint.format(file=file) in last_but_one and last_but_one.startswith("  ")


# -- what strangers say

def test_nothing_of_a_stranger_reaches_the_terminal(probe, internet):
    server = internet.peer("odd.example")
    server.greeting = "220 \x1b[2J\x07 \xe9\\ \"quoted\" <b>"
    text, _ = probe.told("odd.example", FINE)
    assert r"greeting    220 \x1b[2J\x07 \xe9\x5c " in text
    [host] = probe.found("odd.example", FINE)["hosts"]
    assert host["greeting"] == "220 \x1b[2J\x07 \xe9\\ \"quoted\" <b>"


def test_every_key_is_in_the_manual(probe, internet):
    internet.peer("bank.example")
    internet.dead("mx2.bank.example")
    said = probe.found("bank.example", FINE)
    page = MANUAL.read_text().partition(".Sh JSON")[2].partition("\n.Sh ")[0]
    documented = {key for keys in re.findall(r"^\.It Li (.*)$", page, re.M)
                  for key in keys.split(" , ")}
    keys = set()

    def walk(value):
        for v in value.values() if isinstance(value, dict) else value:
            if isinstance(v, (dict, list)):
                walk(v)
        keys.update(value if isinstance(value, dict) else ())
    walk(said)
    # No TLSA record is here: nothing is signed.
    assert documented - keys == {"usage", "selector", "matching", "data", "matched"}
    assert keys <= documented


def test_progress_is_for_a_terminal(probe, internet):
    internet.peer("bank.example")
    ours, theirs = pty.openpty()
    done = subprocess.run([probe.program, "probe", "-c", str(probe.config), "bank.example"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                          timeout=60, check=True)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # that nobody is there any more comes behind all of it
        while octets := os.read(ours, 65536):
            seen += octets
    os.close(ours)
    seen = seen.decode()
    assert "mx1.bank.example[" in seen and "greeting" in seen and seen.endswith("\r\x1b[K")
    assert b"\x1b" not in done.stdout


# -- exit statuses

def test_exit_statuses_are_those_of_the_manual(probe, internet):
    page = MANUAL.read_text().partition(".Sh EXIT STATUS")[2].partition("\n.Sh ")[0]
    internet.peer("bank.example")
    fine = probe.run("bank.example").returncode
    no = probe.run("gone.example").returncode
    usage = probe.run().returncode
    probe.config.write_text(probe.config.read_text() + "[inbound]\n")
    faults = probe.run("bank.example").returncode
    probe.config.unlink()
    cannot = probe.run("bank.example").returncode
    assert (fine, no, faults, usage, cannot) == (FINE, NO, NO, USAGE, CANNOT)
    assert re.findall(r"^\.It (\d+)$", page, re.M) == [str(s) for s in (FINE, NO, USAGE, CANNOT)]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_what_cannot_be_written_was_not_said(probe, internet, words):
    internet.peer("bank.example")
    with open("/dev/full", "w") as full:
        done = subprocess.run([probe.program, "probe", "-c", probe.config, *words, "bank.example"],
                              stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == CANNOT
    assert done.stderr.startswith("sealpost: cannot write to standard output: ")


# -- used wrongly, and what cannot be

@pytest.mark.parametrize("words", [[], [""], ["a@"], ["a.example", "b.example"], ["x" * 400],
                                   ["-x", "a.example"], ["--jso=1", "a.example"], [":25"],
                                   ["a.example:0"], ["a.example:65536"], ["u@a.example:25"]])
def test_used_wrongly(probe, words):
    done = probe.run(*words)
    assert done.returncode == USAGE and done.stdout == "", done
    assert done.stderr.startswith("sealpost: ") and done.stderr.count("\n") == 1


def test_cannot(probe, internet):
    probe.config.unlink()
    assert probe.run("bank.example").returncode == CANNOT


def test_drips_do_not_hold_it(built, tmp_path, internet):
    """A greeting that comes octet by octet does not put the end off."""
    class Dripping(far.Destination):
        def greet(self, wire):
            for octet in b"220-" + b"x" * 400:
                wire.send(bytes([octet]))
                time.sleep(0.05)  # its pace
    with Dripping((internet.address(), 25), internet.zoo.pair("mx1.drip.example"),
                  "mx1.drip.example") as server:
        internet.dns.a("mx1.drip.example", server.listener.address[0])
        internet.domain("drip.example", "mx1.drip.example")
        probe = Probe(built, tmp_path, policy_section(internet)).hasty()
        began = time.monotonic()
        [host] = probe.found("drip.example", NO)["hosts"]
        assert (host["stage"], host["reason"]) == ("greeting", "no answer in time")
        assert time.monotonic() - began < 16
