// What a library makes of arguments, right and wrong. spec/abi.md, AbiArguments.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"

namespace {

using cts::abi::Call;
using cts::abi::CallsOn;
using cts::abi::Descriptors;
using cts::abi::Ended;
using cts::abi::GuardedPage;
using cts::abi::Open;
using cts::abi::Outputs;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::PlainFraming;

constexpr uint32_t kUnknown[] = {0, 99, 0x80000000u, 0xffffffffu};

/// Options with bytes behind them that this version does not know.
template <typename T>
struct Longer {
  T options = {};
  unsigned char behind[32] = {};
  static_assert(sizeof(T) % 4 == 0, "nothing lies between");
  explicit Longer(unsigned char last) {
    options.size = sizeof(T) + sizeof behind;
    behind[sizeof behind - 1] = last;
  }
};

/// Leaves bytes on the stack where calls behind it have their variables: what is read before it was written shows.
void SoilStack(unsigned char with) {
  volatile unsigned char room[16384];
  for (volatile unsigned char &byte : room) byte = with;
}

/// A file that is no socket, pipe or FIFO, open for reading and writing.
int RegularFile(const std::string &path) { return open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); }

}  // namespace

// ------------------------------------------------------------------------------------------------ pointers

CTS_CASE(AbiArguments, NullHandleIsRefused) {
  Outputs outputs;
  for (const Call &call : CallsOn(shape("handle"), nullptr, &outputs)) {
    step(call.name + " on NULL");
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, call.make(-1)) << call.name << " on NULL";
    EXPECT_EQ(outputs.Left(call.num_handles, call.num_lengths), "") << call.name << " on NULL";
  }
}

CTS_CASE(AbiArguments, FreeOfNullIsAllowed) {
  step("free of NULL");
#define FREES(slot)                             \
  if (auto f = offered(&ipc_table::slot)) {     \
    step(#slot "(NULL)");                       \
    EXPECT_STATUS(IPC_OK, f(nullptr)) << #slot; \
  }
  FREES(listener_free)
  FREES(stream_free)
  FREES(socket_free)
  FREES(watcher_free)
  FREES(loop_free)
  FREES(framed_free)
#undef FREES
  if (auto f = offered(&ipc_table::decoder_free)) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(nullptr));
  }
}

CTS_CASE(AbiArguments, NullOutputIsRefused) {
  Outputs outputs;
  Open open = open_handle(shape("handle"));
  const std::set<int> before = Descriptors();
  for (const Call &call : CallsOn(shape("handle"), open.handle, &outputs)) {
    for (int omitted = 0; omitted < call.num_outputs; omitted++) {
      const std::string what = call.name + " without its out pointer " + std::to_string(omitted + 1);
      step(what);
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, call.make(omitted)) << what;
    }
  }
  EXPECT_EQ(Descriptors(), before) << "refused calls made or closed descriptors";
  if (open.close) {
    EXPECT_STATUS(IPC_OK, open.close()) << "the handle is as it was";
  }
}

CTS_CASE(AbiArguments, RefusedReadTakesNothing) {
  cts::abi::Pair pair = stream_pair();
  write_all(pair.writer.get(), "kept");
  char buffer[8];
  size_t len = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                LIB(stream_read)(pair.reader.get(), buffer, sizeof buffer, IPC_NO_TIMEOUT, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_read)(pair.reader.get(), nullptr, 4, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_read)(pair.reader.get(), buffer, sizeof buffer, -2, &len));
  EXPECT_EQ(read_exactly(pair.reader.get(), 4), "kept");
}

CTS_CASE(AbiArguments, RefusedWriteSendsNothing) {
  cts::abi::Pair pair = stream_pair();
  size_t len = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write)(pair.writer.get(), nullptr, 4, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write)(pair.writer.get(), "lost", 4, IPC_NO_TIMEOUT, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write)(pair.writer.get(), "lost", 4, -2, &len));
  write_all(pair.writer.get(), "sent");
  pair.writer.reset();
  EXPECT_EQ(read_to_end(pair.reader.get()), "sent");
}

CTS_CASE(AbiArguments, NullNameIsRefused) {
  ipc_listener *listener = nullptr;
  ipc_stream *stream = nullptr;
  const ipc_name no_bytes = {IPC_NAME_PATH, nullptr, 4};
  for (const ipc_name *name : {static_cast<const ipc_name *>(nullptr), &no_bytes}) {
    step(name == nullptr ? "no name" : "a name without bytes");
    listener = reinterpret_cast<ipc_listener *>(&listener);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_listen)(name, nullptr, &listener));
    EXPECT_EQ(listener, nullptr);
    stream = reinterpret_cast<ipc_stream *>(&stream);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_connect)(name, IPC_NO_TIMEOUT, &stream));
    EXPECT_EQ(stream, nullptr);
  }
}

CTS_CASE(AbiArguments, NullMakerOutputIsRefused) {
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  const std::set<int> before = Descriptors();
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_listen)(&bytes, nullptr, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_connect)(&bytes, IPC_NO_TIMEOUT, nullptr));
  if (auto f = offered(&ipc_table::pipe_create)) {
    ipc_stream *end = nullptr;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(nullptr, nullptr, &end));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(nullptr, &end, nullptr));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(nullptr, &end, &end)) << "one out pointer for both ends";
  }
  if (auto f = offered(&ipc_table::loop_open)) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(nullptr, nullptr));
  }
  if (auto f = offered(&ipc_table::socket_open)) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(IPC_UNIX_DATAGRAM, nullptr));
  }
  const ipc_framing framing = PlainFraming();
  if (auto f = offered(&ipc_table::framing_decode)) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(&framing, nullptr));
  }
  EXPECT_EQ(Descriptors(), before);
  auto listener = listen(name);  // nothing has taken the name
}

// ------------------------------------------------------------------------------------------------ lengths

