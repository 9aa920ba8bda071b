# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
A machine of the tests' own whose first process is systemd, with our Debian package; and those
who keep sending through it.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import uuid

from . import peer
from .daemon import ROOT, program
from .net import WAIT, run_outside, until
from .real import SCRIPT

# Which nspawn does not know.
LANDLOCK = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
SYSTEM = ("dbus", "iproute2", "nftables", "openssl", "procps", "systemd-sysv")


# ---- the package ----

def make_package():
    """Of what was built; (its path, why there is none)."""
    build = pathlib.Path(program()).parent
    if not (build / "Makefile").exists():
        return None, f"{build} is no build directory: there is no package"
    sources = [ROOT / "Makefile.am", pathlib.Path(program()), *(ROOT / "systemd").rglob("*")]
    newest = max(s.stat().st_mtime for s in sources)
    made = sorted(build.glob("deb/*.deb"))
    if made and made[0].stat().st_mtime > newest:
        return made[0], None
    words = {"DEB_BUILD_OPTIONS": f"nocheck noautodbgsym parallel={os.cpu_count()}"}
    done = subprocess.run(["make", "-C", str(build), "deb", "DEBFLAGS=-b -Pnocheck"],
                          env={**os.environ, **words}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    return next(build.glob("deb/*.deb")), None


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", str(package), name], check=True,
                          capture_output=True, text=True).stdout.strip()


def later(package, folder, version):
    """The same package with a higher version."""
    tree, made = folder / "later", folder / f"later_{version}.deb"
    subprocess.run(["dpkg-deb", "-R", str(package), str(tree)], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(re.sub(r"(?m)^Version: .*", f"Version: {version}", control.read_text()))
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(made)], check=True,
                   capture_output=True)
    return made


def tree_for(package):
    """A Debian with systemd and all that the package depends on: (where, why not)."""
    wanted = {re.split(r"[ |(:]", d.strip())[0] for d in field(package, "Depends").split(",")}
    made = run_outside([SCRIPT, "machine", *sorted(wanted | set(SYSTEM))], capture_output=True,
                       text=True)
    if made.returncode != 0:
        return None, made.stderr.strip().replace("\n", "; ")
    return pathlib.Path(made.stdout.strip()), None


# ---- the machine ----

