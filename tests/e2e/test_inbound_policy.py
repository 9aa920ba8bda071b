# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What policy files demand of those who send to us: TLS, and who they are."""

import os
import signal
import ssl

import pytest

import harness.daemon
from harness import peer
from harness.internet import MESSAGE, policy_section
from harness.net import until

pytestmark = pytest.mark.namespaces


@pytest.fixture
def gateway(daemon, backend, internet):
    """Starts a daemon before the scripted backend, with the test's policy files."""
    def start(**options):
        return daemon(backend, policy=policy_section(internet), **options)
    return start


def client(pair=None, maximum=None):
    context = peer.client_context(maximum=maximum)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    if pair:
        context.load_cert_chain(*pair)
    return context


def mail_from(d, sender, context=None):
    """The reply that decided: to MAIL, or to the message."""
    with peer.Client(d.address) as c:
        c.begin(context)
        reply = c.command(f"MAIL FROM:<{sender}>")
        if reply[0].startswith(b"250"):
            c.command("RCPT TO:<bob@backend.example>", 250)
            reply = c.data(MESSAGE)
        c.quit()
        return b"\n".join(reply).decode()


def test_encrypt(gateway, internet, backend):
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = gateway()
    reply = mail_from(d, "alice@peer.example")
    assert reply.startswith("530 5.7.0 ") and "peer.example" in reply
    assert mail_from(d, "alice@other.example").startswith("250")
    assert mail_from(d, "alice@sub.peer.example").startswith("250")
    assert mail_from(d, "").startswith("250")
    assert mail_from(d, "alice@PEER.example.", client()).startswith("250")
    assert len(backend.store.messages) == 4
    assert b"alice@peer.example" not in b"".join(bytes(w.received) for w in backend.wires)


def test_the_line_of_a_session(gateway, internet):
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = gateway()
    mail_from(d, "alice@peer.example", client())
    end = d.session_end(end="quit")
    assert (end["domain"], end["level"], end["verdict"]) == ("peer.example", "encrypt", "pass")
    before = len(d.lines)
    mail_from(d, "alice@peer.example")
    assert d.session_end(before)["verdict"] == "no-tls"


ROWS = [("good", True), ("for-clients-only", True), ("wildcard", True), ("wrong-name", False),
        ("expired", False), ("self-signed", False), ("missing-intermediate", False),
        (None, False)]


