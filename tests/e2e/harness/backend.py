# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Scripted mail servers: one that stores messages exactly, and Exchange of several ages."""

import re
import threading

from .net import WAIT, Deadline
from .peer import Ended, Listener, Silence

EXTENSIONS = ("PIPELINING", "SIZE 104857600", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES",
              "SMTPUTF8", "CHUNKING")


class Message:
    def __init__(self, sender, recipients, octets, how):
        self.sender, self.recipients, self.octets, self.how = sender, recipients, octets, how


class Store:
    """Messages as they came, in the order of their acknowledgement."""

    def __init__(self):
        self.messages = []
        self._changed = threading.Condition()

    def add(self, message):
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()
            return len(self.messages)

    def wait(self, count, seconds=None):
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count,
                                          Deadline(seconds).left()):
                raise AssertionError(f"{len(self.messages)} of {count} messages came")
            return self.messages[count - 1]


class Backend:
    """
    A server on a thread a connection. Every wire it accepted is in `wires`; every message in
    `store`. What a kind of server says is in attributes and in say_*().
    """

    host = "backend.example"
    greeting = "220 {host} ESMTP scripted"
    hello = "{host} at your service"
    keywords = EXTENSIONS
    last_keyword = None     # Exchange 2000 and 2003 end with "250 OK"
    sender_ok = "250 2.1.0 {sender}....Sender OK"
    recipient_ok = "250 2.1.5 {recipient}"
    go_ahead = "354 Start mail input; end with <CRLF>.<CRLF>"
    queued = "250 2.6.0 <{n}@{host}> Queued mail for delivery"

    def __init__(self, address=("127.0.0.1", 0), context=None, keep=True, listener=None):
        self.listener = listener or Listener(address, backlog=1024)
        self.address = f"{self.listener.address[0]}:{self.listener.port}"
        if ":" in self.listener.address[0]:
            self.address = f"[{self.listener.address[0]}]:{self.listener.port}"
        self.context = context
        self.keep = keep
        self.store = Store()
        self.wires = []
        self.errors = []
        self._closing = False
        self._accepted = threading.Condition()
        self._threads = []

    def __enter__(self):
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._closing:
            return
        self._closing = True
        self.listener.sock.settimeout(0)
        try:
            self.listener.sock.shutdown(2)
        except OSError:
            pass
        self._acceptor.join(5)
        self.listener.close()
        for wire in self.wires:
            wire.close()

    def _accept(self):
        while not self._closing:
            try:
                wire = self.listener.accept("backend", 3600)
            except (OSError, Silence, ValueError):
                return
            thread = threading.Thread(target=self._serve, args=(wire,), daemon=True)
            with self._accepted:
                if self.keep:
                    self.wires.append(wire)
                self._accepted.notify_all()
            thread.start()

    def wire(self, index):
        """The connection of this number, once it is there."""
        with self._accepted:
            assert self._accepted.wait_for(lambda: len(self.wires) > index, WAIT)
            return self.wires[index]

    def _serve(self, wire):
        try:
            self.session(wire)
        except (Ended, Silence, OSError):
            pass
        except Exception as e:  # a fault of the test's own: shown by whoever looks
            self.errors.append(e)
        finally:
            wire.close()

    # -- the conversation

    def say(self, wire, text, **names):
        wire.send(text.format(host=self.host, **names) + "\r\n")

    def ehlo_lines(self, secure):
        lines = [self.hello.format(host=self.host)]
        lines += [k for k in self.keywords if not (secure and k == "STARTTLS")]
        if self.last_keyword:
            lines.append(self.last_keyword)
        return lines

    def greet(self, wire):
        self.say(wire, self.greeting)

    def scripted(self, wire, verb, rest):
        """A place for a kind of server to do something else: True where it has."""
        return False

    def secure(self, wire):
        """Answers STARTTLS; True where TLS is up thereafter."""
        self.say(wire, "220 2.0.0 go ahead")
        wire.accept_tls(self.context)
        return True

    def session(self, wire):
        self.greet(wire)
        secure = False
        sender, recipients, chunks = None, [], None
        while True:
            line = wire.line(3600)
            verb, _, rest = line.decode("latin-1").partition(" ")
            verb = verb.upper()
            if self.scripted(wire, verb, rest):
                continue
            if verb in ("EHLO", "HELO"):
                sender, recipients, chunks = None, [], None
                lines = self.ehlo_lines(secure) if verb == "EHLO" else [self.host]
                self.say(wire, "\r\n".join(f"250{' ' if i + 1 == len(lines) else '-'}{text}"
                                           for i, text in enumerate(lines)))
            elif verb == "STARTTLS" and self.context and not secure:
                secure = self.secure(wire)
                sender, recipients, chunks = None, [], None
            elif verb == "MAIL" and sender is not None:
                self.say(wire, "503 5.5.1 Sender already specified")
            elif verb == "MAIL":
                sender = path(rest)
                self.say(wire, self.sender_ok, sender=sender)
            elif verb == "RCPT" and sender is not None:
                reply = self.recipient(path(rest))
                if reply.startswith("2"):
                    recipients.append(path(rest))
                self.say(wire, reply, recipient=path(rest))
            elif verb == "DATA" and recipients:
                self.say(wire, self.go_ahead)
                octets = self.read_data(wire)
                if octets is not None:
                    self.acknowledge(wire, Message(sender, recipients, octets, "DATA"))
                sender, recipients = None, []
            elif verb == "BDAT" and self.offers("CHUNKING"):
                size, _, last = rest.partition(" ")
                octets = wire.exactly(int(size), 3600)
                if not recipients:
                    self.out_of_order(wire, sender)
                    continue
                chunks = (chunks or b"") + octets
                if last.upper() == "LAST":
                    self.acknowledge(wire, Message(sender, recipients, chunks, "BDAT"))
                    sender, recipients, chunks = None, [], None
                else:
                    self.say(wire, "250 2.0.0 {size} octets", size=size)
            elif verb == "RSET":
                sender, recipients, chunks = None, [], None
                self.say(wire, "250 2.0.0 Resetting")
            elif verb == "NOOP":
                self.say(wire, "250 2.0.0 OK")
            elif verb == "QUIT":
                self.say(wire, "221 2.0.0 {host} closing")
                wire.finish()
                wire.rest(5)
                return
            elif verb in ("RCPT", "DATA"):
                self.out_of_order(wire, sender)
            else:
                self.other(wire, verb, rest)

    def out_of_order(self, wire, sender):
        self.say(wire, "503 5.5.2 Need mail command." if sender is None
                 else "554 5.5.1 No valid recipients.")

    def recipient(self, address):
        """What is said to a RCPT."""
        return "550 5.1.1 {recipient} is unknown" if "nobody" in address else self.recipient_ok

    def offers(self, keyword):
        return any(k.split()[0].upper() == keyword for k in self.keywords)

    def read_data(self, wire):
        """
        The message with its stuffing off: what stood between DATA's reply and the dot. None: it
        has had its reply.
        """
        first = wire.exactly(3, 3600)
        if first == b".\r\n":
            return b""
        wire.unread[:0] = first
        octets = wire.until(b"\r\n.\r\n", 3600)[:-3]
        return (octets[1:] if octets.startswith(b".") else octets).replace(b"\r\n.", b"\r\n")

    def acknowledge(self, wire, message):
        n = self.store.add(message)
        self.say(wire, self.queued, n=n)

    def other(self, wire, verb, rest):
        self.say(wire, "500 5.3.3 Unrecognized command")


