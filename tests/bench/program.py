# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""What all programs under comparison have in common: files, a start and an end."""

import os
import shutil
import socket
import subprocess
import time

START_TIMEOUT = 30


class Missing(Exception):
    """This program cannot take part, and why."""


class Settings:
    """The scratch folder, and who is under test."""

    def __init__(self, scratch, programs, sealpost):
        self.scratch, self.programs, self.sealpost = scratch, programs, sealpost

    def write(self, name, text):
        path = f"{self.scratch}/{name}"
        with open(path, "w") as file:
            file.write(text)
        return path

    def read(self, name):
        with open(f"{self.scratch}/{name}") as file:
            return file.read()


class Program:
    idle_limit = 1_000_000

    def __init__(self, name, group, command, version, environment=None, log=None):
        self.name, self.group, self.version = name, group, version
        self.ways = {}  # by name: what the load generator is told, to go one way through it
        self.log = log or os.devnull
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(
                command, preexec_fn=group.enter, env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=output, text=True)
        group.root = self.process.pid

    def says_port(self):
        """As our own tools do, first of all."""
        return int(self.process.stdout.readline().split()[1])

    def listens(self, port):
        """Waits until the port gives a greeting."""
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as near:
                    if near.recv(3) == b"220":
                        return self
            except OSError:
                time.sleep(0.05)
        self.stop()
        with open(self.log) as file:
            raise Missing(" ".join(["it did not start:", *file.readlines()[-1:]]).strip())

    def stop(self):
        self.process.stdin.close()
        self.group.kill()
        self.process.wait()
        self.process.stdout.close()
        self.group.close()


def words(*command):
    """What a program says of itself, on whichever stream."""
    done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.stdout.splitlines()


def need(program):
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise Missing(f"{program} is not installed")
    return path


def need_sealpost(settings):
    if not os.access(settings.sealpost, os.X_OK):
        raise Missing(f"{settings.sealpost} is not there (say where by SEALPOST)")
    return settings.sealpost


def stunnel_version(stunnel):
    return next(line.split()[1] for line in words(stunnel, "-version")
                if line.startswith("stunnel "))


SEALPOST = """\
[server]
hostname = {host}
user = nobody
log = stderr
workers = 1
control = {scratch}/control

[limits]
connections = 10000
connections-per-address = 10000
handshakes = 5000
handshakes-per-second = 100000

"""


def serve_sealpost(settings, group, name, host, sections):
    """Sealpost with one worker, that no limit stops, and these sections."""
    sealpost = need_sealpost(settings)
    head = SEALPOST.format(host=host, scratch=settings.scratch)
    path = settings.write(f"{name}.conf", head + sections)
    return Program("sealpost", group, [sealpost, "serve", "-c", path],
                   words(sealpost, "--version")[0], log=f"{settings.scratch}/{name}.log")