CTS_CASE(AbiArguments, ReadOfNothingIsOk) {
  cts::abi::Pair pair = stream_pair();
  auto read = LIB(stream_read);
  char byte = '#';
  size_t len = 7;
  EXPECT_STATUS(IPC_OK, read(pair.reader.get(), &byte, 0, IPC_NO_TIMEOUT, &len)) << "with nothing to read";
  EXPECT_EQ(len, 0u);
  write_all(pair.writer.get(), "x");
  len = 7;
  EXPECT_STATUS(IPC_OK, read(pair.reader.get(), &byte, 0, IPC_NO_TIMEOUT, &len)) << "with a byte to read";
  EXPECT_EQ(len, 0u);
  pair.writer.reset();
  EXPECT_EQ(read_to_end(pair.reader.get()), "x");
  len = 7;
  EXPECT_STATUS(IPC_OK, read(pair.reader.get(), &byte, 0, IPC_NO_TIMEOUT, &len)) << "at the end";
  EXPECT_EQ(len, 0u);
}

CTS_CASE(AbiArguments, WriteOfNothingIsOk) {
  cts::abi::Pair pair = stream_pair();
  size_t len = 7;
  EXPECT_STATUS(IPC_OK, LIB(stream_write)(pair.writer.get(), nullptr, 0, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  pair.writer.reset();
  EXPECT_EQ(read_to_end(pair.reader.get()), "");
}

CTS_CASE(AbiArguments, ReadStaysInItsRoom) {
  cts::abi::Pair pair = stream_pair();
  GuardedPage page;
  write_all(pair.writer.get(), "0123456789");
  size_t len = 0;
  step("a read into the last 4 bytes of a page");
  EXPECT_STATUS(IPC_OK, LIB(stream_read)(pair.reader.get(), page.end(4), 4, IPC_NO_TIMEOUT, &len));
  ASSERT_TRUE(len >= 1 && len <= 4) << len;
  pair.writer.reset();
  EXPECT_EQ(std::string(reinterpret_cast<char *>(page.end(4)), len) + read_to_end(pair.reader.get()), "0123456789");
}

CTS_CASE(AbiArguments, WriteStaysInItsBytes) {
  cts::abi::Pair pair = stream_pair();
  GuardedPage page;
  const std::string bytes = "guarded";
  size_t len = 0;
  step("a write of the last bytes of a page");
  EXPECT_STATUS(IPC_OK, LIB(stream_write)(pair.writer.get(), page.holding(bytes), bytes.size(), IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, bytes.size());
  EXPECT_EQ(read_exactly(pair.reader.get(), bytes.size()), bytes);
}

CTS_CASE(AbiArguments, NamesNeedNoNul) {
  GuardedPage page;
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = {name.kind, page.holding(name.bytes), name.bytes.size()};
  ipc_listener *listener = nullptr;
  ipc_stream *stream = nullptr;
  step("a name at the end of a page");
  ASSERT_STATUS(IPC_OK, LIB(local_listen)(&bytes, nullptr, &listener));
  cts::abi::Owned<ipc_listener> owned(listener);
  ASSERT_STATUS(IPC_OK, LIB(local_connect)(&bytes, IPC_NO_TIMEOUT, &stream));
  cts::abi::Owned<ipc_stream> connected(stream);
  EXPECT_NE(accept(listener), nullptr);
}

CTS_CASE(AbiArguments, AddressFitsOrIsNotWritten) {
  cts::abi::Owned<ipc_listener> listener = listen();
  const std::string whole = address_of(listener.get()).bytes;
  ASSERT_GE(whole.size(), 2u);
  GuardedPage page;
  size_t len = 0;
  unsigned char *room = page.end(whole.size());
  step("exactly the room that it takes");
  EXPECT_STATUS(IPC_OK, LIB(listener_native)(listener.get(), room, whole.size(), &len));
  EXPECT_EQ(std::string(reinterpret_cast<char *>(room), whole.size()), whole);
  memset(room, '#', whole.size());
  step("a byte less");
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, LIB(listener_native)(listener.get(), room + 1, whole.size() - 1, &len));
  EXPECT_EQ(len, whole.size()) << "the room needed";
  EXPECT_EQ(std::string(reinterpret_cast<char *>(room), whole.size()), std::string(whole.size(), '#'));
}

CTS_CASE(AbiArguments, NamesFitOrAreNotWritten) {
  GuardedPage page;
  const ipc_name name = {IPC_NAME_PATH, "/some/name", 10};
  unsigned char *room = page.end(10);
  uint32_t kind = 0;
  size_t len = 0;
  step("exactly the room that it takes");
  EXPECT_STATUS(IPC_OK, LIB(name_parse)(name.data, name.len, &kind, room, 10, &len));
  EXPECT_EQ(std::string(reinterpret_cast<char *>(room), 10), "/some/name");
  EXPECT_STATUS(IPC_OK, LIB(name_format)(&name, room, 10, &len));
  EXPECT_STATUS(IPC_OK, LIB(name_native)(&name, IPC_OS_LINUX, room, 10, &len));
  memset(room, '#', 10);
  step("a byte less");
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, LIB(name_parse)(name.data, name.len, &kind, room + 1, 9, &len));
  EXPECT_EQ(len, 10u);
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, LIB(name_format)(&name, room + 1, 9, &len));
  EXPECT_EQ(len, 10u);
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, LIB(name_native)(&name, IPC_OS_LINUX, room + 1, 9, &len));
  EXPECT_EQ(len, 10u);
  EXPECT_EQ(std::string(reinterpret_cast<char *>(room), 10), std::string(10, '#'));
}

