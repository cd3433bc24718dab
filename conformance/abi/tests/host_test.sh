#!/bin/sh
# Hosts of libraries of other versions, and of libraries that end the process: the runner of the in-process cases and
# the generic peer. usage: host_test.sh ABI PEER LIBRARY
set -u
# The programs below are GoogleTest's: their results are not this test's.
unset XML_OUTPUT_FILE
abi=$1 peer=$2 library=$3
failures=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

fail() {
  echo "FAILED: $1"
  cat "$output"
  failures=$((failures + 1))
}

# run ODD FILTER: the cases that match against that odd library; their exit status is `status`.
run() {
  CTS_ODD=$1 "$abi" --library="$library" --deadline_ms=2000 --gtest_filter="$2" >"$output" 2>&1
  status=$?
}

says() { grep -q -e "$1" "$output" || fail "$2: it does not say '$1'"; }
says_not() { if grep -q -e "$1" "$output"; then fail "$2: it says '$1'"; fi; }

# offers ODD: what the generic peer offers.
offers() { printf '{"id":1,"op":"hello","protocol":1}\n' | CTS_ODD=$1 "$peer" --library "$library" >"$output" 2>&1; }

names='AbiTable.*:AbiArguments.N*:AbiArguments.PipeOptionsAreChecked:AbiArguments.ReadOfNothingIsOk/*'

run older "$names"
[ "$status" = 0 ] || fail "a library with a shorter table"
says 'OK \] AbiArguments.ReadOfNothingIsOk/local' "a slot that the shorter table has"
says 'SKIPPED \] AbiArguments.ReadOfNothingIsOk/pipe' "a slot behind its end"
says 'not_applicable: not offered: library: pipe.create' "a slot behind its end"
offers older
says '"stream.read"' "the generic peer, a slot that the shorter table has"
says_not '"pipe.create"' "the generic peer, a slot behind its end"

run newer "$names"
[ "$status" = 0 ] || fail "a library with a longer table"
says 'OK \] AbiArguments.ReadOfNothingIsOk/pipe' "a library with a longer table"
offers newer
says '"pipe.create"' "the generic peer, a longer table"

for odd in crashes exits hangs; do
  run $odd 'AbiArguments.NullHandleIsRefused/*'
  [ "$status" = 1 ] || fail "a library that $odd: exit status $status"
  says 'in: stream_read on NULL' "a library that $odd"
  says 'OK \] AbiArguments.NullHandleIsRefused/listener' "the case before it, a library that $odd"
  says 'OK \] AbiArguments.NullHandleIsRefused/framed' "the case behind it, a library that $odd"
  case $odd in
    crashes) says 'crashed: the case.s process ended by ' "a library that $odd" ;;
    exits) says 'crashed: the case.s process ended in the middle' "a library that $odd" ;;
    hangs) says 'hung: nothing happened for ' "a library that $odd" ;;
  esac
done

run prints 'AbiArguments.RefusedReadTakesNothing/*:Canary.MustFail'
[ "$status" = 1 ] || fail "a library that prints: exit status $status"
says 'OK \] AbiArguments.RefusedReadTakesNothing/local' "a library that prints"
says 'FAILED  \] Canary.MustFail' "the canary"

[ "$failures" = 0 ] && echo "all passed"
exit $((failures != 0))
