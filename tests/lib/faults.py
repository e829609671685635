#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What befalls a key server, each with others served meanwhile where that is possible, and the server well afterwards.

    faults.py CASE

Works in the current folder; exit 1 and the reason where the server departs, 77 where it cannot be tried here.
"""
import collections
import glob
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

from tangserver import PATIENCE_S, Failure, Server, check, eventually, is_ready, make_keys, request

PROCESSORS = min(os.sysconf("SC_NPROCESSORS_ONLN"), 64)  # as the server counts them
ROTATE = os.environ["TANGD_ROTATE_KEYS"]


def read_pair(folder):
    """The advertised pair: the requests that everybody's client makes."""
    signing, exchange = "", ""
    for path in glob.glob(folder + "/*.jwk"):
        with open(path, encoding="utf-8") as file:
            key = json.load(file)
        name = os.path.basename(path)[:-len(".jwk")]
        if key["alg"] == "ECMR":
            exchange, point = name, json.dumps({m: key[m] for m in ("kty", "crv", "x", "y")})
        else:
            signing = name
    return [request("GET", "/adv"), request("GET", "/adv/" + signing), request("POST", "/rec/" + exchange, point)]


def stat(pid):
    """Its name, and the fields behind it, as proc(5) counts them from 3."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
        name, _, fields = file.read().partition("(")[2].rpartition(")")
    return name, fields.split()


def children(pid):
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(stat(int(name))[1][1]) == pid:
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def named(supervisor, name):
    """Its children of that name that live."""
    found = []
    for pid in children(supervisor):
        try:
            if stat(pid)[0] == "tangd-" + name and stat(pid)[1][0] != "Z":
                found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def count_descriptors(pid):
    """0 where only root may look: they are not dumpable."""
    try:
        return len(os.listdir("/proc/%d/fd" % pid))
    except PermissionError:
        return 0


def processor_seconds(pids):
    ticks = sum(int(stat(pid)[1][11]) + int(stat(pid)[1][12]) for pid in pids)
    return ticks / os.sysconf("SC_CLK_TCK")


class Case:
    """A server on its own folder, and how it was when it was well."""

    def __init__(self, before=None):
        make_keys("keys")
        self.requests = read_pair("keys")
        self.server = Server("standalone", "keys", before=before or ())
        self.pid = self.server.process.pid
        for message in self.requests:
            self.answer(message)
        self.fronts = len(named(self.pid, "front"))
        self.descriptors = None
        eventually(self.is_settled, "what it has open does not change any more")

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.server.__exit__(kind, *rest)

    def answer(self, message, status=200):
        connection = self.server.connect(("127.0.0.1", 0))
        connection.send(message)
        answer = connection.answer()
        check(answer and answer.status == status, answer, "instead of", status, "to", message[:100])
        connection.close()

    def count(self):
        """The descriptors of the supervisor and of the fronts."""
        return [count_descriptors(self.pid)] + sorted(count_descriptors(pid) for pid in named(self.pid, "front"))

    def is_settled(self):
        before, self.descriptors = self.descriptors, self.count()
        time.sleep(0.1)
        return before == self.descriptors and len(named(self.pid, "keys")) == PROCESSORS

    def is_whole(self):
        zombies = [pid for pid in children(self.pid) if pid not in named(self.pid, "front") + named(self.pid, "keys")]
        return not zombies and len(named(self.pid, "front")) == self.fronts and len(named(self.pid, "keys")) == PROCESSORS and \
            self.count() == self.descriptors

    def is_well(self):
        """The same supervisor, all its processes, no descriptor more and no zombie; and it answers."""
        check(self.server.process.poll() is None, "the server has ended:", self.server.process.returncode)
        eventually(self.answers, "it answers everything again")
        try:
            eventually(self.is_whole, "it is as it was")
        except Failure as failure:
            raise Failure("%s: descriptors %s, before %s; processes: %s" % (
                failure, self.count(), self.descriptors, [(pid, stat(pid)[0], stat(pid)[1][0]) for pid in children(self.pid)])) from None

    def answers(self):
        try:
            for message in self.requests:
                self.answer(message)
        except (Failure, ConnectionError):
            return False
        return True


class Load(threading.Thread):
    """Asks without a pause, some on a connection that is kept, some on fresh ones, and not less often than LEAST."""

    LEAST = 20

    def __init__(self, case):
        super().__init__()
        self.case, self.statuses, self.slowest, self.stopping = case, collections.Counter(), 0.0, False

    def run(self):
        connection = None
        while not self.stopping:
            for message in self.case.requests:
                start = time.monotonic()
                try:
                    connection = connection or self.case.server.connect(("127.0.0.1", 0))
                    connection.send(message)
                    answer = connection.answer()
                    self.statuses[answer.status if answer else "closed"] += 1
                except (Failure, OSError) as failure:
                    answer = None
                    self.statuses[str(failure)[:60]] += 1
                self.slowest = max(self.slowest, time.monotonic() - start)
                if connection and (answer is None or self.statuses[200] % 5 == 0):
                    connection.close()
                    connection = None
        if connection:
            connection.close()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                eventually(lambda: sum(self.statuses.values()) >= self.LEAST, "%d requests" % self.LEAST)
        finally:
            self.stopping = True
            self.join()

    def has_failed_never(self):
        check(set(self.statuses) == {200}, "under load:", dict(self.statuses))
        check(self.slowest < 15, "one took", self.slowest, "s")


def raise_descriptors():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def address(number):
    return ("127.0.1.%d" % (1 + number % 200), 0)


# --- Clients ------------------------------------------------------------------------------------------------------------------------

def half_open():
    """Thousands that have begun and do not go on, some that take a byte at a time or none, and everybody else is served."""
    most = raise_descriptors()
    count = min(3000, most - 700)
    if count < 300:
        return 77
    post = request("POST", "/rec/x", None, "Content-Length: 100")
    beginnings = (b"", b"GET /ad", request("GET", "/adv")[:-2], post + b"{", request("GET", "/adv") * 60)
    with Case() as case:
        held = []
        for number in range(count):
            one = socket.socket()
            # Those that do not read have no room for what they asked for.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            one.bind(address(number))
            one.connect(case.server.address)
            one.sendall(beginnings[number % len(beginnings)])
            held.append(one)
        slow = held[1::len(beginnings)][:50]
        with Load(case) as load:
            for byte in request("GET", "/v"):
                for one in slow:
                    try:
                        one.send(bytes([byte]))
                    except OSError:
                        pass
                time.sleep(0.02)
        load.has_failed_never()
        for one in held:
            one.close()
        case.is_well()
    return 0


def make_garbage(dice, valid):
    """One thing that somebody may send."""
    kind = dice.randrange(6)
    message = bytearray(dice.choice(valid))
    if kind == 0:
        return dice.randbytes(dice.randrange(1, 3000))
    if kind == 1:
        for _ in range(dice.randrange(1, 8)):
            message[dice.randrange(len(message))] = dice.randrange(256)
        return bytes(message)
    if kind == 2:
        return bytes(message[:dice.randrange(len(message))])
    if kind == 3:
        return b"".join(dice.choice(valid) for _ in range(dice.randrange(2, 40))) + dice.randbytes(5)
    if kind == 4:
        return b"GET /" + b"a" * dice.randrange(4000, 100000) + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    return request("POST", "/rec/x", dice.randbytes(dice.randrange(60000, 200000))) + bytes(message)


def garbage():
    """Garbage, oversized, pipelined, truncated, cut off: what is answered is HTTP, and each connection has an end."""
    dice = random.Random(13)
    with Case() as case:
        valid = case.requests + [request("GET", "/nope"), request("POST", "/rec/x", "{}", "Expect: 100-continue"),
                                 request("POST", "/rec/x", None, "Transfer-Encoding: chunked") + b"5\r\n{   }\r\n0\r\n\r\n"]
        with Load(case) as load:
            for _ in range(2):
                told = []
                for _ in range(200):
                    connection = case.server.connect(address(dice.randrange(200)))
                    connection.reader.setblocking(False)
                    try:
                        connection.writer.send(make_garbage(dice, valid))
                    except OSError:
                        pass
                    if dice.randrange(3) == 0:
                        connection.close()
                        continue
                    connection.finish()
                    told.append(connection)
                for connection in told:
                    while True:
                        answer = connection.answer()
                        if answer is None:
                            break
                        check(answer.status in (100, 200, 400, 403, 404, 405, 413, 414, 431, 501, 505), answer)
                    connection.close()
        load.has_failed_never()
        case.is_well()


# --- Keys -----------------------------------------------------------------------------------------------------------------------------

def keys_change():
    """Keys that are hidden and shown thousands of times, and rotated, under load: no request fails, and the last keys count."""
    with Case() as case:
        make_keys("keys", "sig", "exc")
        changed = 0
        with Load(case) as load, Load(case) as other:
            end = time.monotonic() + 4
            while time.monotonic() < end or changed < 2000:
                for name in ("sig", "exc"):
                    os.rename("keys/%s.jwk" % name, "keys/.%s.jwk" % name)
                    os.rename("keys/.%s.jwk" % name, "keys/%s.jwk" % name)
                changed += 4
                # Both: so quickly that nobody can read the folder in between, and so that each change is read.
                if changed % 400 == 0:
                    subprocess.run([ROTATE, "-d", "keys"], check=True)
                    for name in ("sig", "exc"):
                        os.rename("keys/.%s.jwk" % name, "keys/%s.jwk" % name)
                time.sleep(0.05 if changed % 400 > 360 else 0)
        for one in (load, other):
            one.has_failed_never()
        subprocess.run([ROTATE, "-d", "keys"], check=True)
        last = {os.path.basename(path)[:-len(".jwk")] for path in glob.glob("keys/*.jwk")}
        check(len(last) == 2, last)
        case.requests += read_pair("keys")
        case.is_well()
        print("%d changes, %d requests" % (changed, load.statuses[200] + other.statuses[200]))


def empty_folder_and_a_death():
    """The folder has lost its keys and one who holds them dies: those who are left serve. No pair is made; what comes back counts."""
    if PROCESSORS < 2:
        return 77
    with Case() as case:
        os.mkdir("away")
        names = os.listdir("keys")
        for name in names:
            os.rename("keys/" + name, "away/" + name)
        eventually(lambda: "has lost its keys" in case.server.log(), "it is told")
        victim = named(case.pid, "keys")[0]
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in children(case.pid), "it is buried")
        with Load(case) as load:
            time.sleep(2)
        load.has_failed_never()
        check(os.listdir("keys") == [], "a pair was made:", os.listdir("keys"))
        for name in names:
            os.rename("away/" + name, "keys/" + name)
        case.is_well()
    return 0


def too_many_keys():
    """A folder that cannot be read, for it has too many keys, and in which something happens again and again: the last keys serve, and nobody spins."""
    with Case() as case:
        for number in range(1001):
            with open("keys/.%d.jwk" % number, "w", encoding="ascii") as file:
                file.write("{}")
        eventually(lambda: "more than 1000 key files" in case.server.log(), "it is told")
        before = processor_seconds([case.pid])
        for number in range(30):
            os.utime("keys/.%d.jwk" % number)
            time.sleep(0.1)
        check(processor_seconds([case.pid]) - before < 1, "it spins:", processor_seconds([case.pid]) - before, "s")
        case.answer(case.requests[2])
        for number in range(1001):
            os.unlink("keys/.%d.jwk" % number)
        case.is_well()


# --- Processes --------------------------------------------------------------------------------------------------------------------------

def killed():
    """A front and each keys process killed, again and again, under load: what was in flight may fail, nothing later; and it backs off."""
    with Case() as case:
        with Load(case) as load:
            start = time.monotonic()
            for _ in range(4):
                victim, = named(case.pid, "front")
                os.kill(victim, signal.SIGKILL)
                eventually(lambda v=victim: [pid for pid in named(case.pid, "front") if pid != v], "another front")
                eventually(case.answers, "it answers")
            # 0.1, 0.2, 0.4, 0.8 s
            check(time.monotonic() - start > 1.4, "no back-off: 4 deaths in", time.monotonic() - start, "s")
        # The one that asks has one request in flight at a time; one that comes while nobody reads waits in the queue.
        lost = sum(load.statuses.values()) - load.statuses[200]
        check(load.statuses[200] > 0 and lost <= 8, dict(load.statuses))
        check(case.server.log().count("a front ended (signal 9); it is started again") == 4, case.server.log())
        case.is_well()
    with Case() as case:
        with Load(case) as load:
            for _ in range(PROCESSORS):
                os.kill(named(case.pid, "keys")[0], signal.SIGKILL)
                time.sleep(0.3)
        # Those that were with it are sent to another one.
        load.has_failed_never()
        check("a keys process ended (signal 9); a new generation is started" in case.server.log(), case.server.log())
        case.is_well()
        with Load(case) as load:
            time.sleep(0.5)
        load.has_failed_never()


def stopped():
    """A keys process that stands still with work in its hands: another one does that work, and all the rest."""
    if PROCESSORS < 2:
        return 77
    with Case() as case:
        front, = named(case.pid, "front")
        for victim in named(case.pid, "keys"):
            # All at once, so that there is more to do than is done when the one stands still.
            os.kill(front, signal.SIGSTOP)
            asking = [case.server.connect(address(number)) for number in range(300)]
            for one in asking:
                one.send(case.requests[2])
            os.kill(front, signal.SIGCONT)
            time.sleep(0.005)
            os.kill(victim, signal.SIGSTOP)
            start = time.monotonic()
            for one in asking:
                answer = one.answer()
                check(answer and answer.status == 200, answer)
                one.close()
            time.sleep(max(0, 2 - (time.monotonic() - start)))
            os.kill(victim, signal.SIGCONT)
        case.is_well()
    return 0


def front_hoards():
    """A front that takes no new keys and lets go of no old ones: the other one has each new key, and the old processes end all the same."""
    workers = 64
    make_keys("keys")
    with Server("standalone", "keys", "--fronts=2", "--workers=%d" % workers) as server:
        pid = server.process.pid
        eventually(lambda: len(named(pid, "keys")) == workers, "it serves")
        still = named(pid, "front")[0]
        os.kill(still, signal.SIGSTOP)
        try:
            # There are never more than four times as many.
            for _ in range(6):
                subprocess.run([ROTATE, "-d", "keys"], check=True)
                message = read_pair("keys")[1]
                eventually(lambda m=message: ask(server, m) == 200, "the new key is advertised")
            before = processor_seconds([pid])
            eventually(lambda: len(named(pid, "keys")) == workers, "those that were replaced end")
            check(processor_seconds([pid]) - before < 2, "it spins:", processor_seconds([pid]) - before, "s")
            check("a keys process ended" not in server.log(), server.log())
        finally:
            os.kill(still, signal.SIGCONT)


def ask(server, message):
    """The status; None for none."""
    try:
        connection = server.connect(("127.0.0.1", 0))
        connection.send(message)
        answer = connection.answer()
        connection.close()
    except (Failure, OSError):
        return None
    return answer and answer.status


def ended():
    """It is told to end with requests at work, requests that wait for new keys, and requests that were not read yet: exit 0, and no crash."""
    for _ in range(3):
        with Case() as case:
            asking = [case.server.connect(address(number)) for number in range(100)]
            for one in asking[:50]:
                one.send(b"".join(case.requests * 20))
            os.rename("keys", "away")
            os.rename("away", "keys")
            make_keys("keys", "sig", "exc")
            for one in asking[50:]:
                one.send(b"".join(case.requests * 20))
            case.server.stop()
            for one in asking:
                one.close()
        shutil.rmtree("keys")


# --- The system ---------------------------------------------------------------------------------------------------------------------------

def few_descriptors():
    """A limit of 64: whoever finds no room is told to come again, or waits; nobody spins, and nobody dies."""
    with Case(before=("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh")) as case:
        for beginning in (b"", b"GET /adv HT", request("POST", "/rec/x", None, "Content-Length: 9")):
            held = []
            for number in range(150):
                held.append(case.server.connect(address(number)))
                held[-1].send(beginning)
            pids = [case.pid] + children(case.pid)
            before = processor_seconds(pids)
            time.sleep(1)
            check(processor_seconds(pids) - before < 0.5, "it spins:", processor_seconds(pids) - before, "s")
            if not beginning:
                case.answer(request("GET", "/adv"))
            # All of them at work: those that found no place are told so, and when to come again.
            told = [one for one in held if is_ready(one.reader, seconds=0)]
            answers = [one.answer() for one in told]
            for answer in filter(None, answers):
                check(answer.status == 503 and int(answer.headers["retry-after"]) > 0, answer)
            check(not beginning.startswith(b"POST") or any(answers), "nobody is told to come again")
            for one in held:
                one.close()
            case.is_well()


def few_descriptors_for_two():
    """The same with two sockets, which share them: there is room for new keys all the same."""
    make_keys("keys")
    with Server("standalone", "keys", "-a", "127.0.0.2", before=("sh", "-c", 'ulimit -n 64 && exec "$@"', "sh")) as server:
        eventually(lambda: server.log().count("Listening on ") == 2 and ask(server, request("GET", "/adv")) == 200, "it serves")
        other = ("127.0.0.2", int(server.log().split("Listening on ")[2].split()[0].rpartition(":")[2]))
        held = []
        for number in range(120):
            held.append(socket.create_connection((server.address, other)[number % 2], PATIENCE_S, address(number)))
            held[-1].send(b"GET /adv HT")
        subprocess.run([ROTATE, "-d", "keys"], check=True)
        time.sleep(1)
        for one in held:
            one.close()
        message = read_pair("keys")[1]
        eventually(lambda: ask(server, message) == 200, "the new key is advertised")
        check(" ended (" not in server.log(), server.log())


def is_sanitized():
    with open(os.environ["TANGD"], "rb") as program:
        return b"__asan_init" in program.read()


def large_bodies():
    """Large bodies on many connections: the memory for them has a bound, and requests of the usual size are answered all the same."""
    count, size = 1600, 65000
    if raise_descriptors() < count + 500:
        return 77
    with Case() as case:
        front, = named(case.pid, "front")
        with open("/proc/%d/statm" % front, encoding="ascii") as statm:
            before = int(statm.read().split()[1])
        held = []
        for number in range(count):
            held.append(case.server.connect(address(number)))
            held[-1].send(request("POST", "/rec/x", None, "Content-Length: %d" % (size + 1)) + b"{" * size)
        case.answer(case.requests[2])
        with open("/proc/%d/statm" % front, encoding="ascii") as statm:
            grown = (int(statm.read().split()[1]) - before) * os.sysconf("SC_PAGESIZE")
        # A sanitizer keeps for a while what is freed.
        check(grown < 90 * 1024 * 1024 or is_sanitized(), "grown by", grown, "bytes")
        for one in (held[0], held[-1]):
            one.send(b"}")
        first, last = held[0].answer(), held[-1].answer()
        check(first and first.status == 400, first)
        check(last and last.status == 503 and int(last.headers["retry-after"]) > 0, last)
        for one in held:
            one.close()
        large = request("POST", "/rec/x", "{" * size)
        eventually(lambda: ask(case.server, large) == 400, "there is room again")
        case.is_well()
    return 0


def admin_held():
    """Somebody holds connections of the admin process and lets them trickle: it answers others."""
    make_keys("keys")
    path = os.path.abspath("admin.sock")
    with Server("standalone", "keys", "--admin=" + path):
        eventually(lambda: os.path.exists(path), "it is there")
        held = []
        for _ in range(200):
            held.append(socket.socket(socket.AF_UNIX))
            held[-1].settimeout(PATIENCE_S)
            held[-1].connect(path)
            held[-1].send(request("GET", "/healthz")[:-2] + b"X: ")
        for _ in range(3):
            one = socket.socket(socket.AF_UNIX)
            one.settimeout(PATIENCE_S)
            one.connect(path)
            start = time.monotonic()
            one.send(request("GET", "/healthz"))
            check(one.recv(100).startswith(b"HTTP/1.1 "), "no answer")
            # Before those that are idle would have had to end.
            check(time.monotonic() - start < 8, "answered after", time.monotonic() - start, "s")
            one.close()
        for one in held:
            one.close()


def inherited():
    """A file that whoever starts the server had open is none of its processes'."""
    make_keys("keys")
    os.mkfifo("open")
    reader = os.open("open", os.O_RDONLY | os.O_NONBLOCK)
    with Server("standalone", "keys", before=("sh", "-c", 'exec 7>open; exec "$@"', "sh")) as server:
        eventually(lambda: ask(server, request("GET", "/adv")) == 200, "it serves")
        try:
            check(os.read(reader, 1) == b"", "somebody has written")
        except BlockingIOError:
            raise Failure("it is still open") from None
    os.close(reader)