CTS_CASE(AbiArguments, NamesWithoutRoomAreRefused) {
  const ipc_name name = {IPC_NAME_PATH, "/some/name", 10};
  const ipc_name no_bytes = {IPC_NAME_PATH, nullptr, 10};
  char room[16];
  auto format = LIB(name_format);
  auto native = LIB(name_native);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, format(&name, room, sizeof room, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, native(&name, IPC_OS_LINUX, room, sizeof room, nullptr));
  struct Wrong {
    const ipc_name *name;
    char *room;
  };
  for (const Wrong &wrong : {Wrong{nullptr, room}, Wrong{&no_bytes, room}, Wrong{&name, nullptr}}) {
    size_t len = 7;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, format(wrong.name, wrong.room, sizeof room, &len));
    EXPECT_EQ(len, 0u);
    len = 7;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, native(wrong.name, IPC_OS_LINUX, wrong.room, sizeof room, &len));
    EXPECT_EQ(len, 0u);
  }
  size_t len = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, native(&name, 99, room, sizeof room, &len)) << "an unknown system";
  EXPECT_EQ(len, 0u);
}

CTS_CASE(AbiArguments, FrameThatIsNotThereIsNone) {
  auto next = LIB(decoder_next);
  const ipc_framing framing = PlainFraming();
  ipc_decoder *decoder = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(framing_decode)(&framing, &decoder));
  cts::abi::Owned<ipc_decoder> owned(decoder);
  const void *body = &decoder;
  size_t len = 7;
  uint64_t need = 0;
  EXPECT_STATUS(IPC_WOULD_BLOCK, next(decoder, &body, &len, &need));
  EXPECT_EQ(body, nullptr);
  EXPECT_EQ(len, 0u);
  EXPECT_GE(need, 1u);
  body = &decoder;
  len = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, next(nullptr, &body, &len, &need));
  EXPECT_EQ(body, nullptr);
  EXPECT_EQ(len, 0u);
}

CTS_CASE(AbiArguments, FramedStreamsAreMadeOfStreams) {
  auto open_framed = LIB(framed_open);
  const ipc_framing framing = PlainFraming();
  ipc_framing unknown = framing;
  unknown.codec = 99;
  cts::abi::Pair pair = stream_pair();
  ipc_framed *framed = reinterpret_cast<ipc_framed *>(&pair);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_framed(nullptr, &framing, &framed));
  EXPECT_EQ(framed, nullptr);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_framed(pair.reader.get(), &framing, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_framed(nullptr, &framing, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_framed(pair.reader.get(), &unknown, &framed));
  write_all(pair.writer.get(), "x");
  EXPECT_EQ(read_exactly(pair.reader.get(), 1), "x") << "a stream that was not taken over";
}

CTS_CASE(AbiArguments, CredentialsLeftOutAreTheCallers) {
  auto write_ancillary = LIB(stream_write_ancillary);
  auto read_ancillary = LIB(stream_read_ancillary);
  cts::abi::Pair pair = stream_pair();
  EXPECT_STATUS(IPC_OK, LIB(stream_set_pass_credentials)(pair.reader.get(), true));
  // Effective ids that differ from the real ones, where this process may have such: root outside a sandbox.
  if (geteuid() == 0 && (setegid(4711) != 0 || seteuid(4712) != 0)) step("with effective ids that are the real ones");
  const uint32_t all[] = {IPC_CREDENTIALS_PID, IPC_CREDENTIALS_UID, IPC_CREDENTIALS_GID};
  for (uint32_t given = 0; given < 8; given++) {
    step("credentials given: " + std::to_string(given));
    ipc_ancillary sent = {}, came = {};
    sent.size = came.size = sizeof sent;
    sent.fields = IPC_ANCILLARY_CREDENTIALS;
    for (int i = 0; i < 3; i++) sent.credentials.fields |= (given >> i & 1) != 0 ? all[i] : 0;
    if ((given & 1) != 0) sent.credentials.pid = static_cast<uint64_t>(getpid());
    if ((given & 2) != 0) sent.credentials.uid = getuid();
    if ((given & 4) != 0) sent.credentials.gid = getgid();
    char byte = 'c';
    size_t len = 0;
    ASSERT_STATUS(IPC_OK, write_ancillary(pair.writer.get(), &byte, 1, &sent, IPC_NO_TIMEOUT, &len));
    ASSERT_STATUS(IPC_OK, read_ancillary(pair.reader.get(), &byte, 1, &came, IPC_NO_TIMEOUT, &len));
    ASSERT_NE(came.fields & IPC_ANCILLARY_CREDENTIALS, 0u);
    EXPECT_EQ(came.credentials.pid, static_cast<uint64_t>(getpid()));
    EXPECT_EQ(came.credentials.uid, (given & 2) != 0 ? getuid() : geteuid());
    EXPECT_EQ(came.credentials.gid, (given & 4) != 0 ? getgid() : getegid());
  }
}

CTS_CASE(AbiArguments, TimeoutsBelowForEverAreRefused) {
  cts::abi::Pair pair = stream_pair();
  char byte = 0;
  size_t len = 7;
  for (const int64_t timeout_ms : {int64_t{-2}, INT64_MIN}) {
    step("a timeout of " + std::to_string(timeout_ms));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_read)(pair.reader.get(), &byte, 1, timeout_ms, &len));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write)(pair.writer.get(), "x", 1, timeout_ms, &len));
    ipc_stream *stream = reinterpret_cast<ipc_stream *>(&pair);
    if (pair.listener != nullptr) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                    offered(&ipc_table::listener_accept)(pair.listener.get(), timeout_ms, &stream));
      EXPECT_EQ(stream, nullptr);
      const cts::abi::Name name = address_of(pair.listener.get());
      const ipc_name bytes = name.get();
      stream = reinterpret_cast<ipc_stream *>(&pair);
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, offered(&ipc_table::local_connect)(&bytes, timeout_ms, &stream));
      EXPECT_EQ(stream, nullptr);
    }
  }
}

