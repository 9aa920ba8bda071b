# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""A scripted name server: it answers what a test put in, lies as it is told, and remembers."""

import ipaddress
import socket
import struct
import threading

from .net import Deadline, free_port, isolated
from .peer import Ended, Silence, Wire

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28,
         "DS": 43, "DNSKEY": 48, "TLSA": 52}
_NAMES = {number: name for name, number in TYPES.items()}
_OPT = 41
_FINE, _SERVFAIL, _NXDOMAIN, _REFUSED = 0, 2, 3, 5
_AA_RD_RA, _TC = 0x8580, 0x0200

# What a name's questions can be made to get instead of an answer; see Dns.misbehave().
SERVFAIL = "servfail"
REFUSED = "refused"
SILENT = "silent"            # nothing ever
GARBAGE = "garbage"          # octets that are no message
WRONG_ID = "wrong-id"        # the right answer under another question's number
WRONG_NAME = "wrong-name"    # an answer to another question
TRUNCATED = "truncated"      # by UDP, so that one must come by TCP, where all is well
CUT_SHORT = "cut-short"      # likewise, and by TCP the connection ends inside the answer


class Question:
    def __init__(self, name, type_, transport):
        self.name, self.type, self.transport = name, type_, transport

    def __repr__(self):
        return f"{self.name}/{self.type} by {self.transport}"


