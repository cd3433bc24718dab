// Loops with a great many operations, the turns that they take, and connects by them. spec/abi.md, AbiLoops.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <deque>
#include <map>
#include <random>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"
#include "conformance/abi/memory.h"

namespace {

using cts::abi::Open;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::StatusText;

using Clock = std::chrono::steady_clock;

constexpr int kOperations = 1000;
constexpr int kStreams = 8;
constexpr int kShortMaxMs = 20;

/// An operation under way.
struct Operation {
  uint32_t kind = IPC_SUBMIT_TIMER;
  int timeout_ms = IPC_NO_TIMEOUT;
  Clock::time_point earliest, latest;  // between which its deadline lies
  bool cancelled = false;
  int stream = -1;  // of a read
  char byte = 0;
  ipc_buffer room = {};
};

/// What a case does to a loop, and what it must see of it.
class Model {
 public:
  Model(const ipc_table &table, ipc_loop *loop, std::vector<Pair> *pairs) : table_(table), loop_(loop), pairs_(*pairs) {
    for (int i = 0; i < kStreams; i++) reads_.emplace_back();
    sent_.resize(kStreams);
    got_.resize(kStreams);
  }

  size_t under_way() const { return operations_.size(); }
  int short_ones() const { return short_ones_; }

  void Submit() {
    uint64_t token;
    do {
      token = Draw(2) == 0 ? Draw(3 * kOperations) : random_();  // some near each other, some anywhere
    } while (operations_.count(token) != 0);
    Operation &one = operations_[token];
    ipc_submission submission = {};
    submission.size = sizeof submission;
    submission.token = token;
    submission.operation = IPC_SUBMIT_TIMER;
    submission.timeout_ms = IPC_NO_TIMEOUT;
    if (Draw(3) == 0) {
      one.kind = submission.operation = IPC_SUBMIT_READ;
      one.stream = static_cast<int>(Draw(kStreams));
      one.room = {&one.byte, 1};
      submission.stream = pairs_[one.stream].reader.get();
      submission.buffers = &one.room;
      submission.num_buffers = 1;
      reads_[one.stream].push_back(token);
    } else if (Draw(4) != 0) {
      submission.timeout_ms = one.timeout_ms = 1 + static_cast<int>(Draw(kShortMaxMs));
      short_ones_++;
    } else if (Draw(2) == 0) {
      submission.timeout_ms = one.timeout_ms = 3600000 + static_cast<int>(Draw(kOperations));
    }
    one.earliest = Clock::now() + std::chrono::milliseconds(one.timeout_ms);
    EXPECT_STATUS(IPC_OK, table_.loop_submit(loop_, &submission));
    one.latest = Clock::now() + std::chrono::milliseconds(one.timeout_ms);
    if (Stays(one)) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, table_.loop_submit(loop_, &submission)) << "a token that is under way";
    }
  }

  /// Cancels one that is under way.
  void Cancel() {
    auto at = operations_.lower_bound(random_());
    if (at == operations_.end()) at = operations_.begin();
    if (at->second.cancelled) return;
    const ipc_status status = table_.loop_cancel(loop_, at->first);
    if (status.code == IPC_OK) {
      at->second.cancelled = true;
    } else {  // it has ended, and waits to be taken
      EXPECT_STATUS(IPC_NOT_FOUND, status);
      EXPECT_TRUE(!Stays(at->second)) << "a loop lost an operation";
    }
  }

  void Write() {
    const int stream = static_cast<int>(Draw(kStreams));
    const char byte = static_cast<char>('a' + sent_[stream]++ % 26);
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, table_.stream_write(pairs_[stream].writer.get(), &byte, 1, 0, &len));
  }

  /// Takes what there is, and returns how many completions that was.
  size_t Take(int64_t timeout_ms) {
    ipc_completion completions[7];
    size_t num = 0;
    const ipc_status status = table_.loop_wait(loop_, timeout_ms, completions, 7, &num);
    EXPECT_STATUS_IN((IPC_OK, IPC_TIMED_OUT), status);
    for (size_t i = 0; i < num && i < 7; i++) Check(completions[i]);
    return num;
  }

 private:
  uint64_t Draw(uint64_t below) { return random_() % below; }

  /// Whether only a cancel ends it.
  bool Stays(const Operation &one) const {
    return one.kind == IPC_SUBMIT_TIMER && (one.timeout_ms < 0 || one.timeout_ms > kShortMaxMs);
  }

  void Check(const ipc_completion &completion) {
    auto found = operations_.find(completion.token);
    ASSERT_TRUE(found != operations_.end()) << "a completion of nothing that is under way";
    const Operation one = found->second;
    EXPECT_EQ(completion.operation, one.kind);
    EXPECT_TRUE(completion.stream == nullptr && completion.socket == nullptr) << "a handle that nothing has made";
    if (one.kind == IPC_SUBMIT_READ) {
      CheckRead(completion, one, found->second.byte);
    } else if (completion.status.code == IPC_TIMED_OUT) {
      EXPECT_FALSE(Stays(one)) << "a timer ended before its time";
      EXPECT_GE(Clock::now(), one.earliest) << "a timer ended before its time";
      // Those taken in one go, and those taken later, come in the order of their deadlines.
      EXPECT_GE(one.latest, last_deadline_) << "a timer ended after a later one";
      last_deadline_ = std::max(last_deadline_, one.earliest);
    } else {
      EXPECT_STATUS(IPC_CANCELLED, completion.status);
      EXPECT_TRUE(one.cancelled) << "nobody cancelled it";
    }
    if (one.timeout_ms > 0 && one.timeout_ms <= kShortMaxMs) short_ones_--;
    operations_.erase(found);
    EXPECT_STATUS(IPC_NOT_FOUND, table_.loop_cancel(loop_, completion.token)) << "it has completed";
  }

  void CheckRead(const ipc_completion &completion, const Operation &one, char byte) {
    std::deque<uint64_t> &queue = reads_[one.stream];
    if (completion.status.code == IPC_OK) {
      ASSERT_EQ(completion.len, 1u);
      EXPECT_EQ(byte, static_cast<char>('a' + got_[one.stream]++ % 26)) << "reads out of order";
      while (!queue.empty() && queue.front() != completion.token) {
        EXPECT_TRUE(operations_[queue.front()].cancelled) << "a read ended before an earlier one";
        queue.pop_front();
      }
    } else {
      EXPECT_STATUS(IPC_CANCELLED, completion.status);
      EXPECT_TRUE(one.cancelled) << "nobody cancelled it";
      EXPECT_EQ(completion.len, 0u);
    }
    for (auto at = queue.begin(); at != queue.end(); ++at) {
      if (*at == completion.token) {
        queue.erase(at);
        break;
      }
    }
  }

  const ipc_table &table_;
  ipc_loop *const loop_;
  std::vector<Pair> &pairs_;
  std::mt19937_64 random_{20240229};
  std::map<uint64_t, Operation> operations_;  // by token; an entry does not move
  std::vector<std::deque<uint64_t>> reads_;   // of each stream, in the order submitted
  std::vector<int> sent_, got_;
  Clock::time_point last_deadline_;
  int short_ones_ = 0;
};

}  // namespace

