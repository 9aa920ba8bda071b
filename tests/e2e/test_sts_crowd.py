# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""MTA-STS (RFC 8461) when very many ask at once, of which some stand in the way."""

import contextlib
import selectors
import threading

import pytest

from harness.daemon import sanitized
from harness.internet import send
from harness.net import Deadline, until
from harness.peer import Client
from harness.sts import policy, response

pytestmark = [pytest.mark.namespaces, pytest.mark.heavy]

SLOW = 20
TOGETHER = 50  # domains of one policy host


class Crowd:
    """A session for each domain, where a RCPT comes next; `answers` are in the order of coming."""

    def __init__(self, address, domains):
        self.answers = {}
        self._left = selectors.DefaultSelector()
        self._open = contextlib.ExitStack()
        self._clients = {d: self._open.enter_context(Client(address)) for d in domains}
        for client in self._clients.values():
            client.begin()
            client.command("MAIL FROM:<a@b.example>", 250)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open.close()
        self._left.close()

    def ask(self):
        for domain, client in self._clients.items():
            self._left.register(client.sock, selectors.EVENT_READ, (domain, client))
            client.send(f"RCPT TO:<bob@{domain}>\r\n")

    def wait(self, domains, seconds=60):
        """Until these have their answers; those of others that come meanwhile are noted, too."""
        left, deadline = set(domains) - set(self.answers), Deadline(seconds)
        while left:
            for key, _ in self._left.select(deadline.left()):
                domain, client = key.data
                self.answers[domain] = client.reply()[-1]
                self._left.unregister(client.sock)
                left.discard(domain)
            assert not deadline.over(), f"{len(left)} have no answer"


def settle(internet, policy_hosts, zoo, domains, answer, mode="testing"):
    """Domains that take no mail, so that a RCPT ends there, and their policy hosts."""
    hosts = []
    for n in range(0, len(domains), TOGETHER):
        some = domains[n:n + TOGETHER]
        names = [f"mta-sts.{d}" for d in some]
        pair = zoo.pair(names[0], more=tuple(names[1:]))
        hosts.append(policy_hosts.host_of_many(some, pair, answer))
    for domain in domains:
        internet.dns.null_mx(domain)
        policy_hosts.announce(domain, ttl=300)
    return hosts


def requests(hosts):
    return sorted(name for host in hosts for _, name in host.requests)


@pytest.fixture
def serve(smarthost, cache):
    limits = {"policy-timeout": "60s", "connections-per-address": 3000}
    return lambda **more: smarthost(policy={"cache": cache}, limits={**limits, **more})


def test_a_thousand_domains_at_once(serve, internet, policy_hosts, zoo, cache):
    """
    They are answered in the time of the slowest: nobody waits for another one. Two rounds, for
    what they leave behind in memory.
    """
    count = 150 if sanitized() else 1000
    daemon, sizes = serve(), []
    for n in (1, 2):
        domains = [f"d{i}.round{n}.lab" for i in range(count)]
        slow, fast = domains[:SLOW], domains[SLOW:]
        release = threading.Event()

        def late(_, tls, release=release):
            release.wait(60)
            tls.sendall(response(policy("testing", "mx.lab")))
        slow_hosts = settle(internet, policy_hosts, zoo, slow, late)
        hosts = settle(internet, policy_hosts, zoo, fast, response(policy("testing", "mx.lab")))
        with Crowd(daemon.address, domains) as crowd:
            crowd.ask()
            crowd.wait(fast)
            assert not crowd.answers.keys() & set(slow)
            until(lambda hosts=slow_hosts: sum(host.most for host in hosts) == SLOW,
                  "the slow ones are waited for at once")
            release.set()
            crowd.wait(slow)
        assert all(a.startswith(b"556") for a in crowd.answers.values())
        assert requests(slow_hosts + hosts) == sorted(f"mta-sts.{d}" for d in domains)
        until(lambda n=n: len(list((cache / "mta-sts").iterdir())) == n * count, "all are kept")
        sizes.append(daemon.rss())
    # What libunbound keeps is bounded, but not full yet. A sanitizer keeps what was freed.
    assert sizes[1] - sizes[0] < 32 << 20 or sanitized(), sizes
    daemon.healthy()


def test_hosts_that_take_their_time(serve, internet, policy_hosts, zoo):
    """More than there are places to fetch: another domain's first policy comes in its time."""
    slow = [f"d{n}.slow.lab" for n in range(270)]

    def stall(host, _):
        host.closing.wait(60)
    tarpits = settle(internet, policy_hosts, zoo, slow, stall)
    server = internet.peer("d.lab")
    policy_hosts.host("d.lab", response(policy("enforce", "mx1.elsewhere.lab")))
    daemon = serve(**{"policy-timeout": "12s"})
    with Crowd(daemon.address, slow) as crowd:
        crowd.ask()
        for domain in slow:
            internet.dns.wait_asked(f"mta-sts.{domain}", "AAAA")
        until(lambda: sum(len(host.requests) for host in tarpits) >= 20, "they are asked")
        seen = send(daemon.address, "bob@d.lab")
        assert seen.last.startswith("451 4.7."), seen
        assert not server.store.messages
        crowd.wait(slow)
    daemon.logged(lambda r: "takes its time while others wait; mail goes as if" in r["message"])
    daemon.healthy()
