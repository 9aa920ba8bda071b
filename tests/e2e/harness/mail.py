# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Messages that look like life, each with CRLF line ends."""

import base64
import hashlib

HEAD = (b"From: Alice <alice@client.example>\r\nTo: bob@backend.example\r\n"
        b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nMessage-ID: <%s@client.example>\r\n"
        b"Subject: %s\r\n")


def marked(message, mark):
    """The same with a header line of its own, to find it by."""
    return b"X-Mark: <" + mark.encode() + b">\r\n" + message


def below(stored, message):
    """
    What stands above the message in what a server stored (LF line ends): header lines that the
    servers on the way added. None where the message itself did not arrive octet for octet.
    """
    original = message.replace(b"\r\n", b"\n")
    if not stored.endswith(original):
        return None
    above = stored[:len(stored) - len(original)]
    lines = above.split(b"\n")
    good = lines[-1] == b"" and all(line[:1] in b" \t" or b":" in line.split(b" ")[0]
                                    for line in lines[:-1])
    return above if good else None


def noise(n, seed=b"sealpost"):
    """n octets that do not compress and are the same in every run."""
    return hashlib.shake_256(seed).digest(n)


def head(name):
    return HEAD % (name.encode(), name.encode())


def attachment(name, size):
    body = base64.b64encode(noise(size, name.encode()))
    lines = b"\r\n".join(body[i:i + 76] for i in range(0, len(body), 76))
    return (head(name) + b"MIME-Version: 1.0\r\n"
            b"Content-Type: multipart/mixed; boundary=\"=_b\"\r\n\r\n"
            b"This is a MIME message.\r\n--=_b\r\nContent-Type: text/plain\r\n\r\nSee attached.\r\n"
            b"--=_b\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n" + lines + b"\r\n--=_b--\r\n")


def eight_bit():
    return (head("8bit") + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n\r\n"
            + "Grüße aus Zürich — ½ € ™\r\nΚαλημέρα\r\n".encode()
            + bytes(range(128, 256)) + b"\r\n")


def long_lines():
    return (head("long") + b"\r\n" + b"x" * 997 + b"\r\n" + b"y" * 998 + b"\r\n."
            + b"z" * 990 + b"\r\n" + b"short\r\n")


def very_long_lines():
    """Lines that RFC 5321 does not allow and that are sent all the same."""
    return head("very-long") + b"\r\n" + b"v" * 5000 + b"\r\n" + b"w" * 20000 + b"\r\nend\r\n"


def dots():
    return (head("dots") + b"\r\n.\r\n..\r\n...\r\n. \r\n.a\r\n \r\n.\r\n\r\n.\r\n\r\n\r\n.x.\r\n"
            b"QUIT\r\nRSET\r\n.\r\n")


def trailing():
    return head("trailing") + b"\r\nblank lines at the end\r\n\r\n\r\n\r\n"


def bare_head():
    return head("no-body") + b"\r\n"


def ordinary():
    """Those that every client and server can carry unchanged."""
    return {"attachment": attachment("attachment", 60000), "8bit": eight_bit(),
            "long": long_lines(), "dots": dots(), "trailing": trailing(), "no-body": bare_head()}


def big(megabytes):
    return attachment("big", megabytes * 1024 * 1024 * 3 // 4)
