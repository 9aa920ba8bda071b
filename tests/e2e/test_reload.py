# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""SIGHUP, and files that change: what is in force for whom, and what is refused by name."""

import json
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

import harness.daemon
from harness import peer
from harness.backend import Backend
from harness.daemon import Sealpost, program, sanitized, state
from harness.internet import MESSAGE, policy_section, send
from harness.net import WAIT, Deadline, until


@pytest.fixture
def pair(tmp_path, certs):
    """The daemon's own copy of a certificate and its key, to be changed."""
    return put_pair(tmp_path, certs.ecdsa)


def put(source, path):
    """As tools of ACME do: a new file in the place of the old one."""
    new = path.with_suffix(".new")
    shutil.copyfile(source, new)
    new.chmod(0o644)
    new.rename(path)


def put_pair(folder, pair):
    paths = [folder / "a.pem", folder / "a.key"]
    for source, path in zip(pair, paths):
        put(source, path)
    return tuple(str(path) for path in paths)


def edit(d, **keys):
    """Keys of the configuration get these values; where a key is not there, below [limits]."""
    text = d.config.read_text()
    for key, value in keys.items():
        line = f"{key.replace('_', '-')} = {value}\n"
        text, count = re.subn(rf"^{key.replace('_', '-')} = .*\n", line, text, flags=re.M)
        if not count:
            text = text.replace("[limits]\n", f"[limits]\n{line}")
    write(d, text)


def write(d, text):
    """The file changes as a whole."""
    new = d.config.with_suffix(".new")
    new.write_text(text)
    new.rename(d.config)


def reload(d, fine=True):
    """Until it is in force, or refused; then what was said."""
    before = len(d.lines)
    d.process.send_signal(signal.SIGHUP)
    end = "is in force" if fine else "was not taken up"
    d.logged(lambda r: end in r["message"], before)
    return "\n".join(d.lines[before:])


def stands(d):
    done = subprocess.run([program(), "status", "--json", "-c", str(d.config)], timeout=WAIT,
                          capture_output=True, text=True, check=False)
    return json.loads(done.stdout)


def shown(d, certs):
    """The certificate that a new client sees."""
    with peer.Client(d.address) as c:
        c.reply(220)
        c.hello()
        c.secure(peer.client_context(certs.ca))
        return c.sock.getpeercert(binary_form=True)


def first_words(d):
    """What a new client is told: its greeting, and where it is one of welcome, the EHLO reply."""
    with peer.Client(d.address) as c:
        greeting = c.reply()
        return b" ".join(greeting if greeting[0].startswith(b"4") else c.hello()).decode()


def kill(d):
    """Its worker, until that takes no client any more."""
    worker, = d.workers
    os.kill(worker, signal.SIGKILL)
    until(lambda: state(worker) in "XZ", "it has ended")


def in_force(d, what):
    until(lambda: all(what in first_words(d) for _ in range(8)), "it is in force")


def refused(d, line, what):
    """A reload is, at this place; in the log and in the status; and nothing of it is in force."""
    before = first_words(d)
    generation = stands(d)["generation"]
    said = reload(d, fine=False)
    fault = f"{d.config}:{line}: {what}" if line else what
    assert fault in said, said
    status = stands(d)
    assert fault in status["fault"] and status["generation"] == generation
    assert first_words(d) == before


def number(d, text):
    """Of the first line that begins so."""
    lines = d.config.read_text().splitlines()
    return next(n + 1 for n, line in enumerate(lines) if line.startswith(text))


# -- what is said

def test_a_warning_is_not_said_again(daemon, backend):
    d = daemon(backend, limits={"greeting-timeout": "5m"})
    relay, slow = "it is an open relay now", "greeting-timeout = 240s: RFC 5321 wants 300s"
    assert relay in "\n".join(d.lines)
    assert relay not in reload(d)
    for _ in range(2):      # what was gone meanwhile is new
        edit(d, greeting_timeout="4m")
        assert slow in reload(d)
        assert slow not in reload(d)
        edit(d, greeting_timeout="5m")
        reload(d)
    assert sum(relay in line for line in d.lines) == 1


