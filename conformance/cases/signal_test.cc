// Signals: spec/signal.md.
#include <set>

#include "conformance/cases/common.h"
#include "conformance/cases/ending.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// Below what every system queues for one process, above what could be handled before the next is sent.
constexpr int kManySignals = 20;
/// More than any watcher holds that nobody takes signals from.
constexpr int kFarBeyondAWatcher = 5000;
/// A process number that no system gives.
constexpr uint64_t kNobody = 0x7ffffff0;
/// A transfer that a pipe does not hold, in pieces that it does.
constexpr uint64_t kPiece = 8_KiB;
constexpr int kPieces = 64;

/// Names that every system with POSIX signals knows.
const std::vector<std::string> kNames = {"HUP",  "INT",  "QUIT", "ILL",  "TRAP", "ABRT", "BUS",  "FPE",    "KILL",
                                         "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "CHLD", "CONT",   "STOP",
                                         "TSTP", "TTIN", "TTOU", "URG",  "XCPU", "XFSZ", "SYS",  "VTALRM", "PROF"};
const std::set<std::string> kFaults = {"SEGV", "BUS", "FPE", "ILL"};
const std::set<std::string> kNotCatchable = {"KILL", "STOP"};
/// The signals of ISO C, which every system has.
const std::vector<std::string> kOfC = {"ABRT", "FPE", "ILL", "INT", "SEGV", "TERM"};

/// The number that the system knows the process of a peer by.
uint64_t PidOf(const Peer &peer) { return static_cast<uint64_t>(peer.offer().pid); }
/// The group that a peer was started in, which its first process leads.
uint64_t GroupOf(const Peer &peer) { return static_cast<uint64_t>(peer.pid()); }

op::signal_send Send(const std::string &signal, const Peer &to) {
  return op::signal_send().signal(signal).pid(PidOf(to));
}
op::signal_queue Queue(const std::string &signal, const Peer &to, int64_t value) {
  return op::signal_queue().signal(signal).pid(PidOf(to)).value(value);
}
op::signal_set_handler Set(const std::string &signal, const std::string &action) {
  return op::signal_set_handler().signal(signal).action(action);
}
op::signal_set_handler Hook(const std::string &signal) { return Set(signal, "hook"); }
/// Waits until the hook has run `at_least` so often.
op::signal_hooked Hooked(const std::string &signal, uint32_t at_least) {
  return op::signal_hooked().signal(signal).at_least(at_least);
}
op::signal_number Number(const std::string &signal) { return op::signal_number().signal(signal); }

/// In the main lane: some runtimes let signals in there alone.
op::signal_raise Raise(const std::string &signal) { return op::signal_raise().signal(signal).in("main"); }
/// How often the hook has run by now.
uint64_t Count(Peer &peer, const std::string &signal) {
  const Reply reply = peer.call(Hooked(signal, 0));
  if (!reply.ok()) throw Abort{"failed", reply.role(), "the " + reply.role() + ": " + reply.describe()};
  return reply.number("count");
}

op::signal_watch Watch(const std::vector<std::string> &signals) { return op::signal_watch().signals(signals); }

/// A watcher that a peer holds.
struct Watcher {
  Peer *peer;
  std::string handle;
  Reply next() const { return call(op::watcher_next()); }
  template <typename T>
  Reply call(T request) const {
    return peer->call(request.on(handle));
  }
  template <typename T>
  Pending start(T request) const {
    return peer->start(request.on(handle));
  }
};

/// The name of the signal that a watcher answered with; ends the case if it answered otherwise.
std::string NameIn(const Reply &reply) {
  if (!reply.ok()) throw Abort{"failed", reply.role(), "the " + reply.role() + ": " + reply.describe()};
  return reply.text("signal");
}

/// Ends the case unless the process ends, and by the signal of that number.
void ExpectEndsBy(Peer &peer, uint64_t number) {
  const std::unique_ptr<Exit> exit = peer.AwaitExit();
  if (exit != nullptr && IsEndBySignal(*exit, number)) return;
  throw Abort{"failed", peer.role(),
              "the " + peer.role() + " should have ended by signal " + std::to_string(number) + ", but " +
                  (exit == nullptr ? "goes on" : "ended with " + exit->describe())};
}

}  // namespace

/// Ends the case unless the request is answered `ok`.
#define DO(peer, request) require_ok((peer).call(request))

/// Makes `name` a watcher that `holder` has, by the request, or ends the case.
#define WATCH(name, holder, request)                         \
  const Watcher name{&(holder), (holder).fresh_handle("w")}; \
  DO(holder, (request).as(name.handle))

// ------------------------------------------------------------------------------------------------------ names

CTS_CASE(Signal, NamesAndNumbersAgree) {
  std::set<uint64_t> numbers;
  for (const std::string &name : kNames) {
    const Reply reply = peer().call(Number(name));
    EXPECT_THAT(reply, IsOk()) << name;
    if (!reply.ok()) continue;
    const uint64_t number = reply.number("number");
    EXPECT_GT(number, 0u) << name;
    EXPECT_TRUE(numbers.insert(number).second) << name << " has the number " << number << " of another";
    const Reply back = DO(peer(), op::signal_name().number(static_cast<int64_t>(number)));
    EXPECT_EQ(back.text("signal"), name);
  }
}

CTS_CASE(Signal, KillUtilityNumbersHold) {
  const std::pair<const char *, uint64_t> fixed[] = {{"HUP", 1},  {"INT", 2},   {"QUIT", 3}, {"ABRT", 6},
                                                     {"KILL", 9}, {"ALRM", 14}, {"TERM", 15}};
  for (const auto &entry : fixed) EXPECT_EQ(DO(peer(), Number(entry.first)).number("number"), entry.second);
}

