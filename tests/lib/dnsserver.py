#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A name server on 127.0.0.1:53, for a network namespace of its own.

    dnsserver.py NAME ADDRESS…    answers for that name, in this order; there is no other name
    dnsserver.py                  never answers
"""
import ipaddress
import socket
import struct
import sys

A, AAAA, NO_SUCH_NAME = 1, 28, 3


def read_name(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), at + 1


def answer(query):
    name, end = read_name(query)
    kind = struct.unpack(">H", query[end:end + 2])[0]
    known = name.lower() == sys.argv[1]
    found = [a for a in map(ipaddress.ip_address, sys.argv[2:]) if kind == (A if a.version == 4 else AAAA)] if known else []
    records = b"".join(struct.pack(">HHHIH", 0xC00C, kind, 1, 60, len(a.packed)) + a.packed for a in found)
    flags = 0x8580 | (0 if known else NO_SUCH_NAME)
    return query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + query[12:end + 4] + records


server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
print(53, flush=True)
while True:
    asked, client = server.recvfrom(1500)
    if len(sys.argv) > 1:
        server.sendto(answer(asked), client)
