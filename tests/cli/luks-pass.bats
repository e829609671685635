#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks pass: the exact bytes, on standard output or into a FIFO, and what it refuses.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk bound.img
	bind
	export bound=$disk
}

prepare() {
	needs cryptsetup
	disk=$PWD/disk.img
	cp --sparse=always "$bound" "$disk"
}

# refuses TEXT [SLOT]: one line with TEXT, then upstream's line; nothing on stdout.
refuses() {
	call clevis luks pass -d "$disk" -s "${2-1}"
	fails 1 "$1" "It was not possible to decrypt the passphrase associated to slot ${2-1} in $disk!"
}

@test "the exact bytes that open the keyslot: 54 characters, no newline" {
	clevis luks pass -d "$disk" -s 1 >passphrase 2>err
	[ ! -s err ]
	[ "$(wc -c <passphrase)" = 54 ]
	grep -qxE '[A-Za-z0-9_-]{54}' passphrase
	opens "$disk" 1 passphrase
	never opens "$disk" 0 passphrase
}

@test "asking for it changes nothing" {
	local before
	before=$(sha "$disk")
	clevis luks pass -d "$disk" -s 1 >/dev/null
	[ "$(sha "$disk")" = "$before" ]
}

@test "a slot without a binding, or none at all" {
	refuses 'no Clevis binding in keyslot 0' 0
	refuses 'no Clevis binding in keyslot 7' 7
	refuses 'no Clevis binding in keyslot 99' 99
	refuses "'x' is not a slot" x
	refuses "'' is not a slot" ''
	refuses "'-1' is not a slot" -1
}

@test "the server is down" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	refuses "Error communicating with server $gone: 127.0.0.1:${gone##*:}: connection refused" 2
}

@test "a token that was tampered with" {
	cp "$disk" good
	local script
	for script in 'j["jwe"]["tag"] = "A" * 22' 'j["jwe"]["ciphertext"] = "A" + j["jwe"]["ciphertext"][:-1]' 'j["jwe"]["iv"] = "A" * 16' \
		'j["jwe"]["protected"] = j["jwe"]["protected"][:-4] + "AAAA"' 'j["jwe"]["encrypted_key"] = "AAAA"' \
		'del j["jwe"]["tag"]' 'del j["jwe"]["protected"]' 'j["jwe"] = {}' 'j["jwe"]["tag"] = 1' 'j["jwe"]["iv"] = []' \
		'j["jwe"]["unprotected"] = {"enc": "A256GCM"}' 'j["jwe"]["aad"] = "AAAA"'; do
		echo "with: $script"
		cp good "$disk"
		edit_token "$disk" 0 "$script"
		refuses ''
	done
	for script in 'j["jwe"] = 1' 'del j["jwe"]'; do
		cp good "$disk"
		edit_token "$disk" 0 "$script"
		refuses 'token 0 is damaged: it holds no JWE'
	done
}

@test "the JWE of another binding opens, but it does not open this keyslot" {
	bind
	cryptsetup token export --token-id 1 "$disk" >other
	edit_token "$disk" 0 'j["jwe"] = json.load(open("other"))["jwe"]'
	clevis luks pass -d "$disk" -s 1 >passphrase
	never opens "$disk" 1 passphrase
	call clevis luks unlock -d "$disk" -t 1
	fails 1 'the recovered passphrase does not open the keyslot' "Test for token slot 1 on device $disk failed."
}

@test "a binding that holds an empty passphrase: refused, an empty answer would count as a try" {
	clevis encrypt tang "$(tang_config "$url")" -y </dev/null >jwe
	edit_token "$disk" 0 'j["jwe"] = dict(zip(("protected", "encrypted_key", "iv", "ciphertext", "tag"), open("jwe").read().split(".")))'
	refuses 'empty passphrase'
}

@test "not LUKS, not there" {
	echo text >text
	disk=text
	refuses 'is not a supported LUKS device'
	disk=nope
	refuses 'nope is not a supported LUKS device: cannot open it: No such file or directory'
}

# --- -w -----------------------------------------------------------------------------------------------------------------------

@test "-w FIFO: who reads there gets it, and nothing is on stdout" {
	mkfifo fifo
	timeout 20 cat fifo >got 3>&- &
	local reader=$!
	started+=("$reader")
	sleep 0.3 # for the reader to be there
	call clevis luks pass -d "$disk" -s 1 -w fifo
	succeeds
	says ''
	wait "$reader"
	[ "$(wc -c <got)" = 54 ]
	opens "$disk" 1 got
}

@test "-w FIFO: nobody reads: told, exit 1, at once" {
	mkfifo fifo
	local start=$EPOCHREALTIME
	call clevis luks pass -d "$disk" -s 1 -w fifo
	fails 1 'fifo: nobody asks for a passphrase there'
	took_less_than 8 "$start"
}

@test "-w FIFO: not there: told, exit 1, and no file is made in its place" {
	call clevis luks pass -d "$disk" -s 1 -w nope
	fails 1 'nope'
	[ ! -e nope ]
}

@test "-w FIFO: a recovery that fails writes nothing" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	mkfifo fifo
	# Both ends held open here: what is written stays in the pipe.
	exec 9<>fifo
	call clevis luks pass -d "$disk" -s 2 -w fifo
	[ "$status" = 1 ]
	call clevis luks pass -d "$disk" -s 0 -w fifo
	[ "$status" = 1 ]
	printf 'only this\n' >&9
	read -r -t 5 -u 9 first
	exec 9>&-
	[ "$first" = 'only this' ]
}

@test "-w: a file is not overwritten with a passphrase" {
	echo precious >file
	call clevis luks pass -d "$disk" -s 1 -w file
	[ "$status" = 1 ]
	[ "$(<file)" = precious ]
}

@test "standard output that cannot be written is a failure" {
	[ -c /dev/full ] || skip "no /dev/full"
	run --separate-stderr bash -c '"$CLEVIS" luks pass -d "$1" -s 1 >/dev/full' - "$disk"
	fails 1 'cannot write standard output'
}
