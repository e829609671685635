#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# LUKS1: bindings in luksmeta, seen with the luksmeta program; what a rebinding leaves that was cut short, laid down by hand.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

clevis_uuid=cb6e8904-81ff-40da-a84a-07ab9ab5715e
pending_uuid=f19d6d99-1f90-426f-9edc-d8ed57609c2c
other_uuid=11111111-2222-3333-4444-555555555555

# make_luks1 FILE [OPTION…]: passphrase in the file $pass.
make_luks1() {
	local file=$1
	shift
	rm -f "$file"
	truncate -s 8M "$file"
	cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 "$@" "$file" "$pass"
}

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	pass=$BATS_FILE_TMPDIR/pass
	printf '%s' "$passphrase" >"$pass"
	make_luks1 "$BATS_FILE_TMPDIR/template.img"
	serve_file
	export pass
}

prepare() {
	needs cryptsetup luksmeta
	disk=$PWD/disk.img
	cp --sparse=always "$BATS_FILE_TMPDIR/template.img" "$disk"
	config=$(tang_config "$url")
}

bind() { # [OPTION…]
	clevis luks bind -y -k "$pass" "$@" -d "$disk" tang "$config"
}

# slots: "SLOT active|inactive WHAT" of each slot that is in use, or holds something.
slots() {
	luksmeta show -d "$disk" | sed 's/  */ /g' | grep -v 'inactive empty$' | sed "s/$clevis_uuid/bound/;s/$pending_uuid/pending/;s/$other_uuid/other/"
}

slots_are() { # LINE…
	[ "$(slots)" = "$(printf '%s\n' "$@")" ] || { slots && return 1; }
}

person_opens() {
	opens "$disk" 0 "$pass"
}

# bound_slot SLOT: it is bound to the server, and opens.
bound_slot() {
	clevis luks list -d "$disk" | grep -qxF "$1: tang '$config'" && clevis luks unlock -d "$disk" -t "$1"
}

# salt_of SLOT: the first bytes of its salt, base64url.
salt_of() {
	dd if="$disk" bs=1 skip=$((208 + 48 * $1 + 8)) count=8 status=none | base64 | tr '/+' '_-' | tr -d '='
}

# iterations_of SLOT
iterations_of() {
	cryptsetup luksDump "$disk" | grep -A1 "Key Slot $1: ENABLED" | tail -n 1 | tr -cd '0-9'
}

# lay_pending SPARE PLACE [SALT]: slot SPARE, which is bound, becomes the pending one that is to replace PLACE.
lay_pending() {
	local jwe
	jwe=$(luksmeta load -d "$disk" -s "$1" -u "$clevis_uuid")
	luksmeta wipe -f -d "$disk" -s "$1" -u "$clevis_uuid"
	printf '{"replaces":%s,"salt":"%s","iterations":%s,"jwe":"%s"}' "$2" "${3:-$(salt_of "$2")}" "$(iterations_of "$1")" "$jwe" |
		luksmeta save -d "$disk" -s "$1" -u "$pending_uuid"
}

@test "bind, list, pass, unlock -t: the JWE stands in the slot of luksmeta with the keyslot's number, compact" {
	call bind
	binds
	says ''
	slots_are '0 active empty' '1 active bound'
	luksmeta load -d "$disk" -s 1 -u "$clevis_uuid" >jwe
	[ "$(tr -cd . <jwe | wc -c)" = 4 ]
	call clevis luks list -d "$disk"
	says "1: tang '$config'"
	clevis luks pass -d "$disk" -s 1 >bound
	[ "$(wc -c <bound)" = 54 ]
	[ "$(clevis decrypt <jwe)" = "$(cat bound)" ]
	opens "$disk" 1 bound
	clevis luks unlock -d "$disk" -t 1
	[ "$(iterations_of 1)" = 1000 ]
	person_opens
}

