# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""
Mail that goes out: the load generator speaks clear to the programs under comparison, and
they speak STARTTLS to two MX hosts of the bench's own Internet. One gives session tickets, the
other none, so that one and the same program resumes or cannot.
"""

import os
import subprocess

from harness.dns import Dns
from harness.net import free_port, isolated

import postfix
from measure import Scenario, Sink, Sinks
from program import Missing, Program, Settings, need, serve_sealpost, stunnel_version
from report import Beyond, Ratio, Row, cpu, minus, value

# In the order of their runs: neighbours are compared most closely.
NAMES = ["direct", "pump", "sealpost", "stunnel", "postfix"]
HOST = "mail.example.com"
SMALL, LARGE = 10_000, 5_000_000  # octets of a message
MORE = 40  # further messages in the scenario of many
ASKED, CLIENTS = 1500, 16  # sessions to domains that nobody has asked for

# The MX hosts: addresses that are this machine's in the network that isolate() makes.
NO_TICKETS, TICKETS = "198.51.100.10", "198.51.100.20"
# domain: the address of its MX host, which is mx1 below it
DOMAINS = {"once.lab": NO_TICKETS, "again.lab": TICKETS, "bank.lab": NO_TICKETS,
           "banks.lab": TICKETS}
SECURE = ["bank.lab", "banks.lab"]

SCENARIOS = {
    "full": Scenario(["-b", SMALL], 16, 1500, way="once.lab"),
    "asked": Scenario(["-b", SMALL, "-u"], CLIENTS, ASKED, way="asked"),
    "resumed": Scenario(["-b", SMALL], 16, 1500, way="again.lab", far_resumes=True),
    "secure": Scenario(["-b", SMALL], 16, 1500, way="bank.lab"),
    "secure-resumed": Scenario(["-b", SMALL], 16, 1500, way="banks.lab", far_resumes=True),
    "more": Scenario(["-b", SMALL, "-k", 1 + MORE], 16, 300, 1 + MORE, way="once.lab"),
    "large": Scenario(["-b", LARGE], 4, 100, way="once.lab"),
    "latency": Scenario(["-b", SMALL], 1, 500, way="alone"),
}

ROWS = {
    "full": Row("CPU a session, full handshake, may, µs", 0, cpu("full")),
    "asked": Row("the same, a domain never seen before, µs", 0, cpu("asked")),
    "secure": Row("CPU a session, full handshake, secure, µs", 0, cpu("secure")),
    "resumed": Row("CPU a session, resumed, may, µs", 0, cpu("resumed")),
    "secure-resumed": Row("CPU a session, resumed, secure, µs", 0, cpu("secure-resumed")),
    "handshake": Row("what resumption spares, may, µs", 0, minus(cpu("full"), cpu("resumed"))),
    "more": Row("CPU a further message in the session, µs", 1,
                minus(cpu("more"), cpu("full"), MORE)),
    "large": Row("CPU a megabyte, µs", 0,
                 minus(cpu("large"), cpu("full"), (LARGE - SMALL) / 1e6)),
    "p50": Row("latency a session, one client, p50, ms", 2, value("latency", "p50", 1000)),
    "p99": Row("latency a session, one client, p99, ms", 2, value("latency", "p99", 1000)),
}

AIMS = [
    Ratio("a session, full handshake, may, to stunnel", "full", "stunnel", 0.45),
    Ratio("the same, to postfix", "full", "postfix", 0.25),
    Ratio("a session to a domain never seen before, to stunnel", "asked", "stunnel", 0.45,
          other_row="full"),
    Ratio("the same, to postfix", "asked", "postfix", 0.25, other_row="full"),
    Ratio("a session, full handshake, secure, to a verifying stunnel", "secure", "stunnel", 0.6),
    Ratio("what resumption spares, to pump", "handshake", "pump", least=0.9),
    Ratio("a further message, to pump", "more", "pump", 1.3),
    Beyond("latency p50 beyond direct delivery", "p50", "direct", 1, unit=" ms"),
]


class World(Settings):
    """A CA, the MX hosts that it vouches for, and who tells of them."""

    def __init__(self, scratch, programs, sealpost):
        super().__init__(scratch, programs, sealpost)
        if not isolated():
            raise Missing("only root can have a network of its own, in which MX hosts listen "
                          "at port 25")
        self.ca, chain, key = self.certificates()
        pair = ["-c", chain, "-k", key]
        self.sinks = Sinks(Sink(programs, "-l", f"{NO_TICKETS}:25", "-T", *pair),
                           Sink(programs, "-l", f"{TICKETS}:25", *pair))
        self.dns = Dns()
        self.dns.__enter__()
        for domain, address in DOMAINS.items():
            self.dns.domain(domain, address)
        self.run, self.asked = 0, []

    def certificates(self):
        """(CA, chain, key): as is common, a CA, another below it, and the host's."""
        self.issue("ca", "/CN=Bench CA", "basicConstraints=critical,CA:TRUE")
        self.issue("issuer", "/CN=Bench issuing CA", "basicConstraints=critical,CA:TRUE", "ca")
        names = [name for domain in DOMAINS for name in (domain, f"mx1.{domain}")]
        self.issue("mx", "/CN=mx", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names),
                   "issuer")
        chain = self.write("chain.pem", self.read("mx.pem") + self.read("issuer.pem"))
        return f"{self.scratch}/ca.pem", chain, f"{self.scratch}/mx.key"

    def issue(self, name, subject, extension, issuer=None):
        stem = f"{self.scratch}/{name}"
        by = ["-CA", f"{self.scratch}/{issuer}.pem", "-CAkey", f"{self.scratch}/{issuer}.key"]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", subject,
                        "-addext", extension, "-keyout", f"{stem}.key", "-out",
                        f"{stem}.pem", *(by if issuer else [])],
                       check=True, stderr=subprocess.DEVNULL)

    @staticmethod
    def ways(port):
        """All by one port: the domain tells them apart."""
        ways = {domain: ["-c", "-d", domain, port] for domain in DOMAINS}
        return {**ways, "alone": ways["once.lab"]}

    def unseen(self, port):
        """A way to domains that nobody has asked for."""
        for domain in self.asked:
            self.dns.set(domain, "MX")
        self.run += 1
        above = f"run{self.run}.lab"
        self.asked = [f"d{number}.{above}" for number in range(ASKED + CLIENTS)]
        for domain in self.asked:
            self.dns.mx(domain, "mx1.once.lab")
        return ["-c", "-d", above, port]

    def start(self, name, group):
        """Starts one of NAMES; raises Missing when it is not to be had."""
        return globals()[f"start_{name}"](self, group)

    def stop(self):
        self.sinks.stop()
        self.dns.close()


