#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# clevis luks list: its exact lines, and what it makes of tokens that others wrote or changed.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	command -v cryptsetup >/dev/null || return 0
	serve_file
	make_template
	make_disk bound.img
	bind
	export bound=$disk
}

prepare() {
	needs cryptsetup
	disk=$PWD/disk.img
	cp --sparse=always "$bound" "$disk"
	line="1: tang '{\"url\":\"$url\"}'"
}

# list_is TEXT: the list is that, without complaint.
list_is() {
	call clevis luks list -d "$disk"
	succeeds
	says "$1"
}

# Changes the header of the JWE in the token: `h`.
edit_sealed() { # SCRIPT
	edit_token "$disk" 0 "h = json.loads(unb64(j['jwe']['protected']))
$1
j['jwe']['protected'] = b64(json.dumps(h).encode())"
}

@test "one binding: one line" {
	list_is "$line"
	[ "$(clevis luks list -d "$disk" | wc -l)" = 1 ]
}

@test "no binding: nothing, exit 0" {
	make_disk
	list_is ''
}

@test "several bindings: in the order of keyslots, whatever the order of tokens" {
	bind -s 5
	bind -s 3 -t 7
	list_is "$line
3${line#1}
5${line#1}"
}

@test "-s: only that slot; none there: exit 1, no output" {
	bind -s 3
	call clevis luks list -d "$disk" -s 3
	succeeds
	says "3${line#1}"
	local slot
	for slot in 0 2 31 32 4000; do
		call clevis luks list -d "$disk" -s $slot
		[ "$status" = 1 ]
		says ''
		[ -z "$stderr" ]
	done
	call clevis luks list -d "$disk" -s x
	fails 1 "'x' is not a slot"
}

@test "only the url is shown, not thp, adv, or what others put there" {
	call clevis luks bind -k "$pass" -d "$disk" tang \
		"$(tang_config "$url" "\"adv\":\"$adv\"" "\"thp\":\"$(signing_thumbprints <"$adv")\"")"
	binds
	edit_sealed "h['clevis']['tang'].update(cacert='/etc/ca', more=[1])"
	list_is "$line
2${line#1}"
}

@test "the url is shown as it was given, as JSON, and does not end the quotes around it" {
	edit_sealed "h['clevis']['tang']['url'] = 'http://h/\"a\\\\b\\''"
	list_is "1: tang '{\"url\":\"http://h/\\\"a\\\\b\u0027\"}'"
}

@test "a url cannot drive the terminal or forge a line" {
	edit_sealed "h['clevis']['tang']['url'] = 'a\n2: tang\x1b[2J\x7f'"
	call clevis luks list -d "$disk"
	[ "${#lines[@]}" = 1 ]
	lacks $'\x1b' <<<"$output"
}

@test "pins that this version does not know are named" {
	local pin
	for pin in file third-party; do
		edit_sealed "h['clevis'] = {'pin': '$pin', '$pin': {}}"
		call clevis luks list -d "$disk"
		[ "$status" = 0 ]
		says "1: unknown pin '$pin'"
	done
}

@test "tokens of other types are not shown, and no matter" {
	echo '{"type":"other","keyslots":["0"],"jwe":{}}' | cryptsetup token import --token-id 3 "$disk"
	list_is "$line"
}

@test "an orphan is not shown" {
	cryptsetup luksKillSlot -q "$disk" 1 --key-file "$pass"
	list_is ''
}

@test "listing changes nothing, and needs no right to write" {
	local before
	before=$(sha "$disk")
	chmod 0444 "$disk"
	list_is "$line"
	[ "$(sha "$disk")" = "$before" ]
}

@test "the server is not asked" {
	local gone
	gone=http://127.0.0.1:$(closed_port)
	call clevis luks bind -k "$pass" -d "$disk" tang "$(tang_config "$gone" "\"adv\":\"$adv\"")"
	list_is "$line
2: tang '{\"url\":\"$gone\"}'"
}

@test "a token that is damaged: a warning that says which, and the rest is shown" {
	bind
	local script
	for script in 'j["jwe"] = 1' 'del j["jwe"]' 'j["jwe"] = "text"'; do
		edit_token "$disk" 0 "$script"
		call clevis luks list -d "$disk"
		[ "$status" = 0 ]
		says "2${line#1}"
		[ "${#stderr_lines[@]}" = 1 ]
		[[ $stderr == *'warning: '*'token 0 is damaged'* ]]
	done
}

@test "a JWE that is none: the slot is warned of, and nobody takes it for a binding of tang" {
	local script
	for script in 'j["jwe"] = {}' 'j["jwe"]["protected"] = "!"' 'j["jwe"]["protected"] = "AAAA"' 'j["jwe"]["protected"] = b64(b"{}")' \
		'j["jwe"]["protected"] = b64(b"{\"clevis\":{\"pin\":\"tang\"}}")'; do
		edit_token "$disk" 0 "$script"
		call clevis luks list -d "$disk"
		[ "$status" = 0 ]
		[[ -z $output || $output == "1: unknown pin"* ]]
		[ "${#stderr_lines[@]}" = 1 ]
		[[ $stderr == *'warning: slot 1: '* ]]
	done
}

# nested: binds $disk by an sss of an sss; CONFIG is what it was bound by.
nested() {
	CONFIG="{\"t\":2,\"pins\":{\"null\":{},\"file\":{\"name\":\"$PWD/key\"},\"tang\":[$(tang_config "$url")],\"sss\":{\"pins\":{\"tang\":$(tang_config "$url")}}}}"
	clevis luks bind -y -k "$pass" -d "$disk" sss "$CONFIG"
}

@test "null is shown, and what stands inside sss, each kind as an array, in the order of 24" {
	nested
	clevis luks bind -y -k "$pass" -d "$disk" null '{}'
	list_is "$line
2: sss '{\"t\":2,\"pins\":{\"null\":[{}],\"tang\":[{\"url\":\"$url\"}],\"sss\":[{\"t\":1,\"pins\":{\"tang\":[{\"url\":\"$url\"}]}}],\"file\":[{}]}}'
3: null '{}'"
}

@test "-p: the names of the pins, sorted, each once, those inside others too" {
	nested
	edit_sealed "h['clevis'] = {'pin': 'third-party', 'third-party': {}}"
	call clevis luks list -p -d "$disk"
	succeeds
	says $'1: third-party\n2: file null sss tang'
	call clevis luks list -d "$disk" -p -s 2
	succeeds
	says '2: file null sss tang'
	call clevis luks list -p -d "$disk" -s 3
	[ "$status" = 1 ]
	[ -z "$output$stderr" ]
	edit_token "$disk" 0 'j["jwe"] = {}'
	call clevis luks list -p -d "$disk"
	[ "$status" = 0 ]
	says $'1: unknown pin\n2: file null sss tang'
	[[ $stderr == *'warning: slot 1: '* ]]
}

# json_is SCRIPT [OPTION…]: what --json prints is one line of JSON for which the script, with `j`, finds nothing to assert.
json_is() {
	call clevis luks list --json -d "$disk" "${@:2}"
	succeeds
	[ "${#lines[@]}" = 1 ]
	json "$1" <<<"$output"
}

@test "--json: the device, and of each binding all that is known without opening it" {
	bind -s 4 -t 9
	json_is "assert list(j) == ['device', 'uuid', 'version', 'bindings', 'damaged'], j
assert (j['device'], j['uuid'], j['version'], j['damaged']) == ('$disk', '$(cryptsetup luksUUID "$disk")', 2, []), j
assert [(b['slot'], b['token'], b['pin']) for b in j['bindings']] == [(1, 0, 'tang'), (4, 9, 'tang')], j"
	clevis luks list --json -d "$disk" | json 'c = j["bindings"][0]["config"]
adv = keys_of(json.load(open(sys.argv[2])))
assert c["url"] == sys.argv[3]
assert sorted(k["thumbprint"] for k in c["keys"]) == sorted(map(thumbprint, adv)), c
for key in c["keys"]:
    given = [k for k in adv if thumbprint(k) == key["thumbprint"]][0]
    assert key["use"] == ("exchange" if is_exchange(given) else "signing"), c
    assert key["sealed_to" if is_exchange(given) else "trusted"] is True, c
assert c["thp"] == [k["thumbprint"] for k in c["keys"] if k["use"] == "signing"][0]' "$adv" "$url"
}

@test "--json: a configuration is good for binding again" {
	clevis luks list --json -d "$disk" | json 'json.dump(j["bindings"][0]["config"], sys.stdout)' >config
	call clevis_alone luks bind -k "$pass" -d "$disk" tang "$(<config)"
	binds
	[ "$(clevis luks list -d "$disk" -s 2)" = "2${line#1}" ]
}

@test "--json: files for https, what stands inside sss, and pins that only their own program knows" {
	nested
	edit_sealed "h['clevis']['tang'].update(cacert='/etc/ca', cert='/etc/cert', key='/etc/key')"
	json_is 'c = j["bindings"][0]["config"]
assert (c["cacert"], c["cert"], c["key"]) == ("/etc/ca", "/etc/cert", "/etc/key"), c
s = j["bindings"][1]["config"]
assert s["t"] == 2 and list(s["pins"]) == ["null", "tang", "sss", "file"], s
assert s["pins"]["null"] == [{}], "the key of null is not shown"
assert s["pins"]["file"][0]["name"].endswith("/key"), s
assert s["pins"]["sss"][0]["pins"]["tang"][0]["keys"] == s["pins"]["tang"][0]["keys"] == c["keys"], s'
	edit_sealed "h['clevis'] = {'pin': 'third-party', 'third-party': {'secret': 1}}"
	json_is 'assert j["bindings"][0]["pin"] == "third-party" and j["bindings"][0]["config"] is None, j'
}

@test "--json -s: that slot; none there: exit 1, no output" {
	bind -s 3
	json_is 'assert [b["slot"] for b in j["bindings"]] == [3], j' -s 3
	call clevis luks list --json -d "$disk" -s 2
	[ "$status" = 1 ]
	[ -z "$output$stderr" ]
	call clevis luks list --json -p -d "$disk"
	usage 1
	make_disk
	json_is 'assert j["bindings"] == j["damaged"] == [], j'
}

@test "--json: what is damaged is told of there, with the reason" {
	bind
	edit_token "$disk" 0 'j["jwe"] = 1'
	json_is 'assert [b["slot"] for b in j["bindings"]] == [2], j
assert [d["token"] for d in j["damaged"]] == [0] and "holds no JWE" in j["damaged"][0]["reason"], j'
	edit_token "$disk" 0 'j["jwe"] = {}'
	json_is 'assert [(d["slot"], d["token"]) for d in j["damaged"]] == [(1, 0)], j
assert "JWE" in j["damaged"][0]["reason"], j'
	json_is 'assert j["bindings"] == [] and j["damaged"][0]["slot"] == 1, j' -s 1
}

@test "--json: nothing that drives a terminal, and the text comes back as it was" {
	edit_sealed "h['clevis']['tang']['url'] = 'a\n\x1b[2J\x7f\x9b31m\u202e\u2028ü'"
	call clevis luks list --json -d "$disk"
	LC_ALL=C grep -qxE '[ -~]+' <<<"$output"
	[ "${#lines[@]}" = 1 ]
	json 'assert j["bindings"][0]["config"]["url"] == "a\n\x1b[2J\x7f\x9b31m\u202e\u2028\u00fc", j' <<<"$output"
}

@test "not LUKS, not there: one line, exit 1" {
	echo text >text
	call clevis luks list -d text
	fails 1 'text is not a supported LUKS device'
	call clevis luks list -d nope
	fails 1 'nope is not a supported LUKS device: cannot open it: No such file or directory'
}
