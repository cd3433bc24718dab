// What a failure of the system, at any call and of any kind, does to the library: the status is one that the headers
// name for the function that was called, no descriptor, memory or file is left, EINTR is nobody's business.
//
//   fault_test LIBRARY FUNCTION...
//
// LIBRARY is the shared library, asked for the functions it calls; FUNCTION are those that the linker wrapped.
//
// A scenario is a function below. It is carried out once as it is, which tells its calls, and then once for each of
// them and each way in which that call can fail (fault.cc). To add one: write it, and list it in kScenarios.
#include "ref/tests/fault.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <regex>
#include <sstream>

#include "ref/common/platform.h"
#include "ref/tests/support.h"

namespace ref_tests {
namespace {

using fault::Fault;
using fault::Pause;
using fault::Point;
using fault::World;
using Statuses = std::vector<int>;

std::string library_path;
std::set<std::string> wrapped;

// What never fails, or fails only when the caller is wrong, needs nothing in front of it.
const std::set<std::string> kNeverFail = {
    "__assert_fail",
    "__errno_location",
    "__stack_chk_fail",
    "clock_gettime",
    "eventfd_write",  // once in the life of a counter
    "getpid",
    "memchr",
    "memcpy",
    "memmove",
    "memset",
    "pthread_cancel",
    "pthread_cond_destroy",
    "pthread_cond_signal",
    "pthread_cond_wait",
    "pthread_join",
    "pthread_mutex_destroy",
    "pthread_mutex_lock",
    "pthread_mutex_unlock",
    "pthread_setcancelstate",
    "pthread_setcanceltype",
    "pthread_sigmask",
    "sigaddset",
    "sigemptyset",
    "sigfillset",
    "sigismember",
    "sigpending",
    "strchr",
    "strlen",
    "strrchr",
};

// ------------------------------------------------------------------------------------------------- scenarios

// One performance of a scenario.
class Run {
 public:
  Run(std::string directory, const Point *point) : directory_(std::move(directory)), point_(point) {}

  std::string file(const std::string &name) const { return directory_ + "/" + name; }
  const std::string &directory() const { return directory_; }

  // Notes what |call| answered, which must be one of |documented|; true if it is IPC_OK.
  bool ok(const char *call, const Statuses &documented, ipc_status status) {
    const auto complain = [&](const std::string &what) {
      problems_ += std::string(call) + " is status " + std::to_string(status.code) + " (errno " +
                   std::to_string(status.native) + "), " + what + "\n";
    };
    const bool listed = std::find(documented.begin(), documented.end(), status.code) != documented.end();
    const bool anywhere = (status.code == IPC_PERMISSION_DENIED && is_refusal()) ||
                          (status.code == IPC_OUT_OF_RESOURCES && is_shortage());  // ipc/base.h
    if (!listed && !anywhere) complain("not documented");
    if (status.code == IPC_INTERRUPTED || status.native == EINTR) complain("which nobody can do anything with");
    if (status.code == IPC_OK) return true;
    if (failed_.empty()) failed_ = std::string(call) + ": status " + std::to_string(status.code);
    if (is_shortage() && failed_calls_++ == 0 && status.code != IPC_OUT_OF_RESOURCES)
      complain("but something was short");
    return false;
  }
  bool expect(const char *call, int wanted, const Statuses &documented, ipc_status status) {
    if (status.code == wanted) return true;
    return ok(call, documented, status);
  }
  void complain(const std::string &what) { problems_ += what + "\n"; }

  const std::string &problems() const { return problems_; }
  const std::string &failed() const { return failed_; }  // the first call that was not IPC_OK

 private:
  int error() const { return point_ == nullptr || !fault::was_met() ? 0 : point_->fault.error; }
  // A shortage is told as one, unless the call could do without.
  bool is_shortage() const {
    return error() == EMFILE || error() == ENFILE || error() == ENOMEM || error() == ENOBUFS || error() == ENOSPC;
  }
  bool is_refusal() const { return error() == EPERM || error() == EACCES || error() == EROFS; }

