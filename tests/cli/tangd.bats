#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd as a process: its arguments, the ways to serve, its end. What it answers, in each of its forms: tangd-contract.bats.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

get='GET /adv HTTP/1.1\r\nHost: x\r\n\r\n'

setup_file() {
	make_keys "$BATS_FILE_TMPDIR/keys"
	export file_keys=$BATS_FILE_TMPDIR/keys
}

prepare() {
	cp -r "$file_keys" keys
}

# --- Arguments ----------------------------------------------------------------------------------------------------------------

@test "no folder, or two: the usage, exit 1" {
	call tangd
	usage 1 'the folder of the keys is missing'
	call tangd keys keys
	usage 1 'there is one folder of keys only'
	call tangd -l
	usage 1 'the folder of the keys is missing'
}

@test "an option that counts with -l only is refused without it; -p and -e, which the peers take, are not" {
	local option
	for option in --address=127.0.0.1 --admin=none --state=. --fronts=1 --workers=1 --user=nobody; do
		call tangd "$option" keys
		usage 1 "${option%%=*} is of use with -l only"
	done
	STATE_DIRECTORY=$PWD RUNTIME_DIRECTORY=$PWD call tangd -p 80 -e some keys
	[ "$status" = 0 ]
}

@test "unknown options are refused, exit 1" {
	call tangd -x keys
	usage 1
	call tangd --nope keys
	usage 1
	call tangd -l -p
	usage 1
}

@test "ports that are none are refused, exit 1" {
	local bad
	for bad in '' x -1 65536 99999999999999999999 80x ' 80' 0x50; do
		call tangd -l -p "$bad" keys
		usage 1 "is not a port"
	done
}

@test "an address that is none: message, exit 255" {
	call tangd -l -a 999.1.1.1 -p 0 keys
	fails 255 '999.1.1.1'
}

@test "-v and -h answer on stderr, exit 0" {
	call tangd -v
	[ "$status" = 0 ]
	[[ $stderr =~ ^tangd\ .*[0-9] ]]
	says ''
	call tangd --version
	[ "$status" = 0 ]
	call tangd -h
	usage 0 '--endpoint'
	call tangd --help
	usage 0 'Usage: tangd'
}

@test "a folder that is not there, or is none: message, exit 1, in every way to serve" {
	echo x >file
	local how
	for how in '' '-l -a 127.0.0.1 -p 0'; do
		# shellcheck disable=SC2086
		call tangd $how nope
		fails 1 'Error calling stat() on path: nope'
		# shellcheck disable=SC2086
		call tangd $how file
		fails 1 'Path is not a directory: file'
	done
}

# --- One connection -----------------------------------------------------------------------------------------------------------

@test "pipes: an answer, and exit 0 when the input ends" {
	printf '%b' "$get" >in
	call tangd keys <in
	[ "$status" = 0 ]
	[[ $output == 'HTTP/1.1 200 OK'* ]]
	[ "$stderr" = '<unknown> GET /adv => 200' ]
}

@test "pipes: nothing comes in: exit 0, no answer, no line" {
	call tangd keys </dev/null
	succeeds
	says ''
}

@test "pipes: requests one after another on one connection, and pipelined" {
	[ "$( { printf '%b' "$get"; sleep 0.2; printf '%b' "$get"; } | tangd keys 2>/dev/null | statuses_in)" = '200 200' ]
	[ "$(printf '%b' "$get$get$get$get" | tangd keys 2>log | statuses_in)" = '200 200 200 200' ]
	[ "$(wc -l <log)" = 4 ]
}

@test "pipes: the answer comes before the input ends" {
	mkfifo in
	tangd keys <in >out 2>/dev/null 3>&- &
	started+=("$!")
	exec 9>in
	printf '%b' "$get" >&9
	wait_for_line out '/^HTTP/p' "${started[-1]}"
	exec 9>&-
	wait "${started[-1]}"
}

@test "pipes: a reader that goes away ends it" {
	printf '%b' "$get$get$get" | tangd keys 2>/dev/null | head -c 10 >/dev/null
	[ "${PIPESTATUS[1]}" != 124 ]
}

@test "a socket on stdin and stdout, as inetd and systemd give it" {
	start_helper inetd.py "$TANGD" keys
	[ "$(statuses GET /adv /adv /nope)" = '200 200 404' ]
	[ "$(fetch -o /dev/null -o /dev/null -w '%{num_connects}' "$url/adv" "$url/adv")" = 10 ]
}

@test "a socket pair, as socat makes it" {
	needs socat
	printf '%b' "$get" | socat -t 5 - "EXEC:$TANGD keys" 2>/dev/null | grep -q '^HTTP/1.1 200'
}

@test "the log has the address in REMOTE_ADDR" {
	printf '%b' "$get" >in
	REMOTE_ADDR=192.0.2.7 call tangd keys <in
	[ "$stderr" = '192.0.2.7 GET /adv => 200' ]
	start_helper inetd.py --remote-addr "$TANGD" keys
	[ "$(status_of "$url/adv")" = 200 ]
	wait_for_line helper.*.err '/^127.0.0.1 GET \/adv => 200$/p' "$helper_pid"
}

@test "REMOTE_ADDR cannot forge a line" {
	printf '%b' "$get" >in
	REMOTE_ADDR=$'1.2.3.4\nroot: all is well' call tangd keys <in
	[ "${#stderr_lines[@]}" = 1 ]
}