CTS_CASE(AbiLoops, AThousandOperations) {
  (void)LIB(loop_submit);
  (void)LIB(loop_cancel);
  (void)LIB(loop_wait);
  (void)LIB(stream_write);
  std::vector<Pair> pairs;
  for (int i = 0; i < kStreams; i++) pairs.push_back(stream_pair());
  Open open = open_handle("loop");
  Model model(cts::abi::TheLibrary().table(), static_cast<ipc_loop *>(open.handle), &pairs);
  step("operations that begin and end in any order");
  for (int i = 0; i < kOperations && !HasFailure(); i++) {
    model.Submit();
    if (i % 4 == 3) model.Cancel();
    if (i % 5 == 4) model.Write();
    if (i % 64 == 63) model.Take(0);
  }
  step("the short timers");
  while (model.short_ones() > 0 && !HasFailure()) model.Take(IPC_NO_TIMEOUT);
  step("the rest is cancelled");
  while (model.under_way() > 0 && !HasFailure()) {
    for (int i = 0; i < 5; i++) model.Cancel();
    while (model.under_way() > 0 && model.Take(0) > 0) continue;
  }
  if (!HasFailure()) {
    EXPECT_EQ(model.Take(0), 0u) << "more completions than operations";
  }
}

CTS_CASE(AbiLoops, BusyHandleLeavesTurns) {
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  Pair busy = stream_pair(), other = stream_pair();
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  std::vector<char> bytes(kOperations + 1);
  std::vector<ipc_buffer> rooms(kOperations + 1);
  for (int i = 0; i <= kOperations; i++) {
    rooms[i] = {&bytes[i], 1};
    ipc_submission read = {};
    read.size = sizeof read;
    read.operation = IPC_SUBMIT_READ;
    read.token = static_cast<uint64_t>(i);
    read.timeout_ms = IPC_NO_TIMEOUT;
    read.stream = (i < kOperations ? busy : other).reader.get();
    read.buffers = &rooms[i];
    read.num_buffers = 1;
    ASSERT_STATUS(IPC_OK, submit(loop, &read));
  }
  // Both become ready before the loop looks.
  write_all(busy.writer.get(), std::string(kOperations, 'b'));
  write_all(other.writer.get(), "o");
  int before = 0;
  for (bool met = false; !met;) {
    ipc_completion completion = {};
    size_t num = 0;
    ASSERT_STATUS(IPC_OK, wait(loop, IPC_NO_TIMEOUT, &completion, 1, &num));
    ASSERT_STATUS(IPC_OK, completion.status);
    met = completion.token == kOperations;
    before += !met;
  }
  EXPECT_LT(before, kOperations / 2) << "reads of one handle that were carried out before one of another";
}

