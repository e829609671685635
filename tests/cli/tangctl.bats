#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangctl: backup and restore of a server's keys.
# shellcheck disable=SC2154,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

# Four keys, two of them rotated.
prepare() {
	make_keys keys
	tangd_rotate_keys -d keys
	names keys >before
}

contents() { # FOLDER: of each key file
	(cd "$1" && find . -name '*.jwk' -print0 | sort -z | xargs -0 sha256sum)
}

@test "a backup holds every key, rotated ones too, and only its owner can read it" {
	(umask 0 && tangctl backup -d keys backup >said)
	[ "$(<said)" = 'backup: 4 keys, 2 of them rotated' ]
	[ "$(stat -c %a backup)" = 600 ]
	json 'assert sorted(j) == ["format", "keys", "version"] and j["format"] == "nbde-tang-backup" and j["version"] == 1
for key in j["keys"]: print(key["name"]); assert key["jwk"] == json.load(open("keys/" + key["name"]))' <backup | sort | diff before -
}

@test "the drill: disks are bound, the folder is lost, restored, and everything opens" {
	needs cryptsetup
	make_template
	make_disk
	start_tangd "$PWD/keys"
	echo plain | clevis encrypt tang "$(tang_config "$url")" -y >jwe
	bind
	tangd_rotate_keys -d keys
	echo plain | clevis encrypt tang "$(tang_config "$url")" -y >jwe2
	tangctl backup -d keys backup >/dev/null
	contents keys >expected
	stop "$tangd_pid"
	rm -rf keys
	call tangctl restore -d keys backup
	succeeds
	[ "${lines[-1]}" = 'keys: 6 keys restored, 0 were there already' ]
	[ "$(grep -c '\.jwk: restored$' <<<"$output")" = 6 ]
	contents keys | diff expected -
	"$TANGD" -l -a 127.0.0.1 -p "$port" keys 2>keys.log 3>&- &
	started+=("$!")
	wait_for_line keys.log '/^Listening/p' "$!"
	[ "$(clevis decrypt <jwe)" = plain ]
	[ "$(clevis decrypt <jwe2)" = plain ]
	clevis luks pass -d "$disk" -s 1 >passphrase
	opens "$disk" 1 passphrase
	# The server made no keys of its own.
	[ "$(names keys | wc -l)" = 6 ]
}

@test "the restored folder and files have the modes that a server's have" {
	tangctl backup -d keys backup >/dev/null
	(umask 077 && tangctl restore -d new backup >/dev/null)
	[ "$(stat -c %a new)" = 750 ]
	[ "$(find new -type f -printf '%m\n' | sort -u)" = 440 ]
}

@test "root's restored files belong to the folder's owner, who must read them" {
	[ "$(id -u)" = 0 ] || skip "not root"
	tangctl backup -d keys backup >/dev/null
	mkdir new
	chown 12345:12346 new
	tangctl restore -d new backup >/dev/null
	[ "$(find new -type f -printf '%U:%G\n' | sort -u)" = 12345:12346 ]
}

@test "restored twice is restored once" {
	tangctl backup -d keys backup >/dev/null
	contents keys >expected
	rm "keys/$(head -n 1 before)"
	call tangctl restore -d keys backup
	succeeds
	[ "${lines[-1]}" = 'keys: 1 keys restored, 3 were there already' ]
	call tangctl restore -d keys backup
	succeeds
	[ "${lines[-1]}" = 'keys: 0 keys restored, 4 were there already' ]
	contents keys | diff expected -
}

@test "a key rotated since the backup stays rotated" {
	tangctl backup -d keys backup >/dev/null
	tangd_rotate_keys -d keys
	contents keys >expected
	call tangctl restore -d keys backup
	succeeds
	[ "$(grep -c ': there already as \.' <<<"$output")" = 2 ]
	contents keys | diff expected -
}

fails_to_open() { # JWE
	! clevis decrypt <"$1" >/dev/null 2>&1
}

opens_to() { # JWE TEXT
	[ "$(clevis decrypt <"$1" 2>/dev/null)" = "$2" ]
}

