#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# jose jwk gen, pub, use, eql, thp and exc, and jose alg.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/jose

gen() { # NAME TEMPLATE
	jose jwk gen -i "$2" -o "$1"
	jose jwk pub -i "$1" -o "$1.pub"
}

@test "alg: each has a kind, and they are sorted without regard to case" {
	local kind
	jose alg >all
	sort -f all | cmp - all
	[ "$(jose alg -k '?' | paste -sd ' ')" = 'hash sign wrap encr comp exch' ]
	for kind in hash sign wrap encr comp exch; do jose alg -k $kind; done | sort -f | cmp - all
	[ "$(jose alg -k exch --kind=hash | paste -sd ' ')" = 'ECDH ECMR S1 S224 S256 S384 S512' ]
	grep -qx ES512 all
	call jose alg -k foo
	misused 1 'Invalid kind!'
}

@test "gen: keys for algorithms and of types" {
	local alg
	while read -r alg kty crv key_ops; do
		jose jwk gen -i "{\"alg\":\"$alg\"}" | json 'assert [j["alg"], j["kty"], j["crv"], ",".join(j["key_ops"])] == sys.argv[2:], j
assert all(len(j[m]) == len(j["x"]) for m in "xyd")' "$alg" "$kty" "$crv" "$key_ops"
	done <<-'END'
		ES256 EC P-256 sign,verify
		ES384 EC P-384 sign,verify
		ES512 EC P-521 sign,verify
		ECMR EC P-521 deriveKey
	END
	jose jwk gen -i '{"alg":"A256GCM"}' | json 'assert j["kty"] == "oct" and len(unb64(j["k"])) == 32'
	jose jwk gen -i '{"kty":"oct","bytes":5,"kid":"mine"}' | json 'assert sorted(j) == ["k", "kid", "kty"] and len(unb64(j["k"])) == 5'
	jose jwk gen -i '{"alg":"ES256","use":"sig"}' | json 'assert "key_ops" not in j and j["use"] == "sig"'
	jose jwk gen -i '{"kty":"EC","crv":"P-384"}' | json 'assert j["crv"] == "P-384" and sorted(j) == ["crv", "d", "kty", "x", "y"]'
	[ "$(jose jwk gen -i '{"alg":"ES256"}')" != "$(jose jwk gen -i '{"alg":"ES256"}')" ]
}

@test "gen: one key alone, several as a set" {
	local single='{"alg":"ES256"}'
	jose jwk gen -i "{\"keys\":[$single]}" | json 'assert j["alg"] == "ES256"'
	jose jwk gen -i "$single" -s | json 'assert len(j["keys"]) == 1'
	jose jwk gen -i "$single" -i "{\"keys\":[$single,{\"alg\":\"ECMR\"}]}" |
		json 'assert [k["alg"] for k in j["keys"]] == ["ES256", "ES256", "ECMR"]'
	echo "$single" >file
	echo "$single$single" | jose jwk gen -i - -i file -i - | json 'assert len(j["keys"]) == 3'
}

@test "gen: what it refuses" {
	local template
	call jose jwk gen -i '{"alg":"FOO"}' -o out
	fails 1 'JWK generation failed, unknown algorithm:FOO'
	for template in '{"alg":"dir"}' '{"alg":3}' '{}' '{"kty":"foo"}' '{"kty":"oct"}' '{"kty":"oct","bytes":0}' '{"kty":"oct","bytes":1025}' \
		'{"kty":"oct","bytes":"5"}' '{"alg":"ES256","kty":"oct"}' '{"alg":"ES256","crv":"P-521"}' '{"alg":"ES256","d":"AA"}' \
		'{"kty":"EC","x":"AA"}' '{"kty":"EC","crv":"P-999"}' '{"alg":"A256GCM","bytes":16}'; do
		call jose jwk gen -i '{"alg":"ES256"}' -i "$template" -o out
		fails 1 'JWK generation failed'
	done
	[ ! -e out ]
	call jose jwk gen
	fails 1 'At least one JWK template is required!'
}

@test "pub: private members and the operations that need them go" {
	gen key '{"alg":"ES256","kid":"mine"}'
	json 'key = json.load(open("key")); del key["d"]; key["key_ops"] = ["verify"]; assert j == key, j' <key.pub
	echo '{"kty":"oct","k":"AAAA","kid":"a","key_ops":["sign","encrypt","deriveBits","foo"]}' >oct
	[ "$(jose jwk pub -i oct)" = '{"key_ops":["foo"],"kid":"a","kty":"oct"}' ]
	echo '{"kty":"EC","d":"AA","key_ops":["sign","decrypt","unwrapKey","foo",3,"deriveKey","encrypt"]}' >ec
	[ "$(jose jwk pub -i ec)" = '{"key_ops":["foo",3,"deriveKey","encrypt"],"kty":"EC"}' ]
	jose jwk pub -i key -i oct -s | json 'assert len(j["keys"]) == 2'
	[ "$(jose jwk pub -i oct -s)" = '{"keys":[{"key_ops":["foo"],"kid":"a","kty":"oct"}]}' ]
	echo '{"kty":"foo","d":"AA"}' >foo
	call jose jwk pub -i key -i foo
	fails 1 'Error removing private keys'
	call jose jwk pub
	fails 1 'MUST specify at least one JWK(Set)!'
}

