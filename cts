#!/bin/sh
# cts - the launcher: sees to what the harness needs, then starts it.
#
# Works from any directory and through a symbolic link. What is missing on Debian and its derivatives it installs after
# a yes at the terminal, with --yes, or with CI set; elsewhere, and with --no-install, it says what is missing and stops
# with status 2. The harness's Python packages go to a virtual environment below ${XDG_CACHE_HOME:-$HOME/.cache}/ipc-cts.
# It needs a POSIX shell, which on Windows is Git Bash.
set -eu

say() { printf 'cts: %s\n' "$*" >&2; }
die() { say "$@"; exit 2; }

# The directory of this file, with symbolic links followed.
here() {
  file=$1
  while [ -L "$file" ]; do
    target=$(readlink "$file")
    case $target in
      /*) file=$target ;;
      *) file=$(dirname "$file")/$target ;;
    esac
  done
  (CDPATH='' cd -- "$(dirname "$file")" && pwd -P)
}

# $1 is the option looked for, the rest the arguments.
has_option() {
  wanted=$1
  shift
  for argument; do
    [ "$argument" = "$wanted" ] && return 0
  done
  return 1
}

python_is_new_enough() { "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
python_has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }
on_debian() { command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1; }

# Whether what a run needs was built elsewhere.
is_built() {
  for argument; do
    case $argument in --built | --built=*) return 0 ;; esac
  done
  return 1
}

# Whether the command builds or runs C++: the others need Python alone.
needs_toolchain() {
  case ${1-} in
    run) ! has_option --help "$@" && ! has_option -h "$@" && ! is_built "$@" ;;
    mutants | fuzz | test) ! has_option --help "$@" && ! has_option -h "$@" ;;
    *) return 1 ;;
  esac
}

# Whether the command runs Windows programs: on Linux that is Wine's matter.
needs_wine() {
  case ${1-} in
    test) has_option --all "$@" ;;
    run)
      before=
      for argument; do
        [ "$before $argument" = "--os windows" ] && return 0
        [ "$argument" = --os=windows ] && return 0
        before=$argument
      done
      return 1
      ;;
    *) return 1 ;;
  esac
}

# What is missing, a word each, as Debian calls it.
missing_packages() {
  if ! command -v "$python" >/dev/null 2>&1; then
    echo python3 python3-venv
  elif ! python_has_venv; then
    echo python3-venv
  fi
  needs_toolchain "$@" || return 0
  command -v g++ >/dev/null 2>&1 || echo g++
  # The Bazel that bazelisk fetches has these from the registry (MODULE.bazel).
  if ! command -v bazelisk >/dev/null 2>&1; then
    [ -d /usr/src/googletest ] || echo googletest
    [ -f /usr/include/nlohmann/json.hpp ] || echo nlohmann-json3-dev
  fi
  # The reference's tests use it as somebody does who has it installed.
  [ "$1" != test ] || command -v pkg-config >/dev/null 2>&1 || echo pkg-config
  if [ "$1" = fuzz ] || { [ "$1" = test ] && has_option --all "$@"; }; then
    command -v clang >/dev/null 2>&1 || echo clang libclang-rt-14-dev llvm
  fi
  if needs_wine "$@"; then
    command -v wine >/dev/null 2>&1 || echo wine64 wine
    command -v x86_64-w64-mingw32-g++-posix >/dev/null 2>&1 || echo mingw-w64
  fi
  if ! command -v bazelisk >/dev/null 2>&1; then
    if ! command -v bazel >/dev/null 2>&1; then
      echo bazel-bootstrap bazel-rules-cc bazel-rules-java bazel-rules-proto bazel-skylib bazel-platforms
    elif on_debian && dpkg -s bazel-bootstrap >/dev/null 2>&1; then
      for package in bazel-rules-cc bazel-rules-java bazel-rules-proto bazel-skylib bazel-platforms; do
        dpkg -s "$package" >/dev/null 2>&1 || echo "$package"
      done
    fi
  fi
}

# Whether to install: an option, CI, or the answer at the terminal.
may_install() {
  has_option --no-install "$@" && return 1
  has_option --yes "$@" && return 0
  [ -n "${CI-}" ] && return 0
  [ -t 0 ] && [ -t 2 ] || return 1
  printf 'Install them now with apt-get? [y/N] ' >&2
  read -r answer || return 1
  case $answer in
    y | Y | yes | Yes | YES) return 0 ;;
    *) return 1 ;;
  esac
}

install() {
  as_root=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || die "installing needs root, and sudo is not there: apt-get install $*"
    as_root=sudo
  fi
  if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
    $as_root apt-get update >&2 || die 'apt-get update failed'
  fi
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" >&2 ||
    die "apt-get could not install: $*"
}

see_to_packages() {
  missing=$(missing_packages "$@" | tr '\n' ' ')
  missing=${missing% }
  [ -n "$missing" ] || return 0
  on_debian || die "missing, under the names that Debian gives them: $missing. Install them, then try again."
  say "missing: $missing"
  may_install "$@" || die "install with: apt-get install $missing   (or run again with --yes)"
  # shellcheck disable=SC2086 # a word is a package
  install $missing
  left=$(missing_packages "$@" | tr '\n' ' ')
  [ -z "$left" ] || die "still missing after the installation: $left"
}

# A digest of the requirements and the interpreter: another of either needs another environment.
environment_key() {
  "$python" -c '
import hashlib, sys
with open(sys.argv[1], "rb") as file:
    text = file.read() + sys.version.encode() + sys.executable.encode()
print(hashlib.sha256(text).hexdigest()[:16])' "$root/harness/requirements.txt"
}

# Makes the virtual environment aside and renames it: there is none or a whole one, also when two make it at once.
make_environment() {
  say 'setting up the Python environment (once)'
  mkdir -p "$cache"
  aside=$(mktemp -d "$cache/.venv-XXXXXXXX")
  trap 'rm -rf "$aside"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  "$python" -m venv "$aside/venv" >&2 || die "$python -m venv failed"
  "$aside/venv/$in_environment" -m pip install --quiet --disable-pip-version-check --no-input --require-hashes \
    --only-binary :all: --requirement "$root/harness/requirements.txt" >&2 ||
    die 'pip could not install what harness/requirements.txt pins (is there a network, or a mirror in pip.conf?)'
  # Another one may have been first. Its environment is as good; what mv then puts inside it is taken away again.
  [ -e "$environment" ] || mv "$aside/venv" "$environment" 2>/dev/null || true
  rm -rf "$aside" "$environment/venv"
  trap - EXIT INT TERM HUP
  [ -x "$environment/$in_environment" ] || die "could not make $environment"
}

root=$(here "$0")
# The system's Python, and where an environment has its own: Windows has other names for both.
case $(uname -s) in
  MINGW* | MSYS* | CYGWIN*) python=python in_environment=Scripts/python.exe ;;
  *) python=python3 in_environment=bin/python ;;
esac
case ${1---help} in
  -h | --help | --version) # needs nothing but Python
    command -v "$python" >/dev/null 2>&1 || die "$python (3.10 or newer) is not installed"
    PYTHONPATH=$root/harness PYTHONDONTWRITEBYTECODE=1 exec "$python" -m cts "${1---help}"
    ;;
esac
see_to_packages "$@"
python_is_new_enough || die "$python is $("$python" -V 2>&1); 3.10 or newer is needed"
[ -n "${XDG_CACHE_HOME-}${HOME-}" ] || die 'neither XDG_CACHE_HOME nor HOME is set: there is no place for the environment'
cache=${XDG_CACHE_HOME:-${HOME-}/.cache}/ipc-cts
environment=$cache/venv-$(environment_key)
[ -x "$environment/$in_environment" ] || make_environment
PYTHONPATH=$root/harness${PYTHONPATH:+:$PYTHONPATH} exec "$environment/$in_environment" -m cts "$@"