CTS_CASE(Signal, UnknownNameIsNotFound) {
  for (const char *name : {"", "term", "SIGTERM", "TER", "TERMS", "NOSUCH", "15", "0", "RT", "RT-1", "RT00", "RT+1",
                           "RT1 ", "RT999", "RT4294967296", "RT99999999999999999999", "rt0"}) {
    EXPECT_THAT(peer().call(Number(name)), StatusIs("not_found")) << name;
  }
}

CTS_CASE(Signal, NumberWithoutASignalHasNoName) {
  for (int64_t number : {int64_t{0}, int64_t{-1}, int64_t{-15}, int64_t{1000}, int64_t{1} << 31, int64_t{1} << 32}) {
    EXPECT_THAT(peer().call(op::signal_name().number(number)), StatusIs("not_found")) << number;
  }
}

CTS_CASE(Signal, TraitsAreTold) {
  for (const std::string &name : kNames) {
    const Json traits = DO(peer(), op::signal_describe().signal(name)).json();
    EXPECT_EQ(traits.value("catchable", Json()), Json(kNotCatchable.count(name) == 0)) << name;
    EXPECT_EQ(traits.value("fault", Json()), Json(kFaults.count(name) != 0)) << name;
    EXPECT_EQ(traits.value("queued", Json()), Json(false)) << name;
  }
}

CTS_CASE(Signal, RealTimeSignalsAreNumberedUpwards) {
  const uint64_t lowest = DO(peer(), Number("RT0")).number("number");
  for (uint64_t i = 0; i < 8; i++) {
    const std::string name = "RT" + std::to_string(i);
    EXPECT_EQ(DO(peer(), Number(name)).number("number"), lowest + i);
    EXPECT_EQ(DO(peer(), op::signal_name().number(static_cast<int64_t>(lowest + i))).text("signal"), name);
    const Json traits = DO(peer(), op::signal_describe().signal(name)).json();
    EXPECT_EQ(traits.value("catchable", Json()), Json(true)) << name;
    EXPECT_EQ(traits.value("queued", Json()), Json(true)) << name;
    EXPECT_EQ(traits.value("fault", Json()), Json(false)) << name;
    EXPECT_THAT(peer().call(op::signal_queue().signal(name).pid(kNobody).value(1)), StatusIs("no_such_process"));
  }
}

// ------------------------------------------------------------------------------------------------------ hooks

CTS_CASE(Signal, HookRunsForEachSending) {
  const std::string &signal = shape("signal");
  DO(server(), Hook(signal));
  EXPECT_EQ(DO(server(), Hooked(signal, 0)).number("count"), 0u);
  for (uint32_t i = 1; i <= 5; i++) {
    DO(client(), Send(signal, server()));
    const Reply reply = DO(server(), Hooked(signal, i));
    EXPECT_EQ(reply.number("count"), i);
    EXPECT_EQ(reply.text("signal"), signal);
  }
}

CTS_CASE(Signal, HookGetsTheSender) {
  DO(server(), Hook("TERM"));
  DO(client(), Send("TERM", server()));
  const Reply reply = DO(server(), Hooked("TERM", 1));
  EXPECT_EQ(reply.number("pid"), PidOf(client()));
  EXPECT_EQ(reply.number("uid"), host::UserId());
}

CTS_CASE(Signal, HooksAreSeparate) {
  DO(server(), Hook("TERM"));
  DO(server(), Hook("HUP"));
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", i)).number("count"), i);
  }
  EXPECT_EQ(DO(server(), Hooked("HUP", 0)).number("count"), 0u);
  DO(client(), Send("HUP", server()));
  EXPECT_EQ(DO(server(), Hooked("HUP", 1)).number("count"), 1u);
  EXPECT_EQ(DO(server(), Hooked("TERM", 0)).number("count"), 3u);
}

CTS_CASE(Signal, HookIsNotInherited) {
  DO(server(), Hook("TERM"));
  Peer &child = spawn(server());
  DO(client(), Send("TERM", child));
  EXPECT_EQ(DO(server(), op::process_wait().on(child.process_handle())).text("signal"), "TERM");
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(DO(server(), Hooked("TERM", 1)).number("count"), 1u);
}

CTS_CASE(Signal, IgnoringIsInherited) {
  DO(server(), Set("TERM", "ignore"));
  Peer &child = spawn(server());
  for (int i = 0; i < 3; i++) {
    DO(client(), Send("TERM", child));
    DO(child, Set("USR2", "ignore"));  // it still answers
  }
}

CTS_CASE(Signal, LastSettingHolds) {
  DO(server(), Hook("HUP"));  // what comes after TERM
  uint32_t barrier = 0;
  const auto send_and_count = [&] {
    DO(client(), Send("TERM", server()));
    DO(client(), Send("HUP", server()));
    DO(server(), Hooked("HUP", ++barrier));
    return DO(server(), Hooked("TERM", 0)).number("count");
  };
  for (int round = 0; round < 2; round++) {
    DO(server(), Set("TERM", "ignore"));
    EXPECT_EQ(send_and_count(), 0u);
    DO(server(), Hook("TERM"));
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", 1)).number("count"), 1u);
  }
  DO(server(), Set("TERM", "ignore"));
  EXPECT_EQ(send_and_count(), 0u);
}

CTS_CASE(Signal, SettingUnderFireIsSafe) {
  DO(server(), Hook("USR2"));
  for (int round = 0; round < 20; round++) {
    std::vector<Pending> under_way;
    for (int i = 0; i < 16; i++) {
      under_way.push_back(client().start(Send("USR2", server())));
      under_way.push_back(server().start(Set("USR2", i % 2 == 0 ? "ignore" : "hook")));
    }
    for (const Pending &pending : under_way) require_ok(pending.wait());
  }
  DO(server(), Hook("USR2"));
  const uint64_t before = DO(server(), Hooked("USR2", 0)).number("count");
  DO(client(), Send("USR2", server()));
  EXPECT_GT(DO(server(), Hooked("USR2", static_cast<uint32_t>(before) + 1)).number("count"), before);
}

