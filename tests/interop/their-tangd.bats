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

# Their command may be one that reads no ENDPOINT and takes a port only: that is all that is asked of it here.
@test "their tang-show-keys and ours say the same, of our server and of theirs" {
	needs_their /usr/bin/tang-show-keys
	local count theirs=$port
	start_tangd keys
	for count in 1 2; do
		[ "$count" = 1 ] || make_keys keys
		PATH=$their_path /usr/bin/tang-show-keys "$port" >theirs-of-ours
		PATH=$their_path /usr/bin/tang-show-keys "$theirs" >theirs-of-theirs
		tang_show_keys "$port" >ours-of-ours
		tang_show_keys "$theirs" >ours-of-theirs
		[ -s theirs-of-ours ]
		# The order of keys is free; with one there is no newline.
		[ "$count" = 1 ] && cmp theirs-of-ours ours-of-ours
		diff <(sort theirs-of-ours) <(sort ours-of-ours)
		diff <(sort theirs-of-ours) <(sort theirs-of-theirs)
		diff <(sort theirs-of-ours) <(sort ours-of-theirs)
		[ "$(stat -c %s theirs-of-ours)" = "$(stat -c %s ours-of-ours)" ]
	done
	call env "PATH=$their_path" /usr/bin/tang-show-keys "$(closed_port)"
	local theirs_status=$status
	call tang_show_keys "$(closed_port)"
	[ "$status" = "$theirs_status" ]
}

@test "their server with keys that ours rotated, backed up and restored" {
	clevis encrypt tang "$config" -y <plain >jwe
	local old
	old=$(signing_thumbprints <adv)
	tangd_rotate_keys -d keys
	clevis decrypt <jwe | cmp - plain
	[ "$(fetch "$url/adv" | signing_thumbprints)" = "$(keys_of_alg keys ES512 | sed 's/\.jwk$//')" ]
	[ "$(fetch "$url/adv/$old" | signing_thumbprints)" = "$(keys_of_alg keys ES512 | sed 's/\.jwk$//')" ]
	tangctl backup -d keys backup >/dev/null
	rm -r keys
	tangctl restore -d keys backup >/dev/null
	clevis decrypt <jwe | cmp - plain
	clevis encrypt tang "$config" -y <plain >jwe
	clevis decrypt <jwe | cmp - plain
}

@test "our server with keys that theirs rotated, and both say the same of a rotation" {
	needs_their /usr/libexec/tangd-rotate-keys
	clevis encrypt tang "$config" -y <plain >jwe
	cp -a keys ours
	PATH=$their_path /usr/libexec/tangd-rotate-keys -v -d keys 2>theirs.said
	tangd_rotate_keys -v -d ours 2>ours.said
	# The names of the new keys are as random as the keys.
	diff <(sed 's/^Created.*/Created/' theirs.said) <(sed 's/^Created.*/Created/' ours.said)
	diff <(find keys -name '.*.jwk' -printf '%f %m %u %g\n' | sort) <(find ours -name '.*.jwk' -printf '%f %m %u %g\n' | sort)
	start_tangd keys
	clevis encrypt tang "$(tang_config "$url")" -y <plain >new
	clevis decrypt <new | cmp - plain
	clevis decrypt <jwe | cmp - plain
}

@test "their server with keys on another curve" {
	local curve
	for curve in P-256 P-384; do
		mkdir "$curve"
		tangd_keygen --curve "$curve" "$curve"
		start_their_tangd "$PWD/$curve"
		clevis encrypt tang "$(tang_config "$url")" -y <plain >jwe
		clevis decrypt <jwe | cmp - plain
	done
}
