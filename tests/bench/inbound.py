# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""The programs under comparison: how each is configured, started and stopped."""

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time

# In the order of their runs: neighbours are compared most closely.
NAMES = ["pump", "sealpost", "nginx", "stunnel", "postfix"]
HOST = "mail.example.com"
NGINX_MAIL = "/usr/lib/nginx/modules/ngx_mail_module.so"
START_TIMEOUT = 30


class Missing(Exception):
    """This program cannot take part, and why."""


class Settings:
    """What all of them share: the sink behind them, and two certificates."""

    def __init__(self, scratch, programs, sealpost, sink):
        self.scratch, self.programs = scratch, programs
        self.sealpost, self.sink = sealpost, sink
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
        with open(both, "w") as file:
            file.write(open(key).read() + open(pem).read())
        return pem, key, both

    def write(self, name, text):
        path = f"{self.scratch}/{name}"
        with open(path, "w") as file:
            file.write(text)
        return path


class Program:
    idle_limit = 1_000_000

    def __init__(self, name, group, command, version, environment=None, log=None):
        self.name, self.group, self.version = name, group, version
        self.port = self.rsa_port = None
        self.log = log or os.devnull
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(
                command, preexec_fn=group.enter, env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=output, text=True)
        group.root = self.process.pid

    def listens(self, port, rsa_port=None):
        """Waits until the port gives a greeting."""
        self.port, self.rsa_port = port, rsa_port or port
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as near:
                    if near.recv(3) == b"220":
                        return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        with open(self.log) as file:
            raise Missing(" ".join(["it did not start:", *file.readlines()[-1:]]).strip())

    def stop(self):
        self.process.stdin.close()
        self.group.kill()
        self.process.wait()
        self.process.stdout.close()
        self.group.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def words(*command):
    """What a program says of itself, on whichever stream."""
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.splitlines()


def need(program):
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def start_pump(settings, group):
    pairs = [path for pair in settings.certificates.values() for path in pair[:2]]
    command = [f"{settings.programs}/pump", str(settings.sink), *pairs]
    program = Program("pump", group, command, None)
    return program.listens(int(program.process.stdout.readline().split()[1]))


SEALPOST = """\
[server]
hostname = {host}
user = nobody
log = stderr

[tls]
{pairs}

[limits]
connections = 10000
connections-per-address = 10000
handshakes = 5000
handshakes-per-second = 100000

[inbound]
listen = 127.0.0.1:{port}
tls = offer
backend = 127.0.0.1:{sink}
"""


def start_sealpost(settings, group):
    if not os.access(settings.sealpost, os.X_OK):
        raise Missing(f"{settings.sealpost} is not there (say where by SEALPOST)")
    port = free_port()
    pairs = "\n".join(f"certificate = {pem}\nkey = {key}"
                      for pem, key, _ in settings.certificates.values())
    path = settings.write("sealpost.conf", SEALPOST.format(
        host=HOST, pairs=pairs, port=port, sink=settings.sink))
    program = Program("sealpost", group, [settings.sealpost, "serve", "-c", path],
                      words(settings.sealpost, "--version")[0],
                      log=f"{settings.scratch}/sealpost.log")
    return program.listens(port)


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
    return program.listens(port)


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
    version = next(line.split()[1] for line in words(stunnel, "-version")
                   if line.startswith("stunnel "))
    program = Program("stunnel", group, [stunnel, path], f"stunnel {version}")
    return program.listens(port, rsa_port)


# Debian's mail servers exclude each other and start themselves: this one lives in
# overlays of its own, of which nothing is left but the scratch folder.
POSTFIX = """\
set -e
for folder in usr etc var; do
    mkdir -p "$WORK/$folder.upper" "$WORK/$folder.work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$WORK/$folder.upper,\\
workdir=$WORK/$folder.work" "/$folder"
done
if ! [ -x /usr/sbin/postfix ]; then
    printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
    chmod +x /usr/sbin/policy-rc.d
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -qq -y --no-install-recommends postfix >&2
fi
cp "$WORK/main.cf" "$WORK/master.cf" /etc/postfix/
postconf -h mail_version
exec script -qec '/usr/sbin/postfix start-fg' /dev/null >&2
"""

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
    if os.geteuid() != 0:
        raise Missing("only root can give it a private file system")
    work = f"{settings.scratch}/postfix"
    os.makedirs(work, exist_ok=True)
    port = free_port()
    settings.write("postfix/main.cf", POSTFIX_MAIN.format(
        host=HOST, sink=settings.sink, ecdsa=settings.certificates["ecdsa"][2],
        rsa=settings.certificates["rsa"][2]))
    settings.write("postfix/master.cf", POSTFIX_MASTER.format(port=port))
    program = Program("postfix", group, ["unshare", "-m", "sh", "-c", POSTFIX], None,
                      environment={**os.environ, "WORK": work},
                      log=f"{settings.scratch}/postfix.log")
    program.idle_limit = 200  # a process each: as many as one can bear
    version = program.process.stdout.readline().strip()
    if not version:
        program.stop()
        raise Missing("it could not be installed: see --work and postfix.log")
    program.version = f"Postfix {version} (smtpd_proxy_filter)"
    return program.listens(port)


def start(name, settings, group):
    """Starts one of NAMES; raises Missing when it is not to be had."""
    return globals()[f"start_{name}"](settings, group)
