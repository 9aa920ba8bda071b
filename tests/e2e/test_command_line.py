# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What the program says of how it is used."""

import re
import subprocess

import pytest

from harness.daemon import ROOT

FINE, USAGE, CANNOT = 0, 2, 3
COMMANDS = ("serve", "check", "policy", "probe", "status", "firewall", "demo")


def run(built, *words):
    return subprocess.run([built, *words], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


@pytest.mark.parametrize("words", [["--help"], *([c, "--help"] for c in COMMANDS)], ids=" ".join)
def test_help(built, words):
    """Fits a terminal, and the man page has its options."""
    done = run(built, *words)
    assert done.returncode == FINE and not done.stderr
    assert done.stdout == run(built, *words[:-1], "-h").stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []
    page = (ROOT / "docs" / "sealpost.1").read_text()
    for option in re.findall(r"--[a-z]+", done.stdout):
        assert rf"Fl \-{option[2:]}" in page, option


def test_version(built):
    done = run(built, "--version")
    assert (done.returncode, done.stderr) == (FINE, "")
    configure = (ROOT / "configure.ac").read_text()
    release, = re.findall(r"AC_INIT\(\[sealpost\], \[([^]]+)\]", configure)
    assert done.stdout == run(built, "-V").stdout == f"sealpost {release}\n"
    assert (ROOT / "NEWS").read_text().startswith(f"{release}\n")


@pytest.mark.parametrize("words,said", [
    ([], "the command line: no command given"),
    (["chek"], "chek: no such command"),
    (["-c", "f", "check"], "-c: before a command there is --help or --version"),
    (["--json", "status"], "--json: before a command there is --help or --version"),
    (["check", "-x"], "-x: no such option"),
    (["check", "--json"], "--json: no such option"),
    (["check", "f"], "f: too many arguments"),
    (["check", "-c"], "-c: its argument is missing"),
    (["check", "--config"], "--config: its argument is missing"),
    (["check", "--config="], "-c, --config=FILE: its argument is missing"),
    (["status", "-c", ""], "-c, --config=FILE: its argument is missing"),
    (["policy"], "policy: DOMAIN... is missing"),
    (["probe"], "probe: DOMAIN|USER@DOMAIN|HOST:PORT is missing"),
    (["probe", "a", "b"], "b: too many arguments"),
    (["firewall"], "firewall: up|down|print is missing"),
])
def test_wrong_usage(built, words, said):
    done = run(built, *words)
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert done.stderr == f"sealpost: cannot understand {said} (try sealpost --help)\n"


@pytest.mark.parametrize("words,said", [
    (["firewall", "upp"], "cannot understand upp: one of up, down and print is wanted"),
    (["probe", "a.example:99999"],
     'cannot probe "a.example:99999": it is none of DOMAIN, USER@DOMAIN and HOST:PORT'),
    (["demo", "-l", "here"], "cannot listen on here: no address (write 127.0.0.1:2525)"),
])
def test_wrong_words(built, words, said):
    done = run(built, *words)
    assert (done.returncode, done.stdout, done.stderr) == (USAGE, "", f"sealpost: {said}\n")


def test_a_full_disk_is_told(built):
    with open("/dev/full", "w") as full:
        done = subprocess.run([built, "--help"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60)
    assert done.returncode == CANNOT
    assert done.stderr == ("sealpost: cannot write to standard output: "
                           "No space left on device\n")
