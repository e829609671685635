#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd -l: several addresses, and UNIX sockets: their files, and what stood there before.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

prepare() {
	make_keys keys
}

# listens OPTION…: a server that listens as the options say, ready; its log is `log`.
listens() {
	: >log
	"$TANGD" -l "$@" keys >/dev/null 2>>log 3>&- </dev/null &
	tangd_pid=$!
	started+=("$tangd_pid")
	wait_for_line log '/^Listening on/p' "$tangd_pid" >/dev/null
}

# answers PATH: a server answers on that UNIX socket.
answers() {
	[ "$(status_of --unix-socket "$1" http://tang/adv)" = 200 ]
}

@test "a UNIX socket: serves, for everybody whatever the umask, and its file goes with the server" {
	local mask
	for mask in 000 077; do
		umask "$mask"
		listens -a "$PWD/socket"
		umask 022
		grep -qxF "Listening on $PWD/socket" log
		answers socket
		[ "$(stat -c '%F %a' socket)" = 'socket 666' ]
		kill -TERM "$tangd_pid"
		wait "$tangd_pid"
		[ ! -e socket ]
		grep -qx 'unix GET /adv => 200' log
	done
}

@test "UNIX sockets and hosts together, all on the one port" {
	port=$(closed_port)
	listens -a "$PWD/one" -a 127.0.0.1 -a "unix:$PWD/two" -a 127.0.0.2 -p "$port"
	printf 'Listening on %s\n' "$PWD/one" "127.0.0.1:$port" "$PWD/two" "127.0.0.2:$port" >expected
	diff expected <(head -n 4 log)
	answers one
	answers two
	[ "$(status_of "http://127.0.0.1:$port/adv")" = 200 ]
	[ "$(status_of "http://127.0.0.2:$port/adv")" = 200 ]
	[ "$(status_of "http://127.0.0.3:$port/adv")" = 000 ]
	kill -TERM "$tangd_pid"
	wait "$tangd_pid"
	[ ! -e one ]
	[ ! -e two ]
}

@test "eight sockets, and no more" {
	local i options=()
	for i in {1..8}; do options+=(-a "$PWD/$i"); done
	listens "${options[@]}"
	for i in {1..8}; do answers "$i"; done
	stop "$tangd_pid"
	call tangd -l "${options[@]}" -a "$PWD/9" keys
	usage 1 'more than 8 addresses'
	for i in {1..9}; do [ ! -e "$i" ]; done
}

@test "a name that stands for one address too many" {
	local i options=()
	for i in {1..7}; do options+=(-a "$PWD/$i"); done
	[ "$(getent ahosts localhost | awk '{ print $1 }' | sort -u | wc -l)" = 2 ] || skip "localhost has one address here"
	call tangd -l "${options[@]}" -a localhost -p 0 keys
	fails 255 'cannot listen on more than 8 sockets'
	for i in {1..7}; do [ ! -e "$i" ]; done
}

@test "a file of a server that was killed is replaced; one where a server listens is not" {
	listens -a "$PWD/socket"
	kill -KILL "$tangd_pid"
	wait "$tangd_pid" || true
	[ -S socket ]
	never answers socket
	listens -a "$PWD/socket"
	answers socket
	call tangd -l -a "$PWD/other" -a "$PWD/socket" keys
	fails 255 "cannot listen on '$PWD/socket': another process listens there"
	[ ! -e other ]
	answers socket
}

@test "what stands there and is no socket is not touched, a link to a socket file neither" {
	local name
	echo precious >file
	mkdir folder
	listens -a "$PWD/socket"
	kill -KILL "$tangd_pid"
	wait "$tangd_pid" || true
	ln -s socket link
	for name in file folder link; do
		call tangd -l -a "$PWD/$name" keys
		fails 255 "cannot listen on '$PWD/$name': it is there, and no socket"
	done
	[ "$(<file)" = precious ]
	[ -d folder ]
	[ -L link ]
	[ -S socket ]
}

@test "a file that is another server's by now is not removed" {
	listens -a "$PWD/socket"
	local first=$tangd_pid
	mv socket aside
	listens -a "$PWD/socket"
	kill -TERM "$first"
	wait "$first"
	answers socket
	[ -S aside ]
}

@test "paths that cannot be" {
	local long
	long=/$(printf 'a%.0s' {1..107})
	call tangd -l -a "$long" keys
	fails 255 "cannot listen on '$long': the path of a socket has 107 bytes at most"
	call tangd -l -a "$PWD/none/socket" keys
	fails 255 "cannot listen on '$PWD/none/socket': No such file or directory"
	call tangd -l -a unix: keys
	fails 255 "cannot listen on 'unix:'"
}

@test "handed over by a service manager: UNIX sockets are served, and their files are not ours to remove" {
	"$python" - "$TANGD" -l "$PWD/keys" <<-'END' 3>&- 2>log &
		import os, socket, sys
		listening = socket.socket(socket.AF_UNIX)
		listening.bind("socket")
		listening.listen(64)
		os.dup2(listening.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
		os.execv(sys.argv[1], sys.argv[1:])
	END
	tangd_pid=$!
	started+=("$tangd_pid")
	eventually answers socket
	kill -TERM "$tangd_pid"
	wait "$tangd_pid"
	grep -qx 'unix GET /adv => 200' log
	[ -S socket ]
}

@test "pipes are no UNIX socket to the log" {
	tangd keys <<<$'GET /adv HTTP/1.0\r\n\r' 2>log >answer
	grep -qx '<unknown> GET /adv => 200' log
}
