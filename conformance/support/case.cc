#include "conformance/support/case.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "conformance/support/host.h"
#include "conformance/support/record.h"

namespace cts {
namespace {

struct Registered {
  std::string id, file;
  int line;
  CaseMaker maker;
  bool canary;
};

std::vector<Registered> &Registry() {
  static std::vector<Registered> cases;
  return cases;
}

/// What lasts over the cases of one run of the runner.
struct Session {
  Plan plan;
  std::map<std::string, std::unique_ptr<Peer>> peers;
  std::deque<Requirement> canaries;  // they have none in the specification; a deque keeps their addresses
  std::vector<char> trace_buffer = std::vector<char>(size_t{1} << 16);
  std::ofstream records, trace;
  uint64_t sequence = 0;
  int names = 0;
  int64_t begun_us = 0;
  std::map<std::string, size_t> files;  // in peers' own directories at the end of the case before, where it was seen
};

Session &TheSession() {
  static Session session;
  return session;
}

/// What GoogleTest says of a failed expectation, in a sentence where a reply did not match.
std::string Sentence(const std::string &message, size_t *next_mismatch) {
  const std::vector<Mismatch> &mismatches = Mismatches();
  if (*next_mismatch >= mismatches.size()) return OneLine(message);
  const Mismatch &mismatch = mismatches[*next_mismatch];
  const size_t at = message.rfind(mismatch.wrong);
  if (at == std::string::npos) return OneLine(message);
  ++*next_mismatch;
  const std::string extra = OneLine(message.substr(at + mismatch.wrong.size()));  // what the case streamed behind it
  return mismatch.sentence + (extra.size() > 1 ? " (" + extra.substr(1) + ")" : "");
}

/// The first few failures of the test that just ran.
std::string Failures() {
  const testing::TestResult *result = testing::UnitTest::GetInstance()->current_test_info()->result();
  std::string text;
  size_t mismatch = 0;
  int count = 0;
  for (int i = 0; i < result->total_part_count(); i++) {
    const testing::TestPartResult &part = result->GetTestPartResult(i);
    if (!part.failed() || ++count > 3) continue;
    text +=
        (text.empty() ? "" : " ; ") + Sentence(part.message(), &mismatch) + Place(part.file_name(), part.line_number());
  }
  return text;
}

/// Whether the role has something to do in that shape.
bool NeedsOperation(const Requirement &requirement, const Shape &shape, const std::string &role) {
  const std::vector<std::string> needs = NeedsOf(requirement, shape, role);
  return std::any_of(needs.begin(), needs.end(), [](const std::string &need) { return IsOperation(need); });
}

}  // namespace

bool AddCase(const char *family, const char *rule, const char *file, int line, CaseMaker maker, bool canary) {
  Registry().push_back(Registered{std::string(family) + "." + rule, file, line, maker, canary});
  return true;
}

bool RegisterCases(const Plan &plan, std::string *error) {
  Session &session = TheSession();
  session.plan = plan;
  session.begun_us = NowUs();
  constexpr auto kAppend = std::ios::app | std::ios::binary;
  // Of the usual size it is written several times in one case.
  session.trace.rdbuf()->pubsetbuf(session.trace_buffer.data(),
                                   static_cast<std::streamsize>(session.trace_buffer.size()));
  if (!plan.records.empty()) session.records.open(std::filesystem::u8path(plan.records), kAppend);
  if (!plan.trace.empty()) session.trace.open(std::filesystem::u8path(plan.trace), kAppend);
  if (session.records.fail() || session.trace.fail()) {
    *error = "cannot write " + (session.records.fail() ? plan.records : plan.trace);
    return false;
  }
  const std::string why = plan.work_dir.empty() ? "" : host::WhyNotWritable(plan.work_dir);
  if (!why.empty()) {
    *error = "`work_dir` " + plan.work_dir + " is no directory to write to: " + why;
    return false;
  }
  for (const Registered &entry : Registry()) {
    if (entry.canary) session.canaries.push_back(Requirement{entry.id, "MUST", {}, {}, {}, {}, {}});
    const Requirement *requirement = entry.canary ? &session.canaries.back() : FindRequirement(entry.id);
    if (requirement == nullptr) {
      *error = entry.file + ":" + std::to_string(entry.line) + ": case " + entry.id + " has no requirement in spec/";
      return false;
    }
    if (requirement->alone() && !plan.alone()) continue;
    for (const Shape &shape : ShapesOf(*requirement)) {
      // A case in which one role makes no call says nothing of a pair of different implementations.
      const bool both = NeedsOperation(*requirement, shape, "server") && NeedsOperation(*requirement, shape, "client");
      if (!both && !plan.alone() && !entry.canary) continue;
      std::string name = requirement->rule(), suffix = ShapeName(*requirement, shape);
      if (!suffix.empty()) name += "/" + suffix;
      CaseMaker maker = entry.maker;
      testing::RegisterTest(requirement->family().c_str(), name.c_str(), nullptr, nullptr, entry.file.c_str(),
                            entry.line, [=]() -> Case * { return maker(requirement, shape)->MadeBy(maker); });
    }
  }
  return true;
}

uint64_t LateMs() { return uint64_t{300} * static_cast<uint64_t>(TheSession().plan.slow); }

bool RecordsWritten() {
  Session &session = TheSession();
  return !session.records.fail() && !session.trace.fail();
}

void EndPeers() {
  Session &session = TheSession();
  for (auto &peer : session.peers) peer.second->End();
  session.peers.clear();
  KillOrphans();
}

Case::Case(const Requirement *requirement, Shape shape, bool canary)
    : requirement_(requirement), shape_(std::move(shape)), canary_(canary), next_seed_(TheSession().plan.seed) {
  for (char c : requirement->id) next_seed_ = next_seed_ * 31 + static_cast<unsigned char>(c);
}

Peer &Case::Role(const std::string &role, int number) {
  Session &session = TheSession();
  std::string name = number == 1 ? role : role + std::to_string(number);
  std::unique_ptr<Peer> &peer = session.peers[name];
  if (!peer)
    peer = std::make_unique<Peer>(name, role == "client" ? session.plan.client : session.plan.server, session.plan);
  if (touched_.insert(name).second) {
    peers_.push_back(peer.get());
    peer->BeginCase();
    peer->EnsureStarted();
    if (applicable_) Begin(*peer);
  }
  peer->EnsureStarted();
  return *peer;
}

// A process that others have used is replaced only once it is known that the case can run.
void Case::Begin(Peer &peer) {
  if (IsFresh(*requirement_, shape_, RoleOf(peer))) peer.Renew();
  OpenAccount(peer);
}

Peer &Case::server(int number) { return Role("server", number); }
Peer &Case::client(int number) { return Role("client", number); }
// A one-process case needs no process of its own: it runs in the server's.
Peer &Case::peer() { return Role("server", 1); }

Peer &Case::spawn(Peer &parent) {
  std::string role = parent.role() + ".child";
  const auto named = [&](const std::unique_ptr<Peer> &child) { return child->role().rfind(role, 0) == 0; };
  const auto before = std::count_if(children_.begin(), children_.end(), named);
  if (before > 0) role += std::to_string(before + 1);
  children_spawned_ = true;
  children_.push_back(Peer::Spawn(parent, role));
  return *children_.back();
}

std::string Case::RoleOf(const Peer &peer) const {
  if (requirement_->alone()) return "peer";
  return peer.role().substr(0, 6);
}

LocalName Case::fresh_name() {
  if (has_axis("kind")) return fresh_name(shape("kind"));
  return fresh_name(SystemOf(TheSession().plan.os) == "windows" ? "namespaced" : "path");
}

LocalName Case::fresh_name(const std::string &kind) {
  Session &session = TheSession();
  if (kind == "path") return LocalName{kind, fresh_path()};
  return LocalName{kind, "cts-" + session.plan.run_id + "-" + std::to_string(++session.names)};
}

std::string Case::fresh_path(const std::string &suffix) {
  return directory() + "/" + std::to_string(++TheSession().names) + suffix;
}

std::string Case::directory() {
  if (directory_.empty()) {
    directory_ = TheSession().plan.work_dir + "/c" + std::to_string(++TheSession().names);
    host::MakeDirectory(directory_);
  }
  return directory_;
}

Data Case::pattern(uint64_t length) {
  next_seed_ = next_seed_ * 1103515245u + 12345u;
  return Data::Pattern(next_seed_ >> 8, length);
}

const std::string &Case::shape(const std::string &axis) const {
  auto found = shape_.find(axis);
  if (found == shape_.end()) throw Abort{"failed", "", "the requirement has no axis " + axis};
  return found->second;
}

const Reply &Case::require_ok(const Reply &reply) {
  if (!reply.ok()) throw Abort{"failed", reply.role(), "the " + reply.role() + ": " + reply.describe()};
  return reply;
}

Listener Case::listen(Peer &peer, op::local_listen request) {
  std::string handle = peer.fresh_handle("l");
  Reply reply = peer.call(request.as(handle));
  require_ok(reply);
  return Listener(&peer, handle, reply.bytes("native"));
}

Stream Case::connect(Peer &peer, op::local_connect request) {
  std::string handle = peer.fresh_handle("s");
  require_ok(peer.call(request.as(handle)));
  return Stream(&peer, handle);
}

Stream Listener::accept() const {
  std::string as = peer_->fresh_handle("s");
  Reply reply = peer_->call(op::listener_accept().as(as).on(handle_));
  if (!reply.ok()) throw Abort{"failed", reply.role(), "the " + reply.role() + ": " + reply.describe()};
  return Stream(peer_, as);
}

Pair Case::connected_pair() {
  Peer &connecting = client();
  return connected_pair(listen(server(), fresh_name()), connecting);
}

Pair Case::connected_pair(const Listener &listener, Peer &client) {
  // The accept is under way before the connect, so that a peer that serves one request at a time works in both roles.
  std::string as = listener.peer().fresh_handle("s");
  Pending accepting = listener.start(op::listener_accept().as(as));
  Pair pair;
  pair.client = connect(client, listener);
  require_ok(accepting.wait());
  pair.listener = listener;
  pair.server = Stream(&listener.peer(), as);
  pair.server_writes = has_axis("writer") && shape("writer") == "server";
  return pair;
}

StatusMatcher Case::Allowed(const std::string &row) const {
  auto found = requirement_->outcomes.find(row);
  if (found == requirement_->outcomes.end())
    throw Abort{"failed", "", "the requirement has no outcome row \"" + row + "\""};
  auto column = found->second.find(SystemOf(TheSession().plan.os));
  if (column == found->second.end()) throw Abort{"failed", "", "row \"" + row + "\" has no column for this system"};
  return StatusMatcher(column->second);
}

const std::vector<std::string> &Case::Needs(const std::string &role) {
  auto found = needs_.find(role);
  if (found == needs_.end()) found = needs_.emplace(role, NeedsOf(*requirement_, shape_, role)).first;
  return found->second;
}

void Case::OnRequest(const Peer &peer, const Request &request) {
  const std::string role = RoleOf(peer);
  if (canary_ || request.operation() == "hello" || request.operation() == "reset" || request.operation() == "pending")
    return;
  for (const char *key : {"name", "path"}) {
    std::string name;
    if (!request.body().contains(key) || !BytesFromJson(request.body()[key], &name)) continue;
    asked_names_[name] = peer.role();
    if (request.body().contains("keep_name")) made_.insert(name);
  }
  // Who releases a descriptor has nothing more to do with its name.
  if (request.operation() == "listener.release" || request.operation() == "socket.release") {
    for (const auto &asked : asked_names_) made_.insert(asked.first);
  }
  const std::vector<std::string> &needs = Needs(role);
  auto declared = [&](const std::string &what) { return std::find(needs.begin(), needs.end(), what) != needs.end(); };
  if (!declared(request.operation())) {
    throw Abort{"failed", "",
                "the case uses " + request.operation() + " at the " + role + ", which its requirement does not name"};
  }
  for (const std::string &feature : request.features()) {
    if (!declared(feature)) {
      throw Abort{"failed", "",
                  "the case uses " + feature + " at the " + role + ", which its requirement does not name"};
    }
  }
  CheckTarget(peer, request);
  used_[role].insert(request.operation());
}

// A mistake in a case, or a process that has ended meanwhile, must not hit somebody else: signals go to what this run
// has started, or to nobody.
void Case::CheckTarget(const Peer &peer, const Request &request) const {
  const bool group = request.operation() == "signal.send_group";
  if (!group && request.operation() != "signal.send" && request.operation() != "signal.queue") return;
  const uint64_t target = request.body().value(group ? "group" : "pid", uint64_t{0});
  if (target > 1 && (!IsProcessId(target) || IsOurs(static_cast<int64_t>(target), group))) return;
  throw Abort{"failed", "",
              "the case lets the " + peer.role() + " send a signal to " + (group ? "group " : "process ") +
                  std::to_string(target) + ", which is no peer's"};
}

void Case::OnTrace(const Peer &peer, const char *kind, const std::string &members) {
  const std::string pid = "\"pid\":" + std::to_string(peer.pid());
  Trace(kind, requirement_->alone() ? "peer" + peer.role().substr(6) : peer.role(),
        members.empty() ? pid : pid + "," + members);
}

void Case::OnLook(const Json &look) { Trace("look", "system", "\"look\":" + Dump(look)); }

// The line is put together as text: there are two for every request, and its parts are text already.
void Case::Trace(const char *kind, const std::string &role, const std::string &members) {
  Session &session = TheSession();
  if (!session.trace.is_open() || repetition_ > 0) return;
  if (trace_head_.empty()) {
    auto label = [](const Implementation &i) { return i.mode.empty() ? i.name : i.name + ":" + i.mode; };
    trace_head_ = "{\"case\":" + Dump(requirement_->id) + ",\"shape\":" + Dump(ShapeName(*requirement_, shape_)) +
                  ",\"pairing\":" + Dump(label(session.plan.server) + ">" + label(session.plan.client));
  }
  std::string line = trace_head_;
  line.append(",\"seq\":").append(std::to_string(++session.sequence));
  line.append(",\"t_us\":").append(std::to_string(NowUs() - session.begun_us));
  line.append(",\"kind\":\"").append(kind).append("\",\"role\":\"").append(role).append("\",");
  line.append(members).append("}\n");
  session.trace << line;
}

void Case::OnProof(const char *proof) {
  static const std::vector<std::string> weakest_first = {"none", "pending", "thread"};
  auto rank = [](const std::string &p) {
    return std::find(weakest_first.begin(), weakest_first.end(), p) - weakest_first.begin();
  };
  const bool first = used_["(proof)"].insert("used").second;
  if (first || rank(proof) < rank(proof_)) proof_ = proof;
}

std::string Case::Missing() {
  const std::string os = TheSession().plan.os;
  if (requirement_->excluded(os)) return "not on this system: see the requirement";
  std::string missing;
  auto check = [&](Peer &peer, const std::string &role) {
    for (const std::string &need : Needs(role)) {
      if (!peer.offers(need)) missing += (missing.empty() ? "" : ", ") + role + ": " + need;
    }
  };
  if (requirement_->alone()) {
    check(peer(), "peer");
  } else {
    check(server(), "server");
    check(client(), "client");
  }
  return missing.empty() ? "" : "not offered: " + missing;
}

void Case::CheckUse() {
  if (canary_) return;
  for (const char *role : {"server", "client", "peer"}) {
    for (const std::string &need : Needs(role)) {
      if (IsOperation(need) && used_[role].count(need) == 0) {
        throw Abort{"failed", "",
                    std::string("the requirement names ") + need + " for the " + role + ", which the case never used"};
      }
    }
  }
  std::vector<Peer *> all = peers_;
  for (const auto &child : children_) all.push_back(child.get());
  for (Peer *peer : all) {
    const std::vector<std::string> &needs = Needs(RoleOf(*peer));
    if (peer->concurrent_lanes_used() && std::find(needs.begin(), needs.end(), "lanes") == needs.end()) {
      throw Abort{"failed", "",
                  "the case uses two lanes of the " + peer->role() + " at once; its requirement does not name lanes"};
    }
  }
}

void Case::Run() {
  if (!canary_) {
    const std::string missing = Missing();
    if (!missing.empty()) {
      outcome_ = "not_applicable";
      message_ = missing;
      return;
    }
  } else if (requirement_->rule() == "NotOffered" && !server().offers("canary.never")) {
    outcome_ = "not_applicable";
    message_ = "not offered: server: canary.never";
    return;
  }
  applicable_ = true;
  for (Peer *peer : peers_) Begin(*peer);
  Body();
  if (!HasFailure()) CheckUse();
}

/// The youngest first: a child's own children are other processes' matter once it has ended.
void Case::EndChildren() {
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if ((*child)->running() && !(*child)->End() && !aborted_ && !HasFailure()) {
      throw Abort{"hung", (*child)->role(), "the " + (*child)->role() + " did not end at the end of its input"};
    }
  }
}

