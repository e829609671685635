#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Their clevis and ours, with our tangd: who seals and who opens, every pair.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

setup_file() {
	serve_file
	export thp
	thp=$(signing_thumbprints <"$adv")
	printf 'short\0and \xff binary\n\n' >"$BATS_FILE_TMPDIR/plain"
	export plain=$BATS_FILE_TMPDIR/plain
}

prepare() {
	needs_their /usr/bin/clevis /usr/bin/clevis-decrypt-tang /usr/bin/jose
	cp "$adv" adv
}

# each_pair CONFIG [-y]: ours seals and theirs opens, and the reverse, by the pin $pin (tang).
each_pair() {
	local pin=${pin:-tang}
	clevis_alone encrypt "$pin" "$@" <"$plain" >ours
	their_clevis decrypt <ours | cmp - "$plain"
	their_clevis_alone encrypt "$pin" "$@" <"$plain" >theirs
	clevis decrypt <theirs | cmp - "$plain"
	clevis "decrypt-$pin" <theirs | cmp - "$plain"
	# And each its own, with the other's server.
	their_clevis decrypt <theirs | cmp - "$plain"
	clevis decrypt <ours | cmp - "$plain"
}

# header_shape FILE: the header, and those of the JWEs inside; of what is random the length only.
header_shape() {
	header_of "$1" | json 'def shape(j):
    if isinstance(j, dict): return {name: length(j[name]) if name in ("k", "p", "x", "y") else shape(j[name]) for name in j}
    if isinstance(j, list): return [shape(item) for item in j]
    if isinstance(j, str) and j.count(".") == 4:
        parts = j.split(".")
        return [shape(json.loads(unb64(parts[0])))] + [len(part) for part in parts[1:]]
    return j
def length(text): return len(text)
print(json.dumps(shape(j), sort_keys=True, indent=1))'
}

# same_shape: the files `ours` and `theirs` have it, their other parts the same lengths.
same_shape() {
	diff <(header_shape ours) <(header_shape theirs)
	local part
	for part in 2 3 4 5; do
		[ "$(cut -d . -f $part ours | tr -d '\n' | wc -c)" = "$(cut -d . -f $part theirs | tr -d '\n' | wc -c)" ]
	done
}

@test "-y" {
	each_pair "$(tang_config "$url")" -y
}

@test "thp, S256 and S1" {
	each_pair "$(tang_config "$url" "\"thp\":\"$thp\"")"
	each_pair "$(tang_config "$url" "\"thp\":\"$(signing_thumbprints sha1 <adv)\"")"
}

@test "adv, a file and inline" {
	each_pair "$(tang_config "$url" "\"adv\":\"$PWD/adv\"")"
	each_pair "$(tang_config "$url" "\"adv\":$(cat adv)")"
}

@test "several signing keys: a general JWS" {
	cp -r "$keys" keys
	make_keys keys
	start_tangd keys
	each_pair "$(tang_config "$url")" -y
}

@test "a url with a prefix and a slash at its end" {
	start_tangd "$keys" -e some/where
	each_pair "$(tang_config "$url/some/where")" -y
	each_pair "$(tang_config "$url/some/where/")" -y
}

@test "an empty plaintext" {
	: >empty
	plain=$PWD/empty each_pair "$(tang_config "$url")" -y
}

@test "the same header from both, but for what is random" {
	clevis encrypt tang "$(tang_config "$url")" -y <"$plain" >ours
	their_clevis encrypt tang "$(tang_config "$url")" -y <"$plain" >theirs
	local script='for coordinate in ("x", "y"): assert len(j["epk"].pop(coordinate)) == 88
print(json.dumps(j, sort_keys=True))'
	diff <(header_of ours | json "$script") <(header_of theirs | json "$script")
	[ "$(cut -d . -f 3-5 ours | wc -c)" = "$(cut -d . -f 3-5 theirs | tr -d '\n' | wc -c)" ] || \
		[ "$(cut -d . -f 3-5 ours | tr -d '\n' | wc -c)" = "$(cut -d . -f 3-5 theirs | tr -d '\n' | wc -c)" ]
}

