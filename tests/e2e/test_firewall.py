# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""`sealpost firewall`: what is loaded, what is removed, and what the guard lets pass."""

import subprocess

import pytest

from harness.daemon import program
from harness.gateway import SHORT, gateway, intercept, internet  # noqa: F401
from harness.internet import MESSAGE, policy_section
from harness.net import free_port
from harness.peer import Listener

pytestmark = pytest.mark.namespaces

FAMILIES = pytest.mark.parametrize("six", [0, 1], ids=["ipv4", "ipv6"])
EVERY_WAY = pytest.mark.parametrize("way", ["redirect", "tproxy"])

SERVER = "[server]\nhostname = proxy.example\n"
OUTBOUND = "[outbound]\nlisten = 10.9.9.1:10025 [fd00:9::1]:10025\nbackends = 10.9.9.2 fd00:9::2\n"
INTERCEPT = SERVER + OUTBOUND + "route = intercept\n"
CONFIGURATIONS = {
    "nat": INTERCEPT,
    "tproxy": INTERCEPT + "source = transparent\n",
    "ipv4-alone": INTERCEPT.replace(" [fd00:9::1]:10025", "").replace(" fd00:9::2", "")
    + "source = transparent\n",
    "inbound": SERVER + "[inbound]\nlisten = 0.0.0.0:25 [::]:25\ntls = off\n"
                        "backend = mail.lan 10.9.9.2:2525\nclient-address = transparent\n",
    "smarthost": SERVER + OUTBOUND + "source = transparent\n",
    "nothing": SERVER + OUTBOUND,
}
FOREIGN = """
table inet foreign {
	chain guard {
		type filter hook forward priority filter; policy accept;
		tcp dport 26 drop
	}
}
"""


def state(gateway):
    """All that the kernel has been told."""
    ip = [gateway.run("proxy", "ip", family, *what)
          for family in ("-4", "-6") for what in (("rule",), ("route", "list", "table", "all"))]
    return gateway.run("proxy", "nft", "list", "ruleset"), ip


# ---- loaded and removed ----

@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_up_and_down(gateway, name):
    """Loaded twice is loaded once, and what is removed is all of that and nothing else."""
    config = CONFIGURATIONS[name]
    gateway.nft("proxy", FOREIGN)
    for family in ("-4", "-6"):
        gateway.run("proxy", "ip", family, "rule", "add", "fwmark", "0x19", "lookup", "26")
        gateway.run("proxy", "ip", family, "route", "add", "blackhole", "default", "table", "26")
    before = state(gateway)
    gateway.command("up", config)
    loaded = state(gateway)
    assert (loaded != before) == (name != "nothing")
    assert len(loaded[1][0].splitlines()) - len(before[1][0].splitlines()) \
        == (name not in ("nat", "nothing"))
    assert len(loaded[1][2].splitlines()) - len(before[1][2].splitlines()) \
        == (name not in ("nat", "nothing", "ipv4-alone"))
    gateway.command("up", config)
    assert state(gateway) == loaded
    gateway.command("down", "what is this?")
    assert state(gateway) == before
    gateway.command("down", config)
    assert state(gateway) == before


def test_another_configuration_takes_the_place_of_the_one_before(gateway):
    states = {}
    for name, config in CONFIGURATIONS.items():
        gateway.command("up", config)
        states[name] = state(gateway)
    for name, config in reversed(CONFIGURATIONS.items()):
        gateway.command("up", config)
        assert state(gateway) == states[name]


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_is_printed_is_what_is_loaded(gateway, name):
    printed = gateway.command("print", CONFIGURATIONS[name])
    gateway.command("up", CONFIGURATIONS[name])
    loaded = state(gateway)
    gateway.command("down", "")
    gateway.nft("proxy", printed)
    for line in printed.splitlines():
        if line.startswith("# ip "):
            gateway.run("proxy", *line.split()[1:])
    assert state(gateway) == loaded


def test_as_much_as_there_can_be(gateway):
    text = SERVER
    for n in range(16):
        text += f"[outbound s{n}]\nroute = intercept\n" \
                f"listen = 10.9.9.1:{10000 + n} [fd00:9::1]:{10000 + n}\n" \
                f"source = {'transparent' if n % 2 else 'auto'}\n" \
                f"guard = {' '.join(f'eth{n}.{m}' for m in range(8))}\n"
        for m in range(32):
            text += f"backends = 10.{n}.{m}.0/28 fd00:{n}:{m}::/64\n"
    gateway.command("up", text)
    rules = gateway.run("proxy", "nft", "list", "table", "inet", "sealpost")
    assert rules.count("iifname") == 16 * 8
    assert rules.count(" dnat ") == rules.count(" tproxy ") == 8 * 64


@pytest.mark.parametrize("config,status,wanted", [
    (INTERCEPT + "backends = 10.0.0.0/33\n", 1, "not a network"),
    (INTERCEPT + "guard = eth1\\n\n", 1, "not an interface"),
    ("", 1, "there is nothing to serve")])
def test_a_faulty_configuration_changes_nothing(gateway, tmp_path, config, status, wanted):
    gateway.command("up", INTERCEPT)
    before = state(gateway)
    file = tmp_path / "sealpost.conf"
    file.write_text(config)
    done = subprocess.run(["ip", "netns", "exec", gateway.names["proxy"], program(), "firewall",
                           "-c", str(file), "up"], capture_output=True, text=True)
    assert done.returncode == status and wanted in done.stderr, done
    assert state(gateway) == before


