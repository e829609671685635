#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What befalls the key server, and how it is afterwards: see faults.py. What happens to one of its processes at rest: tangd-daemon.bats.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

# withstands CASE: of faults.py.
withstands() {
	local status=0
	timeout -k 1 120 "$python" "$lib/faults.py" "$1" 2>&1 || status=$?
	[ "$status" != 77 ] || skip "cannot be tried here"
	return "$status"
}

@test "thousands of connections that have begun and do not go on, slow readers and writers: others are served" { withstands half_open; }
@test "garbage, oversized, pipelined, truncated: HTTP is answered, and each connection ends" { withstands garbage; }
@test "keys changed thousands of times under load: no request fails" { withstands keys_change; }
@test "a folder that has lost its keys, and the death of a keys process: the others serve on" { withstands empty_folder_and_a_death; }
@test "a front and each keys process killed under load: what comes later is answered, and it backs off" { withstands killed; }
@test "a keys process that stands still for two seconds: another one takes its work" { withstands stopped; }
@test "a front that stands still and keeps its keys processes: new keys all the same, and the old ones end" { withstands front_hoards; }
@test "told to end in the middle of it all: exit 0, and none of the processes crashes" { withstands ended; }
@test "64 descriptors: told to come again, or waits; nobody spins" { withstands few_descriptors; }
@test "more keys than can be read, and changes again and again: the last ones serve, and nobody spins" { withstands too_many_keys; }
@test "64 descriptors for two sockets: there is room for new keys" { withstands few_descriptors_for_two; }
@test "large bodies on many connections: memory has a bound, and who sends the usual is answered" { withstands large_bodies; }
@test "somebody holds connections of the admin process: it answers others" { withstands admin_held; }
@test "files that whoever starts it has open are closed" { withstands inherited; }

@test "a full disk when the first keys are to be made: told, and made when there is room" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	local status=0
	# shellcheck disable=SC2016
	unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; exec "$@"' bash \
		timeout -k 1 120 "$python" "$lib/faults.py" disk_full 2>&1 || status=$?
	[ "$status" != 77 ] || skip "cannot mount"
	[ "$status" = 0 ]
}

# --- A library that has been updated -------------------------------------------------------------------------------------------------

: "${TANGD_UNKNOWN_CALL_RELEASED:=$top/build/tests/planted/tangd-unknown-call-released}"
: "${TANGD_UNKNOWN_CALL_KILLS:=$top/build/tests/planted/tangd-unknown-call-kills}"

# ask_again: the server at $url, ten times.
ask_again() {
	local _
	for _ in {1..10}; do
		[ "$(status_of "$url/adv")$(clevis decrypt <jwe 2>&1)" = 200secret ] || return 1
	done
}

seal_beforehand() {
	! is_sanitized "$TANGD" || skip "a build with sanitizers has no sandbox"
	make_keys keys
	start_tangd keys
	local at=$port
	clevis encrypt tang "$(tang_config "$url")" -y <<<secret >jwe
	stop "$tangd_pid"
	listen_at=$at
}

@test "a system call that the sandbox does not know: it is not there, and the server serves" {
	seal_beforehand
	TANGD=$TANGD_UNKNOWN_CALL_RELEASED start_tangd keys -p "$listen_at"
	ask_again
	lacks ' ended (' keys.log
}

told_three_times() {
	[ "$(grep -c 'a front ended (signal 31); it is started again' keys.log)" = 3 ]
}

@test "the same where such a call ends the process: told, with longer and longer pauses, and the server goes on" {
	seal_beforehand
	TANGD=$TANGD_UNKNOWN_CALL_KILLS start_tangd keys -p "$listen_at"
	local start=$EPOCHREALTIME _
	for _ in 1 2 3; do [ "$(status_of "$url/adv")" != 200 ]; done
	# Each but the first waited for the next front: 0.1 s, 0.2 s.
	never took_less_than 0.3 "$start"
	eventually told_three_times
	kill -0 "$tangd_pid"
	eventually pgrep -P "$tangd_pid" -x tangd-front
}
