#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where a passphrase must never be seen: arguments and environments of processes, stderr, files, core dumps.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk bound.img
	bind
	clevis luks pass -d "$disk" -s 1 >"$BATS_FILE_TMPDIR/secret"
	export bound=$disk secret=$BATS_FILE_TMPDIR/secret
}

prepare() {
	needs cryptsetup strace
	strace -o probe true 2>/dev/null || skip "strace does not work here"
	disk=$PWD/disk.img
	cp --sparse=always "$bound" "$disk"
	export ASAN_OPTIONS=detect_leaks=0 # it cannot work beside strace
}

# trace COMMAND…: all of its system calls and those of its children, whole strings, environments spelt out: in `trace`.
trace() {
	call strace -f -v -s 100000 -o trace "$@"
}

# is_nowhere [WORD…]: neither passphrase, nor the words, were handed to another program or said on stderr.
is_nowhere() {
	local word
	grep -E 'execve\(' trace >execs
	[ -s execs ]
	for word in "$(<"$secret")" 'a passphrase' "$@"; do
		lacks "$word" execs
		lacks "$word" <<<"$stderr"
	done
}

# makes_no_file: no file was created or opened for writing but the disk.
makes_no_file() { # but the lock, which holds nothing
	grep -E '(open|openat|creat|memfd_create|mkdir|mknod|symlink)(at)?\(' trace | grep -E 'O_CREAT|O_WRONLY|O_RDWR|creat\(|memfd|mkdir|mknod|symlink' |
		grep -vE '"(/dev/(tty|null|urandom|mapper/control)|/run/.*cryptsetup.*|[^"]*/nbde(-[0-9]+)?|file-[0-9]+-[0-9]+-[0-9]+|/proc/self/.*|'"$disk"')"|ENOENT|EEXIST' >made || true
	cat made
	[ ! -s made ]
}

@test "pass" {
	trace "$CLEVIS" luks pass -d "$disk" -s 1
	succeeds
	says "$(<"$secret")"
	# The check sees what it looks for: the passphrase is in the trace, where it belongs.
	grep -F -e "$(<"$secret")" trace | grep -qE 'write\(1,'
	is_nowhere
	makes_no_file
}

@test "unlock -t" {
	trace "$CLEVIS" luks unlock -d "$disk" -t 1
	succeeds
	is_nowhere
	lacks "$(<"$secret")" trace
	makes_no_file
}

@test "bind, the person's passphrase from a file, from stdin, from a binding" {
	trace "$CLEVIS" luks bind -y -k "$pass" -d "$disk" tang "$(tang_config "$url")"
	binds
	is_nowhere "$(clevis luks pass -d "$disk" -s 2)"
	lacks "$(clevis luks pass -d "$disk" -s 2)" trace
	makes_no_file
	trace "$CLEVIS" luks bind -y -k - -d "$disk" tang "$(tang_config "$url")" <<<"$passphrase"
	binds
	is_nowhere "$(clevis luks pass -d "$disk" -s 3)"
	trace "$CLEVIS" luks bind -y -k - -d "$disk" tang "$(tang_config "$url")" <<<'wrong guess'
	binds
	is_nowhere "$(clevis luks pass -d "$disk" -s 4)" 'wrong guess'
}

@test "failures say nothing of it either" {
	printf 'wrong guess' >wrong
	trace "$CLEVIS" luks bind -y -k wrong -d "$disk" tang "$(tang_config "$url")"
	[ "$status" = 1 ]
	is_nowhere 'wrong guess'
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-slot 1 --key-file "$pass" "$disk" wrong
	edit_token "$disk" 0 'j["keyslots"] = ["1"]'
	trace "$CLEVIS" luks unlock -d "$disk" -t 1
	[ "$status" = 1 ]
	is_nowhere
}

@test "encrypt and decrypt: the plaintext" {
	printf 'the plaintext' >plain
	trace "$CLEVIS" encrypt tang "$(tang_config "$url")" -y <plain
	succeeds
	printf '%s' "$output" >jwe
	is_nowhere 'the plaintext'
	makes_no_file
	trace "$CLEVIS" decrypt <jwe
	succeeds
	says 'the plaintext'
	is_nowhere 'the plaintext'
	makes_no_file
}

@test "no other program is started, also where a name must be looked up" {
	trace "$CLEVIS" encrypt tang "$(tang_config "http://localhost:${url##*:}")" -y <<<x
	succeeds
	[ "$(grep -c 'execve(' trace)" = 1 ]
}

@test "core dumps are off, memory is locked and kept out of dumps, another user's debugger is kept out" {
	trace "$CLEVIS" luks pass -d "$disk" -s 1
	grep -qE 'RLIMIT_CORE.*rlim_cur=0' trace
	grep -qF 'PR_SET_DUMPABLE, SUID_DUMP_DISABLE' trace
	grep -qF MADV_DONTDUMP trace
	is_sanitized "$CLEVIS" || grep -qE '^[0-9]+ +mlock' trace # AddressSanitizer leaves mlock out
}

@test "the server's log and answers have no private key in them" {
	cp -r "$keys" keys
	start_tangd keys
	fetch "$url/adv" >adv
	fetch -d '{"kty":"EC"' "$url/rec/$(exchange_thumbprint <adv)"
	local d
	grep -oh '"d":"[^"]*"' keys/*.jwk | cut -d '"' -f 4 >private
	[ "$(wc -l <private)" = 2 ]
	while read -r d; do
		lacks "$d" keys.log adv
	done <private
}
