# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Two Sealposts and an address that moves between them, by a real keepalived as the guide says."""

import contextlib
import json
import shutil
import signal
import subprocess

import pytest

from harness import guide, peer
from harness.backend import Backend
from harness.internet import MESSAGE
from harness.net import until
from harness.netns import Net

pytestmark = [pytest.mark.namespaces, pytest.mark.patient]

ADDRESS, EXCHANGE, CLIENT = "203.0.113.10", "10.0.0.10", "203.0.113.99"
PAGE = "scaling.md"
PRIORITIES = {"one": 150, "two": 100}
SCRIPT = "/bin/systemctl is-active --quiet sealpost"


class Machines(Net):
    """Two machines and whoever is beside them, at one switch."""

    def __init__(self):
        super().__init__(*PRIORITIES, "others", "switch")

    def __enter__(self):
        super().__enter__()
        self.run("switch", "ip", "link", "add", "switch", "type", "bridge")
        self.run("switch", "ip", "link", "set", "switch", "up")
        for number, name in enumerate((*PRIORITIES, "others"), 5):
            self.cable("switch", name, name)
            self.run("switch", "ip", "link", "set", name, "master", "switch")
            self.address(name, "eth0", f"10.0.0.{number}/24")
        self.address("others", "eth0", f"{EXCHANGE}/24", f"{CLIENT}/24")
        return self

    def holder(self):
        """Who has the address that moves, if it is one of them."""
        found = []
        for name in PRIORITIES:
            devices = json.loads(self.run(name, "ip", "-j", "address", "show", "dev", "eth0"))
            if any(a["local"] == ADDRESS for a in devices[0]["addr_info"]):
                found.append(name)
        return found[0] if len(found) == 1 else None

    @contextlib.contextmanager
    def keepalived(self, name, folder, served):
        """As the guide has it; but that systemd is not there to say whether it is served."""
        text, = guide.blocks(PAGE, "keepalived.conf")
        assert SCRIPT in text and f"priority {PRIORITIES['one']}\n" in text
        config = folder / f"{name}.keepalived.conf"
        config.write_text(text.replace(SCRIPT, f"/usr/bin/test -d /proc/{served.process.pid}")
                          .replace("priority 150", f"priority {PRIORITIES[name]}"))
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.names[name], "unshare", "--pid", "--fork",
             "--kill-child", "keepalived", "--vrrp", "--dont-fork", "--log-console",
             "--use-file", str(config), "--pid", str(folder / f"{name}.pid"),
             "--vrrp_pid", str(folder / f"{name}.vrrp.pid")],
            stdin=subprocess.DEVNULL)
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def machines():
    with Machines() as m:
        yield m


@pytest.fixture
def exchange(machines):
    with machines.inside("others"):
        backend = Backend((EXCHANGE, 25))
    with backend:
        yield backend
    assert not backend.errors, backend.errors


@pytest.fixture
def sealposts(built, machines, exchange, open_folder, certs):
    text, = guide.blocks(PAGE, "sealpost.conf")
    text = text.replace("= 10.0.0.5:25", "= 0.0.0.0:25").replace("accept-proxy-from", "# ")
    found = {name: guide.Guided(open_folder / name, certs, text, network=machines.names[name])
             for name in PRIORITIES}
    try:
        for d in found.values():
            d.start()
        yield found
    finally:
        for d in found.values():
            d.stop()
            d.unblemished()


def mail(machines, tls):
    with machines.inside("others"):
        c = peer.Client((ADDRESS, 25), source=(CLIENT, 0))
    with c:
        c.begin(tls, name="mail.example.com")
        c.envelope()
        c.data(MESSAGE)
        c.quit()


def test_the_address_moves(machines, sealposts, exchange, tls, open_folder):
    """Away from where nobody serves, and mail comes in again."""
    if shutil.which("keepalived") is None:
        pytest.skip("no keepalived")
    with contextlib.ExitStack() as stack:
        for name, served in sealposts.items():
            stack.enter_context(machines.keepalived(name, open_folder, served))
        first = until(machines.holder, "one of them has the address")
        mail(machines, tls)
        sealposts[first].stop(signal.SIGKILL)
        other, = PRIORITIES.keys() - {first}
        until(lambda: machines.holder() == other, "it has moved")
        mail(machines, tls)
        sealposts[other].logged(lambda r: r.get("end") == "quit")
    assert len(exchange.store.messages) == 2
