/* main.c - the generic peer: speaks the peer protocol for a shared library that exports the C ABI (spec/abi.md).
 *
 *   peer --library FILE
 *
 * It offers the operations whose slots the library's table has, and the features and traits that the table lists and
 * operations.toml knows. Exit status: 0 at the end of standard input, 2 if the library cannot be used. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/kits/c/cts_peer.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/platform.h"
#include "conformance/peer/released.h"
#include "conformance/peer/tasks.h"

/* An operation, its handler, and where its slot is in the table. */
typedef struct dispatch {
  const char *name;
  cts_handler handler; /* NULL: the kit's own operation */
  size_t slot;         /* offset in ipc_table */
} dispatch;

/* The operations that exist in the protocol alone have no slot. PICK chooses the second of its arguments; for these
 * operations, and no others, PROTOCOL_ONLY_x expands to two, and moves what is chosen. */
#define PROTOCOL_ONLY_hello ~, 0
#define PROTOCOL_ONLY_configure ~, 0
#define PROTOCOL_ONLY_reset ~, 0
#define PROTOCOL_ONLY_pending ~, 0
#define PROTOCOL_ONLY_cancel ~, 0
#define PROTOCOL_ONLY_process_spawn ~, 0
#define PROTOCOL_ONLY_process_wait ~, 0
#define PROTOCOL_ONLY_process_close ~, 0
#define PROTOCOL_ONLY_signal_hooked ~, 0
#define SECOND(first, second, ...) second
#define PICK(...) SECOND(__VA_ARGS__)
#define HANDLER_OF(identifier) PICK(PROTOCOL_ONLY_##identifier, do_##identifier, 0)
#define SLOT_OF(identifier) PICK(PROTOCOL_ONLY_##identifier, offsetof(ipc_table, identifier), 0)

static const dispatch dispatches[] = {
#define CTS_OPERATION_BEGIN(identifier, name, on, consumes) {name, HANDLER_OF(identifier), SLOT_OF(identifier)},
#define CTS_MAKES(key, kind)
#define CTS_ARG(name, type, optional, feature, values)
#define CTS_OPERATION_END
#include "conformance/kits/c/cts_operations.inc"
};
enum { NUM_DISPATCHES = sizeof(dispatches) / sizeof(dispatches[0]), NAMES_MAX = 256 };

/* Operations that are this peer's and need a function of the library. */
static const dispatch own_dispatches[] = {
    {"signal.hooked", do_signal_hooked, offsetof(ipc_table, signal_set_handler)},
};
enum { NUM_OWN_DISPATCHES = sizeof(own_dispatches) / sizeof(own_dispatches[0]) };

static cts_operation offered_operations[NUM_DISPATCHES + NUM_OWN_DISPATCHES + 1];
static const char *offered_features[NAMES_MAX + 2];
static const char *offered_traits[NAMES_MAX + 1];

typedef void (*any_function)(void);

/* table_has tells whether the library's table has a function at |slot|. Slots that it is too small for are NULL. */
static bool table_has(size_t slot) {
  any_function function;
  memcpy(&function, (const char *)&library + slot, sizeof(function));
  return function != NULL;
}

/* is_complete tells whether the library has what an operation cannot do without: a handle that is made must be closed
 * and freed again, local.listen answers the listener's native address, and signals travel by their names (spec/abi.md,
 * 7 to 9). */
static bool is_complete(cts_handler handler) {
  if (handler == do_framing_decode) {
    return library.decoder_feed != NULL && library.decoder_next != NULL && library.decoder_end != NULL &&
           library.decoder_free != NULL;
  }
  if (handler == do_local_listen || handler == do_unix_listen || handler == do_listener_adopt ||
      handler == do_named_pipe_listen) {
    return endpoint_can_free(ENDPOINT_LISTENER) && library.listener_native != NULL;
  }
  if (handler == do_local_connect || handler == do_listener_accept || handler == do_pipe_create ||
      handler == do_fifo_open || handler == do_stream_split || handler == do_stream_adopt) {
    return endpoint_can_free(ENDPOINT_STREAM);
  }
  if (handler == do_socket_bind) return endpoint_can_free(ENDPOINT_SOCKET) && library.socket_native != NULL;
  if (handler == do_socket_open || handler == do_listener_accept_socket || handler == do_socket_adopt) {
    return endpoint_can_free(ENDPOINT_SOCKET);
  }
  if (handler == do_listener_accept_named_pipe || handler == do_named_pipe_connect || handler == do_named_pipe_adopt) {
    return endpoint_can_free(ENDPOINT_NAMED_PIPE);
  }
  if (handler == do_signal_describe || handler == do_signal_raise || handler == do_signal_set_handler ||
      handler == do_signal_send || handler == do_signal_send_group || handler == do_signal_queue) {
    return library.signal_number != NULL;
  }
  if (handler == do_signal_hooked) return library.signal_number != NULL && library.signal_name != NULL;
  if (handler == do_signal_watch) {
    return endpoint_can_free(ENDPOINT_WATCHER) && library.signal_number != NULL && library.signal_name != NULL;
  }
  return handler != do_framed_open || endpoint_can_free(ENDPOINT_FRAMED);
}

/* offer adds those of |candidates| that have a slot to the |num| operations offered, and returns how many there are. */
static size_t offer(const dispatch *candidates, size_t num_candidates, size_t num) {
  for (size_t i = 0; i < num_candidates; i++) {
    const dispatch *d = &candidates[i];
    if (d->handler == NULL || !table_has(d->slot) || !is_complete(d->handler)) continue;
    offered_operations[num++] = (cts_operation){d->name, d->handler};
  }
  return num;
}

