# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The daemon under test: its configuration, its process, its log."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

from .net import WAIT, Deadline, free_port, listening, until

# Put into the log's pipe behind what the daemon has written; it writes no such octet itself.
_MARK = b"\0\n"

ROOT = pathlib.Path(__file__).resolve().parents[3]

_PAIR = re.compile(r'(?:^|(?<=\s))([a-z][a-z0-9-]*)=("(?:[^"\\]|\\.)*"|\S*)')


def program():
    """Where the daemon is: $SEALPOST, else the usual places below the tree."""
    named = os.environ.get("SEALPOST")
    places = [pathlib.Path(named)] if named else [ROOT / "build" / "sealpost", ROOT / "sealpost"]
    for place in places:
        if place.is_file():
            return str(place.resolve())
    return None


def sanitized():
    return b"__asan_init" in pathlib.Path(program()).read_bytes()


def parse(line):
    """A log line as a dict of its pairs; what is no pair stands under 'message'."""
    pairs = {}
    for key, value in _PAIR.findall(line):
        if value.startswith('"'):
            value = re.sub(r'\\(x[0-9a-fA-F]{2}|.)', r'\\\1', value[1:-1])
        pairs[key] = value
    first = _PAIR.search(line)
    pairs["message"] = (line[:first.start()] if first else line).strip()
    return pairs


class Sealpost:
    """One daemon."""

    def __init__(self, folder, certs, backends, inbound=None, limits=None, server=None,
                 tls=None, listen="127.0.0.1", pairs=None, more="", through=(), network=None,
                 outbound=None, policy=None):
        """
        With `outbound` (and no backends) the service at `address` is [outbound]. `through` is a
        command that becomes the daemon's.
        """
        self.folder = folder
        self.port = free_port()
        hosts = [listen] if isinstance(listen, str) else listen
        self.address = (hosts[0].strip("[]"), self.port)
        keys = {"listen": " ".join(f"{h}:{self.port}" for h in hosts)}
        if outbound is None:
            keys.update({"backend": " ".join(backends), "tls": "offer", "received": "on"})
        else:
            keys.update({"backends": "127.0.0.0/8"})
        keys.update((inbound if outbound is None else outbound) or {})
        main = {"hostname": "proxy.example", "user": "nobody", "log": "stderr",
                "log-level": "debug", "workers": "1",
                "control": folder / f"control-{self.port}"}
        main.update(server or {})
        self._tells = main["log"] == "stderr" and main["log-level"] in ("debug", "info")
        text = section("server", main)
        text += "[tls]\n"
        for certificate, key in pairs if pairs is not None else [certs.ecdsa, certs.rsa]:
            text += f"certificate = {certificate}\nkey = {key}\n"
        text += "".join(f"{k} = {v}\n" for k, v in (tls or {}).items())
        # All tests are one client's, who shakes hands more often than any.
        text += section("limits", {"handshakes-per-second": 100000, **(limits or {})})
        text += section("inbound" if outbound is None else "outbound", keys)
        text += (section("policy", policy) if policy else "") + more
        self.config = folder / f"sealpost-{self.port}.conf"
        self.config.write_text(text)
        self._lines = []        # what its standard error said
        self._marks, self._heard, self._silent = 0, 0, False
        self._changed = threading.Condition()
        self.through = through
        self.network = network
        self.process = None
        self.status = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # -- the process

    def start(self):
        command = [*self.through, program(), "serve", "-c", str(self.config)]
        if self.network:
            command = ["ip", "netns", "exec", self.network, *command]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        deadline = Deadline()
        while not self._ready():
            if self.process.poll() is not None or deadline.over():
                self.stop()
                raise AssertionError("the daemon did not start:\n" + "\n".join(self._lines))
            time.sleep(0.002)
        return self

    def _ready(self):
        """Whoever connects is served: workers run, and the log says so if it says such things."""
        if self._tells:
            return any(parse(line)["message"].endswith(": ready") for line in self._lines)
        if self.network:
            probe = subprocess.run(["ip", "netns", "exec", self.network, "ss", "-Hltn",
                                    f"sport = :{self.port}"], capture_output=True, check=True)
            return bool(probe.stdout.strip())
        return listening(self.port)

    def _read(self):
        torn = b""
        for raw in self.process.stderr:
            torn += raw.removesuffix(_MARK)
            with self._changed:
                if raw.endswith(_MARK):
                    self._heard += 1
                else:
                    self._lines.append(torn.decode("latin-1").rstrip("\n"))
                    torn = b""
                self._changed.notify_all()
        with self._changed:
            self._silent = True
            self._changed.notify_all()

    def stop(self, how=signal.SIGTERM, seconds=None):
        """Ends the daemon, returns its exit status; one that will not end is killed and named."""
        if self.process is None or self.status is not None:
            return self.status
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.status = self.process.wait(Deadline(seconds).left())
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
            raise AssertionError("the daemon did not end") from None
        finally:
            self._reader.join(WAIT)
            self.process.stderr.close()
        return self.status

    def healthy(self):
        """Still there, and no sanitizer complained."""
        assert self.process.poll() is None, "the daemon died:\n" + "\n".join(self.lines[-40:])
        self.unblemished()

    def unblemished(self):
        lines = self.lines
        bad = [n for n, line in enumerate(lines)
               if "runtime error:" in line or "AddressSanitizer" in line or "LeakSanitizer" in line]
        assert not bad, "\n".join(lines[bad[0]:bad[0] + 40])

    @property
    def pids(self):
        """The daemon and its children."""
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    found += [int(p) for p in (task / "children").read_text().split()]
        return found

    def children(self, role):
        """Process ids of those who were started so."""
        found = []
        for pid in self.pids[1:]:
            with contextlib.suppress(OSError):
                if role.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    @property
    def workers(self):
        return self.children("worker-process")

    @property
    def policy_process(self):
        """Its process id, or None while there is none."""
        return next(iter(self.children("policy-process")), None)

    @contextlib.contextmanager
    def policy_process_stopped(self):
        """It is there and does nothing."""
        with stopped([until(lambda: self.policy_process, "there is a policy process")]):
            yield

    @property
    def slack(self):
        """Octets that a sanitizer may add to what a test allows: it keeps what was freed."""
        return 24 << 20 if sanitized() else 0

    def rss(self, *pids):
        """Octets of resident memory, of these or of all processes together."""
        total = 0
        for pid in pids or self.pids:
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1]) * 1024
        return total

    def descriptors(self):
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids)

    def cpu(self):
        """Seconds of processor time so far."""
        ticks = 0
        for pid in self.pids:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def settle(self):
        """
        Until all its processes sleep at once: what was sent before this call has been dealt with.
        Over loopback it wakes whom it is for before a datagram comes back that was sent behind it.
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.sendto(b"", s.getsockname())
            s.recv(1)

        def look():
            return [(state(pid), _status(pid, "voluntary_ctxt_switches")) for pid in self.pids]

        def asleep():
            first = look()
            # Whoever has run between the two looks has gone to sleep once more.
            return all(s in "STZX" for s, _ in first) and look() == first
        until(asleep, "the daemon sleeps")

    # -- the log

    @property
    def lines(self):
        """Everything that it has written until now, whether we had read it or not."""
        with self._changed:
            self._marks += 1
            mark = self._marks
            if self._silent:
                return list(self._lines)
        with open(f"/proc/self/fd/{self.process.stderr.fileno()}", "wb") as pipe:
            pipe.write(_MARK)
        with self._changed:
            assert self._changed.wait_for(lambda: self._heard >= mark or self._silent, WAIT)
            return list(self._lines)

    def records(self):
        return [parse(line) for line in self.lines]

    def logged(self, what, after=0, seconds=None):
        """Waits for the first record that what(record) is true of."""
        deadline = Deadline(seconds)
        at = after
        with self._changed:
            while True:
                while at < len(self._lines):
                    record = parse(self._lines[at])
                    if what(record):
                        return record
                    at += 1
                if deadline.over():
                    raise AssertionError("not in the log:\n" + "\n".join(self._lines[-40:]))
                self._changed.wait(deadline.left())

    def reload(self):
        """SIGHUP, until changed policy files are in force; for a daemon that has been asked."""
        before = len(self.lines)
        self.process.send_signal(signal.SIGHUP)
        self.logged(lambda r: "policy files read again" in r["message"], before)
        self.settle()  # workers are told at the same time

    def session_end(self, after=0, **pairs):
        """Waits for the line at a session's end whose pairs are these."""
        def fits(record):
            return ("session" in record and "end" in record
                    and all(record.get(k.replace("_", "-")) == v for k, v in pairs.items()))
        return self.logged(fits, after)


