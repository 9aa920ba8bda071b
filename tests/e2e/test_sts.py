# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""MTA-STS (RFC 8461): what becomes of records, policy hosts and what was kept of them."""

import shutil
import socket
import subprocess
import time

import pytest

from harness import dns as names
from harness import sts
from harness.sts import PolicyWorld, policy, response

pytestmark = pytest.mark.namespaces

NONE = "no policy is published"
GOOD = policy("enforce", "mx1.d.lab", "*.d.lab")


@pytest.fixture
def server():
    with names.Dns() as d:
        yield d
    assert not d.errors, d.errors


@pytest.fixture
def world(server, zoo):
    why = sts.prepare()
    if why:
        pytest.skip(why)
    with PolicyWorld(server, zoo) as w:
        yield w


class Command:
    """`sealpost policy` with a configuration and a cache of its own."""

    def __init__(self, program, folder, server, zoo):
        self.program, self.server = program, server
        self.cache = folder / "cache"
        self.kept = self.cache / "mta-sts"
        self.kept.mkdir(parents=True, mode=0o755)
        shutil.chown(self.kept, "nobody")
        (folder / "policy.d").mkdir()
        self.demands = folder / "policy.d" / "default.policy"
        self.demands.write_text("[outbound]\ntls = may\n")
        anchor = folder / "island.key"
        anchor.write_text(f"island.lab. IN DS 1 13 2 {'ab' * 32}\n")
        self.ca = shutil.copy(zoo.ca, folder)
        self.config = folder / "sealpost.conf"
        self.policy = (f"directory = {folder}/policy.d\nresolver = {server.resolver}\n"
                       f"trust-anchor = {anchor}\nca = {self.ca}\ncache = {self.cache}\n")

    def keep(self, domain, id_="1", age=3600, mode="enforce", mx=("mx.kept.lab",), max_age=86400):
        """As the daemon would have written it `age` seconds ago."""
        text = (f"sealpost: 1\ndomain: {domain}\nid: {id_}\nfetched: {int(time.time()) - age}\n"
                + policy(mode, *mx, max_age=max_age, end="\n"))
        file = self.kept / domain
        file.write_text(text)
        file.chmod(0o600)
        shutil.chown(file, "nobody")
        return file

    def run(self, domain, timeout="40s", more="", environment=None):
        """What is said of MTA-STS, line by line; `warnings` are what stood beside it."""
        self.server.domain(domain, "192.0.2.1")
        self.config.write_text(
            f"[server]\nhostname = proxy.example\nuser = nobody\n"
            f"[limits]\npolicy-timeout = {timeout}\n"
            "[outbound]\nlisten = 127.0.0.1:2526\nroute = smarthost\nbackends = 127.0.0.0/8\n"
            f"[policy]\n{self.policy}{more}")
        done = subprocess.run([self.program, "policy", "-c", str(self.config), domain],
                              capture_output=True, text=True, timeout=120,
                              stdin=subprocess.DEVNULL, env=environment)
        for bad in ("runtime error:", "Sanitizer"):
            assert bad not in done.stderr, done.stderr
        self.said, label = {}, None
        for line in done.stdout.splitlines()[1:]:
            label = line[2:12].strip() or label
            self.said.setdefault(label, []).append(line[12:])
        self.warnings = done.stderr
        return self.said["mta-sts"]


@pytest.fixture
def command(built, open_folder, server, zoo):
    return Command(built, open_folder, server, zoo)


# -- policies

@pytest.mark.parametrize("body,mode,mx", [
    (GOOD, "enforce", ["mx mx1.d.lab", "mx *.d.lab"]),
    (policy("testing", "MX1.D.lab", end="\n"), "testing", ["mx mx1.d.lab"]),
    (policy("none"), "none", []),
    (GOOD + "mode: none\nversion: STSv2\nmax_age: -1\nnew: thing\n", "enforce",
     ["mx mx1.d.lab", "mx *.d.lab"]),
])
def test_good_policies(command, world, body, mode, mx):
    host = world.host("d.lab", response(body, type_="Text/Plain; charset=utf-8"))
    said = command.run("d.lab")
    assert said[0].startswith(f"{mode}: ")
    assert said[1:1 + len(mx)] == mx
    assert said[1 + len(mx)] == "id 1, fetched just now"
    assert said[-1].startswith("holds until ")
    assert host.requests == [(f"GET {sts.PATH} HTTP/1.1", "mta-sts.d.lab")]
    assert command.warnings == ""


