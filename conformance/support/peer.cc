#include "conformance/support/peer.h"

#include <algorithm>
#include <random>
#include <set>
#include <thread>

#include "conformance/support/host.h"
#include "conformance/support/line.h"

namespace cts {
namespace {

constexpr size_t kLineMax = 65536;
constexpr size_t kOutstandingMax = 64;
constexpr int kSliceMs = 100;
constexpr int kGreetFailuresMax = 3;  // then a peer is given up: its other cases need not wait for it again

constexpr int kRestMs = 250;  // a runtime whose threads never all sleep is looked at as it is

PeerObserver *g_observer = nullptr;
std::mt19937 g_order;  // with Plan::shuffle
uint64_t g_reordered = 0;
std::vector<Peer *> g_peers;
uint64_t g_next_id = 1;
int g_control_sockets = 0;

const std::set<std::string> kStatuses = {
#define CTS_STATUS(name) name,
#include "conformance/kits/c/cts_operations.inc"
#undef CTS_STATUS
};

const std::set<std::string> kControl = {"hello", "configure", "reset", "pending", "cancel"};
const std::set<std::string> kGreeting = {"hello", "configure"};

/// Lets others run; the first few times without sleeping, for on one core they have got there when they have run.
void GiveWay(int attempt) {
  constexpr int kWithoutSleep = 8;
  if (attempt < kWithoutSleep) {
    std::this_thread::yield();
  } else {
    LetOthersRun();
  }
}

std::set<std::string> NameSet(const Json &hello, const char *key) {
  std::set<std::string> names;
  if (!hello.contains(key)) return names;
  for (const Json &name : hello[key]) names.insert(name.get<std::string>());
  return names;
}

Offer ReadOffer(const Json &hello) {
  Offer offer;
  offer.implementation = hello.at("implementation").get<std::string>();
  offer.version = hello.at("version").get<std::string>();
  offer.os = hello.at("os").get<std::string>();
  offer.pid = hello.at("pid").get<int64_t>();
  offer.lanes = hello.at("lanes").get<std::string>();
  offer.modes = hello.at("modes").get<std::vector<std::string>>();
  offer.operations = NameSet(hello, "operations");
  offer.features = NameSet(hello, "features");
  offer.traits = NameSet(hello, "traits");
  if (offer.modes.empty()) throw std::runtime_error("`modes` is empty");
  return offer;
}

std::map<std::string, std::string> ScrubbedEnvironment(const Implementation &implementation) {
  std::map<std::string, std::string> environment = implementation.environment;
  for (const auto &variable : InheritedEnvironment()) environment.insert(variable);
  return environment;
}

std::string StatusMember(const std::string &status) { return "\"status\":" + Dump(status); }

/// A peer's line, which is `json`, as one object of the trace: as it is, unless it has white space around or control
/// characters in it.
std::string AsWritten(const std::string &line, const Json &json) {
  const auto plain = [](char c) { return static_cast<unsigned char>(c) >= 0x20; };
  const bool whole = line.front() == '{' && line.back() == '}' && std::all_of(line.begin(), line.end(), plain);
  return whole ? line : Dump(json);
}

}  // namespace

bool Offer::covers(const std::string &need) const {
  if (need[0] == '!') return traits.count(need.substr(1)) == 0;
  return operations.count(need) != 0 || features.count(need) != 0;
}

Reply::Reply(std::string role, std::string operation, Json json)
    : role_(std::move(role)),
      operation_(std::move(operation)),
      status_(json.value("status", "")),
      json_(std::move(json)) {}

void Reply::Missing(const std::string &key, const char *type) const {
  throw Abort{"failed", role_,
              "the reply to " + operation_ + " has no `" + key + "` that is " + type + ": " + Printable(json_.dump())};
}

uint64_t Reply::number(const std::string &key) const {
  if (!json_.contains(key) || !json_[key].is_number_unsigned()) Missing(key, "a natural number");
  return json_[key].get<uint64_t>();
}

int64_t Reply::integer(const std::string &key) const {
  if (!json_.contains(key) || !json_[key].is_number_integer()) Missing(key, "an integer");
  return json_[key].get<int64_t>();
}

std::string Reply::text(const std::string &key) const {
  if (!json_.contains(key) || !json_[key].is_string()) Missing(key, "a string");
  return json_[key].get<std::string>();
}

std::string Reply::bytes(const std::string &key) const {
  std::string bytes;
  if (!json_.contains(key) || !BytesFromJson(json_[key], &bytes)) Missing(key, "bytes");
  return bytes;
}

std::vector<uint64_t> Reply::numbers(const std::string &key) const {
  if (!json_.contains(key) || !json_[key].is_array()) Missing(key, "a list of numbers");
  std::vector<uint64_t> numbers;
  for (const Json &n : json_[key]) {
    if (!n.is_number_unsigned()) Missing(key, "a list of natural numbers");
    numbers.push_back(n.get<uint64_t>());
  }
  return numbers;
}

Raw Reply::raw() const {
  if (!json_.contains("raw") || !json_["raw"].is_object()) Missing("raw", "a raw handle");
  const Json &raw = json_["raw"];
  if (!raw.value("kind", Json()).is_string() || !raw.value("value", Json()).is_string()) Missing("raw", "a raw handle");
  return Raw{raw["kind"].get<std::string>(), raw["value"].get<std::string>()};
}

std::string Reply::describe() const {
  std::string text = operation_ + " answered " + (status_.empty() ? "nothing" : status_);
  if (json_.contains("error") && json_["error"].is_number()) text += " (error " + json_["error"].dump() + ")";
  if (json_.contains("length") && json_["length"].is_number()) text += ", length " + json_["length"].dump();
  std::string data;
  if (json_.contains("data") && BytesFromJson(json_["data"], &data) && data.size() <= 64)
    text += " \"" + Printable(data) + "\"";
  if (json_.contains("why") && json_["why"].is_string()) text += ": " + Printable(json_["why"].get<std::string>());
  return text;
}

Reply Pending::wait() const { return peer_->WaitFor(id_, operation_); }
void Pending::expect_blocked() const { peer_->ExpectBlocked(id_, operation_); }

bool Pending::answered() const {
  peer_->PumpOnce(0);
  return peer_->replies_.count(id_) != 0;
}

const char *const Holdings::kNames[kKinds] = {"descriptors", "threads", "children"};

bool Holdings::MoreThan(const Holdings &before) const {
  for (size_t kind = 0; kind < kKinds; kind++) {
    if (counts[kind] > before.counts[kind]) return true;
  }
  return false;
}

void Peer::SetObserver(PeerObserver *observer) { g_observer = observer; }

PeerObserver *Peer::observer() { return g_observer; }

bool Peer::AtRest() const {
  const ThreadState first = InspectProcess(inspected_pid_);
  if (!first.known || !first.sleeping) return !first.known;
  const ThreadState second = InspectProcess(inspected_pid_);
  return second.sleeping && first.counters == second.counters;
}

Holdings Peer::Holding(const Holdings *before, bool described) {
  if (!process_) return Holdings();
  const int64_t deadline = NowMs() + kRestMs;
  bool rests = false;
  for (int attempt = 0;; attempt++) {
    const Holdings now = HoldingsOf(inspected_pid_, false);
    if (!now.known || before == nullptr || !now.MoreThan(*before) || rests) {
      if (before != nullptr) at_rest_ = now;
      return described ? HoldingsOf(inspected_pid_, true) : now;
    }
    rests = AtRest() || NowMs() >= deadline;
    if (!rests) GiveWay(attempt);
  }
}

Holdings Peer::HoldingAtRest() { return at_rest_ ? *at_rest_ : Holding(nullptr, false); }

void Peer::Shuffle(uint64_t seed) {
  g_order.seed(static_cast<std::mt19937::result_type>(seed ^ (seed >> 32)));
  g_reordered = 0;
}

uint64_t Peer::reordered() { return g_reordered; }

/// Between peers, and between the lanes of one, nothing has an order but an observed reply: of all lanes in which
/// requests wait, one after another writes its first.
void Peer::WriteHeld() {
  for (;;) {
    std::vector<std::pair<Peer *, size_t>> firsts;  // of each lane: where its first request is
    uint64_t oldest = UINT64_MAX;
    for (Peer *peer : g_peers) {
      std::set<std::string> lanes;
      for (size_t i = 0; i < peer->held_.size(); i++) {
        oldest = std::min(oldest, peer->held_[i].id);
        if (lanes.insert(peer->held_[i].lane).second) firsts.emplace_back(peer, i);
      }
    }
    if (firsts.empty()) return;
    const auto [peer, at] = firsts[g_order() % firsts.size()];
    const HeldRequest request = std::move(peer->held_[at]);
    peer->held_.erase(peer->held_.begin() + static_cast<std::ptrdiff_t>(at));
    if (request.id > oldest) g_reordered++;
    peer->WriteNow(request);
  }
}

void Peer::WriteNow(const HeldRequest &request) {
  if (!process_) return;  // it has ended meanwhile: who waits for the reply learns that
  if (g_observer) g_observer->OnTrace(*this, "begin", "\"request\":" + request.line);
  at_rest_.reset();
  process_->Write(request.line + "\n");
}

Peer::Peer(std::string role, const Implementation &implementation, const Plan &plan)
    : role_(std::move(role)), implementation_(implementation), plan_(plan) {
  g_peers.push_back(this);
}

Peer::~Peer() { g_peers.erase(std::find(g_peers.begin(), g_peers.end(), this)); }

int64_t Peer::pid() const { return process_ ? process_->pid() : -1; }

void Peer::BeginCase() {
  requests_ = 0;
  concurrent_ = false;
}

std::unique_ptr<Peer> Peer::Spawn(Peer &parent, const std::string &role) {
  std::string error;
  const std::string path = parent.plan_.work_dir + "/k" + std::to_string(++g_control_sockets);
  std::unique_ptr<ControlSocket> control = ControlSocket::Open(path, &error);
  if (!control) throw Abort{"crashed", "", "the runner: " + error};
  auto child = std::make_unique<Peer>(role, parent.implementation_, parent.plan_);
  child->parent_ = &parent;
  child->process_handle_ = parent.fresh_handle("p");
  const Reply reply = parent.call(op::process_spawn().as(child->process_handle_).control(control->address()));
  if (!reply.ok()) parent.Fail("failed", reply.describe());
  const int64_t pid = static_cast<int64_t>(reply.number("pid"));
  child->Connect(parent, pid, control.get());
  child->Greet();
  if (child->offer_.pid != pid) {
    child->Fail("failed", "it says that it is process " + std::to_string(child->offer_.pid) +
                              ", and its parent started " + std::to_string(pid));
  }
  if (child->offer_.operations != parent.offer_.operations || child->offer_.features != parent.offer_.features)
    child->Fail("failed", "it does not offer what its parent offers");
  if (control->Accept(pid)) child->Fail("failed", "it connected to its control socket a second time");
  return child;
}

/// Waits for the child's connection, while what all peers write is taken.
void Peer::Connect(Peer &parent, int64_t pid, ControlSocket *control) {
  const int64_t deadline = NowMs() + plan_.deadline_ms;
  const std::string beginning = Beginning(pid);
  if (!beginning.empty() && !IsDescendant(pid, parent.inspected_pid_))
    parent.Fail("failed", "process " + std::to_string(pid) + ", which it says it has started, is not its child");
  for (;;) {
    // First whether it has ended, then what it left: it may have connected and ended in between.
    const bool ended = beginning.empty() || Beginning(pid) != beginning;
    process_ = control->Accept(pid);
    if (process_) return;
    const std::string strangers =
        control->strangers() > 0 ? "; others did, " + std::to_string(control->strangers()) + " times" : "";
    if (ended) Fail("crashed", "it ended before it connected to its control socket" + strangers);
    if (NowMs() >= deadline) {
      Fail("hung",
           "it did not connect to its control socket within " + std::to_string(plan_.deadline_ms) + " ms" + strangers);
    }
    PumpOnce(1);
  }
}

void Peer::EnsureStarted() {
  if (process_) return;
  if (parent_ != nullptr) throw Abort{"failed", "", "the case uses the " + role_ + ", which has ended"};
  if (greet_failures_ >= kGreetFailuresMax) throw Abort{"crashed", role_, "given up, because: " + greet_message_};
  std::string directory = plan_.work_dir + "/" + role_, error;
  host::EnsureDirectory(directory);
  outstanding_.clear();
  replies_.clear();
  held_.clear();
  lanes_.clear();
  handles_ = 0;
  used_ = false;
  at_rest_.reset();
  generation_++;
  process_ = Process::Start(implementation_.command, ScrubbedEnvironment(implementation_), directory, &error);
  try {
    if (!process_) throw Abort{"crashed", role_, error};
    Greet();
    greet_failures_ = 0;
  } catch (const Abort &abort) {
    greet_failures_++;
    greet_message_ = abort.message;
    Kill();  // a peer that is not in the mode it should be in must not be used
    offer_ = Offer();
    throw;
  }
}

void Peer::Greet() {
  if (g_observer) g_observer->OnTrace(*this, "start", "");
  AskOffer();
  const std::string &mode = implementation_.mode;
  if (mode.empty() || (mode == offer_.modes[0] && !offer_.covers("configure"))) return;
  Reply reply = Control(op::configure().mode(mode));
  if (!reply.ok()) Fail("failed", "mode " + mode + ": " + reply.describe());
  AskOffer();  // modes may offer different things
}

void Peer::AskOffer() {
  Reply hello = Control(op::hello().protocol(1));
  if (!hello.ok()) Fail("failed", hello.describe());
  try {
    offer_ = ReadOffer(hello.json());
  } catch (const std::exception &problem) {
    Fail("failed", std::string("the answer to hello is not usable: ") + problem.what());
  }
  // The peer may have been started by another program, which is what this process knows of it.
  inspected_pid_ = IsDescendant(offer_.pid, pid()) ? offer_.pid : pid();
}

void Peer::Renew() {
  if (used_) End();
  EnsureStarted();
}

bool Peer::Reset() { return FinishReset(StartReset()); }

std::optional<Pending> Peer::StartReset() {
  if (!process_) return std::nullopt;
  try {
    const op::reset request;
    return Send(request.body(), request.operation(), "control");
  } catch (const Abort &) {
    Kill();
    throw;
  }
}

bool Peer::FinishReset(const std::optional<Pending> &reset) {
  if (!reset) return true;
  try {
    const Reply reply = reset->wait();
    if (reply.ok() && outstanding_.empty()) return true;
    if (!reply.ok() && reply.status() != "busy") Fail("failed", reply.describe());
    if (reply.ok()) Fail("failed", "reset answered ok while requests were unanswered");
  } catch (const Abort &) {
    Kill();
    throw;
  }
  Kill();
  return false;
}

std::unique_ptr<Exit> Peer::End() {
  if (!process_) return nullptr;
  WriteHeld();
  auto exit = std::make_unique<Exit>();
  process_->CloseInput();
  if (!process_->Wait(plan_.deadline_ms, exit.get())) exit.reset();
  if (g_observer) g_observer->OnTrace(*this, "exit", StatusMember(exit ? exit->describe() : "killed"));
  process_.reset();
  return exit;
}

std::unique_ptr<Exit> Peer::AwaitExit() {
  if (!process_) return nullptr;
  WriteHeld();
  auto exit = std::make_unique<Exit>();
  if (!process_->Wait(plan_.deadline_ms, exit.get())) return nullptr;
  PumpOnce(0);  // what it wrote before it ended
  if (g_observer) g_observer->OnTrace(*this, "exit", StatusMember(exit->describe()));
  process_.reset();
  return exit;
}

void Peer::expect_stopped() {
  WriteHeld();
  const int64_t deadline = NowMs() + plan_.deadline_ms;
  while (!InspectProcess(inspected_pid_).stopped) {
    if (!process_ || process_->exited()) FailDead();
    if (NowMs() >= deadline) Fail("hung", "it should have stopped, but goes on");
    LetOthersRun();
  }
}

void Peer::Kill() {
  if (!process_) return;
  process_->Kill();
  if (g_observer) g_observer->OnTrace(*this, "exit", StatusMember("killed"));
  process_.reset();
}

Pending Peer::start(const Request &request) {
  EnsureStarted();
  if (g_observer) g_observer->OnRequest(*this, request);
  const std::string lane = kControl.count(request.operation()) != 0 ? "control" : request.lane();
  return Send(request.body(), request.operation(), lane);
}

Pending Peer::Send(const Json &body, const std::string &operation, const std::string &lane) {
  if (outstanding_.size() >= kOutstandingMax)
    Fail("failed", "the case has 64 requests outstanding: it may not send more");
  uint64_t id = g_next_id++;
  for (const auto &other : outstanding_) concurrent_ = concurrent_ || (other.second.lane != lane && lane != "control");
  // Put together as text: a copy of the request would cost as much as all else here.
  std::string line = "{\"id\":" + std::to_string(id);
  if (lane != "control") {
    line += ",\"lane\":" + Json(lane).dump();
    lanes_.insert(lane);
  }
  line += "," + body.dump().substr(1);
  if (line.size() >= kLineMax) Fail("failed", "the case makes a request longer than a line may be");
  outstanding_[id] = Outstanding{operation, lane, false, 0};
  requests_++;
  used_ = used_ || kGreeting.count(operation) == 0;
  HeldRequest request{id, lane, std::move(line)};
  if (plan_.shuffle != 0 && lane != "control") {
    held_.push_back(std::move(request));
    return Pending(this, id, operation);
  }
  WriteHeld();  // what lane `control` says is about what went before
  WriteNow(request);
  return Pending(this, id, operation);
}

Pending Peer::send_line(const std::string &line, uint64_t id) {
  EnsureStarted();
  WriteHeld();
  outstanding_[id] = Outstanding{"(a line as it is)", "a", false, 0};
  requests_++;
  used_ = true;
  at_rest_.reset();
  process_->Write(line);
  return Pending(this, id, "(a line as it is)");
}

Reply Peer::Control(const Request &request) { return Send(request.body(), request.operation(), "control").wait(); }

Reply Peer::WaitFor(uint64_t id, const std::string &operation) {
  const int64_t deadline = NowMs() + plan_.deadline_ms;
  int64_t next_check = NowMs() + kSliceMs;
  for (;;) {
    auto found = replies_.find(id);
    if (found != replies_.end()) {
      Reply reply = std::move(found->second);
      replies_.erase(found);
      return reply;
    }
    if (!process_) throw Abort{"crashed", role_, "the peer has been ended; no reply to " + operation + " can come"};
    if (process_->ended()) FailDead();
    int64_t left = deadline - NowMs();
    if (left <= 0) {
      const std::string half = Printable(process_->output(), 80);
      Fail("hung", "no reply to " + operation + " within " + std::to_string(plan_.deadline_ms) + " ms" +
                       (half.empty() ? "" : "; half a line is there: " + half));
    }
    // In slices, because an orphan that holds the output would hide the end of the process, and to watch its memory.
    PumpOnce(static_cast<int>(std::min<int64_t>(left, kSliceMs)));
    if (NowMs() < next_check) continue;
    if (process_->exited()) {
      PumpOnce(0);  // what it wrote before it ended
      if (replies_.count(id) == 0) FailDead();
      continue;
    }
    CheckMemory();
    next_check = NowMs() + kSliceMs;
  }
}

void Peer::CheckMemory() {
  // Watched rather than limited: limits on address space break runtimes that reserve much and use little.
  const uint64_t limit = static_cast<uint64_t>(plan_.memory_max_mib) << 20;
  if (ResidentBytes(inspected_pid_) <= limit) return;
  Kill();
  Fail("failed", "it holds more than " + std::to_string(plan_.memory_max_mib) + " MiB of memory");
}

void Peer::PumpOnce(int timeout_ms) {
  WriteHeld();
  std::vector<Process *> processes;
  for (Peer *peer : g_peers) {
    if (peer->process_) processes.push_back(peer->process_.get());
  }
  PumpAll(processes, timeout_ms);
  // Over a copy: a peer that breaks the protocol is killed while the others' lines are still to be taken.
  std::vector<Peer *> peers = g_peers;
  if (peers.size() > 1 && peers.front()->plan_.shuffle != 0) std::shuffle(peers.begin(), peers.end(), g_order);
  for (Peer *peer : peers) peer->Consume();
}

void Peer::Consume() {
  if (!process_) return;
  std::string &output = process_->output();
  size_t begin = 0;
  for (size_t end; (end = output.find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (end - begin >= kLineMax) FailLine(output.substr(begin, end - begin), "is longer than 65,536 bytes");
    std::string line = output.substr(begin, end - begin);
    OnLine(line);
  }
  output.erase(0, begin);
  if (output.size() >= kLineMax) FailLine(output, "has 65,536 bytes and no end");
}

void Peer::OnLine(const std::string &line) {
  Json json;
  std::string error;
  if (!ParseLine(line, &json, &error)) FailLine(line, error);
  if (!json.contains("id") || !json["id"].is_number_unsigned()) FailLine(line, "has no `id` that is a natural number");
  const uint64_t id = json["id"].get<uint64_t>();
  auto found = outstanding_.find(id);
  if (found == outstanding_.end()) FailLine(line, "answers id " + std::to_string(id) + ", which is not outstanding");
  if (json.contains("event")) {
    if (json["event"] != "begun" || found->second.begun) FailLine(line, "is an event that is not expected");
    found->second.begun = true;
    found->second.tid = json.value("tid", Json(0)).is_number_unsigned() ? json.value("tid", int64_t{0}) : 0;
    found->second.repeats = json.value("repeats", Json(false)) == true;
    if (g_observer) {
      const std::string object = AsWritten(line, json);
      g_observer->OnTrace(*this, "event", object.substr(1, object.size() - 2));
    }
    return;
  }
  if (!json.contains("status") || !json["status"].is_string()) FailLine(line, "has no `status`");
  if (kStatuses.count(json["status"].get_ref<const std::string &>()) == 0)
    FailLine(line, "has a status that does not exist");
  if (g_observer) g_observer->OnTrace(*this, "end", "\"reply\":" + AsWritten(line, json));
  replies_[id] = Reply(role_, found->second.operation, std::move(json));
  outstanding_.erase(found);
}

void Peer::ExpectBlocked(uint64_t id, const std::string &operation) {
  const int64_t deadline = NowMs() + plan_.deadline_ms;
  const char *proof = "none";
  for (int attempt = 0; !BlockedNow(id, &proof); attempt++) {
    auto found = replies_.find(id);
    if (found != replies_.end()) Fail("failed", "it should wait now, but " + found->second.describe());
    if (!process_ || process_->ended() || process_->exited()) FailDead();
    if (NowMs() >= deadline) Fail("hung", operation + " neither answered nor waits in the system: " + DescribeRun(id));
    GiveWay(attempt);
  }
  if (g_observer) g_observer->OnProof(proof);
}

std::string Peer::DescribeRun(uint64_t id) const {
  auto found = outstanding_.find(id);
  if (found == outstanding_.end() || !found->second.begun) return "its call was not announced as begun";
  if (found->second.tid == 0) return "a thread of the process runs, or `pending` does not list it";
  const ThreadState state = InspectThread(inspected_pid_, found->second.tid);
  if (!state.sleeping) return "its thread runs";
  return state.waits_elsewhere ? "its thread sleeps, or waits for another thread of the process"
                               : "its thread comes and goes";
}

bool Peer::BlockedNow(uint64_t id, const char **proof) {
  PumpOnce(0);
  auto found = outstanding_.find(id);
  if (found == outstanding_.end() || !found->second.begun || !process_) return false;
  const int64_t tid = found->second.tid;
  if (found->second.repeats && ListedPending(id, "would_block")) {
    *proof = "pending";
    return true;
  }
  auto inspect = [&] { return tid != 0 ? InspectThread(inspected_pid_, tid) : InspectProcess(inspected_pid_); };
  const ThreadState first = inspect();
  if (!first.known) {
    if (!InspectProcess(inspected_pid_).known) Fail("unverifiable", "this system shows no run counters of threads");
    if (tid != 0) Fail("failed", "it announced thread " + std::to_string(tid) + ", which its process does not have");
    return false;
  }
  if (!first.sleeping || (tid != 0 && first.waits_elsewhere)) return false;
  const ThreadState second = inspect();
  if (!second.sleeping || (tid != 0 && second.waits_elsewhere) || first.counters != second.counters) return false;
  // A reply written before the first look may still be in the pipe: take everything, then believe.
  PumpOnce(0);
  if (replies_.count(id) != 0) return false;
  *proof = tid != 0 ? "thread" : offer_.covers("pending") ? "pending" : "none";
  return tid != 0 || !offer_.covers("pending") || ListedPending(id, "ids");
}

bool Peer::ListedPending(uint64_t id, const char *list) {
  Reply reply = Control(op::pending());
  if (!reply.ok()) Fail("failed", reply.describe());
  if (!reply.has(list)) return false;
  for (uint64_t listed : reply.numbers(list)) {
    if (listed == id) return replies_.count(id) == 0;
  }
  return false;
}

std::string Peer::ErrorsTail() const {
  if (parent_ != nullptr) return parent_->ErrorsTail();  // they share standard error
  if (!process_ || process_->errors().empty()) return "";
  const std::string &errors = process_->errors();
  return "; its last words: " + Printable(errors.substr(errors.size() > 400 ? errors.size() - 400 : 0), 400);
}

void Peer::Fail(const std::string &outcome, const std::string &message) {
  const std::string tail = outcome == "failed" || outcome == "unverifiable" ? "" : ErrorsTail();
  throw Abort{outcome, role_, "the " + role_ + " (" + implementation_.name + "): " + message + tail};
}

void Peer::FailLine(const std::string &line, const std::string &what) {
  std::string message = "it wrote a line that " + what + ": " + Printable(line, 120);
  Kill();
  Fail("failed", message);
}

void Peer::FailDead() {
  const std::string half = Printable(process_->output(), 80), tail = ErrorsTail();
  Exit exit;
  std::string how = "closed its output and went on";
  if (process_->Wait(1000, &exit)) how = exit.known ? "ended with " + exit.describe() : "ended";
  std::string what;
  for (const auto &entry : outstanding_) what += (what.empty() ? "" : ", ") + entry.second.operation;
  Kill();
  Fail("crashed", "it " + how + " without a reply to " + (what.empty() ? "anything" : what) +
                      (half.empty() ? "" : "; half a line is there: " + half) + tail);
}

}  // namespace cts
