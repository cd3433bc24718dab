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
#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <utility>

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
    "__libc_current_sigrtmax",
    "__libc_current_sigrtmin",
    "__register_atfork",
    "__stack_chk_fail",
    "backtrace",  // until it has worked once: AbiMemory.SubmissionsFailWhole
    "clock_gettime",
    "eventfd_read",   // of a counter that has been signalled, or nobody minds
    "eventfd_write",  // once in the life of a counter
    "getegid",
    "geteuid",
    "getpid",
    "memchr",
    "memcmp",
    "memcpy",
    "memmove",
    "memset",
    "pthread_cancel",
    "pthread_cond_broadcast",
    "pthread_cond_destroy",
    "pthread_cond_signal",
    "pthread_cond_timedwait",
    "pthread_cond_wait",
    "pthread_condattr_destroy",
    "pthread_condattr_setclock",
    "pthread_join",
    "pthread_mutex_destroy",
    "pthread_mutex_lock",
    "pthread_mutex_trylock",
    "pthread_mutex_unlock",
    "pthread_once",
    "pthread_self",
    "pthread_setcancelstate",
    "pthread_setcanceltype",
    "pthread_sigmask",
    "raise",
    "sched_yield",
    "sigaddset",
    "sigemptyset",
    "sigfillset",
    "sigismember",
    "sigpending",
    "strchr",
    "strcspn",
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
    if (error() == EINTR) complain("though nothing but a signal came");
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
  void operator()(ipc_socket *handle) const { ipc_socket_free(handle); }
  void operator()(ipc_framed *handle) const { ipc_framed_free(handle); }
  void operator()(ipc_decoder *handle) const { ipc_decoder_free(handle); }
#ifndef IPC_WITHOUT_ASYNC
  void operator()(ipc_loop *handle) const { ipc_loop_free(handle); }
#endif
#ifndef IPC_WITHOUT_SIGNALS
  void operator()(ipc_watcher *handle) const { ipc_watcher_free(handle); }
#endif
};
using Listener = std::unique_ptr<ipc_listener, Free>;
using Stream = std::unique_ptr<ipc_stream, Free>;
using Socket = std::unique_ptr<ipc_socket, Free>;
using Framed = std::unique_ptr<ipc_framed, Free>;
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

