# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Fixtures of the end-to-end tests. They run in a network namespace of their own where they can."""

import contextlib
import os
import pathlib
import pwd
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness import net, sts  # noqa: E402
from harness.backend import Backend  # noqa: E402
from harness.certs import Certificates, Zoo  # noqa: E402
from harness.daemon import Sealpost, program  # noqa: E402
from harness.internet import Internet, policy_section  # noqa: E402
from harness.peer import client_context  # noqa: E402

_not_isolated = None


def pytest_configure(config):
    global _not_isolated
    config.addinivalue_line("markers", "real: needs real mail servers or clients")
    config.addinivalue_line("markers", "world: the tests' own world, without the daemon")
    config.addinivalue_line("markers", "namespaces: needs to make network namespaces")
    config.addinivalue_line("markers", "patient: waits long for a clock: once is enough")
    config.addinivalue_line("markers", "heavy: moves much, takes seconds")
    config.addinivalue_line("filterwarnings", "ignore:SHA1 signatures")
    config.addinivalue_line("filterwarnings", "ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
    _not_isolated = net.isolate()


def pytest_report_header(config):
    return [f"sealpost: {program() or 'not built'}",
            "network: " + ("a namespace of our own" if _not_isolated is None
                           else f"the machine's loopback ({_not_isolated})")]


def pytest_runtest_setup(item):
    if item.get_closest_marker("namespaces") and _not_isolated is not None:
        pytest.skip(f"no network namespace: {_not_isolated}")


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    for reason in sorted({str(r.longrepr[2]) for r in skipped}):
        terminalreporter.write_line(f"NOT TESTED: {reason}", yellow=True, bold=True)


@contextlib.contextmanager
def open_temporary():
    """A folder that whoever is not root may enter, too; pytest's own are for root alone."""
    with tempfile.TemporaryDirectory(prefix="sealpost-test-") as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


@pytest.fixture
def open_folder():
    with open_temporary() as folder:
        yield folder


@pytest.fixture
def tmp_path(open_folder):
    """Where a daemon that is no longer root can read its files again, and make its socket."""
    if os.geteuid() == 0:
        os.chown(open_folder, pwd.getpwnam("nobody").pw_uid, -1)
    return open_folder


@pytest.fixture(scope="session")
def certs():
    with open_temporary() as folder:
        yield Certificates(folder)


@pytest.fixture(scope="session")
def tls(certs):
    """A client's TLS that verifies our certificate."""
    return client_context(certs.ca)


@pytest.fixture(scope="session")
def built():
    """The daemon's path. Where nobody promised one its tests are skipped."""
    if program() is None:
        reason = "sealpost is not built (set SEALPOST to its path)"
        pytest.fail(reason) if os.environ.get("SEALPOST") else pytest.skip(reason)
    return program()


@pytest.fixture
def daemon(built, tmp_path, certs):
    """Starts daemons: daemon(backends, inbound={...}, limits={...}); all end with the test."""
    started = []

    def start(backends, **options):
        if isinstance(backends, (str, Backend)):
            backends = [backends]
        backends = [b.address if isinstance(b, Backend) else b for b in backends]
        d = Sealpost(tmp_path, certs, backends, **options).start()
        started.append(d)
        return d

    yield start
    for d in started:
        d.stop()
        d.unblemished()


@pytest.fixture(scope="session")
def zoo():
    with open_temporary() as folder:
        yield Zoo(folder)


@pytest.fixture
def internet(zoo):
    """Name server and mail servers, at port 25 of addresses that only a namespace has."""
    with Internet(zoo) as i:
        yield i
        i.no_errors()


@pytest.fixture
def policy_hosts(internet, zoo):
    """Hosts of MTA-STS policies, and the domains that announce them, in the test's Internet."""
    why = sts.prepare()
    if why:
        pytest.skip(why)
    with sts.PolicyWorld(internet.dns, zoo) as hosts:
        yield hosts


@pytest.fixture
def cache(internet):
    """A folder for MTA-STS policies, which the daemon's user owns."""
    folder = internet.folder / "cache"
    folder.mkdir(mode=0o700)
    shutil.chown(folder, "nobody")
    return folder


@pytest.fixture
def smarthost(daemon, internet):
    """Starts a daemon that sends to the test's Internet: smarthost(outbound={...}, …)."""
    def start(outbound=None, policy=None, limits=None, **options):
        keys = {"route": "smarthost", **(outbound or {})}
        return daemon([], outbound=keys, policy={**policy_section(internet), **(policy or {})},
                      limits={"connect-timeout": "10s", "tls-timeout": "10s",
                              "greeting-timeout": "10s", "policy-timeout": "10s",
                              "connections-per-address": 1000, **(limits or {})}, **options)
    return start


@pytest.fixture
def backend():
    """A scripted server that stores messages exactly."""
    with Backend() as b:
        yield b
    assert not b.errors, b.errors


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The real mail servers; built once, started when first asked for."""
    from harness.real import World
    w = World(tmp_path_factory.mktemp("world"))
    why = w.build()
    if why:
        pytest.skip(f"no real mail servers: {why}")
    yield w
    w.stop()
