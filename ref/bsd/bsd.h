/* bsd.h - what the files of ref/bsd/, ref/darwin/ and ref/freebsd/ share. */
#ifndef REF_BSD_BSD_H
#define REF_BSD_BSD_H

#include <stdbool.h>

/* ipc_bsd_close_failed closes |fd| and answers -1 with errno as it was before. */
int ipc_bsd_close_failed(int fd);

/* ipc_bsd_set_nonblocking sets or clears O_NONBLOCK of the description. */
bool ipc_bsd_set_nonblocking(int fd, bool nonblocking);

#endif /* REF_BSD_BSD_H */
