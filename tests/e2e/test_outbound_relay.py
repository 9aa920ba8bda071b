# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Mail that goes out by one configured relay."""

import base64

import pytest

from harness import peer
from harness.internet import policy_section, send, transaction
from harness.net import until

pytestmark = pytest.mark.namespaces


def keywords(lines):
    return {line[4:].split()[0].decode().upper() for line in lines[1:]}


USERS = {"relay-user": "päss word"}


@pytest.fixture
def relay(daemon, internet):
    """Starts a daemon whose [outbound] has route = relay: relay(server, **keys)."""
    def start(server, name="relay.example", **keys):
        outbound = {"route": f"relay {name}:{server.listener.port}"}
        outbound.update({k.replace("_", "-"): v for k, v in keys.items()})
        return daemon([], outbound=outbound, policy=policy_section(internet))
    return start


def credentials(internet, user="relay-user", password="päss word"):
    file = internet.folder / "credentials"
    file.write_text(f"user = {user}\npassword = {password}\n")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("level", ["may", "encrypt", "secure"])
def test_relay(internet, relay, implicit, level):
    server = internet.host("relay.example", port=465 if implicit else 587, implicit=implicit)
    internet.policies.put("relay.example", f"tls = {level}")
    d = relay(server, relay_tls="implicit" if implicit else "starttls")
    with peer.Client(d.address) as c:
        c.reply(220)
        assert keywords(c.hello()) >= {"PIPELINING", "SIZE", "8BITMIME"}
        assert transaction(c, "bob@one.example", "bob@two.example").accepted
        assert transaction(c, "bob@three.example").accepted
        c.quit()
    message = server.store.wait(1)
    assert message.secure and message.server_name == "relay.example"
    assert message.recipients == ["bob@one.example", "bob@two.example"]
    server.saw_nothing_in_clear()
    assert len(server.wires) == 1


def test_relay_mirrors_what_is_said_under_tls(internet, relay):
    server = internet.host("relay.example", keywords=["SIZE 1", "XEXCH50", "AUTH NTLM"],
                           keywords_tls=["SIZE 5000", "8BITMIME", "AUTH PLAIN LOGIN"], port=587)
    d = relay(server)
    with peer.Client(d.address) as c:
        c.reply(220)
        lines = c.hello()
        assert b"250-SIZE 5000" in [line[:13] for line in lines] or b"250 SIZE 5000" in lines
        assert not any(b"XEXCH50" in line or b"NTLM" in line for line in lines)
        c.quit()


@pytest.mark.parametrize("level,certificate", [("encrypt", None), ("secure", "self-signed"),
                                               ("secure", "wrong-name"), ("verify", "expired")])
def test_relay_that_does_not_satisfy(internet, relay, level, certificate):
    server = internet.host("relay.example", certificate, port=587)
    internet.policies.put("relay.example", f"tls = {level}")
    d = relay(server)
    seen = None
    with peer.Client(d.address) as c:
        reply = c.reply()[0]
        if reply.startswith(b"220"):
            try:
                c.hello("backend.example", 4)
            except (peer.Ended, OSError, AssertionError):
                pass
        else:
            seen = reply
    assert seen is None or seen.startswith((b"421", b"451")), seen
    server.saw_nothing_in_clear()
    assert not server.store.messages
    end = d.session_end()
    assert "relay.example" in str(end) and end.get("verdict") not in (None, "", "pass")


@pytest.mark.parametrize("offered", [["AUTH PLAIN LOGIN"], ["AUTH LOGIN"], ["AUTH PLAIN"]])
def test_relay_with_credentials_of_ours(internet, relay, offered):
    server = internet.host("relay.example", users=USERS, port=587)
    server.keywords_tls = tuple(k for k in server.keywords_tls
                                if not k.startswith("AUTH")) + tuple(offered)
    d = relay(server, credentials=credentials(internet))
    seen = send(d.address, "bob@peer.example")
    assert seen.accepted, seen
    assert server.wires[0].user == "relay-user"
    server.saw_nothing_in_clear()
    d.session_end(end="quit")
    log = "\n".join(d.lines)
    for secret in ("päss", base64.b64encode("\0relay-user\0päss word".encode()).decode()):
        assert secret not in log


def test_relay_that_does_not_believe_us(internet, relay):
    server = internet.host("relay.example", users=USERS, port=587)
    d = relay(server, credentials=credentials(internet, password="wrong"))
    seen = None
    with peer.Client(d.address) as c:
        c.reply()
        try:
            c.hello("backend.example")
            seen = transaction(c, "bob@peer.example")
        except (peer.Ended, OSError, AssertionError):
            pass
    assert seen is None or not seen.accepted
    assert not server.store.messages
    end = d.session_end()
    assert "credential" in end["reason"] or "535" in end["reason"], end
    assert "wrong" not in "\n".join(d.lines)


def test_relay_and_a_client_that_brings_its_own(internet, relay):
    server = internet.host("relay.example", users={"u": "p"}, port=587)
    d = relay(server)
    with peer.Client(d.address) as c:
        c.reply(220)
        assert any(b"AUTH" in line and b"PLAIN" in line for line in c.hello())
        c.command("AUTH PLAIN " + base64.b64encode(b"\0u\0x").decode(), 535)
        c.command("AUTH PLAIN " + base64.b64encode(b"\0u\0p").decode(), 235)
        assert transaction(c, "bob@peer.example").accepted
        c.quit()
    assert server.wires[0].user == "u"
    d.session_end()
    assert "AHUAcA" not in "\n".join(d.lines)


def test_relay_that_is_an_address(internet, relay):
    server = internet.host("relay.example", port=587)
    d = relay(server, name=server.listener.address[0])
    assert send(d.address, "bob@peer.example").accepted


def test_relay_whose_address_changes(internet, relay):
    first = internet.host("relay.example", port=587)
    internet.dns.a("relay.example", first.listener.address[0], ttl=0)
    d = relay(first)
    assert send(d.address, "bob@peer.example").accepted
    second = internet.host("relay.example", port=587)
    first.close()
    internet.dns.a("relay.example", second.listener.address[0], ttl=0)

    def moved():
        with peer.Client(d.address) as c:
            if c.reply()[0].startswith(b"220"):
                c.hello()
                transaction(c, "bob@peer.example")
        return second.store.messages
    until(moved, "mail goes to the new address")  # an answer is good for 5 seconds at least
