#!/bin/sh
# install.sh - builds the reference implementation and installs it, for programs in C that are built by other means than
# Bazel. It needs a C compiler and the usual tools of a Unix system, and changes nothing but what it installs.
#
#   ref/install.sh --prefix /usr/local
#   ref/install.sh --prefix /usr --libdir /usr/lib/x86_64-linux-gnu --destdir "$PWD/package"
#
# CC, AR, CFLAGS, CPPFLAGS and LDFLAGS in the environment are heeded. What is installed:
#
#   INCLUDEDIR/ipc/*.h            the public headers
#   LIBDIR/libipc_ref.a           the static library
#   LIBDIR/libipc_ref.so.1.N.0    the shared one, N the minor version of the C ABI; libipc_ref.so.1 and libipc_ref.so
#                                 lead there (on macOS: libipc_ref.1.dylib, libipc_ref.dylib)
#   LIBDIR/pkgconfig/ipc-ref.pc   what a compiler must be told
#
# The shared library exports the functions of the headers, for programs that link with it, and ipc_get_table, for hosts
# that load it. The feature gates are chosen here, and ipc-ref.pc tells them to whoever compiles against the headers.
set -eu

usage() {
  cat <<'TEXT'
usage: install.sh [--prefix DIR] [--libdir DIR] [--includedir DIR] [--destdir DIR] [--os linux|darwin|freebsd]
                  [--with-async | --without-async] [--without-signals] [--without-nonblocking]

  --prefix DIR      where it will live (/usr/local)
  --destdir DIR     put it below DIR instead, as packages are made
  --os OS           the system it is for (this one)
  --with-async      with completion loops, which are off unless asked for
  --without-GATE    without a feature
TEXT
}

die() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

root=$(CDPATH='' cd -- "$(dirname "$0")/.." && pwd -P)
prefix=/usr/local libdir='' includedir='' destdir='' gates='signals nonblocking'
case $(uname -s) in
  Linux) os=linux ;;
  Darwin) os=darwin ;;
  FreeBSD) os=freebsd ;;
  *) os='' ;;
esac

# The gates without $1.
without() {
  left=
  for gate in $gates; do
    [ "$gate" = "$1" ] || left="$left $gate"
  done
  gates=$left
}

while [ $# -gt 0 ]; do
  case $1 in
    --prefix | --libdir | --includedir | --destdir | --os)
      [ $# -ge 2 ] || die "$1 needs a value"
      option=${1#--}
      value=$2
      shift 2
      ;;
    --*=*)
      option=${1%%=*}
      option=${option#--}
      value=${1#*=}
      shift
      ;;
    --with-async) gates="$gates async"; shift; continue ;;
    --without-signals | --without-async | --without-nonblocking) without "${1#--without-}"; shift; continue ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  case $option in
    prefix) prefix=$value ;;
    libdir) libdir=$value ;;
    includedir) includedir=$value ;;
    destdir) destdir=$value ;;
    os) os=$value ;;
    *) usage >&2; exit 2 ;;
  esac
