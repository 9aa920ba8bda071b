# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What becomes of a running service when that which its configuration consists of changes."""

import os
import shutil
import signal
import smtplib
import ssl

import pytest

import harness.daemon
from harness.backend import Backend
from harness.daemon import Sealpost
from harness.net import until


@pytest.fixture
def pair(open_folder, certs):
    """A certificate and its key where whoever the service becomes can read them."""
    return renew(open_folder, certs.ecdsa)


def put(source, path):
    """As tools of ACME do: a new file in the place of the old one."""
    new = path.with_suffix(".new")
    shutil.copyfile(source, new)
    new.chmod(0o644)
    new.rename(path)


def renew(folder, pair):
    paths = [folder / "a.pem", folder / "a.key"]
    for source, path in zip(pair, paths):
        put(source, path)
    return [str(path) for path in paths]


@pytest.fixture
def service(built, open_folder, certs, pair):
    started = []

    def start(backend, **options):
        started.append(Sealpost(open_folder, certs, [backend], pairs=[pair], **options))
        return started[-1].start()

    yield start
    for daemon in started:
        daemon.stop()
        daemon.unblemished()


def reload(daemon, fine=True):
    before = len(daemon.lines)
    daemon.process.send_signal(signal.SIGHUP)
    end = "is in force" if fine else "was not taken up"
    daemon.logged(lambda r: end in r["message"], before)
    return daemon.lines[before:]


def shown(daemon):
    """The certificate that clients see."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with smtplib.SMTP(*daemon.address) as client:
        client.starttls(context=context)
        return client.sock.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_taken_up_by_itself(service, open_folder, certs):
    with Backend() as backend:
        daemon = service(backend.address)
        first = shown(daemon)
        renew(open_folder, certs.pair("proxy.example", days=60))
        until(lambda: shown(daemon) != first, "the new one is shown")
        assert not any("level=error" in line for line in daemon.lines)


def test_half_a_renewal_is_not(service, open_folder, certs):
    with Backend() as backend:
        daemon = service(backend.address)
        first = shown(daemon)
        certificate, key = certs.pair("proxy.example", days=60)
        put(key, open_folder / "a.key")
        daemon.logged(lambda r: "the key does not belong to" in r["message"])
        assert shown(daemon) == first
        put(certificate, open_folder / "a.pem")
        until(lambda: shown(daemon) != first, "the new one is shown")


def test_what_only_a_restart_changes(service):
    with Backend() as backend:
        daemon = service(backend.address)
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace("workers = 1", "workers = 2"))
        said = "\n".join(reload(daemon, fine=False))
        assert f"{daemon.config}:6: workers: only a restart changes it" in said
        daemon.config.write_text(text)
        reload(daemon)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a hosts file of its own")
def test_names_are_looked_up_anew(monkeypatch, service, open_folder):
    hosts = open_folder / "hosts"
    wrapper = open_folder / "sealpost"
    wrapper.write_text("#!/bin/sh\n"
                       f"exec unshare -m sh -c 'mount --bind {hosts} /etc/hosts && exec \"$@\"' "
                       f"sh {harness.daemon.program()} \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(harness.daemon, "program", lambda: str(wrapper))
    hosts.write_text("127.0.0.1 server.test\n")
    with Backend() as old:
        port = int(old.address.split(":")[1])
        with Backend(address=("127.0.0.2", port)) as new:
            daemon = service(f"server.test:{port}")
            with smtplib.SMTP(*daemon.address):
                until(lambda: old.wires, "the one it was")
            hosts.write_text("127.0.0.2 server.test\n")
            reload(daemon)
            with smtplib.SMTP(*daemon.address):
                until(lambda: new.wires, "the one it is")