FAULTS = {
    "not-found": (response("nothing here", "404 Not Found"), "HTTP 404"),
    "error": (response(GOOD, "500 Oops"), "HTTP 500"),
    "no-content": (response(GOOD, "203 Non-Authoritative"), "HTTP 203"),
    "html": (response(GOOD, type_="text/html"), "text/html, not text/plain"),
    "plainer": (response(GOOD, type_="text/plainer"), "not text/plain"),
    "no-type": (response(GOOD, type_=None), "of no type, not text/plain"),
    "empty": (response(""), "has no version"),
    "version": (response(GOOD.replace("v1", "v2")), "version is not STSv1"),
    "no-mx": (response(policy("enforce")), "names no mx"),
    "mx": (response(policy("enforce", "*.*.lab")), "names no host"),
    "negative": (response(policy("none", max_age=-1)), "max_age"),
    "ages": (response(policy("none", max_age=31557601)), "max_age"),
    "many": (response(policy("enforce", *[f"mx{n}.d.lab" for n in range(33)])), "more mx lines"),
    "page": (response("<html>\n<body>\n"), "no \"key: value\""),
    "control": (response(GOOD + "x: \x1b[31m\n"), "control characters"),
    "large": (response(GOOD + "x: y\n" * 200_000), "longer than 64 KiB"),
    "endless": (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
                + GOOD.encode() + b"x: y\n" * 200_000, "longer than 64 KiB"),
    "headers": (response(GOOD, headers=[f"X-{n}: {'x' * 1000}" for n in range(200)]),
                "longer than 64 KiB"),
    "garbage": (b"\x00\xff\x1b[31m\r\n" * 100, "cannot be had"),
    "nothing": (b"", "cannot be had"),
    "cut": (response(GOOD)[:-9], "cannot be had"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_policies_that_are_none(command, world, name):
    answer, why = FAULTS[name]
    host = world.host("d.lab", answer)
    said = command.run("d.lab")
    assert len(said) == 1 and why in said[0], said
    assert "the MTA-STS policy of d.lab cannot be had: " in said[0]
    assert "mail goes as if it had none" in command.warnings
    assert "\x1b" not in said[0] + command.warnings
    assert len(host.requests) == 1
    assert not list(command.kept.iterdir())


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporarily",
                                    "308 Permanently"])
def test_redirects(command, world, status):
    other = world.host("other.lab", response(GOOD))
    host = world.host("d.lab", response(GOOD, status, headers=[
        f"Location: https://mta-sts.other.lab{sts.PATH}"]))
    said = command.run("d.lab")
    assert "redirects are not followed" in said[0]
    assert host.requests and not other.connections


@pytest.mark.parametrize("kind", ["wrong-name", "names-the-domain", "expired", "not-yet-valid",
                                  "self-signed", "own-ca", "constrained",
                                  "missing-intermediate", "wildcard-inside-a-label"])
def test_certificates_that_are_not_good_enough(command, world, kind):
    host = world.host("d.lab", response(GOOD), certificate=kind)
    said = command.run("d.lab")
    assert len(said) == 1 and "cannot be had" in said[0]
    assert host.connections and not host.requests


@pytest.mark.parametrize("kind", ["wildcard", "rsa-2048"])
def test_other_certificates_that_are(command, world, kind):
    world.host("d.lab", response(GOOD), certificate=kind)
    assert command.run("d.lab")[0].startswith("enforce")


def test_an_authority_of_the_system_does_not_count_beside_ca(command, world, zoo):
    world.host("d.lab", response(GOOD))
    shutil.copy(zoo.own_ca, command.ca)
    assert "cannot be had" in command.run("d.lab")[0]


# -- slow ones

def stall(host, tls):
    host.closing.wait(60)


def drip(host, tls):
    for octet in response(GOOD):
        if host.closing.wait(0.2):
            return
        tls.sendall(bytes([octet]))


@pytest.mark.parametrize("answer", [stall, drip])
def test_nobody_waits_for_a_slow_host(command, world, answer):
    world.host("d.lab", answer)
    before = time.monotonic()
    said = command.run("d.lab", timeout="2s")
    assert "has not come within 1 s" in said[0]
    assert time.monotonic() - before < 30


def test_nobody_waits_for_a_host_that_does_not_shake_hands(command, world):
    address = world.address()
    with socket.create_server((address, 443)):
        world.dns.a("mta-sts.d.lab", address)
        world.announce("d.lab")
        before = time.monotonic()
        assert "has not come within 1 s" in command.run("d.lab", timeout="2s")[0]
        assert time.monotonic() - before < 30


