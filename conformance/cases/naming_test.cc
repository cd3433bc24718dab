// Naming: spec/naming.md.
#include <map>
#include <memory>
#include <set>

#include "conformance/support/case.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

const std::vector<std::string> kSystems = {"linux", "macos", "freebsd", "windows"};
const std::vector<std::string> kUnix = {"linux", "macos", "freebsd"};
const std::string kPipe = "\\\\.\\pipe\\";

/// Kind of name that a system has, of the two.
bool Has(const std::string &system, const std::string &kind) {
  if (kind == "path") return system != "windows";
  return system == "linux" || system == "windows";
}

std::string Nul(const std::string &name) { return std::string(1, '\0') + name; }

op::name_native Native(const std::string &system, const std::string &kind, const std::string &name) {
  return op::name_native().os(system).kind(kind).name(name);
}

/// Names that are easily mistaken for one another.
const std::vector<std::string> kTricky = {"a",
                                          "A",
                                          "b",
                                          "a.",
                                          "a ",
                                          "a/",
                                          "a//b",
                                          "a/b",
                                          "/a",
                                          "./a",
                                          "@a",
                                          "@@a",
                                          "./@a",
                                          "a@",
                                          " a",
                                          "a\n",
                                          "a\t",
                                          "aa",
                                          "\x80",
                                          "\xff",
                                          "\xc3\xa9",
                                          "\xe2\x82\xac",
                                          "pipe",
                                          "\\\\.\\pipe\\a",
                                          "~a",
                                          "%61",
                                          "a%00",
                                          "\xf0\x9f\x98\x80",
                                          "\xed\xa0\x80",
                                          std::string(107, 'x'),
                                          std::string(106, 'x')};

}  // namespace

CTS_CASE(Naming, LeadingAtMeansNamespaced) {
  for (const char *name : {"x", "@x", "a b", "a/b", "x@y", "\xff\xfe"}) {
    Reply reply = peer().call(op::name_parse().text(std::string("@") + name));
    ASSERT_THAT(reply, IsOk());
    EXPECT_EQ(reply.text("kind"), "namespaced");
    EXPECT_EQ(reply.bytes("name"), name);
  }
}

CTS_CASE(Naming, TextWithoutLeadingAtIsAPath) {
  for (const char *text : {"x", "/tmp/x", "./@x", "x@y", "a@", " @x", "\xff"}) {
    Reply reply = peer().call(op::name_parse().text(text));
    ASSERT_THAT(reply, IsOk());
    EXPECT_EQ(reply.text("kind"), "path");
    EXPECT_EQ(reply.bytes("name"), text);
  }
}

CTS_CASE(Naming, EmptyTextIsInvalid) {
  EXPECT_THAT(peer().call(op::name_parse().text("")), StatusIs("invalid_name"));
  EXPECT_THAT(peer().call(op::name_parse().text("@")), StatusIs("invalid_name"));
}

CTS_CASE(Naming, NulInTextIsInvalid) {
  for (const std::string &text : {std::string("a\0b", 3), std::string("\0a", 2), std::string("a\0", 2),
                                  std::string("@a\0b", 4), std::string("@\0", 2), std::string("\0", 1)}) {
    EXPECT_THAT(peer().call(op::name_parse().text(text)), StatusIs("invalid_name")) << Printable(text);
  }
}

CTS_CASE(Naming, FormatThenParseGivesTheNameBack) {
  for (const char *kind : {"path", "namespaced"}) {
    for (const std::string &name : kTricky) {
      Reply text = peer().call(op::name_format().kind(kind).name(name));
      ASSERT_THAT(text, IsOk()) << Printable(name);
      Reply back = peer().call(op::name_parse().text(text.bytes("text")));
      ASSERT_THAT(back, IsOk()) << Printable(text.bytes("text"));
      const bool dotted = std::string(kind) == "path" && name[0] == '@';
      EXPECT_EQ(back.text("kind"), kind);
      EXPECT_EQ(back.bytes("name"), dotted ? "./" + name : name);
    }
  }
}

CTS_CASE(Naming, FormatIsIdempotent) {
  for (const char *kind : {"path", "namespaced"}) {
    for (const std::string &name : kTricky) {
      Reply first = peer().call(op::name_format().kind(kind).name(name));
      Reply parsed = peer().call(op::name_parse().text(first.bytes("text")));
      Reply again = peer().call(op::name_format().kind(parsed.text("kind")).name(parsed.bytes("name")));
      ASSERT_THAT(again, IsOk());
      EXPECT_EQ(again.bytes("text"), first.bytes("text"));
    }
  }
}

