# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
TLSA records and an MTA-STS policy of one domain, as mail: whatever the records, the policy, what
the host shows, the domain's file and whether its MX records are signed. RFC 8461 §2: DANE is not
overridden by MTA-STS; each host goes by its own rule.
"""

import itertools

import pytest

from harness import nsd, sts
from harness.published import ROUTES
from harness.tlsa import NOBODY

pytestmark = pytest.mark.namespaces

# What the records of a host say: of its key, of who signed that, of somebody else, nothing that
# can be used; and where they are forged, or not signed.
TLSA = {"absent": "", "ee": "3 1 1 {leaf}", "ta": "2 1 1 {issuer}", "other": NOBODY,
        "unusable": "1 1 1 {leaf}", "bogus": "3 1 1 {leaf}", "plain": NOBODY}
SHOWN = {"good": "good", "self": "self-signed", "name": "wrong-name", "clear": None}
# Which hosts the policy names; they lie in three zones.
OURS, OTHERS = ["*.hosts.lab", "*.bogus.lab", "*.plain.lab"], ["mx.elsewhere.lab"]
STS = {"none": None, "listed": ("enforce", OURS), "unlisted": ("enforce", OTHERS),
       "tested": ("testing", OURS), "untested": ("testing", OTHERS)}
# A zone of domains each: its file.
FILES = {"may": "tls = may", "nodane": "tls = may\ndane = no", "nosts": "tls = none\nmta-sts = no",
         "neither": "tls = none\ndane = no\nmta-sts = no", "secure": "tls = secure\nmatch = mx",
         "forged": "tls = may"}   # whose MX records are not signed

HOSTS = [f"{t}-{s}" for t, s in itertools.product(TLSA, SHOWN)]
PAIRS = list(itertools.permutations(["absent-good", "absent-self", "absent-clear", "ee-self",
                                     "other-good", "bogus-good", "unusable-self"], 2))


def zone_of(host):
    return host.partition("-")[0] if host.startswith(("bogus", "plain")) else "hosts"


def name_of(host):
    return f"{host}.{zone_of(host)}.lab"


def fill(world):
    """All hosts, domains and policies."""
    world.zone("hosts.lab")
    world.zone("bogus.lab", nsd.BOGUS, "TLSA")
    world.zone("plain.lab", nsd.INSECURE)
    for host in HOSTS:
        tlsa, shown = host.split("-")
        record = TLSA[tlsa] if SHOWN[shown] else TLSA[tlsa][:6] + NOBODY[6:]
        world.host(name_of(host), SHOWN[shown], *([record] if TLSA[tlsa] else []))
    for file, text in FILES.items():
        world.zone(f"{file}.lab", nsd.INSECURE if file == "forged" else nsd.SECURE)
        world.files.put(f"{file}.lab", text, head="subdomains = yes")
        for policy, host in itertools.product(STS, HOSTS):
            world.domain(f"{host}.{policy}.{file}.lab", name_of(host))
    for first, second in PAIRS:
        world.domain(f"{first}.{second}.may.lab", name_of(first), name_of(second))
    for policy, how in STS.items():
        domains = [f"{host}.{policy}.{file}.lab" for file in FILES for host in HOSTS]
        if policy == "listed":
            domains += [f"{first}.{second}.may.lab" for first, second in PAIRS]
        if how:
            world.policy(sts.policy(how[0], *how[1]), domains)


@pytest.fixture(scope="module", params=ROUTES)
def served(request, zoo, certs):
    with ROUTES[request.param](zoo, certs, fill) as found:
        yield found


# -- what must become of it

def expected(host, policy, file):
    """
    (the enhanced status code of a refusal or None, what of MTA-STS is only tested and fails,
    whether mail must not be in clear)
    """
    tlsa, shown = host.split("-")
    mode, mx = STS[policy] or (None, None)
    if file in ("nosts", "neither"):
        mode = None
    if file in ("nodane", "neither") or tlsa == "plain":
        tlsa = "absent"
    if tlsa == "bogus":
        return "4.4.3", False, True
    usable = tlsa in ("ee", "ta", "other")
    # RFC 8461 §2: where DANE governs, MTA-STS does not; but a host of unsigned MX records may
    # be anybody's, and then its records are, too.
    named = mx is None or mx == OURS
    astray = not named and (not usable or file == "forged")
    unfit = not usable and shown != "good"
    fails = mode is not None and (astray or unfit)
    refused = mode == "enforce" and fails
    demands_tls = tlsa != "absent" or mode == "enforce" or file == "secure"
    if refused and astray:
        return "4.7.5", False, True
    if shown == "clear":
        return ("4.7.4" if demands_tls else None), not demands_tls and fails, demands_tls
    matches = {"ee": True, "ta": shown == "good", "other": False}.get(tlsa, True)
    if refused or not matches or (file == "secure" and shown != "good"):
        return "4.7.5", False, True
    return None, fails, demands_tls


def outcome(served, domain, host):
    """The same, as it was, and the line at the session's end."""
    lines = len(served.daemon.lines)
    seen, clear = served.send(f"bob@{domain}", served.world.hosts[name_of(host)])
    if not seen.accepted:
        assert seen.last[:4] in ("451 ", "421 ") and domain in seen.last, seen
    end = served.daemon.session_end(lines, domain=domain)   # behind all that is said of it
    warned = any("only tested" in line for line in served.daemon.lines[lines:])
    return None if seen.accepted else seen.last.split()[1], warned, not clear, end


@pytest.mark.parametrize("policy", STS)
@pytest.mark.parametrize("file", FILES)
def test_both_of_one_domain(served, file, policy):
    wrong = []
    for host in HOSTS:
        code, warned, secret = expected(host, policy, file)
        got = outcome(served, f"{host}.{policy}.{file}.lab", host)
        # What need not be secret is in clear only where the host, or its file, will have it so.
        clear = code is None and (host.endswith("-clear") or (
            FILES[file].startswith("tls = none") and not secret))
        if got[:3] != (code, warned, not clear) or (secret and clear):
            wrong.append((host, (code, warned, not clear), got))
    assert not wrong, "\n".join(map(str, wrong))


def test_each_host_by_its_own_rule(served):
    """In the order of preference; what is intercepted has one address, and its host's rule."""
    wrong = []
    for first, second in PAIRS:
        hosts = [h for h in (first, second) if not expected(h, "listed", "may")[0]]
        code, _, secret, end = outcome(served, f"{first}.{second}.may.lab", first)
        at = [h for h in HOSTS if end.get("host", "").startswith(f"{name_of(h)}[")]
        if served.chooses:
            good = at == hosts[:1] if code is None else not hosts
        else:
            good = code == expected(first, "listed", "may")[0] and (code or at == [first])
        if not good or not secret:
            wrong.append((first, second, code, end))
    assert not wrong, "\n".join(map(str, wrong))
