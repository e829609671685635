#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A LUKS1 disk, whose bindings are in luksmeta: what theirs bound in our hands, and the reverse.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

clevis_uuid=cb6e8904-81ff-40da-a84a-07ab9ab5715e
other_uuid=0b5ee2ae-5bbd-4d25-a3ba-1b0e5e0ba58c

# config: of our server, in the form that both take and neither asks about.
config() {
	tang_config "$url" "\"adv\":\"$adv\""
}

their_bind() {
	their_clevis_alone luks bind -f -k "$pass" -d "$disk" tang "$(config)" 2>bind.err || { cat bind.err && return 1; }
}

# The person's keyslot is 0; nothing has made room for luksmeta yet.
make_luks1_template() {
	pass=$BATS_FILE_TMPDIR/pass template=$BATS_FILE_TMPDIR/template.img
	export pass template
	printf '%s' "$passphrase" >"$pass"
	format_disk "$template" --type luks1
}

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_luks1_template
	[ -x /usr/bin/clevis-luks-bind ] && [ -x /usr/bin/luksmeta ] || return 0
	make_disk bound-by-theirs.img
	their_bind
	make_disk bound-by-ours.img
	bind
	export folder=$BATS_FILE_TMPDIR
}

# bound_by theirs|ours: the disk is a copy of one that was bound, in keyslot 1.
bound_by() {
	cp --sparse=always "$folder/bound-by-$1.img" "$disk"
}

prepare() {
	local name
	for name in bind edit list pass regen report unbind unlock; do
		needs_their "/usr/bin/clevis-luks-$name"
	done
	needs_their /usr/bin/clevis /usr/bin/jose
	needs cryptsetup luksmeta
	make_disk
}

# Without the disk's name.
dump() { # DISK
	cryptsetup luksDump "$1" | tail -n +2
}

is_in_use() { # KEYSLOT
	cryptsetup luksDump "$disk" | grep -q "^Key Slot $1: ENABLED$"
}

# metadata KEYSLOT [UUID]: what luksmeta holds there.
metadata() {
	luksmeta load -d "$disk" -s "$1" -u "${2:-$clevis_uuid}"
}

# is_empty SLOT: luksmeta holds nothing there.
is_empty() {
	luksmeta show -d "$disk" | grep -qE "^$1 +(in)?active empty$"
}

# both_use KEYSLOT [CONFIGURATION]: both list the binding, of that configuration, alike, recover the same passphrase, which opens
# that keyslot, and test it.
both_use() {
	local listed="$1: tang '${2:-"{\"url\":\"$url\"}"}'"
	call clevis luks list -d "$disk" -s "$1"
	succeeds
	says "$listed"
	[ "$(their_clevis luks list -d "$disk" -s "$1")" = "$listed" ]
	their_clevis luks pass -d "$disk" -s "$1" >theirs
	clevis luks pass -d "$disk" -s "$1" >ours
	cmp theirs ours
	opens "$disk" "$1" ours
	call clevis luks unlock -d "$disk" -t "$1"
	succeeds
	their_clevis luks unlock -d "$disk" -t "$1"
}

# is_unbound KEYSLOT: neither the keyslot nor its metadata is left, and no other thing has changed.
is_unbound() {
	never is_in_use "$1"
	is_empty "$1"
	dump "$disk" | diff <(dump "$template") -
	[ -z "$(clevis luks list -d "$disk")" ]
	[ -z "$(their_clevis luks list -d "$disk")" ]
}

@test "theirs binds: both use it" {
	bound_by theirs
	both_use 1
	clevis luks pass -d "$disk" -s 1 | cryptsetup open --test-passphrase --key-slot 1 "$disk"
}

@test "ours binds: both use it" {
	bound_by ours
	both_use 1
}

@test "ours binds: what luksmeta holds is a compact JWE and nothing more" {
	bound_by ours
	metadata 1 >jwe
	grep -qxE '[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+' jwe
	[ "$(wc -l <jwe)" = 0 ]
	clevis decrypt <jwe | cmp - <(clevis luks pass -d "$disk" -s 1)
	their_clevis decrypt <jwe | cmp - <(clevis luks pass -d "$disk" -s 1)
}

@test "the keyslots of both are made alike" {
	bound_by theirs
	bind -s 2
	local slot
	for slot in 1 2; do
		cryptsetup luksDump "$disk" | sed -n "/^Key Slot $slot:/,/AF stripes/p" | grep -E '(Iterations|AF stripes):' >"slot.$slot"
	done
	[ -s slot.1 ]
	diff slot.1 slot.2
}

@test "theirs binds: ours unbinds, and nothing is left" {
	bound_by theirs
	call clevis luks unbind -f -d "$disk" -s 1
	succeeds
	is_unbound 1
}

@test "ours binds: theirs unbinds, and nothing is left" {
	bound_by ours
	their_clevis_alone luks unbind -f -d "$disk" -s 1
	is_unbound 1
}

@test "both on one disk, in either order" {
	local first
	for first in theirs ours; do
		bound_by $first
		if [ $first = theirs ]; then bind; else their_bind; fi
		both_use 1
		both_use 2
		clevis luks list -d "$disk" | diff - <(their_clevis luks list -d "$disk")
	done
}

