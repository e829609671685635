#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks unbind: keyslot and token go, after a question; nothing else does.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

question='? [ynYN] '

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk bound.img
	dump "$disk" >"$BATS_FILE_TMPDIR/unbound"
	bind
	export bound=$disk
}

prepare() {
	needs cryptsetup
	disk=$PWD/disk.img
	cp --sparse=always "$bound" "$disk"
	before=$(sha "$disk")
}

refuses() { # TEXT ARGUMENT…: -d and the disk are given
	call clevis_alone luks unbind -d "$disk" "${@:2}"
	fails 1 "$1"
	[ "$(sha "$disk")" = "$before" ]
}

@test "-f: no question, nothing said; the header is as before the binding" {
	clevis luks pass -d "$disk" -s 1 >passphrase
	call clevis_alone luks unbind -f -d "$disk" -s 1
	succeeds
	says ''
	dump "$disk" | diff "$BATS_FILE_TMPDIR/unbound" -
	never opens "$disk" 1 passphrase
	opens "$disk" 0 "$pass"
}

@test "only that slot's binding goes" {
	bind -s 3
	clevis luks unbind -f -d "$disk" -s 1
	[ "$(clevis luks list -d "$disk")" = "3: tang '{\"url\":\"$url\"}'" ]
	clevis luks unlock -d "$disk" -t 3
	never is_in_use "$disk" 1
}

@test "y and Y at the question: removed" {
	local answer
	for answer in y Y; do
		cp --sparse=always "$bound" "$disk"
		run on_terminal "$question=$answer" -- "$CLEVIS" luks unbind -d "$disk" -s 1
		[ "$status" = 0 ]
		never is_in_use "$disk" 1
	done
}

@test "the question names slot and device" {
	run on_terminal "$question=n" -- "$CLEVIS" luks unbind -d "$disk" -s 1
	grep -qF "wipes keyslot 1 of $disk" screen
}

@test "anything else: exit 0, nothing changed" {
	local answer
	for answer in n N '' x; do
		run on_terminal "$question=$answer" -- "$CLEVIS" luks unbind -d "$disk" -s 1
		[ "$status" = 0 ]
		[ "$(sha "$disk")" = "$before" ]
	done
}

@test "no terminal and no -f: refused, nothing changed" {
	refuses 'unbinding needs a confirmation, or -f' -s 1
	call clevis_alone luks unbind -d "$disk" -s 1 <<<y
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
}

@test "a slot without a binding: the person's, a free one, one out of range: nothing changed" {
	local slot
	for slot in 0 2 31 99; do
		refuses "No clevis slot detected on device $disk:$slot!" -f -s $slot
	done
	refuses "'x' is not a slot" -f -s x
	refuses "'-1' is not a slot" -f -s -1
}

@test "the server is not asked" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")" 2>/dev/null
	call clevis luks unbind -f -d "$disk" -s 2
	succeeds
}

@test "a token that was tampered with, but still names its slot, can be removed" {
	edit_token "$disk" 0 'j["jwe"] = {}'
	call clevis luks unbind -f -d "$disk" -s 1
	succeeds
	dump "$disk" | diff "$BATS_FILE_TMPDIR/unbound" -
}

@test "a damaged token: told of, nothing changed" {
	edit_token "$disk" 0 'del j["jwe"]'
	before=$(sha "$disk")
	refuses 'token 0 is damaged' -f -s 1
}

@test "tokens of other types for the same slot stay" {
	echo '{"type":"other","keyslots":[],"data":"precious"}' | cryptsetup token import --token-id 3 "$disk"
	clevis luks unbind -f -d "$disk" -s 1
	cryptsetup token export --token-id 3 "$disk" | grep -q precious
}

# orphan: as somebody with cryptsetup leaves it behind.
orphan() {
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	before=$(sha "$disk")
}

tokens() {
	cryptsetup luksDump "$disk" | grep -c '^  [0-9]*: clevis$' || true
}

