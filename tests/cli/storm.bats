#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# bench/storm, small: that what measures our server works, and sees what goes wrong.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
}

storm() {
	timeout -k 1 40 "$STORM" "$@"
}

# tells NAME NUMBER…: storm printed these.
tells() {
	while [ $# -gt 1 ]; do
		grep -qx "$1 $2" <<<"$output" || { show_result && echo "expected: $1 $2" && return 1; }
		shift 2
	done
}

# start_activate COMMAND…: sets url.
start_activate() {
	"$ACTIVATE" "$@" >/dev/null 2>activate.log 3>&- </dev/null &
	started+=("$!")
	url=http://127.0.0.1:$(wait_for_line activate.log 's/^Listening on .*:\([0-9]*\)$/\1/p' "$!")
}

@test "50 nodes at once: each gets its key" {
	call storm boot -n 50 "$url"
	succeeds
	tells answers 50 status_200 50 refused 0 reset 0 closed 0 timed_out 0 wrong 0 nodes_told 0 unanswered 0
}

@test "50 nodes at once, a process a connection: each gets its key" {
	start_activate "$TANGD" "$keys"
	call storm boot -n 50 "$url"
	succeeds
	tells answers 50 refused 0 reset 0 closed 0 timed_out 0 wrong 0 unanswered 0
}

@test "one question after another: recoveries on fresh connections, advertisements on one a node" {
	start_tangd "$keys"
	for option in -f -a; do
		call storm load "$option" -n 4 -s 1 -p "$tangd_pid" "$url"
		succeeds
		tells refused 0 reset 0 closed 0 timed_out 0 malformed 0 wrong 0
		grep -qxE 'answers [1-9][0-9]{2,}' <<<"$output"
		grep -qx 'cpu_ms [1-9][0-9]*' <<<"$output"
	done
	[ "$(grep -c '127\.1\.0\.4 POST' "$keys.log")" -gt 1 ] # nodes have addresses of their own
}

@test "nodes that stay: how many connections the server holds, and what it takes" {
	start_tangd "$keys"
	call storm idle -n 20 -p "$tangd_pid" "$url"
	succeeds
	tells answers 20 open 20 open_processes "$(($(nproc) + 2))"
	grep -qxE 'open_memory_kb [1-9][0-9]{3,}' <<<"$output"
}

@test "nodes that are told to come back later do not come back earlier" {
	start_badserver busy "$adv"
	call storm boot -n 5 -s 3 "$url"
	[ "$status" = 1 ]
	tells answers 0 status_503 5 nodes_told 5 unanswered 5
}

@test "a wrong point is no answer" {
	start_badserver wrong_point "$adv"
	call storm boot -n 1 -s 1 "$url"
	[ "$status" = 1 ]
	tells answers 0 unanswered 1
	grep -qx 'wrong [1-9][0-9]*' <<<"$output"
}

@test "a server that hangs up on its clients" {
	start_badserver close "$adv"
	call storm boot -n 1 -s 1 "$url"
	[ "$status" = 1 ]
	tells answers 0 unanswered 1 refused 0
	grep -qxE '(closed|reset) [1-9][0-9]*' <<<"$output"
}

@test "a socket unit past systemd's limits: it fails, or makes its clients wait" {
	start_activate -l fail "$TANGD" "$keys"
	call storm boot -n 250 -s 2 "$url"
	[ "$status" = 1 ]
	grep -q failed activate.log
	grep -qx 'refused [1-9][0-9]*' <<<"$output"
	start_activate -l pause "$TANGD" "$keys"
	call storm load -f -n 4 -s 3 "$url"
	succeeds
	tells refused 0 reset 0 closed 0
	[ "$(sed -n 's/^answers //p' <<<"$output")" -lt 320 ]
}

@test "the report says what is met of our aims" {
	STORM_NODES=50 STORM_SECONDS=1 STORM_THEIRS=/nowhere call "$lib/../../bench/storm/report" "$STORM" "$ACTIVATE" "$TANGD"
	succeeds
	grep -qE '^recoveries, fresh .* lost: none$' <<<"$output"
	grep -qE '^nodes at once: answered 200 +>= +50 +50  met$' <<<"$output"
	grep -qE '^idle: connections open +>= +50 +50  met$' <<<"$output"
	[ "$(grep -cE '^ours, -l +50 of 50 open, [0-9.]+ MiB.*, [0-9.]+ KiB a connection' <<<"$output")" = 2 ]
	grep -qE '^half a request each: MiB +<= +64 +[0-9.]+  (not )?met$' <<<"$output"
	grep -qE '^recoveries, fresh: times theirs, -l +>= +4 +-  not measured$' <<<"$output"
}

@test "nobody there, or a strange command: exit 1 and 2" {
	call storm boot "http://127.0.0.1:$(closed_port)"
	fails 1 'connection refused'
	call storm
	usage 2
	call storm boot
	usage 2
	call storm boot -n 0 "$url"
	usage 2
}
