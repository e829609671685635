#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Marks of our own that damage or somebody has made, in tokens and slots of luksmeta: whatever they say, a command that means
# something else must not cost the person's keyslot, nor a binding that works.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

pending_uuid=f19d6d99-1f90-426f-9edc-d8ed57609c2c

# The person's keyslot costs more than ours, as those that cryptsetup makes do; its number is in the public header.
setup_file() {
	command -v cryptsetup >/dev/null || return 0
	pass=$BATS_FILE_TMPDIR/pass
	printf '%s' "$passphrase" >"$pass"
	truncate -s 18M "$BATS_FILE_TMPDIR/two.img"
	cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 50000 "$BATS_FILE_TMPDIR/two.img" "$pass"
	truncate -s 8M "$BATS_FILE_TMPDIR/one.img"
	cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 50000 "$BATS_FILE_TMPDIR/one.img" "$pass"
	export pass
}

take() { # one|two
	needs cryptsetup luksmeta
	disk=$PWD/disk.img
	cp --sparse=always "$BATS_FILE_TMPDIR/$1.img" "$disk"
	jwe=$(printf 'not the passphrase' | clevis encrypt null '{}')
}

# token NUMBER KEYSLOTS MARKS [JWE]: a token of ours, with those arrays and objects of JSON.
token() {
	"$python" - "$2" "$3" "${4:-$jwe}" >token <<-'PROGRAM'
		import json, sys
		keyslots, marks, jwe = sys.argv[1:]
		p, k, i, c, t = jwe.strip().split(".")
		print(json.dumps({"type": "clevis", "keyslots": json.loads(keyslots), "nbde": json.loads(marks), "jwe":
			{"protected": p, "encrypted_key": k, "iv": i, "ciphertext": c, "tag": t}}))
	PROGRAM
	cryptsetup token import --json-file token --token-id "$1" "$disk"
}

# pending SLOT REPLACES SALT ITERATIONS [JWE]
pending() {
	printf '{"replaces":%s,"salt":"%s","iterations":%s,"jwe":"%s"}' "$2" "$3" "$4" "${5:-$jwe}" |
		luksmeta save -d "$disk" -s "$1" -u "$pending_uuid"
}

# salt_of SLOT: the first bytes of its salt, base64url.
salt_of() {
	dd if="$disk" bs=1 skip=$((208 + 48 * $1 + 8)) count=8 status=none | base64 | tr '+/' '-_' | tr -d '=\n'
}

bind_null() { # [OPTION…]
	call clevis luks bind -y -k "$pass" -d "$disk" "$@" null '{}'
}

person_opens() {
	opens "$disk" 0 "$pass"
}

@test "LUKS2: a token that names the person's keyslot and says that it was intended: bind leaves it" {
	take two
	token 3 '["0"]' '{"intended":0}'
	bind_null
	person_opens
}

@test "LUKS2: a token that names the person's keyslot and says that it replaces another: bind leaves it" {
	take two
	token 3 '["0"]' '{"replaces":5}'
	bind_null
	person_opens
}

@test "LUKS2: the same, and that other is unbound: the person's is left" {
	take two
	bind_null -s 5
	token 3 '["0"]' '{"replaces":5}'
	call clevis luks unbind -f -d "$disk" -s 5
	person_opens
}

@test "LUKS2: a token of a binding that names the person's keyslot, too, as left: bind leaves it" {
	take two
	bind_null -s 1
	clevis luks pass -d "$disk" -s 1 >one
	token 3 '["1","0"]' '{"left":0}' "$(clevis encrypt null '{}' <one)"
	bind_null
	person_opens
	opens "$disk" 1 one
}

@test "LUKS2: a token without a keyslot, with the person's as intended, that replaces one which is unbound: it is left" {
	take two
	bind_null -s 5
	token 3 '[]' '{"intended":0,"replaces":5}'
	call clevis luks unbind -f -d "$disk" -s 5
	person_opens
}

@test "LUKS2: a binding that says it replaces the person's keyslot, which a token names: bind leaves it" {
	take two
	bind_null -s 1
	clevis luks pass -d "$disk" -s 1 >one
	cryptsetup token remove --token-id 0 "$disk"
	token 3 '["1"]' '{"replaces":0}' "$(clevis encrypt null '{}' <one)"
	token 4 '["0"]' '{}'
	bind_null
	person_opens
}

@test "LUKS1: a pending slot beside the person's keyslot, with its number of iterations: bind leaves it" {
	take one
	luksmeta init -f -d "$disk"
	pending 0 5 "$(salt_of 5)" 50000
	bind_null -s 2
	person_opens
}

@test "LUKS1: a pending slot that opens, and says that it replaces the person's keyslot: bind leaves it" {
	take one
	bind_null -s 1
	clevis luks pass -d "$disk" -s 1 >one
	luksmeta wipe -f -d "$disk" -s 1
	pending 1 0 "$(salt_of 0)" 1000 "$(clevis encrypt null '{}' <one)"
	bind_null -s 2
	person_opens
}

@test "LUKS1: a pending slot beside the person's keyslot replaces one that is unbound: the person's is left" {
	take one
	bind_null -s 5
	pending 0 5 "$(salt_of 5)" 50000
	call clevis luks unbind -f -d "$disk" -s 5
	person_opens
}
