#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The pins null and file at the command line, and what every command of a pin says of itself.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

setup_file() {
	if command -v cryptsetup >/dev/null; then make_template; fi
}

prepare() {
	local name
	for name in {encrypt,decrypt}-{null,file,sss,tang} decrypt; do
		ln -s "$CLEVIS" "clevis-$name"
	done
}

# by_name NAME ARGUMENT…: the command by its own name.
by_name() {
	timeout -k 1 40 "./clevis-$1" "${@:2}"
}

# seal PIN CONFIG: into the file `jwe`, without a word.
seal() {
	printf secret | clevis encrypt "$@" >jwe 2>err || { cat err && return 1; }
	[ ! -s err ]
}

opens_to_secret() {
	call clevis decrypt <jwe
	succeeds
	says secret
}

refuses_to_seal() { # TEXT PIN CONFIG…
	local config
	for config in "${@:3}"; do
		echo "with: $config"
		call clevis encrypt "$2" "$config" <<<secret
		fails 1 "$1"
	done
}

refuses_to_open() { # TEXT
	call clevis decrypt <jwe
	fails 1 "$1"
}

# --- null ---------------------------------------------------------------------------------------------------------------------

@test "null: sealed and opened, through the dispatcher and through the commands' own names" {
	seal null '{}'
	opens_to_secret
	call by_name decrypt-null <jwe
	succeeds
	says secret
	by_name encrypt-null '{}' <<<more >jwe
	call by_name decrypt <jwe
	succeeds
	says more
}

@test "null: the contract's header, with the key in it" {
	seal null '{"other":1}'
	header_of jwe | json 'assert sorted(j) == ["alg", "clevis", "enc"] and j["alg"] == "dir" and j["enc"] == "A256GCM", j
assert sorted(j["clevis"]) == ["null", "pin"] and j["clevis"]["pin"] == "null", j
assert list(j["clevis"]["null"]) == ["jwk"] and len(unb64(j["clevis"]["null"]["jwk"]["k"])) == 32, j
assert j["clevis"]["null"]["jwk"]["kty"] == "oct" and j["clevis"]["null"]["jwk"]["alg"] == "A256GCM", j'
}

@test "null: sealed to fail, it fails; anything but true is no wish to fail" {
	seal null '{"fail":true}'
	[ "$(header_of jwe | json 'print(j["clevis"]["null"])')" = '{}' ]
	refuses_to_open 'null: the JWE holds no key'
	local value
	for value in false null 0 '"x"'; do
		seal null "{\"fail\":$value}"
		opens_to_secret
	done
}

@test "null: with another key, or none that is one, nothing comes out" {
	seal null '{}'
	cp jwe good
	local script
	for script in '["jwk"]["k"] = b64(bytes(32))' '["jwk"] = {}' '["jwk"] = 1' '["jwk"]["kty"] = "EC"' '["jwk"]["k"] = b64(bytes(16))'; do
		edit_header good "j['clevis']['null']$script" >jwe
		refuses_to_open 'null: '
	done
	edit_header good 'j["clevis"]["null"] = 1' >jwe
	refuses_to_open "JWE is missing the required 'clevis.null' header property"
}

@test "null: a configuration that is no JSON object" {
	refuses_to_seal 'Configuration is malformed' null '' '{' '[]' '"x"' null 1 '{} x'
}

# --- file ---------------------------------------------------------------------------------------------------------------------

@test "file: sealed and opened, through the dispatcher and through the commands' own names" {
	seal file '{"name":"secret.jwk"}'
	opens_to_secret
	call by_name decrypt-file <jwe
	succeeds
	says secret
	by_name encrypt-file '{"name":"more.jwk"}' <<<more >jwe
	call by_name decrypt <jwe
	succeeds
	says more
}

@test "file: the key is in the file, for its owner alone whatever the umask, and nowhere else" {
	(umask 0 && seal file '{"name":"secret.jwk","other":1}')
	[ "$(stat -c %a secret.jwk)" = 400 ]
	json 'assert j["kty"] == "oct" and j["alg"] == "A256GCM" and len(unb64(j["k"])) == 32, j' <secret.jwk
	lacks "$(json 'print(j["k"])' <secret.jwk)" jwe
	[ "$(header_of jwe | json 'print(json.dumps(j, sort_keys=True))')" = \
		'{"alg": "dir", "clevis": {"file": {"name": "secret.jwk"}, "pin": "file"}, "enc": "A256GCM"}' ]
}

@test "file: the name is kept as given" {
	local name
	for name in ./rel.jwk -dash.jwk 'a b é.jwk' "$PWD/absolute.jwk"; do
		seal file "{\"name\":\"$name\"}"
		[ "$(header_of jwe | json 'sys.stdout.buffer.write(j["clevis"]["file"]["name"].encode())')" = "$name" ]
		[ -f "$name" ]
		opens_to_secret
	done
}

