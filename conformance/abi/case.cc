#include "conformance/abi/case.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

#include "conformance/abi/calls.h"

namespace cts {
namespace abi {
namespace {

constexpr const char *kStatuses[] = {
#define CTS_STATUS(name) name,
#include "conformance/kits/c/cts_operations.inc"
#undef CTS_STATUS
};

/// What a library has to offer in a shape besides what the requirement names (spec/README.md).
const std::map<std::string, std::map<std::string, std::vector<std::string>>> &NeedsOfAxes() {
  static const std::vector<std::string> local = {
      "local.listen",  "local.connect", "listener.accept", "listener.native", "listener.close",
      "listener.free", "stream.read",   "stream.write",    "stream.close",    "stream.free"};
  static const std::vector<std::string> pipe = {"pipe.create", "stream.read", "stream.write", "stream.close",
                                                "stream.free"};
  static const std::map<std::string, std::map<std::string, std::vector<std::string>>> needs = {
      {"stream", {{"local", local}, {"pipe", pipe}}},
      {"handle",
       {{"listener", {"local.listen", "listener.close", "listener.free"}},
        {"stream", {"stream.read", "stream.close", "stream.free"}},
        {"socket", {"socket.bind", "socket.connect", "socket.native", "socket.close", "socket.free"}},
        {"decoder", {"framing.decode", "decoder.feed", "decoder.next", "decoder.end", "decoder.free"}},
        {"watcher", {"signal.watch", "signal.number", "watcher.next", "watcher.close", "watcher.free"}},
        {"loop", {"loop.open", "loop.wait", "loop.close", "loop.free"}},
        {"framed", {"framed.open", "framed.read", "framed.close", "framed.free"}}}},
  };
  return needs;
}

template <typename T>
void FreeBy(ipc_status (*ipc_table::*slot)(T *), T *handle) {
  auto function = TheLibrary().table().*slot;
  if (function != nullptr && handle != nullptr) function(handle);
}

}  // namespace

std::string StatusText(const ipc_status &status) {
  const bool known = status.code >= 0 && status.code < IPC_STATUS_COUNT;
  const std::string name = known ? kStatuses[status.code] : "status " + std::to_string(status.code);
  return status.native == 0 ? name : name + " (native " + std::to_string(status.native) + ")";
}

testing::AssertionResult StatusIs(const char *, const char *call_text, int32_t expected, const ipc_status &actual) {
  if (actual.code == expected) return testing::AssertionSuccess();
  return testing::AssertionFailure() << call_text << ": " << StatusText(actual) << "; expected "
                                     << StatusText({expected, 0});
}

testing::AssertionResult StatusIn(const char *, const char *call_text, const std::vector<int32_t> &expected,
                                  const ipc_status &actual) {
  std::string names;
  for (int32_t code : expected) {
    if (actual.code == code) return testing::AssertionSuccess();
    names += (names.empty() ? "" : " or ") + StatusText({code, 0});
  }
  return testing::AssertionFailure() << call_text << ": " << StatusText(actual) << "; expected " << names;
}

void Free::operator()(ipc_listener *handle) const { FreeBy(&ipc_table::listener_free, handle); }
void Free::operator()(ipc_stream *handle) const { FreeBy(&ipc_table::stream_free, handle); }
void Free::operator()(ipc_socket *handle) const { FreeBy(&ipc_table::socket_free, handle); }
void Free::operator()(ipc_decoder *handle) const { FreeBy(&ipc_table::decoder_free, handle); }
void Free::operator()(ipc_watcher *handle) const { FreeBy(&ipc_table::watcher_free, handle); }
void Free::operator()(ipc_loop *handle) const { FreeBy(&ipc_table::loop_free, handle); }
void Free::operator()(ipc_framed *handle) const { FreeBy(&ipc_table::framed_free, handle); }

ipc_framing PlainFraming() {
  ipc_framing framing = {};
  framing.size = sizeof framing;
  framing.codec = IPC_FRAMING_U32;
  return framing;
}

GuardedPage::GuardedPage() : size_(static_cast<size_t>(sysconf(_SC_PAGESIZE))) {
  void *pages = mmap(nullptr, 2 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw Ended{"unverifiable", "no memory for a guarded page"};
  page_ = static_cast<unsigned char *>(pages);
  limit_ = page_ + size_;
  if (mprotect(limit_, size_, PROT_NONE) != 0) throw Ended{"unverifiable", "a page cannot be guarded"};
}

GuardedPage::~GuardedPage() { munmap(page_, 2 * size_); }

unsigned char *GuardedPage::holding(const std::string &bytes) const {
  unsigned char *place = end(bytes.size());
  memcpy(place, bytes.data(), bytes.size());
  return place;
}

std::set<int> Descriptors() {
  std::set<int> open;
  DIR *directory = opendir("/dev/fd");
  if (directory == nullptr) throw Ended{"unverifiable", "this system does not show which descriptors are open"};
  while (dirent *entry = readdir(directory)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory)) open.insert(atoi(entry->d_name));
  }
  closedir(directory);
  return open;
}

size_t Threads() {
  DIR *directory = opendir("/proc/self/task");
  if (directory == nullptr) return 0;
  size_t number = 0;
  while (dirent *entry = readdir(directory)) number += entry->d_name[0] != '.';
  closedir(directory);
  return number;
}

size_t ThreadsAfter(size_t most) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  size_t number;
  while ((number = Threads()) > most && std::chrono::steady_clock::now() < deadline) sched_yield();
  return number;
}

