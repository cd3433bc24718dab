// case.h - what an in-process case is made of: the library's functions as its table has them, called right here.
//
//   CTS_CASE(AbiArguments, ReadOfNothingIsOk) {
//     Pair pair = stream_pair();
//     size_t len = 7;
//     EXPECT_STATUS(IPC_OK, LIB(stream_read)(pair.reader.get(), nullptr, 0, 0, &len));
//     EXPECT_EQ(len, 0u);
//   }
//
// The name is the requirement's id, as of a case of two processes (conformance/support/case.h), and the requirement
// says which operations of the library it is about. Each case has a process of its own (runner.cc), so it may crash,
// and what it leaves behind is gone with it. It never sleeps: it waits for threads, and for "that thread waits now".
#ifndef CONFORMANCE_ABI_CASE_H
#define CONFORMANCE_ABI_CASE_H

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "conformance/abi/library.h"
#include "conformance/support/requirement.h"
#include "gtest/gtest.h"

namespace cts {
namespace abi {

/// Ends a case with another outcome than `failed`.
struct Ended {
  std::string outcome;  // not_applicable, unverifiable, failed
  std::string message;
};

/// A status by its portable name, with the native code: "would_block (native 11)".
std::string StatusText(const ipc_status &status);
/// For EXPECT_STATUS.
testing::AssertionResult StatusIs(const char *expected_text, const char *call_text, int32_t expected,
                                  const ipc_status &actual);
testing::AssertionResult StatusIn(const char *expected_text, const char *call_text,
                                  const std::vector<int32_t> &expected, const ipc_status &actual);

#define EXPECT_STATUS(expected, call) EXPECT_PRED_FORMAT2(::cts::abi::StatusIs, expected, call)
#define ASSERT_STATUS(expected, call) ASSERT_PRED_FORMAT2(::cts::abi::StatusIs, expected, call)
/// `expected` is a list in parentheses: EXPECT_STATUS_IN((IPC_OK, IPC_CLOSED), call).
#define EXPECT_STATUS_IN(expected, call) \
  EXPECT_PRED_FORMAT2(::cts::abi::StatusIn, (std::vector<int32_t>{CTS_UNPACK expected}), call)
#define CTS_UNPACK(...) __VA_ARGS__

/// Frees a handle by the library's function for its type, if it has one.
struct Free {
  void operator()(ipc_listener *handle) const;
  void operator()(ipc_stream *handle) const;
  void operator()(ipc_socket *handle) const;
  void operator()(ipc_decoder *handle) const;
  void operator()(ipc_watcher *handle) const;
  void operator()(ipc_loop *handle) const;
  void operator()(ipc_framed *handle) const;
};

/// A handle of the library that is freed when it goes out of scope.
template <typename T>
using Owned = std::unique_ptr<T, Free>;

/// Two ends of a stream, and the listener through which they were connected if they are of a local socket.
struct Pair {
  Owned<ipc_listener> listener;
  Owned<ipc_stream> reader, writer;
};

/// A name and the bytes it points to.
struct Name {
  uint32_t kind;
  std::string bytes;
  ipc_name get() const { return {kind, bytes.data(), bytes.size()}; }
};

/// A page behind which nothing can be read or written: `end(n)` is the place that has exactly n bytes of room.
class GuardedPage {
 public:
  GuardedPage();
  ~GuardedPage();
  GuardedPage(const GuardedPage &) = delete;
  GuardedPage &operator=(const GuardedPage &) = delete;
  unsigned char *end(size_t bytes) const { return limit_ - bytes; }
  /// The bytes in front of the guard, of which the first is `bytes.data()`'s.
  unsigned char *holding(const std::string &bytes) const;

 private:
  unsigned char *page_, *limit_;
  size_t size_;
};

/// The descriptors that this process has open.
std::set<int> Descriptors();
/// How many threads this process has; 0 if the system does not show it.
size_t Threads();
/// The same, asked again for up to a second while there are more than `most`: a thread that was joined is still listed
/// for a moment.
size_t ThreadsAfter(size_t most);

struct Open;   // calls.h
class Makers;  // makers.h

/// The codec that cases use: four bytes of length, the highest first.
ipc_framing PlainFraming();

/// What a case's process knows of the run.
struct Surroundings {
  std::string os, run_id, work_dir;
  std::set<std::string> used;  // operations
  int results = -1;            // descriptor: `step` and the result go there
  Ended ended = {"passed", ""};
  std::string proof = "none";  // that a thread waited (spec/results.md)
  /// Tells what has been found so far and ends the process: for a case that cannot be left, because a call of the
  /// library is still under way.
  std::function<void()> end_now;
};
Surroundings &TheSurroundings();

/// The fixture of every case.
class Case : public testing::Test {
 public:
  Case(const Requirement *requirement, Shape shape) : requirement_(requirement), shape_(std::move(shape)) {}

 protected:
  virtual void Body() = 0;

