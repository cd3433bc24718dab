/* cts_peer.h - the peer kit for C: everything of spec/peer_protocol.md that is not your library.
 *
 * Copy cts_peer.h, cts_peer.c and the three tables cts_*.inc into your project, write one function for each operation
 * that your library has, and call cts_run. The kit reads and checks the requests, runs them in their lanes, keeps the
 * names of handles, and writes the replies. It needs nothing but the operating system (on Unix link with -lpthread).
 * minimal_peer.c is a complete peer.
 *
 * The rules for a handler, a `cts_outcome (*)(cts_call *)`:
 *
 * - It runs in the thread of its lane, after the kit has checked every argument by cts_operations.inc (present, type,
 *   range, enumeration, feature offered) and found the handle. What cts_operations.inc cannot say, for instance that
 *   `until: exact` needs `max`, is the handler's to check.
 * - It reads the arguments, calls the library, adds results, and returns the outcome: the kit writes the one reply.
 * - What cts_bytes_of and its like return stays valid until the handler returns.
 * - A handle that it makes is given to cts_make; a handle in `on` is cts_object. While a handler runs, its object
 *   is not released, whatever other lanes do.
 */
#ifndef CTS_PEER_H
#define CTS_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Limits of the protocol (spec/peer_protocol.md, 1.1, 1.5, 2.4). */
enum {
  CTS_LINE_MAX = 65536,      /* bytes of a line, its LF included */
  CTS_OUTSTANDING_MAX = 64,  /* requests without a reply */
  CTS_INLINE_MAX = 4096,     /* bytes that travel as bytes */
  CTS_LIST_MAX = 64,         /* elements of a list in a request */
  CTS_CHUNKS_MAX = 4096,     /* digests of chunks in a reply */
  CTS_PATTERN_MAX = 1 << 30, /* bytes of a pattern */
};

/* A request that is being performed. */
typedef struct cts_call cts_call;

/* How an operation ended. */
typedef struct cts_outcome {
  const char *status; /* a name of spec/operations.toml; static */
  uint32_t native;    /* the system's error number, 0 if there was none */
  const char *why;    /* for people, may be NULL; static, or valid until the next call of this lane */
} cts_outcome;

typedef cts_outcome (*cts_handler)(cts_call *call);

/* One operation offered. */
typedef struct cts_operation {
  const char *name;    /* "stream.read" */
  cts_handler handler; /* cts_close for listener.close and stream.close */
} cts_operation;

/* One kind of handle: how the kit closes and releases what handlers made. */
typedef struct cts_kind {
  const char *name; /* "listener", "stream" */
  /* Closes the object for the system, once. With the feature close_while_in_use it is called while handlers in other
   * lanes are inside calls on the object, and makes those return; otherwise only when there are none. */
  cts_outcome (*close)(void *object);
  /* Releases the memory; no handler uses the object any more. Called after close, or instead of it after a handler
   * that consumed the handle (split, release). May be NULL. */
  void (*release)(void *object);
} cts_kind;

/* Lanes that are tasks: in a mode in which the peer submits to a loop and answers from completions. A lane is still a
 * thread, but it only sleeps until the loop's thread tells it that its operation has ended: nothing of the library
 * waits in it. */
typedef struct cts_tasks {
  bool (*active)(void); /* the mode that holds is such a one */
  void (*turn)(void);   /* has the loop make one full turn: what could be completed has been; for `pending` */
  /* Ends the operation under way for the request |id| as cancelled, if there is one. For `cancel` and `reset`. */
  void (*cancel)(uint64_t id);
} cts_tasks;

