# shellcheck shell=sh
# Sourced by ./dev: test tools that Debian lacks, built once into a cache outside the tree.
# A tool that cannot be had leaves <cache>/<tool>.missing with the reason; the tests that need it
# are then skipped with that reason, or fail under CI=true.

OTAGATE_TEST_CACHE=${OTAGATE_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/otagate-test}
export OTAGATE_TEST_CACHE
# shellcheck source=tests/tools/versions
. tests/tools/versions

# The interpreter for tests and benchmarks: that of the cache, else the system's.
test_python() {
  if [ -x "$OTAGATE_TEST_CACHE/venv/bin/python3" ]; then
    echo "$OTAGATE_TEST_CACHE/venv/bin/python3"
  else
    echo python3
  fi
}

install_test_tools() {
  mkdir -p "$OTAGATE_TEST_CACHE"
  tool_once venv "pytest=$PYTEST timeout=$PYTEST_TIMEOUT boto3=$BOTO3 azure=$AZURE_STORAGE_BLOB aiocoap=$AIOCOAP jsonschema=$JSONSCHEMA" install_venv
  tool_once versitygw "$VERSITYGW" install_versitygw
  tool_once rauc-hawkbit-client "$RAUC_HAWKBIT aiohttp=$AIOHTTP gbulb=$GBULB" install_rauc_hawkbit
  tool_once drgdfu "$DRGDFU" install_drgdfu
  tool_once azurite-blob "$AZURITE" install_azurite
  tool_once hawkbit "$HAWKBIT" install_hawkbit
  tool_once registry "$DISTRIBUTION" install_registry
  tool_once crane "$CRANE" install_crane
  tool_once docker-registry "$(debian_codename)" install_docker_registry
}

# tool_once NAME VERSION FUNCTION: runs FUNCTION unless that version is there already.
tool_once() {
  stamp=$OTAGATE_TEST_CACHE/$1.installed
  missing=$OTAGATE_TEST_CACHE/$1.missing
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$2" ]; then
    return 0
  fi
  say "installing test tool $1 ($2) into $OTAGATE_TEST_CACHE"
  rm -f "$stamp" "$missing"
  if "$3" >"$OTAGATE_TEST_CACHE/$1.log" 2>&1; then
    echo "$2" >"$stamp"
  else
    echo "$1 $2 could not be installed: $(tail -n 1 "$OTAGATE_TEST_CACHE/$1.log")" >"$missing"
    say "$(cat "$missing") (all of it in $OTAGATE_TEST_CACHE/$1.log); its tests will be skipped"
    [ "${CI:-}" != true ] || tail -n 30 "$OTAGATE_TEST_CACHE/$1.log" >&2
  fi
}

install_venv() {
  rm -rf "$OTAGATE_TEST_CACHE/venv"
  /usr/bin/python3 -m venv "$OTAGATE_TEST_CACHE/venv" || return 1
  "$OTAGATE_TEST_CACHE/venv/bin/pip" install --quiet --disable-pip-version-check \
    "pytest==$PYTEST" "pytest-timeout==$PYTEST_TIMEOUT" "boto3==$BOTO3" "azure-storage-blob==$AZURE_STORAGE_BLOB" \
    "aiocoap==$AIOCOAP" "jsonschema==$JSONSCHEMA"
}

# It talks to D-Bus by GObject's bindings, which are Debian's: what else it needs must not pull in its own.
install_rauc_hawkbit() {
  folder=$OTAGATE_TEST_CACHE/rauc-hawkbit
  rm -rf "$folder"
  /usr/bin/python3 -m venv --system-site-packages "$folder" || return 1
  "$folder/bin/pip" install --quiet --disable-pip-version-check "aiohttp==$AIOHTTP" || return 1
  "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    "rauc-hawkbit==$RAUC_HAWKBIT" "gbulb==$GBULB" || return 1
  mkdir -p "$OTAGATE_TEST_CACHE/bin"
  ln -sf "$folder/bin/rauc-hawkbit-client" "$OTAGATE_TEST_CACHE/bin/rauc-hawkbit-client"
  "$folder/bin/python" -c 'import rauc_hawkbit.rauc_dbus_ddi_client, gbulb'
}

