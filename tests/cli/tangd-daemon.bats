#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tangd -l as several processes: what each of them has, and what happens when one of them dies, or the keys change under load.
# shellcheck disable=SC2154,SC2153,SC2030,SC2031 # what common.bash and bats set; each test is a shell of its own

load ../lib/common

prepare() {
	make_keys keys
	start_tangd keys
	supervisor=${started[-1]}
	config=$(tang_config "$url")
	clevis encrypt tang "$config" -y <<<secret >jwe
}

opens_jwe() {
	[ "$(clevis decrypt <jwe 2>/dev/null)" = secret ]
}

# has_another NAME PID: a process of that name that is not the one.
has_another() {
	local found
	found=$(children "$1" | grep -vx "$2")
	[ -n "$found" ]
}

advertises() { # N: that many signing keys
	[ "$(fetch "$url/adv" | signing_thumbprints | wc -l)" = "$1" ]
}

# load_while COMMAND…: recoveries without a pause while the command runs; how many were answered is in `answered`, otherwise in `failed`.
load_while() {
	rm -f stop answered failed
	(
		good=0 bad=0
		while [ ! -e stop ]; do
			if opens_jwe; then good=$((good + 1)); else bad=$((bad + 1)); fi
		done
		echo "$good" >answered
		echo "$bad" >failed
	) 3>&- &
	local load=$! rc=0
	"$@" || rc=$?
	touch stop
	wait "$load"
	return "$rc"
}

# listening_socket: as /proc/PID/fd names it.
listening_socket() {
	awk -v port="$(printf ':%04X' "$port")" '$2 ~ port "$" && $4 == "0A" { print "socket:[" $10 "]" }' /proc/net/tcp
}

@test "the one that reads the network holds no file of keys, those with keys no socket of the network" {
	local pid front
	front=$(children front)
	[ -n "$front" ]
	[ "$(children keys | wc -l)" = "$(nproc)" ]
	opens_jwe
	for pid in $front $(children keys) "$supervisor"; do
		find "/proc/$pid/fd" -type l -printf '%l\n' >"fds-$pid"
		never grep -q '\.jwk\|/keys$' "fds-$pid"
	done
	grep -qxF "$(listening_socket)" "fds-$front"
	for pid in $(children keys); do
		[ -s "fds-$pid" ]
		never grep -qxF "$(listening_socket)" "fds-$pid"
	done
}

@test "a front that is killed is told, and another one serves" {
	local front
	front=$(children front)
	kill -KILL "$front"
	eventually has_another front "$front"
	eventually opens_jwe
	grep -q 'a front ended (signal 9); it is started again' keys.log
}

@test "a keys process that is killed is told, and nothing is lost" {
	local victim
	victim=$(children keys | head -n 1)
	kill_it() { kill -KILL "$victim" && sleep 1.5; }
	load_while kill_it
	[ "$(<failed)" = 0 ]
	[ "$(<answered)" -gt 5 ]
	grep -q 'a keys process ended (signal 9); a new generation is started' keys.log
	never grep -qx "$victim" <(children keys)
	[ "$(children keys | wc -l)" = "$(nproc)" ]
}

@test "all keys processes killed at once: well again within five seconds" {
	# shellcheck disable=SC2046 # ids
	kill -KILL $(children keys)
	eventually opens_jwe
}

@test "the supervisor killed: nobody stays behind" {
	local all
	all=$(pgrep -P "$supervisor")
	kill -KILL "$supervisor"
	none_left() {
		local pid
		for pid in $all; do [ ! -e "/proc/$pid/exe" ] || return 1; done
	}
	eventually none_left
}

@test "SIGTERM: exit 0, and nobody stays behind" {
	local all pid status=0
	all=$(pgrep -P "$supervisor")
	kill -TERM "$supervisor"
	wait "$supervisor" || status=$?
	[ "$status" = 0 ]
	for pid in $all; do [ ! -e "/proc/$pid/exe" ]; done
}

@test "keys that change again and again under load: no request fails, and the last keys count" {
	change() {
		local i
		for i in {1..25}; do
			"$TANGD_KEYGEN" keys "sig$i" "exc$i"
			sleep 0.05
		done
	}
	load_while change
	[ "$(<failed)" = 0 ]
	[ "$(<answered)" -gt 3 ]
	eventually advertises 26
}

