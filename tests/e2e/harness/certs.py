# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Certificates of the tests, made at the start of a run."""

import datetime
import functools
import grp
import hashlib
import ipaddress
import os
import pathlib
import pwd
import shutil
import subprocess
import types
import typing

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


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
        if os.geteuid() == 0:  # whom the daemon becomes, and nobody else
            shutil.chown(key, group=grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name)
        os.chmod(key, 0o640)
        return certificate, key

    @property
    def ecdsa(self):
        return self._ecdsa

    @property
    def rsa(self):
        return self.pair("proxy.example", "rsa")


class Pair(typing.NamedTuple):
    """Two PEM files: a certificate with what it shows of its chain, and the key."""

    certificate: str
    key: str

    def leaf(self):
        return x509.load_pem_x509_certificate(pathlib.Path(self.certificate).read_bytes())

    def fingerprint(self, of="spki", digest="sha256"):
        """As a policy file wants it: sha256/spki:…"""
        octets = (self.leaf().public_bytes(serialization.Encoding.DER) if of == "cert" else
                  self.leaf().public_key().public_bytes(
                      serialization.Encoding.DER,
                      serialization.PublicFormat.SubjectPublicKeyInfo))
        return f"{digest}/{of}:{hashlib.new(digest, octets).hexdigest()}"


class Authority:
    """A CA: a root, or one below `issuer`."""

    def __init__(self, name, issuer=None, days=(-30, 365), digest=None, permitted=None):
        self.name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, name)])
        self.key = new_key()
        extensions = [(x509.BasicConstraints(True, None), True),
                      (x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                       True)]
        if permitted:
            extensions.append((x509.NameConstraints([x509.DNSName(permitted)], None), True))
        self.certificate = sign(self.name, self.key, issuer or self, days, digest, extensions)
        self.issuer = issuer

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def new_key(kind="ec"):
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind))


def sign(name, key, issuer, days, digest, extensions):
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.name)
               .public_key(key.public_key()).serial_number(x509.random_serial_number())
               .not_valid_before(now + datetime.timedelta(days=days[0]))
               .not_valid_after(now + datetime.timedelta(days=days[1])))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer.key, digest or hashes.SHA256())


# What a certificate of Zoo has that others have not; see Zoo.pair(). The good one is signed by an
# intermediate CA that it shows, is valid for a month and bears the host's name.
KINDS = {
    "good": {},
    "wildcard": {"names": ["*.{parent}"]},
    "wildcard-of-a-top-level": {"names": ["*.{top}"]},
    "wildcard-inside-a-label": {"names": ["m*.{parent}"]},
    "name-only-in-cn": {"names": [], "cn": "{host}"},
    "cn-beside-other-names": {"names": ["other.example"], "cn": "{host}"},
    "names-the-domain": {"names": ["{parent}"]},
    "address": {"names": [], "address": True, "cn": "x"},
    "nul-in-name": {"names": ["{host}\0.evil.example"]},
    "wrong-name": {"names": ["wrong.example"]},
    "expired": {"days": (-60, -1)},
    "not-yet-valid": {"days": (2, 60)},
    "for-clients-only": {"eku": x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH},
    "sha1": {"digest": hashes.SHA1()},
    "rsa-1024": {"key": "1024"},
    "rsa-2048": {"key": "2048"},
    "constrained": {"issuer": "constrained"},
    "missing-intermediate": {"shows": ""},
    "root-as-well": {"shows": "{issuer}{root}"},
    "expired-intermediate": {"issuer": "expired"},
    "self-signed": {"issuer": None},
    "self-signed-expired": {"issuer": None, "days": (-60, -1)},
    "self-signed-wrong-name": {"issuer": None, "names": ["wrong.example"]},
    "own-ca": {"issuer": "own"},
    "own-ca-wrong-name": {"issuer": "own", "names": ["wrong.example"]},
}


class Zoo:
    """
    Certificates that servers of the Internet show, each with one peculiarity. `ca` is what the
    public CAs are to these tests, `own_ca` the anchor of a peer that signs for itself.
    """

    def __init__(self, folder):
        self.folder = folder
        root = Authority("Tests public CA")
        self.authorities = {
            "good": Authority("Tests intermediate CA", root),
            "constrained": Authority("Tests constrained CA", root, permitted="other.example"),
            "expired": Authority("Tests expired CA", root, days=(-60, -1)),
            "own": Authority("A peer's own CA"),
        }
        self.ca = self._write("ca.pem", root.pem())
        self.own_ca = self._write("own-ca.pem", self.authorities["own"].pem())

    def _write(self, name, octets):
        file = self.folder / name
        file.write_bytes(octets)
        return str(file)

    @functools.cache
    def pair(self, host, kind="good", serial=0, more=()):
        """One for this host; another serial is another key; `more` are names beside its own."""
        how = KINDS[kind]
        parent = host.partition(".")[2]
        words = {"host": host, "parent": parent, "top": host.rpartition(".")[2]}
        names = [n.format(**words) for n in how.get("names", ["{host}"])]
        sans = [x509.DNSName(n) for n in (*names, *more)]
        if how.get("address"):
            sans.append(x509.IPAddress(ipaddress.ip_address("198.51.100.10")))
        extensions = [(x509.BasicConstraints(False, None), True)]
        if sans:
            extensions.append((x509.SubjectAlternativeName(sans), False))
        if "eku" in how:
            extensions.append((x509.ExtendedKeyUsage([how["eku"]]), False))
        key = new_key(how.get("key", "ec"))
        cn = how.get("cn", "unused").format(**words)
        subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, cn)])
        issuer = self.authorities.get(how.get("issuer", "good"))
        signer = issuer or types.SimpleNamespace(name=subject, key=key)
        leaf = sign(subject, key, signer, how.get("days", (-1, 30)), how.get("digest"), extensions)
        pem = leaf.public_bytes(serialization.Encoding.PEM)
        if issuer and issuer.issuer:
            pems = {"issuer": issuer.pem().decode(), "root": issuer.issuer.pem().decode()}
            pem += how.get("shows", "{issuer}").format(**pems).encode()
        stem = f"{host}+{len(more)}.{kind}.{serial}"
        return Pair(self._write(f"{stem}.pem", pem),
                    self._write(f"{stem}.key", key.private_bytes(
                        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption())))
