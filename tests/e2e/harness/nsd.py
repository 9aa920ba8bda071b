# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
A signed world: nsd with a root of our own, `lab.` below it, and zones below that which are
secure, insecure, bogus or expired. Needs the packages nsd and ldnsutils.
"""

import re
import shutil
import socket
import struct
import subprocess
import threading
import time

from .net import WAIT, free_port, isolated, until

SECURE, INSECURE, BOGUS, EXPIRED = "secure", "insecure", "bogus", "expired"

_DAY = 86400


def missing():
    """Why there can be no signed world here, or None."""
    for tool in ("nsd", "ldns-keygen", "ldns-signzone", "ldns-key2ds"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    return None


class SignedWorld:
    """
    `zones` maps a name below lab. to (kind, lines of a zone file); ("bogus", lines, "A") breaks the
    signatures of that type alone, by default those of MX. `resolver` and `anchor` are for
    [policy] of sealpost.conf.
    """

    def __init__(self, folder, zones, host="127.0.0.1"):
        self.folder, self.host = folder, host
        self.port = self._port(host)
        self.resolver = f"{host}@{self.port}"
        self.anchor = folder / "root.key"
        self._process = None
        delegations, served = "", {".": None, "lab": None}
        for name, (kind, lines, *broken) in zones.items():
            delegations += f"{name}. NS ns.lab.\n"
            served[name] = self._file(name, lines)
            if kind != INSECURE:
                served[name], ds = self._sign(name, served[name], expired=kind == EXPIRED)
                delegations += ds
            if kind == BOGUS:
                break_signatures(served[name], broken[0] if broken else "MX")
        served["lab"], ds = self._sign("lab", self._file("lab", delegations))
        served["."], _ = self._sign(".", self._file(".", f"lab. NS ns.lab.\n{ds}"))
        self._configure(served)

    @staticmethod
    def _port(host):
        if isolated():
            return free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((host, 0))
            return s.getsockname()[1]

    def _run(self, *words):
        return subprocess.run(words, cwd=self.folder, check=True, capture_output=True,
                              text=True).stdout

    def _file(self, name, lines):
        file = self.folder / f"{name.strip('.') or 'root'}.zone"
        origin = "." if name == "." else f"{name}."
        glue = f"ns.lab. A {self.host}\n" if name in (".", "lab") else ""
        file.write_text(f"$ORIGIN {origin}\n$TTL 300\n"
                        f"@ SOA ns.lab. hostmaster.lab. 1 3600 600 864000 60\n@ NS ns.lab.\n"
                        f"{glue}{lines}\n")
        return file

    def _sign(self, name, file, expired=False):
        """(the signed zone's file, the DS record for its parent)"""
        key = self._run("ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom",
                        name).strip()
        now = int(time.time())
        ends = now - 10 * _DAY if expired else now + 30 * _DAY
        signed = file.with_suffix(".signed")
        self._run("ldns-signzone", "-o", name, "-i", str(now - 60 * _DAY), "-e", str(ends),
                  "-f", str(signed), str(file), key)
        if name == ".":
            shutil.copy(self.folder / f"{key}.key", self.anchor)
        return signed, self._run("ldns-key2ds", "-n", "-2", f"{key}.key")

    def _configure(self, served):
        zones = "".join(f'zone:\n  name: "{name}"\n  zonefile: "{file}"\n'
                        for name, file in served.items())
        self.config = self.folder / "nsd.conf"
        self.config.write_text(f"""server:
  ip-address: {self.host}@{self.port}
  username: ""
  chroot: ""
  zonesdir: "{self.folder}"
  database: ""
  pidfile: ""
  xfrdfile: "{self.folder}/xfrd.state"
  xfrdir: "{self.folder}"
  zonelistfile: "{self.folder}/zone.list"
  server-count: 1
remote-control:
  control-enable: no
{zones}""")

    def __enter__(self):
        self._output = open(self.folder / "nsd.log", "wb")
        self._process = subprocess.Popen(["nsd", "-d", "-c", str(self.config)],
                                         stdin=subprocess.DEVNULL, stdout=self._output,
                                         stderr=subprocess.STDOUT)
        until(lambda: self._answers() or self._process.poll() is not None, "nsd answers")
        assert self._process.poll() is None, (self.folder / "nsd.log").read_text()
        return self

    def _answers(self):
        """Whether it knows the root's SOA by now."""
        question = b"\0\1\0\0\0\1\0\0\0\0\0\0\0\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.05)
            try:
                s.connect((self.host, self.port))
                s.send(question)
                return s.recv(4096)[6:8] == b"\0\1"
            except OSError:
                return False

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(WAIT)
        self._output.close()


class Meddler:
    """
    Stands before a SignedWorld, by UDP, and hands everything on but what it is told to spoil:
    "servfail", "silent", a function that makes another answer of the query and the true one, or a
    threading.Event, which the true one waits for. Once `dead` it is silent whatever the question.
    `resolver` is for [policy] of sealpost.conf.
    """

    def __init__(self, world):
        self.world, self.asked = world, []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((world.host, free_port() if isolated() else 0))
        self._socket.settimeout(0.1)
        self.resolver = f"{world.host}@{self._socket.getsockname()[1]}"
        self.dead = False
        self._spoiled = {}
        self._late = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def spoil(self, name, type_, how):
        self._spoiled[name, type_] = how

    def release(self, event):
        """What waited for it has been answered once this returns."""
        event.set()
        for thread in self._late:
            thread.join()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        for thread in [self._thread, *self._late]:
            thread.join()
        self._socket.close()

    def _serve(self):
        while not self._ended.is_set():
            try:
                octets, client = self._socket.recvfrom(65535)
            except TimeoutError:
                continue
            name, type_ = question(octets)
            self.asked.append((name, type_))
            how = "silent" if self.dead else self._spoiled.get((name, type_))
            if how == "servfail":
                self._socket.sendto(forged(octets, code=2), client)
            elif isinstance(how, threading.Event):
                self._late.append(threading.Thread(target=self._wait, args=(how, octets, client)))
                self._late[-1].start()
            elif how != "silent":
                self._hand_on(octets, client, how)

    def _hand_on(self, octets, client, how=None):
        answer = self.ask(octets)
        if answer:
            self._socket.sendto(how(octets, answer) if how else answer, client)

    def _wait(self, event, octets, client):
        while not event.wait(0.05):
            if self._ended.is_set():
                return
        self._hand_on(octets, client)

    def ask(self, octets):
        """The truth."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(octets, (self.world.host, self.world.port))
            try:
                return s.recv(65535)
            except TimeoutError:
                return None


def question(octets):
    """(name, number of the type) of a query."""
    labels, at = [], 12
    while octets[at]:
        labels.append(octets[at + 1:at + 1 + octets[at]].decode("ascii").lower())
        at += 1 + octets[at]
    return ".".join(labels), struct.unpack(">H", octets[at + 1:at + 3])[0]


def query(name, number):
    return (bytes(4) + struct.pack(">4H", 1, 0, 0, 1) + wire(name) + struct.pack(">2H", number, 1)
            + b"\0" + struct.pack(">HHIH", 41, 4096, 0x8000, 0))   # EDNS0: DNSSEC, if you please


def forged(octets, *records, code=0, flags=0x8420):
    """
    An answer to this query by somebody without keys, who says that it was validated (AD). Records
    are (number of the type, data) of the name that was asked for.
    """
    end = 12 + len(wire(question(octets)[0])) + 4
    answer = octets[:2] + struct.pack(">5H", flags | code, 1, len(records), 0, 0) + octets[12:end]
    for type_, data in records:
        answer += b"\xc0\x0c" + struct.pack(">HHIH", type_, 1, 300, len(data)) + data
    return answer


def unsigned(octets, answer):
    """The true answer; but its signatures and proofs are of a type that nobody knows."""
    spoiled, at = bytearray(answer), len(forged(octets))
    for _ in range(sum(struct.unpack(">3H", answer[6:12]))):
        while answer[at] & 0xc0 == 0 and answer[at]:
            at += 1 + answer[at]
        at += 2 if answer[at] else 1
        type_, _, _, length = struct.unpack(">HHIH", answer[at:at + 10])
        if type_ in (46, 47, 50):           # RRSIG, NSEC, NSEC3
            spoiled[at:at + 2] = b"\xff\x77"
        at += 10 + length
    return bytes(spoiled)


def wire(text):
    """A name as in a record's data."""
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def break_signatures(file, type_):
    """Each RRSIG over this type no longer fits."""
    def other(match):
        middle = match.group(2)
        return match.group(1) + ("B" if middle == "A" else "A") + match.group(3)
    text, count = re.subn(rf"(\sRRSIG\s+{type_}\s.*\s[A-Za-z0-9+/]{{20}})(.)([A-Za-z0-9+/=]+\s*$)",
                          other, file.read_text(), flags=re.M)
    assert count, f"{file} has no signature of {type_}"
    file.write_text(text)
