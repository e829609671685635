#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# HTTP beyond the contract (tangd-contract.bats): bounds, and what comes from the wire and is none.
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
