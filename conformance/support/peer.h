// peer.h - a peer as a case sees it: requests go out, replies come back, blocking is detected.
//
// spec/peer_protocol.md is the contract. A peer that breaks it, dies or passes a deadline ends the case by an
// exception (Abort), so that cases read as straight lines.
#ifndef CONFORMANCE_SUPPORT_PEER_H
#define CONFORMANCE_SUPPORT_PEER_H

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "conformance/support/data.h"
#include "conformance/support/operations.h"
#include "conformance/support/plan.h"
#include "conformance/support/process.h"

namespace cts {

/// Ends a case: `outcome` is failed, hung, crashed or unverifiable, `role` whose doing it is (may be empty).
struct Abort {
  std::string outcome;
  std::string role;
  std::string message;
};

/// What `hello` answered.
struct Offer {
  std::string implementation, version, os, lanes;
  int64_t pid = 0;
  std::vector<std::string> modes;
  std::set<std::string> operations, features, traits;
  /// Whether it covers `need`: an operation, a feature, or `!trait`.
  bool covers(const std::string &need) const;
};

/// The answer to one request.
class Reply {
 public:
  Reply() = default;
  Reply(std::string role, std::string operation, Json json);

  const std::string &role() const { return role_; }
  const std::string &operation() const { return operation_; }
  const std::string &status() const { return status_; }
  bool ok() const { return status_ == "ok"; }
  const Json &json() const { return json_; }

  /// Results, by name; asking for one that is missing or of another type ends the case.
  uint64_t number(const std::string &key) const;
  int64_t integer(const std::string &key) const;
  std::string text(const std::string &key) const;
  std::string bytes(const std::string &key) const;
  std::vector<uint64_t> numbers(const std::string &key) const;
  Raw raw() const;
  bool has(const std::string &key) const { return json_.contains(key); }
  uint64_t length() const { return number("length"); }

  /// For people: operation, status, native error, why, length.
  std::string describe() const;

 private:
  [[noreturn]] void Missing(const std::string &key, const char *type) const;
  std::string role_, operation_, status_;
  Json json_;
};

class Peer;

/// A request under way.
class Pending {
 public:
  Pending() = default;
  Pending(Peer *peer, uint64_t id, std::string operation) : peer_(peer), id_(id), operation_(std::move(operation)) {}
  /// Waits for the reply; passing the deadline ends the case as hung.
  Reply wait() const;
  /// Waits until the operation is blocked in the system (peer_protocol.md, 4.2), and ends the case if it answers
  /// instead. The request must have been watched.
  void expect_blocked() const;
  /// Whether the reply has come; never waits.
  bool answered() const;
  /// The request's id, for `cancel`.
  uint64_t id() const { return id_; }

 private:
  Peer *peer_ = nullptr;
  uint64_t id_ = 0;
  std::string operation_;
};

/// What the peer reports to while a case runs. Implemented by the case.
class PeerObserver {
 public:
  virtual ~PeerObserver() = default;
  /// Before a request goes out: may refuse by throwing Abort.
  virtual void OnRequest(const Peer &peer, const Request &request) = 0;
  /// A line for the raw trace, of which `members` are members as JSON text, without braces.
  virtual void OnTrace(const Peer &peer, const char *kind, const std::string &members) = 0;
  /// What the case saw of the system itself, for the raw trace.
  virtual void OnLook(const Json &look) = 0;
  /// A proof of blocking was used.
  virtual void OnProof(const char *proof) = 0;
};

/// One peer process in one role.
class Peer {
 public:
  /// `role`: server, client or peer, with a number behind it for further processes (client2).
  Peer(std::string role, const Implementation &implementation, const Plan &plan);
  /// Has `parent` start a child of its own (process.spawn), which is then a peer in the same mode. It is not started
  /// again when it has ended.
  static std::unique_ptr<Peer> Spawn(Peer &parent, const std::string &role);
  ~Peer();
  Peer(const Peer &) = delete;
  Peer &operator=(const Peer &) = delete;

  const std::string &role() const { return role_; }
  /// What a child is called at its parent: the handle of kind `process`.
  const std::string &process_handle() const { return process_handle_; }
  const Offer &offer() const { return offer_; }
  int64_t pid() const;
  bool offers(const std::string &need) const { return offer_.covers(need); }

