#!/bin/bash -eu
# Builds the fuzz targets as OSS-Fuzz and ClusterFuzzLite ask for it, without Bazel: $OUT gets TARGET, its seed corpus,
# options and dictionary. The environment is theirs: $CC $CXX $CFLAGS $CXXFLAGS $LIB_FUZZING_ENGINE $OUT; objects go to
# $WORK, if that is set. https://google.github.io/oss-fuzz/getting-started/new-project-guide/#buildsh
#
# Besides a compiler it takes python3 and the header of nlohmann-json3-dev. Another fuzzer's driver serves as well:
#   CC=afl-clang-fast CXX=afl-clang-fast++ LIB_FUZZING_ENGINE=-fsanitize=fuzzer OUT=/tmp/out fuzz/oss_fuzz/build.sh
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
: "${CC:?}" "${CXX:?}" "${LIB_FUZZING_ENGINE:?}" "${OUT:?}"
CFLAGS=${CFLAGS-}
CXXFLAGS=${CXXFLAGS-}
objects=$(mktemp -d "${WORK:-${TMPDIR:-/tmp}}/ipc-fuzz-XXXXXX")
trap 'rm -rf "$objects"' EXIT
export CC CXX CFLAGS CXXFLAGS objects

# What each target is made of, besides TARGET.cc and the reference: as in fuzz/BUILD.bazel.
targets='
ancillary_decode
frame_decode fuzz/framing_model.cc
hostile_peer fuzz/framing_model.cc fuzz/hostile_process.cc
name_parse
peer_protocol conformance/support/line.cc conformance/kits/c/tests/kit_internals.c
'

# What is left out, since it compares with other processes, which are not there: it would find no more than frame_decode
# and name_parse. For harness/tests/test_fuzz.py, which asks for every target in one of the two.
# shellcheck disable=SC2034
excluded='
frame_differential
name_differential
'

# What judges and is not to be followed by the fuzzer: as Bazel has it, whose file holds `\\.` for `\.`.
judges=$(sed -n 's/^build:fuzz --per_file_copt=\(.*\)@-fno-sanitize=fuzzer-no-link$/\1/p' .bazelrc | sed 's/\\\\/\\/g')
: "${judges:?}"
export judges

compile() {
  object=$objects/${1//\//_}.o
  unfollowed=
  if [[ $1 =~ $judges && "$CFLAGS $CXXFLAGS" == *fuzzer-no-link* ]]; then unfollowed=-fno-sanitize=fuzzer-no-link; fi
  # The flags are words.
  # shellcheck disable=SC2086
  case $1 in
    *.c) $CC $CFLAGS $unfollowed -std=c11 -I. -Ispec/include -c "$1" -o "$object" ;;
    *) $CXX $CXXFLAGS $unfollowed -std=c++17 -I. -Ispec/include -c "$1" -o "$object" ;;
  esac
}
export -f compile

{
  printf '%s\n' ref/common/*.c ref/posix/*.c ref/linux/*.c
  while read -r target sources; do
    [ -z "$target" ] || printf '%s\n' "fuzz/$target.cc" $sources
  done <<<"$targets"
} | sort -u | xargs -P "$(nproc)" -I{} bash -euc 'compile {}'

mkdir -p "$OUT"
while read -r target sources; do
  [ -n "$target" ] || continue
  linked=("$objects/fuzz_$target.cc.o")
  for source in $sources; do linked+=("$objects/${source//\//_}.o"); done
  # shellcheck disable=SC2086
  $CXX $CXXFLAGS "${linked[@]}" "$objects"/ref_*.o $LIB_FUZZING_ENGINE -pthread -o "$OUT/$target"
  seeds=(fuzz/corpus/"$target"/*)
  [ ! -d "fuzz/regressions/$target" ] || seeds+=(fuzz/regressions/"$target"/*)
  rm -f "$OUT/${target}_seed_corpus.zip"
  python3 -m zipfile -c "$OUT/${target}_seed_corpus.zip" "${seeds[@]}"
  for kind in dict options; do
    [ ! -e "fuzz/$target.$kind" ] || cp "fuzz/$target.$kind" "$OUT/"
  done
done <<<"$targets"