install_versitygw() {
  go_install "github.com/versity/versitygw/cmd/versitygw@$VERSITYGW" &&
    "$OTAGATE_TEST_CACHE/bin/versitygw" --version
}

# Distribution version 3, the reference registry.
install_registry() {
  go_install "github.com/distribution/distribution/v3/cmd/registry@$DISTRIBUTION" &&
    "$OTAGATE_TEST_CACHE/bin/registry" --version
}

install_crane() {
  go_install "github.com/google/go-containerregistry/cmd/crane@$CRANE" && "$OTAGATE_TEST_CACHE/bin/crane" version
}

# Debian's package of version 2. Unpacked and not installed: it would start a service on port 5000.
install_docker_registry() {
  root=$OTAGATE_TEST_CACHE/docker-registry
  rm -rf "$root"
  mkdir -p "$root" "$OTAGATE_TEST_CACHE/bin"
  (cd "$root" && apt-get download docker-registry) || return 1
  dpkg-deb -x "$root"/docker-registry_*.deb "$root" || return 1
  ln -sf "$root/usr/bin/docker-registry" "$OTAGATE_TEST_CACHE/bin/docker-registry"
  "$OTAGATE_TEST_CACHE/bin/docker-registry" --version
}

# go_install PACKAGE@VERSION: into the cache.
go_install() {
  go=$(find_go) || return 1
  GOBIN=$OTAGATE_TEST_CACHE/bin GOTOOLCHAIN=auto GOFLAGS=-mod=mod CGO_ENABLED=0 "$go" install "$1"
}

install_azurite() {
  command -v npm >/dev/null || {
    echo "npm is not installed (Debian package npm)"
    return 1
  }
  rm -rf "$OTAGATE_TEST_CACHE/azurite"
  mkdir -p "$OTAGATE_TEST_CACHE/azurite" "$OTAGATE_TEST_CACHE/bin" || return 1
  npm install --silent --no-audit --no-fund --prefix "$OTAGATE_TEST_CACHE/azurite" "azurite@$AZURITE" || return 1
  ln -sf ../azurite/node_modules/.bin/azurite-blob "$OTAGATE_TEST_CACHE/bin/azurite-blob" || return 1
  "$OTAGATE_TEST_CACHE/bin/azurite-blob" --version
}

# Compiles tests/support/hawkbit beside the cache's own repository of what it needs (365 MB) and leaves the
# class path it is run by. Debian: maven, openjdk-17-jdk-headless.
install_hawkbit() {
  for tool in mvn javac; do
    command -v "$tool" >/dev/null || {
      echo "no $tool (Debian: apt-get install maven openjdk-17-jdk-headless)"
      return 1
    }
  done
  rm -rf "$OTAGATE_TEST_CACHE/hawkbit"
  cp -R tests/support/hawkbit "$OTAGATE_TEST_CACHE/hawkbit" || return 1
  (
    cd "$OTAGATE_TEST_CACHE/hawkbit" || exit 1
    mvn --batch-mode --quiet "-Dmaven.repo.local=$OTAGATE_TEST_CACHE/m2" -Dmdep.outputFile=libraries \
      compile dependency:build-classpath || exit 1
    test -s libraries && echo "$PWD/target/classes:$(cat libraries)" >classpath
  )
}