CTS_CASE(AbiArguments, TimeoutOfTheLongestIsATimeout) {
  cts::abi::Pair pair = stream_pair();
  write_all(pair.writer.get(), "x");
  char byte = 0;
  size_t len = 0;
  EXPECT_STATUS(IPC_OK, LIB(stream_read)(pair.reader.get(), &byte, 1, INT64_MAX, &len));
  EXPECT_EQ(len, 1u);
}

CTS_CASE(AbiArguments, MoreBuffersThan64AreRefused) {
  cts::abi::Pair pair = stream_pair();
  char bytes[65];
  memset(bytes, 'x', sizeof bytes);
  ipc_buffer into[65];
  ipc_const_buffer from[65];
  for (size_t i = 0; i < 65; i++) {
    into[i] = {&bytes[i], 1};
    from[i] = {&bytes[i], 1};
  }
  size_t len = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write_vectored)(pair.writer.get(), from, 65, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                LIB(stream_write_vectored)(pair.writer.get(), from, SIZE_MAX, IPC_NO_TIMEOUT, &len));
  EXPECT_STATUS(IPC_OK, LIB(stream_write_vectored)(pair.writer.get(), from, 64, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 64u);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_read_vectored)(pair.reader.get(), into, 65, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  size_t all = 0;
  while (all < 64 && !HasFailure()) {
    EXPECT_STATUS(IPC_OK, LIB(stream_read_vectored)(pair.reader.get(), into, 64 - all, IPC_NO_TIMEOUT, &len));
    all += len;
  }
  EXPECT_EQ(all, 64u);
}

CTS_CASE(AbiArguments, BuffersWithoutBytesAreRefusedUnlessEmpty) {
  cts::abi::Pair pair = stream_pair();
  size_t len = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write_vectored)(pair.writer.get(), nullptr, 1, IPC_NO_TIMEOUT, &len));
  const ipc_const_buffer bad[] = {{"ab", 2}, {nullptr, 1}};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write_vectored)(pair.writer.get(), bad, 2, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u) << "it had taken the first buffer";
  // A system that looks at the second one when it comes to it has sent much of the first by then.
  const std::string large(48 << 10, 'x');
  const ipc_const_buffer late[] = {{large.data(), large.size()}, {nullptr, 1}};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_write_vectored)(pair.writer.get(), late, 2, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u) << "it had taken of the first buffer";
  const ipc_const_buffer good[] = {{nullptr, 0}, {"ab", 2}, {nullptr, 0}};
  EXPECT_STATUS(IPC_OK, LIB(stream_write_vectored)(pair.writer.get(), good, 3, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 2u);
  char room[2];
  const ipc_buffer bad_rooms[][2] = {
      {{nullptr, 2}, {nullptr, 0}}, {{room, 1}, {nullptr, 1}}, {{room, 1}, {room, SIZE_MAX / 2}}};
  for (const auto &bad_room : bad_rooms) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                  LIB(stream_read_vectored)(pair.reader.get(), bad_room, 2, IPC_NO_TIMEOUT, &len));
    EXPECT_EQ(len, 0u) << "it had filled the first buffer";
  }
  const ipc_buffer good_room[] = {{nullptr, 0}, {room, 2}};
  EXPECT_STATUS(IPC_OK, LIB(stream_read_vectored)(pair.reader.get(), good_room, 2, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(std::string(room, len), "ab");
}

// ------------------------------------------------------------------------------------ kinds, flags, structures

CTS_CASE(AbiArguments, UnknownKindsOfNamesAreRefused) {
  ipc_listener *listener = nullptr;
  ipc_stream *stream = nullptr;
  const std::string path = fresh_path();
  for (const uint32_t kind : kUnknown) {
    step("a name of kind " + std::to_string(kind));
    const ipc_name name = {kind, path.data(), path.size()};
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_listen)(&name, nullptr, &listener)) << "kind " << kind;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_connect)(&name, IPC_NO_TIMEOUT, &stream)) << "kind " << kind;
    size_t len = 0;
    char room[4096];
    if (auto f = offered(&ipc_table::name_native)) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(&name, IPC_OS_THIS, room, sizeof room, &len)) << "kind " << kind;
    }
    if (auto f = offered(&ipc_table::name_format)) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(&name, room, sizeof room, &len)) << "kind " << kind;
    }
    if (auto f = offered(&ipc_table::name_limit)) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, f(kind, IPC_OS_THIS, &len)) << "kind " << kind;
    }
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0) << "a file was made";
}

CTS_CASE(AbiArguments, UnknownSystemsAreRefused) {
  const ipc_name name = {IPC_NAME_PATH, "/some/name", 10};
  char room[64];
  size_t len = 0;
  for (const uint32_t system : {5u, 99u, 0xffffffffu}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(name_native)(&name, system, room, sizeof room, &len)) << system;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(name_limit)(IPC_NAME_PATH, system, &len)) << system;
  }
}

CTS_CASE(AbiArguments, ShortOptionsAreRefused) {
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  for (const uint32_t size : {0u, 1u, static_cast<uint32_t>(sizeof(ipc_local_listen_options)) - 1}) {
    GuardedPage page;
    // There is no more of them than they say.
    auto *options = reinterpret_cast<ipc_local_listen_options *>(page.end(sizeof(ipc_local_listen_options)));
    memset(static_cast<void *>(options), 0, sizeof *options);
    options->size = size;
    ipc_listener *listener = reinterpret_cast<ipc_listener *>(&page);
    step("options of size " + std::to_string(size));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_listen)(&bytes, options, &listener)) << "size " << size;
    EXPECT_EQ(listener, nullptr);
  }
  auto listener = listen(name);
}

CTS_CASE(AbiArguments, NewerOptionsThatAskForNothingAreTaken) {
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  Longer<ipc_local_listen_options> newer(0);
  ipc_listener *listener = nullptr;
  EXPECT_STATUS(IPC_OK, LIB(local_listen)(&bytes, &newer.options, &listener));
  cts::abi::Owned<ipc_listener> owned(listener);
}

