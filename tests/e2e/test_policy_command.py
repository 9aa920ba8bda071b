# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""`sealpost policy` and what `sealpost check` says of policy files and the resolver."""

import os
import shutil
import subprocess
import threading
import time

import pytest
from test_probe_user import NOBODY, status_of

from harness import dns, nsd

FINE, NO, USAGE, CANNOT = 0, 1, 2, 3
PIN = "sha256/spki:" + "ab" * 32
HOSTS = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx1 AAAA 2001:db8::1\nmx2 A 192.0.2.2\n"


class Command:
    """The program with a configuration and policy files of its own."""

    def __init__(self, program, folder, resolver, anchor, timeout="10s"):
        self.program, self.folder = program, folder / "policy.d"
        self.folder.mkdir()
        if anchor.exists():
            anchor = shutil.copy(anchor, folder / "anchor.key")
        self.file("default", "[outbound]\ntls = may\n")
        self.config = folder / "sealpost.conf"
        self.config.write_text(
            "[server]\nhostname = proxy.example\nuser = nobody\n"
            f"[limits]\npolicy-timeout = {timeout}\n"
            "[outbound]\nlisten = 127.0.0.1:2526\nroute = smarthost\nbackends = 127.0.0.0/8\n"
            f"[policy]\ndirectory = {self.folder}\nresolver = {resolver}\n"
            f"trust-anchor = {anchor}\n")

    def file(self, name, text):
        (self.folder / f"{name}.policy").write_text(text)
        return f"{self.folder}/{name}.policy"

    def run(self, *words):
        done = subprocess.run([self.program, *words], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)
        for bad in ("runtime error:", "Sanitizer"):
            assert bad not in done.stderr, done.stderr
        return done

    def policy(self, *domains):
        return self.run("policy", "-c", str(self.config), *domains)

    def explained(self, domain, status):
        """What is said of one domain: {label: [text]}; a line without label goes to the last."""
        done = self.policy(domain)
        assert done.returncode == status, done
        first, *lines = done.stdout.splitlines()
        assert first == domain
        said, label = {}, None
        for line in lines:
            label = line[2:12].strip() or label
            said.setdefault(label, []).append(line[12:])
        return said

    def result(self, domain, status):
        return " ".join(self.explained(domain, status)["result"])


@pytest.fixture
def island(tmp_path):
    """An anchor that speaks for nothing there is."""
    anchor = tmp_path / "island.key"
    anchor.write_text(f"island.lab. IN DS 1 13 2 {'ab' * 32}\n")
    return anchor


@pytest.fixture
def server():
    with dns.Dns() as d:
        yield d
    assert not d.errors, d.errors


@pytest.fixture
def command(built, open_folder, island, server):
    return Command(built, open_folder, server.resolver, island)


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    why = nsd.missing()
    if why:
        pytest.skip(why)
    zones = {f"{kind}.lab": (kind, HOSTS)
             for kind in (nsd.SECURE, nsd.INSECURE, nsd.BOGUS, nsd.EXPIRED)}
    zones["forged.lab"] = (nsd.BOGUS, HOSTS, "A")
    with nsd.SignedWorld(tmp_path_factory.mktemp("signed"), zones) as world:
        yield world


# -- what is said

def test_a_domain_that_nobody_speaks_of(command, server):
    server.domain("plain.lab", "192.0.2.1", ["192.0.2.2", "2001:db8::2"])
    said = command.explained("plain.lab", FINE)
    assert said["hosts"] == ["10 mx1.plain.lab 192.0.2.1",
                             "20 mx2.plain.lab 192.0.2.2 2001:db8::2"]
    assert said["to it"][0].startswith("may: ")
    assert said["because"][0] == f"{command.folder}/default.policy:2"
    assert "by TLS if it is offered" in said["result"][0]


