# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
Mail servers of the Internet: they offer STARTTLS, record every octet that was on the wire, and
go wrong at the place and in the way that a test says.
"""

import base64
import contextlib
import ssl

from .backend import EXTENSIONS, Backend
from .net import Deadline
from .peer import Ended, Listener, Wire

# What a server does at a phase instead of what is right there; any other text is its reply.
CLOSE = "close"                  # a FIN
RESET = "reset"
STALL = "stall"                  # nothing more, ever; the connection stays
GARBAGE = "garbage"              # octets that are no reply and no TLS record
REPLY_THEN_CLOSE = "then-close"  # the right reply, and a FIN behind it
# At "starttls" alone:
EXTRA = "extra"                  # the right reply and more in the same segment, then TLS
# At "hello", which is when the ClientHello is there:
ALERT = "alert"                  # a TLS alert: handshake_failure

PHASES = ("greeting", "ehlo", "starttls", "hello", "ehlo-tls", "mail", "rcpt", "data", "body",
          "eod", "queued", "rset", "quit")   # at eod the message is not stored, at queued it is


class TappedWire(Wire):
    """A connection whose octets are kept as they were on the wire as well, TLS or not."""

    def __init__(self, sock, name="destination"):
        super().__init__(sock, name)
        self.raw = bytearray()       # of the other side, as they came
        self.from_address = sock.getpeername()[0]
        self.tls = None
        self.server_name = None      # the SNI
        self.resumed = False
        self.user = None             # who has said AUTH
        self._in = self._out = None

    @property
    def secure(self):
        return self.tls is not None and self.tls.version() is not None

    def peek(self):
        """Waits for the next octet and leaves it where it is."""
        while not self.unread:
            if not self.fill(Deadline(3600)):
                raise Ended(f"{self.name}: closed")

    def read(self, deadline):
        if self.tls is None:
            return self._raw_read(deadline)
        while True:
            try:
                octets = self.tls.read(1 << 18)
            except ssl.SSLWantReadError:
                octets = self._raw_read(deadline)
                if octets:
                    self._in.write(octets)
                    continue
            except ssl.SSLError:
                octets = b""
            self._push(deadline)
            return octets

    def _raw_read(self, deadline):
        octets = super().read(deadline)
        self.raw += octets
        return octets

    def _push(self, deadline):
        if self._out.pending:
            for _ in super().transmit(memoryview(self._out.read()), deadline):
                pass

    def transmit(self, view, deadline):
        if self.tls is None:
            yield from super().transmit(view, deadline)
        elif view:
            self.tls.write(view)
            self._push(deadline)
            yield len(view)

    def accept_tls(self, context):
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._in.write(bytes(self.unread))
        self.unread.clear()
        self.tls = context.wrap_bio(self._in, self._out, server_side=True)
        deadline = Deadline()
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._push(deadline)
                octets = self._raw_read(deadline)
                if not octets:
                    raise Ended(f"{self.name}: closed in the handshake") from None
                self._in.write(octets)
                continue
            finally:
                with contextlib.suppress(OSError):
                    self._push(deadline)
            self.resumed = self.tls.session_reused
            self.server_name = getattr(self.tls, "asked_name", None)
            return self


class Destination(Backend):
    """
    `pair`: certificate and key, or None for a server without STARTTLS. `script` maps a phase to
    what goes wrong there: a word above, a reply, or (either, how often). It may be changed at
    any time. Messages in `store` know whether they came `secure` and to which `server_name`.
    """

    keywords = EXTENSIONS

    def __init__(self, address=("127.0.0.1", 0), pair=None, name="mx.example", script=None,
                 implicit=False, minimum=None, maximum=None, client_ca=None, keywords=None,
                 keywords_tls=None, tickets=True, users=None):
        super().__init__(address, listener=TappedListener(address))
        self.host = name
        self.script = dict(script or {})
        self.implicit = implicit
        self.log = []       # (phase, what was done) of everything scripted
        if keywords is not None:
            self.keywords = tuple(keywords)
        self.keywords_tls = self.keywords if keywords_tls is None else tuple(keywords_tls)
        self.users = dict(users or {})   # with some: AUTH PLAIN and LOGIN, and no MAIL without
        if users:
            self.keywords_tls += ("AUTH PLAIN LOGIN",)
        if implicit:
            self.keywords = self.keywords_tls
        if pair is not None:
            self.keywords += () if implicit else ("STARTTLS",)
            self.present(pair, minimum, maximum, client_ca, tickets)

    def present(self, pair, minimum=None, maximum=None, client_ca=None, tickets=True):
        """Shows this certificate from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # some certificates are weak on purpose
        context.load_cert_chain(*pair)
        context.minimum_version = minimum or ssl.TLSVersion.TLSv1_2
        if maximum:
            context.maximum_version = maximum
        if client_ca:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(client_ca)
        if not tickets:
            context.num_tickets = 0
            context.options |= ssl.OP_NO_TICKET
        context.sni_callback = self._named
        self.context = context

    def _named(self, tls, name, _context):
        tls.asked_name = name

    # -- going wrong

    def _scripted(self, wire, phase):
        """What is to happen here, or None; counted down where it is to happen a few times."""
        action = self.script.get(phase)
        if isinstance(action, tuple):
            action, times = action
            if times == 1:
                del self.script[phase]
            else:
                self.script[phase] = (action, times - 1)
        if action is not None:
            self.log.append((phase, action))
        return action

    def act(self, wire, phase):
        """True: the phase is over, by a reply of the script's. Some never come back."""
        action = self._scripted(wire, phase)
        if action is None:
            return False
        if action == STALL:
            wire.rest(3600)
        elif action == RESET:
            wire.reset()
        elif action == GARBAGE:
            wire.send(b"\0\xff\x80garbage\r\n" * 4)
            wire.rest(60)
        elif action == ALERT:
            wire.send(b"\x15\x03\x03\x00\x02\x02\x28")
        elif action == REPLY_THEN_CLOSE:
            self.say(wire, {"starttls": "220 2.0.0 go ahead", "data": self.go_ahead,
                            "greeting": self.greeting}.get(phase, "250 2.0.0 OK"))
        elif action == EXTRA:
            wire.send(b"220 2.0.0 go ahead\r\n250-evil AUTH PLAIN\r\n250 OK\r\n")
            self.shake(wire)
            return True
        elif action != CLOSE:
            self.say(wire, action)
            if not action.startswith("421") and phase != "greeting":
                return True
        wire.finish()
        wire.rest(60)
        raise Ended(f"{self.host}: {action} at {phase}")

    # -- the conversation

    def session(self, wire):
        if self.implicit:
            self.shake(wire)
        super().session(wire)

    def greet(self, wire):
        if not self.act(wire, "greeting"):
            super().greet(wire)

    def secure(self, wire):
        if not self.act(wire, "starttls"):
            self.say(wire, "220 2.0.0 go ahead")
            self.shake(wire)
        return wire.secure

    def shake(self, wire):
        if "hello" in self.script:
            wire.peek()
            self.act(wire, "hello")
        wire.accept_tls(self.context)

    def scripted(self, wire, verb, rest):
        if verb == "MAIL" and self.users and not wire.user:
            self.say(wire, "530 5.7.0 Authentication required")
            return True
        phase = {"EHLO": "ehlo-tls" if wire.secure else "ehlo"}.get(verb, verb.lower())
        return verb != "STARTTLS" and phase in PHASES and self.act(wire, phase)

    def ehlo_lines(self, secure):
        keywords = self.keywords_tls if secure else self.keywords
        return [self.hello.format(host=self.host), *keywords]

    def read_data(self, wire):
        refused = False
        if "body" in self.script:
            wire.peek()
            refused = self.act(wire, "body")
        octets = super().read_data(wire)
        return None if refused else octets

    def acknowledge(self, wire, message):
        message.secure, message.server_name = wire.secure, wire.server_name
        message.version = wire.tls.version() if wire.secure else None
        message.resumed = wire.resumed
        if self.act(wire, "eod"):
            return
        message.told = False    # whether the other side was told that it is here
        n = self.store.add(message)
        if not self.act(wire, "queued"):
            message.told = True
            self.say(wire, self.queued, n=n)

    def other(self, wire, verb, rest):
        if verb != "AUTH" or not self.users:
            return super().other(wire, verb, rest)
        mechanism, _, initial = rest.partition(" ")
        if mechanism.upper() == "PLAIN":
            said = base64.b64decode(initial or self.ask(wire, "")).decode()
            _, user, password = said.split("\0")
        else:
            user = base64.b64decode(initial or self.ask(wire, "Username:")).decode()
            password = base64.b64decode(self.ask(wire, "Password:")).decode()
        if self.users.get(user) == password:
            wire.user = user
            self.say(wire, "235 2.7.0 Authentication successful")
        else:
            self.say(wire, "535 5.7.8 Authentication credentials invalid")

    def ask(self, wire, text):
        wire.send(b"334 " + base64.b64encode(text.encode()) + b"\r\n")
        return wire.line()

    # -- what was seen

    @property
    def raw(self):
        """Every octet that came over any wire, as it was there."""
        return b"".join(bytes(w.raw) for w in self.wires)

    def saw_nothing_in_clear(self):
        """No octet of an envelope or a message has crossed in clear, on any connection."""
        for wire in self.wires:
            clear = clear_part(bytes(wire.raw)).upper()
            for word in (b"MAIL", b"RCPT", b"DATA", b"BDAT", b"@", b"SUBJECT"):
                assert word not in clear, f"{self.host} saw in clear: {clear!r}"