  std::string directory_;
  const Point *point_;
  std::string problems_, failed_;
  int failed_calls_ = 0;
};
// The call has an expression of its own, so that what it made is there when the next one begins.
#define OK(documented, call) run.ok(#call, documented, [&] { return call; }())
#define EXPECT_ANSWER(wanted, documented, call) run.expect(#call, wanted, documented, [&] { return call; }())

struct Free {
  void operator()(ipc_listener *handle) const { ipc_listener_free(handle); }
  void operator()(ipc_stream *handle) const { ipc_stream_free(handle); }
  void operator()(ipc_decoder *handle) const { ipc_decoder_free(handle); }
};
using Listener = std::unique_ptr<ipc_listener, Free>;
using Stream = std::unique_ptr<ipc_stream, Free>;
using Decoder = std::unique_ptr<ipc_decoder, Free>;

// Where a call puts the handle that it makes; |to| has it when the call is over.
template <typename Handle>
class Out {
 public:
  explicit Out(Handle &to) : to_(to) {}
  ~Out() { to_.reset(made_); }
  operator typename Handle::pointer *() { return &made_; }

 private:
  Handle &to_;
  typename Handle::pointer made_ = nullptr;
};
template <typename Handle>
Out<Handle> out(Handle &to) {
  return Out<Handle>(to);
}

// What the headers say that each function may answer.
const Statuses kOfName = {IPC_OK, IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_UNSUPPORTED, IPC_INVALID_ARGUMENT};
Statuses and_those(Statuses base, std::initializer_list<int> more) {
  base.insert(base.end(), more);
  return base;
}
const Statuses kListen = and_those(kOfName, {IPC_IN_USE, IPC_ALREADY_EXISTS, IPC_BUSY, IPC_NOT_FOUND,
                                             IPC_PERMISSION_DENIED, IPC_OUT_OF_RESOURCES, IPC_FAILED});
const Statuses kConnect = and_those(kOfName, {IPC_NOT_FOUND, IPC_REFUSED, IPC_TIMED_OUT, IPC_BUSY,
                                              IPC_PERMISSION_DENIED, IPC_OUT_OF_RESOURCES, IPC_FAILED});
const Statuses kAccept = {IPC_OK,     IPC_WOULD_BLOCK,      IPC_TIMED_OUT,        IPC_CANCELLED,
                          IPC_CLOSED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED};
const Statuses kNative = {IPC_OK, IPC_MESSAGE_TRUNCATED, IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED};
const Statuses kPlain = {IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT};
const Statuses kAdopt = {IPC_OK, IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED};
const Statuses kRead = {IPC_OK,        IPC_END,    IPC_WOULD_BLOCK, IPC_TIMED_OUT,        IPC_RESET,
                        IPC_CANCELLED, IPC_CLOSED, IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT,
                        IPC_FAILED};
const Statuses kWrite = {IPC_OK,        IPC_BROKEN_PIPE, IPC_WOULD_BLOCK, IPC_TIMED_OUT,        IPC_RESET,
                         IPC_CANCELLED, IPC_CLOSED,      IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT,
                         IPC_FAILED};
const Statuses kSplit = {IPC_OK, IPC_BUSY, IPC_UNSUPPORTED, IPC_CLOSED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT};
const Statuses kCredentials = {IPC_OK, IPC_UNSUPPORTED, IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED};
const Statuses kPipe = {IPC_OK, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_UNSUPPORTED, IPC_FAILED};
const Statuses kFifoCreate = {IPC_OK,
                              IPC_ALREADY_EXISTS,
                              IPC_INVALID_NAME,
                              IPC_NAME_TOO_LONG,
                              IPC_NOT_FOUND,
                              IPC_PERMISSION_DENIED,
                              IPC_OUT_OF_RESOURCES,
                              IPC_INVALID_ARGUMENT,
                              IPC_UNSUPPORTED,
                              IPC_FAILED};
const Statuses kFifoOpen = {IPC_OK,           IPC_WOULD_BLOCK,      IPC_TIMED_OUT,
                            IPC_REFUSED,      IPC_NOT_FOUND,        IPC_PERMISSION_DENIED,
                            IPC_INVALID_NAME, IPC_NAME_TOO_LONG,    IPC_OUT_OF_RESOURCES,
                            IPC_UNSUPPORTED,  IPC_INVALID_ARGUMENT, IPC_FAILED};
const Statuses kFifoRemove = {
    IPC_OK,           IPC_BUSY,          IPC_REFUSED,          IPC_NOT_FOUND,   IPC_PERMISSION_DENIED,
    IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_INVALID_ARGUMENT, IPC_UNSUPPORTED, IPC_FAILED};
const Statuses kDecode = {IPC_OK, IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES};
const Statuses kFeed = {IPC_OK, IPC_MESSAGE_TOO_LARGE, IPC_MALFORMED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT};

ipc_name path_name(const std::string &path) { return {IPC_NAME_PATH, path.data(), path.size()}; }

// Two connected streams and their listener. False if it did not come to that.
bool connect_pair(Run &run, const std::string &path, const ipc_local_listen_options *options, Listener &listener,
                  Stream &server, Stream &client) {
  const ipc_name name = path_name(path);
  return OK(kListen, ipc_local_listen(&name, options, out(listener))) &&
         OK(kConnect, ipc_local_connect(&name, 10000, out(client))) &&
         OK(kAccept, ipc_listener_accept(listener.get(), 10000, out(server)));
}

// Every transfer, through what a kernel has room for: one call of the library may take several of the system.
void transfer(Run &run, ipc_stream *from, ipc_stream *to) {
  char data[64] = {};
  size_t len = 0;
  const ipc_const_buffer two[2] = {{"ab", 2}, {"cd", 2}};
  const ipc_buffer in[2] = {{data, 3}, {data + 3, 3}};
  std::string got;
  if (!OK(kWrite, ipc_stream_write(from, "12", 2, 10000, &len))) return;
  if (len != 2) run.complain("a write that answered ok was a part");
  if (!OK(kWrite, ipc_stream_write_vectored(from, two, 2, 10000, &len))) return;
  if (len != 4) run.complain("a vectored write that answered ok was a part");
  while (got.size() < 6) {
    const bool vectored = got.size() % 2 == 0;
    if (!(vectored ? OK(kRead, ipc_stream_read_vectored(to, in, 2, 10000, &len))
                   : OK(kRead, ipc_stream_read(to, data, 6, 10000, &len)))) {
      return;
    }
    if (len == 0) return run.complain("a read that answered ok brought nothing");
    got.append(data, len);
  }
  if (got != "12abcd") run.complain("other bytes came: " + got);
  if (!EXPECT_ANSWER(IPC_TIMED_OUT, kRead, ipc_stream_read(to, data, 1, 1, &len))) return;
  OK(kPlain, ipc_stream_flush(from));
}

void streams(Run &run) {
  Listener listener;
  Stream server, client;
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  char native[128];
  size_t len = 0;
  ipc_credentials credentials{};
  OK(kNative, ipc_listener_native(listener.get(), native, sizeof native, &len));
  OK(kCredentials, ipc_stream_peer_credentials(server.get(), &credentials));
  transfer(run, client.get(), server.get());
  if (!run.failed().empty()) return;
  transfer(run, server.get(), client.get());
  OK(kPlain, ipc_listener_close(listener.get()));
  OK(kPlain, ipc_stream_close(server.get()));
  if (EXPECT_ANSWER(IPC_END, kRead, ipc_stream_read(client.get(), native, 1, IPC_NO_TIMEOUT, &len)))
    EXPECT_ANSWER(IPC_BROKEN_PIPE, kWrite, ipc_stream_write(client.get(), "x", 1, IPC_NO_TIMEOUT, &len));
}

void connect_without_timeout(Run &run) {
  Listener listener;
  Stream server, client;
  const std::string path = run.file("s");
  const ipc_name name = path_name(path);
  const ipc_local_listen_options options = {sizeof options, IPC_LISTEN_MODE, 0600, 3};
  if (OK(kListen, ipc_local_listen(&name, &options, out(listener))) &&
      OK(kConnect, ipc_local_connect(&name, IPC_NO_TIMEOUT, out(client))) &&
      OK(kAccept, ipc_listener_accept(listener.get(), IPC_NO_TIMEOUT, out(server)))) {
    EXPECT_ANSWER(IPC_TIMED_OUT, kAccept, ipc_listener_accept(listener.get(), 1, out(server)));
  }
}

void names_without_files(Run &run) {
  Listener listener;
  Stream client;
  const std::string text = "ipc-ref-fault-" + std::to_string(getpid());
  const ipc_name name = {IPC_NAME_NAMESPACED, text.data(), text.size()};
  if (OK(kListen, ipc_local_listen(&name, nullptr, out(listener))))
    OK(kConnect, ipc_local_connect(&name, 0, out(client)));
}

// A relative path, in a directory of its own.
void relative_path(Run &run) {
  const std::string path = "relative";
  const ipc_name name = path_name(path);
  int before;
  {
    Pause pause;
    before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (before < 0 || chdir(run.directory().c_str()) != 0) return run.complain("chdir failed");
  }
  Listener listener;
  OK(kListen, ipc_local_listen(&name, nullptr, out(listener)));
  listener.reset();
  Pause pause;
  if (fchdir(before) != 0) run.complain("fchdir failed");
  close(before);
}

// A socket file that nobody listens on any more.
void reclaim(Run &run) {
  const std::string path = run.file("s");
  const ipc_name name = path_name(path);
  {
    Pause pause;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(fd, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) run.complain("bind failed");
    close(fd);
  }
  Listener listener;
  const ipc_local_listen_options options = {sizeof options, IPC_LISTEN_RECLAIM, 0, 0};
  OK(kListen, ipc_local_listen(&name, &options, out(listener)));
  listener.reset();
  Pause pause;
  if (!run.failed().empty()) unlink(path.c_str());  // it was there before
}

void name_in_use(Run &run) {
  Listener first, second;
  const std::string path = run.file("s");
  const ipc_name name = path_name(path);
  if (!OK(kListen, ipc_local_listen(&name, nullptr, out(first)))) return;
  EXPECT_ANSWER(IPC_IN_USE, kListen, ipc_local_listen(&name, nullptr, out(second)));
}

void split(Run &run) {
  Listener listener;
  Stream server, client, reader, writer;
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  Out<Stream> to_reader(reader), to_writer(writer);
  if (!OK(kSplit, ipc_stream_split(client.get(), to_reader, to_writer))) {
    if (*static_cast<ipc_stream **>(to_reader) != nullptr || *static_cast<ipc_stream **>(to_writer) != nullptr)
      run.complain("a split that failed made a half");
    return;
  }
  size_t len = 0;
  OK(kWrite, ipc_stream_write(*static_cast<ipc_stream **>(to_writer), "x", 1, 10000, &len));
}

void release_and_adopt(Run &run) {
  Listener listener, adopted_listener;
  Stream server, client, adopted;
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  ipc_raw raw{};
  if (!OK(kPlain, ipc_stream_release(client.get(), &raw))) return;
  if (OK(kAdopt, ipc_stream_adopt(&raw, out(adopted)))) {
    transfer(run, adopted.get(), server.get());
  } else {
    Pause pause;
    if (close(static_cast<int>(raw.value)) != 0) run.complain("an adopt that failed took the descriptor");
  }
  if (!OK(kPlain, ipc_listener_release(listener.get(), &raw))) return;
  if (OK(kAdopt, ipc_listener_adopt(&raw, out(adopted_listener)))) {
    Stream third, fourth;
    const std::string path = run.file("s");
    const ipc_name name = path_name(path);
    if (OK(kConnect, ipc_local_connect(&name, 10000, out(third)))) {
      if (OK(kAccept, ipc_listener_accept(adopted_listener.get(), 10000, out(fourth))))
        EXPECT_ANSWER(IPC_TIMED_OUT, kAccept, ipc_listener_accept(adopted_listener.get(), 1, out(fourth)));
    }
  } else {
    Pause pause;
    if (close(static_cast<int>(raw.value)) != 0) run.complain("an adopt that failed took the descriptor");
  }
  Pause pause;
  unlink(run.file("s").c_str());  // a released listener's file stays
}

void pipes(Run &run) {
  Stream reader, writer;
  const ipc_pipe_options options = {sizeof options, IPC_PIPE_INHERIT_READER | IPC_PIPE_INHERIT_WRITER, 100000};
  {
    Out<Stream> to_reader(reader), to_writer(writer);
    if (!OK(kPipe, ipc_pipe_create(&options, to_reader, to_writer))) return;
  }
  transfer(run, writer.get(), reader.get());
  if (!run.failed().empty()) return;
  const std::string large(300000, 'x');
  size_t len = 0;
  if (!EXPECT_ANSWER(IPC_TIMED_OUT, kWrite, ipc_stream_write(writer.get(), large.data(), large.size(), 1, &len)))
    return;
  OK(kPlain, ipc_stream_close(reader.get()));
  EXPECT_ANSWER(IPC_BROKEN_PIPE, kWrite, ipc_stream_write(writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
}

void adopted_pipe(Run &run) {
  int ends[2];
  {
    Pause pause;
    if (pipe2(ends, O_CLOEXEC) != 0) return run.complain("pipe2 failed");
  }
  Stream reader, writer;
  const ipc_raw raw_reader = {IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
  const ipc_raw raw_writer = {IPC_RAW_FD, static_cast<uint64_t>(ends[1])};
  const bool read = OK(kAdopt, ipc_stream_adopt(&raw_reader, out(reader)));
  const bool write = OK(kAdopt, ipc_stream_adopt(&raw_writer, out(writer)));
  if (read && write) transfer(run, writer.get(), reader.get());
  Pause pause;
  if (!read && close(ends[0]) != 0) run.complain("an adopt that failed took the reading end");
  if (!write && close(ends[1]) != 0) run.complain("an adopt that failed took the writing end");
}

// A FIFO that the test holds open at both ends, so that no open has to wait for long.
void fifos(Run &run) {
  const std::string path = run.file("f");
  const auto *text = path.data();
  const size_t len = path.size();
  if (!OK(kFifoCreate, ipc_fifo_create(text, len, 0666))) return;
  Stream reader, writer, third;
  const auto with_ends = [&] {
    if (!EXPECT_ANSWER(IPC_TIMED_OUT, kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_WRITE, 0, 1, out(writer)))) return;
    if (!EXPECT_ANSWER(IPC_TIMED_OUT, kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_READ, 0, 0, out(reader)))) return;
    if (!OK(kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, out(reader)))) return;
    if (!OK(kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_WRITE, 0, 10000, out(writer)))) return;
    if (!OK(kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_READ, 0, 10000, out(third)))) return;
    if (!OK(kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_READ, 0, 0, out(third)))) return;
    if (!OK(kFifoOpen, ipc_fifo_open(text, len, IPC_FIFO_READ, 0, IPC_NO_TIMEOUT, out(third)))) return;
    transfer(run, writer.get(), reader.get());
    ipc_raw raw{};
    if (!OK(kPlain, ipc_stream_release(writer.get(), &raw))) return;
    Pause pause;
    close(static_cast<int>(raw.value));
  };
  with_ends();
  if (!OK(kFifoRemove, ipc_fifo_remove(text, len))) {
    Pause pause;
    unlink(path.c_str());
  }
}

