#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A key server that misbehaves on purpose.

    badserver.py MODE [ADVERTISEMENT [URL]]

Listens on a free port of 127.0.0.1 and prints it. With ADVERTISEMENT, a file, `GET /adv…` is answered with it, as a good
server does, and only the rest misbehaves; URL is a real server for the modes that pass its answers on in an odd form.
MODE is one of the functions below whose name begins with `mode_`, or a number: the status to answer. MODE `path`: each
request names its mode as the first part of its path, /MODE/adv or /MODE/rec/KID; /MODE+adv serves ADVERTISEMENT.
MODE `black_hole`: knocking there is not even answered. A file named in the environment variable REQUESTS gets a line for each
POST, as soon as it has come.
"""
import base64
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import urllib.request

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/jwk+json\r\n"

# Generators of the curves: points that anybody may send.
P521 = (
    0x00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66,
    0x011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650,
)
P256 = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def jwk(crv, point, size, **more):
    x, y = (base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode() for number in point)
    key = {"alg": "ECMR", "crv": crv, "key_ops": ["deriveKey"], "kty": "EC", "x": x, "y": y}
    key.update(more)
    return json.dumps(key).encode()


def send(connection, body, head=HEAD):
    connection.sendall(head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)


def upstream(request):
    """What the real server answers to the same request: (status, body)."""
    line, _, body = request.partition(b"\r\n")
    method, path, _ = line.decode().split(" ")
    body = request.partition(b"\r\n\r\n")[2]
    asked = urllib.request.Request(real_url + path, body or None, {"Content-Type": "application/jwk+json"}, method=method)
    with urllib.request.urlopen(asked, timeout=10) as reply:
        return reply.status, reply.read()


# --- Answers that never come, or not to an end ---------------------------------------------------------------------------------

def mode_silent(connection, _):
    connection.recv(1)  # until the client hangs up


def mode_close(_connection, _):
    pass


def mode_reset(connection, _):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def mode_hostile_status(connection, _):
    evil = "a\x1b]0;owned\x07b\u009b31m\u202e\x7f\r\n"
    status = {name: evil for name in ("version", "folder", "complaint", "state")}
    status.update(started=-2**63, connections=2**63 - 1, keys=[{"thumbprint": evil, "use": 7, "state": evil, "last": 2**62}, evil, None],
                  requests={"recovery": {evil: 1, "200": evil}, "other": [evil]}, sandbox={"front": {"in_force": evil, "missing": evil}, "keys": 1})
    send(connection, json.dumps(status).encode())


def mode_half(connection, _):
    connection.sendall(HEAD + b"Content-Length: 200\r\n\r\n" + b'{"kty":"EC"')


def mode_drip(connection, _):
    for byte in HEAD * 10:
        connection.sendall(bytes([byte]))
        time.sleep(1)


def mode_drip_body(connection, _):
    connection.sendall(HEAD + b"Content-Length: 200\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(1)


def mode_endless_headers(connection, _):
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"X-Filler: %s\r\n" % (b"x" * 60) * 100)


def mode_endless_line(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Filler: ")
    while True:
        connection.sendall(b"x" * 4096)


def mode_endless_body(connection, _):
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b" " * 4096)


def mode_endless_chunks(connection, _):
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10\r\n" + b" " * 16 + b"\r\n")


def mode_endless_interim(connection, _):
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def mode_huge_length(connection, _):
    connection.sendall(HEAD + b"Content-Length: 999999999\r\n\r\n{}")
    connection.recv(1)


# --- Answers that are not HTTP -------------------------------------------------------------------------------------------------

def mode_not_http(connection, _):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")


def mode_nul(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}")


def mode_bad_length(connection, _):
    connection.sendall(HEAD + b"Content-Length: -5\r\n\r\n{}")


def mode_two_lengths(connection, _):
    connection.sendall(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}\n")


def mode_bad_chunk(connection, _):
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")


# --- Answers that send elsewhere, or away for a while ----------------------------------------------------------------------------

def redirect(connection, place, status=b"302 Found"):
    connection.sendall(b"HTTP/1.1 %s\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, place))


def mode_redirect(connection, request):
    """To the same path of the real server."""
    redirect(connection, real_url.encode() + request.split(b" ")[1], b"307 Temporary Redirect")


def mode_redirect_loop(connection, _):
    redirect(connection, b"?again")


def mode_redirect_nowhere(connection, _):
    redirect(connection, b"ftp://127.0.0.1/")


def mode_busy(connection, _):
    connection.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")


# --- Answers that are no point, or not the right one ----------------------------------------------------------------------------

def mode_garbage(connection, _):
    send(connection, b"{]\0\xff not JSON")


def mode_empty(connection, _):
    send(connection, b"")


def mode_array(connection, _):
    send(connection, b"[]")


def mode_escape(connection, _):
    send(connection, b'{"kty":"\x1b]0;owned\x07\nforged: line"}')


def mode_deep(connection, _):
    send(connection, b"[" * 8000)


def mode_wrong_point(connection, _):
    send(connection, jwk("P-521", P521, 66))


def mode_echo(connection, request):
    send(connection, request.partition(b"\r\n\r\n")[2])


def mode_zero(connection, _):
    send(connection, jwk("P-521", (0, 0), 66))


def mode_empty_coordinates(connection, _):
    send(connection, jwk("P-521", P521, 66, x="", y=""))


def mode_no_y(connection, _):
    key = json.loads(jwk("P-521", P521, 66))
    del key["y"]
    send(connection, json.dumps(key).encode())


def mode_off_curve(connection, _):
    send(connection, jwk("P-521", (P521[0], P521[1] + 1), 66))


def mode_beyond_field(connection, _):
    """x + p: the same residue, but not a member of the field."""
    send(connection, jwk("P-521", (P521[0] + 2**521 - 1, P521[1]), 66))


def mode_other_curve(connection, _):
    send(connection, jwk("P-256", P256, 32))


def mode_unknown_curve(connection, _):
    send(connection, jwk("P-999", P256, 32))


def mode_lying_curve(connection, _):
    """A point of P-256 that calls itself one of P-521."""
    send(connection, jwk("P-521", P256, 32))


def mode_other_alg(connection, _):
    send(connection, jwk("P-521", P521, 66, alg="ES512"))


# --- Right answers in an odd form: a client must take them ----------------------------------------------------------------------

def mode_chunked(connection, request):
    _, body = upstream(request)
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for i in range(0, len(body), 7):
        connection.sendall(b"%x;ext=1\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]))
    connection.sendall(b"0\r\nTrailer: 1\r\n\r\n")


def mode_to_end(connection, request):
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + upstream(request)[1])


def mode_interim(connection, request):
    connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    send(connection, upstream(request)[1])


def mode_bytewise(connection, request):
    body = upstream(request)[1]
    for byte in HEAD + b"content-length:%d\r\n\r\n" % len(body) + body:
        connection.sendall(bytes([byte]))
        time.sleep(0.002)


def mode_slow(connection, request):
    time.sleep(1.5)
    send(connection, upstream(request)[1])


def mode_swapped(connection, request):
    """As a good server does it, whatever its Content-Type, with Content-Length last and bare newlines."""
    body = upstream(request)[1]
    connection.sendall(b"HTTP/1.1 200\nX: y\nContent-Length: %d\n\n" % len(body) + body)


def mode_kept(connection, request):
    """Keeps the connection open for more requests; a line on standard error for each."""
    number = 0
    while request:
        number += 1
        print(f"{connection.fileno()} request {number}", file=sys.stderr, flush=True)
        _, body = upstream(request)
        connection.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        request = read_request(connection)
        if request:
            request = split(request)[2]


def read_request(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        got = connection.recv(4096)
        if not got:
            return request
        request += got
    head, _, body = request.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += connection.recv(4096)
    return head + b"\r\n\r\n" + body


def answer_status(status, connection):
    connection.sendall(b"HTTP/1.1 %s Whatever\r\nContent-Length: 0\r\n\r\n" % status.encode())


def split(request):
    """The mode that a request is to be answered in, whether the advertisement is served, and the request without the mode."""
    if sys.argv[1] != "path":
        return sys.argv[1], advertisement is not None, request
    method, path, rest = request.split(b" ", 2)
    _, mode, path = path.split(b"/", 2)
    name, _, served = mode.decode().partition("+")
    return name, bool(served), b" ".join((method, b"/" + path, rest))


def note(request):
    if "REQUESTS" in os.environ and request.startswith(b"POST "):
        with open(os.environ["REQUESTS"], "ab") as file:
            file.write(request.partition(b"\r\n")[0] + b"\n")


def serve(connection):
    try:
        request = read_request(connection)
        note(request)
        mode, served, request = split(request)
        if served and request.startswith(b"GET /adv"):
            send(connection, advertisement, b"HTTP/1.1 200 OK\r\nContent-Type: application/jose+json\r\n")
        elif mode.isdigit():
            answer_status(mode, connection)
        else:
            globals()["mode_" + mode](connection, request)
    except OSError:
        pass  # the client has hung up
    finally:
        connection.close()


def black_hole():
    """Nobody is taken in, and once the queue is full the kernel lets those who knock wait."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = []
    while len(waiting) < 8:
        waiting.append(socket.socket())
        waiting[-1].settimeout(0.3)
        try:
            waiting[-1].connect(listener.getsockname())
        except TimeoutError:
            print(listener.getsockname()[1], flush=True)
            signal.pause()
    sys.exit("the kernel takes in everybody")


if sys.argv[1] == "black_hole":
    black_hole()
advertisement = None
if len(sys.argv) > 2 and sys.argv[2]:
    with open(sys.argv[2], "rb") as file:
        advertisement = file.read()
real_url = sys.argv[3] if len(sys.argv) > 3 else ""

listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
