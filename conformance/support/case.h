// case.h - what a conformance case is made of.
//
//   CTS_CASE(LocalSocket, ReaderGetsEverythingWrittenBeforeClose) {
//     Pair pair = connected_pair();
//     Data data = pattern(64_KiB);
//     EXPECT_THAT(pair.writer().write(data), Accepts(data));
//     EXPECT_THAT(pair.writer().close(), IsOk());
//     EXPECT_THAT(pair.reader().read_to_end(), Ends(data));
//   }
//
// The name is the requirement's id. What it needs, its shapes and what may differ between systems stand in spec/*.md:
// a case holds no branch on the system. It sends requests to peers and judges their replies; it never sleeps, and waits
// only for replies and for "that operation is blocked now".
#ifndef CONFORMANCE_SUPPORT_CASE_H
#define CONFORMANCE_SUPPORT_CASE_H

#include <memory>
#include <string>
#include <vector>

#include "conformance/support/matchers.h"
#include "conformance/support/peer.h"
#include "conformance/support/requirement.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cts {

/// A local socket name: kind and bytes.
struct LocalName {
  std::string kind;
  std::string name;
};

/// A stream that a peer holds.
class Stream {
 public:
  Stream() = default;
  Stream(Peer *peer, std::string handle) : peer_(peer), handle_(std::move(handle)) {}

  Peer &peer() const { return *peer_; }
  const std::string &handle() const { return handle_; }

  Reply read(uint64_t max) const { return call(op::stream_read().until("some").max(max)); }
  Reply read_exact(uint64_t length) const { return call(op::stream_read().until("exact").max(length)); }
  Reply read_to_end() const { return call(op::stream_read().until("end")); }
  Reply write(const Data &data) const { return call(op::stream_write().data(data)); }
  Reply close() const { return call(op::stream_close()); }

  /// Any operation on this stream.
  template <typename T>
  Reply call(T request) const {
    return peer_->call(request.on(handle_));
  }
  template <typename T>
  Pending start(T request) const {
    return peer_->start(request.on(handle_));
  }

 private:
  Peer *peer_ = nullptr;
  std::string handle_;
};

/// A listener that a peer holds.
class Listener {
 public:
  Listener() = default;
  Listener(Peer *peer, std::string handle, std::string native)
      : peer_(peer), handle_(std::move(handle)), native_(std::move(native)) {}

  Peer &peer() const { return *peer_; }
  const std::string &handle() const { return handle_; }
  /// The address it is bound to: what clients connect to.
  const std::string &native() const { return native_; }

  Reply close() const { return call(op::listener_close()); }
  /// Starts an accept; the stream is there once accepted() has its reply.
  Pending start_accept(const std::string &as, const std::string &lane = "a") const {
    return peer_->start(op::listener_accept().as(as).on(handle_).in(lane).watch());
  }
  /// Accepts a connection that is there, or comes.
  Stream accept() const;

  template <typename T>
  Reply call(T request) const {
    return peer_->call(request.on(handle_));
  }
  template <typename T>
  Pending start(T request) const {
    return peer_->start(request.on(handle_));
  }

 private:
  Peer *peer_ = nullptr;
  std::string handle_, native_;
};

/// A connection with both ends held, and the listener it came from.
struct Pair {
  Listener listener;
  Stream server, client;
  bool server_writes = false;
  /// By the shape `writer`; without that shape the client writes.
  const Stream &writer() const { return server_writes ? server : client; }
  const Stream &reader() const { return server_writes ? client : server; }
};

class Case;
using CaseMaker = Case *(*)(const Requirement *, Shape);

/// The fixture of every case.
class Case : public testing::Test, public PeerObserver {
 public:
  Case(const Requirement *requirement, Shape shape, bool canary = false);

  /// Tells it how another like it is made.
  Case *MadeBy(CaseMaker maker) {
    maker_ = maker;
    return this;
  }

 protected:
  /// What the case does.
  virtual void Body() = 0;

  // ---- peers. Further processes of a role have a number from 2.
  Peer &server(int number = 1);
  Peer &client(int number = 1);
  /// The process that a one-process case is about.
  Peer &peer();
  /// A child that `parent` starts: a peer of the same role and mode, which has what it inherited. It ends with the
  /// case.
  Peer &spawn(Peer &parent);

  // ---- names and data
  /// A name nobody has, of the shape's kind; without that shape of the kind that the system has: a path, on Windows
  /// namespaced.
  LocalName fresh_name();
  LocalName fresh_name(const std::string &kind);
  /// A path below this run's directory that nobody has.
  std::string fresh_path(const std::string &suffix = "");
  /// A directory of this case alone, mode 0700.
  std::string directory();
  /// A pattern that no other call of this case gave.
  Data pattern(uint64_t length);
  /// The value of an axis of the requirement's shape.
  const std::string &shape(const std::string &axis) const;
  bool has_axis(const std::string &axis) const { return shape_.count(axis) != 0; }

  // ---- steps that a case needs done; if one fails, the case ends
  Listener listen(Peer &peer, op::local_listen request);
  Listener listen(Peer &peer, const LocalName &name) { return listen(peer, listen_request(name)); }
  Stream connect(Peer &peer, op::local_connect request);
  Stream connect(Peer &peer, const Listener &listener) { return connect(peer, connect_request(listener)); }
  /// Listens at the server on a fresh name and connects a client.
  Pair connected_pair();
  Pair connected_pair(const Listener &listener, Peer &client);
  /// Ends the case unless the reply is ok.
  static const Reply &require_ok(const Reply &reply);