@test "a link that is swapped is a changed folder" {
	mkdir one two
	"$TANGD_KEYGEN" one
	"$TANGD_KEYGEN" two
	ln -s one current
	start_tangd current
	local before
	before=$(fetch "$url/adv" | signing_thumbprints)
	ln -s two next && mv -T next current
	differs() { local now && now=$(fetch "$url/adv" | signing_thumbprints) && [ -n "$now" ] && [ "$now" != "$before" ]; }
	eventually differs
}

@test "a folder that loses its keys: told, the last ones stay in service, and no new pair is made" {
	mkdir away
	mv keys/*.jwk away/
	wait_until_told() { grep -q 'has lost its keys' keys.log; }
	eventually wait_until_told
	opens_jwe
	[ -z "$(ls -A keys)" ]
	mv away/*.jwk keys/
	eventually advertises 1
	opens_jwe
}

@test "keys that are hidden by hand, and the new pair a moment later: that pair and no other is advertised" {
	local key
	for key in keys/*.jwk; do mv "$key" "keys/.${key#keys/}"; done
	sleep 1
	opens_jwe
	"$TANGD_KEYGEN" keys
	all_are_there() { [ "$(find keys -name '[!.]*.jwk' | wc -l)" = 2 ] && advertises 1; }
	eventually all_are_there
	sleep 0.5
	all_are_there
	opens_jwe
}

# few_descriptors: the server has no more than 576: 64 of its own, 256 for connections and 256 to tell others to come again.
few_descriptors() {
	printf '#!/bin/sh\nulimit -n 576 && exec "%s" "$@"\n' "$TANGD" >few
	chmod +x few
	TANGD=$PWD/few start_tangd keys
}

@test "one address that holds all connections: others are served" {
	few_descriptors
	"$python" - "$port" <<-'END'
		import socket, sys
		port = int(sys.argv[1])
		held = [socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.9", 0)) for _ in range(500)]
		for i in range(20):
		    other = socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.%d" % (10 + i), 0))
		    other.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n\r\n")
		    assert other.recv(4096).startswith(b"HTTP/1.1 200"), i
		    other.close()
	END
}

@test "more requests at work than there is room for: told to come again, and served then" {
	few_descriptors
	supervisor=${started[-1]}
	# shellcheck disable=SC2046 # ids
	"$python" - "$port" keys $(children keys) <<-'END'
		import glob, json, os, signal, socket, sys, time
		port = int(sys.argv[1])
		keys = [json.load(open(name)) for name in glob.glob(sys.argv[2] + "/*.jwk")]
		point = json.dumps({name: key[name] for key in keys if key["alg"] == "ECMR" for name in ("kty", "crv", "x", "y")})
		kid = [name[len(sys.argv[2]) + 1:-4] for name in glob.glob(sys.argv[2] + "/*.jwk") if json.load(open(name))["alg"] == "ECMR"][0]
		def all_keys(number):
		    for pid in sys.argv[3:]:
		        os.kill(int(pid), number)
		def connect(i):
		    return socket.create_connection(("127.0.0.1", port), 5, ("127.0.0.%d" % (9 + i % 7), 0))
		held = []
		# As many as there is room for, each at work before the next one comes: one that is idle, or half a request, would give way.
		all_keys(signal.SIGSTOP)
		for i in range(256):
		    held.append(connect(i))
		    held[-1].sendall(("POST /rec/%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (kid, len(point))).encode())
		    assert held[-1].recv(1024).startswith(b"HTTP/1.1 100"), i
		    held[-1].sendall(point.encode())
		other = connect(0)
		other.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n\r\n")
		answer = other.recv(4096)
		assert answer.startswith(b"HTTP/1.1 503") and b"Retry-After: 3" in answer and b"close" in answer, answer
		all_keys(signal.SIGCONT)
		for one in held:
		    one.close()
		for _ in range(100):
		    other = connect(0)
		    other.sendall(b"GET /adv HTTP/1.1\r\nHost: x\r\n\r\n")
		    answer = other.recv(4096)
		    if answer.startswith(b"HTTP/1.1 200"):
		        sys.exit()
		    time.sleep(0.05)
		sys.exit(answer)
	END
}

# holds PID: whether the process's memory holds a private part of a key of the folder, as bytes or as text. Exit 3: no.
holds() {
	"$python" - "$1" keys <<-'END'
		import base64, glob, json, re, sys
		needles = []
		for name in glob.glob(sys.argv[2] + "/*.jwk"):
		    d = json.load(open(name))["d"]
		    needles += [d.encode(), base64.urlsafe_b64decode(d + "=" * (-len(d) % 4)).lstrip(b"\0")]
		assert len(needles) == 4
		pid = sys.argv[1]
		with open("/proc/%s/mem" % pid, "rb") as memory:
		    for line in open("/proc/%s/maps" % pid):
		        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
		        if not found or "[v" in line:
		            continue
		        at, end = (int(n, 16) for n in found.groups())
		        memory.seek(at)
		        try:
		            content = memory.read(end - at)
		        except OSError:
		            continue
		        for needle in needles:
		            # an integer's words may stand the other way round
		            if needle in content or needle[::-1] in content:
		                sys.exit(0)
		sys.exit(3)
	END
}

needs_memory() {
	[ "$(id -u)" = 0 ] || skip "only root may look into processes that are not dumpable"
	! is_sanitized "$TANGD" || skip "the sanitizers' own memory is too large to be searched"
}

@test "the memory of a front holds no private part of a key while it serves, that of a keys process does" {
	needs_memory
	search() {
		local pid
		for pid in "$(children front)" "$supervisor"; do
			run holds "$pid"
			[ "$status" = 3 ] || return 1
		done
		for pid in $(children keys); do holds "$pid" || return 1; done
	}
	load_while search
	[ "$(<failed)" = 0 ]
	search
}

@test "where a front keeps a key on purpose, the search finds it" {
	needs_memory
	TANGD=${TANGD_KEY_IN_FRONT:-$top/build/tests/planted/tangd-key-in-front} start_tangd keys
	supervisor=${started[-1]}
	[ "$(status_of "$url/adv")" = 200 ]
	holds "$(children front)"
	run holds "$supervisor"
	[ "$status" = 3 ]
}

@test "nobody but root looks into them: not dumpable, no new privileges, and what the kernel has of a sandbox" {
	local pid
	opens_jwe
	for pid in $(children front) $(children keys); do
		grep -qx 'NoNewPrivs:	1' "/proc/$pid/status"
		is_sanitized "$TANGD" || grep -qx 'Seccomp:	2' "/proc/$pid/status"
	done
}

# activated COMMAND…: runs the server as a service manager does: a listening socket is handed over, of $LISTEN_ON, and what it tells is in `told`.
activated() {
	"$python" - "$@" <<-'END' 3>&- &
		import os, socket, sys, threading
		address = os.environ.get("LISTEN_ON", "127.0.0.1")
		listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
		if ":" in address:
		    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		listening.bind((address, 0))
		listening.listen(64)
		told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		told.bind("notify")
		child = os.fork()
		if child == 0:
		    os.dup2(listening.fileno(), 3)
		    os.set_inheritable(3, True)
		    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", NOTIFY_SOCKET=os.getcwd() + "/notify", WATCHDOG_USEC="400000")
		    os.execv(sys.argv[1], sys.argv[1:])
		open("port", "w").write(str(listening.getsockname()[1]))
		open("pid", "w").write(str(child))
		listening.close()
		def listen():
		    while True:
		        text = told.recv(1000).decode()
		        open("told", "a").write(text + "\n")
		threading.Thread(target=listen, daemon=True).start()
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
	END
	manager=$!
	started+=("$manager")
}

@test "handed over by a service manager: serves that socket, says when it is ready, alive and stopping" {
	activated "$TANGD" -l "$PWD/keys"
	told() { grep -q "$1" told 2>/dev/null; }
	eventually told READY=1
	url=http://127.0.0.1:$(<port)
	[ "$(status_of "$url/adv")" = 200 ]
	clevis encrypt tang "$(tang_config "$url")" -y <<<secret >jwe
	opens_jwe
	sleep 1
	[ "$(grep -c WATCHDOG=1 told)" -ge 3 ]
	kill -TERM "$(<pid)"
	wait "$manager"
	told STOPPING=1
}

# log_that_stops KIND: asks the server thousands of times while nobody reads its log, which is of that kind, and then reads it.
log_that_stops() {
	"$python" - "$1" "$TANGD" "$PWD/keys" <<-'END'
		import os, re, socket, subprocess, sys, time
		kind, tangd, keys = sys.argv[1:]
		COUNT = 6000
		command = [tangd, "-l", "-a", "127.0.0.1", "-p", "0", keys]
		if kind == "a socket":
		    reader, writer = (end.detach() for end in socket.socketpair())
		else:
		    reader, writer = os.pipe()
		if kind == "a pipe that cannot be opened":
		    os.fchmod(writer, 0)
		    if os.geteuid() == 0: # a root that permissions count for
		        for path in [keys] + [keys + "/" + name for name in os.listdir(keys)]:
		            os.chown(path, 0, 0)
		        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] + command
		server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer)
		os.close(writer)
		try:
		    text = b""
		    while not re.search(rb"Listening on .*:\d+\n", text):
		        text += os.read(reader, 4096)
		    port = int(re.search(rb"Listening on .*:(\d+)\n", text).group(1))
		    os.set_blocking(reader, False)
		    connection = socket.create_connection(("127.0.0.1", port), 20)
		    answers = connection.makefile("rb")
		    def ask(count):
		        for _ in range(count):
		            connection.sendall(b"GET /nope HTTP/1.1\r\nHost: x\r\n\r\n")
		            assert answers.readline().startswith(b"HTTP/1.1 404")
		            while answers.readline() != b"\r\n":
		                pass
		    def read():
		        text = b""
		        try:
		            while True:
		                more = os.read(reader, 65536)
		                assert more, "the server is gone"
		                text += more
		        except BlockingIOError:
		            return text
		    ask(COUNT)
		    text += read()
		    assert b"lost" not in text
		    ask(1)
		    for _ in range(200):
		        if b"lost" in text:
		            break
		        time.sleep(0.05)
		        text += read()
		    said = text.count(b"127.0.0.1 GET /nope => 404\n")
		    lost = sum(map(int, re.findall(rb"^tangd: warning: (\d+) log lines were lost$", text, re.M)))
		    print(kind, "said", said, "lost", lost)
		    assert lost > 0 and said > 100 and said + lost == COUNT + 1, text[-200:]
		finally:
		    server.terminate()
		    try:
		        status = server.wait(20)
		    finally:
		        server.kill()
		assert status == 0
	END
}

@test "a log that nobody reads: each request is answered all the same, and what was lost is told" {
	log_that_stops "a pipe"
	log_that_stops "a socket"
	log_that_stops "a pipe that cannot be opened"
}

@test "one socket for IPv4 and IPv6: an IPv4 address is logged as one" {
	[ -e /proc/net/if_inet6 ] && grep -q ' lo$' /proc/net/if_inet6 || skip "no IPv6 on the loopback"
	LISTEN_ON=:: activated "$TANGD" -l "$PWD/keys" 2>both.log
	told() { grep -q "$1" told 2>/dev/null; }
	eventually told READY=1
	[ "$(status_of "http://127.0.0.1:$(<port)/adv")" = 200 ]
	[ "$(status_of "http://[::1]:$(<port)/adv")" = 200 ]
	kill -TERM "$(<pid)"
	wait "$manager"
	grep -qx '127\.0\.0\.1 GET /adv => 200' both.log
	grep -qx '::1 GET /adv => 200' both.log
}

@test "what a storm took of memory is given back when it is over" {
	! is_sanitized "$TANGD" || skip "the sanitizers keep what was freed"
	"$python" - "$port" "$(children front)" <<-'END'
		import resource, socket, sys, time
		port, front = int(sys.argv[1]), sys.argv[2]
		_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
		resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
		def resident():
		    return int(next(line for line in open("/proc/%s/status" % front) if line.startswith("VmRSS")).split()[1])
		def storm():
		    nodes = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(900)]
		    for node in nodes:
		        node.sendall(b"GET /adv HTTP/1.1\r\n\r\n")
		    for node in nodes:
		        assert node.recv(20).startswith(b"HTTP/1.1 200")
		    most = resident()
		    for node in nodes:
		        node.close()
		    return most
		before = resident()
		most = storm()
		assert most > before + 3000, (before, most)
		for _ in range(200):
		    time.sleep(0.1)
		    if resident() < (before + most) / 2:
		        sys.exit()
		sys.exit("%d KiB before, %d in the storm, %d now" % (before, most, resident()))
	END
}
