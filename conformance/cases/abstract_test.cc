// Abstract names of Linux: spec/abstract.md.
#include "conformance/cases/sockets.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

constexpr size_t kLongest = 107;
const std::string kNul(1, '\0');

op::local_connect ConnectRequest(const LocalName &name) { return op::local_connect().kind(name.kind).name(name.name); }

/// Whether `native` has the form that the system gives the names it chooses.
bool IsChosen(const std::string &native) {
  return native.size() == 6 && native[0] == '\0' &&
         native.find_first_not_of("0123456789abcdef", 1) == std::string::npos;
}

}  // namespace

/// Bytes for a name that nobody has.
#define FRESH (fresh_path().substr(1))

CTS_CASE(Abstract, NulsCountInsideTheName) {
  const std::string begin = FRESH;
  Listener one = UnixListen(server(), "stream", AbstractName(begin + kNul + "b"));
  Listener other = UnixListen(server(), "stream", AbstractName(begin + kNul + "c"));
  Stream to_one = connect(client(), one), to_other = connect(client(), other);
  require_ok(to_one.write("one"));
  require_ok(to_other.write("two"));
  EXPECT_THAT(one.accept().read_exact(3), Reads("one"));
  EXPECT_THAT(other.accept().read_exact(3), Reads("two"));
}

CTS_CASE(Abstract, TrailingNulsCount) {
  const std::string name = FRESH;
  Listener plain = UnixListen(server(), "stream", AbstractName(name));
  EXPECT_THAT(client().call(ConnectRequest(AbstractName(name + kNul)).as("none")), StatusIs("refused"));
  Listener longer = UnixListen(server(), "stream", AbstractName(name + kNul));
  EXPECT_EQ(longer.native(), plain.native() + kNul);
  connect(client(), longer);
  EXPECT_THAT(plain.call(op::listener_accept().wait(false).as("none")), StatusIs("would_block"));
  EXPECT_THAT(longer.call(op::listener_accept().wait(false).as("it")), IsOk());
}

CTS_CASE(Abstract, PrefixIsAnotherName) {
  const std::string name = FRESH;
  UnixListen(server(), "stream", AbstractName(name + "-long"));
  EXPECT_THAT(client().call(ConnectRequest(AbstractName(name)).as("none")), StatusIs("refused"));
  Listener shorter = UnixListen(server(), "stream", AbstractName(name));
  EXPECT_EQ(shorter.native(), kNul + name);
  connect(client(), shorter);
}

CTS_CASE(Abstract, NamespacedIsTheNameBehindANul) {
  const LocalName name = fresh_name("namespaced");
  Listener listener = UnixListen(server(), "stream", name);
  EXPECT_EQ(listener.native(), kNul + name.name);
  connect(client(), ConnectRequest(AbstractName(name.name)));
}

CTS_CASE(Abstract, NativeIsReportedExactly) {
  const std::string begin = FRESH;
  for (const std::string &name : {begin, begin + kNul, begin + kNul + "x", kNul + begin, kNul + begin + kNul + kNul}) {
    Listener listener = UnixListen(peer(), "stream", AbstractName(name));
    EXPECT_EQ(listener.native(), kNul + name);
    Reply reply = listener.call(op::listener_native());
    ASSERT_THAT(reply, IsOk());
    EXPECT_EQ(reply.bytes("native"), kNul + name);
    EXPECT_THAT(listener.close(), IsOk());
  }
}

CTS_CASE(Abstract, LongestNameIsWhole) {
  std::string longest = FRESH;
  longest.resize(kLongest, 'x');
  Listener listener = UnixListen(server(), "stream", AbstractName(longest));
  EXPECT_EQ(listener.native(), kNul + longest);
  EXPECT_THAT(client().call(ConnectRequest(AbstractName(longest.substr(0, kLongest - 1))).as("none")),
              StatusIs("refused"));
  EXPECT_THAT(client().call(ConnectRequest(AbstractName(longest + "x")).as("none")), StatusIs("name_too_long"));
  EXPECT_THAT(server().call(ListenRequest("stream", AbstractName(longest + "x")).as("none")),
              StatusIs("name_too_long"));
  connect(client(), ConnectRequest(AbstractName(longest)));
}

CTS_CASE(Abstract, NameVanishesWithItsListener) {
  const LocalName name = AbstractName(FRESH);
  for (int round = 0; round < 3; round++) {
    Listener listener = UnixListen(server(), "stream", name);
    EXPECT_THAT(server().call(ListenRequest("stream", name).as("taken")), StatusIs("in_use"));
    require_ok(listener.close());
    EXPECT_THAT(client().call(ConnectRequest(name).as("none")), StatusIs("refused"));
  }
}