std::vector<Registered> &Registry() {
  static std::vector<Registered> cases;
  return cases;
}

bool AddCase(const char *family, const char *rule, const char *file, int line, CaseMaker maker) {
  Registry().push_back(Registered{std::string(family) + "." + rule, file, line, maker});
  return true;
}

Surroundings &TheSurroundings() {
  static Surroundings surroundings;
  return surroundings;
}

void Case::step(const std::string &what) {
  const std::string line = "step " + what.substr(0, 400) + "\n";
  if (write(TheSurroundings().results, line.data(), line.size()) < 0) _exit(3);  // nobody listens any more
}

const std::string &Case::shape(const std::string &axis) const {
  auto found = shape_.find(axis);
  if (found == shape_.end()) throw Ended{"failed", "the requirement has no axis " + axis};
  return found->second;
}

void Case::require(bool holds, const std::string &otherwise) {
  if (!holds) throw Ended{"failed", otherwise};
}

void Case::require_ok(const ipc_status &status, const std::string &call) {
  require(status.code == IPC_OK, call + ": " + StatusText(status) + "; expected ok");
}

std::string Case::fresh_path() {
  static int paths = 0;
  return TheSurroundings().work_dir + "/" + std::to_string(++paths);
}

Name Case::fresh_name() {
  static int names = 0;
  const bool path = has_axis("kind") ? shape("kind") == "path" : offers("name.path");
  if (path) return {IPC_NAME_PATH, fresh_path()};
  if (!has_axis("kind") && !offers("name.namespaced")) throw Ended{"not_applicable", "not offered: any kind of name"};
  return {IPC_NAME_NAMESPACED,
          "cts-" + TheSurroundings().run_id + "-" + std::to_string(getpid()) + "-" + std::to_string(++names)};
}

Owned<ipc_listener> Case::listen() { return listen(fresh_name()); }

Owned<ipc_listener> Case::listen(const Name &name, uint32_t backlog) {
  ipc_listener *listener = nullptr;
  const ipc_name bytes = name.get();
  ipc_local_listen_options options = {};
  options.size = sizeof options;
  options.backlog = backlog;
  const ipc_local_listen_options *asked = backlog == 0 ? nullptr : &options;
  require_ok(at(&ipc_table::local_listen, "local.listen")(&bytes, asked, &listener), "local_listen");
  require(listener != nullptr, "local_listen: ok, and made no handle");
  return Owned<ipc_listener>(listener);
}

Name Case::address_of(ipc_listener *listener) {
  char native[4096];
  size_t len = 0;
  require_ok(at(&ipc_table::listener_native, "listener.native")(listener, native, sizeof native, &len),
             "listener_native");
  return {IPC_NAME_NATIVE, std::string(native, std::min(len, sizeof native))};
}

Owned<ipc_stream> Case::connect(const Name &name) {
  ipc_stream *stream = nullptr;
  const ipc_name bytes = name.get();
  require_ok(at(&ipc_table::local_connect, "local.connect")(&bytes, IPC_NO_TIMEOUT, &stream), "local_connect");
  require(stream != nullptr, "local_connect: ok, and made no handle");
  return Owned<ipc_stream>(stream);
}

Owned<ipc_stream> Case::accept(ipc_listener *listener) {
  ipc_stream *stream = nullptr;
  require_ok(at(&ipc_table::listener_accept, "listener.accept")(listener, IPC_NO_TIMEOUT, &stream), "listener_accept");
  require(stream != nullptr, "listener_accept: ok, and made no handle");
  return Owned<ipc_stream>(stream);
}

