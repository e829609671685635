#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis encrypt tang and clevis decrypt: what they do when all is well, and what they refuse.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	serve_file
}

prepare() {
	cp "$adv" adv
	config=$(tang_config "$url")
}

encrypt() { # CONFIG [ARGUMENT…]
	clevis_alone encrypt tang "$@"
}

# seals_with CONFIG [ARGUMENT…]: encrypting works, and so does decrypting.
seals_with() {
	printf secret | encrypt "$@" >jwe 2>err || { cat err && return 1; }
	[ ! -s err ]
	[ "$(clevis decrypt <jwe)" = secret ]
}

refuses_to_seal() { # TEXT CONFIG [ARGUMENT…]
	call encrypt "${@:2}" <<<secret
	fails 1 "$1"
}

# --- Round trips --------------------------------------------------------------------------------------------------------------

@test "what was encrypted decrypts to the same" {
	seals_with "$config" -y
}

@test "an empty plaintext" {
	encrypt "$config" -y </dev/null >jwe
	call clevis decrypt <jwe
	succeeds
	says ''
}

@test "any bytes: NULs, high bytes, newlines at the end" {
	printf 'a\0b\xff\n\r\n\n' >plain
	encrypt "$config" -y <plain >jwe
	clevis decrypt <jwe >back
	cmp plain back
	"$python" -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 4)' >plain
	encrypt "$config" -y <plain >jwe
	clevis decrypt <jwe >back
	cmp plain back
}

@test "three megabytes, from a pipe and to a pipe" {
	head -c 3000001 /dev/urandom >plain
	encrypt "$config" -y < <(cat plain) | cat >jwe
	clevis decrypt < <(cat jwe) | cat >back
	cmp plain back
}

@test "the JWE is compact, one line without a newline, with the contract's header" {
	encrypt "$config" -y <<<secret >jwe
	grep -qxE '[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{22}' jwe
	[ "$(wc -l <jwe)" = 0 ]
	header_of jwe | json 'advertised = keys_of(json.load(open("adv")))
assert sorted(j) == ["alg", "clevis", "enc", "epk", "kid"], sorted(j)
assert j["alg"] == "ECDH-ES" and j["enc"] == "A256GCM"
assert sorted(j["epk"]) == ["crv", "kty", "x", "y"], j["epk"]
assert j["epk"]["crv"] == "P-521"
assert sorted(j["clevis"]) == ["pin", "tang"] and j["clevis"]["pin"] == "tang"
assert sorted(j["clevis"]["tang"]) == ["adv", "url"]
assert j["clevis"]["tang"]["adv"]["keys"] == advertised
assert [j["kid"]] == [thumbprint(k) for k in advertised if is_exchange(k)]
assert j["clevis"]["tang"]["url"] == sys.argv[2]' "$url"
}

@test "two encryptions of the same have nothing in common" {
	encrypt "$config" -y <<<secret >one
	encrypt "$config" -y <<<secret >two
	local part
	for part in 1 3 4 5; do
		never [ "$(cut -d . -f $part one)" = "$(cut -d . -f $part two)" ]
	done
	[ "$(header_of one | json 'print(j["epk"]["x"])')" != "$(header_of two | json 'print(j["epk"]["x"])')" ]
}

@test "newlines and spaces after the JWE are no part of it" {
	encrypt "$config" -y <<<secret >jwe
	local end
	for end in '\n' '\r\n' '\n\n' ' \t\n'; do
		call clevis decrypt < <(cat jwe && printf '%b' "$end")
		succeeds
		says secret
	done
}

@test "clevis decrypt-tang opens a JWE of tang" {
	encrypt "$config" -y <<<secret >jwe
	call clevis decrypt-tang <jwe
	succeeds
	says secret
}

@test "a url with a path prefix, and with a slash at its end, is kept as given" {
	start_tangd "$keys" -e /some/where
	seals_with "$(tang_config "$url/some/where")" -y
	seals_with "$(tang_config "$url/some/where/")" -y
	[ "$(header_of jwe | json 'print(j["clevis"]["tang"]["url"])')" = "$url/some/where/" ]
	refuses_to_seal 'Unable to fetch advertisement' "$(tang_config "$url")" -y
}