/* What a peer is and offers. Lists end in NULL (or an entry with a NULL name) and live as long as the process. */
typedef struct cts_peer {
  const char *implementation;      /* name of the implementation under test */
  const char *version;             /* its version */
  bool threads;                    /* true: lanes are threads (offer the feature "lanes"); false: "single" */
  const char *const *modes;        /* NULL: blocking alone */
  const char *const *features;     /* NULL: none */
  const char *const *traits;       /* NULL: none */
  const cts_operation *operations; /* hello, configure, reset, pending, cancel and those on processes are the kit's */
  const cts_kind *kinds;           /* every kind that handlers make */
  void (*configure)(const char *mode); /* a mode was chosen, before any handle; NULL with one mode */
  void (*after_reset)(void);           /* every handle is closed; NULL if nothing else is to be cleared */
  void (*before_reset)(void);          /* calls that wait without a handle must end as `cancelled`, and those that begin
                                          until after_reset; NULL if there are none */
  char **argv;                         /* of main: offers process.spawn and its like; NULL: does not */
  const cts_tasks *tasks;              /* NULL: in no mode are lanes tasks */
  bool (*repeats)(void);               /* the mode that holds is one in which handlers call cts_again; NULL: none is */
} cts_peer;

/* cts_open_channel moves the channel off descriptors 0 and 1: 0 becomes the null device, 1 becomes standard error (on
 * Windows the standard handles, too), and no child inherits the channel. In a child that process.spawn started the
 * channel is the socket that CTS_CONTROL names instead. cts_run does it if it has not been done; call it yourself
 * before anything of the library under test runs earlier (a dlopen, a constructor). Returns false, errno set, if it
 * cannot. */
bool cts_open_channel(void);

/* cts_run serves requests until the end of standard input, where it ends the process with status 0. It must be called
 * on the main thread, which becomes the lane `main`. It returns only if it cannot begin: 2, after a line on standard
 * error. */
int cts_run(const cts_peer *peer);

/* Outcomes. cts_error maps |error| (errno), cts_win32_error what GetLastError answers, with the tables of
 * spec/operations.toml. What is not in them is `failed`. */
cts_outcome cts_ok(void);
cts_outcome cts_status(const char *status, const char *why);
cts_outcome cts_error(int error, const char *why);
#ifdef _WIN32
cts_outcome cts_win32_error(uint32_t error, const char *why);
#endif

/* cts_close is the handler of listener.close and stream.close: it takes the name away at once, calls the kind's close,
 * waits for the replies of operations in flight on the handle, releases the object and answers what close said. Without
 * close_while_in_use a handle that another lane uses is left alone: `busy`. */
cts_outcome cts_close(cts_call *call);

/* For peers whose lanes are tasks. cts_current is the call that runs in this thread. cts_sleeps notes that its
 * operation is under way, and is false if `cancel` or `reset` has ended the request: then the operation is to be ended.
 * cts_awake notes that its operation has ended; the loop's thread calls it before it wakes the lane. A call that has an
 * operation under way is listed by `pending`. */
cts_call *cts_current(void);
uint64_t cts_id(const cts_call *call);
bool cts_sleeps(cts_call *call);
void cts_awake(cts_call *call);

/* For a nonblocking mode on a system that tells no readiness (Windows has none for pipes): a handler whose attempt
 * would have blocked calls cts_again, which pauses, and then makes the attempt again. The pauses grow to five
 * milliseconds; `pending` and closing the handle end them at once. Returns false when the handle in `on` is being
 * closed: the answer is `cancelled`. `pending` answers after one more attempt of each such request, and lists it in
 * `would_block` if that was in vain: this shows that it waits. */
bool cts_again(cts_call *call);

/* Arguments, by their names in operations.toml. A name that the operation does not have is a mistake in the
 * peer and ends it. The `_or` value is what an optional argument that is absent means. */
typedef struct cts_bytes {
  const uint8_t *data; /* NUL after the last byte, for convenience */
  size_t len;          /* bytes */
} cts_bytes;

/* Data to write: bytes, or a pattern that cts_data_copy makes. */
typedef struct cts_data {
  const uint8_t *bytes; /* NULL: a pattern */
  uint32_t seed;        /* of the pattern */
  size_t len;           /* bytes */
} cts_data;