CTS_CASE(Signal, IgnoredSignalDoesNothing) {
  DO(server(), Set(shape("signal"), "ignore"));
  DO(server(), Hook("USR2"));
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), Send(shape("signal"), server()));
    DO(client(), Send("USR2", server()));
    EXPECT_EQ(DO(server(), Hooked("USR2", i)).number("count"), i);
  }
}

CTS_CASE(Signal, DefaultEndsTheProcess) {
  const std::string &signal = shape("signal");
  Peer &receiver = server();
  DO(receiver, Hook(signal));
  DO(receiver, Set(signal, "default"));
  const uint64_t number = DO(client(), Number(signal)).number("number");
  DO(client(), Send(signal, receiver));
  ExpectEndsBy(receiver, number);
}

CTS_CASE(Signal, DefaultThatDoesNothing) {
  DO(server(), Hook("USR2"));
  DO(server(), Hook(shape("signal")));
  DO(server(), Set(shape("signal"), "default"));
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), Send(shape("signal"), server()));
    DO(client(), Send("USR2", server()));
    EXPECT_EQ(DO(server(), Hooked("USR2", i)).number("count"), i);
  }
}

CTS_CASE(Signal, ResetHookRunsOnce) {
  Peer &receiver = server();
  DO(receiver, Hook("TERM").reset(true));
  const uint64_t number = DO(client(), Number("TERM")).number("number");
  DO(client(), Send("TERM", receiver));
  EXPECT_EQ(DO(receiver, Hooked("TERM", 1)).number("count"), 1u);
  DO(client(), Send("TERM", receiver));
  ExpectEndsBy(receiver, number);
}

CTS_CASE(Signal, ChildThatStopsIsTold) {
  DO(server(), Hook("CHLD"));
  Peer &child = spawn(server());
  DO(client(), Send("STOP", child));
  child.expect_stopped();
  EXPECT_GE(DO(server(), Hooked("CHLD", 1)).number("count"), 1u);
  DO(client(), Send("CONT", child));
}

CTS_CASE(Signal, NoChildStopTellsOnlyOfTheEnd) {
  DO(server(), Hook("CHLD").no_child_stop(true));
  DO(server(), Hook("HUP"));  // what comes after CHLD
  Peer &child = spawn(server());
  for (uint32_t i = 1; i <= 2; i++) {
    DO(client(), Send("STOP", child));
    child.expect_stopped();
    DO(client(), Send("CONT", child));
    DO(client(), Send("HUP", server()));
    DO(server(), Hooked("HUP", i));
    EXPECT_EQ(DO(server(), Hooked("CHLD", 0)).number("count"), 0u);
  }
  ASSERT_NE(child.End(), nullptr) << "it went on";
  EXPECT_EQ(DO(server(), Hooked("CHLD", 1)).number("count"), 1u);
}

CTS_CASE(Signal, HooksRunWhileEveryLaneWaits) {
  DO(server(), Hook("TERM"));
  std::vector<Pipe> pipes;
  std::vector<Pending> waiting;
  for (const char *lane : {"main", "a", "b"}) {
    pipes.push_back(MakePipe(server(), op::pipe_create().in("c")));
    waiting.push_back(pipes.back().reader.start(ReadSome(1).in(lane).watch()));
    waiting.back().expect_blocked();
  }
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", i).in("c")).number("count"), i);
  }
}

CTS_CASE(Signal, RestartLetsAReadGoOn) {
  DO(server(), Hook("TERM").restart(true));
  const Pipe pipe = MakePipe(server());
  Pending reading = pipe.reader.start(ReadSome(16).in("main").watch());
  for (uint32_t i = 1; i <= 3; i++) {
    reading.expect_blocked();
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", i)).number("count"), i);
  }
  reading.expect_blocked();
  require_ok(pipe.writer.write("goes on"));
  EXPECT_THAT(reading.wait(), Reads("goes on"));
}

CTS_CASE(Signal, WithoutRestartNoByteIsLost) {
  DO(server(), Hook("TERM"));
  const Pipe pipe = MakePipe(server());
  Pending reading = pipe.reader.start(ReadSome(16).in("main").watch());
  reading.expect_blocked();
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(DO(server(), Hooked("TERM", 1)).number("count"), 1u);
  require_ok(pipe.writer.write("not lost"));
  const Reply reply = reading.wait();
  if (reply.status() == "interrupted") {
    EXPECT_THAT(reply, Reads("", "interrupted"));
    EXPECT_THAT(pipe.reader.call(ReadSome(16).in("main")), Reads("not lost"));
  } else {
    EXPECT_THAT(reply, Reads("not lost"));
  }
}

CTS_CASE(Signal, SignalsLoseNoBytes) {
  DO(server(), Hook("TERM").restart(true));
  const Pipe pipe = MakePipe(server());
  const Data data = pattern(kPiece * kPieces);
  uint32_t sent = 0;
  const auto interrupt = [&] {
    DO(client(), Send("TERM", server()));
    DO(server(), Hooked("TERM", ++sent));
  };
  if (shape("side") == "read") {
    Pending reading = pipe.reader.start(op::stream_read().until("exact").max(data.length()).in("main").watch());
    for (int i = 0; i < kPieces; i++) {
      reading.expect_blocked();
      interrupt();
      require_ok(pipe.writer.write(data.slice(static_cast<uint64_t>(i) * kPiece, kPiece / 2)));
      require_ok(pipe.writer.write(data.slice(static_cast<uint64_t>(i) * kPiece + kPiece / 2, kPiece / 2)));
    }
    EXPECT_THAT(reading.wait(), Reads(data));
  } else {
    Pending writing = pipe.writer.start(op::stream_write().data(data).in("main").watch());
    for (int i = 0; i < kPieces; i++) {
      if (i < kPieces / 2) {  // what is written last fits into the pipe, and nothing waits any more
        writing.expect_blocked();
        interrupt();
      }
      const Data piece = data.slice(static_cast<uint64_t>(i) * kPiece, kPiece);
      EXPECT_THAT(pipe.reader.read_exact(kPiece), Reads(piece));
    }
    EXPECT_THAT(writing.wait(), Accepts(data));
  }
}