class Policies:
    """
    A folder of policy files below `folder`, and what they name: where the policy process, which is
    no longer root, can read.
    """

    def __init__(self, folder):
        self.folder = folder / "policy.d"
        self.folder.mkdir(mode=0o755)
        self.folder.chmod(0o755)

    def file(self, domain):
        return self.folder / f"{domain}.policy"

    def put(self, domain, outbound="", inbound="", head=""):
        """Lines of each section; empty ones are left out. The file appears whole."""
        text = head + "\n"
        text += f"[outbound]\n{outbound}\n" if outbound else ""
        text += f"[inbound]\n{inbound}\n" if inbound else ""
        new = self.folder / f".{domain}.new"
        new.write_text(text)
        new.chmod(0o644)
        new.rename(self.file(domain))
        return self.file(domain)

    def remove(self, domain):
        self.file(domain).unlink()


def _status(pid, key):
    """What /proc says of a process; None where there is none."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        found = re.search(rf"^{key}:\t(\w+)", text, re.M)
        return found and found[1]
    return None


def state(pid):
    """Of a process: R running, S asleep, T stopped, Z not waited for, X gone."""
    return _status(pid, "State") or "X"


@contextlib.contextmanager
def stopped(pids):
    """They are there and do nothing."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    until(lambda: all(state(pid) == "T" for pid in pids), "they are stopped")
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # it may have been ended
                os.kill(pid, signal.SIGCONT)


def section(name, pairs):
    return f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in pairs.items())
