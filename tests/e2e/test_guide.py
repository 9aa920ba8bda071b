# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What docs/deployment.md and docs/scaling.md tell to write and to do, written and done."""

import os
import re
import shutil
import stat
import subprocess

import pytest

from harness import guide, peer, tlsa
from harness.backend import Backend
from harness.certs import Pair
from harness.daemon import ROOT
from harness.netns import Net

PAGES = ("deployment.md", "scaling.md")
CONFIGURATIONS = [(page, n, text) for page in PAGES
                  for n, text in enumerate(guide.blocks(page, "sealpost.conf"))]
# What check says here: there is no DNS and no such address, and the guide tells what comes of
# client-address = none.
SAID = ("resolver = system", "relay smtp.example.net:587: ", ": note: ",
        "this machine has no such address", "this machine has no such interface",
        "warning: client-address = none: to the backend all mail comes from this machine")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files change hands")


def shell(block, folder, **environment):
    """Runs a block of the guide with `folder` in the place of /etc/sealpost; what it printed."""
    text = block.replace("/etc/sealpost", str(folder)).replace("-g sealpost", "-g nogroup")
    done = subprocess.run(["sh", "-eu", "-c", text], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, **environment}, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def block_with(words, page="deployment.md", kind="sh"):
    found, = (b for b in guide.blocks(page, kind) if words in b)
    return found


def test_nothing_is_marked_that_no_test_knows():
    known = {"sealpost.conf", "policy", "sh", "powershell", "nft", "sysctl.conf", "haproxy.cfg",
             "keepalived.conf", "console"}
    assert set().union(*(guide.kinds(page) for page in PAGES)) <= known
    assert len(CONFIGURATIONS) == 7