CTS_CASE(AbiArguments, NewerOptionsThatAskForMoreAreRefused) {
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  Longer<ipc_local_listen_options> newer(1);
  ipc_listener *listener = reinterpret_cast<ipc_listener *>(&newer);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_listen)(&bytes, &newer.options, &listener));
  EXPECT_EQ(listener, nullptr);
  auto unused = listen(name);
}

CTS_CASE(AbiArguments, UnknownFlagsOfListenAreRefused) {
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  for (const uint32_t flag : {0x40000000u, 0x80000000u}) {
    ipc_local_listen_options options = {};
    options.size = sizeof options;
    options.flags = flag;
    ipc_listener *listener = reinterpret_cast<ipc_listener *>(&options);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(local_listen)(&bytes, &options, &listener)) << "flag " << flag;
    EXPECT_EQ(listener, nullptr);
  }
  auto listener = listen(name);
}

CTS_CASE(AbiArguments, PipeOptionsAreChecked) {
  ipc_stream *reader = nullptr, *writer = nullptr;
  Longer<ipc_pipe_options> newer(0), more(1);
  ipc_pipe_options options = {};
  const std::set<int> before = Descriptors();
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(pipe_create)(&options, &reader, &writer)) << "size 0";
  options.size = sizeof options;
  options.flags = 0x80000000u;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(pipe_create)(&options, &reader, &writer)) << "an unknown flag";
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(pipe_create)(&more.options, &reader, &writer)) << "newer, asks for more";
  EXPECT_EQ(Descriptors(), before);
  EXPECT_STATUS(IPC_OK, LIB(pipe_create)(&newer.options, &reader, &writer)) << "newer, asks for nothing more";
  cts::abi::Owned<ipc_stream> one(reader), two(writer);
}

CTS_CASE(AbiArguments, LoopOptionsAreChecked) {
  ipc_loop *loop = nullptr;
  ipc_loop_options options = {};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_open)(&options, &loop)) << "size 0";
  options.size = sizeof options;
  options.backend = 99;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_open)(&options, &loop)) << "an unknown back end";
  EXPECT_EQ(loop, nullptr);
  for (const uint32_t backend : {IPC_LOOP_BEST, IPC_LOOP_EPOLL, IPC_LOOP_KQUEUE, IPC_LOOP_POLL, IPC_LOOP_IOCP}) {
    step("back end " + std::to_string(backend));
    options.backend = backend;
    loop = reinterpret_cast<ipc_loop *>(&options);
    const ipc_status status = LIB(loop_open)(&options, &loop);
    EXPECT_STATUS_IN((IPC_OK, IPC_UNSUPPORTED), status);
    EXPECT_EQ(loop != nullptr, status.code == IPC_OK);
    if (status.code == IPC_OK) cts::abi::Owned<ipc_loop>(loop).reset();
  }
  loop = nullptr;
  Longer<ipc_loop_options> more(1);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_open)(&more.options, &loop)) << "newer, asks for more";
}

CTS_CASE(AbiArguments, SubmissionsAreChecked) {
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  ipc_submission timer = {};
  timer.size = sizeof timer;
  timer.operation = IPC_SUBMIT_TIMER;
  timer.token = 1;
  timer.timeout_ms = IPC_NO_TIMEOUT;
  for (const uint32_t operation : kUnknown) {
    ipc_submission unknown = timer;
    unknown.operation = operation;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &unknown)) << "operation " << operation;
  }
  ipc_submission small = timer;
  small.size = sizeof small - 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &small));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, nullptr));
  ipc_submission negative = timer;
  negative.timeout_ms = -2;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &negative));
  ipc_submission read = timer;
  read.operation = IPC_SUBMIT_READ;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &read)) << "a read without a stream";
  cts::abi::Pair pair = stream_pair();
  char byte = 0;
  ipc_buffer into[65];
  for (ipc_buffer &one : into) one = {&byte, 1};
  struct Wrong {
    const char *what;
    std::vector<ipc_buffer> buffers;
  };
  const Wrong wrongs[] = {
      {"a buffer without bytes", {{&byte, 1}, {nullptr, 1}}},
      {"more bytes than a length can say", {{&byte, 1}, {&byte, SIZE_MAX / 2}}},
      {"65 buffers", std::vector<ipc_buffer>(into, into + 65)},
  };
  for (const Wrong &wrong : wrongs) {
    std::vector<ipc_const_buffer> from;
    for (const ipc_buffer &one : wrong.buffers) from.push_back({one.data, one.len});
    read.stream = pair.reader.get();
    read.buffers = wrong.buffers.data();
    read.num_buffers = wrong.buffers.size();
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &read)) << "a read: " << wrong.what;
    ipc_submission write = read;
    write.operation = IPC_SUBMIT_WRITE;
    write.stream = pair.writer.get();
    write.const_buffers = from.data();
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &write)) << "a write: " << wrong.what;
  }
  if (offered(&ipc_table::signal_watch) != nullptr) {
    Open watcher = open_handle("watcher");
    ipc_signal_event event = {};
    event.size = sizeof event;
    ipc_submission next = timer;
    next.operation = IPC_SUBMIT_NEXT_SIGNAL;
    next.event = &event;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &next)) << "without a watcher";
    next.watcher = static_cast<ipc_watcher *>(watcher.handle);
    next.event = nullptr;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &next)) << "without an event";
    next.event = &event;
    next.flags = 1;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &next)) << "an unknown flag";
    next.flags = 0;
    event.size = sizeof event - 1;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &next)) << "a shorter event";
  }
  ASSERT_STATUS(IPC_OK, LIB(loop_submit)(loop, &timer));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_submit)(loop, &timer)) << "a token that is under way";
  ipc_completion completion;
  size_t number = 7;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(loop_wait)(loop, 0, &completion, 0, &number)) << "no room for completions";
  EXPECT_STATUS(IPC_TIMED_OUT, LIB(loop_wait)(loop, 0, &completion, 1, &number)) << "what was refused completed";
  EXPECT_EQ(number, 0u);
}