@test "a socket's address is logged where REMOTE_ADDR says nothing" {
	start_helper inetd.py "$TANGD" keys
	[ "$(status_of "$url/adv")" = 200 ]
	wait_for_line helper.*.err '/^127.0.0.1 GET \/adv => 200$/p' "$helper_pid"
}

@test "SIGTERM ends it in the middle of a connection, exit 0" {
	mkfifo in
	"$TANGD" keys <in >out 2>/dev/null 3>&- &
	local pid=$!
	started+=("$pid")
	exec 9>in
	printf '%b' "$get" >&9
	wait_for_line out '/^HTTP/p' "$pid"
	kill "$pid"
	wait "$pid"
	exec 9>&-
}

# --- Standing alone -----------------------------------------------------------------------------------------------------------

@test "-l: says where it listens, serves, and logs ADDRESS METHOD PATH => STATUS and nothing more" {
	start_tangd keys
	local thp
	[ "$(status_of "$url/adv")" = 200 ]
	thp=$(fetch "$url/adv" | signing_thumbprints)
	[ "$(status_of "$url/adv/$thp")" = 200 ]
	[ "$(status_of "$url//nope/../x?y=%41")" = 404 ]
	[ "$(status_of -X POST "$url/adv")" = 405 ]
	printf '%s\n' "Listening on 127.0.0.1:$port" '127.0.0.1 GET /adv => 200' '127.0.0.1 GET /adv => 200' \
		"127.0.0.1 GET /adv/$thp => 200" '127.0.0.1 GET //nope/../x?y=%41 => 404' '127.0.0.1 POST /adv => 405' >expected
	diff expected <(log_of keys)
}

@test "-l: everything is served at once, also while others keep their connections open" {
	start_tangd keys
	"$python" - "$port" <<-'END'
		import socket, sys
		idle = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(100)]
		for connection in idle[:50]:
		    connection.sendall(b"GET /adv HT")
		last = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
		last.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n\r\n")
		assert last.recv(100).startswith(b"HTTP/1.1 200")
		for connection in idle[:50]:
		    connection.sendall(b"TP/1.1\r\nHost: x\r\n\r\n")
		for connection in idle[:50]:
		    assert connection.recv(100).startswith(b"HTTP/1.1 200")
	END
}

@test "-l: a client that goes away at any point does not hurt" {
	start_tangd keys
	local kid
	kid=$(fetch "$url/adv" | exchange_thumbprint)
	"$python" - "$port" "$kid" <<-'END'
		import socket, struct, sys
		request = b"POST /rec/%s HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{}" % sys.argv[2].encode()
		for length in list(range(0, len(request), 7)) + [len(request)]:
		    for reset in (False, True):
		        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
		            connection.sendall(request[:length])
		            if reset:
		                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
		for _ in range(20):
		    with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as connection:
		        connection.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
	END
	kill -0 "$tangd_pid"
	[ "$(status_of "$url/adv")" = 200 ]
}

@test "-l: SIGTERM and SIGINT end it with 0, also with connections open" {
	local signal
	for signal in TERM INT; do
		# bash has its background jobs ignore SIGINT: not so when Python starts it.
		"$python" - "$signal" "$TANGD" -l -a 127.0.0.1 -p 0 keys <<-'END'
			import signal, socket, subprocess, sys
			server = subprocess.Popen(sys.argv[2:], stderr=subprocess.PIPE, text=True,
			                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
			port = int(server.stderr.readline().rsplit(":")[-1])
			with socket.create_connection(("127.0.0.1", port)) as connection:
			    connection.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n\r\n")
			    assert connection.recv(20)
			    server.send_signal(getattr(signal, "SIG" + sys.argv[1]))
			    sys.exit(server.wait(10))
		END
	done
}

@test "-l: a port that is taken: message, exit 255" {
	start_tangd keys
	call tangd -l -a 127.0.0.1 -p "$port" keys
	fails 255 "cannot listen on port $port"
}

@test "-l: without -a on all addresses, IPv4 and IPv6" {
	"$TANGD" --listen --port 0 keys >/dev/null 2>keys.log 3>&- &
	tangd_pid=$!
	started+=("$tangd_pid")
	port=$(wait_for_line keys.log 's/^Listening on 0\.0\.0\.0:\([0-9]*\)$/\1/p' "$tangd_pid")
	[ "$(status_of "http://127.0.0.1:$port/adv")" = 200 ]
	[ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback"
	port=$(wait_for_line keys.log 's/^Listening on \[::\]:\([0-9]*\)$/\1/p' "$tangd_pid")
	[ "$(status_of "http://[::1]:$port/adv")" = 200 ]
	grep -qx '::1 GET /adv => 200' keys.log
	# A client of the IPv4 socket is not told by a mapped address.
	grep -qx '127.0.0.1 GET /adv => 200' keys.log
}

@test "the server itself needs and has no standard input" {
	start_tangd keys
	[ "$(status_of "$url/adv")" = 200 ]
	"$TANGD" -l -a 127.0.0.1 -p 0 keys <&- >&- 2>closed.log 3>&- &
	started+=("$!")
	port=$(wait_for_line closed.log 's/^Listening on .*:\([0-9]*\)$/\1/p' "$!")
	[ "$(status_of "http://127.0.0.1:$port/adv")" = 200 ]
}