CTS_CASE(Naming, FormatNeverSharesAText) {
  std::map<std::string, std::string> seen;
  for (const char *kind : {"path", "namespaced"}) {
    for (const std::string &name : kTricky) {
      const std::string path = name[0] == '@' ? "./" + name : name;
      const std::string meaning = kind + std::string(" ") + (std::string(kind) == "path" ? path : name);
      Reply reply = peer().call(op::name_format().kind(kind).name(name));
      auto added = seen.emplace(reply.bytes("text"), meaning);
      EXPECT_EQ(added.first->second, meaning) << Printable(reply.bytes("text"));
    }
  }
}

CTS_CASE(Naming, UnixPathIsItsOwnAddress) {
  for (const std::string &system : kUnix) {
    for (const char *path : {"x", "./x", "/tmp/a b/c", "@x", "a\\b", "\xff\x80", "a.", "a ", "..", "\xe2\x82\xac"}) {
      Reply reply = peer().call(Native(system, "path", path));
      ASSERT_THAT(reply, IsOk()) << system << " " << path;
      EXPECT_EQ(reply.bytes("native"), path) << system;
    }
  }
}

CTS_CASE(Naming, UnixPathLimitIsExact) {
  const std::map<std::string, uint64_t> limits = {{"linux", 107}, {"macos", 103}, {"freebsd", 103}};
  for (const auto &entry : limits) {
    Reply limit = peer().call(op::name_limit().os(entry.first).kind("path"));
    ASSERT_THAT(limit, IsOk());
    EXPECT_EQ(limit.number("max"), entry.second) << entry.first;
    EXPECT_THAT(peer().call(Native(entry.first, "path", std::string(entry.second, 'p'))), IsOk()) << entry.first;
    EXPECT_THAT(peer().call(Native(entry.first, "path", std::string(entry.second + 1, 'p'))), StatusIs("name_too_long"))
        << entry.first;
  }
}

CTS_CASE(Naming, LinuxNamespacedNameIsAbstract) {
  for (const char *name : {"x", "a b", "a/b", "@x", "\xff", "a\\b"}) {
    Reply reply = peer().call(Native("linux", "namespaced", name));
    ASSERT_THAT(reply, IsOk());
    EXPECT_EQ(reply.bytes("native"), Nul(name));
  }
}

CTS_CASE(Naming, AbstractLimitIsExact) {
  Reply limit = peer().call(op::name_limit().os("linux").kind("namespaced"));
  ASSERT_THAT(limit, IsOk());
  EXPECT_EQ(limit.number("max"), 107u);
  Reply longest = peer().call(Native("linux", "namespaced", std::string(107, 'n')));
  ASSERT_THAT(longest, IsOk());
  EXPECT_EQ(longest.bytes("native"), Nul(std::string(107, 'n')));
  EXPECT_THAT(peer().call(Native("linux", "namespaced", std::string(108, 'n'))), StatusIs("name_too_long"));
}

CTS_CASE(Naming, WindowsNamespacedNameIsAPipeName) {
  for (const char *name : {"x", "a b", "@x", "a.b", "\xc3\xa9", "*"}) {
    Reply reply = peer().call(Native("windows", "namespaced", name));
    ASSERT_THAT(reply, IsOk()) << name;
    EXPECT_EQ(reply.bytes("native"), kPipe + name);
  }
}

CTS_CASE(Naming, WindowsPipePrefixHasNoCase) {
  for (const char *prefix : {"\\\\.\\PIPE\\", "\\\\.\\Pipe\\", "\\\\.\\pipe\\"}) {
    Reply reply = peer().call(Native("windows", "native", prefix + std::string("x")));
    ASSERT_THAT(reply, IsOk()) << prefix;
    EXPECT_EQ(reply.bytes("native"), prefix + std::string("x"));
  }
}

