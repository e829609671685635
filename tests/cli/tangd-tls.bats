#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd -l with a certificate: who is served how, under load, while keys change and processes die; and what cannot be served with.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common
load ../lib/certificates

setup_file() {
	command -v openssl >/dev/null || return 0
	cd "$BATS_FILE_TMPDIR" || return 1
	make_certificates
	chmod 0600 ./*.key
	export certificates=$PWD
}

prepare() {
	needs openssl
	make_keys keys
}

# start_tls_tangd: as start_tangd, over TLS, and on the UNIX socket `plain` too.
start_tls_tangd() {
	start_tangd keys -a "$PWD/plain" --tls-cert="$certificates/good.pem" --tls-key="$certificates/good.key"
	supervisor=$tangd_pid
	url=https://127.0.0.1:$port
}

# ask CURL ARGUMENT…: fetch, which trusts our authority.
ask() {
	fetch --cacert "$certificates/ca.pem" "$@"
}

pinned() {
	tang_config "$url" "\"cacert\":\"$certificates/ca.pem\""
}

opens_what_it_seals() {
	clevis encrypt tang "$(pinned)" -y <<<secret >jwe && [ "$(clevis decrypt <jwe)" = secret ]
}

is_served() {
	[ "$(ask -o /dev/null -w '%{http_code}' "$url/adv")" = 200 ]
}

# recover_for CLIENTS SECONDS: that many clients, each on a connection of its own that stays open, recover without a pause, each a point of
# its own, and know what must come. How many were answered right is in `answered`, what else happened in `failed`.
recover_for() {
	"$python" - "$port" "$certificates/ca.pem" "$@" <<-'END'
		import base64, hashlib, http.client, json, socket, ssl, sys, threading, time
		port, authority, clients, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
		class Plain(http.client.HTTPConnection):
		    def connect(self):
		        self.sock = socket.socket(socket.AF_UNIX)
		        self.sock.connect("plain")
		plain = Plain("tang", timeout=30)
		plain.request("GET", "/adv")
		jws = json.loads(plain.getresponse().read())
		payload = jws["payload"] + "=" * (-len(jws["payload"]) % 4)
		key = [k for k in json.loads(base64.urlsafe_b64decode(payload))["keys"] if k["alg"] == "ECMR"][0]
		name = json.dumps({n: key[n] for n in ("crv", "kty", "x", "y")}, separators=(",", ":"), sort_keys=True)
		path = "/rec/" + base64.urlsafe_b64encode(hashlib.sha256(name.encode()).digest()).rstrip(b"=").decode()
		points = [json.dumps(key).replace('"verify"', '"deriveKey"')]
		for _ in range(clients):
		    plain.request("POST", path, points[-1])
		    answer = plain.getresponse()
		    assert answer.status == 200
		    points.append(answer.read().decode())
		context = ssl.create_default_context(cafile=authority)
		answered, failed = [], []
		end = time.monotonic() + seconds
		def recover(i):
		    try:
		        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
		        connection.connect()
		        first = connection.sock
		        while time.monotonic() < end:
		            connection.request("POST", path, points[i])
		            answer = connection.getresponse()
		            body = answer.read().decode()
		            assert answer.status == 200 and body == points[i + 1], (answer.status, body)
		            assert connection.sock is first, "the connection did not stay"
		            answered.append(i)
		    except Exception as error:
		        failed.append((i, repr(error)))
		threads = [threading.Thread(target=recover, args=(i,)) for i in range(clients)]
		for thread in threads: thread.start()
		for thread in threads: thread.join()
		open("failed", "w").write("".join("%d: %s\n" % one for one in failed))
		open("answered", "w").write("%d %d\n" % (len(set(answered)), len(answered)))
	END
}

# well CLIENTS: each of them was answered, again and again, and nothing else happened to anybody.
well() {
	local each all
	read -r each all <answered
	cat failed answered
	[ ! -s failed ]
	[ "$each" = "$1" ]
	[ "$all" -gt $((2 * $1)) ]
	lacks ' ended (' keys.log
}

@test "curl and our clevis, which trust the authority: served; the log is as ever" {
	start_tls_tangd
	opens_what_it_seals
	[ "$(ask -o /dev/null -w '%{http_code}\n' "$url/adv" -o /dev/null "$url/adv" -o /dev/null "$url/nope" | xargs)" = '200 200 404' ]
	[ "$(ask -I -o /dev/null -w '%{http_code} %{content_type}' "$url/adv")" = '200 application/jose+json' ]
	[ "$(ask -o /dev/null -w '%{http_code}' -d '{' "$url/rec/x")" = 400 ]
	diff <(ask "$url/adv" | json 'print(json.dumps(sorted(keys_of(j), key=thumbprint), sort_keys=True))') \
		<(fetch --unix-socket plain http://tang/adv | json 'print(json.dumps(sorted(keys_of(j), key=thumbprint), sort_keys=True))')
	grep -qx '127.0.0.1 GET /adv => 200' keys.log
	grep -qx 'unix GET /adv => 200' keys.log
	lacks ' ended (' keys.log
}

@test "one who does not trust the authority gets nothing" {
	start_tls_tangd
	[ "$(fetch -o /dev/null -w '%{http_code}' "$url/adv")" = 000 ]
	SSL_CERT_FILE=/dev/null call clevis encrypt tang "$(tang_config "$url")" -y <<<secret
	fails 1 'certificate verify failed'
	lacks GET keys.log
}

@test "HTTP on the port of TLS: the connection ends, others are served" {
	start_tls_tangd
	for _ in 1 2 3; do
		call fetch "http://127.0.0.1:$port/adv"
		[ "$status" != 0 ]
		[ -z "$output" ]
	done
	is_served
	lacks ' ended (' keys.log
}

@test "TLS 1.2 and 1.3, and nothing older" {
	start_tls_tangd
	local version
	for version in 1_2 1_3; do
		openssl s_client "-tls$version" -CAfile "$certificates/ca.pem" -verify_return_error -connect "127.0.0.1:$port" </dev/null >"$version" 2>&1
		grep -q "^New, TLSv${version/_/.}, Cipher is " "$version"
	done
	for version in 1 1_1; do
		never openssl s_client "-tls$version" -cipher ALL:@SECLEVEL=0 -connect "127.0.0.1:$port" </dev/null >"$version" 2>&1
		grep -q 'Cipher is (NONE)' "$version"
	done
	is_served
}

@test "twenty clients recover at once on connections that stay: each gets its own answers" {
	start_tls_tangd
	recover_for 20 2
	well 20
}

@test "keys that change while twenty clients recover: none of them notices" {
	start_tls_tangd
	change() {
		for _ in {1..8}; do
			"$TANGD_ROTATE_KEYS" -d keys
			sleep 0.25
		done
	}
	change &
	local changing=$!
	recover_for 20 4
	wait "$changing"
	well 20
	advertises_new() { [ "$(ask "$url/adv" | signing_thumbprints)" = "$(tang_show_keys keys)" ]; }
	eventually advertises_new
	opens_what_it_seals
}

@test "SIGTERM while clients recover: exit 0, and what was begun gets its answer" {
	start_tls_tangd
	recover_for 5 60 3>&- &
	local loading=$!
	recovers() { grep -q '^127.0.0.1 POST /rec/.* => 200' keys.log; }
	eventually recovers
	kill -TERM "$supervisor"
	wait "$supervisor"
	wait "$loading"
	# The connection ends between two requests, not within an answer.
	never grep -v 'RemoteDisconnected\|BrokenPipe\|ConnectionReset\|ConnectionRefused\|did not stay\|EOF occurred' failed
	lacks ' ended (' keys.log
}

@test "a front that is killed is started again over TLS, with the files gone" {
	mkdir files
	cp "$certificates"/good.* files/
	start_tangd keys --tls-cert="$PWD/files/good.pem" --tls-key="$PWD/files/good.key"
	supervisor=$tangd_pid url=https://127.0.0.1:$port
	is_served
	rm -r files
	kill -KILL "$(children front)"
	told() { grep -q 'a front ended (signal 9); it is started again' keys.log; }
	eventually told
	eventually is_served
	[ "$(fetch -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/adv")" = 000 ]
}

@test "a port that a service manager hands over speaks TLS, too" {
	"$python" - "$TANGD" -l --tls-cert="$certificates/good.pem" --tls-key="$certificates/good.key" "$PWD/keys" <<-'END' 3>&- 2>keys.log &
		import os, socket, sys
		listening = socket.socket()
		listening.bind(("127.0.0.1", 0))
		listening.listen(64)
		open("port", "w").write(str(listening.getsockname()[1]))
		os.dup2(listening.fileno(), 3)
		os.set_inheritable(3, True)
		os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
		os.execv(sys.argv[1], sys.argv[1:])
	END
	started+=("$!")
	eventually test -s port
	url=https://127.0.0.1:$(<port)
	eventually is_served
	opens_what_it_seals
}

# refused TEXT ARGUMENT…: with these options the server does not start, says one line, and never listens.
refused() {
	call tangd -l -a 127.0.0.1 -p 0 "${@:2}" keys
	fails 1 "$1"
}

@test "certificates and keys that cannot be served with are told by name before anybody is served" {
	local good=$certificates/good named=$certificates/named
	echo nonsense >nonsense
	: >empty
	openssl pkey -in "$good.key" -aes128 -passout pass:x -out closed
	openssl ec -in "$good.key" -aes128 -passout pass:x -out closed-too 2>/dev/null
	refused "cannot open 'none': No such file" --tls-cert=none --tls-key="$good.key"
	refused "cannot open 'none': No such file" --tls-cert="$good.pem" --tls-key=none
	refused "'nonsense' holds no certificate in PEM" --tls-cert=nonsense --tls-key="$good.key"
	refused "'empty' holds no certificate in PEM" --tls-cert=empty --tls-key="$good.key"
	refused "'nonsense' holds no private key in PEM" --tls-cert="$good.pem" --tls-key=nonsense
	refused "the key in '$named.key' does not belong to the certificate in '$good.pem'" --tls-cert="$good.pem" --tls-key="$named.key"
	refused "the key in 'closed' is encrypted" --tls-cert="$good.pem" --tls-key=closed
	refused "the key in 'closed-too' is encrypted" --tls-cert="$good.pem" --tls-key=closed-too
	refused 'cannot read keys: Is a directory' --tls-cert=keys --tls-key="$good.key"
	# A curve that one library knows and the other does not.
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -nodes -keyout odd.key -out odd.pem -days 2 -subj /CN=odd 2>/dev/null
	refused "the TLS library refuses the certificate in 'odd.pem' or the key in 'odd.key'" --tls-cert=odd.pem --tls-key=odd.key
}

@test "one of the two options, or without -l: the usage" {
	call tangd -l --tls-cert="$certificates/good.pem" keys
	usage 1 '--tls-cert and --tls-key belong together'
	call tangd -l --tls-key="$certificates/good.key" keys
	usage 1 '--tls-cert and --tls-key belong together'
	call tangd --tls-cert="$certificates/good.pem" --tls-key="$certificates/good.key" keys
	usage 1 ' is of use with -l only'
}

@test "a key file that is open to everybody is told, loudly" {
	cp "$certificates/good.key" open.key
	chmod 0644 open.key
	start_tangd keys --tls-cert="$certificates/good.pem" --tls-key=open.key
	grep -q "^tangd: warning: the TLS key 'open.key' is open to everybody (mode 0644): chmod o-rwx 'open.key'" keys.log
	chmod 0640 open.key
	start_tangd keys --tls-cert="$certificates/good.pem" --tls-key=open.key
	lacks 'TLS key' keys.log
}

@test "one file with certificate, authorities and key serves as both" {
	cat "$certificates/good.key" "$certificates/good.pem" "$certificates/ca.pem" >both
	chmod 0600 both
	start_tangd keys --tls-cert=both --tls-key=both
	url=https://127.0.0.1:$port
	is_served
}

# holds PID: whether the process's memory holds the private key of the certificate, as bytes or as text. Exit 3: no.
holds() {
	"$python" - "$1" "$certificates/good.key" <<-'END'
		import base64, re, subprocess, sys
		text = open(sys.argv[2]).read()
		der = base64.b64decode("".join(text.split("\n")[1:-2]))
		dump = subprocess.run(["openssl", "ec", "-in", sys.argv[2], "-text", "-noout"], capture_output=True, text=True).stdout
		d = bytes.fromhex(re.search(r"priv:\n([0-9a-f:\s]+)pub", dump).group(1).replace(":", "").replace("\n", "").replace(" ", "")).lstrip(b"\0")
		assert len(d) in (31, 32) and d in der
		needles = [d, d[::-1], text.split("\n")[1].encode()]
		with open("/proc/%s/mem" % sys.argv[1], "rb") as memory:
		    for line in open("/proc/%s/maps" % sys.argv[1]):
		        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
		        if not found or "[v" in line:
		            continue
		        at, end = (int(n, 16) for n in found.groups())
		        memory.seek(at)
		        try:
		            content = memory.read(end - at)
		        except OSError:
		            continue
		        if any(needle in content for needle in needles):
		            sys.exit(0)
		sys.exit(3)
	END
}

@test "the memory of keys processes never holds the key of TLS; that of the front and of the one that starts it does" {
	[ "$(id -u)" = 0 ] || skip "only root may look into processes that are not dumpable"
	! is_sanitized "$TANGD" || skip "the sanitizers' own memory is too large to be searched"
	local pid
	start_tls_tangd
	opens_what_it_seals
	holds "$supervisor"
	holds "$(children front)"
	for pid in $(children keys); do
		run holds "$pid"
		[ "$status" = 3 ]
	done
}

@test "the memory of secrets is locked in each process that has some" {
	! is_sanitized "$TANGD" || skip "the sanitizers lock no memory"
	[ "$(ulimit -l)" = unlimited ] || [ "$(ulimit -l)" -ge 1024 ] || skip "no memory may be locked"
	local pid
	start_tls_tangd
	opens_what_it_seals
	for pid in "$supervisor" $(children front) $(children keys); do
		[ "$(awk '/^VmLck:/ { print $2 }' "/proc/$pid/status")" -gt 0 ]
	done
}

@test "a key of TLS that only root can read is read before root is left" {
	[ "$(id -u)" = 0 ] || skip "only root can become somebody else"
	local place
	place=$(mktemp -d "${TMPDIR:-/tmp}/tangd-tls.XXXXXX")
	chmod 0755 "$place"
	mv keys "$place/"
	chown -R 12345:12345 "$place/keys"
	cp "$certificates"/good.* "$place/"
	chmod 0400 "$place/good.key"
	start_tangd "$place/keys" --tls-cert="$place/good.pem" --tls-key="$place/good.key"
	supervisor=$tangd_pid url=https://127.0.0.1:$port
	is_served
	grep -q '^Uid:	12345	12345	12345	12345' "/proc/$supervisor/status"
	kill -KILL "$(children front)"
	sleep 0.2
	eventually is_served
	rm -rf "$place"
}
