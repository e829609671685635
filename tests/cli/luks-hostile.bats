#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Marks of our own that damage or somebody has made, in tokens and slots of luksmeta: whatever they say, a command that means
# something else must not cost the person's keyslot, nor a binding that works. And devices that keep a command waiting.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

clevis_uuid=cb6e8904-81ff-40da-a84a-07ab9ab5715e
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
	serve_file
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

@test "LUKS2: a token of a binding that names a cheap keyslot of another token, too, as left: bind leaves it" {
	take two
	bind_null -s 1
	bind_null -s 2
	clevis luks pass -d "$disk" -s 1 >one
	token 3 '["1","2"]' '{"left":2}' "$(clevis encrypt null '{}' <one)"
	cryptsetup token remove --token-id 0 "$disk"
	bind_null -s 5
	clevis luks unlock -d "$disk" -t 2
	clevis luks unlock -d "$disk" -t 1
}

# toy_jwe: a JWE of a pin that fails, after the commands of the file `meanwhile`.
toy_jwe() {
	make_toy
	PATH=$PWD:$PATH clevis encrypt toy '{}' </dev/null
	printf '%s\n' '#!/bin/bash' ". $PWD/meanwhile >&2" 'exit 1' >clevis-decrypt-toy
}

@test "LUKS2: formatted anew while bind asks after a keyslot that was left: the new header stays" {
	local i jwe_toy
	take two
	printf other >other
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass" --key-slot 1 "$disk" other
	for i in 1 2 3 4; do cryptsetup config --label "x$i" "$disk"; done
	echo "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $disk $PWD/other" >meanwhile
	jwe_toy=$(toy_jwe)
	token 0 '["1"]' '{"replaces":5}' "$jwe_toy"
	token 1 '[]' '{}'
	PATH=$PWD:$PATH bind_null
	[ "$status" = 1 ]
	opens "$disk" 0 other
}

@test "LUKS1: a slot that another tool binds while bind asks after one that was left: its metadata stay" {
	local jwe_toy
	take one
	printf other >other
	luksmeta init -f -d "$disk"
	cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-file "$pass" --key-slot 1 "$disk" other
	printf '%s' "$jwe" >jwe
	printf '%s\n' "cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-file '$pass' --key-slot 3 $disk other" \
		"luksmeta save -d $disk -s 3 -u $clevis_uuid <jwe" >meanwhile
	jwe_toy=$(toy_jwe)
	pending 1 5 AAAAAAAAAAA 1001 "$jwe_toy"
	PATH=$PWD:$PATH bind_null -s 7
	[ "$status" = 0 ]
	luksmeta load -d "$disk" -s 3 -u "$clevis_uuid" | cmp - jwe
}

@test "LUKS1: a place that another tool has bound since, whose server does not answer, is left, with its metadata" {
	take one
	printf other >other
	bind_null -s 1
	jwe=$(luksmeta load -d "$disk" -s 1 -u "$clevis_uuid")
	luksmeta wipe -f -d "$disk" -s 1
	pending 1 5 AAAAAAAAAAA 1000
	cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-file "$pass" --key-slot 5 "$disk" other
	clevis encrypt tang "$(tang_config "http://127.0.0.1:$(closed_port)" "\"adv\":\"$adv\"")" <other | tr -d '\n' >jwe
	luksmeta save -d "$disk" -s 5 -u "$clevis_uuid" <jwe
	bind_null -s 7
	luksmeta load -d "$disk" -s 5 -u "$clevis_uuid" | cmp - jwe
	clevis luks unlock -d "$disk" -t 1
}

# --- Devices that keep a command waiting --------------------------------------------------------------------------------------

@test "a FIFO is no device, and nobody waits for it" {
	local start
	take two
	bind_null
	mkfifo fifo
	start=$EPOCHREALTIME
	call clevis luks list -d fifo
	fails 1 'fifo is not a supported LUKS device'
	call clevis luks unlock -d fifo -d "$disk" -o --test-passphrase
	fails 1 'fifo is not a supported LUKS device' 'fifo could not be opened.'
	took_less_than 5 "$start"
}

@test "unlock of 33 devices: one whose server never answers keeps none of the others from its turn" {
	local devices=() i jwe_toy
	take two
	cp --sparse=always "$disk" slow.img
	bind_null
	echo 'sleep 20' >meanwhile
	jwe_toy=$(toy_jwe)
	for ((i = 0; i < 31; i++)); do devices+=(-d "$disk"); done
	cp --sparse=always "$BATS_FILE_TMPDIR/two.img" last.img
	clevis luks bind -y -k "$pass" -d last.img tang "$(tang_config "$url")"
	disk=$PWD/slow.img
	bind_null
	cryptsetup token remove --token-id 0 "$disk"
	token 0 '["1"]' '{}' "$jwe_toy"
	PATH=$PWD:$PATH call clevis luks unlock --timeout 4 -d slow.img "${devices[@]}" -d last.img -o --test-passphrase
	[ "$status" = 1 ]
	[[ $stderr == *'slow.img could not be opened.'* ]]
	[[ $stderr != *last.img* ]]
}
