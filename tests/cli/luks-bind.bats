#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks bind, when it works: what it writes, where, and the ways to give it a passphrase.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
}

prepare() {
	needs cryptsetup
	make_disk
	config=$(tang_config "$url")
}

# add_passphrase FILE: the disk opens by that file's bytes too, in the next free keyslot.
add_passphrase() {
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass" "$disk" "$1"
}

# is_bound KEYSLOT: the disk is bound there, the binding opens that keyslot, and the person's passphrase still opens keyslot 0.
is_bound() {
	[ "$(clevis luks list -d "$disk" -s "$1")" = "$1: tang '{\"url\":\"$url\"}'" ]
	clevis luks pass -d "$disk" -s "$1" >recovered
	opens "$disk" "$1" recovered
	opens "$disk" 0 "$pass"
}

@test "-k FILE: nothing is said, and the disk is bound in the first free keyslot" {
	call clevis luks bind -y -k "$pass" -d "$disk" tang "$config"
	binds
	says ''
	is_bound 1
}

@test "the token: type, keyslot, flattened JWE, and nothing else" {
	bind
	cryptsetup token export --token-id 0 "$disk" | json 'assert sorted(j) == ["jwe", "keyslots", "type"], j
assert j["type"] == "clevis" and j["keyslots"] == ["1"]
assert sorted(j["jwe"]) == ["ciphertext", "encrypted_key", "iv", "protected", "tag"]
assert j["jwe"]["encrypted_key"] == ""
open("jwe", "w").write(".".join(j["jwe"][m] for m in ("protected", "encrypted_key", "iv", "ciphertext", "tag")))'
	# The JWE is one like any other: it holds the passphrase that pass prints.
	[ "$(clevis decrypt <jwe)" = "$(clevis luks pass -d "$disk" -s 1)" ]
}

@test "the keyslot: preferred, pbkdf2 with 1000 iterations; keyslot 0 stays as it was" {
	cryptsetup luksDump "$disk" | sed -n '/^  0: luks2/,/Digest ID/p' >before
	bind
	cryptsetup luksDump "$disk" | sed -n '/^  0: luks2/,/Digest ID/p' | diff before -
	cryptsetup luksDump "$disk" | sed -n '/^  1: luks2/,/Digest ID/p' >slot
	grep -qE '^\s+Priority: +preferred$' slot
	grep -qE '^\s+PBKDF: +pbkdf2$' slot
	grep -qE '^\s+Iterations: +1000$' slot
	grep -qE '^\s+Hash: +sha256$' slot
}

@test "the keyslot's hash is that of the device's first keyslot" {
	format_disk "$disk" --hash sha512
	bind
	cryptsetup luksDump "$disk" | sed -n '/^  1: luks2/,/Digest ID/p' >slot
	grep -qE '^\s+Hash: +sha512$' slot
	grep -qE '^\s+AF hash: +sha512$' slot
	is_bound 1
}

@test "the passphrase: 54 characters of base64url, another one each time" {
	bind
	bind
	clevis luks pass -d "$disk" -s 1 >one
	clevis luks pass -d "$disk" -s 2 >two
	grep -qxE '[A-Za-z0-9_-]{54}' one
	grep -qxE '[A-Za-z0-9_-]{54}' two
	[ "$(wc -c <one)" = 54 ]
	never cmp -s one two
	is_bound 1
	is_bound 2
}

@test "-k FILE: every byte counts, a newline at the end too" {
	printf 'with newline\n' >newline
	printf 'with newline' >without
	add_passphrase newline
	call clevis luks bind -y -k without -d "$disk" tang "$config"
	[ "$status" = 1 ]
	call clevis luks bind -y -k newline -d "$disk" tang "$config"
	binds
	is_bound 2
}

@test "-k FILE: binary, with NULs" {
	printf 'a\0b\n\xff\0\n' >binary
	printf 'a' >beginning
	add_passphrase binary
	call clevis luks bind -y -k beginning -d "$disk" tang "$config"
	[ "$status" = 1 ]
	call clevis luks bind -y -k binary -d "$disk" tang "$config"
	binds
	is_bound 2
}

@test "-k -: a line of standard input, without its newline, or up to its end" {
	printf '%s\nmore\n' "$passphrase" >input
	call clevis luks bind -y -k - -d "$disk" tang "$config" <input
	binds
	is_bound 1
	printf '%s' "$passphrase" >input
	call clevis luks bind -y -k - -d "$disk" tang "$config" <input
	binds
	is_bound 2
}

@test "-k -: spaces, quotes, backslashes, UTF-8" {
	printf '%s' '  a "b" '\''c'\'' \n $(d) `e` ü * ' >odd
	add_passphrase odd
	call clevis luks bind -y -k - -d "$disk" tang "$config" <odd
	binds
	is_bound 2
}

@test "no -k and no terminal: a line of standard input, without a prompt" {
	call clevis_alone luks bind -y -d "$disk" tang "$config" <<<"$passphrase"
	binds
	is_bound 1
}

@test "no -k, a terminal: a prompt, and what is typed is not shown" {
	run on_terminal "Enter existing LUKS password: =!$passphrase" -- "$CLEVIS" luks bind -y -d "$disk" tang "$config"
	[ "$status" = 0 ]
	[ "$(grep -v 'is this very machine' screen)" = "Enter existing LUKS password: " ]
	is_bound 1
}

