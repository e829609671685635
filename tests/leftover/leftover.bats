#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Each command is stopped where it exits, and so is each process that it forks; their memory is searched for what was secret.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

: "${UNWIPED:=$top/build/tests/leftover/clevis-unwiped}" "${DUMP:=$top/build/tests/leftover/dump}" "${NEEDLES:=$top/build/tests/leftover/needles}"

plain=this-is-the-plaintext-that-nobody-may-find

setup_file() {
	serve_file
	printf %s "$plain" >"$BATS_FILE_TMPDIR/plain"
	local key
	for key in "$keys"/*.jwk; do
		! grep -q ECMR "$key" || cp "$key" "$BATS_FILE_TMPDIR/exchange.jwk"
	done
}

prepare() {
	mkdir memory
	"$DUMP" memory /bin/true || skip "no process can be looked into here"
	rm memory/*
	hex=$(printf %s "$plain" | od -An -tx1 | tr -d ' \n')
	printf 'plaintext %s\n' "$hex" >secrets
}

# left_by PROGRAM ARGUMENT…: runs it, standard input from `in`, and prints the names of the secrets that are left.
# The secrets are known only when it has run: of an encryption by what came out.
left_by() {
	rm -f memory/*
	"$DUMP" memory "$@" <in >out
	[ -z "${after:-}" ] || "$after"
	"$python" - <<-'END'
		import os
		memories = [open("memory/" + name, "rb").read() for name in os.listdir("memory")]
		assert memories and all(len(memory) > 100000 for memory in memories)
		for line in open("secrets"):
		    name, text = line.split()
		    secret = bytes.fromhex(text)
		    # half of it is as bad; and so is the text that stands for it in JSON
		    import base64
		    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=")
		    for wanted in secret, secret[:16], secret[-16:], encoded[:24], secret[:16][::-1], secret[-16:][::-1]:
		        if any(wanted in memory for memory in memories):
		            print(name)
		            break
	END
}

# nothing_is_left ARGUMENT…: by clevis; and by the one that does not wipe, each of the secrets is.
nothing_is_left() {
	call left_by "$UNWIPED" "$@"
	[ "$status" = 0 ]
	says "$(cut -d ' ' -f 1 secrets)"
	call left_by "$CLEVIS" "$@"
	[ "$status" = 0 ]
	says ''
}

jwe_secrets() {
	grep '^plaintext' secrets >kept
	"$NEEDLES" "$@" >>kept
	mv kept secrets
}
of_what_came_out() {
	jwe_secrets out "$BATS_FILE_TMPDIR/exchange.jwk"
}

@test "decrypt, tang" {
	clevis encrypt tang "$(tang_config "$url")" -y <"$BATS_FILE_TMPDIR/plain" >in
	jwe_secrets in "$BATS_FILE_TMPDIR/exchange.jwk"
	[ "$(wc -l <secrets)" = 3 ]
	nothing_is_left decrypt
	[ "$(<out)" = "$plain" ]
}

@test "encrypt, tang" {
	cp "$BATS_FILE_TMPDIR/plain" in
	after=of_what_came_out
	nothing_is_left encrypt tang "$(tang_config "$url")" -y
}

@test "decrypt, sss" {
	clevis encrypt sss '{"t":2,"pins":{"null":[{},{}]}}' <"$BATS_FILE_TMPDIR/plain" >in
	jwe_secrets in
	[ "$(wc -l <secrets)" = 4 ]
	nothing_is_left decrypt
}

@test "encrypt, sss" {
	cp "$BATS_FILE_TMPDIR/plain" in
	after='jwe_secrets out'
	nothing_is_left encrypt sss '{"t":2,"pins":{"null":[{},{}]}}'
}

@test "decrypt, sss of key servers, each asked by a process of its own" {
	clevis encrypt sss "{\"t\":2,\"pins\":{\"tang\":[$(tang_config "$url"),$(tang_config "$url")]}}" -y <"$BATS_FILE_TMPDIR/plain" >in
	nothing_is_left decrypt
	[ "$(find memory -type f | wc -l)" = 3 ]
}

@test "decrypt and encrypt, file" {
	cp "$BATS_FILE_TMPDIR/plain" in
	file_secrets() {
		grep '^plaintext' secrets >kept
		printf 'key %s\n' "$(json 'sys.stdout.write(unb64(j["k"]).hex())' <key)" >>kept
		mv kept secrets
		rm -f key
	}
	after=file_secrets
	nothing_is_left encrypt file '{"name":"key"}'
	after=
	clevis encrypt file '{"name":"key"}' <"$BATS_FILE_TMPDIR/plain" >in
	cp key key.kept
	file_secrets
	mv key.kept key
	nothing_is_left decrypt
}

@test "luks pass" {
	needs cryptsetup
	make_template
	make_disk disk.img
	bind
	: >in
	clevis luks pass -d "$disk" -s 1 >passphrase
	printf 'passphrase %s\n' "$(od -An -tx1 passphrase | tr -d ' \n')" >secrets
	nothing_is_left luks pass -d "$disk" -s 1
}