// A path through a link of this user's own.
void linked_path(Run &run) {
  {
    Pause pause;
    if (symlink(".", run.file("link").c_str()) != 0) return run.complain("symlink failed");
  }
  const std::string path = run.file("link/s");
  const ipc_name name = path_name(path);
  Listener listener;
  OK(kListen, ipc_local_listen(&name, nullptr, out(listener)));
  listener.reset();
  Pause pause;
  unlink(run.file("link").c_str());
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

const Statuses kSocketOpen = {IPC_OK, IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED};
const Statuses kSocketConnect = and_those(kConnect, {IPC_ALREADY_CONNECTED, IPC_CLOSED, IPC_CANCELLED});
const Statuses kSend = {IPC_OK,
                        IPC_MESSAGE_TOO_LARGE,
                        IPC_NOT_CONNECTED,
                        IPC_ALREADY_CONNECTED,
                        IPC_REFUSED,
                        IPC_NOT_FOUND,
                        IPC_PERMISSION_DENIED,
                        IPC_NO_SUCH_PROCESS,
                        IPC_BROKEN_PIPE,
                        IPC_RESET,
                        IPC_UNENCODABLE,
                        IPC_WOULD_BLOCK,
                        IPC_TIMED_OUT,
                        IPC_CANCELLED,
                        IPC_CLOSED,
                        IPC_UNSUPPORTED,
                        IPC_OUT_OF_RESOURCES,
                        IPC_INVALID_ARGUMENT,
                        IPC_FAILED};
const Statuses kReceive = {
    IPC_OK,        IPC_END,    IPC_MESSAGE_TRUNCATED, IPC_NOT_CONNECTED,    IPC_RESET, IPC_WOULD_BLOCK, IPC_TIMED_OUT,
    IPC_CANCELLED, IPC_CLOSED, IPC_OUT_OF_RESOURCES,  IPC_INVALID_ARGUMENT, IPC_FAILED};

// A message from one socket to the other, and nothing behind it.
void message(Run &run, ipc_socket *from, const ipc_name *to_name, ipc_socket *to) {
  char data[16] = {};
  const ipc_const_buffer two[2] = {{"ab", 2}, {"cd", 2}};
  const ipc_buffer in[2] = {{data, 3}, {data + 3, 3}};
  for (const size_t buffers : {1, 2}) {
    ipc_received received{};
    received.size = sizeof received;
    if (!OK(kSend, ipc_socket_send(from, two, buffers, to_name, nullptr, 10000))) return;
    if (!OK(kReceive, ipc_socket_receive(to, 0, in, buffers, &received, nullptr, 10000))) return;
    if (received.len != 2 * buffers) run.complain("another length came");
  }
  ipc_received received{};
  received.size = sizeof received;
  EXPECT_ANSWER(IPC_TIMED_OUT, kReceive, ipc_socket_receive(to, 0, in, 1, &received, nullptr, 1));
}

void datagrams(Run &run) {
  Socket receiver, sender;
  const std::string path = run.file("d");
  const ipc_name name = path_name(path);
  if (!OK(kListen, ipc_socket_bind(&name, nullptr, out(receiver)))) return;
  if (!OK(kSocketOpen, ipc_socket_open(IPC_UNIX_DATAGRAM, out(sender)))) return;
  message(run, sender.get(), &name, receiver.get());
  if (!run.failed().empty()) return;
  if (OK(kSocketConnect, ipc_socket_connect(sender.get(), &name, 10000)))
    message(run, sender.get(), nullptr, receiver.get());
}

void seqpackets(Run &run) {
  Listener listener;
  Socket client, server;
  const std::string path = run.file("q");
  const ipc_name name = path_name(path);
  if (OK(kListen, ipc_unix_listen(&name, IPC_UNIX_SEQPACKET, nullptr, out(listener))) &&
      OK(kSocketOpen, ipc_socket_open(IPC_UNIX_SEQPACKET, out(client))) &&
      OK(kSocketConnect, ipc_socket_connect(client.get(), &name, 10000)) &&
      OK(kAccept, ipc_listener_accept_socket(listener.get(), 10000, out(server)))) {
    message(run, client.get(), nullptr, server.get());
  }
}

void framed(Run &run) {
  Stream reader, writer;
  Framed from, to;
  {
    Out<Stream> to_reader(reader), to_writer(writer);
    if (!OK(kPipe, ipc_pipe_create(nullptr, to_reader, to_writer))) return;
  }
  const ipc_framing framing = {sizeof framing, IPC_FRAMING_U32, 0, 0, 0, 0, 0, 0, 0, 0};
  const Statuses open = {IPC_OK, IPC_BUSY, IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES};
  if (!OK(open, ipc_framed_open(writer.get(), &framing, out(from)))) return;
  (void)writer.release();
  if (!OK(open, ipc_framed_open(reader.get(), &framing, out(to)))) return;
  (void)reader.release();
  const ipc_const_buffer bodies[2] = {{"first", 5}, {"second", 6}};
  size_t num = 0, len = 0;
  char body[16];
  if (!OK(and_those(kWrite, {IPC_MESSAGE_TOO_LARGE, IPC_UNENCODABLE}),
          ipc_framed_write(from.get(), bodies, 2, 10000, &num)))
    return;
  for (const ipc_const_buffer &sent : bodies) {
    const Statuses read = and_those(kRead, {IPC_MESSAGE_TRUNCATED, IPC_MESSAGE_TOO_LARGE, IPC_MALFORMED});
    if (!OK(read, ipc_framed_read(to.get(), body, sizeof body, 10000, &len))) return;
    if (len != sent.len || std::memcmp(body, sent.data, len) != 0) run.complain("another body came");
  }
}

// A descriptor that goes along.
void ancillary(Run &run) {
  Listener listener;
  Stream server, client;
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  int32_t sent = 0, came = -1;
  ipc_ancillary with{}, room{};
  with.size = room.size = sizeof with;
  with.descriptors = &sent;
  with.num_descriptors = 1;
  room.descriptors = &came;
  room.descriptors_max = 1;
  size_t len = 0;
  char byte;
  const Statuses write = and_those(kWrite, {IPC_PERMISSION_DENIED, IPC_NO_SUCH_PROCESS});
  if (!OK(write, ipc_stream_write_ancillary(client.get(), "x", 1, &with, 10000, &len))) return;
  if (!OK(kRead, ipc_stream_read_ancillary(server.get(), &byte, 1, &room, 10000, &len))) return;
  Pause pause;
  if (room.num_descriptors != 1) run.complain("no descriptor came");
  if (room.num_descriptors == 1) close(came);
}

#ifndef IPC_WITHOUT_SIGNALS
void signals(Run &run) {
  ipc_watcher *watcher = nullptr;
  int32_t number = SIGRTMIN;
  const Statuses watch = {IPC_OK,    IPC_UNSUPPORTED, IPC_PERMISSION_DENIED, IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES,
                          IPC_FAILED};
  const Statuses queue = {IPC_OK,          IPC_NO_SUCH_PROCESS, IPC_PERMISSION_DENIED, IPC_INVALID_ARGUMENT,
                          IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES};
  if (!OK(watch, ipc_signal_watch(&number, 1, &watcher))) return;
  ipc_signal_event event{};
  event.size = sizeof event;
  if (OK(queue, ipc_signal_send(number, static_cast<uint64_t>(getpid()))) &&
      OK(queue, ipc_signal_queue(number, static_cast<uint64_t>(getpid()), 7)) &&
      OK(kRead, ipc_watcher_next(watcher, 10000, &event)) && OK(kRead, ipc_watcher_next(watcher, 10000, &event))) {
    EXPECT_ANSWER(IPC_TIMED_OUT, kRead, ipc_watcher_next(watcher, 1, &event));
  }
  ipc_watcher_free(watcher);
}
#endif

#ifndef IPC_WITHOUT_SIGNALS
void hook(const ipc_signal_event *, void *) {}

void handlers(Run &run) {
  const Statuses handle = {IPC_OK, IPC_UNSUPPORTED, IPC_BUSY, IPC_PERMISSION_DENIED, IPC_INVALID_ARGUMENT};
  const Statuses send = {IPC_OK, IPC_NO_SUCH_PROCESS, IPC_PERMISSION_DENIED, IPC_INVALID_ARGUMENT};
  const int32_t number = SIGRTMIN + 1;
  if (OK(handle, ipc_signal_set_handler(number, IPC_SIGNAL_HOOK, IPC_SIGNAL_RESTART, hook, nullptr)))
    OK(send, ipc_signal_send(number, static_cast<uint64_t>(getpid())));
  OK(Statuses({IPC_OK, IPC_OUT_OF_RESOURCES}), ipc_signal_raise(number));
  OK(handle, ipc_signal_set_handler(number, IPC_SIGNAL_IGNORE, 0, nullptr, nullptr));
  OK(handle, ipc_signal_set_handler(number, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
}
#endif

void same_user(Run &run) {
  Listener listener;
  Stream server, client;
  const std::string path = run.file("s");
  const ipc_name name = path_name(path);
  const ipc_local_listen_options options = {sizeof options, IPC_LISTEN_SAME_USER, 0, 0};
  if (!OK(kListen, ipc_local_listen(&name, &options, out(listener)))) return;
  if (!OK(kConnect, ipc_local_connect(&name, 10000, out(client)))) return;
  // Not for long: who cannot be told from a stranger is turned away, and nobody else comes.
  if (OK(kAccept, ipc_listener_accept(listener.get(), 100, out(server)))) transfer(run, client.get(), server.get());
}

// Names that the system chooses.
void chosen_names(Run &run) {
  Listener listener;
  Socket receiver;
  char native[IPC_NATIVE_MAX];
  size_t len = 0;
  if (OK(kListen, ipc_unix_listen(nullptr, IPC_UNIX_SEQPACKET, nullptr, out(listener))))
    OK(kNative, ipc_listener_native(listener.get(), native, sizeof native, &len));
  if (OK(kListen, ipc_socket_bind(nullptr, nullptr, out(receiver)))) {
    if (OK(kNative, ipc_socket_native(receiver.get(), native, sizeof native, &len)) && len == 0)
      run.complain("no name was chosen");
  }
}

void shut_down(Run &run) {
  Listener listener;
  Stream server, client;
  Socket socket;
  const Statuses shutdown = {IPC_OK, IPC_NOT_CONNECTED, IPC_UNSUPPORTED, IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED};
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  char byte;
  size_t len = 0;
  if (OK(shutdown, ipc_stream_shutdown(client.get(), IPC_SHUTDOWN_WRITE))) {
    EXPECT_ANSWER(IPC_END, kRead, ipc_stream_read(server.get(), &byte, 1, 10000, &len));
    EXPECT_ANSWER(IPC_BROKEN_PIPE, kWrite, ipc_stream_write(client.get(), "x", 1, 10000, &len));
  }
  const std::string path = run.file("q");
  const ipc_name name = path_name(path);
  Listener seqpackets;
  if (OK(kListen, ipc_unix_listen(&name, IPC_UNIX_SEQPACKET, nullptr, out(seqpackets))) &&
      OK(kSocketOpen, ipc_socket_open(IPC_UNIX_SEQPACKET, out(socket))) &&
      OK(kSocketConnect, ipc_socket_connect(socket.get(), &name, 10000)) &&
      OK(shutdown, ipc_socket_shutdown(socket.get(), IPC_SHUTDOWN_READ))) {
    const ipc_buffer in = {&byte, 1};
    ipc_received received{};
    received.size = sizeof received;
    EXPECT_ANSWER(IPC_END, kReceive, ipc_socket_receive(socket.get(), 0, &in, 1, &received, nullptr, 10000));
  }
}

// What the system adds to bytes and messages.
void passed_credentials(Run &run) {
  Listener listener;
  Stream server, client;
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  const auto expect_own = [&](const ipc_ancillary &came) {
    const bool own = (came.fields & IPC_ANCILLARY_CREDENTIALS) != 0 && came.credentials.uid == geteuid();
    if (!own) run.complain("other credentials came, or none");
  };
  ipc_ancillary room{};
  room.size = sizeof room;
  char byte;
  size_t len = 0;
  if (OK(kCredentials, ipc_stream_set_pass_credentials(server.get(), true)) &&
      OK(kWrite, ipc_stream_write(client.get(), "x", 1, 10000, &len)) &&
      OK(kRead, ipc_stream_read_ancillary(server.get(), &byte, 1, &room, 10000, &len))) {
    expect_own(room);
  }
  const std::string path = run.file("d");
  const ipc_name name = path_name(path);
  Socket receiver, sender;
  const ipc_const_buffer sent = {"x", 1};
  const ipc_buffer in = {&byte, 1};
  ipc_received received{};
  received.size = sizeof received;
  if (OK(kListen, ipc_socket_bind(&name, nullptr, out(receiver))) &&
      OK(kCredentials, ipc_socket_set_pass_credentials(receiver.get(), true)) &&
      OK(kSocketOpen, ipc_socket_open(IPC_UNIX_DATAGRAM, out(sender))) &&
      OK(kSend, ipc_socket_send(sender.get(), &sent, 1, &name, nullptr, 10000)) &&
      OK(kReceive, ipc_socket_receive(receiver.get(), 0, &in, 1, &received, &room, 10000))) {
    expect_own(room);
  }
}

#ifndef IPC_WITHOUT_ASYNC
const Statuses kLoopOpen = {IPC_OK, IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED};
const Statuses kSubmit = {IPC_OK, IPC_INVALID_ARGUMENT, IPC_CLOSED, IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES};
const Statuses kWait = {IPC_OK,     IPC_TIMED_OUT,        IPC_INTERRUPTED,      IPC_BUSY,
                        IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED};

// A loop of one performance. After the first failure nothing more is begun; what is under way ends with the loop.
class LoopRun {
 public:
  LoopRun(Run &performed, uint32_t backend) : run(performed) {
    const ipc_loop_options options = {sizeof options, backend};
    (void)OK(kLoopOpen, ipc_loop_open(&options, out(loop_)));
  }
  ipc_loop *get() const { return loop_.get(); }
  uint64_t last_token() const { return last_token_; }
  bool is_good() const { return run.failed().empty(); }

  // Whether the operation has begun. Its token is its number.
  bool submit(uint32_t operation, int64_t timeout_ms, const std::function<void(ipc_submission *)> &fill = nullptr) {
    if (!is_good()) return false;
    ipc_submission submission{};
    submission.size = sizeof submission;
    submission.operation = operation;
    submission.token = ++last_token_;
    submission.timeout_ms = timeout_ms;
    if (fill) fill(&submission);
    return OK(kSubmit, ipc_loop_submit(get(), &submission));
  }
  bool read(ipc_stream *stream, int64_t timeout_ms) {
    return submit(IPC_SUBMIT_READ, timeout_ms, [&](ipc_submission *to) {
      to->stream = stream;
      to->buffers = &in_;
      to->num_buffers = 1;
    });
  }
  bool write(ipc_stream *stream) {
    return submit(IPC_SUBMIT_WRITE, 10000, [&](ipc_submission *to) {
      to->stream = stream;
      to->const_buffers = &sent_;
      to->num_buffers = 1;
    });
  }
  // The next completion is of an operation that came to |wanted|, or to a status that its call documents.
  bool completes(const char *what, int wanted, const Statuses &documented, ipc_completion *out_done = nullptr) {
    if (!is_good()) return false;
    ipc_completion done{};
    size_t num = 0;
    if (!OK(kWait, ipc_loop_wait(get(), 10000, &done, 1, &num))) return false;
    Stream made(done.stream);
    Socket socket(done.socket);
    const bool came =
        wanted == IPC_OK ? run.ok(what, documented, done.status) : run.expect(what, wanted, documented, done.status);
    if (out_done == nullptr) return came;
    *out_done = done;
    (void)made.release();
    (void)socket.release();
    return came;
  }
  // Two operations of different kinds, in whatever order they end; what each came to, by its kind.
  bool both(const char *what, const Statuses &documented, std::map<uint32_t, ipc_completion> *out_done) {
    bool came = true;
    for (int i = 0; i < 2 && came; i++) {
      ipc_completion done{};
      came = completes(what, IPC_OK, documented, &done);
      if (came) (*out_done)[done.operation] = done;
    }
    return came;
  }
  std::string received(size_t len) const { return std::string(room_, len); }
  ipc_buffer &in() { return in_; }
  const ipc_const_buffer &sent() const { return sent_; }

 private:
  Run &run;
  std::unique_ptr<ipc_loop, Free> loop_;
  uint64_t last_token_ = 0;
  char room_[8] = {};
  ipc_buffer in_ = {room_, sizeof room_};
  const ipc_const_buffer sent_ = {"abc", 3};
};

// Accept and connect; then each way for an operation to end.
template <uint32_t backend>
void loop_streams(Run &run) {
  Listener listener;
  Stream server, client;
  const std::string path = run.file("s");
  const ipc_name name = path_name(path);
  if (!OK(kListen, ipc_local_listen(&name, nullptr, out(listener)))) return;
  LoopRun loop(run, backend);
  if (!loop.submit(IPC_SUBMIT_ACCEPT, 10000, [&](ipc_submission *to) { to->listener = listener.get(); })) return;
  if (!loop.submit(IPC_SUBMIT_CONNECT, 10000, [&](ipc_submission *to) { to->name = &name; })) return;
  std::map<uint32_t, ipc_completion> done;
  const bool connected = loop.both("accept or connect", and_those(kConnect, {IPC_CANCELLED, IPC_CLOSED}), &done);
  server.reset(done[IPC_SUBMIT_ACCEPT].stream);
  client.reset(done[IPC_SUBMIT_CONNECT].stream);
  if (!connected) return;
  loop.read(server.get(), 10000);
  loop.write(client.get());
  if (!loop.both("read or write", and_those(kRead, {IPC_BROKEN_PIPE}), &done)) return;
  const size_t len = done[IPC_SUBMIT_READ].len;
  if (len == 0 || loop.received(len) != std::string("abc", len)) run.complain("other bytes came");
  if (done[IPC_SUBMIT_WRITE].len != 3) run.complain("a write that answered ok was a part");
  if (len != 3) return;  // what remains would end the next read
  loop.read(server.get(), 1);
  loop.completes("read", IPC_TIMED_OUT, kRead);
  loop.submit(IPC_SUBMIT_TIMER, 1);
  loop.completes("timer", IPC_TIMED_OUT, {IPC_TIMED_OUT, IPC_CANCELLED});
  if (!loop.read(server.get(), IPC_NO_TIMEOUT)) return;
  const int cancelled = ipc_loop_cancel(loop.get(), loop.last_token()).code;
  if (cancelled != IPC_OK && cancelled != IPC_NOT_FOUND) run.complain("cancel is status " + std::to_string(cancelled));
  if (loop.completes("read", IPC_CANCELLED, kRead) && cancelled != IPC_OK) run.complain("what had ended was cancelled");
}

// What a close does to the operations of a handle, and what the end of the loop does.
template <uint32_t backend>
void loop_closes(Run &run) {
  Stream reader, writer, other, other_writer;
  {
    Out<Stream> to_reader(reader), to_writer(writer);
    if (!OK(kPipe, ipc_pipe_create(nullptr, to_reader, to_writer))) return;
  }
  {
    Out<Stream> to_reader(other), to_writer(other_writer);
    if (!OK(kPipe, ipc_pipe_create(nullptr, to_reader, to_writer))) return;
  }
  LoopRun loop(run, backend);
  loop.read(reader.get(), IPC_NO_TIMEOUT);
  loop.read(other.get(), 20000);
  if (!loop.is_good()) return;
  if (!OK(kPlain, ipc_stream_close(reader.get()))) return;
  if (!loop.completes("read", IPC_CANCELLED, kRead)) return;
  OK(kPlain, ipc_loop_close(loop.get()));
  loop.completes("read", IPC_CANCELLED, kRead);
  if (!loop.is_good()) return;
  ipc_completion done{};
  size_t num = 0;
  EXPECT_ANSWER(IPC_CLOSED, kWait, ipc_loop_wait(loop.get(), 0, &done, 1, &num));
}

template <uint32_t backend>
void loop_messages(Run &run) {
  Socket receiver, sender;
  const std::string path = run.file("d");
  const ipc_name name = path_name(path);
  if (!OK(kListen, ipc_socket_bind(&name, nullptr, out(receiver)))) return;
  if (!OK(kSocketOpen, ipc_socket_open(IPC_UNIX_DATAGRAM, out(sender)))) return;
  LoopRun loop(run, backend);
  ipc_received received{};
  received.size = sizeof received;
  loop.submit(IPC_SUBMIT_RECEIVE, 10000, [&](ipc_submission *to) {
    to->socket = receiver.get();
    to->buffers = &loop.in();
    to->num_buffers = 1;
    to->received = &received;
  });
  if (!loop.is_good()) return;
  if (!OK(kSend, ipc_socket_send(sender.get(), &loop.sent(), 1, &name, nullptr, 10000))) return;
  if (loop.completes("receive", IPC_OK, kReceive) && received.len != 3) run.complain("another length came");
}

template <uint32_t backend>
void loop_connections(Run &run) {
  Listener listener;
  Socket client;
  const std::string path = run.file("q");
  const ipc_name name = path_name(path);
  if (!OK(kListen, ipc_unix_listen(&name, IPC_UNIX_SEQPACKET, nullptr, out(listener)))) return;
  if (!OK(kSocketOpen, ipc_socket_open(IPC_UNIX_SEQPACKET, out(client)))) return;
  LoopRun loop(run, backend);
  loop.submit(IPC_SUBMIT_ACCEPT_SOCKET, 10000, [&](ipc_submission *to) { to->listener = listener.get(); });
  if (!loop.is_good()) return;
  if (OK(kSocketConnect, ipc_socket_connect(client.get(), &name, 10000))) loop.completes("accept", IPC_OK, kAccept);
}

template <uint32_t backend>
void loop_ancillary(Run &run) {
  Listener listener;
  Stream server, client;
  if (!connect_pair(run, run.file("s"), nullptr, listener, server, client)) return;
  LoopRun loop(run, backend);
  int32_t sent = 0, came = -1;
  ipc_ancillary with{}, room{};
  with.size = room.size = sizeof with;
  with.descriptors = &sent;
  with.num_descriptors = 1;
  room.descriptors = &came;
  room.descriptors_max = 1;
  loop.submit(IPC_SUBMIT_READ_ANCILLARY, 10000, [&](ipc_submission *to) {
    to->stream = server.get();
    to->buffers = &loop.in();
    to->num_buffers = 1;
    to->ancillary = &room;
  });
  loop.submit(IPC_SUBMIT_WRITE_ANCILLARY, 10000, [&](ipc_submission *to) {
    to->stream = client.get();
    to->const_buffers = &loop.sent();
    to->num_buffers = 1;
    to->ancillary = &with;
  });
  std::map<uint32_t, ipc_completion> done;
  const Statuses either = and_those(kWrite, {IPC_PERMISSION_DENIED, IPC_NO_SUCH_PROCESS, IPC_END});
  if (loop.both("read or write", either, &done) && room.num_descriptors != 1) run.complain("no descriptor came");
  Pause pause;
  if (room.num_descriptors == 1) close(came);
}

// Opens and connects that no readiness exists for: a thread waits in the loop's stead.
template <uint32_t backend>
void loop_waiters(Run &run) {
  const std::string path = run.file("f"), socket_path = run.file("s");
  const ipc_name name = path_name(path), socket_name = path_name(socket_path);
  if (!OK(kFifoCreate, ipc_fifo_create(path.data(), path.size(), 0600))) return;
  const auto open = [&](uint32_t direction, uint32_t flags) {
    return [&name, direction, flags](ipc_submission *to) {
      to->name = &name;
      to->direction = direction;
      to->flags = flags;
    };
  };
  {
    LoopRun loop(run, backend);
    loop.submit(IPC_SUBMIT_FIFO_OPEN, 1, open(IPC_FIFO_WRITE, 0));
    loop.completes("fifo open", IPC_TIMED_OUT, kFifoOpen);
    loop.submit(IPC_SUBMIT_FIFO_OPEN, 10000, open(IPC_FIFO_READ, IPC_FIFO_NO_WAIT));
    ipc_completion done{};
    loop.completes("fifo open", IPC_OK, kFifoOpen, &done);
    Stream reader(done.stream);
    loop.submit(IPC_SUBMIT_FIFO_OPEN, 10000, open(IPC_FIFO_WRITE, 0));
    loop.completes("fifo open", IPC_OK, kFifoOpen);
  }
  if (!OK(kFifoRemove, ipc_fifo_remove(path.data(), path.size()))) {
    Pause pause;
    unlink(path.c_str());
  }
  if (!run.failed().empty()) return;
  Listener listener;
  Stream first, second;
  const ipc_local_listen_options options = {sizeof options, 0, 0, 1};
  if (!OK(kListen, ipc_local_listen(&socket_name, &options, out(listener)))) return;
  if (!OK(kConnect, ipc_local_connect(&socket_name, 0, out(first)))) return;
  if (!OK(kConnect, ipc_local_connect(&socket_name, 0, out(second)))) return;
  LoopRun loop(run, backend);
  loop.submit(IPC_SUBMIT_CONNECT, 1, [&](ipc_submission *to) { to->name = &socket_name; });
  loop.completes("connect", IPC_TIMED_OUT, kConnect);
}

#ifndef IPC_WITHOUT_SIGNALS
template <uint32_t backend>
void loop_signals(Run &run) {
  ipc_watcher *made = nullptr;
  int32_t number = SIGRTMIN;
  const Statuses watch = {IPC_OK, IPC_UNSUPPORTED, IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED};
  if (!OK(watch, ipc_signal_watch(&number, 1, &made))) return;
  std::unique_ptr<ipc_watcher, Free> watcher(made);
  LoopRun loop(run, backend);
  ipc_signal_event event{};
  event.size = sizeof event;
  loop.submit(IPC_SUBMIT_NEXT_SIGNAL, 10000, [&](ipc_submission *to) {
    to->watcher = watcher.get();
    to->event = &event;
  });
  if (!loop.is_good()) return;
  raise(number);
  if (loop.completes("next signal", IPC_OK, kRead) && event.signal != number) run.complain("another signal came");
}
#endif
#endif

struct Scenario {
  const char *name;
  void (*body)(Run &run);
};
const Scenario kScenarios[] = {
    {"streams", streams},
    {"connect_without_timeout", connect_without_timeout},
    {"names_without_files", names_without_files},
    {"relative_path", relative_path},
    {"linked_path", linked_path},
    {"reclaim", reclaim},
    {"name_in_use", name_in_use},
    {"split", split},
    {"release_and_adopt", release_and_adopt},
    {"pipes", pipes},
    {"adopted_pipe", adopted_pipe},
    {"fifos", fifos},
    {"frames", frames},
    {"datagrams", datagrams},
    {"seqpackets", seqpackets},
    {"framed", framed},
    {"ancillary", ancillary},
    {"same_user", same_user},
    {"chosen_names", chosen_names},
    {"shut_down", shut_down},
    {"passed_credentials", passed_credentials},
#ifndef IPC_WITHOUT_SIGNALS
    {"signals", signals},
    {"handlers", handlers},
#endif
#ifndef IPC_WITHOUT_ASYNC
#define LOOP_SCENARIO(name) \
  {#name "_best", name<IPC_LOOP_BEST>}, { #name "_poll", name<IPC_LOOP_POLL> }
    LOOP_SCENARIO(loop_streams),
    LOOP_SCENARIO(loop_closes),
    LOOP_SCENARIO(loop_messages),
    LOOP_SCENARIO(loop_connections),
    LOOP_SCENARIO(loop_ancillary),
    LOOP_SCENARIO(loop_waiters),
#ifndef IPC_WITHOUT_SIGNALS
    LOOP_SCENARIO(loop_signals),
#endif
#undef LOOP_SCENARIO
#endif
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
  if (!entries(directory.path()).empty() &&
      (point == nullptr || !outcome.failed.empty() || !fault::may_leave_file(point->function)))
    outcome.problems += "files left behind\n";
  return outcome;
}

class FaultTest : public DescriptorTest, public ::testing::WithParamInterface<std::tuple<std::string, Scenario>> {};

int points_tried = 0;
std::set<std::string> reached;

TEST_P(FaultTest, EveryCallMayFail) {
  const auto &[world_name, scenario] = GetParam();
  const World &world = kWorlds.at(world_name);
  (void)perform(scenario, world, nullptr);  // what is done once in the life of a process
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
        Outcome outcome = perform(scenario, world, &point);
        // A thread that is called off may have made its calls by then, or not.
        for (int again = 0; !fault::was_met() && outcome.problems.empty() && again < 50; again++) {
          outcome = perform(scenario, world, &point);
        }
        for (const auto &[called, times] : outcome.calls) reached.insert(called);
        EXPECT_EQ("", outcome.problems) << describe(point);
        if (!fault::was_met()) {  // then such a thread made this call once, and hardly ever does
          const Outcome unharmed = perform(scenario, world, nullptr);
          const auto now = unharmed.calls.find(function);
          EXPECT_LE(now == unharmed.calls.end() ? 0 : now->second, nth) << describe(point) << ": it was not met";
        }
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

// Messages, with and without something beside them, whether they are there at once or waited for.
void expect_no_allocation(ipc_socket *from, const ipc_name *to_name, ipc_socket *to) {
  char data[16];
  int32_t descriptor = 0;
  const ipc_const_buffer two[2] = {{"ab", 2}, {"cd", 2}};
  const ipc_buffer in[2] = {{data, 3}, {data + 3, 3}};
  ipc_ancillary with{}, room{};
  with.size = room.size = sizeof with;
  with.descriptors = &descriptor;
  with.num_descriptors = 1;
  ipc_received received{};
  received.size = sizeof received;
  size_t len = 0;
  for (const size_t buffers : {1, 2}) {
    for (const ipc_ancillary *beside : {static_cast<const ipc_ancillary *>(nullptr), &std::as_const(with)}) {
      ipc_ancillary *into = beside != nullptr ? &room : nullptr;
      EXPECT_EQ(0,
                allocated([&] { EXPECT_STATUS(IPC_OK, ipc_socket_send(from, two, buffers, to_name, beside, 1000)); }));
      EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_OK, ipc_socket_next_length(to, 1000, &len)); }));
      EXPECT_EQ(2 * buffers, len);
      // No room for the descriptor: it is closed.
      EXPECT_EQ(0, allocated([&] {
                  EXPECT_STATUS(IPC_OK, ipc_socket_receive(to, IPC_RECEIVE_WHOLE, in, buffers, &received, into, 1000));
                }));
    }
  }
  EXPECT_EQ(0, allocated([&] { EXPECT_STATUS(IPC_TIMED_OUT, ipc_socket_receive(to, 0, in, 2, &received, &room, 2)); }));
}

TEST_F(AllocationTest, NoneInMessages) {
  TempDir directory;
  const std::string path = directory.file("d"), seqpacket_path = directory.file("q");
  const ipc_name name = path_name(path), seqpacket_name = path_name(seqpacket_path);
  Socket receiver, sender, server, client;
  ASSERT_STATUS(IPC_OK, ipc_socket_bind(&name, nullptr, out(receiver)));
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_DATAGRAM, out(sender)));
  expect_no_allocation(sender.get(), &name, receiver.get());
  Listener listener;
  ASSERT_STATUS(IPC_OK, ipc_unix_listen(&seqpacket_name, IPC_UNIX_SEQPACKET, nullptr, out(listener)));
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_SEQPACKET, out(client)));
  ASSERT_STATUS(IPC_OK, ipc_socket_connect(client.get(), &seqpacket_name, 1000));
  ASSERT_STATUS(IPC_OK, ipc_listener_accept_socket(listener.get(), 1000, out(server)));
  expect_no_allocation(client.get(), nullptr, server.get());
}

