#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The distribution's jose reads what we write: advertisements, JWEs, thumbprints; and does the exchange by hand.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/references

setup_file() {
	serve_file
}

prepare() {
	needs_their /usr/bin/jose
	cp "$adv" adv
	json 'json.dump({"keys": keys_of(j)}, open("set", "w"))
for key in keys_of(j): json.dump(key, open("exchange" if is_exchange(key) else "signing", "w"))' <adv
}

@test "jose jws ver -a: the advertisement, flattened" {
	jose jws ver -a -i adv -k signing
	jose jws ver -a -i adv -k signing -O - | cmp - <(json 'sys.stdout.write(unb64(j["payload"]).decode())' <adv)
	make_keys other
	start_tangd other
	fetch "$url/adv" | json '[json.dump(key, open("stranger", "w")) for key in keys_of(j) if not is_exchange(key)]'
	never jose jws ver -a -i adv -k stranger
	json 'p = json.loads(unb64(j["payload"])); p["x"] = 1; j["payload"] = b64(json.dumps(p).encode()); json.dump(j, sys.stdout)' <adv >changed
	never jose jws ver -a -i changed -k signing
}

@test "jose jws ver -a: the advertisement, general, by every key" {
	cp -r "$keys" keys
	make_keys keys
	make_keys keys
	start_tangd keys
	fetch "$url/adv" >adv
	json 'signing = [key for key in keys_of(j) if not is_exchange(key)]
assert len(signing) == len(j["signatures"]) == 3
json.dump({"keys": signing}, open("signing", "w"))
for i, key in enumerate(signing): json.dump(key, open("signing.%d" % i, "w"))' <adv
	jose jws ver -a -i adv -k signing
	jose jws ver -a -i adv -k signing.0 -k signing.1 -k signing.2
	json 'j["signatures"].pop(); json.dump(j, sys.stdout)' <adv >fewer
	never jose jws ver -a -i fewer -k signing
}

@test "jose jws ver: what a rotated key signs for those who ask by its thumbprint" {
	cp -r "$keys" keys
	local thp
	thp=$(signing_thumbprints <adv)
	mv "keys/$thp.jwk" "keys/.$thp.jwk"
	make_keys keys
	start_tangd keys
	fetch "$url/adv/$thp" >adv
	jose jws ver -i adv -k signing
	fetch "$url/adv" >plain
	never jose jws ver -i plain -k signing
}

@test "jose jwk thp: the thumbprints by which our server answers, in every hash" {
	local hash
	for hash in S1 S224 S256 S384 S512; do
		[ "$(status_of "$url/adv/$(jose jwk thp -a $hash -i signing)")" = 200 ]
		[ "$(status_of -d @exchange "$url/rec/$(jose jwk thp -a $hash -i exchange)")" = 200 ]
	done
}

@test "jose jwk use: the advertised keys are for what they should be" {
	jose jwk use -i signing -u verify
	jose jwk use -i exchange -u deriveKey
	never jose jwk use -i exchange -u verify
	never jose jwk use -i signing -u deriveKey
}

@test "jose jwe fmt: reads our JWE, and our clevis reads it again" {
	printf secret | clevis encrypt tang "$(tang_config "$url")" -y >jwe
	jose jwe fmt -i jwe -o flat
	json 'assert sorted(j)[0] == "ciphertext" and "protected" in j and "tag" in j' <flat
	jose jwe fmt -i flat -c -o again
	cmp jwe again
	call clevis decrypt <again
	says secret
}

@test "jose jwe dec: with the server's private key, our JWE is an ordinary ECDH-ES one" {
	printf secret | clevis encrypt tang "$(tang_config "$url")" -y >jwe
	json 'del j["alg"], j["key_ops"]; json.dump(j, open("private", "w"))' <"$keys/$(exchange_thumbprint <adv).jwk"
	[ "$(jose jwe dec -i jwe -k private)" = secret ]
	damage jwe 5 >changed
	never jose jwe dec -i changed -k private
}

@test "jose jwe enc: a JWE that jose made opens with our clevis and our server" {
	json 'adv = {"keys": keys_of(j)}
key = [dict(k) for k in adv["keys"] if is_exchange(k)][0]
kid = thumbprint(key)
del key["alg"], key["key_ops"]
json.dump(key, open("key", "w"))
json.dump({"protected": {"alg": "ECDH-ES", "enc": "A256GCM", "kid": kid, "clevis": {"pin": "tang",
	"tang": {"url": sys.argv[2], "adv": adv}}}}, open("template", "w"))' "$url" <adv
	printf secret | jose jwe enc -i template -k key -I - -c -o jwe
	call clevis decrypt <jwe
	succeeds
	says secret
	# With apu and apv, which take part in the derivation.
	json 'j["protected"].update(apu="QWxpY2U", apv="Qm9i"); json.dump(j, open("template", "w"))' <template
	printf secret | jose jwe enc -i template -k key -I - -c -o jwe
	header_of jwe | grep -q apu
	call clevis decrypt <jwe
	succeeds
	says secret
}