void Case::ResetPeers() {
  // The first thing that went wrong is the case's outcome; what follows from it is told behind it.
  std::optional<Abort> first;
  const auto guarded = [&](auto step) {
    try {
      step();
    } catch (const Abort &abort) {
      if (!aborted_ && !HasFailure() && !first) {
        first = abort;
      } else {
        aftermath_ += " ; then: " + abort.message;
      }
    }
  };
  std::vector<std::pair<Peer *, std::optional<Pending>>> resets;
  for (Peer *peer : peers_) guarded([&] { resets.emplace_back(peer, peer->StartReset()); });
  for (const auto &[peer, reset] : resets) guarded([&, peer = peer, &reset = reset] { peer->FinishReset(reset); });
  if (first) throw Abort(*first);
}

void Case::EndFresh() {
  for (Peer *peer : peers_) {
    if (applicable_ && IsFresh(*requirement_, shape_, RoleOf(*peer))) peer->End();
  }
}

/// The case once: what comes out is in outcome_, blame_ and message_.
void Case::Perform() {
  begun_us_ = NowUs();
  host::TakeMade();
  Peer::SetObserver(this);
  const Plan &plan = TheSession().plan;
  if (plan.shuffle != 0)
    Peer::Shuffle(std::hash<std::string>()(requirement_->id + ShapeName(*requirement_, shape_)) + plan.shuffle);
  auto guarded = [&](auto step) {
    try {
      step();
    } catch (const Abort &abort) {
      if (!aborted_) {
        aborted_ = true;
        outcome_ = abort.outcome;
        blame_ = abort.role;
        message_ = abort.message;
      }
    }
  };
  guarded([&] { Run(); });
  guarded([&] { EndChildren(); });
  guarded([&] { ResetPeers(); });
  CloseAccounts();
  EndFresh();
  KillOrphans();
  Peer::SetObserver(nullptr);
  for (Peer *peer : peers_) requests_ += peer->requests();
  for (const auto &child : children_) requests_ += child->requests();
  reordered_ = Peer::reordered();
  if (HasFailure() && !aborted_) {
    outcome_ = "failed";
    blame_ = BlamedRole();
    message_ = Failures();
  }
  message_ += aftermath_;
  const bool blocking_proof_missing = used_.count("(proof)") != 0 && proof_ == "none";
  if (outcome_ == "passed" && blocking_proof_missing) {
    outcome_ = "unverifiable";
    message_ = "the peer cannot show that an operation waits: it offers no `pending`";
  }
  duration_us_ = NowUs() - begun_us_;
}