TEST_F(AllocationTest, NoneInWhatTravelsBeside) {
  TempDir directory;
  Pair pair(directory.file("s"));
  int32_t sent = 0, came = -1;
  ipc_ancillary with{}, room{};
  with.size = room.size = sizeof with;
  with.descriptors = &sent;
  with.num_descriptors = 1;
  room.descriptors = &came;
  room.descriptors_max = 1;
  char data[16];
  size_t len = 0;
  EXPECT_EQ(0, allocated([&] {
              EXPECT_STATUS(IPC_OK, ipc_stream_write_ancillary(pair.client, "abc", 3, &with, 1000, &len));
            }));
  EXPECT_EQ(0, allocated([&] {
              EXPECT_STATUS(IPC_OK, ipc_stream_read_ancillary(pair.server, data, sizeof data, &room, 1000, &len));
            }));
  ASSERT_EQ(1u, room.num_descriptors);
  EXPECT_EQ(0, close(came));
  EXPECT_EQ(0, allocated([&] {
              EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read_ancillary(pair.server, data, sizeof data, &room, 2, &len));
            }));
}

// A framed stream has what it needs after the longest message.
TEST_F(AllocationTest, NoneInFramesOnceTheyAreKnown) {
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
  const ipc_framing framing = {sizeof framing, IPC_FRAMING_U32, 0, 0, 0, 0, 0, 0, 0, 0};
  Framed from, to;
  ASSERT_STATUS(IPC_OK, ipc_framed_open(writer, &framing, out(from)));
  ASSERT_STATUS(IPC_OK, ipc_framed_open(reader, &framing, out(to)));
  const std::string large(3000, 'x');
  const ipc_const_buffer bodies[2] = {{large.data(), large.size()}, {"second", 6}};
  char body[4096];
  size_t num = 0, len = 0;
  const auto round = [&] {
    EXPECT_STATUS(IPC_OK, ipc_framed_write(from.get(), bodies, 2, 1000, &num));
    for (const ipc_const_buffer &each : bodies) {
      EXPECT_STATUS(IPC_OK, ipc_framed_read(to.get(), body, sizeof body, 1000, &len));
      EXPECT_EQ(each.len, len);
    }
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_framed_read(to.get(), body, sizeof body, 2, &len));
  };
  round();
  EXPECT_EQ(0, allocated([&] {
              for (int i = 0; i < 20; i++) round();
            }));
}