/* A system handle as it travels: kind "fd", "handle" or "socket". */
typedef struct cts_raw {
  const char *kind;
  uint64_t value;
} cts_raw;

/* cts_takes says whether the operation has the argument at all, for what serves several operations. */
bool cts_takes(const cts_call *call, const char *name);

bool cts_has(const cts_call *call, const char *name);
bool cts_bool_or(const cts_call *call, const char *name, bool otherwise);
uint64_t cts_u64_or(const cts_call *call, const char *name, uint64_t otherwise); /* types u32 and u64 */
int64_t cts_i64_or(const cts_call *call, const char *name, int64_t otherwise);
const char *cts_text_or(const cts_call *call, const char *name, const char *otherwise); /* types text and enum */
cts_bytes cts_bytes_of(const cts_call *call, const char *name);
cts_data cts_data_of(const cts_call *call, const char *name);
cts_raw cts_raw_of(const cts_call *call, const char *name);
const uint64_t *cts_list_of(const cts_call *call, const char *name, size_t *out_num);
const char *const *cts_texts_of(const cts_call *call, const char *name, size_t *out_num);

/* cts_object returns the object behind `on`. */
void *cts_object(const cts_call *call);

/* cts_scratch returns CTS_LINE_MAX bytes that belong to the lane: the handler's until it returns. */
uint8_t *cts_scratch(cts_call *call);

/* cts_make gives the kit |object| for the handle that request key |key| ("as", "read_as", "write_as") names. The kit
 * owns it from then on. If the handler then returns another status than `ok`, the kit closes and releases it. */
void cts_make(cts_call *call, const char *key, void *object);

/* Results. Adding more than a line holds makes the reply `failed`. Bytes that are printable ASCII travel as a string,
 * others as base64; text that is no UTF-8 gets U+FFFD where it is not. */
void cts_add_u64(cts_call *call, const char *key, uint64_t value);
void cts_add_bool(cts_call *call, const char *key, bool value);
void cts_add_i64(cts_call *call, const char *key, int64_t value);
void cts_add_text(cts_call *call, const char *key, const char *text);
void cts_add_bytes(cts_call *call, const char *key, const void *data, size_t len);
void cts_add_raw(cts_call *call, const char *key, cts_raw raw);
void cts_add_list_u64(cts_call *call, const char *key, const uint64_t *values, size_t num);
void cts_add_list_text(cts_call *call, const char *key, const char *const *texts);

/* What a read consumed: length, CRC-32, the bytes if they are few, and a CRC-32 for every |chunk| bytes. */
typedef struct cts_digest {
  uint64_t length;
  uint32_t crc32;
  uint32_t chunk;        /* bytes a chunk, 0: none wanted */
  uint32_t chunk_filled; /* bytes in the last chunk */
  size_t num_chunks;     /* at most CTS_CHUNKS_MAX; chunks beyond have no digest */
  uint8_t data[CTS_INLINE_MAX];
  uint32_t chunks[CTS_CHUNKS_MAX];
} cts_digest;

void cts_digest_init(cts_digest *digest, uint32_t chunk);
void cts_digest_update(cts_digest *digest, const void *data, size_t len);

/* cts_add_digest adds `length`, `crc32`, and `data` and `chunks` as the protocol says. A read does so whatever its
 * status. */
void cts_add_digest(cts_call *call, const cts_digest *digest);

/* cts_data_copy writes the |len| bytes of |data| that begin at |offset| to |out|. */
void cts_data_copy(const cts_data *data, size_t offset, void *out, size_t len);

/* cts_crc32 continues |crc| (0 to begin) over |len| bytes: IEEE 802.3, as in zlib. */
uint32_t cts_crc32(uint32_t crc, const void *data, size_t len);

/* cts_status_name returns the name of the status with number |value| in the C ABI, or NULL. */
const char *cts_status_name(int32_t value);

/* cts_feature_known and cts_trait_known say whether operations.toml has the name. */
bool cts_feature_known(const char *name);
bool cts_trait_known(const char *name);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CTS_PEER_H */