@test "file: what is there already stays as it is" {
	echo mine >secret.jwk
	ln -s nowhere link
	mkdir folder
	refuses_to_seal 'File secret.jwk already exists' file '{"name":"secret.jwk"}'
	[ "$(<secret.jwk)" = mine ]
	refuses_to_seal 'File link already exists' file '{"name":"link"}'
	[ ! -e nowhere ]
	refuses_to_seal 'File folder already exists' file '{"name":"folder"}'
	refuses_to_seal 'File /dev/null already exists' file '{"name":"/dev/null"}'
}

@test "file: no name, or one where no file can be" {
	refuses_to_seal 'Missing the required name property!' file '{}' '{"name":1}' '{"name":null}' '{"name":["a"]}' '{"name":""}'
	refuses_to_seal 'nowhere/x.jwk: No such file or directory' file '{"name":"nowhere/x.jwk"}'
	refuses_to_seal 'file: ' file '{"name":"folder/"}' '{"name":"."}' '{"name":"/"}'
	refuses_to_seal 'Configuration is malformed' file '' '{' '[]' '"x"' 1
}

@test "file: a relative name is looked for where it is opened" {
	seal file '{"name":"secret.jwk"}'
	mkdir elsewhere
	cd elsewhere
	call clevis decrypt <../jwe
	fails 1 'Key file secret.jwk not found'
	cp ../secret.jwk .
	call clevis decrypt <../jwe
	succeeds
	says secret
}

@test "file: a key file that is gone, or holds no key" {
	seal file '{"name":"secret.jwk"}'
	mv secret.jwk kept
	refuses_to_open 'Key file secret.jwk not found'
	local text
	for text in '' '{' '[]' '"x"' 1; do
		printf '%s' "$text" >secret.jwk
		refuses_to_open 'Key file secret.jwk is malformed'
	done
	printf '{}' >secret.jwk
	refuses_to_open 'with the key in secret.jwk: '
	head -c 5M /dev/zero >secret.jwk
	refuses_to_open 'Key file secret.jwk: '
	# Spaces and newlines around it are no harm.
	{ echo && cat kept && echo && echo; } >secret.jwk
	opens_to_secret
}

@test "file: with another key, nothing comes out" {
	seal file '{"name":"other.jwk"}'
	seal file '{"name":"secret.jwk"}'
	mv -f other.jwk secret.jwk
	refuses_to_open 'with the key in secret.jwk: '
}

@test "file: what could keep it waiting for ever does not" {
	seal file '{"name":"secret.jwk"}'
	rm -f secret.jwk
	mkfifo fifo
	local start=$EPOCHREALTIME place
	for place in fifo /dev/zero /dev/tty .; do
		ln -sf "$place" secret.jwk
		refuses_to_open 'Key file secret.jwk is malformed: not a regular file'
	done
	rm secret.jwk
	mkfifo secret.jwk
	refuses_to_open 'Key file secret.jwk is malformed: not a regular file'
	took_less_than 5 "$start"
}

@test "file: a JWE that cannot be written leaves no key behind" {
	[ -c /dev/full ] || skip "no /dev/full"
	call bash -c '"$CLEVIS" encrypt file "{\"name\":\"secret.jwk\"}" <<<secret >/dev/full'
	fails 1 'cannot write standard output'
	[ ! -e secret.jwk ]
	call bash -c '"$CLEVIS" encrypt sss "{\"pins\":{\"null\":{},\"file\":{\"name\":\"secret.jwk\"}}}" <<<secret >/dev/full'
	fails 1 'cannot write standard output'
	[ ! -e secret.jwk ]
	# Nor where the reader has gone.
	mkfifo fifo
	: <fifo &
	call bash -c '"$CLEVIS" encrypt file "{\"name\":\"secret.jwk\"}" < <(sleep 0.3; head -c 200000 /dev/zero) >fifo'
	fails 1 'standard output'
	[ ! -e secret.jwk ]
}

@test "file: the JWE's header without a name" {
	seal file '{"name":"secret.jwk"}'
	cp jwe good
	local script
	for script in 'del j["clevis"]["file"]["name"]' 'j["clevis"]["file"]["name"] = 1' 'j["clevis"]["file"]["name"] = ""' \
		'j["clevis"]["file"] = 1' 'del j["clevis"]["file"]'; do
		edit_header good "$script" >jwe
		call clevis decrypt <jwe
		fails 1 'clevis-decrypt: '
	done
}

# --- Disks --------------------------------------------------------------------------------------------------------------------