@test "a name instead of an address, and IPv6" {
	seals_with "$(tang_config "http://localhost:$port")" -y
	[ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback"
	cp -r "$keys" keys
	listen_on=::1 start_tangd keys
	seals_with "$(tang_config "http://[::1]:$port")" -y
}

@test "a newline follows the JWE on a terminal only" {
	needs "$python"
	on_terminal -- bash -c 'printf secret | "$CLEVIS" encrypt tang "$1" -y; printf X' - "$config"
	never [ "$(tail -n 1 screen)" != X ]
	[ "$(wc -l <screen)" = 1 ]
}

# --- Trust --------------------------------------------------------------------------------------------------------------------

@test "thp: the right thumbprint in any of the five hashes is trusted without a question" {
	local hash
	for hash in sha256 sha1 sha224 sha384 sha512; do
		seals_with "$(tang_config "$url" "\"thp\":\"$(signing_thumbprints $hash <adv)\"")"
	done
}

@test "thp: a thumbprint of nobody, or of the exchange key, is refused" {
	local wrong
	wrong=$(printf 'x%.0s' {1..43})
	refuses_to_seal 'Unable to fetch advertisement' "$(tang_config "$url" "\"thp\":\"$wrong\"")"
	# The same with the advertisement at hand, where no server can say 404.
	refuses_to_seal "Trusted JWK '$wrong' did not sign the advertisement" "$(tang_config "$url" "\"thp\":\"$wrong\"" '"adv":"adv"')"
	wrong=$(exchange_thumbprint <adv)
	refuses_to_seal "Trusted JWK '$wrong' did not sign the advertisement" "$(tang_config "$url" "\"thp\":\"$wrong\"" '"adv":"adv"')"
	wrong=$(signing_thumbprints <adv)
	wrong=${wrong%?}
	refuses_to_seal "Trusted JWK '$wrong' did not sign the advertisement" "$(tang_config "$url" "\"thp\":\"$wrong\"" '"adv":"adv"')"
	refuses_to_seal "'thp' is empty" "$(tang_config "$url" '"thp":""' '"adv":"adv"')"
}

@test "thp: a server that shows another advertisement than was asked for is caught" {
	make_keys other
	start_tangd other
	fetch "$url/adv" >other.adv
	start_badserver 404 other.adv
	local thp
	thp=$(signing_thumbprints <adv)
	refuses_to_seal "Trusted JWK '$thp' did not sign the advertisement" "$(tang_config "$url" "\"thp\":\"$thp\"")"
	call encrypt "$(tang_config "$url" "\"thp\":\"$(signing_thumbprints <other.adv)\"")" <<<secret
	succeeds
}

@test "thp: -y overrides it, as upstream" {
	seals_with "$(tang_config "$url" "\"thp\":\"$(printf 'x%.0s' {1..43})\"" '"adv":"adv"')" -y
}

@test "thp: a signing key that is no longer advertised vouches for nothing" {
	local thp
	cp -r "$keys" keys
	thp=$(signing_thumbprints <adv)
	mv "keys/$thp.jwk" "keys/.$thp.jwk"
	"$TANGD_KEYGEN" keys
	start_tangd keys
	[ "$(status_of "$url/adv/$thp")" = 200 ]
	refuses_to_seal "Trusted JWK '$thp' did not sign the advertisement" "$(tang_config "$url" "\"thp\":\"$thp\"")"
}

@test "adv: a file is trusted, and nothing is fetched for it" {
	call encrypt "$(tang_config "http://127.0.0.1:$(closed_port)" '"adv":"adv"')" <<<secret
	succeeds
	call encrypt "$(tang_config "http://127.0.0.1:$(closed_port)" "\"adv\":\"$PWD/adv\"")" <<<secret
	succeeds
}

@test "adv: the advertisement itself is trusted, and nothing is fetched for it" {
	call encrypt "$(tang_config "http://127.0.0.1:$(closed_port)" "\"adv\":$(cat adv)")" <<<secret
	succeeds
}

@test "adv: what was sealed with it opens at the server" {
	seals_with "$(tang_config "$url" '"adv":"adv"')"
	seals_with "$(tang_config "$url" "\"adv\":$(cat adv)")"
	seals_with "$(tang_config "$url" '"adv":"adv"' "\"thp\":\"$(signing_thumbprints <adv)\"")"
}

@test "adv: the header keeps the keys and neither thp nor the file's name" {
	encrypt "$(tang_config "$url" '"adv":"adv"' "\"thp\":\"$(signing_thumbprints <adv)\"")" <<<secret >jwe
	[ "$(header_of jwe | json 'print(*sorted(j["clevis"]["tang"]))')" = 'adv url' ]
	[ "$(header_of jwe | json 'print(*sorted(j["clevis"]["tang"]["adv"]))')" = keys ]
}

