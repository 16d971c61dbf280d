# Sourced by the launcher, which answers `bronze build` by itself where nothing has changed since the last one; run with a
# folder as its argument by the command, which records what the project looks like then. Starting Node alone takes longer.

# bronze_look: how everything looks that a build of this folder reads, or that tells git what is committed here; not what is
# in it. Any change gives a file another time of change, which no program can set, or another inode.
bronze_look() {
  LC_ALL=C find . .git/HEAD .git/index .git/config .git/config.worktree .git/packed-refs .git/info .git/refs .git/reftable \
    /etc/gitconfig "${HOME-}/.gitconfig" "${XDG_CONFIG_HOME-${HOME-}/.config}/git" \
    -path ./.git -prune -o -printf '%y %p %m %U %G %D %i %s %T@ %C@\n' 2>/dev/null
}

# bronze_is_steered: whether variables steer a build, or what git says of a commit: that is for the command to look at.
bronze_is_steered() (
  set -f
  IFS="
"
  for variable in $(set); do
    case $variable in
      GIT_SSL_* | GIT_SSH* | GIT_ASKPASS=* | GIT_EDITOR=* | GIT_PAGER=* | GIT_TERMINAL_PROMPT=*) ;;
      GIT_* | SOURCE_DATE_EPOCH=*) exit 0 ;;
    esac
  done
  exit 1
)

# bronze_unchanged ROOT STATE: succeeds, with what `bronze build` prints, where the record of the last build still holds.
bronze_unchanged() {
  bronze_is_steered && return 1
  here=$(pwd -P)
  record=$2/cache/unchanged/$(IFS=/ && set -f && set -- $here && IFS=% && printf %s "$*")
  [ -f "$record" ] && [ "$record" -nt "$1/dist/.bundled" ] && [ "$record" -nt "$1/scripts/unchanged.sh" ] || return 1
  said=
  digest=
  size=
  while read -r kind value; do
    case $kind in
      size) size=$value ;;
      folder) [ "$value" = "$here" ] || return 1 ;;
      digest) digest=$value ;;
      tag) read -r tagged <"$value" && [ "$tagged" = "$digest" ] || return 1 ;;
      blob) [ -f "$value" ] || return 1 ;;
      say) said=$said$value'
' ;;
      end) break ;;
      *) return 1 ;;
    esac
  done <"$record"
  [ "$kind" = end ] && bronze_look | cmp -s -i "0:$size" - "$record" 2>/dev/null || return 1
  printf %s "$said" >&2
  printf '%s\n' "$digest"
}

if [ "${0##*/}" = unchanged.sh ]; then
  cd -- "$1"
  bronze_is_steered || bronze_look
fi