@test "a keyslot that was removed by other means: the token that is left goes, after a question" {
	bind -s 5
	orphan
	run on_terminal "$question=n" -- "$CLEVIS" luks unbind -d "$disk" -s 1
	[ "$status" = 0 ]
	grep -qF "Slot 1 of $disk has no keyslot any more, but 1 token of Clevis is left behind" screen
	[ "$(sha "$disk")" = "$before" ]
	refuses 'unbinding needs a confirmation, or -f' -s 1
	run on_terminal "$question=y" -- "$CLEVIS" luks unbind -d "$disk" -s 1
	[ "$status" = 0 ]
	[ "$(tokens)" = 1 ]
	clevis luks unlock -d "$disk" -t 5
	before=$(sha "$disk")
	refuses "No clevis slot detected on device $disk:1!" -f -s 1
}

@test "-f: orphans go without a question; tokens of other types stay" {
	echo '{"type":"other","keyslots":[],"data":"precious"}' | cryptsetup token import --token-id 3 "$disk"
	orphan
	call clevis_alone luks unbind -f -d "$disk" -s 1
	succeeds
	says ''
	[ "$(tokens)" = 0 ]
	cryptsetup token export --token-id 3 "$disk" | grep -q precious
}

@test "orphans are no reason to touch a keyslot that is somebody else's, or one that does not exist" {
	orphan
	refuses "No clevis slot detected on device $disk:0!" -f -s 0
	refuses "No clevis slot detected on device $disk:99!" -f -s 99
}

@test "a token that says whose a keyslot is, is no orphan" {
	# A bind that was cut short between the keyslot and its token: without the token nobody knows that the keyslot is ours.
	edit_token "$disk" 0 'j["keyslots"] = []
j["nbde"] = {"intended": 1}'
	before=$(sha "$disk")
	refuses "No clevis slot detected on device $disk:2!" -f -s 2
}

@test "an orphan is no matter to the next bind, which removes it" {
	orphan
	bind
	[ "$(tokens)" = 1 ]
	clevis luks unlock -d "$disk" -t 1
}

@test "the last keyslot: the question says what is lost" {
	clevis luks pass -d "$disk" -s 1 >own
	cryptsetup luksKillSlot -q "$disk" 0 --key-file own
	before=$(sha "$disk")
	run on_terminal "$question=n" -- "$CLEVIS" luks unbind -d "$disk" -s 1
	[ "$status" = 0 ]
	grep -qF "Keyslot 1 is the last one of $disk. Without it nothing opens the device any more" screen
	grep -qF "ALL DATA ON IT IS LOST FOR EVER." screen
	[ "$(sha "$disk")" = "$before" ]
	call clevis_alone luks unbind -f -d "$disk" -s 1
	succeeds
	never is_in_use "$disk" 1
}

@test "another command at work on the device: waited for, as long as --timeout says" {
	local file start
	if [ "$(id -u)" = 0 ]; then file=/run/nbde; else file=${XDG_RUNTIME_DIR:-/tmp}/nbde; fi
	[ -d "$file" ] || skip "no run-time folder here"
	exec {lock}>"$file/file-$(stat -c '%Hd-%Ld-%i' "$disk")"
	flock "$lock"
	start=$EPOCHREALTIME
	refuses 'another command is at work on it' --timeout 0.3 -f -s 1
	took_less_than 5 "$start"
	orphan
	refuses 'another command is at work on it' --timeout 0.3 -f -s 1
	flock -u "$lock"
	clevis luks unbind -f -d "$disk" -s 1
}

@test "not LUKS, not there" {
	echo text >text
	disk=text before=$(sha text)
	refuses 'text is not a supported LUKS device' -f -s 1
	call clevis luks unbind -f -d nope -s 1
	fails 1 'nope is not a supported LUKS device: cannot open it: No such file or directory'
}

@test "bind and unbind again and again leaves nothing behind" {
	clevis luks unbind -f -d "$disk" -s 1
	local n=0
	while [ $((n += 1)) -le 3 ]; do
		bind
		clevis luks unbind -f -d "$disk" -s 1
	done
	dump "$disk" | diff "$BATS_FILE_TMPDIR/unbound" -
}
