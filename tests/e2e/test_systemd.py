# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
The Debian package on a machine with systemd, from its installation until it is purged: one story,
told in order. Mail comes in from the Internet and goes out to it all the while.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import threading

import pytest

from harness import booted, guide, peer
from harness.backend import Backend
from harness.booted import Load, Machine, family
from harness.daemon import ROOT
from harness.gateway import Gateway
from harness.internet import Internet, send
from harness.net import WAIT, until

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
SERVICE = "sealpost.service"
SOCKETS = ("sealpost-inbound.socket", "sealpost-outbound.socket")
FIREWALL = "sealpost-intercept.service"
NET_BIND_SERVICE, NET_RAW = 1 << 10, 1 << 13
CERTIFICATE, KEY = "/etc/sealpost/tls/proxy.pem", "/etc/sealpost/tls/proxy.key"
CONFIG = f"""[server]
hostname = proxy.example
workers = 2
log = journal
[tls]
certificate = {CERTIFICATE}
key = {KEY}
[limits]
shutdown-timeout = 30s
handshakes-per-second = 100000
[inbound]
backend = {Gateway.BACKEND[0]}
[outbound]
listen = {Gateway.LAN[0]}:10025
route = intercept
source = transparent
backends = {Gateway.BACKEND[0]}
[policy]
resolver = {{resolver}}
trust-anchor = /etc/sealpost/island.key
ca = /etc/sealpost/ca.pem
"""
FAULT = "sealpost.conf:9: connections"
OUTBOUND = f"""[Socket]
ListenStream=
ListenStream={Gateway.LAN[0]}:10025
Transparent=yes
"""


class Slow(Backend):
    """Keeps its reply to an end of data whose message says so until told."""

    def __init__(self, *a, **k):
        super().__init__(*a, **k)
        self.go_on, self.asked = threading.Event(), threading.Event()

    def acknowledge(self, wire, message):
        if b"slowly" in message.octets:
            self.asked.set()
            self.go_on.wait(WAIT)
        super().acknowledge(wire, message)


class World:
    """The machine and everybody around it."""

    def __init__(self, machine, gateway, internet, backend, package, tls, certs):
        self.machine, self.gateway, self.internet = machine, gateway, internet
        self.backend, self.package, self.tls, self.certs = backend, package, tls, certs

    def client(self, six=0):
        """From the Internet to port 25."""
        with self.gateway.inside("wan"):
            return peer.Client((Gateway.WAN[six], 25))

    def mail_in(self, tls=None, six=0):
        count = len(self.backend.store.messages)
        with self.client(six) as c:
            c.begin(tls)
            c.envelope()
            c.data(MESSAGE)
            c.quit()
        assert len(self.backend.store.messages) == count + 1

    def send_out(self):
        """From the backend to a host of the Internet, as it believes."""
        with self.gateway.inside("lan"):
            return send((Gateway.HOSTS[0][0], 25), "bob@peer.example")

    def mail_out(self):
        server = self.internet.hosts["mx1.peer.example"]
        count = len(server.store.messages)
        outcome = self.send_out()
        assert outcome.accepted, outcome
        assert len(server.store.messages) == count + 1
        assert server.store.messages[-1].secure

    @contextlib.contextmanager
    def load(self, allowed=()):
        """Both ways, in clear and by TLS; sessions may end as they should, or so."""
        inbound = Load(self.gateway, "wan", (Gateway.WAN[0], 25), "bob@backend.example",
                       self.backend.store, self.tls)
        outbound = Load(self.gateway, "lan", (Gateway.HOSTS[0][0], 25), "bob@peer.example",
                        self.internet.hosts["mx1.peer.example"].store)
        with inbound, outbound:
            inbound.more()
            outbound.more()
            yield inbound, outbound
            inbound.more()
            outbound.more()
        for load in (inbound, outbound):
            load.nothing_lost()
            odd = [how for how in load.ends if how != "sent"
                   and not any(re.match(a, how) for a in allowed)]
            assert not odd, odd

    def shown(self):
        """The certificate that clients see."""
        with self.client() as c:
            c.begin(self.tls)
            return c.sock.getpeercert(binary_form=True)

    def configure(self, text=CONFIG):
        self.machine.put("/etc/sealpost/sealpost.conf",
                         text.format(resolver=self.internet.dns.resolver))

    @contextlib.contextmanager
    def fault(self):
        """There is one in the configuration, for a time."""
        self.configure(CONFIG.replace("[limits]", "[limits]\nconnections = many"))
        try:
            yield
        finally:
            self.configure()

    def present(self, pair):
        for source, name in zip(pair, (CERTIFICATE, KEY)):
            self.machine.put(name, pathlib.Path(source).read_bytes())

    def well(self):
        """What keepalived asks, by docs/scaling.md."""
        text, = guide.blocks("scaling.md", "keepalived.conf")
        user, = re.findall(r"user (\w+)\n", text)
        script, = re.findall(r'script "(.*)"\n', text)
        return self.machine.try_run("setpriv", f"--reuid={user}", "--clear-groups", "--",
                                    *script.split())[0] == 0

    def processes(self):
        return family(self.machine.main())


