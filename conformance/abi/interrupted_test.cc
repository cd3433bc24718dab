// Calls that wait while signals are handled in their thread. spec/abi.md, AbiThreads.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"
#include "conformance/abi/waiting.h"

namespace {

using cts::abi::Ended;
using cts::abi::Open;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::Waiting;

constexpr int kSignals = 5;
constexpr int64_t kLongMs = 600000;

std::atomic<int> handled;

void Handle(int) { handled++; }

/// Has the signal handled, and no call restarted behind the handler.
void InstallHandler() {
  struct sigaction action = {};
  action.sa_handler = Handle;
  sigemptyset(&action.sa_mask);
  ASSERT_EQ(sigaction(SIGUSR2, &action, nullptr), 0);
}

/// Interrupts the call again and again: each time it is seen to wait before and behind.
void Interrupt(Waiting *waiting) {
  waiting->UntilItWaits();
  for (int i = 0; i < kSignals; i++) {
    const int before = handled;
    waiting->Signal(SIGUSR2);
    while (handled == before) std::this_thread::yield();
    waiting->UntilItWaits();
  }
}

}  // namespace

CTS_CASE(AbiThreads, SignalsEndNoWait) {
  const ipc_table &table = cts::abi::TheLibrary().table();
  const std::string call = shape("call");
  const int64_t timeout_ms = shape("timeout") == "none" ? IPC_NO_TIMEOUT : kLongMs;
  /* That a backlog is full, a connect without a timeout cannot tell. */
  if ((shape("timeout") == "long" && call != "loop.wait") || call == "local.connect") require_offer(call + ".timeout");
  InstallHandler();
  size_t len = 7;
  char room[8] = {};
  step(call + ", interrupted");
  if (call == "stream.read") {
    Pair pair = stream_pair();
    Waiting waiting([&] { return table.stream_read(pair.reader.get(), room, sizeof room, timeout_ms, &len); });
    Interrupt(&waiting);
    write_all(pair.writer.get(), "x");
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_EQ(std::string(room, len), "x");
  } else if (call == "stream.write") {
    Pair pair = stream_pair();
    const std::string bytes(size_t{4} << 20, 'w');
    Waiting waiting(
        [&] { return table.stream_write(pair.writer.get(), bytes.data(), bytes.size(), timeout_ms, &len); });
    Interrupt(&waiting);
    EXPECT_EQ(read_exactly(pair.reader.get(), bytes.size()), bytes);
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_EQ(len, bytes.size());
  } else if (call == "listener.accept") {
    auto listener = listen();
    ipc_stream *stream = nullptr;
    Waiting waiting([&] { return table.listener_accept(listener.get(), timeout_ms, &stream); });
    Interrupt(&waiting);
    auto client = connect(address_of(listener.get()));
    EXPECT_STATUS(IPC_OK, waiting.Join());
    Owned<ipc_stream> accepted(stream);
    EXPECT_NE(stream, nullptr);
  } else if (call == "local.connect") {
    ipc_local_listen_options options = {};
    options.size = sizeof options;
    options.backlog = 1;
    const cts::abi::Name name = fresh_name();
    const ipc_name bytes = name.get();
    ipc_listener *made = nullptr;
    require_ok(table.local_listen(&bytes, &options, &made), "local_listen");
    Owned<ipc_listener> listener(made);
    std::vector<Owned<ipc_stream>> clients;
    ipc_stream *stream = nullptr;
    while (table.local_connect(&bytes, 0, &stream).code == IPC_OK) clients.emplace_back(stream);
    Waiting waiting([&] { return table.local_connect(&bytes, timeout_ms, &stream); });
    Interrupt(&waiting);
    auto accepted = accept(listener.get());
    EXPECT_STATUS(IPC_OK, waiting.Join());
    Owned<ipc_stream> client(stream);
    EXPECT_NE(stream, nullptr);
  } else if (call == "socket.receive") {
    Sockets sockets = socket_pair();
    ipc_received received = {};
    received.size = sizeof received;
    const ipc_buffer into = {room, sizeof room};
    const ipc_const_buffer from = {"x", 1};
    Waiting waiting(
        [&] { return table.socket_receive(sockets.receiver.get(), 0, &into, 1, &received, nullptr, timeout_ms); });
    Interrupt(&waiting);
    require_ok(table.socket_send(sockets.sender.get(), &from, 1, nullptr, nullptr, IPC_NO_TIMEOUT), "socket_send");
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_EQ(std::string(room, received.len), "x");
  } else if (call == "fifo.open") {
    const std::string path = fresh_path();
    auto create = offered(&ipc_table::fifo_create);
    if (create == nullptr) throw Ended{"not_applicable", "not offered: library: fifo.create"};
    require_ok(create(path.data(), path.size(), 0600), "fifo_create");
    ipc_stream *stream = nullptr;
    Waiting waiting([&] { return table.fifo_open(path.data(), path.size(), IPC_FIFO_READ, 0, timeout_ms, &stream); });
    Interrupt(&waiting);
    const int writer = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    EXPECT_STATUS(IPC_OK, waiting.Join());
    Owned<ipc_stream> reader(stream);
    EXPECT_NE(stream, nullptr);
    close(writer);
  } else if (call == "watcher.next") {
    ipc_watcher *made = nullptr;
    const int32_t watched = SIGWINCH;
    require_ok(offered(&ipc_table::signal_watch)(&watched, 1, &made), "signal_watch");
    Owned<ipc_watcher> watcher(made);
    ipc_signal_event event = {};
    event.size = sizeof event;
    Waiting waiting([&] { return table.watcher_next(watcher.get(), timeout_ms, &event); });
    Interrupt(&waiting);
    raise(SIGWINCH);
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_EQ(event.signal, SIGWINCH);
  } else if (call == "framed.read") {
    Open open = open_handle("framed");
    auto *framed = static_cast<ipc_framed *>(open.handle);
    Waiting waiting([&] { return table.framed_read(framed, room, sizeof room, timeout_ms, &len); });
    Interrupt(&waiting);
    write_all(open.pair.writer.get(), std::string("\0\0\0\1x", 5));
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_EQ(std::string(room, len), "x");
  } else if (call == "loop.wait") {
    Open open = open_handle("loop");
    auto *loop = static_cast<ipc_loop *>(open.handle);
    ipc_completion completion = {};
    Waiting waiting([&] { return table.loop_wait(loop, timeout_ms, &completion, 1, &len); });
    Interrupt(&waiting);
    ipc_submission timer = {};
    timer.size = sizeof timer;
    timer.operation = IPC_SUBMIT_TIMER;
    timer.token = 7;
    require_ok(table.loop_submit(loop, &timer), "loop_submit");
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_EQ(len, 1u);
  } else {
    throw Ended{"failed", "there is no scenario for " + call};
  }
}