void frames(Run &run) {
  Decoder decoder;
  const ipc_framing framing = {sizeof framing, IPC_FRAMING_U32, 0, 0, 0, 0, 0, 0, 0, 0};
  if (!OK(kDecode, ipc_framing_decode(&framing, out(decoder)))) return;
  const std::string stream = std::string("\0\0\x10\0", 4) + std::string(4096, 'x');
  for (size_t at = 0; at < stream.size();) {
    size_t len = 0;
    if (!OK(kFeed, ipc_decoder_feed(decoder.get(), stream.data() + at, stream.size() - at, &len))) return;
    at += len;
  }
  const void *body = nullptr;
  size_t len = 0;
  uint64_t need = 0;
  OK(kFeed, ipc_decoder_next(decoder.get(), &body, &len, &need));
  if (len != 4096) run.complain("another length came");
}

struct Scenario {
  const char *name;
  void (*body)(Run &run);
};
const Scenario kScenarios[] = {
    {"streams", streams},
    {"connect_without_timeout", connect_without_timeout},
    {"names_without_files", names_without_files},
    {"relative_path", relative_path},
    {"reclaim", reclaim},
    {"name_in_use", name_in_use},
    {"split", split},
    {"release_and_adopt", release_and_adopt},
    {"pipes", pipes},
    {"adopted_pipe", adopted_pipe},
    {"fifos", fifos},
    {"frames", frames},
};

