# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Certificates of the tests, made at the start of a run."""

import subprocess


class Certificates:
    """A CA and what it signed: pairs of files by (name, key type)."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        self._ca_key = str(folder / "ca.key")
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                  "-nodes", "-keyout", self._ca_key, "-out", self.ca, "-days", "30",
                  "-subj", "/CN=Sealpost tests CA",
                  "-addext", "basicConstraints=critical,CA:TRUE",
                  "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._ecdsa = self.pair("proxy.example", "ec")

    def _run(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True)

    def pair(self, name, kind="ec", days=30):
        """(certificate, key) of `name`, made when first asked for; kind is ec or rsa."""
        stem = self.folder / f"{name}.{kind}.{days}"
        certificate, key = f"{stem}.pem", f"{stem}.key"
        if (self.folder / f"{stem}.pem").exists():
            return certificate, key
        kind_words = (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec"
                      else ["rsa:2048"])
        self._run("req", "-x509", "-newkey", *kind_words, "-nodes", "-keyout", key,
                  "-out", certificate, "-days", str(days), "-subj", f"/CN={name}",
                  "-CA", self.ca, "-CAkey", self._ca_key,
                  "-addext", f"subjectAltName=DNS:{name}",
                  "-addext", "basicConstraints=critical,CA:FALSE")
        return certificate, key

    @property
    def ecdsa(self):
        return self._ecdsa

    @property
    def rsa(self):
        return self.pair("proxy.example", "rsa")
