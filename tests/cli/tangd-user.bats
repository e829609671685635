#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd -l, started by root or by somebody else: as whom each of its processes runs, and whose the keys are that it makes.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

# Not in bats's own folder: that one is for root alone, and others must be able to get there.
prepare() {
	[ "$(id -u)" = 0 ] || skip "only root can become somebody else"
	place=$(mktemp -d "${TMPDIR:-/tmp}/tangd-user.XXXXXX")
	chmod 0755 "$place"
	cd "$place" || return 1
	install -d -m 0750 keys
}

teardown() {
	stop "${started[@]}"
	cd /
	[ -z "${place:-}" ] || rm -rf "$place"
}

# serve [OPTION…]: starts the server, ready, with a secret sealed to it in the file `jwe`.
serve() {
	start_tangd keys "$@"
	supervisor=$tangd_pid
	eventually opens_new
}

opens_new() {
	clevis encrypt tang "$(tang_config "$url")" -y <<<secret >jwe 2>/dev/null && opens_jwe
}

opens_jwe() {
	[ "$(clevis decrypt <jwe 2>/dev/null)" = secret ]
}

# is PID UID GID [GROUP…]: real, effective, saved and file system's, supplementary groups; without any right of root's, and without
# any way to one: no capabilities, nobody but root may look into it.
is() {
	local pid=$1 uid=$2 gid=$3 wanted
	shift 3
	wanted=$(printf '%s\n' "Uid: $uid $uid $uid $uid" "Gid: $gid $gid $gid $gid" "Groups: $*" \
		"CapInh: 0000000000000000" "CapPrm: 0000000000000000" "CapEff: 0000000000000000" "CapAmb: 0000000000000000" "NoNewPrivs: 1")
	diff <(echo "$wanted") <(grep -E '^(Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapAmb|NoNewPrivs):' "/proc/$pid/status" | tr -s '\t ' ' ' | sed 's/Groups: *$/Groups: /; s/ $//; s/^Groups:$/Groups: /') &&
		[ "$(stat -c %u "/proc/$pid/mem")" = 0 ]
}

# all_are UID GID [GROUP…]: every process of the server.
all_are() {
	local pid
	[ "$(children front | wc -l)" = 1 ] && [ "$(children keys | wc -l)" = "$(nproc)" ]
	for pid in "$supervisor" $(children front) $(children keys); do is "$pid" "$@" || return 1; done
}

# user_of NAME FIELD: of its entry in the user database.
user_of() {
	getent passwd "$1" | cut -d : -f "$2"
}

@test "a folder of somebody without a name: everything runs as its owner and group, the keys made are theirs" {
	chown 12345:23456 keys
	serve
	lacks root keys.log
	all_are 12345 23456
	[ "$(stat -c '%u:%g %a' keys/*.jwk | uniq)" = '12345:23456 440' ]
}

@test "a folder of somebody without a name, and of root's group: that group is not taken" {
	chown 12345:0 keys
	serve
	all_are 12345 12345
	[ "$(stat -c '%u %a' keys/*.jwk | uniq)" = '12345 440' ]
}

@test "a folder of a user: with the user's groups" {
	local name=daemon
	getent passwd "$name" >/dev/null || skip "no user $name"
	chown "$name:" keys
	serve
	all_are "$(user_of "$name" 3)" "$(user_of "$name" 4)" "$(id -G "$name")"
	[ "$(stat -c '%U %a' keys/*.jwk | uniq)" = "$name 440" ]
}