// --------------------------------------------------------------------------------------------------- the test

// The kernel as it is; one that knows no flags of accept(2); ones that lack flags of transfers.
const std::map<std::string, World> kWorlds = {
    {"this", {}},
    {"no_accept4", {{"accept4", ENOSYS}}},
    {"no_flags", {{"preadv2", EOPNOTSUPP}, {"pwritev2", EOPNOTSUPP}}},
};

// What is tried right now, for the message of a performance that does not end.
char current[256];

void say_what_hangs(int) {
  (void)!write(STDERR_FILENO, current, std::strlen(current));
  (void)!write(STDERR_FILENO, ": does not end\n", 15);
  _exit(1);
}

std::set<std::string> entries(const std::string &directory) {
  std::set<std::string> found;
  DIR *opened = opendir(directory.c_str());
  while (const dirent *entry = readdir(opened)) {
    if (entry->d_name[0] != '.') found.insert(entry->d_name);
  }
  closedir(opened);
  return found;
}

std::string describe(const Point &point) {
  std::string what = point.fault.kind == fault::Kind::kPart ? "a part" : std::strerror(point.fault.error);
  if (point.fault.kind == fault::Kind::kDoneFails) what += ", done";
  if (point.fault.lasting) what += ", and from then on";
  return point.function + " number " + std::to_string(point.nth) + ": " + what;
}

