#include "conformance/support/look.h"

#include "conformance/support/data.h"
#include "conformance/support/host.h"
#include "conformance/support/peer.h"

namespace cts {
namespace look {

namespace {

void Tell(const char *at, Json of, Json saw) {
  if (PeerObserver *observer = Peer::observer()) {
    of["at"] = at;
    of["saw"] = std::move(saw);
    observer->OnLook(of);
  }
}

Json Descriptor(int64_t pid, const std::string &fd) { return {{"pid", pid}, {"raw", {{"kind", "fd"}, {"value", fd}}}}; }

}  // namespace

std::string TypeOf(const std::string &path) {
  const std::string type = host::TypeOf(path);
  Tell("type", {{"path", BytesJson(path)}}, type);
  return type;
}

unsigned ModeOf(const std::string &path) {
  const unsigned mode = host::ModeOf(path);
  Tell("mode", {{"path", BytesJson(path)}}, mode);
  return mode;
}

std::string ReadFile(const std::string &path) {
  if (host::TypeOf(path) != "file") Tell("contents", {{"path", BytesJson(path)}}, nullptr);  // which ends the case
  const std::string contents = host::ReadFile(path);
  Tell("contents", {{"path", BytesJson(path)}}, BytesJson(contents));
  return contents;
}

bool IsCloseOnExec(int64_t pid, const std::string &fd) {
  const bool is = host::IsCloseOnExec(pid, fd);
  Tell("close_on_exec", Descriptor(pid, fd), is);
  return is;
}

std::string DescriptorOf(int64_t pid, const std::string &fd) {
  const std::string what = host::DescriptorOf(pid, fd);
  Tell("description", Descriptor(pid, fd), BytesJson(what));
  return what;
}

std::vector<std::string> DescriptorsOf(int64_t pid, const std::string &what) {
  const std::vector<std::string> found = host::DescriptorsOf(pid, what);
  Tell("descriptors", {{"pid", pid}, {"description", BytesJson(what)}}, found.size());
  return found;
}

}  // namespace look
}  // namespace cts