SENT_AWAY = ("sent away",)
HUNG_UP = (*SENT_AWAY, "Ended at", "ConnectionResetError at", "BrokenPipeError at", "SSL",
           "refused at (MAIL|RCPT) .*b'451 4.3.0 the policy process is not there")


@pytest.fixture(scope="module")
def package(built):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for tool in ("systemd-nspawn", "mmdebstrap", "dpkg-buildpackage", "dh"):
        if shutil.which(tool) is None:
            pytest.skip(f"no systemd of our own: {tool} is not installed")
    made, why = booted.make_package()
    if why:
        pytest.skip(why)
    return made


@pytest.fixture(scope="module")
def world(package, zoo, certs, tls):
    tree, why = booted.tree_for(package)
    if why:
        pytest.skip(f"no machine with systemd: {why}")
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway())
        internet = stack.enter_context(internet_of(gateway, zoo))
        with gateway.inside("lan"):
            backend = stack.enter_context(Slow((Gateway.BACKEND[0], 25)))
        machine = stack.enter_context(Machine(tree, gateway.names["proxy"]))
        yield World(machine, gateway, internet, backend, package, tls, certs)
        assert not backend.errors


@contextlib.contextmanager
def internet_of(gateway, zoo):
    with gateway.inside("wan"):
        internet = Internet(zoo, Gateway.DNS)
        internet.peer("peer.example", address=Gateway.HOSTS[0][0])
    yield internet
    with gateway.inside("wan"):
        internet.__exit__()
    internet.no_errors()


@pytest.fixture
def machine(world):
    return world.machine


# ---- installed ----

def test_installing_starts_nothing(world, machine):
    machine.install(world.package)
    for unit in (SERVICE, *SOCKETS, FIREWALL):
        assert machine.state(unit) == "inactive"
    assert machine.run("ss", "-Hltn").strip() == ""
    assert machine.systemctl("--failed", "--no-legend").strip() == ""
    machine.run("getent", "passwd", "sealpost")
    for name in ("/etc/sealpost", "/etc/sealpost/tls", "/etc/sealpost/policy.d"):
        assert machine.run("stat", "-c", "%a %U:%G", name) == "2750 root:sealpost\n"


def test_what_is_configured_is_checked(world, machine):
    world.present(world.certs.ecdsa)
    machine.put("/etc/sealpost/ca.pem", pathlib.Path(world.internet.ca).read_bytes())
    machine.put("/etc/sealpost/island.key", f"island.lab. IN DS 1 13 2 {'ab' * 32}\n")
    machine.put("/etc/sealpost/policy.d/peer.example.policy", "[outbound]\ntls = encrypt\n")
    world.configure()
    assert machine.run("stat", "-c", "%a %U:%G", KEY) == "640 root:sealpost\n"
    machine.run("sealpost", "check")


def test_the_firewall_comes_and_goes(machine):
    before = firewall(machine)
    for _ in range(2):
        machine.systemctl("start", FIREWALL)
        assert "tproxy" in machine.run("nft", "list", "ruleset")
        machine.systemctl("reload", FIREWALL)
        machine.systemctl("stop", FIREWALL)
        assert firewall(machine) == before
    machine.systemctl("enable", "--now", FIREWALL)


