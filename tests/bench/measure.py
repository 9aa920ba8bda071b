# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""Driving programs by load, and reading what it cost them."""

import dataclasses
import os
import subprocess
import sys
import threading
import time

LOAD_TIMEOUT = 90
ARRIVAL = 30  # seconds after which a message is missing: Postfix queues them first
SECONDS = 1  # after which a run begins no more sessions: enough of the slow ones


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def step_aside():
    """Never preempt the program under test at a wake-up: cores are few."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def spawn(*command):
    """One of our own tools."""
    return subprocess.Popen([str(word) for word in command], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, preexec_fn=step_aside)


@dataclasses.dataclass
class Scenario:
    arguments: list  # of the load generator
    clients: int
    sessions: int
    messages: int = 1  # a session
    way: str = "port"  # which of a program's ways through it
    resumes: bool = False  # the load generator does
    far_resumes: bool = None  # the program does, where it is the client


class Sink:
    """Where messages end, and its word for what arrived."""

    def __init__(self, programs, *arguments):
        self.process = spawn(f"{programs}/sink", *arguments)
        self.port = int(self.process.stdout.readline().split()[1])

    def counts(self):
        self.process.stdin.write("count\n")
        self.process.stdin.flush()
        words = self.process.stdout.readline().split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Sinks:
    """What all of them have counted."""

    def __init__(self, *sinks):
        self.sinks = sinks

    def counts(self):
        each = [sink.counts() for sink in self.sinks]
        return {key: sum(counts[key] for counts in each) for key in each[0]}

    def await_messages(self, count):
        end = time.monotonic() + ARRIVAL
        while self.counts()["messages"] < count and time.monotonic() < end:
            time.sleep(0.01)

    def stop(self):
        for sink in self.sinks:
            sink.stop()


class Meter:
    """One load generator at a time, through one program, to sinks that count."""

    def __init__(self, programs, sinks):
        self.programs, self.sinks = programs, sinks

    def load(self, program, arguments, expected):
        """
        One run: CPU a session in µs, what the sinks saw, and the generator's own words.
        `expected` is (messages of the warming up, messages of a session).
        """
        warming, each = expected
        first = self.sinks.counts()["messages"] + warming
        load = spawn(f"{self.programs}/load", *arguments)
        watchdog = threading.Timer(LOAD_TIMEOUT, load.kill)
        watchdog.start()
        try:
            if load.stdout.readline() != "ready\n":
                return None
            self.sinks.await_messages(first)
            program.group.settle()
            before, start = self.sinks.counts(), program.group.usage()
            load.stdin.write("go\n")
            load.stdin.flush()
            words = load.stdout.readline().split()
            if not words:
                return None
            result = dict(zip(words[::2], map(float, words[1::2])))
            self.sinks.await_messages(before["messages"] + result["sessions"] * each)
            program.group.settle()
            used = program.group.usage() - start
        finally:
            watchdog.cancel()
            load.stdin.close()
            load.wait()
        after = self.sinks.counts()
        result["cpu"] = used * 1e6 / result["sessions"]
        result["arrived"] = {key: after[key] - before[key] for key in after}
        return result

    def measure(self, program, name, scenario, quick=False):
        """The result of one scenario, or None where there is none worth having."""
        way = program.ways.get(scenario.way)
        if way is None:
            return None
        sessions = max(scenario.sessions // 4, scenario.clients) if quick else scenario.sessions
        arguments = [*scenario.arguments, "-n", scenario.clients, "-s", sessions,
                     "-t", SECONDS, *(way() if callable(way) else way)]
        result = self.load(program, arguments,
                           (scenario.clients * scenario.messages, scenario.messages))
        if result is None:
            say(f"{program.name}: no figure for {name}")
            return None
        if result["arrived"]["messages"] < result["sessions"] * scenario.messages:
            say(f"{program.name}: {name}: not every message arrived")
            return None
        self.tell_of_resumption(program, name, scenario, result)
        return result

    @staticmethod
    def tell_of_resumption(program, name, scenario, result):
        sessions, far = result["sessions"], result["arrived"]["resumed"]
        if scenario.resumes and result["resumed"] < sessions:
            say(f"{program.name}: {name}: {result['resumed']:.0f} of "
                f"{sessions:.0f} sessions were resumed")
        if scenario.far_resumes and far < sessions:
            say(f"{program.name}: {name}: {far} of {sessions:.0f} sessions were resumed")

    def held(self, program, count):
        """KiB of PSS for each of so many sessions that wait, in a fresh process."""
        count = min(count, program.idle_limit)
        self.load(program, ["-s", 1, *program.ways["port"]], (1, 1))
        before = program.group.pss()
        load = spawn(f"{self.programs}/load", "-H", "-n", count, *program.ways["port"])
        held = load.stdout.readline()
        after = program.group.pss()
        load.stdin.close()
        load.wait()
        if held != f"held {count}\n":
            say(f"{program.name}: could not hold {count} sessions")
            return None
        return (after - before) / count
