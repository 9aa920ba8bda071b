# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Every conversation of tests/playbooks, held with the daemon."""

import pathlib

import pytest

from harness import peer, playbook

BOOKS = sorted((pathlib.Path(__file__).resolve().parents[1] / "playbooks").glob("*.play"))


@pytest.mark.parametrize("file", BOOKS, ids=[f.stem for f in BOOKS])
def test_playbook(file, daemon, certs):
    book = playbook.Playbook(file)
    if book.only == "core":
        pytest.skip(f"{file.name} says: only core")
    listener, address = playbook.backend(book)
    settings = {"tls": "offer", "received": "off", **book.settings}
    d = daemon(address, inbound=settings, limits=book.limits)
    player = playbook.Player(book, d.address, listener, peer.server_context(certs.ecdsa))
    try:
        player.play()
        d.healthy()
    finally:
        player.close()
        if listener is not None:
            listener.close()
