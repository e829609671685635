#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the server tells of itself: the admin process, the state folder, tangctl status and tangctl keys.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

prepare() {
	unset RUNTIME_DIRECTORY STATE_DIRECTORY
	make_keys keys
	mkdir state
}

# start_telling [OPTION…]: a server with an admin socket and a state folder.
start_telling() {
	start_tangd keys --admin "$PWD/admin.sock" --state "$PWD/state" "$@"
	supervisor=${started[-1]}
	wait_for_line keys.log '/^Admin on /p' "$supervisor" >admin_line
}

admin() { # CURL ARGUMENT…
	fetch --unix-socket admin.sock "$@"
}

seal() {
	clevis encrypt tang "$(tang_config "$url")" -y <<<plain >jwe
}

opens_jwe() {
	[ "$(clevis decrypt <jwe)" = plain ]
}

thumbprint_of() { # USE
	tangctl keys --admin admin.sock --json | json 'print(*(k["thumbprint"] for k in j if k["use"] == sys.argv[2] and k["state"] == sys.argv[3]))' "$1" "${2:-active}"
}

# uses USE [STATE]: how often these keys were used.
uses() {
	tangctl keys --admin "$PWD/admin.sock" --json | json 'print(sum(k["times"] for k in j if k["use"] == sys.argv[2] and k["state"] == sys.argv[3]))' "$1" "${2:-active}"
}

uses_are() { # USE STATE N
	[ "$(uses "$1" "$2")" = "$3" ]
}

# metric TEXT: the value of that sample.
metric() {
	admin http://localhost/metrics | sed -n "s/^$1 //p"
}

metric_is() { # TEXT N
	[ "$(metric "$1")" = "$2" ]
}

# is_prometheus: standard input is text that Prometheus reads: each family is told of once, before its samples, and no sample stands twice.
is_prometheus() {
	"$python" -c 'import re, sys
families, seen, family, buckets = {}, set(), None, {}
for line in sys.stdin.read().splitlines():
    told = re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line)
    if told:
        kind, family, rest = told.groups()
        assert (family, kind) not in families, line
        families[family, kind] = rest
        continue
    sample = re.fullmatch(r"([a-z_]+)(\{[a-z]+=\"[^\"\\]*\"(,[a-z]+=\"[^\"\\]*\")*\})? ([0-9.eE+-]+|[+]Inf)", line)
    assert sample, line
    name, labels = sample[1], sample[2] or ""
    kind = families[family, "TYPE"]
    assert (family, "HELP") in families and name in ([family] if kind != "histogram" else [family + "_bucket", family + "_sum", family + "_count"]), line
    assert (name, labels) not in seen, line
    seen.add((name, labels))
    assert float(sample[4]) >= 0
    if name.endswith("_bucket"):
        of = re.sub(r",le=\"[^\"]*\"", "", labels)
        assert float(sample[4]) >= buckets.get(of, 0), line
        buckets[of] = float(sample[4])
    if name.endswith("_count"):
        assert buckets[labels] == float(sample[4]), line
assert len(seen) > 50'
}

@test "requests are counted by kind and status, with the time they took, as Prometheus reads it" {
	start_telling
	seal
	opens_jwe
	opens_jwe
	[ "$(status_of "$url/adv/x")" = 404 ]
	[ "$(status_of "$url/nothing")" = 404 ]
	[ "$(status_of -d '{' "$url/rec/x")" = 400 ]
	[ "$(status_of -X PUT "$url/adv")" = 405 ]
	admin -i http://localhost/metrics >answer
	grep -q '^HTTP/1.1 200' answer
	grep -qi '^Content-Type: text/plain; version=0.0.4' answer
	admin http://localhost/metrics | is_prometheus
	metric_is 'tangd_requests_total{kind="advertisement",status="200"}' 1
	metric_is 'tangd_requests_total{kind="advertisement",status="404"}' 1
	metric_is 'tangd_requests_total{kind="recovery",status="200"}' 2
	metric_is 'tangd_requests_total{kind="recovery",status="400"}' 1
	metric_is 'tangd_requests_total{kind="other",status="404"}' 1
	metric_is 'tangd_requests_total{kind="other",status="405"}' 1
	metric_is 'tangd_request_duration_seconds_count{kind="recovery"}' 3
	metric_is tangd_up 1
}

