#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the same requests to two tangds that serve the same folder, and prints what each answers.

    compare.py FOLDER OURS THEIRS

Each request goes to a process of its own, through pipes. A line each: `same NAME STATUSES` or
`differs NAME ours=STATUSES theirs=STATUSES`, STATUSES being those of all answers, with `,` between, `-` for none.
"""
import base64
import glob
import hashlib
import json
import re
import subprocess
import sys

folder, ours, theirs = sys.argv[1:]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(key, hash_name="sha256"):
    text = json.dumps({m: key[m] for m in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True)
    return b64(hashlib.new(hash_name, text.encode()).digest())


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


keys = [read(path) for path in glob.glob(folder + "/*.jwk")]
rotated = [read(path) for path in glob.glob(folder + "/.*.jwk")]
exchange, = (key for key in keys if key["alg"] == "ECMR")
signing, = (key for key in keys if key["alg"] != "ECMR")
old_exchange, = (key for key in rotated if key["alg"] == "ECMR")
old_signing, = (key for key in rotated if key["alg"] != "ECMR")
point = {m: exchange[m] for m in ("kty", "crv", "x", "y")}
kid, thp = thumbprint(exchange), thumbprint(signing)


def changed(**members):
    """The point with members set, or left out where None."""
    return json.dumps({m: v for m, v in {**point, **members}.items() if v is not None})


def head(method, path, *fields, version="1.1"):
    return "\r\n".join(["%s %s HTTP/%s" % (method, path, version), "Host: x", *fields, "", ""]).encode("latin-1")


def post(body, key=kid, *fields):
    body = body if isinstance(body, bytes) else body.encode()
    return head("POST", "/rec/" + key, "Content-Length: %d" % len(body), *fields) + body


requests = {}
for path in ("/adv", "/adv/", "//adv", "///adv///", "/adv/" + thp, "/adv//" + thp, "//adv//" + thp, "/adv/" + thp + "/", "/adv/" + thp + "/x",
             "/adv/" + thp + "A", "/adv/" + thp[:-1], "/adv/" + kid, "/adv/nope", "/adv/a.b", "/adv/=", "/adv?x", "/adv?", "/advx", "/ADV", "/%61dv",
             "/adv%2f", "/", "/x", "/x/adv", "/adv/../adv", "/rec", "/rec/", "/rec/" + kid, "/rec/" + kid + "/", "/recx", "/rec/a.b", "http://x/adv",
             "/adv/" + thumbprint(old_signing), "/adv/" + thumbprint(old_exchange)):
    requests["GET " + path] = head("GET", path)
for hash_name in ("sha1", "sha224", "sha384", "sha512", "md5"):
    requests["GET /adv/THP by " + hash_name] = head("GET", "/adv/" + thumbprint(signing, hash_name))
    requests["POST /rec/KID by " + hash_name] = post(changed(), thumbprint(exchange, hash_name))
for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
    for path in ("/adv", "/adv/" + thp, "/rec/" + kid, "/rec/nope", "/rec/", "/nope"):
        if method != "POST" or not path.startswith("/rec/" + kid):
            requests["%s %s" % (method, path)] = head(method, path, "Content-Length: 0")

for name, body in {
        "a point": changed(), "a point with d": changed(d=exchange["d"]), "a point for ECMR": changed(alg="ECMR", key_ops=["deriveKey"]),
        "white space around": " \r\n\t" + changed() + "\n ", "more members": changed(more=[1]), "key_ops with more": changed(key_ops=["sign", "deriveKey"]),
        "nothing": "", "white space": " ", "no JSON": "x", "half": changed()[:-1], "bytes after": changed() + "x", "two": changed() + changed(),
        "array": "[]", "array of a point": "[" + changed() + "]", "string": '"x"', "number": "1", "null": "null", "not UTF-8": b"\xff\xfe",
        "empty object": "{}", "no kty": changed(kty=None), "other kty": changed(kty="RSA"), "kty no text": changed(kty=1), "oct": '{"kty":"oct","k":"AAAA"}',
        "other alg": changed(alg="ES512"), "unknown alg": changed(alg="nope"), "alg no text": changed(alg=1), "alg ECDH-ES": changed(alg="ECDH-ES"),
        "key_ops sign": changed(key_ops=["sign"]), "key_ops empty": changed(key_ops=[]), "key_ops deriveBits": changed(key_ops=["deriveBits"]),
        "use sig": changed(use="sig"), "use enc": changed(use="enc"), "use unknown": changed(use="nope"),
        "use sig, other kty": changed(use="sig", kty="RSA"), "use sig and key_ops": changed(use="sig", key_ops=["deriveKey"]),
        "no x": changed(x=None), "no y": changed(y=None), "no crv": changed(crv=None), "x no text": changed(x=1), "x empty": changed(x=""),
        "x not base64url": changed(x="=" + exchange["x"][1:]), "x is y": changed(x=exchange["y"]), "zero": changed(x=b64(bytes(66)), y=b64(bytes(66))),
        "other curve": changed(crv="P-256", x="axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", y="T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"),
        "lying curve": changed(crv="P-256"), "unknown curve": changed(crv="P-999"), "deep": "[" * 5000,
        "64 KiB less one": changed() + " " * (65535 - len(changed())), "64 KiB": changed() + " " * (65536 - len(changed()))}.items():
    requests["POST " + name] = post(body)
for name, key in {"unknown": "nope", "the signing key": thp, "longer": kid + "A", "rotated": thumbprint(old_exchange),
                  "the rotated signing key": thumbprint(old_signing)}.items():
    requests["POST a point to KID " + name] = post(changed(), key)
    requests["POST no point to KID " + name] = post("{}", key)
    requests["POST use sig to KID " + name] = post(changed(use="sig"), key)
    requests["POST off the curve to KID " + name] = post(changed(x=exchange["y"]), key)
requests["path of 4095 bytes"] = head("GET", "/" + "a" * 4094)
requests["path of 4096 bytes"] = head("GET", "/" + "a" * 4095)
requests["path of 4096 bytes, then adv"] = head("GET", "/" + "a" * 4095) + head("GET", "/adv")
requests["64 KiB, then adv"] = post(" " * 65536) + head("GET", "/adv")
requests["pipelined"] = head("GET", "/adv") + post(changed()) + head("GET", "/nope") + post(changed()) + head("GET", "/adv")
requests["body of a GET"] = head("GET", "/adv", "Content-Length: 3") + b"abc" + head("GET", "/adv")
requests["body of a 405"] = head("PUT", "/adv", "Content-Length: 3") + b"abc" + head("GET", "/adv")
body = changed().encode()
requests["chunked"] = head("POST", "/rec/" + kid, "Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) + head("GET", "/adv")
requests["no Host"] = b"GET /adv HTTP/1.1\r\n\r\n"
requests["empty line before"] = b"\r\n" + head("GET", "/adv")
requests["half a request"] = b"GET /adv HTT"
requests["half a body"] = head("POST", "/rec/" + kid, "Content-Length: 500") + b"{}"
requests["strict: two lengths"] = head("POST", "/rec/" + kid, "Content-Length: 0", "Content-Length: 34") + head("GET", "/adv")
# Where ours is stricter: a member given twice has no meaning in JSON, nor has a coordinate that is not below the prime. A `d`
# that is none is ignored like any other.
requests["strict: the same member twice"] = post('{"kty":"EC",' + changed()[1:])
requests["strict: x beyond the field"] = post(changed(x=b64((int.from_bytes(base64.urlsafe_b64decode(exchange["x"]), "big") + 2**521 - 1).to_bytes(66, "big"))))
requests["lax: a d that is none"] = post(changed(d="AAAA"))
# Where the contract wants ours to be better ("should").
requests["should: HEAD /adv"] = head("HEAD", "/adv")
requests["should: HEAD /adv/THP"] = head("HEAD", "/adv/" + thp)
requests["should: HEAD /nope"] = head("HEAD", "/nope")
requests["should: HTTP/1.0 ends"] = head("GET", "/adv", version="1.0") + head("GET", "/adv", version="1.0")
requests["should: Connection: close ends"] = head("GET", "/adv", "Connection: close") + head("GET", "/adv")
requests["should: Expect"] = post(changed(), kid, "Expect: 100-continue")
requests["should: headers without end"] = head("GET", "/adv", *["X: " + "x" * 1000] * 200)
requests["should: malformed"] = b"garbage\r\n\r\n"
requests["should: unknown method"] = head("BREW", "/adv")
requests["should: length no number"] = head("POST", "/rec/" + kid, "Content-Length: x")


def ask(program, request):
    try:
        run = subprocess.run([program, folder], input=request, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20)
    except subprocess.TimeoutExpired:
        return "hangs", b""
    if run.returncode < 0:
        return "signal %d" % -run.returncode, b""
    return ",".join(s.decode() for s in re.findall(rb"HTTP/1\.[01] (\d{3})", run.stdout)) or "-", run.stdout


def point_in(answer):
    return json.loads(answer.partition(b"\r\n\r\n")[2])


for name, request in requests.items():
    mine, yours = ask(ours, request), ask(theirs, request)
    name = name.replace(thp, "THP").replace(kid, "KID").replace(thumbprint(old_signing), "OLD-THP").replace(thumbprint(old_exchange), "OLD-KID")
    if mine[0] != yours[0]:
        print("differs %s ours=%s theirs=%s" % (name, mine[0], yours[0]))
    elif name.startswith("POST ") and mine[0] == "200" and point_in(mine[1]) != point_in(yours[1]):
        print("differs %s ours=%s theirs=%s" % (name, point_in(mine[1]), point_in(yours[1])))
    else:
        print("same %s %s" % (name, mine[0]))
