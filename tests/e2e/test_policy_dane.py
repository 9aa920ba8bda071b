# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What `sealpost policy` and `sealpost check` make of TLSA records (RFC 7672, RFC 7671)."""

import re

import pytest

from harness import nsd
from test_policy_command import CANNOT, FINE, NO, Command, check

TLSA = 52
A, CNAME, AAAA = 1, 5, 28
SHA256, OTHER256, SHA512 = "ab" * 32, "cd" * 32, "ef" * 64


def hosts(*lines, mx="mx"):
    """A zone of one MX host, mx, with an address; more hosts of lower standing by `mx`."""
    return "\n".join([*(f"@ MX {10 * n} {name}" for n, name in enumerate(mx.split(), 1)),
                      "mx A 192.0.2.1", *lines])


def tlsa(owner, *values):
    return "\n".join(f"_25._tcp.{owner} TLSA {value}" for value in values)


ONE = tlsa("mx", f"3 1 1 {SHA256}")
ZONES = {
    "ee": (nsd.SECURE, hosts(ONE)),
    "plain": (nsd.INSECURE, hosts(ONE)),
    "none": (nsd.SECURE, hosts()),
    "bogus": (nsd.BOGUS, hosts(ONE), "TLSA"),
    "expired": (nsd.EXPIRED, hosts(ONE)),
    "forged": (nsd.BOGUS, hosts(ONE, "mx AAAA 2001:db8::6"), "A"),
    "denied": (nsd.BOGUS, hosts("mx AAAA 2001:db8::1"), "NSEC"),
    "brief": (nsd.SECURE, hosts(f"_25._tcp.mx 20 TLSA 3 1 1 {SHA256}")),
    "servfail": (nsd.SECURE, hosts(ONE)),
    "silent": (nsd.SECURE, hosts(ONE)),
    "half": (nsd.SECURE, hosts(ONE)),
    "plainhalf": (nsd.INSECURE, hosts(ONE)),
    # what records can be used, and which of them count
    "unusable": (nsd.SECURE, hosts(tlsa("mx", f"0 1 1 {SHA256}", f"1 1 1 {SHA256}",
                                        f"3 1 9 {SHA256}", "3 1 1 abcd"))),
    "mixed": (nsd.SECURE, hosts(tlsa("mx", f"1 1 1 {OTHER256}", f"3 1 1 {SHA256}"))),
    "agile": (nsd.SECURE, hosts(tlsa("mx", f"3 1 1 {SHA256}", f"3 1 2 {SHA512}",
                                     f"2 0 1 {OTHER256}", "3 1 0 3000"))),
    "many": (nsd.SECURE, hosts(tlsa("mx", *(f"3 1 1 {n:064x}" for n in range(20))))),
    "large": (nsd.SECURE, hosts(tlsa("mx", f"2 0 0 {'30' * 2000}"))),
    # hosts elsewhere
    "signedmx": (nsd.SECURE, "@ MX 10 mx.plain.lab."),
    "plainmx": (nsd.INSECURE, "@ MX 10 mx.ee.lab."),
    "both": (nsd.SECURE, "@ MX 10 mx.ee.lab.\n@ MX 20 mx.none.lab."),
    "onebad": (nsd.SECURE, "@ MX 10 mx.bogus.lab.\n@ MX 20 mx.ee.lab."),
    "onelost": (nsd.SECURE, "@ MX 10 mx.forged.lab.\n@ MX 20 mx.plain.lab."),
    "itself": (nsd.SECURE, f"@ A 192.0.2.1\n_25._tcp TLSA 3 1 1 {SHA256}"),
    # aliases: both ends signed; with records at the far end, at the near one, at both
    "aliasfar": (nsd.SECURE, "@ MX 10 mx\nmx CNAME mx.ee.lab."),
    "aliasnear": (nsd.SECURE, "@ MX 10 mx\nmx CNAME mx.none.lab.\n" + ONE),
    "aliasboth": (nsd.SECURE, "@ MX 10 mx\nmx CNAME mx.ee.lab.\n"
                              + tlsa("mx", f"3 1 1 {OTHER256}")),
    "aliasnone": (nsd.SECURE, "@ MX 10 mx\nmx CNAME mx.none.lab."),
    "aliasbogus": (nsd.SECURE, "@ MX 10 mx\nmx CNAME mx.bogus.lab.\n" + ONE),
    # the far end is not signed, or the near one
    "aliasout": (nsd.SECURE, "@ MX 10 mx\nmx CNAME mx.plain.lab.\n" + ONE),
    "aliasin": (nsd.INSECURE, "@ MX 10 mx\nmx CNAME mx.ee.lab.\n" + ONE),
    # the records themselves are an alias
    "shared": (nsd.SECURE, hosts("_25._tcp.mx CNAME _dane.mx", f"_dane.mx TLSA 3 1 1 {SHA256}")),
    "astray": (nsd.SECURE, hosts("_25._tcp.mx CNAME _25._tcp.mx.plain.lab.")),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    why = nsd.missing()
    if why:
        pytest.skip(why)
    zones = {f"{name}.lab": zone for name, zone in ZONES.items()}
    with nsd.SignedWorld(tmp_path_factory.mktemp("dane"), zones) as signed:
        yield signed


@pytest.fixture
def meddler(world):
    with nsd.Meddler(world) as m:
        yield m


@pytest.fixture
def command(built, open_folder, world, meddler):
    return Command(built, open_folder, meddler.resolver, world.anchor, timeout="40s")


def records(*values, base):
    plural = [f"  {value}" for value in values]
    return [f"{len(values)} that can be used, at _25._tcp.{base}", *plural]


def of_host(said, name):
    """What is said of one host's records: [the first line without the name, one a record]."""
    lines = [re.sub(r"(, signed)?, for \d+ s$", "", line) for line in said["dane"][1:]]
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}: "))
    end = start + 1
    while end < len(lines) and lines[end].startswith("  "):
        end += 1
    return [lines[start].removeprefix(f"{name}: "), *lines[start + 1:end]]