class Machine:
    """
    Boots `tree`, of which nothing is changed, in the network namespace `network`. All of it is in
    a process and a mount namespace: when their first process is killed, or we are, nothing is
    left.
    """

    # With a control group $1, an overlay of $2 at $3, and a /run/systemd that is nobody else's.
    # nspawn ends with 133 where it is to begin anew.
    _LIFE = """set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/$1
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mount -t tmpfs tmpfs "$3"
mkdir "$3/upper" "$3/work" "$3/root"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$3/upper,workdir=$3/work" "$3/root"
group=$1
shift 3
status=133
while [ $status = 133 ]; do
    status=0
    (echo 0 >/sys/fs/cgroup/$group/cgroup.procs && exec "$@") || status=$?
done
exit $status
"""
    _REMOVE_GROUP = """mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit
[ ! -d /sys/fs/cgroup/$1 ] || find /sys/fs/cgroup/$1 -depth -type d -exec rmdir {} +
"""

    def __init__(self, tree, network):
        self.tree, self.network = tree, network
        self.leader = None

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="sealpost-machine-")
        self._console = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--mount", "--propagation",
             "private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
             self._LIFE, "sh", self.network, str(self.tree), self._folder,
             "systemd-nspawn", "--directory", f"{self._folder}/root", "--boot",
             f"--network-namespace-path=/run/netns/{self.network}", "--register=no",
             "--keep-unit", "--console=pipe", "--machine=mail", "--resolv-conf=off",
             "--capability=CAP_NET_ADMIN", "--system-call-filter=" + " ".join(LANDLOCK)],
            stdin=subprocess.DEVNULL, stdout=self._console, stderr=subprocess.STDOUT)
        try:
            self._wait_for_boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for pid in _children(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self._console.close()
        os.rmdir(self._folder)
        until(lambda: subprocess.run(["unshare", "--mount", "sh", "-c", self._REMOVE_GROUP, "sh",
                                      self.network]).returncode == 0, "its control group is empty")

    def _wait_for_boot(self, before=None):
        try:
            until(lambda: self._booted(before), "systemd has booted", 30)
        except AssertionError as e:
            self._console.seek(0)
            raise AssertionError(f"{e}\n{self._console.read()[-3000:]}") from None

    def _booted(self, before):
        assert self._process.poll() is None, "the machine has ended"
        self.leader = self._find_leader()
        return self.leader not in (None, before) and self.try_run(
            "systemctl", "is-system-running", "--wait")[1] in ("running\n", "degraded\n")

    def _find_leader(self):
        """The process id, for us, of what is the first process there."""
        found = [self._process.pid]
        for pid in found:
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return pid
            found += _children(pid)
        return None

    def reboot(self):
        """What was written is still there; in the network namespace, too."""
        before = self.leader
        self.try_run("systemctl", "reboot")
        self._wait_for_boot(before)

    # -- inside

    def path(self, name):
        return pathlib.Path(f"/proc/{self.leader}/root{name}")

    def try_run(self, *command, seconds=300):
        """(exit status, what it said on both)"""
        done = subprocess.run(["nsenter", "-t", str(self.leader), "-a", "--", *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=seconds,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C",
                                   "DEBIAN_FRONTEND": "noninteractive"})
        return done.returncode, done.stdout

    def run(self, *command, **how):
        status, said = self.try_run(*command, **how)
        assert status == 0, f"{' '.join(command)}: {status}\n{said}\n{self.journal_text()}"
        return said

    def systemctl(self, *words, **how):
        return self.run("systemctl", *words, **how)

    def show(self, unit, name):
        return self.systemctl("show", "-P", name, unit).strip()

    def state(self, unit):
        return self.show(unit, "ActiveState")

    def reaches(self, unit, state):
        until(lambda: self.state(unit) == state, f"{unit} is {state}")

    def put(self, name, text, mode=0o640):
        """A file of root's and its folder's group, whole at once."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(text if isinstance(text, bytes) else text.encode())
        new.chmod(mode)
        new.rename(path)

    def drop_in(self, unit, text):
        self.put(f"/etc/systemd/system/{unit}.d/test.conf", text, 0o644)
        self.systemctl("daemon-reload")

    def install(self, package):
        """By dpkg; what it said."""
        self.put(f"/root/{package.name}", package.read_bytes())
        return self.run("dpkg", "-i", f"/root/{package.name}")

    def main(self, unit="sealpost.service"):
        """Its main process' id as it is for us, or None."""
        pid = self.show(unit, "MainPID")
        return self.outside(pid) if pid != "0" else None

    def outside(self, pid):
        """The process id for us of that one in there."""
        there = os.readlink(f"/proc/{self.leader}/ns/pid")
        for entry in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if (entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == there
                        and _status(entry)["NSpid"].split()[-1] == pid):
                    return int(entry)
        return None

    # -- the journal

    def journal(self, *words):
        """Entries as dicts."""
        said = self.run("journalctl", "--no-pager", "-o", "json", "-b", *words)
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]

    def journal_text(self):
        """Its end, without what sessions say."""
        lines = self.try_run("journalctl", "--no-pager", "-b", "-n", "1000")[1].splitlines()
        return "\n".join([line for line in lines if "session=" not in line][-60:])

    def logged(self, what, *words):
        def look():
            return next((e for e in self.journal(*words) if what(e)), None)
        return until(look, "it is in the journal")


