#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What every command of jose has in common: finding it, help, the forms of input, files that are written.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/jose

commands() { # the names of all, one a line
	jose --help | sed -n 's/^  jose \(.*[^ ]\)  .*/\1/p' | sed 's/  .*//'
}

@test "without a command, or with none that there is: the list on standard error" {
	local words
	for words in '' jwk 'jwk foo' foo --foo 'b64 --help'; do
		# shellcheck disable=SC2086 # words
		call jose $words
		usage 1 'jose jwk gen '
	done
}

@test "asked for: the list, the version, a command's help with examples" {
	local words text
	for words in help -h --help; do
		call jose "$words"
		succeeds
		[[ $output == 'Usage: jose COMMAND'*'jose jwk gen '* ]]
	done
	for words in -v --version 'fmt --version' 'jwk gen -v'; do
		# shellcheck disable=SC2086 # words
		call jose $words
		succeeds
		[[ $output == 'jose (nbde) '[0-9]* ]]
	done
	[ "$(commands | wc -l)" -ge 10 ]
	while read -r words; do
		# shellcheck disable=SC2086 # words
		text=$(jose $words --help)
		[[ $text == "Usage: jose $words "*$'\nExamples:\n  '* ]]
		# shellcheck disable=SC2086 # words
		[ "$text" = "$(jose help $words)" ]
		# shellcheck disable=SC2086 # words
		[ "$text" = "$(jose $words -h)" ]
	done < <(commands)
}

@test "unknown options and missing arguments: before anything is read or written" {
	call jose jwk gen -i '{"alg":"ES256"}' -o out -Z
	misused 1 'Unknown option: -Z!'
	[ ! -e out ]
	call jose jwk gen -i '{"alg":"ES256"}' --zzz -o out
	misused 1 'Unknown option: --zzz!'
	call jose jwk gen -o
	misused 1 'Option -o needs an argument!'
	[ ! -e out ]
}

@test "what cannot be read: Invalid NAME, and why" {
	local option
	call jose jwk pub -i nowhere
	misused 1 'Invalid input!'
	[[ ${stderr_lines[1]} == *nowhere*'No such file'* ]]
	call jose jwk exc -l nowhere -r nowhere
	misused 1 'Invalid local!'
	call jose b64 enc -I nowhere
	misused 1 'Invalid binary!'
	call jose b64 dec -i nowhere
	misused 1 'Invalid base64!'
	call jose alg -k nothing
	misused 1 'Invalid kind!'
	for option in '[]' 3 '"x"' '{"keys":[]}' '{"keys":[3]}' '{"keys":{}}' '{' '' '{"alg":"ES256"}x'; do
		call jose jwk gen -i "$option"
		misused 1 'Invalid input!'
	done
}

@test "a key is not taken from the command line, and not shown" {
	local key='{"kty":"oct","k":"c2VjcmV0"}'
	call jose jwk pub -i "$key"
	misused 1 'Invalid input!'
	[[ ${stderr_lines[1]} == 'a key is taken from a file'* ]]
	lacks c2VjcmV0 <<<"$stderr"
	call jose jwk gen -i '{"alg":"ES256","k":"c2VjcmV0"'
	misused 1 'Invalid input!'
	lacks c2VjcmV0 <<<"${stderr%%Usage:*}"
	# Unless a file has such a name.
	echo '{"kty":"oct","k":"AA"}' >"$key"
	[ "$(jose jwk pub -i "$key")" = '{"kty":"oct"}' ]
}

refuses_two_members() {
	call jose jwk pub -i twice
	misused 1 'Invalid input!'
}
refuses_what_follows() {
	call jose jwk pub -i two
	misused 1 'Invalid input!'
}

@test "a member that is there twice, and what follows a value in a file, are refused" {
	printf '{"kty":"oct","kty":"EC"}' >twice
	printf '{"kty":"oct"} {}' >two
	holds refuses_two_members
	printf '{"kty":"oct","\\u006bty":"EC"}' >twice
	holds refuses_two_members
	holds refuses_what_follows
	printf '\n {"kty":"oct"}\n\t ' >spaces
	[ "$(jose jwk pub -i spaces)" = '{"kty":"oct"}' ]
}

@test "too deep, too large" {
	"$python" -c 'print("{\"a\":" * 70 + "1" + "}" * 70)' >deep
	call jose jwk pub -i deep
	misused 1 'Invalid input!'
	"$python" -c 'print("{\"kty\":\"oct\",\"a\":\"" + "x" * 1048577 + "\"}")' >large
	call jose jwk pub -i large
	misused 1 'Invalid input!'
	[[ ${stderr_lines[1]} == *'larger than 1048576 bytes' ]]
	call jose jwk pub -i - <large
	misused 1 'Invalid input!'
	[[ ${stderr_lines[1]} == *'larger than 1048576 bytes' ]]
	call jose jwk pub -i /dev/zero
	misused 1 'Invalid input!'
}

@test "several options read one value each from standard input, in their order" {
	local i
	for i in 1 2 3; do jose jwk gen -i '{"alg":"ES256"}' -o "k$i"; done
	cat k1 k2 k3 | jose jwk thp -i - -i - -i - >said
	cmp said <(jose jwk thp -i k1 -i k2 -i k3)
	{ cat k1 && printf ' \n\n ' && cat k2; } | jose jwk thp -i - -i k3 -i - >said
	cmp said <(jose jwk thp -i k1 -i k3 -i k2)
	cat k1 k2 >in
	call jose jwk thp -i - -i - -i - <in
	misused 1 'Invalid input!'
}