class Dns:
    """
    Serves UDP and TCP at one port, as a resolver does: for any zone, CNAMEs followed.
    `resolver` is how sealpost.conf names it. Everything may be changed while it runs; what has
    been answered may be kept by whoever asked for `ttl` seconds (a value's own or this).
    """

    def __init__(self, host="127.0.0.1", ttl=300):
        self.host, self.ttl = host, ttl
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._tcp, self._udp = self._pair(family, host)
        self.port = self._tcp.getsockname()[1]
        self.resolver = f"{host}@{self.port}"
        self.questions = []
        self.errors = []
        self._records = {}      # (name, type) -> [(ttl, rdata or, for CNAME, a name)]
        self._behaviours = {}   # (name, type or None) -> behaviour
        self._changed = threading.Condition()
        self._closing = threading.Event()

    @staticmethod
    def _pair(family, host):
        for _ in range(100):
            tcp = socket.create_server((host, free_port() if isolated() else 0), family=family)
            udp = socket.socket(family, socket.SOCK_DGRAM)
            try:
                udp.bind(tcp.getsockname())
                return tcp, udp
            except OSError:
                tcp.close()
                udp.close()
        raise OSError("no port is free for both UDP and TCP")

    def __enter__(self):
        self._threads = [threading.Thread(target=work, daemon=True)
                         for work in (self._serve_udp, self._serve_tcp)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """No more answers: from here on it is as dead as a name server can be."""
        if self._closing.is_set():
            return
        self._closing.set()
        with socket.socket(self._udp.family, socket.SOCK_DGRAM) as s:
            s.sendto(b"", self._udp.getsockname())  # wakes the thread
        self._tcp.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._udp.close()
        self._tcp.close()

    # -- what is in it

    def set(self, name, type_, *values, ttl=None):
        """These records, in place of those that were there; none: there is no such record."""
        records = [(self.ttl if ttl is None else ttl, _rdata(type_, v)) for v in values]
        with self._changed:
            if records:
                self._records[_canonical(name), type_] = records
            else:
                self._records.pop((_canonical(name), type_), None)

    def a(self, name, *addresses, ttl=None):
        """Addresses of either family, in place of all that were there."""
        for type_, version in (("A", 4), ("AAAA", 6)):
            self.set(name, type_, *(x for x in addresses
                                    if ipaddress.ip_address(x).version == version), ttl=ttl)

    def mx(self, name, *hosts, ttl=None):
        """(preference, host) each, or hosts alone, then at 10, 20, …"""
        pairs = [h if isinstance(h, tuple) else (10 * (n + 1), h) for n, h in enumerate(hosts)]
        self.set(name, "MX", *pairs, ttl=ttl)

    def null_mx(self, name):
        """RFC 7505: takes no mail."""
        self.mx(name, (0, "."))

    def domain(self, name, *addresses):
        """A domain whose hosts mx1, mx2, … have these addresses, in the order of preference."""
        hosts = [f"mx{n + 1}.{name}" for n in range(len(addresses))]
        self.mx(name, *hosts)
        for host, address in zip(hosts, addresses):
            self.a(host, *([address] if isinstance(address, str) else address))
        return hosts

    def cname(self, name, target, ttl=None):
        self.set(name, "CNAME", target, ttl=ttl)

    def remove(self, name):
        """NXDOMAIN from now on."""
        with self._changed:
            for key in [k for k in self._records if k[0] == _canonical(name)]:
                del self._records[key]

    def misbehave(self, name, behaviour, type_=None):
        """
        What questions about this name (and type) get: one of the words above, None for the
        truth, or a threading.Event, which the true answer waits for. "*" is every name.
        """
        with self._changed:
            self._behaviours[_canonical(name), type_] = behaviour

    # -- what was asked

    def asked(self, name, type_=None):
        with self._changed:
            return [q for q in self.questions
                    if q.name == _canonical(name) and type_ in (None, q.type)]

    def wait_asked(self, name, type_=None, count=1, seconds=None):
        """Until somebody has asked this so often."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.asked(name, type_)) >= count,
                                          Deadline(seconds).left()):
                raise AssertionError(f"nobody asked for {name}/{type_}: {self.questions[-20:]}")

    # -- serving

    def _serve_udp(self):
        while True:
            octets, whom = self._udp.recvfrom(65535)
            if self._closing.is_set():
                return
            self._handle(octets, "udp", lambda reply, whom=whom: self._udp.sendto(reply, whom))

    def _serve_tcp(self):
        while True:
            try:
                wire = Wire(self._tcp.accept()[0], "dns")
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(wire,), daemon=True).start()

    def _serve_connection(self, wire):
        def send(reply):
            wire.send(struct.pack(">H", len(reply)) + reply)

        def cut(reply):
            wire.send((struct.pack(">H", len(reply)) + reply)[:-3])
            wire.finish()
        with wire:
            try:
                while not self._closing.is_set():
                    octets = wire.exactly(struct.unpack(">H", wire.exactly(2, 60))[0])
                    self._handle(octets, "tcp", send, cut)
            except (Ended, Silence, OSError):
                pass

    def _handle(self, octets, transport, send, cut=None):
        try:
            self._answer(octets, transport, send, cut)
        except OSError:
            pass
        except Exception as e:  # a fault of the test's own: shown by whoever looks
            self.errors.append(e)

    def _answer(self, octets, transport, send, cut):
        query = _Query(octets)
        with self._changed:
            self.questions.append(Question(query.name, query.type, transport))
            self._changed.notify_all()
            behaviour = self._behaviour(query)
        if isinstance(behaviour, threading.Event):
            threading.Thread(target=self._later, args=(behaviour, query, send),
                             daemon=True).start()
        elif behaviour == SILENT:
            pass
        elif behaviour in (SERVFAIL, REFUSED):
            send(query.reply(_SERVFAIL if behaviour == SERVFAIL else _REFUSED))
        elif behaviour == GARBAGE:
            send(query.id + b"\xff" * 37)
        elif behaviour == WRONG_ID:
            send(bytes([query.id[0] ^ 0xff, query.id[1]]) + self._truth(query)[2:])
        elif behaviour == WRONG_NAME:
            send(_Query(query.octets.replace(query.question[1:2], b"~", 1)).reply(_NXDOMAIN))
        elif behaviour in (TRUNCATED, CUT_SHORT) and transport == "udp":
            send(query.reply(_FINE, flags=_TC))
        elif behaviour == CUT_SHORT:
            cut(self._truth(query))
        else:
            reply = self._truth(query)
            send(query.reply(_FINE, flags=_TC) if transport == "udp" and len(reply) > query.room
                 else reply)

    def _later(self, event, query, send):
        event.wait(60)
        try:
            send(self._truth(query))
        except OSError:
            pass

    def _behaviour(self, query):
        for name in (query.name, "*"):
            for type_ in (query.type, None):
                if (name, type_) in self._behaviours:
                    return self._behaviours[name, type_]
        return None

    def _truth(self, query):
        with self._changed:
            name, answers = query.name, []
            while (name, query.type) not in self._records and query.type != "CNAME" \
                    and (name, "CNAME") in self._records and len(answers) < 20:
                ttl, target = self._records[name, "CNAME"][0]
                answers.append(_record(name, "CNAME", ttl, target))
                name = _read_name(target, 0)[0]
            found = self._records.get((name, query.type), [])
            answers += [_record(name, query.type, ttl, rdata) for ttl, rdata in found]
            exists = any((name, type_) in self._records for type_ in TYPES) or any(
                n.endswith("." + name) for n, _ in self._records)
        if found:
            return query.reply(_FINE, answers)
        soa = _name("ns." + name) + _name("hostmaster." + name) + struct.pack(
            ">5I", 1, 3600, 600, 86400, self.ttl)
        return query.reply(_FINE if exists else _NXDOMAIN, answers,
                           [_record(name, "SOA", self.ttl, soa)])


class _Query:
    def __init__(self, octets):
        self.octets, self.id = octets, octets[:2]
        self.name, end = _read_name(octets, 12)
        number, = struct.unpack(">H", octets[end:end + 2])
        self.type = _NAMES.get(number, str(number))
        self.question = octets[12:end + 4]
        # The OPT record, where there is one, is the only other thing in a question.
        extra = octets[end + 4:]
        self.edns = extra[:3] == b"\0" + struct.pack(">H", _OPT)
        self.room = max(512, struct.unpack(">H", extra[3:5])[0]) if self.edns else 512

    def reply(self, code, answers=(), authority=(), flags=0):
        opt = b"\0" + struct.pack(">HHIH", _OPT, 1232, 0, 0) if self.edns else b""
        return (self.id + struct.pack(">5H", _AA_RD_RA | flags | code, 1, len(answers),
                                      len(authority), 1 if opt else 0)
                + self.question + b"".join(answers) + b"".join(authority) + opt)


def _canonical(name):
    return name.rstrip(".").lower()


def _name(text):
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _read_name(octets, at):
    labels = []
    while octets[at]:
        labels.append(octets[at + 1:at + 1 + octets[at]].decode("latin-1").lower())
        at += 1 + octets[at]
    return ".".join(labels), at + 1


def _record(name, type_, ttl, rdata):
    return _name(name) + struct.pack(">HHIH", TYPES[type_], 1, ttl, len(rdata)) + rdata


def _rdata(type_, value):
    """Of what people write: an address, a name, (preference, host), text, or octets."""
    if isinstance(value, bytes):
        return value
    if type_ in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if type_ in ("CNAME", "NS", "PTR"):
        return _name(value)
    if type_ == "MX":
        return struct.pack(">H", value[0]) + _name(value[1])
    if type_ == "TXT":
        return bytes([len(value)]) + value.encode()
    if type_ == "TLSA":
        return bytes(value[:3]) + value[3]
    raise ValueError(f"{type_} records are given as octets")
