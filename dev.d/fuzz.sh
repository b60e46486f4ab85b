# shellcheck shell=sh
# Sourced by ./dev: runs the libFuzzer targets of build/fuzz.

# run_fuzzers TARGET SECONDS: one target, or each of them when TARGET is empty. New inputs are kept in
# build/fuzz/corpus/<target>; a crash leaves its input in build/fuzz/crashes/ and fails.
run_fuzzers() {
  found=
  failed=
  for program in build/fuzz/fuzz/fuzz_*; do
    [ -x "$program" ] || continue
    name=${program##*/fuzz_}
    [ -z "$1" ] || [ "$1" = "$name" ] || continue
    found=yes
    say "fuzzing $name for $2 s"
    mkdir -p "build/fuzz/corpus/$name" build/fuzz/crashes
    set -- "$1" "$2" "build/fuzz/corpus/$name"
    [ ! -d "tests/fuzz/corpus/$name" ] || set -- "$@" "tests/fuzz/corpus/$name"
    (
      limit=$2
      shift 2
      exec "$program" "-max_total_time=$limit" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        "-artifact_prefix=build/fuzz/crashes/$name-" "$@"
    ) || failed="$failed $name"
  done
  [ -n "$found" ] || die "no fuzz target '$1'; there are: $(cd build/fuzz/fuzz 2>/dev/null && echo fuzz_* | sed 's/fuzz_//g')"
  [ -z "$failed" ] || die "found crashes in:$failed (inputs in build/fuzz/crashes/; copy them to tests/fuzz/corpus/)"
}
