/* status.h - the outcome of every call. Made by `cts spec generate` from spec/operations.toml: change that file, not this one. */
#ifndef IPC_STATUS_H
#define IPC_STATUS_H

#include <stdint.h>

/* Outcome classes: the values of ipc_status.code. */
enum {
  /* The operation did what was asked. An empty message is `ok` with length 0. */
  IPC_OK = 0,
  /* End of the stream: the writer is gone and every byte it wrote has been read. Repeats for ever. */
  IPC_END = 1,
  /* Nonblocking: the operation cannot proceed now and nothing was done. */
  IPC_WOULD_BLOCK = 2,
  /* The timeout given to this call passed first. What was transferred before is said by the length. */
  IPC_TIMED_OUT = 3,
  /* The operation was ended by a close of its handle, a cancel or a reset while it was under way. */
  IPC_CANCELLED = 4,
  /* A signal handler ran while the operation waited and the implementation does not resume by itself. */
  IPC_INTERRUPTED = 5,
  /* An argument is outside what the operation accepts; nothing was done. */
  IPC_INVALID_ARGUMENT = 6,
  /* The name is not one this system can express (empty, an interior NUL, not encodable, a reserved character). */
  IPC_INVALID_NAME = 7,
  /* The name exceeds the published limit; it was not cut. */
  IPC_NAME_TOO_LONG = 8,
  /* Nothing exists under that name. */
  IPC_NOT_FOUND = 9,
  /* Something is there but nobody listens on it (or, in a namespace without files, nothing is there). */
  IPC_REFUSED = 10,
  /* A live holder has the name. */
  IPC_IN_USE = 11,
  /* Something that is no listener of this kind is there. */
  IPC_ALREADY_EXISTS = 12,
  /* The system's access rules forbid it. */
  IPC_PERMISSION_DENIED = 13,
  /* It may succeed later: every instance or backlog place is taken, or another process works on the same name. */
  IPC_BUSY = 14,
  /* A write found no reader any more. The process survives. */
  IPC_BROKEN_PIPE = 15,
  /* The connection ended abnormally: the other end left with our bytes unread. */
  IPC_RESET = 16,
  /* The handle was closed before this operation began. */
  IPC_CLOSED = 17,
  /* The endpoint has no peer. */
  IPC_NOT_CONNECTED = 18,
  /* The endpoint has a peer already. */
  IPC_ALREADY_CONNECTED = 19,
  /* Less than the whole message: the buffer was smaller (the length says how much is needed or was delivered), or
   * the bytes ended inside it. */
  IPC_MESSAGE_TRUNCATED = 20,
  /* The message exceeds what can be sent, or is accepted, whole; nothing was sent. */
  IPC_MESSAGE_TOO_LARGE = 21,
  /* Bytes received break their format. */
  IPC_MALFORMED = 22,
  /* What should be sent cannot be expressed in the format; nothing was sent. */
  IPC_UNENCODABLE = 23,
  /* The process or group does not exist. */
  IPC_NO_SUCH_PROCESS = 24,
  /* This implementation or system does not offer it. Never a silent success. */
  IPC_UNSUPPORTED = 25,
  /* Memory, descriptors or another bounded resource ran out. */
  IPC_OUT_OF_RESOURCES = 26,
  /* An error without a class. Satisfies `MUST fail`, never `MUST fail with X`. */
  IPC_FAILED = 27,
};

/* Number of outcome classes: codes are below it. */
#define IPC_STATUS_COUNT 28

/* What a call returns. It is passed in a register. */
typedef struct ipc_status {
  int32_t code;    /* one of the above: decides */
  uint32_t native; /* errno or the Win32 error that led to it, 0 if none: for people */
} ipc_status;

#endif /* IPC_STATUS_H */
