# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""How the running service stands, and what it has counted."""

import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import pytest

from harness import dns, peer
from harness.daemon import program
from harness.internet import MESSAGE, policy_section, send, transaction
from harness.net import free_port, until

FINE, ATTENTION, CANNOT = 0, 1, 3

NOTHING = {"open": 0, "sessions": 0, "turned_away": 0, "near_tls": 0, "messages": 0,
           "messages_tls": 0, "messages_verified": 0, "refused": 0}


def ask(d, *options, code=FINE):
    done = subprocess.run([program(), "status", "-c", str(d.config), *options], timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done


def stands(d, code=FINE):
    """What --json says; nothing is complained of."""
    done = ask(d, "--json", code=code)
    assert not done.stderr
    said = json.loads(done.stdout)
    assert done.returncode == (ATTENTION if said["attention"] else FINE)
    return said


def socket_of(d):
    return pathlib.Path(re.search("^control = (.*)$", d.config.read_text(), re.M)[1])


def counted(d, service=0, **counts):
    """Waits until a service's counters that are not 0 are these."""
    wanted = {**NOTHING, **counts}

    def found():
        return {k: v for k, v in stands(d, None)["services"][service].items() if k in wanted}
    try:
        until(lambda: found() == wanted, "the counters")
    except AssertionError:
        assert found() == wanted


@pytest.fixture
def pairs(tmp_path, certs):
    """A certificate that the daemon, which is no longer root, can read again."""
    pair = [shutil.copy(file, tmp_path) for file in certs.ecdsa]
    for file in pair:
        os.chmod(file, 0o644)
    return [pair]


# -- the command

def test_all_is_well(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs)
    text = ask(d).stdout
    assert re.match(r"sealpost \S+, serving for \d+ s\n\nconfiguration  \S+, generation 1, ", text)
    assert "\nconnections    0 of 10000\n" in text
    assert re.search(r"\nSERVICE +KIND +OPEN .*\ninbound +inbound +0 .*\n", text)
    assert re.search(r"\nworker +\d+ s +\d+ +0 +0\n", text)
    said = stands(d)
    assert said["attention"] == [] and said["configuration"] == str(d.config)
    assert said["fault"] == "" and not said["stopping"]
    processes = {p["pid"]: p["role"] for p in said["processes"]}
    assert processes[d.process.pid] == "supervisor" and set(processes) == set(d.pids)
    assert [c["names"] for c in said["certificates"]] == ["proxy.example"]
    assert said["since"] <= said["now"] == said["now"][:19] + "Z"


def test_nobody_serves(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs)
    path = socket_of(d)
    d.stop()
    assert not path.exists()
    said = ask(d, code=CANNOT).stderr
    assert said == (f"sealpost: cannot reach {path}: is sealpost serving? "
                    "(No such file or directory)\n")


def test_who_may_ask(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs)
    nobody = pwd.getpwnam("nobody")
    found = socket_of(d).stat()
    assert (found.st_uid, found.st_gid) == (nobody.pw_uid, nobody.pw_gid)
    assert stat.S_IMODE(found.st_mode) == 0o660
    for who, code in (("root", FINE), ("nobody", FINE), ("daemon", CANNOT)):
        user = pwd.getpwnam(who)
        done = subprocess.run([program(), "status", "-c", str(d.config)], capture_output=True,
                              text=True, timeout=60, user=user.pw_uid, group=user.pw_gid,
                              extra_groups=[], cwd="/", check=False)
        assert done.returncode == code, (who, done)
        assert ("Permission denied (ask as root, or" in done.stderr) == (code == CANNOT)


def test_it_serves_without_the_socket_too(daemon, backend, tmp_path):
    path = tmp_path / "missing" / "missing" / "control"
    d = daemon(backend, server={"control": path})
    d.logged(lambda r: "sealpost status has nobody to ask" in r["message"])
    ask(d, code=CANNOT)
    with peer.Client(d.address) as c:
        c.begin()
        c.quit()


def test_silent_callers_hold_up_nobody(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs)
    callers = [socket.socket(socket.AF_UNIX) for _ in range(15)]
    for c in callers:
        c.connect(str(socket_of(d)))
    with peer.Client(d.address) as c:
        c.begin()
        c.quit()
    stands(d)
    for c in callers:
        c.close()


# -- what needs attention

def test_a_configuration_that_is_refused(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs)
    good = d.config.read_text()
    d.config.write_text(good.replace("[limits]", "[limits]\nnonsense = 1"))
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: "was not taken up" in r["message"])
    said = stands(d, ATTENTION)
    assert f"{d.config}:" in said["fault"] and "nonsense" in said["fault"]
    assert said["attention"] == [f"the configuration was not taken up: {said['fault']}"]
    assert said["generation"] == 1
    assert f"\n! {said['attention'][0]}\n" in ask(d, code=ATTENTION).stdout
    before = len(d.lines)
    d.config.write_text(good.replace("[limits]", "[limits]\nconnections-per-address = 7"))
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: "is in force" in r["message"], before)
    said = stands(d)
    assert said["fault"] == "" and said["generation"] == 2


