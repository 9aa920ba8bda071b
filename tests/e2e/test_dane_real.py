# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Mail to real servers whose domains have TLSA records, in a signed world."""

import re
import subprocess

import pytest

from harness import mail, nsd, peer, real_out
from harness.tlsa import NOBODY, words

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

KINDS = list(real_out.DESTINATIONS)
# what the host shows, and its records; whether mail arrives
DOMAINS = {
    "leaf": ("expired", "3 1 1 {leaf}", True),  # of its own key nobody asks the date
    "issuer": ("good", "2 1 1 {issuer}", True),
    "other": ("good", NOBODY, False),
    "dates": ("expired", "2 1 1 {issuer}", False),
    "none": ("self-signed", "", True),
}


@pytest.fixture(scope="module")
def signed(world, zoo, tmp_path_factory):
    why = nsd.missing()
    if why:
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("dane-real")
    zones, servers, address = {}, {}, 150
    try:
        for kind in KINDS:
            sites = {}
            for name, (certificate, record, _) in DOMAINS.items():
                host, address = f"mx.{name}-{kind}.lab", address + 1
                pair = zoo.pair(host, certificate)
                sites[f"198.51.100.{address}"] = (host, pair)
                zone = f"@ MX 10 mx\nmx A 198.51.100.{address}\n"
                if record:
                    zone += f"_25._tcp.mx TLSA {record.format(**words(zoo, pair))}\n"
                zones[f"{name}-{kind}.lab"] = (nsd.SECURE, zone)
            servers[kind] = real_out.DESTINATIONS[kind](folder / kind, sites).start()
        with nsd.SignedWorld(tmp_path_factory.mktemp("dns"), zones) as dns:
            dns.servers = servers
            yield dns
    finally:
        for server in servers.values():
            server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_published_is_what_it_gets(signed, smarthost, internet, tmp_path, kind):
    anchor = internet.readable(signed.anchor)
    d = smarthost(policy={"resolver": signed.resolver, "trust-anchor": anchor})
    for name, (_, record, arrives) in DOMAINS.items():
        domain, mark = f"{name}-{kind}.lab", f"mark-{name}-{kind}-end"
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
        stored = signed.servers[kind].stored(mark.encode())
        assert mail.below(stored, message) is not None, stored[:3000]
        end = d.session_end(end="quit", domain=domain)
        assert end["far"].startswith("TLS"), end
        assert end.get("dane") == ({"3": "EE", "2": "TA"}[record[0]] if record else None), end
