# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Real mail servers that send through Sealpost to real ones with certificates good and bad."""

import itertools
import re
import subprocess

import pytest

from harness import mail, peer, real_out
from harness.daemon import Sealpost
from harness.internet import Internet, policy_section
from harness.net import until

pytestmark = [pytest.mark.real, pytest.mark.namespaces]

CERTIFICATES = ["good", "expired", "self-signed", "wrong-name", "missing-intermediate"]
SENDERS = [*real_out.SENDERS, "swaks"]
KINDS = list(real_out.DESTINATIONS)
WHY = {"expired": "expired on", "self-signed": ": self-signed",
       "wrong-name": "names wrong.example",
       "missing-intermediate": "no intermediate certificate was sent"}
_marks = (f"mark-{n}-end" for n in itertools.count())


class Site:
    """A Sealpost, what sends through it and what receives."""

    def __init__(self, world, zoo, certs, folder):
        self.folder = folder
        self.internet = Internet(zoo).__enter__()
        self.destinations, self.senders = {}, {}
        try:
            self._start(zoo, certs)
        except BaseException:
            self.close()
            raise

    def _start(self, zoo, certs):
        last = itertools.count(200)
        for kind in KINDS:
            sites = {}
            for certificate in CERTIFICATES:
                host, address = f"{certificate}.{kind}.example", f"198.51.100.{next(last)}"
                sites[address] = (host, zoo.pair(host, certificate))
                self.internet.dns.a(host, address)
                for level in ("may", "secure"):
                    domain = f"{level}-{certificate}-{kind}.example"
                    self.internet.domain(domain, host)
                    self.internet.policies.put(domain, f"tls = {level}" + (
                        "\nmatch = mx" if level == "secure" else ""))
            server = real_out.DESTINATIONS[kind](self.folder / f"{kind}-mx", sites)
            self.destinations[kind] = server.start()
        self.daemon = Sealpost(self.folder, certs, [], outbound={"route": "smarthost"},
                               policy=policy_section(self.internet),
                               limits={"connections-per-address": 1000}).start()

    def sender(self, kind):
        if kind not in self.senders:
            folder = self.folder / f"{kind}-sender"
            self.senders[kind] = real_out.SENDERS[kind](folder, self.daemon.port).start()
        return self.senders[kind]

    def submit(self, kind, recipients, message):
        """Hands the message over; for swaks what it said, and to one recipient."""
        if kind == "swaks":
            file = self.folder / "swaks.eml"
            file.write_bytes(peer.stuff(message)[:-2])  # its fixup loses a last line that is a dot
            return subprocess.run(
                ["swaks", "--server", "127.0.0.1", "--port", str(self.daemon.port), "--from",
                 "alice@backend.example", "--to", ",".join(recipients), "--helo", "swaks.example",
                 "--data", f"@{file}", "--no-data-fixup", "--suppress-data"],
                capture_output=True, timeout=60).stdout.decode("latin-1")
        sender = self.sender(kind)
        with peer.Client((sender.host, sender.port)) as c:
            c.begin()
            c.envelope("alice@backend.example", *recipients)
            c.data(message)
            c.quit()
        return None

    def close(self):
        for server in (*self.senders.values(), *self.destinations.values()):
            server.stop()
        if hasattr(self, "daemon"):
            self.daemon.stop()
            self.daemon.unblemished()
        self.internet.__exit__()


@pytest.fixture(scope="module")
def site(built, world, zoo, certs, tmp_path_factory):
    s = Site(world, zoo, certs, tmp_path_factory.mktemp("site"))
    yield s
    s.close()


def arrived(site, kind, mark, message, secure=True):
    stored = site.destinations[kind].stored(mark.encode())
    above = mail.below(stored, message)
    assert above is not None, f"not what was sent: {stored[:3000]!r}"
    if secure:
        first = above.partition(b"Received:")[2].partition(b"Received:")[0]
        assert re.search(rb"ESMTPS|TLS", first), above


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sender", SENDERS)
def test_every_message_arrives_whole(site, sender, kind):
    """Over TLS, to a host whose certificate satisfies."""
    sent = []
    for message in mail.ordinary().values():
        if sender == "opensmtpd" and re.search(rb"[^\r\n]{999}", message):
            continue
        mark = next(_marks)
        sent.append((mark, mail.marked(message, mark)))
        site.submit(sender, [f"bob@secure-good-{kind}.example"], sent[-1][1])
    for mark, message in sent:
        arrived(site, kind, mark, message)
    site.daemon.healthy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("certificate", CERTIFICATES)
def test_certificates(site, kind, certificate):
    """Under may all of them will do, under secure only one; and the text says why not."""
    mark = next(_marks)
    message = mail.marked(mail.eight_bit(), mark)
    site.submit("swaks", [f"bob@may-{certificate}-{kind}.example"], message)
    arrived(site, kind, mark, message)
    mark = next(_marks)
    message = mail.marked(mail.eight_bit(), mark)
    domain, host = f"secure-{certificate}-{kind}.example", f"{certificate}.{kind}.example"
    said = site.submit("swaks", [f"bob@{domain}"], message)
    if certificate == "good":
        arrived(site, kind, mark, message)
    else:
        refusal = re.search(r"<\*\* (451 4\.7\.5 .*)", said).group(1)
        assert domain in refusal and host in refusal and WHY[certificate] in refusal


@pytest.mark.parametrize("sender", real_out.SENDERS)
def test_the_queues_last_error_says_why(site, sender):
    domain = "secure-expired-postfix.example"
    site.submit(sender, [f"bob@{domain}"], mail.marked(mail.dots(), next(_marks)))
    server = site.sender(sender)
    until(lambda: re.search(r"451[- ]4\.7\.5 [^\n]*" + re.escape(domain)
                            + r"[^\n]*expired\.postfix\.example[^\n]*expired on", server.log()),
          f"{sender} logs the reason")


@pytest.mark.parametrize("sender", real_out.SENDERS)
def test_a_message_for_many_domains(site, sender):
    """What has to wait is sent by itself, as soon as the sender likes."""
    mark = next(_marks)
    message = mail.marked(mail.dots(), mark)
    site.submit(sender, [f"bob@may-good-{kind}.example" for kind in KINDS], message)
    site.sender(sender).retry("@may-good-")
    for kind in KINDS:
        arrived(site, kind, mark, message)


@pytest.mark.heavy
@pytest.mark.parametrize("sender,kind", [("postfix", "exim"), ("exim", "postfix"),
                                         ("swaks", "opensmtpd")])
def test_twenty_megabytes(site, sender, kind):
    mark = next(_marks)
    message = mail.marked(mail.big(20), mark)
    before = site.daemon.rss()
    site.submit(sender, [f"bob@secure-good-{kind}.example"], message)
    arrived(site, kind, mark, message)
    most = before + 2 * site.daemon.slack + (8 << 20)  # what GnuTLS frees a sanitizer keeps as well
    assert site.daemon.rss() < most
