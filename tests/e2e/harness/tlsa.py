# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What TLSA records say of a certificate."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization

NOBODY = "3 1 1 " + "ab" * 32


def hexed(key, digest=None):
    der = (key.public_key() if hasattr(key, "public_key") else key).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return digest(der).hexdigest() if digest else der.hex()


def words(zoo, pair):
    """What a record may say of this pair, and of those who signed it."""
    root = x509.load_pem_x509_certificate(open(zoo.ca, "rb").read())
    found = {"issuer": hexed(zoo.authorities["good"].certificate, hashlib.sha256),
             "root": root.public_bytes(serialization.Encoding.DER).hex(), "rootkey": hexed(root)}
    if pair:
        leaf = pair.leaf()
        der = leaf.public_bytes(serialization.Encoding.DER)
        found |= {"leaf": hexed(leaf, hashlib.sha256), "leaf512": hexed(leaf, hashlib.sha512),
                  "whole": hashlib.sha256(der).hexdigest()}
    return found


def record(usage, selector, matching, certificate):
    """A record of this certificate; what there is no such thing as is like 0 and 1."""
    der = (bytes.fromhex(hexed(certificate)) if selector == 1
           else certificate.public_bytes(serialization.Encoding.DER))
    digest = {0: None, 2: hashlib.sha512}.get(matching, hashlib.sha256)
    data = digest(der).hexdigest() if digest else der.hex()
    return f"{usage} {selector} {matching} {data}"
