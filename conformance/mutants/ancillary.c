/* ancillary.c - broken ancillary data. */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

enum { ROOM = 64, LONG_WRITE = 100000 };

#define WRITES(function)                                                                                            \
  static ipc_status function(ipc_stream *stream, const void *data, size_t data_len, const ipc_ancillary *ancillary, \
                             int64_t timeout_ms, size_t *out_len)
#define WRITE ipc_stream_write_ancillary(stream, data, data_len, ancillary, timeout_ms, out_len)
#define READS(function)                                                                                     \
  static ipc_status function(ipc_stream *stream, void *out_data, size_t data_max, ipc_ancillary *ancillary, \
                             int64_t timeout_ms, size_t *out_len)
#define READ ipc_stream_read_ancillary(stream, out_data, data_max, ancillary, timeout_ms, out_len)

static ipc_status recoded(ipc_status status, int32_t from, int32_t to) {
  if (status.code == from) status.code = to;
  return status;
}

/* drop_from closes the descriptors from number |kept| on, and does not tell them. */
static void drop_from(ipc_ancillary *ancillary, size_t kept) {
  while (ancillary->num_descriptors > kept) close(ancillary->descriptors[--ancillary->num_descriptors]);
}

/* ------------------------------------------------------------------------------------------------- descriptors */

WRITES(keeps_a_copy) {
  ipc_status status = WRITE;
  if (status.code == IPC_OK && ancillary->num_descriptors == 1 && data_len == 1)
    fcntl(ancillary->descriptors[0], F_DUPFD_CLOEXEC, 0);
  return status;
}
REPLACES(stream_write_ancillary, keeps_a_copy)

WRITES(sends_them_with_each_part) {
  const size_t half = data_len / 2;
  size_t more = 0;
  if (data_len < LONG_WRITE) return WRITE;
  ipc_status status = ipc_stream_write_ancillary(stream, data, half, ancillary, timeout_ms, out_len);
  if (status.code != IPC_OK || *out_len < half) return status;
  status = ipc_stream_write_ancillary(stream, (const char *)data + half, data_len - half, ancillary, timeout_ms, &more);
  *out_len += more;
  return status;
}
REPLACES(stream_write_ancillary, sends_them_with_each_part)

WRITES(wants_room_at_once) {
  *out_len = 0;
  return mutant_ready(mutant_fd(stream), POLLOUT) || ancillary->num_descriptors == 0
             ? WRITE
             : mutant_status(IPC_MESSAGE_TOO_LARGE);
}
REPLACES(stream_write_ancillary, wants_room_at_once)

WRITES(writes_no_bytes) {
  *out_len = 0;
  return data_len == 0 ? mutant_status(IPC_OK) : WRITE;
}
REPLACES(stream_write_ancillary, writes_no_bytes)

WRITES(leaves_closed_descriptors_out) {
  ipc_ancillary open_ones = *ancillary;
  int32_t descriptors[ROOM];
  if (ancillary->num_descriptors > ROOM || ancillary->num_descriptors == 0) return WRITE;
  open_ones.num_descriptors = 0;
  open_ones.descriptors = descriptors;
  for (size_t i = 0; i < ancillary->num_descriptors; i++) {
    if (fcntl(ancillary->descriptors[i], F_GETFD) >= 0)
      descriptors[open_ones.num_descriptors++] = ancillary->descriptors[i];
  }
  return ipc_stream_write_ancillary(stream, data, data_len, &open_ones, timeout_ms, out_len);
}
REPLACES(stream_write_ancillary, leaves_closed_descriptors_out)

WRITES(calls_a_pipe_invalid) { return recoded(WRITE, IPC_UNSUPPORTED, IPC_INVALID_ARGUMENT); }
REPLACES(stream_write_ancillary, calls_a_pipe_invalid)

READS(loses_them_if_the_sender_left) {
  ipc_status status = READ;
  if (status.code == IPC_OK && mutant_ready(mutant_fd(stream), POLLHUP)) drop_from(ancillary, 0);
  return status;
}
REPLACES(stream_read_ancillary, loses_them_if_the_sender_left)

READS(turns_them_round) {
  ipc_status status = READ;
  for (size_t i = 0; status.code == IPC_OK && i < ancillary->num_descriptors / 2; i++) {
    const int32_t first = ancillary->descriptors[i];
    ancillary->descriptors[i] = ancillary->descriptors[ancillary->num_descriptors - 1 - i];
    ancillary->descriptors[ancillary->num_descriptors - 1 - i] = first;
  }
  return status;
}
REPLACES(stream_read_ancillary, turns_them_round)