Case::FullBacklog Case::full_backlog() {
  FullBacklog full;
  full.name = fresh_name();
  const ipc_name bytes = full.name.get();
  ipc_local_listen_options options = {};
  options.size = sizeof options;
  options.backlog = 1;
  ipc_listener *listener = nullptr;
  require_ok(use(&ipc_table::unix_listen)(&bytes, IPC_UNIX_SEQPACKET, &options, &listener), "unix_listen");
  full.listener.reset(listener);
  for (ipc_status status = {}; status.code == IPC_OK;) {
    ipc_socket *socket = nullptr;
    require_ok(use(&ipc_table::socket_open)(IPC_UNIX_SEQPACKET, &socket), "socket_open");
    full.sockets.emplace_back(socket);
    status = use(&ipc_table::socket_connect)(socket, &bytes, 0);
    require(status.code == IPC_OK || status.code == IPC_TIMED_OUT,
            "socket_connect: " + StatusText(status) + "; expected ok, or timed_out once the backlog is full");
  }
  return full;
}

Pair Case::stream_pair() {
  const bool can_connect =
      offered(&ipc_table::local_listen) != nullptr && offered(&ipc_table::local_connect) != nullptr;
  Pair pair;
  if (has_axis("stream") ? shape("stream") == "local" : can_connect) {
    pair.listener = listen();
    pair.writer = connect(address_of(pair.listener.get()));
    pair.reader = accept(pair.listener.get());
    return pair;
  }
  auto create = offered(&ipc_table::pipe_create);
  if (create == nullptr) throw Ended{"not_applicable", "not offered: local.connect, pipe.create"};
  ipc_stream *reader = nullptr, *writer = nullptr;
  require_ok(create(nullptr, &reader, &writer), "pipe_create");
  pair.reader.reset(reader);
  pair.writer.reset(writer);
  return pair;
}

Case::Sockets Case::socket_pair() {
  Sockets sockets;
  ipc_socket *receiver = nullptr, *sender = nullptr;
  const Name name = fresh_name();
  const ipc_name bytes = name.get();
  require_ok(at(&ipc_table::socket_bind, "socket.bind")(&bytes, nullptr, &receiver), "socket_bind");
  sockets.receiver.reset(receiver);
  const Name own = fresh_name();
  const ipc_name own_bytes = own.get();
  require_ok(at(&ipc_table::socket_bind, "socket.bind")(&own_bytes, nullptr, &sender), "socket_bind");
  sockets.sender.reset(sender);
  require_ok(at(&ipc_table::socket_connect, "socket.connect")(sender, &bytes, IPC_NO_TIMEOUT), "socket_connect");
  return sockets;
}

