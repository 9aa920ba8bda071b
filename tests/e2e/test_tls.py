# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""TLS on the near side: certificates, versions, endings, and what is not TLS at all."""

import re
import ssl
import subprocess

import pytest

from harness import peer
from harness.net import WAIT, Deadline, until

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def secured(d, context, name="proxy.example"):
    c = peer.Client(d.address)
    c.reply(220)
    c.hello()
    c.secure(context, name)
    return c


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_versions(daemon, backend, certs, version):
    d = daemon(backend)
    with secured(d, peer.client_context(certs.ca, version, version)) as c:
        negotiated = c.sock.version().replace("TLSv", "TLS")
        c.hello()
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    end = d.session_end(end="quit")
    assert end["near"].startswith(negotiated + "/TLS_") and end["far"] == "clear"
    assert b"with ESMTPS (" + negotiated.encode() in backend.store.messages[0].octets


def refused(d, context):
    with peer.Client(d.address) as c:
        c.reply(220)
        c.hello()
        c.command("STARTTLS", 220)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            c.starttls(context, "proxy.example")
    d.session_end(end="tls")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_versions_are_refused(daemon, backend):
    d = daemon(backend)
    context = peer.client_context(None, ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1,
                                  "DEFAULT@SECLEVEL=0")
    refused(d, context)
    d.healthy()


def test_minimum_version(daemon, backend):
    d = daemon(backend, tls={"min-version": "1.3"})
    refused(d, peer.client_context(maximum=V12))


@pytest.mark.parametrize("ciphers", ["AES256-GCM-SHA384", "ECDHE+AES+SHA256:!AESGCM:!AESCCM",
                                     "DHE+AESGCM:!ECDHE"])
def test_weak_key_exchange_or_no_aead_is_refused(daemon, backend, ciphers):
    d = daemon(backend)
    refused(d, peer.client_context(maximum=V12, ciphers=ciphers))


@pytest.mark.parametrize("algorithms,kind", [("ECDHE-ECDSA-AES128-GCM-SHA256", "id-ecPublicKey"),
                                             ("ECDHE-RSA-AES128-GCM-SHA256", "rsaEncryption"),
                                             ("ECDHE+AESGCM", "id-ecPublicKey")])
def test_key_type_by_cipher(daemon, backend, certs, algorithms, kind):
    d = daemon(backend)
    with secured(d, peer.client_context(certs.ca, maximum=V12, ciphers=algorithms)) as c:
        assert key_kind(c.sock) == kind


@pytest.mark.parametrize("algorithms,kind", [("rsa_pss_rsae_sha256", "rsaEncryption"),
                                             ("ecdsa_secp256r1_sha256", "id-ecPublicKey"),
                                             ("rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256",
                                              "id-ecPublicKey")])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_key_type_by_signature_algorithm(daemon, backend, algorithms, kind, version):
    d = daemon(backend)
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", version, "-connect",
                           f"127.0.0.1:{d.port}", "-sigalgs", algorithms, "-servername",
                           "proxy.example"], input=b"QUIT\r\n", capture_output=True, timeout=WAIT)
    text = done.stdout.decode()
    assert f"a:PKEY: {kind}" in text, text[-2000:] + done.stderr.decode()


def key_kind(sock):
    text = subprocess.run(["openssl", "x509", "-inform", "DER", "-noout", "-text"],
                          input=sock.getpeercert(True), capture_output=True, check=True).stdout
    return re.search(rb"Public Key Algorithm: (\S+)", text).group(1).decode()


def test_certificate_by_name(daemon, backend, certs):
    names = ["proxy.example", "mx.other.example", "third.example"]
    pairs = [certs.pair(n, k) for n in names for k in ("ec", "rsa")]
    d = daemon(backend, pairs=pairs)
    for name in names:
        for kind, ciphers in (("id-ecPublicKey", "ECDHE-ECDSA-AES256-GCM-SHA384"),
                              ("rsaEncryption", "ECDHE-RSA-AES256-GCM-SHA384")):
            context = peer.client_context(certs.ca, maximum=V12, ciphers=ciphers)
            with secured(d, context, name) as c:  # the context checks the name
                assert key_kind(c.sock) == kind
    with secured(d, peer.client_context(certs.ca, minimum=V13), "MX.Other.Example") as c:
        assert c.sock.getpeercert()["subject"][0][0][1] == "mx.other.example"
    for unknown in (None, "nobody.example"):  # the first pair: a mistaken name costs no mail
        with secured(d, peer.client_context(), unknown) as c:
            assert b"proxy.example" in c.sock.getpeercert(True)


