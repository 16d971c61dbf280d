#!/bin/sh
# usage: surroundings.sh HOSTNAME UMASK PROGRAM ARGUMENT…: runs a program under another host name (its own UTS namespace) and umask
set -eu
hostname "$1"
umask "$2"
shift 2
exec "$@"
