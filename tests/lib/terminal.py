#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command on a terminal of its own and types for a person who sits there.

    terminal.py SCREEN [--files] [PROMPT=ANSWER…] [--end=hangup|interrupt] -- COMMAND…

When PROMPT appears, ANSWER and a return are typed (once the prompt has hidden what is typed, if ANSWER begins with a `!`,
which is not typed). SCREEN is the file that gets what the terminal showed. With --files, standard input, output and error
are those of this process, and the terminal is only the controlling one (/dev/tty). --end=interrupt: Ctrl-C is typed after
the last answer; then the last line of SCREEN says whether the terminal shows again what is typed.
Exit status: the command's; 128 and the signal that ended it; 99 when a prompt did not come.
"""
import fcntl
import os
import select
import signal
import sys
import termios
import time

PATIENCE = 20


def start(command, files):
    master, slave = os.openpty()
    child = os.fork()
    if child == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        if not files:
            for descriptor in (0, 1, 2):
                os.dup2(slave, descriptor)
        os.close(master)
        os.close(slave)
        os.execvp(command[0], command)
    return child, master, slave


class Terminal:
    def __init__(self, master, slave):
        self.master, self.slave, self.shown, self.seen = master, slave, b"", 0

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.shown += os.read(self.master, 4096)
        return True

    def wait_for(self, prompt):
        end = time.monotonic() + PATIENCE
        while prompt not in self.shown[self.seen:]:
            if time.monotonic() > end:
                return False
            self.read(0.1)
        self.seen = self.shown.index(prompt, self.seen) + len(prompt)
        return True

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def type(self, text):
        if text.startswith(b"!"):
            text = text[1:]
            end = time.monotonic() + PATIENCE
            while self.echoes() and time.monotonic() < end:
                time.sleep(0.005)
        os.write(self.master, text)


def main():
    screen, rest = sys.argv[1], sys.argv[2:]
    split = rest.index("--")
    options, command = rest[:split], rest[split + 1:]
    end = [o for o in options if o.startswith("--end=")]
    child, master, slave = start(command, "--files" in options)
    terminal = Terminal(master, slave)
    status = None
    for pair in [o for o in options if not o.startswith("--")]:
        prompt, _, answer = pair.encode().partition(b"=")
        if not terminal.wait_for(prompt):
            os.kill(child, signal.SIGKILL)
            status = 99
            break
        terminal.type(answer + (b"" if end else b"\r"))
    if end == ["--end=interrupt"]:
        os.write(master, b"\x03")
    if end == ["--end=hangup"]:
        os.write(master, b"\x04")
    while True:
        ended, code = os.waitpid(child, os.WNOHANG)
        while terminal.read(0.02):
            pass
        if ended:
            break
    with open(screen, "wb") as file:
        file.write(terminal.shown.replace(b"\r\n", b"\n"))
        if end:
            file.write(b"\nechoes: %s\n" % (b"yes" if terminal.echoes() else b"no"))
    if status is None:
        status = 128 + os.WTERMSIG(code) if os.WIFSIGNALED(code) else os.WEXITSTATUS(code)
    return status


sys.exit(main())
