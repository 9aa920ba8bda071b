# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""
Mail that comes in: the load generator speaks STARTTLS to the programs under comparison, and
they speak clear to one sink behind them.
"""

import http.server
import os
import subprocess
import threading

from harness.net import free_port

import postfix
from measure import Scenario, Sink, Sinks
from program import (Missing, Program, Settings, need, serve_sealpost, stunnel_version,
                     words)
from report import Plain, Ratio, Row, cpu, minus, value

# In the order of their runs: neighbours are compared most closely.
NAMES = ["pump", "sealpost", "nginx", "stunnel", "postfix"]
HOST = "mail.example.com"
NGINX_MAIL = "/usr/lib/nginx/modules/ngx_mail_module.so"
SMALL, LARGE = 10_000, 5_000_000  # octets of a message
MORE = 40  # further messages in the scenario of many

SCENARIOS = {
    "full": Scenario(["-b", SMALL], 16, 1500),
    "resumed": Scenario(["-b", SMALL, "-r"], 16, 1500, resumes=True),
    "rsa": Scenario(["-b", SMALL, "-R"], 16, 400, way="rsa"),
    "more": Scenario(["-b", SMALL, "-r", "-k", 1 + MORE], 16, 300, 1 + MORE, resumes=True),
    "large": Scenario(["-b", LARGE, "-r"], 4, 100, resumes=True),
    "latency": Scenario(["-b", SMALL], 1, 500),
}

ROWS = {
    "full": Row("CPU a session, full handshake, ECDSA, µs", 0, cpu("full")),
    "resumed": Row("CPU a session, resumed, µs", 0, cpu("resumed")),
    "rsa": Row("CPU a session, full handshake, RSA-2048, µs", 0, cpu("rsa")),
    "more": Row("CPU a further message in the session, µs", 1,
                minus(cpu("more"), cpu("resumed"), MORE)),
    "large": Row("CPU a megabyte, µs", 0,
                 minus(cpu("large"), cpu("resumed"), (LARGE - SMALL) / 1e6)),
    "p50": Row("latency a session, one client, p50, ms", 2, value("latency", "p50", 1000)),
    "p99": Row("latency a session, one client, p99, ms", 2, value("latency", "p99", 1000)),
    "idle": Row("PSS an idle TLS session, KiB", 1, value("idle", "held")),
}

AIMS = [
    *(Ratio(f"a session, {what}, to {other}", row, other, most)
      for row, what in (("full", "full handshake"), ("resumed", "resumed"))
      for other, most in (("pump", 1.15), ("nginx", 0.6), ("stunnel", 0.4))),
    Ratio("a further message, to pump", "more", "pump", 1.2),
    Ratio("a megabyte, to pump", "large", "pump", 1.1),
    Plain("latency p50", "p50", most=3, unit=" ms"),
    Plain("PSS an idle session", "idle", most=12, unit=" KiB"),
]


class World(Settings):
    """One sink in clear behind all of them, and two certificates."""

    def __init__(self, scratch, programs, sealpost):
        super().__init__(scratch, programs, sealpost)
        self.sinks = Sinks(Sink(programs))
        self.sink = self.sinks.sinks[0].port
        self.certificates = {
            "ecdsa": self.certificate("ecdsa", "ec", "ec_paramgen_curve:P-256"),
            "rsa": self.certificate("rsa", "rsa", "rsa_keygen_bits:2048"),
        }

    def certificate(self, name, kind, parameter):
        """A self-signed certificate: (certificate, key, both in one file)."""
        stem = f"{self.scratch}/{name}"
        pem, key, both = f"{stem}.pem", f"{stem}.key", f"{stem}.both"
        subprocess.run(["openssl", "req", "-x509", "-newkey", kind, "-pkeyopt", parameter,
                        "-nodes", "-days", "30", "-subj", f"/CN={HOST}", "-addext",
                        f"subjectAltName=DNS:{HOST}", "-keyout", key, "-out", pem],
                       check=True, stderr=subprocess.DEVNULL)
        self.write(f"{name}.both", self.read(f"{name}.key") + self.read(f"{name}.pem"))
        return pem, key, both

    def start(self, name, group):
        """Starts one of NAMES; raises Missing when it is not to be had."""
        return globals()[f"start_{name}"](self, group)

    def stop(self):
        self.sinks.stop()


def ready(program, port, rsa_port=None):
    program.ways = {"port": [port], "rsa": [rsa_port or port]}
    return program.listens(port)


def start_pump(settings, group):
    pairs = [path for pair in settings.certificates.values() for path in pair[:2]]
    command = [f"{settings.programs}/pump", str(settings.sink), *pairs]
    program = Program("pump", group, command, None)
    return ready(program, program.says_port())


SECTIONS = """\
[tls]
{pairs}

