# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""What Postfix says of a destination: posttls-finger, behind a resolver that validates."""

import contextlib
import ctypes
import ctypes.util
import re
import socket
import subprocess
import threading

from . import nsd, real


class _Result(ctypes.Structure):
    """struct ub_result of unbound.h."""

    _fields_ = [("qname", ctypes.c_char_p), ("qtype", ctypes.c_int), ("qclass", ctypes.c_int),
                ("data", ctypes.c_void_p), ("len", ctypes.c_void_p), ("canonname", ctypes.c_char_p),
                ("rcode", ctypes.c_int), ("packet", ctypes.c_void_p), ("length", ctypes.c_int),
                ("havedata", ctypes.c_int), ("nxdomain", ctypes.c_int), ("secure", ctypes.c_int),
                ("bogus", ctypes.c_int)]


class Resolver:
    """At 127.0.0.1:53, where Postfix looks: libunbound, which asks this world and validates."""

    def __init__(self, world):
        self._lib = ctypes.CDLL(ctypes.util.find_library("unbound"))
        self._lib.ub_ctx_create.restype = ctypes.c_void_p
        self._context = ctypes.c_void_p(self._lib.ub_ctx_create())
        self._lib.ub_ctx_set_option(self._context, b"do-not-query-localhost:", b"no")
        assert self._lib.ub_ctx_add_ta_file(self._context, str(world.anchor).encode()) == 0
        assert self._lib.ub_ctx_set_fwd(self._context, world.resolver.encode()) == 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        self._socket.settimeout(0.1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        self._socket.close()
        self._lib.ub_ctx_delete(self._context)

    def _serve(self):
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                octets, client = self._socket.recvfrom(65535)
                self._socket.sendto(self._answer(octets), client)

    def _answer(self, octets):
        name, type_ = nsd.question(octets)
        found = ctypes.POINTER(_Result)()
        error = self._lib.ub_resolve(self._context, name.encode(), type_, 1, ctypes.byref(found))
        if error != 0:
            return nsd.forged(octets, code=2)
        result = found.contents
        failed = result.bogus or not result.packet
        answer = bytearray(nsd.forged(octets, code=2) if failed
                           else ctypes.string_at(result.packet, result.length))
        self._lib.ub_resolve_free(found)
        answer[:2] = octets[:2]
        answer[3] = (answer[3] & ~0x20) | 0x80 | (0x20 if result.secure and not failed else 0)
        return bytes(answer)


class Finger:
    """posttls-finger as Postfix of the real servers has it."""

    def __init__(self, folder, ca):
        self.folder, self.ca = folder, ca
        (folder / "etc").mkdir()
        (folder / "etc" / "resolv.conf").write_text(
            "nameserver 127.0.0.1\noptions edns0 trust-ad\n")

    def says(self, level, *domains):
        """{domain: all that is said of it}."""
        one = (f'posttls-finger -c -L summary -o inet_protocols=ipv4 -F {self.ca} -l {level} "$1"'
               ' 2>&1')
        script = f"""printf '%s\\n' "$@" | xargs -n 1 -P 4 sh -c 'printf "== %s\\n%s\\n" "$1" "$(
                     {one})"' sh"""
        said = subprocess.run(
            [real.SCRIPT, "enter", "postfix", str(self.folder), "sh", "-c", script, "sh", *domains],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300).stdout
        parts = re.split(r"^== (.*)\n", said, flags=re.M)[1:]
        return dict(zip(parts[::2], parts[1::2]))

    def verifies(self, level, *domains):
        """{domain: whether a host was verified}."""
        return {domain: ": Verified TLS connection established" in said
                for domain, said in self.says(level, *domains).items()}
