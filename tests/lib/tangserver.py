# SPDX-License-Identifier: Apache-2.0
"""A tangd of ours in each of its forms, and connections to it, for tests in Python. TANGD and TANGD_KEYGEN name the programs."""
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

TANGD, TANGD_KEYGEN = os.environ["TANGD"], os.environ["TANGD_KEYGEN"]
PATIENCE_S = 20


class Failure(Exception):
    """What a test found."""


def check(condition, *what):
    if not condition:
        raise Failure(" ".join(str(part) for part in what))


def eventually(condition, what):
    """It becomes true within PATIENCE_S: a running server takes new keys by itself."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        check(time.monotonic() < end, "never:", what)
        time.sleep(0.02)


def request(method, path, body=None, *fields, version="1.1"):
    """The bytes of a request. `body`: text or bytes, with a Content-Length then."""
    if isinstance(body, str):
        body = body.encode()
    lines = ["%s %s HTTP/%s" % (method, path, version), "Host: x", *fields]
    if body is not None:
        lines.append("Content-Length: %d" % len(body))
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b"")


def is_ready(end, for_writing=False, seconds=PATIENCE_S):
    """Whether it can be read from or written to, or is at its end, within the time. Its number may be large: select(2) will not do."""
    poll = select.poll()
    poll.register(end, select.POLLOUT if for_writing else select.POLLIN)
    return bool(poll.poll(seconds * 1000))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return "%d %r %r" % (self.status, self.headers, self.body[:200])


class Connection:
    """One connection. `process` is the server's own process for it, where it has one."""

    def __init__(self, reader, writer, process=None):
        self.reader, self.writer, self.process, self.buffer = reader, writer, process, b""

    def send(self, data):
        """Sends all of it, or as much as the server takes before it closes the connection."""
        try:
            while data:
                check(is_ready(self.writer, True), "the server takes nothing more")
                data = data[os.write(self.writer.fileno(), data[:4096]):]
        except (BrokenPipeError, ConnectionResetError):
            pass

    def read_some(self):
        """Takes more bytes into the buffer; False at the end."""
        check(is_ready(self.reader), "no answer, and no end either; so far:", self.buffer[:200])
        try:
            got = os.read(self.reader.fileno(), 65536)
        except ConnectionResetError:
            got = b""
        self.buffer += got
        return bool(got)

    def answer(self, to_head=False):
        """The next answer; None where the connection ends instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.read_some():
                check(not self.buffer, "half an answer:", self.buffer)
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        check(lines[0].startswith(("HTTP/1.1 ", "HTTP/1.0 ")), "no answer:", lines[0])
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        status = int(lines[0].split(" ")[1])
        length = 0 if to_head or status < 200 else int(headers["content-length"])
        while len(self.buffer) < length:
            check(self.read_some(), "half a body:", self.buffer)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(status, headers, body)

    def finish(self):
        """Says that nothing more comes."""
        if isinstance(self.writer, socket.socket):
            try:
                self.writer.shutdown(socket.SHUT_WR)
            except OSError as error:  # the server has ended it already
                check(error.errno == errno.ENOTCONN, "cannot end a connection:", error)
        else:
            self.writer.close()

    def ends(self):
        """Whether the server has nothing more to say and closes the connection."""
        while self.read_some():
            pass
        return not self.buffer

    def close(self):
        """Closes it. A process that served it ends then, with 0."""
        for end in {self.reader, self.writer}:
            end.close()
        if self.process:
            check(self.process.wait(PATIENCE_S) == 0, "the connection's process ended with", self.process.returncode)


class Server:
    """
    A tangd that serves a folder. Its forms:
      pipes       a process for each connection, standard input and output two pipes
      stdin       the same with a socket, as inetd and systemd's Accept=yes give it
      standalone  `tangd -l`, listening by itself
      daemon      `tangd -l` with a listening socket handed over by a service manager, which is told that it is ready
    """

    FORMS = ("pipes", "stdin", "standalone", "daemon")

    def __init__(self, form, folder, *options, user=None, environment=None, before=(), ready=True):
        self.form, self.folder, self.options, self.user, self.before = form, folder, options, user, before
        self.environment = {**os.environ, **(environment or {})}
        self.log_file = tempfile.NamedTemporaryFile(dir=".", prefix=folder.replace("/", "-") + "-", suffix=".log", delete=False)
        self.children, self.process, self.address = [], None, None
        if form == "stdin":
            self.listener = socket.create_server(("127.0.0.1", 0))
        elif form == "standalone":
            self.process = self.spawn("-l", "-a", "127.0.0.1", "-p", "0")
            eventually(lambda: "Listening on " in self.log() or self.process.poll() is not None, "it listens")
            self.address = ("127.0.0.1", int(self.log().partition("Listening on ")[2].split()[0].rsplit(":")[-1]))
        elif form == "daemon":
            self.start_as_service(ready)

    def spawn(self, *arguments, **more):
        if self.user is not None:
            more.update(user=self.user, group=self.user, extra_groups=[])
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "env": self.environment, **more}
        return subprocess.Popen([*self.before, TANGD, *arguments, *self.options, self.folder], stderr=self.log_file, **more)

    def start_as_service(self, ready):
        """As systemd does for a socket unit with Accept=no and a service of Type=notify (sd_listen_fds(3), sd_notify(3))."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = self.log_file.name.removesuffix(".log") + ".notify"  # nobody else's, as a port would be, later
        told.bind(name)
        os.chmod(name, 0o777)
        told.settimeout(PATIENCE_S)
        self.environment.update(LISTEN_FDS="1", NOTIFY_SOCKET=os.path.abspath(name))
        self.before = (*self.before, "sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh")
        self.process = self.spawn("-l", pass_fds=(3,), preexec_fn=lambda: os.dup2(listener.fileno(), 3))
        self.address = listener.getsockname()
        listener.close()
        while ready and b"READY=1" not in told.recv(1000):
            pass
        told.close()

    def connect(self, source=None):
        if self.form == "pipes":
            process = self.spawn(stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            return self.keep(Connection(process.stdout, process.stdin, process))
        if self.form == "stdin":
            ours = socket.create_connection(self.listener.getsockname(), PATIENCE_S, source)
            theirs, _ = self.listener.accept()
            process = self.spawn(stdin=theirs, stdout=theirs)
            theirs.close()
            return self.keep(Connection(ours, ours, process))
        ours = socket.create_connection(self.address, PATIENCE_S, source)
        return Connection(ours, ours)

    def keep(self, connection):
        self.children.append(connection.process)
        return connection

    def ask(self, *arguments, **more):
        """One request on a connection of its own; the answer."""
        connection = self.connect()
        connection.send(request(*arguments, **more))
        answer = connection.answer(to_head=arguments[0] == "HEAD")
        connection.close()
        return answer

    def log(self):
        with open(self.log_file.name, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_lines(self):
        """What it said of requests, and of what is wrong: not where it listens."""
        return [line for line in self.log().splitlines() if not line.startswith("Listening on ")]

    def stop(self):
        """Ends it by its id. A daemon ends with 0."""
        for child in self.children:
            if child.poll() is None:
                child.terminate()
            child.wait()
        if self.process and self.process.poll() is None:
            deaths = self.log().count(" ended (")
            self.process.terminate()
            try:
                self.process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            check(self.process.returncode == 0, "the server ended with", self.process.returncode)
            check(self.log().count(" ended (") == deaths, "one of its processes did not end as it should")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.stop()
        except Failure:
            if kind is None:
                raise
        if kind is not None:
            print("the end of the server's log:", *self.log().splitlines()[-40:], sep="\n", file=sys.stderr)


def make_keys(folder, *names):
    os.makedirs(folder, exist_ok=True)
    subprocess.run([TANGD_KEYGEN, folder, *names], check=True)


def main():
    """tangserver.py FOLDER: a daemon, as a service manager starts it. Prints its port; ends it when it is ended itself."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Server("daemon", sys.argv[1]) as server:
        print(server.address[1], flush=True)
        while server.process.poll() is None:
            time.sleep(0.1)
        raise Failure("the server ended with %d: %s" % (server.process.returncode, server.log()))


if __name__ == "__main__":
    main()