# -- security

def test_signed_records(command):
    said = command.explained("ee.lab", FINE)
    assert said["dane"][1].endswith(", signed, for 300 s")
    assert said["dane"][0] == "which hosts it has is signed"
    assert of_host(said, "mx.ee.lab") == records(f"3 1 1 {SHA256}", base="mx.ee.lab")
    assert said["hosts"] == ["10 mx.ee.lab 192.0.2.1"]
    assert "goes by TLS alone" in said["result"][0]


def test_records_that_are_not_signed_are_not_asked_for(command, meddler):
    said = command.explained("plain.lab", FINE)
    assert said["dane"][0].startswith("which hosts it has is not signed")
    assert of_host(said, "mx.plain.lab") == ["none that is signed"]
    assert "by TLS if it is offered" in said["result"][0]
    assert ("mx.plain.lab", A) in meddler.asked
    assert not [q for q in meddler.asked if q[1] in (TLSA, CNAME)]


def test_how_long_they_hold(command):
    said = command.explained("brief.lab", FINE)
    assert said["dane"][1] == \
        "mx.brief.lab: 1 that can be used, at _25._tcp.mx.brief.lab, signed, for 20 s"
    assert said["result"][-1] == "this answer holds for 20 s"


def test_a_signed_denial(command):
    said = command.explained("none.lab", FINE)
    assert of_host(said, "mx.none.lab") == ["none"]
    assert said["dane"][1].startswith("mx.none.lab: none, signed, for ")
    assert "by TLS if it is offered" in said["result"][0]


@pytest.mark.parametrize("domain", ["bogus.lab", "denied.lab"])
def test_forged_records(command, domain):
    said = command.explained(domain, NO)
    assert of_host(said, f"mx.{domain}") == ["cannot be known, so that it is not used"]
    assert said["hosts"][0].startswith(f"10 mx.{domain} 192.0.2.1 ")
    assert said["hosts"][0].endswith("  not used (dns)")
    assert "4.4.3" in said["result"][0]
    assert f"the TLSA records of mx.{domain} cannot be had: validation failure" in said["but"][0]


@pytest.mark.parametrize("domain,record", [("expired.lab", "MX"), ("forged.lab", "A")])
def test_forged_hosts(command, domain, record):
    result = command.result(domain, NO)
    assert "451 4.4.3" in result and f"the {record} records" in result


@pytest.mark.parametrize("how,timeout", [("servfail", "40s"), ("silent", "6s")])
def test_no_answer(built, open_folder, world, meddler, how, timeout):
    command = Command(built, open_folder, meddler.resolver, world.anchor, timeout)
    domain = f"{how}.lab"
    meddler.spoil(f"_25._tcp.mx.{domain}", TLSA, how)
    said = command.explained(domain, NO)
    assert of_host(said, f"mx.{domain}") == ["cannot be known, so that it is not used"]
    assert "4.4.3" in said["result"][0]
    assert said["result"][-1] == "this answer holds for 10 s"


def test_a_file_may_do_without(command, meddler):
    meddler.spoil("_25._tcp.mx.servfail.lab", TLSA, "servfail")
    command.file("servfail.lab", "[outbound]\ntls = may\ndane = no\n")
    said = command.explained("servfail.lab", FINE)
    assert said["hosts"] == ["10 mx.servfail.lab 192.0.2.1"]
    assert said["dane"][1:] == ["mx.servfail.lab: cannot be known",
                                "they do not count: the policy file says dane = no"]
    assert "by TLS if it is offered" in said["result"][0]


