#!/bin/sh
# run_wine PROGRAM ARGUMENTS... - runs a Windows program of Bazel's on Linux, any other as it is. For --run_under.
#
# Each call has a registry and a wineserver of its own, in Bazel's temporary directory of the test, and shares the files of
# the prefix that `ci/wine --prepare` made, so calls do not see each other and nothing is left behind.
case $1 in
  *.exe) ;;
  *) exec "$@" ;;
esac
template=${WINE_TEMPLATE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/ipc-cts/wine}
[ -f "$template/system.reg" ] || { echo "run_wine: there is no prefix at $template: make it with ci/wine --prepare" >&2; exit 2; }
own=${TEST_TMPDIR:?}
# The locale says how Wine writes names of files: without UTF-8 it has no others than ASCII.
export WINEDEBUG=-all WINEPREFIX="$own/wine" HOME="$own" LC_ALL=C.UTF-8
unset DISPLAY
mkdir -p "$WINEPREFIX/dosdevices"
cp "$template"/*.reg "$template/.update-timestamp" "$WINEPREFIX/"
ln -sfn "$template/drive_c" "$WINEPREFIX/drive_c"
ln -sfn ../drive_c "$WINEPREFIX/dosdevices/c:"
ln -sfn / "$WINEPREFIX/dosdevices/z:"

windows_path() { printf 'Z:%s' "$1" | tr / '\\'; }
# What GoogleTest writes to by itself, and Bazel's word for "shards are supported".
[ -z "${XML_OUTPUT_FILE-}" ] || XML_OUTPUT_FILE=$(windows_path "$XML_OUTPUT_FILE")
[ -z "${TEST_PREMATURE_EXIT_FILE-}" ] || TEST_PREMATURE_EXIT_FILE=$(windows_path "$TEST_PREMATURE_EXIT_FILE")
if [ -n "${TEST_SHARD_STATUS_FILE-}" ]; then
  : >"$TEST_SHARD_STATUS_FILE"
  TEST_SHARD_STATUS_FILE=$(windows_path "$TEST_SHARD_STATUS_FILE")
fi
TEST_TMPDIR=$(windows_path "$own")
trap 'wineserver -k' EXIT
wine "$@"