def offers_a_session(octets):
    """Whether the ClientHello in these has something to resume (RFC 8446 §4.2.11)."""
    hello = octets[octets.index(b"STARTTLS\r\n") + len(b"STARTTLS\r\n"):]
    at = 5 + 4 + 2 + 32                                         # record, message, version, random
    at += 1 + hello[at]                                         # session id
    at += 2 + int.from_bytes(hello[at:at + 2], "big")           # cipher suites
    at += 1 + hello[at] + 2                                     # compression, length
    while at < 5 + int.from_bytes(hello[3:5], "big"):
        if hello[at:at + 2] == b"\0\x29":                       # pre_shared_key
            return True
        at += 4 + int.from_bytes(hello[at + 2:at + 4], "big")
    return False


class TappedListener(Listener):
    def accept(self, name="destination", seconds=None):
        wire = super().accept(name, seconds)
        return TappedWire(wire.sock, name)


def clear_part(octets):
    """All but whole TLS records, wherever they stand."""
    clear, at = bytearray(), 0
    while at < len(octets):
        if octets[at] in range(0x14, 0x18) and octets[at + 1:at + 2] == b"\3":
            at += 5 + int.from_bytes(octets[at + 3:at + 5], "big")
        else:
            clear.append(octets[at])
            at += 1
    return bytes(clear)
