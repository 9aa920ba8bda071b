# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""MTA-STS as the daemon has it: what is fetched, kept and done, and what it costs."""

import os
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import dns as names
from harness.internet import send
from harness.net import WAIT, until
from harness.peer import Client
from harness.sts import policy, response

pytestmark = pytest.mark.namespaces

RIGHT = policy("enforce", "mx1.d.lab")
WRONG = policy("enforce", "mx1.elsewhere.lab")  # so that one sees that it is there


@pytest.fixture
def serve(smarthost, cache):
    """A daemon with that cache."""
    def start(policy=None, **options):
        return smarthost(policy={"cache": cache, **(policy or {})}, **options)
    return start


def says(words):
    return lambda record: words in record["message"]


def fetched(daemon, domain="d.lab"):
    return daemon.logged(says(f"the MTA-STS policy of {domain}: mode"))


def refused(seen):
    return not seen.accepted and seen.last.startswith(("451", "421"))


def test_it_is_kept_and_outlives_everything(serve, internet, policy_hosts, cache):
    internet.peer("d.lab")
    host = policy_hosts.host("d.lab", response(WRONG))
    daemon = serve()
    assert refused(send(daemon.address, "bob@d.lab"))
    fetched(daemon)
    kept = cache / "mta-sts" / "d.lab"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "mx: mx1.elsewhere.lab\n" in kept.read_text()
    daemon.stop()
    host.close()
    internet.dns.remove("_mta-sts.d.lab")
    internet.dns.remove("mta-sts.d.lab")
    daemon = serve()
    assert refused(send(daemon.address, "bob@d.lab"))
    os.kill(daemon.policy_process, signal.SIGKILL)
    until(lambda: refused(send(daemon.address, "bob@d.lab")), "still the same")
    assert len(host.requests) == 1


@pytest.mark.patient
def test_it_applies_while_the_dns_is_silent(serve, internet, policy_hosts):
    server, short = internet.peer("d.lab"), {"policy-timeout": "4s"}
    policy_hosts.host("d.lab", response(WRONG))
    daemon = serve()
    assert refused(send(daemon.address, "bob@d.lab"))
    fetched(daemon)
    daemon.stop()
    for name in ("_mta-sts.d.lab", "mta-sts.d.lab"):
        internet.dns.misbehave(name, names.SILENT)
    daemon = serve(limits=short)
    seen = send(daemon.address, "bob@d.lab")
    assert seen.last.startswith("451 4.7.5 d.lab"), seen
    internet.policies.put("default", "tls = may")
    daemon.reload()
    internet.dns.misbehave("*", names.SILENT)  # libunbound knows the hosts by now
    seen = send(daemon.address, "bob@d.lab")
    assert seen.last.startswith("451 4.7.5 d.lab"), seen
    daemon.stop()
    seen = send(serve(limits=short).address, "bob@d.lab")
    assert seen.last.startswith("451 4.4.3"), seen
    assert not server.store.messages


def test_a_good_one_lets_mail_through(serve, internet, policy_hosts):
    server = internet.peer("d.lab")
    policy_hosts.host("d.lab", response(RIGHT))
    assert send(serve().address, "bob@d.lab").accepted
    assert len(server.store.messages) == 1


@pytest.mark.parametrize("keys", [{"mta-sts": "no"}, {}])
def test_without(serve, internet, policy_hosts, keys):
    internet.peer("d.lab")
    host = policy_hosts.host("d.lab", response(WRONG))
    assert send(serve(policy=keys).address, "bob@d.lab").accepted == bool(keys)
    assert bool(host.requests) != bool(keys)


def test_one_fetch_for_all_who_ask(serve, internet, policy_hosts):
    internet.peer("d.lab")
    hold = threading.Event()

    def late(host, tls):
        hold.wait(WAIT)
        tls.sendall(response(RIGHT))
    host = policy_hosts.host("d.lab", late)
    daemon, seen = serve(), []
    threads = [threading.Thread(target=lambda: seen.append(send(daemon.address, "bob@d.lab")))
               for _ in range(12)]
    for t in threads:
        t.start()
    host.wait_asked()
    hold.set()
    for t in threads:
        t.join()
    assert [s.accepted for s in seen] == [True] * 12
    assert host.connections == 1


