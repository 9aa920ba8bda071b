# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Mail to real servers whose domains have TLSA records or an MTA-STS policy, in a signed world."""

import itertools
import re
import subprocess

import pytest

from harness import mail, nsd, peer, real_out, sts
from harness.internet import send
from harness.published import Published
from harness.tlsa import NOBODY, words

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

KINDS = list(real_out.DESTINATIONS)
# what the host shows, and its records; whether mail arrives
DANE = {
    "leaf": ("expired", "3 1 1 {leaf}", True),  # of its own key nobody asks the date
    "issuer": ("good", "2 1 1 {issuer}", True),
    "other": ("good", NOBODY, False),
    "dates": ("expired", "2 1 1 {issuer}", False),
    "none": ("self-signed", "", True),
}
SHOWN = ["good", "wrong-name", "expired", "self-signed"]
POLICIES = {(mode, named): sts.policy(mode, "*.sts.lab" if named else "mx.elsewhere.lab")
            for mode in ("enforce", "testing", "none") for named in (True, False)}


def named(policy, shown, kind):
    mode, listed = policy
    return f"{mode}-{'listed' if listed else 'unlisted'}.{shown}-{kind}.sts.lab"


@pytest.fixture(scope="module")
def served(world, zoo, certs, tmp_path_factory):
    """The published world, the real servers of it, a daemon that sends there."""
    why = nsd.missing() or sts.prepare()
    if why:
        pytest.skip(why)
    folder, servers = tmp_path_factory.mktemp("published-real"), {}
    published = Published(zoo, certs)
    published.zone("dane.lab")
    published.zone("sts.lab", nsd.INSECURE)
    for policy, text in POLICIES.items():
        published.policy(text, [named(policy, *x) for x in itertools.product(SHOWN, KINDS)])
    try:
        for kind in KINDS:
            hosts = [(f"mx.{name}-{kind}.dane.lab", shown, record)
                     for name, (shown, record, _) in DANE.items()]
            hosts += [(f"{shown}-{kind}.sts.lab", shown, "") for shown in SHOWN]
            sites = {published.address(): (host, zoo.pair(host, shown)) for host, shown, _ in hosts}
            for (address, (host, pair)), (_, _, record) in zip(sites.items(), hosts):
                published.records(host, f"{{}} A {address}")
                if record:
                    record = record.format(**words(zoo, pair))
                    published.records(host, f"_25._tcp.{{}} TLSA {record}")
            for name in DANE:
                published.domain(f"{name}-{kind}.dane.lab", f"mx.{name}-{kind}.dane.lab")
            for policy, shown in itertools.product(POLICIES, SHOWN):
                published.domain(named(policy, shown, kind), f"{shown}-{kind}.sts.lab")
            servers[kind] = real_out.DESTINATIONS[kind](folder / kind, sites).start()
        with published, published.serve() as daemon:
            yield servers, daemon
    finally:
        for server in servers.values():
            server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_dane(served, tmp_path, kind):
    servers, d = served
    for name, (_, record, arrives) in DANE.items():
        domain, mark = f"{name}-{kind}.dane.lab", f"mark-{name}-{kind}-end"
        message = mail.marked(mail.eight_bit(), mark)
        file = tmp_path / f"{name}.eml"
        file.write_bytes(peer.stuff(message)[:-2])
        said = subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", str(d.port), "--from",
             "alice@backend.example", "--to", f"bob@{domain}", "--helo", "swaks.example", "--data",
             f"@{file}", "--no-data-fixup", "--suppress-data"],
            capture_output=True, timeout=60).stdout.decode("latin-1")
        if not arrives:
            refusal = re.search(r"<\*\* (451 4\.7\.5 .*)", said)
            assert refusal and domain in refusal.group(1), said
            continue
        stored = servers[kind].stored(mark.encode())
        assert mail.below(stored, message) is not None, stored[:3000]
        end = d.session_end(end="quit", domain=domain)
        assert end["far"].startswith("TLS"), end
        assert end.get("dane") == ({"3": "EE", "2": "TA"}[record[0]] if record else None), end


@pytest.mark.parametrize("kind", KINDS)
def test_mta_sts(served, kind):
    """RFC 8461 §5: enforced, or told in the log and delivered, or neither."""
    servers, d = served
    sent = []
    for (policy, shown) in itertools.product(POLICIES, SHOWN):
        (mode, listed), domain, lines = policy, named(policy, shown, kind), len(d.lines)
        message = mail.marked(mail.eight_bit(), f"mark-{domain}-end")
        seen = send(d.address, f"bob@{domain}", message=message)
        right = listed and shown == "good"
        if mode == "enforce" and not right:
            assert seen.last.startswith(f"451 4.7.5 {domain}"), seen
            assert "MTA-STS policy" in seen.last, seen
            continue
        assert seen.accepted, (domain, seen)
        end = d.session_end(lines, domain=domain)
        warned = any("only tested" in line for line in d.lines[lines:])
        assert warned == (mode == "testing" and not right), domain
        assert end["far"].startswith("TLS"), end
        assert end.get("mta-sts") == (mode if mode != "none" else None), end
        sent.append((domain, message))
    for domain, message in sent:
        stored = servers[kind].stored(f"mark-{domain}-end".encode())
        assert mail.below(stored, message) is not None, stored[:3000]
    assert len(sent) == 1 + 2 * 2 * len(SHOWN)