CTS_CASE(AbiArguments, FramingIsChecked) {
  struct Wrong {
    const char *what;
    void (*make)(ipc_framing *);
  };
  static const Wrong wrongs[] = {
      {"size 0", [](ipc_framing *f) { f->size = 0; }},
      {"an unknown codec", [](ipc_framing *f) { f->codec = 99; }},
      {"codec 0", [](ipc_framing *f) { f->codec = 0; }},
      {"an unknown flag", [](ipc_framing *f) { f->flags = 0x80000000u; }},
      {"a longest body above the ceiling", [](ipc_framing *f) { f->max = IPC_FRAMING_MAX_CEILING_U32 + 1; }},
  };
  char header[IPC_FRAMING_ENCODED_MAX];
  size_t len = 0;
  ipc_const_buffer trailer;
  for (const Wrong &wrong : wrongs) {
    ipc_framing framing = PlainFraming();
    wrong.make(&framing);
    ipc_decoder *decoder = reinterpret_cast<ipc_decoder *>(&framing);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(framing_decode)(&framing, &decoder)) << wrong.what;
    EXPECT_EQ(decoder, nullptr) << wrong.what;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(framing_encode)(&framing, 1, header, sizeof header, &len, &trailer))
        << wrong.what;
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(framing_decode)(nullptr, nullptr));
  const ipc_framing framing = PlainFraming();
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(framing_encode)(&framing, 1, nullptr, 8, &len, &trailer));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(framing_encode)(&framing, 1, header, sizeof header, nullptr, &trailer));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(framing_encode)(&framing, 1, header, sizeof header, &len, nullptr));
}

CTS_CASE(AbiArguments, HeadersFitOrAreNotWritten) {
  GuardedPage page;
  const ipc_framing framing = PlainFraming();
  size_t len = 0;
  ipc_const_buffer trailer;
  EXPECT_STATUS(IPC_OK, LIB(framing_encode)(&framing, 5, page.end(4), 4, &len, &trailer));
  EXPECT_EQ(len, 4u);
  memset(page.end(4), '#', 4);
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, LIB(framing_encode)(&framing, 5, page.end(3), 3, &len, &trailer));
  EXPECT_EQ(len, 4u);
  EXPECT_EQ(std::string(reinterpret_cast<char *>(page.end(4)), 4), "####");
}

CTS_CASE(AbiArguments, UnknownSocketTypesAreRefused) {
  ipc_socket *socket = nullptr;
  for (const uint32_t type : kUnknown) {
    socket = reinterpret_cast<ipc_socket *>(&socket);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(socket_open)(type, &socket)) << "type " << type;
    EXPECT_EQ(socket, nullptr);
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(socket_open)(IPC_UNIX_STREAM, &socket)) << "streams are no sockets";
}

CTS_CASE(AbiArguments, MessageBuffersAreChecked) {
  Sockets sockets = socket_pair();
  ipc_const_buffer from[65];
  ipc_buffer into[65];
  char byte = 'x';
  for (int i = 0; i < 65; i++) {
    from[i] = {&byte, 1};
    into[i] = {&byte, 1};
  }
  ipc_received received = {};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                LIB(socket_send)(sockets.sender.get(), from, 65, nullptr, nullptr, IPC_NO_TIMEOUT));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                LIB(socket_send)(sockets.sender.get(), nullptr, 1, nullptr, nullptr, IPC_NO_TIMEOUT));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(socket_receive)(sockets.receiver.get(), 0, into, 1, &received, nullptr, 0))
      << "ipc_received of size 0";
  received.size = sizeof received;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(socket_receive)(sockets.receiver.get(), 0, into, 65, &received, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                LIB(socket_receive)(sockets.receiver.get(), 0x80000000u, into, 1, &received, nullptr, 0))
      << "an unknown flag";
  memset(&received, 0x5A, sizeof received);
  received.size = sizeof received;
  EXPECT_STATUS(IPC_TIMED_OUT, LIB(socket_receive)(sockets.receiver.get(), 0, into, 1, &received, nullptr, 0));
  EXPECT_TRUE(received.size == sizeof received && received.reserved == 0 && received.len == 0 && received.needed == 0 &&
              received.from_len == 0)
      << "something is told of no message";
  auto native_of = LIB(socket_native);
  char native[IPC_NATIVE_MAX];
  size_t native_len = 0;
  ASSERT_STATUS(IPC_OK, native_of(sockets.sender.get(), native, sizeof native, &native_len));
  auto receive = LIB(socket_receive);
  for (const size_t number : {1, 64}) {
    ASSERT_STATUS(IPC_OK, LIB(socket_send)(sockets.sender.get(), from, number, nullptr, nullptr, IPC_NO_TIMEOUT));
    SoilStack(0xA5);
    EXPECT_STATUS(IPC_OK, receive(sockets.receiver.get(), 0, into, number, &received, nullptr, IPC_NO_TIMEOUT));
    EXPECT_EQ(received.len, number) << "a refused send was sent, or a message is not whole";
    EXPECT_EQ(std::string(reinterpret_cast<const char *>(received.from), received.from_len),
              std::string(native, native_len));
  }
}

CTS_CASE(AbiArguments, UnknownDirectionsAreRefused) {
  cts::abi::Pair pair = stream_pair();
  for (const uint32_t directions : {0u, 4u, 0xffffffffu})
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_shutdown)(pair.writer.get(), directions)) << directions;
  write_all(pair.writer.get(), "open");
  EXPECT_EQ(read_exactly(pair.reader.get(), 4), "open");
}

