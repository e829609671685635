#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd-keygen: a pair of keys, their names and modes, and what it refuses.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

@test "a new pair: two files, mode 0440, nothing else, nothing said" {
	mkdir keys
	call tangd_keygen keys
	succeeds
	says ''
	[ "$(names keys | wc -l)" = 2 ]
	[ "$(stat -c %a keys/*.jwk | sort -u)" = 440 ]
}

@test "the umask changes nothing" {
	mkdir keys
	(umask 0 && "$TANGD_KEYGEN" keys)
	[ "$(stat -c %a keys/*.jwk | sort -u)" = 440 ]
	mkdir other
	(umask 0777 && "$TANGD_KEYGEN" other)
	[ "$(stat -c %a other/*.jwk | sort -u)" = 440 ]
}

@test "one signing key (ES512) and one exchange key (ECMR, P-521), both private" {
	make_keys keys
	cat keys/*.jwk | "$python" -c 'import json, sys
decoder, text, keys = json.JSONDecoder(), sys.stdin.read().strip(), []
while text:
    key, end = decoder.raw_decode(text)
    keys.append(key)
    text = text[end:].strip()
signing, exchange = sorted(keys, key=lambda key: key["alg"] == "ECMR")
assert signing["alg"] == "ES512" and sorted(signing["key_ops"]) == ["sign", "verify"]
assert exchange["alg"] == "ECMR" and exchange["key_ops"] == ["deriveKey"]
for key in keys:
    assert key["kty"] == "EC" and key["crv"] == "P-521"
    assert all(len(key[member]) == 88 for member in ("d", "x", "y"))'
}

@test "without names, they are the S256 thumbprints, as the jose of the distribution takes them" {
	[ -x /usr/bin/jose ] || skip "no /usr/bin/jose"
	make_keys keys
	local file
	for file in keys/*.jwk; do
		[ "$(/usr/bin/jose jwk thp -a S256 -i "$file")" = "$(basename "$file" .jwk)" ]
	done
}

@test "two pairs in one folder are four keys" {
	make_keys keys
	make_keys keys
	[ "$(names keys | wc -l)" = 4 ]
}

@test "given names" {
	mkdir keys
	call tangd_keygen keys sig exc
	succeeds
	[ "$(names keys | xargs)" = 'exc.jwk sig.jwk' ]
	grep -q ES512 keys/sig.jwk
	grep -q ECMR keys/exc.jwk
}

@test "existing names are not overwritten, and no half of a pair is left" {
	mkdir keys
	echo precious >keys/sig.jwk
	call tangd_keygen keys sig exc
	fails 1 sig.jwk
	[ "$(<keys/sig.jwk)" = precious ]
	[ "$(names keys)" = sig.jwk ]
	mv keys/sig.jwk keys/exc.jwk
	call tangd_keygen keys sig exc
	fails 1 exc.jwk
	[ "$(<keys/exc.jwk)" = precious ]
	[ "$(names keys)" = exc.jwk ]
}

@test "the same name twice is refused, and nothing is left" {
	mkdir keys
	call tangd_keygen keys same same
	fails 1 "'same' cannot be the name of both keys"
	[ -z "$(names keys)" ]
}

@test "names that would hide a key or leave the folder are refused" {
	mkdir -p keys/sub
	local name
	for name in '' .hidden ../x sub/x /tmp/x "$(printf 'x%.0s' {1..300})"; do
		call tangd_keygen keys "$name" exc
		fails 1 ''
		call tangd_keygen keys sig "$name"
		fails 1 ''
		[ "$(names keys)" = sub ]
	done
	[ ! -e x.jwk ]
}

@test "another curve, and the signature that goes with it" {
	local curve alg
	while read -r curve alg; do
		mkdir "$curve"
		call tangd_keygen --curve "$curve" "$curve"
		succeeds
		[ "$(names "$curve" | wc -l)" = 2 ]
		grep -q "\"crv\":\"$curve\"" "$curve/$(keys_of_alg "$curve" "$alg")"
		grep -q "\"crv\":\"$curve\"" "$curve/$(keys_of_alg "$curve" ECMR)"
		start_tangd "$PWD/$curve"
		echo plain | clevis encrypt tang "$(tang_config "$url")" -y >jwe
		[ "$(clevis decrypt <jwe)" = plain ]
	done <<<$'P-256 ES256\nP-384 ES384\nP-521 ES512'
}

@test "a curve that is none: the usage, exit 1" {
	mkdir keys
	local curve
	for curve in '' p-256 P-192 X25519; do
		call tangd_keygen --curve "$curve" keys
		usage 1 "no keys are made on the curve '$curve'"
	done
	call tangd_keygen --nope keys
	usage 1
	[ -z "$(names keys)" ]
}

@test "the name of a key may begin with a hyphen, as a thumbprint may" {
	mkdir keys
	call tangd_keygen keys -sig --curve
	succeeds
	[ "$(names keys | xargs -d '\n' echo)" = '--curve.jwk -sig.jwk' ]
}

@test "while another program changes the keys, it waits" {
	mkdir keys
	flock keys sleep 1 3>&- &
	started+=("$!")
	sleep 0.2
	local start=$EPOCHREALTIME
	call tangd_keygen keys
	succeeds
	never took_less_than 0.5 "$start"
}

@test "wrong number of arguments: the usage, exit 1" {
	mkdir keys
	call tangd_keygen
	usage 1 'Usage: tangd-keygen '
	call tangd_keygen keys sig
	usage 1
	call tangd_keygen keys a b c
	usage 1
	[ -z "$(names keys)" ]
}

@test "no such folder, or no folder: exit 1" {
	call tangd_keygen nope
	usage 1 "cannot open the folder 'nope'"
	echo x >file
	call tangd_keygen file
	usage 1 "cannot open the folder 'file'"
	[ ! -e nope ]
}

@test "a folder that cannot be written to: exit 1" {
	mkdir keys
	chmod 0555 keys
	if [ "$(id -u)" = 0 ]; then
		# Root is not stopped by modes: as somebody who is.
		setpriv --reuid 65534 --regid 65534 --clear-groups test -x "$TANGD_KEYGEN" 2>/dev/null || skip "the program cannot be reached unprivileged"
		chmod a+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" .. . 2>/dev/null
		setpriv --reuid 65534 --regid 65534 --clear-groups test -x keys || skip "the folder cannot be reached unprivileged"
		call setpriv --reuid 65534 --regid 65534 --clear-groups "$TANGD_KEYGEN" keys
	else
		call tangd_keygen keys
	fi
	fails 1 'keys: '
	[ -z "$(names keys)" ]
}

@test "a full disk leaves nothing" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	mkdir keys
	# shellcheck disable=SC2016
	call unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=4k,nr_inodes=2 small keys 2>/dev/null || exit 77
"$TANGD_KEYGEN" keys; status=$?; ls -A keys; exit $status'
	[ "$status" != 77 ] || skip "cannot mount"
	fails 1 'keys: '
}

@test "root's keys belong to the folder's owner, who must read them" {
	[ "$(id -u)" = 0 ] || skip "not root"
	mkdir keys
	chown 12345:12346 keys
	call tangd_keygen keys
	succeeds
	[ "$(stat -c %u:%g keys/*.jwk | sort -u)" = 12345:12346 ]
}
