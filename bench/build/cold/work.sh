# Counts as far as the file `turns` says, then unpacks a package: work.sh NAME
set -eu
read -r turns <turns
i=0
while [ "$i" -lt "$turns" ]; do i=$((i + 1)); done
mkdir -p "build/$1"
tar -xzf vendor/package-01.tgz -C "build/$1"