@test "use" {
	local status_wanted arguments
	gen s '{"alg":"ES256"}'
	gen x '{"alg":"ECMR"}'
	gen any '{"kty":"EC"}'
	gen enc '{"kty":"EC","use":"enc"}'
	gen sig '{"kty":"EC","use":"sig"}'
	gen none '{"kty":"EC","key_ops":[]}'
	gen foo '{"kty":"EC","key_ops":["foo"]}'
	gen both '{"kty":"EC","use":"sig","key_ops":["deriveKey"]}'
	gen odd '{"kty":"EC","use":3}'
	while read -r status_wanted arguments; do
		# shellcheck disable=SC2086 # words
		call jose jwk use $arguments
		[ "$status" = "$status_wanted" ] && [ -z "$output$stderr" ] || { echo "$arguments" && show_result && return 1; }
	done <<-'END'
		0 -i s -u sign
		0 -i s -u verify -r
		1 -i s -u encrypt
		0 -i s -u encrypt -u sign
		1 -i s -u encrypt -u sign -a
		0 -i s -u verify -u sign --all
		1 -i s.pub -u sign
		0 -i any -u deriveKey
		0 -i any -u foo
		1 -i any -u deriveKey -r
		0 -i enc -u wrapKey -u decrypt -a
		1 -i enc -u deriveKey
		1 -i enc -u deriveBits
		1 -i enc -u sign
		0 -i sig -u sign -u verify -a --required
		1 -i none -u sign
		0 -i foo -u foo
		1 -i foo -u foo -u sign -a
		1 -i foo -u fo
		0 -i both -u sign -u deriveKey -a
		1 -i odd -u sign
		0 -i s -i sig -u sign
		1 -i s -i x -u sign
	END
	call jose jwk use -i s
	fails 1 'No uses specified!'
	call jose jwk use -u sign
	fails 1 'No JWK specified!'
}

@test "use -o: the keys that pass" {
	gen s '{"alg":"ES256"}'
	gen x '{"alg":"ECMR"}'
	jose jwk use -i s -i x -u sign -o - | cmp - s
	jose jwk use -i s -i x -u deriveKey -u sign -o - | json 'assert [k["alg"] for k in j["keys"]] == ["ES256", "ECMR"]'
	jose jwk use -i s -i x -u sign -o - --set | json 'assert [k["alg"] for k in j["keys"]] == ["ES256"]'
	call jose jwk use -i s -i x -u encrypt -o out
	[ "$status" = 1 ]
	[ -z "$output$stderr" ]
	[ ! -e out ]
}

@test "eql" {
	gen s '{"alg":"ES256"}'
	gen x '{"alg":"ES256"}'
	echo '{"kty":"foo"}' >foo
	echo '{"kty":"EC","crv":"P-256","x":"AA"}' >part
	echo '{"kty":"RSA","n":"AQAB","e":"AQAB"}' >rsa
	echo '{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"a","d":"AA"}' >rsa2
	printf '{"keys":[%s,%s]}' "$(<s)" "$(<s.pub)" >pair_of_keys
	jose jwk eql -i s -i s.pub
	jose jwk eql -i pair_of_keys
	jose jwk eql -i pair_of_keys -i s
	jose jwk eql -i rsa -i rsa2
	local pair
	for pair in 's x' 's.pub x.pub' 'pair_of_keys x' 'foo foo' 'part part' 'rsa s'; do
		call jose jwk eql -i "${pair% *}" -i "${pair#* }"
		[ "$status" = 1 ]
		[ -z "$output$stderr" ]
	done
	call jose jwk eql -i s
	fails 1 'Must specify at least two JWKs!'
}

@test "thp: the example of RFC 7638, and every hash" {
	cat >rsa <<-'END'
		{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
		"e":"AQAB","alg":"RS256","kid":"2011-04-29"}
	END
	[ "$(jose jwk thp -i rsa)" = NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs ]
	gen key '{"alg":"ECMR"}'
	while read -r name hash; do
		[ "$(jose jwk thp -i key -a "$name")" = "$(json 'print(b64(hashlib.new(sys.argv[2], json.dumps(
			{m: j[m] for m in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True).encode()).digest()))' "$hash" <key)" ]
	done <<<$'S1 sha1\nS224 sha224\nS256 sha256\nS384 sha384\nS512 sha512'
	[ "$(jose jwk thp -i key)" = "$(jose jwk thp -i key.pub -a S256)" ]
	[ "$(jose jwk thp -a '?' | paste -sd ' ')" = 'S1 S224 S256 S384 S512' ]
	call jose jwk thp -i key -a s256
	misused 1 'Invalid algorithm!'
	call jose jwk thp
	fails 1 'Must specify JWK(Set)!'
}

