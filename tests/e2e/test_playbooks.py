# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Every conversation of tests/playbooks, held with the daemon."""

import pathlib

import pytest

from harness import peer, playbook

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "playbooks"
BOOKS = [b for b in map(playbook.Playbook, sorted(FOLDER.glob("*.play"))) if "core" not in b.only]


@pytest.mark.parametrize("book", BOOKS, ids=[b.name for b in BOOKS])
def test_playbook(book, daemon, certs):
    listener, address = playbook.backend(book)
    settings = {"tls": "offer", "received": "off", **book.settings}
    limits = dict(book.limits)
    if "greeting-timeout" in limits:  # a leg counts as connecting until the greeting comes
        limits.setdefault("connect-timeout", limits["greeting-timeout"])
    d = daemon(address, inbound=settings, limits=limits)
    player = playbook.Player(book, d, listener, peer.server_context(certs.ecdsa))
    try:
        player.play()
        d.healthy()
    finally:
        player.close()
        if listener is not None:
            listener.close()
