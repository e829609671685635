#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Others at work on the same header: cryptsetup between two of our steps, commands of ours side by side, tokens of other tools,
# tokens that are damaged, devices that may only be read, headers that are full. Each command works or says clearly why not, and
# loses nothing.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

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
	config=$(tang_config "$url")
	printf other >other
}

add_key() { # [KEYSLOT]
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass" ${1:+--key-slot "$1"} "$disk" other
}

kill_slot() { # KEYSLOT FILE
	cryptsetup luksKillSlot -q --key-file "$2" "$disk" "$1"
}

# --- cryptsetup between two of our steps --------------------------------------------------------------------------------------

# meanwhile COMMAND…: what happens to the disk while our commands seal: a pin `x` that does this, and is else null.
meanwhile() {
	printf '%s\n' '#!/bin/bash' "disk=$disk pass=$pass" "$(declare -f add_key kill_slot)" "{ $*; } >&2 || true" >meanwhile
	printf '%s\n' '#!/bin/bash' ". $PWD/meanwhile" "exec -a clevis-encrypt-null $CLEVIS \"\$@\"" >clevis-encrypt-x
	chmod +x clevis-encrypt-x
}

bind_x() {
	PATH=$PWD:$PATH call clevis luks bind -y -k "$pass" -d "$disk" "$@" x '{}'
}

@test "bind, and meanwhile somebody adds a key: both are there; if it took the slot that was asked for, that is said" {
	meanwhile add_key
	bind_x
	succeeds
	opens "$disk" 2 other
	clevis luks unlock -d "$disk" -t 3
	meanwhile add_key 9
	bind_x -s 9
	fails 1 "luks: $disk: keyslot 9 is in use" "Error adding new binding to $disk"
	opens "$disk" 9 other
	kill_slot 9 "$pass"
	kill_slot 2 "$pass"
	is_sound "$disk"
}

@test "bind, and meanwhile somebody writes the token that was to be ours: theirs is kept" {
	meanwhile "echo '{\"type\":\"other\",\"keyslots\":[],\"data\":\"precious\"}' | cryptsetup token import --token-id 1 $disk"
	bind_x
	succeeds
	cryptsetup token export --token-id 1 "$disk" | grep -q precious
	meanwhile "echo '{\"type\":\"other\",\"keyslots\":[],\"data\":\"precious\"}' | cryptsetup token import --token-id 9 $disk"
	bind_x -t 9
	fails 1 "luks: $disk: token 9 is in use" "Error adding new binding to $disk"
	cryptsetup token export --token-id 9 "$disk" | grep -q precious
	is_sound "$disk"
}

@test "bind, and meanwhile somebody removes another binding's keyslot: it stays removed" {
	bind -s 5
	meanwhile kill_slot 5 "$pass"
	bind_x
	succeeds
	[ "$(keyslots "$disk")" = '0 1 2' ]
	is_sound "$disk"
}

@test "bind, and meanwhile the passphrase that authorises is removed: what is left opens" {
	add_key 7
	meanwhile kill_slot 0 "$PWD/other"
	bind_x
	succeeds
	[ "$(keyslots "$disk")" = '0 1 7' ] # the place of the first became free
	opens "$disk" 7 other
	clevis luks unlock -d "$disk" -t 1
	clevis luks unlock -d "$disk" -t 0
}

@test "bind, and meanwhile the device is formatted anew: nothing is written to the new one" {
	meanwhile "cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $disk $PWD/other; sha256sum <$disk >$PWD/sum"
	bind_x
	fails 1 "luks: $disk: it was formatted anew meanwhile" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$(<sum)" ]
	opens "$disk" 0 other
}

@test "bind, and meanwhile an older header is restored: the binding is added to that one" {
	cryptsetup luksHeaderBackup "$disk" --header-backup-file older
	bind -s 5
	bind -s 6
	meanwhile "cryptsetup luksHeaderRestore -q $disk --header-backup-file $PWD/older"
	bind_x -s 7
	succeeds
	[ "$(keyslots "$disk")" = '0 1 7' ]
	is_sound "$disk"
}

# serve_meanwhile COMMAND…: a server that does this to the disk when a connection comes, at $url.
serve_meanwhile() {
	meanwhile "$@"
	printf '%s\n' '#!/bin/bash' ". $PWD/meanwhile" "exec $TANGD $keys" >serve
	chmod +x serve
	start_helper inetd.py "$PWD/serve"
}

# edit_meanwhile: of slot 1, to be bound to that server. The one it is bound to gives the volume key, so that the other is asked later.
edit_meanwhile() {
	call clevis_alone luks edit -y -d "$disk" -s 1 -c "$(tang_config "$url")"
}

edit_fails() { # TEXT
	[ "$status" = 1 ] && [[ $stderr == *"$1"*"Unable to update binding in $disk:1. Operation cancelled." ]] && return
	show_result
	return 1
}

