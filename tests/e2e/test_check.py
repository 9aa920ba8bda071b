# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What `sealpost check` says of the files that a configuration names."""

import os
import shutil
import subprocess

import pytest

from harness.dns import Dns

FINE, NO, CANNOT = 0, 1, 3


def check(built, config):
    return subprocess.run([built, "check", "-c", str(config)], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)


@pytest.fixture
def config(open_folder, certs):
    """With a certificate, a key, a ticket key and credentials of its own."""
    certificate, key = certs.ecdsa
    certificate = shutil.copy(certificate, open_folder / "a.pem")
    key = shutil.copy(key, open_folder / "a.key")
    tickets, credentials = open_folder / "tickets", open_folder / "credentials"
    tickets.write_bytes(bytes(64))
    credentials.write_text("user = u\npassword = p\n")
    path = open_folder / "sealpost.conf"
    path.write_text(
        "[server]\nhostname = proxy.example\nuser = nobody\n"
        f"[tls]\ncertificate = {certificate}\nkey = {key}\nticket-key = {tickets}\n"
        "[inbound]\nlisten = 127.0.0.1:2525\nbackend = 127.0.0.1:2526\n"
        "[outbound]\nlisten = 127.0.0.1:2527\nroute = relay 192.0.2.1\nbackends = 127.0.0.1\n"
        f"credentials = {credentials}\n"
        f"[policy]\ndirectory = {open_folder}\ntrust-anchor = /nonexistent\nca = {certificate}\n"
        "dane = no\nmta-sts = no\n")
    for file in (certificate, key, tickets, credentials):
        os.chmod(file, 0o640)
    return path


@pytest.fixture
def fine(config):
    """The same without a fault."""
    anchor = config.parent / "anchor"
    anchor.write_text(f"island.lab. IN DS 1 13 2 {'ab' * 32}\n")
    with Dns() as dns:
        config.write_text(config.read_text().replace("/nonexistent", str(anchor)) +
                          f"resolver = {dns.resolver}\n")
        yield config


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whom the user is told apart from")
def test_files_that_the_user_cannot_read(built, config):
    """A reload reads them as that user."""
    names = ["a.pem", "a.key", "tickets", "credentials"]
    files = [config.parent / name for name in names]
    for file in files:
        os.chown(file, 0, 65534)
    os.chown(config, 0, 0)
    os.chmod(config, 0o600)
    said = check(built, config).stderr
    assert f"{config}: user nobody cannot read it, who has to for a reload" in said
    assert not any(f"{file}: user nobody" in said for file in files), said
    for file in files:
        os.chown(file, 0, 0)
    said = check(built, config).stderr
    for line, name in zip((5, 5, None, 11), names):
        where = f"{config}:{line}: " if line else f"{config}: "
        assert f"{where}warning: {config.parent / name}: user nobody cannot read it" in said, said
    assert "chgrp nogroup it, and chmod 640" in said


def test_faults_of_files(built, config):
    folder = config.parent
    os.chmod(folder / "tickets", 0o644)
    os.chmod(folder / "credentials", 0o644)
    done = check(built, config)
    assert done.returncode == NO
    assert f"{folder / 'tickets'}: others may read or change it" in done.stderr
    assert f"{folder / 'credentials'}: others can read or change it" in done.stderr
    os.unlink(folder / "a.key")
    done = check(built, config)
    assert done.returncode == NO
    assert f"{config}:5: {folder / 'a.key'}: cannot be read: No such file" in done.stderr


def test_a_key_that_others_can_read(built, fine):
    key = fine.parent / "a.key"
    assert "others can" not in check(built, fine).stderr
    os.chmod(key, 0o644)
    done = check(built, fine)
    assert done.returncode == FINE
    assert f"{fine}:5: warning: {key}: others can read or change it: chmod 640" in done.stderr


def test_policy_files_are_counted(built, fine):
    """So that one which does not count, because of its name, is missed."""
    folder = fine.parent
    done = check(built, fine)
    assert done.returncode == FINE and done.stdout.endswith(", 1 certificate, 0 policy files\n")
    assert f"{folder}: warning: there is no policy file in it" in done.stderr
    for name in ("bank.example.policy", "other.example"):
        (folder / name).write_text("[outbound]\ntls = secure\n")
    done = check(built, fine)
    assert done.returncode == FINE and done.stdout.endswith(", 1 policy file\n")
    assert f"{folder}/other.example: note: no policy file" in done.stderr
    assert "there is no policy file" not in done.stderr and "bank" not in done.stderr


def test_no_configuration(built, tmp_path):
    done = check(built, tmp_path / "none")
    assert done.returncode == CANNOT
    assert done.stderr == f"{tmp_path / 'none'}: cannot be read: No such file or directory\n"
    assert check(built, tmp_path).returncode == CANNOT
    (tmp_path / "empty").write_text("")
    assert check(built, tmp_path / "empty").returncode == NO