void Case::TestBody() {
  ClearBlame();
  Perform();
  Repeat();
  Record();
  if (outcome_ == "not_applicable") GTEST_SKIP() << message_;
  if (aborted_) ADD_FAILURE() << outcome_ << ": " << message_;
}

// -------------------------------------------------------------------------------------------------------- resources

namespace {

constexpr int kRepetitions = 3;

/// What a record calls the process with this role: one alone is a peer.
std::string TellRole(const Requirement &requirement, const std::string &role) {
  return requirement.alone() ? "peer" + role.substr(6) : role;
}

std::string OwnDirectory(const std::string &role) { return TheSession().plan.work_dir + "/" + role; }

/// `: 7 is socket:[4711] unix stream, 9 is pipe:[12]`, of what `after` has and `before` had not.
std::string Describe(const Held &before, const Held &after) {
  std::string text;
  for (const auto &[number, what] : after) {
    const auto had = before.find(number);
    if (had == before.end() || had->second != what)
      text += (text.empty() ? ": " : ", ") + number + " is " + Printable(what, 160);
  }
  return text;
}

}  // namespace

void Case::OpenAccount(Peer &peer) {
  Account &account = accounts_[peer.role()];
  account.peer = &peer;
  account.generation = peer.generation();
  account.warm = peer.used();
  account.lanes = peer.num_lanes();
  account.before = repetition_ > 0 ? peer.Holding(nullptr, true) : peer.HoldingAtRest();
  const auto seen = TheSession().files.find(peer.role());
  account.files = seen != TheSession().files.end() ? seen->second : host::List(OwnDirectory(peer.role())).size();
}