#ifndef IPC_WITHOUT_ASYNC
// Reads that wait, writes, timeouts, timers, cancellations; messages and what travels beside bytes.
void expect_no_allocation(uint32_t backend, const Pair &pair, ipc_socket *from, const ipc_name &to_name,
                          ipc_socket *to_socket) {
  Run run("", nullptr);
  LoopRun loop(run, backend);
  ipc_received received{};
  received.size = sizeof received;
  ipc_ancillary room{};
  room.size = sizeof room;
  const auto beside = [&](ipc_submission *to) {
    to->stream = pair.server;
    to->buffers = &loop.in();
    to->num_buffers = 1;
    to->ancillary = &room;
  };
  const auto message = [&](ipc_submission *to) {
    to->socket = to_socket;
    to->buffers = &loop.in();
    to->num_buffers = 1;
    to->received = &received;
  };
  const auto round = [&] {
    for (int i = 0; i < 2; i++) {
      i == 0 ? loop.read(pair.server, 1000) : loop.submit(IPC_SUBMIT_READ_ANCILLARY, 1000, beside);
      loop.write(pair.client);
      loop.completes("write", IPC_OK, kWrite);
      loop.completes("read", IPC_OK, kRead);
    }
    loop.submit(IPC_SUBMIT_RECEIVE, 1000, message);
    EXPECT_STATUS(IPC_OK, ipc_socket_send(from, &loop.sent(), 1, &to_name, nullptr, 1000));
    loop.completes("receive", IPC_OK, kReceive);
    loop.read(pair.server, 1);
    loop.submit(IPC_SUBMIT_TIMER, 1);
    loop.completes("read or timer", IPC_TIMED_OUT, kRead);
    loop.completes("read or timer", IPC_TIMED_OUT, kRead);
    loop.read(pair.server, 1000);
    EXPECT_STATUS(IPC_OK, ipc_loop_cancel(loop.get(), loop.last_token()));
    loop.completes("read", IPC_CANCELLED, kRead);
  };
  for (int i = 0; i < 3; i++) round();
  EXPECT_EQ(0, allocated([&] {
              for (int i = 0; i < 20; i++) round();
            }));
  EXPECT_EQ("", run.problems() + run.failed());
}

TEST_F(AllocationTest, NoneInALoopThatHasSeenItAll) {
  TempDir directory;
  Pair pair(directory.file("s"));
  const std::string path = directory.file("d");
  const ipc_name name = path_name(path);
  Socket receiver, sender;
  ASSERT_STATUS(IPC_OK, ipc_socket_bind(&name, nullptr, out(receiver)));
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_DATAGRAM, out(sender)));
  for (const uint32_t backend : {IPC_LOOP_BEST, IPC_LOOP_POLL}) {
    expect_no_allocation(backend, pair, sender.get(), name, receiver.get());
  }
}
#endif

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
