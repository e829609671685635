#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pin that clevis-pins(7) shows does what that page says.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v jose >/dev/null && command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
}

prepare() {
	needs jose
	mkdir bin
	example 1 >bin/clevis-encrypt-stick
	example 2 >bin/clevis-decrypt-stick
	chmod +x bin/clevis-*
	PATH=$PWD/bin:$PATH
	jose jwk gen -i '{"kty":"EC","crv":"P-521"}' -o key.jwk
	jose jwk pub -i key.jwk -o pub.jwk
	config="{\"pub\":\"$PWD/pub.jwk\",\"key\":\"$PWD/key.jwk\"}"
}

# example N: the program that stands there as the N-th.
example() {
	awk -v wanted="$1" '/^\.Ed/ { inside = 0 }
		starts && /^#!/ { inside = ++count == wanted }
		{ starts = /^\.Bd/ }
		inside { gsub(/\\e/, "\\"); print }' "$top/docs/man/clevis-pins.7"
}

@test "it seals and opens, by its own commands and as a program" {
	printf 'some\0bytes\n' >plain
	clevis encrypt stick "$config" <plain >jwe
	[ "$(wc -l <jwe)" = 0 ]
	header_of jwe | json 'assert j["clevis"]["pin"] == "stick" and list(j["clevis"]["stick"]) == ["key"], j'
	clevis decrypt <jwe >opened
	cmp opened plain
	clevis-decrypt-stick <jwe >opened
	cmp opened plain
	clevis-encrypt-stick "$config" -y </dev/null | clevis decrypt >opened
	[ ! -s opened ]
}

@test "it is listed, and its other half is not" {
	call clevis --help
	grep -q '^  clevis encrypt-stick  *Encrypts to a key pair' <<<"$output"
	lacks decrypt-stick <<<"$output"
	call clevis encrypt stick --summary
	succeeds
}

@test "in an sss, beside a server" {
	needs cryptsetup
	printf secret | clevis encrypt sss "{\"t\":2,\"pins\":{\"stick\":$config,\"tang\":$(tang_config "$url")}}" -y >jwe
	call clevis decrypt <jwe
	succeeds
	says secret
	mv key.jwk away
	call clevis decrypt <jwe
	# The server's share may be there by then, or not yet.
	local found
	found=$(grep -o '[01] of 2 shares' <<<"$stderr")
	fails 1 "stick: $PWD/key.jwk: no key there; put the stick in" \
		"clevis-decrypt: sss: $found found: $PWD/bin/clevis-decrypt-stick: it failed with exit status 1"
}

@test "in a binding, which is not made while the stick is away" {
	needs cryptsetup
	make_disk
	call clevis luks bind -k "$pass" -d "$disk" stick "$config"
	binds
	call clevis luks list -d "$disk"
	says "1: unknown pin 'stick'"
	call clevis luks unlock -d "$disk" -t 1
	succeeds
	mv key.jwk away
	call clevis luks unlock -d "$disk" -t 1
	[ "$status" = 1 ]
	local before
	before=$(sha "$disk")
	call clevis luks bind -k "$pass" -d "$disk" stick "$config"
	[ "$status" = 1 ]
	[[ $stderr == *"Error adding new binding to $disk"* ]]
	[ "$(sha "$disk")" = "$before" ]
}

@test "a configuration that is no good: exit 1, one line; none: usage, exit 2" {
	call clevis encrypt stick '{"pub":3}' </dev/null
	fails 1 "stick: the configuration has no 'pub' or no 'key'"
	call clevis encrypt stick '{"pub":"nowhere","key":"k"}' </dev/null
	fails 1 'stick: nowhere: cannot be read'
	call clevis encrypt stick </dev/null
	usage 2
}

@test "neither plaintext nor key is in an argument of what it runs" {
	needs strace
	strace -o probe true 2>/dev/null || skip "strace does not work here"
	printf 'the plaintext' | ASAN_OPTIONS=detect_leaks=0 strace -f -v -s 100000 -e execve -o trace "$CLEVIS" encrypt stick "$config" >jwe
	ASAN_OPTIONS=detect_leaks=0 strace -f -v -s 100000 -e execve -o trace2 "$CLEVIS" decrypt <jwe >opened
	[ "$(<opened)" = 'the plaintext' ]
	grep -q 'jose' trace trace2
	lacks 'the plaintext' trace trace2
	lacks "$(json 'print(j["d"])' <key.jwk)" trace trace2
}