is_edited() {
	[ "$status" = 0 ] && [ "$(clevis luks list -d "$disk" -s 1)" = "1: tang '{\"url\":\"$url\"}'" ] && is_sound "$disk" && return
	show_result
	return 1
}

@test "edit, and meanwhile somebody adds a key: theirs is kept" {
	serve_meanwhile add_key 2
	edit_meanwhile
	opens "$disk" 2 other
	: >meanwhile
	kill_slot 2 "$pass"
	is_edited
}

@test "edit, and meanwhile somebody removes the very keyslot, or binds it anew: said, and nothing is added" {
	serve_meanwhile kill_slot 1 "$pass"
	edit_meanwhile
	edit_fails "luks: $disk: no Clevis binding in keyslot 1"
	[ "$(keyslots "$disk")" = 0 ]
	cp --sparse=always "$bound" "$disk"
	serve_meanwhile "cryptsetup token export --token-id 0 $disk | sed 's/\"tag\":\"/&x/' >$PWD/changed; cryptsetup token remove --token-id 0 $disk; cryptsetup token import --token-id 0 $disk --json-file $PWD/changed"
	edit_meanwhile
	edit_fails "luks: $disk: the binding in keyslot 1 was changed meanwhile"
	[ "$(keyslots "$disk")" = '0 1' ]
}

@test "edit, and meanwhile somebody removes another binding: it stays removed" {
	bind -s 5
	serve_meanwhile kill_slot 5 "$pass"
	edit_meanwhile
	[ "$(keyslots "$disk")" = '0 1' ]
	is_edited
}

@test "edit, and meanwhile the device is formatted anew: nothing is written to the new one" {
	serve_meanwhile "[ -e $PWD/sum ] || cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $disk $PWD/other; sha256sum <$disk >$PWD/sum"
	edit_meanwhile
	edit_fails "luks: $disk: it was formatted anew meanwhile"
	[ "$(sha "$disk")" = "$(<sum)" ]
}

@test "edit without room for a second binding, and meanwhile somebody changes the one there is" {
	format_disk "$disk" --luks2-metadata-size 16k --luks2-keyslots-size 512k
	bind
	serve_meanwhile "cryptsetup token export --token-id 0 $disk | sed 's/\"tag\":\"/&x/' >$PWD/changed; cryptsetup token remove --token-id 0 $disk; cryptsetup token import --token-id 0 $disk --json-file $PWD/changed"
	edit_meanwhile
	edit_fails "luks: $disk: the binding in keyslot 1 was changed meanwhile"
	cryptsetup token export --token-id 0 "$disk" | cmp - "$PWD/changed"
}

# --- Commands of ours side by side --------------------------------------------------------------------------------------------

@test "four binds and two regens at once: each works, or says why not; all that is there opens" {
	local pids=() n worked=0 status
	bind -s 2
	for n in 1 2 3 4; do
		clevis_alone luks bind -y -k "$pass" -d "$disk" tang "$config" >said.$n 2>&1 3>&- &
		pids+=($!)
	done
	for n in 1 2; do
		clevis_alone luks regen -q -d "$disk" -s $n >said.regen-$n 2>&1 3>&- </dev/null &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		status=0
		wait "$n" || status=$?
		[ "$status" -le 1 ]
		worked=$((worked + (status == 0)))
	done
	cat said.*
	for n in said.*; do
		grep -qE "is this very machine|Binding regenerated successfully|no room in the header|Unable to regenerate binding in $disk:[12]" "$n"
	done
	[ "$worked" -ge 2 ]
	clevis luks unlock -d "$disk" -t 1
	clevis luks unlock -d "$disk" -t 2
	is_sound "$disk"
}

# --- Tokens of other tools, and damaged ones ----------------------------------------------------------------------------------

# every_command CHECK…: runs CHECK after each command that does something to slot 1 of the disk.
every_command() {
	clevis luks list -d "$disk" >/dev/null && "$@"
	clevis luks pass -d "$disk" -s 1 >/dev/null && "$@"
	clevis luks unlock -d "$disk" -t 1 && "$@"
	clevis luks report -q -d "$disk" -s 1 && "$@"
	bind && "$@"
	clevis_alone luks regen -q -d "$disk" -s 1 && "$@"
	clevis_alone luks edit -f -d "$disk" -s 1 -c "$config" && "$@"
	clevis luks unbind -f -d "$disk" -s 2 && "$@"
	clevis luks unbind -f -d "$disk" -s 1 && "$@"
}

@test "a token of another tool is left as it is by every command" {
	echo '{"type":"other","keyslots":["0"],"jwe":{"protected":"x"},"nbde":{"left":0,"intended":0,"replaces":0}}' >token
	cryptsetup token import --token-id 1 --json-file token "$disk"
	echo '{"type":"clevis2","keyslots":[],"nbde":{"intended":0}}' >token2
	cryptsetup token import --token-id 2 --json-file token2 "$disk"
	{ cryptsetup token export --token-id 1 "$disk" && cryptsetup token export --token-id 2 "$disk"; } >were
	is_there() {
		cryptsetup token export --token-id 1 "$disk" >are
		cryptsetup token export --token-id 2 "$disk" >>are
		cmp were are
	}
	every_command is_there
	opens "$disk" 0 "$pass"
}