  /// Starts the process if none runs, greets it and chooses the mode. Ends the case if that fails.
  void EnsureStarted();
  /// Has a process that has performed nothing yet.
  void Renew();
  /// Ends every handle; a peer that answers busy or nothing is killed, to be started again. False if it had to be.
  bool Reset();
  /// The two halves of Reset: several peers may do it at the same time. What has not been started needs none.
  std::optional<Pending> StartReset();
  bool FinishReset(const std::optional<Pending> &reset);
  /// Ends its input and waits for it to end by itself; kills it if it does not. nullptr: it did not end.
  std::unique_ptr<Exit> End();
  /// Waits until the process ends by itself, as the case has brought about: requests under way get no answer, and the
  /// next one starts another. nullptr: it goes on.
  std::unique_ptr<Exit> AwaitExit();
  /// Waits until a signal has stopped every thread of the process, and ends the case if that does not happen.
  void expect_stopped();
  void Kill();
  bool running() const { return process_ != nullptr; }

  /// Sends a request; the reply is asked for later.
  Pending start(const Request &request);
  /// Sends a request and waits for its reply.
  Reply call(const Request &request) { return start(request).wait(); }
  /// Sends a line as it is, for cases on the protocol itself; replies to `id` can be waited for.
  Pending send_line(const std::string &line, uint64_t id);
  /// A name for a handle that this process has not used.
  std::string fresh_handle(const char *prefix) { return prefix + std::to_string(++handles_); }

  /// How often its process has been started: another number is another process.
  int generation() const { return generation_; }
  /// The process has performed a case's request.
  bool used() const { return used_; }
  /// How many lanes its requests have named: each may have made a thread.
  size_t num_lanes() const { return lanes_.size(); }
  /// What the process holds now. What is more than in `before` (nullptr: nothing is known) counts only once the process
  /// has come to rest: a thread that was joined may be seen for a moment longer.
  Holdings Holding(const Holdings *before, bool described);
  /// Holding(nullptr, false), which is not looked up again while nothing was asked of the process since it had come to
  /// rest.
  Holdings HoldingAtRest();

  uint64_t requests() const { return requests_; }
  bool concurrent_lanes_used() const { return concurrent_; }
  void BeginCase();

  static void SetObserver(PeerObserver *observer);
  static PeerObserver *observer();
  /// Draws the order of requests in different lanes from `seed` from now on (Plan::shuffle).
  static void Shuffle(uint64_t seed);
  /// Writes the requests that wait to be written in the order drawn. Whoever waits for what a peer does calls it first;
  /// what waits for replies does.
  static void WriteHeld();
  /// How many requests were written before one that the case made earlier, since Shuffle.
  static uint64_t reordered();

 private:
  friend class Pending;
  struct HeldRequest {
    uint64_t id = 0;
    std::string lane, line;  // without its end
  };
  struct Outstanding {
    std::string operation, lane;
    bool begun = false;
    int64_t tid = 0;
    bool repeats = false;  // it waits by asking the library again (peer_protocol.md, 4.5)
  };

  void Connect(Peer &parent, int64_t pid, ControlSocket *control);
  void WriteNow(const HeldRequest &request);
  bool AtRest() const;
  Pending Send(const Json &body, const std::string &operation, const std::string &lane);
  Reply Control(const Request &request);
  Reply WaitFor(uint64_t id, const std::string &operation);
  void ExpectBlocked(uint64_t id, const std::string &operation);
  std::string DescribeRun(uint64_t id) const;
  bool BlockedNow(uint64_t id, const char **proof);
  bool ListedPending(uint64_t id, const char *list);
  void CheckMemory();
  void PumpOnce(int timeout_ms);
  void Consume();
  void OnLine(const std::string &line);
  void Greet();
  void AskOffer();
  [[noreturn]] void Fail(const std::string &outcome, const std::string &message);
  [[noreturn]] void FailDead();
  [[noreturn]] void FailLine(const std::string &line, const std::string &what);
  std::string ErrorsTail() const;

  const std::string role_;
  const Implementation implementation_;
  const Plan &plan_;
  std::unique_ptr<Process> process_;
  Offer offer_;
  std::map<uint64_t, Outstanding> outstanding_;
  std::map<uint64_t, Reply> replies_;
  uint64_t requests_ = 0;
  bool concurrent_ = false;
  std::deque<HeldRequest> held_;  // with Plan::shuffle: not written yet
  std::set<std::string> lanes_;   // that the process has made
  int generation_ = 0;
  bool used_ = false;  // the process has performed a case's request
  std::optional<Holdings> at_rest_;
  int handles_ = 0;
  int greet_failures_ = 0;
  int64_t inspected_pid_ = -1;  // the process that performs the operations: of `hello`, where the command is a wrapper
  std::string greet_message_;
  Peer *parent_ = nullptr;  // of a child
  std::string process_handle_;
};

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_PEER_H
