#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A proxy that leads names to ports of 127.0.0.1, so that tests can use names that nobody resolves.

    nameproxy.py NAME:PORT=PORT…

Listens on a free port of 127.0.0.1 and prints it, and the first line of each request on standard error. One request a
connection; CONNECT opens a tunnel. Other names are answered with 502.
"""
import socket
import sys
import threading
from urllib.parse import urlsplit


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        got = connection.recv(1)
        if not got:
            return b""
        head += got
    return head


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def target(method, place):
    """The port that a request is for, and what to ask there."""
    if method == "CONNECT":
        return ports.get(place), ""
    url = urlsplit(place)
    return ports.get(f"{url.hostname}:{url.port or 80}"), url.path + ("?" + url.query if url.query else "")


def serve(client):
    lines = read_head(client).decode("latin-1").split("\r\n")
    print(lines[0], file=sys.stderr, flush=True)
    method, place, version = lines[0].split(" ")
    port, path = target(method, place)
    if port is None:
        client.sendall(b"HTTP/1.1 502 Unknown name\r\nContent-Length: 0\r\n\r\n")
        client.close()
        return
    server = socket.create_connection(("127.0.0.1", port))
    if method == "CONNECT":
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    else:
        kept = [line for line in lines[1:] if line and not line.lower().startswith("connection:")]
        server.sendall("\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode("latin-1"))
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)
    client.close()


ports = {name: int(port) for name, port in (argument.split("=") for argument in sys.argv[1:])}
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