# -- what changes, and for whom

def test_what_is_new_is_for_the_new(daemon, backend, tls):
    """Whoever is there goes on under what there was: name, size, certificate, limits, server."""
    with Backend() as other:
        d = daemon(backend, server={"workers": "2"}, limits={"message-size": 1000})
        old = peer.Client(d.address)
        assert b"SIZE 1000" in b" ".join(old.begin(tls))
        edit(d, hostname="renamed.example", message_size=2000, backend=other.address,
             recipients=2, log_level="warning")
        d.process.send_signal(signal.SIGHUP)
        in_force(d, "SIZE 2000")
        with peer.Client(d.address) as c:
            lines = c.begin()
            assert b"SIZE 2000" in b" ".join(lines)
            c.command("MAIL FROM:<a@b.example>", 250)
            for code in (250, 250, 452):
                c.command("RCPT TO:<b@c.example>", code)
            c.data(MESSAGE)
            c.quit()
        lines = old.hello()
        assert b"SIZE 1000" in b" ".join(lines)
        old.envelope("a@b.example", *["b@c.example"] * 4)
        old.data(MESSAGE)
        assert b"proxy.example" in backend.store.messages[0].octets
        assert b"renamed.example" in other.store.messages[0].octets
        old.quit()
        assert not any("from=<a@b.example>" in line for line in d.lines)
        assert len(backend.store.messages) == len(other.store.messages) == 1


def test_limits_count_at_once(daemon, backend):
    d = daemon(backend, server={"workers": "2"}, limits={"connections-per-address": 5})
    held = [peer.Client(d.address) for _ in range(4)]
    for c in held:
        c.reply(220)
    edit(d, connections_per_address=3)
    reload(d)
    in_force(d, "421")
    for c in held:
        c.hello()
        c.quit()
    in_force(d, "250")


@pytest.mark.namespaces
def test_what_the_dns_begins_with_comes_late(smarthost, internet):
    internet.peer("peer.example")
    anchor = internet.folder / "late.key"
    d = smarthost(policy={"trust-anchor": anchor})
    assert send(d.address, "bob@peer.example").last.startswith("451 4.4.3 ")
    put(internet.folder / "island.key", anchor)
    until(lambda: send(d.address, "bob@peer.example").accepted, "it is read")


def descriptors(d, most):
    """How many the supervisor may have; its own user alone may say so."""
    user = pwd.getpwnam("nobody")
    subprocess.run(["prlimit", f"--pid={d.process.pid}", f"--nofile={most}:"], check=True,
                   user=user.pw_uid, group=user.pw_gid, extra_groups=[])


@pytest.mark.namespaces
def test_another_policy_process_that_cannot_be_started_yet(smarthost, internet):
    internet.peer("peer.example")
    anchor = internet.folder / "late.key"
    d = smarthost(policy={"trust-anchor": anchor})
    descriptors(d, 3)
    put(internet.folder / "island.key", anchor)
    d.logged(lambda r: "cannot start the policy process: " in r["message"])
    descriptors(d, 1024)
    until(lambda: send(d.address, "bob@peer.example").accepted, "it is started")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a hosts file of its own")
