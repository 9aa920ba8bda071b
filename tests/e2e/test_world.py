# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The world against itself, without the daemon: what fails here is no fault of the proxy's."""

import pytest

from harness import mail, peer, real
from harness import destination as far
from harness.backend import EXCHANGES, Backend
from harness.exchange import SENDERS, Job

pytestmark = pytest.mark.world


@pytest.mark.parametrize("kind", EXCHANGES)
@pytest.mark.parametrize("how", ["data", "bdat"])
def test_exchange_stores_exactly(kind, how):
    with EXCHANGES[kind]() as server:
        with peer.Client(server.listener.address) as c:
            c.begin()
            for message in [*mail.ordinary().values(), mail.very_long_lines(), b"", b".\r\n"]:
                c.envelope()
                getattr(c, how)(message)
                assert server.store.messages[-1].octets == message
            c.quit()
        assert not server.errors


def test_scripted_server_reads_a_dot_first():
    with Backend() as server, peer.Client(server.listener.address) as c:
        c.begin()
        c.envelope()
        c.data(b"\r\n.\r\n..\r\n")
        assert server.store.messages[0].octets == b"\r\n.\r\n..\r\n"


@pytest.mark.real
@pytest.mark.parametrize("kind", real.SERVERS)
def test_server_stores(world, kind):
    server = world.server(kind)
    for name, message in mail.ordinary().items():
        message = mail.marked(message, kind + name)
        with peer.Client((server.host, server.port)) as c:
            c.begin()
            c.envelope()
            c.data(message)
            c.quit()
        stored = server.stored((kind + name).encode())
        assert mail.below(stored, message) is not None


@pytest.mark.real
@pytest.mark.parametrize("client", [c for c in real.CLIENTS if "clear" in real.modes(c)])
def test_client_sends(world, client, tmp_path):
    if real.missing(client):
        pytest.skip(real.missing(client))
    with Backend() as server:
        for n, (name, message) in enumerate(mail.ordinary().items()):
            real.CLIENTS[client](world, "clear", server.listener.port, "alice@client.example",
                                 "bob@backend.example", mail.marked(message, name), tmp_path)
            stored = server.store.wait(n + 1).octets
            sent = mail.marked(message, name)
            assert mail.below(stored.replace(b"\r\n", b"\n"), sent) is not None


def test_a_destination_records_what_was_on_the_wire(zoo):
    with far.Destination(pair=zoo.pair("mx.peer.example"), name="mx.peer.example") as server:
        for context in (None, peer.client_context(zoo.ca)):
            with peer.Client(server.listener.address) as c:
                c.reply(220)
                assert b"250 STARTTLS" in c.hello()
                if context:
                    c.secure(context, "mx.peer.example")
                    assert b"250 STARTTLS" not in c.hello()
                    server.wires.pop(0)
                c.envelope()
                c.data(b"Subject: x\r\n\r\n" + mail.noise(3000).hex().encode())
                c.quit()
            if context:
                server.saw_nothing_in_clear()
            else:
                with pytest.raises(AssertionError):
                    server.saw_nothing_in_clear()
        clear, secure = server.store.messages
        assert clear.octets == secure.octets and not clear.secure
        assert secure.secure and secure.server_name == "mx.peer.example"
        assert far.clear_part(bytes(server.wires[0].raw)).endswith(b"STARTTLS\r\n")
        assert not server.errors


@pytest.mark.parametrize("phase,action", [
    ("greeting", far.CLOSE), ("ehlo", "421 no"), ("starttls", "454 4.7.0 no"),
    ("starttls", far.REPLY_THEN_CLOSE), ("starttls", far.EXTRA), ("hello", far.GARBAGE),
    ("hello", far.ALERT), ("hello", far.RESET), ("ehlo-tls", far.CLOSE), ("mail", "550 no"),
    ("rcpt", far.RESET), ("data", "451 no"), ("body", far.CLOSE), ("eod", "452 full")])
def test_a_destination_goes_wrong_where_it_should(zoo, phase, action):
    with far.Destination(pair=zoo.pair("mx.peer.example"), name="mx.peer.example",
                         script={phase: (action, 1)}) as server:
        for attempt in range(2):
            try:
                with peer.Client(server.listener.address) as c:
                    c.reply(220)
                    c.hello()
                    c.secure(peer.client_context(zoo.ca), "mx.peer.example")
                    c.hello()
                    c.envelope()
                    c.data(b"Subject: x\r\n\r\n")
                    c.quit()
                assert attempt == 1, "it goes well"
            except (AssertionError, OSError):
                assert attempt == 0
        assert server.log == [(phase, action)] and len(server.store.messages) == 1
        assert not server.errors


@pytest.mark.parametrize("keywords", [None, ["PIPELINING"], ["SIZE"]], ids=str)
@pytest.mark.parametrize("age", SENDERS)
def test_exchange_sends_exactly(zoo, age, keywords):
    with far.Destination(pair=zoo.pair("mx.peer.example"), keywords=keywords,
                         script={"rcpt": ("451 4.3.0 not now", 2)}) as server:
        sender = SENDERS[age](server.listener.address)
        jobs = [Job(m, "bob@x.example", "nobody@x.example") for m in mail.ordinary().values()]
        assert sender.run(jobs) == [] and not sender.trouble and not server.errors
        assert {m.octets for m in server.store.messages} == {j.octets for j in jobs}
        assert all(j.delivered == ["bob@x.example"] for j in jobs) and sender.sessions == 2
        assert {m.how for m in server.store.messages} == {"BDAT" if keywords is None else "DATA"}
