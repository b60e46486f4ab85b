#!/usr/bin/env python3
"""A device of the lines transport, for the conformance kit: device.py PORT"""
import os
import socket
import sys
import time

deadline = time.monotonic() + 10
while True:
    try:
        gateway = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
        break
    except ConnectionRefusedError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.05)  # the listener may not be there yet
stream = gateway.makefile("rwb")
device, kind, version = (os.environ["OTAGATE_CHECK_" + key] for key in ("DEVICE", "TYPE", "RUNS"))
stream.write(f"hello {device} {kind} {version}\n".encode())
stream.flush()
answer = stream.readline().split()
if not answer or answer[0] != b"offer":
    sys.exit("no offer")
size = int(answer[3])
got = 0
with open(os.environ["OTAGATE_CHECK_OUT"], "wb") as out:
    while got < size:
        part = stream.read1(min(65536, size - got))
        if not part:
            sys.exit(f"only {got} of {size} bytes came")
        out.write(part)
        out.flush()
        got += len(part)
stream.write(b"done\n")
stream.flush()