@pytest.mark.parametrize("type_", [A, AAAA])
def test_half_the_addresses_of_a_signed_host(command, meddler, type_):
    meddler.spoil("mx.half.lab", type_, "servfail")
    said = command.explained("half.lab", NO)
    assert "4.4.3" in said["result"][0]


def test_half_the_addresses_of_a_host_that_is_not_signed(command, meddler):
    meddler.spoil("mx.plainhalf.lab", AAAA, "servfail")
    said = command.explained("plainhalf.lab", FINE)
    assert of_host(said, "mx.plainhalf.lab") == ["none that is signed"]
    assert "by TLS if it is offered" in said["result"][0]


# -- records

def test_records_that_cannot_be_used(command):
    said = command.explained("unusable.lab", FINE)
    assert of_host(said, "mx.unusable.lab") == [
        "none that can be used, at _25._tcp.mx.unusable.lab"]
    assert "goes by TLS alone (dane)" in said["result"][0]
    command.file("unusable.lab", "[outbound]\ntls = dane-only\n")
    assert "4.7.5" in command.result("unusable.lab", NO)


def test_records_of_which_some_can_be_used(command):
    said = command.explained("mixed.lab", FINE)
    assert of_host(said, "mx.mixed.lab") == records(f"3 1 1 {SHA256}", base="mx.mixed.lab")


def test_digest_agility(command):
    said = of_host(command.explained("agile.lab", FINE), "mx.agile.lab")
    assert said[0] == "3 that can be used, at _25._tcp.mx.agile.lab"
    assert sorted(said[1:]) == [f"  2 0 1 {OTHER256}", "  3 1 0 3000", f"  3 1 2 {SHA512}"]


def test_more_records_than_there_is_room_for(command):
    said = command.explained("many.lab", FINE)
    assert len(of_host(said, "mx.many.lab")) == 1 + 16
    assert "20 TLSA records of mx.many.lab are too many: 4 do not count" in said["but"][0]
    assert "goes by TLS alone" in said["result"][0]


def test_a_record_that_needs_tcp(built, open_folder, world):
    command = Command(built, open_folder, world.resolver, world.anchor)
    said = of_host(command.explained("large.lab", FINE), "mx.large.lab")
    assert said[1] == f"  2 0 0 {'30' * 64}... (2000 octets)"


# -- hosts

def test_a_host_that_is_not_signed(command):
    said = command.explained("signedmx.lab", FINE)
    assert said["dane"][0] == "which hosts it has is signed"
    assert of_host(said, "mx.plain.lab") == ["none that is signed"]
    command.file("signedmx.lab", "[outbound]\ntls = dane-only\n")
    assert "4.7.5" in command.result("signedmx.lab", NO)


def test_hosts_that_somebody_may_have_forged(command):
    """As in Postfix they have DANE, but not for those who will have nothing else."""
    said = command.explained("plainmx.lab", FINE)
    assert said["dane"][0].startswith("which hosts it has is not signed")
    assert of_host(said, "mx.ee.lab") == records(f"3 1 1 {SHA256}", base="mx.ee.lab")
    assert "goes by TLS alone" in said["result"][0]
    command.file("plainmx.lab", "[outbound]\ntls = dane-only\n")
    result = command.result("plainmx.lab", NO)
    assert "4.7.5" in result and "MX records of plainmx.lab cannot be validated" in result
    command.file("both.lab", "[outbound]\ntls = dane-only\n")
    assert "to one host" in command.result("both.lab", FINE)


def test_two_hosts(command):
    said = command.explained("both.lab", FINE)
    assert of_host(said, "mx.ee.lab")[0] == "1 that can be used, at _25._tcp.mx.ee.lab"
    assert of_host(said, "mx.none.lab") == ["none"]
    assert said["to it"][1] == "but the domain itself demands more for some of its hosts: dane"
    assert said["result"][:3] == ["mail to both.lab goes to the first host that takes it:",
                                  "mx.ee.lab by TLS alone (dane)",
                                  "mx.none.lab by TLS if it is offered"]


def test_one_host_of_two(command):
    said = command.explained("onebad.lab", FINE)
    assert said["hosts"] == ["10 mx.bogus.lab 192.0.2.1  not used (dns)",
                             "20 mx.ee.lab 192.0.2.1"]
    assert "to one host" in said["result"][0]


@pytest.mark.parametrize("name,type_", [("mx.ee.lab", A), ("mx.ee.lab", AAAA),
                                        ("_25._tcp.mx.ee.lab", TLSA)])
