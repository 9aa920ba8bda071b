# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What the guides in docs/ show, so that tests can do what their readers will do."""

import re
import shutil

from .daemon import ROOT, Sealpost

_FENCE = re.compile(r"^( *)```(\S+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page, kind):
    """The blocks of docs/PAGE that are marked as this kind, a text each."""
    text = (ROOT / "docs" / page).read_text()
    return ["".join(line.removeprefix(indent) for line in block.splitlines(keepends=True))
            for indent, name, block in _FENCE.findall(text) if name == kind]


def kinds(page):
    return {name for _, name, _ in _FENCE.findall((ROOT / "docs" / page).read_text())}


def settle_in(folder, certs):
    """The files below /etc/sealpost that the guides name and show, below this folder."""
    tls = folder / "tls"
    tls.mkdir()
    for name in ("mail.example.com.pem", "mail.example.com.key"):
        pair = certs.pair("mail.example.com")
        shutil.copy(pair[name.endswith(".key")], tls / name)
    (tls / "ticket.key").write_bytes(bytes(range(64)))
    (folder / "relay.credentials").write_text("user = u\npassword = p\n")
    (folder / "policy.d").mkdir()
    for n, text in enumerate(blocks("deployment.md", "policy")):
        (folder / "policy.d" / f"partner{n}.example.policy").write_text(text)
    for file in folder.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o640)
        shutil.chown(file, "root", "nogroup")


def moved(text, folder):
    """A configuration of a guide, to be tried on this machine: other paths and another user."""
    text = text.replace("/etc/sealpost/", f"{folder}/")
    return text.replace("[server]\n", f"[server]\nuser = nobody\ncontrol = {folder}/control\n", 1)


class Guided(Sealpost):
    """A daemon that runs a configuration of a guide."""

    def __init__(self, folder, certs, text, address=None, network=None):
        folder.mkdir(mode=0o755)
        super().__init__(folder, certs, ["127.0.0.1:1"], network=network)
        settle_in(folder, certs)
        self.config.write_text(moved(text, folder))
        self.address = address