CTS_CASE(Naming, WindowsLimitCountsUtf16Units) {
  Reply limit = peer().call(op::name_limit().os("windows").kind("namespaced"));
  ASSERT_THAT(limit, IsOk());
  EXPECT_EQ(limit.number("max"), 247u);
  auto repeated = [](const std::string &piece, int times) {
    std::string name;
    for (int i = 0; i < times; i++) name += piece;
    return name;
  };
  for (const char *unit : {"n", "\xc3\xa9", "\xe2\x82\xac"}) {
    EXPECT_THAT(peer().call(Native("windows", "namespaced", repeated(unit, 247))), IsOk()) << Printable(unit);
    EXPECT_THAT(peer().call(Native("windows", "namespaced", repeated(unit, 248))), StatusIs("name_too_long"))
        << Printable(unit);
  }
  const std::string pairs = repeated("\xf0\x9f\x98\x80", 123);  // 246 units
  EXPECT_THAT(peer().call(Native("windows", "namespaced", pairs + "n")), IsOk());
  EXPECT_THAT(peer().call(Native("windows", "namespaced", pairs + "nn")), StatusIs("name_too_long"));
}

CTS_CASE(Naming, WindowsRefusesSeparators) {
  for (const char *name : {"a\\b", "a/b", "/", "\\", "a/", "\\a"}) {
    EXPECT_THAT(peer().call(Native("windows", "namespaced", name)), StatusIs("invalid_name")) << name;
  }
}

CTS_CASE(Naming, WindowsRefusesNamesItWouldRewrite) {
  for (const char *name : {".", "..", "a.", "a ", "a. ", " ", "..."}) {
    EXPECT_THAT(peer().call(Native("windows", "namespaced", name)), StatusIs("invalid_name")) << "'" << name << "'";
  }
  EXPECT_THAT(peer().call(Native("windows", "namespaced", ".a")), IsOk());
  EXPECT_THAT(peer().call(Native("windows", "namespaced", " a")), IsOk());
}