@test "bind -s: that slot; twice: a second binding in the first free slot" {
	bind -s 5
	bind
	slots_are '0 active empty' '1 active bound' '5 active bound'
	bound_slot 5
	bound_slot 1
	call bind -s 5
	fails 1 'keyslot 5 is in use' "Error adding new binding to $disk"
	call bind -s 8
	fails 1 'there is no keyslot 8 (0 … 7)' "Error adding new binding to $disk"
}

@test "bind -t: for LUKS2 only" {
	local before
	before=$(sha "$disk")
	call bind -t 1
	fails 1 'it is LUKS1, which has no tokens' "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

@test "a device with another hash keeps it" {
	make_luks1 "$disk" --hash sha512
	bind
	bound_slot 1
	cryptsetup luksDump "$disk" | grep -q '^Hash spec:.*sha512'
}

@test "without the area of luksmeta: asked for; no, the end of input: unchanged" {
	local before answer
	before=$(sha "$disk")
	for answer in 'n\n' '' '\n' 'maybe\n'; do
		printf '%b' "$answer" >answer
		call clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$url" "\"adv\":\"$adv\"")" <answer
		[ "$status" = 1 ]
		[[ $stderr == *"Do you wish to initialize $disk? [yn] "*"Error adding new binding to $disk" ]]
		[ "$(sha "$disk")" = "$before" ]
	done
	[ "${stderr_lines[-2]}" = "clevis-luks-bind: $disk: standard input is at its end: nobody said yes; -f does not ask" ]
	call clevis luks bind -k - -d "$disk" tang "$config" <"$pass"
	[ "$status" = 2 ]
	[[ ${stderr_lines[0]} == "Cannot use '-k-' without '-f' or '-y' unless already initialized!" ]]
	call clevis luks list -d "$disk"
	fails 1 "The $disk device is not valid!"
	call clevis luks pass -d "$disk" -s 1
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
}

@test "yes to the question, and the passphrase on the next line" {
	printf 'x\nY\n%s\n' "$passphrase" |
		clevis luks bind -d "$disk" tang "$(tang_config "$url" "\"adv\":\"$adv\"")" 2>/dev/null
	bound_slot 1
	call clevis luks bind -k - -d "$disk" tang "$(tang_config "$url" "\"adv\":\"$adv\"")" <"$pass"
	binds
	bound_slot 2
}