done
libdir=${libdir:-$prefix/lib}
includedir=${includedir:-$prefix/include}
for directory in "$prefix" "$libdir" "$includedir"; do
  case $directory in
    /*) ;;
    *) die "$directory is no absolute path" ;;
  esac
done

# The folders of a system, in ref/; common/ belongs to all.
case $os in
  linux) folders='posix linux' ;;
  darwin) folders='posix bsd darwin' ;;
  freebsd) folders='posix bsd freebsd' ;;
  *) die 'this system has no folder in ref/ yet: linux, darwin, freebsd' ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# IPC_WITHOUT_ and its name for each gate that is off.
defines=
for gate in signals async nonblocking; do
  case " $gates " in
    *" $gate "*) ;;
    *) defines="$defines -DIPC_WITHOUT_$(printf %s "$gate" | tr '[:lower:]' '[:upper:]')" ;;
  esac
done

# Names that the shared library exports: those of the slots whose gates are on.
exports() {
  echo ipc_get_table
  sed -n '/^#ifdef _WIN32$/,/^#endif$/d; s/^IPC_SLOT([0-9]*, \([a-z_]*\), "\([a-z ]*\)")$/\1 \2/p' "$root/ref/common/gates.inc" |
    while read -r name needed; do
      for gate in $needed; do
        case " $gates " in
          *" $gate "*) ;;
          *) continue 2 ;;
        esac
      done
      echo "ipc_$name"
    done
}

cc=${CC:-cc}
ar=${AR:-ar}
[ "$os" != darwin ] || defines_of_os=-D_DARWIN_C_SOURCE
flags="-std=c11 -O2 -Wall -Wextra -pedantic-errors -I$root -I$root/spec/include $defines ${defines_of_os-} ${CPPFLAGS-} ${CFLAGS-}"

compile() {
  for folder in common $folders; do
    for source in "$root/ref/$folder"/*.c; do
      [ -e "$source" ] || continue
      object=$work/$folder-$(basename "$source" .c).o
      # shellcheck disable=SC2086 # a word is an option
      $cc $flags -fPIC -c -o "$object" "$source"
    done
  done
}

define_of() { sed -n "s/^#define $1 \([0-9]*\)u\$/\1/p" "$root/spec/include/ipc/table.h"; }
major=$(define_of IPC_ABI_MAJOR)
minor=$(define_of IPC_ABI_MINOR)
version=$(sed -n 's/^ *\.version = "\(.*\)",$/\1/p' "$root/ref/common/table.c")

# Links the shared library to $work/$real.
link_shared() {
  if [ "$os" = darwin ]; then
    real=libipc_ref.$major.dylib soname='' link=libipc_ref.dylib
    exports | sed 's/^/_/' > "$work/exports"
    # shellcheck disable=SC2086
    $cc ${CFLAGS-} ${LDFLAGS-} -dynamiclib -o "$work/$real" "$work"/*.o -install_name "$libdir/$real" \
      -compatibility_version "$major" -current_version "$major.$minor" ${EXPORTS_OPTION--Wl,-exported_symbols_list,}${EXPORTS_OPTION-"$work/exports"}
    return
  fi
  real=libipc_ref.so.$major.$minor.0 soname=libipc_ref.so.$major link=libipc_ref.so
  {
    echo '{ global:'
    exports | sed 's/$/;/'
    echo 'local: *; };'
  } > "$work/exports"
  # shellcheck disable=SC2086
  $cc ${CFLAGS-} ${LDFLAGS-} -shared -o "$work/$real" "$work"/*.o -pthread -Wl,-soname,"$soname" \
    -Wl,-Bsymbolic -Wl,--version-script,"$work/exports"
}

put() { # MODE FILE DIRECTORY
  cp "$2" "$destdir$3/"
  chmod "$1" "$destdir$3/$(basename "$2")"
}

compile
$ar rcs "$work/libipc_ref.a" "$work"/*.o
link_shared

cat > "$work/ipc-ref.pc" <<PC
prefix=$prefix
libdir=$libdir
includedir=$includedir

Name: ipc-ref
Description: Inter-process communication with the semantics of IPC-CTS: its reference implementation
Version: $version
Cflags: -I\${includedir}$defines
Libs: -L\${libdir} -lipc_ref
Libs.private: -pthread
PC

mkdir -p "$destdir$includedir/ipc" "$destdir$libdir/pkgconfig"
for header in "$root"/spec/include/ipc/*.h; do put 644 "$header" "$includedir/ipc"; done
put 644 "$work/libipc_ref.a" "$libdir"
put 755 "$work/$real" "$libdir"
[ -z "$soname" ] || ln -sf "$real" "$destdir$libdir/$soname"
ln -sf "${soname:-$real}" "$destdir$libdir/$link"
put 644 "$work/ipc-ref.pc" "$libdir/pkgconfig"
