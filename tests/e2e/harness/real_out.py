# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""
Real mail servers on both sides of a Sealpost that sends: destinations with certificates, at
port 25 of addresses of their own, and senders that know one smart host.
"""

import pathlib
import subprocess

from . import real
from .net import until


class Destination:
    """Mixed in: `sites` maps an address to (host name, certificate and key)."""

    def __init__(self, folder, sites, **options):
        self.sites = sites
        super().__init__(folder, **options)

    def install(self, directory, mode=0o644):
        """Certificates and keys as ADDRESS.pem and ADDRESS.key."""
        place = self.folder / self.prefix / directory
        place.mkdir(parents=True, exist_ok=True)
        for address, (_, pair) in self.sites.items():
            for source, ending, bits in ((pair.certificate, "pem", 0o644), (pair.key, "key", mode)):
                file = place / f"{address}.{ending}"
                file.write_bytes(pathlib.Path(source).read_bytes())
                file.chmod(bits)


class PostfixDestination(Destination, real.Postfix):
    def __init__(self, folder, sites):
        super().__init__(folder, sites, mynetworks="0.0.0.0/0")

    def files(self):
        self.install("etc/postfix")
        files = super().files()
        # Before its other address: once that answers, these do.
        files["etc/postfix/master.cf"] = "".join(
            f"{address}:25 inet n - n - - smtpd -o myhostname={name}"
            " -o smtpd_tls_security_level=may -o smtpd_tls_received_header=yes"
            f" -o smtpd_tls_chain_files=/etc/postfix/{address}.key,/etc/postfix/{address}.pem\n"
            for address, (name, _) in self.sites.items()) + files["etc/postfix/master.cf"]
        return files


class EximDestination(Destination, real.Exim):
    def files(self):
        self.install("etc/exim4")
        files = super().files()
        own = f"[{self.host}]:{self.port}"
        files["etc/exim4/exim4.conf"] = files["etc/exim4/exim4.conf"].replace(
            f"local_interfaces = <; {own}",
            f"local_interfaces = <; {' ; '.join(f'[{a}]:25' for a in self.sites)} ; {own}").replace(
            "tls_advertise_hosts =\n",
            "tls_advertise_hosts = *\n"
            "tls_certificate = /etc/exim4/$received_ip_address.pem\n"
            "tls_privatekey = /etc/exim4/$received_ip_address.key\n")
        return files


NO_CAS = {"etc/ssl/certs/ca-certificates.crt": ""}  # OpenSMTPD does not start without the file


class OpenSMTPDDestination(Destination, real.OpenSMTPD):
    def files(self):
        self.install("etc/ssl/sites", 0o600)
        files = super().files()
        head = "".join(
            f'pki {name} cert "/etc/ssl/sites/{address}.pem"\n'
            f'pki {name} key "/etc/ssl/sites/{address}.key"\n'
            f"listen on {address} port 25 tls pki {name} hostname {name}\n"
            for address, (name, _) in self.sites.items())
        files["etc/smtpd.conf"] = head + files["etc/smtpd.conf"]
        return files | NO_CAS


DESTINATIONS = {"postfix": PostfixDestination, "exim": EximDestination,
                "opensmtpd": OpenSMTPDDestination}


class Sender:
    """Mixed in: all mail goes to the smart host at 127.0.0.1:`smarthost`, by TLS if it can."""

    def __init__(self, folder, smarthost, tls=False, **options):
        self.smarthost = smarthost
        self.tls = tls
        super().__init__(folder, **options)

    def retry(self, mark):
        """What is in the queue for recipients with this mark is sent again soon."""



class PostfixSender(Sender, real.Postfix):
    def __init__(self, folder, smarthost, tls=False):
        super().__init__(folder, smarthost, tls, relayhost=f"[127.0.0.1]:{smarthost}",
                         virtual_mailbox_domains="", maximal_backoff_time="2s",
                         smtp_tls_security_level="may" if tls else "none")


class EximSender(Sender, real.Exim):
    command = ("exim4", "-bdf", "-q2s")

    def files(self):
        files = super().files()
        text = files["etc/exim4/exim4.conf"]
        tls = "tls_verify_certificates =\n  tls_try_verify_hosts =" if self.tls \
            else "hosts_avoid_tls = *"
        text = text.replace("begin routers\n", f"""begin routers
smarthost:
  driver = manualroute
  domains = *
  route_list = * 127.0.0.1::{self.smarthost} byname
  transport = smarthost
  self = send
  no_more
""")
        text = text.replace("begin transports\n", f"""begin transports
smarthost:
  driver = smtp
  {tls}
  hosts_try_fastopen =
  message_linelength_limit = 1000000
  helo_data = exim.backend.example
""")
        files["etc/exim4/exim4.conf"] = text
        return files


class OpenSMTPDSender(Sender, real.OpenSMTPD):
    def files(self):
        files = super().files()
        head, _, _ = files["etc/smtpd.conf"].partition('action "store"')
        files["etc/smtpd.conf"] = (
            f'{head}action "out" relay host '
            f'{"smtp" if self.tls else "smtp+notls"}://127.0.0.1:{self.smarthost}\n'
            'match from any for any action "out"\n')
        return files | NO_CAS

    def retry(self, mark):
        """It waits minutes of its own accord: told until they are gone."""
        smtpd = next(pid for pid in descendants(self.process.pid)
                     if pathlib.Path(f"/proc/{pid}/comm").read_text() == "smtpd\n")

        def ctl(*words):
            return subprocess.run(["nsenter", f"--target={smtpd}", "--mount", "--pid", "--root",
                                   "/usr/sbin/smtpctl", *words], capture_output=True).stdout

        def gone():
            ctl("schedule", "all")
            return mark.encode() not in ctl("show", "queue")
        until(gone, "OpenSMTPD has sent all", 30)


def descendants(pid):
    found = [pid]
    for one in found:
        children = pathlib.Path(f"/proc/{one}/task/{one}/children").read_text()
        found += [int(p) for p in children.split()]
    return found


SENDERS = {"postfix": PostfixSender, "exim": EximSender, "opensmtpd": OpenSMTPDSender}