CTS_CASE(AbiArguments, FifoArgumentsAreChecked) {
  const std::string path = fresh_path();
  ipc_stream *stream = reinterpret_cast<ipc_stream *>(&stream);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(fifo_create)(nullptr, 4, 0600));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(fifo_create)(path.data(), path.size(), 010600)) << "bits beyond 0777";
  ASSERT_STATUS(IPC_OK, LIB(fifo_create)(path.data(), path.size(), 0600));
  for (const uint32_t direction : {0u, 3u, 99u}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                  LIB(fifo_open)(path.data(), path.size(), direction, IPC_FIFO_NO_WAIT, 0, &stream))
        << "direction " << direction;
    EXPECT_EQ(stream, nullptr);
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(fifo_open)(path.data(), path.size(), IPC_FIFO_READ, 0x80000000u, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT,
                LIB(fifo_open)(path.data(), path.size(), IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, nullptr));
}

CTS_CASE(AbiArguments, NoSignalIsRefused) {
  uint32_t traits = 0;
  char room[32];
  size_t len = 0;
  int32_t number = 0;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_number)(nullptr, 3, &number));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_number)("INT", 3, nullptr));
  EXPECT_STATUS(IPC_NOT_FOUND, LIB(signal_number)("NOSUCH", 6, &number));
  for (const int32_t signal : {-1, 4096, INT_MAX, INT_MIN}) {
    EXPECT_STATUS(IPC_NOT_FOUND, LIB(signal_name)(signal, room, sizeof room, &len)) << signal;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_describe)(signal, &traits)) << signal;
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_describe)(0, &traits));
}

CTS_CASE(AbiArguments, WatchedSignalsAreChecked) {
  int32_t signals[65];
  for (int32_t &signal : signals) signal = SIGUSR2;
  ipc_watcher *watcher = reinterpret_cast<ipc_watcher *>(signals);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_watch)(signals, 0, &watcher)) << "none";
  EXPECT_EQ(watcher, nullptr);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_watch)(nullptr, 1, &watcher));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_watch)(signals, 2, &watcher)) << "one twice";
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_watch)(signals, 65, &watcher)) << "more than 64";
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_watch)(signals, 1, nullptr));
  signals[0] = -1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_watch)(signals, 1, &watcher));
  struct sigaction now;
  ASSERT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL) << "a refused watch changed a disposition";
}

CTS_CASE(AbiArguments, HandlerIsChecked) {
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_set_handler)(SIGUSR2, 99, 0, nullptr, nullptr)) << "an unknown action";
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_set_handler)(SIGUSR2, IPC_SIGNAL_HOOK, 0, nullptr, nullptr))
      << "no hook";
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(signal_set_handler)(-1, IPC_SIGNAL_IGNORE, 0, nullptr, nullptr));
  EXPECT_STATUS(IPC_UNSUPPORTED, LIB(signal_set_handler)(SIGKILL, IPC_SIGNAL_IGNORE, 0, nullptr, nullptr));
  struct sigaction now;
  ASSERT_EQ(sigaction(SIGUSR2, nullptr, &now), 0);
  EXPECT_EQ(now.sa_handler, SIG_DFL) << "a refused call changed a disposition";
}

// --------------------------------------------------------------------------------------------- adopted handles

CTS_CASE(AbiArguments, AdoptRefusesWhatIsNoStream) {
  const std::string path = fresh_path();
  const int file = RegularFile(path);
  const int read_only = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const int write_only = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_TRUE(file >= 0 && read_only >= 0 && write_only >= 0);
  const ipc_raw wrongs[] = {{0, 0},
                            {99, 0},
                            {IPC_RAW_HANDLE, static_cast<uint64_t>(file)},
                            {IPC_RAW_SOCKET, static_cast<uint64_t>(file)},
                            {IPC_RAW_FD, static_cast<uint64_t>(file)},
                            {IPC_RAW_FD, static_cast<uint64_t>(read_only)},
                            {IPC_RAW_FD, static_cast<uint64_t>(write_only)},
                            {IPC_RAW_FD, 1000000},
                            {IPC_RAW_FD, UINT64_MAX},
                            {IPC_RAW_FD, uint64_t{1} << 32}};
  const std::set<int> before = Descriptors();
  for (const ipc_raw &raw : wrongs) {
    const std::string what = "kind " + std::to_string(raw.kind) + ", value " + std::to_string(raw.value);
    step(what);
    ipc_stream *stream = reinterpret_cast<ipc_stream *>(const_cast<int *>(&file));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_adopt)(&raw, &stream)) << what;
    EXPECT_EQ(stream, nullptr) << what;
  }
  ipc_stream *stream = nullptr;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(stream_adopt)(nullptr, &stream));
  EXPECT_EQ(Descriptors(), before) << "what was not taken was closed";
  for (const int one : {file, read_only, write_only}) close(one);
}

CTS_CASE(AbiArguments, AdoptRefusesWhatDoesNotListen) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const ipc_raw raw = {IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
  ipc_listener *listener = reinterpret_cast<ipc_listener *>(ends);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, LIB(listener_adopt)(&raw, &listener));
  EXPECT_EQ(listener, nullptr);
  EXPECT_NE(fcntl(ends[0], F_GETFD), -1) << "what was not taken was closed";
  close(ends[0]);
  close(ends[1]);
}

// ------------------------------------------------------------------------------------------ results of failures

CTS_CASE(AbiArguments, FailedMakersLeaveNoHandle) {
  const cts::abi::Name nowhere = fresh_name();
  const ipc_name bytes = nowhere.get();
  ipc_stream *stream = reinterpret_cast<ipc_stream *>(&stream);
  EXPECT_STATUS_IN((IPC_NOT_FOUND, IPC_REFUSED), LIB(local_connect)(&bytes, IPC_NO_TIMEOUT, &stream));
  EXPECT_EQ(stream, nullptr);
  auto listener = listen(nowhere);
  ipc_listener *second = reinterpret_cast<ipc_listener *>(&stream);
  EXPECT_STATUS(IPC_IN_USE, LIB(local_listen)(&bytes, nullptr, &second));
  EXPECT_EQ(second, nullptr);
}