def disk_full():
    """No room for the first pair: the reason is told; made as soon as there is some. To be run with mounts of one's own."""
    os.mkdir("full")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=2", "small", "full"], check=False).returncode != 0:
        return 77
    with Server("standalone", "full") as server:
        eventually(lambda: "No space left on device" in server.log(), "it is told")
        check(os.listdir("full") == [], "half a pair is left:", os.listdir("full"))
        pid, descriptors = server.process.pid, count_descriptors(server.process.pid)
        subprocess.run(["mount", "-o", "remount,nr_inodes=100", "full"], check=True)
        eventually(lambda: len(glob.glob("full/*.jwk")) == 2, "a pair is made")
        for message in read_pair("full"):
            connection = server.connect()
            connection.send(message)
            check(connection.answer().status == 200, message)
            connection.close()
        eventually(lambda: count_descriptors(pid) <= descriptors, "nothing is left open")
        check(len(named(pid, "keys")) == PROCESSORS == len(children(pid)) - 1, "processes:", children(pid))
    return 0


CASES = (disk_full, half_open, garbage, keys_change, empty_folder_and_a_death, killed, stopped, front_hoards, ended, few_descriptors, few_descriptors_for_two,
         large_bodies, admin_held, inherited, too_many_keys)


def main():
    case, = (case for case in CASES if case.__name__ == sys.argv[1])
    try:
        return case() or 0
    except Failure as failure:
        print("%s: %s" % (case.__name__, failure), file=sys.stderr)
        return 1


sys.exit(main())
