# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Reads and plays the conversations of tests/playbooks; their README says what the words mean."""

import re
import ssl

from . import peer
from .net import free_port

_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.S)
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"*": b"*"}


def beyond_tls(octets):
    """What follows the TLS records that a broken handshake leaves on the wire: SMTP or nothing."""
    while len(octets) > 5 and octets[0] in range(0x14, 0x18) and octets[1] == 3:
        octets = octets[5 + int.from_bytes(octets[3:5], "big"):]
    return octets


class Fault(Exception):
    """The playbook itself is wrong."""


class Step:
    def __init__(self, number, kind, leg=None, octets=b"", pattern=None, times=1):
        self.number, self.kind, self.leg = number, kind, leg
        self.octets, self.pattern, self.times = octets, pattern, times


class Playbook:
    def __init__(self, file):
        self.name = file.stem
        self.settings, self.limits, self.steps = {}, {}, []
        self.only = set()
        self.refused = False
        for number, raw in enumerate(file.read_bytes().split(b"\n"), 1):
            line = raw.lstrip()
            if self.only == "core":
                break  # the rest is not for us, nor are all its words
            if line and not line.startswith(b"#"):
                if "core" in self.only:
                    return  # what follows may be words that are not for us
                try:
                    self._read(number, line)
                except Fault as e:
                    raise Fault(f"{file.name}:{number}: {e}") from None

    def _read(self, number, line):
        words = line.decode("latin-1").split()
        bare = " ".join(words)
        if words[0] in ("set", "limit"):
            key, equals, value = bare[len(words[0]):].partition("=")
            if not equals:
                raise Fault("no '='")
            (self.settings if words[0] == "set" else self.limits)[key.strip()] = value.strip()
        elif words[0] == "only":
            if words[1] != "whole":
                self.only.add(words[1])
        elif words[0] == "timeout":
            self.steps.append(Step(number, "timeout", None))
        elif bare == "far refused":
            self.refused = True
        elif words[0] in ("near", "far"):
            self._read_leg(number, words[0], line.split(None, 1)[1])
        else:
            raise Fault(f"not a playbook's word: {words[0]}")

    def _read_leg(self, number, leg, rest):
        word = rest.decode("latin-1").strip()
        simple = {"TLS": "tls", "TLS fails": "tls-fails", "ends": "ends", "closed": "closed"}
        if word in simple:
            self.steps.append(Step(number, simple[word], leg))
            return
        who, how, text = rest[:1], rest[1:2], rest[2:]
        ours = b"S" if leg == "near" else b"C"
        if who not in (b"C", b"S") or how not in (b":", b"=", b"*"):
            raise Fault("neither sent nor expected")
        times, text = 1, blank_off(text)
        if how == b"*":
            count, _, text = text.partition(b" ")
            times = int(count)
        if who == ours:
            if how == b"=":
                raise Fault("an expectation is a whole line")
            self.steps.append(Step(number, "expect", leg, pattern=pattern(text), times=times))
            return
        octets = unescape(text) + (b"" if how == b"=" else b"\r\n")
        self.steps.append(Step(number, "send", leg, octets * times))


def blank_off(text):
    return text[1:] if text.startswith(b" ") else text


def unescape(text):
    def one(match):
        word = match.group(1)
        if word.startswith(b"x") and len(word) == 3:
            return bytes([int(word[1:], 16)])
        if word not in _PLAIN:
            raise Fault(f"unknown escape \\{word.decode('latin-1')}")
        return _PLAIN[word]
    return _ESCAPE.sub(one, text)


def pattern(text):
    """A regular expression of what the line may be."""
    pieces = re.split(rb"((?:[^\\*]|\\x[0-9A-Fa-f]{2}|\\.)+)", text)
    made = b"".join(b".*" * len(p) if i % 2 == 0 else re.escape(unescape(p))
                    for i, p in enumerate(pieces))
    return re.compile(made, re.S)


class Player:
    """Both worlds of a playbook around a running daemon."""

    def __init__(self, book, daemon, listener, server_context):
        self.book, self.listener, self.server_context = book, listener, server_context
        self.daemon = daemon
        self.near = None
        self._far = None
        self._far_gone = False  # we ended it: what we send next goes over a new connection
        self.owed = {"near": b"", "far": b""}

    @property
    def far(self):
        if self._far is None:
            self._far = self.listener.accept("far")
        return self._far

    def leg(self, name):
        return self.near if name == "near" else self.far

    def flush(self):
        for name, octets in self.owed.items():
            if octets:
                self.owed[name] = b""
                self.leg(name).send(octets)
                self.daemon.settle()  # the other leg's next octets come after these

    def play(self):
        self.near = peer.dial(self.daemon.address, "near")
        for step in self.book.steps:
            try:
                self._step(step)
            except (AssertionError, OSError) as e:
                raise AssertionError(f"{self.book.name}.play:{step.number}: {e}") from None
        self.flush()
        self._end()

    def _step(self, step):
        if step.kind == "send":
            if step.leg == "far" and self._far_gone:
                self.flush()
                self._far.close()
                self._far, self._far_gone = None, False
            if self.owed[step.leg] == b"":
                self.flush()
            self.owed[step.leg] += step.octets
            return
        self.flush()
        if step.kind == "timeout":
            return
        wire = self.leg(step.leg)
        if step.kind == "expect":
            for _ in range(step.times):
                line = wire.line()
                assert step.pattern.fullmatch(line), f"{wire.name} got {line!r}"
        elif step.kind == "tls" and step.leg == "near":
            assert not wire.unread, f"unread before TLS: {bytes(wire.unread)!r}"
            wire.starttls(peer.client_context(), "proxy.example")
        elif step.kind == "tls":
            wire.accept_tls(self.server_context)
        elif step.kind == "tls-fails":
            break_off(wire, step.leg)
            self._far_gone |= step.leg == "far"
        elif step.kind == "ends":
            wire.bye() if isinstance(wire.sock, ssl.SSLSocket) else wire.finish()
            self.daemon.settle()
            self._far_gone |= step.leg == "far"
        elif step.kind == "closed":
            rest = beyond_tls(wire.rest())
            assert rest == b"", f"{wire.name} still got {rest[:200]!r}"
            wire.finish()

    def _end(self):
        """Whatever comes when both sides hang up, it is no word that was left unread before."""
        self.near.finish()
        if self._far is not None:
            self._far.finish()
        rest = self.near.rest()
        assert re.fullmatch(rb"(4[25]1 [^\r\n]*\r\n)?", rest), \
            f"{self.book.name}.play: near had unread {rest[:200]!r}"
        if self._far is not None:
            rest = self._far.rest()
            assert rest in (b"", b"QUIT\r\n", b"RSET\r\n"), \
                f"{self.book.name}.play: far had unread {rest[:200]!r}"

    def close(self):
        for wire in (self.near, self._far):
            if wire is not None:
                wire.close()


def break_off(wire, leg):
    """Ends a handshake that began well: the client will not have our certificate, the server us."""
    if leg == "far":
        wire.exactly(int.from_bytes(wire.exactly(5)[3:], "big"))  # the ClientHello
        wire.send(b"\x15\x03\x03\x00\x02\x02\x28")  # alert: handshake_failure
        wire.finish()
        return
    raw = wire.sock.dup()
    try:
        wire.starttls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "proxy.example")
    except ssl.SSLError:
        pass
    wire.sock = raw


def backend(book):
    """(listener or None, what the configuration calls it)."""
    if book.refused:
        return None, f"127.0.0.1:{free_port()}"
    listener = peer.Listener()
    return listener, f"127.0.0.1:{listener.port}"
