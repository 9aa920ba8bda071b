# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
Exchange as a client, with its queue: what is refused for now stays and is sent again, what is
refused for good is bounced, and what a reply of two lines breaks is broken here too.
"""

from . import peer
from .net import Deadline


class Job:
    """A message and what has become of each of its recipients."""

    def __init__(self, octets, *recipients, sender="alice@backend.example"):
        self.octets, self.sender = octets, sender
        self.queued = list(recipients)
        self.delivered, self.bounced = [], []
        self.replies = []       # every refusal, as text: the queue's "last error"
        self.uncertain = []     # recipients of messages whose fate a lost reply left open

    def refuse(self, recipient, reply):
        self.replies.append(b"\n".join(reply).decode("latin-1"))
        if reply[-1].startswith(b"5"):
            self.queued.remove(recipient)
            self.bounced.append(recipient)


class Gone(Exception):
    """421, or no connection: the session is over."""


class Sender:
    """One Exchange. `trouble` holds what would have upset it."""

    helo = "exchange.backend.example"
    parameters = {"SIZE": "SIZE={size}"}     # where they are offered
    pipelined_data = True   # DATA or BDAT goes with MAIL and RCPT in one segment
    chunk = None            # octets of a BDAT chunk; None: all at once
    one_line_354 = False
    starttls = False        # where it is offered
    uses = "BDAT"           # where CHUNKING is offered

    def __init__(self, address, context=None):
        self.address, self.context = address, context
        self.trouble = []
        self.sessions = 0
        self.wire = self.job = None     # at hand

    # -- the queue

    def run(self, jobs, rounds=10, seconds=None):
        """Sessions until nothing is queued any more, at most so many; those that are left."""
        deadline = Deadline(seconds)
        left = list(jobs)
        while left and rounds and not deadline.over():
            rounds -= 1
            self.session(left)
            left = [job for job in jobs if job.queued]
        return left

    def session(self, jobs):
        self.sessions += 1
        self.job = None
        try:
            with peer.Client(self.address) as self.wire:
                self.begin()
                for job in jobs:
                    self.transaction(job)
                self.job = None
                self.wire.send("QUIT\r\n")
                self.reply()
        except Gone:
            pass
        except (peer.Ended, ConnectionError):
            pass

    def begin(self):
        greeting = self.wire.reply()
        if not greeting[-1].startswith(b"220"):
            raise Gone
        self.keywords = self.hello()
        if self.starttls and "STARTTLS" in self.keywords:
            self.command("STARTTLS", 220)
            self.wire.starttls(self.context or peer.client_context())
            self.keywords = self.hello()

    def hello(self):
        lines = self.command(f"EHLO {self.helo}", 250)
        return {line[4:].split()[0].decode().upper() for line in lines[1:]}

    def reply(self):
        reply = self.wire.reply()
        if reply[-1].startswith(b"421"):
            if self.job:
                self.job.replies.append(b"\n".join(reply).decode("latin-1"))
            raise Gone
        return reply

    def command(self, line, code):
        self.wire.send(line + "\r\n")
        reply = self.reply()
        if not reply[-1].startswith(str(code).encode()):
            self.trouble.append((line, reply))
            raise Gone
        return reply

    # -- a transaction

    def transaction(self, job):
        self.job = job
        recipients = list(job.queued)
        chunking = self.uses == "BDAT" and "CHUNKING" in self.keywords
        envelope = [f"MAIL FROM:<{job.sender}>"]
        envelope[0] += "".join(" " + value.format(size=len(job.octets))
                               for keyword, value in self.parameters.items()
                               if keyword in self.keywords)
        envelope += [f"RCPT TO:<{r}>" for r in recipients]
        if self.pipelined_data and not chunking:
            envelope.append("DATA")
        accepted = self.envelope(job, envelope, recipients)
        if accepted is None:
            return
        if chunking:
            if not accepted:
                self.command("RSET", 250)
                return
            replies = self.chunks(job)
        else:
            replies = self.data(job, accepted)
        if replies is not None:
            self.settle(job, accepted, replies)

    def envelope(self, job, lines, recipients):
        """The recipients that were accepted; None where MAIL was refused."""
        pipelining = "PIPELINING" in self.keywords
        if pipelining:
            self.wire.send("\r\n".join(lines) + "\r\n")
        accepted = []
        for n, line in enumerate(lines):
            if line == "DATA":
                if not pipelining:
                    self.wire.send("DATA\r\n")
                break  # its reply is data()'s
            if not pipelining:
                self.wire.send(line + "\r\n")
            reply = self.reply()
            if n == 0:
                if not reply[-1].startswith(b"250"):
                    self.trouble.append((line, reply))
                    raise Gone
            elif reply[-1].startswith(b"25"):
                accepted.append(recipients[n - 1])
            else:
                job.refuse(recipients[n - 1], reply)
        return accepted

    def data(self, job, accepted):
        if not self.pipelined_data:
            if not accepted:
                self.command("RSET", 250)
                return None
            self.wire.send("DATA\r\n")
        reply = self.reply()
        if not reply[-1].startswith(b"354"):
            if accepted:
                return reply
            self.command("RSET", 250)
            return None
        if self.one_line_354 and len(reply) > 1:
            self.trouble.append(("DATA", reply))  # KB 912341: it sends the message twice
        self.wire.send(peer.stuff(job.octets) if accepted else b".\r\n")
        return self.last(job, accepted)

    def chunks(self, job):
        size = self.chunk or max(1, len(job.octets))
        pieces = [job.octets[i:i + size] for i in range(0, len(job.octets), size)] or [b""]
        for n, piece in enumerate(pieces):
            last = " LAST" if n + 1 == len(pieces) else ""
            self.wire.send(f"BDAT {len(piece)}{last}\r\n".encode() + piece)
        replies = [self.last(job, job.queued) for _ in pieces]
        bad = [r for r in replies if not r[-1].startswith(b"250")]
        if bad:
            self.command("RSET", 250)
        return bad[0] if bad else replies[-1]

    def last(self, job, accepted):
        try:
            return self.reply()
        except (Gone, peer.Ended, ConnectionError):
            job.uncertain += accepted
            raise

    def settle(self, job, accepted, reply):
        if reply[-1].startswith(b"2"):
            for r in accepted:
                job.queued.remove(r)
            job.delivered += accepted
            return
        for r in accepted:
            job.refuse(r, reply)


class Exchange2003(Sender):
    one_line_354 = True


class Exchange2010(Sender):
    parameters = {"SIZE": "SIZE={size}", "8BITMIME": "BODY=8BITMIME"}
    pipelined_data = False
    chunk = 65536
    starttls = True


SENDERS = {"2003": Exchange2003, "2010": Exchange2010}
