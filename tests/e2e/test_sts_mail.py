# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What an MTA-STS policy does to mail: mode by what the host is and shows (RFC 8461 §4, §5)."""


import pytest

from harness.internet import send
from harness.sts import policy, response

pytestmark = pytest.mark.namespaces

# What the host shows (None: no STARTTLS), the MX host that the policy names; what is wrong.
CASES = {
    "right": ("good", "mx1.d.lab", None),
    "wildcard": ("good", "*.d.lab", None),
    "unnamed": ("good", "mx2.d.lab", "is no MX host that the MTA-STS policy of d.lab names"),
    "self-signed": ("self-signed", "mx1.d.lab", "certificate of mx1.d.lab: self-signed"),
    "expired": ("expired", "mx1.d.lab", "expired on"),
    "name": ("wrong-name", "mx1.d.lab", "certificate of mx1.d.lab names "),
    "clear": (None, "mx1.d.lab", "STARTTLS"),
}


@pytest.fixture
def serve(smarthost, cache):
    return lambda: smarthost(policy={"cache": cache})


@pytest.mark.parametrize("mode", ["enforce", "testing"])
@pytest.mark.parametrize("case", CASES)
def test_what_the_policy_asks_for(serve, internet, policy_hosts, mode, case):
    certificate, named, wrong = CASES[case]
    server = internet.peer("d.lab", certificate)
    policy_hosts.host("d.lab", response(policy(mode, named)))
    daemon = serve()
    seen = send(daemon.address, "bob@d.lab")
    if mode == "enforce" and wrong:
        assert seen.last.startswith("451 4.7.") and wrong in seen.last, seen
        assert not server.store.messages
        server.saw_nothing_in_clear()
        return
    assert seen.accepted, seen
    leg = daemon.session_end()
    assert leg["mta-sts"] == mode and leg["verdict"] == "pass"
    warned = [line for line in daemon.lines if "only tested" in line]
    reason = "is reached in clear, demanded: mta-sts" if case == "clear" else wrong
    assert bool(warned) == bool(wrong) and (not wrong or reason in warned[0]), warned


@pytest.mark.parametrize("key,taken", [("mta-sts = yes", False), ("mta-sts = no", True)])
def test_only_mta_sts_no_goes_below(serve, internet, policy_hosts, key, taken):
    server = internet.peer("d.lab", None)
    policy_hosts.host("d.lab", response(policy("enforce", "mx1.d.lab")))
    internet.policies.put("d.lab", f"tls = none\n{key}")
    seen = send(serve().address, "bob@d.lab")
    assert seen.accepted == taken == bool(server.store.messages), seen