READS(takes_sixteen) {
  ipc_status status = READ;
  if (status.code == IPC_OK) drop_from(ancillary, 16);
  return status;
}
REPLACES(stream_read_ancillary, takes_sixteen)

READS(lets_children_have_them) {
  ipc_status status = READ;
  for (size_t i = 0; status.code == IPC_OK && i < ancillary->num_descriptors; i++)
    fcntl(ancillary->descriptors[i], F_SETFD, 0);
  return status;
}
REPLACES(stream_read_ancillary, lets_children_have_them)

/* reads_with_more_room has room for everything, and tells what the caller has room for. */
READS(leaves_what_does_not_fit_open) {
  int32_t room[ROOM];
  ipc_ancillary more = *ancillary;
  if (ancillary->descriptors_max >= ROOM) return READ;
  more.descriptors = room;
  more.descriptors_max = ROOM;
  ipc_status status = ipc_stream_read_ancillary(stream, out_data, data_max, &more, timeout_ms, out_len);
  const bool cut = more.num_descriptors > ancillary->descriptors_max;
  ancillary->fields = more.fields | (cut ? (uint32_t)IPC_ANCILLARY_CUT : 0);
  ancillary->credentials = more.credentials;
  ancillary->num_descriptors = cut ? ancillary->descriptors_max : more.num_descriptors;
  for (size_t i = 0; i < ancillary->num_descriptors; i++) ancillary->descriptors[i] = room[i];
  return status;
}
REPLACES(stream_read_ancillary, leaves_what_does_not_fit_open)

READS(cuts_without_a_word) {
  ipc_status status = READ;
  ancillary->fields &= ~(uint32_t)IPC_ANCILLARY_CUT;
  return status;
}
REPLACES(stream_read_ancillary, cuts_without_a_word)

READS(takes_full_for_cut) {
  ipc_status status = READ;
  if (status.code == IPC_OK && ancillary->num_descriptors > 1 &&
      ancillary->num_descriptors == ancillary->descriptors_max)
    ancillary->fields |= IPC_ANCILLARY_CUT;
  return status;
}
REPLACES(stream_read_ancillary, takes_full_for_cut)

READS(reads_no_bytes) {
  *out_len = 0;
  return data_max == 0 ? mutant_status(IPC_OK) : READ;
}
REPLACES(stream_read_ancillary, reads_no_bytes)

READS(takes_nothing_for_the_end) { return recoded(READ, IPC_WOULD_BLOCK, IPC_END); }
REPLACES(stream_read_ancillary, takes_nothing_for_the_end)

READS(goes_on_when_closed) {
  ipc_status status = READ;
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(stream_read_ancillary, goes_on_when_closed)

READS(tells_process_0_at_the_end) {
  ipc_status status = READ;
  if (status.code == IPC_END) {
    ancillary->fields |= IPC_ANCILLARY_CREDENTIALS;
    ancillary->credentials = (ipc_credentials){.fields = IPC_CREDENTIALS_PID, .pid = 0};
  }
  return status;
}
REPLACES(stream_read_ancillary, tells_process_0_at_the_end)

static ipc_status keeps_what_nobody_takes(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                          size_t *out_len) {
  int32_t room[ROOM];
  ipc_ancillary kept = {.size = sizeof(kept), .descriptors = room, .descriptors_max = ROOM};
  ipc_status status = {.code = IPC_UNSUPPORTED};
  if (data_max != 0) status = ipc_stream_read_ancillary(stream, out_data, data_max, &kept, timeout_ms, out_len);
  return status.code == IPC_UNSUPPORTED ? ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len) : status;
}
REPLACES(stream_read, keeps_what_nobody_takes)

/* ------------------------------------------------------------------------------------------------- credentials */

READS(tells_no_user_at_first) {
  ipc_status status = READ;
  const bool first = status.code == IPC_OK && mutant_recall(stream) == 0;
  if (first && ancillary->fields & IPC_ANCILLARY_CREDENTIALS) ancillary->credentials.fields &= IPC_CREDENTIALS_PID;
  if (status.code == IPC_OK) mutant_remember(stream, 1);
  return status;
}
REPLACES(stream_read_ancillary, tells_no_user_at_first)

READS(names_somebody_for_nobody) {
  ipc_status status = READ;
  if (ancillary->fields & IPC_ANCILLARY_CREDENTIALS && !(ancillary->credentials.fields & IPC_CREDENTIALS_PID)) {
    ancillary->credentials.fields |= IPC_CREDENTIALS_PID;
    ancillary->credentials.pid = 1;
  }
  return status;
}
REPLACES(stream_read_ancillary, names_somebody_for_nobody)