/// After the resets: what a peer still holds is what it keeps.
void Case::CloseAccounts() {
  for (const std::string &path : host::TakeMade()) made_.insert(path);
  for (auto &[role, account] : accounts_) {
    if (!account.peer->running() || account.peer->generation() != account.generation) {
      process_ended_ = true;
      continue;
    }
    account.after = account.peer->Holding(&account.before, repetition_ > 0);
    if (!account.before.known || !account.after.known) continue;
    for (size_t kind = 0; kind < Holdings::kKinds; kind++) {
      rows_[role][Holdings::kNames[kind]] = {account.before.counts[kind], account.after.counts[kind]};
    }
  }
  left_files_ = LeftFiles();
}

/// What is left in the directory of the case that no request named and the case did not make itself, and sockets that
/// were named; and new files in peers' own directories. A process that has ended had no time to remove its names.
Case::Growth Case::LeftFiles() {
  Growth left;
  TheSession().files.clear();
  if (process_ended_ || children_spawned_) return left;
  const auto keeps = [](Peer *peer) { return !peer->offers("!keeps_name"); };
  const bool keeps_names = std::any_of(peers_.begin(), peers_.end(), keeps);
  const auto look = [&](const std::string &directory, const std::string &owner, const char *kind) {
    for (const std::string &name : host::List(directory)) {
      const std::string path = directory + "/" + name, type = host::TypeOf(path);
      const auto asked = asked_names_.find(path);
      const bool named = asked != asked_names_.end() || asked_names_.count(name) != 0;
      if (made_.count(path) != 0 || (named && (type != "socket" || keeps_names))) continue;
      std::string &text = left[{asked != asked_names_.end() ? asked->second : owner, kind}];
      text += (text.empty() ? "there is left " : ", ") + type + " " + Printable(name, 100);
    }
  };
  if (!directory_.empty()) look(directory_, "", "names");
  for (const auto &[role, account] : accounts_) {
    const size_t files = host::List(OwnDirectory(role)).size();
    TheSession().files[role] = files;
    if (files > account.files) look(OwnDirectory(role), role, "names");
  }
  return left;
}