CTS_CASE(Signal, RestartLetsAnAcceptGoOn) {
  DO(server(), Hook("TERM").restart(true));
  Listener listener = listen(server(), fresh_name("path"));
  Pending accepting = listener.start_accept("late", "main");
  for (uint32_t i = 1; i <= 3; i++) {
    accepting.expect_blocked();
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", i)).number("count"), i);
  }
  accepting.expect_blocked();
  connect(client(), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
}

CTS_CASE(Signal, RestartLetsAFifoOpenGoOn) {
  const std::string path = fresh_path();
  DO(server(), Hook("TERM").restart(true));
  DO(server(), op::fifo_create().path(path).mode(0600));
  Pending opening = server().start(op::fifo_open().path(path).direction("read").as("r").in("main").watch());
  for (uint32_t i = 1; i <= 3; i++) {
    opening.expect_blocked();
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", i)).number("count"), i);
  }
  opening.expect_blocked();
  DO(server(), op::fifo_open().path(path).direction("write").as("w"));
  EXPECT_THAT(opening.wait(), IsOk());
}

// -------------------------------------------------------------------------------------- what cannot be handled

CTS_CASE(Signal, KillAndStopCannotBeHandled) {
  for (const char *action : {"hook", "ignore", "default"}) {
    EXPECT_THAT(peer().call(Set(shape("signal"), action)), StatusIs("unsupported")) << action;
  }
  EXPECT_THAT(peer().call(Watch({shape("signal")}).as("none")), StatusIs("unsupported"));
  EXPECT_THAT(peer().call(Watch({"TERM", shape("signal")}).as("none")), StatusIs("unsupported"));
  EXPECT_THAT(peer().call(Hook("TERM")), IsOk()) << "it is not watched";
}

CTS_CASE(Signal, FaultSignalsNeedCare) {
  EXPECT_THAT(peer().call(Hook(shape("signal"))), StatusIs("permission_denied"));
  EXPECT_THAT(peer().call(Watch({"TERM", shape("signal")}).as("none")), StatusIs("permission_denied"));
  EXPECT_THAT(peer().call(Hook("TERM")), IsOk()) << "it is not watched";
}

CTS_CASE(Signal, KillEndsWhateverIsSet) {
  Peer &receiver = server();
  for (const char *signal : {"TERM", "INT", "HUP", "QUIT"}) DO(receiver, Set(signal, "ignore"));
  for (const char *signal : {"USR2", "ALRM", "CHLD", "TSTP"}) DO(receiver, Hook(signal));
  const uint64_t number = DO(client(), Number("KILL")).number("number");
  DO(client(), Send("KILL", receiver));
  ExpectEndsBy(receiver, number);
}

CTS_CASE(Signal, StoppedProcessGoesOnAfterContinue) {
  Peer &receiver = server();
  DO(receiver, Hook("CONT"));
  for (uint32_t i = 1; i <= 2; i++) {
    DO(client(), Send("STOP", receiver));
    receiver.expect_stopped();
    Pending asked = receiver.start(Hooked("CONT", i));
    receiver.expect_stopped();
    EXPECT_FALSE(asked.answered()) << "a stopped process answered";
    DO(client(), Send("CONT", receiver));
    EXPECT_EQ(require_ok(asked.wait()).number("count"), i);
  }
}

// ---------------------------------------------------------------------------------------------------- sending

CTS_CASE(Signal, ExistenceCheckSendsNothing) {
  DO(server(), Hook("HUP"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(client().call(op::signal_send().pid(PidOf(server()))), IsOk());
  DO(client(), Send("HUP", server()));
  EXPECT_EQ(DO(server(), Hooked("HUP", 1)).number("count"), 1u);
}

CTS_CASE(Signal, NoSuchProcess) {
  EXPECT_THAT(peer().call(op::signal_send().pid(kNobody)), StatusIs("no_such_process"));
  EXPECT_THAT(peer().call(op::signal_send().signal("TERM").pid(kNobody)), StatusIs("no_such_process"));
  EXPECT_THAT(peer().call(op::signal_send_group().group(kNobody)), StatusIs("no_such_process"));
  EXPECT_THAT(peer().call(op::signal_send_group().signal("TERM").group(kNobody)), StatusIs("no_such_process"));
}

CTS_CASE(Signal, NumbersAreNotCut) {
  DO(peer(), Hook("TERM"));
  DO(peer(), Hook("HUP"));
  for (const uint64_t above : {uint64_t{1} << 32, uint64_t{1} << 40}) {
    EXPECT_THAT(peer().call(op::signal_send().signal("TERM").pid(above + PidOf(peer()))), StatusIs("invalid_argument"));
    EXPECT_THAT(peer().call(op::signal_send_group().signal("TERM").group(above + GroupOf(peer()))),
                StatusIs("invalid_argument"));
  }
  // Cast to a number with a sign this is the peer's own group.
  EXPECT_THAT(peer().call(op::signal_send().signal("TERM").pid((uint64_t{1} << 32) - GroupOf(peer()))),
              StatusIs("invalid_argument"));
  DO(peer(), op::signal_send().signal("HUP").pid(PidOf(peer())));
  DO(peer(), Hooked("HUP", 1));
  EXPECT_EQ(DO(peer(), Hooked("TERM", 0)).number("count"), 0u);
}

CTS_CASE(Signal, ProcessSignalsItself) {
  DO(peer(), Hook("TERM"));
  for (uint32_t i = 1; i <= 5; i++) {
    DO(peer(), Send("TERM", peer()));
    EXPECT_EQ(DO(peer(), Hooked("TERM", i)).number("count"), i);
  }
}

CTS_CASE(Signal, GroupGetsTheSignal) {
  DO(server(), Hook("TERM"));
  DO(client(), Hook("TERM"));
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), op::signal_send_group().signal("TERM").group(GroupOf(server())));
    EXPECT_EQ(DO(server(), Hooked("TERM", i)).number("count"), i);
  }
  EXPECT_EQ(DO(client(), Hooked("TERM", 0)).number("count"), 0u);
}

