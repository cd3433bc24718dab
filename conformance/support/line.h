// line.h - a line of the peer protocol, read.
#ifndef CTS_SUPPORT_LINE_H
#define CTS_SUPPORT_LINE_H

#include <nlohmann/json.hpp>
#include <string>

namespace cts {

using Json = nlohmann::json;

/// Parses one line, without its LF, by the rules of peer_protocol.md 1.1, some of which a JSON parser does not know.
/// False, and what is wrong in |*error|, if it is no line of the protocol.
bool ParseLine(const std::string &line, Json *json, std::string *error);

}  // namespace cts

#endif  // CTS_SUPPORT_LINE_H
