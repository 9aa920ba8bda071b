# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
What becomes of mail under DANE, and what posttls-finger of Postfix says of the same host: every
usage, selector and matching type, of every certificate in a chain, sets of records, aliases.
"""

import itertools

import pytest
from test_dane_zones import ZONES, name_of
from test_dane_zones import fill as fill_zones

from harness.finger import Finger, Resolver
from harness.published import smarthost
from harness.tlsa import record

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

# What hosts show: all of the chain, less of it, names that are not theirs, old certificates.
SHOWN = {"whole": "root-as-well", "good": "good", "bare": "missing-intermediate",
         "name": "wrong-name", "expired": "expired", "lapsed": "expired-intermediate",
         "self": "self-signed"}
OF = ["leaf", "issuer", "root", "stranger"]
FEW = list(itertools.product((2, 3), (0, 1), (0, 1), OF[:3]))
ROWS = {shown: FEW for shown in SHOWN} | {
    "whole": list(itertools.product((2, 3), (0, 1), (0, 1, 2), OF)),
    # and what cannot be used
    "self": [*itertools.product((2, 3), (0, 1), (0, 1), OF[:1]),
             *itertools.product((0, 1), (0, 1), (0, 1, 2), ["leaf", "stranger"]),
             *[(*r, of) for r in ((4, 1, 1), (3, 2, 1), (3, 1, 3), (255, 255, 255))
               for of in ("leaf", "stranger")]]}

# Sets of records of a host that shows "good": usage, selector, matching type, of what.
EE, EE2, TA = (3, 1, 1, "leaf"), (3, 1, 2, "leaf"), (2, 1, 1, "issuer")
NOT, NOT2, NOT_TA = (3, 1, 1, "stranger"), (3, 1, 2, "stranger"), (2, 1, 1, "stranger")
SETS = {"one-of-two": [NOT, EE], "none-of-two": [NOT, NOT_TA], "either": [EE, TA],
        "anchor-does": [NOT, TA], "key-does": [EE, NOT_TA], "mixed": [(1, 1, 1, "stranger"), EE],
        "mixed-other": [(1, 1, 1, "leaf"), NOT], "mixed-old": [(0, 1, 1, "issuer"), TA],
        "agile": [NOT, EE2], "agile-other": [EE, NOT2], "agile-each": [NOT2, EE, TA],
        "agile-selector": [NOT2, (3, 0, 1, "leaf")], "agile-full": [NOT2, (3, 1, 0, "leaf")],
        "agile-strange": [(3, 1, 3, "stranger"), EE]}


def domain_of(shown, *row):
    return f"{'-'.join(map(str, row))}.{shown}-chain.lab"


def certificates(zoo, shown):
    """What a record may be of, for a host that shows this."""
    issuer = zoo.authorities["expired" if shown == "lapsed" else "good"]
    return {"leaf": pair_of(zoo, shown).leaf(), "issuer": issuer.certificate,
            "root": issuer.issuer.certificate,
            "stranger": zoo.authorities["own"].certificate}


def pair_of(zoo, shown):
    more = () if shown == "name" else (f"*.{shown}-chain.lab",)
    return zoo.pair(f"mx.{shown}-chain.lab", SHOWN[shown], more=more)


def fill(world):
    """Domains that are their own hosts; those of one certificate share a server."""
    fill_zones(world)
    addresses = {}
    for shown in SHOWN:
        world.zone(f"{shown}-chain.lab")
        server = world.host(f"mx.{shown}-chain.lab", SHOWN[shown])
        server.present(pair_of(world.zoo, shown))
        addresses[shown] = server.listener.address[0]
        for row in [*ROWS[shown], *((n,) for n in SETS if shown == "good")]:
            world.records(domain_of(shown, *row), f"{{}} A {addresses[shown]}", *(
                f"_25._tcp.{{}} TLSA {record(*r[:3], certificates(world.zoo, shown)[r[3]])}"
                for r in SETS.get(row[0], [row])))


@pytest.fixture(scope="module")
def served(zoo, certs):
    with smarthost(zoo, certs, fill) as found:
        yield found


@pytest.fixture(scope="module")
def postfix(world, served, zoo, tmp_path_factory):
    """{domain: what Postfix says}."""
    domains = [domain_of(shown, *row) for shown in SHOWN for row in ROWS[shown]]
    domains += [domain_of("good", name) for name in SETS] + [name_of(d) for d in ZONES]
    with Resolver(served.world.world):
        return Finger(tmp_path_factory.mktemp("finger"), zoo.ca).says("dane", *domains)


# -- both say the same

def ours(served, domain):
    """What DANE made of it, or the reply's code, and whether it is verified."""
    lines = len(served.daemon.lines)
    seen, clear = served.send(f"bob@{domain}")
    assert not clear
    if not seen.accepted:
        return seen.last.split()[1], False
    dane = served.daemon.session_end(lines, domain=domain).get("dane")
    return dane, dane in ("EE", "TA")


def agree(served, postfix, domain):
    """None, or how they differ."""
    outcome, verified = ours(served, domain)
    said = postfix[domain]
    met, theirs = "TLS connection established" in said, ": Verified TLS connection" in said
    same = verified == theirs and met == (outcome not in ("4.4.3", "5.1.2"))
    if outcome == "4.7.5":
        same = same and "verification failed" in said
    elif not verified:
        same = same and "DANE TLSA records" not in said   # none of them counts
    return None if same else (domain, outcome, said)


@pytest.mark.parametrize("shown", SHOWN)
def test_records(served, postfix, shown):
    rows = [(shown, *row) for row in ROWS[shown]]
    wrong = list(filter(None, (agree(served, postfix, domain_of(*row)) for row in rows)))
    assert not wrong, "\n".join(map(str, wrong))


def test_sets_of_records(served, postfix):
    wrong = list(filter(None, (agree(served, postfix, domain_of("good", n)) for n in SETS)))
    assert not wrong, "\n".join(map(str, wrong))


# Postfix takes no names of hosts that are none, and no answer with more than 100 records or with
# more than it has room for; what it makes of these is that it cannot know (RFC 7672 §2.1.2).
ELSEWHERE = ["out-dot", "out-blank", "records", "records-strange", "records-large"]


def test_zones(served, postfix):
    wrong = [how for d in ZONES if d not in ELSEWHERE
             for how in [agree(served, postfix, name_of(d))] if how]
    assert not wrong, "\n".join(map(str, wrong))
    for domain in ELSEWHERE:
        assert "TLS connection established" not in postfix[name_of(domain)]