def test_all_that_a_file_can_say(command, server):
    server.mx("bank.lab", (10, "mx.bank.lab"), (20, "mx.elsewhere.lab"))
    server.a("mx.bank.lab", "192.0.2.1")
    server.a("mx.elsewhere.lab", "192.0.2.2")
    path = command.file("bank.lab", "note = the auditors\n[outbound]\ntls = verify\n"
                                    "match = mx .bank.lab\nmx = *.bank.lab\nprotocols = tls1.3\n"
                                    "on-failure = bounce\n[inbound]\ntls = fingerprint\n"
                                    f"fingerprint = {PIN}\n")
    said = command.explained("bank.lab", FINE)
    assert said["because"] == [f"{path}:3 (the auditors)", f"{path}:9 (the auditors)"]
    assert said["names"] == ["mx .bank.lab"]
    assert said["mx"] == ["*.bank.lab"]
    assert said["protocols"] == ["TLS 1.3 alone"]
    assert said["pinned"] == [PIN]
    assert said["hosts"][0] == "10 mx.bank.lab 192.0.2.1"
    assert said["hosts"][1] == "20 mx.elsewhere.lab 192.0.2.2  not used (mx)"
    assert said["from it"][0].startswith("fingerprint: ")
    assert "by TLS alone (verify), to one host" in said["result"][0]


def test_no_host_is_believed(command, server):
    server.domain("evil.lab", "192.0.2.1")
    command.file("evil.lab", "[outbound]\ntls = encrypt\nmx = mx.good.lab\n")
    result = command.result("evil.lab", NO)
    assert "none of its hosts is used" in result and "mx1.evil.lab" in result


def test_a_file_for_names_below(command, server):
    server.a("deep.down.firm.lab", "192.0.2.7")
    path = command.file("firm.lab", "subdomains = yes\n[outbound]\ntls = encrypt\n")
    said = command.explained("deep.down.firm.lab", FINE)
    assert said["because"][0] == f"{path}:3"
    assert said["hosts"] == ["0 deep.down.firm.lab 192.0.2.7"]  # RFC 5321 §5.1


def test_a_broken_file(command, server):
    server.domain("broken.lab", "192.0.2.1")
    path = command.file("broken.lab", "[outbound]\ntls = wrong\n")
    assert f"{path}:2: tls = wrong" in command.result("broken.lab", NO)
    assert "451 4.3.5" in command.result("broken.lab", NO)
    assert not server.asked("broken.lab")


def test_dane_without_its_records(command, server):
    server.domain("dane.lab", "192.0.2.1")
    command.file("dane.lab", "[outbound]\ntls = dane-only\n")
    result = command.result("dane.lab", NO)
    assert "4.7.5" in result and "no TLSA records" in result
    command.config.write_text(command.config.read_text() + "dane = no\n")
    assert "4.3.5" in command.result("dane.lab", NO)
    command.file("dane.lab", "[outbound]\ntls = dane\n")
    said = command.explained("dane.lab", NO)
    assert said["dane"] == ["TLSA records are not asked for (dane = no)"]
    assert "not available" in said["result"][0]


def test_address_literals(command, server):
    said = command.explained("[192.0.2.1]", FINE)
    assert said["hosts"] == ["192.0.2.1"]
    assert command.explained("[IPv6:2001:db8::1]", FINE)["hosts"] == ["2001:db8::1"]
    assert not server.questions


def test_several_domains_and_ways_to_write_one(command, server):
    server.domain("plain.lab", "192.0.2.1")
    done = command.policy("PLAIN.Lab.", "gone.lab", "some.body@plain.lab", "BÜCHER.lab")
    assert done.returncode == NO
    assert [b.splitlines()[0] for b in done.stdout.split("\n\n")] == \
        ["plain.lab", "gone.lab", "plain.lab", "xn--bcher-kva.lab"]


