#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Our jose beside the distribution's: the same arguments and standard input, standard output and exit status compared.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/jose

ours=$JOSE
their_jose=/usr/bin/jose

prepare() {
	[ -x $their_jose ] || skip "no $their_jose"
	[[ $($their_jose --version 2>&1) != *nbde* ]] || skip "$their_jose is ours"
	: >in
	different=0
}

# both ARGUMENT…: runs both with the file `in` as standard input.
both() {
	local our_status=0 their_status=0
	timeout -k 1 40 "$ours" "$@" <in >our.out 2>our.err || our_status=$?
	timeout -k 1 40 $their_jose "$@" <in >their.out 2>their.err || their_status=$?
	statuses="$our_status $their_status"
	[ $our_status = $their_status ] && cmp -s our.out their.out
}

# same ARGUMENT…: both do the same. What is not the same is told, and counted for the end of the test.
same() {
	both "$@" && return
	different=$((different + 1))
	printf 'differs: %s\n  statuses: %s\n  ours: %s\n  theirs: %s\n' "$*" "$statuses" "$(head -c 200 our.out)" "$(head -c 200 their.out)"
}

# departs STATUSES ARGUMENT…: they do not do the same; exit statuses, ours first.
departs() {
	both "${@:2}" || { [ "$statuses" = "$1" ] && return; }
	different=$((different + 1))
	printf 'should depart with %s, does with %s: %s\n' "$1" "$statuses" "${*:2}"
}

agreed() {
	[ "$different" = 0 ]
}

f() {
	same fmt "$@"
}

make_keys_of_all_kinds() {
	local name template
	while read -r name template; do
		$their_jose jwk gen -i "$template" -o "$name"
		$their_jose jwk pub -i "$name" -o "$name.pub"
	done <<-'END'
		s {"alg":"ES256"}
		m {"alg":"ECMR"}
		m2 {"alg":"ECMR"}
		m256 {"alg":"ECMR","crv":"P-256"}
		plain {"kty":"EC","crv":"P-521"}
		plain2 {"kty":"EC","crv":"P-521"}
		enc {"kty":"EC","crv":"P-521","use":"enc"}
		sig {"kty":"EC","crv":"P-521","use":"sig"}
		both {"kty":"EC","crv":"P-521","use":"sig","key_ops":["deriveKey"]}
		oct {"kty":"oct","bytes":16}
		rsa {"alg":"RS256"}
	END
	printf '{"keys":[%s,%s]}' "$(<s)" "$(<oct)" >keys
	printf '{"keys":[%s]}' "$(<s)" >set1
	printf '[%s]' "$(<s)" >array
	echo '{"keys":[]}' >empty
	echo '{"kty":"foo"}' >foo
	echo '{"kty":"EC","d":"x","key_ops":["sign","foo",3,"deriveKey"]}' >ops
	echo '{"kty":"EC","d":"x","key_ops":"sign","use":"sig"}' >odd
	echo '{"kty":"oct","k":"AAAA","key_ops":["foo"]}' >other
	echo '{"kty":"oct","k":"AAAA","use":3}' >number
	echo '{"kty":"oct","k":"AAAA","key_ops":[]}' >nothing
}

@test "fmt: every form of value, on the command line and on standard input" {
	local value
	for value in 1 -1 0 -0 1.0 1.50 1e5 1E+5 1e400 0.1 -0.0 3.14159265358979323846 123456789012345678901234567890 \
		9223372036854775807 9223372036854775808 -9223372036854775808 1e-400 5e-324 1e22 1e21 123456789.123456789 01 1.5.5 12x 1. .5 +1 \
		'"é"' '"\u00e9"' '"\u0001"' '"\u0000"' '"\ud83d\ude00"' '"\ud83d"' '"\ude00"' '"/"' '"\/"' '"\u007f"' '"\u2028"' $'"\xff"' \
		$'"\xc0\x80"' $'"\xed\xa0\x80"' $'"a\tb"' '"a\tb\n\r\b\f"' '"\"\\"' '"\x"' '"a"b' '"' '[1,2' '' ' ' '{"a":1,"a":2}' '{"b":1,"a":2}' \
		'1 2' '{} x' true null tru truex '[]]' '[1,]' '{"a"}' '{a:1}' "{'a':1}" '{"\u0000":1}' '{"":1}' '//' '{}}' $'\xef\xbb\xbf{}'; do
		f -j "$value" -o -
		printf '%s' "$value" >in
		f -j - -o -
		f -j in -o -
		: >in
		f -q "$value" -o -
	done
	agreed
}

@test "fmt: standard input, value by value" {
	local value
	for value in '1 2' '{"a":1}[2]' '"x""y"' 'true false' truefalse 1 ' {} {}' '{}' '' '{}x' '{} 5 ' '[[]]]' '[]"a' $'1\n2\n'; do
		printf '%s' "$value" >in
		f -j - -j - -Q -o -
	done
	# They lose the byte behind a number.
	printf '12[3]' >in
	departs '0 0' fmt -j - -j - -Q -o -
	printf '1"x"' >in
	departs '0 255' fmt -j - -j - -Q -o -
	agreed
}

