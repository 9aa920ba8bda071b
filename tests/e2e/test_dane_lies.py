# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
Mail while somebody on the way to the name servers lies about signed zones. RFC 7672 §2.1.2: what
cannot be known makes a host unusable, and never one without DANE.
"""

import ipaddress
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import nsd
from harness.net import until
from harness.nsd import forged, query, question, unsigned, wire
from harness.published import ROUTES
from harness.sts import policy
from harness.tlsa import NOBODY

pytestmark = pytest.mark.namespaces

A, CNAME, MX, AAAA, DS, DNSKEY, TLSA = 1, 5, 15, 28, 43, 48, 52
NXDOMAIN, REFUSED = 3, 5

EVIL, SMUGGLER = "mx.evil.lab", "mx.smuggler.lab"   # the other one with TLSA records of its own
HOST, RECORD = "mx.{}", "_25._tcp.mx.{}"


def says(type_, data, **how):
    """Whatever is true."""
    return lambda octets, _: forged(octets, (type_, data), **how)


def denies(code=0, **how):
    return lambda octets, _: forged(octets, code=code, **how)


def denial_of_another(meddler):
    """The true and signed denial of a name beside this one, as long as it."""
    def how(octets, _):
        name, type_ = question(octets)
        answer, end = meddler.ask(query(name.replace("_25", "_26"), type_)), len(forged(octets))
        return octets[:2] + answer[2:12] + octets[12:end] + answer[end:]
    return how


def lies(evil=bytes(4), meddler=None):
    """
    Domain: whether it is about where the host is (else about how it must be spoken to); the name
    and type whose answer is another, and what it is.
    """
    key, anchor = b"\1\1\3\x0d" + bytes(64), b"\0\1\x0d\2" + bytes(32)
    other = bytes([3, 1, 1]) + bytes(32)
    return {
        "records-servfail": (False, RECORD, TLSA, "servfail"),
        "records-refused": (False, RECORD, TLSA, denies(REFUSED)),
        "records-garbage": (False, RECORD, TLSA, lambda q, _: q[:2] + b"\xff" * 40),
        "records-cut": (False, RECORD, TLSA, denies(flags=0x8620)),
        "records-empty": (False, RECORD, TLSA, denies()),
        "records-denied": (False, RECORD, TLSA, denies(NXDOMAIN)),
        "records-denied-elsewhere": (False, RECORD, TLSA, denial_of_another(meddler)),
        "records-unsigned": (False, RECORD, TLSA, unsigned),
        "records-forged": (False, RECORD, TLSA, says(TLSA, other)),
        "records-alias": (False, RECORD, TLSA, says(CNAME, wire("_25._tcp." + EVIL))),
        "records-circle": (False, RECORD, TLSA, lambda q, _: forged(
            q, (CNAME, wire(question(q)[0])))),
        "host-servfail": (True, HOST, A, "servfail"),
        "host-unsigned": (True, HOST, A, unsigned),
        "host-forged": (True, HOST, A, says(A, evil)),
        "host-denied": (True, HOST, A, denies(NXDOMAIN)),
        "host-alias": (True, HOST, A, says(CNAME, wire(EVIL))),
        "host-circle": (True, HOST, A, lambda q, _: forged(q, (CNAME, wire(question(q)[0])))),
        "host-six": (True, HOST, AAAA, "servfail"),
        "host-six-forged": (True, HOST, AAAA, says(AAAA, bytes(10) + b"\xff\xff" + evil)),
        "hosts-servfail": (True, "{}", MX, "servfail"),
        "hosts-unsigned": (True, "{}", MX, unsigned),
        "hosts-forged": (True, "{}", MX, says(MX, b"\0\1" + wire(EVIL))),
        "hosts-smuggled": (True, "{}", MX, says(MX, b"\0\1" + wire(SMUGGLER))),
        "hosts-empty": (True, "{}", MX, denies()),
        "hosts-denied": (True, "{}", MX, denies(NXDOMAIN)),
        "hosts-null": (True, "{}", MX, says(MX, b"\0\0\0")),
        "hosts-alias": (True, "{}", MX, says(CNAME, wire("evil.lab"))),
        "zone-denied": (True, "{}", DS, denies()),
        "zone-nowhere": (True, "{}", DS, denies(NXDOMAIN)),
        "zone-unsigned": (True, "{}", DS, unsigned),
        "zone-forged": (True, "{}", DS, says(DS, anchor)),
        "keys-denied": (True, "{}", DNSKEY, denies()),
        "keys-unsigned": (True, "{}", DNSKEY, unsigned),
        "keys-forged": (True, "{}", DNSKEY, says(DNSKEY, key)),
        "keys-servfail": (True, "{}", DNSKEY, "servfail"),
    }


# Those that can be told of a zone that is not signed.
MISLEADING = [lie for lie, (where, _, type_, _) in lies().items()
              if where and type_ not in (DS, DNSKEY)]


def fill(world):
    """Hosts show what their records do not say: they would be taken if there were no records."""
    world.zone("evil.lab", nsd.INSECURE)
    world.host(EVIL, "good")
    world.domain("evil.lab", EVIL)
    world.zone("smuggler.lab")
    world.host(SMUGGLER, "good", "3 1 1 {leaf}")
    world.zone("truth.lab")
    world.host("mx.truth.lab", "good", "3 1 1 {leaf}")
    world.host("mx2.truth.lab", "self-signed", NOBODY)
    world.zone("more.lab")
    world.domain("truth.lab", "mx.truth.lab")
    world.domain("more.lab", "mx.truth.lab")
    address = world.hosts["mx2.truth.lab"].listener.address[0]
    for lie in [*lies(), "silent"]:
        for domain, kind in ((f"{lie}.lab", nsd.SECURE), (f"plain-{lie}.lab", nsd.INSECURE)):
            world.zone(domain, kind)
            world.domain(domain, f"mx.{domain}")
            world.records(f"mx.{domain}", f"{{}} A {address}", f"_25._tcp.{{}} TLSA {NOBODY}")
        world.files.put(f"plain-{lie}.lab", "tls = secure")
    for domain in ("poison1.lab", "poison2.lab", "poison3.lab", "victim.lab"):
        world.zone(domain, nsd.INSECURE)
        world.domain(domain, f"mx.{domain}")
        if domain in ("poison1.lab", "victim.lab"):
            poison = world.host(f"mx.{domain}").listener.address[0]
        else:
            world.records(f"mx.{domain}", f"{{}} A {poison}")
    world.zone("sts.lab", nsd.INSECURE)
    for domain in [f"{lie}.sts.lab" for lie in MISLEADING]:
        world.domain(domain, f"mx.{domain}")
        world.records(f"mx.{domain}", f"{{}} A {address}")
    world.policy(policy("enforce", *(f"mx.{lie}.sts.lab" for lie in MISLEADING)),
                 [f"{lie}.sts.lab" for lie in MISLEADING])


@pytest.fixture(scope="module", params=ROUTES)
def served(request, zoo, certs):
    with ROUTES[request.param](zoo, certs, fill, meddled=True,
                               limits={"policy-timeout": "6s"}) as found:
        evil = ipaddress.ip_address(found.world.hosts[EVIL].listener.address[0]).packed
        for domain, (_, name, type_, how) in lies(evil, found.world.meddler).items():
            for asked in (f"{domain}.lab", f"plain-{domain}.lab", f"{domain}.sts.lab"):
                found.world.meddler.spoil(name.format(asked), type_, how)
        for n, section in enumerate((6, 8, 10), 1):
            found.world.meddler.spoil(f"poison{n}.lab", MX, poisoned(evil, section))
        found.world.meddler.spoil(RECORD.format("silent.lab"), TLSA, "silent")
        yield found


def truth_is_told(served, domain="truth.lab"):
    seen, clear = served.send(f"bob@{domain}", served.world.hosts["mx.truth.lab"])
    assert seen.accepted and not clear, seen


def backend_goes_to(served, lie):
    """It believes lies about where the host is; we may choose for ourselves."""
    where = {"hosts-forged": EVIL, "host-forged": EVIL, "host-alias": EVIL, "hosts-alias": EVIL,
             "hosts-smuggled": SMUGGLER}
    return served.world.hosts[where.get(lie, "mx2.truth.lab")]


@pytest.mark.parametrize("lie", lies())
def test_lies_about_a_signed_zone(served, lie):
    seen, clear = served.send(f"bob@{lie}.lab", backend_goes_to(served, lie))
    assert seen.last[:10] in ("451 4.4.3 ", "421 4.4.3 ") and f"{lie}.lab" in seen.last, seen
    assert not clear
    _, name, type_, _ = lies()[lie]
    assert (name.format(f"{lie}.lab"), type_) in served.world.meddler.asked
    truth_is_told(served)


@pytest.mark.parametrize("lie", lies())
def test_lies_about_another_zone(served, lie):
    """Nobody can tell; but the file demands a certificate that the liar does not have."""
    seen, clear = served.send(f"bob@plain-{lie}.lab", backend_goes_to(served, lie))
    assert not seen.accepted and not clear, seen
    truth_is_told(served)


@pytest.mark.parametrize("lie", MISLEADING)
def test_lies_do_not_escape_mta_sts(served, lie):
    """Also where the host that one is led to has DANE (RFC 8461 §2): it is not named."""
    seen, clear = served.send(f"bob@{lie}.sts.lab", backend_goes_to(served, lie))
    nobody = "5.1.2" if served.chooses else "4.4.3"
    code = {"hosts-null": "5.1.10", "hosts-empty": nobody, "hosts-denied": nobody,
            "host-denied": nobody, "host-circle": "4.4.3", "host-servfail": "4.4.3",
            "hosts-servfail": "4.4.3"}.get(lie, "4.7.5")
    assert seen.last.split()[1] == code and not seen.accepted and not clear, seen
    truth_is_told(served)


def poisoned(evil, section):
    """An answer with more in one of its sections, about somebody else."""
    def how(octets, _):
        answer = bytearray(forged(octets, (MX, b"\0\1" + wire("mx." + question(octets)[0]))))
        for name, type_, data in (("victim.lab", MX, b"\0\1" + wire(EVIL)),
                                  ("mx.victim.lab", A, evil)):
            answer += wire(name) + struct.pack(">HHIH", type_, 1, 300, len(data)) + data
            answer[section + 1] += 1
        return bytes(answer)
    return how


def test_poison(served):
    """What an answer says of others is not believed."""
    for domain in ("poison1.lab", "poison2.lab", "poison3.lab"):
        assert served.send(f"bob@{domain}", served.world.hosts["mx.poison1.lab"])[0].accepted
    host = served.world.hosts["mx.victim.lab"]
    assert served.send("bob@victim.lab", host)[0].accepted
    end = served.daemon.session_end(domain="victim.lab")
    assert end["host"] == f"mx.victim.lab[{host.listener.address[0]}]"


def test_silence(served):
    """Who waits for an answer that does not come is alone in that."""
    host = served.world.hosts["mx2.truth.lab"]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(served.send, "bob@silent.lab", host)
        until(lambda: (RECORD.format("silent.lab"), TLSA) in served.world.meddler.asked, "asked")
        truth_is_told(served, "more.lab")
        assert not waiting.done()
        seen, _ = waiting.result()
    assert seen.last[4:].startswith("4.4.3 silent.lab"), seen