def test_a_configuration_that_is_refused_and_a_certificate(daemon, backend, certs, pairs):
    """Neither hides the other."""
    d = daemon(backend, pairs=pairs)
    d.config.write_text(d.config.read_text().replace("[limits]", "[limits]\nnonsense = 1"))
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: "was not taken up" in r["message"])
    before = len(d.lines)
    pathlib.Path(pairs[0][0]).write_bytes(pathlib.Path(certs.rsa[0]).read_bytes())
    d.logged(lambda r: "that was not taken up" in r["message"], before)
    fault = stands(d, ATTENTION)["fault"]
    assert "nonsense" in fault and "; and " in fault and "the key does not belong to" in fault


def test_certificates(daemon, backend, certs, zoo):
    soon = certs.pair("proxy.example", days=10)
    d = daemon(backend, pairs=[soon])
    said = stands(d, ATTENTION)
    [certificate] = said["certificates"]
    assert certificate["file"] == str(soon[0]) and certificate["names"] == "proxy.example"
    left = time.mktime(time.strptime(certificate["expires"], "%Y-%m-%dT%H:%M:%SZ"))
    assert 9 * 86400 < left - time.mktime(time.gmtime()) <= 10 * 86400
    assert re.fullmatch(rf"{soon[0]} expires in (9|10) d", said["attention"][0])
    d.stop()
    d = daemon(backend, pairs=[zoo.pair("proxy.example", "expired")])
    [note] = stands(d, ATTENTION)["attention"]
    assert "has expired" in note and note.endswith(" ago")


@pytest.mark.namespaces
def test_policy_files(internet, smarthost, pairs):
    internet.policies.put("peer.example", "tls = encrypt")
    d = smarthost(pairs=pairs)
    until(lambda: stands(d)["policy"]["files"] == 1, "the file is read")
    before = stands(d)["policy"]
    assert before["broken"] == 0
    internet.policies.put("broken.example", "tls = whatever")
    d.reload()
    until(lambda: stands(d, None)["attention"], "the file is found to be broken")
    said = stands(d, ATTENTION)
    assert said["attention"] == ["broken policy files: 1 (sealpost check names them)"]
    assert said["policy"]["broken"] == 1
    assert said["policy"]["generation"] != before["generation"]
    internet.policies.remove("broken.example")
    d.reload()
    until(lambda: not stands(d, None)["attention"], "nothing is broken any more")