@test "fmt: assertions" {
	local value letter
	for value in '{}' '[]' '""' 1 1.0 true false null; do
		for letter in O A S I R N T F B 0 E; do
			f -j "$value" -$letter
			f -j "$value" -X$letter -o-
			f -j "$value" -c -$letter
		done
	done
	for letter in O E X XX XXO XO XE Xo- XU; do
		f -$letter
		f -j '{}' -$letter
	done
	f -Xj 1 -N
	f -j 1 -j 1.0 -E
	f -j '{"a":1,"b":[2]}' -j '{"b":[2],"a":1}' -E
	agreed
}

@test "fmt: each option on each kind of value, and on an empty stack" {
	local value option
	for option in -Q -U -c '-o -' '-u -' '-f -' '-t 1' '-t 0' '-t 9' '-i 0' -a -x '-d a' '-d 0' '-d -1' '-d 1x' -l -e '-g a' '-g 0' '-g -1' '-g 2' '-g 1x' \
		'-g 0x1' '-g +1' '-g 01' '-g -' '-s a' '-s 0' '-s -1' '-s -3' '-s 2' -y -Y '-M 0' '-M 1' '-M 2' '-M -1' '-M 0x' '-t x' '-M x' '-i x' '-i 1' '-i 2' '-i 3' \
		'-i -1' '-g 4294967296' '-g 99999999999999999999' '-M 18446744073709551616' '-t 99999999999999999999'; do
		# shellcheck disable=SC2086 # words
		f $option
		for value in '{"a":1}' '[1,2]' '"eyJiIjoxLCJhIjoyfQ"' 1 null; do
			# shellcheck disable=SC2086 # words
			f -j "$value" $option -o -
			# shellcheck disable=SC2086 # words
			f -j '[7,8]' -j "$value" $option -o - -Uo-
			# shellcheck disable=SC2086 # words
			f -j '{"a":{"z":1},"b":2}' -j "$value" $option -o - -Uo-
		done
	done
	agreed
}

@test "fmt: what is got out of another is the same value there" {
	f -j '{"a":{"b":1}}' -g a -j 2 -s b -UUo-
	f -j '[[1]]' -g 0 -j 5 -a -UUo-
	f -j '{}' -j '{}' -sa -j 1 -sb -UUo-
	f -j '[]' -j '{}' -a -j 1 -sb -UUo-
	f -j '[]' -j '{}' -i0 -j 1 -sb -UUo-
	f -j '[]' -j '[{}]' -x -g0 -j 1 -sb -UUUo-
	f -j '{}' -j '{"a":{}}' -x -g a -j 1 -sb -UUUo-
	f -j '{}' -j '{"a":{}}' -a -g a -j 1 -sb -UUUo-
	f -j '{}' -Q -g0 -j 1 -sa -UUUo-
	f -j '{"a":1}' -c -j 3 -sa -UUo-
	agreed
}

@test "fmt: how options are written, and which one failed" {
	local many
	f
	f extra
	f -j 1 extra -o-
	f -j 1 -- -o-
	f --json 1 --output -
	f --json=1 --output=- --outp=-
	f -j1 -o-o-
	f -j '[3]' -g0o-
	f -j '{"keys":[]}' -Og keys -AUUo-
	f -j 1 -o- -j 2 -T -o-
	f -j 1 -o/nonexistent/x -o-
	f -Z
	f --zzz
	f -j
	f -j 1 -o- -t
	f -j '{"a":1}' --foreach=- --unwind --not --null
	many=$(printf -- '-j1 %.0s' {1..254})
	# shellcheck disable=SC2086 # words
	for many in "$many" "$many -j1" "$many -j1 -j1"; do
		f $many -T
		f $many -N
	done
	agreed
}

@test "fmt: where we depart" {
	departs '0 0' fmt -j '[1,2,3]' -t -1 -o -
	departs '4 5' fmt -j '[[]]' -g0 -M1 -a -o-
	# Numbers that they cut to 32 bits.
	departs '0 0' fmt -j '[0]' -t 4294967296 -o -
	departs '3 0' fmt -j '[0]' -j 1 -i 4294967296 -Uo-
	departs '2 0' fmt -j 1 -M 4294967296 -o -
	agreed
}

@test "b64" {
	local text
	for text in a YWI 'Y W\nI' YWI= YW=I Y YWJ YWJj '' ' ' YW+ YW-_ YWJjY '\tYWJj\n' 'YWI\0' 'YWI\v' 'YWI\f\r' 'YWI!' '\377'; do
		printf '%b' "$text" >in
		same b64 dec -i in
		same b64 dec -i -
		same b64 enc -I in
		same b64 enc -I -
	done
	same b64 enc
	same b64 dec
	same b64 enc -I nowhere
	same b64 dec -i YWJj
	same b64 enc -I - -I nowhere
	agreed
}

