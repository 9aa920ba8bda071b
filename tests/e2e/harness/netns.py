# SPDX-License-Identifier: BSD-2-Clause
# Copyright (c) 2026 The Sealpost authors

"""Network namespaces joined by cables, and what crosses a cable."""

import contextlib
import ctypes
import ipaddress
import os
import pathlib
import secrets
import socket
import struct
import subprocess

from .net import until

_CLONE_NEWNET = 0x40000000
_ETH_P_ALL, _ETH_P_IP, _ETH_P_IPV6 = 3, 0x0800, 0x86dd
_SO_RCVBUFFORCE, _PACKET_STATISTICS, _SOL_PACKET = 33, 6, 263


class Net:
    """Namespaces with these names, gone with the test."""

    def __init__(self, *names):
        stem = f"sealpost-{secrets.token_hex(4)}"  # all suites of a machine share these names
        self.names = {name: f"{stem}-{name}" for name in names}
        self._captures = []

    def __enter__(self):
        for name, real in self.names.items():
            subprocess.run(["ip", "netns", "add", real], check=True)
            self.run(name, "ip", "link", "set", "lo", "up")
            # Addresses are there at once, nobody is asked for a second whether they are free.
            self.sysctl(name, "ipv6/conf/default/accept_dad", 0)
        return self

    def __exit__(self, *_):
        for capture in self._captures:
            capture.close()
        for real in self.names.values():
            subprocess.run(["ip", "netns", "del", real], check=True)

    def run(self, name, *command, text=None):
        """Runs a command in a namespace; what it said."""
        done = subprocess.run(["ip", "netns", "exec", self.names[name], *command],
                              input=text, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    @contextlib.contextmanager
    def inside(self, name):
        """Sockets made here are made in that namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.names[name]}", os.O_RDONLY)
        try:
            assert libc.setns(there, _CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            yield
        finally:
            libc.setns(home, _CLONE_NEWNET)
            os.close(home)
            os.close(there)

    # -- cables, addresses, routes

    def cable(self, one, device, other, there="eth0"):
        """A cable between `device` of one namespace and `there` of the other."""
        self.run(one, "ip", "link", "add", device, "type", "veth", "peer", "name", there,
                 "netns", self.names[other])
        self.run(one, "ip", "link", "set", device, "up")
        self.run(other, "ip", "link", "set", there, "up")

    def address(self, name, device, *networks):
        """Each as 192.0.2.1/24."""
        for network in networks:
            self.run(name, "ip", "addr", "add", network, "dev", device)

    def default_route(self, name, *gateways):
        for gateway in gateways:
            self.run(name, "ip", *(["-6"] if ":" in gateway else []),
                     "route", "add", "default", "via", gateway)

    def sysctl(self, name, key, value):
        with self.inside(name):
            pathlib.Path("/proc/sys/net", key).write_text(str(value))

    def settled(self, name, device):
        """Until its cable carries: a veth says so a moment after both ends are up."""
        until(lambda: "LOWER_UP" in self.run(name, "ip", "-o", "link", "show", "dev", device),
              f"{device} of {name} is up")

    def nft(self, name, rules):
        self.run(name, "nft", "-f", "-", text=rules)

    def capture(self, name, device):
        with self.inside(name):
            capture = Capture(device)
        self._captures.append(capture)
        return capture


class Capture:
    """
    What crossed a cable, from now on. The kernel hands a packet over when it is sent or comes
    in, before anybody at this end can act on it: whatever a test has seen the effect of is here.
    """

    def __init__(self, device):
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
        self._sock.bind((device, _ETH_P_ALL))
        self._sock.setblocking(False)
        self._segments = []

    def close(self):
        self._sock.close()

    def segments(self):
        """All of TCP so far."""
        while True:
            try:
                octets, address = self._sock.recvfrom(1 << 17)
            except BlockingIOError:
                break
            segment = _segment(address[1], octets)
            if segment:
                self._segments.append(segment)
        lost = struct.unpack("II", self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))[1]
        assert lost == 0, f"{lost} packets were not captured"
        return self._segments

    def flows(self, port=25):
        """What was sent to this port: {(source, destination): octets}, each (host, port)."""
        found = {}
        for s in self.segments():
            if s.destination[1] == port:
                found.setdefault((s.source, s.destination), []).append(s)
        return {ends: _joined(segments) for ends, segments in found.items()}

    def clear(self, port=25):
        """What was sent to this port in clear, in all flows: lines, and what is no line."""
        return [line for octets in self.flows(port).values()
                for line in without_tls(octets).split(b"\r\n") if line]


class Segment:
    def __init__(self, source, destination, sequence, flags, octets):
        self.source, self.destination = source, destination
        self.sequence, self.flags, self.octets = sequence, flags, octets

    syn = property(lambda self: bool(self.flags & 2))


def _segment(protocol, packet):
    if protocol == _ETH_P_IP and packet[9] == socket.IPPROTO_TCP:
        head, hosts = (packet[0] & 15) * 4, (packet[12:16], packet[16:20])
        end = int.from_bytes(packet[2:4], "big") or len(packet)
    elif protocol == _ETH_P_IPV6 and packet[6] == socket.IPPROTO_TCP:
        head, hosts = 40, (packet[8:24], packet[24:40])
        end = 40 + int.from_bytes(packet[4:6], "big") if packet[4:6] != b"\0\0" else len(packet)
    else:
        return None
    tcp = packet[head:end]
    source, destination, sequence = struct.unpack(">HHI", tcp[:8])
    names = [str(ipaddress.ip_address(h)) for h in hosts]
    return Segment((names[0], source), (names[1], destination), sequence, tcp[13],
                   tcp[(tcp[12] >> 4) * 4:])


def _joined(segments):
    """The octets of one direction of a connection in their order; none may be missing."""
    start = next((s.sequence + 1 for s in segments if s.syn), None)
    assert start is not None, "a flow was there before its capture"
    stream = bytearray()
    for at, octets in sorted(((s.sequence - start) % (1 << 32), s.octets)
                             for s in segments if s.octets):
        assert at <= len(stream), "a hole in a capture"
        stream[at:at + len(octets)] = octets
    return bytes(stream)


def without_tls(octets):
    """What stands before TLS begins and behind its last record: what anybody could read."""
    at = octets.find(b"\x16\x03")
    if at < 0:
        return octets
    clear = octets[:at]
    while at + 5 <= len(octets) and octets[at] in range(0x14, 0x18) and octets[at + 1] == 3:
        at += 5 + int.from_bytes(octets[at + 3:at + 5], "big")
    return clear + octets[at:]
