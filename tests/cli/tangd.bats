#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd as a process: its arguments, the three ways to serve, the folder of keys, its log, its end.
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

# ask [OPTION…] FOLDER: sends one request through pipes and prints the statuses.
ask() {
	printf '%b' "${request:-$get}" | tangd "$@" 2>>log | statuses_in
}

# --- Arguments ----------------------------------------------------------------------------------------------------------------

@test "no folder, or two: the usage, exit 1" {
	call tangd
	usage 1 'Usage: tangd'
	call tangd keys keys
	usage 1
	call tangd -l
	usage 1
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

# --- -e -----------------------------------------------------------------------------------------------------------------------

@test "-e: everything stands below the endpoint, slashes around it or not, and nothing beside it" {
	local endpoint
	for endpoint in some/where /some/where some/where/ //some/where//; do
		request='GET /some/where/adv HTTP/1.1\r\nHost: x\r\n\r\nGET //some/where//adv HTTP/1.1\r\nHost: x\r\n\r\nGET /adv HTTP/1.1\r\nHost: x\r\n\r\nGET /some/adv HTTP/1.1\r\nHost: x\r\n\r\nGET /some/whereadv HTTP/1.1\r\nHost: x\r\n\r\nGET /other/adv HTTP/1.1\r\nHost: x\r\n\r\n'
		[ "$(ask -e "$endpoint" keys)" = '200 200 404 404 404 404' ]
	done
	[ "$(ask --endpoint=some/where keys)" = '200 200 404 404 404 404' ]
}

@test "-e: an empty endpoint is none" {
	[ "$(ask -e / keys)" = 200 ]
	[ "$(ask -e '' keys)" = 200 ]
}

# --- The folder of keys -------------------------------------------------------------------------------------------------------

@test "an empty folder: a pair is made on the first request of any kind, mode 0440" {
	mkdir empty
	[ "$(ask empty)" = 200 ]
	[ "$(find empty -name '*.jwk' | wc -l)" = 2 ]
	[ "$(stat -c %a empty/*.jwk | sort -u)" = 440 ]
	rm empty/*
	request='POST /rec/x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}' ask empty
	[ "$(find empty -name '*.jwk' | wc -l)" = 2 ]
}

@test "only rotated keys: a new pair is made, the old ones still answer" {
	local old
	old=$(basename keys/*.jwk | head -n 1)
	for old in keys/*.jwk; do mv "$old" "keys/.$(basename "$old")"; done
	start_tangd keys
	fetch "$url/adv" >adv
	[ "$(find keys -name '[!.]*.jwk' | wc -l)" = 2 ]
	[ "$(find keys -name '.*.jwk' | wc -l)" = 2 ]
	[ "$(json 'print(len(keys_of(j)))' <adv)" = 2 ]
}

@test "one key of either sort is enough: nothing is made" {
	start_tangd keys
	fetch "$url/adv" >adv
	local signing exchange
	signing=$(signing_thumbprints <adv) exchange=$(exchange_thumbprint <adv)
	mkdir signing exchange
	cp "keys/$signing.jwk" signing/
	cp "keys/$exchange.jwk" exchange/
	start_tangd signing
	[ "$(fetch "$url/adv" | json 'print(*map(thumbprint, keys_of(j)))')" = "$signing" ]
	[ "$(ls signing)" = "$signing.jwk" ]
	# Nothing to sign with: no advertisement, but the exchange goes on.
	start_tangd exchange
	[ "$(status_of "$url/adv")" = 500 ]
	[ "$(status_of "$url/adv/$exchange")" = 500 ]
	grep -q 'no usable signing key' exchange.log
	[ "$(status_of -d '{"kty":"EC","crv":"P-521"}' "$url/rec/$exchange")" = 400 ]
	[ "$(ls exchange)" = "$exchange.jwk" ]
}

advertises() { # N: that many signing keys
	fetch "$url/adv" >adv
	[ "$(signing_thumbprints <adv | wc -l)" = "$1" ]
}

answers() { # STATUS URL
	[ "$(status_of "$2")" = "$1" ]
}

advertises_another() { # exchange|signing THUMBPRINT
	fetch "$url/adv" >adv
	local found
	found=$(if [ "$1" = exchange ]; then exchange_thumbprint; else signing_thumbprints; fi <adv)
	[ -n "$found" ] && [[ $found != *"$2"* ]]
}

@test "changes in the folder count at once" {
	start_tangd keys
	[ "$(fetch "$url/adv" | signing_thumbprints | wc -l)" = 1 ]
	make_keys keys
	eventually advertises 2
	# Both sign: a general JWS then.
	[ "$(json 'print(len(j["signatures"]))' <adv)" = 2 ]
	local gone
	gone=$(signing_thumbprints <adv | head -n 1)
	mv "keys/$gone.jwk" "keys/.$gone.jwk"
	eventually advertises 1
	[ "$(status_of "$url/adv/$gone")" = 200 ]
	rm "keys/.$gone.jwk"
	eventually answers 404 "$url/adv/$gone"
}

@test "a rotated signing key: not advertised, but it signs for those who ask by its thumbprint" {
	start_tangd keys
	local thp
	thp=$(fetch "$url/adv" | signing_thumbprints)
	mv "keys/$thp.jwk" "keys/.$thp.jwk"
	make_keys keys
	eventually advertises_another signing "$thp"
	fetch "$url/adv/$thp" >with
	[ "$(json 'print("signature" in j)' <adv)" = True ]
	[ "$(json 'print(len(j["signatures"]))' <with)" = 2 ]
	cmp <(json 'print(sorted(map(thumbprint, keys_of(j))))' <adv) <(json 'print(sorted(map(thumbprint, keys_of(j))))' <with)
	lacks "$thp" <(json 'print(*map(thumbprint, keys_of(j)))' <with)
}

@test "a rotated exchange key: not advertised, but it still opens" {
	start_tangd keys
	local kid
	kid=$(fetch "$url/adv" | exchange_thumbprint)
	clevis encrypt tang "$(tang_config "$url")" -y <<<secret >jwe
	mv "keys/$kid.jwk" "keys/.$kid.jwk"
	make_keys keys
	eventually advertises_another exchange "$kid"
	[ "$(clevis decrypt <jwe)" = secret ]
	grep -qx "127.0.0.1 POST /rec/$kid => 200" keys.log
}

@test "files that are no keys are left out, with a warning, and nothing is made in their place" {
	echo '{' >keys/broken.jwk
	echo '{"kty":"oct","k":"AAAA","alg":"HS256"}' >keys/oct.jwk
	mkdir keys/folder.jwk
	echo '{' >keys/ignored.txt
	ln -s nowhere keys/dangling.jwk
	[ "$(ask keys)" = 200 ]
	grep -q 'Cannot load JSON file (keys/broken.jwk); skipping' log
	grep -q 'Cannot load JSON file (keys/oct.jwk); skipping' log
	lacks ignored log
	mkdir only
	cp keys/broken.jwk only/
	[ "$(ask only)" = 500 ]
	[ "$(ls only)" = broken.jwk ]
}

@test "a key for verifying only is not advertised, and does not sign" {
	start_tangd keys
	local thp
	thp=$(fetch "$url/adv" | signing_thumbprints)
	json 'j["key_ops"] = ["verify"]; json.dump(j, open("keys/verify.jwk", "w"))' <"keys/$thp.jwk"
	[ "$(fetch "$url/adv" | json 'print(len(keys_of(j)))')" = 2 ]
}

@test "no private part ever leaves the server" {
	start_tangd keys
	fetch "$url/adv" | json 'assert all("d" not in key for key in keys_of(j)) and len(keys_of(j)) == 2'
	local secret
	grep -oh '"d": *"[^"]*"' keys/*.jwk | cut -d '"' -f 4 >private
	[ "$(wc -l <private)" = 2 ]
	while read -r secret; do
		lacks "$secret" keys.log
		lacks "$secret" <(fetch "$url/adv" | json 'print(unb64(j["payload"]))')
	done <private
}

@test "a folder that cannot be written to and has no keys: 500, and the reason in the log" {
	mkdir empty
	chmod 0555 empty
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$TANGD" 2>/dev/null || skip "the program cannot be reached unprivileged"
		chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" .. . 2>/dev/null
		setpriv --reuid 65534 --regid 65534 --clear-groups test -x empty || skip "the folder cannot be reached unprivileged"
		run --separate-stderr setpriv --reuid 65534 --regid 65534 --clear-groups "$TANGD" empty < <(printf '%b' "$get")
	else
		run --separate-stderr tangd empty < <(printf '%b' "$get")
	fi
	[[ $output == 'HTTP/1.1 500'* ]]
	grep -q 'cannot create' <<<"$stderr"
}