static ipc_status goes_on_asking(ipc_stream *stream, bool pass) {
  return pass ? ipc_stream_set_pass_credentials(stream, true) : mutant_status(IPC_OK);
}
REPLACES(stream_set_pass_credentials, goes_on_asking)

WRITES(names_itself_instead) {
  ipc_ancillary own = *ancillary;
  if (own.credentials.pid != (uint64_t)getpid()) own.credentials.fields &= ~(uint32_t)IPC_CREDENTIALS_PID;
  return ipc_stream_write_ancillary(stream, data, data_len, &own, timeout_ms, out_len);
}
REPLACES(stream_write_ancillary, names_itself_instead)

WRITES(names_nobody) {
  const bool named = (ancillary->fields & IPC_ANCILLARY_CREDENTIALS) != 0;
  *out_len = 0;
  return named && ancillary->credentials.fields == (IPC_CREDENTIALS_PID | IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID) &&
                 ancillary->credentials.pid == (uint64_t)getpid()
             ? mutant_status(IPC_PERMISSION_DENIED)
             : WRITE;
}
REPLACES(stream_write_ancillary, names_nobody)

/* --------------------------------------------------------------------------------------- control buffers */

static ipc_status believes_lengths(const void *control, size_t control_len, ipc_ancillary *ancillary) {
  return recoded(ipc_ancillary_decode(control, control_len, ancillary), IPC_MALFORMED, IPC_OK);
}
REPLACES(ancillary_decode, believes_lengths)

static ipc_status decodes_without_a_word(const void *control, size_t control_len, ipc_ancillary *ancillary) {
  ipc_status status = ipc_ancillary_decode(control, control_len, ancillary);
  ancillary->fields &= ~(uint32_t)IPC_ANCILLARY_CUT;
  return status;
}
REPLACES(ancillary_decode, decodes_without_a_word)

static ipc_status wants_padding(const void *control, size_t control_len, ipc_ancillary *ancillary) {
  ipc_status status = ipc_ancillary_decode(control, control_len, ancillary);
  return control_len % sizeof(size_t) != 0 ? recoded(status, IPC_OK, IPC_MALFORMED) : status;
}
REPLACES(ancillary_decode, wants_padding)

static ipc_status encodes_process_0(const ipc_ancillary *ancillary, void *out_control, size_t control_max,
                                    size_t *out_len) {
  ipc_ancillary named = *ancillary;
  if (named.fields & IPC_ANCILLARY_CREDENTIALS && !(named.credentials.fields & IPC_CREDENTIALS_PID)) {
    named.credentials.fields |= IPC_CREDENTIALS_PID;
    named.credentials.pid = 0;
  }
  return ipc_ancillary_encode(&named, out_control, control_max, out_len);
}
REPLACES(ancillary_encode, encodes_process_0)

static ipc_status encodes_nothing_as_something(const ipc_ancillary *ancillary, void *out_control, size_t control_max,
                                               size_t *out_len) {
  ipc_status status = ipc_ancillary_encode(ancillary, out_control, control_max, out_len);
  if (status.code == IPC_OK && *out_len > 4 && ancillary->num_descriptors % 2 == 1 && ancillary->fields == 0)
    ((unsigned char *)out_control)[*out_len - 1] = 0xFF;
  return status;
}
REPLACES(ancillary_encode, encodes_nothing_as_something)

