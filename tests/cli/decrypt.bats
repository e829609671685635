#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What clevis decrypt refuses: JWEs that are none, were changed, or are for somebody else; servers and keys that have gone.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
	printf secret | clevis encrypt tang "$(tang_config "$url")" -y >"$BATS_FILE_TMPDIR/jwe"
	export jwe=$BATS_FILE_TMPDIR/jwe
}

refuses() { # TEXT [COMMAND]: what stands on standard input is refused
	call clevis "${2:-decrypt}"
	fails 1 "$1"
}

# refuses_header TEXT SCRIPT…: the JWE with the header that each script leaves is refused.
refuses_header() {
	local script
	for script in "${@:2}"; do
		echo "with: $script"
		edit_header "$jwe" "$script" >changed
		refuses "$1" <changed
	done
}

@test "the JWE is good as it is" {
	call clevis decrypt <"$jwe"
	succeeds
	says secret
}

@test "what is no JWE" {
	local text
	for text in x a.b.c.d a.b.c.d.e.f '\0' 'a\0b.c.d.e.f' '{"protected":"e30"}'; do
		printf '%b' "$text" >changed
		refuses 'not a compact JWE' <changed
	done
	for text in '' '\n' ' \r\n'; do
		printf '%b' "$text" >changed
		refuses 'standard input: it is empty' <changed
	done
	head -c 100000 /dev/urandom >changed
	refuses 'not a compact JWE' <changed
}

@test "a header that is none" {
	refuses 'JWE' <<<'!.AA.AA.AA.AA'
	refuses 'JWE' <<<'A.AA.AA.AA.AA'
	refuses 'protected header' <<<'ew.AA.AA.AA.AA'
	refuses 'JWE' <<<'W10.AA.AA.AA.AA'
	refuses 'JWE' <<<'....'
}

@test "each part changed" {
	local part
	for part in 3 4 5; do
		damage "$jwe" $part >changed
		refuses "tang: with the answer of $url: " <changed
	done
	damage "$jwe" 1 >changed
	call clevis decrypt <changed
	fails 1 ''
}

@test "each part left out" {
	refuses 'JWE' <<<".$(cut -d . -f 2- "$jwe")"
	refuses "tang: with the answer of $url: " <<<"$(cut -d . -f 1,2 "$jwe")..$(cut -d . -f 4,5 "$jwe")"
	refuses "tang: with the answer of $url: " <<<"$(cut -d . -f 1-3 "$jwe")..$(cut -d . -f 5 "$jwe")"
	refuses "tang: with the answer of $url: " <<<"$(cut -d . -f 1-4 "$jwe")."
	refuses 'encrypted key' <<<"$(cut -d . -f 1 "$jwe").AAAA.$(cut -d . -f 3- "$jwe")"
}

@test "a tag or an IV of another length" {
	local tag
	tag=$(cut -d . -f 5 "$jwe")
	refuses "tang: with the answer of $url: " <<<"$(cut -d . -f 1-4 "$jwe").${tag:0:16}"
	refuses "tang: with the answer of $url: " <<<"$(cut -d . -f 1,2 "$jwe").AAAA.$(cut -d . -f 4- "$jwe")"
	refuses "tang: with the answer of $url: " <<<"$(cut -d . -f 1,2 "$jwe").AAAAAAAAAAAAAAAAAAAAAAAA.$(cut -d . -f 4- "$jwe")"
}

@test "the header is authenticated, also where nobody looks" {
	refuses_header "tang: with the answer of $url" 'j["more"] = 1' 'j["clevis"]["tang"]["more"] = 1' \
		'j["clevis"]["tang"]["url"] += "/"' 'j["clevis"]["tang"]["adv"]["keys"].reverse()'
}

@test "no pin, or one that nobody knows" {
	refuses_header "JWE is missing the required 'clevis.pin' header property" 'del j["clevis"]' 'del j["clevis"]["pin"]' \
		'j["clevis"]["pin"] = 1' 'j["clevis"] = "tang"'
	refuses_header "Unable to locate pin 'nope'" 'j["clevis"]["pin"] = "nope"'
	refuses_header "JWE is missing the required 'clevis.tang' header property" 'del j["clevis"]["tang"]' 'j["clevis"]["tang"] = 1'
}