def test_networkd_lets_the_firewall_be(machine):
    """It removes rules of others; later versions routes as well, if they are not the kernel's."""
    before = firewall(machine)
    machine.run("ip", "rule", "add", "fwmark", "26", "lookup", "26")
    machine.run("ip", "link", "add", "spare", "type", "bridge")
    machine.put("/etc/systemd/network/spare.network", "[Match]\nName=spare\n", 0o644)
    machine.systemctl("start", "systemd-networkd")
    machine.run("networkctl", "reconfigure", "spare")
    until(lambda: "lookup 26" not in machine.run("ip", "rule"), "theirs is gone")
    machine.systemctl("stop", "systemd-networkd.socket", "systemd-networkd")
    machine.run("ip", "link", "del", "spare")
    assert firewall(machine) == before
    assert "proto kernel" in machine.run("ip", "route", "list", "table", "25")


def firewall(machine):
    return [machine.run("nft", "list", "ruleset"), machine.run("ip", "rule"),
            machine.run("ip", "route", "list", "table", "all")]


# ---- started ----

def test_a_connection_starts_it(world, machine):
    machine.drop_in(SOCKETS[1], OUTBOUND)
    machine.systemctl("enable", "--now", *SOCKETS)
    assert machine.state(SERVICE) == "inactive"
    world.mail_in()
    machine.reaches(SERVICE, "active")
    world.mail_in(world.tls)
    world.mail_in(six=1)
    world.mail_out()
    machine.systemctl("enable", "--now", SERVICE)


def test_what_each_process_may_do(world, machine):
    """It has come to be without a privilege that it would have had to give up."""
    uid = machine.run("id", "-u", "sealpost").strip()
    gid = machine.run("id", "-g", "sealpost").strip()
    processes = world.processes()
    assert sorted(p.name for p in processes) == [
        "sealpost", "sealpost-policy", "sealpost-worker", "sealpost-worker"]
    for p in processes:
        assert p.uids == {uid} and p.gids == {gid}, p.name
        assert p.capabilities("Bnd") == NET_BIND_SERVICE | NET_RAW
        assert p.status["NoNewPrivs"] == "1" and p.status["Seccomp"] == "2"
        expected = 0 if p.name == "sealpost-policy" else NET_RAW
        assert p.capabilities("Eff") == p.capabilities("Prm") == expected, p.name
        files = {d for d in p.descriptors() if d.startswith("/") and not d.startswith("/memfd:")}
        own = {"/var/lib/sealpost/mta-sts"} if p.name == "sealpost-policy" else set()
        assert files <= {"/dev/null", *own}, p.name
    by_name = {p.name: p for p in processes}
    assert by_name["sealpost-policy"].capabilities("Amb") == 0
    assert by_name["sealpost-worker"].capabilities("Amb") == 0
    assert not [e for e in machine.journal("-u", SERVICE) if "Landlock" in e["MESSAGE"]]


def test_systemd_finds_that_it_is_given_little(machine):
    said = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", SERVICE)
    assert re.search(r"exposure level for sealpost.service: [01]\.\d", said), said
    assert machine.try_run("systemd-analyze", "verify", "--man=no", SERVICE, *SOCKETS, FIREWALL,
                           "default.target") == (0, "")


def test_the_journal(world, machine):
    """A session's pairs are fields, each of them."""
    with world.client() as c:
        c.begin(world.tls, helo="journal.example")
        c.envelope("alice@client.example", "bob@backend.example")
        c.data(MESSAGE)
        c.quit()
    entry = machine.logged(lambda e: e.get("SEALPOST_HELO") == "journal.example"
                           and "SEALPOST_END" in e, "-u", SERVICE)
    assert entry["SEALPOST_SERVICE"] == "inbound" and entry["SEALPOST_END"] == "quit"
    assert entry["SEALPOST_NEAR"].startswith("TLS1.3/")
    assert entry["SEALPOST_FROM"] == "<alice@client.example>"
    assert entry["PRIORITY"] == "6" and entry["_COMM"] == "sealpost-worker"
    assert f"session={entry['SEALPOST_SESSION']}" in entry["MESSAGE"]
    assert machine.journal("-u", SERVICE, f"SEALPOST_SESSION={entry['SEALPOST_SESSION']}")


def test_how_it_stands(world, machine):
    machine.systemctl("restart", SERVICE)
    assert machine.show(SERVICE, "StatusText").startswith("serving; sessions: inbound ")
    said = machine.run("sealpost", "status")
    assert "inbound" in said and "proxy.example" in said
    assert world.well()
    status = json.loads(machine.run("sealpost", "status", "--json"))
    assert {p["pid"] for p in status["processes"]} == {
        int(p.status["NSpid"].split()[-1]) for p in world.processes()}