@test "wrong passphrase: unchanged" {
	local before
	echo -n wrong >wrong
	before=$(sha "$disk")
	call clevis luks bind -y -k wrong -d "$disk" tang "$config"
	fails 1 'the passphrase opens no keyslot' "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

@test "no keyslot free: unchanged, for bind and for regen, which needs one" {
	local before
	bind
	for _ in 2 3 4 5 6 7; do
		cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-file "$pass" "$disk" "$pass"
	done
	before=$(sha "$disk")
	call bind
	fails 1 'no free keyslot (8 of 8 used)' "Error adding new binding to $disk"
	call clevis luks regen -q -d "$disk" -s 1
	[ "$status" = 1 ]
	[[ $stderr == *'all 8 keyslots are in use, and LUKS1 needs a free one'* ]]
	[ "$(sha "$disk")" = "$before" ]
}

@test "no room behind the keyslots: unchanged, for bind, regen and edit" {
	local before many
	while call bind && [ "$status" = 0 ]; do :; done
	fails 1 'there is no room for it behind the keyslots' "Error adding new binding to $disk"
	before=$(dump "$disk" && slots)
	[ "$(clevis luks list -d "$disk" | wc -l)" -ge 5 ]
	call clevis luks regen -q -d "$disk" -s 1
	[ "$status" = 1 ]
	many="{\"t\":1,\"pins\":{\"tang\":[$config,$config,$config]}}"
	clevis luks unbind -f -d "$disk" -s 2
	clevis luks unbind -f -d "$disk" -s 4
	before=$(dump "$disk" && slots)
	call clevis luks bind -y -k "$pass" -d "$disk" sss "$many"
	[ "$status" = 1 ]
	[ "$(dump "$disk" && slots)" = "$before" ]
	bound_slot 1
}

@test "a detached header has no room for luksmeta: said, unchanged" {
	local before
	truncate -s 4M header
	truncate -s 8M data
	cryptsetup luksFormat -q --type luks1 --header header --pbkdf-force-iterations 1000 data "$pass"
	before=$(sha header)
	call clevis luks bind -y -k "$pass" -d header tang "$config"
	fails 1 '(a detached header has none)' 'Error adding new binding to header'
	[ "$(sha header)" = "$before" ]
}

@test "what somebody else keeps in luksmeta is passed over and never touched" {
	luksmeta init -f -d "$disk"
	echo theirs | luksmeta save -d "$disk" -s 1 -u "$other_uuid"
	call bind -s 1
	fails 1 "somebody else keeps something in luksmeta's slot 1" "Error adding new binding to $disk"
	bind
	slots_are '0 active empty' '1 inactive other' '2 active bound'
	clevis luks regen -q -d "$disk" -s 2
	call clevis luks unbind -f -d "$disk" -s 1
	[ "$status" = 1 ]
	clevis luks unbind -f -d "$disk" -s 2
	slots_are '0 active empty' '1 inactive other'
	[ "$(luksmeta load -d "$disk" -s 1 -u "$other_uuid")" = theirs ]
}

@test "metadata whose keyslot is gone is a leftover: used again, removed by the next command, unbound" {
	bind
	bind
	cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 1
	call clevis luks list -d "$disk"
	says "2: tang '$config'"
	bind
	slots_are '0 active empty' '1 active bound' '2 active bound'
	cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 1
	cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 2
	call clevis luks unbind -f -d "$disk" -s 1
	succeeds
	bind -s 5
	slots_are '0 active empty' '5 active bound'
}

@test "unbind of an empty slot leaves another slot's leftover alone" {
	local before
	bind
	bind
	cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 2
	before=$(sha "$disk")
	call clevis luks unbind -f -d "$disk" -s 5
	fails 1 "The LUKSMeta slot 5 on device $disk is already empty."
	[ "$(sha "$disk")" = "$before" ]
}

@test "unbind: keyslot and metadata; the person's slot and an empty one are refused" {
	local before
	bind
	before=$(sha "$disk")
	call clevis luks unbind -f -d "$disk" -s 0
	fails 1 "The LUKSMeta slot 0 on device $disk is already empty."
	[ "$(sha "$disk")" = "$before" ]
	clevis luks unbind -f -d "$disk" -s 1
	slots_are '0 active empty'
	person_opens
	call clevis luks unbind -f -d "$disk" -s 1
	fails 1 "The LUKSMeta slot 1 on device $disk is already empty."
}

@test "damaged metadata: told, the others listed; bind and regen leave it; unbind removes it" {
	bind
	bind
	luksmeta wipe -f -d "$disk" -s 1 -u "$clevis_uuid"
	echo -n 'no.j.w.e' | luksmeta save -d "$disk" -s 1 -u "$clevis_uuid"
	call clevis luks list -d "$disk"
	[ "$status" = 0 ]
	says "2: tang '$config'"
	[[ $stderr == *'the binding of slot 1 is damaged'* ]]
	clevis luks regen -q -d "$disk" -s 2
	bound_slot 2
	slots_are '0 active empty' '1 active bound' '2 active bound'
	call clevis luks pass -d "$disk" -s 1
	[ "$status" = 1 ]
	clevis luks unbind -f -d "$disk" -s 1
	slots_are '0 active empty' '2 active bound'
}

@test "a damaged area of luksmeta: told, nothing written" {
	local before
	bind
	# its header, 272 bytes at the first 4096 behind the keyslots
	printf x | dd of="$disk" bs=1 seek=$((2068480 + 40)) conv=notrunc status=none
	before=$(sha "$disk")
	for command in 'list' 'pass -s 1' 'unbind -f -s 1' 'regen -q -s 1'; do
		# shellcheck disable=SC2086 # command and options
		call clevis luks $command -d "$disk"
		[ "$status" = 1 ]
		[[ $stderr == *'the area of luksmeta is damaged'* ]]
	done
	call bind
	fails 1 'the area of luksmeta is damaged' "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
	person_opens
}

@test "regen: another passphrase in the same slot; the old one opens nothing" {
	bind
	clevis luks pass -d "$disk" -s 1 >old
	call clevis luks regen -q -d "$disk" -s 1
	succeeds
	slots_are '0 active empty' '1 active bound'
	bound_slot 1
	never cryptsetup open --test-passphrase --key-file old "$disk"
	person_opens
}

@test "edit: the new configuration in the same slot; one that fails changes nothing" {
	local before
	bind
	before=$(sha "$disk")
	call clevis luks edit -d "$disk" -s 1 -c '{"url":"http://127.0.0.1:1"}'
	[ "$status" = 1 ]
	[ "$(sha "$disk")" = "$before" ]
	clevis luks edit -y -d "$disk" -s 1 -c "{\"url\":\"$url/\"}"
	slots_are '0 active empty' '1 active bound'
	[ "$(clevis luks list -d "$disk")" = "1: tang '{\"url\":\"$url/\"}'" ]
	clevis luks unlock -d "$disk" -t 1
}

@test "a rebinding cut short before it took anything is taken back by the next command" {
	bind
	bind
	clevis luks pass -d "$disk" -s 1 >first
	lay_pending 2 1
	clevis luks unlock -d "$disk" -t 2
	bind -s 7
	slots_are '0 active empty' '1 active bound' '7 active bound'
	opens "$disk" 1 first
}

@test "a rebinding cut short after the old binding went is finished by the next command" {
	local stage
	for stage in no-metadata new-metadata killed killed-and-empty; do
		cp --sparse=always "$BATS_FILE_TMPDIR/template.img" "$disk"
		bind
		bind
		clevis luks pass -d "$disk" -s 2 >second
		luksmeta load -d "$disk" -s 2 -u "$clevis_uuid" >jwe
		lay_pending 2 1
		case $stage in killed*) cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 1 ;; esac
		case $stage in no-metadata | new-metadata | killed-and-empty) luksmeta wipe -f -d "$disk" -s 1 -u "$clevis_uuid" ;; esac
		[ "$stage" != new-metadata ] || luksmeta save -d "$disk" -s 1 -u "$clevis_uuid" <jwe
		bind -s 7
		slots_are '0 active empty' '1 active bound' '7 active bound'
		opens "$disk" 1 second
		bound_slot 1
	done
}

