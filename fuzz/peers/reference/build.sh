#!/bin/sh
# build.sh CC OUT - builds the reference's peer with the compiler CC, for whatever machine that is, as OUT.
set -eu
cd "$(dirname "$0")/../../.."
exec "$1" -std=c11 -O1 -Wall -Wextra -static -I. -Ispec/include -o "$2" fuzz/peers/reference/peer.c \
  fuzz/peers/reference/answer.c fuzz/peers/reference/platform.c ref/common/framing.c ref/common/name.c