@pytest.mark.namespaces
def test_a_dns_without_answers(internet, smarthost, pairs):
    d = smarthost(pairs=pairs)
    failing = [f"d{n}.example" for n in range(3)]
    for domain in failing:
        internet.peer(domain)
        internet.dns.misbehave(domain, dns.SERVFAIL)
    for domain in [failing[0], failing[1], failing[1]]:
        assert send(d.address, f"bob@{domain}").last.startswith("451 4.4.3")
    until(lambda: stands(d)["policy"]["unanswered"] == 2, "two have failed")
    assert send(d.address, f"bob@{failing[2]}").last.startswith("451 4.4.3")
    until(lambda: stands(d, None)["attention"], "three have failed")
    [note] = stands(d, ATTENTION)["attention"]
    assert note == "the DNS had no answer about the last 3 domains (the log names them)"
    internet.peer("fine.example")
    assert send(d.address, "bob@fine.example").accepted
    until(lambda: not stands(d, None)["attention"], "it answers again")
    assert stands(d)["policy"]["unanswered"] == 0


def test_a_worker_that_was_replaced(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs, server={"workers": 2})

    def workers():
        return [p for p in stands(d, None)["processes"] if p["role"] == "worker"]
    first, second = (p["pid"] for p in workers())
    with peer.Client(d.address) as c:
        c.begin()
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        until(lambda: all(p["restarts"] == 1 and p["pid"] for p in workers()),
              "both were started again")
    assert not {first, second} & {p["pid"] for p in workers()}
    assert stands(d)["connections"] == 0
    counted(d, sessions=1)


def test_while_it_stops(daemon, backend, pairs):
    d = daemon(backend, pairs=pairs)
    with peer.Client(d.address) as c:
        c.begin()
        c.envelope("alice@client.example", "bob@backend.example")
        d.process.send_signal(signal.SIGTERM)
        d.logged(lambda r: "stopping; sessions" in r["message"])
        said = stands(d)
        assert said["stopping"] and said["connections"] == 1
        assert "stopping; has served for" in ask(d).stdout
        c.data(MESSAGE)
    d.stop()


# -- counters, each of them once

def test_sessions(daemon, backend, pairs, tls):
    d = daemon(backend, pairs=pairs)
    with peer.Client(d.address) as c:
        c.begin()
        counted(d, open=1, sessions=1)
        assert stands(d)["connections"] == 1
        with peer.Client(d.address) as other:
            other.begin(tls)
            counted(d, open=2, sessions=2, near_tls=1)
            [worker] = [p for p in stands(d)["processes"] if p["role"] == "worker"]
            assert worker["sessions"] == 2
            other.quit()
        c.quit()
    counted(d, sessions=2, near_tls=1)


def test_messages_that_come_in(daemon, backend, pairs, tls):
    d = daemon(backend, pairs=pairs)
    with peer.Client(d.address) as c:
        c.begin(tls)
        for _ in range(3):
            c.envelope("alice@client.example", "bob@backend.example")
            c.data(MESSAGE)
        c.quit()
    counted(d, sessions=1, near_tls=1, messages=3)
    assert 3 * len(MESSAGE) <= stands(d)["services"][0]["octets"] <= 3 * len(MESSAGE) + 100


@pytest.mark.namespaces
def test_messages_that_go_out(internet, smarthost, pairs):
    for name, certificate in (("clear", None), ("secret", "good"), ("proven", "good")):
        internet.peer(f"{name}.example", certificate)
    internet.policies.put("proven.example", "tls = verify")
    d = smarthost(pairs=pairs)
    assert send(d.address, "bob@clear.example").accepted
    counted(d, sessions=1, messages=1)
    assert send(d.address, "bob@secret.example").accepted
    counted(d, sessions=2, messages=2, messages_tls=1)
    assert send(d.address, "bob@proven.example").accepted
    counted(d, sessions=3, messages=3, messages_tls=2, messages_verified=1)
    assert stands(d)["services"][0]["kind"] == "smarthost"


@pytest.mark.namespaces
def test_a_server_that_goes_behind_its_reply(internet, smarthost, pairs):
    """What was taken over TLS counts so, though the leg is gone when it is counted."""
    internet.peer("peer.example", script={"queued": ("then-close", 1)})
    internet.policies.put("peer.example", "tls = verify")
    d = smarthost(pairs=pairs)
    assert send(d.address, "bob@peer.example").accepted
    counted(d, sessions=1, messages=1, messages_tls=1, messages_verified=1)