def test_no_client_certificate_is_asked_for(daemon, backend):
    d = daemon(backend)
    done = subprocess.run(["openssl", "s_client", "-starttls", "smtp", "-connect",
                           f"127.0.0.1:{d.port}"],
                          input=b"QUIT\r\n", capture_output=True, timeout=WAIT)
    assert b"No client certificate CA names sent" in done.stdout
    assert b"Requested Signature Algorithms" not in done.stdout


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_resumption(daemon, backend, certs, version):
    d = daemon(backend)
    context = peer.client_context(certs.ca, version, version)
    with secured(d, context) as c:
        assert not c.sock.session_reused
        c.hello()  # with TLS 1.3 tickets come behind the handshake
        session = c.sock.session
        c.quit()
    with peer.Client(d.address) as c:
        c.reply(220)
        c.hello()
        c.command("STARTTLS", 220)
        c.sock.settimeout(Deadline().left())
        c.sock = context.wrap_socket(c.sock, server_hostname="proxy.example", session=session)
        assert c.sock.session_reused
        c.hello()
        c.envelope()
        c.data(MESSAGE)
        c.quit()


def resumes(context, session, address):
    with peer.Client(address) as c:
        c.reply(220)
        c.hello()
        c.command("STARTTLS", 220)
        c.sock.settimeout(Deadline().left())
        c.sock = context.wrap_socket(c.sock, server_hostname="proxy.example", session=session)
        c.hello()
        c.quit()
        return c.sock.session_reused


@pytest.mark.parametrize("version", [V12, V13], ids=["1.2", "1.3"])
def test_tickets_of_several_machines(daemon, backend, certs, tmp_path, version):
    """One ticket-key: what one machine gave the other takes. Without, each has its own."""
    key = tmp_path / "ticket.key"
    key.touch(mode=0o600)
    key.write_bytes(bytes(range(64)))
    shared = {"ticket-key": key}
    first, second, alone = daemon(backend, tls=shared), daemon(backend, tls=shared), daemon(backend)
    context = peer.client_context(certs.ca, version, version)
    with secured(first, context) as c:
        c.hello()
        session = c.sock.session
        c.quit()
    assert resumes(context, session, second.address)
    assert not resumes(context, session, alone.address)


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_alpn_of_other_protocols_is_aborted(daemon, backend, protocol):
    d = daemon(backend, inbound={"tls": "implicit"})
    context = peer.client_context()
    context.set_alpn_protocols([protocol])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with peer.Client(d.address, context=context) as c:
            c.reply(220)
    d.session_end(end="tls")


@pytest.mark.parametrize("verb", ["GET / HTTP/1.1", "POST /x HTTP/1.0", "CONNECT a:25 HTTP/1.1",
                                  "OPTIONS * HTTP/1.1"])
@pytest.mark.parametrize("secure", [False, True])
def test_http_is_shown_the_door(daemon, backend, tls, verb, secure):
    d = daemon(backend)
    with peer.Client(d.address) as c:
        if secure:
            c.reply(220)
            c.hello()
            c.secure(tls)
        else:
            c.reply(220)
        c.send(verb + "\r\nHost: x\r\nMAIL FROM:<x@y.example>\r\n\r\n")
        assert re.fullmatch(rb"421 [^\r\n]*\r\n", c.rest())
    d.session_end(end="abuse")
    assert b"MAIL" not in backend.wires[0].received


# -- T10: the end of a connection is not the end of a message

@pytest.mark.parametrize("ending", ["finish", "bye", "reset"])
@pytest.mark.parametrize("how", ["data", "data-dot", "bdat", "bdat-whole"])
def test_truncation_completes_no_message(daemon, backend, tls, how, ending):
    d = daemon(backend)
    with secured(d, tls) as c:
        c.hello()
        c.envelope()
        if how.startswith("data"):
            c.command("DATA", 354)
            c.send(b"Subject: x\r\n\r\nhalf a mess" if how == "data" else b"Subject: x\r\n\r\n.\r")
        else:
            c.send(b"BDAT 100 LAST\r\nonly so much" if how == "bdat" else b"BDAT 5\r\nwhole")
            if how == "bdat-whole":
                c.reply(250)
        getattr(c, ending)()
        d.session_end()
        wire = backend.wire(0)
        until(lambda: wire.ended or wire.sock.fileno() == -1, "the backend is left")
    assert not backend.store.messages
    assert b"\r\n.\r\n" not in wire.received


def test_cut_after_the_end_of_data_keeps_the_message(daemon, backend, tls):
    """The end of data was said, within TLS: what follows is no truncation of it."""
    d = daemon(backend)
    with secured(d, tls) as c:
        c.hello()
        c.envelope()
        c.command("DATA", 354)
        cpu = d.cpu()
        c.send(peer.stuff(MESSAGE))
        c.finish()
        backend.store.wait(1)
        assert float(d.session_end()["seconds"]) < 60
        assert d.cpu() - cpu < 1