@test "a value is taken as soon as it is complete, also in single bytes" {
	jose jwk gen -i '{"alg":"ES256"}' -o key
	mkfifo pipe
	jose jwk pub -i pipe -o /dev/null <key & # not that one: a file's end is its end
	cat key >pipe
	wait $!
	"$python" - "$JOSE" <<-'END'
		import subprocess, sys
		key = open("key", "rb").read()
		run = subprocess.Popen([sys.argv[1], "jwk", "pub", "-i", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		for i in range(len(key)):
		    run.stdin.write(key[i:i + 1])
		    run.stdin.flush()
		assert b'"kty":"EC"' in run.stdout.read() # its standard input is still open
		assert run.wait() == 0
	END
}

@test "a new file with a private key is for its owner, others are as the umask says" {
	umask 022
	jose jwk gen -i '{"alg":"ES256"}' -o key
	cp key kept
	key_is_private() {
		rm -f key set each found && touch old && chmod 644 old &&
			jose jwk gen -i '{"alg":"ES256"}' -o key &&
			jose jwk gen -i '{"alg":"ES256"}' -i '{"alg":"ES256"}' -o set &&
			jose fmt -j key -Q -o each -f found &&
			jose jwk use -i key -u sign -o old &&
			[ "$(stat -c %a key set each found old | sort -u)" = 600 ]
	}
	holds key_is_private
	umask 027
	jose jwk pub -i key -o pub
	jose jwk thp -i key -o thp
	[ "$(stat -c %a pub thp | sort -u)" = 640 ]
	chmod 604 pub
	jose jwk pub -i key -o pub
	[ "$(stat -c %a pub)" = 604 ]
}

@test "a file is there whole, or as it was; nothing is left beside it" {
	is_whole() {
		rm -rf folder && mkdir folder && echo before >folder/out
		printf 'YWJj!' >bad
		call jose b64 dec -i bad -O folder/out
		fails 1 'not base64url' && [ "$(<folder/out)" = before ] && [ "$(names folder)" = out ]
	}
	holds is_whole
	# The input itself is what it is written to.
	jose jwk gen -i '{"alg":"ES256"}' -o key
	jose jwk pub -i key -o pub
	jose jwk pub -i key -o key
	cmp key pub
	printf abc >text
	jose b64 enc -I text -o text
	[ "$(<text)" = YWJj ]
}

@test "links, pipes and devices are written to, and stay what they are" {
	ln -s target link
	jose fmt -j 1 -o target -j 2 -o link
	[ -L link ]
	[ "$(<target)" = 2 ]
	mkfifo pipe
	cat pipe >said &
	jose fmt -j 3 -o pipe
	wait $!
	[ "$(<said)" = 3 ]
	jose fmt -j 4 -o /dev/null
	[ -c /dev/null ]
	echo first >said
	jose fmt -j 5 -o /dev/stdout >>said
	jose fmt -j 6 -o - >>said
	[ "$(tail -c 2 said)" = 56 ] || [ "$(tail -c 1 said)" = 6 ]
}

@test "what cannot be written: one line, exit 1" {
	call jose b64 enc -I /dev/null -o nowhere/out
	misused 1 'Invalid base64!'
	call jose jwk gen -i '{"alg":"ES256"}' -o nowhere/out
	fails 1 nowhere/out
	call jose jwk gen -i '{"alg":"ES256"}' -o /dev/full
	fails 1 'No space left'
	call bash -c '"$JOSE" alg >/dev/full'
	fails 1 'No space left'
	mkdir folder
	call jose jwk gen -i '{"alg":"ES256"}' -o folder
	fails 1 'folder'
	[ "$(id -u)" = 0 ] && return
	touch kept && chmod 400 kept
	call jose fmt -j 1 -o kept
	fails 2 'Permission denied'
}

@test "a newline on a terminal only" {
	jose jwk gen -i '{"alg":"ES256"}' -o key
	on_terminal -- "$JOSE" jwk pub -i key
	[ "$(wc -l <screen)" = 1 ]
	[ "$(jose jwk pub -i key | tail -c 1)" = '}' ]
	on_terminal -- "$JOSE" jwk thp -i key
	[ "$(wc -l <screen)" = 1 ]
	[ "$(jose jwk thp -i key | wc -c)" = 43 ]
	on_terminal -- "$JOSE" fmt -j 1 -o - -o -
	[ "$(<screen)" = $'1\n1' ]
	[ "$(jose fmt -j 1 -o - -o -)" = 11 ]
}

@test "standard streams that are closed are no files" {
	jose jwk gen -i '{"alg":"ES256"}' -o key
	call bash -c '"$JOSE" jwk pub -i key -o out <&-'
	succeeds
	[ -s out ]
	call bash -c '"$JOSE" jwk pub -i key >&-'
	[ "$status" = 1 ]
	call bash -c '"$JOSE" jwk pub -i - <&-'
	misused 1 'Invalid input!'
}
