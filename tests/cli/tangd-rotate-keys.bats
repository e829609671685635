#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd-rotate-keys: the old keys hidden, new ones in their place, and at no moment none.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

prepare() {
	make_keys keys
	names keys >before
}

@test "the old keys get a dot, a new pair is there, nothing is said" {
	call tangd_rotate_keys -d keys
	succeeds
	says ''
	[ "$(names keys | wc -l)" = 4 ]
	diff <(sed 's/^/./' before) <(names keys | grep '^\.')
	[ "$(advertised keys | wc -l)" = 2 ]
	[ "$(keys_of_alg keys ES512 | wc -l)$(keys_of_alg keys ECMR | wc -l)" = 11 ]
	[ "$(find keys -name '*.jwk' -printf '%m\n' | sort -u)" = 440 ]
}

@test "-v: the lines that scripts know, on standard error" {
	call tangd_rotate_keys -v -d keys
	[ "$status" = 0 ]
	says ''
	{
		sed 's/.*/Disabled advertisement of key & -> .&/' before
		for file in $(keys_of_alg keys ES512) $(keys_of_alg keys ECMR); do echo "Created new key $file"; done
		echo "Keys rotated successfully"
	} | diff - <(echo "$stderr")
}

@test "what was sealed before opens, and clients that trust the old key come to know the new one" {
	start_tangd "$PWD/keys"
	echo plain | clevis encrypt tang "$(tang_config "$url")" -y >jwe
	local old
	old=$(fetch "$url/adv" | signing_thumbprints)
	tangd_rotate_keys -d keys
	[ "$(fetch "$url/adv" | signing_thumbprints)" = "$(keys_of_alg keys ES512 | sed 's/\.jwk$//')" ]
	[ "$(clevis decrypt <jwe)" = plain ]
	[ "$(fetch "$url/adv/$old" | signing_thumbprints)" = "$(keys_of_alg keys ES512 | sed 's/\.jwk$//')" ]
}

@test "a server under load always has keys to advertise, and never makes a pair of its own" {
	start_tangd "$PWD/keys"
	while :; do status_of "$url/adv" && echo; done >statuses 3>&- &
	local asking=$!
	started+=("$asking")
	local i
	for ((i = 0; i < 20; i++)); do tangd_rotate_keys -d keys; done
	enough() { [ "$(grep -c 200 statuses)" -gt 10 ]; }
	eventually enough
	kill "$asking"
	wait "$asking" 2>/dev/null || true
	never grep -v '^200$' <(sed '$d' statuses)
	[ "$(names keys | wc -l)" = 42 ]
}

@test "killed at any moment, it leaves a signing and an exchange key advertised, and loses none" {
	local i
	for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
		timeout -s KILL "0.00$((i % 10))" "$TANGD_ROTATE_KEYS" -d keys 2>/dev/null || true
		[ "$(keys_of_alg keys ES512 | wc -l)" -ge 1 ]
		[ "$(keys_of_alg keys ECMR | wc -l)" -ge 1 ]
		local file
		while read -r file; do [ -f "keys/$file" ] || [ -f "keys/.$file" ]; done <before
	done
	call tangd_rotate_keys -d keys
	succeeds
	[ "$(advertised keys | wc -l)" = 2 ]
}

@test "two at once: one after the other" {
	local i pids=()
	for i in 1 2 3 4 5 6; do
		"$TANGD_ROTATE_KEYS" -d keys 3>&- &
		pids+=("$!")
	done
	for i in "${pids[@]}"; do wait "$i"; done
	[ "$(advertised keys | wc -l)" = 2 ]
	[ "$(names keys | wc -l)" = 14 ]
}

@test "a hidden file that is there already: told, and nothing is changed" {
	local file
	file=$(head -n 1 before)
	echo precious >"keys/.$file"
	names keys >before
	call tangd_rotate_keys -v -d keys
	fails 1 "keys: cannot hide '$file': '.$file' is there already; nothing was changed"
	[ "$(<"keys/.$file")" = precious ]
	diff before <(names keys)
}

@test "no keys yet: a pair" {
	mkdir empty
	call tangd_rotate_keys -d empty
	succeeds
	[ "$(names empty | wc -l)" = 2 ]
}

@test "--curve" {
	call tangd_rotate_keys -d keys --curve=P-256
	succeeds
	[ "$(keys_of_alg keys ES256 | wc -l)" = 1 ]
	grep -q '"crv":"P-256"' "keys/$(keys_of_alg keys ECMR)"
	names keys >before
	call tangd_rotate_keys -d keys --curve=P-1
	usage 1 "no keys are made on the curve 'P-1'"
	diff before <(names keys)
}

@test "-h: the usage, exit 0; what it does not know: the usage, exit 1" {
	call tangd_rotate_keys -h
	usage 0 'Usage: tangd-rotate-keys'
	call tangd_rotate_keys -d keys more
	usage 1
	call tangd_rotate_keys -x -d keys
	usage 1
	call tangd_rotate_keys -d
	usage 1
	diff before <(names keys)
}

@test "no such folder, or no folder" {
	call tangd_rotate_keys -d nope
	fails 1 "cannot open the folder 'nope': No such file or directory"
	call tangd_rotate_keys -d before
	fails 1 "cannot open the folder 'before': Not a directory"
}

@test "without -d: /var/lib/tang" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	# shellcheck disable=SC2016
	call unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs small /var/lib || exit 77
mkdir /var/lib/tang && cp keys/* /var/lib/tang && "$TANGD_ROTATE_KEYS" && ls -A /var/lib/tang | wc -l'
	[ "$status" != 77 ] || skip "cannot mount"
	succeeds
	says 4
}

@test "a full disk changes nothing" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	mkdir small
	# shellcheck disable=SC2016
	call unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o nr_inodes=4 small small 2>/dev/null || exit 77
cp keys/* small; "$TANGD_ROTATE_KEYS" -d small; status=$?; ls -A small | diff - before >&2; exit $status'
	[ "$status" != 77 ] || skip "cannot mount"
	fails 1 'small: '
}

@test "root's new keys belong to the folder's owner, who must read them" {
	[ "$(id -u)" = 0 ] || skip "not root"
	chown 12345:12346 keys
	call tangd_rotate_keys -d keys
	succeeds
	[ "$(cd keys && stat -c %u:%g ./*.jwk | sort -u)" = 12345:12346 ]
}
