/* deadline.h - deadlines, which the portable part needs, too, are declared there. */
#ifndef REF_POSIX_DEADLINE_H
#define REF_POSIX_DEADLINE_H

#include "ref/common/deadline.h"

#endif /* REF_POSIX_DEADLINE_H */
