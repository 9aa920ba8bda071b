# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""The world against itself, without the daemon: what fails here is no fault of the proxy's."""

import pytest

from harness import mail, peer, real
from harness.backend import EXCHANGES, Backend

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
