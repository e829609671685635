#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Starts a command for each connection, its standard input and output being the socket, as inetd and systemd do.

    inetd.py [--remote-addr] COMMAND [ARGUMENT…]

Listens on a free port of 127.0.0.1 and prints it. --remote-addr: REMOTE_ADDR in the command's environment.
"""
import os
import signal
import socket
import subprocess
import sys

arguments = sys.argv[1:]
environment = dict(os.environ)
tell = arguments[0] == "--remote-addr"
if tell:
    arguments.pop(0)

# Children end by themselves with their connections; at the end of this process those that have not are ended by their ids.
children = []


def leave(*_):
    for child in children:
        if child.poll() is None:
            child.terminate()
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
while True:
    connection, address = listener.accept()
    if tell:
        environment["REMOTE_ADDR"] = address[0]
    children = [child for child in children if child.poll() is None]
    children.append(subprocess.Popen(arguments, stdin=connection, stdout=connection, env=environment))
    connection.close()
