#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Our clevis and theirs, with their tangd.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

prepare() {
	needs_their /usr/libexec/tangd
	make_their_keys keys
	start_their_tangd "$PWD/keys"
	fetch "$url/adv" >adv
	config=$(tang_config "$url")
	printf 'short\0and \xff binary\n\n' >plain
}

@test "ours seals and opens" {
	clevis encrypt tang "$config" -y <plain >jwe
	call clevis decrypt <jwe
	[ "$status" = 0 ]
	[ -z "$stderr" ]
	clevis decrypt <jwe | cmp - plain
}

@test "thp in all five hashes, adv as a file and inline" {
	local hash
	for hash in sha256 sha1 sha224 sha384 sha512; do
		clevis_alone encrypt tang "$(tang_config "$url" "\"thp\":\"$(signing_thumbprints $hash <adv)\"")" <plain >jwe
		clevis decrypt <jwe | cmp - plain
	done
	clevis_alone encrypt tang "$(tang_config "$url" '"adv":"adv"')" <plain >jwe
	clevis decrypt <jwe | cmp - plain
	clevis_alone encrypt tang "$(tang_config "$url" "\"adv\":$(cat adv)")" <plain >jwe
	clevis decrypt <jwe | cmp - plain
}

@test "several signing keys, and rotated ones" {
	make_their_keys keys
	clevis encrypt tang "$config" -y <plain >jwe
	local file
	for file in keys/*.jwk; do mv "$file" "keys/.$(basename "$file")"; done
	make_their_keys keys
	clevis decrypt <jwe | cmp - plain
}

@test "theirs seals, ours opens, and the reverse" {
	needs_their /usr/bin/clevis
	clevis encrypt tang "$config" -y <plain >ours
	their_clevis encrypt tang "$config" -y <plain >theirs
	their_clevis decrypt <ours | cmp - plain
	clevis decrypt <theirs | cmp - plain
}

@test "a disk is bound, opened and unbound" {
	needs cryptsetup
	make_template
	make_disk
	bind
	[ "$(clevis luks list -d "$disk")" = "1: tang '{\"url\":\"$url\"}'" ]
	clevis luks pass -d "$disk" -s 1 >passphrase
	opens "$disk" 1 passphrase
	call clevis luks unlock -d "$disk" -t 1
	succeeds
	clevis luks unbind -f -d "$disk" -s 1
}

@test "the key is gone: told as with ours" {
	clevis encrypt tang "$config" -y <plain >jwe
	local kid
	kid=$(exchange_thumbprint <adv)
	rm "keys/$kid.jwk"
	call clevis decrypt <jwe
	fails 1 "the server no longer has the key $kid"
}

@test "their server with keys of our tangd-keygen, and ours with theirs" {
	make_keys ours
	start_their_tangd "$PWD/ours"
	clevis encrypt tang "$(tang_config "$url")" -y <plain >jwe
	clevis decrypt <jwe | cmp - plain
	start_tangd keys
	clevis encrypt tang "$(tang_config "$url")" -y <plain >jwe
	clevis decrypt <jwe | cmp - plain
	diff <(json 'print(sorted(map(thumbprint, keys_of(j))))' <adv) <(fetch "$url/adv" | json 'print(sorted(map(thumbprint, keys_of(j))))')
}

@test "one folder, both servers: what was sealed with one opens with the other" {
	clevis encrypt tang "$config" -y <plain >jwe
	stop "$helper_pid"
	# On the same port, as after an upgrade.
	"$TANGD" -l -a 127.0.0.1 -p "$port" keys 2>keys.log 3>&- &
	started+=("$!")
	wait_for_line keys.log '/^Listening/p' "$!"
	clevis decrypt <jwe | cmp - plain
}