CTS_CASE(Signal, StandardSignalsMayFallTogether) {
  Peer &receiver = server();
  DO(receiver, Hook("USR2"));
  DO(receiver, Hook("HUP"));
  DO(client(), Send("STOP", receiver));
  receiver.expect_stopped();
  for (int i = 0; i < kManySignals; i++) DO(client(), Send("USR2", receiver));
  DO(client(), Send("CONT", receiver));
  DO(receiver, Hooked("USR2", 1));
  DO(client(), Send("HUP", receiver));
  DO(receiver, Hooked("HUP", 1));
  const uint64_t count = DO(receiver, Hooked("USR2", 1)).number("count");
  EXPECT_GE(count, 1u);
  EXPECT_LE(count, static_cast<uint64_t>(kManySignals));
}

// --------------------------------------------------------------------------------------------- queued signals

CTS_CASE(Signal, QueuedSignalsAllArrive) {
  Peer &receiver = server();
  DO(receiver, Hook("RT0"));
  DO(receiver, Hook("HUP"));
  DO(client(), Send("STOP", receiver));
  receiver.expect_stopped();
  for (int i = 0; i < kManySignals; i++) DO(client(), Queue("RT0", receiver, i));
  DO(client(), Send("CONT", receiver));
  DO(receiver, Hooked("RT0", kManySignals));
  DO(client(), Send("HUP", receiver));
  DO(receiver, Hooked("HUP", 1));
  EXPECT_EQ(DO(receiver, Hooked("RT0", kManySignals)).number("count"), static_cast<uint64_t>(kManySignals));
}

CTS_CASE(Signal, QueueCarriesTheValue) {
  DO(server(), Hook("RT0"));
  uint32_t sent = 0;
  for (const int64_t value : {int64_t{0}, int64_t{1}, int64_t{-1}, int64_t{INT32_MAX}, int64_t{INT32_MIN}}) {
    DO(client(), Queue("RT0", server(), value));
    const Reply reply = DO(server(), Hooked("RT0", ++sent));
    EXPECT_EQ(reply.integer("value"), value);
    EXPECT_EQ(reply.number("pid"), PidOf(client()));
    EXPECT_EQ(reply.number("uid"), host::UserId());
  }
}

// In a fresh process whose lane is its main thread there is no other thread that lets signals in.

CTS_CASE(Signal, QueuedSignalsKeepTheirOrder) {
  Peer &receiver = server();
  WATCH(watcher, receiver, Watch({"RT2"}).in("main"));
  DO(client(), Send("STOP", receiver));
  receiver.expect_stopped();
  for (int i = 0; i < kManySignals; i++) DO(client(), Queue("RT2", receiver, 1000 - i));
  DO(client(), Send("CONT", receiver));
  for (int i = 0; i < kManySignals; i++) {
    const Reply reply = watcher.call(op::watcher_next().in("main"));
    EXPECT_EQ(NameIn(reply), "RT2");
    EXPECT_EQ(reply.integer("value"), 1000 - i);
  }
}

CTS_CASE(Signal, LowerSignalsComeFirst) {
  Peer &receiver = server();
  const std::vector<std::string> signals = {"RT0", "RT1", "RT2", "RT3", "RT4"};
  WATCH(watcher, receiver, Watch(signals).in("main"));
  DO(client(), Send("STOP", receiver));
  receiver.expect_stopped();
  for (int64_t round = 0; round < 2; round++) {
    for (const char *signal : {"RT3", "RT0", "RT4", "RT1", "RT2"}) DO(client(), Queue(signal, receiver, round));
  }
  DO(client(), Send("CONT", receiver));
  for (const std::string &signal : signals) {
    for (int64_t round = 0; round < 2; round++) {
      const Reply reply = watcher.call(op::watcher_next().in("main"));
      EXPECT_EQ(NameIn(reply), signal);
      EXPECT_EQ(reply.integer("value"), round);
    }
  }
}

CTS_CASE(Signal, QueueRefusesStandardSignals) {
  WATCH(watcher, server(), Watch({"TERM", "HUP"}));
  EXPECT_THAT(client().call(Queue("TERM", server(), 1)), StatusIs("invalid_argument"));
  DO(client(), Send("HUP", server()));
  EXPECT_EQ(NameIn(watcher.next()), "HUP");
}

// --------------------------------------------------------------------------------------------------- watchers

CTS_CASE(Signal, WatcherGetsTheSignal) {
  WATCH(watcher, server(), Watch({shape("signal")}));
  for (int i = 0; i < 3; i++) {
    DO(client(), Send(shape("signal"), server()));
    EXPECT_EQ(NameIn(watcher.next()), shape("signal"));
  }
}

CTS_CASE(Signal, WatcherTellsTheSender) {
  WATCH(watcher, server(), Watch({"TERM"}));
  DO(client(), Send("TERM", server()));
  const Reply reply = require_ok(watcher.next());
  EXPECT_EQ(reply.number("pid"), PidOf(client()));
  EXPECT_EQ(reply.number("uid"), host::UserId());
}

CTS_CASE(Signal, WatcherTellsTheChild) {
  Peer &child = spawn(server());
  WATCH(watcher, server(), Watch({"CHLD"}));
  const auto told = [&](const char *of) {
    const Reply reply = require_ok(watcher.next());
    EXPECT_EQ(NameIn(reply), "CHLD") << of;
    EXPECT_EQ(reply.number("pid"), PidOf(child)) << of;
  };
  DO(client(), Send("STOP", child));
  child.expect_stopped();
  told("stopped");
  DO(client(), Send("CONT", child));
  told("continued");
  ASSERT_NE(child.End(), nullptr);
  told("ended");
}