CTS_CASE(AbiLoops, EndedOperationsTakeNoMemory) {
  if (cts::abi::LiveBytes() < 0) throw cts::abi::Ended{"unverifiable", "this build does not count allocated bytes"};
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  ipc_submission timer = {};
  timer.size = sizeof timer;
  timer.operation = IPC_SUBMIT_TIMER;
  auto carry_out = [&](int operations) {
    for (int i = 0; i < operations && !HasFailure(); i++) {
      timer.token++;
      ipc_completion completion = {};
      size_t number = 0;
      EXPECT_STATUS(IPC_OK, submit(loop, &timer));
      EXPECT_STATUS(IPC_OK, wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number));
      EXPECT_STATUS(IPC_TIMED_OUT, completion.status);
    }
  };
  carry_out(kOperations);
  const int64_t before = cts::abi::LiveBytes();
  step("operations one after the other");
  carry_out(8 * kOperations);
  EXPECT_LT(cts::abi::LiveBytes() - before, kOperations) << "the loop grows with what has ended";
}

CTS_CASE(AbiLoops, FreedLoopLeavesNothing) {
  if (!cts::abi::kAllocationsSeen) {
    throw cts::abi::Ended{"unverifiable", "this build does not stand in front of the system's malloc"};
  }
  auto submit = LIB(loop_submit);
  (void)LIB(loop_open);
  Pair pair = stream_pair();
  char byte = 0;
  const ipc_buffer into = {&byte, 1};
  int64_t blocks = 0;
  for (int round = 0; round < 3; round++) {
    if (round != 0) blocks = cts::abi::LiveBlocks();  // what a library keeps for good, it has by then
    Open open = open_handle("loop");
    auto *loop = static_cast<ipc_loop *>(open.handle);
    ipc_submission submission = {};
    submission.size = sizeof submission;
    submission.stream = pair.reader.get();
    submission.buffers = &into;
    submission.num_buffers = 1;
    for (int i = 0; i < kOperations; i++) {
      submission.token++;
      submission.operation = i % 2 == 0 ? IPC_SUBMIT_TIMER : IPC_SUBMIT_READ;
      submission.timeout_ms = i % 4 < 2 ? IPC_NO_TIMEOUT : 3600000;
      ASSERT_STATUS(IPC_OK, submit(loop, &submission));
    }
    step("the end of a loop with operations under way");
    open = Open();
    if (round != 0) {
      EXPECT_EQ(cts::abi::LiveBlocks(), blocks) << "memory that nobody frees";
    }
  }
}

CTS_CASE(AbiLoops, ConnectsFailAsTheCallsDo) {
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  auto connect_stream = LIB(local_connect);
  auto connect_socket = offered(&ipc_table::socket_connect);
  auto open_socket = offered(&ipc_table::socket_open);
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  const std::string file = fresh_path();
  close(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const cts::abi::Name names[] = {
      {IPC_NAME_PATH, fresh_path()},
      {IPC_NAME_PATH, file},
      {IPC_NAME_PATH, file + "/behind"},
      {IPC_NAME_PATH, std::string(200, 'x')},
      {IPC_NAME_PATH, ""},
      {IPC_NAME_NAMESPACED, std::string(400, 'x')},
      {IPC_NAME_NAMESPACED, "cts-nobody-" + cts::abi::TheSurroundings().run_id},
  };
  for (const cts::abi::Name &name : names) {
    const ipc_name bytes = name.get();
    for (const bool of_socket : {false, true}) {
      if (of_socket && (connect_socket == nullptr || open_socket == nullptr)) continue;
      ipc_stream *none = nullptr;
      ipc_socket *socket = nullptr;
      if (of_socket) ASSERT_STATUS(IPC_OK, open_socket(IPC_UNIX_DATAGRAM, &socket));
      Owned<ipc_socket> owned(socket);
      ipc_submission submission = {};
      submission.size = sizeof submission;
      submission.operation = of_socket ? IPC_SUBMIT_SOCKET_CONNECT : IPC_SUBMIT_CONNECT;
      submission.timeout_ms = IPC_NO_TIMEOUT;
      submission.socket = socket;
      submission.name = &bytes;
      const ipc_status called =
          of_socket ? connect_socket(socket, &bytes, IPC_NO_TIMEOUT) : connect_stream(&bytes, IPC_NO_TIMEOUT, &none);
      ASSERT_NE(called.code, IPC_OK);
      ipc_completion completion = {};
      completion.status = submit(loop, &submission);
      if (completion.status.code == IPC_OK) {
        size_t number = 0;
        ASSERT_STATUS(IPC_OK, wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number));
      }
      EXPECT_EQ(StatusText(completion.status), StatusText(called))
          << (of_socket ? "a socket to " : "a stream to ") << name.bytes;
      EXPECT_EQ(completion.stream, nullptr);
    }
  }
}

