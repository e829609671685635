#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A line of a table of two commands: table.py NAME FILE [PREPARATION]

FILE is the JSON that hyperfine wrote of ours and theirs, in this order; PREPARATION a command to run before each.
"""
import json
import subprocess
import sys


def milliseconds(result):
    return result["mean"] * 1000


def peak(result):
    """Megabytes of the largest process that the command takes."""
    for preparation in sys.argv[3:]:
        subprocess.run(["sh", "-c", preparation], check=True)
    measured = ["time", "-f", "%M", "sh", "-c", result["command"]]
    ran = subprocess.run(measured, capture_output=True, text=True, check=True)
    return int(ran.stderr.split()[-1]) / 1000


with open(sys.argv[2], encoding="utf-8") as file:
    ours, theirs = json.load(file)["results"]
print(f"{sys.argv[1]:<28}{milliseconds(ours):8.1f} ms{milliseconds(theirs):10.1f} ms"
      f"{milliseconds(theirs) / milliseconds(ours):7.1f} x{peak(ours):9.1f} MB{peak(theirs):9.1f} MB")