// What a performance came to.
struct Outcome {
  std::string problems;
  std::string failed;
  std::map<std::string, int> calls;
};

Outcome perform(const Scenario &scenario, const World &world, const Point *point) {
  TempDir directory;
  const std::set<int> before = open_descriptors();
  std::snprintf(current, sizeof current, "%s", point == nullptr ? scenario.name : describe(*point).c_str());
  alarm(20);
  Run run(directory.path(), point);
  fault::start(world, point);
  scenario.body(run);
  Outcome outcome;
  outcome.calls = fault::stop();
  alarm(0);
  outcome.failed = run.failed();
  outcome.problems = run.problems();
  if (fault::blocks_left() != 0) outcome.problems += std::to_string(fault::blocks_left()) + " blocks of memory left\n";
  if (open_descriptors() != before) outcome.problems += "descriptors left behind, or too many closed\n";
  if (!entries(directory.path()).empty() && (point == nullptr || !fault::may_leave_file(point->function)))
    outcome.problems += "files left behind\n";
  return outcome;
}

class FaultTest : public DescriptorTest, public ::testing::WithParamInterface<std::tuple<std::string, Scenario>> {};

int points_tried = 0;
std::set<std::string> reached;

TEST_P(FaultTest, EveryCallMayFail) {
  const auto &[world_name, scenario] = GetParam();
  const World &world = kWorlds.at(world_name);
  const Outcome whole = perform(scenario, world, nullptr);
  ASSERT_EQ("", whole.problems);
  ASSERT_EQ("", whole.failed) << "without any fault";
  int points = 0;
  for (const auto &[function, count] : whole.calls) {
    reached.insert(function);
    if (world.count(function) != 0) continue;
    for (int nth = 0; nth < count; nth++) {
      for (const Fault &fault : fault::functions().at(function)) {
        const Point point = {function, nth, fault};
        const Outcome outcome = perform(scenario, world, &point);
        for (const auto &[called, times] : outcome.calls) reached.insert(called);
        EXPECT_EQ("", outcome.problems) << describe(point);
        EXPECT_TRUE(fault::was_met()) << describe(point) << ": the scenario did not come there";
        points++;
      }
    }
  }
  EXPECT_GT(points, 0);
  points_tried += points;
  std::printf("%d points\n", points);
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest,
                         ::testing::Combine(::testing::ValuesIn([] {
                                              std::vector<std::string> names;
                                              for (const auto &[name, world] : kWorlds) names.push_back(name);
                                              return names;
                                            }()),
                                            ::testing::ValuesIn(kScenarios)),
                         [](const auto &info) {
                           return std::string(std::get<1>(info.param).name) + "_" + std::get<0>(info.param);
                         });