CTS_CASE(Signal, WatcherWaits) {
  WATCH(watcher, server(), Watch({"TERM", "HUP"}));
  for (const char *signal : {"TERM", "HUP", "TERM"}) {
    Pending waiting = watcher.start(op::watcher_next().watch());
    waiting.expect_blocked();
    DO(client(), Send(signal, server()));
    EXPECT_EQ(NameIn(waiting.wait()), signal);
  }
}

CTS_CASE(Signal, WatcherTakesManySignals) {
  std::vector<std::string> signals;
  for (const std::string &name : kNames) {
    if (kFaults.count(name) == 0 && kNotCatchable.count(name) == 0 && name != "USR1") signals.push_back(name);
  }
  ASSERT_EQ(signals.size(), 20u);
  WATCH(watcher, server(), Watch(signals));
  for (const std::string &signal : signals) {
    DO(client(), Send(signal, server()));
    EXPECT_EQ(NameIn(watcher.next()), signal);
  }
}

CTS_CASE(Signal, WatcherGetsABurst) {
  WATCH(watcher, server(), Watch({"TERM", "HUP", "INT", "USR2", "ALRM"}));
  for (int round = 0; round < 10; round++) {
    const std::multiset<std::string> sent = {"TERM", "HUP", "INT", "USR2", "ALRM"};
    std::multiset<std::string> came;
    std::vector<Pending> sending;
    for (const std::string &signal : sent) sending.push_back(client().start(Send(signal, server())));
    for (const Pending &pending : sending) require_ok(pending.wait());
    for (size_t i = 0; i < sent.size(); i++) came.insert(NameIn(watcher.next()));
    EXPECT_EQ(came, sent);
  }
}

CTS_CASE(Signal, WatcherTimesOut) {
  WATCH(watcher, peer(), Watch({"TERM"}));
  for (uint64_t timeout_ms : {kTimeoutMs, uint64_t{0}}) {
    const Stopwatch watch;
    EXPECT_THAT(watcher.call(op::watcher_next().timeout_ms(timeout_ms)), StatusIs("timed_out"));
    const uint64_t waited = watch.ms();
    EXPECT_GE(waited, timeout_ms);
    EXPECT_LT(waited, timeout_ms + LateMs());
  }
}

CTS_CASE(Signal, WatcherSaysThatSomeAreLost) {
  WATCH(watcher, peer(), Watch({"TERM"}));
  for (int i = 0; i < kFarBeyondAWatcher; i++) DO(peer(), Raise("TERM"));
  EXPECT_THAT(watcher.next(), StatusIs("out_of_resources"));
  int held = 0;
  Reply reply = watcher.call(op::watcher_next().wait(false));
  for (; reply.ok() && held < kFarBeyondAWatcher; held++) reply = watcher.call(op::watcher_next().wait(false));
  EXPECT_THAT(reply, StatusIs("would_block"));
  EXPECT_GT(held, 0);
  EXPECT_LT(held, kFarBeyondAWatcher);
  DO(peer(), Raise("TERM"));
  EXPECT_EQ(NameIn(watcher.next()), "TERM");
  EXPECT_THAT(watcher.call(op::watcher_next().wait(false)), StatusIs("would_block"));
}

CTS_CASE(Signal, WatcherSingleAttempt) {
  WATCH(watcher, server(), Watch({"TERM", "HUP"}));
  for (int i = 0; i < 3; i++) EXPECT_THAT(watcher.call(op::watcher_next().wait(false)), StatusIs("would_block"));
  DO(client(), Send("HUP", server()));
  DO(client(), Send("TERM", server()));
  std::set<std::string> came = {NameIn(watcher.next())};
  // Once one has been waited for, the other may still be on its way; it is there when the next comes to be waited for.
  DO(client(), Send("HUP", server()));
  came.insert(NameIn(watcher.next()));
  came.insert(NameIn(watcher.next()));
  EXPECT_EQ(came, (std::set<std::string>{"HUP", "TERM"}));
  EXPECT_THAT(watcher.call(op::watcher_next().wait(false)), StatusIs("would_block"));
}

CTS_CASE(Signal, NonblockingWatcherDoesNotWait) {
  WATCH(watcher, server(), Watch({"TERM"}));
  require_ok(watcher.call(op::watcher_set_nonblocking().nonblocking(true)));
  for (int i = 0; i < 3; i++) EXPECT_THAT(watcher.next(), StatusIs("would_block"));
  require_ok(watcher.call(op::watcher_set_nonblocking().nonblocking(false)));
  Pending waiting = watcher.start(op::watcher_next().watch());
  waiting.expect_blocked();
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(waiting.wait()), "TERM");
}

CTS_CASE(Signal, CloseEndsAWaitingNext) {
  WATCH(watcher, peer(), Watch({"TERM"}));
  Pending waiting = watcher.start(op::watcher_next().in("b").watch());
  waiting.expect_blocked();
  EXPECT_THAT(watcher.call(op::watcher_close()), IsOk());
  EXPECT_THAT(waiting.wait(), StatusIs("cancelled"));
}

CTS_CASE(Signal, EveryWatcherGetsTheSignal) {
  WATCH(both, server(), Watch({"TERM", "HUP"}));
  WATCH(one, server(), Watch({"TERM"}));
  for (int i = 0; i < 3; i++) {
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(NameIn(both.next()), "TERM");
    EXPECT_EQ(NameIn(one.next()), "TERM");
    DO(client(), Send("HUP", server()));
    EXPECT_EQ(NameIn(both.next()), "HUP");
  }
}

CTS_CASE(Signal, ClosingOneWatcherLeavesTheOther) {
  WATCH(first, server(), Watch({"TERM"}));
  WATCH(second, server(), Watch({"TERM"}));
  WATCH(third, server(), Watch({"TERM"}));
  require_ok(first.call(op::watcher_close()));
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(second.next()), "TERM");
  EXPECT_EQ(NameIn(third.next()), "TERM");
  require_ok(third.call(op::watcher_close()));
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(second.next()), "TERM");
}

