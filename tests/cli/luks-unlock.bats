#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks unlock: testing a slot anywhere; mapping where there is a device-mapper, and a clear line where there is none.
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
	name=nbde-test-$$
}

# Ends what a test has mapped, also when it fails.
teardown() {
	[ ! -e "/dev/mapper/${name:-}" ] || cryptsetup close "$name"
	stop "${started[@]}"
}

can_map() {
	[ "$(id -u)" = 0 ] && [ -e /dev/mapper/control ] && dmsetup version >/dev/null 2>&1 && losetup -f >/dev/null 2>&1
}

test_fails() { # TEXT SLOT
	call clevis luks unlock -d "$disk" -t "$2"
	fails 1 "$1" "Test for token slot $2 on device $disk failed."
}

@test "-t: a slot that opens: exit 0, nothing said, nothing changed" {
	local before
	before=$(sha "$disk")
	call clevis luks unlock -d "$disk" -t 1
	succeeds
	says ''
	[ "$(sha "$disk")" = "$before" ]
}

@test "-t: a slot without a binding, or none at all" {
	test_fails 'no Clevis binding in that slot' 0
	test_fails 'no Clevis binding in that slot' 5
	test_fails "'x' is not a slot" x
	test_fails "'-1' is not a slot" -1
}

@test "-t: the passphrase does not open the slot any more" {
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 1 --key-file "$pass" "$disk" "$keys.log"
	edit_token "$disk" 0 'j["keyslots"] = ["1"]'
	test_fails 'slot 1: the recovered passphrase does not open the keyslot' 1
}

@test "-t: only that slot is tried" {
	# The passphrase of slot 1 in a token that claims slot 2, of which the person knows the passphrase.
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 2 --key-file "$pass" "$disk" "$pass"
	edit_token "$disk" 0 'j["keyslots"] = ["2"]'
	test_fails 'slot 2: the recovered passphrase does not open the keyslot' 2
	test_fails 'no Clevis binding in that slot' 1
}

@test "-t: the server is down, and a token that was tampered with" {
	local gone
	gone=$(closed_port)
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "http://127.0.0.1:$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	test_fails "slot 2: tang: Error communicating with server http://127.0.0.1:$gone: 127.0.0.1:$gone: connection refused" 2
	edit_token "$disk" 0 'j["jwe"]["tag"] = "A" * 22'
	test_fails 'slot 1: tang: with the answer of' 1
	edit_token "$disk" 0 'del j["jwe"]'
	test_fails 'token 0 is damaged: it holds no JWE' 1
}

@test "no binding, not LUKS, not there: could not be opened, exit 1" {
	make_disk
	call clevis luks unlock -d "$disk" -n "$name"
	fails 1 'no Clevis binding' "$disk could not be opened."
	echo text >text
	call clevis luks unlock -d text -n "$name"
	fails 1 'text is not a supported LUKS device' 'text could not be opened.'
	call clevis luks unlock -d nope
	fails 1 'nope is not a supported LUKS device: cannot open it: No such file or directory' 'nope could not be opened.'
}

@test "none of the bindings opens: each is told of, the last as the error" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	edit_token "$disk" 0 'j["jwe"]["tag"] = "A" * 22'
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	call clevis luks unlock -d "$disk" -n "$name"
	[ "$status" = 1 ]
	[ "${#stderr_lines[@]}" = 3 ]
	[[ ${stderr_lines[0]} == *'warning: '*'slot 1: '* ]]
	[[ ${stderr_lines[1]} == *'slot 2: '*"$gone"* ]]
	[ "${stderr_lines[2]}" = "$disk could not be opened." ]
	[ ! -e "/dev/mapper/$name" ]
}

@test "without device-mapper: a clear line, exit 1" {
	can_map && skip "there is a device-mapper"
	local before
	before=$(sha "$disk")
	call clevis luks unlock -d "$disk" -n "$name"
	fails 1 "luks: $disk: cannot map it: " "$disk could not be opened."
	[ "$(sha "$disk")" = "$before" ]
	call clevis luks unlock -d "$disk"
	fails 1 'cannot map it: ' "$disk could not be opened."
}

@test "with device-mapper: mapped under the name, and not a second time" {
	can_map || skip "no device-mapper"
	call clevis luks unlock -d "$disk" -n "$name"
	succeeds
	[ -b "/dev/mapper/$name" ]
	call clevis luks unlock -d "$disk" -n "$name"
	fails 1 'already unlocked' "$disk could not be opened."
}

@test "with device-mapper: the default name is luks-UUID" {
	can_map || skip "no device-mapper"
	name=luks-$(cryptsetup luksUUID "$disk")
	call clevis luks unlock -d "$disk"
	succeeds
	[ -b "/dev/mapper/$name" ]
}
