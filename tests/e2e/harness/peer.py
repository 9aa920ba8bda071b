# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Raw peers that remember every octet: a connection, a client that dials, a server that accepts."""

import contextlib
import socket
import ssl
import struct

from .net import Deadline


class Silence(AssertionError):
    """Nothing came in time."""


class Ended(AssertionError):
    """The other side closed where more was expected."""


class Wire:
    """One connection. `sent` and `received` hold everything, `unread` what no test looked at."""

    def __init__(self, sock, name="wire"):
        self.sock = sock
        self.name = name
        self.sent = bytearray()
        self.received = bytearray()
        self.unread = bytearray()
        self.ended = False   # the other side closed, or reset
        self.was_reset = False
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- writing

    def send(self, octets, seconds=None):
        if isinstance(octets, str):
            octets = octets.encode("latin-1")
        view = memoryview(octets)
        for n in self.transmit(view, Deadline(seconds)):
            self.sent += view[:n]
            view = view[n:]

    def transmit(self, view, deadline):
        """Writes to the socket; yields how many octets went each time."""
        while view:
            self.sock.settimeout(max(deadline.left(), 0.001))
            try:
                n = self.sock.send(view[:1 << 20])
            except TimeoutError:
                raise Silence(f"{self.name}: does not read") from None
            view = view[n:]
            yield n

    def command(self, text, code=None, seconds=None):
        """Sends a line and returns its reply."""
        self.send(text + "\r\n" if isinstance(text, str) else text + b"\r\n")
        return self.reply(code, seconds)

    def finish(self):
        """No more from us: a FIN, the TLS layer left as it is."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_WR)  # SSLSocket's forgets its TLS

    def reset(self):
        """A RST instead of an end."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.close()

    # -- reading

    def fill(self, deadline):
        """Waits for more; False at the end of the connection."""
        octets = b"" if self.ended else self.read(deadline)
        if not octets:
            self.ended = True
            return False
        self.received += octets
        self.unread += octets
        return True

    def read(self, deadline):
        """What the socket has next; nothing at its end."""
        if deadline.over():
            raise Silence(f"{self.name}: nothing came; unread {bytes(self.unread[-200:])!r}")
        self.sock.settimeout(max(deadline.left(), 0.001))
        try:
            return self.sock.recv(1 << 18)
        except TimeoutError:
            unread = bytes(self.unread[-200:])
            raise Silence(f"{self.name}: nothing came; unread {unread!r}") from None
        except (ConnectionError, ssl.SSLError) as e:
            self.was_reset = isinstance(e, ConnectionError)
            return b""

    def take(self, n):
        octets = bytes(self.unread[:n])
        del self.unread[:n]
        return octets

    def exactly(self, n, seconds=None):
        deadline = Deadline(seconds)
        while len(self.unread) < n:
            if not self.fill(deadline):
                raise Ended(f"{self.name}: closed, {len(self.unread)} of {n} octets came")
        return self.take(n)

    def until(self, mark, seconds=None):
        """All up to and with the mark."""
        deadline = Deadline(seconds)
        looked = 0
        while True:
            at = self.unread.find(mark, max(0, looked - len(mark) + 1))
            if at >= 0:
                return self.take(at + len(mark))
            looked = len(self.unread)
            if not self.fill(deadline):
                raise Ended(f"{self.name}: closed; unread {bytes(self.unread[-200:])!r}")

    def line(self, seconds=None):
        """The next line without its CRLF."""
        return self.until(b"\r\n", seconds)[:-2]

    def reply(self, code=None, seconds=None):
        """The next SMTP reply, a list of its lines; with `code` it must begin so."""
        lines = [self.line(seconds)]
        while lines[-1][3:4] == b"-":
            lines.append(self.line(seconds))
        if code is not None:
            assert lines[-1].startswith(str(code).encode()), f"{self.name}: {lines}, not {code}"
        return lines

    def rest(self, seconds=None):
        """Everything until the other side closes."""
        deadline = Deadline(seconds)
        while self.fill(deadline):
            pass
        return self.take(len(self.unread))

    # -- TLS

    def starttls(self, context, name=None):
        """Shakes hands as the client, on top of what is there."""
        self.sock.settimeout(Deadline().left())
        self.sock = context.wrap_socket(self.sock, server_hostname=name,
                                        suppress_ragged_eofs=False)
        return self

    def accept_tls(self, context):
        self.sock.settimeout(Deadline().left())
        self.sock = context.wrap_socket(self.sock, server_side=True, suppress_ragged_eofs=False)
        return self

    def bye(self):
        """close_notify, without waiting for theirs, then a FIN."""
        with contextlib.suppress(OSError, ssl.SSLError):
            self.sock.settimeout(0.001)
            self.sock.unwrap()
        self.finish()


def dial(address, name="client", source=None, seconds=None):
    return Wire(socket.create_connection(address, timeout=Deadline(seconds).left(),
                                         source_address=source), name)


class Client(Wire):
    """An SMTP client of few words."""

    def __init__(self, address, source=None, context=None, name=None):
        sock = socket.create_connection(address, timeout=Deadline().left(), source_address=source)
        super().__init__(sock, "client")
        if context is not None:
            self.starttls(context, name)

    def hello(self, helo="client.example", code=250):
        return self.command(f"EHLO {helo}", code)

    def secure(self, context, name="proxy.example"):
        self.command("STARTTLS", 220)
        self.starttls(context, name)

    def begin(self, context=None, helo="client.example", name="proxy.example"):
        """Greeting, EHLO, and with a context STARTTLS and EHLO again."""
        self.reply(220)
        lines = self.hello(helo)
        if context is not None:
            self.secure(context, name)
            lines = self.hello(helo)
        return lines

    def envelope(self, sender="alice@client.example", *recipients):
        self.command(f"MAIL FROM:<{sender}>", 250)
        for r in recipients or ["bob@backend.example"]:
            self.command(f"RCPT TO:<{r}>", 250)

    def data(self, message, code=250, seconds=None):
        self.command("DATA", 354)
        self.send(stuff(message), seconds)
        return self.reply(code, seconds)

    def bdat(self, message, chunk=None, code=250):
        """The message in chunks, each acknowledged before the next."""
        chunk = chunk or max(1, len(message))
        pieces = [message[i:i + chunk] for i in range(0, len(message), chunk)] or [b""]
        for i, piece in enumerate(pieces):
            last = " LAST" if i + 1 == len(pieces) else ""
            self.send(b"BDAT %d%s\r\n" % (len(piece), last.encode()))
            self.send(piece)
            reply = self.reply(code)
        return reply

    def quit(self):
        reply = self.command("QUIT", 221)
        assert self.rest() == b""
        return reply


def stuff(message):
    """The message as DATA wants it: dots stuffed, ended by CRLF.CRLF."""
    if message and not message.endswith(b"\r\n"):
        message += b"\r\n"
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class Listener:
    """A server that accepts when it is told to."""

    def __init__(self, address=("127.0.0.1", 0), backlog=128):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.sock = socket.create_server(address, family=family, backlog=backlog)
        self.address = self.sock.getsockname()[:2]
        self.port = self.address[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def accept(self, name="server", seconds=None):
        self.sock.settimeout(Deadline(seconds).left())
        try:
            return Wire(self.sock.accept()[0], name)
        except TimeoutError:
            raise Silence(f"{name}: nobody connected") from None

    def close(self):
        self.sock.close()


def client_context(ca=None, minimum=None, maximum=None, ciphers=None):
    """A client's TLS: verifies where a CA file is given, else takes anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if ciphers:
        context.set_ciphers(ciphers)
    return context


def server_context(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context