CTS_CASE(Signal, NewWatcherGetsNoOldSignal) {
  WATCH(old, server(), Watch({"TERM"}));
  WATCH(witness, server(), Watch({"TERM"}));
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(witness.next()), "TERM");  // by now the other has it, too
  require_ok(old.call(op::watcher_close()));
  WATCH(fresh, server(), Watch({"TERM"}));
  EXPECT_THAT(fresh.call(op::watcher_next().wait(false)), StatusIs("would_block"));
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(fresh.next()), "TERM");
}

CTS_CASE(Signal, WatcherStandsBeforeTheHook) {
  DO(server(), Hook("TERM"));
  WATCH(watcher, server(), Watch({"TERM"}));
  for (int i = 0; i < 3; i++) {
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(NameIn(watcher.next()), "TERM");
  }
  EXPECT_EQ(DO(server(), Hooked("TERM", 0)).number("count"), 0u);
  require_ok(watcher.call(op::watcher_close()));
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(DO(server(), Hooked("TERM", i)).number("count"), i);
  }
}

CTS_CASE(Signal, NoGapBetweenHookAndWatcher) {
  DO(server(), Hook("TERM").restart(true));
  for (int round = 0; round < kManySignals; round++) {
    std::vector<Pending> sends;
    for (int i = 0; i < 10; i++) sends.push_back(client().start(Send("TERM", server())));
    WATCH(watcher, server(), Watch({"TERM"}));
    require_ok(watcher.call(op::watcher_close()));
    for (const Pending &send : sends) EXPECT_THAT(send.wait(), IsOk());
  }
  const uint32_t before = static_cast<uint32_t>(DO(server(), Hooked("TERM", 0)).number("count"));
  DO(client(), Send("TERM", server()));
  EXPECT_GT(DO(server(), Hooked("TERM", before + 1)).number("count"), before);
}

CTS_CASE(Signal, CloseGivesBackTheDefault) {
  Peer &receiver = server();
  WATCH(watcher, receiver, Watch({"TERM", "HUP"}));
  const uint64_t number = DO(client(), Number("TERM")).number("number");
  DO(client(), Send("TERM", receiver));
  EXPECT_EQ(NameIn(watcher.next()), "TERM");
  require_ok(watcher.call(op::watcher_close()));
  DO(client(), Send("TERM", receiver));
  ExpectEndsBy(receiver, number);
}

CTS_CASE(Signal, CloseGivesBackIgnoring) {
  DO(server(), Set("TERM", "ignore"));
  DO(server(), Hook("HUP"));
  WATCH(watcher, server(), Watch({"TERM"}));
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(watcher.next()), "TERM");
  require_ok(watcher.call(op::watcher_close()));
  DO(client(), Send("TERM", server()));
  DO(client(), Send("HUP", server()));
  EXPECT_EQ(DO(server(), Hooked("HUP", 1)).number("count"), 1u);
}

CTS_CASE(Signal, WatchedSignalIsBusy) {
  WATCH(watcher, server(), Watch({"TERM"}));
  for (const char *action : {"hook", "ignore", "default"}) {
    EXPECT_THAT(server().call(Set("TERM", action)), StatusIs("busy")) << action;
  }
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(NameIn(watcher.next()), "TERM");
  require_ok(watcher.call(op::watcher_close()));
  DO(server(), Hook("TERM"));
  DO(client(), Send("TERM", server()));
  EXPECT_EQ(DO(server(), Hooked("TERM", 1)).number("count"), 1u);
}

CTS_CASE(Signal, UnwatchedSignalsKeepTheirHook) {
  DO(server(), Hook("HUP"));
  WATCH(watcher, server(), Watch({"TERM"}));
  for (uint32_t i = 1; i <= 3; i++) {
    DO(client(), Send("HUP", server()));
    EXPECT_EQ(DO(server(), Hooked("HUP", i)).number("count"), i);
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(NameIn(watcher.next()), "TERM");
  }
}

CTS_CASE(Signal, WatchedSignalInterruptsNoRead) {
  WATCH(watcher, server(), Watch({"TERM"}));
  const Pipe pipe = MakePipe(server());
  Pending reading = pipe.reader.start(ReadSome(16).in("main").watch());
  for (int i = 0; i < 3; i++) {
    reading.expect_blocked();
    DO(client(), Send("TERM", server()));
    EXPECT_EQ(NameIn(watcher.next()), "TERM");
  }
  reading.expect_blocked();
  require_ok(pipe.writer.write("goes on"));
  EXPECT_THAT(reading.wait(), Reads("goes on"));
}

CTS_CASE(Signal, WatchRefusesWhatIsNoSet) {
  const std::vector<std::string> none, twice = {"TERM", "HUP", "TERM"}, unknown = {"TERM", "NOSUCH"};
  for (const auto &signals : {none, twice, unknown}) {
    EXPECT_THAT(peer().call(Watch(signals).as("none")), StatusIs("invalid_argument"));
  }
}

CTS_CASE(Signal, WatcherIsNotInherited) {
  WATCH(watcher, peer(), Watch({"TERM"}));
  const Raw raw = require_ok(watcher.call(op::watcher_raw())).raw();
  EXPECT_EQ(raw.kind, "fd");
  EXPECT_TRUE(look::IsCloseOnExec(peer().offer().pid, raw.value));
}

// ---------------------------------------------------------------------------------------------------- raising

CTS_CASE(SignalRaise, SignalsOfCAreKnown) {
  std::set<uint64_t> numbers;
  for (const std::string &name : kOfC) {
    const uint64_t number = DO(peer(), Number(name)).number("number");
    EXPECT_GT(number, 0u) << name;
    EXPECT_TRUE(numbers.insert(number).second) << name << " has the number " << number << " of another";
    EXPECT_EQ(DO(peer(), op::signal_name().number(static_cast<int64_t>(number))).text("signal"), name);
    const Json traits = DO(peer(), op::signal_describe().signal(name)).json();
    EXPECT_EQ(traits.value("catchable", Json()), Json(true)) << name;
    EXPECT_EQ(traits.value("fault", Json()), Json(kFaults.count(name) != 0)) << name;
    EXPECT_EQ(traits.value("queued", Json()), Json(false)) << name;
  }
}

