#!/bin/sh
# install_test - installs the library as a distribution would, and uses it as a stranger would: by pkg-config and cc.
# The argument is the checkout.
set -eu

root=$(CDPATH='' cd -- "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
strict='-std=c11 -Wall -Wextra -pedantic-errors -Werror -D_POSIX_C_SOURCE=200809L'
checks=0

die() { printf 'install_test: %s\n' "$*" >&2; exit 1; }
same() { # WHAT EXPECTED FOUND
  [ "$2" = "$3" ] || die "$1: expected
$2
and found
$3"
  checks=$((checks + 1))
}
refuse() { # WHAT COMMAND...
  what=$1
  shift
  if "$@" > "$work/output" 2>&1; then die "$what: this should have failed: $*"; fi
  checks=$((checks + 1))
}
package() { PKG_CONFIG_PATH=$1/lib/pkgconfig pkg-config "$2" ipc-ref; }
exported() { nm --dynamic --defined-only --format=posix "$1" | cut -d ' ' -f 1 | grep -v '^_' | LC_ALL=C sort; }
# The functions whose gates are among the arguments.
functions() {
  {
    echo ipc_get_table
    sed -n '/^#ifdef _WIN32$/,/^#endif$/d; s/^IPC_SLOT([0-9]*, \([a-z_]*\), "\([a-z ]*\)")$/ipc_\1 \2/p' "$root/ref/common/gates.inc" |
      awk -v on=" $* " '{ for (i = 2; i <= NF; i++) if (index(on, " " $i " ") == 0) next; print $1 }'
  } | LC_ALL=C sort
}

# As a package is made: everything below DESTDIR, nothing where it will live.
"$root/ref/install.sh" --prefix "$work/nowhere" --libdir "$work/nowhere/lib64" --destdir "$work/package"
[ ! -e "$work/nowhere" ] || die 'something was put where it will live'
minor=$(sed -n 's/^#define IPC_ABI_MINOR \([0-9]*\)u$/\1/p' "$root/spec/include/ipc/table.h")
same 'the files' "$(
  {
    for header in "$root"/spec/include/ipc/*.h; do echo "./include/ipc/$(basename "$header")"; done
    printf './lib64/%s\n' libipc_ref.a libipc_ref.so libipc_ref.so.1 "libipc_ref.so.1.$minor.0" pkgconfig/ipc-ref.pc
  } | LC_ALL=C sort
)" "$(cd "$work/package$work/nowhere" && find . ! -type d | LC_ALL=C sort)"
refuse 'a relative prefix' "$root/ref/install.sh" --prefix here
refuse 'an unknown option' "$root/ref/install.sh" --without-everything

# With everything: the names, the links, what programs find.
all=$work/all
"$root/ref/install.sh" --prefix "$all" --with-async
shared=$all/lib/libipc_ref.so
same 'the soname' 'libipc_ref.so.1' "$(readelf --dynamic "$shared" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')"
same 'where the links lead' "libipc_ref.so.1 libipc_ref.so.1.$minor.0" \
  "$(readlink "$shared") $(readlink "$all/lib/libipc_ref.so.1")"
same 'what is exported' "$(functions signals async nonblocking)" "$(exported "$shared")"
same 'pkg-config --cflags' "-I$all/include" "$(package "$all" --cflags | sed 's/ *$//')"
case $(PKG_CONFIG_PATH=$all/lib/pkgconfig pkg-config --static --libs ipc-ref) in
  *-pthread*) checks=$((checks + 1)) ;;
  *) die 'a static program is not told of -pthread' ;;
esac

for header in "$all"/include/ipc/*.h; do
  name=$(basename "$header")
  printf '#include <ipc/%s>\nint used(void);\n' "$name" > "$work/header.c"
  cp "$work/header.c" "$work/header.cc"
  # shellcheck disable=SC2086,SC2046 # a word is an option
  cc $strict $(package "$all" --cflags) -fsyntax-only "$work/header.c" || die "$name stands not alone in C"
  # shellcheck disable=SC2046
  c++ -std=c++11 -Wall -Wextra -pedantic-errors -Werror $(package "$all" --cflags) -fsyntax-only "$work/header.cc" ||
    die "$name stands not alone in C++"
  checks=$((checks + 2))
done

# Every example, with both libraries.
examples=0
for source in "$root"/ref/examples/*.c; do
  name=$(basename "$source" .c)
  # shellcheck disable=SC2086,SC2046
  cc $strict -o "$work/$name" "$source" $(package "$all" --cflags) $(package "$all" --libs)
  (cd "$work" && LD_LIBRARY_PATH=$all/lib timeout 60 "./$name") || die "$name fails with the shared library"
  # shellcheck disable=SC2086,SC2046
  cc $strict -o "$work/$name" "$source" $(package "$all" --cflags) "$all/lib/libipc_ref.a" -pthread
  (cd "$work" && timeout 60 "./$name") || die "$name fails with the static library"
  checks=$((checks + 2))
  examples=$((examples + 1))
done
[ "$examples" -ge 4 ] || die "only $examples examples were found"

# With nothing that can be left out: gone from the library, and from the headers of whoever asks pkg-config.
none=$work/none
"$root/ref/install.sh" --prefix "$none" --without-signals --without-nonblocking
same 'what is exported without gates' "$(functions)" "$(exported "$none/lib/libipc_ref.so")"
printf '#include <ipc/ipc.h>\nint main(void) { return ipc_stream_set_nonblocking(0, 0).code == 0; }\n' > "$work/gated.c"
# shellcheck disable=SC2086,SC2046
cc $strict -o "$work/gated" "$work/gated.c" $(package "$all" --cflags) $(package "$all" --libs)
# shellcheck disable=SC2086,SC2046
refuse 'a gated function' cc $strict -o "$work/gated" "$work/gated.c" $(package "$none" --cflags) $(package "$none" --libs)
echo "$checks checks"