# ---- changed ----

def test_reloaded_under_load(world, machine):
    with world.load() as (inbound, outbound):
        for _ in range(5):
            machine.systemctl("reload", SERVICE)
            inbound.more(4)
            outbound.more(4)
    assert machine.show(SERVICE, "NRestarts") == "0"


def test_a_fault_is_named(world, machine):
    """... by the unit's status, and what was in force goes on."""
    with world.load() as (inbound, outbound):
        with world.fault():
            machine.systemctl("reload", SERVICE)
            until(lambda: FAULT in machine.show(SERVICE, "StatusText"), "it is named")
            status, said = machine.try_run("sealpost", "status")
            assert status == 1 and FAULT in said
            inbound.more()
            outbound.more()
        machine.systemctl("reload", SERVICE)
        until(lambda: FAULT not in machine.show(SERVICE, "StatusText"), "it is gone")


def test_a_certificate_is_renewed(world, machine):
    first = world.shown()
    with world.load():
        world.present(world.certs.pair("proxy.example", "ec", 60))
        until(lambda: world.shown() != first, "the new one is shown")


def test_a_key_for_root_alone(world, machine):
    """As docs/examples/credentials.conf says: a restart takes up what was renewed."""
    here = "/etc/systemd/system/sealpost.service.d/credentials.conf"
    machine.put(here, (ROOT / "docs/examples/credentials.conf").read_text(), 0o644)
    machine.systemctl("daemon-reload")
    live, handed = "/etc/letsencrypt/live/mail.example.com", "/run/credentials/sealpost.service"
    world.configure(CONFIG.replace(CERTIFICATE, f"{handed}/mail.pem")
                    .replace(KEY, f"{handed}/mail.key"))
    seen = [world.shown()]
    for days in (61, 62):
        pair = world.certs.pair("proxy.example", "ec", days)
        for source, name in zip(pair, ("fullchain", "privkey")):
            machine.put(f"{live}/{name}.pem", pathlib.Path(source).read_bytes(), 0o600)
        machine.systemctl("restart", SERVICE)
        assert world.shown() not in seen
        seen.append(world.shown())
        world.mail_in(world.tls)
    machine.path(here).unlink()
    machine.systemctl("daemon-reload")
    world.configure()
    machine.systemctl("restart", SERVICE)
    assert world.shown() == seen[0]


def test_a_policy_file_is_edited(world, machine):
    name = "/etc/sealpost/policy.d/peer.example.policy"
    machine.put(name, f"[outbound]\ntls = fingerprint\nfingerprint = sha256/spki:{'ab' * 32}\n")
    until(lambda: not world.send_out().accepted, "it is in force")
    machine.put(name, "[outbound]\ntls = encrypt\n")
    until(lambda: world.send_out().accepted, "what it was is in force")


# ---- killed ----

@pytest.mark.parametrize("name", ["sealpost-worker", "sealpost-policy"])
def test_a_child_is_killed(world, machine, name):
    with world.load(HUNG_UP) as (inbound, outbound):
        before = world.processes()
        victim = next(p for p in before if p.name == name)
        os.kill(victim.pid, signal.SIGKILL)
        until(lambda: len(world.processes()) == len(before)
              and victim.pid not in [p.pid for p in world.processes()], "it is replaced")
        inbound.more()
        outbound.more()
    assert world.processes()[0].pid == before[0].pid


def test_the_supervisor_is_killed(world, machine):
    """systemd starts it anew; who comes meanwhile waits."""
    with world.load(HUNG_UP):
        restarts(world, lambda pid: os.kill(pid, signal.SIGKILL))
    assert machine.state(SERVICE) == "active"


def test_the_supervisor_hangs(world, machine):
    machine.drop_in(SERVICE, "[Service]\nWatchdogSec=2\n")
    machine.systemctl("restart", SERVICE)
    with world.load(HUNG_UP):
        restarts(world, lambda pid: os.kill(pid, signal.SIGSTOP))
        machine.logged(lambda e: "watchdog" in e["MESSAGE"].lower(), "-u", SERVICE)
    machine.drop_in(SERVICE, "")  # so little patience is for this test alone