  /// The function in a slot of an operation that the requirement names.
  template <typename F>
  F use(F ipc_table::*slot) {
    return at(slot, Declared(OffsetOf(slot)));
  }
  /// The function in a slot, which the case does without if the library has none: NULL.
  template <typename F>
  static F offered(F ipc_table::*slot) {
    return TheLibrary().table().*slot;
  }
  static bool offers(const std::string &need) { return TheLibrary().offers(need); }
  /// Ends the case as not applicable if the library does not offer what this shape of it needs.
  static void require_offer(const std::string &need) {
    if (!offers(need)) throw Ended{"not_applicable", "not offered: library: " + need};
  }

  /// What the case does now: the last one is told if it goes no further.
  static void step(const std::string &what);

  const std::string &shape(const std::string &axis) const;
  bool has_axis(const std::string &axis) const { return shape_.count(axis) != 0; }

  /// A name that nobody has, of the axis `kind`, else of a kind that the library offers.
  Name fresh_name();
  /// A path in this case's own directory that nobody has.
  std::string fresh_path();

  /// A listener at a fresh name.
  Owned<ipc_listener> listen();
  Owned<ipc_listener> listen(const Name &name, uint32_t backlog = 0);
  /// Its address, as a name that connects to it.
  static Name address_of(ipc_listener *listener);
  static Owned<ipc_stream> connect(const Name &name);
  static Owned<ipc_stream> accept(ipc_listener *listener);
  /// Two ends, by the axis `stream` (local, pipe); without it of whatever the library makes.
  Pair stream_pair();
  /// Two sockets, of which the second receives what the first sends.
  struct Sockets {
    Owned<ipc_socket> sender, receiver;
  };
  Sockets socket_pair();
  /// A listener of sequenced packets without room in its backlog, and the sockets that filled it: to connect the last
  /// one, which has all that it needs but room, timed out.
  struct FullBacklog {
    Name name;
    Owned<ipc_listener> listener;
    std::vector<Owned<ipc_socket>> sockets;
  };
  FullBacklog full_backlog();
  /// A handle of a kind (the axis `handle`), open.
  Open open_handle(const std::string &kind);

  /// Ends the case as failed unless that is so.
  static void require(bool holds, const std::string &otherwise);
  static void require_ok(const ipc_status &status, const std::string &call);
  /// Writes all of it, and reads so many bytes.
  static void write_all(ipc_stream *stream, const std::string &bytes);
  static std::string read_exactly(ipc_stream *stream, size_t bytes);
  /// Reads to the end of the stream.
  static std::string read_to_end(ipc_stream *stream);

 private:
  friend class Makers;

  void TestBody() final;
  std::string Missing() const;
  const char *Declared(size_t offset);
  void CheckUse() const;

  template <typename F>
  static size_t OffsetOf(F ipc_table::*slot) {
    static const ipc_table probe = {};
    return static_cast<size_t>(reinterpret_cast<const char *>(&(probe.*slot)) - reinterpret_cast<const char *>(&probe));
  }
  template <typename F>
  static F at(F ipc_table::*slot, const char *operation) {
    F function = TheLibrary().table().*slot;
    if (function == nullptr) throw Ended{"not_applicable", std::string("not offered: library: ") + operation};
    TheSurroundings().used.insert(operation);
    return function;
  }

  const Requirement *requirement_;
  const Shape shape_;
};

/// The function of an operation that the requirement names.
#define LIB(slot) use(&ipc_table::slot)

using CaseMaker = Case *(*)(const Requirement *, Shape);
/// A case as CTS_CASE makes it known before main.
struct Registered {
  std::string id, file;
  int line;
  CaseMaker maker;
};
std::vector<Registered> &Registry();
bool AddCase(const char *family, const char *rule, const char *file, int line, CaseMaker maker);

}  // namespace abi
}  // namespace cts

/// Defines the case of the requirement `family.rule`.
#define CTS_CASE(family, rule)                                                                         \
  namespace {                                                                                          \
  class family##_##rule : public ::cts::abi::Case {                                                    \
   public:                                                                                             \
    using Case::Case;                                                                                  \
                                                                                                       \
   private:                                                                                            \
    void Body() override;                                                                              \
    static ::cts::abi::Case *Make(const ::cts::Requirement *requirement, ::cts::Shape shape) {         \
      return new family##_##rule(requirement, std::move(shape));                                       \
    }                                                                                                  \
    static const bool added_;                                                                          \
  };                                                                                                   \
  const bool family##_##rule::added_ = ::cts::abi::AddCase(#family, #rule, __FILE__, __LINE__, &Make); \
  }                                                                                                    \
  void family##_##rule::Body()

/// Defines a case that proves that the run can fail; it has no requirement and is in no count.
#define CTS_CANARY(rule) CTS_CASE(Canary, rule)

#endif  // CONFORMANCE_ABI_CASE_H