@test "thp: several, one a line; a key without one fails all" {
	gen one '{"alg":"ES256"}'
	gen two '{"alg":"ES256"}'
	jose jwk thp -i one -i two -o out
	[ "$(<out)" = "$(jose jwk thp -i one)"$'\n'"$(jose jwk thp -i two)" ]
	[ "$(wc -l <out)" = 2 ]
	local key
	for key in '{"kty":"foo"}' '{"kty":"EC","crv":"P-256","x":"AA"}' '{"kty":"RSA","n":"AA"}' '{"kty":"oct","k":3}' '{}'; do
		echo "$key" >bad
		call jose jwk thp -i one -i bad
		[ "$status" = 1 ]
		[ -z "$output" ]
		[ -n "$stderr" ]
	done
}

@test "thp -f: the key that has it" {
	local thp
	gen one '{"alg":"ES256"}'
	gen two '{"alg":"ES256"}'
	echo '{"kty":"foo"}' >foo
	thp=$(jose jwk thp -i two)
	jose jwk thp -i foo -i one -i two -f "$thp" -o found
	cmp found two
	jose jwk thp -i one -i two -a S1 -f "$(jose jwk thp -a S1 -i one)" | cmp - one
	local wrong
	for wrong in "-i one -f $thp" "-i two -a S1 -f $thp" '-i two -f x'; do
		# shellcheck disable=SC2086 # words
		call jose jwk thp $wrong -o nothing
		[ "$status" = 1 ]
		[ -z "$output$stderr" ]
		[ ! -e nothing ]
	done
}

@test "exc: ECMR in all its combinations" {
	local curve
	for curve in P-256 P-384 P-521; do
		gen c "{\"alg\":\"ECMR\",\"crv\":\"$curve\"}"
		gen e "{\"alg\":\"ECMR\",\"crv\":\"$curve\"}"
		gen s "{\"alg\":\"ECMR\",\"crv\":\"$curve\"}"
		# K = c·S; X = C + e·G; Y = s·X; K = Y − e·S.
		jose jwk exc -l c -r s.pub -o K
		jose jwk exc -l s -r c.pub | cmp - K
		jose jwk exc -l c.pub -r e -o X
		jose jwk exc -l s -r X -o Y
		jose jwk exc -l e -r s.pub -o eS
		jose jwk exc -l Y -r eS -i '{"alg":"ECMR"}' -o wrong && never cmp wrong K # without "alg" they are ECDH's
		json 'j["alg"] = "ECMR"; json.dump(j, open("Y", "w"))' <Y
		jose jwk exc -l Y -r eS | cmp - K
		json 'assert sorted(j) == ["crv", "kty", "x", "y"] and j["crv"] == sys.argv[2]' "$curve" <K
	done
}

@test "exc: the template gives members, and decides nothing" {
	gen c '{"alg":"ECMR"}'
	gen s '{"alg":"ECMR"}'
	jose jwk exc -l c -r s.pub -o K
	jose jwk exc -l c -r s.pub -i '{"alg":"ES256","key_ops":["sign"],"x":"AA","kid":"a"}' -o named
	[ "$(stat -c %a K)" = 600 ] # it is a secret
	json 'K = json.load(open("K")); K.update(alg="ES256", key_ops=["sign"], kid="a"); assert j == K' <named
	jose jwk exc -l c -r s.pub -i '{"a":1}' -i '{"b":2}' | json 'assert "a" not in j and j["b"] == 2'
}

@test "exc: what it refuses" {
	gen c '{"alg":"ECMR"}'
	gen s '{"alg":"ECMR"}'
	gen small '{"alg":"ECMR","crv":"P-256"}'
	gen signs '{"alg":"ES512"}'
	gen plain '{"kty":"EC","crv":"P-521"}'
	gen denied '{"kty":"EC","crv":"P-521","use":"enc"}'
	gen oct '{"kty":"oct","bytes":32}'
	json 'j["x"], j["y"] = j["y"], j["x"]; json.dump(j, open("off", "w"))' <s.pub
	json 'j["alg"] = "ECDH"; json.dump(j, open("ecdh", "w"))' <s.pub
	json 'j["d"] = b64(bytes(66)); json.dump(j, open("zero", "w"))' <c
	local pair
	for pair in 'c small' 'c signs' 'signs s' 'signs signs' 'c off' 'off c' 'c ecdh' 'plain.pub plain' 'plain.pub plain.pub' 'c denied' 'denied c' \
		'oct oct' 'c oct' 'c.pub c.pub' 'zero s'; do
		call jose jwk exc -l "${pair% *}" -r "${pair#* }" -o out
		fails 1 ': Error performing exchange!'
	done
	[ ! -e out ]
	call jose jwk exc -r c
	fails 1 'Local JWK must be specified exactly once!'
	call jose jwk exc -l c -l s -r c
	fails 1 'Local JWK must be specified exactly once!'
	call jose jwk exc -l c
	fails 1 'Remote JWK must be specified exactly once!'
}