[inbound]
listen = 127.0.0.1:{port}
tls = offer
backend = 127.0.0.1:{sink}
"""


def start_sealpost(settings, group):
    port = free_port()
    pairs = "\n".join(f"certificate = {pem}\nkey = {key}"
                      for pem, key, _ in settings.certificates.values())
    program = serve_sealpost(settings, group, "sealpost-inbound", HOST, SECTIONS.format(
        pairs=pairs, port=port, sink=settings.sink))
    return ready(program, port)


NGINX = """\
load_module {module};
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx.log;
events {{ worker_connections 8192; }}
mail {{
    server_name {host};
    auth_http 127.0.0.1:{auth}/;
    proxy_pass_error_message on;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        protocol smtp;
        smtp_auth none;
        smtp_capabilities PIPELINING 8BITMIME "SIZE 104857600";
        xclient off;
        starttls on;
        ssl_protocols TLSv1.2 TLSv1.3;
        {certificates}
    }}
}}
"""


def serve_auth(sink):
    """nginx asks by HTTP where each session is to go: to the sink."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Auth-Status", "OK")
            self.send_header("Auth-Server", "127.0.0.1")
            self.send_header("Auth-Port", str(sink))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.request_queue_size = 1024
    server.socket.listen(1024)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def start_nginx(settings, group):
    nginx = need("nginx")
    if not os.path.exists(NGINX_MAIL):
        raise Missing("nginx's mail module is not installed")
    server = serve_auth(settings.sink)
    port = free_port()
    certificates = "\n        ".join(f"ssl_certificate {pem}; ssl_certificate_key {key};"
                                     for pem, key, _ in settings.certificates.values())
    path = settings.write("nginx.conf", NGINX.format(
        module=NGINX_MAIL, scratch=settings.scratch, host=HOST, auth=server.server_port,
        port=port, certificates=certificates))
    version = words(nginx, "-v")[0].rpartition("/")[2]
    program = Program("nginx", group, [nginx, "-p", settings.scratch, "-c", path],
                      f"nginx {version} (mail module)", log=f"{settings.scratch}/nginx.err")
    return ready(program, port)


STUNNEL = """\
foreground = yes
pid =
syslog = no
output = {scratch}/stunnel.log
[ecdsa]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{sink}
protocol = smtp
cert = {ecdsa}
[rsa]
accept = 127.0.0.1:{rsa_port}
connect = 127.0.0.1:{sink}
protocol = smtp
cert = {rsa}
"""


def start_stunnel(settings, group):
    stunnel = need("stunnel4")
    port, rsa_port = free_port(), free_port()
    path = settings.write("stunnel.conf", STUNNEL.format(
        scratch=settings.scratch, port=port, rsa_port=rsa_port, sink=settings.sink,
        ecdsa=settings.certificates["ecdsa"][2], rsa=settings.certificates["rsa"][2]))
    program = Program("stunnel", group, [stunnel, path],
                      f"stunnel {stunnel_version(stunnel)}")
    return ready(program, port, rsa_port)


POSTFIX_MAIN = """\
compatibility_level = 3.6
myhostname = {host}
mydestination =
inet_interfaces = all
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_proxy_filter = 127.0.0.1:{sink}
smtpd_tls_security_level = may
smtpd_tls_chain_files = {ecdsa}, {rsa}
message_size_limit = 104857600
default_process_limit = 3000
"""

POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
"""


def start_postfix(settings, group):
    port = free_port()
    main = POSTFIX_MAIN.format(host=HOST, sink=settings.sink,
                               ecdsa=settings.certificates["ecdsa"][2],
                               rsa=settings.certificates["rsa"][2])
    program = postfix.start(settings, group, main, POSTFIX_MASTER.format(port=port),
                            "smtpd_proxy_filter")
    return ready(program, port)