CTS_CASE(Abstract, AcceptedStreamsDoNotHoldTheName) {
  const LocalName name = AbstractName(FRESH);
  Pair pair = connected_pair(UnixListen(server(), "stream", name), client());
  require_ok(pair.listener.close());
  EXPECT_THAT(client().call(ConnectRequest(name).as("none")), StatusIs("refused"));
  UnixListen(server(), "stream", name);
  require_ok(pair.client.write("goes on"));
  EXPECT_THAT(pair.server.read_exact(7), Reads("goes on"));
}

CTS_CASE(Abstract, NameMakesNoFile) {
  const std::string path = fresh_path();
  Listener listener = UnixListen(server(), "stream", AbstractName(path));
  EXPECT_EQ(look::TypeOf(path), "none");
  Listener slash = UnixListen(server(), "stream", AbstractName(path + "/"));
  Listener file = UnixListen(server(), "stream", LocalName{"path", path});
  connect(client(), listener);
  EXPECT_THAT(slash.call(op::listener_accept().wait(false).as("none")), StatusIs("would_block"));
  EXPECT_THAT(file.call(op::listener_accept().wait(false).as("none")), StatusIs("would_block"));
  EXPECT_THAT(listener.close(), IsOk());
  EXPECT_EQ(look::TypeOf(path), "socket");
}

CTS_CASE(Abstract, BareSystemCallsReachTheName) {
  Listener listener = UnixListen(peer(), "stream", AbstractName(FRESH + kNul + "tail"));
  host::BareClient client(kNul + listener.native().substr(1));
  client.Write("hello");
  Stream stream = listener.accept();
  EXPECT_THAT(stream.read_exact(5), Reads("hello"));
}

CTS_CASE(Abstract, PermissionBitsAreUnsupported) {
  const LocalName name = AbstractName(FRESH);
  EXPECT_THAT(peer().call(ListenRequest("stream", name).mode(0600).as("none")), StatusIs("unsupported"));
  EXPECT_THAT(peer().call(ListenRequest("stream", name).as("now")), IsOk());
}

CTS_CASE(Abstract, ChosenNameMakesNoFile) {
  const std::string directory = host::WorkingDirectory(peer().offer().pid);
  const std::vector<std::string> before = host::List(directory);
  Listener listener = UnixListen(peer(), op::unix_listen().type("stream").autobind(true));
  EXPECT_EQ(host::List(directory), before);
  EXPECT_THAT(listener.close(), IsOk());
  EXPECT_EQ(host::List(directory), before);
}

CTS_CASE(Abstract, SystemChoosesAName) {
  Listener first = UnixListen(server(), op::unix_listen().type("stream").autobind(true));
  Listener second = UnixListen(server(), op::unix_listen().type("stream").autobind(true));
  EXPECT_TRUE(IsChosen(first.native())) << Printable(first.native());
  EXPECT_TRUE(IsChosen(second.native())) << Printable(second.native());
  EXPECT_NE(first.native(), second.native());
  const LocalName name{"native", first.native()};
  EXPECT_THAT(server().call(ListenRequest("stream", name).as("taken")), StatusIs("in_use"));
  connect(client(), first);
  EXPECT_THAT(second.call(op::listener_accept().wait(false).as("none")), StatusIs("would_block"));
  EXPECT_THAT(first.call(op::listener_accept().as("it")), IsOk());
}

CTS_CASE(Abstract, SystemChoosesANameForDatagrams) {
  Socket receiver = BindSocket(server(), op::socket_bind().autobind(true));
  Socket sender = BindSocket(client(), op::socket_bind().autobind(true));
  EXPECT_TRUE(IsChosen(receiver.native())) << Printable(receiver.native());
  require_ok(sender.send_to(receiver.native(), "found"));
  Reply reply = receiver.receive(64);
  EXPECT_THAT(reply, Reads("found"));
  EXPECT_EQ(reply.bytes("from"), sender.native());
}

CTS_CASE(Abstract, SenderIsNamedExactly) {
  Socket receiver = BindSocket(server(), AbstractName(FRESH + kNul));
  Socket sender = BindSocket(client(), AbstractName(FRESH + kNul + "x" + kNul));
  Reply native = sender.call(op::socket_native());
  ASSERT_THAT(native, IsOk());
  EXPECT_EQ(native.bytes("native"), sender.native());
  require_ok(sender.send_to(receiver.native(), "who?"));
  EXPECT_EQ(receiver.receive(64).bytes("from"), sender.native());
}

}  // namespace cts
