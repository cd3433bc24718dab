#!/bin/sh
# build.sh OUT - fetches the libraries, whose files must be those of package-lock.json, and puts the peer beside them.
set -eu
here=$(dirname "$0")
out=$1
mkdir -p "$out"
cp "$here/package.json" "$here/package-lock.json" "$here/peer.mjs" "$out"
cd "$out"
npm ci --ignore-scripts --no-audit --no-fund --silent
