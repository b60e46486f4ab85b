# shellcheck shell=sh
# Sourced by ./dev: the lint gates. Each prints what is wrong and where; lint_all fails if any does.

# Files git knows or would add, so that nothing under build/ or .demo/ is looked at.
tree_files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ ! -f "$f" ] || echo "$f"; done; }
cxx_files() { tree_files '*.cpp' '*.hpp' '*.c' '*.h'; }
# By name or by its first line.
shell_files() {
  tree_files '*.sh'
  tree_files | grep -v '\.[a-z]*$' | while read -r file; do
    case $(head -n 1 "$file" | tr -d '\0') in
      '#!/bin/sh'* | '#!/usr/bin/env bash'* | '#!/bin/bash'*) echo "$file" ;;
    esac
  done
}

# Releases of clang-format differ in what they make of the same style, so one is pinned: Debian 12's.
# Elsewhere that release comes from PyPI into the tool cache.
clang_format() {
  case $(clang-format --version) in
    *"version ${CLANG_FORMAT%%.*}."*) clang-format "$@" ;;
    *) "$OTAGATE_TEST_CACHE/clang-format/bin/clang-format" "$@" ;;
  esac
}
install_clang_format() {
  /usr/bin/python3 -m venv "$OTAGATE_TEST_CACHE/clang-format" &&
    "$OTAGATE_TEST_CACHE/clang-format/bin/pip" install --quiet "clang-format==$CLANG_FORMAT"
}
need_clang_format() {
  # shellcheck source=dev.d/testtools.sh
  . dev.d/testtools.sh
  mkdir -p "$OTAGATE_TEST_CACHE"
  case $(clang-format --version) in
    *"version ${CLANG_FORMAT%%.*}."*) ;;
    *)
      tool_once clang-format "$CLANG_FORMAT" install_clang_format
      [ -f "$OTAGATE_TEST_CACHE/clang-format.installed" ] ||
        die "formatting is checked with clang-format $CLANG_FORMAT only"
      ;;
  esac
}

gate() {
  say "lint: $1"
  shift
  "$@" || lint_status=1
}

# One line a file; ./dev fmt mends them.
lint_format() {
  found=$(cxx_files_format --dry-run -Werror 2>&1) && return 0
  echo "$found" | sed -n 's/^\(.*\):[0-9]*:[0-9]*: error: code should be clang-formatted.*/\1/p' | sort | uniq -c |
    sed 's/^ *\([0-9]*\) \(.*\)/\2: not formatted in \1 places; run .\/dev fmt/'
  return 1
}
cxx_files_format() {
  # shellcheck disable=SC2046 # paths of this tree have no blanks; a gate below says so if one had
  clang_format "$@" $(cxx_files)
}

# clang-tidy and the coroutine gate read the commands of a clang build, which is configured only.
lint_database() {
  if [ ! -f build/lint/build.ninja ]; then
    cmake --preset debug -B build/lint -DOTAGATE_TESTS=OFF -DOTAGATE_PCH=OFF ${OTAGATE_UNITY:+-DCMAKE_UNITY_BUILD=ON} \
      -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ >build/lint.log 2>&1 || {
      cat build/lint.log
      return 1
    }
  else
    cmake build/lint >build/lint.log 2>&1
  fi
}
lint_tidy() { python3 dev.d/tidy build/lint --jobs "$(jobs_wanted)" "$@"; }
lint_coroutines() { python3 dev.d/coroutines --self-test && python3 dev.d/coroutines build/lint; }
lint_arrows() { python3 tests/arrows/check . && python3 tests/arrows/self_test; }
lint_shell() {
  # shellcheck disable=SC2046
  shellcheck -x $(shell_files)
}
lint_python() {
  # shellcheck disable=SC2046
  python3 -B -c 'import ast, sys
for path in sys.argv[1:]:
    ast.parse(open(path, encoding="utf-8").read(), path)' $(tree_files '*.py')
}
lint_habits() { python3 dev.d/habits; }

lint_all() {
  lint_status=0
  mkdir -p build
  need_clang_format
  gate "formatting" lint_format
  gate "include arrows" lint_arrows
  gate "shellcheck" lint_shell
  gate "python syntax" lint_python
  gate "habits" lint_habits
  gate "compile commands" lint_database
  gate "coroutine forms that GCC 12 miscompiles" lint_coroutines
  # With OTAGATE_TIDY=advise its findings are shown and do not count.
  if [ "${OTAGATE_TIDY:-}" = advise ]; then
    lint_tidy "$@" || say "lint: clang-tidy has findings, which do not count here"
  else
    gate "clang-tidy" lint_tidy "$@"
  fi
  [ "$lint_status" = 0 ] || die "lint found something (see above)"
  say "lint: clean"
}
