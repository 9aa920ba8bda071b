# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""The figures as Markdown tables: medians, ratios within a round, and the aims."""

import ctypes
import dataclasses
import os
import ssl
from statistics import median
from typing import Callable


@dataclasses.dataclass
class Row:
    title: str
    digits: int
    figure: Callable  # of (program, results of one round), or None


# ---- figures ----

def value(scenario, key, divisor=1):
    """What one scenario gave."""
    def figure(name, results):
        result = results.get((name, scenario))
        return result[key] / divisor if result else None
    return figure


def cpu(scenario):
    return value(scenario, "cpu")


def minus(figure, other, divisor=1):
    """The slope between two figures."""
    def difference(name, results):
        a, b = figure(name, results), other(name, results)
        return None if a is None or b is None else (a - b) / divisor
    return difference


# ---- aims ----

class Aim:
    """`most` or `least` is the limit; spans() gives (median, least, most) or None."""

    def __init__(self, text, most=None, least=None, unit=""):
        self.text, self.most, self.least, self.unit = text, most, least, unit

    def line(self, report):
        limit = f"≤ {self.most}" if self.least is None else f"≥ {self.least}"
        span = self.span(report)
        if span is None:
            return f"| {self.text} | {limit}{self.unit} | – | – |"
        middle, low, high = span
        met = middle <= self.most if self.least is None else middle >= self.least
        return (f"| {self.text} | {limit}{self.unit} | {middle:.2f}{self.unit} "
                f"({low:.2f}–{high:.2f}) | {'yes' if met else 'no'} |")


class Ratio(Aim):
    """Of Sealpost's figure to another program's, in the same round."""

    def __init__(self, text, row, other, most=None, other_row=None, **limits):
        super().__init__(text, most, **limits)
        self.row, self.other, self.other_row = row, other, other_row or row

    def span(self, report):
        return report.span(self.row, self.other_row, self.other, lambda a, b: a / b)


class Beyond(Ratio):
    """What Sealpost's figure is above another program's, in the same round."""

    def span(self, report):
        return report.span(self.row, self.other_row, self.other, lambda a, b: a - b)


class Plain(Aim):
    def __init__(self, text, row, **limits):
        super().__init__(text, **limits)
        self.row = row

    def span(self, report):
        return report.span(self.row, self.row, "sealpost", lambda a, _: a)


class Report:
    """Of one side: "inbound" or "outbound". `rounds` are {(program, scenario): result}."""

    def __init__(self, side, names, rounds, versions, rows, aims):
        self.side, self.names, self.rounds, self.versions = side, names, rounds, versions
        self.rows, self.aims = rows, aims

    def median(self, row, name):
        values = [self.rows[row].figure(name, results) for results in self.rounds]
        values = [value for value in values if value is not None]
        return median(values) if values else None

    def span(self, row, other_row, other, compare):
        """(median, least, most) over the rounds that have both."""
        pairs = [(self.rows[row].figure("sealpost", results),
                  self.rows[other_row].figure(other, results)) for results in self.rounds]
        spans = [compare(a, b) for a, b in pairs if a is not None and b]
        return (median(spans), min(spans), max(spans)) if spans else None

    def figures(self):
        yield "| | " + " | ".join(self.names) + " |"
        yield "|---" + "|---:" * len(self.names) + "|"
        for key, row in self.rows.items():
            cells = [self.median(key, name) for name in self.names]
            if any(cell is not None for cell in cells):
                texts = ["–" if cell is None else f"{cell:.{row.digits}f}" for cell in cells]
                yield f"| {row.title} | " + " | ".join(texts) + " |"

    def aim_lines(self):
        yield "| aim | | median (least–most) | met |"
        yield "|---|---:|---:|---|"
        yield from (aim.line(self) for aim in self.aims)

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
        return "\n".join([*self.machine(), "", *self.figures(), "", *self.aim_lines(), ""])

    def write(self, path):
        """Rewrites what stands between this side's markers."""
        begin, end = f"<!-- {self.side}: begin -->", f"<!-- {self.side}: end -->"
        with open(path) as file:
            head, found, rest = file.read().partition(begin)
        _, ended, tail = rest.partition(end)
        if not found or not ended:
            raise SystemExit(f"bench: {path}: no markers of {self.side}")
        with open(path, "w") as file:
            file.write(f"{head}{begin}\n\n{self.markdown()}\n{end}{tail}")
