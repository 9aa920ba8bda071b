# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""The processes of one program, what CPU time they used and what memory they hold."""

import os
import signal
import time

CPUACCT = "/sys/fs/cgroup/cpuacct"
UNIFIED = "/sys/fs/cgroup"
TICK = os.sysconf("SC_CLK_TCK")
SETTLED = 0.0002  # seconds of CPU in QUIET: all is done
QUIET = 0.03
# The program under test has the first, all else the others: to wake somebody on another core
# costs so much more that else the figures would tell where the scheduler had put whom.
CORES = sorted(os.sched_getaffinity(0))


class Group:
    """Common to all ways of accounting: they say members(), and usage() in seconds."""

    def enter(self):
        """Runs in the child before exec."""
        os.sched_setaffinity(0, CORES[:1])

    def settle(self):
        """Waits until the program has come to rest after its last session."""
        last, end = self.usage(), time.monotonic() + 2
        while time.monotonic() < end:
            time.sleep(QUIET)
            now = self.usage()
            if now - last < SETTLED:
                return
            last = now

    def pss(self):
        """KiB, shared pages divided among those who share them."""
        total = 0
        for pid in self.members():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    total += sum(int(line.split()[1]) for line in file
                                 if line.startswith("Pss:"))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    def kill(self):
        """Ends what is left of the program: first kindly."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.members():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            end = time.monotonic() + 3
            while self.members() and time.monotonic() < end:
                time.sleep(0.02)

    def close(self):
        """Gives back what the accounting took."""


class Cgroup(Group):
    def __init__(self, path):
        self.path = path
        os.mkdir(path)

    def enter(self):
        super().enter()
        with open(f"{self.path}/cgroup.procs", "w") as file:
            file.write("0")

    def members(self):
        with open(f"{self.path}/cgroup.procs") as file:
            return [int(line) for line in file]

    def usage(self):
        if os.path.exists(f"{self.path}/cpuacct.usage"):
            with open(f"{self.path}/cpuacct.usage") as file:
                return int(file.read()) / 1e9
        with open(f"{self.path}/cpu.stat") as file:
            return int(dict(line.split() for line in file)["usage_usec"]) / 1e6

    def close(self):
        for _ in range(100):
            try:
                os.rmdir(self.path)
                return
            except OSError:  # the last process is not quite gone
                time.sleep(0.02)


class Tree(Group):
    """Without cgroups: the process tree by /proc, to the precision of a clock tick."""

    def __init__(self):
        self.root = None

    def enter(self):
        super().enter()
        os.setsid()

    @staticmethod
    def stat(pid):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()

    def stats(self):
        """{pid: fields of /proc/PID/stat from the state on}: the root and all below."""
        everyone = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    everyone[int(name)] = self.stat(name)
                except (FileNotFoundError, ProcessLookupError):
                    continue
        found, grown = {self.root} & everyone.keys(), True
        while grown:
            below = {pid for pid, stat in everyone.items() if int(stat[1]) in found}
            grown = not below <= found
            found |= below
        return {pid: everyone[pid] for pid in found}

    def members(self):
        return [pid for pid, stat in self.stats().items() if stat[0] != "Z"]

    def usage(self):
        return sum(sum(map(int, stat[11:15])) for stat in self.stats().values()) / TICK


def make_group(name):
    """The most exact accounting that this machine gives us."""
    label = f"sealpost-bench-{os.getpid()}-{name}"
    for parent in (CPUACCT, UNIFIED):
        if os.path.exists(f"{parent}/cgroup.procs"):
            try:
                return Cgroup(f"{parent}/{label}")
            except OSError:
                continue
    return Tree()