def test_one_host_of_two_in_time(built, open_folder, world, meddler, name, type_):
    """Whoever is silent about one host does not take the other one along."""
    command = Command(built, open_folder, meddler.resolver, world.anchor, timeout="4s")
    meddler.spoil(name, type_, "silent")
    said = command.explained("both.lab", FINE)
    assert said["hosts"][0].startswith("10 mx.ee.lab")
    assert said["hosts"][0].endswith("  not used (dns)")
    assert of_host(said, "mx.ee.lab") == ["cannot be known, so that it is not used"]
    assert said["hosts"][1] == "20 mx.none.lab 192.0.2.1"
    assert of_host(said, "mx.none.lab") == ["none"]
    assert re.search(r"did not answer within 4 s about the hosts of both\.lab"
                     r"|records of (_25\._tcp\.)?mx\.ee\.lab cannot be had", said["but"][0])
    assert "to one host" in said["result"][0]


def test_a_host_without_addresses_is_not_forgotten(command):
    """Else what is intercepted on its way there would go as to a host without DANE."""
    said = command.explained("onelost.lab", FINE)
    assert said["hosts"] == ["10 mx.forged.lab  not used (dns)", "20 mx.plain.lab 192.0.2.1"]
    assert of_host(said, "mx.forged.lab") == ["cannot be known, so that it is not used"]


def test_a_domain_that_is_its_own_host(command):
    said = command.explained("itself.lab", FINE)
    assert said["hosts"] == ["0 itself.lab 192.0.2.1"]
    assert of_host(said, "itself.lab") == records(f"3 1 1 {SHA256}", base="itself.lab")


# -- aliases

@pytest.mark.parametrize("domain,base", [("aliasfar.lab", "mx.ee.lab"),
                                         ("aliasnear.lab", "mx.aliasnear.lab"),
                                         ("aliasboth.lab", "mx.ee.lab"),
                                         ("aliasout.lab", "mx.aliasout.lab"),
                                         ("shared.lab", "mx.shared.lab")])
def test_aliases(command, domain, base):
    said = command.explained(domain, FINE)
    assert of_host(said, f"mx.{domain}") == records(f"3 1 1 {SHA256}", base=base)


@pytest.mark.parametrize("domain,none", [("aliasnone.lab", "none"),
                                         ("aliasin.lab", "none that is signed"),
                                         ("astray.lab", "none that is signed")])
def test_aliases_without_records(command, domain, none):
    said = command.explained(domain, FINE)
    assert of_host(said, f"mx.{domain}") == [none]


def test_an_alias_that_is_not_signed_is_not_asked_about(command, meddler):
    command.explained("aliasin.lab", FINE)
    assert not [q for q in meddler.asked if q[1] == TLSA]


def test_no_other_name_is_tried_where_one_is_forged(command):
    said = command.explained("aliasbogus.lab", NO)
    assert of_host(said, "mx.aliasbogus.lab") == ["cannot be known, so that it is not used"]


# -- what the file says beside it

@pytest.mark.parametrize("level,demanders", [("none", "dane"), ("may", "dane"),
                                             ("encrypt", "encrypt, dane"),
                                             ("secure", "secure, dane")])
def test_the_domain_demands_more_than_the_file(command, level, demanders):
    command.file("ee.lab", f"[outbound]\ntls = {level}\n")
    said = command.explained("ee.lab", FINE)
    assert said["to it"][0].startswith(f"{level}: ")
    assert said["to it"][1:] == ["but the domain itself demands more: dane"]
    assert said["result"][0] == f"mail to ee.lab goes by TLS alone ({demanders}), to one host"


@pytest.mark.parametrize("level,demanders", [("dane", "dane"), ("dane-only", "dane-only, dane")])
def test_the_file_demands_it_as_well(command, level, demanders):
    command.file("ee.lab", f"[outbound]\ntls = {level}\n")
    said = command.explained("ee.lab", FINE)
    assert len(said["to it"]) == 1
    assert said["result"][0] == f"mail to ee.lab goes by TLS alone ({demanders}), to one host"


def test_the_file_does_without(command):
    command.file("ee.lab", "[outbound]\ntls = none\ndane = no\n")
    said = command.explained("ee.lab", FINE)
    assert len(said["to it"]) == 1
    assert said["dane"][-1] == "they do not count: the policy file says dane = no"
    assert said["result"][0] == "mail to ee.lab goes in clear, to one host"


# -- switched off, and what cannot validate

def test_dane_is_switched_off(command, meddler):
    command.config.write_text(command.config.read_text() + "dane = no\n")
    said = command.explained("bogus.lab", FINE)
    assert said["dane"] == ["TLSA records are not asked for (dane = no)"]
    assert "by TLS if it is offered" in said["result"][0]
    assert not [q for q in meddler.asked if q[1] in (TLSA, CNAME)]