def anchors(page):
    """Where a link into this page may lead."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in link:
                continue
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


def test_units_that_are_named_are_there():
    units = {file.name.split(".")[0] for file in (ROOT / "systemd").glob("sealpost*.in")}
    for page in (*PAGES, "troubleshooting.md"):
        text = (ROOT / "docs" / page).read_text()
        named = re.findall(r'systemctl [^`"\n]*', text)
        for word in " ".join(named).split():
            if word.startswith("sealpost"):
                assert word.split(".")[0] in units, f"{page}: {word}"


def checked(built, folder, text):
    """What `sealpost check` has against this configuration, and the files that it names."""
    config = folder / "sealpost.conf"
    config.write_text(guide.moved(text, folder) + "[policy]\ndane = no\nmta-sts = no\n"
                      f"directory = {folder}/policy.d\ncache = {folder}\n")
    config.chmod(0o644)
    done = subprocess.run([built, "check", "-c", str(config)], capture_output=True, text=True,
                          timeout=60)
    return [line for line in done.stderr.splitlines() if not any(s in line for s in SAID)]


@needs_root
@pytest.mark.parametrize("page,n,text", CONFIGURATIONS, ids=[f"{p}-{n}"
                                                             for p, n, _ in CONFIGURATIONS])
def test_configurations(built, open_folder, certs, page, n, text):
    guide.settle_in(open_folder, certs)
    assert checked(built, open_folder, text) == []


@needs_root
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_digest_of_the_key(open_folder, certs, kind):
    pair = Pair(*certs.pair("mail.example.com", kind))
    (open_folder / "tls").mkdir()
    shutil.copy(pair.certificate, open_folder / "tls" / "mail.example.com.pem")
    said = shell(block_with("-noout -pubkey"), open_folder)
    assert "3 1 1 " + said.split()[0] == tlsa.record(3, 1, 1, pair.leaf())


@needs_root
def test_digest_of_the_next_key(open_folder):
    digest = shell(block_with("genpkey"), open_folder).split()[0]
    request = ["openssl", "req", "-new", "-x509", "-key", open_folder / "next.key", "-subj",
               "/CN=mail.example.com", "-out", open_folder / "next.pem"]
    subprocess.run(request, check=True)
    leaf = Pair(open_folder / "next.pem", open_folder / "next.key").leaf()
    assert "3 1 1 " + digest == tlsa.record(3, 1, 1, leaf)


@needs_root
@pytest.mark.parametrize("age", [(), ("-legacy",)], ids=["of today", "of old Windows"])
@pytest.mark.parametrize("kind", ["good", "rsa-2048"])
def test_certificate_out_of_a_pfx_file(built, open_folder, certs, zoo, kind, age):
    guide.settle_in(open_folder, certs)
    pair = zoo.pair("mail.example.com", kind)
    subprocess.run(["openssl", "pkcs12", "-export", *age, "-in", pair.certificate, "-inkey",
                    pair.key, "-out", open_folder / "mail.pfx", "-passout", "pass:secret"],
                   check=True)
    shell(block_with("-clcerts").replace("mail.pfx -", "mail.pfx -passin pass:secret -"),
          open_folder)
    installed = Pair(open_folder / "tls" / "mail.example.com.pem",
                     open_folder / "tls" / "mail.example.com.key")
    assert installed.leaf() == pair.leaf()
    assert installed.certificate.read_text().count("-----BEGIN CERTIFICATE-----") == 2
    assert stat.S_IMODE(installed.key.stat().st_mode) == 0o640
    assert not (open_folder / "mail.pfx").exists()
    assert checked(built, open_folder, CONFIGURATIONS[0][2]) == []


@needs_root
def test_hook_of_certbot(daemon, backend, certs, open_folder):
    """What it puts in place is in force by itself."""
    guide.settle_in(open_folder, certs)
    tls = open_folder / "tls"
    d = daemon(backend, pairs=[(tls / "mail.example.com.pem", tls / "mail.example.com.key")])
    lineage = open_folder / "lineage"
    lineage.mkdir()
    certificate, key = certs.pair("renewed.example")
    shutil.copy(certificate, lineage / "fullchain.pem")
    shutil.copy(key, lineage / "privkey.pem")
    shell(block_with("RENEWED_LINEAGE"), open_folder, RENEWED_LINEAGE=str(lineage))
    d.logged(lambda r: " in force (generation 2)" in r["message"])
    with peer.Client(d.address) as c:
        c.begin()
        c.secure(peer.client_context(certs.ca), "renewed.example")
        c.hello()
        c.quit()


@needs_root
def test_ticket_key(open_folder):
    (open_folder / "tls").mkdir()
    commands, = guide.blocks("scaling.md", "console")
    shell(re.sub("^# ", "", commands, flags=re.MULTILINE).replace("chgrp sealpost",
                                                                  "chgrp nogroup"), open_folder)
    made = (open_folder / "tls" / "ticket.key").stat()
    assert made.st_size == 64 and stat.S_IMODE(made.st_mode) == 0o640


class ClosedRelay(Backend):
    recipient_ok = "550 5.7.1 Unable to relay for {recipient}"


@pytest.mark.parametrize("kind", [Backend, ClosedRelay])
def test_am_i_an_open_relay(daemon, kind):
    with kind() as exchange:
        d = daemon(exchange)
        command = block_with("swaks").replace("--server mail.example.com",
                                              "--server {}:{}".format(*d.address))
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
        assert (done.returncode == 0) == (kind is Backend), done.stdout
        assert ("550 5.7.1 Unable to relay" in done.stdout) == (kind is ClosedRelay)


@pytest.mark.namespaces
def test_the_way_back(certs):
    """New connections go to the old server itself."""
    rules = block_with("chain prerouting", kind="nft")
    with Net("outside", "gateway", "inside") as net:
        net.cable("gateway", "eth0", "outside")
        net.cable("gateway", "eth1", "inside")
        net.address("gateway", "eth0", "203.0.113.10/24")
        net.address("gateway", "eth1", "10.0.0.1/24")
        net.address("outside", "eth0", "203.0.113.99/24")
        net.address("inside", "eth0", "10.0.0.10/24")
        net.default_route("inside", "10.0.0.1")
        net.sysctl("gateway", "ipv4/ip_forward", 1)
        net.run("gateway", "nft", "-f", "-", text=rules)
        with net.inside("inside"):
            exchange = peer.Listener(("10.0.0.10", 25))
        with exchange, net.inside("outside"):
            with peer.dial(("203.0.113.10", 25)) as client:
                with exchange.accept() as server:
                    assert server.sock.getpeername()[0] == "203.0.113.99"
                    client.send(b"QUIT\r\n")
                    assert server.line() == b"QUIT"
        net.run("gateway", "nft", "delete", "table", "ip", "back")