/// A process of its own has no before: what a library makes once is not told from what it makes each time. A lane that
/// the case was the first to use may have brought a thread.
Case::Growth Case::Grown() const {
  Growth grown = left_files_;
  for (const auto &[role, account] : accounts_) {
    const bool own = IsFresh(*requirement_, shape_, RoleOf(*account.peer));
    if (!account.before.known || !account.after.known || own) continue;
    for (size_t kind = 0; kind < Holdings::kKinds; kind++) {
      const bool lanes = Holdings::kNames[kind] == std::string("threads") && account.peer->offer().lanes == "thread";
      const uint64_t before = account.before.counts[kind] + (lanes ? account.peer->num_lanes() - account.lanes : 0);
      if (account.after.counts[kind] <= before) continue;
      grown[{role, Holdings::kNames[kind]}] =
          "the " + TellRole(*requirement_, role) + " has " + std::to_string(account.after.counts[kind] - before) +
          " more of its " + Holdings::kNames[kind] + Describe(account.before.held[kind], account.after.held[kind]);
    }
  }
  return grown;
}

/// Tells what a library makes once, or has its runtime keep ready, from what it loses each time: the first time is the
/// warm-up; what then grows at every repetition is lost.
void Case::Repeat() {
  if (outcome_ != "passed" || canary_) return;
  if (TheSession().plan.account == "none") return;
  const bool all = TheSession().plan.account == "all";
  Growth lost = Grown();
  if (lost.empty() && !all) return;
  for (int repetition = 1; repetition <= kRepetitions; repetition++) {
    const std::unique_ptr<Case> again(maker_(requirement_, shape_));
    again->repetition_ = repetition;
    again->Perform();
    for (const auto &[role, kinds] : again->rows_) {
      for (const auto &[kind, counts] : kinds) rows_[role][kind].push_back(counts.back());
    }
    if (again->outcome_ != "passed") {
      outcome_ = again->outcome_;
      blame_ = again->blame_;
      message_ = "at repetition " + std::to_string(repetition) + ", after it had passed: " + again->message_;
      aborted_ = again->aborted_;
      return;
    }
    Growth grown = again->Grown();
    for (auto it = grown.begin(); it != grown.end();) {
      const bool cold = it->first.second != "names" && !again->accounts_[it->first.first].warm;
      it = cold || (repetition > 1 && lost.count(it->first) == 0) ? grown.erase(it) : std::next(it);
    }
    lost = std::move(grown);
    if (lost.empty() && !all) return;
  }
  for (const auto &[place, what] : lost) {
    outcome_ = "failed";
    blame_ = place.first;
    message_ += (message_.empty() ? "after each of " + std::to_string(kRepetitions) + " repetitions " : " ; ") + what;
  }
  aborted_ = aborted_ || !lost.empty();
}

Json Case::Resources() const {
  Json resources = Json::object();
  for (const auto &[role, kinds] : rows_) {
    for (const auto &[kind, counts] : kinds) resources[TellRole(*requirement_, role)][kind] = counts;
  }
  return resources;
}

void Case::Record() {
  Session &session = TheSession();
  if (!session.records.is_open()) return;
  Result result;
  result.outcome = outcome_;
  result.message = message_;
  result.proof = proof_;
  result.blame = requirement_->alone() && !blame_.empty() ? "peer" : blame_.substr(0, 6);
  result.operations = requests_;
  result.duration_us = duration_us_;
  Json record = RecordOf(session.plan, *requirement_, shape_, result);
  if (!rows_.empty()) record["resources"] = Resources();
  if (session.plan.shuffle != 0) record["reordered"] = reordered_;
  session.records << Dump(record) << "\n" << std::flush;
  session.trace << std::flush;
}

}  // namespace cts
