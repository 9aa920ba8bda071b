# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""`sealpost probe` as root and as others: who asks the network, and what may be read."""

import os
import pathlib
import shutil
import subprocess

import pytest
from test_probe import CANNOT, FINE, NO, Probe, probe, secure  # noqa: F401

from harness.daemon import section
from harness.internet import policy_section

NOBODY = 65534

pytestmark = [pytest.mark.namespaces,
              pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")]


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.partition(":")[0]: line.partition(":")[2].split() for line in lines}


def add_identity(probe, pair, key_mode=0o600):  # noqa: F811
    pathlib.Path(pair.key).chmod(key_mode)
    text = section("identity ours", {"certificate": pair.certificate, "key": pair.key})
    probe.config.write_text(probe.config.read_text() + text)


@pytest.fixture
def ordinary(built, internet):
    """The same as the user nobody would run it, who is not the one that serves."""
    internet.policies.put("default", "tls = may")
    probe = Probe(internet.readable(built), internet.folder,  # noqa: F811
                  policy_section(internet), user="daemon")
    probe.as_user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return probe


def test_the_network_never_sees_root(probe, internet):  # noqa: F811
    """While the first question is under way it is nobody's process, without capabilities."""
    internet.peer("bank.example")
    internet.dns.misbehave("*", "silent")
    with subprocess.Popen([probe.program, "probe", "-c", probe.config, "bank.example"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        internet.dns.wait_asked("bank.example")
        status = status_of(process.pid)
        process.kill()
    assert status["Uid"] == status["Gid"] == [str(NOBODY)] * 4, status
    assert status["Groups"] == [str(NOBODY)]
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[kind][0], 16) == 0, status
    assert status["NoNewPrivs"] == ["1"]


def test_what_only_root_may_read_is_read_first(probe, internet):  # noqa: F811
    pair = internet.zoo.pair("proxy.example")
    server = internet.peer("peer.example", client_ca=internet.zoo.ca)
    secure(internet, "peer.example", "encrypt", "identity = ours")
    add_identity(probe, pair)
    probe.told("peer.example", FINE)
    assert ("DNS", "proxy.example") in server.wires[0].tls.getpeercert()["subjectAltName"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_policy_that_the_service_cannot_read(probe, internet, what):  # noqa: F811
    """As the daemon finds it: it would not serve, and so nothing flows."""
    internet.peer("bank.example")
    secure(internet, "bank.example")
    closed = internet.policies.file("bank.example")
    (closed if what == "file" else closed.parent).chmod(0o600)
    done = probe.run("bank.example")
    assert done.returncode == NO
    last = done.stdout.splitlines()[-1]
    assert "451 4.3.5" in last, last
    assert "user nobody may not read it" in last and "probe as root" not in done.stdout
    assert not internet.hosts["mx1.bank.example"].wires


def test_who_is_not_root(ordinary, internet):
    internet.peer("bank.example")
    secure(internet, "bank.example")
    ordinary.told("bank.example", FINE)


def test_who_is_not_root_and_may_not_read_a_policy(ordinary, internet):
    """Another might: that must not be taken for what the daemon does."""
    internet.peer("bank.example")
    secure(internet, "bank.example")
    internet.policies.file("bank.example").chmod(0o600)
    done = ordinary.run("bank.example")
    assert done.returncode == NO and "user nobody may not read it" in done.stdout
    assert "not read as the user that serves" in done.stdout


def test_who_is_not_root_and_may_not_read_the_cache(ordinary, internet):
    """A policy host that is down would not matter to serve, which has them."""
    internet.peer("bank.example")
    cache = internet.folder / "cache"
    cache.mkdir(mode=0o700)
    ordinary.config.write_text(ordinary.config.read_text() + f"cache = {cache}\n")
    done = ordinary.run("bank.example")
    assert done.returncode == FINE
    assert done.stderr.startswith("sealpost: warning: MTA-STS policies that are kept are not known "
                                  f"here: cache: cannot read {cache}"), done.stderr


def test_who_is_not_root_and_may_not_read_a_key(ordinary, internet):
    """Domains that ask for no certificate of ours can be probed all the same."""
    internet.peer("bank.example")
    internet.peer("peer.example")
    secure(internet, "peer.example", "encrypt", "identity = ours")
    pair = internet.zoo.pair("proxy.example")
    folder = internet.folder / "keys"
    folder.mkdir(mode=0o700)
    pair = type(pair)(internet.readable(pair.certificate), shutil.copy(pair.key, folder))
    add_identity(ordinary, pair)
    ordinary.told("bank.example", FINE)
    done = ordinary.run("peer.example")
    assert done.returncode == CANNOT and done.stdout == ""
    assert done.stderr == (f"sealpost: cannot probe: {pair.key}: permission denied: its host is "
                           "to see [identity ours], which root may read\n")


def test_no_such_user(built, internet, tmp_path):
    done = Probe(built, tmp_path, policy_section(internet), user="nosuchuser").run("bank.example")
    assert done.returncode == CANNOT and "user nosuchuser does not exist" in done.stderr
    assert internet.dns.questions == []