def test_names_are_looked_up_anew(monkeypatch, daemon, tmp_path):
    hosts = tmp_path / "hosts"
    wrapper = tmp_path / "sealpost"
    wrapper.write_text("#!/bin/sh\n"
                       f"exec unshare -m sh -c 'mount --bind {hosts} /etc/hosts && exec \"$@\"' "
                       f"sh {harness.daemon.program()} \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(harness.daemon, "program", lambda: str(wrapper))
    hosts.write_text("127.0.0.1 server.test\n")
    with Backend() as old:
        port = int(old.address.split(":")[1])
        with Backend(address=("127.0.0.2", port)) as new:
            d = daemon(f"server.test:{port}")
            first_words(d)
            until(lambda: old.wires, "the one it was")
            hosts.write_text("127.0.0.2 server.test\n")
            reload(d)
            first_words(d)
            until(lambda: new.wires, "the one it is")


# -- what is refused

FAULTS = [
    ("[limits]\n", "[limits]\nnonsense = 1\n", "nonsense", "unknown key nonsense"),
    ("hostname = proxy.example", "hostname = -", "hostname", "hostname"),
    ("[inbound]\n", "[inbound\n", "[inbound", ""),
    ("workers = 1", "workers = 2", "workers", "workers: only a restart changes it"),
    ("user = nobody", "user = daemon", "user", "user: only a restart changes it"),
    ("[inbound]\n", "[inbound other]\n", "[inbound other]", "[inbound other]: only a restart"),
    ("listen = 127.0.0.1:", "listen = 127.0.0.2:", "listen", "listen: only a restart changes it"),
]


def test_faults_are_named_and_keep_what_was(daemon, backend, pair):
    d = daemon(backend, pairs=[pair])
    good = d.config.read_text()
    for was, becomes, at, fault in FAULTS:
        assert was in good
        write(d, good.replace(was, becomes))
        refused(d, number(d, at), fault)
    write(d, good)
    reload(d)
    status = stands(d)
    assert status["fault"] == "" and status["generation"] == 2


def test_a_file_that_has_gone(daemon, backend, pair, tmp_path, certs):
    """... is named; what was read of it stays in force, for a new worker as well."""
    d = daemon(backend, pairs=[pair])
    first = shown(d, certs)
    os.rename(tmp_path / "a.key", tmp_path / "away")
    refused(d, number(d, "certificate"), f"{pair[1]}: cannot be read: No such file")
    kill(d)
    first_words(d)  # of another one, who found the client waiting
    assert shown(d, certs) == first
    os.rename(tmp_path / "away", tmp_path / "a.key")
    until(lambda: stands(d)["fault"] == "", "all is well")


# -- certificates

@pytest.mark.patient
def test_half_of_a_renewal(daemon, backend, pair, tmp_path, certs):
    """Neither half a file nor half a pair; what comes at last is in force by itself."""
    d = daemon(backend, pairs=[pair], server={"workers": "2"})
    first = shown(d, certs)
    certificate, key = certs.pair("proxy.example", days=60)
    text = pathlib.Path(certificate).read_bytes()
    (tmp_path / "a.pem").write_bytes(text[:300])
    d.logged(lambda r: f"{pair[0]}" in r["message"] and "was not taken up" not in r["message"])
    until(lambda: pair[0] in stands(d)["fault"], "it is named")
    assert shown(d, certs) == first
    with open(tmp_path / "a.pem", "ab") as f:
        f.write(text[300:])
    until(lambda: "does not belong" in stands(d)["fault"], "it is named")
    assert shown(d, certs) == first
    put(key, tmp_path / "a.key")
    until(lambda: shown(d, certs) != first, "the new one is shown")
    until(lambda: stands(d)["fault"] == "", "all is well")


def test_an_edit_is_not_taken_up_with_a_certificate(daemon, backend, pair, tmp_path, certs):
    """... before somebody says that it is to be; and if it had a fault that stays told."""
    d = daemon(backend, pairs=[pair])
    first = shown(d, certs)
    edit(d, message_size=2000)
    good = d.config.read_text()
    write(d, good.replace("[limits]\n", "[limits]\nnonsense = 1\n"))
    refused(d, number(d, "nonsense"), "unknown key nonsense")
    put_pair(tmp_path, certs.pair("proxy.example", days=60))
    until(lambda: shown(d, certs) != first, "the new one is shown")
    assert "SIZE 2000" not in first_words(d) and "nonsense" in stands(d)["fault"]
    write(d, good)
    reload(d)
    assert "SIZE 2000" in first_words(d) and stands(d)["fault"] == ""


# -- the policy process

@pytest.mark.namespaces
def test_another_policy_process(smarthost, internet):
    """Settings of [policy] are for another one; what the one before owes is answered by it."""
    internet.peer("peer.example")
    internet.policies.put("peer.example", "tls = encrypt")
    d = smarthost(server={"workers": "2"})
    assert send(d.address, "bob@peer.example").accepted
    first = d.policy_process
    with peer.Client(d.address) as c:
        c.reply(220)
        c.hello()
        c.command("MAIL FROM:<a@backend.example>", 250)
        os.kill(first, signal.SIGSTOP)
        c.send("RCPT TO:<bob@peer.example>\r\nRCPT TO:<bob@unknown.example>\r\n")
        d.settle()
        internet.peer("unknown.example")
        text = d.config.read_text().replace("[policy]\n", "[policy]\nmta-sts = no\n")
        write(d, text)
        reload(d)
        c.reply(250)
        assert b"451" not in c.reply()[0]
        c.data(MESSAGE)
        c.quit()
    until(lambda: state(first) == "X", "the one before has ended")
    assert d.policy_process not in (None, first)
    assert send(d.address, "bob@peer.example").accepted


@pytest.mark.namespaces
def test_policy_files_in_spite_of_a_fault(smarthost, internet):
    internet.peer("peer.example", certificate=None)
    d = smarthost()
    assert send(d.address, "bob@peer.example").accepted
    write(d, d.config.read_text().replace("[limits]\n", "[limits]\nnonsense = 1\n"))
    internet.policies.put("peer.example", "tls = encrypt")
    before = len(d.lines)
    d.process.send_signal(signal.SIGHUP)
    d.logged(lambda r: "was not taken up" in r["message"], before)
    d.logged(lambda r: "policy files read again" in r["message"], before)
    d.settle()
    assert not send(d.address, "bob@peer.example").accepted


@pytest.mark.namespaces
def test_a_policy_directory_appears(daemon, backend, internet):
    """What comes in was not asked about; with the directory there are demands."""
    d = daemon(backend)
    assert d.policy_process is None
    with peer.Client(d.address) as old:
        old.begin()
        section = policy_section(internet)
        write(d, d.config.read_text() + "[policy]\n"
              + "".join(f"{k} = {v}\n" for k, v in section.items()))
        internet.policies.put("peer.example", inbound="tls = encrypt")
        reload(d)
        until(lambda: d.policy_process, "there is a policy process")

        def reply():
            with peer.Client(d.address) as c:
                c.begin()
                return c.command("MAIL FROM:<a@peer.example>")[0]
        until(lambda: reply().startswith(b"5"), "it is asked")
        old.envelope("a@elsewhere.example")
        old.data(MESSAGE)
        old.quit()


# -- while it starts, and while it stops

def hears(pid):
    """Whether SIGHUP does not simply end it."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return any(int(n, 16) & 1 for n in re.findall(r"^Sig(?:Blk|Ign|Cgt):\t(.*)$", status, re.M))


@pytest.mark.parametrize("through", [(), ("nohup",)], ids=["heard", "ignored-at-first"])
def test_told_while_it_starts(daemon, backend, built, tmp_path, certs, through):
    """However early: it serves all the same, by what there is in the file then."""
    for _ in range(5):
        d = Sealpost(tmp_path, certs, [backend.address], server={"workers": "2"}, through=through)
        stop = threading.Event()

        def bother():
            until(lambda: d.process and hears(d.process.pid), "it is itself")
            while not stop.wait(random.uniform(0, 0.01)):
                d.process.send_signal(signal.SIGHUP)
        thread = threading.Thread(target=bother)
        thread.start()
        try:
            d.start()
        finally:
            stop.set()
            thread.join()
        assert "250" in first_words(d)
        reload(d)
        assert d.stop() == 0
        d.unblemished()


def test_told_while_it_stops(daemon, backend):
    d = daemon(backend, server={"workers": "2"})
    with peer.Client(d.address) as c, peer.Client(d.address) as idle:
        idle.reply(220)
        c.begin()
        c.envelope()
        d.process.send_signal(signal.SIGTERM)
        idle.reply(421)
        edit(d, hostname="renamed.example")
        for _ in range(10):
            d.process.send_signal(signal.SIGHUP)
        c.data(MESSAGE)
        c.reply(421)
    assert d.process.wait(WAIT) == 0


# -- a storm

class Sender(threading.Thread):
    """Sessions one after another until told; each must end well."""

    def __init__(self, d, number, context):
        super().__init__(daemon=True)
        self.d, self.number, self.context = d, number, context
        self.enough = threading.Event()
        self.sessions, self.faults = 0, []

    def run(self):
        while not self.enough.is_set() and not self.faults:
            try:
                self.session()
                self.sessions += 1
            except Exception as e:  # reported by the test
                self.faults.append(e)

    def session(self):
        with peer.Client(self.d.address) as c:
            c.reply(220)
            c.hello()
            if self.context:
                c.command("STARTTLS", 220)
                c.starttls(self.context, "proxy.example")
                c.hello()
            for _ in range(3):
                c.envelope(f"{self.number}.{self.sessions}@client.example")
                c.data(MESSAGE)
            c.quit()


def measure(d):
    return d.rss(), {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in d.pids}


@pytest.mark.heavy
def test_a_hundred_reloads_under_load(daemon, backend, pair, tmp_path, certs, tls):
    """Half of them faulty, as fast as they are told of: no session notices, nothing grows."""
    backend.keep = False
    d = daemon(backend, pairs=[pair], server={"workers": "2", "log-level": "info"},
               limits={"connections-per-address": 100, "handshakes-per-second": 100000})
    good = d.config.read_text()
    pairs = [certs.ecdsa, certs.pair("proxy.example", days=60)]
    senders = [Sender(d, n, tls if n % 2 else None) for n in range(4)]
    for s in senders:
        s.start()
    pids = d.pids

    def storm(first, count):
        for n in range(first, first + count):
            if n % 2:
                put_pair(tmp_path, pairs[n // 2 % 2])
                edit(d, hostname=f"h{n}.example", message_size=n * 1000)
                reload(d)
            else:
                was, becomes, *_ = FAULTS[n // 2 % 3]
                write(d, good.replace(was, becomes))
                reload(d, fine=False)
                write(d, good)

    storm(0, 20)
    size, descriptors = measure(d)
    storm(20, 80)
    until(lambda: all(s.sessions > 5 or s.faults for s in senders), "all have sent")
    for s in senders:
        s.enough.set()
    for s in senders:
        s.join(WAIT)
        assert not s.is_alive() and not s.faults, s.faults
    until(lambda: stands(d)["connections"] == 0, "all sessions have ended")
    assert d.pids == pids
    assert len(backend.store.messages) == 3 * sum(s.sessions for s in senders)
    then, after = measure(d)
    if not sanitized():  # which keeps what was freed
        assert then < size + (4 << 20), (size, then)
    assert all(after[pid] <= descriptors[pid] + 1 for pid in pids), (descriptors, after)
    assert stands(d)["generation"] == 51


def test_a_burst_of_signals(daemon, backend):
    """More at once than anybody needs: those who are slow to hear of it are not ended."""
    d = daemon(backend, server={"workers": "2"})
    pids = d.pids
    with peer.Client(d.address) as c:
        c.begin()
        os.kill(d.workers[0], signal.SIGSTOP)
        try:
            deadline = Deadline(2)
            while not deadline.over():
                d.process.send_signal(signal.SIGHUP)
                time.sleep(0.001)
        finally:
            os.kill(d.workers[0], signal.SIGCONT)
        c.command("NOOP", 250)
        c.quit()
    in_force(d, "250")
    assert d.pids == pids, d.lines[-10:]


# -- fifty lives

def test_a_worker_after_a_reload(daemon, backend):
    """It is told the same as those before it, of what is in force now."""
    d = daemon(backend)
    edit(d, message_size=2000)
    reload(d)
    kill(d)
    in_force(d, "SIZE 2000")


def test_nothing_leaks_over_many_workers(daemon, backend):
    """The supervisor's descriptors after fifty lives, each with all there is to be told."""
    d = daemon(backend, server={"workers": "25"})

    def open_here():
        return sorted(os.readlink(f"/proc/{d.process.pid}/fd/{n}").split(":")[0]
                      for n in os.listdir(f"/proc/{d.process.pid}/fd"))
    first = open_here()
    old = d.workers
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    until(lambda: len(d.workers) == 25 and not set(d.workers) & set(old), "they are replaced")
    for _ in range(20):
        reload(d)
    until(lambda: open_here() == first, "as many descriptors as before")