@test "a keyslot that somebody has added in its place since is not touched" {
	bind
	bind
	lay_pending 2 1
	cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 1
	luksmeta wipe -f -d "$disk" -s 1 -u "$clevis_uuid"
	echo -n 'a second person' >person
	cryptsetup luksAddKey -q --key-slot 1 --pbkdf-force-iterations 1000 --key-file "$pass" "$disk" person
	call bind -s 7
	[ "$status" = 0 ]
	[[ $stderr == *'keyslot 2 was left by a command that was cut short, and is kept: '*'keyslot 1 is in use by something else'* ]]
	opens "$disk" 1 person
	clevis luks unlock -d "$disk" -t 2
	person_opens
}

@test "a keyslot that somebody has added in the spare's place since is not touched" {
	bind
	bind
	lay_pending 2 1
	cryptsetup luksKillSlot -q --key-file "$pass" "$disk" 2
	echo -n 'a second person' >person
	cryptsetup luksAddKey -q --key-slot 2 --pbkdf-force-iterations 1234 --key-file "$pass" "$disk" person
	bind -s 7
	slots_are '0 active empty' '1 active bound' '2 active empty' '7 active bound'
	opens "$disk" 2 person
	bound_slot 1
}

@test "a rebinding cut short whose server does not answer is left alone, and told" {
	make_keys keys
	start_tangd keys
	config=$(tang_config "$url")
	bind
	bind
	lay_pending 2 1
	stop "${started[@]}"
	call clevis luks bind -y -k "$pass" -d "$disk" null '{}'
	[ "$status" = 0 ]
	[[ $stderr == *'keyslot 2 was left by a command that was cut short, and is kept: '*'onnection refused'* ]]
	slots_are '0 active empty' '1 active bound' '2 active pending' '3 active bound'
}

