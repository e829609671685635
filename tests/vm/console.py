#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a virtual machine and talks with its serial console: console.py LOG COMMAND... <STEPS

COMMAND is qemu with its serial console on stdin and stdout. LOG gets what the console showed, each line with the
seconds since the start. STEPS, one a line on our stdin, are done in order; the machine is ended after the last one:

    see SECONDS REGEX    wait until the console shows REGEX, after what the step before saw
    not SECONDS REGEX    watch for so long that it does not
    type FILE            type the contents of FILE and Enter
    end SECONDS          wait until the machine is off
    mark FILE            create FILE: the steps so far went well
    say TEXT             print $CONSOLE_PREFIX, the seconds that the machine has been running, and TEXT

Exit status: 0 when every step went well, 1 with the reason on stderr when one did not, 2 for a step not understood.
"""
import os
import re
import select
import signal
import subprocess
import sys
import time


class Failed(Exception):
    pass


class Machine:
    def __init__(self, command, log):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.log = log
        self.started = time.monotonic()
        self.unseen = ''  # what the steps have not looked at yet
        self.at_line_start = True

    def seconds(self):
        return time.monotonic() - self.started

    def read(self, timeout):
        """Takes in what the console shows within `timeout` seconds; False once the machine is off."""
        out = self.process.stdout.fileno()
        if not select.select([out], [], [], timeout)[0]:
            return True
        text = os.read(out, 65536).decode('utf-8', 'replace').replace('\r', '')
        text = re.sub(r'\x1b\[[0-9;?]*[A-Za-z]|\x1bc', '', text)
        for line in text.splitlines(keepends=True):
            self.log.write(f'[{self.seconds():7.2f}] {line}' if self.at_line_start else line)
            self.at_line_start = line.endswith('\n')
        self.log.flush()
        self.unseen += text
        return self.process.poll() is None or text != ''

    def watch(self, seconds, regex):
        """Whether the console shows `regex` within `seconds`; what was shown up to its end counts as seen."""
        deadline = self.seconds() + seconds
        running = True
        while True:
            found = re.search(regex, self.unseen)
            if found:
                self.unseen = self.unseen[found.end():]
                return True
            left = deadline - self.seconds()
            if left <= 0:
                return False
            if not running:
                raise Failed(f'the machine went off after {self.seconds():.0f} s')
            running = self.read(left)

    def see(self, seconds, regex):
        if not self.watch(seconds, regex):
            raise Failed(f'the console did not show "{regex}" within {seconds:g} s')

    def see_not(self, seconds, regex):
        if self.watch(seconds, regex):
            raise Failed(f'the console showed "{regex}" though it should not have')

    def type(self, path):
        with open(path, 'rb') as file:
            self.process.stdin.write(file.read() + b'\n')
        self.process.stdin.flush()

    def end(self, seconds):
        deadline = self.seconds() + seconds
        while self.read(0.2):
            if self.seconds() > deadline:
                raise Failed(f'the machine did not go off within {seconds:g} s')

    def say(self, text):
        print(f'{os.environ.get("CONSOLE_PREFIX", "")}{self.seconds():5.1f} s  {text}', flush=True)

    def kill(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def parse(line):
    """('see', 90.0, 'REGEX') and so on."""
    verb, _, rest = line.strip().partition(' ')
    if verb in ('see', 'not'):
        seconds, _, regex = rest.partition(' ')
        re.compile(regex)
        return verb, float(seconds), regex
    if verb == 'end':
        return verb, float(rest)
    if verb in ('type', 'mark', 'say') and rest:
        return verb, rest
    raise ValueError(f'not a step: {line.strip()}')


def run(machine, steps):
    do = {'see': machine.see, 'not': machine.see_not, 'type': machine.type, 'end': machine.end,
          'mark': lambda path: open(path, 'w').close(), 'say': machine.say}
    for verb, *arguments in steps:
        do[verb](*arguments)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        steps = [parse(line) for line in sys.stdin if line.strip()]
    except (ValueError, re.error) as error:
        print(f'console.py: {error}', file=sys.stderr)
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with open(sys.argv[1], 'w', encoding='utf-8') as log:
        machine = Machine(sys.argv[2:], log)
        try:
            run(machine, steps)
        except (Failed, OSError) as reason:
            print(f'console.py: {reason}', file=sys.stderr)
            return 1
        finally:
            machine.kill()
    return 0


if __name__ == '__main__':
    sys.exit(main())
