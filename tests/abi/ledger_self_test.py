#!/usr/bin/env python3
"""The ledger's check can fail: usage: ledger_self_test.py TOOL PROGRAM LEDGER"""
import pathlib
import subprocess
import sys
import tempfile

tool, program, ledger = sys.argv[1:]
lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout
first = next(line for line in lines.splitlines() if line.startswith("otagate_completion status "))
moved = first.rsplit(" ", 2)[0] + " 8 4"
cases = {
    "unchanged": (lines, 0),
    "moved": (lines.replace(first, moved), 1),
    "gone": (lines.replace(first + "\n", ""), 1),
    "new": (lines + "otagate_completion extra 40 8\n", 1),
    "not aligned": (lines + "otagate_new . 0 12\notagate_new size 0 4\n", 1),
}
with tempfile.TemporaryDirectory() as folder:
    for name, (text, want) in cases.items():
        path = pathlib.Path(folder) / "lines"
        path.write_text(text)
        got = subprocess.run([sys.executable, tool, "compare", path, ledger], check=False, capture_output=True).returncode
        if got != want:
            sys.exit(f"{name}: exit code {got} instead of {want}")