@test "adv: a file that is not there, cannot be read, or is a folder" {
	refuses_to_seal "Advertisement file 'nope' not found" "$(tang_config "$url" '"adv":"nope"')"
	mkdir folder
	refuses_to_seal "Advertisement file 'folder': " "$(tang_config "$url" '"adv":"folder"')"
	head -c 5M /dev/zero >large
	refuses_to_seal 'larger than' "$(tang_config "$url" '"adv":"large"')"
}

# --- Advertisements that are no good --------------------------------------------------------------------------------------------

# refuses_adv TEXT SCRIPT…: the advertisement as each script leaves it (`j`, its payload `p`) is refused, also with -y.
refuses_adv() {
	json "original = json.dumps(j)
for i, script in enumerate(sys.argv[2:]):
    j = json.loads(original); p = keys = json.loads(unb64(j['payload']))
    exec(script)
    if p is not keys or p != json.loads(unb64(json.loads(original)['payload'])): j['payload'] = b64(json.dumps(p).encode())
    json.dump(j, open('changed.%d' % i, 'w'))" "${@:2}" <adv
	local n # not i: that is bats's
	for ((n = 0; n < $# - 1; n++)); do
		echo "with: ${*:n+2:1}"
		refuses_to_seal "$1" "$(tang_config "$url" "\"adv\":\"changed.$n\"")" -y
	done
	# Inline it is judged alike.
	refuses_to_seal "$1" "$(tang_config "$url" "\"adv\":$(cat changed.0)")"
}

@test "an advertisement that was changed has lost its signature" {
	refuses_adv 'Advertisement is missing signatures' 'p["more"] = 1' 'p["keys"] = p["keys"][::-1]'
}