@test "keys that were rotated since: both still open" {
	cp -r "$keys" keys
	start_tangd keys
	clevis encrypt tang "$(tang_config "$url")" -y <"$plain" >ours
	their_clevis encrypt tang "$(tang_config "$url")" -y <"$plain" >theirs
	local file
	for file in keys/*.jwk; do mv "$file" "keys/.$(basename "$file")"; done
	make_keys keys
	their_clevis decrypt <ours | cmp - "$plain"
	clevis decrypt <theirs | cmp - "$plain"
}

@test "what one refuses the other does too, with the words that scripts look for" {
	local other=$url gone config words
	gone=http://127.0.0.1:$(closed_port)
	while IFS='|' read -r words config; do
		call their_clevis_alone encrypt tang "$config" <"$plain"
		[ "$status" = 1 ]
		grep -qF "$words" <<<"$stderr"
		call clevis_alone encrypt tang "$config" <"$plain"
		fails 1 "$words"
	done <<-END
		Missing the required 'url' property|{}
		Advertisement file 'nope' not found|$(tang_config "$other" '"adv":"nope"')
		Unable to fetch advertisement|$(tang_config "$gone")
		did not sign the advertisement|$(tang_config "$other" '"adv":"adv"' '"thp":"nope"')
	END
}

@test "a JWE whose server has gone: both say so" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	their_clevis encrypt tang "$(tang_config "$gone" "\"adv\":\"$PWD/adv\"")" <"$plain" >theirs
	call their_clevis decrypt <theirs
	[ "$status" = 1 ]
	grep -qF "Error communicating with server $gone" <<<"$stderr"
	call clevis decrypt <theirs
	fails 1 "Error communicating with server $gone"
}

@test "an S1 kid: opened, with upstream's warning" {
	needs_their /usr/bin/jose
	json 'adv = {"keys": keys_of(j)}
key = [dict(k) for k in adv["keys"] if is_exchange(k)][0]
kid = thumbprint(key, "sha1")
del key["alg"], key["key_ops"]
json.dump(key, open("key", "w"))
json.dump({"protected": {"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid, "clevis": {"pin": "tang",
	"tang": {"url": sys.argv[2], "adv": adv}}}}, open("template", "w"))' "$url" <adv
	printf secret | jose jwe enc -i template -k key -I - -c -o jwe
	call their_clevis decrypt <jwe
	says secret
	call clevis decrypt <jwe
	[ "$status" = 0 ]
	says secret
	grep -qF 'WARNING: tang using a deprecated hash for the JWK thumbprints' <<<"$stderr"
}

# --- null and sss -------------------------------------------------------------------------------------------------------------

@test "null: each opens the other's, of the same shape" {
	pin=null each_pair '{}'
	same_shape
	pin=null each_pair '{"other":1}'
	: >empty
	pin=null plain=$PWD/empty each_pair '{}'
}

@test "null: what is sealed to fail fails with both" {
	clevis encrypt null '{"fail":true}' <"$plain" >ours
	their_clevis encrypt null '{"fail":true}' <"$plain" >theirs
	same_shape
	local file
	for file in ours theirs; do
		call their_clevis decrypt <$file
		[ "$status" = 1 ]
		says ''
		call clevis decrypt <$file
		fails 1 'null: '
	done
}

# sss T PINS: the configuration.
sss() {
	echo "{\"t\":$1,\"pins\":{$2}}"
}

@test "sss, one of one" {
	pin=sss each_pair "$(sss 1 "\"tang\":$(tang_config "$url")")" -y
	same_shape
	pin=sss each_pair '{"pins":{"null":{}}}'
	same_shape
}

@test "sss, two of three servers, and the others when one is gone" {
	local server config
	server=$(tang_config "$url" "\"adv\":\"$PWD/adv\"")
	pin=sss each_pair "$(sss 2 "\"tang\":[$server,$server,$server]")"
	same_shape
	config=$(sss 2 "\"tang\":[$(tang_config "http://127.0.0.1:$(closed_port)" "\"adv\":\"$PWD/adv\""),$server,$server]")
	clevis encrypt sss "$config" <"$plain" >ours
	their_clevis decrypt <ours 2>err | cmp - "$plain"
	their_clevis encrypt sss "$config" <"$plain" >theirs
	clevis decrypt <theirs 2>err | cmp - "$plain"
	[ ! -s err ]
}

@test "sss, several nulls, all of them and some" {
	pin=sss each_pair "$(sss 1 '"null":[{},{}]')"
	pin=sss each_pair "$(sss 3 '"null":[{},{},{},{},{}]')"
	same_shape
	pin=sss each_pair "$(sss 4 '"null":[{},{},{},{}]')"
	same_shape
}

@test "sss inside sss, with null and tang" {
	local server
	server=$(tang_config "$url")
	pin=sss each_pair "$(sss 2 "\"null\":{},\"tang\":$server,\"sss\":$(sss 1 "\"tang\":[$server,$server]")")" -y
	same_shape
	pin=sss each_pair "$(sss 2 "\"sss\":[$(sss 2 "\"null\":{},\"tang\":$server"),$(sss 1 '"null":{}')]")" -y
	same_shape
}

@test "sss below its threshold: neither opens it" {
	local config
	config=$(sss 2 '"null":[{},{"fail":true}]')
	clevis encrypt sss "$config" <"$plain" >ours
	their_clevis encrypt sss "$config" <"$plain" >theirs
	local file
	for file in ours theirs; do
		call their_clevis decrypt <$file
		[ "$status" != 0 ]
		says ''
		call clevis decrypt <$file
		fails 1 'sss: 1 of 2 shares found: '
	done
}

@test "sss: what one refuses the other does too, with the words that scripts look for" {
	local config words
	while IFS='|' read -r words config; do
		call their_clevis_alone encrypt sss "$config" <"$plain"
		[ "$status" = 1 ]
		grep -qF "$words" <<<"$stderr"
		call clevis_alone encrypt sss "$config" <"$plain"
		fails 1 "$words"
	done <<-END
		Error parsing config!|{
		Error parsing config!|
		Config missing 'pins' attribute!|{}
		Config missing 'pins' attribute!|{"t":"1","pins":{"null":{}}}
		Invalid threshold (required: 1 <= 3 <= 2)!|{"t":3,"pins":{"null":[{},{}]}}
		Invalid threshold (required: 1 <= 0 <= 1)!|{"t":0,"pins":{"null":{}}}
		Missing the required 'url' property|{"pins":{"tang":{}}}
	END
}

@test "JWEs of other pins: both refuse by the pin's name" {
	their_clevis encrypt null '{}' <"$plain" >theirs
	call clevis decrypt-tang <theirs
	fails 1 'JWE pin mismatch!'
	clevis encrypt null '{}' <"$plain" >ours
	PATH=$their_path call timeout 60 /usr/bin/clevis-decrypt-tang <ours
	[ "$status" = 1 ]
	grep -qF 'JWE pin mismatch!' <<<"$stderr"
}
