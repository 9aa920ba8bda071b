# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""`sealpost demo`: it shows a message each way, takes more, and leaves only messages behind."""

import contextlib
import os
import pathlib
import queue
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import threading

import pytest

from harness import peer
from harness.daemon import parse, program
from harness.net import WAIT, Deadline, free_port, until

NOBODY = 65534
PROCESSES = 6  # the first one, the daemon, its worker, the policy process, two servers
MESSAGE = b"Subject: second\r\n\r\n.dots\r\n..and more\r\n"


class Demo:
    """One demo; `lines` holds what it has said."""

    def __init__(self, folder, listen, command=()):
        self.lines = []
        self._new = queue.Queue()
        self.process = subprocess.Popen(
            [*(command or [program()]), "demo", "--listen", listen], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, "TMPDIR": str(folder)})
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put(None)

    def line(self, mark):
        """Waits for a line that holds this mark."""
        deadline = Deadline()
        while True:
            try:
                line = self._new.get(timeout=deadline.left())
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"no {mark!r} in:\n" + "\n".join(self.lines))
            self.lines.append(line)
            if mark in line:
                return line

    def _said(self, mark, before):
        return int(next(text for text in self.lines if mark in text).split(before)[1].split()[0])

    @property
    def port(self):
        """Where mail comes in."""
        return self._said("s_client", "127.0.0.1:")

    @property
    def outbound(self):
        return self._said("nc -C", "127.0.0.1 ")

    @property
    def pids(self):
        found = [self.process.pid]
        for pid in found:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # has just ended
                children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
                found += [int(child) for child in children.split()]
        return found

    def end(self, how, processes=PROCESSES):
        """Ends it and returns its status, once none of its processes is left."""
        until(lambda: len(self.pids) == processes, "all other sessions have ended")
        pids = self.pids
        self.process.send_signal(how)
        status = self.process.wait(Deadline().left())
        try:
            until(lambda: not any(alive(pid) for pid in pids), "all its processes end")
        except AssertionError:
            kill(pids)
            raise
        return status

    def close(self):
        if self.process.poll() is None:
            kill(self.pids)
        self.process.wait()
        self._reader.join(Deadline().left())
        self.process.stdout.close()


