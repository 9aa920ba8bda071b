# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Real mail servers, each in namespaces of its own (see the script `world`), and real clients."""

import contextlib
import os
import pathlib
import select
import shutil
import signal
import smtplib
import ssl
import subprocess

from . import peer
from .net import WAIT, Deadline, free_port, listening, run_outside, until

SCRIPT = str(pathlib.Path(__file__).resolve().parents[1] / "world")
STORE_UID = 20025  # the user "mailstore" of every world


class World:
    """Starts what is asked for, once."""

    def __init__(self, folder):
        self.folder = folder
        self._servers = {}

    def build(self):
        """Installs what is missing; returns why not, or None."""
        if os.geteuid() != 0:
            return "needs root"
        made = run_outside([SCRIPT, "build"], capture_output=True, text=True)
        return None if made.returncode == 0 else made.stderr.strip().replace("\n", "; ")

    def server(self, kind, role="backend", **options):
        """The one of this kind, role ("backend" or "relay") and further settings."""
        key = (kind, role, tuple(sorted(options.items())))
        if key not in self._servers:
            folder = self.folder / f"{kind}-{len(self._servers)}"
            self._servers[key] = SERVERS[kind](folder, role, **options).start()
        return self._servers[key]

    def stop(self):
        for server in self._servers.values():
            server.stop()