def test_all_are_asked_at_once(command, server):
    """Nothing is answered before the last one was asked about."""
    domains, go = [f"d{n}.lab" for n in range(8)], threading.Event()
    for domain in domains:
        server.domain(domain, "192.0.2.1")
        server.misbehave(domain, go)
    words = [command.program, "policy", "-c", str(command.config), *domains]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True) as process:
        try:
            server.wait_asked(domains[-1])
        finally:
            go.set()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == FINE
    assert [b.splitlines()[0] for b in said.split("\n\n")] == domains


def test_more_than_are_asked_at_once(command, server):
    domains = [f"d{n}.lab" for n in range(50)]
    for domain in domains:
        server.domain(domain, "192.0.2.1")
    done = command.policy(*domains)
    assert done.returncode == FINE
    assert [b.splitlines()[0] for b in done.stdout.split("\n\n")] == domains


@pytest.mark.parametrize("domain", ["", ".", "a b", "a..b", "x" * 64 + ".lab", "x." * 200 + "lab",
                                    "192.0.2.1", "[0.0.0.0]", "[nonsense]", "../../etc/passwd",
                                    "user@", "plain.lab@a b", "a\nb.lab", "\x1b[31m"])
def test_what_is_no_domain(command, server, domain):
    done = command.policy(domain)
    assert done.returncode == NO, done
    assert not server.questions


# -- the DNS

def test_no_such_domain(command, server):
    assert "550 5.1.2" in command.result("gone.lab", NO)


def test_null_mx(command, server):
    server.null_mx("null.lab")
    server.a("null.lab", "192.0.2.1")
    assert "556 5.1.10" in command.result("null.lab", NO)


def test_a_null_mx_beside_others_is_none(command, server):
    server.mx("odd.lab", (0, "."), (10, "mx.odd.lab"))
    server.a("mx.odd.lab", "192.0.2.1")
    assert command.explained("odd.lab", FINE)["hosts"] == ["10 mx.odd.lab 192.0.2.1"]


def test_hosts_without_addresses(command, server):
    server.mx("lost.lab", (10, "gone.lost.lab"))
    server.a("lost.lab", "192.0.2.1")  # not in place of an MX host that is no good
    assert "no MX host of lost.lab has an address" in command.result("lost.lab", NO)


def test_hosts_that_are_none(command, server):
    server.mx("lies.lab", (1, "192.0.2.66"), (2, "localhost"), (3, "a.localhost"), (4, "b c.lab"),
              (5, "zero.lies.lab"), (6, "many.lies.lab"), (9, "mx.lies.lab"))
    server.a("zero.lies.lab", "0.0.0.0", "::")
    server.a("many.lies.lab", "224.0.0.1", "255.255.255.255", "ff02::1", "::ffff:127.0.0.1")
    server.a("mx.lies.lab", "192.0.2.1")
    assert command.explained("lies.lab", FINE)["hosts"] == ["9 mx.lies.lab 192.0.2.1"]


def test_more_hosts_and_addresses_than_anybody_needs(command, server):
    server.mx("many.lab", *[(n, f"h{n}.many.lab") for n in range(200, 0, -1)])
    for n in range(1, 201):
        server.a(f"h{n}.many.lab", *[f"192.0.2.{i}" for i in range(1, 20)],
                 *[f"2001:db8::{i}" for i in range(1, 20)])
    hosts = command.explained("many.lab", FINE)["hosts"]
    assert [h.split()[1] for h in hosts] == [f"h{n}.many.lab" for n in range(1, 17)]
    assert all(len(h.split()) == 2 + 12 for h in hosts)


def test_aliases(command, server):
    server.domain("real.lab", "192.0.2.1")
    server.cname("alias.lab", "real.lab")
    server.mx("mx-alias.lab", (10, "mail.mx-alias.lab"))
    server.cname("mail.mx-alias.lab", "mx1.real.lab")
    server.cname("loop1.lab", "loop2.lab")
    server.cname("loop2.lab", "loop1.lab")
    assert command.explained("alias.lab", FINE)["hosts"] == ["10 mx1.real.lab 192.0.2.1"]
    assert command.explained("mx-alias.lab", FINE)["hosts"] == \
        ["10 mail.mx-alias.lab 192.0.2.1"]
    assert "451 4.4.3" in command.result("loop1.lab", NO)