# -- where it is

@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "198.51.100.1",
                                     "::1", "fe80::1", "fd00::1", "64:ff9b::7f00:1",
                                     "2002:7f00:1::1"])
def test_private_addresses(command, world, zoo, address):
    """T34. Where there can be a host it would be a good one."""
    host = world.host("d.lab", response(GOOD), address=address if address[:3] == "127"
                      or address in ("::1", "198.51.100.1") else None) \
        if ":" not in address else None
    world.announce("d.lab")
    world.dns.a("mta-sts.d.lab", address)
    said = command.run("d.lab")
    assert len(said) == 1 and "private addresses alone" in said[0], said
    assert not host or not host.connections


def test_a_private_address_beside_a_public_one(command, world):
    inside = world.host("d.lab", response(policy("none")), address="127.0.0.1")
    outside = world.host("d.lab", response(GOOD))
    world.dns.a("mta-sts.d.lab", "127.0.0.1", outside.address)
    assert command.run("d.lab")[0].startswith("enforce")
    assert outside.requests and not inside.connections


def test_a_second_address(command, world):
    dead = world.address()
    host = world.host("d.lab", response(GOOD))
    world.dns.a("mta-sts.d.lab", dead, host.address)
    assert command.run("d.lab")[0].startswith("enforce")


def test_an_alias(command, world):
    """The name is still mta-sts.DOMAIN."""
    host = world.host("d.lab", response(GOOD))
    world.dns.remove("mta-sts.d.lab")
    world.dns.cname("mta-sts.d.lab", "hosted.other.lab")
    world.dns.a("hosted.other.lab", host.address)
    assert command.run("d.lab")[0].startswith("enforce")


def test_no_host(command, world):
    world.announce("d.lab")
    assert "mta-sts.d.lab has no address" in command.run("d.lab")[0]
    world.dns.a("mta-sts.d.lab", world.address())
    assert "cannot be had" in command.run("d.lab")[0]


def test_no_proxy(command, world):
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        world.host("d.lab", response(GOOD))
        said = command.run("d.lab", environment={
            "https_proxy": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "all_proxy": url})
        assert said[0].startswith("enforce")


# -- records

@pytest.mark.parametrize("texts,said", [
    ([], NONE),
    (["v=spf1 -all"], NONE),
    (["v=STSv2; id=1"], NONE),
    (["v=STSv1; id=1", "v=STSv1; id=1;"], "malformed, or one of several"),
    (["v=STSv1; id=1", "v=STSv1; id="], "malformed, or one of several"),
    (["v=STSv1; id=a-b"], "malformed"),
    (["v=STSv1;"], "malformed"),
    (["v=spf1 -all", "v=STSv1; id=1;"], "enforce: "),
    ([b"\7v=STSv1\6; id=1"], "enforce: "),
])
def test_records(command, world, texts, said):
    host = world.host("d.lab", response(GOOD))
    world.record("d.lab", *texts)
    assert said in command.run("d.lab")[0]
    assert bool(host.connections) == (said == "enforce: ")


@pytest.mark.parametrize("behaviour", [names.SERVFAIL, names.REFUSED, names.GARBAGE])
def test_records_that_cannot_be_had(command, world, behaviour):
    world.host("d.lab", response(GOOD))
    world.dns.misbehave("_mta-sts.d.lab", behaviour)
    said = command.run("d.lab")
    assert "_mta-sts.d.lab cannot be had" in said[0] or "has not come" in said[0]


def test_a_dns_that_is_silent(command, world):
    world.dns.misbehave("_mta-sts.d.lab", names.SILENT)
    before = time.monotonic()
    command.run("d.lab", timeout="2s")
    assert time.monotonic() - before < 30


def test_not_asked_for(command, world):
    host = world.host("d.lab", response(GOOD))
    said = command.run("d.lab", more="mta-sts = no\n")
    assert said == ["policies are not asked for (mta-sts = no)"]
    assert not host.connections and not world.dns.asked("_mta-sts.d.lab")


# -- what the file says beside it

@pytest.mark.parametrize("level,demanders", [("none", "mta-sts"), ("dane", "mta-sts"),
                                             ("encrypt", "encrypt, mta-sts")])
def test_the_domain_demands_more_than_the_file(command, world, level, demanders):
    world.host("d.lab", response(GOOD))
    command.demands.write_text(f"[outbound]\ntls = {level}\n")
    command.run("d.lab")
    assert command.said["to it"][1:] == ["but the domain itself demands more: mta-sts"]
    assert command.said["result"][0] == \
        f"mail to d.lab goes by TLS alone ({demanders}), to one host"


