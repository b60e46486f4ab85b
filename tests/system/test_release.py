"""What is promised of the packages and the unit without building one."""
import pathlib
import re
import subprocess

from support import tools

TREE = tools.TREE


def build_deb(*arguments):
    return subprocess.run([TREE / "packaging/build-deb", *arguments], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL)


def test_32_bit_is_refused_with_one_sentence():
    for arch in ("armhf", "armel", "i386"):
        done = build_deb("--arch", arch)
        assert done.returncode == 64
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1 and "32-bit" in done.stderr


def test_unknown_suites_and_architectures_are_refused():
    for wrong in (("--suite", "buster"), ("--arch", "riscv64")):
        done = build_deb(*wrong)
        assert done.returncode == 64 and "there are" in done.stderr


def test_the_readme_installs_exactly_the_files_that_are_built():
    section = (TREE / "README.md").read_text(encoding="utf-8").split("## On a Raspberry Pi")[1].split("\n## ")[0]
    named = set(re.findall(r"\./(otagate\S*\.deb)", section))
    built = set(build_deb("--list", "--suite", "bookworm", "--arch", "arm64").stdout.split())
    assert named == {name for name in built if "sdk" not in name}
    assert "./dev deb --suite bookworm --arch arm64" in section


def test_the_unit_is_confined():
    analyze = tools.need("systemd-analyze")
    done = subprocess.run([analyze, "security", "--offline=true", "--no-pager", "--threshold=12",
                           pathlib.Path(TREE / "systemd/otagated.service")],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-400:] + done.stderr
    score = re.search(r"Overall exposure level for otagated.service: ([0-9.]+)", done.stdout)
    assert score and float(score[1]) <= 1.2
