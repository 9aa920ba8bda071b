# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""The figures as Markdown tables: medians, ratios within a round, and the aims."""

import ctypes
import os
import ssl
from statistics import median

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def minus(a, b, divisor):
    return None if a is None or b is None else (a - b) / divisor


class Report:
    def __init__(self, names, rounds, idle, versions, more, large):
        self.names, self.rounds, self.idle = names, rounds, idle
        self.versions, self.more, self.large = versions, more, large
        # title, digits, figure of one program in one round
        self.rows = {
            "full": ("CPU a session, full handshake, ECDSA, µs", 0, self.cpu("full")),
            "resumed": ("CPU a session, resumed, µs", 0, self.cpu("resumed")),
            "rsa": ("CPU a session, full handshake, RSA-2048, µs", 0, self.cpu("rsa")),
            "more": ("CPU a further message in the session, µs", 1, self.further),
            "large": ("CPU a megabyte, µs", 0, self.megabyte),
            "p50": ("latency a session, one client, p50, ms", 2, self.latency("p50")),
            "p99": ("latency a session, one client, p99, ms", 2, self.latency("p99")),
            "idle": ("PSS an idle TLS session, KiB", 1, self.held),
        }

    # ---- one figure ----

    @staticmethod
    def value(name, results, scenario, key):
        result = results.get((name, scenario))
        return result[key] if result else None

    def cpu(self, scenario):
        return lambda name, results: self.value(name, results, scenario, "cpu")

    def latency(self, key):
        def milliseconds(name, results):
            value = self.value(name, results, "latency", key)
            return None if value is None else value / 1000
        return milliseconds

    def further(self, name, results):
        return minus(self.cpu("more")(name, results),
                     self.cpu("resumed")(name, results), self.more)

    def megabyte(self, name, results):
        return minus(self.cpu("large")(name, results),
                     self.cpu("resumed")(name, results), self.large / 1e6)

    def held(self, name, _):
        return self.idle.get(name)

    def median(self, row, name):
        values = [self.rows[row][2](name, results) for results in self.rounds or [{}]]
        values = [value for value in values if value is not None]
        return median(values) if values else None

    def ratio(self, row, name, other):
        """(median, least, most) over the rounds that have both."""
        figure = self.rows[row][2]
        pairs = [(figure(name, results), figure(other, results))
                 for results in self.rounds]
        ratios = [a / b for a, b in pairs if a is not None and b]
        return (median(ratios), min(ratios), max(ratios)) if ratios else None

    # ---- the tables ----

    def figures(self):
        yield "| | " + " | ".join(self.names) + " |"
        yield "|---" + "|---:" * len(self.names) + "|"
        for row, (title, digits, _) in self.rows.items():
            cells = [self.median(row, name) for name in self.names]
            if any(cell is not None for cell in cells):
                texts = ["–" if cell is None else f"{cell:.{digits}f}" for cell in cells]
                yield f"| {title} | " + " | ".join(texts) + " |"

    def ratio_aim(self, text, row, other, most):
        ratio = self.ratio(row, "sealpost", other)
        if ratio is None:
            return f"| {text} | ≤ {most} | – | – |"
        middle, low, high = ratio
        met = "yes" if middle <= most else "no"
        return f"| {text} | ≤ {most} | {middle:.2f} ({low:.2f}–{high:.2f}) | {met} |"

    def plain_aim(self, text, row, limit, unit, met):
        value = self.median(row, "sealpost")
        if value is None:
            return f"| {text} | {limit} {unit} | – | – |"
        verdict = "yes" if met(value) else "no"
        return f"| {text} | {limit} {unit} | {value:.2f} {unit} | {verdict} |"

    def aims(self):
        yield "| aim | | median (least–most) | met |"
        yield "|---|---:|---:|---|"
        for row, what in (("full", "full handshake"), ("resumed", "resumed")):
            for other, most in (("pump", 1.15), ("nginx", 0.6), ("stunnel", 0.4)):
                yield self.ratio_aim(f"a session, {what}, to {other}", row, other, most)
        yield self.ratio_aim("a further message, to pump", "more", "pump", 1.2)
        yield self.ratio_aim("a megabyte, to pump", "large", "pump", 1.1)
        yield self.plain_aim("latency p50", "p50", "< 3", "ms", lambda ms: ms < 3)
        yield self.plain_aim("PSS an idle session", "idle", "≤ 12", "KiB",
                             lambda kib: kib <= 12)

    def machine(self):
        with open("/proc/cpuinfo") as file:
            model = next((line.partition(":")[2].strip() for line in file
                          if line.startswith("model name")), "unknown processor")
        gnutls = ctypes.CDLL("libgnutls.so.30").gnutls_check_version
        gnutls.restype = ctypes.c_char_p
        versions = [f"GnuTLS {gnutls(None).decode()}",
                    " ".join(ssl.OPENSSL_VERSION.split()[:2]), *filter(None, self.versions)]
        kernel = os.uname().release.split("-")[0]
        yield f"{os.cpu_count()} cores, {model}, Linux {kernel}."
        yield ", ".join(versions) + "."
        yield f"{len(self.rounds)} interleaved rounds, medians; ratios within one round."

    def markdown(self):
        return "\n".join([*self.machine(), "", *self.figures(), "", *self.aims(), ""])

    def write(self, path):
        """Rewrites what stands between the markers."""
        with open(path) as file:
            head, begin, rest = file.read().partition(BEGIN)
        _, end, tail = rest.partition(END)
        if not begin or not end:
            raise SystemExit(f"bench: {path}: no markers")
        with open(path, "w") as file:
            file.write(f"{head}{BEGIN}\n\n{self.markdown()}\n{END}{tail}")
