# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""docs/troubleshooting.md quotes what the program says, and leaves out nothing of weight."""

import re
import subprocess

import pytest

from harness import guide
from harness.daemon import ROOT
from harness.internet import send

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
# Replies that tell of no fault.
FINE = ("220 ", "221 ", "250 ")

_QUOTES = re.compile(r"^\* ((?:`[^`]+`(?:,\s+)?)+)", re.MULTILINE)
_LITERAL = r'"((?:[^"\\]|\\.)*)"'
_ADJACENT = re.compile(rf"{_LITERAL}(?:\s*(?:PRI\w+\s*)?{_LITERAL})*")
_FILLED_IN = re.compile(r"%[-+ #0]*[0-9*]*(?:\.[0-9*]+)?[hlzj]*[a-zA-Z]")
# Replies whole; what a session's failures are called; words behind a 421; errors and warnings.
_TOLD = (r'"([245]\d\d [245]\.\d+\.\d+ (?:[^"\\]|\\.)*)"',
         rf"session_log_failure\(\s*[^,()]*,\s*{_LITERAL}",
         rf"hang_up\([^;\"]*(?:{_LITERAL})?[^;\"]*{_LITERAL}[^;\"]*;",
         rf"log_message\(\s*LOG_LEVEL_(?:ERROR|WARNING),\s*{_LITERAL}")


def sources():
    """All but what speaks at a terminal; literals that stand side by side as one."""
    for folder in ("proxy", "policy"):
        for file in sorted((ROOT / folder).glob("*.c")):
            if file.name.startswith(("demo", "probe")):
                continue
            text = re.sub(r"/\*.*?\*/|'\\?\"'", "", file.read_text(), flags=re.DOTALL)
            yield _ADJACENT.sub(lambda all: f'"{"".join(re.findall(_LITERAL, all[0]))}"', text)


def plain(literal):
    """As a reader sees it, with … where something is filled in."""
    text = literal.replace("\\n", "").replace("\\r", "").replace('\\"', '"')
    return re.sub("…(?:…)+", "…", _FILLED_IN.sub("…", text))


def quotes():
    found = set()
    for lead in _QUOTES.findall(PAGE):
        found.update(re.sub(r"\s+", " ", q) for q in re.findall(r"`([^`]+)`", lead))
    return found


def fits(quote, literal):
    """What is quoted is all of what is said, but for what … stands for."""
    return re.fullmatch(".*".join(map(re.escape, quote.split("…"))), literal) is not None


def test_what_is_quoted_is_said():
    said = {plain(text) for source in sources() for text in re.findall(_LITERAL, source)}
    assert len(quotes()) > 100
    assert [q for q in sorted(quotes()) if not any(fits(q, s) for s in said)] == []


def test_what_is_said_is_quoted():
    told = {plain(found[found.lastindex]) for source in sources()
            for what in _TOLD for found in re.finditer(what, source)}
    told = {t for t in told if re.search(r"[a-z…] [A-Za-z…]", t) and not t.startswith(FINE)}
    assert len(told) > 60
    assert [t for t in sorted(told) if not any(fits(q, t) for q in quotes())] == []


def shell(command, lines):
    return subprocess.run(["sh", "-c", command], input="\n".join(lines), text=True,
                          capture_output=True, timeout=60, check=True).stdout


@pytest.mark.namespaces
def test_how_mail_to_a_domain_was_protected(internet, smarthost):
    """The command of the page, and that of the guide, on a log of ours."""
    server = internet.peer("partner.example")
    internet.peer("other.example")
    d = smarthost()
    for domain in ("partner.example", "other.example", "partner.example"):
        assert send(d.address, f"bob@{domain}").accepted
    server.keywords = tuple(k for k in server.keywords if k != "STARTTLS")
    assert send(d.address, "bob@partner.example").accepted
    internet.policies.put("partner.example", "tls = encrypt")
    d.reload()
    assert not send(d.address, "bob@partner.example").accepted
    d.stop()
    command, = re.findall(r"```sh\njournalctl [^|]*(\|.*?)```", PAGE, re.DOTALL)
    said = re.sub("TLS1.3/[A-Z0-9_]+", "TLS", shell("cat" + command, d.lines))
    assert sorted(said.splitlines()) == [
        "0 messages in 1 sessions: far=clear level=encrypt verdict=no-tls",
        "1 messages in 1 sessions: far=clear in-clear=not-offered level=may verdict=pass",
        "2 messages in 2 sessions: far=TLS level=may verdict=pass"]
    command, = (b for b in guide.blocks("deployment.md", "sh") if "in-clear" in b)
    assert shell("cat " + command[command.index("|"):], d.lines).split() == [
        "1", "domain=partner.example"]