CTS_CASE(Naming, WindowsNameMustBeWtf8) {
  for (const char *bad : {"\x80", "a\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xc3",
                          "\xe2\x82", "\xed\xa0\xbd\xed\xb8\x80"}) {
    EXPECT_THAT(peer().call(Native("windows", "namespaced", bad)), StatusIs("invalid_name")) << Printable(bad);
  }
  for (const char *good : {"\xed\xa0\x80", "\xed\xb0\x80", "a\xed\xb0\x80", "\xed\xb0\x80\xed\xa0\x80",
                           "\xed\xb0\x80\xed\xb0\x80", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbf"}) {
    EXPECT_THAT(peer().call(Native("windows", "namespaced", good)), IsOk()) << Printable(good);
  }
}

CTS_CASE(Naming, KindTheSystemLacksIsUnsupported) {
  for (const std::string &system : kSystems) {
    for (const char *kind : {"path", "namespaced"}) {
      if (Has(system, kind)) continue;
      EXPECT_THAT(peer().call(Native(system, kind, "x")), StatusIs("unsupported")) << system << " " << kind;
      EXPECT_THAT(peer().call(op::name_limit().os(system).kind(kind)), StatusIs("unsupported"))
          << system << " " << kind;
    }
  }
}

CTS_CASE(Naming, NulInANameIsInvalid) {
  for (const std::string &system : kSystems) {
    for (const char *kind : {"path", "namespaced"}) {
      if (!Has(system, kind)) continue;
      for (const std::string &name :
           {std::string("\0", 1), std::string("\0a", 2), std::string("a\0b", 3), std::string("a\0", 2)}) {
        EXPECT_THAT(peer().call(Native(system, kind, name)), StatusIs("invalid_name"))
            << system << " " << kind << " " << Printable(name);
      }
    }
  }
}

CTS_CASE(Naming, EmptyNameIsInvalid) {
  for (const std::string &system : kSystems) {
    for (const char *kind : {"path", "namespaced"}) {
      if (!Has(system, kind)) continue;
      EXPECT_THAT(peer().call(Native(system, kind, "")), StatusIs("invalid_name")) << system << " " << kind;
    }
  }
}

CTS_CASE(Naming, NothingIsEverCut) {
  for (const std::string &system : kSystems) {
    for (const char *kind : {"path", "namespaced"}) {
      if (!Has(system, kind)) continue;
      bool refused = false;
      for (uint64_t length = 1; length <= 3000; length = length < 270 ? length + 1 : length * 2 + 1) {
        const std::string name = std::string(length - 1, 'n') + "z";
        Reply reply = peer().call(Native(system, kind, name));
        ASSERT_THAT(reply, StatusIsOneOf({"ok", "name_too_long"})) << system << " " << kind << " " << length;
        if (reply.ok()) {
          ASSERT_FALSE(refused) << system << " " << kind << ": " << length << " is accepted, a shorter one was not";
          const std::string native = reply.bytes("native");
          ASSERT_GE(native.size(), length);
          ASSERT_EQ(native.substr(native.size() - length), name);
        }
        refused = refused || !reply.ok();
      }
      EXPECT_TRUE(refused) << system << " " << kind;
    }
  }
}

CTS_CASE(Naming, DifferentNamesHaveDifferentAddresses) {
  for (const std::string &system : kSystems) {
    std::map<std::string, std::string> seen;
    for (const char *kind : {"path", "namespaced"}) {
      if (!Has(system, kind)) continue;
      for (const std::string &name : kTricky) {
        Reply reply = peer().call(Native(system, kind, name));
        if (!reply.ok()) continue;
        const std::string meaning = kind + std::string(" ") + name;
        auto added = seen.emplace(reply.bytes("native"), meaning);
        EXPECT_TRUE(added.second) << system << ": " << Printable(meaning) << " and " << Printable(added.first->second);
      }
    }
    EXPECT_GT(seen.size(), 10u) << system << " accepts hardly any name";
  }
}

CTS_CASE(Naming, NativeNameIsUnchanged) {
  for (const std::string &system : kSystems) {
    for (const char *kind : {"path", "namespaced"}) {
      if (!Has(system, kind)) continue;
      Reply first = peer().call(Native(system, kind, "some-name"));
      ASSERT_THAT(first, IsOk());
      Reply again = peer().call(Native(system, "native", first.bytes("native")));
      ASSERT_THAT(again, IsOk()) << system << " " << kind;
      EXPECT_EQ(again.bytes("native"), first.bytes("native"));
    }
  }
}

CTS_CASE(Naming, WithoutASystemItIsTheOwn) {
  const std::string own = peer().offer().os;
  std::map<std::pair<std::string, std::string>, Reply> natives;  // kind and name
  std::map<std::string, Reply> limits;                           // kind
  for (const char *kind : {"path", "namespaced"}) {
    for (const std::string &name : kTricky) {
      natives[{kind, name}] = peer().call(op::name_native().kind(kind).name(name));
    }
    limits[kind] = peer().call(op::name_limit().kind(kind));
  }
  int accepted = 0;
  // All systems are asked for, so that the requests are the same on each.
  for (const char *os : {"linux", "macos", "freebsd", "windows"}) {
    for (const auto &[asked, unnamed] : natives) {
      const Reply named = peer().call(Native(os, asked.first, asked.second));
      if (own != os) continue;
      ASSERT_THAT(unnamed, StatusIs(named.status())) << asked.first << " " << Printable(asked.second);
      if (!named.ok()) continue;
      EXPECT_EQ(unnamed.bytes("native"), named.bytes("native"));
      accepted++;
    }
    for (const auto &[kind, unnamed] : limits) {
      const Reply named = peer().call(op::name_limit().os(os).kind(kind));
      if (own != os) continue;
      ASSERT_THAT(unnamed, StatusIs(named.status())) << kind;
      if (!named.ok()) continue;
      EXPECT_EQ(unnamed.number("max"), named.number("max"));
    }
  }
  EXPECT_GT(accepted, 10) << own << " accepts hardly any name";
}

namespace {

/// Fills `path` up to `length` bytes.
std::string Padded(const std::string &path, size_t length) { return path + std::string(length - path.size(), 'p'); }

}  // namespace

CTS_CASE(Naming, PortablePathLengthIsUsable) {
  const std::string path = Padded(fresh_path(), 103);
  Listener listener = listen(server(), op::local_listen().kind("path").name(path));
  EXPECT_EQ(look::TypeOf(path), "socket");
  Stream client_end = connect(client(), op::local_connect().kind("path").name(path));
  require_ok(client_end.write("long"));
  EXPECT_THAT(listener.accept().read_exact(4), Reads("long"));
}

CTS_CASE(Naming, OverlongPathIsRefused) {
  for (size_t length : {109u, 300u}) {
    const std::string path = Padded(fresh_path(), length);
    const auto overlong_listen = op::local_listen().kind("path").name(path).as(server().fresh_handle("l"));
    EXPECT_THAT(server().call(overlong_listen), Fails()) << length;
    EXPECT_EQ(host::List(directory()), std::vector<std::string>()) << "a file appeared";
    // Whoever cuts the name when connecting would reach a listener on what is left of it.
    std::vector<std::unique_ptr<host::BareListener>> shorter;
    for (size_t cut : {103u, 107u, 108u}) shorter.push_back(host::BareListener::TryMake(path.substr(0, cut)));
    EXPECT_NE(shorter[0], nullptr);
    const auto overlong_connect = op::local_connect().kind("path").name(path).as(client().fresh_handle("s"));
    EXPECT_THAT(client().call(overlong_connect), Fails()) << length;
  }
}

CTS_CASE(Naming, OverlongPathIsNameTooLong) {
  const std::string path = Padded(fresh_path(), 109);
  EXPECT_THAT(server().call(op::local_listen().kind("path").name(path).as("l1")), StatusIs("name_too_long"));
  EXPECT_THAT(client().call(op::local_connect().kind("path").name(path).as("s1")), StatusIs("name_too_long"));
}

CTS_CASE(Naming, LongestAbstractNameIsUsable) {
  const std::string name = Padded(fresh_name("namespaced").name, 107);
  Listener listener = listen(server(), op::local_listen().kind("namespaced").name(name));
  EXPECT_THAT(client().call(op::local_connect().kind("namespaced").name(name + "p").as("longer")), Fails());
  Stream client_end = connect(client(), op::local_connect().kind("namespaced").name(name));
  require_ok(client_end.write("long"));
  EXPECT_THAT(listener.accept().read_exact(4), Reads("long"));
}

CTS_CASE(Naming, AbstractNameHasItsExactLength) {
  LocalName name = fresh_name("namespaced");
  Listener listener = listen(server(), name);
  host::BareClient bare(Nul(name.name));
  bare.Write("bare");
  EXPECT_THAT(listener.accept().read_exact(4), Reads("bare"));
}

CTS_CASE(Naming, NamespacedNameMakesNoFile) {
  const std::string where = directory();
  const auto files = [&where] {
    std::map<std::string, std::vector<std::string>> found;
    for (const char *role : {"server", "client"}) found[role] = host::List(where + "/../" + role);
    return found;
  };
  const auto before = files();  // other cases may have left some
  listen(server(), fresh_name("namespaced"));
  EXPECT_EQ(files(), before) << "a file appeared";
}

CTS_CASE(Naming, PrefixIsAnotherName) {
  LocalName shorter = fresh_name("namespaced"), longer = shorter;
  longer.name += "x";
  Listener first = listen(server(), shorter), second = listen(server(), longer);
  Stream to_first = connect(client(), connect_request(shorter)), to_second = connect(client(), connect_request(longer));
  require_ok(to_first.write("shorter"));
  require_ok(to_second.write("longer!"));
  EXPECT_THAT(first.accept().read_exact(7), Reads("shorter"));
  EXPECT_THAT(second.accept().read_exact(7), Reads("longer!"));
}

CTS_CASE(Naming, PathNamesAreBytes) {
  const std::string path = fresh_path("-\xff\xfe\x80");
  Listener listener = listen(server(), op::local_listen().kind("path").name(path));
  EXPECT_EQ(look::TypeOf(path), "socket");
  Stream client_end = connect(client(), op::local_connect().kind("path").name(path));
  require_ok(client_end.write("bytes"));
  EXPECT_THAT(listener.accept().read_exact(5), Reads("bytes"));
}

namespace {

/// Sends through a connection that the client makes, and sees it arrive at the listener.
void ExpectReaches(const Stream &near, const Listener &listener, const std::string &text) {
  Reply written = near.write(text);
  if (!written.ok()) throw Abort{"failed", written.role(), "the " + written.role() + ": " + written.describe()};
  EXPECT_THAT(listener.accept().read_exact(text.size()), Reads(text));
}

op::local_listen ListenAt(const std::string &path) { return op::local_listen().kind("path").name(path); }
op::local_connect ConnectTo(const std::string &path) { return op::local_connect().kind("path").name(path); }

/// The last component of a path.
std::string Base(const std::string &path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

CTS_CASE(Naming, NamespacedNamesAreBytes) {
  const std::string stem = fresh_name("namespaced").name;
  for (const char *end : {"/", "/..", "//", ".", " ", "\\", "\xff\x80", "\n", "/a/b", "@"}) {
    Listener listener = listen(server(), op::local_listen().kind("namespaced").name(stem + end));
    host::BareClient bare(Nul(stem + end));
    bare.Write(end);
    EXPECT_THAT(listener.accept().read_exact(std::string(end).size()), Reads(end)) << Printable(end);
  }
}

CTS_CASE(Naming, ListensWhereNativeSays) {
  const LocalName name = fresh_name();
  const Reply native = server().call(op::name_native().kind(name.kind).name(name.name));
  ASSERT_THAT(native, IsOk());
  EXPECT_EQ(listen(server(), name).native(), native.bytes("native"));
}

CTS_CASE(Naming, PublishedLimitIsReal) {
  const Reply limit = server().call(op::name_limit().kind("path"));
  ASSERT_THAT(limit, IsOk());
  const std::string path = Padded(fresh_path(), limit.number("max"));
  Listener listener = listen(server(), ListenAt(path));
  EXPECT_EQ(host::List(directory()), std::vector<std::string>{Base(path)});
  ExpectReaches(connect(client(), ConnectTo(path)), listener, "longest");
  EXPECT_THAT(server().call(ListenAt(path + "p").as("longer")), Fails());
  EXPECT_THAT(client().call(ConnectTo(path + "p").as("longer")), Fails());
  EXPECT_EQ(host::List(directory()), std::vector<std::string>{Base(path)});
}

CTS_CASE(Naming, RelativePathIsOfTheWorkingDirectory) {
  const std::string name = fresh_name("namespaced").name;
  Listener listener = listen(server(), ListenAt(name));
  const std::string whole = host::WorkingDirectory(server().offer().pid) + "/" + name;
  EXPECT_EQ(look::TypeOf(whole), "socket");
  ASSERT_NE(host::WorkingDirectory(client().offer().pid), host::WorkingDirectory(server().offer().pid));
  EXPECT_THAT(client().call(ConnectTo(name).as("elsewhere")), Fails());
  ExpectReaches(connect(client(), ConnectTo(whole)), listener, "relative");
  host::Remove(whole);
}

CTS_CASE(Naming, NothingInAPathIsExpanded) {
  for (const char *name : {"a b", " ",     "~",  "$HOME", "*",  "?",     "%41", "%00", "a\nb", "\"q\"",
                           "'",   "a\\tb", "\\", "-l",    "@x", "[a-z]", "{x}", "a:b", "#",    "&"}) {
    const std::string path = directory() + "/" + name;
    Listener listener = listen(server(), ListenAt(path));
    EXPECT_EQ(host::List(directory()), std::vector<std::string>{name});
    ExpectReaches(connect(client(), ConnectTo(path)), listener, "literally");
    host::Remove(path);
  }
}

CTS_CASE(Naming, OtherSpellingsLeadToTheListener) {
  const std::string path = fresh_path(), base = Base(path), link = fresh_path();
  host::MakeLink(link, directory());
  Listener listener = listen(server(), ListenAt(path));
  for (const std::string &spelling : {directory() + "/./" + base, directory() + "//" + base,
                                      directory() + "/../" + Base(directory()) + "/" + base, link + "/" + base}) {
    ExpectReaches(connect(client(), ConnectTo(spelling)), listener, "the same");
  }
}

CTS_CASE(Naming, CaseMattersInPaths) {
  const std::string path = fresh_path();
  Listener small = listen(server(), ListenAt(path + "a")), capital = listen(server(), ListenAt(path + "A"));
  ExpectReaches(connect(client(), ConnectTo(path + "a")), small, "small");
  ExpectReaches(connect(client(), ConnectTo(path + "A")), capital, "capital");
}

CTS_CASE(Naming, PathWithANulIsRefused) {
  for (const std::string &end : {std::string("\0", 1), std::string("\0x", 2), std::string("\0\0", 2)}) {
    const std::string path = fresh_path();
    EXPECT_THAT(server().call(ListenAt(path + end).as(server().fresh_handle("l"))), Fails()) << Printable(end);
    EXPECT_EQ(look::TypeOf(path), "none");
    const std::unique_ptr<host::BareListener> front = host::BareListener::TryMake(path);
    ASSERT_NE(front, nullptr);
    EXPECT_THAT(client().call(ConnectTo(path + end).as(client().fresh_handle("s"))), Fails()) << Printable(end);
  }
}

CTS_CASE(Naming, PathWithATrailingSlashIsRefused) {
  const std::string path = fresh_path();
  EXPECT_THAT(server().call(ListenAt(path + "/").as("l1")), Fails());
  EXPECT_EQ(host::List(directory()), std::vector<std::string>());
}

}  // namespace cts