def _children(pid):
    with contextlib.suppress(OSError):
        return [int(c) for c in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


class Process:
    """One of ours, looked at from outside."""

    def __init__(self, pid):
        self.pid = pid
        self.status = _status(pid)
        self.name = self.status["Name"]
        self.uids = set(self.status["Uid"].split())
        self.gids = set(self.status["Gid"].split()) | set(self.status["Groups"].split())

    def capabilities(self, which="Eff"):
        return int(self.status[f"Cap{which}"], 16)

    def descriptors(self):
        """What each is."""
        found = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
        return found


def family(pid):
    """A process and its children, but for those that end while one looks."""
    found = []
    for p in (pid, *_children(pid)):
        with contextlib.suppress(OSError):
            found.append(Process(p))
    return found


# ---- who keeps sending ----

class Load:
    """
    Clients on threads of their own, each with one session after another of one message. What
    became of each session: "sent" (the message was acknowledged), "sent away" (by a reply before
    that), or else what went wrong.
    """

    def __init__(self, gateway, where, address, recipient, store, tls=None, clients=4):
        self.gateway, self.where, self.address = gateway, where, address
        self.recipient, self.store, self.tls = recipient, store, tls
        self.acknowledged, self.ends = [], []
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work) for _ in range(clients)]

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for t in self._threads:
            t.join()

    def _work(self):
        with self.gateway.inside(self.where):
            count = 0
            while not self._ended.is_set():
                count += 1
                mark = uuid.uuid4().hex
                how = self._session(mark, self.tls if count % 2 else None)
                with self._changed:
                    self.ends.append(how)
                    if how == "sent":
                        self.acknowledged.append(mark)
                    self._changed.notify_all()

    def _session(self, mark, tls):
        at = "connect"
        try:
            with peer.Client(self.address) as c:
                at = "greeting"
                reply = c.reply(seconds=2 * WAIT)
                steps = [(b"EHLO client.example", b"250")]
                if tls:
                    steps += [(b"STARTTLS", b"220"), (b"EHLO client.example", b"250")]
                steps += [(b"MAIL FROM:<alice@backend.example>", b"250"),
                          (b"RCPT TO:<%s>" % self.recipient.encode(), b"250"), (b"DATA", b"354")]
                expected = b"220"
                for step, code in steps:
                    if not reply[-1].startswith(expected):
                        return self._sent_away(at, reply)
                    at, expected = step.decode(), code
                    reply = c.command(step)
                    if step == b"STARTTLS" and reply[-1].startswith(b"220"):
                        c.starttls(tls, "proxy.example")
                if not reply[-1].startswith(expected):
                    return self._sent_away(at, reply)
                at = "end of data"
                c.send(peer.stuff(b"X-Mark: %s\r\n\r\nhello\r\n" % mark.encode()))
                reply = c.reply()
                if not reply[-1].startswith(b"250"):
                    return self._sent_away(at, reply)
                c.send(b"QUIT\r\n")
                return "sent"
        except (peer.Ended, peer.Silence, OSError) as e:
            return f"{type(e).__name__} at {at}: {e}"

    @staticmethod
    def _sent_away(at, reply):
        if reply[-1].startswith(b"421"):
            return "sent away"
        return f"refused at {at}: {reply}"

    def more(self, count=20):
        """Until so many more messages were acknowledged."""
        with self._changed:
            wanted = len(self.acknowledged) + count
            assert self._changed.wait_for(lambda: len(self.acknowledged) >= wanted, 3 * WAIT), \
                f"{len(self.acknowledged)} of {wanted}; {self.ends[-5:]}"

    def otherwise(self):
        """Whatever else than "sent" became of sessions, and how often."""
        return {how: self.ends.count(how) for how in set(self.ends) - {"sent"}}

    def nothing_lost(self):
        """Each message that was acknowledged is there, exactly once."""
        marks = [re.search(rb"X-Mark: (\w+)", m.octets).group(1).decode()
                 for m in self.store.messages if b"X-Mark" in m.octets]
        assert self.acknowledged
        for mark in self.acknowledged:
            assert marks.count(mark) == 1, mark