@test "beside the pair that a server has made since, the old keys come back" {
	start_tangd "$PWD/keys"
	echo plain | clevis encrypt tang "$(tang_config "$url")" -y >jwe
	tangctl backup -d keys backup >/dev/null
	rm keys/*.jwk keys/.*.jwk
	make_keys keys
	[ "$(names keys | wc -l)" = 2 ]
	eventually fails_to_open jwe
	tangctl restore -d keys backup >/dev/null
	eventually opens_to jwe plain
	[ "$(names keys | wc -l)" = 6 ]
}

@test "another key of that name is never overwritten, and then nothing is restored" {
	tangctl backup -d keys backup >/dev/null
	local file
	file=$(tail -n 1 before)
	mkdir new
	echo precious >"new/$file"
	call tangctl restore -d new backup
	fails 1 "new: '$file' is there already and is not the key of the backup; nothing was restored"
	[ "$(<"new/$file")" = precious ]
	[ "$(names new)" = "$file" ]
}

@test "an existing file is replaced only with -f" {
	echo precious >backup
	call tangctl backup -d keys backup
	fails 1 "'backup' is there already; -f replaces it"
	[ "$(<backup)" = precious ]
	call tangctl backup -f -d keys backup
	succeeds
	[ "$(json 'print(len(j["keys"]))' <backup)" = 4 ]
	[ "$(stat -c %a backup)" = 600 ]
}

@test "-f replaces files only: no link, no folder, no device" {
	mkdir folder
	ln -s elsewhere link
	mkfifo fifo
	local place
	for place in folder link fifo; do
		call tangctl backup -f -d keys "$place"
		fails 1 "'$place' is there already, and not a regular file"
	done
	[ ! -e elsewhere ]
	call tangctl backup -d keys folder/
	fails 1 "'folder/' is not the name of a file"
	call tangctl backup -d keys nope/backup
	fails 1 "cannot open the folder 'nope'"
}

@test "a file that is no key: no backup, and it is named" {
	echo '{' >keys/broken.jwk
	call tangctl backup -d keys backup
	fails 1 'broken.jwk'
	[ ! -e backup ]
	mkdir empty
	call tangctl backup -d empty backup
	fails 1 'empty: there are no keys'
	call tangctl backup -d nope backup
	fails 1 "cannot open the folder 'nope'"
}

@test "a backup that is damaged in any way restores nothing, not even the folder" {
	tangctl backup -d keys good >/dev/null
	chmod 600 good
	local script
	while read -r script; do
		json "$script; json.dump(j, sys.stdout)" <good >bad
		chmod 600 bad
		call tangctl restore -d new bad
		fails 1 'bad: '
		[ ! -e new ]
	done <<'END'
j["format"] = "other"
j["version"] = 2
j["keys"] = []
j["keys"][3]["name"] = "../x.jwk"
j["keys"][3]["name"] = "/tmp/x.jwk"
j["keys"][3]["name"] = "x.txt"
j["keys"][3]["name"] = j["keys"][0]["name"]
del j["keys"][3]["name"]
j["keys"][3]["jwk"] = "text"
del j["keys"][3]["jwk"]["x"]
j["keys"][3]["jwk"]["d"] = j["keys"][0]["jwk"]["d"]
END
	head -c -20 good >bad
	call tangctl restore -d new bad
	fails 1 'bad: not valid JSON'
	call tangctl restore -d new nope
	fails 1 "cannot open 'nope'"
	[ ! -e new ]
	[ ! -e x.jwk ]
}

@test "a backup that others can read: a warning" {
	tangctl backup -d keys backup >/dev/null
	chmod 644 backup
	call tangctl restore -d new backup
	[ "$status" = 0 ]
	[ "$stderr" = 'tangctl: warning: backup: others than its owner can read these keys' ]
}

@test "a full disk: no half of a backup, no half of a restore" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	mkdir small
	tangctl backup -d keys backup >/dev/null
	# shellcheck disable=SC2016
	call unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o nr_inodes=4 small small 2>/dev/null || exit 77
"$TANGCTL" restore -d small backup; status=$?; ls -A small; exit $status'
	[ "$status" != 77 ] || skip "cannot mount"
	fails 1 'small: '
	call unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o nr_inodes=1 small small
"$TANGCTL" backup -d keys small/backup; status=$?; ls -A small; exit $status'
	fails 1 'backup'
}

@test "without -d: /var/lib/tang" {
	[ "$(id -u)" = 0 ] || skip "not root: cannot mount"
	tangctl backup -d keys backup >/dev/null
	# shellcheck disable=SC2016
	call unshare -m --propagation unchanged bash -c 'mount --make-rprivate / 2>/dev/null; mount -t tmpfs small /var/lib || exit 77
"$TANGCTL" restore backup >/dev/null && "$TANGCTL" backup again && ls -A /var/lib/tang | wc -l'
	[ "$status" != 77 ] || skip "cannot mount"
	succeeds
	[ "${lines[1]}" = 4 ]
	cmp backup again
}

@test "usage" {
	call tangctl
	usage 1 'Usage: tangctl COMMAND'
	call tangctl nope
	usage 1 "there is no command 'nope'"
	call tangctl backup
	usage 1 'Usage: tangctl backup'
	call tangctl backup a b
	usage 1
	call tangctl restore
	usage 1 'Usage: tangctl restore'
	call tangctl restore -f backup
	usage 1
	local command
	for command in '' backup restore; do
		# shellcheck disable=SC2086
		call tangctl $command -h
		succeeds
		[[ $output == 'Usage: tangctl '* ]]
	done
	call tangctl --version
	succeeds
	[[ $output == 'tangctl (nbde) '* ]]
}