@pytest.mark.parametrize("published", [True, False])
def test_the_file_does_without(command, world, published):
    if published:
        world.host("d.lab", response(GOOD))
    command.demands.write_text("[outbound]\ntls = none\nmta-sts = no\n")
    said = command.run("d.lab")
    assert said[0].startswith("enforce") == published
    assert said[-1] == "it does not count: the policy file says mta-sts = no"
    assert len(command.said["to it"]) == 1
    assert command.said["result"][0] == "mail to d.lab goes in clear, to one host"


def test_a_policy_that_is_tested_demands_nothing(command, world):
    world.host("d.lab", response(policy("testing", "mx1.d.lab")))
    command.run("d.lab")
    assert len(command.said["to it"]) == 1
    assert "by TLS if it is offered" in command.said["result"][0]


# -- what was kept

def test_kept_and_still_announced(command, world):
    host = world.host("d.lab", response(GOOD))
    command.keep("d.lab")
    said = command.run("d.lab")
    assert said[0].startswith("enforce") and said[1] == "mx mx.kept.lab"
    assert said[2] == "id 1, from the cache"
    assert "60 minutes ago" in said[3]
    assert not host.connections


def kept_nothing(world):
    world.announce("d.lab", None)


def kept_servfail(world):
    world.dns.misbehave("_mta-sts.d.lab", names.SERVFAIL)


def kept_malformed(world):
    world.record("d.lab", "v=STSv1; id=a-b")


def kept_no_host(world):
    world.announce("d.lab", "2")


def kept_broken_host(world):
    world.host("d.lab", response("gone", "404 Not Found"))
    world.announce("d.lab", "2")


def kept_forged_host(world):
    world.host("d.lab", response(policy("none")), certificate="self-signed")
    world.announce("d.lab", "2")


def kept_slow_host(world):
    world.host("d.lab", stall)
    world.announce("d.lab", "2")


@pytest.mark.parametrize("what", [kept_nothing, kept_servfail, kept_malformed, kept_no_host,
                                  kept_broken_host, kept_forged_host, kept_slow_host])
def test_kept_whatever_happens(command, world, what):
    what(world)
    command.keep("d.lab")
    said = command.run("d.lab", timeout="3s")
    assert said[:3] == [said[0], "mx mx.kept.lab", "id 1, from the cache"]
    assert said[0].startswith("enforce")


def test_kept_and_announced_anew(command, world):
    world.host("d.lab", response(GOOD))
    world.announce("d.lab", "2")
    command.keep("d.lab")
    said = command.run("d.lab")
    assert said[1] == "mx mx1.d.lab" and "id 2, fetched just now" in said


def test_kept_and_expired(command, world):
    world.announce("d.lab", None)
    command.keep("d.lab", age=7200, max_age=7199)
    assert command.run("d.lab") == [NONE]
    command.keep("d.lab", age=7200, max_age=7300)
    assert command.run("d.lab")[0].startswith("enforce")


def damaged(file):
    file.write_text(file.read_text().replace("enforce", "enforse"))


def cut(file):
    file.write_bytes(file.read_bytes()[:-2])


def another(file):
    file.write_text(file.read_text().replace("d.lab", "e.lab"))


def writable(file):
    file.chmod(0o666)


def foreign(file):
    subprocess.run(["chown", "daemon", str(file)], check=True)


def future(file):
    when = int(time.time()) + 10 * 86400
    file.write_text("\n".join(f"fetched: {when}" if x.startswith("fetched") else x
                              for x in file.read_text().split("\n")))


def link(file):
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def folder(file):
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("what", [damaged, cut, another, writable, foreign, future, link, folder])
def test_kept_and_not_to_be_believed(command, world, what):
    world.announce("d.lab", None)
    what(command.keep("d.lab"))
    assert command.run("d.lab") == [NONE]
    assert "the kept MTA-STS policy of d.lab is passed over: " in command.warnings


def test_a_cache_that_others_may_write_to(command, world):
    world.announce("d.lab", None)
    command.keep("d.lab")
    command.kept.chmod(0o777)
    assert command.run("d.lab") == [NONE]
    assert "others than its owner may write to it" in command.warnings


def test_several_ask_in_a_row(command, world):
    """The command leaves the cache to the daemon."""
    host = world.host("d.lab", response(GOOD))
    command.run("d.lab")
    command.run("d.lab")
    assert len(host.requests) == 2 and not list(command.kept.iterdir())