def restarts(world, harm):
    """Harm is done to the supervisor, and none of its processes is there any more."""
    old = world.processes()
    harm(old[0].pid)
    until(lambda: world.machine.main() not in (None, old[0].pid)
          and world.machine.state(SERVICE) == "active", "it is started again")
    until(lambda: not {p.pid for p in old} & {p.pid for p in world.processes()}, "all are new")


# ---- exchanged ----

def test_restarted_under_load(world, machine):
    with world.load(SENT_AWAY) as (inbound, outbound):
        for _ in range(3):
            machine.systemctl("restart", SERVICE)
            inbound.more(4)
            outbound.more(4)


def test_upgraded_under_load(world, machine, tmp_path):
    """By dpkg; no connection is refused."""
    newer = booted.later(world.package, tmp_path, "99.0-1")
    old = machine.main()
    with world.load(SENT_AWAY):
        machine.install(newer)
    assert machine.main() not in (None, old)
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", "sealpost") == "99.0-1"
    for unit in (*SOCKETS, FIREWALL):
        assert machine.state(unit) == "active"


def test_restarted_with_a_fault(world, machine):
    """It does not start; who connects waits until the fault is mended, and is served then."""
    with world.fault():
        assert machine.try_run("systemctl", "restart", SERVICE)[0] != 0
        waiting = world.client()
        machine.logged(lambda e: FAULT in e["MESSAGE"], "-u", SERVICE, "-n", "20")
        for _ in range(6):
            machine.try_run("systemctl", "restart", SERVICE)
        with world.client():
            pass
    with waiting as c:
        c.begin()
        c.quit()
    machine.reaches(SERVICE, "active")
    world.mail_out()


def test_stopped_while_it_works(world, machine):
    """Transactions end, and who has sent a whole message hears what became of it."""
    with world.client() as idle, world.client() as busy, world.client() as slow:
        for c in (idle, busy, slow):
            c.begin()
        busy.envelope()
        slow.envelope()
        slow.command("DATA", 354)
        slow.send(peer.stuff(b"Subject: slowly\r\n\r\nhello\r\n"))
        assert world.backend.asked.wait(WAIT)
        machine.systemctl("stop", *SOCKETS)
        machine.systemctl("stop", "--no-block", SERVICE)
        idle.reply(421)
        assert machine.state(SERVICE) == "deactivating"
        assert not world.well()
        busy.data(MESSAGE)
        busy.reply(421)
        world.backend.go_on.set()
        slow.reply(250)
        slow.reply(421)
        machine.reaches(SERVICE, "inactive")
    assert machine.show(SERVICE, "Result") == "success"
    with pytest.raises(ConnectionRefusedError):
        world.client()


# ---- booted again, and gone ----

def test_booted(world, machine):
    """
    All comes up by itself, before the network has the address that the mail server knows; and
    with nothing that needs a capability nobody has one.
    """
    address = f"{Gateway.LAN[0]}/24"
    world.configure(CONFIG.replace("source = transparent\n", ""))
    machine.drop_in(SOCKETS[1], OUTBOUND.replace("Transparent=yes\n", ""))
    world.gateway.run("proxy", "nft", "flush", "ruleset")
    world.gateway.run("proxy", "ip", "addr", "del", address, "dev", "lan")
    machine.reboot()
    for unit in (SERVICE, *SOCKETS, FIREWALL):
        assert machine.state(unit) == "active"
    assert not [e for e in machine.journal() if "ordering cycle" in e["MESSAGE"]]
    assert all(p.capabilities("Prm") == p.capabilities("Inh") == 0 for p in world.processes())
    world.gateway.address("proxy", "lan", address)
    world.mail_in(world.tls)
    world.mail_out()


def test_purged(world, machine):
    machine.systemctl("start", *SOCKETS)
    world.mail_in()
    machine.run("dpkg", "--remove", "sealpost")
    for unit in (SERVICE, *SOCKETS, FIREWALL):
        assert machine.state(unit) == "inactive"
    assert "sealpost" not in machine.run("nft", "list", "ruleset")
    assert machine.path("/etc/sealpost/sealpost.conf").exists()
    machine.run("dpkg", "--purge", "sealpost")
    left = machine.run("find", "/etc", "/usr", "/lib/systemd", "/var", "/run", "-xdev", "-name",
                       "*sealpost*", "-not", "-path", "/run/host/*").split()
    mine = {f"/etc/systemd/system/{unit}.d" for unit in (SERVICE, SOCKETS[1])}
    assert set(left) == mine