@test "theirs binds: ours regenerates, theirs reports nothing missing" {
	bound_by theirs
	clevis luks pass -d "$disk" -s 1 >before
	call clevis_alone luks regen -q -d "$disk" -s 1
	succeeds
	[[ $output == *'Binding regenerated successfully' ]]
	both_use 1
	never cmp -s before ours
	never opens "$disk" 1 before
	their_clevis luks report -q -d "$disk" -s 1 </dev/null
	opens "$disk" 0 "$pass"
	[ "$(cryptsetup luksDump "$disk" | grep -c ENABLED)" = 2 ]
}

@test "ours binds: theirs regenerates, ours reports nothing missing" {
	bound_by ours
	clevis luks pass -d "$disk" -s 1 >before
	their_clevis_alone luks regen -q -d "$disk" -s 1 >regen.out 2>&1 || { cat regen.out && return 1; }
	both_use 1
	never cmp -s before ours
	call clevis luks report -q -d "$disk" -s 1
	succeeds
	says ''
}

@test "theirs binds: ours edits" {
	bound_by theirs
	call clevis_alone luks edit -f -d "$disk" -s 1 -c "{\"url\":\"$url/\",\"adv\":\"$adv\"}"
	succeeds
	both_use 1 "{\"url\":\"$url/\"}"
	opens "$disk" 0 "$pass"
}

@test "ours binds: theirs edits" {
	bound_by ours
	their_clevis_alone luks edit -f -d "$disk" -s 1 -c "{\"url\":\"$url/\"}" >edit.out 2>&1 || { cat edit.out && return 1; }
	both_use 1 "{\"url\":\"$url/\"}"
}

@test "report says what theirs says, whoever bound" {
	local keys=$PWD/keys binder theirs
	make_keys "$keys"
	start_tangd "$keys"
	fetch "$url/adv" >rotated.adv
	adv=$PWD/rotated.adv
	their_bind
	bind
	rm "$keys"/*.jwk
	"$TANGD_KEYGEN" "$keys"
	for binder in 1 2; do
		run their_clevis luks report -q -d "$disk" -s $binder </dev/null
		[ "$status" = 1 ]
		theirs=$output
		run clevis luks report -q -d "$disk" -s $binder
		[ "$status" = 1 ]
		[ "$(sort <<<"$output")" = "$(sort <<<"$theirs")" ]
		[ "${#lines[@]}" = 3 ]
	done
}

@test "a wrong passphrase on stdin: ours obtains one from a binding of theirs" {
	bound_by theirs
	call clevis luks bind -y -k - -d "$disk" tang "$(tang_config "$url")" <<<wrong
	binds
	both_use 2
}

@test "their server" {
	needs_their /usr/libexec/tangd
	make_their_keys keys
	start_their_tangd "$PWD/keys"
	fetch "$url/adv" >their.adv
	adv=$PWD/their.adv
	their_bind
	bind
	both_use 1
	both_use 2
}

@test "sss: bound by either, used by both" {
	needs_their /usr/bin/clevis-encrypt-sss
	local slot sss
	sss="{\"t\":2,\"pins\":{\"tang\":[$(config),$(config)]}}"
	their_clevis_alone luks bind -f -k "$pass" -d "$disk" sss "$sss" 2>bind.err || { cat bind.err && return 1; }
	call clevis luks bind -k "$pass" -d "$disk" sss "$sss"
	binds
	clevis luks list -d "$disk" | diff - <(their_clevis luks list -d "$disk")
	for slot in 1 2; do
		their_clevis luks pass -d "$disk" -s $slot >theirs
		clevis luks pass -d "$disk" -s $slot | cmp - theirs
		opens "$disk" $slot theirs
	done
}

@test "metadata of another program: ours binds beside it, and leaves it alone" {
	luksmeta init -f -d "$disk"
	echo 'not of clevis' | luksmeta save -d "$disk" -s 1 -u $other_uuid
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "$url")"
	binds
	both_use 2
	call clevis_alone luks regen -q -d "$disk" -s 2
	succeeds
	call clevis luks unbind -f -d "$disk" -s 1
	[ "$status" = 1 ]
	call clevis luks unbind -f -d "$disk" -s 2
	succeeds
	[ "$(metadata 1 $other_uuid)" = 'not of clevis' ]
	is_empty 2
}

@test "a keyslot that cryptsetup has removed: what is left of the binding goes" {
	local binder
	for binder in theirs ours; do
		bound_by $binder
		cryptsetup luksKillSlot -q "$disk" 1
		call clevis luks unbind -f -d "$disk" -s 1
		succeeds
		is_empty 1
	done
}

@test "a keyslot that cryptsetup has removed: the next bind of either takes its place" {
	local binder
	for binder in theirs ours; do
		bound_by $binder
		cryptsetup luksKillSlot -q "$disk" 1
		if [ $binder = theirs ]; then bind; else their_bind; fi
		both_use 1
	done
}

@test "no luksmeta on the disk: both say so" {
	call clevis luks list -d "$disk"
	fails 1 "The $disk device is not valid!"
	run their_clevis luks list -d "$disk"
	[ "$status" = 1 ]
}
