// request.h - what every request to a peer has in common. operations.h has one type for each operation.
#ifndef CONFORMANCE_SUPPORT_REQUEST_H
#define CONFORMANCE_SUPPORT_REQUEST_H

#include <string>
#include <vector>

#include "conformance/support/data.h"

namespace cts {

/// A request that has no id yet: the peer that sends it gives it one.
class Request {
 public:
  explicit Request(const std::string &operation) : operation_(operation) { body_["op"] = operation; }

  const std::string &operation() const { return operation_; }
  const std::string &lane() const { return lane_; }
  bool watched() const { return body_.contains("watch"); }
  const Json &body() const { return body_; }
  /// Features that the arguments given so far need.
  const std::vector<std::string> &features() const { return features_; }

 protected:
  void set(const char *key, const Bytes &value, const std::string &feature) {
    put(key, BytesJson(value.value), feature);
  }
  void set(const char *key, const Data &value, const std::string &feature) { put(key, value.json(), feature); }
  void set(const char *key, const Raw &value, const std::string &feature) {
    put(key, Json{{"kind", value.kind}, {"value", value.value}}, feature);
  }
  template <typename T>
  void set(const char *key, const T &value, const std::string &feature) {
    put(key, Json(value), feature);
  }
  void set_lane(const std::string &lane) { lane_ = lane; }

 private:
  void put(const char *key, Json value, const std::string &feature) {
    body_[key] = std::move(value);
    if (!feature.empty()) features_.push_back(feature);
  }

  std::string operation_;
  std::string lane_ = "a";
  Json body_ = Json::object();
  std::vector<std::string> features_;
};

/// Gives the setters that every request has the type of the operation, so that calls chain.
template <typename T>
class RequestOf : public Request {
 public:
  using Request::Request;
  /// handle it acts on
  T &on(const std::string &handle) {
    set("on", handle, "");
    return self();
  }
  /// lane it runs in; default `a`
  T &in(const std::string &lane) {
    set_lane(lane);
    return self();
  }
  /// have the call announced, so that Peer::await_blocked can tell whether it waits
  T &watch() {
    set("watch", true, "");
    return self();
  }

 private:
  T &self() { return static_cast<T &>(*this); }
};

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_REQUEST_H
