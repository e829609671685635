#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the contract of Tang says of the wire and of the folder of keys, against our server in one of its forms.

    contract.py FORM SECTION…

FORM is one of tangserver.py. Works in the current folder; exit 1 and the reason where the server departs, 77 where a section cannot be
tried here. The comments `>` are the contract's lines.
"""
import base64
import copy
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading

from tangserver import TANGD, Failure, Server, check, eventually, make_keys, request

form = sys.argv[1]
alone = form in ("pipes", "stdin")  # a process a connection
HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512")
OPEN, CLOSED, EITHER = "open", "closed", "either"
# The generator of P-521 (FIPS 186-5), as a point that anybody may send: s·G is the server's own public point.
G = ("AMaFjga3BATpzZ4-y2YjlbRCnGSBOQU_tSH4KK9ga009uqFLXnfv51ko_h3BJ6L_qN4zSLPBhWpCm_l-fjHC5b1m",
     "ARg5KWp4mjvABFyKX7QsfRvZmPVESVebRGgXr70XJz5mLJfucple9CZAxVC5AT-tB2E1PHCGonLCQIi-lHaf0WZQ")


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(jwk, name="sha256"):
    """RFC 7638."""
    text = json.dumps({m: jwk[m] for m in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True)
    return b64(hashlib.new(name, text.encode()).digest())


def read_key(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def write_key(folder, name, jwk):
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/" + name + ".jwk", "w", encoding="utf-8") as file:
        json.dump(jwk, file)


def is_exchange(jwk):
    return jwk.get("alg") == "ECMR"


def keys_in(answer):
    return json.loads(unb64(json.loads(answer.body)["payload"]))["keys"]


class Keys:
    """A folder as it is after one rotation: a pair that is advertised and one that is hidden."""

    def __init__(self, folder):
        self.folder = folder
        make_keys(folder)
        for path in glob.glob(folder + "/*.jwk"):
            os.rename(path, folder + "/." + os.path.basename(path))
        make_keys(folder)
        old, new = (sorted(map(read_key, glob.glob(folder + pattern)), key=is_exchange) for pattern in ("/.*.jwk", "/*.jwk"))
        (self.old_signing, self.old_exchange), (self.signing, self.exchange) = old, new
        self.thp, self.kid = thumbprint(self.signing), thumbprint(self.exchange)
        self.old_thp, self.old_kid = thumbprint(self.old_signing), thumbprint(self.old_exchange)
        self.point = {m: self.exchange[m] for m in ("kty", "crv", "x", "y")}

    def changed(self, **members):
        """The point with members set, or left out where None."""
        return json.dumps({m: v for m, v in {**self.point, **members}.items() if v is not None})

    def rec(self, body=None, kid=None, *fields):
        return request("POST", "/rec/" + (kid or self.kid), json.dumps(self.point) if body is None else body, *fields)


def expect(server, data, *statuses, then=OPEN, to_head=False):
    """Sends the bytes on a connection of their own: these are the statuses of what comes back, and then the connection can be used, or not."""
    connection = server.connect()
    connection.send(data)
    answers = []
    for status in statuses:
        answer = connection.answer(to_head)
        check(answer, "the connection ends instead of an answer", status, "to", data[:300])
        check(answer.status == status, answer.status, "instead of", status, "to", data[:300])
        # > All errors have `Content-Length: 0`
        check(answer.status < 400 or answer.headers.get("content-length") == "0", "an error with a body:", answer)
        answers.append(answer)
    if then == OPEN:
        connection.send(request("GET", "/adv"))
        again = connection.answer()
        check(again and again.status == 200, "the connection cannot be used after", data[:300], "but:", again)
        check(server.form == "pipes" or again.headers.get("connection", "keep-alive").lower() == "keep-alive", "it is to be closed:", again)
    elif then == CLOSED:
        check(connection.ends(), "more than was asked for, to", data[:300], ":", connection.buffer[:300])
    connection.close()
    return answers[0] if len(answers) == 1 else answers


# --- HTTP ---------------------------------------------------------------------------------------------------------------------------

def paths(server, keys):
    # > Path grammar …: `GET /adv[/…]`, `GET /adv/THP`, `POST /rec/KID`; a slash may be repeated wherever one stands
    for path in ("/adv", "/adv/", "//adv", "///adv///", "/adv/" + keys.thp, "/adv//" + keys.thp, "//adv///" + keys.thp):
        expect(server, request("GET", path), 200)
    for path in ("/rec/", "//rec/", "/rec//", "///rec///"):
        expect(server, request("POST", path + keys.kid, keys.changed()), 200)
    # > THP and KID are base64url characters with nothing after them (`/rec/KID/`: 404)
    missing = ["/adv/a.b", "/adv/=", "/adv/+", "/adv/" + keys.thp + "/", "/adv/" + keys.thp + "/x", "/adv/" + keys.thp + "A", "/rec/" + keys.kid + "/",
               "/rec/a.b", "/rec", "/rec/", "/recx"]
    # > on the raw request target (no query, no %-decoding, no absolute form)
    missing += ["/adv?", "/adv?x", "/adv/" + keys.thp + "?x", "/%61dv", "/adv%2f", "/adv/%" + keys.thp[1:], "http://x/adv", "/adv/../adv"]
    # > other path 404
    missing += ["/", "/ad", "/advx", "/adv.x", "/ADV", "/x/adv", "*"]
    expect(server, b"".join(request("GET", path) for path in missing), *[404] * len(missing))
    expect(server, request("POST", "/rec/" + keys.kid + "/", keys.changed()), 404)


def endpoint(keys):
    # > With `-e ENDPOINT` all of it below `/ENDPOINT` (one leading slash, given or not; without the prefix then: 404)
    # > a trailing slash in ENDPOINT …; ours: as without
    found = ("/some/where/adv", "//some//where///adv/" + keys.thp)
    missing = ("/adv", "/some/adv", "/some/whereadv", "/other/adv", "/some/where")
    for text in ("some/where", "/some/where", "some/where/", "//some/where//"):
        with Server(form, keys.folder, "-e", text) as server:
            # One slash between the endpoint's own parts: it is a prefix, not a path of ours.
            expect(server, request("GET", found[0]) + b"".join(request("GET", path) for path in missing), 200, *[404] * len(missing), then=EITHER)
            expect(server, request("GET", "//some/where//adv//" + keys.thp), 200, then=EITHER)
            expect(server, request("POST", "/some/where/rec/" + keys.kid, keys.changed()), 200, then=EITHER)


def advertisement(server, keys):
    # > `GET /adv`: 200, `Content-Type: application/jose+json`, the advertisement
    answer = expect(server, request("GET", "/adv"), 200)
    check(answer.headers["content-type"] == "application/jose+json", answer)
    # > payload … = public parts of every advertised key usable for sign+verify or deriveKey (order free)
    check(sorted(map(thumbprint, keys_in(answer))) == sorted([keys.thp, keys.kid]), "the wrong keys:", answer)
    for key in keys_in(answer):
        check(set(key) == {"alg", "crv", "key_ops", "kty", "x", "y"}, "not the public part:", key)
        check(key["key_ops"] == (["deriveKey"] if is_exchange(key) else ["verify"]), key)
    # > protected header is `{"alg":…,"cty":"jwk-set+json"}`; flattened JSON with one signature
    jws = json.loads(answer.body)
    check(sorted(jws) == ["payload", "protected", "signature"], jws)
    check(json.loads(unb64(jws["protected"])) == {"alg": "ES512", "cty": "jwk-set+json"}, jws)
    # > `GET /adv/THP` | THP = thumbprint of a *signing* key, advertised or rotated, in any of S1, S224, S256, S384, S512: 200, the same
    # > advertisement signed additionally by that key (it signs even if rotated …)
    for name in HASHES:
        mine = expect(server, request("GET", "/adv/" + thumbprint(keys.signing, name)), 200)
        check(sorted(json.loads(mine.body)) == sorted(jws) and keys_in(mine) == keys_in(answer), name, mine)
        old = expect(server, request("GET", "/adv/" + thumbprint(keys.old_signing, name)), 200)
        check(old.headers["content-type"] == "application/jose+json" and keys_in(old) == keys_in(answer), name, old)
        # > general with several
        check(sorted(json.loads(old.body)) == ["payload", "signatures"] and len(json.loads(old.body)["signatures"]) == 2, name, old)
        # > an exchange key's or an unknown thumbprint: 404
        for key in (keys.exchange, keys.old_exchange):
            expect(server, request("GET", "/adv/" + thumbprint(key, name)), 404)
    expect(server, request("GET", "/adv/" + thumbprint(keys.signing, "md5")), 404)
    expect(server, request("GET", "/adv/nope"), 404)
    # > HEAD as GET without body (should)
    for path, status in (("/adv", 200), ("/adv/" + keys.thp, 200), ("/nope", 404)):
        answer = expect(server, request("HEAD", path), status, to_head=True)
        check(status == 404 or (int(answer.headers["content-length"]) > 500 and answer.headers["content-type"] == "application/jose+json"), answer)


def methods(server, keys):
    # > known path, other method (HEAD and OPTIONS too): 405 · other path 404
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        expect(server, b"".join(request(method, path, "") for path in ("/adv", "/adv/" + keys.thp, "/nope")), 405, 405, 404)
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        expect(server, request(method, "/rec/" + keys.kid, "") + request(method, "/rec/nope", "abc"), 405, 405)
    expect(server, request("HEAD", "/rec/" + keys.kid), 405, to_head=True)
    expect(server, request("OPTIONS", "*"), 404)


def recovery(server, keys):
    # > the point d·X as JWK with `"alg":"ECMR"`, `"key_ops":["deriveKey"]`, compact and sorted, `Content-Type: application/jwk+json`
    generator = {"kty": "EC", "crv": "P-521", "x": G[0], "y": G[1]}
    for key in (keys.exchange, keys.old_exchange):
        wanted = {"alg": "ECMR", "crv": "P-521", "key_ops": ["deriveKey"], "kty": "EC", "x": key["x"], "y": key["y"]}
        # > KID is matched against every key, advertised or rotated, in any of the five hashes
        for name in HASHES:
            answer = expect(server, keys.rec(json.dumps(generator), thumbprint(key, name)), 200)
            check(answer.body.decode() == json.dumps(wanted, separators=(",", ":"), sort_keys=True), "not s·G:", answer)
            check(answer.headers["content-type"] == "application/jwk+json", answer)
    # > body = JWK (white space around it allowed, no bytes after it; a `d` in it is ignored; the request's Content-Type too)
    for body in (" \r\n\t" + keys.changed() + "\n ", keys.changed(d="AAAA"), keys.changed(d=7, more={"x": [1]}), keys.changed(d=keys.exchange["d"]),
                 keys.changed(alg="ECMR", key_ops=["deriveKey"]), keys.changed(key_ops=["sign", "deriveKey"])):
        expect(server, keys.rec(body), 200)
    for field in ("Content-Type: text/plain", "Content-Type: application/jwk+json", "Content-Type: multipart/form-data"):
        expect(server, keys.rec(None, None, field), 200)


# > errors of rec, in this order. What is wrong for one reason only; a reason of an earlier row wins over one of a later.
def bad_bodies(keys):
    y = keys.point["y"]
    other_y = b64((2**521 - 1 - int.from_bytes(unb64(y), "big") + 1).to_bytes(66, "big"))
    beyond = b64((int.from_bytes(unb64(keys.point["x"]), "big") + 2**521 - 1).to_bytes(66, "big"))
    p256 = {"crv": "P-256", "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
    return (
        # > body not a JSON object: 400
        (400, ("", " ", "x", "{", "[]", '"x"', "1", "null", keys.changed() + "x", keys.changed() * 2, "[" + keys.changed() + "]", keys.changed()[:-1],
               b"\xff\xfe", '{"kty":"EC",' + keys.changed()[1:], "[" * 20000)),
        # > `key_ops` or `use` that do not grant deriveKey (`use`:"enc" does not): 403
        (403, [keys.changed(**m) for m in ({"key_ops": ["sign"]}, {"key_ops": []}, {"use": "sig"}, {"use": "enc"}, {"use": "sig", "kty": "RSA"}, {"use": "sig", "alg": 1})]),
        # > kty missing or not EC, alg present and not ECMR: 400
        (400, ["{}"] + [keys.changed(**m) for m in ({"kty": "RSA"}, {"kty": None}, {"kty": 1}, {"alg": "ES512"}, {"alg": 1}, {"alg": "ECMR+A128KW"})]),
        # > x or y missing, not on the curve, another curve than the key's: 400. And not the identity, which no coordinates are.
        (400, ['{"kty":"EC"}'] + [keys.changed(**m) for m in (
            {"x": None}, {"y": None}, {"crv": None}, {"x": y}, {"x": 1}, {"x": ""}, {"y": ""}, {"y": other_y}, {"crv": "P-256"}, {"crv": "P-999"}, {"crv": 1}, p256,
            {"x": b64(bytes(66)), "y": b64(bytes(66))}, {"x": keys.point["x"] + "AAAA"}, {"x": "=" + y[1:]}, {"x": beyond}, {"x": "AA", "y": "AA"})]))


def errors(server, keys):
    not_json, not_granted, not_ecmr, no_point = bad_bodies(keys)
    for status, bodies in (not_json, not_granted, not_ecmr, no_point):
        for body in bodies:
            expect(server, keys.rec(body), status)
    # A row of the body's own goes before the search for the key …
    for status, bodies in (not_json, not_granted, not_ecmr):
        for kid in ("nope", keys.thp):
            expect(server, keys.rec(bodies[0], kid) + keys.rec(bodies[-1], kid), status, status)
    # > KID unknown: 404 … and that before the point is looked at
    for body in (keys.changed(), no_point[1][0], no_point[1][3]):
        for kid in ("nope", keys.kid + "A", keys.kid[:-1], thumbprint(keys.exchange, "md5")):
            expect(server, keys.rec(body, kid), 404)
    # > the key found is not for deriveKey (a signing key) …: 403
        for kid in (keys.thp, keys.old_thp, thumbprint(keys.signing, "sha512")):
            expect(server, keys.rec(body, kid), 403)


def forbidden_keys(_):
    # > has another alg than ECMR, or no `d`: 403
    make_keys("forbidden")
    exchange = next(filter(is_exchange, map(read_key, glob.glob("forbidden/*.jwk"))))
    point = {m: exchange[m] for m in ("kty", "crv", "x", "y")}
    os.makedirs("donor")
    make_keys("donor", "sig", "exc")
    other, public = read_key("donor/sig.jwk"), {m: v for m, v in read_key("donor/exc.jwk").items() if m != "d"}
    write_key("forbidden", "other", {**other, "key_ops": ["deriveKey"]})
    write_key("forbidden", "public", public)
    with Server(form, "forbidden") as server:
        for key in (other, public):
            for body in (point, {"kty": "EC"}):
                expect(server, request("POST", "/rec/" + thumbprint(key), json.dumps(body)), 403)
        check(thumbprint(public) not in map(thumbprint, keys_in(server.ask("GET", "/adv"))), "a key without its private part is advertised")


def curves(_):
    """2·G is the key of the other curve, so that the answer to G is the key's own point."""
    make_keys("p256")
    key = {"alg": "ECMR", "crv": "P-256", "d": b64((2).to_bytes(32, "big")), "key_ops": ["deriveKey"], "kty": "EC",
           "x": "fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_EdmmXg", "y": "B3dVENuO0EApPZrGn3Qw27p9reY86YIpngS3nSJ4c9E"}
    write_key("p256", "exc", key)
    generator = {"kty": "EC", "crv": "P-256", "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}
    with Server(form, "p256") as server:
        answer = expect(server, request("POST", "/rec/" + thumbprint(key), json.dumps(generator)), 200)
        check(json.loads(answer.body)["x"] == key["x"] and json.loads(answer.body)["y"] == key["y"], answer)
        expect(server, request("POST", "/rec/" + thumbprint(key), json.dumps({"kty": "EC", "crv": "P-521", "x": G[0], "y": G[1]})), 400)


def sizes(server, keys):
    # > path over 4095 bytes: 414 … > 413 and 414 leave the connection usable
    expect(server, request("GET", "/" + "a" * 4094) + request("GET", "/" + "a" * 4095) + request("GET", "//adv"), 404, 414, 200)
    expect(server, request("GET", "/" * 4092 + "adv") + request("GET", "/" * 4093 + "adv"), 200, 414)
    # > body over 65,535 bytes: 413
    fits = keys.changed() + " " * (65535 - len(keys.changed()))
    expect(server, keys.rec(fits) + keys.rec(fits + " ") + keys.rec(" " * 300000) + keys.rec(), 200, 413, 413, 200)
    chunks = b"400\r\n" + b"0" * 1024 + b"\r\n"
    expect(server, request("POST", "/rec/" + keys.kid, None, "Transfer-Encoding: chunked") + chunks * 70 + b"0\r\n\r\n", 413)
    # > headers without limit (should: bounded, 431)
    connection = server.connect()
    connection.send(request("GET", "/adv", None, *["X-Filler: " + "x" * 1000] * 200))
    answer = connection.answer()
    check(answer is None or answer.status == 431, "headers without end:", answer)
    connection.close()
    expect(server, request("GET", "/adv", None, *["X-Filler: " + "x" * 1000] * 3), 200)


def malformed(server, keys):
    # > malformed HTTP, unknown method | the connection is closed without an answer (should: 400 and close)
    more = request("GET", "/adv")
    for data in (b"garbage\r\n\r\n", b"GET\r\n\r\n", b"GET /adv\r\n\r\n", b"GET /adv HTTP/9.9\r\n\r\n", b"GET /adv XTTP/1.1\r\n\r\n", request("BREW", "/adv"), request("get", "/adv"),
                 request("POST", "/rec/" + keys.kid, None, "Content-Length: -1"), request("POST", "/rec/" + keys.kid, None, "Content-Length: x"),
                 request("POST", "/rec/" + keys.kid, None, "Content-Length: 99999999999999999999999"),
                 request("POST", "/rec/" + keys.kid, None, "Transfer-Encoding: chunked") + b"zz\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"):
        connection = server.connect()
        connection.send(data + more)
        answer = connection.answer()
        fitting = {400, 413} if b"999" in data else {505} if b"9.9" in data else {400}
        check(answer is None or answer.status in fitting, answer and answer.status, "instead of", fitting, "to", data)
        # What the library says of the reason, some versions of it twice, is no answer to what followed.
        check(answer is None or connection.ends() or b"HTTP/1.1 200" not in answer.body + connection.buffer, "goes on after", data)
        connection.close()
    # > A bare LF as line end: accepted
    expect(server, b"GET /adv HTTP/1.1\nHost: x\n\n", 200)
    expect(server, request("GET", "/adv").replace(b"Host: x\r\n", b""), 200)
    # Two lengths that disagree, or one beside chunks, smuggle nothing past a proxy.
    for fields in (("Content-Length: 0", "Content-Length: %d" % len(more)), ("Content-Length: 5", "Transfer-Encoding: chunked")):
        expect(server, request("POST", "/rec/" + keys.kid, None, *fields) + b"0\r\n\r\n" + more, 400, then=CLOSED)


def wire(server, keys):
    # > pipelined requests … work
    put = request("PUT", "/adv", "abc")
    expect(server, request("GET", "/adv") + keys.rec() + request("GET", "/nope") + keys.rec() + put + request("GET", "/adv"), 200, 200, 404, 200, 405, 200)
    answers = expect(server, (keys.rec() + request("GET", "/adv/nope")) * 50, *(200, 404) * 50)
    check(len({answer.body for answer in answers}) == 2, "answers are mixed up")
    # > chunked bodies work
    body = keys.changed().encode()
    chunked = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (50, body[:50], len(body) - 50, body[50:])
    expect(server, request("POST", "/rec/" + keys.kid, None, "Transfer-Encoding: chunked") + chunked, 200)
    # > `Expect: 100-continue` is never answered (should: 100)
    connection = server.connect()
    connection.send(request("POST", "/rec/" + keys.kid, None, "Expect: 100-continue", "Content-Length: %d" % len(body)))
    answer = connection.answer()
    check(answer and answer.status == 100, answer)
    connection.send(body)
    check(connection.answer().status == 200, "nothing after 100")
    connection.close()
    # > The connection stays open also after HTTP/1.0 and `Connection: close` (should: closed)
    for more in (b"", request("GET", "/adv")):
        expect(server, request("GET", "/adv", version="1.0") + more, 200, then=CLOSED)
        expect(server, request("POST", "/rec/" + keys.kid, body, version="1.0") + more, 200, then=CLOSED)
        expect(server, request("GET", "/adv", None, "Connection: close") + more, 200, then=CLOSED)
    # > keep-alive until the peer closes; exit 0: also where the peer only says that nothing more comes
    for data in (request("GET", "/adv"), keys.rec(), b"GET /adv HTT", keys.rec()[:-5], b""):
        connection = server.connect()
        connection.send(data)
        connection.finish()
        whole = data in (request("GET", "/adv"), keys.rec())
        answer = connection.answer()
        check((answer and answer.status == 200) if whole else answer is None or answer.status >= 400, "to", data, ":", answer)
        check(connection.ends(), "does not end after", data)
        connection.close()


def log(server, keys):
    # > one line a request on stderr: `ADDRESS METHOD PATH => STATUS`
    # > ADDRESS is the environment's REMOTE_ADDR …, else `<unknown>`: … also when stdin is a socket (should: the socket's address)
    address = "<unknown>" if form == "pipes" else "127.0.0.1"
    before = len(server.log_lines())
    expect(server, request("GET", "/adv") + request("GET", "//nope/../x?y=%41%0a") + request("POST", "/adv", "x") + keys.rec(), 200, 404, 405, 200, then=EITHER)
    expect(server, request("HEAD", "/adv"), 200, to_head=True, then=EITHER)
    # > METHOD and PATH are empty for 413 and 414
    expect(server, request("GET", "/" + "a" * 4200) + keys.rec(" " * 65536), 414, 413, then=EITHER)
    wanted = ["GET /adv => 200", "GET //nope/../x?y=%41%0a => 404", "POST /adv => 405", "POST /rec/%s => 200" % keys.kid, "HEAD /adv => 200", "  => 414", "  => 413"]
    eventually(lambda: len(server.log_lines()) >= before + len(wanted), "all lines are there")
    check(server.log_lines()[before:] == [address + " " + line for line in wanted], "the log:", server.log_lines()[before:])
    # What is no request is no line, and nobody writes lines of his own.
    expect(server, b"GET /a\x1b[2J\x07b HTTP/1.1\r\nHost: x\r\n\r\n", then=EITHER)
    for data in (b"GET /adv HTT", keys.rec()[:-5]):
        connection = server.connect()
        connection.send(data)
        connection.finish()
        check(connection.ends(), "an answer to half a request")
        connection.close()
    check("\x1b" not in server.log() and len(server.log_lines()) <= before + len(wanted) + 1, server.log())
    # Nor does anybody write what looks like another answer.
    before = len(server.log_lines())
    for space in b" ", b"\t", b"\x0b":
        expect(server, b"POST /rec/A =>" + space + b"200 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400, then=CLOSED)
    check(all(line == address + "   => 400" for line in server.log_lines()[before:]), server.log_lines()[before:])


def remote_address(keys):
    if not alone:
        return
    with Server(form, keys.folder, environment={"REMOTE_ADDR": "192.0.2.7"}) as server:
        expect(server, request("GET", "/adv"), 200, then=EITHER)
        check(server.log_lines() == ["192.0.2.7 GET /adv => 200"], server.log_lines())
    with Server(form, keys.folder, environment={"REMOTE_ADDR": "1.2.3.4\nroot: all is well"}) as server:
        expect(server, request("GET", "/adv"), 200, then=EITHER)
        check(len(server.log_lines()) == 1, server.log_lines())


# --- Keys ---------------------------------------------------------------------------------------------------------------------------

def several(keys):
    # > each signing key in the payload signs; … general with several
    shutil.copytree(keys.folder, "several")
    make_keys("several")
    with Server(form, "several") as server:
        answer = expect(server, request("GET", "/adv"), 200)
        jws = json.loads(answer.body)
        check(sorted(jws) == ["payload", "signatures"] and len(jws["signatures"]) == 2 and len(keys_in(answer)) == 4, jws)
        for signature in jws["signatures"]:
            check(json.loads(unb64(signature["protected"])) == {"alg": "ES512", "cty": "jwk-set+json"}, signature)
        check(len(json.loads(server.ask("GET", "/adv/" + keys.old_thp).body)["signatures"]) == 3, "the rotated key does not sign")


def left_out(keys):
    # > Keys that are neither (verify-only, wrap, …) or that cannot be read are left out, the latter with a warning
    # > an `oct` HS256 key …: ours leaves it out, loudly. Files without `.jwk` are ignored.
    shutil.copytree(keys.folder, "left-out")
    make_keys("spare", "sig", "exc")
    write_key("left-out", "verify", {**read_key("spare/sig.jwk"), "key_ops": ["verify"]})
    write_key("left-out", "wrap", {**read_key("spare/exc.jwk"), "alg": "ECDH-ES+A128KW", "key_ops": ["wrapKey"]})
    write_key("left-out", "oct", {"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "alg": "HS256"})
    for name, text in (("broken.jwk", "{"), ("ignored.txt", "{"), ("ignored.jwk~", "{")):
        with open("left-out/" + name, "w", encoding="utf-8") as file:
            file.write(text)
    os.makedirs("left-out/folder.jwk")
    os.symlink("nowhere", "left-out/dangling.jwk")
    with Server(form, "left-out") as server:
        answer = expect(server, request("GET", "/adv"), 200)
        check(sorted(map(thumbprint, keys_in(answer))) == sorted([keys.thp, keys.kid]), keys_in(answer))
        check("signature" in json.loads(answer.body), "more keys sign than are usable")
        for name in ("broken", "oct", "folder", "dangling"):
            check("Cannot load JSON file (left-out/%s.jwk); skipping" % name in server.log(), server.log())
        check("ignored" not in server.log(), server.log())
        expect(server, request("GET", "/adv/" + thumbprint(read_key("spare/sig.jwk"))), 404)


def only_broken(_):
    """A broken file is a key that somebody has: nothing is made in its place."""
    os.makedirs("broken")
    with open("broken/broken.jwk", "w", encoding="utf-8") as file:
        file.write("{")
    with Server(form, "broken") as server:
        check(server.ask("GET", "/adv").status == 500, "an advertisement of nothing")
        check(os.listdir("broken") == ["broken.jwk"], os.listdir("broken"))


def for_both(keys):
    # > A key without `use`, `key_ops` and `alg` counts as both
    key = {m: keys.old_exchange[m] for m in ("kty", "crv", "x", "y", "d")}
    write_key("both", "both", key)
    with Server(form, "both") as server:
        answer = expect(server, request("GET", "/adv"), 200)
        check(list(map(thumbprint, keys_in(answer))) == [keys.old_kid] and "signature" in json.loads(answer.body), answer)
        check(set(keys_in(answer)[0]) & {"d"} == set(), answer)
        expect(server, request("GET", "/adv/" + keys.old_kid), 200)
        expect(server, keys.rec(keys.changed(), keys.old_kid), 200)


def is_a_pair(folder):
    """> one ES512 signing key, one ECMR key (P-521); NAME = S256 thumbprint; mode 0440, … never world-readable"""
    files = glob.glob(folder + "/*.jwk")
    made = sorted(map(read_key, files), key=is_exchange)
    check([key["alg"] for key in made] == ["ES512", "ECMR"] and {key["crv"] for key in made} == {"P-521"}, made)
    check({os.path.basename(path) for path in files} == {thumbprint(key) + ".jwk" for key in made}, files)
    check({os.stat(path).st_mode & 0o7777 for path in files} == {0o440}, [oct(os.stat(path).st_mode) for path in files])
    return made


def first_pair(_):
    # > No advertised key at all (folder empty …): a new pair is generated on the first request of any kind, `rec` too (or start)
    for name, first in (("a", request("GET", "/adv")), ("b", request("POST", "/rec/x", "{}"))):
        os.makedirs("empty-" + name)
        os.umask(0)
        with Server(form, "empty-" + name) as server:
            expect(server, first, 200 if name == "a" else 400, then=EITHER)
            made = is_a_pair("empty-" + name)
            check(sorted(map(thumbprint, keys_in(server.ask("GET", "/adv")))) == sorted(map(thumbprint, made)), "not the pair that was made")
    # Several that ask at once get one pair, not one each.
    os.makedirs("empty-c")
    with Server(form, "empty-c") as server:
        bodies = []
        threads = [threading.Thread(target=lambda: bodies.append(server.ask("GET", "/adv").body)) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        is_a_pair("empty-c")
        check(len(bodies) == 6 and len({json.loads(body)["payload"] for body in bodies}) == 1, bodies)


def only_rotated(keys):
    # > (folder … only rotated ones): a new pair is generated. > A leading dot = rotated: not advertised, still answers `rec`, still signs
    os.makedirs("rotated")
    for path in glob.glob(keys.folder + "/.*.jwk"):
        shutil.copy(path, "rotated")
    with Server(form, "rotated") as server:
        answer = expect(server, request("GET", "/adv"), 200)
        check(sorted(map(thumbprint, keys_in(answer))) == sorted(map(thumbprint, is_a_pair("rotated"))), answer)
        expect(server, request("GET", "/adv/" + keys.old_thp) + keys.rec(None, keys.old_kid), 200, 200)


def only_one(keys):
    # > One key of either sort there: nothing is generated (signing key only: 200 with it alone)
    write_key("signing", "sig", keys.signing)
    with Server(form, "signing") as server:
        answer = expect(server, request("GET", "/adv"), 200)
        check(list(map(thumbprint, keys_in(answer))) == [keys.thp], answer)
        check(os.listdir("signing") == ["sig.jwk"], os.listdir("signing"))
    # > 500 when there is no usable signing key and none can be made (… holding only exchange keys). The exchange goes on.
    write_key("exchange", "exc", keys.exchange)
    with Server(form, "exchange") as server:
        expect(server, request("GET", "/adv") + request("GET", "/adv/" + keys.kid) + keys.rec(), 500, 500, 200, then=EITHER)
        check("no usable signing key" in server.log(), server.log())
        check(os.listdir("exchange") == ["exc.jwk"], os.listdir("exchange"))


def unusable_folder(_):
    # > 500 when … none can be made (folder unreadable or unwritable …)
    user = 65534 if os.geteuid() == 0 else None
    as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
    if subprocess.run(["test", "-x", TANGD, "-a", "-x", os.getcwd()], check=False, **as_user).returncode != 0:
        return 77
    os.makedirs("unwritable")
    os.chmod("unwritable", 0o555)
    with Server(form, "unwritable", user=user, ready=False) as server:
        check(server.ask("GET", "/adv").status == 500, "an advertisement of nothing")
        check("cannot create" in server.log(), server.log())
    # One that cannot be opened is refused, as one that is not there.
    os.makedirs("unreadable")
    os.chmod("unreadable", 0)
    options = [] if alone else ["-l", "-a", "127.0.0.1", "-p", "0"]
    done = subprocess.run([TANGD, *options, "unreadable"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20, **as_user)
    check(done.returncode == 1 and done.stdout == b"" and b"on path: unreadable: Permission denied" in done.stderr, done)
    return 0


def changes(keys):
    # > Changes take effect on the next request.
    shutil.copytree(keys.folder, "changing")
    at_once = 0
    with Server(form, "changing") as server:
        check(len(keys_in(server.ask("GET", "/adv"))) == 2, "no keys")
        for number in range(10):
            before, after = ("changing/" + dot + keys.thp + ".jwk" for dot in (("", ".") if number % 2 == 0 else (".", "")))
            if number == 0:
                make_keys("changing", "sig", "exc")
            os.rename(before, after)
            advertised = number % 2 == 1
            there = lambda: (keys.thp in map(thumbprint, keys_in(server.ask("GET", "/adv")))) == advertised
            at_once += there()
            eventually(there, "the key is " + ("advertised" if advertised else "hidden"))
            check(server.ask("GET", "/adv/" + keys.thp).status == 200, "a key that has got another name does not sign")
        os.unlink("changing/" + keys.thp + ".jwk")
        eventually(lambda: server.ask("GET", "/adv/" + keys.thp).status == 404, "a key that is gone does not sign")
    # A daemon's requests wait for the new keys, but not for ever: a slow machine may not always have them in time.
    check(at_once == 10 if alone else at_once >= 5, "only", at_once, "of 10 changes counted for the next request")


def no_private_part(server, keys):
    answers = [expect(server, request("GET", path), 200).body for path in ("/adv", "/adv/" + keys.thp, "/adv/" + keys.old_thp)]
    answers.append(expect(server, keys.rec(), 200).body)
    texts = answers + [unb64(json.loads(answer)["payload"]) for answer in answers[:3]] + [server.log().encode()]
    for key in (keys.signing, keys.exchange, keys.old_signing, keys.old_exchange):
        check(not any(key["d"].encode() in text for text in texts), "a private part went out")


# With a server that the sections share, or with servers of their own.
SHARED = (paths, advertisement, methods, recovery, errors, sizes, malformed, wire, log, no_private_part)
OWN = (endpoint, forbidden_keys, curves, remote_address, several, left_out, only_broken, for_both, first_pair, only_rotated, only_one, unusable_folder,
       changes)


def main():
    wanted = sys.argv[2:] or [section.__name__ for section in SHARED + OWN]
    keys = Keys("keys")
    skipped = 0
    for section in SHARED + OWN:
        if section.__name__ not in wanted:
            continue
        wanted.remove(section.__name__)
        try:
            if section in SHARED:
                with Server(form, keys.folder) as server:
                    section(server, copy.copy(keys))
            elif section(keys) == 77:
                skipped = 77
        except Failure as failure:
            print("%s: %s: %s" % (form, section.__name__, failure), file=sys.stderr)
            return 1
    check(not wanted, "no such section:", wanted)
    return skipped


sys.exit(main())
