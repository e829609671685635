#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What tangd answers: the path grammar, the table of statuses, and HTTP as it comes from the wire.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	export log=$keys.log
	export thp kid
	thp=$(signing_thumbprints <"$adv") kid=$(exchange_thumbprint <"$adv")
	# A point that anybody may send: the generator's negative will not do, the server's own key will.
	export point
	point=$(json 'print(json.dumps({m: k[m] for k in keys_of(j) if is_exchange(k) for m in ("kty", "crv", "x", "y")}))' <"$adv")
}

# wire TEXT: sends the bytes through pipes, prints the answer.
wire() {
	printf '%b' "$1" | tangd "$keys" 2>wire.log | tr -d '\r'
}

wire_statuses() {
	wire "$1" | statuses_in
}

post() { # BODY [KID [CURL ARGUMENT…]]
	status_of -H 'Content-Type: application/jwk+json' --data-binary "$1" "${@:3}" "$url/rec/${2:-$kid}"
}

# changed SCRIPT: the point as the script leaves it, `j`.
changed() {
	json "$1
print(json.dumps(j))" <<<"$point"
}

# --- Paths --------------------------------------------------------------------------------------------------------------------

@test "GET /adv: slashes may be repeated" {
	[ "$(statuses GET /adv /adv/ //adv ///adv/// "/adv/$thp" "/adv//$thp" "//adv///$thp")" = '200 200 200 200 200 200 200' ]
}

@test "GET: everything else is 404" {
	[ "$(statuses GET / /ad /advx /adv.x /ADV /adv/x /adv/a.b "/adv/$thp/" "/adv/$thp/x" "/adv/$kid" /x/adv /adv/../adv "/adv/${thp}A")" = \
		'404 404 404 404 404 404 404 404 404 404 404 404 404' ]
	[ "$(wire_statuses 'GET /adv? HTTP/1.1\r\nHost: x\r\n\r\n')" = 404 ] # newer curls leave such a ? out
	[ "$(statuses GET '/adv?x' "/adv/$thp?x" /%61dv '/adv%2f' "/adv/%${thp:1}" '/adv/=' '/adv/+')" = '404 404 404 404 404 404 404' ]
	[ "$(statuses GET /rec /rec/ /recx "/rec/$kid/" '/rec/a.b')" = '404 404 404 404 404' ]
}

@test "GET /adv/THP: in all five hashes, of the signing key only" {
	local hash
	for hash in sha1 sha224 sha256 sha384 sha512; do
		[ "$(statuses GET "/adv/$(signing_thumbprints $hash <"$adv")" "/adv/$(exchange_thumbprint $hash <"$adv")")" = '200 404' ]
	done
}

@test "the advertisement: its type, its payload, its signature" {
	fetch -D headers "$url/adv" >body
	grep -qi '^content-type: application/jose+json' headers
	grep -qi "^content-length: $(wc -c <body)" headers
	json 'assert sorted(j) == ["payload", "protected", "signature"], j
assert json.loads(unb64(j["protected"])) == {"alg": "ES512", "cty": "jwk-set+json"}
assert len(keys_of(j)) == 2
for key in keys_of(j):
    assert set(key) == {"alg", "crv", "key_ops", "kty", "x", "y"}, key
    assert key["key_ops"] == (["deriveKey"] if is_exchange(key) else ["verify"])' <body
}

@test "HEAD: as GET, without a body" {
	fetch -I "$url/adv" >headers
	grep -q '^HTTP/1.1 200' headers
	grep -qi '^content-type: application/jose+json' headers
	[ "$(wire 'HEAD /adv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' | sed '1,/^$/d' | wc -c)" = 0 ]
	[ "$(status_of -I "$url/nope")" = 404 ]
}

@test "known path, other method: 405; other path: 404" {
	local method
	for method in PUT DELETE OPTIONS PATCH POST; do
		[ "$(statuses $method /adv "/adv/$thp" /nope)" = '405 405 404' ]
	done
	for method in GET PUT DELETE OPTIONS; do
		[ "$(statuses $method "/rec/$kid" /rec/nope)" = '405 405' ]
	done
}

@test "errors have no body and say so" {
	local path
	for path in /nope "/rec/$kid" /adv/nope; do
		fetch -D headers "$url$path" >body
		[ ! -s body ]
		grep -qix $'content-length: 0\r' headers
	done
}

# --- Recovery -----------------------------------------------------------------------------------------------------------------

@test "POST /rec/KID: a point, compact and sorted, of the right type" {
	fetch -D headers --data-binary "$point" "$url/rec/$kid" >body
	grep -q '^HTTP/1.1 200' headers
	grep -qi '^content-type: application/jwk+json' headers
	grep -qxE '\{"alg":"ECMR","crv":"P-521","key_ops":\["deriveKey"\],"kty":"EC","x":"[A-Za-z0-9_-]{88}","y":"[A-Za-z0-9_-]{88}"\}' body
	[ "$(post "$point")$(post "$point" "$(exchange_thumbprint sha1 <"$adv")")$(post "$point" "$(exchange_thumbprint sha512 <"$adv")")" = 200200200 ]
}

@test "the body: white space around it, members that do not count, its Content-Type" {
	[ "$(post $' \r\n\t'"$point"$'\n ')" = 200 ]
	[ "$(post "$(changed 'j["d"] = "AAAA"')")" = 200 ]
	[ "$(post "$(changed 'j["d"] = 7; j["more"] = {"x": [1]}')")" = 200 ]
	[ "$(post "$(changed 'j["alg"] = "ECMR"; j["key_ops"] = ["deriveKey"]')")" = 200 ]
	[ "$(post "$(changed 'j["key_ops"] = ["sign", "deriveKey"]')")" = 200 ]
	[ "$(post "$point" "$kid" -H 'Content-Type: text/plain')" = 200 ]
	[ "$(post "$point" "$kid" -H 'Content-Type:')" = 200 ]
}

@test "the body is no JSON object: 400" {
	local body
	for body in '' ' ' x '{' '[]' '"x"' 1 null "$point x" "$point$point" "[$point]" "${point%?}" $'\xff\xfe' '{"kty":"EC","kty":"EC"}'; do
		echo "with: $body"
		[ "$(post "$body")" = 400 ]
	done
	[ "$(post "$(printf '[%.0s' {1..20000})")" = 400 ]
}

@test "use or key_ops that do not grant deriveKey: 403, before all else" {
	[ "$(post "$(changed 'j["key_ops"] = ["sign"]')")" = 403 ]
	[ "$(post "$(changed 'j["key_ops"] = []')")" = 403 ]
	[ "$(post "$(changed 'j["use"] = "sig"')")" = 403 ]
	[ "$(post "$(changed 'j["use"] = "enc"')")" = 403 ]
	[ "$(post '{"use":"sig","kty":"x"}')$(post '{"use":"sig"}' nope)" = 403403 ]
}

@test "kty or alg that are not ours: 400, before the key is looked for" {
	[ "$(post '{}')$(post '{}' nope)" = 400400 ]
	[ "$(post "$(changed 'j["kty"] = "RSA"')")" = 400 ]
	[ "$(post "$(changed 'del j["kty"]')" nope)" = 400 ]
	[ "$(post "$(changed 'j["alg"] = "ES512"')")" = 400 ]
	[ "$(post "$(changed 'j["alg"] = 1')" nope)" = 400 ]
}

@test "a key that nobody knows: 404; one that is not for the exchange: 403" {
	[ "$(post "$point" nope)" = 404 ]
	[ "$(post '{"kty":"EC"}' nope)" = 404 ]
	[ "$(post "$point" "${kid}A")" = 404 ]
	[ "$(post "$point" "$thp")" = 403 ]
	[ "$(post '{"kty":"EC"}' "$thp")" = 403 ]
}

@test "a point that is none, or on another curve: 400" {
	local script
	for script in 'del j["x"]' 'del j["y"]' 'del j["crv"]' 'j["x"] = j["y"]' 'j["x"] = 1' 'j["x"] = ""' 'j["y"] = ""' \
		'j["crv"] = "P-256"' 'j["crv"] = "P-999"' 'j["crv"] = 1' 'j["x"] = j["y"] = b64(bytes(66))' 'j["x"] += "AAAA"' \
		'j["x"] = "=" + j["x"][1:]' 'j["y"] = b64(((2**521 - 1) - int.from_bytes(unb64(j["y"]), "big") + 1).to_bytes(66, "big"))' \
		'j["x"] = b64((int.from_bytes(unb64(j["x"]), "big") + 2**521 - 1).to_bytes(66, "big"))' \
		'j.update(crv="P-256", x="axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", y="T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU")'; do
		echo "with: $script"
		[ "$(post "$(changed "$script")")" = 400 ]
	done
}

@test "exchange keys on other curves" {
	mkdir p256
	cp "$keys/$thp.jwk" p256/
	cat >p256/exc.jwk <<-'END'
		{"alg":"ECMR","crv":"P-256","d":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI","key_ops":["deriveKey"],"kty":"EC",
		 "x":"fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_EdmmXg","y":"B3dVENuO0EApPZrGn3Qw27p9reY86YIpngS3nSJ4c9E"}
	END
	start_tangd p256
	kid=$(fetch "$url/adv" | exchange_thumbprint)
	# 2·G is the key, so the answer to G is the key's own point.
	fetch --data-binary '{"kty":"EC","crv":"P-256","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}' \
		"$url/rec/$kid" | json 'assert j["x"] == "fPJ7GI0DT36KUjgDBLUaw8CJaeJ38hs1pgtI_EdmmXg", j'
	[ "$(post "$point")" = 400 ]
}

# --- Sizes --------------------------------------------------------------------------------------------------------------------

@test "a path over 4095 bytes: 414, and the connection stays usable" {
	local long
	long=/$(head -c 4094 /dev/zero | tr '\0' a)
	[ "$(statuses GET "$long" "${long}a" "$long" /adv)" = '404 414 404 200' ]
	[ "$(fetch -o /dev/null -o /dev/null -w '%{num_connects}' "$url${long}a" "$url/adv")" = 10 ]
	grep -qx '127.0.0.1   => 414' "$log"
}

@test "a body over 65,535 bytes: 413, and the connection stays usable" {
	head -c 65535 /dev/zero | tr '\0' ' ' >fits
	head -c 65536 /dev/zero | tr '\0' ' ' >exceeds
	[ "$(post @fits)" = 400 ]
	[ "$(post @exceeds)" = 413 ]
	head -c 3000000 /dev/zero >large
	[ "$(post @large)" = 413 ]
	[ "$(fetch -o /dev/null -w '%{http_code} %{num_connects} ' --data-binary @exceeds "$url/rec/$kid" \
		--next -s -o /dev/null -w '%{http_code} %{num_connects}' "$url/adv")" = '413 1 200 0' ]
	grep -qx '127.0.0.1   => 413' "$log"
}

@test "a body that fits with the point in it is taken" {
	{ printf '%s' "$point" && head -c $((65535 - ${#point})) /dev/zero | tr '\0' ' '; } >fits
	[ "$(post @fits)" = 200 ]
}

@test "the longest path with curl's headers, and 4 KiB of headers beside a short one" {
	local long
	long=/$(head -c 4094 /dev/zero | tr '\0' a)
	[ "$(status_of -H 'Accept-Encoding: gzip' "$url$long")" = 404 ]
	[ "$(status_of "$url$(head -c 4092 /dev/zero | tr '\0' /)adv")" = 200 ]
	[ "$(status_of -H "X-Forwarded-For: $(head -c 4000 /dev/zero | tr '\0' 1)" "$url/adv")" = 200 ]
	[ "$(post "$point" "$kid" -H "X-Forwarded-For: $(head -c 3800 /dev/zero | tr '\0' 1)")" = 200 ]
	[ "$(status_of -H "X-Forwarded-For: $(head -c 6000 /dev/zero | tr '\0' 1)" "$url/adv")" = 431 ]
	grep -qx '127.0.0.1   => 431' "$log"
}

@test "headers without end: 431, or the connection is closed; the server goes on" {
	local answer
	answer=$("$python" - "$port" <<-'END'
		import socket, sys
		with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as connection:
		    try:
		        connection.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n")
		        for _ in range(2000):
		            connection.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
		    except OSError:
		        pass
		    try:
		        print(connection.recv(100).split(b" ")[1].decode())
		    except (OSError, IndexError):
		        print("closed")
	END
	)
	[ "$answer" = 431 ] || [ "$answer" = closed ]
	[ "$(statuses GET /adv)" = 200 ]
}

# --- The wire -------------------------------------------------------------------------------------------------------------------

@test "keep-alive: many requests, one connection" {
	[ "$(fetch -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects}' "$url/adv" "$url/nope" "$url/adv")" = 100 ]
}

@test "pipelined requests are answered in order" {
	local recovery="POST /rec/$kid HTTP/1.1\r\nHost: x\r\nContent-Length: ${#point}\r\n\r\n$point"
	[ "$(wire_statuses "GET /adv HTTP/1.1\r\nHost: x\r\n\r\n${recovery}GET /nope HTTP/1.1\r\nHost: x\r\n\r\n${recovery}PUT /adv HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /adv HTTP/1.1\r\nHost: x\r\n\r\n")" = \
		'200 200 404 200 405 200' ]
}

@test "chunked request bodies" {
	[ "$(post "$point" "$kid" -H 'Transfer-Encoding: chunked')" = 200 ]
	local half=$((${#point} / 2))
	[ "$(wire_statuses "POST /rec/$kid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n$(printf %x $half)\r\n${point:0:half}\r\n$(printf %x $((${#point} - half)))\r\n${point:half}\r\n0\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\n")" = '200 200' ]
	{ for ((n = 0; n < 70; n++)); do printf '400\r\n%01024d\r\n' 0; done; } >chunks
	[ "$(wire_statuses "POST /rec/$kid HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n$(<chunks)\n0\r\n\r\n")" = 413 ]
}

@test "Expect: 100-continue is answered" {
	wire "POST /rec/$kid HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${#point}\r\n\r\n" >answer
	grep -q '^HTTP/1.1 100 Continue$' answer
	local start=$EPOCHREALTIME
	[ "$(post "$point" "$kid" -H 'Expect: 100-continue' --expect100-timeout 15)" = 200 ]
	took_less_than 10 "$start"
}

@test "HTTP/1.0, and Connection: close: an answer, and then the end" {
	[ "$(status_of -0 "$url/adv")" = 200 ]
	[ "$(status_of -0 --data-binary "$point" "$url/rec/$kid")" = 200 ]
	[ "$(wire_statuses 'GET /adv HTTP/1.0\r\n\r\nGET /adv HTTP/1.0\r\n\r\n')" = 200 ]
	[ "$(wire_statuses 'GET /adv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\n')" = 200 ]
	# With the input still open, too.
	mkfifo in
	tangd "$keys" <in >out 2>/dev/null 3>&- &
	started+=("$!")
	exec 9>in
	printf 'GET /adv HTTP/1.0\r\n\r\n' >&9
	local status=0
	timeout 10 tail --pid="$!" -f /dev/null || status=$?
	exec 9>&-
	[ "$status" = 0 ]
	grep -q '^HTTP/1.. 200' out
}

@test "no Host header" {
	[ "$(wire_statuses 'GET /adv HTTP/1.1\r\n\r\n')" = 200 ]
}

@test "the request's target in absolute form, or an asterisk, is no path here" {
	[ "$(wire_statuses 'GET http://x/adv HTTP/1.1\r\nHost: x\r\n\r\n')" = 404 ]
	[ "$(wire_statuses 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n')" = 404 ]
}

# refused STATUS TEXT: that is the answer, and a line in the log that repeats nothing of it; what follows is no request. (libmicrohttpd
# 0.9.75 gives some of these answers twice before it ends the connection.)
refused() {
	echo "with: $2"
	[ "$(wire_statuses "$2GET /adv HTTP/1.1\r\nHost: x\r\n\r\n" | tr ' ' '\n' | uniq)" = "$1" ]
	grep -qE "^<unknown>(   | POST /rec/$kid )=> $1\$" wire.log
	[ "$(wc -l <wire.log)" = 1 ]
}

@test "malformed HTTP: 400, and the connection ends" {
	local post="POST /rec/$kid HTTP/1.1\r\nHost: x\r\n"
	[ "$(wire_statuses 'GET /adv\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\n')" = 400 ]
	[ "$(wire_statuses 'GET /adv XTTP/1.1\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\n')" = 400 ]
	[ "$(wire_statuses 'GET /adv HTTP/9.9\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\n')" = 505 ]
	refused 400 "${post}Content-Length: -1\r\n\r\n"
	refused 400 "${post}Content-Length: x\r\n\r\n"
	refused 400 "${post}Content-Length: \r\n\r\n"
	refused 413 "${post}Content-Length: 99999999999999999999999\r\n\r\n"
	refused 400 "${post}Transfer-Encoding: chunked\r\n\r\nzz\r\n"
	refused 400 "${post}Transfer-Encoding: gzip\r\n\r\n"
	refused 400 "${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
}

# The library gives no answer to them, and ends the connection before we hear of it.
@test "a first line without a space: 400 or nothing, and the connection ends" {
	local text
	for text in 'garbage\r\n\r\n' 'GET\r\n\r\n' ' GET /adv HTTP/1.1\r\n\r\n' '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n'; do
		echo "with: $text"
		wire_statuses "${text}GET /adv HTTP/1.1\r\nHost: x\r\n\r\n" >answered
		[ ! -s answered ] || grep -qx '\(400\)\?' answered
	done
}

@test "a method that nobody knows: as any other that does not fit" {
	[ "$(wire_statuses 'FOO /adv HTTP/1.1\r\nHost: x\r\n\r\nFOO /nope HTTP/1.1\r\nHost: x\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\n')" = '405 404 200' ]
}

@test "two lengths that disagree, or a length beside chunks, smuggle nothing" {
	local smuggled='GET /adv HTTP/1.1\r\nHost: x\r\n\r\n'
	wire_statuses "POST /rec/$kid HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 34\r\n\r\n$smuggled" >answered
	lacks '200' answered
	wire_statuses "POST /rec/$kid HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n$smuggled" >answered
	[ "$(grep -o 200 answered | wc -l)" -le 1 ]
}

@test "a request that stops half-way is no answer and no line in the log" {
	[ -z "$(wire_statuses 'GET /adv HTT')" ]
	[ ! -s wire.log ]
	wire_statuses "POST /rec/$kid HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{}" >answered
	lacks 200 answered
}

@test "the log cannot be forged, and shows the path as it came" {
	wire 'GET /a\x1b[2J\x07b HTTP/1.1\r\nHost: x\r\n\r\n' >answer
	lacks $'\x1b' wire.log
	[ "$(wc -l <wire.log)" -le 1 ]
	wire 'GET /%0a%1b HTTP/1.1\r\nHost: x\r\n\r\n' >answer
	grep -qxF '<unknown> GET /%0a%1b => 404' wire.log
}
