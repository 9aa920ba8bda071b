# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
`sealpost probe` where the domain publishes TLSA records or an MTA-STS policy. posttls-finger of
Postfix, where it can judge the same destination, says the same.
"""

import json
import re

import pytest
from test_probe import FINE, NO, Probe, probe, secure  # noqa: F401

from harness import nsd, sts
from harness.finger import Finger, Resolver
from harness.internet import policy_section
from harness.published import Published
from harness.tlsa import NOBODY

pytestmark = pytest.mark.namespaces

# What each domain's one host shows, and its TLSA record; what becomes of mail under `may`.
DOMAINS = {
    "ee": ("good", "3 1 1 {leaf}", "dane"),
    "eeodd": ("self-signed-wrong-name", "3 1 1 {leaf}", "dane"),
    "eeexpired": ("expired", "3 1 1 {leaf}", "dane"),
    "eeother": ("good", NOBODY, None),
    "ta": ("good", "2 1 1 {issuer}", "dane"),
    "taname": ("wrong-name", "2 1 1 {issuer}", None),
    "taexpired": ("expired", "2 1 1 {issuer}", None),
    "two": ("good", NOBODY + "|3 1 1 {leaf}", "dane"),
    "none": ("good", "", ""),
    "plain": ("good", NOBODY, ""),
}


@pytest.fixture(scope="module")
def signed(zoo, certs):
    why = nsd.missing()
    if why:
        pytest.skip(why)
    published = Published(zoo, certs)
    for name, (kind, records, _) in DOMAINS.items():
        published.zone(f"{name}.lab", nsd.INSECURE if name == "plain" else nsd.SECURE)
        published.host(f"mx.{name}.lab", kind, *filter(None, records.split("|")))
        published.domain(f"{name}.lab", f"mx.{name}.lab")
    for type_ in ("MX", "TLSA"):
        name = f"bogus{type_.lower()}.lab"
        published.zone(name, nsd.BOGUS, type_)
        published.host(f"mx.{name}", "good", "3 1 1 {leaf}")
        published.domain(name, f"mx.{name}")
    with published:
        yield published.world
        for server in published.hosts.values():
            assert not server.store.messages
            server.saw_nothing_in_clear()


@pytest.fixture
def dane_probe(built, tmp_path, internet, signed):
    internet.policies.put("default", "tls = may")
    policy = policy_section(internet) | {"resolver": signed.resolver, "mta-sts": "no",
                                         "trust-anchor": internet.readable(signed.anchor)}
    return Probe(built, tmp_path, policy)


@pytest.mark.parametrize("name", DOMAINS)
def test_dane(dane_probe, name):
    _, record, vouches = DOMAINS[name]
    said = dane_probe.found(f"{name}.lab", NO if vouches is None else FINE)
    [host] = said["hosts"]
    if vouches is None:
        assert (host["stage"], host["verdict"], host["code"]) == ("policy", "dane", "4.7.5")
    else:
        assert host["verified_by"] == vouches
    expected = "usable" if record and name != "plain" else "absent"
    assert host["dane"] == expected and len(host["tlsa"]) == (
        len(record.split("|")) if expected == "usable" else 0)
    matched = [r for r in host["tlsa"] if r["matched"]]
    assert len(matched) == (1 if vouches else 0) or name.startswith("ta")


def test_what_is_said_of_records(dane_probe):
    text, last = dane_probe.told("two.lab", FINE)
    assert re.search(r"^    tlsa        3 1 1 [0-9a-f]{64}  matched$", text, re.M)
    assert f"    tlsa        3 1 1 {'ab' * 32}\n" in text
    assert "certificate verified (dane), via mx.two.lab[" in last


def test_records_that_do_not_count(dane_probe, internet):
    secure(internet, "eeother.lab", "may", "dane = no")
    text, _ = dane_probe.told("eeother.lab", FINE)
    file = internet.policies.file("eeother.lab")
    assert re.search(rf"^    tlsa        3 1 1 \w+\n +does not count: dane = no \({file}:\d\)$",
                     text, re.M)
    [host] = dane_probe.found("eeother.lab", FINE)["hosts"]
    assert host["dane"] == "usable" and not host["dane_counts"]


def test_records_of_a_relay(dane_probe, internet):
    """They are those of its port 25, and count where its file says so alone."""
    text, _ = dane_probe.told("mx.eeother.lab:25", FINE)
    assert "does not count: a relay's do where its policy file says tls = dane" in text
    assert not dane_probe.found("mx.eeother.lab:25", FINE)["hosts"][0]["dane_counts"]
    secure(internet, "mx.eeother.lab", "dane")
    assert "does not count" not in dane_probe.told("mx.eeother.lab:25", NO)[0]
    assert dane_probe.found("mx.eeother.lab:25", NO)["hosts"][0]["dane_counts"]


@pytest.mark.parametrize("domain,level,code,hint", [
    ("eeother", "may", "4.7.5", "its TLSA records and its certificates agree; dane = no does"),
    ("taname", "may", "4.7.5", "its TLSA records and its certificates agree; dane = no does"),
    ("none", "dane-only", "4.7.5", "the policy file demands DANE, which that host does not have ("),
    ("bogusmx", "may", "4.4.3", "has to mend it, unless sealpost check finds fault"),
    ("bogustlsa", "may", "4.4.3", "finds fault with our resolver; dane = no does without")])
def test_what_is_to_be_done(dane_probe, internet, domain, level, code, hint):
    secure(internet, f"{domain}.lab", level)
    text, last = dane_probe.told(f"{domain}.lab", NO)
    assert f": 451 {code} " in last and hint in text.splitlines()[-2]


# -- what Postfix says

@pytest.fixture(scope="module")
def finger(world, signed, zoo, tmp_path_factory):
    """finger(level, domain): whether posttls-finger verifies the host."""
    asked = Finger(tmp_path_factory.mktemp("finger"), zoo.ca)
    with Resolver(signed):
        yield lambda level, domain: asked.verifies(level, domain)[domain]


@pytest.mark.real
@pytest.mark.parametrize("name", [n for n, d in DOMAINS.items() if d[2] != ""])
def test_postfix_says_the_same_of_dane(finger, dane_probe, name):
    vouches = DOMAINS[name][2]
    # Without TLSA records it turns to another level, and is of no help.
    [host] = dane_probe.found(f"{name}.lab", NO if vouches is None else FINE)["hosts"]
    assert finger("dane", f"{name}.lab") == (host["verified_by"] == "dane")


@pytest.mark.real
@pytest.mark.parametrize("name", ["none", "plain", "eeodd", "eeexpired", "taname"])
def test_postfix_says_the_same_of_secure(finger, dane_probe, internet, name):
    secure(internet, f"{name}.lab", "secure", "dane = no")
    done = dane_probe.run("--json", f"{name}.lab")
    [host] = json.loads(done.stdout)["hosts"]
    assert finger("secure", f"{name}.lab") == (host["verified_by"] == "secure")


# -- MTA-STS

@pytest.mark.parametrize("mode,listed,kind,status", [
    ("enforce", "mx1.d.lab", "good", FINE), ("enforce", "*.d.lab", "good", FINE),
    ("enforce", "mx1.d.lab", "expired", NO), ("enforce", "mx1.d.lab", None, NO),
    ("enforce", "mx1.other.lab", "good", NO), ("testing", "mx1.other.lab", "good", FINE),
    ("testing", "mx1.d.lab", "expired", FINE), ("none", "mx1.other.lab", "good", FINE)])
def test_mta_sts(probe, internet, policy_hosts, mode, listed, kind, status):  # noqa: F811
    internet.peer("d.lab", kind)
    policy_hosts.host("d.lab", sts.response(sts.policy(mode, listed)))
    said = probe.found("d.lab", status)
    [host] = said["hosts"]
    if mode == "enforce":
        assert host["verified_by"] == ("mta-sts" if status == FINE else "")
        assert (host["verdict"] == "pass") == (status == FINE)
        assert host["mta_sts_testing"] == ""
        assert ("its MTA-STS policy and its hosts agree" in said["hint"]) == (
            status == NO and kind is not None)
    if mode != "none":
        assert (said["mta_sts"]["mode"], said["mta_sts"]["mx"]) == (mode, [listed])
        assert host["mta_sts_lists"] == (listed != "mx1.other.lab")
        assert said["mta_sts"]["fetched"] < said["mta_sts"]["expires"]
        text, last = probe.told("d.lab", status)
        assert f"    mta-sts     {mode}, id " in text and f" mx {listed}\n" in text
        assert ("verified (mta-sts)" in last) == (host["verified_by"] == "mta-sts")
    if mode == "testing":
        assert host["mta_sts_testing"] and "would refuse it, were it in force: " in text
        assert "only tested yet: in mode enforce it would refuse that host" in said["hint"]


def test_a_policy_that_does_not_count(probe, internet, policy_hosts):  # noqa: F811
    internet.peer("d.lab")
    policy_hosts.host("d.lab", sts.response(sts.policy("enforce", "mx1.other.lab")))
    assert probe.found("d.lab", NO)["mta_sts"]["counts"]
    secure(internet, "d.lab", "may", "mta-sts = no")
    said = probe.found("d.lab", FINE)
    assert said["mta_sts"]["mode"] == "enforce" and not said["mta_sts"]["counts"]
    assert not said["hosts"][0]["mta_sts_counts"]
    text, _ = probe.told("d.lab", FINE)
    assert f"does not count: mta-sts = no ({internet.policies.file('d.lab')}:" in text
    assert "list it" not in text
