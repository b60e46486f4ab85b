# shellcheck shell=sh
# Sourced by ./dev: which Debian packages each purpose needs, and how they get installed.

debian_codename() {
  # shellcheck source=/dev/null
  (. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}")
}

# packages_for PURPOSE: one line of package names for this Debian release.
packages_for() {
  case $(debian_codename) in
    bookworm) boost=1.81 llvm=14 jdk=17 ;;
    *) boost=1.83 llvm=19 jdk=21 ;;
  esac
  case $1 in
    build)
      echo "ca-certificates ccache cmake g++ mold ninja-build pkg-config python3" \
        "libboost$boost-dev libboost-json$boost-dev libboost-url$boost-dev" \
        "libboost-system$boost-dev" \
        "libcbor-dev libcli11-dev libcoap3-dev libcsv-dev libcurl4-openssl-dev libexpected-dev libfmt-dev" \
        "libarchive-dev libpugixml-dev libspdlog-dev libsqlite3-dev libssl-dev libsystemd-dev libtomlplusplus-dev" \
        "prometheus-cpp-dev rapidjson-dev"
      ;;
    test)
      echo "attr clang curl dbus faketime git libcoap3-bin libfuse3-dev fuse3 libgmock-dev libgtest-dev" \
        "maven minisign nginx-light openjdk-$jdk-jdk-headless openssl procps python3-gi python3-venv skopeo" \
        "sqlite3 swupdate util-linux wget"
      # Others' packages of Node.js bring it along and conflict with Debian's.
      command -v npm >/dev/null || echo npm
      ;;
    run) echo "curl libcoap3-bin" ;;
    lint) echo "clang clang-format clang-tidy clang-tools shellcheck git" ;;
    fuzz) echo "clang libclang-rt-$llvm-dev lld" ;;
    bench) echo "libbenchmark-dev libcoap3-bin nginx-light procps python3-venv rclone sqlite3 varnish wrk" ;;
    deb) echo "build-essential debhelper dpkg-dev zlib1g-dev" ;;
    roots) echo "mmdebstrap systemd-container" ;;
    emulation) echo "arch-test qemu-user-static" ;;
    *) die "no package list for '$1'" ;;
  esac
}

# Names of the given packages that are not installed.
missing_packages() {
  # shellcheck disable=SC2016 # the fields are dpkg-query's, not the shell's
  installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
    sed -n 's/^installed //p')
  for package in "$@"; do
    case "
$installed
" in
      *"
$package
"*) ;;
      *) echo "$package" ;;
    esac
  done
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root for: $*; run that as root, then try again"
  fi
}

# need_packages PURPOSE...: installs what is missing; silent when nothing is.
need_packages() {
  wanted=
  for purpose in "$@"; do
    wanted="$wanted $(packages_for "$purpose")"
  done
  if ! command -v dpkg-query >/dev/null; then
    say "this is not Debian: make sure that the equivalents of these are installed:$wanted"
    return 0
  fi
  # shellcheck disable=SC2086 # a list of words
  missing=$(missing_packages $wanted | sort -u | tr '\n' ' ')
  [ -n "$missing" ] || return 0
  say "installing Debian packages (as root$([ "$(id -u)" = 0 ] || echo ', through sudo')): $missing"
  as_root apt-get update -qq
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing \
    >/dev/null || die "apt-get could not install: $missing"
}