def test_without_rights(tmp_path):
    file = tmp_path / "sealpost.conf"
    file.write_text(INTERCEPT)
    done = subprocess.run(["unshare", "-n", "setpriv", "--bounding-set", "-net_admin", program(),
                           "firewall", "-c", str(file), "up"], capture_output=True, text=True)
    assert done.returncode == 3, done
    assert "nft failed: it takes root, or CAP_NET_ADMIN\n" in done.stderr, done


# ---- through which mail passes ----

@FAMILIES
@EVERY_WAY
@pytest.mark.parametrize("anywhere", [False, True], ids=["one-address", "any-address"])
def test_by_the_configuration_that_serves(gateway, internet, daemon, way, six, anywhere):
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    listen = ("0.0.0.0", "::") if anywhere else gateway.LAN
    d = daemon([], network=gateway.names["proxy"], limits=SHORT, policy=policy_section(internet),
               listen=[f"[{a}]" if ":" in a else a for a in listen],
               outbound={"route": "intercept", "backends": " ".join(gateway.BACKEND),
                         "source": "transparent" if way == "tproxy" else "auto"})
    # An address that the interface has beside the one that is listened at.
    gateway.address("proxy", "lan", ("10.9.8.1/24", "fd00:8::1/64")[six])
    gateway.run("proxy", program(), "firewall", "-c", str(d.config), "up")
    assert gateway.deliver(host, "bob@peer.example").accepted
    assert mx.store.wait(1).octets == MESSAGE and mx.store.messages[0].secure
    gateway.no_envelope_in_clear()


@FAMILIES
@EVERY_WAY
def test_loaded_again_in_the_middle_of_a_session(gateway, internet, intercept, way, six):
    host = gateway.HOSTS[0][six]
    mx = gateway.serve(internet, address=host)
    d = intercept(way, {"source": "transparent" if way == "tproxy" else "auto"})
    with gateway.connect(host) as c:
        c.begin()
        gateway.firewall(way, d.port)
        c.envelope("alice@backend.example", "bob@peer.example")
        gateway.firewall(way, d.port)
        c.data(MESSAGE)
        c.quit()
    assert mx.store.wait(1).secure
    gateway.no_envelope_in_clear()


# ---- past the guard ----

def listener(gateway, name, host, port=25):
    """Somebody there who takes connections."""
    with gateway.inside(name):
        return Listener((host, port))


def passes(gateway, host, source):
    try:
        gateway.connect(host, source=(source, 0)).close()
        return True
    except ConnectionRefusedError:
        return False


@EVERY_WAY
@pytest.mark.parametrize("keys,passing", [
    # nobody knows the backend's other address: nobody passes there
    ({"backends": ["10.9.9.2"]}, [("STRANGER", 0)]),
    ({"backends": ["fd00:9::2"]}, [("STRANGER", 1)]),
    ({}, [("STRANGER", 0), ("STRANGER", 1)]),
    # ... or nobody who comes by that interface
    ({"backends": ["10.9.9.2"], "guard": "eth7 lan"}, []),
    ({"guard": "lan"}, []),
    ({"backends": ["10.9.9.2"], "guard": "wan"},
     [("STRANGER", 0), ("STRANGER", 1), ("BACKEND", 1)]),
], ids=["ipv4", "ipv6", "both", "ipv4-lan", "both-lan", "ipv4-elsewhere"])
def test_who_passes(gateway, way, keys, passing):
    gateway.firewall(way, free_port(), **keys)
    for six in (0, 1):
        host = gateway.HOSTS[0][six]
        with listener(gateway, "wan", host):
            for who in ("BACKEND", "STRANGER"):
                assert passes(gateway, host, getattr(gateway, who)[six]) \
                    == ((who, six) in passing), (who, six)
    # and nothing else than mail is refused
    with listener(gateway, "wan", gateway.HOSTS[0][0], 26):
        gateway.connect(gateway.HOSTS[0][0], port=26).close()


@EVERY_WAY
@FAMILIES
def test_what_is_left_alone(gateway, way, six):
    """Mail of backends to these networks, and to no others; nobody else's."""
    left, other = (host[six] for host in gateway.HOSTS[:2])
    prefix = ("/32", "/128")[six]
    gateway.firewall(way, free_port(), bypass=[left + prefix, left + prefix], guard="lan")
    with listener(gateway, "wan", left), listener(gateway, "wan", other):
        assert passes(gateway, left, gateway.BACKEND[six])
        assert not passes(gateway, other, gateway.BACKEND[six])
        assert not passes(gateway, left, gateway.STRANGER[six])


@FAMILIES
def test_an_address_that_has_moved_to_another_machine(gateway, six):
    """What NAT sends there is mail in clear all the same."""
    moved, port = ("10.9.9.9", "fd00:9::9")[six], free_port()
    gateway.address("lan", "eth0", moved + ("/24", "/64")[six])
    with listener(gateway, "lan", moved, port):
        gateway.firewall("redirect", port, listen=[moved])
        with pytest.raises(ConnectionRefusedError):
            gateway.connect(gateway.HOSTS[0][six])
