#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# jose b64 enc, jose b64 dec.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/jose

@test "the examples of RFC 4648, without padding" {
	local plain
	while read -r plain coded; do
		[ "$(printf '%s' "$plain" | jose b64 enc -I -)" = "$coded" ]
		[ "$(printf '%s' "$coded" | jose b64 dec -i -)" = "$plain" ]
	done <<-END
		f Zg
		fo Zm8
		foo Zm9v
		foob Zm9vYg
		fooba Zm9vYmE
		foobar Zm9vYmFy
	END
	[ -z "$(jose b64 enc -I /dev/null)" ]
	[ -z "$(jose b64 dec -i /dev/null)" ]
	[ "$(printf '\xfb\xff\xfe' | jose b64 enc --binary=- --base64=-)" = '-__-' ]
}

@test "white space is passed over, wherever it is" {
	[ "$(printf ' \t\nY\vW\fJ\r\nj\n' | jose b64 dec -i -)" = abc ]
	[ -z "$(printf ' \n' | jose b64 dec -i -)" ]
}

@test "what is not canonical is refused" {
	local text
	for text in a YWJjY YWI= YW=I YW== 'YW+' 'YW/' YWJ 'YWI!' 'Y.' é $'YWI\x01' '\x00'; do
		printf '%b' "$text" >in
		call jose b64 dec -i in
		[ "$status" = 1 ]
		[ "$stderr" = 'the input is not base64url' ]
	done
}

@test "of any size, both ways, in little memory" {
	local size
	for size in 49151 49152 49153 65536 300001; do
		head -c $size /dev/urandom >plain
		jose b64 enc -I plain -o coded
		"$python" -c 'import base64, sys
sys.exit(open("coded", "rb").read() != base64.urlsafe_b64encode(open("plain", "rb").read()).rstrip(b"="))'
		fold -w 76 coded >lines
		jose b64 dec -i lines -O again
		cmp plain again
	done
	is_sanitized "$JOSE" && skip "the sanitizer takes the memory"
	size=$(bash -c 'ulimit -v 65536 && head -c 200000000 /dev/zero | "$JOSE" b64 enc -I - | "$JOSE" b64 dec -i - | wc -c')
	[ "$size" = 200000000 ]
}

@test "in single bytes, through a pipe" {
	[ "$("$python" -c 'import sys, time
for c in b"Zm9vYmFyYg":
    sys.stdout.buffer.write(bytes([c])); sys.stdout.flush()' | jose b64 dec -i -)" = foobarb ]
}

@test "no input" {
	call jose b64 enc
	fails 1 'Input not specified!'
	call jose b64 dec -O out
	fails 1 'Input not specified!'
	[ ! -e out ]
}
