# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors
"""
Postfix, in overlays of /usr, /etc and /var of its own: Debian's mail servers exclude each
other and start themselves. Nothing of it is left but the scratch folder.
"""

import os
import subprocess

from program import Missing, Program

OVERLAYS = """\
set -e
for folder in usr etc var; do
    mkdir -p "$WORK/$folder.upper" "$WORK/$folder.work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$WORK/$folder.upper,\\
workdir=$WORK/$folder.work" "/$folder"
done
"""

INSTALL = OVERLAYS + """\
[ -x /usr/sbin/postfix ] && exit
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
exec apt-get install -qq -y --no-install-recommends postfix
"""

# It prints what keeps it from starting only to a terminal.
RUN = OVERLAYS + """\
[ -x /usr/sbin/postfix ] || exit
cp "$WORK/main.cf" "$WORK/master.cf" /etc/postfix/
postconf -h mail_version
exec script -qec '/usr/sbin/postfix start-fg' /dev/null >&2
"""


def _command(script, scratch):
    work = f"{scratch}/postfix"
    os.makedirs(work, exist_ok=True)
    return {"args": ["unshare", "-m", "sh", "-c", script],
            "env": {**os.environ, "WORK": work}}


def install(scratch):
    """Once, while the network is still there. What fails shows at the start."""
    if os.geteuid() != 0:
        return
    with open(f"{scratch}/postfix-install.log", "w") as log:
        subprocess.run(**_command(INSTALL, scratch), stdin=subprocess.DEVNULL,
                       stdout=log, stderr=log, check=False)


def start(settings, group, main, master, role):
    if os.geteuid() != 0:
        raise Missing("only root can give it a private file system")
    command = _command(RUN, settings.scratch)
    settings.write("postfix/main.cf", main)
    settings.write("postfix/master.cf", master)
    program = Program("postfix", group, command["args"], None, environment=command["env"],
                      log=f"{settings.scratch}/postfix.log")
    program.idle_limit = 200  # a process each: as many as one can bear
    version = program.process.stdout.readline().strip()
    if not version:
        program.stop()
        raise Missing("it could not be installed: see --work and postfix-install.log")
    program.version = f"Postfix {version} ({role})"
    return program