// When all has run: whether anything was tried, and every function was come to.
class Account : public ::testing::Environment {
 public:
  void TearDown() override {
    std::printf("%d points in all\n", points_tried);
    if (::testing::GTEST_FLAG(filter) != "*") return;
    EXPECT_GT(points_tried, 1000);
    for (const auto &[function, faults] : fault::functions()) {
      EXPECT_EQ(1u, reached.count(function)) << function << " is called in no scenario";
    }
  }
};

TEST(FaultList, EveryFunctionThatTheLibraryCallsIsKnown) {
  std::set<std::string> called;
  FILE *pipe = popen(("nm --dynamic --undefined-only --format=posix " + library_path).c_str(), "r");
  ASSERT_NE(nullptr, pipe);
  char line[512];
  while (std::fgets(line, sizeof line, pipe) != nullptr) {
    std::istringstream words(line);
    std::string name, kind;
    words >> name >> kind;
    name = name.substr(0, name.find('@'));
    const bool sanitizers = std::regex_search(name, std::regex("^__(asan|ubsan|tsan|sanitizer)_"));
    if (kind == "U" && !sanitizers) called.insert(name);
  }
  ASSERT_EQ(0, pclose(pipe));
  EXPECT_EQ(1u, called.count("close"));
  for (const std::string &name : called) {
    EXPECT_TRUE(kNeverFail.count(name) != 0 || wrapped.count(name) != 0)
        << name << " is new: put it into faults.bzl and fault.cc, or into kNeverFail";
  }
}