@test "a folder of root: told, one process stays root, and neither the network nor keys are its business" {
	local pid user=nobody name
	for name in tang _tang; do ! getent passwd "$name" >/dev/null || user=$name; done
	serve
	[ "$(grep -c "tangd: warning: keys belongs to root: one process stays root to read it; give it to a user of its own" keys.log)" = 1 ]
	grep -q '^Uid:	0	0	0	0' "/proc/$supervisor/status"
	[ "$(children front | wc -l)" = 1 ]
	[ "$(children keys | wc -l)" = "$(nproc)" ]
	for pid in $(children front) $(children keys); do
		is "$pid" "$(user_of "$user" 3)" "$(user_of "$user" 4)"
	done
	# The next generation reads as root, too.
	tangd_rotate_keys -d keys
	chown root: keys/* keys/.??*
	chmod 0400 keys/* keys/.??*
	advertises_new() { [ "$(fetch "$url/adv" | signing_thumbprints)" = "$(tang_show_keys keys)" ]; }
	eventually advertises_new
	opens_jwe
	for pid in $(children keys); do grep -q "^Uid:	$(user_of "$user" 3)" "/proc/$pid/status"; done
}

@test "a user that is named counts, whose ever the folder is" {
	getent passwd daemon >/dev/null || skip "no user daemon"
	chown 12345:daemon keys
	chmod 0770 keys
	serve --user=daemon
	all_are "$(user_of daemon 3)" "$(user_of daemon 4)" "$(id -G daemon)"
	lacks 'belongs to root' keys.log
}

@test "users that cannot be" {
	call tangd -l -a 127.0.0.1 -p 0 --user=nosuchuser keys
	fails 1 "there is no user 'nosuchuser'"
	call tangd -l -a 127.0.0.1 -p 0 --user=root keys
	fails 1 "the user 'root' is root"
	call tangd --user=daemon keys
	usage 1
	cp "$TANGD" ./tangd
	chown 12345 keys
	call timeout 20 setpriv --reuid 12345 --regid 12345 --clear-groups ./tangd -l -a 127.0.0.1 -p 0 --user=daemon keys
	fails 1 "only root can become the user 'daemon'"
}

@test "a folder that its owner cannot reach: told, served all the same, and but for one process nobody is root" {
	local pid
	mkdir -m 0700 closed
	chown 12345:23456 keys
	mv keys closed/
	start_tangd closed/keys
	supervisor=$tangd_pid
	eventually opens_new
	[ "$(grep -c 'tangd: warning: closed/keys is out of reach for its owner, the user 12345: one process stays root to read it' closed/keys.log)" = 1 ]
	[ "$(stat -c '%u:%g %a' closed/keys/*.jwk | uniq)" = '12345:23456 440' ]
	[ "$(children front | wc -l)" = 1 ]
	[ "$(children keys | wc -l)" = "$(nproc)" ]
	for pid in $(children front) $(children keys); do is "$pid" 12345 23456; done
}

@test "a folder that the user who is named cannot reach: refused before anybody is served" {
	local daemon
	daemon=$(user_of daemon 3)
	[ -n "$daemon" ] || skip "no user daemon"
	mkdir -m 0700 closed
	mv keys closed/
	call tangd -l -a 127.0.0.1 -p 0 --user=daemon closed/keys
	[ "$status" = 1 ]
	[[ ${stderr_lines[-1]} == *"as the user $daemon: Error calling stat() on path: closed/keys: Permission denied" ]]
}

@test "not started by root: nobody is root, nothing is told of it" {
	cp "$TANGD" ./tangd
	chown 12345:12345 keys
	: >keys.log
	setpriv --reuid 12345 --regid 12345 --groups 23456 ./tangd -l -a 127.0.0.1 -p 0 keys 2>>keys.log 3>&- </dev/null &
	supervisor=$!
	started+=("$supervisor")
	url=http://127.0.0.1:$(wait_for_line keys.log 's/^Listening on .*:\([0-9]*\)$/\1/p' "$supervisor")
	eventually opens_new
	local pid
	for pid in "$supervisor" $(children front) $(children keys); do
		grep -qx 'Uid:	12345	12345	12345	12345' "/proc/$pid/status"
		grep -qx 'Groups:	23456 ' "/proc/$pid/status"
	done
	lacks root keys.log
	lacks warning keys.log
	[ "$(stat -c '%u:%g %a' keys/*.jwk | uniq)" = '12345:12345 440' ]
}

@test "root rotates the keys while the server runs as somebody else" {
	chown 12345:23456 keys
	serve
	tangd_rotate_keys -d keys
	[ "$(stat -c '%u:%g %a' keys/*.jwk keys/.*.jwk | uniq)" = '12345:23456 440' ]
	advertises_new() { [ "$(fetch "$url/adv" | signing_thumbprints)" = "$(tang_show_keys keys)" ]; }
	eventually advertises_new
	opens_jwe
	all_are 12345 23456
}

@test "the one that became somebody else is killed: nobody stays behind" {
	local all
	chown 12345:23456 keys
	serve
	all=$(pgrep -P "$supervisor")
	[ -n "$all" ]
	kill -KILL "$supervisor"
	none_left() {
		local pid
		for pid in $all; do [ ! -e "/proc/$pid/exe" ] || return 1; done
	}
	eventually none_left
}

@test "the one that stays root is killed: those that are somebody else do not stay behind" {
	local all
	serve
	all=$(pgrep -P "$supervisor")
	[ -n "$all" ]
	kill -KILL "$supervisor"
	none_left() {
		local pid
		for pid in $all; do [ ! -e "/proc/$pid/exe" ] || return 1; done
	}
	eventually none_left
}

@test "a port and a UNIX socket for root alone are opened before root is left" {
	chown 12345:12345 keys
	mkdir -m 0755 run
	"$python" -c 'import socket; socket.socket().bind(("127.0.0.1", 79))' 2>/dev/null || skip "port 79 is taken"
	"$TANGD" -l -a 127.0.0.1 -a "$place/run/socket" -p 79 keys 2>log 3>&- </dev/null &
	supervisor=$!
	started+=("$supervisor")
	url=http://127.0.0.1:79
	eventually opens_new
	[ "$(status_of --unix-socket run/socket http://tang/adv)" = 200 ]
	is "$supervisor" 12345 12345
	kill -TERM "$supervisor"
	wait "$supervisor"
	# It may not remove its file any more, and says so; the next one does.
	grep -q "cannot remove '$place/run/socket': Permission denied; the next start replaces it" log
	start_tangd keys -a "$place/run/socket"
	eventually grep -q "^Listening on $place/run/socket" keys.log
}
