#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A proxy for CONNECT alone: listens on a free port of 127.0.0.1, prints it, and each request's first line on standard error.

Every name leads to 127.0.0.1, as a proxy may know names that its clients do not. `proxy.py 403` refuses with that status.
"""
import socket
import sys
import threading


def pump(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    head = b""
    while b"\r\n\r\n" not in head:
        got = client.recv(1)
        if not got:
            return
        head += got
    line = head.split(b"\r\n")[0].decode()
    print(line, file=sys.stderr, flush=True)
    if len(sys.argv) > 1 or not line.startswith("CONNECT "):
        client.sendall(f"HTTP/1.1 {sys.argv[1] if len(sys.argv) > 1 else 405} No\r\n\r\n".encode())
        client.close()
        return
    server = socket.create_connection(("127.0.0.1", int(line.split()[1].rpartition(":")[2])))
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=pump, args=(server, client), daemon=True).start()
    pump(client, server)


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
