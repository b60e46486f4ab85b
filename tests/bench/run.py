#!/usr/bin/env python3
"""Runs bench_<name>.py files against a release build, prints a table, writes <out>/<name>.json.

usage: run.py --build DIR --out DIR [--rounds N] [NAME...]

A bench file defines run(bench); see benchlib.Bench. Exit code: 0 all bars held, 1 one was missed,
2 a benchmark could not run.
"""
import argparse
import importlib.util
import pathlib
import sys
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from benchlib import Bench, Unavailable  # noqa: E402


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    parser = argparse.ArgumentParser(description="otagate's benchmarks against their peers")
    parser.add_argument("--build", type=pathlib.Path, required=True, help="a release build tree")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="alternating rounds, at least 5 for a verdict")
    parser.add_argument("--only", help="a regular expression: compare only the rows whose name it is found in")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()

    files = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = [name for name in arguments.names if name not in files]
    if unknown:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(files) or 'none'}")
    arguments.out.mkdir(parents=True, exist_ok=True)

    missed = broken = 0
    for name in arguments.names or files:
        print(f"\n{name}", flush=True)
        bench = Bench(arguments.build.resolve(), rounds=arguments.rounds, only=arguments.only)
        try:
            load(files[name]).run(bench)
        except Unavailable as reason:
            print(f"  not measured: {reason}")
            broken += 1
        except Exception:
            traceback.print_exc()
            broken += 1
        finally:
            bench.close()
        bench.print_table()
        bench.write(arguments.out / f"{name}.json")
        missed += sum(1 for row in bench.rows if row["ok"] is False)
    return 2 if broken else 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