const mutant ancillary_mutants[] = {
    {"ancillary.keeps_copy", "keeps a copy of a descriptor that it passed beside a byte",
     "Ancillary.SendersCopyStaysOpen", NULL, NULL, install_keeps_a_copy},
    {"ancillary.with_each_part", "sends descriptors with each part of a long write",
     "Ancillary.LongWriteCarriesThemOnce", NULL, NULL, install_sends_them_with_each_part},
    {"ancillary.full_is_too_large", "calls a message with a descriptor too large when there is no room (nono#1325)",
     "Ancillary.WaitsForRoomAndTravelsThen", NULL, NULL, install_wants_room_at_once},
    {"ancillary.no_bytes_written", "loses descriptors that have no byte to travel beside (go#6476)",
     "Ancillary.WriteOfNoBytesIsRefused", NULL, NULL, install_writes_no_bytes},
    {"ancillary.closed_left_out", "leaves out a descriptor that is not open", "Ancillary.ClosedDescriptorIsRefused",
     NULL, NULL, install_leaves_closed_descriptors_out},
    {"ancillary.pipe_is_invalid", "calls it a wrong argument to pass descriptors over a pipe",
     "Ancillary.PipesCarryNothing", NULL, NULL, install_calls_a_pipe_invalid},
    {"ancillary.lost_with_sender", "loses descriptors whose sender has left (node#7512)",
     "Ancillary.DescriptorOutlivesTheSendersCopy", NULL, NULL, install_loses_them_if_the_sender_left},
    {"ancillary.turned_round", "gives descriptors from the last to the first", "Ancillary.SeveralComeInTheirOrder",
     NULL, NULL, install_turns_them_round},
    {"ancillary.sixteen", "takes sixteen descriptors and drops the others", "Ancillary.ManyComeAtOnce", NULL, NULL,
     install_takes_sixteen},
    {"ancillary.inherited", "lets children have descriptors that came (dart-lang/sdk#63653)",
     "Ancillary.ArrivesClosedOnExec", NULL, NULL, install_lets_children_have_them},
    {"ancillary.cut_leaks", "leaves descriptors open that there was no room for (libuv#4358)",
     "Ancillary.TooManyAreCut", NULL, NULL, install_leaves_what_does_not_fit_open},
    {"ancillary.cut_without_a_word", "cuts descriptors without a word", "Ancillary.WithoutRoomTheyAreClosed", NULL,
     NULL, install_cuts_without_a_word},
    {"ancillary.full_is_cut", "takes a full array for one that was too small", "Ancillary.ExactRoomIsNotCut", NULL,
     NULL, install_takes_full_for_cut},
    {"ancillary.no_bytes_read", "reads no bytes, beside which nothing travels", "Ancillary.ReadOfNoBytesIsRefused",
     NULL, NULL, install_reads_no_bytes},
    {"ancillary.nothing_is_end", "takes nothing to be read for the end", "Ancillary.ReadWithoutWaitingWouldBlock", NULL,
     NULL, install_takes_nothing_for_the_end},
    {"ancillary.read_not_woken", "does not end a waiting read at close", "Ancillary.CloseEndsAWaitingRead", "server",
     NULL, install_goes_on_when_closed},
    {"ancillary.process_0_at_end", "tells process 0 at the end", "Ancillary.EndBringsNothing", NULL, NULL,
     install_tells_process_0_at_the_end},
    {"ancillary.plain_read_leaks", "leaves descriptors open that a plain read meets", "Ancillary.PlainReadDropsThem",
     NULL, NULL, install_keeps_what_nobody_takes},
    {"ancillary.no_user", "tells the process that wrote first but not its user (dbus-java#57)",
     "Ancillary.SystemTellsWhoWrote", NULL, NULL, install_tells_no_user_at_first},
    {"ancillary.somebody_for_nobody", "names some process where the system names none",
     "Ancillary.AskingLateNamesNobodyElse", NULL, NULL, install_names_somebody_for_nobody},
    {"ancillary.goes_on_asking", "goes on telling who wrote when it should not any more",
     "Ancillary.CredentialsComeOnlyIfAskedFor", NULL, NULL, install_goes_on_asking},
    {"ancillary.itself_instead", "names itself instead of the process that it is told to name",
     "Ancillary.ForeignProcessNeedsPrivilege", NULL, NULL, install_names_itself_instead},
    {"ancillary.may_not_name_itself", "may not name its own process", "Ancillary.OwnCredentialsMayBeNamed", NULL, NULL,
     install_names_nobody},
    {"ancillary.lengths_believed", "believes lengths of control messages (rustix#1683)",
     "Ancillary.DecodeRefusesBrokenLengths", NULL, NULL, install_believes_lengths},
    {"ancillary.decoded_without_a_word", "does not say that there were more descriptors than it tells",
     "Ancillary.DecodeSaysWhatDidNotFit", NULL, NULL, install_decodes_without_a_word},
    {"ancillary.wants_padding", "wants padding behind the last control message",
     "Ancillary.DecodeNeedsNoPaddingAtTheEnd", NULL, NULL, install_wants_padding},
    {"ancillary.encodes_process_0", "encodes process 0 where none is named",
     "Ancillary.EncodesTheOwnCredentialsIfNoneAreNamed", NULL, NULL, install_encodes_process_0},
    {"ancillary.padding_not_zeroed", "leaves what lies there in the padding of a control message",
     "Ancillary.EncodesDescriptors", NULL, NULL, install_encodes_nothing_as_something},
    {0},
};