@test "each key's uses: recoveries of an exchange key, advertisements by a signing key's thumbprint" {
	start_telling
	seal
	for _ in 1 2 3; do opens_jwe; done
	fetch "$url/adv" >/dev/null
	fetch "$url/adv/$(thumbprint_of signing)" >/dev/null
	eventually uses_are exchange active 3
	eventually uses_are signing active 1
	metric_is "tangd_key_uses_total{key=\"$(thumbprint_of exchange)\",use=\"exchange\"}" 3
	local last now
	last=$(metric "tangd_key_last_use_timestamp_seconds{key=\"$(thumbprint_of exchange)\",use=\"exchange\"}")
	now=$(date +%s)
	[ "$last" -le "$now" ]
	[ "$last" -gt $((now - 60)) ]
}

@test "a rotated key is told from an active one, and its uses go on: what says when it is needed no more" {
	start_telling
	seal
	opens_jwe
	eventually uses_are exchange active 1
	tangd_rotate_keys -d keys
	eventually uses_are exchange rotated 1
	uses_are exchange active 0
	opens_jwe
	eventually uses_are exchange rotated 2
	[ "$(metric "tangd_key_active{key=\"$(thumbprint_of exchange rotated)\",use=\"exchange\"}")" = 0 ]
	call tangctl keys --admin admin.sock
	succeeds
	[[ ${lines[0]} == KEY*USE*STATE*TIMES*LAST\ USED ]]
	[ "$(grep -c ' exchange  rotated  *2  20' <<<"$output")" = 1 ]
	[ "$(grep -c ' exchange  active  *0  never' <<<"$output")" = 1 ]
	[ "$(wc -l <<<"$output")" = 5 ]
}

@test "the uses outlive the server: an orderly end, and a kill after they were written" {
	start_telling
	seal
	opens_jwe
	stop "$supervisor"
	[ "$(json 'print(sum(k["times"] for k in j["keys"].values()), j["served"])' <state/state.json)" = '1 True' ]
	[ "$(stat -c %a state/state.json)" = 640 ]
	start_telling
	seal
	opens_jwe
	eventually uses_are exchange active 2
	has_both() { [ "$(json 'print(sum(k["times"] for k in j["keys"].values()))' <state/state.json)" = 2 ]; }
	eventually has_both
	kill -KILL "$supervisor"
	gone() { [ ! -e admin.sock ] || ! admin http://localhost/healthz >/dev/null; }
	eventually gone
	start_telling
	eventually uses_are exchange active 2
}

@test "keys were served, and none is there: no start, and no new identity" {
	start_telling
	stop "$supervisor"
	rm keys/*.jwk
	call tangd -l -a 127.0.0.1 -p 0 --state state keys
	[ "$status" = 1 ]
	[[ ${stderr_lines[-1]} == *"the folder 'keys' has lost its keys: bring them back ('tangctl restore'), or make a new pair, to which nothing is bound, with tangd-keygen" ]]
	[ -z "$(ls -A keys)" ]
	# A person may mean it.
	"$TANGD_KEYGEN" keys
	start_telling
	[ "$(status_of "$url/adv")" = 200 ]
}

@test "keys were served, and hidden ones are there: a new pair beside them, as ever" {
	start_telling
	stop "$supervisor"
	local key
	for key in keys/*.jwk; do mv "$key" "keys/.${key#keys/}"; done
	start_telling
	[ "$(status_of "$url/adv")" = 200 ]
	[ "$(names keys | wc -l)" = 4 ]
}

@test "without a state folder the first start makes a pair, as ever" {
	rm keys/*.jwk
	start_tangd keys
	[ "$(status_of "$url/adv")" = 200 ]
	[ "$(names keys | wc -l)" = 2 ]
}

@test "a damaged state: told, counted anew, and no new identity all the same" {
	local text
	for text in '' '{' '[]' '{"format":"other","version":1,"keys":{}}' '{"format":"nbde-tangd-state","version":1,"keys":{"a":{"times":-1}}}'; do
		echo "$text" >state/state.json
		start_telling
		grep -q "warning: $PWD/state/state.json is damaged: the keys' uses are counted anew" keys.log
		uses_are exchange active 0
		stop "$supervisor"
		[ "$(json 'print(j["served"])' <state/state.json)" = True ]
	done
	rm keys/*.jwk
	echo broken >state/state.json
	call tangd -l -a 127.0.0.1 -p 0 --state state keys
	[ "$status" = 1 ]
	[[ $stderr == *"has lost its keys"* ]]
}

@test "two servers do not count in one folder; and one that cannot be opened is named" {
	start_telling
	call tangd -l -a 127.0.0.1 -p 0 --state state keys
	[ "$status" = 1 ]
	[[ $stderr == *"the state folder 'state' is another server's; name one for this one with --state"* ]]
	call tangd -l -a 127.0.0.1 -p 0 --state nope keys
	[ "$status" = 1 ]
	[[ $stderr == *"cannot open the state folder 'nope': No such file or directory"* ]]
}

@test "a full disk under the state: told once, served on, and written when there is room" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	# shellcheck disable=SC2016
	unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=4k,nr_inodes=3 small state 2>/dev/null || exit 77
		dd if=/dev/zero of=state/full bs=4k count=1 2>/dev/null
		exec "$TANGD" -l -a 127.0.0.1 -p 0 --admin "$PWD/admin.sock" --state "$PWD/state" keys' 2>keys.log 3>&- &
	supervisor=$!
	started+=("$supervisor")
	port=$(wait_for_line keys.log 's/^Listening on .*:\([0-9]*\)$/\1/p' "$supervisor") || skip "cannot mount"
	url=http://127.0.0.1:$port
	wait_for_line keys.log '/^Admin on /p' "$supervisor" >/dev/null
	seal
	opens_jwe
	eventually uses_are exchange active 1
	fails_to_keep() { metric_is tangd_state_failed 1; }
	eventually fails_to_keep
	tangctl status --admin admin.sock | grep -q 'WARNING: the state cannot be written'
	[ "$(grep -c 'cannot keep the state: .*No space left on device' keys.log)" = 1 ]
	rm "/proc/$supervisor/root$PWD/state/full"
	kept() { metric_is tangd_state_failed 0; }
	eventually kept
	opens_jwe
	[ "$(grep -c 'cannot keep the state' keys.log)" = 1 ]
	stop "$supervisor"
}

@test "healthz: ok while keys are in service, and what is wrong else" {
	start_telling
	seal
	[ "$(admin http://localhost/healthz)" = ok ]
	[ "$(admin -o /dev/null -w '%{http_code}' http://localhost/healthz)" = 200 ]
	[ "$(admin -I -o /dev/null -w '%{http_code}' http://localhost/healthz)" = 200 ]
	# The supervisor cannot start new ones.
	kill -STOP "$supervisor"
	# shellcheck disable=SC2046 # ids
	kill -KILL $(children keys)
	kill -CONT "$supervisor"
	for _ in {1..400}; do
		admin -w ' %{http_code}\n' http://localhost/healthz
	done >healths
	eventually opens_jwe
	[ "$(admin http://localhost/healthz)" = ok ]
	never grep -v '^ok 200$\|^no keys are in service 503$' healths
}

@test "status: for a person, and for a program" {
	start_telling --fronts 2
	seal
	opens_jwe
	eventually uses_are exchange active 1
	call tangctl status --admin admin.sock
	succeeds
	[[ ${lines[0]} == "tangd "*", keys of $PWD/keys, since 20"*" s)" ]]
	[ "${lines[1]}" = serving ]
	grep -qx '  front          2 (0 died)' <<<"$output"
	grep -qx '  recovery       1 × 200' <<<"$output"
	grep -qx '  other          none' <<<"$output"
	if ! is_sanitized "$TANGD"; then
		[ "$(grep -c '^  \(front\|keys\|admin\)  *.*seccomp, .*no_new_privs, not dumpable' <<<"$output")" = 3 ]
	fi
	tangctl status --admin "unix:$PWD/admin.sock" --json | json 'assert j["serving"] is True and j["state"] == "kept" and j["requests"]["recovery"] == {"200": 1}, j
assert set(j["sandbox"]) == {"front", "keys", "admin"} and len(j["keys"]) == 2 and j["processes"]["front"] == {"there": 2, "died": 0}, j'
}

@test "the sandbox of the keys processes stays told while the keys change" {
	! is_sanitized "$TANGD" || skip "a sanitized build has no sandbox"
	start_telling
	local before
	told() { tangctl status --admin admin.sock | grep -q '^  keys  .*seccomp, .*not dumpable'; }
	newer() { [ "$(metric tangd_generations_total)" -gt "$before" ]; }
	eventually told
	for _ in 1 2 3; do
		before=$(metric tangd_generations_total)
		tangd_rotate_keys -d keys
		eventually newer
		told
	done
}

@test "the sandbox that is told is the one that the kernel tells" {
	! is_sanitized "$TANGD" || skip "a sanitized build has no sandbox"
	start_telling
	local name pid
	told() { tangctl status --admin admin.sock --json | json 'assert "seccomp" in j["sandbox"][sys.argv[2]]["in_force"], j' "$name"; }
	for name in front keys admin; do
		# It is told as soon as it is in force.
		eventually told 2>/dev/null
		pid=$(children "$name" | head -n 1)
		grep -qx 'Seccomp:	2' "/proc/$pid/status"
		grep -qx 'NoNewPrivs:	1' "/proc/$pid/status"
	done
}

@test "the public address tells none of it, and the admin address nothing else" {
	start_telling
	local path
	for path in /metrics /status /healthz; do
		[ "$(status_of "$url$path")" = 404 ]
	done
	[ "$(admin -o /dev/null -w '%{http_code}' http://localhost/adv)" = 404 ]
	[ "$(admin -o /dev/null -w '%{http_code}' -X POST -d x http://localhost/status)" = 405 ]
	[ "$(admin -o /dev/null -w '%{http_code}' http://localhost/status/)" = 404 ]
}

@test "without --admin, no admin process; under a service manager, a socket in its folder for the user and the group" {
	start_tangd keys
	supervisor=${started[-1]}
	[ -z "$(children admin)" ]
	never grep -q 'Admin on' keys.log
	stop "$supervisor"
	mkdir run
	# Several, as after `StateDirectory=` in a drop-in: the first.
	RUNTIME_DIRECTORY=$PWD/run:$PWD/keys STATE_DIRECTORY=$PWD/state:$PWD/keys start_tangd keys
	supervisor=${started[-1]}
	wait_for_line keys.log '/^Admin on /p' "$supervisor" >admin_line
	[ "$(<admin_line)" = "Admin on $PWD/run/admin.sock" ]
	[ "$(stat -c %a run/admin.sock)" = 660 ]
	tangctl status --admin run/admin.sock >/dev/null
	[ -e state/state.json ]
	stop "$supervisor"
	[ ! -e run/admin.sock ]
	RUNTIME_DIRECTORY=$PWD/run start_tangd keys --admin none
	supervisor=${started[-1]}
	[ -z "$(children admin)" ]
}

@test "an admin address on the loopback; one that others reach is warned of" {
	start_tangd keys --admin 127.0.0.1:0
	supervisor=${started[-1]}
	local address
	address=$(wait_for_line keys.log 's/^Admin on //p' "$supervisor")
	tangctl status --admin "$address" >/dev/null
	[ "$(status_of "http://$address/healthz")" = 200 ]
	never grep -q 'learns how the server is' keys.log
	stop "$supervisor"
	start_tangd keys --admin 0.0.0.0:0
	supervisor=${started[-1]}
	wait_for_line keys.log '/learns how the server is/p' "$supervisor" | grep -q 'warning: 0.0.0.0:0: '
}

@test "bad options: a line, and no server" {
	call tangd -l -a 127.0.0.1 -p 0 --admin nowhere keys
	[ "$status" = 255 ]
	[[ $stderr == *"'nowhere' is no address for the admin process: it is /PATH, unix:PATH or HOST:PORT"* ]]
	local port
	for port in 65536 99999999999999999999 8x; do
		call tangd -l -a 127.0.0.1 -p 0 --admin "127.0.0.1:$port" keys
		[ "$status" = 255 ]
		[[ $stderr == *"'127.0.0.1:$port' is no address for the admin process"* ]]
	done
	call tangd -l --fronts 0 keys
	usage 1 "'0' is no number of fronts (1 … 16)"
	call tangd -l --workers x keys
	usage 1 "'x' is no number of keys processes (1 … 64)"
	call tangctl status --admin nope
	fails 1 "no server tells how it is on 'nope': is tangd running, with --admin?"
	call tangctl keys more
	usage 1 'Usage: tangctl keys'
	call tangctl status --help
	succeeds
	[[ $output == 'Usage: tangctl status'* ]]
}

@test "tangctl against something else: a line" {
	start_badserver garbage
	call tangctl status --admin "127.0.0.1:$port"
	[ "$status" = 1 ]
	[ -z "$output" ]
	[ "${#stderr_lines[@]}" = 1 ]
}

@test "tangctl against somebody who wants to write on the terminal: text, and no more" {
	start_badserver hostile_status
	local form
	for form in status keys 'status --json' 'keys --json'; do
		# shellcheck disable=SC2086 # words
		call tangctl $form --admin "127.0.0.1:$port"
		[[ $output == *'a?]0;owned?b'* ]]
		never grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2\x9b|\xe2\x80\xae' <<<"$output"
	done
}

@test "an admin process that dies is told and started again, and nothing else notices" {
	start_telling
	seal
	kill -KILL "$(children admin)"
	told() { grep -q 'the admin process ended (signal 9); it is started again' keys.log; }
	eventually told
	again() { tangctl status --admin admin.sock >/dev/null 2>&1; }
	eventually again
	metric_is 'tangd_processes_died_total{process="admin"}' 1
	tangctl status --admin admin.sock >answered
	grep -qx '  admin          1 (1 died)' answered
	opens_jwe
}

@test "several fronts: all of them serve, and what they counted outlives them" {
	start_telling --fronts 3 --workers 1
	[ "$(children front | wc -l)" = 3 ]
	[ "$(children keys | wc -l)" = 1 ]
	for _ in {1..30}; do [ "$(status_of "$url/adv")" = 200 ]; done
	metric_is 'tangd_requests_total{kind="advertisement",status="200"}' 30
	# shellcheck disable=SC2046 # ids
	kill -KILL $(children front)
	three() { [ "$(children front | wc -l)" = 3 ] && [ "$(status_of "$url/adv")" = 200 ]; }
	eventually three
	[ "$(metric 'tangd_requests_total{kind="advertisement",status="200"}')" -ge 31 ]
	died() { metric_is 'tangd_processes_died_total{process="front"}' 3; }
	eventually died
}

@test "the first request long after the keys changed waits for nothing" {
	start_telling
	fetch "$url/adv" >/dev/null
	"$TANGD_KEYGEN" keys sig exc
	generations_are() { [ "$(metric tangd_generations_total)" -ge "$1" ]; }
	eventually generations_are 2
	sleep 1.2 # longer than a request waits for new keys
	fetch "$url/adv" >/dev/null
	metric_is 'tangd_request_duration_seconds_bucket{kind="advertisement",le="0.5"}' 2
}