@test "a damaged token of ours is left for a person to look at, and in nobody's way" {
	local damaged
	for damaged in '{"type":"clevis","keyslots":[]}' '{"type":"clevis","keyslots":[],"jwe":1}' '{"type":"clevis","keyslots":["0"],"jwe":[]}'; do
		cp --sparse=always "$bound" "$disk"
		echo "$damaged" | cryptsetup token import --token-id 7 "$disk"
		cryptsetup token export --token-id 7 "$disk" >was
		is_there() {
			cryptsetup token export --token-id 7 "$disk" >is
			cmp was is
		}
		every_command is_there
		opens "$disk" 0 "$pass"
	done
}

@test "a token whose JWE is damaged does not cost the person's keyslot that it names" {
	local jwe
	for jwe in '{}' '{"protected":"!"}' '{"protected":"e30","iv":"","ciphertext":"","tag":""}'; do
		cp --sparse=always "$bound" "$disk"
		echo "{\"type\":\"clevis\",\"keyslots\":[\"0\"],\"jwe\":$jwe,\"nbde\":{\"left\":0,\"replaces\":1,\"intended\":0}}" | cryptsetup token import --token-id 7 "$disk"
		bind
		call clevis_alone luks regen -q -d "$disk" -s 1
		[ "$status" = 0 ] || [[ $stderr == *"Unable to regenerate binding in $disk:1" ]]
		clevis luks unlock -d "$disk" -t 1
		opens "$disk" 0 "$pass"
	done
}

# --- Devices that may only be read --------------------------------------------------------------------------------------------

# reading_only COMMAND…: the command sees the disk as one that may only be read: by its mode, or for root by a mount of its own.
reading_only() {
	if [ "$(id -u)" != 0 ]; then
		chmod a-w "$disk"
		"$@"
	else
		# shellcheck disable=SC2016 # the inner shell expands
		unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || exit 77; exec "$@"' "$disk" "$@"
	fi
}

@test "a device that may only be read: commands that write say so and change nothing; the others work" {
	local before arguments
	reading_only true || skip "no mounts here"
	before=$(sha "$disk")
	for arguments in "bind -y -k $pass -d $disk tang $config" "unbind -f -d $disk -s 1" "regen -q -d $disk -s 1" "edit -f -d $disk -s 1 -c $config"; do
		# shellcheck disable=SC2086 # no argument has a space
		call reading_only setsid -w timeout 40 "$CLEVIS" luks $arguments
		[ "$status" = 1 ]
		[[ $stderr == *"$disk: "* ]] || { show_result && return 1; }
		[ "$(sha "$disk")" = "$before" ]
	done
	[ "$(reading_only "$CLEVIS" luks list -d "$disk")" = "1: tang '$config'" ]
	reading_only "$CLEVIS" luks unlock -d "$disk" -t 1
	reading_only "$CLEVIS" luks report -q -d "$disk" -s 1
}

# --- Headers that are full ----------------------------------------------------------------------------------------------------

# nested COUNT: a configuration of that many servers, two levels down.
nested() {
	local servers=$config n
	for ((n = 1; n < $1; n++)); do
		servers+=,$config
	done
	echo "{\"pins\":{\"sss\":{\"pins\":{\"sss\":{\"pins\":{\"tang\":[$servers]}}}}}}"
}

@test "sss inside sss that outgrows the header: bound while there is room, then refused with nothing written" {
	local count=1 before
	clevis luks unbind -f -d "$disk" -s 1
	while clevis luks bind -y -k "$pass" -d "$disk" sss "$(nested $count)" 2>said; do
		clevis luks unlock -d "$disk" -t 1
		clevis luks unbind -f -d "$disk" -s 1
		count=$((count + 1))
		[ "$count" -lt 20 ]
		before=$(sha "$disk")
	done
	grep -q 'no room in the header' said
	[ "$count" -gt 1 ]
	[ "$(sha "$disk")" = "$before" ]
	[ "$(keyslots "$disk")" = 0 ]
	# An edit to what does not fit is refused as well, and the old binding stays.
	clevis luks bind -y -k "$pass" -d "$disk" sss "$(nested $((count - 1)))"
	call clevis_alone luks edit -y -d "$disk" -s 1 -c "$(nested $count)"
	[ "$status" = 1 ]
	[[ $stderr == *"$disk: "*"Unable to update binding in $disk:1. Operation cancelled." ]] || { show_result && return 1; }
	[ "$(clevis luks list --json -d "$disk" | json 'print(json.dumps(j).count("url"))')" = $((count - 1)) ]
	is_sound "$disk"
}
