/* mutants.h - what a mutant is made of: the reference's table with a function or two replaced.
 *
 * A mutant's functions call the reference by its own names (ipc_stream_read, ...). What they have to remember of a
 * handle is kept here, and forgotten when the handle is freed. README.md says how to add one.
 */
#ifndef CONFORMANCE_MUTANTS_MUTANTS_H
#define CONFORMANCE_MUTANTS_MUTANTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ipc.h"

/* One way to be broken. */
typedef struct mutant {
  const char *name;                  /* family.what_it_does, for CTS_MUTANT */
  const char *sentence;              /* what it does wrong, for people */
  const char *case_id;               /* the case that must catch it */
  const char *shape;                 /* the shape that must; NULL: any of them */
  const char *mode;                  /* NULL: blocking; `abi`: a case in the process that calls it */
  void (*install)(ipc_table *table); /* replaces functions of the reference's table; NULL: nothing */
} mutant;

/* Defines install_FUNCTION, which puts FUNCTION into a slot. */
#define REPLACES(slot, function) \
  static void install_##function(ipc_table *table) { table->slot = function; }

/* The mutants of a family, ended by one without a name. */
extern const mutant abi_mutants[];
extern const mutant abstract_mutants[];
extern const mutant ancillary_mutants[];
extern const mutant async_mutants[];
extern const mutant datagram_mutants[];
extern const mutant fifo_mutants[];
extern const mutant framed_stream_mutants[];
extern const mutant framing_mutants[];
extern const mutant local_socket_mutants[];
extern const mutant naming_mutants[];
extern const mutant seqpacket_mutants[];
extern const mutant signal_mutants[];
extern const mutant unix_stream_mutants[];
extern const mutant unnamed_pipe_mutants[];

/* Every family, ended by NULL; the first holds the mutant that changes nothing. */
extern const mutant *const mutant_families[];

/* A status with that code and no native error. */
static inline ipc_status mutant_status(int32_t code) { return (ipc_status){.code = code}; }

/* mutant_recall returns the number that was remembered of |handle|, 0 if none was; mutant_remember sets it. Up to 4096
 * handles at a time; beyond that a mutant is less broken than it means to be. */
uint64_t mutant_recall(const void *handle);
void mutant_remember(const void *handle, uint64_t number);

/* mutant_fd returns the descriptor behind a handle, borrowed, or -1. */
int mutant_fd(ipc_stream *stream);
int mutant_listener_fd(ipc_listener *listener);
int mutant_socket_fd(ipc_socket *socket);

/* mutant_ready tells whether one of |events| (poll(2)) holds for |fd| now. */
bool mutant_ready(int fd, short events);

/* mutant_wait_for_ever never returns: what a call does that has lost its wake. */
void mutant_wait_for_ever(void);

#endif /* CONFORMANCE_MUTANTS_MUTANTS_H */