TEST(FaultList, TheLinkerWrapsWhatTheTestDefines) {
  std::set<std::string> defined;
  for (const auto &[name, faults] : fault::functions()) defined.insert(name);
  EXPECT_EQ(defined, wrapped);
}

// ------------------------------------------------------------------------------------------------ allocation

// Blocks that |body| allocates.
World allocation_world;

long allocated(const std::function<void()> &body) {
  fault::start(allocation_world, nullptr);
  body();
  fault::stop();
  return fault::allocations();
}

// Every transfer of |from| to |to|, whether it finds its bytes at once or waits, without a byte of memory.
void expect_no_allocation(ipc_stream *from, ipc_stream *to) {
  char data[64];
  size_t len = 0;
  const std::string large(1 << 20, 'x');
  const ipc_const_buffer two[2] = {{"ab", 2}, {"cd", 2}};
  const ipc_buffer in[2] = {{data, 3}, {data + 3, 3}};
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_OK, ipc_stream_write(from, "abc", 3, 1000, &len)); }));
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_OK, ipc_stream_read(to, data, 64, 1000, &len)); }));
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(from, two, 2, 1000, &len)); }));
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_OK, ipc_stream_read_vectored(to, in, 2, 1000, &len)); }));
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_OK, ipc_stream_flush(from)); }));
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(to, data, 64, 2, &len)); }));
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read_vectored(to, in, 2, 2, &len)); }));
  EXPECT_EQ(
      0, allocated([&] { EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(from, large.data(), large.size(), 2, &len)); }));
  EXPECT_GT(len, 0u);
}

class AllocationTest : public DescriptorTest {};

TEST_F(AllocationTest, IsCounted) {
  TempDir directory;
  EXPECT_GT(allocated([&] { Pair pair(directory.file("s")); }), 0);
}

TEST_F(AllocationTest, NoneInTransfersOverSockets) {
  TempDir directory;
  Pair pair(directory.file("s"));
  expect_no_allocation(pair.client, pair.server);
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  Pair other(directory.file("t"));
  ASSERT_STATUS(IPC_OK, ipc_stream_split(other.client, &reader, &writer));
  expect_no_allocation(writer, other.server);
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

TEST_F(AllocationTest, NoneInTransfersThroughPipes) {
  for (const auto &[name, world] : kWorlds) {
    ipc_stream *reader = nullptr;
    ipc_stream *writer = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
    allocation_world = world;
    expect_no_allocation(writer, reader);
    ipc_stream_free(reader);
    ipc_stream_free(writer);
  }
  allocation_world = {};
}

TEST_F(AllocationTest, NoneInTransfersThroughFifos) {
  TempDir directory;
  const std::string path = directory.file("f");
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_fifo_create(path.data(), path.size(), 0600));
  ASSERT_STATUS(IPC_OK, ipc_fifo_open(path.data(), path.size(), IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, &reader));
  ASSERT_STATUS(IPC_OK, ipc_fifo_open(path.data(), path.size(), IPC_FIFO_WRITE, 0, 0, &writer));
  expect_no_allocation(writer, reader);
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

int run(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc < 3) return 2;
  library_path = argv[1];
  wrapped.insert(argv + 2, argv + argc);
  std::signal(SIGALRM, say_what_hangs);
  ::testing::AddGlobalTestEnvironment(new Account);
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace ref_tests

int main(int argc, char **argv) { return ref_tests::run(argc, argv); }