@test "a pin's name cannot drive the terminal or forge a line" {
	edit_header "$jwe" 'j["clevis"]["pin"] = "a\nroot: ok\x1b[2J\x9b"' >changed
	call clevis decrypt <changed
	fails 1 'clevis-decrypt: '
	lacks $'\x1b' <<<"$stderr"
}

@test "clevis decrypt-tang refuses a JWE of another pin" {
	edit_header "$jwe" 'j["clevis"] = {"pin": "null", "null": {}}' >changed
	refuses 'JWE pin mismatch!' decrypt-tang <changed
}

@test "properties that are missing or of the wrong kind" {
	refuses_header "'url'" 'del j["clevis"]["tang"]["url"]' 'j["clevis"]["tang"]["url"] = 1'
	refuses_header "'kid'" 'del j["kid"]' 'j["kid"] = {}'
	refuses_header 'no exchange key' 'del j["clevis"]["tang"]["adv"]' 'j["clevis"]["tang"]["adv"] = {"keys": []}' \
		'j["clevis"]["tang"]["adv"] = 1' 'j["kid"] = "x" * 43' 'j["kid"] = ""' \
		'j["kid"] = [thumbprint(k) for k in j["clevis"]["tang"]["adv"]["keys"] if not is_exchange(k)][0]'
}

@test "an epk that is missing, not on the curve, or on another one" {
	refuses_header "'epk'" 'del j["epk"]' 'j["epk"] = {}' 'del j["epk"]["y"]' 'j["epk"]["x"] = j["epk"]["y"]' \
		'j["epk"]["crv"] = "P-256"' 'j["epk"]["x"] = j["epk"]["y"] = b64(bytes(66))' \
		'j["epk"] = {"kty": "EC", "crv": "P-256", "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
		"y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}'
}

@test "algorithms that are not the pin's" {
	refuses_header "'alg'" 'j["alg"] = "dir"' 'j["alg"] = "none"' 'del j["alg"]' 'j["alg"] = "ECDH-ES+A256KW"'
	refuses_header "'enc'" 'j["enc"] = "A128GCM"' 'j["enc"] = "none"' 'del j["enc"]'
	refuses_header "'crit'" 'j["crit"] = ["exp"]' 'j["zip"] = "DEF"'
}

@test "a header with the same member twice" {
	printf '%s.%s' "$(printf '{"alg":"dir",%s' "$(header_of "$jwe" | tail -c +2)" | base64 -w 0 | tr '+/' '-_' | tr -d =)" \
		"$(cut -d . -f 2- "$jwe")" >changed
	refuses 'not valid JSON' <changed
}

@test "a server that has gone" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	clevis encrypt tang "$(tang_config "$gone" "\"adv\":\"$adv\"")" <<<x >changed
	refuses "Error communicating with server $gone: 127.0.0.1:${gone##*:}: connection refused" <changed
}

@test "a key that was removed, and one that was only rotated" {
	cp -r "$keys" keys
	start_tangd keys
	clevis encrypt tang "$(tang_config "$url")" -y <<<secret >changed
	local kid
	kid=$(exchange_thumbprint <"$adv")
	mv "keys/$kid.jwk" "keys/.$kid.jwk"
	[ "$(clevis decrypt <changed)" = secret ]
	rm "keys/.$kid.jwk"
	refuses "Error communicating with server $url: the server no longer has the key $kid" <changed
	mv "keys/$(signing_thumbprints <"$adv").jwk" "keys/$kid.jwk"
	refuses "Error communicating with server $url: the server no longer has the key $kid" <changed
}

@test "a server with other keys" {
	make_keys keys
	start_tangd keys
	clevis encrypt tang "$(tang_config "$url" "\"adv\":\"$adv\"")" <<<x >changed
	refuses "the server no longer has the key $(exchange_thumbprint <"$adv")" <changed
}

@test "-h: the usage, exit 2" {
	call clevis decrypt -h
	usage 2 'Usage: clevis decrypt'
}