class Server:
    """
    One real mail server: a backend that delivers all to a maildir, or a relay, which sends what is
    for somebody@pPORT-MODE.example to that port on loopback in that mode.
    """

    kind = None
    host = "127.0.0.1"

    def __init__(self, folder, role="backend", **options):
        self.folder = folder
        self.relay = role == "relay"
        self.options = options
        self.port = free_port()
        self.address = f"{self.host}:{self.port}"
        self.process = None
        self._seen = set()

    def start(self):
        for name, text in self.files().items():
            file = self.folder / self.prefix / name.lstrip("/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.output = open(self.folder / "output", "wb")
        self.process = subprocess.Popen(
            [SCRIPT, "enter", self.kind, str(self.folder), *self.command],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        until(lambda: listening(self.port) or self.process.poll() is not None,
              f"{self.kind} listens")
        assert self.process.poll() is None, (self.folder / "output").read_text()
        return self

    prefix = ""

    def stop(self):
        """Kills all of it at once. Its first process is reaped when every other one is gone."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with contextlib.suppress(OSError):
            for pid in pathlib.Path(children).read_text().split():
                os.kill(int(pid), signal.SIGKILL)
        self.process.wait()
        self.output.close()

    def stored(self, mark, seconds=None):
        """The message holding this mark, as stored, with LF line ends."""
        new = self.folder / "srv" / "Maildir" / "new"

        def look():
            if not new.is_dir():
                return None
            for file in new.iterdir():
                if file.name in self._seen:
                    continue
                with open(file, "rb") as f:
                    if mark in f.read(16384):
                        self._seen.add(file.name)
                        f.seek(0)
                        return f.read()
            return None
        try:
            return until(look, f"{self.kind} delivers {mark.decode()}", seconds)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.log()[-3000:]}") from None

    def log(self):
        return (self.folder / "output").read_text(errors="replace")


class Postfix(Server):
    kind = "postfix"
    host = "127.0.0.11"
    command = ("postfix", "start-fg")

    def files(self):
        more = "".join(f"{k} = {v}\n" for k, v in self.options.items())
        there = "check_recipient_access regexp:/etc/postfix/there, " if self.relay else ""
        return {
            "etc/resolv.conf": "nameserver 127.0.0.1\n",
            "etc/postfix/main.cf": f"""compatibility_level = 3.6
maillog_file = /dev/stdout
myhostname = relay.postfix.example
mydestination =
inet_interfaces = all
inet_protocols = all
mynetworks = 127.0.0.0/8
local_recipient_maps =
local_header_rewrite_clients =
alias_maps =
disable_dns_lookups = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
virtual_mailbox_domains = regexp:/etc/postfix/here
virtual_mailbox_maps = static:Maildir/
virtual_mailbox_base = /srv
virtual_uid_maps = static:{STORE_UID}
virtual_gid_maps = static:{STORE_UID}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 209715200
smtpd_recipient_restrictions = {there}permit_mynetworks, reject
smtp_line_length_limit = 0
smtp_host_lookup = native
disable_mime_output_conversion = yes
smtp_connection_cache_on_demand = no
minimal_backoff_time = 2s
queue_run_delay = 2s
max_idle = 10s
{more}""",
            "etc/postfix/here": "/./ yes\n",
            "etc/postfix/there":
                r"/^.*@p([0-9]+)-([a-z]+)\./ FILTER relay-$2:[127.0.0.1]:$1" "\n",
            "etc/postfix/master.cf": f"""
{self.host}:{self.port} inet n - n - - smtpd -o myhostname=postfix.backend.example
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay-clear unix - - n - - smtp -o smtp_tls_security_level=none
relay-tls unix - - n - - smtp -o smtp_tls_security_level=encrypt
relay-implicit unix - - n - - smtp -o smtp_tls_security_level=encrypt -o smtp_tls_wrappermode=yes
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
""",
        }


class Exim(Server):
    kind = "exim"
    host = "127.0.0.12"
    command = ("exim4", "-bdf", "-q1h")

    def files(self):
        modes = {"clear": "hosts_avoid_tls = *", "tls": "hosts_require_tls = *",
                 "implicit": "protocol = smtps\n  hosts_require_tls = *"}
        routes, transports = "", ""
        more = "".join(f"{k} = {v}\n" for k, v in self.options.items())
        for mode, lines in modes.items() if self.relay else ():
            for way, chunking in (("", ""), ("data", "hosts_try_chunking =\n")):
                name = mode + way
                routes += (f"{name}:\n  driver = manualroute\n  domains = ^p\\\\d+-{name}\\\\.\n"
                           f"  route_list = ^p(\\\\d+)- 127.0.0.1::$1 byname\n"
                           f"  transport = {name}\n  self = send\n  no_more\n")
                transports += (f"{name}:\n  driver = smtp\n  {lines}\n  {chunking}"
                               "  message_linelength_limit = 1000000\n"
                               "  tls_verify_certificates = \n  tls_try_verify_hosts = \n"
                               "  helo_data = relay.exim.example\n"
                               "  hosts_try_fastopen = \n")
        return {
            "etc/resolv.conf": "nameserver 127.0.0.1\n",
            "etc/exim4/exim4.conf": f"""
primary_hostname = exim.backend.example
local_interfaces = <; [{self.host}]:{self.port}
daemon_smtp_ports = {self.port}
domainlist here = *
acl_smtp_rcpt = accept
acl_smtp_data = accept
message_size_limit = 200M
host_lookup =
rfc1413_query_timeout = 0s
chunking_advertise_hosts = *
smtputf8_advertise_hosts = *
pipelining_connect_advertise_hosts =
tls_advertise_hosts =
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_enforce_sync = true
log_file_path = /srv/%slog
keep_environment =
prdr_enable = false
{more}begin routers
{routes}
store:
  driver = accept
  transport = maildir
begin transports
{transports}
maildir:
  driver = appendfile
  directory = /srv/Maildir
  maildir_format
  create_directory
  user = mailstore
  group = mailstore
begin retry
* * F,1m,2s
""",
        }

    def start(self):
        store = self.folder / "srv"
        store.mkdir(parents=True)
        (store / "mainlog").touch()
        (store / "paniclog").touch()
        (store / "rejectlog").touch()
        for name in ("mainlog", "paniclog", "rejectlog"):
            (store / name).chmod(0o666)
        return super().start()

    def log(self):
        store = self.folder / "srv"
        return super().log() + "".join((store / n).read_text(errors="replace")
                                       for n in ("mainlog", "paniclog"))


class OpenSMTPD(Server):
    kind = "opensmtpd"
    host = "127.0.0.13"
    command = ("smtpd", "-d")
    prefix = "root"

    def files(self):
        return {"etc/smtpd.conf": f"""
smtp max-message-size 200M
listen on {self.host} port {self.port} hostname opensmtpd.backend.example
action "store" maildir "/srv/Maildir" virtual {{ "@" = mailstore }}
match from any for any action "store"
"""}


SERVERS = {"postfix": Postfix, "exim": Exim, "opensmtpd": OpenSMTPD}


# ---- clients: each sends one message in one of the modes clear, tls, implicit ----

def run(command, octets=b"", seconds=WAIT):
    done = subprocess.run(command, input=octets, capture_output=True, timeout=seconds)
    assert done.returncode == 0, (f"{command[0]} ended with {done.returncode}:\n"
                                  f"{done.stdout[-2000:].decode('latin-1')}\n"
                                  f"{done.stderr[-2000:].decode('latin-1')}")
    return done


def through_relay(kind):
    def send(world, mode, port, sender, recipient, message, folder):
        """Handed to the relay in clear; its own queue brings it to the proxy."""
        relay = world.server(kind, "relay")
        domain = f"p{port}-{mode}.example"
        with peer.Client((relay.host, relay.port)) as c:
            c.begin()
            c.envelope(sender, f"{recipient.split('@')[0]}@{domain}")
            c.data(message)
            c.quit()
    return send


def swaks(world, mode, port, sender, recipient, message, folder):
    file = folder / "swaks.eml"
    file.write_bytes(peer.stuff(message)[:-2])  # its fixup loses a last line that is a dot
    tls = {"clear": [], "tls": ["-tls"], "implicit": ["-tlsc"]}[mode]
    run(["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", sender, "--to", recipient,
         "--helo", "swaks.example", "--data", f"@{file}", "--no-data-fixup", "--suppress-data",
         *tls])


def curl(world, mode, port, sender, recipient, message, folder):
    file = folder / "curl.eml"
    file.write_bytes(message)
    scheme, tls = {"clear": ("smtp", []), "tls": ("smtp", ["--ssl-reqd"]),
                   "implicit": ("smtps", [])}[mode]
    run(["curl", "-sS", "-k", *tls, "--url", f"{scheme}://127.0.0.1:{port}/curl.example",
         "--mail-from", sender, "--mail-rcpt", recipient, "--upload-file", str(file)])


def msmtp(world, mode, port, sender, recipient, message, folder):
    tls = {"clear": ["--tls=off"], "tls": ["--tls=on", "--tls-starttls=on"],
           "implicit": ["--tls=on", "--tls-starttls=off"]}[mode]
    run(["msmtp", "--host=127.0.0.1", f"--port={port}", *tls, "--tls-certcheck=off", "--auth=off",
         "--domain=msmtp.example", f"--from={sender}", "--", recipient],
        message.replace(b"\r\n", b"\n"))


def s_client(world, mode, port, sender, recipient, message, folder):
    words = {"tls": ["-starttls", "smtp", "-name", "openssl.example"], "implicit": []}[mode]
    done = subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
    with done:
        deadline = Deadline()
        unread = bytearray()

        def reply(code):
            line = b"   -"
            while line[3:4] == b"-":
                while b"\n" not in unread:
                    assert select.select([done.stdout], [], [], deadline.left())[0], "no reply"
                    unread.extend(done.stdout.read(65536) or b"?\n")
                line, _, rest = bytes(unread).partition(b"\n")
                unread[:] = rest
            assert line.startswith(code), line

        if mode == "implicit":
            reply(b"220")
        for command, code in ((b"EHLO openssl.example", b"250"),
                              (b"MAIL FROM:<%s>" % sender.encode(), b"250"),
                              (b"RCPT TO:<%s>" % recipient.encode(), b"250"),
                              (b"DATA", b"354")):
            done.stdin.write(command + b"\r\n")
            reply(code)
        octets = memoryview(peer.stuff(message))
        while octets:
            octets = octets[done.stdin.write(octets):]
        reply(b"250")
        done.stdin.write(b"QUIT\r\n")
        reply(b"221")
        done.stdin.close()
        done.wait(Deadline().left())


def python_smtplib(world, mode, port, sender, recipient, message, folder):
    context = peer.client_context()
    if mode == "implicit":
        client = smtplib.SMTP_SSL("127.0.0.1", port, "smtplib.example", timeout=WAIT,
                                  context=context)
    else:
        client = smtplib.SMTP("127.0.0.1", port, "smtplib.example", timeout=WAIT)
    with client as c:
        if mode == "tls":
            c.starttls(context=context)
        c.ehlo()
        options = ["BODY=8BITMIME"] if c.has_extn("8bitmime") else []
        assert c.sendmail(sender, [recipient], message, options) == {}


def scripted_bdat(world, mode, port, sender, recipient, message, folder):
    context = peer.client_context()
    with peer.Client(("127.0.0.1", port), context=context if mode == "implicit" else None) as c:
        c.begin(context if mode == "tls" else None)
        c.envelope(sender, recipient)
        c.bdat(message, 30000)
        c.quit()


CLIENTS = {
    "postfix": through_relay("postfix"), "exim": through_relay("exim"), "swaks": swaks,
    "curl": curl, "msmtp": msmtp, "s_client": s_client, "smtplib": python_smtplib,
    "bdat": scripted_bdat,
}
NEEDS = {"swaks": "swaks", "curl": "curl", "msmtp": "msmtp", "s_client": "openssl"}


def missing(client):
    """Why this client cannot run here, or None."""
    need = NEEDS.get(client)
    return f"{need} is not installed" if need and shutil.which(need) is None else None


def modes(client):
    return ("tls", "implicit") if client == "s_client" else ("clear", "tls", "implicit")