CTS_CASE(AbiLoops, ConnectHasTheSubmissionsTimeout) {
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  auto accept_socket = LIB(listener_accept_socket);
  const auto [name, listener, clients] = full_backlog();
  const ipc_name bytes = name.get();
  ipc_raw raw = {};
  ASSERT_STATUS(IPC_OK, LIB(socket_raw)(clients.back().get(), &raw));
  const timeval short_time = {0, 1000};
  ASSERT_EQ(setsockopt(static_cast<int>(raw.value), SOL_SOCKET, SO_SNDTIMEO, &short_time, sizeof short_time), 0);
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  ipc_submission submission = {};
  submission.size = sizeof submission;
  submission.operation = IPC_SUBMIT_SOCKET_CONNECT;
  submission.timeout_ms = IPC_NO_TIMEOUT;
  submission.socket = clients.back().get();
  submission.name = &bytes;
  ASSERT_STATUS(IPC_OK, submit(loop, &submission));
  step("a connect to a full backlog, for longer than the socket's own timeout");
  ipc_completion completion = {};
  size_t number = 0;
  EXPECT_STATUS(IPC_TIMED_OUT, wait(loop, 50, &completion, 1, &number)) << StatusText(completion.status);
  step("room in the backlog");
  for (size_t i = 0; i < clients.size(); i++) {
    ipc_socket *accepted = nullptr;
    EXPECT_STATUS(IPC_OK, accept_socket(listener.get(), 5000, &accepted));
    Owned<ipc_socket>(accepted).reset();
  }
  EXPECT_STATUS(IPC_OK, wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number));
  EXPECT_STATUS(IPC_OK, completion.status);
}

CTS_CASE(AbiLoops, ConnectsWaitForTheBacklog) {
  constexpr size_t kConnects = 4;
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  auto connect_stream = LIB(local_connect);
  auto accept_stream = LIB(listener_accept);
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  const Owned<ipc_listener> listener = listen(name, 1);
  std::vector<Owned<ipc_stream>> clients;
  for (ipc_status status = {}; status.code == IPC_OK;) {
    ipc_stream *client = nullptr;
    status = connect_stream(&bytes, 0, &client);
    EXPECT_STATUS_IN((IPC_OK, IPC_TIMED_OUT), status);
    if (client != nullptr) clients.emplace_back(client);
  }
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  ipc_submission submission = {};
  submission.size = sizeof submission;
  submission.operation = IPC_SUBMIT_CONNECT;
  submission.timeout_ms = IPC_NO_TIMEOUT;
  submission.name = &bytes;
  for (; submission.token < kConnects; submission.token++) ASSERT_STATUS(IPC_OK, submit(loop, &submission));
  step("connects to a full backlog");
  ipc_completion completion = {};
  size_t number = 0;
  EXPECT_STATUS(IPC_TIMED_OUT, wait(loop, 50, &completion, 1, &number)) << StatusText(completion.status);
  step("room in the backlog");
  for (size_t i = clients.size() + kConnects; i > 0; i--) {
    ipc_stream *accepted = nullptr;
    ASSERT_STATUS(IPC_OK, accept_stream(listener.get(), 5000, &accepted));
    Owned<ipc_stream>(accepted).reset();
  }
  for (size_t i = 0; i < kConnects; i++) {
    ASSERT_STATUS(IPC_OK, wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number));
    EXPECT_STATUS(IPC_OK, completion.status);
    Owned<ipc_stream>(completion.stream).reset();
  }
}