@pytest.mark.namespaces
def test_recipients_that_are_refused(internet, smarthost, pairs):
    internet.peer("clear.example", None)
    internet.peer("peer.example")
    internet.policies.put("clear.example", "tls = encrypt")
    d = smarthost(pairs=pairs)
    with peer.Client(d.address) as c:
        c.begin()
        for n in (1, 2):  # the second one without a new walk
            assert not transaction(c, "bob@clear.example").accepted
            c.command("RSET", 250)
            counted(d, open=1, sessions=1, refused=n)
        # What the server itself refuses is none of ours.
        assert not transaction(c, "nobody@peer.example").accepted
        internet.hosts["mx1.peer.example"].script = {"eod": ("554 5.7.1 spam", 1)}
        c.command("RSET", 250)
        assert not transaction(c, "bob@peer.example").accepted
        counted(d, open=1, sessions=1, refused=2)


@pytest.mark.namespaces
def test_senders_that_are_refused(daemon, backend, internet, pairs):
    internet.policies.put("peer.example", inbound="tls = encrypt")
    d = daemon(backend, pairs=pairs, policy=policy_section(internet))
    with peer.Client(d.address) as c:
        c.begin()
        c.command("MAIL FROM:<alice@peer.example>", 530)
        c.quit()
    counted(d, sessions=1, refused=1)


def test_those_turned_away(daemon, backend, pairs, tls):
    d = daemon(backend, pairs=pairs,
               limits={"connections": 3, "connections-per-address": 2})
    held = [peer.Client(d.address, source=("127.0.0.21", 0)) for _ in range(2)]
    for c in held:
        c.reply(220)
    with peer.Client(d.address, source=("127.0.0.21", 0)) as c:
        c.reply(421)
        assert c.rest() == b""
    counted(d, open=2, sessions=3, turned_away=1)
    held.append(peer.Client(d.address, source=("127.0.0.22", 0)))
    held[-1].reply(220)
    with peer.Client(d.address, source=("127.0.0.23", 0)) as c:
        c.reply(421)
    counted(d, open=3, sessions=4, turned_away=2)
    for c in held:
        c.quit()
    counted(d, sessions=4, turned_away=2)


@pytest.mark.parametrize("mode", ["implicit", "offer"])
def test_handshakes_that_are_turned_away(daemon, backend, pairs, mode):
    d = daemon(backend, pairs=pairs, inbound={"tls": mode},
               limits={"handshakes": 1, "tls-timeout": "60s"})

    def asks(c, reply):
        if mode == "offer":
            c.begin()
            c.command("STARTTLS", reply)

    with peer.Client(d.address) as held:
        asks(held, 220)
        held.send(b"\x16\x03\x01\x02\x00\x01")
        counted(d, open=1, sessions=1)
        with peer.Client(d.address) as c:
            asks(c, 421)
            assert c.rest() == b""
        counted(d, open=1, sessions=2, turned_away=1)
    counted(d, sessions=2, turned_away=1)


def test_services_are_counted_by_their_names(daemon, backend, pairs):
    """... when the next configuration has them in another order, too."""
    port = free_port()
    more = f"[inbound another]\nlisten = 127.0.0.1:{port}\nbackend = {backend.address}\n"
    d = daemon(backend, pairs=pairs, more=more)
    with peer.Client(d.address) as c:
        c.begin()
        counted(d, open=1, sessions=1)
        counted(d, 1)
        text = d.config.read_text().replace(more, "")
        d.config.write_text(text.replace("[inbound]\n", more + "[inbound]\n"))
        d.process.send_signal(signal.SIGHUP)
        d.logged(lambda r: "is in force" in r["message"])
        assert [s["name"] for s in stands(d)["services"]] == ["another", "inbound"]
        counted(d, 1, open=1, sessions=1)
        c.quit()
    counted(d, 1, sessions=1)
    with peer.Client(("127.0.0.1", port)) as c:
        c.begin()
        c.quit()
    counted(d, 0, sessions=1)
    counted(d, 1, sessions=1)