Open Case::open_handle(const std::string &kind) {
  Open open;
  const ipc_table &table = TheLibrary().table();
  // The handle stays owned until `free` is called.
#define OPENED(member, type)                                              \
  do {                                                                    \
    ipc_##type *handle = open.member.get();                               \
    open.handle = handle;                                                 \
    open.close = [&table, handle] { return table.type##_close(handle); }; \
    open.free = [&table, handle] { return table.type##_free(handle); };   \
  } while (false)
  if (kind == "listener") {
    open.listener = listen();
    OPENED(listener, listener);
  } else if (kind == "stream") {
    open.pair = stream_pair();
    OPENED(pair.reader, stream);
  } else if (kind == "socket") {
    Sockets sockets = socket_pair();
    open.other_socket = std::move(sockets.sender);
    open.socket = std::move(sockets.receiver);
    OPENED(socket, socket);
  } else if (kind == "decoder") {
    const ipc_framing framing = PlainFraming();
    ipc_decoder *decoder = nullptr;
    require_ok(at(&ipc_table::framing_decode, "framing.decode")(&framing, &decoder), "framing_decode");
    open.decoder.reset(decoder);
    open.handle = decoder;
    open.free = [&table, decoder] { return table.decoder_free(decoder); };
  } else if (kind == "watcher") {
    ipc_watcher *watcher = nullptr;
    int32_t signal = 0;
    require_ok(at(&ipc_table::signal_number, "signal.number")("USR2", 4, &signal), "signal_number");
    require_ok(at(&ipc_table::signal_watch, "signal.watch")(&signal, 1, &watcher), "signal_watch");
    open.watcher.reset(watcher);
    OPENED(watcher, watcher);
  } else if (kind == "loop") {
    ipc_loop *loop = nullptr;
    require_ok(at(&ipc_table::loop_open, "loop.open")(nullptr, &loop), "loop_open");
    open.loop.reset(loop);
    OPENED(loop, loop);
  } else if (kind == "framed") {
    open.pair = stream_pair();
    const ipc_framing framing = PlainFraming();
    ipc_framed *framed = nullptr;
    require_ok(at(&ipc_table::framed_open, "framed.open")(open.pair.reader.get(), &framing, &framed), "framed_open");
    (void)open.pair.reader.release();  // the framed stream's
    open.framed.reset(framed);
    OPENED(framed, framed);
  }
#undef OPENED
  require(open.handle != nullptr, "no " + kind + " was made");
  return open;
}

void Case::write_all(ipc_stream *stream, const std::string &bytes) {
  size_t len = 0;
  require_ok(at(&ipc_table::stream_write, "stream.write")(stream, bytes.data(), bytes.size(), IPC_NO_TIMEOUT, &len),
             "stream_write");
  require(len == bytes.size(),
          "stream_write: ok with " + std::to_string(len) + " of " + std::to_string(bytes.size()) + " bytes");
}

std::string Case::read_exactly(ipc_stream *stream, size_t bytes) {
  std::string all;
  while (all.size() < bytes) {
    char buffer[65536];
    size_t len = 0;
    require_ok(at(&ipc_table::stream_read, "stream.read")(stream, buffer, std::min(sizeof buffer, bytes - all.size()),
                                                          IPC_NO_TIMEOUT, &len),
               "stream_read");
    require(len >= 1 && len <= sizeof buffer, "stream_read: ok with a length of " + std::to_string(len));
    all.append(buffer, len);
  }
  return all;
}

std::string Case::read_to_end(ipc_stream *stream) {
  std::string all;
  for (;;) {
    char buffer[65536];
    size_t len = 0;
    const ipc_status status =
        at(&ipc_table::stream_read, "stream.read")(stream, buffer, sizeof buffer, IPC_NO_TIMEOUT, &len);
    if (status.code == IPC_END) return all;
    require_ok(status, "stream_read");
    require(len >= 1 && len <= sizeof buffer, "stream_read: ok with a length of " + std::to_string(len));
    all.append(buffer, len);
  }
}

// ------------------------------------------------------------------------------------------------- what it needs

std::string Case::Missing() const {
  const std::string &os = TheSurroundings().os;
  if (requirement_->excluded(os)) return "not on this system: see the requirement";
  std::string missing;
  auto check = [&](const std::string &need) {
    if (!offers(need)) missing += (missing.empty() ? "" : ", ") + need;
  };
  for (const std::string &need : NeedsOf(*requirement_, shape_, "library")) check(need);
  for (const auto &axis : NeedsOfAxes()) {
    auto value = shape_.find(axis.first);
    if (value == shape_.end()) continue;
    auto needs = axis.second.find(value->second);
    if (needs == axis.second.end()) continue;
    for (const std::string &need : needs->second) check(need);
  }
  auto operation = shape_.find("call");
  if (operation != shape_.end()) check(operation->second);
  return missing.empty() ? "" : "not offered: library: " + missing;
}

const char *Case::Declared(size_t offset) {
  auto slot = std::find_if(Slots().begin(), Slots().end(), [&](const Slot &s) { return s.offset == offset; });
  if (slot == Slots().end()) throw Ended{"failed", "the case uses a slot that the definition does not have"};
  const std::vector<std::string> needs = NeedsOf(*requirement_, shape_, "library");
  if (std::find(needs.begin(), needs.end(), slot->operation) == needs.end()) {
    throw Ended{"failed", std::string("the case uses ") + slot->operation + ", which its requirement does not name"};
  }
  return slot->operation;
}

void Case::CheckUse() const {
  for (const std::string &need : NeedsOf(*requirement_, shape_, "library")) {
    const bool operation =
        std::any_of(Slots().begin(), Slots().end(), [&](const Slot &s) { return need == s.operation; });
    if (operation && TheSurroundings().used.count(need) == 0) {
      throw Ended{"failed", "the requirement names " + need + ", which the case never used"};
    }
  }
}

void Case::TestBody() {
  try {
    const std::string missing = Missing();
    if (!missing.empty()) throw Ended{"not_applicable", missing};
    Body();
    if (!HasFailure()) CheckUse();
  } catch (const Ended &ended) {
    TheSurroundings().ended = ended;
    if (ended.outcome == "failed") ADD_FAILURE() << ended.message;
  }
}

}  // namespace abi
}  // namespace cts