@pytest.mark.parametrize("maximum", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_verify(gateway, internet, zoo, maximum):
    internet.policies.put("peer.example", inbound="tls = verify")
    d = gateway()
    for kind, good in ROWS:
        pair = zoo.pair("mail.peer.example", kind) if kind else None
        reply = mail_from(d, "alice@peer.example", client(pair, maximum))
        assert reply.startswith("250" if good else "550 5.7.1 "), (kind, reply)
    # nobody else is bothered, whatever he shows
    bad = zoo.pair("mail.peer.example", "expired")
    assert mail_from(d, "alice@other.example", client(bad, maximum)).startswith("250")
    assert mail_from(d, "alice@peer.example").startswith("530 5.7.0 ")


def test_verify_with_the_peers_own_ca(gateway, internet, zoo):
    internet.policies.put("peer.example", inbound=f"tls = verify\nca = {internet.own_ca}")
    d = gateway()
    for kind, good in (("own-ca", True), ("good", False), ("own-ca-wrong-name", False)):
        reply = mail_from(d, "a@peer.example", client(zoo.pair("mail.peer.example", kind)))
        assert reply.startswith("250" if good else "550 5.7.1 "), (kind, reply)


def test_fingerprint(gateway, internet, zoo):
    pair, other = (zoo.pair("mail.peer.example", "self-signed", serial=n) for n in (0, 1))
    internet.policies.put("peer.example",
                          inbound=f"tls = fingerprint\nfingerprint = {pair.fingerprint()}")
    d = gateway()
    assert mail_from(d, "alice@peer.example", client(pair)).startswith("250")
    assert mail_from(d, "alice@peer.example", client(other)).startswith("550 5.7.1 ")
    assert mail_from(d, "alice@peer.example", client()).startswith("550 5.7.1 ")


def test_bounces_fall_under_the_default(gateway, internet):
    internet.policies.put("default", inbound="tls = encrypt")
    internet.policies.put("peer.example", inbound="tls = may")
    d = gateway()
    assert mail_from(d, "").startswith("530 5.7.0 ")
    assert mail_from(d, "alice@unknown.example").startswith("530 5.7.0 ")
    assert mail_from(d, "alice@peer.example").startswith("250")
    assert mail_from(d, "", client()).startswith("250")


def asked_for_a_certificate(d):
    """Whether the handshake holds a CertificateRequest."""
    seen = []
    context = client()
    context._msg_callback = lambda conn, direction, version, kind, message, data: seen.append(
        message.name)
    with peer.Client(d.address) as c:
        c.begin(context)
        c.quit()
    assert "SERVER_HELLO" in seen
    return "CERTIFICATE_REQUEST" in seen


def test_certificates_are_asked_for_only_where_a_file_needs_them(gateway, internet):
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = gateway()
    assert mail_from(d, "alice@peer.example", client()).startswith("250")
    until(lambda: not asked_for_a_certificate(d), "each worker knows that no file needs one")
    internet.policies.put("peer.example", inbound="tls = verify")
    d.process.send_signal(signal.SIGHUP)
    until(lambda: asked_for_a_certificate(d), "certificates are asked for")


@pytest.mark.parametrize("demand", ["tls = verify", "tls = fingerprint\nfingerprint = {}"],
                         ids=["verify", "fingerprint"])
def test_a_session_older_than_the_demand_is_not_blamed(gateway, internet, zoo, demand):
    """It was never asked for the certificate that it has."""
    pair = zoo.pair("mail.peer.example", "good")
    d = gateway(server={"workers": "1"})
    until(lambda: not asked_for_a_certificate(d), "it knows that no file needs one")
    with peer.Client(d.address) as c:
        c.begin(client(pair))
        internet.policies.put("peer.example", inbound=demand.format(pair.fingerprint()))
        d.process.send_signal(signal.SIGHUP)
        until(lambda: asked_for_a_certificate(d), "certificates are asked for")
        assert c.command("MAIL FROM:<alice@peer.example>")[0].startswith(b"451 4.3.5 ")
        c.command("MAIL FROM:<alice@other.example>", 250)
        c.quit()
    assert mail_from(d, "alice@peer.example", client(pair)).startswith("250")


def test_pipelined_commands_wait_for_the_answer(gateway, internet, backend):
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = gateway()
    with peer.Client(d.address) as c:
        c.begin()
        c.send(b"MAIL FROM:<a@peer.example>\r\nRCPT TO:<b@backend.example>\r\n"
               b"MAIL FROM:<a@other.example>\r\nRCPT TO:<b@backend.example>\r\nDATA\r\n")
        assert [c.reply()[0][:3] for _ in range(5)] == [b"530", b"503", b"250", b"250", b"354"]
        c.send(peer.stuff(MESSAGE))
        c.reply(250)
        c.quit()
    assert [m.sender for m in backend.store.messages] == ["a@other.example"]


def test_a_broken_file_closes_its_own_domain(gateway, internet):
    internet.policies.put("other.example", inbound="tls = encrypt")
    file = internet.policies.put("peer.example", inbound="tls = encrypted")
    d = gateway()
    reply = mail_from(d, "alice@peer.example", client())
    assert reply.startswith("451 4.3.5 ") and f"{file.name}:3" in reply
    assert mail_from(d, "alice@other.example", client()).startswith("250")


def test_a_last_good_version_outlives_the_policy_process(gateway, internet):
    """... and what is weaker for an edit that nobody saw is told by the next one."""
    internet.policies.put("other.example", inbound="tls = encrypt")
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = gateway()
    assert mail_from(d, "alice@peer.example").startswith("530 ")
    with d.policy_process_stopped():
        internet.policies.put("peer.example", inbound="tls = encrypted")
        internet.policies.put("other.example", inbound="tls = may")
        os.kill(d.policy_process, signal.SIGKILL)
    d.logged(lambda r: "peer.example.policy: warning: the version before it stays in force"
             in r["message"])
    d.logged(lambda r: "[inbound] is weaker than before: tls = encrypt is now may" in r["message"])
    until(lambda: mail_from(d, "alice@peer.example").startswith("530 "), "it is in force")
    assert mail_from(d, "alice@other.example").startswith("250")


@pytest.fixture
def default_directory(monkeypatch, internet):
    """The daemon finds the test's policy files at /etc/sealpost/policy.d, where nobody names it."""
    wrapper, upper, work = (internet.folder / name for name in ("sealpost", "upper", "work"))
    upper.mkdir()
    work.mkdir()
    (upper / "sealpost").symlink_to(internet.policies.folder.parent)
    wrapper.write_text("#!/bin/sh\nexec unshare -m sh -c 'mount -t overlay overlay -o "
                       f"lowerdir=/etc,upperdir={upper},workdir={work} /etc && exec \"$@\"' "
                       f"sh {harness.daemon.program()} \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(harness.daemon, "program", lambda: str(wrapper))
    return internet.policies.folder


def test_the_default_directory_is_missed_once_it_was_there(
        default_directory, daemon, backend, internet):
    """It need not be there at the start; gone later, it leaves what was demanded in force."""
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = daemon(backend, policy={"resolver": internet.dns.resolver, "dane": "no"})
    workers = d.workers
    assert mail_from(d, "alice@peer.example").startswith("530 ")
    away = default_directory.rename(default_directory.with_name("away"))
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: "policy.d: cannot be used" in r["message"])
    d.logged(lambda r: "is in force (generation 2)" in r["message"])
    assert mail_from(d, "alice@peer.example").startswith("530 ")
    assert d.workers == workers
    away.rename(default_directory)
    internet.policies.put("peer.example", inbound="tls = may")
    until(lambda: mail_from(d, "alice@peer.example").startswith("250"), "it is read again")


def test_a_session_older_than_all_policy_is_not_blamed(
        default_directory, daemon, backend, internet, zoo):
    """It began where nobody would ever ask for a certificate, and there are no CAs for it."""
    pair = zoo.pair("mail.peer.example", "good")
    away = default_directory.rename(default_directory.with_name("away"))
    d = daemon(backend, policy={"resolver": internet.dns.resolver, "ca": internet.ca})
    with peer.Client(d.address) as c:
        c.reply(220)
        c.hello()
        away.rename(default_directory)
        internet.policies.put("peer.example", inbound="tls = verify")
        d.process.send_signal(signal.SIGHUP)
        until(lambda: mail_from(d, "alice@peer.example").startswith("530 "), "it is in force")
        assert mail_from(d, "alice@peer.example", client(pair)).startswith("250")
        c.secure(client(pair))
        c.hello()
        assert c.command("MAIL FROM:<alice@peer.example>")[0].startswith(b"451 4.3.5 ")
        c.quit()


def test_without_the_policy_process(gateway, internet):
    """Where some file demands something, mail waits; where none does, nobody is asked."""
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = gateway(limits={"policy-timeout": "1s"})
    assert mail_from(d, "alice@other.example").startswith("250")
    with d.policy_process_stopped():
        assert mail_from(d, "alice@third.example").startswith("451 4.")


def test_nobody_is_asked_where_nothing_is_demanded(gateway, internet):
    internet.policies.put("peer.example", "tls = encrypt")
    d = gateway(limits={"policy-timeout": "1s"})
    assert mail_from(d, "alice@other.example").startswith("250")
    with d.policy_process_stopped():
        assert mail_from(d, "alice@peer.example").startswith("250")