CTS_CASE(AbiArguments, FailedTransfersTellTheLength) {
  cts::abi::Pair pair = stream_pair();
  char byte = 0;
  size_t len = 7;
  pair.writer.reset();
  EXPECT_STATUS(IPC_END, LIB(stream_read)(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  len = 7;
  pair = stream_pair();
  pair.reader.reset();
  EXPECT_STATUS_IN((IPC_BROKEN_PIPE, IPC_RESET), LIB(stream_write)(pair.writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
}

CTS_CASE(AbiArguments, TimeoutOfZeroExpiresAtOnce) {
  cts::abi::Pair pair = stream_pair();
  char byte = 0;
  size_t len = 7;
  EXPECT_STATUS(IPC_TIMED_OUT, LIB(stream_read)(pair.reader.get(), &byte, 1, 0, &len));
  EXPECT_EQ(len, 0u);
  write_all(pair.writer.get(), "x");
  EXPECT_STATUS(IPC_OK, LIB(stream_read)(pair.reader.get(), &byte, 1, 0, &len)) << "what is there needs no time";
  EXPECT_EQ(len, 1u);
}

CTS_CASE(AbiArguments, ErrnoBeforeACallMeansNothing) {
  auto read = LIB(stream_read);
  auto write = LIB(stream_write);
  for (const int error : {EINTR, EAGAIN, EPIPE, ENOMEM, EMFILE, ECANCELED}) {
    step("calls while errno is " + std::to_string(error));
    Pair pair = stream_pair();
    char byte = 0;
    size_t len = 7;
    if (offers("stream.read.timeout")) {
      errno = error;
      EXPECT_STATUS(IPC_TIMED_OUT, read(pair.reader.get(), &byte, 1, 0, &len));
    }
    errno = error;
    EXPECT_STATUS(IPC_OK, write(pair.writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
    errno = error;
    EXPECT_STATUS(IPC_OK, read(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len));
    pair.writer.reset();
    errno = error;
    EXPECT_STATUS(IPC_END, read(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len));
    if (!has_axis("stream") || shape("stream") == "pipe") continue;
    auto receive = offered(&ipc_table::socket_receive);
    auto listen_unix = offered(&ipc_table::unix_listen);
    auto accept_socket = offered(&ipc_table::listener_accept_socket);
    if (receive == nullptr || listen_unix == nullptr || accept_socket == nullptr || !offers("unix.seqpacket")) continue;
    const ipc_table &table = cts::abi::TheLibrary().table();
    const cts::abi::Name name = fresh_name();
    const ipc_name bytes = name.get();
    ipc_listener *listener = nullptr;
    ipc_socket *sender = nullptr, *receiver = nullptr;
    errno = error;
    ASSERT_STATUS(IPC_OK, listen_unix(&bytes, IPC_UNIX_SEQPACKET, nullptr, &listener));
    Owned<ipc_listener> owned(listener);
    errno = error;
    ASSERT_STATUS(IPC_OK, table.socket_open(IPC_UNIX_SEQPACKET, &sender));
    Owned<ipc_socket> sending(sender);
    errno = error;
    ASSERT_STATUS(IPC_OK, table.socket_connect(sender, &bytes, IPC_NO_TIMEOUT));
    errno = error;
    ASSERT_STATUS(IPC_OK, accept_socket(listener, IPC_NO_TIMEOUT, &receiver));
    Owned<ipc_socket> receiving(receiver);
    const ipc_const_buffer from = {"x", 1};
    const ipc_buffer into = {&byte, 1};
    ipc_received received = {};
    received.size = sizeof received;
    errno = error;
    EXPECT_STATUS(IPC_OK, table.socket_send(sender, &from, 1, nullptr, nullptr, IPC_NO_TIMEOUT));
    errno = error;
    EXPECT_STATUS(IPC_OK, receive(receiver, 0, &into, 1, &received, nullptr, IPC_NO_TIMEOUT));
    if (offers("socket.receive.timeout")) {
      errno = error;
      EXPECT_STATUS(IPC_TIMED_OUT, receive(receiver, 0, &into, 1, &received, nullptr, 0));
    }
    sending.reset();
    errno = error;
    EXPECT_STATUS(IPC_END, receive(receiver, 0, &into, 1, &received, nullptr, IPC_NO_TIMEOUT));
  }
}

CTS_CASE(AbiArguments, NamelessSenderHasNoAddress) {
  ipc_socket *receiver = nullptr, *sender = nullptr;
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  ASSERT_STATUS(IPC_OK, LIB(socket_bind)(&bytes, nullptr, &receiver));
  Owned<ipc_socket> receiving(receiver);
  ASSERT_STATUS(IPC_OK, LIB(socket_open)(IPC_UNIX_DATAGRAM, &sender));
  Owned<ipc_socket> sending(sender);
  char room[2] = {};
  const ipc_const_buffer from = {"x", 1};
  const ipc_buffer into[] = {{&room[0], 1}, {&room[1], 1}};
  for (const size_t number : {1, 2}) {
    step("a message to " + std::to_string(number) + " buffers");
    auto receive = LIB(socket_receive);
    ipc_received received;
    memset(&received, 0x5A, sizeof received);
    received.size = sizeof received;
    ASSERT_STATUS(IPC_OK, LIB(socket_send)(sender, &from, 1, &bytes, nullptr, IPC_NO_TIMEOUT));
    SoilStack(0xA5);
    ASSERT_STATUS(IPC_OK, receive(receiver, 0, into, number, &received, nullptr, IPC_NO_TIMEOUT));
    EXPECT_EQ(received.len, 1u);
    EXPECT_EQ(received.from_len, 0u);
  }
}