CTS_CASE(SignalRaise, WhatIsNoSignalIsRefused) {
  for (const char *name : {"", "int", "SIGINT", "IN", "INTR", "NOSUCH", "2", "RT-1"}) {
    EXPECT_THAT(peer().call(Number(name)), StatusIs("not_found")) << name;
    EXPECT_THAT(peer().call(Raise(name)), StatusIs("invalid_argument")) << name;
    EXPECT_THAT(peer().call(Hook(name)), StatusIs("invalid_argument")) << name;
    EXPECT_THAT(peer().call(op::signal_describe().signal(name)), StatusIs("invalid_argument")) << name;
  }
  for (int64_t number : {int64_t{0}, int64_t{-1}, int64_t{-2}, int64_t{1000}, (int64_t{1} << 32) + 2}) {
    EXPECT_THAT(peer().call(op::signal_name().number(number)), StatusIs("not_found")) << number;
  }
}

CTS_CASE(SignalRaise, HookHasRunBeforeTheAnswer) {
  const std::string &signal = shape("signal");
  DO(peer(), Hook(signal));
  EXPECT_EQ(Count(peer(), signal), 0u);
  for (uint64_t i = 1; i <= 5; i++) {
    EXPECT_THAT(peer().call(Raise(signal)), IsOk());
    const Reply reply = DO(peer(), Hooked(signal, 0));
    EXPECT_EQ(reply.number("count"), i);
    EXPECT_EQ(reply.text("signal"), signal);
  }
}

CTS_CASE(SignalRaise, HookStaysSet) {
  for (const char *signal : {"INT", "TERM", "ABRT"}) DO(peer(), Hook(signal));
  for (int i = 0; i < 100; i++) {
    for (const char *signal : {"INT", "TERM", "ABRT"}) DO(peer(), Raise(signal));
  }
  for (const char *signal : {"INT", "TERM", "ABRT"}) EXPECT_EQ(Count(peer(), signal), 100u) << signal;
}

CTS_CASE(SignalRaise, HooksAreSeparate) {
  for (const char *signal : {"INT", "TERM", "ABRT"}) DO(peer(), Hook(signal));
  for (int i = 0; i < 3; i++) DO(peer(), Raise("TERM"));
  DO(peer(), Raise("ABRT"));
  EXPECT_EQ(Count(peer(), "INT"), 0u);
  EXPECT_EQ(Count(peer(), "TERM"), 3u);
  EXPECT_EQ(Count(peer(), "ABRT"), 1u);
}

CTS_CASE(SignalRaise, ItIsOneProcesssMatter) {
  DO(server(), Hook("TERM"));
  DO(client(), Hook("TERM"));
  for (uint64_t i = 1; i <= 3; i++) {
    DO(server(), Raise("TERM"));
    EXPECT_EQ(Count(server(), "TERM"), i);
  }
  EXPECT_EQ(Count(client(), "TERM"), 0u);
  DO(client(), Raise("TERM"));
  EXPECT_EQ(Count(client(), "TERM"), 1u);
  EXPECT_EQ(Count(server(), "TERM"), 3u);
}

CTS_CASE(SignalRaise, LastSettingHolds) {
  for (int round = 0; round < 3; round++) {
    DO(peer(), Set("TERM", "ignore"));
    DO(peer(), Raise("TERM"));
    EXPECT_EQ(Count(peer(), "TERM"), 0u);
    DO(peer(), Hook("TERM"));
    for (int i = 0; i < 2; i++) DO(peer(), Raise("TERM"));
    EXPECT_EQ(Count(peer(), "TERM"), 2u);
  }
}

CTS_CASE(SignalRaise, IgnoredSignalDoesNothing) {
  const std::string &signal = shape("signal");
  DO(peer(), Set(signal, "ignore"));
  for (int i = 0; i < 5; i++) EXPECT_THAT(peer().call(Raise(signal)), IsOk());
  EXPECT_EQ(Count(peer(), signal), 0u);
}

CTS_CASE(SignalRaise, DefaultEndsTheProcess) {
  const std::string &signal = shape("signal");
  const uint64_t number = DO(peer(), Number(signal)).number("number");
  DO(peer(), Hook(signal));
  DO(peer(), Raise(signal));
  DO(peer(), Set(signal, "default"));
  peer().start(Raise(signal));
  ExpectEndsBy(peer(), number);
}

CTS_CASE(SignalRaise, ResetHookRunsOnce) {
  const std::string &signal = shape("signal");
  const uint64_t number = DO(peer(), Number(signal)).number("number");
  DO(peer(), Hook(signal).reset(true));
  DO(peer(), Raise(signal));
  EXPECT_EQ(Count(peer(), signal), 1u);
  peer().start(Raise(signal));
  ExpectEndsBy(peer(), number);
}

CTS_CASE(SignalRaise, ResetIsOfOneSetting) {
  DO(peer(), Hook("TERM").reset(true));
  DO(peer(), Raise("TERM"));
  EXPECT_EQ(Count(peer(), "TERM"), 1u);
  DO(peer(), Hook("TERM"));
  for (int i = 0; i < 3; i++) DO(peer(), Raise("TERM"));
  EXPECT_EQ(Count(peer(), "TERM"), 3u);
}

CTS_CASE(SignalRaise, FaultHooksNeedCare) {
  EXPECT_THAT(peer().call(Hook(shape("signal"))), StatusIs("permission_denied"));
  DO(peer(), Set(shape("signal"), "ignore"));
  EXPECT_THAT(peer().call(Raise(shape("signal"))), IsOk()) << "it is raised, and not for a mistake of the thread";
}

}  // namespace cts