/* offer_operations offers what has a slot; the kit's own operations it offers itself. */
static void offer_operations(void) {
  size_t num = offer(dispatches, NUM_DISPATCHES, 0);
  offer(own_dispatches, NUM_OWN_DISPATCHES, num);
}

static bool can_switch(void) {
  bool listeners = library.listener_accept == NULL || library.listener_set_nonblocking != NULL;
  return listeners && library.stream_set_nonblocking != NULL;
}

static bool can_wait(void) {
  return platform_asks_again ||
         ((library.listener_accept == NULL || library.listener_raw != NULL) && library.stream_raw != NULL);
}

/* offer_features offers the library's known features, and lanes, which are this peer's: handles of the ABI may be used
 * from any thread. A single attempt is made with set_nonblocking, so that `wait` needs its slots. */
static void offer_features(void) {
  size_t num = 0;
  offered_features[num++] = "lanes";
  for (size_t i = 0; library.features != NULL && library.features[i] != NULL && num <= NAMES_MAX; i++) {
    const char *feature = library.features[i];
    bool backed = strcmp(feature, "lanes") != 0 && (strcmp(feature, "wait") != 0 || can_switch());
    if (strcmp(feature, "framing.max_after") == 0) backed = library.decoder_set_max != NULL;
    if (backed && cts_feature_known(feature)) offered_features[num++] = feature;
  }
  num = 0;
  for (size_t i = 0; library.traits != NULL && library.traits[i] != NULL && num < NAMES_MAX; i++) {
    if (cts_trait_known(library.traits[i])) offered_traits[num++] = library.traits[i];
  }
}

/* library_open fills `library` from the shared library at |path|; on false it has said why on standard error. */
static bool library_open(const char *path) {
  const char *why = "it exports no ipc_get_table";
  get_table_function get_table = platform_load(path, &why);
  if (get_table == NULL) {
    fprintf(stderr, "peer: %s: %s\n", path, why);
    return false;
  }
  const ipc_table *table = get_table(IPC_ABI_MAJOR);
  if (table == NULL || table->size < offsetof(ipc_table, name_parse) || table->abi_major != IPC_ABI_MAJOR) {
    fprintf(stderr, "peer: %s: the library does not speak version %u of the C ABI\n", path, IPC_ABI_MAJOR);
    return false;
  }
  memcpy(&library, table, table->size < sizeof(library) ? table->size : sizeof(library));
  return true;
}

/* waits_outside_a_loop tells whether an operation may wait and no loop carries it out: spec/async.md says why. */
static bool waits_outside_a_loop(cts_handler handler) {
  return handler == do_framed_read || handler == do_framed_write || handler == do_framed_flush ||
         handler == do_socket_next_length || handler == do_listener_accept_named_pipe ||
         handler == do_named_pipe_connect || handler == do_named_pipe_wait || handler == do_named_pipe_read ||
         handler == do_named_pipe_write || handler == do_named_pipe_transact || handler == do_named_pipe_flush ||
         handler == do_named_pipe_disconnect;
}

/* withdraw takes what a loop does not carry out from the offer: in async mode nothing waits in a lane. */
static void withdraw(void) {
  size_t num = 0;
  for (size_t i = 0; offered_operations[i].name != NULL; i++) {
    if (!waits_outside_a_loop(offered_operations[i].handler)) offered_operations[num++] = offered_operations[i];
  }
  offered_operations[num] = (cts_operation){NULL, NULL};
}

static void configure(const char *mode) {
  mode_nonblocking = strcmp(mode, "nonblocking") == 0;
  mode_async = strcmp(mode, "async") == 0;
  if (!mode_async) return;
  if (!tasks_start()) exit(2);
  withdraw();
}

/* choose_modes lists the ways in which the library can be reached. */
static void choose_modes(const char *out_modes[4]) {
  size_t num = 0;
  out_modes[num++] = "blocking";
  if (can_switch() && can_wait()) out_modes[num++] = "nonblocking";
  if (tasks_offered()) out_modes[num++] = "async";
  out_modes[num] = NULL;
}

static bool repeats(void) { return mode_nonblocking && platform_asks_again; }

static void begin_reset(void) { hooked_begin_reset(); }

static void end_reset(void) {
  released_close_all();
  hooked_end_reset();
}

int peer_main(int argc, char **argv) {
  static const char *modes[4];
  if (argc != 3 || strcmp(argv[1], "--library") != 0) {
    fprintf(stderr, "usage: %s --library FILE\n", argc > 0 ? argv[0] : "peer");
    return 2;
  }
  if (!cts_open_channel()) { /* before the library's constructors can print */
    perror("peer: cannot move the channel off descriptors 0 and 1");
    return 2;
  }
  if (!library_open(argv[2])) return 2;
  offer_operations();
  offer_features();
  choose_modes(modes);
  const cts_peer peer = {
      .implementation = library.implementation != NULL ? library.implementation : "",
      .version = library.version != NULL ? library.version : "",
      .threads = true,
      .modes = modes,
      .features = offered_features,
      .traits = offered_traits,
      .operations = offered_operations,
      .kinds = operations_kinds,
      .configure = configure,
      .before_reset = begin_reset,
      .after_reset = end_reset,
      .argv = argv,
      .tasks = &tasks_hooks,
      .repeats = repeats,
  };
  return cts_run(&peer);
}
