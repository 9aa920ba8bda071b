# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""MTA-STS (RFC 8461) when very many ask at once, of which some stand in the way."""

import contextlib
import re
import selectors
import threading

import pytest

from harness.daemon import sanitized
from harness.internet import send
from harness.net import WAIT, Deadline, until
from harness.peer import Client
from harness.sts import policy, response

pytestmark = [pytest.mark.namespaces, pytest.mark.heavy]

SLOW = 10
TOGETHER = 50  # domains of one policy host
MB = 1 << 20
GOOD = response(policy("testing", "mx.lab"))


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

    def wait(self, domains):
        """Until these have their answers; those of others that come meanwhile are noted, too."""
        left, deadline = set(domains) - set(self.answers), Deadline()
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


def test_nobody_waits_for_another(serve, internet, policy_hosts, zoo):
    """Answers come in the time of the slowest: before him all others have theirs."""
    domains = [f"d{n}.lab" for n in range(3 * SLOW)]
    slow, fast = domains[:SLOW], domains[SLOW:]
    release = threading.Event()

    def late(host, tls):
        release.wait(WAIT)
        tls.sendall(GOOD)
    slow_hosts = settle(internet, policy_hosts, zoo, slow, late)
    hosts = settle(internet, policy_hosts, zoo, fast, GOOD)
    daemon = serve()
    with Crowd(daemon.address, domains) as crowd:
        crowd.ask()
        crowd.wait(fast)
        until(lambda: sum(host.most for host in slow_hosts) == SLOW, "all are asked at once")
        assert not crowd.answers.keys() & set(slow)
        release.set()
        crowd.wait(slow)
    assert requests(slow_hosts + hosts) == sorted(f"mta-sts.{d}" for d in domains)
    daemon.healthy()


def given_up(daemon):
    """Policy hosts whose place went to somebody else, for they took too long: this machine did."""
    text = re.compile(r"MTA-STS policy of (\S+) cannot be had: its host takes its time")
    return {f"mta-sts.{found[1]}" for line in list(daemon.lines) if (found := text.search(line))}


def test_a_thousand_domains_at_once(serve, internet, policy_hosts, zoo, cache):
    """One fetch a domain; and who has answered a thousand, and others, needs little more memory."""
    rounds = [150] if sanitized() else [SLOW, 1000, 1000]
    daemon, sizes = serve(), []
    pids = daemon.workers[0], daemon.policy_process
    for n, count in enumerate(rounds):
        domains = [f"d{i}.round{n}.lab" for i in range(count)]
        names = {f"mta-sts.{d}" for d in domains}
        hosts = settle(internet, policy_hosts, zoo, domains, GOOD)
        with Crowd(daemon.address, domains) as crowd:
            crowd.ask()
            crowd.wait(domains)
        assert all(a.startswith(b"556") for a in crowd.answers.values())
        until(lambda hosts=hosts, names=names: names <= {*requests(hosts), *given_up(daemon)},
              "all are fetched")
        assert len(requests(hosts)) == len(set(requests(hosts)))
        sizes = sizes or [daemon.rss(pid) for pid in pids]
        if not sanitized():  # it keeps what was freed
            until(lambda: daemon.rss(pids[0]) < sizes[0] + 8 * MB, "a worker's memory is flat")
            # What libunbound keeps is bounded, but not full yet; and so are the policies.
            until(lambda: daemon.rss(pids[1]) < sizes[1] + 32 * MB, "the policy process's, too")
    until(lambda: len(list((cache / "mta-sts").iterdir())) >= sum(rounds) - len(given_up(daemon)),
          "all are kept")
    daemon.healthy()


def test_hosts_that_take_their_time(serve, internet, policy_hosts, zoo):
    """More than there are places to fetch: another domain's first policy comes in its time."""
    slow = [f"d{n}.slow.lab" for n in range(270)]

    def stall(host, _):
        host.closing.wait(WAIT)
    settle(internet, policy_hosts, zoo, slow, stall)
    server = internet.peer("d.lab")
    policy_hosts.host("d.lab", response(policy("enforce", "mx1.elsewhere.lab")))
    daemon = serve()
    with Crowd(daemon.address, slow) as crowd:
        crowd.ask()
        # From now on one has had his place for long enough, and the next may have it.
        daemon.logged(lambda r: "takes its time while others wait; mail goes as if" in r["message"])
        seen = send(daemon.address, "bob@d.lab")
        assert seen.last.startswith("451 4.7."), seen
        assert not server.store.messages
        crowd.wait(slow)
    daemon.healthy()