def alive(pid):
    """Whether it runs; one that nobody has waited for yet does not."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in "ZX"


def kill(pids):
    for pid in filter(alive, pids):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def demo(tmp_path):
    if program() is None:
        pytest.skip("sealpost is not built (set SEALPOST to its path)")
    started = []

    def start(listen=None, folder=tmp_path, command=()):
        if listen is None:
            listen = f"127.0.0.1:{free_port()}"
            free_port()  # the next one is the demo's as well
        d = Demo(folder, listen, command)
        started.append(d)
        d.line("s_client -starttls")
        return d

    yield start
    for d in started:
        d.close()


def folder_of(tmp_path):
    (folder,) = tmp_path.glob("sealpost-demo.*")
    return folder


def files(tmp_path):
    folder = folder_of(tmp_path)
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*")
                  if file.is_file())


def records(d):
    return [parse(line) for line in d.lines if " end=" in line]


def test_it_shows_a_message_that_comes_in(demo, tmp_path):
    d = demo()
    shown = "\n".join(d.lines)
    assert "    clear   > STARTTLS\n" in shown
    assert "    TLS1.3  > MAIL FROM:<sender@client.example>\n" in shown
    assert "    clear   > MAIL FROM:<sender@client.example>\n" in shown
    assert "    clear   > Received: from client.example ([127.0.0.1])\n" in shown
    assert "    clear   > This message came to Sealpost over TLS" in shown
    record = records(d)[0]
    assert record["service"] == "inbound" and record["near"].startswith("TLS1.3/")
    assert record["far"] == "clear"
    assert record["transactions"] == "1" and record["end"] == "quit"
    stored = (folder_of(tmp_path) / "backend/1.eml").read_bytes()
    assert stored.startswith(b"Received: from client.example ([127.0.0.1])\r\n")
    assert stored.endswith(b"\r\n\r\n"
                           b"This message came to Sealpost over TLS, and went on in clear.\r\n")


def test_it_shows_a_message_that_goes_out(demo, tmp_path):
    d = demo()
    shown = "\n".join(d.lines)
    assert "    clear   > MAIL FROM:<postmaster@exchange.example>\n" in shown
    assert "    TLS1.3  > MAIL FROM:<postmaster@exchange.example>\n" in shown
    assert "    TLS1.3  > This message came to Sealpost in clear" in shown
    assert "    clear   > This message came to Sealpost in clear" not in shown
    record = records(d)[1]
    assert record["service"] == "outbound" and record["near"] == "clear"
    assert record["far"].startswith("TLS1.3/")
    assert record["transactions"] == "1" and record["end"] == "quit"
    stored = (folder_of(tmp_path) / "internet/1.eml").read_bytes()
    assert stored.startswith(b"From: <postmaster@exchange.example>\r\n")
    assert stored.endswith(b"\r\n\r\n"
                           b"This message came to Sealpost in clear, and went on over TLS.\r\n")


def test_it_warns_of_nothing_that_is_the_demo_s_own(demo):
    assert [line for line in demo().lines
            if " warning " in line and "open files are allowed" not in line] == []


def test_no_key_lies_about_while_it_serves(demo, tmp_path):
    demo()
    assert files(tmp_path) == ["backend/1.eml", "internet/1.eml"]
    assert folder_of(tmp_path).stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_takes_more_and_ends_when_told(demo, tmp_path, how):
    d = demo()
    with smtplib.SMTP("127.0.0.1", d.port, "smtplib.example", timeout=WAIT) as c:
        c.starttls(context=peer.client_context())
        assert c.sendmail("a@client.example", ["b@exchange.example"], MESSAGE) == {}
    told = d.line("received ")
    stored = (folder_of(tmp_path) / "backend/2.eml").read_bytes()
    assert stored.startswith(b"Received: from smtplib.example") and stored.endswith(MESSAGE)
    assert told == (f"received backend/2.eml: {len(stored)} octets, "
                    "from <a@client.example> to <b@exchange.example>")
    d.line(" end=quit")
    assert d.end(how) == 0
    d.line(f"The messages are kept in {folder_of(tmp_path)}")
    assert files(tmp_path) == ["backend/1.eml", "backend/2.eml", "internet/1.eml"]


def test_it_takes_more_that_goes_out(demo, tmp_path):
    d = demo()
    with smtplib.SMTP("127.0.0.1", d.outbound, "smtplib.example", timeout=WAIT) as c:
        for _ in range(2):
            assert c.sendmail("a@exchange.example", ["b@client.example"], MESSAGE) == {}
    d.line("received internet/2.eml: ")
    assert d.line("received internet/3.eml: ") == (
        f"received internet/3.eml: {len(MESSAGE)} octets, "
        "from <a@exchange.example> to <b@client.example>, by TLS")
    assert (folder_of(tmp_path) / "internet/3.eml").read_bytes() == MESSAGE
    assert parse(d.line(" end=quit"))["transactions"] == "2"
    assert d.end(signal.SIGINT) == 0


def test_pipelining(demo, tmp_path):
    d = demo()
    with peer.Client(("127.0.0.1", d.port)) as c:
        c.begin(peer.client_context())
        c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
        for code in (250, 250, 354):
            c.reply(code)
        c.send(peer.stuff(MESSAGE))
        c.reply(250)
        c.quit()
    assert (folder_of(tmp_path) / "backend/2.eml").read_bytes().endswith(MESSAGE)
    assert d.end(signal.SIGINT) == 0


def test_bdat(demo, tmp_path):
    d = demo()
    message = b"Subject: x\r\n\r\n" + bytes(range(256)) * 300
    with peer.Client(("127.0.0.1", d.port)) as c:
        c.begin(peer.client_context())
        c.envelope()
        c.bdat(message, 20000)
        c.quit()
    d.line("received backend/2.eml: ")
    assert (folder_of(tmp_path) / "backend/2.eml").read_bytes().endswith(message)
    assert d.end(signal.SIGINT) == 0


def test_what_did_not_come_whole_is_not_kept(demo, tmp_path):
    d = demo()
    with peer.Client(("127.0.0.1", d.port)) as c:
        c.begin()
        c.envelope()
        c.command("DATA", 354)
        c.send(b"Subject: half\r\n")
        until(lambda: files(tmp_path) == ["backend/1.eml", "backend/2.eml", "internet/1.eml"],
              "the backend has begun")
    d.line("end=")
    until(lambda: files(tmp_path) == ["backend/1.eml", "internet/1.eml"], "the half is gone")
    assert d.end(signal.SIGINT) == 0


def test_two_at_a_time(demo):
    d = demo()
    with peer.Client(("127.0.0.1", d.port)) as one, peer.Client(("127.0.0.1", d.port)) as two:
        one.begin()
        two.begin()
        two.quit()
        one.quit()
    assert d.end(signal.SIGINT) == 0


def test_nothing_outlives_it(demo):
    assert demo().end(signal.SIGKILL) == -signal.SIGKILL


def test_no_session_outlives_it(demo):
    d = demo()
    with peer.Client(("127.0.0.1", d.port)) as c:
        c.begin()
        assert d.end(signal.SIGKILL, PROCESSES + 1) == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_anybody_can_run_it(demo):
    with tempfile.TemporaryDirectory(prefix="sealpost-demo-of-nobody-") as name:
        folder = pathlib.Path(name)
        binary = shutil.copy(program(), folder / "sealpost")  # where nobody may read it
        os.chown(folder, NOBODY, NOBODY)
        d = demo(folder=folder, command=["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                                         "--clear-groups", "--", binary])
        assert files(folder) == ["backend/1.eml", "internet/1.eml"]
        assert d.end(signal.SIGINT) == 0


def test_the_kernel_may_choose_the_port(demo):
    d = demo("127.0.0.1:0")
    for port in (d.port, d.outbound):
        with peer.Client(("127.0.0.1", port)) as c:
            c.begin()
            c.quit()


def run(*arguments, **environment):
    if program() is None:
        pytest.skip("sealpost is not built (set SEALPOST to its path)")
    return subprocess.run([program(), "demo", *arguments], capture_output=True, text=True,
                          timeout=WAIT, stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def test_an_address_that_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        done = run("--listen", address, TMPDIR=str(tmp_path))
    assert done.returncode == 3 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert address in done.stderr and "--listen" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_is_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--listen", f"127.0.0.1:{port - 1}", TMPDIR=str(tmp_path))
    assert done.returncode == 3 and f"127.0.0.1:{port}: " in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_address():
    done = run("--listen", "nowhere")
    assert done.returncode == 2 and "nowhere" in done.stderr


def test_nowhere_to_write(tmp_path):
    done = run("--listen", "127.0.0.1:0", TMPDIR=str(tmp_path / "missing"))
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 1
