# shellcheck shell=sh
# Sourced by ./dev: the demo gateway. All of it lies in .demo/, which git ignores.
# The variables move it elsewhere, which is how its test runs beside a real one.

demo=${OTAGATE_DEMO_DIR:-$here/.demo}
demo_cache=${OTAGATE_DEMO_CACHE:-$demo/cache}
demo_http=${OTAGATE_DEMO_HTTP:-127.0.0.1:8080}
demo_coap=${OTAGATE_DEMO_COAP:-127.0.0.1:5683}

# package            file in it              device type      name         sidecar
demo_table() {
  cat <<'TXT'
sigrok-firmware-fx2lafw fx2lafw-hantek-6022be.fw hantek-6022be   fx2lafw      -
firmware-ath9k-htc      htc_9271-1.4.0.fw        ath9k-htc       htc9271      -
firmware-ath9k-htc      htc_7010-1.4.0.fw        ath9k-htc       htc7010      -
opensbi                 fw_jump.bin              riscv64-generic opensbi      sidecar
seabios                 bios-256k.bin            qemu-pc         seabios      -
u-boot-qemu             qemu_arm64/u-boot.bin    qemu-arm64      u-boot       sidecar
ovmf                    OVMF_CODE_4M.fd          qemu-q35        ovmf         sidecar
TXT
}

# "1.4.0-108-gd856466+dfsg1-1.3" -> 1.4.0, "2022.11-6+deb12u2" -> 2022.11.0: the upstream release of a
# Debian version as three numbers without leading zeros, which is what versions are ordered by.
plain_version() {
  echo "$1" | sed 's/^[0-9]*://; s/[^0-9.].*//' |
    awk -F. '{printf "%d.%d.%d\n", $1, $2, $3}'
}

# Path of a package's unpacked content, fetched once.
demo_package() {
  unpacked=$demo_cache/$1
  if [ ! -d "$unpacked" ]; then
    say "fetching the firmware in Debian's $1"
    mkdir -p "$demo_cache/deb"
    (
      cd "$demo_cache/deb" || exit 1
      rm -f "$1"_*.deb
      apt-get -o APT::Sandbox::User=root download -qq "$1" 2>apt.log ||
        { as_root apt-get update -qq && apt-get -o APT::Sandbox::User=root download -qq "$1"; } ||
        die "could not fetch the Debian package $1 for the demo: $(tail -n 1 apt.log)"
    ) >&2
    dpkg-deb -x "$demo_cache/deb/$1"_*.deb "$unpacked.part"
    dpkg-deb -f "$demo_cache/deb/$1"_*.deb Version >"$unpacked.part/version"
    mv "$unpacked.part" "$unpacked"
  fi
  echo "$unpacked"
}

# Fills .demo/firmware; what is there already stays untouched, so that nothing looks republished.
demo_seed() {
  mkdir -p "$demo/firmware" "$demo/run" "$demo/state"
  demo_table | while read -r package file type name sidecar; do
    from=$(demo_package "$package")
    version=$(plain_version "$(cat "$from/version")")
    target=$demo/firmware/$type/$name-$version.bin
    [ ! -f "$target" ] || continue
    source=$(find "$from" -type f -path "*/$file" | sort | head -n 1)
    [ -n "$source" ] || die "the Debian package $package no longer has $file; mend the table in dev.d/demo.sh"
    mkdir -p "$demo/firmware/$type"
    if [ "$sidecar" = sidecar ]; then
      size=$(stat -c %s "$source")
      sum=$(sha256sum "$source" | cut -d ' ' -f 1)
      printf '{"name": "%s", "version": "%s", "type": "%s", "sha256": "%s", "size": %s}\n' \
        "$name" "$version" "$type" "$sum" "$size" >"$target.json.part"
      mv "$target.json.part" "$target.json"
    fi
    cp "$source" "$target.part"
    mv "$target.part" "$target"
  done
}

# demo_config BUILD_DIR
demo_config() {
  cat >"$demo/otagate.toml" <<TXT
# Written by ./dev run at each start; change dev.d/demo.sh, or copy this file.
[daemon]
state_dir = "$demo/state"
plugin_dirs = ["$1/lib/otagate/plugins"]

[api]
socket = "$demo/run/api.sock"
group = ""

[cache]
max_size = "1GiB"
min_free = "64MiB"

[log]
format = "text"

[[store]]
name = "demo"
plugin = "directory"
pattern = ["{type}/{name}-{version}.bin"]
[store.options]
path = "$demo/firmware"

[[transport]]
name = "http"
plugin = "http"
[transport.options]
listen = "$demo_http"
anonymous = true
poll = true
drogue = true
ddi = true

[[transport]]
name = "coap"
plugin = "coap"
[transport.options]
listen = "$demo_coap"
anonymous = true
poll = true
drogue = true
TXT
}

# demo_hints DEVICES
demo_hints() {
  coap="coap-client-notls"
  command -v "$coap" >/dev/null || coap="coap-client"
  small=$(basename "$(ls "$demo"/firmware/ath9k-htc/htc9271-*.bin)" .bin)
  big=$(basename "$(ls "$demo"/firmware/qemu-q35/ovmf-*.bin)" .bin)
  cat <<TXT

  The demo's firmware lies in ${demo#"$here/"}/firmware/; drop a file TYPE/NAME-VERSION.bin there to serve it.
  Try in another terminal:

    curl -o ovmf.bin http://$demo_http/firmware/${big%-*}/${big##*-}
    $coap -o htc.bin coap://$demo_coap/firmware/${small%-*}/${small##*-}
    ./dev otagate status
$([ "$1" -eq 0 ] || cat <<MORE

  $1 devices of type ath9k-htc check in with version 1.3.0. See them, update them and watch:

    ./dev otagate devices
    ./dev otagate deploy htc9271 --to type=ath9k-htc --waves 1,50%,100% --wait
MORE
)

  Ctrl-C stops the gateway.

TXT
}

# demo_devices BUILD_DIR DEVICES: the gateway, and devices that end with it.
demo_devices() {
  "$1/bin/otagated" --config "$demo/otagate.toml" &
  gateway=$!
  "$1/bin/otagate-sim" --devices "$2" --url "http://$demo_http" --coap "coap://$demo_coap" \
    --mix poll=2,drogue-http=1,drogue-coap=1,ddi=1 --type ath9k-htc --version 1.3.0 --prefix demo- \
    --poll-interval 5s --flash-rate 20000 2>"$demo/devices.log" &
  fleet=$!
  trap 'kill "$gateway" "$fleet" 2>/dev/null' INT TERM
  status=0
  wait "$gateway" || status=$?
  # A signal ends the first wait at once, the gateway still drains: what it ends with counts.
  while kill -0 "$gateway" 2>/dev/null; do
    status=0
    wait "$gateway" || status=$?
  done
  kill "$fleet" 2>/dev/null || true
  return "$status"
}