@pytest.mark.patient
def test_a_slow_host_delays_nobody_and_is_heard_in_the_end(serve, internet, policy_hosts):
    internet.peer("d.lab")
    hold = threading.Event()

    def late(host, tls):
        hold.wait(60)
        tls.sendall(response(WRONG))
    host = policy_hosts.host("d.lab", late)
    daemon = serve(limits={"policy-timeout": "1s"})
    before = time.monotonic()
    assert send(daemon.address, "bob@d.lab").accepted
    assert time.monotonic() - before < 30
    assert send(daemon.address, "bob@d.lab").accepted
    hold.set()
    fetched(daemon)
    until(lambda: refused(send(daemon.address, "bob@d.lab")), "it is heard")
    assert host.connections == 1


def test_other_cas_in_the_place_of_those_before(serve, internet, policy_hosts):
    """They are another file, which a process that has given up the others has never seen."""
    internet.peer("d.lab")
    policy_hosts.host("d.lab", response(WRONG))
    daemon = serve()
    before = until(lambda: daemon.policy_process, "there is a policy process")
    new = shutil.copy(internet.ca, f"{internet.ca}.new")
    os.chmod(new, 0o644)
    os.rename(new, internet.ca)
    until(lambda: daemon.policy_process not in (before, None), "another one has seen them")
    assert refused(send(daemon.address, "bob@d.lab"))
    fetched(daemon)


def test_a_failed_fetch_is_not_repeated_at_once(serve, internet, policy_hosts):
    internet.peer("d.lab")
    host = policy_hosts.host("d.lab", response("", "404 Not Found"))
    daemon = serve()
    assert send(daemon.address, "bob@d.lab").accepted
    daemon.logged(says("the MTA-STS policy of d.lab cannot be had: HTTP 404; mail goes as if"))
    daemon.process.send_signal(signal.SIGHUP)
    for _ in range(5):
        assert send(daemon.address, "bob@d.lab").accepted
    assert host.connections == 1


def test_a_full_disk(serve, internet, policy_hosts, cache):
    for n in (1, 2):
        internet.peer(f"d{n}.lab")
        policy_hosts.host(f"d{n}.lab", response(WRONG))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k,mode=700,uid="
                    f"{cache.stat().st_uid}", "tmpfs", cache], check=True)
    try:
        daemon = serve()
        with open(cache / "ballast", "wb", buffering=0) as f, pytest.raises(OSError):
            while True:
                f.write(b"x" * 4096)
        for _ in range(2):
            assert refused(send(daemon.address, "bob@d1.lab"))
            assert refused(send(daemon.address, "bob@d2.lab"))
        daemon.logged(says("memory alone"))
        assert sum("memory alone" in r["message"] for r in daemon.records()) == 1
        (cache / "ballast").unlink()
        daemon.healthy()
        daemon.stop()
    finally:
        subprocess.run(["umount", "-l", cache], check=True)


def many(zoo, count):
    """Domains, and one pair for the policy hosts of them all."""
    domains = [f"d{n}.many.lab" for n in range(count)]
    hosts = [f"mta-sts.{d}" for d in domains]
    return domains, zoo.pair(hosts[0], more=tuple(hosts[1:]))


def ask_all(daemon, domains, at_once):
    """A RCPT for each, so many sessions at a time."""
    left, lock = list(domains), threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                domain = left.pop()
            with Client(daemon.address) as c:
                c.reply(220, seconds=60)
                c.command("EHLO backend.example", 250, seconds=60)
                c.command("MAIL FROM:<a@b.example>", 250, seconds=60)
                c.command(f"RCPT TO:<bob@{domain}>", seconds=60)
    threads = [threading.Thread(target=work) for _ in range(at_once)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


@pytest.mark.heavy
def test_killed_while_it_writes(serve, internet, policy_hosts, zoo, cache, built):
    domains, pair = many(zoo, 120)
    host = policy_hosts.host_of_many(domains, pair, response(policy("enforce", "mx.many.lab")))
    for domain in domains:
        internet.dns.null_mx(domain)
        policy_hosts.announce(domain, ttl=300)
    daemon, kept = serve(), cache / "mta-sts"
    asking = threading.Thread(target=ask_all, args=(daemon, domains, 20))
    asking.start()
    until(lambda: kept.exists() and len(os.listdir(kept)) > 10, "it writes")
    os.kill(daemon.policy_process, signal.SIGKILL)
    asking.join()
    daemon.logged(says("the policy process was started again"))
    until(lambda: send(daemon.address, f"bob@{domains[0]}").last.startswith("556"), "it serves")
    daemon.stop()
    host.close()
    said = subprocess.run([built, "policy", "-c", daemon.config, *domains], capture_output=True,
                          text=True, timeout=60)
    assert "passed over" not in said.stderr, said.stderr
    whole = list(kept.iterdir())
    assert not [f.name for f in whole if f.name.startswith(".")]
    assert said.stdout.count("holds until") == len(whole) >= 10