@test "the exchange by hand: jose jwk exc and our server find the same secret" {
	local kid
	kid=$(jose jwk thp -a S256 -i exchange)
	# Binding: c, C = c·G, K = c·S.
	jose jwk gen -i '{"alg":"ECMR"}' -o c
	jose jwk pub -i c -o C
	jose jwk exc -i '{"alg":"ECMR"}' -l c -r exchange -o K
	# Recovery: X = C + e·G, Y = s·X, K = Y − e·S.
	jose jwk gen -i '{"alg":"ECMR"}' -o e
	jose jwk exc -i '{"alg":"ECMR"}' -l C -r e -o X
	fetch -H 'Content-Type: application/jwk+json' --data-binary @X "$url/rec/$kid" >Y
	jose jwk exc -i '{"alg":"ECMR"}' -l e -r exchange -o eS
	jose jwk pub -i eS -o eS
	jose jwk exc -i '{"alg":"ECMR"}' -l Y -r eS -o again
	diff <(json 'print(j["crv"], j["x"], j["y"])' <K) <(json 'print(j["crv"], j["x"], j["y"])' <again)
	# A recovery for another c finds another secret.
	fetch -d @C "$url/rec/$kid" >Y
	jose jwk exc -i '{"alg":"ECMR"}' -l Y -r eS -o other
	never diff -q <(json 'print(j["x"])' <K) <(json 'print(j["x"])' <other)
}

@test "the exchange by hand on each curve" {
	local curve kid
	for curve in P-256 P-384 P-521; do
		mkdir -p "k$curve"
		cp "$keys/$(signing_thumbprints <adv).jwk" "k$curve/"
		jose jwk gen -i "{\"alg\":\"ECMR\",\"crv\":\"$curve\"}" -o "k$curve/e.jwk"
		start_tangd "k$curve"
		kid=$(jose jwk thp -i "k$curve/e.jwk")
		jose jwk pub -i "k$curve/e.jwk" -o S
		jose jwk gen -i "{\"alg\":\"ECMR\",\"crv\":\"$curve\"}" -o c
		jose jwk pub -i c -o C
		# s·C = c·S.
		jose jwk exc -i '{"alg":"ECMR"}' -l c -r S -o K
		fetch -d @C "$url/rec/$kid" >Y
		diff <(json 'print(j["crv"], j["x"], j["y"])' <K) <(json 'print(j["crv"], j["x"], j["y"])' <Y)
		printf secret | clevis encrypt tang "$(tang_config "$url")" -y >jwe
		[ "$(header_of jwe | json 'print(j["epk"]["crv"])')" = "$curve" ]
		[ "$(clevis decrypt <jwe)" = secret ]
	done
}

@test "signing keys of jose, of each curve and algorithm, serve and are verified" {
	local alg
	for alg in ES256 ES384 ES512; do
		mkdir "k$alg"
		jose jwk gen -i "{\"alg\":\"$alg\"}" -o "k$alg/s.jwk"
		jose jwk gen -i '{"alg":"ECMR"}' -o "k$alg/e.jwk"
		start_tangd "k$alg"
		fetch "$url/adv" >adv
		jose jwk pub -i "k$alg/s.jwk" -o S
		jose jws ver -a -i adv -k S
		[ "$(json 'print(json.loads(unb64(j["protected"]))["alg"])' <adv)" = "$alg" ]
		printf secret | clevis_alone encrypt tang "$(tang_config "$url" "\"thp\":\"$(jose jwk thp -a S256 -i S)\"")" >jwe
		[ "$(clevis decrypt <jwe)" = secret ]
	done
}

@test "an advertisement that jose signed is taken, flattened and general" {
	jose jwk gen -i '{"alg":"ES512"}' -o one
	jose jwk gen -i '{"alg":"ES256"}' -o two
	jose jwk pub -i one -o one.pub
	jose jwk pub -i two -o two.pub
	"$python" -c 'import json, sys
json.dump({"keys": [json.load(open(name)) for name in sys.argv[1:]]}, open("payload", "w"))' one.pub exchange
	jose jws sig -I payload -k one -s '{"protected":{"cty":"jwk-set+json"}}' -o made
	call clevis encrypt tang "$(tang_config "$url" '"adv":"made"')" <<<x
	succeeds
	"$python" -c 'import json, sys
json.dump({"keys": [json.load(open(name)) for name in sys.argv[1:]]}, open("payload", "w"))' one.pub two.pub exchange
	jose jws sig -I payload -k one -s '{"protected":{"cty":"jwk-set+json"}}' -k two -s '{"protected":{"cty":"jwk-set+json"}}' -o made
	json 'assert len(j["signatures"]) == 2' <made
	call clevis encrypt tang "$(tang_config "$url" '"adv":"made"')" <<<x
	succeeds
	jose jws sig -I payload -k one -s '{"protected":{"cty":"jwk-set+json"}}' -o made
	call clevis encrypt tang "$(tang_config "$url" '"adv":"made"')" <<<x
	fails 1 'Advertisement is missing signatures'
}