class Direct:
    """No program at all: the load generator speaks STARTTLS itself."""

    name, version, idle_limit = "direct", None, 0

    def __init__(self, group):
        self.group = group
        self.ways = {"alone": ["-d", "once.lab", f"{NO_TICKETS}:25"]}

    def stop(self):
        self.group.close()


def start_direct(_, group):
    return Direct(group)


def start_pump(world, group):
    command = [f"{world.programs}/pump", "-c", f"{NO_TICKETS}:25", f"{TICKETS}:25"]
    program = Program("pump", group, command, None)
    once, again = program.says_port(), program.says_port()
    program.ways = {"once.lab": ["-c", once], "alone": ["-c", once], "again.lab": ["-c", again]}
    program.listens(once)
    return program.listens(again)


SECTIONS = """\
[outbound]
listen = 127.0.0.1:{port}
route = smarthost
backends = 127.0.0.1

[policy]
directory = {policies}
resolver = {resolver}
trust-anchor = {anchor}
ca = {ca}
"""


def start_sealpost(world, group):
    port = free_port()
    policies = f"{world.scratch}/policy.d"
    os.makedirs(policies, exist_ok=True)
    for domain in SECURE:
        world.write(f"policy.d/{domain}.policy", "[outbound]\ntls = secure\n")
    # nothing here is signed: an anchor for nowhere
    anchor = world.write("island.key", f"island.lab. IN DS 1 13 2 {'ab' * 32}\n")
    program = serve_sealpost(world, group, "sealpost-outbound", HOST, SECTIONS.format(
        port=port, policies=policies, resolver=world.dns.resolver, anchor=anchor, ca=world.ca))
    program.ways = {**world.ways(port), "asked": lambda: world.unseen(port)}
    return program.listens(port)


STUNNEL = """\
foreground = yes
pid =
syslog = no
output = {scratch}/stunnel-outbound.log
client = yes
protocol = smtp
"""

STUNNEL_WAY = """\
[{domain}]
accept = 127.0.0.1:{port}
connect = {address}:25
sni = mx1.{domain}
"""

STUNNEL_SECURE = """\
verifyChain = yes
CAfile = {ca}
checkHost = mx1.{domain}
"""


def start_stunnel(world, group):
    stunnel = need("stunnel4")
    ports = {domain: free_port() for domain in DOMAINS}
    text = STUNNEL.format(scratch=world.scratch)
    for domain, address in DOMAINS.items():
        text += STUNNEL_WAY.format(domain=domain, port=ports[domain], address=address)
        if domain in SECURE:
            text += STUNNEL_SECURE.format(domain=domain, ca=world.ca)
    path = world.write("stunnel-outbound.conf", text)
    program = Program("stunnel", group, [stunnel, path],
                      f"stunnel {stunnel_version(stunnel)} (client)")
    program.ways = {domain: ["-c", port] for domain, port in ports.items()}
    program.ways["alone"] = program.ways["once.lab"]
    return program.listens(ports["once.lab"])


POSTFIX_MAIN = """\
compatibility_level = 3.6
myhostname = {host}
mydestination =
inet_interfaces = all
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_tls_security_level = none
in_flow_delay = 0
message_size_limit = 104857600
default_process_limit = 200
transport_maps = inline:{{ {transports} }}
smtp_tls_security_level = may
smtp_tls_CAfile = {ca}
smtp_tls_policy_maps = inline:{{ {policies} }}
smtp_tls_session_cache_database = btree:/var/lib/postfix/smtp_scache
"""

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
scache unix - - n - 1 scache
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
"""


def start_postfix(world, group):
    port = free_port()
    # the same host under two names, of which one has a policy
    hops = {domain: f"[{address}]" + (":25" if domain in SECURE else "")
            for domain, address in DOMAINS.items()}
    transports = ", ".join(f"{{ {domain} = smtp:{hop} }}" for domain, hop in hops.items())
    policies = ", ".join(f"{{ {hops[domain]} = secure match=mx1.{domain} }}"
                         for domain in SECURE)
    main = POSTFIX_MAIN.format(host=HOST, transports=transports, policies=policies, ca=world.ca)
    program = postfix.start(world, group, main, POSTFIX_MASTER.format(port=port),
                            "its own SMTP client, each message queued first")
    program.ways = world.ways(port)
    return program.listens(port)
