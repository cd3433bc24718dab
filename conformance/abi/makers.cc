#include "conformance/abi/makers.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

namespace cts {
namespace abi {

namespace {

constexpr int64_t kLongMs = 600000;

const ipc_table &Table() { return TheLibrary().table(); }

}  // namespace

Makers::~Makers() {
  if (other_side >= 0) close(other_side);
}

void Makers::Spoil() {
  made_listener = reinterpret_cast<ipc_listener *>(this);
  one = two = reinterpret_cast<ipc_stream *>(this);
  socket = reinterpret_cast<ipc_socket *>(this);
  decoder = reinterpret_cast<ipc_decoder *>(this);
  watcher = reinterpret_cast<ipc_watcher *>(this);
  loop = reinterpret_cast<ipc_loop *>(this);
  framed = reinterpret_cast<ipc_framed *>(this);
}

Scenario Makers::Of(const std::string &call) {
  Scenario s;
  auto streams_null = [this] { EXPECT_TRUE(one == nullptr) << "a failed call left a handle"; };
  if (call == "local.listen") {
    s.prepare = [this] {
      Spoil();
      name = case_->fresh_name();
      bytes = name.get();
    };
    s.call = [this] { return Table().local_listen(&bytes, nullptr, &made_listener); };
    s.check_none = [this] {
      EXPECT_EQ(made_listener, nullptr);
      if (name.kind == IPC_NAME_PATH) {
        EXPECT_NE(access(name.bytes.c_str(), F_OK), 0) << "a failed listen left its file";
      }
    };
    s.undo = [this] { Table().listener_free(made_listener); };
  } else if (call == "local.connect") {
    s.prepare = [this] {
      Spoil();
      listener = case_->listen();  // each attempt's own: a failed one may have reached it and left again
      name = Case::address_of(listener.get());
      bytes = name.get();
    };
    s.call = [this] { return Table().local_connect(&bytes, IPC_NO_TIMEOUT, &one); };
    s.check_none = streams_null;
    s.undo = [this] { Table().stream_free(one); };
  } else if (call == "listener.accept") {
    listener = case_->listen();
    name = Case::address_of(listener.get());
    s.prepare = [this] {
      Spoil();
      extra = Case::connect(name);
      Case::write_all(extra.get(), "queued");
    };
    s.call = [this] { return Table().listener_accept(listener.get(), IPC_NO_TIMEOUT, &one); };
    s.check_none = streams_null;
    s.undo = [this] {
      EXPECT_EQ(Case::read_exactly(one, 6), "queued") << "the connection did not stay queued";
      Table().stream_free(one);
      extra.reset();
    };
  } else if (call == "pipe.create") {
    s.prepare = [this] { Spoil(); };
    s.call = [this] { return Table().pipe_create(nullptr, &one, &two); };
    s.check_none = [this] {
      EXPECT_EQ(one, nullptr);
      EXPECT_EQ(two, nullptr);
    };
    s.undo = [this] {
      Table().stream_free(one);
      Table().stream_free(two);
    };
  } else if (call == "stream.split") {
    s.prepare = [this] {
      Spoil();
      pair = case_->stream_pair();
    };
    s.call = [this] { return Table().stream_split(pair.reader.get(), &one, &two); };
    s.check_none = [this] {
      EXPECT_EQ(one, nullptr);
      EXPECT_EQ(two, nullptr);
      Case::write_all(pair.writer.get(), "x");
      EXPECT_EQ(Case::read_exactly(pair.reader.get(), 1), "x") << "the stream is not what it was";
    };
    s.undo = [this] {
      Table().stream_free(one);
      Table().stream_free(two);
      pair = Pair();
    };
  } else if (call == "stream.adopt") {
    s.prepare = [this] {
      Spoil();
      int ends[2];
      Case::require(pipe(ends) == 0, "pipe(2) failed");
      for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
      close(ends[1]);
      raw = {IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
    };
    s.call = [this] { return Table().stream_adopt(&raw, &one); };
    s.check_none = [this] {
      EXPECT_EQ(one, nullptr);
      EXPECT_NE(fcntl(static_cast<int>(raw.value), F_GETFD), -1) << "what was not taken was closed";
    };
    s.undo = [this] { Table().stream_free(one); };
  } else if (call == "framing.decode") {
    s.prepare = [this] { Spoil(); };
    s.call = [this] { return Table().framing_decode(&framing, &decoder); };
    s.check_none = [this] { EXPECT_EQ(decoder, nullptr); };
    s.undo = [this] { Table().decoder_free(decoder); };
  } else if (call == "framed.open") {
    s.prepare = [this] {
      Spoil();
      pair = case_->stream_pair();
    };
    s.call = [this] { return Table().framed_open(pair.reader.get(), &framing, &framed); };
    s.check_none = [this] {
      EXPECT_EQ(framed, nullptr);
      Case::write_all(pair.writer.get(), "x");
      EXPECT_EQ(Case::read_exactly(pair.reader.get(), 1), "x") << "the stream is not what it was";
    };
    s.undo = [this] {
      (void)pair.reader.release();  // the framed stream's
      Table().framed_free(framed);
      pair = Pair();
    };
  } else if (call == "socket.open") {
    s.prepare = [this] { Spoil(); };
    s.call = [this] { return Table().socket_open(IPC_UNIX_DATAGRAM, &socket); };
    s.check_none = [this] { EXPECT_EQ(socket, nullptr); };
    s.undo = [this] { Table().socket_free(socket); };
  } else if (call == "socket.bind") {
    s.prepare = [this] {
      Spoil();
      name = case_->fresh_name();
      bytes = name.get();
    };
    s.call = [this] { return Table().socket_bind(&bytes, nullptr, &socket); };
    s.check_none = [this] {
      EXPECT_EQ(socket, nullptr);
      if (name.kind == IPC_NAME_PATH) {
        EXPECT_NE(access(name.bytes.c_str(), F_OK), 0) << "a failed bind left its file";
      }
    };
    s.undo = [this] { Table().socket_free(socket); };
  } else if (call == "signal.watch") {
    watched_signal();
    s.prepare = [this] { Spoil(); };
    s.call = [this] { return Table().signal_watch(&signal, 1, &watcher); };
    s.check_none = [this] { EXPECT_EQ(watcher, nullptr); };
    s.undo = [this] {
      raise(signal);
      event = {};
      event.size = sizeof event;
      EXPECT_STATUS(IPC_OK, Table().watcher_next(watcher, 0, &event));
      EXPECT_EQ(event.signal, signal);
      Table().watcher_free(watcher);
    };
  } else if (call == "fifo.open") {
    make_fifo();
    s.prepare = [this] {
      Spoil();
      // An end that the case holds: the call comes back at once, by the way that would wait for it.
      if (other_side < 0) other_side = open(name.bytes.c_str(), O_RDWR | O_CLOEXEC);
      Case::require(other_side >= 0, "open(2) of a FIFO failed");
    };
    s.call = [this] {
      return Table().fifo_open(name.bytes.data(), name.bytes.size(), IPC_FIFO_READ, 0, kLongMs, &one);
    };
    s.check_none = streams_null;
    s.undo = [this] {
      Case::require(write(other_side, "x", 1) == 1, "write(2) to a FIFO failed");
      EXPECT_EQ(Case::read_exactly(one, 1), "x");
      Table().stream_free(one);
    };
  } else if (call == "loop.open") {
    s.prepare = [this] { Spoil(); };
    s.call = [this] { return Table().loop_open(nullptr, &loop); };
    s.check_none = [this] { EXPECT_EQ(loop, nullptr); };
    s.undo = [this] { Table().loop_free(loop); };
  } else {
    throw Ended{"failed", "there is no scenario for " + call};
  }
  return s;
}

void Makers::watched_signal() {
  Case::require_ok(Case::at(&ipc_table::signal_number, "signal.number")("USR2", 4, &signal), "signal_number");
}

void Makers::make_fifo() {
  name = {IPC_NAME_PATH, case_->fresh_path()};
  Case::require_ok(Case::at(&ipc_table::fifo_create, "fifo.create")(name.bytes.data(), name.bytes.size(), 0600),
                   "fifo_create");
}

/// Takes the completion, which comes.
void Makers::complete(int32_t expected) {
  size_t num = 0;
  EXPECT_STATUS(IPC_OK, Table().loop_wait(loop, IPC_NO_TIMEOUT, &completion, 1, &num));
  EXPECT_EQ(completion.token, submission.token);
  EXPECT_STATUS(expected, completion.status);
}

Scenario Makers::OfSubmission(const std::string &operation) {
  std::function<void()> fill, finish;
  submission = {};
  submission.size = sizeof submission;
  submission.token = 7;
  submission.timeout_ms = IPC_NO_TIMEOUT;
  submission.num_buffers = 1;
  submission.buffers = &into;
  submission.const_buffers = &from;
  auto cancel = [this] {
    EXPECT_STATUS(IPC_OK, Table().loop_cancel(loop, submission.token));
    complete(IPC_CANCELLED);
  };
  if (operation == "timer") {
    submission.operation = IPC_SUBMIT_TIMER;
    submission.timeout_ms = kLongMs;
    finish = cancel;
  } else if (operation == "read") {
    submission.operation = IPC_SUBMIT_READ;
    fill = [this] { submission.stream = opened.pair.reader.get(); };
    finish = [this] {
      Case::write_all(opened.pair.writer.get(), "x");
      complete(IPC_OK);
      EXPECT_EQ(std::string(room, completion.len), "x");
    };
  } else if (operation == "write") {
    submission.operation = IPC_SUBMIT_WRITE;
    fill = [this] {
      submission.stream = opened.pair.writer.get();
      const std::string much(65536, '#');
      size_t len = 0;
      while (Table().stream_write(submission.stream, much.data(), much.size(), 0, &len).code == IPC_OK) continue;
    };
    finish = cancel;
  } else if (operation == "accept") {
    submission.operation = IPC_SUBMIT_ACCEPT;
    fill = [this] {
      listener = case_->listen();
      submission.listener = listener.get();
    };
    finish = [this] {
      extra = Case::connect(Case::address_of(listener.get()));
      complete(IPC_OK);
      Owned<ipc_stream> accepted(completion.stream);
      Case::write_all(extra.get(), "x");
      EXPECT_EQ(Case::read_exactly(accepted.get(), 1), "x");
    };
  } else if (operation == "receive") {
    submission.operation = IPC_SUBMIT_RECEIVE;
    fill = [this] {
      received = {};
      received.size = sizeof received;
      submission.received = &received;
      submission.socket = sockets.receiver.get();
    };
    finish = [this] {
      EXPECT_STATUS(IPC_OK, Table().socket_send(sockets.sender.get(), &from, 1, nullptr, nullptr, kLongMs));
      complete(IPC_OK);
      EXPECT_EQ(std::string(room, completion.len), "bytes");
    };
  } else if (operation == "send") {
    submission.operation = IPC_SUBMIT_SEND;
    fill = [this] {  // to a full socket that the sender is not connected to
      submission.socket = socket;
      submission.name = &bytes;
      submission.const_buffers = &filler;
      while (Table().socket_send(socket, &filler, 1, &bytes, nullptr, 0).code == IPC_OK) continue;
    };
    finish = cancel;
  } else if (operation == "next_signal") {
    submission.operation = IPC_SUBMIT_NEXT_SIGNAL;
    fill = [this] {
      event = {};
      event.size = sizeof event;
      submission.event = &event;
      submission.watcher = other.watcher.get();
    };
    finish = [this] {
      raise(signal);
      complete(IPC_OK);
      EXPECT_EQ(event.signal, signal);
    };
  } else if (operation == "fifo_open") {
    submission.operation = IPC_SUBMIT_FIFO_OPEN;
    submission.direction = IPC_FIFO_READ;
    make_fifo();
    fill = [this] {
      bytes = name.get();
      submission.name = &bytes;
    };
    finish = [this] {
      int writer;  // who opens waits for the other side, which is in the loop
      do {
        writer = open(name.bytes.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
      } while (writer < 0 && errno == ENXIO);
      Case::require(writer >= 0, "open(2) of a FIFO failed");
      complete(IPC_OK);
      Owned<ipc_stream> reader(completion.stream);
      Case::require(write(writer, "x", 1) == 1, "write(2) to a FIFO failed");
      EXPECT_EQ(Case::read_exactly(reader.get(), 1), "x");
      close(writer);
    };
  } else {
    throw Ended{"failed", "there is no scenario for " + operation};
  }
  return Submitted(fill, finish);
}

Scenario Makers::Submitted(std::function<void()> fill, std::function<void()> finish) {
  Scenario s;
  s.prepare = [this, fill] {
    Release();
    opened = case_->open_handle("loop");  // a new one, that keeps nothing ready
    loop = static_cast<ipc_loop *>(opened.handle);
    switch (submission.operation) {
      case IPC_SUBMIT_READ:
      case IPC_SUBMIT_WRITE:
        opened.pair = case_->stream_pair();
        break;
      case IPC_SUBMIT_RECEIVE:
        sockets = case_->socket_pair();
        break;
      case IPC_SUBMIT_SEND: {
        sockets = case_->socket_pair();
        char native[IPC_NATIVE_MAX];
        size_t len = 0;
        Case::require_ok(Table().socket_native(sockets.receiver.get(), native, sizeof native, &len), "socket_native");
        name = {IPC_NAME_NATIVE, std::string(native, len)};
        bytes = name.get();
        Case::require_ok(Case::at(&ipc_table::socket_open, "socket.open")(IPC_UNIX_DATAGRAM, &socket), "socket_open");
        other.socket.reset(socket);
        break;
      }
      case IPC_SUBMIT_NEXT_SIGNAL:
        watched_signal();
        other = case_->open_handle("watcher");
        break;
      default:
        break;
    }
    if (fill) fill();
  };
  s.call = [this] {
    completion = {};
    ipc_status status = Table().loop_submit(loop, &submission);
    size_t num = 0;
    if (status.code == IPC_OK) {
      (void)Table().loop_wait(loop, 0, &completion, 1, &num);
      if (num != 0) status = completion.status;  // it has ended, for want of something
    }
    return status;
  };
  s.check_none = [this] {
    size_t num = 0;
    EXPECT_STATUS(IPC_TIMED_OUT, Table().loop_wait(loop, 0, &completion, 1, &num)) << "what failed completes";
  };
  s.undo = [this, finish] {
    finish();
    size_t num = 0;
    EXPECT_STATUS(IPC_TIMED_OUT, Table().loop_wait(loop, 0, &completion, 1, &num)) << "two completions of one";
    Release();
  };
  return s;
}

void Makers::Release() {
  opened = Open();
  other = Open();
  sockets = Case::Sockets();
  listener.reset();
  extra.reset();
}

}  // namespace abi
}  // namespace cts