@test "luks: null and file are bound, listed, passed and tested" {
	needs cryptsetup
	make_disk
	call clevis luks bind -k "$pass" -d "$disk" null '{}'
	binds
	call clevis luks bind -k "$pass" -d "$disk" file "{\"name\":\"$PWD/secret.jwk\"}"
	binds
	call clevis luks list -d "$disk"
	succeeds
	says "1: null '{}'
2: unknown pin 'file'"
	local slot
	for slot in 1 2; do
		clevis luks pass -d "$disk" -s $slot >passphrase
		opens "$disk" $slot passphrase
		call clevis luks unlock -d "$disk" -t $slot
		succeeds
	done
	mv secret.jwk away
	call clevis luks unlock -d "$disk" -t 2
	fails 1 "Key file $PWD/secret.jwk not found" "Test for token slot 2 on device $disk failed."
}

@test "luks: a null that would fail is not bound, and a key file of a binding that fails does not stay" {
	needs cryptsetup
	make_disk
	local before
	before=$(sha "$disk")
	call clevis luks bind -k "$pass" -d "$disk" null '{"fail":true}'
	fails 1 'null: the JWE holds no key' "Error adding new binding to $disk"
	call clevis luks bind -k "$pass" -d "$disk" sss '{"t":2,"pins":{"file":{"name":"key"},"null":{"fail":true}}}'
	fails 1 'sss: 1 of 2 shares found: ' "Error adding new binding to $disk"
	[ ! -e key ]
	[ "$(sha "$disk")" = "$before" ]
}

# --- What the commands say of themselves ------------------------------------------------------------------------------------------

@test "--summary: one line of those that are for people, in upstream's words" {
	local name summary
	while IFS='|' read -r name summary; do
		call by_name "$name" --summary
		succeeds
		says "$summary"
		call clevis "$name" --summary
		succeeds
		says "$summary"
	done <<-'END'
		decrypt|Decrypts using the policy defined at encryption time
		encrypt-file|Encrypts using a jwk stored in a file policy
		encrypt-sss|Encrypts using a Shamir's Secret Sharing policy
		encrypt-tang|Encrypts using a Tang binding server policy
	END
}

@test "--summary: nothing of the others, and upstream's status" {
	local name status_wanted
	while read -r name status_wanted; do
		call by_name "$name" --summary
		[ "$status" = "$status_wanted" ]
		[ -z "$output$stderr" ]
		call clevis "$name" --summary
		[ "$status" = "$status_wanted" ]
		[ -z "$output$stderr" ]
	done <<-END
		encrypt-null 2
		decrypt-null 2
		decrypt-file 2
		decrypt-tang 2
		decrypt-sss 1
	END
}

@test "the list has the pins that are for people and no others" {
	call clevis --help
	succeeds
	grep -oE '^  clevis (encrypt|decrypt)[a-z-]*' <<<"$output" >listed
	diff listed - <<-END
		  clevis decrypt
		  clevis encrypt-file
		  clevis encrypt-sss
		  clevis encrypt-tang
	END
}

@test "each clevis-decrypt-PIN refuses the JWE of another pin, and what is none" {
	local name
	seal null '{}'
	for name in file sss tang; do
		call by_name "decrypt-$name" <jwe
		fails 1 'JWE pin mismatch!'
	done
	seal file '{"name":"secret.jwk"}'
	call by_name decrypt-null <jwe
	fails 1 'JWE pin mismatch!'
	for name in null file sss tang; do
		call by_name "decrypt-$name" </dev/null
		fails 1 'standard input: it is empty'
		call by_name "decrypt-$name" <<<hello
		fails 1 'not a compact JWE'
	done
}

@test "a newline after the JWE is no part of it, whatever the command" {
	local name
	seal null '{}'
	for name in decrypt decrypt-null; do
		call by_name "$name" < <(cat jwe && echo)
		succeeds
		says secret
	done
	seal file '{"name":"secret.jwk"}'
	call by_name decrypt-file < <(cat jwe && echo)
	succeeds
	says secret
}

@test "usage: with a terminal on stdin, with -h, without a configuration: the command's own" {
	local name wanted
	for name in encrypt-null encrypt-file encrypt-tang decrypt-null decrypt-file decrypt-tang; do
		wanted=2
		[ "$name" != decrypt-file ] || wanted=1
		run on_terminal -- "./clevis-$name" '{}'
		[ "$status" = "$wanted" ]
		grep -q "Usage: clevis ${name/-/ } " screen
		call by_name "$name" -h </dev/null
		usage "$wanted" "Usage: clevis ${name/-/ } "
	done
	for name in null file; do
		call by_name "encrypt-$name" <<<x
		usage 2 "Usage: clevis encrypt $name"
	done
}