def test_one_host_of_two_cannot_be_looked_up(command, server):
    server.mx("half.lab", (10, "bad.half.lab"), (20, "good.half.lab"))
    server.a("bad.half.lab", "192.0.2.1")
    server.a("good.half.lab", "192.0.2.2")
    server.misbehave("bad.half.lab", dns.SERVFAIL, "AAAA")
    said = command.explained("half.lab", FINE)
    assert said["hosts"] == ["20 good.half.lab 192.0.2.2"]
    assert "the AAAA records of bad.half.lab" in said["but"][0]


def test_the_only_host_has_half_of_its_addresses(command, server):
    server.mx("half.lab", (10, "bad.half.lab"))
    server.a("bad.half.lab", "192.0.2.1")
    server.misbehave("bad.half.lab", dns.SERVFAIL, "AAAA")
    assert command.explained("half.lab", FINE)["hosts"] == ["10 bad.half.lab 192.0.2.1"]


@pytest.mark.parametrize("behaviour", [dns.SERVFAIL, dns.REFUSED, dns.GARBAGE, dns.WRONG_ID,
                                       dns.WRONG_NAME, dns.CUT_SHORT, dns.SILENT])
def test_dns_that_fails_or_lies(built, open_folder, island, server, behaviour):
    command = Command(built, open_folder, server.resolver, island, timeout="2s")
    server.domain("bad.lab", "192.0.2.1")
    server.misbehave("bad.lab", behaviour)
    before = time.monotonic()
    result = command.result("bad.lab", NO)
    assert "451 4.4.3" in result and "bad.lab" in result
    assert time.monotonic() - before < 30


def test_an_answer_that_needs_tcp(command, server):
    server.domain("long.lab", "192.0.2.1")
    server.misbehave("long.lab", dns.TRUNCATED)
    assert command.explained("long.lab", FINE)["hosts"] == ["10 mx1.long.lab 192.0.2.1"]
    assert any(q.transport == "tcp" for q in server.asked("long.lab"))


def test_dns_that_is_dead(built, open_folder, island, server):
    command = Command(built, open_folder, server.resolver, island, timeout="2s")
    server.close()
    before = time.monotonic()
    assert "did not answer within 2 s" in command.result("any.lab", NO)
    assert time.monotonic() - before < 30


# -- DNSSEC

@pytest.fixture
def validating(built, open_folder, signed):
    return Command(built, open_folder, signed.resolver, signed.anchor)


@pytest.mark.parametrize("domain", ["secure.lab", "insecure.lab"])
def test_answers_that_may_be_believed(validating, domain):
    assert len(validating.explained(domain, FINE)["hosts"]) == 2


@pytest.mark.parametrize("domain,record", [("bogus.lab", "MX"), ("expired.lab", "MX"),
                                           ("forged.lab", "A")])
def test_answers_that_may_not(validating, domain, record):
    result = validating.result(domain, NO)
    assert "451 4.4.3" in result and f"the {record} records" in result
    assert "validation failure" in result


# -- exit statuses

def test_used_wrongly(command):
    assert command.run("policy").returncode == USAGE
    assert command.run("policy", "-x", "a.lab").returncode == USAGE
    assert command.run("policy-process").returncode == USAGE


def test_cannot(built, open_folder, server):
    command = Command(built, open_folder, server.resolver, open_folder / "nowhere.key")
    done = command.policy("a.lab")
    assert done.returncode == CANNOT
    assert str(open_folder / "nowhere.key") in done.stderr
    assert command.run("policy", "-c", str(open_folder / "nowhere"), "a.lab").returncode == CANNOT


