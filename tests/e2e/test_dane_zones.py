# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
Mail to hosts of strange zones: aliases that lead to signed and unsigned places, nowhere and in a
circle (RFC 7672 §2.2.2, §2.2.3), denials, and more of everything than there is room for.
"""

import pytest

from harness import nsd
from harness.published import ROUTES
from harness.tlsa import NOBODY, words

pytestmark = pytest.mark.namespaces

LEAF, BARE, PLAIN = "mx.leaf.lab", "mx.bare.lab", "mx.plain.lab"
ALIAS, DOMAIN, SIGNED = "mx.{}. CNAME ", "{}. MX 10 mx.{}.", "_25._tcp.mx.{}. TLSA "
OTHERS = [f"3 1 1 {n:064x}" for n in range(500)]
PLENTY = range(1, 201)

# Domain: its lines, besides an MX record where none is among them (@LEAF etc. are addresses, and
# {leaf} is what the records of that host's key say); whose server it is; what becomes of mail:
# what DANE said, or the reply.
ZONES = {
    # denials
    "no-name": (["{}. MX 10 " + BARE + "."], BARE, None),
    "no-data": (["mx.{}. A @BARE", "_25._tcp.mx.{}. TXT x"], BARE, None),
    "unsigned": (["{}. MX 10 " + PLAIN + "."], PLAIN, None),
    "wildcard": (["mx.{}. A @BARE", "*.mx.{}. TLSA " + NOBODY], BARE, "4.7.5"),
    "wildcard-right": (["mx.{}. A @LEAF", "*.mx.{}. TLSA 3 1 1 {leaf}"], LEAF, "EE"),
    # aliases to signed hosts: the records of the far end, then those of the near one
    "far": ([ALIAS + LEAF + "."], LEAF, "EE"),
    "near": ([ALIAS + BARE + ".", SIGNED + "3 1 1 {bare}"], BARE, "EE"),
    "near-other": ([ALIAS + BARE + ".", SIGNED + NOBODY], BARE, "4.7.5"),
    "both": ([ALIAS + LEAF + ".", SIGNED + NOBODY], LEAF, "EE"),
    "neither": ([ALIAS + BARE + "."], BARE, None),
    "two-steps": ([ALIAS + "on.{}.", "on.{}. CNAME " + LEAF + "."], LEAF, "EE"),
    "tree": (["{}. MX 10 mx.to.{}.", "to.{}. DNAME leaf.lab."], LEAF, "EE"),
    "itself": (["{}. CNAME leaf.lab."], LEAF, "EE"),
    # ... out of what is signed: whoever is there does not take away what was signed before
    "out": ([ALIAS + PLAIN + ".", SIGNED + NOBODY], PLAIN, "4.7.5"),
    "out-right": ([ALIAS + PLAIN + ".", SIGNED + "3 1 1 {plain}"], PLAIN, "EE"),
    "out-none": ([ALIAS + PLAIN + "."], PLAIN, None),
    "out-dot": ([ALIAS + "dot.plain.lab.", SIGNED + NOBODY], PLAIN, "4.7.5"),
    "out-blank": ([ALIAS + "blank.plain.lab.", SIGNED + NOBODY], PLAIN, "4.7.5"),
    "out-far": ([ALIAS + "step1.plain.lab.", SIGNED + NOBODY], PLAIN, "4.7.5"),
    "out-back": ([ALIAS + "back.plain.lab.", SIGNED + NOBODY], LEAF, "4.7.5"),
    "in": (["{}. MX 10 back.plain.lab."], LEAF, None),
    # ... and nowhere, which may be a lie where it is not signed
    "nowhere": ([ALIAS + "gone.leaf.lab.", SIGNED + NOBODY], BARE, "4.4.3"),
    "out-nowhere": ([ALIAS + "gone.plain.lab.", SIGNED + NOBODY], BARE, "4.4.3"),
    "circle": ([ALIAS + "on.{}.", "on.{}. CNAME mx.{}.", SIGNED + NOBODY], BARE, "4.4.3"),
    "out-circle": ([ALIAS + "circle.plain.lab.", SIGNED + NOBODY], BARE, "4.4.3"),
    # the records are an alias
    "shared": (["mx.{}. A @LEAF", "_25._tcp.mx.{}. CNAME _25._tcp." + LEAF + "."], LEAF, "EE"),
    "lost": (["mx.{}. A @BARE", "_25._tcp.mx.{}. CNAME gone.leaf.lab."], BARE, None),
    "astray": (["mx.{}. A @BARE", "_25._tcp.mx.{}. CNAME _25._tcp." + PLAIN + "."], BARE, None),
    "round": (["mx.{}. A @BARE", "_25._tcp.mx.{}. CNAME on.{}.",
               "on.{}. CNAME _25._tcp.mx.{}."], BARE, "4.4.3"),
    # too much
    "records": (["mx.{}. A @BARE", *(SIGNED + r for r in OTHERS)], BARE, "4.7.5"),
    "records-strange": (["mx.{}. A @LEAF", *(SIGNED + "1" + r[1:] for r in OTHERS),
                         SIGNED + "3 1 1 {leaf}"], LEAF, "EE"),
    "records-large": (["mx.{}. A @BARE", *(SIGNED + f"2 0 0 {n:030000x}" for n in range(4))],
                      BARE, "4.7.5"),
    "hosts": ([f"{{}}. MX {n} h{n}.good.lab." for n in PLENTY], LEAF, "EE"),
    "hosts-bad": ([f"{{}}. MX {n} h{n}.bad.lab." for n in PLENTY], BARE, "4.7.5"),
    "hosts-gone": ([f"{{}}. MX {n} h{n}.gone.leaf.lab." for n in PLENTY], BARE, "4.4.3"),
    "addresses": (["mx.{}. A @LEAF", SIGNED + "3 1 1 {leaf}",
                   *(f"mx.{{}}. AAAA ff02::{n:x}" for n in range(1, 1001))], LEAF, "EE"),
}


def name_of(domain):
    return f"{domain}.z.lab"


def fill(world):
    world.zone("z.lab")
    filling = {}
    for name, shown, *records in (("leaf", "good", "3 1 1 {leaf}"), ("bare", "self-signed"),
                                  ("plain", "self-signed", NOBODY)):
        host = f"mx.{name}.lab"
        world.zone(f"{name}.lab", nsd.INSECURE if name == "plain" else nsd.SECURE)
        address = world.host(host, shown, *records).listener.address[0]
        world.domain(f"{name}.lab", host)
        filling |= {f"@{name.upper()}": address,
                    f"{{{name}}}": words(world.zoo, world.zoo.pair(host, shown))["leaf"]}
    for zone, address, record in (("good", "@LEAF", f"3 1 1 {filling['{leaf}']}"),
                                  ("bad", "@BARE", NOBODY)):
        world.zone(f"{zone}.lab")
        world.records(f"{zone}.lab", *(f"h{n}.{{}} A {filling[address]}\n_25._tcp.h{n}.{{}} "
                                       f"TLSA {record}" for n in PLENTY))
    a = "{} A " + filling["@PLAIN"]
    world.records("plain.lab", "dot.{} CNAME a\\.b.{}", "a\\.b." + a,
                  "blank.{} CNAME a\\032b.{}", "a\\032b." + a, f"back.{{}} CNAME {LEAF}.",
                  *(f"step{n}.{{}} CNAME step{n + 1}.{{}}" for n in range(1, 8)), "step8." + a,
                  "circle.{} CNAME other.{}", "other.{} CNAME circle.{}")
    denied = ["{}. MX 20 " + BARE + ".", DOMAIN, ALIAS + "gone.plain.lab.", SIGNED + NOBODY]
    for domain, lines in [*((d, z[0]) for d, z in ZONES.items()), ("denied", denied)]:
        leads = any(" MX " in line or line.startswith("{}. CNAME") for line in lines)
        text = "\n".join(lines if leads else [DOMAIN, *lines]).replace("{}", name_of(domain))
        for word, value in filling.items():
            text = text.replace(word, value)
        world.records("z.lab", text)


@pytest.fixture(scope="module", params=ROUTES)
def served(request, zoo, certs):
    with ROUTES[request.param](zoo, certs, fill) as found:
        yield found


@pytest.mark.parametrize("domain", ZONES)
def test_zones(served, domain):
    _, host, outcome = ZONES[domain]
    lines = len(served.daemon.lines)
    seen, clear = served.send(f"bob@{name_of(domain)}", served.world.hosts[host])
    assert not clear
    if outcome and "." in outcome:
        assert seen.last.split()[1] == outcome, seen
    else:
        assert seen.accepted, seen
        assert served.daemon.session_end(lines, domain=name_of(domain)).get("dane") == outcome


def test_a_host_that_is_denied(served):
    """
    Its TLSA records are signed, where it leads is not: no address, says DNS, but the backend was
    told another. What is intercepted does not do better for that.
    """
    seen, clear = served.send(f"bob@{name_of('denied')}", served.world.hosts[PLAIN])
    assert not clear
    if served.chooses:
        assert seen.accepted and served.world.hosts[BARE].store.messages
    else:
        assert seen.last.startswith("421 4.7.5"), seen