# Path of a Go that can fetch newer toolchains (1.21 or later). Debian 12's own cannot; then the
# backport is unpacked into the cache, so that neither packages nor apt sources of the machine change.
find_go() {
  for candidate in go /usr/local/go/bin/go /usr/lib/go-1.*/bin/go \
    "$OTAGATE_TEST_CACHE"/go/usr/lib/go-1.*/bin/go; do
    command -v "$candidate" >/dev/null || continue
    case $(GOTOOLCHAIN=local "$candidate" version) in
      *go1.[0-9].* | *go1.1[0-9]* | *go1.20*) ;;
      *)
        command -v "$candidate"
        return 0
        ;;
    esac
  done
  unpack_go_backport >&2 || return 1
  set -- "$OTAGATE_TEST_CACHE"/go/usr/lib/go-1.*/bin/go
  [ -x "$1" ] && echo "$1"
}

unpack_go_backport() {
  unpack_packages "$(debian_codename)-backports" "$OTAGATE_TEST_CACHE/go" "$GO_BACKPORT-go" "$GO_BACKPORT-src"
}

# unpack_packages SUITE FOLDER PACKAGE...: with an apt state of its own, from this machine's mirror; nothing is
# installed.
unpack_packages() {
  suite=$1 folder=$2
  shift 2
  # shellcheck disable=SC2016 # the field is apt's
  mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' | sed -n "s, $(debian_codename)\$,,p" | head -n 1)
  [ -n "$mirror" ] || {
    echo "no apt source for $(debian_codename), so nothing of $suite can be had"
    return 1
  }
  root=$OTAGATE_TEST_CACHE/apt-$suite
  mkdir -p "$root/lists/partial" "$root/cache/archives/partial"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$root/sources.list"
  apt_here() {
    apt-get -o "Dir::Etc::sourcelist=$root/sources.list" -o Dir::Etc::sourceparts=/dev/null \
      -o "Dir::State::lists=$root/lists" -o "Dir::Cache=$root/cache" -o APT::Sandbox::User=root "$@"
  }
  rm -f "$root"/*.deb
  apt_here update && (cd "$root" && apt_here download "$@") || return 1
  rm -rf "$folder"
  for package in "$root"/*.deb; do
    dpkg-deb -x "$package" "$folder" || return 1
  done
  rm -rf "$root"
}

# It was written for a compiler of September 2022 with what was unstable then; later ones do not take it any more.
# Debian 12's compiler is of that time, and RUSTC_BOOTSTRAP lets it take the same. Only the binary stays.
install_drgdfu() {
  rust=$OTAGATE_TEST_CACHE/rust
  unpack_packages bookworm "$rust" rustc cargo libstd-rust-1.63 libstd-rust-dev libllvm14 libgit2-1.5 \
    libhttp-parser2.9 libmbedcrypto7 libmbedtls14 libmbedx509-1 libssh2-1 || return 1
  # What was a feature to be asked for in this compiler, and a matter of course in the one of then.
  cat >"$rust/wrapper" <<'END'
#!/bin/sh
case " $* " in
  *" --crate-name drgdfu "* | *" --crate-name embedded_update "* | *" --crate-name embedded_hal_async "*)
    exec "$@" "-Zcrate-attr=feature(generic_associated_types)" ;;
  *) exec "$@" ;;
esac
END
  chmod +x "$rust/wrapper"
  for libraries in "$rust"/usr/lib/*-linux-gnu; do
    LD_LIBRARY_PATH=$libraries CARGO_HOME=$rust/cargo RUSTC=$rust/usr/bin/rustc RUSTC_WRAPPER=$rust/wrapper \
      RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_SPARSE_REGISTRY=true CARGO_TARGET_DIR=$rust/target \
      "$rust/usr/bin/cargo" install drgdfu --version "$DRGDFU" --locked --no-default-features --debug \
      --root "$rust/made" || return 1
  done
  mkdir -p "$OTAGATE_TEST_CACHE/bin"
  cp "$rust/made/bin/drgdfu" "$OTAGATE_TEST_CACHE/bin/" || return 1
  rm -rf "$rust"
  "$OTAGATE_TEST_CACHE/bin/drgdfu" --help
}