@test "a key added to an advertisement must have signed too" {
	make_keys other
	start_tangd other
	fetch "$url/adv" >other.adv
	refuses_adv 'Advertisement is missing signatures' 'p["keys"] += keys_of(json.load(open("other.adv")))'
	# Signed by the old key alone, which is all that a thief of it can do.
	mkdir both
	cp "$keys"/*.jwk other/*.jwk both/
	start_tangd both
	fetch "$url/adv" >adv
	json 'print(len(j["signatures"]))' <adv | grep -qx 2
	seals_with "$(tang_config "$url" '"adv":"adv"')"
	json 'j["signatures"].pop(); json.dump(j, sys.stdout)' <adv >one
	refuses_to_seal 'Advertisement is missing signatures' "$(tang_config "$url" '"adv":"one"')"
	json 'j["signatures"] = j["signatures"][:1] * 2; json.dump(j, sys.stdout)' <adv >twice
	refuses_to_seal 'Advertisement is missing signatures' "$(tang_config "$url" '"adv":"twice"')"
}

@test "an advertisement without any signature, or with a damaged one" {
	refuses_adv 'Advertisement is missing signatures' 'del j["signature"]' 'j["signature"] = ""' \
		'j["signature"] = j["signature"][:-8] + "AAAAAAAA"' 'j["signature"] = b64(bytes(132))' 'del j["protected"]' \
		'j["protected"] = b64(b"{\"alg\":\"none\"}"); j["signature"] = ""' 'j["signatures"] = []; del j["signature"]' \
		'j["signatures"] = {}; del j["signature"]' 'j["signatures"] = [{"protected": j["protected"], "signature": j["signature"]}]'
}

@test "an advertisement that names no signing key" {
	refuses_adv 'Advertisement is missing signatures' 'p["keys"] = [k for k in p["keys"] if is_exchange(k)]' 'p["keys"] = []'
}

@test "an advertisement without exchange keys, properly signed" {
	mkdir signing
	cp "$keys/$(signing_thumbprints <adv).jwk" signing/
	start_tangd signing
	refuses_to_seal 'No exchange keys found' "$(tang_config "$url")" -y
}

@test "an advertisement that is none" {
	local text
	for text in '' '{' '[]' '"x"' 1 null; do
		printf '%s' "$text" >changed
		refuses_to_seal 'Advertisement is malformed' "$(tang_config "$url" '"adv":"changed"')"
	done
	refuses_to_seal 'Advertisement is malformed' "$(tang_config "$url" '"adv":{}')"
	refuses_adv 'Advertisement is malformed' 'p = []' 'del j["payload"]' 'j["payload"] = 1' 'j["payload"] = b64(b"[")' \
		'j["payload"] = "=" + j["payload"]' 'p = {}' 'p["keys"] = {}'
}

@test "an advertisement deeper than anything sane" {
	printf '[%.0s' {1..20000} >changed
	refuses_to_seal 'Advertisement is malformed' "$(tang_config "$url" '"adv":"changed"')"
}

# --- Configurations and arguments -------------------------------------------------------------------------------------------------

@test "a configuration without url, or with one that is no string" {
	refuses_to_seal "Missing the required 'url' property" '{}' -y
	refuses_to_seal "Missing the required 'url' property" '{"url":1}' -y
	refuses_to_seal "Missing the required 'url' property" '{"thp":"x"}' -y
}

@test "a malformed configuration" {
	local text
	for text in '' x '{' '{"url":' '[]' '"x"' 1 null '{"url":"a","url":"b"}' '{} {}'; do
		refuses_to_seal 'Configuration is malformed' "$text" -y
	done
	refuses_to_seal 'Configuration is malformed' "$(tang_config "$url" '"thp":1')" -y
	refuses_to_seal 'Configuration is malformed' "$(tang_config "$url" '"adv":1')" -y
	refuses_to_seal 'Configuration is malformed' "$(tang_config "$url" '"adv":[]')" -y
	refuses_to_seal 'Configuration is malformed' "$(tang_config "$url" '"adv":null')" -y
}

@test "a url that is none" {
	local bad
	for bad in '' 127.0.0.1 "ftp://127.0.0.1/" 'http://' 'http://:80' 'http://x:y' 'http://127.0.0.1:0' 'http://127.0.0.1:70000' \
		'http://[::1' 'http://127.0.0.1/a b' 'http://127.0.0.1/\r\nX: y' "https://127.0.0.1:$port"; do
		refuses_to_seal 'Unable to fetch advertisement' "$(tang_config "$bad")" -y
	done
	refuses_to_seal 'https' "$(tang_config "https://127.0.0.1:$port")" -y
}

@test "a url with a password is refused, and the password not repeated" {
	local bad
	for bad in 'http://user:tops3cret@127.0.0.1' 'https://user:tops3cret@127.0.0.1/x' 'user:tops3cret@127.0.0.1:80'; do
		refuses_to_seal 'user names and passwords in URLs are not supported' "$(tang_config "$bad")" -y
		lacks tops3cret <<<"$stderr"
	done
}

@test "a url without a scheme is one of http, and kept as it was given" {
	call clevis encrypt tang "$(tang_config "${url#http://}")" -y <<<secret
	succeeds
	printf %s "$output" >jwe
	[ "$(header_of jwe | json 'print(j["clevis"]["tang"]["url"])')" = "${url#http://}" ]
	call clevis decrypt <jwe
	succeeds
	says secret
}

@test "a host name that nobody knows" {
	refuses_to_seal 'Unable to fetch advertisement' "$(tang_config 'http://no-such-host.invalid')" -y
}

@test "wrong arguments: the usage, exit 2" {
	call clevis encrypt tang <<<x
	usage 2 'Usage: clevis encrypt tang'
	call clevis encrypt tang "$config" -x <<<x
	usage 2
	call clevis encrypt tang "$config" -y more <<<x
	usage 2
	call clevis encrypt tang -y "$config" <<<x
	usage 2
}

@test "a terminal on stdin: the usage, exit 2" {
	run on_terminal -- "$CLEVIS" encrypt tang "$config" -y
	[ "$status" = 2 ]
	grep -q 'Usage: clevis encrypt tang' screen
	run on_terminal -- "$CLEVIS" decrypt
	[ "$status" = 2 ]
	grep -q 'Usage: clevis decrypt' screen
	run on_terminal -- "$CLEVIS" decrypt-tang
	[ "$status" = 2 ]
}

@test "a full disk is a failure" {
	[ -c /dev/full ] || skip "no /dev/full"
	encrypt "$config" -y <<<secret >jwe
	run --separate-stderr bash -c '"$CLEVIS" decrypt <jwe >/dev/full'
	fails 1 'cannot write standard output'
	run --separate-stderr bash -c '"$CLEVIS" encrypt tang "$1" -y <jwe >/dev/full' - "$config"
	fails 1 'cannot write standard output'
}

@test "a reader that goes away is a failure, not a crash" {
	head -c 500000 /dev/zero | encrypt "$config" -y >jwe
	run bash -c '"$CLEVIS" decrypt <jwe 2>err | true; exit ${PIPESTATUS[0]}'
	[ "$status" = 1 ]
	[ "$(wc -l <err)" = 1 ]
}
