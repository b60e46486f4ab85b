#!/usr/bin/env python3
"""Writes the ledger of the plugin ABI, and C code that says what a compiler makes of the headers.

usage: make_ledger.py members HEADER...            C code that prints "struct member offset size" lines
       make_ledger.py ledger LINES VERSION [OLD]   a ledger of those lines; members in OLD keep their `since`
       make_ledger.py compare PROGRAM LEDGER       what the program prints; exit 1 and a line per difference
       make_ledger.py older PROGRAM LEDGER         the same for earlier headers: they may lack members
       make_ledger.py check32 LEDGER CC INCLUDE    the offsets hold on a 32-bit machine too

A member that is in the ledger may never move, change its size or go away; new ones are appended to the
ledger with the version that brought them.
"""
import os
import pathlib
import re
import subprocess
import sys
import tomllib

STRUCT = re.compile(r"typedef struct (\w+) \{(.*?)\n\} \w+;", re.S)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def members(body):
    """Names of the data members and function pointers in the order in which they stand."""
    for line in COMMENT.sub("", body).split(";"):
        line = re.sub(r"OTAGATE_SLOT\(\w+\)", "", line).strip()
        if not line:
            continue
        match = re.search(r"\(\*(\w+)\)", line) or re.search(r"(\w+)(?:\[[^\]]*\])?$", line)
        yield match[1]


def emit_c(headers):
    print("#include <stddef.h>\n#include <stdio.h>")
    for header in headers:
        print(f'#include "otagate/{pathlib.Path(header).name}"')
    print("int main(void) {")
    for header in headers:
        for name, body in STRUCT.findall(pathlib.Path(header).read_text()):
            print(f'  printf("{name} . 0 %u\\n", (unsigned)sizeof({name}));')
            for member in members(body):
                print(f'  printf("{name} {member} %u %u\\n", (unsigned)offsetof({name}, {member}), '
                      f"(unsigned)sizeof((({name} *)0)->{member}));")
    print("  return 0;\n}")


def read_lines(path):
    """What a layout program prints, or printed into a file."""
    text = subprocess.run([path], check=True, capture_output=True, text=True).stdout if os.access(path, os.X_OK) \
        else pathlib.Path(path).read_text()
    structs = {}
    for line in text.splitlines():
        struct, member, offset, size = line.split()
        structs.setdefault(struct, {})[member] = (int(offset), int(size))
    return structs


def emit_ledger(lines, version, old):
    known = tomllib.loads(pathlib.Path(old).read_text()) if old else {}
    print("# Every member of every struct of the plugin ABI, on 64-bit machines: [offset, size, since].")
    print("# tests/abi compares it with the headers. Lines are added, never changed.")
    for struct, entries in read_lines(lines).items():
        print(f"\n[{struct}]")
        for member, (offset, size) in entries.items():
            if member != ".":
                since = known.get(struct, {}).get(member, [0, 0, version])[2]
                print(f'{member} = [{offset}, {size}, "{since}"]')


def compare(lines, ledger):
    now = read_lines(lines)
    then = tomllib.loads(pathlib.Path(ledger).read_text())
    wrong = []
    for struct, entries in then.items():
        for member, (offset, size, _) in entries.items():
            found = now.get(struct, {}).get(member)
            if found != (offset, size):
                wrong.append(f"{struct}.{member}: the ledger has offset {offset} and size {size}, the header {found}")
    for struct, entries in now.items():
        last = 0
        for member, (offset, size) in entries.items():
            if member == ".":
                total = size
                continue
            if member not in then.get(struct, {}):
                wrong.append(f"{struct}.{member}: not in the ledger; add it with the version that brings it")
            if size == 8 and offset % 8:
                wrong.append(f"{struct}.{member}: not 8-byte aligned")
            last = offset + size
        if total % 8 or total < last:
            wrong.append(f"{struct}: {total} bytes, not a multiple of 8")
        if struct not in ("otagate_str",) and next(m for m in entries if m != ".") != "size":
            wrong.append(f"{struct}: its first member is not `size`")
    print("\n".join(wrong))
    return 1 if wrong else 0


def older(lines, ledger):
    then = tomllib.loads(pathlib.Path(ledger).read_text())
    wrong = []
    for struct, entries in read_lines(lines).items():
        for member, layout in entries.items():
            if member != "." and tuple(then.get(struct, {}).get(member, [])[:2]) != layout:
                wrong.append(f"{struct}.{member}: was {layout}, the ledger has {then.get(struct, {}).get(member)}")
    print("\n".join(wrong))
    return 1 if wrong else 0


def check32(ledger, compiler, include):
    """Compiled only: no C library for 32 bits is needed for that."""
    code = ["#include <stddef.h>"] + [f'#include "otagate/{name}.h"' for name in ("plugin", "storage", "transport")]
    for struct, entries in tomllib.loads(pathlib.Path(ledger).read_text()).items():
        for member, (offset, _, _) in entries.items():
            code.append(f'_Static_assert(offsetof({struct}, {member}) == {offset}, "{struct}.{member}");')
    flag = "-m32" if os.uname().machine == "x86_64" else None
    if not flag:
        print("skipped: this machine's compiler has no 32-bit mode")
        return 77
    return subprocess.run([compiler, flag, "-std=c11", "-ffreestanding", "-fsyntax-only", "-I", include, "-x", "c", "-"],
                          input="\n".join(code) + "\n", text=True, check=False).returncode


def main():
    what, *rest = sys.argv[1:]
    if what == "members":
        emit_c(rest)
    elif what == "ledger":
        emit_ledger(rest[0], rest[1], rest[2] if len(rest) > 2 else None)
    else:
        sys.exit({"compare": compare, "older": older, "check32": check32}[what](*rest))


if __name__ == "__main__":
    main()