def test_no_such_user(command, server):
    text = command.config.read_text()
    command.config.write_text(text.replace("user = nobody", "user = nosuchuser"))
    done = command.policy("a.lab")
    assert done.returncode == CANNOT and "user nosuchuser does not exist" in done.stderr
    assert not server.questions


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_the_network_never_sees_root(command, server):
    go = threading.Event()
    server.misbehave("a.lab", go)
    words = [command.program, "policy", "-c", str(command.config), "a.lab"]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        server.wait_asked("a.lab")
        status = status_of(process.pid)
        go.set()
    assert status["Uid"] == status["Gid"] == [str(NOBODY)] * 4, status
    assert int(status["CapPrm"][0], 16) == 0 and status["NoNewPrivs"] == ["1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_a_policy_that_the_service_cannot_read(command, server):
    server.domain("a.lab", "192.0.2.1")
    os.chmod(command.file("a.lab", "[outbound]\ntls = none\n"), 0o600)
    assert "user nobody may not read it" in command.result("a.lab", NO)


# -- check

def check(command):
    return command.run("check", "-c", str(command.config))


def test_check_is_content(validating):
    done = check(validating)
    assert done.returncode == FINE, done.stderr
    assert "keys do not validate" not in done.stderr


def test_check_misses_the_policy_directory_once(validating):
    shutil.rmtree(validating.folder)
    done = check(validating)
    assert done.returncode == NO
    assert done.stderr.count(str(validating.folder)) == 1, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_check_sees_what_the_service_sees(validating):
    path = validating.file("a.lab", "[outbound]\ntls = none\n")
    os.chmod(path, 0o600)
    done = check(validating)
    assert done.returncode == NO and f"{path}: " in done.stderr
    assert "user nobody may not read it" in done.stderr


def test_check_names_faults_of_policy_files(validating):
    path = validating.file("broken.lab", "[outbound]\ntls = wrong\n")
    done = check(validating)
    assert done.returncode == NO
    assert f"{path}:2: tls = wrong" in done.stderr


def test_check_knows_the_identities(validating):
    path = validating.file("peer.lab", "[outbound]\ntls = encrypt\nidentity = ours\n")
    done = check(validating)
    assert done.returncode == NO
    assert f"{path}: identity = ours: there is no [identity ours] in {validating.config}" \
        in done.stderr


def test_check_warns_of_what_cannot_be_met(validating):
    path = validating.file("dane.lab", "[outbound]\ntls = dane\n")
    validating.file("default", "[inbound]\ntls = encrypt\n")
    done = check(validating)
    assert done.returncode == FINE, done.stderr
    assert path not in done.stderr
    validating.config.write_text(validating.config.read_text() + "dane = no\n")
    done = check(validating)
    assert done.returncode == FINE, done.stderr
    assert f"{path}:2: warning: " in done.stderr
    assert "default.policy:2: warning: every sender" in done.stderr


def test_check_misses_a_trust_anchor(command):
    done = check(command)
    assert done.returncode == FINE, done.stderr
    assert ": warning: no trust anchor for the root (trust-anchor = " in done.stderr
    path = command.file("dane.lab", "[outbound]\ntls = dane-only\n")
    done = check(command)
    assert done.returncode == NO
    assert "no host is found to have DANE" in done.stderr
    assert f"; {path}:2 demands DANE\n" in done.stderr


def test_check_does_not_miss_what_it_does_without(command):
    command.config.write_text(command.config.read_text() + "dane = no\n")
    done = check(command)
    assert done.returncode == FINE, done.stderr
    assert "DANE" not in done.stderr


def test_check_names_a_resolver_that_strips_dnssec(built, open_folder, signed, server):
    command = Command(built, open_folder, server.resolver, signed.anchor)
    done = check(command)
    assert done.returncode == NO
    assert f"{command.config}: the root's keys do not validate through resolver = " \
        f"{server.resolver}: " in done.stderr