# -- T11

def test_renegotiation_is_refused(daemon, backend):
    d = daemon(backend)
    with subprocess.Popen(["openssl", "s_client", "-starttls", "smtp", "-tls1_2", "-connect",
                           f"127.0.0.1:{d.port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as p:
        out, _ = p.communicate(b"R\nEHLO again.example\r\n", timeout=WAIT)
    assert b"RENEGOTIATING" in out
    words = b"no renegotiation", b"handshake failure", b"unexpected"
    assert any(word in out for word in words), out[-500:]
    d.healthy()


@pytest.mark.heavy
def test_key_update_flood_is_bounded(daemon, backend):
    d = daemon(backend)
    before, cpu = d.rss(), d.cpu()
    with subprocess.Popen(["openssl", "s_client", "-starttls", "smtp", "-tls1_3", "-connect",
                           f"127.0.0.1:{d.port}"], stdin=subprocess.PIPE,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, bufsize=0) as p:
        try:
            for _ in range(3000):  # s_client looks at a line only where one read brings it alone
                p.stdin.write(b"K\n")
        except BrokenPipeError:
            pass
        p.stdin.close()
        p.wait(WAIT)
    d.session_end()
    assert d.rss() < before + d.slack + (4 << 20) and d.cpu() - cpu < 5
    d.healthy()


# -- handshakes that are none

@pytest.mark.parametrize("octets", [b"EHLO no.tls\r\n" * 10, b"\x16\x03\x01\xff\xff" + b"A" * 500,
                                    b"\x80\x2e\x01\x00\x02" + b"\0" * 43, b"\0" * 1000],
                         ids=["smtp", "record-too-long", "sslv2", "zeros"])
@pytest.mark.parametrize("mode", ["offer", "implicit"])
def test_garbage_instead_of_a_handshake(daemon, backend, octets, mode):
    d = daemon(backend, inbound={"tls": mode})
    with peer.Client(d.address) as c:
        if mode == "offer":
            c.reply(220)
            c.hello()
            c.command("STARTTLS", 220)
        c.send(octets)
        assert b"250" not in c.rest() and b"220" not in c.rest()
    end = d.session_end(end="tls")
    assert end["reason"] if "reason" in end else True
    d.healthy()


def test_require(daemon, backend, tls):
    d = daemon(backend, inbound={"tls": "require"})
    with peer.Client(d.address) as c:
        c.begin()
        c.command("MAIL FROM:<a@b.example>", "530 5.7.0")
        c.command("NOOP", 250)
        c.secure(tls)
        c.hello()
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    assert len(backend.store.messages) == 1


def test_off(daemon, backend):
    d = daemon(backend, inbound={"tls": "off"}, pairs=[])
    with peer.Client(d.address) as c:
        assert not any(b"STARTTLS" in line for line in c.begin())
        c.command("STARTTLS", 5)
        c.envelope()
        c.data(MESSAGE)
        c.quit()


def test_implicit(daemon, backend, tls):
    d = daemon(backend, inbound={"tls": "implicit"})
    with peer.Client(d.address, context=tls, name="proxy.example") as c:
        assert not any(b"STARTTLS" in line for line in c.begin())
        c.envelope()
        c.data(MESSAGE)
        c.quit()
    assert b"with ESMTPS (TLS1.3" in backend.store.messages[0].octets


# -- towards the backend

@pytest.mark.parametrize("level,offered,clear", [("may", True, False), ("may", False, True),
                                                 ("encrypt", True, False)])
def test_backend_tls(daemon, tls, certs, level, offered, clear):
    from harness.backend import EXTENSIONS, Backend
    with Backend(context=peer.server_context(certs.ecdsa)) as server:
        server.keywords = EXTENSIONS + ("STARTTLS",) if offered else EXTENSIONS
        d = daemon(server, inbound={"backend-tls": level})
        with peer.Client(d.address) as c:
            c.begin(tls)
            c.envelope()
            c.data(MESSAGE)
            c.quit()
        far = d.session_end(end="quit")["far"]
        assert far == "clear" if clear else far.startswith("TLS1.3/")
        assert len(server.store.messages) == 1


def test_backend_tls_encrypt_never_goes_clear(daemon, tls, backend):
    d = daemon(backend, inbound={"backend-tls": "encrypt"})
    with peer.Client(d.address) as c:
        first = c.reply()
        if first[-1].startswith(b"220"):
            first = c.hello(code=4)
        assert first[-1].startswith(b"4")
    d.session_end()
    assert b"MAIL" not in backend.wires[0].received