  static op::local_listen listen_request(const LocalName &name) {
    return op::local_listen().kind(name.kind).name(name.name);
  }
  static op::local_connect connect_request(const LocalName &name) {
    return op::local_connect().kind(name.kind).name(name.name);
  }
  static op::local_connect connect_request(const Listener &listener) {
    return op::local_connect().kind("native").name(listener.native());
  }

  /// The statuses that the requirement's table allows here in the row of that name.
  StatusMatcher Allowed(const std::string &row) const;

  // ---- PeerObserver
  void OnRequest(const Peer &peer, const Request &request) override;
  void OnTrace(const Peer &peer, const char *kind, const std::string &members) override;
  void OnLook(const Json &look) override;
  void OnProof(const char *proof) override;

 private:
  /// What a process held before the case and after it.
  struct Account {
    Peer *peer = nullptr;
    int generation = 0;
    bool warm = false;  // it had performed requests before
    Holdings before, after;
    size_t files = 0;  // in its directory, before
    size_t lanes = 0;  // that it had made before
  };
  /// More of some kind than before, by role and kind; and of files by role alone.
  using Growth = std::map<std::pair<std::string, std::string>, std::string>;

  void TestBody() final;
  /// Writes a line of the raw trace, of which `members` are members as JSON text.
  /// What the requirement needs of a role in this shape.
  const std::vector<std::string> &Needs(const std::string &role);
  void Trace(const char *kind, const std::string &role, const std::string &members);
  void Perform();
  void OpenAccount(Peer &peer);
  void CloseAccounts();
  Growth Grown() const;
  Growth LeftFiles();
  void Repeat();
  Json Resources() const;
  std::string Missing();
  void Run();
  void CheckUse();
  void CheckTarget(const Peer &peer, const Request &request) const;
  void Begin(Peer &peer);
  void EndChildren();
  void ResetPeers();
  void EndFresh();
  void Record();
  Peer &Role(const std::string &role, int number);
  std::string RoleOf(const Peer &peer) const;

  const Requirement *requirement_;
  CaseMaker maker_ = nullptr;  // of another like this one
  int repetition_ = 0;         // to account for resources; leaves no record and no trace
  const Shape shape_;
  const bool canary_;
  std::string outcome_ = "passed", message_, blame_, proof_ = "none", directory_, aftermath_;
  std::map<std::string, std::vector<std::string>> needs_;  // of each role, once it was asked for
  std::map<std::string, std::set<std::string>> used_;
  std::set<std::string> touched_;
  std::vector<Peer *> peers_;
  std::vector<std::unique_ptr<Peer>> children_;
  std::string trace_head_;                   // what is the same in every line of the trace
  std::map<std::string, Account> accounts_;  // by role
  std::map<std::string, std::map<std::string, std::vector<uint64_t>>> rows_;  // by role and kind: Resources
  std::map<std::string, std::string> asked_names_;                            // names in requests, and whose
  std::set<std::string> made_;                                                // by the case itself
  Growth left_files_;
  bool process_ended_ = false, children_spawned_ = false;
  uint64_t requests_ = 0, reordered_ = 0;
  uint32_t next_seed_;
  int64_t begun_us_ = 0, duration_us_ = 0;
  bool aborted_ = false;
  bool applicable_ = false;  // known to be, so that it begins
};

/// Called by CTS_CASE before main: the registry of cases.
bool AddCase(const char *family, const char *rule, const char *file, int line, CaseMaker maker, bool canary);
/// Makes GoogleTest tests of the cases for this plan; false with a sentence in `error` if case and requirement
/// disagree.
bool RegisterCases(const Plan &plan, std::string *error);
/// Ends every peer; call after the tests.
void EndPeers();
/// Whether every record and trace line was written.
bool RecordsWritten();
/// Milliseconds that a loaded machine may add to a timeout, more where peers are slowed. A timeout in other units, or
/// begun anew, is longer.
uint64_t LateMs();

}  // namespace cts

#define CTS_CASE_(family, rule, canary)                                                                   \
  namespace {                                                                                             \
  class family##_##rule : public ::cts::Case {                                                            \
   public:                                                                                                \
    using Case::Case;                                                                                     \
                                                                                                          \
   private:                                                                                               \
    void Body() override;                                                                                 \
    static ::cts::Case *Make(const ::cts::Requirement *requirement, ::cts::Shape shape) {                 \
      return new family##_##rule(requirement, std::move(shape), canary);                                  \
    }                                                                                                     \
    static const bool added_;                                                                             \
  };                                                                                                      \
  const bool family##_##rule::added_ = ::cts::AddCase(#family, #rule, __FILE__, __LINE__, &Make, canary); \
  }                                                                                                       \
  void family##_##rule::Body()

/// Defines the case of the requirement `family.rule`.
#define CTS_CASE(family, rule) CTS_CASE_(family, rule, false)
/// Defines a case that proves that the run can fail; it has no requirement and is in no count.
#define CTS_CANARY(rule) CTS_CASE_(Canary, rule, true)

#endif  // CONFORMANCE_SUPPORT_CASE_H
