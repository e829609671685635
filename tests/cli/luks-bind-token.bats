#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks bind -e: an existing token stands in for a passphrase. Tokens of the kernel's keyrings, of Clevis, of plugins.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk keyring.img
	cryptsetup token add --key-description "nbde test" --key-slot 0 "$disk"
	export keyring_disk=$disk
}

prepare() {
	needs cryptsetup
	disk=$PWD/disk.img
	cp --sparse=always "$keyring_disk" "$disk"
	config=$(tang_config "$url")
	before=$(sha "$disk")
}

# with_key FILE COMMAND…: the command finds the file's bytes in a keyring, by the name that the disk's token 0 says.
with_key() {
	"$python" "$lib/withkey.py" "nbde test" "$@"
}

needs_keyrings() {
	with_key "$pass" true || skip "no keyrings here"
}

# refuses_token TEXT ARGUMENT…
refuses_token() {
	call clevis_alone luks bind -y -d "$disk" "${@:2}" tang "$config"
	fails 1 "$1" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

is_bound() { # KEYSLOT
	[ "$(clevis luks list -d "$disk" -s "$1")" = "$1: tang '{\"url\":\"$url\"}'" ]
	clevis luks unlock -d "$disk" -t "$1"
	opens "$disk" 0 "$pass"
}

@test "a key in the kernel's keyring: bound, and nobody is asked for a passphrase" {
	needs_keyrings
	call with_key "$pass" setsid -w "$CLEVIS" luks bind -y -e 0 -d "$disk" tang "$config"
	binds
	is_bound 1
	# The token is somebody else's, and as it was.
	cryptsetup token export --token-id 0 "$disk" | json 'assert j == {"type": "luks2-keyring", "keyslots": ["0"], "key_description": "nbde test"}, j'
	call with_key "$pass" setsid -w "$CLEVIS" luks bind -y -k - -e 0 -d "$disk" tang "$config"
	binds
	is_bound 2
}

@test "a key that is binary, with NULs and a newline at its end" {
	needs_keyrings
	printf 'a\0b\n\xff\0\n' >binary
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass" "$disk" binary
	cryptsetup token remove --token-id 0 "$disk"
	cryptsetup token add --token-id 0 --key-description "nbde test" --key-slot 1 "$disk"
	call with_key binary "$CLEVIS" luks bind -y -e 0 -d "$disk" tang "$config"
	binds
	is_bound 2
}

@test "no such key, or one that opens nothing" {
	needs_keyrings
	refuses_token "by token 0 (luks2-keyring): the kernel's key 'nbde test': Required key not available" -e 0
	printf wrong >wrong
	call with_key wrong "$CLEVIS" luks bind -y -e 0 -d "$disk" tang "$config"
	fails 1 "by token 0 (luks2-keyring): luks: $disk: the passphrase opens no keyslot" "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

@test "a key opens only the keyslots that its token names" {
	needs_keyrings
	printf other >other
	cryptsetup luksAddKey -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file "$pass" "$disk" other
	before=$(sha "$disk")
	call with_key other "$CLEVIS" luks bind -y -e 0 -d "$disk" tang "$config"
	fails 1 'the passphrase opens no keyslot' "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}

@test "a binding that is there: opened by its server" {
	bind
	call clevis_alone luks bind -y -e 1 -d "$disk" tang "$config"
	binds
	is_bound 2
}

@test "a binding whose server has gone, or that has lost its keyslot" {
	bind
	edit_token "$disk" 1 "h = json.loads(unb64(j['jwe']['protected']))
h['clevis']['tang']['url'] = 'http://127.0.0.1:$(closed_port)'
j['jwe']['protected'] = b64(json.dumps(h).encode())"
	before=$(sha "$disk")
	refuses_token 'by token 1 (clevis): tang: Error communicating with server http://127.0.0.1:' -e 1
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	before=$(sha "$disk")
	refuses_token "by token 1 (clevis): luks: $disk: token 1 names no keyslot" -e 1
}

@test "no such token, out of range, no number" {
	refuses_token 'there is no token 3' -e 3
	refuses_token 'there is no token 32' -e 32
	refuses_token "'x' is not a token ID" -e x
	refuses_token "'-1' is not a token ID" -e -1
}

@test "not together with a key file: usage, exit 2" {
	call clevis_alone luks bind -y -e 0 -k "$pass" -d "$disk" tang "$config"
	usage 2 'Either a token (-e) or a key file (-k) authorises, not both!'
	[ "$(sha "$disk")" = "$before" ]
}

@test "LUKS1 has no tokens" {
	truncate -s 8M luks1
	cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 luks1 "$pass"
	disk=$PWD/luks1 before=$(sha luks1)
	refuses_token LUKS -e 0
}

@test "a type that nothing knows" {
	echo '{"type":"toy","keyslots":["0"]}' | cryptsetup token import --token-id 4 "$disk"
	before=$(sha "$disk")
	refuses_token 'by token 4 (toy): there is no plugin of libcryptsetup for this type' -e 4
}

# make_plugin [PIN]: a plugin for tokens of type toy, which gives the bytes of the file $pass, or wants a PIN; and what makes
# libcryptsetup look for it here.
make_plugin() {
	needs cc
	if is_sanitized "$CLEVIS"; then skip "a sanitizer wants to be first"; fi
	cat >toy.c <<-END
	#include <errno.h>
	#include <stdio.h>
	#include <stdlib.h>
	struct crypt_device;
	const char *cryptsetup_token_version(void) { return "1"; }
	int cryptsetup_token_open(struct crypt_device *cd, int token, char **buffer, size_t *size, void *arg)
	{
		FILE *file = fopen("$pass", "r");
		if ("${1-}"[0] || !file)
			return -ENOANO;
		*buffer = malloc(100);
		*size = fread(*buffer, 1, 100, file);
		return fclose(file);
	}
	void cryptsetup_token_buffer_free(void *buffer, size_t size) { free(buffer); }
	END
	echo 'CRYPTSETUP_TOKEN_1.0 { global: cryptsetup_token_*; local: *; };' >toy.map
	echo "const char *crypt_token_external_path(void) { return \"$PWD\"; }" >here.c
	cc -shared -fPIC -Wl,--version-script=toy.map toy.c -o libcryptsetup-token-toy.so
	cc -shared -fPIC here.c -o here.so
	echo '{"type":"toy","keyslots":["0"]}' | cryptsetup token import --token-id 4 "$disk"
	before=$(sha "$disk")
}

@test "a plugin of libcryptsetup" {
	make_plugin
	LD_PRELOAD=$PWD/here.so call setsid -w "$CLEVIS" luks bind -y -e 4 -d "$disk" tang "$config"
	[[ $stderr != *'libcryptsetup 2.6 or newer is needed'* ]] || skip "libcryptsetup is older than 2.6"
	binds
	is_bound 1
}

@test "a plugin that wants a PIN" {
	make_plugin PIN
	LD_PRELOAD=$PWD/here.so call setsid -w "$CLEVIS" luks bind -y -e 4 -d "$disk" tang "$config"
	[[ $stderr != *'libcryptsetup 2.6 or newer is needed'* ]] || skip "libcryptsetup is older than 2.6"
	fails 1 'by token 4 (toy): it wants a PIN' "Error adding new binding to $disk"
	[ "$(sha "$disk")" = "$before" ]
}