def path(text):
    """The address of MAIL's or RCPT's argument."""
    found = re.search(r"<([^>]*)>", text)
    return found.group(1) if found else text


class Exchange(Backend):
    """What all of Exchange has in common; transcripts in the project's protocol notes."""

    queued = "250 2.6.0  <{n}@{host}> Queued mail for delivery"

    def other(self, wire, verb, rest):
        if verb == "XEXCH50" and self.offers("XEXCH50"):
            # What follows cannot be framed by a proxy: seeing it here is the fault.
            self.errors.append(AssertionError("XEXCH50 came through"))
            self.say(wire, "354 Send binary data")
        else:
            self.say(wire, "500 5.3.3 Unrecognized command")


class Exchange2000(Exchange):
    greeting = ("220 {host} Microsoft ESMTP MAIL Service, Version: 5.0.2195.1 ready at "
                " Wed, 15 Mar 2000 17:37:07 -0800 ")
    hello = "{host} Hello [127.0.0.1]"
    keywords = ("TURN", "ATRN", "SIZE 209715200", "ETRN", "PIPELINING", "DSN",
                "ENHANCEDSTATUSCODES", "8bitmime", "BINARYMIME", "CHUNKING", "VRFY",
                "X-EXPS GSSAPI NTLM LOGIN", "X-EXPS=LOGIN", "AUTH GSSAPI NTLM LOGIN",
                "AUTH=LOGIN", "XEXCH50", "X-LINK2STATE")
    last_keyword = "OK"
    sender_ok = "250 2.1.0 {sender}....Sender OK"
    recipient_ok = "250 2.1.5 {recipient} "


class Exchange2003(Exchange2000):
    greeting = ("220 {host} Microsoft ESMTP MAIL Service, Version: 6.0.3790.4675 ready at "
                " Sat, 3 Sep 2011 08:39:16 -0700 ")
    keywords = ("TURN", "SIZE", "ETRN", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "8bitmime",
                "BINARYMIME", "CHUNKING", "VRFY", "X-EXPS GSSAPI NTLM LOGIN", "X-EXPS=LOGIN",
                "AUTH GSSAPI NTLM LOGIN", "AUTH=LOGIN", "X-LINK2STATE", "XEXCH50")


class Exchange2007(Exchange):
    greeting = "220 {host} Microsoft ESMTP MAIL Service ready at Wed, 24 May 2017 12:58:07 +0300"
    hello = "{host} Hello [127.0.0.1]"
    keywords = ("SIZE 104857600", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS",
                "X-ANONYMOUSTLS", "AUTH NTLM LOGIN", "X-EXPS GSSAPI NTLM", "8BITMIME",
                "BINARYMIME", "CHUNKING", "XEXCH50")
    sender_ok = "250 2.1.0 Sender OK"
    recipient_ok = "250 2.1.5 Recipient OK"


class Exchange2010(Exchange2007):
    keywords = ("SIZE", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS", "X-ANONYMOUSTLS",
                "AUTH NTLM", "X-EXPS GSSAPI NTLM", "8BITMIME", "BINARYMIME", "CHUNKING",
                "XEXCH50", "XRDST", "XSHADOW")


class Exchange2016(Exchange2007):
    keywords = ("SIZE 104857600", "PIPELINING", "DSN", "ENHANCEDSTATUSCODES", "STARTTLS",
                "X-ANONYMOUSTLS", "AUTH NTLM", "X-EXPS GSSAPI NTLM", "8BITMIME", "BINARYMIME",
                "CHUNKING", "SMTPUTF8", "XRDST")
    queued = ("250 2.6.0 <{n}@{host}> [InternalId={n}, Hostname={host}] "
              "Queued mail for delivery")


EXCHANGES = {"2000": Exchange2000, "2003": Exchange2003, "2007": Exchange2007,
             "2010": Exchange2010, "2016": Exchange2016}