@test "what is typed is hidden before the prompt appears, not after" {
	# Otherwise who types at once sees it on the screen, and it is thrown away.
	needs strace
	ASAN_OPTIONS=detect_leaks=0 on_terminal 'Enter existing LUKS password: =!wrong' -- \
		strace -o calls -e trace=write,ioctl "$CLEVIS" luks bind -y -d "$disk" tang "$config" || true
	grep -nE 'TCSETS|Enter existing' calls >order
	grep -q 'Enter existing' order || skip "strace does not work here"
	head -n 1 order | grep -q TCSETS
}

@test "Ctrl-C at the prompt leaves a terminal that shows what is typed" {
	run on_terminal 'Enter existing LUKS password: =!half' --end=interrupt -- "$CLEVIS" luks bind -y -d "$disk" tang "$config"
	[ "$status" != 0 ]
	grep -qx 'echoes: yes' screen
}

@test "an empty passphrase is legal" {
	: >empty
	add_passphrase empty 2>err || skip "this cryptsetup adds no empty passphrase"
	call clevis luks bind -y -k empty -d "$disk" tang "$config"
	binds
	is_bound 2
	call clevis luks bind -y -k - -d "$disk" tang "$config" <<<''
	binds
	is_bound 3
}

@test "a wrong passphrase on standard input: one is obtained from a binding that is there" {
	bind
	call clevis_alone luks bind -y -d "$disk" tang "$config" <<<wrong
	binds
	is_bound 2
	call clevis luks bind -y -k - -d "$disk" tang "$config" <<<wrong
	binds
	is_bound 3
}

@test "-s: the chosen keyslot; -t: the chosen token" {
	call clevis luks bind -y -k "$pass" -s 7 -d "$disk" tang "$config"
	binds
	is_bound 7
	call clevis luks bind -y -k "$pass" -s 31 -t 31 -d "$disk" tang "$config"
	binds
	is_bound 31
	call clevis luks bind -y -k "$pass" -t 5 -d "$disk" tang "$config"
	binds
	is_bound 1
	cryptsetup luksDump "$disk" | sed -n '/^Tokens:/,/^Digests:/p' | grep -E '^  [0-9]+: |Keyslot' | tr -d ' \t\n' >tokens
	[ "$(<tokens)" = '0:clevisKeyslot:75:clevisKeyslot:131:clevisKeyslot:31' ]
}

@test "options of old scripts: -f, and options in any order before the pin" {
	call clevis luks bind -f -y -d "$disk" -k "$pass" tang "$config"
	binds
	is_bound 1
}

@test "argon2id, and the default geometry of a LUKS2 header" {
	truncate -s 32M "$disk"
	cryptsetup luksFormat -q --type luks2 --pbkdf argon2id --pbkdf-memory 32768 --pbkdf-force-iterations 4 --pbkdf-parallel 1 "$disk" "$pass"
	bind
	is_bound 1
	cryptsetup luksDump "$disk" | sed -n '/^  0: luks2/,/Digest ID/p' | grep -q argon2id
}

@test "tokens of other types are not touched, and orphans of ours are removed" {
	echo '{"type":"other","keyslots":[],"data":"precious"}' | cryptsetup token import --token-id 3 "$disk"
	bind -s 1
	bind -s 2
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	cryptsetup token export --token-id 0 "$disk" | json 'assert j["keyslots"] == []'
	bind -s 4
	cryptsetup token export --token-id 0 "$disk" | json 'assert j["keyslots"] == ["4"], j'
	cryptsetup token export --token-id 3 "$disk" | grep -q precious
	[ "$(clevis luks list -d "$disk" | wc -l)" = 2 ]
	is_bound 2
	is_bound 4
}

@test "adv, and the server is down: one warning, and it is bound" {
	local gone
	gone=$(closed_port)
	call clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "http://127.0.0.1:$gone" "\"adv\":\"$adv\"")"
	[ "$status" = 0 ]
	says ''
	[ "${#stderr_lines[@]}" = 2 ] # and that it is this machine
	[[ ${stderr_lines[0]} == *'warning: '*'does not answer'*"127.0.0.1:$gone: connection refused" ]]
	[ "$(clevis luks list -d "$disk")" = "1: tang '{\"url\":\"http://127.0.0.1:$gone\"}'" ]
	is_in_use "$disk" 1
}

@test "adv, and the server is up: no warning" {
	call clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$url" "\"adv\":\"$adv\"")"
	binds
	is_bound 1
}

@test "thp: trusted without a question" {
	call clevis_alone luks bind -k "$pass" -d "$disk" tang "$(tang_config "$url" "\"thp\":\"$(signing_thumbprints <"$adv")\"")"
	binds
	is_bound 1
}

@test "what is on the disk behind the header is not touched" {
	local offset
	offset=$(cryptsetup luksDump "$disk" | sed -n 's/^\toffset: \([0-9]*\) .*/\1/p')
	head -c 1M /dev/urandom | dd of="$disk" bs=1M seek=$((offset / 1048576)) conv=notrunc status=none
	tail -c "+$((offset + 1))" "$disk" | sha256sum >before
	bind
	tail -c "+$((offset + 1))" "$disk" | sha256sum | cmp - before
	[ "$(stat -c %s "$disk")" = "$(stat -c %s "$template")" ]
}

@test "the advertisement and the proof are asked for on one connection" {
	local real=$url
	start_badserver kept '' "$real"
	bind
	cut -d ' ' -f 2- "$helper_log" >requests
	[ "$(<requests)" = $'request 1\nrequest 2' ]
}