@test "jwk pub" {
	make_keys_of_all_kinds
	local key
	for key in s m oct rsa keys set1 array empty foo ops odd other nowhere s.pub; do
		same jwk pub -i $key
		same jwk pub -i $key -s
		same jwk pub -i $key -i s
	done
	cat s m >in
	same jwk pub -i - -i -
	same jwk pub -i - -i - -i -
	same jwk pub
	same jwk pub -i "$(<s)"
	agreed
}

@test "jwk use" {
	make_keys_of_all_kinds
	local key operation
	for key in s s.pub m plain enc sig both oct keys set1 foo odd other number nothing; do
		same jwk use -i $key
		for operation in sign verify encrypt decrypt wrapKey unwrapKey deriveKey deriveBits foo; do
			same jwk use -i $key -u $operation
			same jwk use -i $key -u $operation -r -o -
			same jwk use -i $key -u sign -u $operation -a
			same jwk use -i $key -i s -u $operation -u sign -o - -s
		done
	done
	same jwk use -u sign
	agreed
}

@test "jwk eql" {
	make_keys_of_all_kinds
	local key
	for key in s s.pub m oct rsa rsa.pub keys set1 foo; do
		same jwk eql -i $key -i s
		same jwk eql -i $key -i $key
		same jwk eql -i $key
	done
	same jwk eql
	agreed
}

@test "jwk thp" {
	make_keys_of_all_kinds
	local key hash
	for key in s s.pub m oct rsa rsa.pub keys set1; do
		for hash in S1 S224 S256 S384 S512; do
			same jwk thp -i $key -a $hash
			same jwk thp -i keys -i $key -a $hash
			same jwk thp -i keys -i m -a $hash -f "$($their_jose jwk thp -i "$key" -a $hash)"
			same jwk thp -i $key -a $hash -f "$($their_jose jwk thp -i m)"
		done
	done
	same jwk thp -i s -a FOO
	same jwk thp -a '?'
	same jwk thp
	same jwk thp -f x
	# What they print is a piece of their memory.
	departs '1 0' jwk thp -i foo
	agreed
}

@test "jwk exc" {
	make_keys_of_all_kinds
	local local_key remote_key
	for local_key in s m m.pub m256 plain plain.pub enc sig both oct set1 foo; do
		for remote_key in m2 m2.pub m plain2 plain2.pub enc both; do
			same jwk exc -l $local_key -r $remote_key
		done
	done
	same jwk exc -l m -r m2 -i '{"alg":"ES256","key_ops":["sign"],"x":"AA","a":1}'
	same jwk exc -l m -r m2 -i '{"a":1}' -i '{"b":1}'
	same jwk exc -l m -r m2 -i '{"keys":[{"b":1}]}'
	same jwk exc -l m -r m2 -i '[]'
	same jwk exc -l m
	same jwk exc -r m
	same jwk exc -l m -l m -r m2
	same jwk exc -l keys -r m
	same jwk exc
	agreed
}

@test "jwk gen: the key for every algorithm that both have" {
	local alg count=0
	for alg in $($their_jose alg -k sign -k wrap -k encr -k exch); do
		[ "$alg" != dir ] || continue
		count=$((count + 1))
		both jwk gen -i "{\"alg\":\"$alg\"}" || true
		[ "$statuses" = '0 0' ] || { echo "$alg" && return 1; }
		diff <(skeleton <our.out) <(skeleton <their.out)
	done
	[ "$count" -gt 20 ]
	comm -13 <(jose alg | sort) <($their_jose alg | sort) >lacking
	[ ! -s lacking ]
}

@test "jwk gen: what is refused, and the members of what is made" {
	local template
	for template in '{"alg":"ES256","d":"x"}' '{"alg":"ES256","x":"x"}' '{"kty":"oct"}' '{"alg":"ES256","kty":"oct"}' '{}' '{"kty":"foo"}' \
		'{"kty":"EC","crv":"P-999"}' '{"alg":"dir"}' '{"alg":3}' '{"alg":"XX"}' '{"kty":"oct","bytes":"3"}' '{"kty":"oct","bytes":2000}' '[]' 3 '{"keys":[]}' '{"keys":[3]}'; do
		same jwk gen -i "$template"
	done
	same jwk gen
	for template in '{"alg":"ES256"}' '{"alg":"ES384","kid":"a"}' '{"alg":"ES512","use":"sig"}' '{"alg":"ECMR"}' '{"alg":"ECMR","crv":"P-256"}' \
		'{"alg":"A256GCM"}' '{"kty":"EC"}' '{"kty":"EC","crv":"P-384"}' '{"kty":"oct","bytes":7}' '{"keys":[{"kty":"EC"},{"alg":"ES256"}]}'; do
		both jwk gen -i "$template" || true
		[ "$statuses" = '0 0' ]
		diff <(skeleton <our.out) <(skeleton <their.out)
	done
	agreed
}

skeleton() { # the key on standard input, with the lengths of what is random; those of RSA's private members are random, too
	json 'for key in j.get("keys", [j]):
	hidden = ["d", "p", "q", "dp", "dq", "qi"] if key["kty"] == "RSA" else []
	print(sorted((m, "" if m in hidden else len(v) if m in "kdxyn" else v) for m, v in key.items()))'
}
