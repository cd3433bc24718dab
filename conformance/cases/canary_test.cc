// Canaries: they prove that a run can fail and can tell what is not offered. They are in no count.
#include "conformance/support/case.h"

namespace cts {

// Must fail: whatever the peer answers, this status does not exist.
CTS_CANARY(MustFail) {
  Reply reply = server().call(op::pending());
  EXPECT_THAT(reply, StatusIs("no_such_status"));
}

// Must be not applicable: nobody offers what it needs.
CTS_CANARY(NotOffered) { FAIL() << "a peer offers canary.never"; }

}  // namespace cts