@test "four binds at once: each in a slot of its own" {
	local i
	luksmeta init -f -d "$disk"
	for i in 1 2 3 4; do
		bind 3>&- &
	done
	wait
	[ "$(clevis luks list -d "$disk" | wc -l)" = 4 ]
	for i in 1 2 3 4; do
		bound_slot "$i"
	done
}

@test "list --json and -p: as on LUKS2, without tokens" {
	bind
	clevis luks list --json -d "$disk" | json 'assert j["version"] == 1 and j["damaged"] == [], j
b = j["bindings"]
assert len(b) == 1 and list(b[0]) == ["slot", "pin", "config"] and b[0]["slot"] == 1 and len(b[0]["config"]["keys"]) == 2, j'
	[ "$(clevis luks list -p -d "$disk")" = '1: tang' ]
}

@test "bind --idempotent: bound once; bind -e: only LUKS2 has tokens" {
	local before
	call clevis luks bind --idempotent -y -k "$pass" -d "$disk" tang "$config"
	binds
	before=$(sha "$disk")
	call clevis_alone luks bind --idempotent -d "$disk" tang "$config"
	succeeds
	says "$disk is already bound by this configuration in slot 1"
	call clevis_alone luks bind -y -e 0 -d "$disk" tang "$config"
	fails 1 "luks: $disk: only LUKS2 has tokens" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

# meanwhile COMMAND: what happens to the disk while a binding is sealed, by a pin `x`.
meanwhile() {
	printf '%s\n' '#!/bin/bash' "{ $1; } >&2" "exec -a clevis-encrypt-null $CLEVIS \"\$@\"" >clevis-encrypt-x
	chmod +x clevis-encrypt-x
	printf other >other
}

@test "bind, and meanwhile somebody adds a key, or formats the device anew: nothing is lost" {
	bind
	meanwhile "cryptsetup luksAddKey -q --pbkdf-force-iterations 1000 --key-file $pass $disk $PWD/other"
	PATH=$PWD:$PATH call clevis luks bind -y -k "$pass" -d "$disk" x '{}'
	succeeds
	opens "$disk" 2 other
	[ "$(keyslots "$disk")" = '0 1 2 3' ]
	clevis luks unlock -d "$disk" -t 3
	meanwhile "cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 $disk $PWD/other; sha256sum <$disk >$PWD/sum"
	PATH=$PWD:$PATH call clevis luks bind -y -k "$pass" -d "$disk" x '{}'
	fails 1 "luks: $disk: it was formatted anew meanwhile" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$(<sum)" ]
}

@test "four binds and two regens at once: all that is there opens" {
	local pids=() n worked=0
	bind
	bind
	for n in 1 2 3 4; do
		clevis_alone luks bind -y -k "$pass" -d "$disk" tang "$config" >"said.$n" 2>&1 3>&- &
		pids+=($!)
	done
	for n in 1 2; do
		clevis_alone luks regen -q -d "$disk" -s $n >"said.regen-$n" 2>&1 3>&- </dev/null &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		if wait "$n"; then worked=$((worked + 1)); fi
	done
	cat said.*
	[ "$worked" -ge 2 ]
	clevis luks unlock -d "$disk" -t 1
	clevis luks unlock -d "$disk" -t 2
	is_sound "$disk"
}
