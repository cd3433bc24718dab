#include "fuzz/differential.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string_view>
#include <vector>

#include "fuzz/peers/reference/answer.h"

extern char **environ;

namespace fuzz {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr int kStartMs = 120000;        /* a peer may have a virtual machine or an emulator to start */
constexpr size_t kFindingsMax = 20;     /* of one run */
constexpr size_t kAnswersMax = 1 << 26; /* bytes of the answers to a batch */
constexpr int kSpawnMs = 2000;          /* how long a process for each input is measured */
constexpr int kCannot = 3;              /* the status where the configuration or a peer does not let it begin */

[[noreturn]] void cannot(const std::string &why) {
  std::fprintf(stderr, "differential: %s\n", why.c_str());
  std::fflush(stderr);
  _exit(kCannot);
}

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

/* Something asked: the fuzz input that led to it, the request, the answer of this process. */
struct Asked {
  std::string input, request, ours;
  Compare compare = nullptr;
};
using AskedPtr = std::shared_ptr<const Asked>;

double cpu_seconds(const struct rusage &used) {
  const auto seconds = [](const timeval &t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/* What a fact must match as a whole. Most patterns are words with `|` between them, for which a regular expression is
 * slow; a difference that is known may come with every other input. */
class Pattern {
 public:
  explicit Pattern(const std::string &text) {
    if (!std::all_of(text.begin(), text.end(),
                     [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '|'; })) {
      regex_ = std::regex(text, std::regex::optimize);
      return;
    }
    for (size_t begin = 0, end; begin != std::string::npos; begin = end == std::string::npos ? end : end + 1) {
      end = text.find('|', begin);
      words_.push_back(text.substr(begin, end == std::string::npos ? end : end - begin));
    }
  }

  bool matches(const std::string &fact) const {
    if (words_.empty()) return std::regex_match(fact, regex_);
    return std::find(words_.begin(), words_.end(), fact) != words_.end();
  }

 private:
  std::vector<std::string> words_; /* none: regex_ */
  std::regex regex_;
};

struct Known {
  std::string name;
  std::vector<std::pair<std::string, Pattern>> where;
  uint64_t met = 0;

  bool is(const Facts &facts) const {
    const auto holds = [&facts](const std::pair<std::string, Pattern> &condition) {
      const auto fact = facts.find(condition.first);
      return fact != facts.end() && condition.second.matches(fact->second);
    };
    return std::all_of(where.begin(), where.end(), holds);
  }
};

/* --------------------------------------------------------------------------------------------------- a peer's process
 */

/* The process of a peer, if there is one, and the two pipes to it. conformance/support/process.h starts processes as
 * well, for others' needs: it keeps what they write to standard error, which here is for whoever reads the fuzzer's;
 * holds at most a mebibyte of their output; and does not tell the CPU time that they took. */
class Process {
 public:
  Process() = default;
  Process(const Process &) = delete;
  Process &operator=(const Process &) = delete;
  ~Process() { kill_now(); }

  bool running() const { return pid_ > 0; }

  /* Of CPU time, of all processes that were here and have ended. */
  double cpu() const { return cpu_; }

  void start(const std::vector<std::string> &command, const std::vector<std::string> &environment) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0) cannot("no pipe: " + std::string(strerror(errno)));
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t defaults;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from[1], 1);
    posix_spawnattr_init(&attributes);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    std::vector<char *> argv, envp;
    for (const std::string &argument : command) argv.push_back(const_cast<char *>(argument.c_str()));
    for (const std::string &variable : environment) envp.push_back(const_cast<char *>(variable.c_str()));
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    const int wrong = posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(to[0]);
    close(from[1]);
    in_ = to[1];
    out_ = from[0];
    if (wrong != 0) cannot(command[0] + ": " + strerror(wrong));
    fcntl(in_, F_SETFL, O_NONBLOCK);
    fcntl(out_, F_SETFL, O_NONBLOCK);
  }

  /* Sends a message and receives the answers; says what went wrong, or nothing. */
  std::string exchange(const std::string &batch, int deadline_ms, std::string *answers) {
    const auto until = Clock::now() + std::chrono::milliseconds(deadline_ms);
    std::string head;
    std::string wrong = send(batch, until);
    if (wrong.empty()) wrong = receive(4, until, &head);
    if (!wrong.empty()) return wrong;
    size_t at = 0;
    const auto len = static_cast<size_t>(read_number(head, &at, 4));
    return len > kAnswersMax ? "broken" : receive(len, until, answers);
  }

  /* Lets it end by itself: it reads the end of its input. */
  void finish() {
    if (!running()) return;
    close(in_);
    in_ = -1;
    struct pollfd waiting = {out_, POLLIN, 0};
    char rest[256];
    while (poll(&waiting, 1, 5000) > 0 && read(out_, rest, sizeof rest) > 0) continue;
    kill_now(); /* what has closed its output has nothing more to say */
  }

  void kill_now() {
    if (!running()) return;
    kill(pid_, SIGKILL);
    struct rusage used = {};
    pid_t ended;
    do ended = wait4(pid_, nullptr, 0, &used);
    while (ended < 0 && errno == EINTR);
    cpu_ += cpu_seconds(used);
    if (in_ >= 0) close(in_);
    close(out_);
    pid_ = in_ = out_ = -1;
  }

 private:
  static bool wait(int fd, short events, Clock::time_point until) {
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0) return false;
      struct pollfd waiting = {fd, events, 0};
      const int ready = poll(&waiting, 1, static_cast<int>(left));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
  }

  std::string send(const std::string &bytes, Clock::time_point until) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t wrote = write(in_, bytes.data() + at, bytes.size() - at);
      if (wrote >= 0) {
        at += static_cast<size_t>(wrote);
      } else if (errno == EAGAIN) {
        if (!wait(in_, POLLOUT, until)) return "hang";
      } else if (errno != EINTR) {
        return "crash";
      }
    }
    return "";
  }

  std::string receive(size_t len, Clock::time_point until, std::string *out) {
    out->resize(len);
    for (size_t at = 0; at < len;) {
      const ssize_t got = read(out_, &(*out)[at], len - at);
      if (got > 0) {
        at += static_cast<size_t>(got);
      } else if (got == 0) {
        return "crash";
      } else if (errno == EAGAIN) {
        if (!wait(out_, POLLIN, until)) return "hang";
      } else if (errno != EINTR) {
        return "crash";
      }
    }
    return "";
  }

  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  double cpu_ = 0;
};

struct Peer {
  std::string name;
  std::vector<std::string> command, environment;
  std::set<std::string> offers;
  std::vector<Known> known;
  std::vector<AskedPtr> waiting;
  Process process;
  uint64_t requests = 0, batches = 0, restarts = 0, differences = 0;
  double seconds = 0;
  uint64_t spawned = 0;
  double spawned_seconds = 0;
};

/* ------------------------------------------------------------------------------------------------------------- the run
 */

class Run {
 public:
  static Run &get() {
    static Run *run = new Run; /* never destroyed: it is used until the very end */
    return *run;
  }

  bool wants(const std::string &offer) const {
    return peers_.empty() ||
           std::any_of(peers_.begin(), peers_.end(), [&](const auto &p) { return p->offers.count(offer) != 0; });
  }

  void ask(const uint8_t *data, size_t len, const std::string &offer, const std::string &request, Compare compare) {
    const auto asked = unused();
    asked->input.assign(reinterpret_cast<const char *>(data), len);
    asked->request = request;
    asked->compare = compare;
    const auto begin = Clock::now();
    answered(request, &asked->ours);
    seconds_ += seconds_since(begin);
    requests_++;
    if (first_.size() < 64) first_.push_back(request);
    for (const auto &peer : peers_) {
      if (peer->offers.count(offer) == 0) continue;
      peer->waiting.push_back(asked);
      if (peer->waiting.size() >= batch_) exchange(*peer);
    }
  }

 private:
  Run() {
    const char *file = std::getenv("CTS_FUZZ_PEERS");
    if (file == nullptr) return;
    std::ifstream stream(file);
    const Json config = Json::parse(stream, nullptr, false);
    if (!config.is_object()) cannot(std::string(file) + " is no JSON object");
    try {
      configure(config);
    } catch (const std::exception &error) { /* what the harness wrote is not what this reads */
      cannot(std::string(file) + ": " + error.what());
    }
    signal(SIGPIPE, SIG_IGN);
    for (const auto &peer : peers_) start(*peer);
    std::atexit([] { get().end(); });
  }

  void configure(const Json &config) {
    batch_ = config.at("batch").get<size_t>();
    deadline_ms_ = config.at("deadline_ms").get<int>();
    artifacts_ = config.value("artifacts", "");
    report_ = config.value("report", "");
    for (const Json &told : config.at("peers")) {
      auto peer = std::make_unique<Peer>();
      peer->name = told.at("name").get<std::string>();
      peer->command = told.at("command").get<std::vector<std::string>>();
      for (char **variable = environ; *variable != nullptr; variable++) {
        const std::string text = *variable;
        if (!told.at("environment").contains(text.substr(0, text.find('=')))) peer->environment.push_back(text);
      }
      for (const auto &item : told.at("environment").items())
        peer->environment.push_back(item.key() + "=" + item.value().get<std::string>());
      for (const Json &difference : told.at("known")) {
        Known known;
        known.name = difference.at("name").get<std::string>();
        for (const auto &item : difference.at("where").items())
          known.where.emplace_back(item.key(), Pattern(item.value().get<std::string>()));
        peer->known.push_back(std::move(known));
      }
      peers_.push_back(std::move(peer));
    }
  }

  /* One that nobody waits for any longer, with its memory, or a new one. */
  std::shared_ptr<Asked> unused() {
    if (all_.empty()) return all_.emplace_back(std::make_shared<Asked>());
    for (size_t looked = 0; looked < 2; looked++) {
      next_ = next_ + 1 < all_.size() ? next_ + 1 : 0;
      if (all_[next_].use_count() == 1) return all_[next_];
    }
    return all_.emplace_back(std::make_shared<Asked>());
  }

  static void answered(const std::string &request, std::string *out) {
    static bytes room = {};
    room.len = 0;
    answer(reinterpret_cast<const uint8_t *>(request.data()), request.size(), &room);
    out->assign(reinterpret_cast<const char *>(room.data), room.len);
  }

  /* The message that asks for |requests|; it lives until the next. */
  const std::string &message_of(const std::vector<AskedPtr> &requests) {
    size_t len = 4;
    for (const AskedPtr &asked : requests) len += 4 + asked->request.size();
    message_.clear();
    append_number(&message_, len, 4);
    append_number(&message_, requests.size(), 4);
    for (const AskedPtr &asked : requests) {
      append_number(&message_, asked->request.size(), 4);
      message_ += asked->request;
    }
    return message_;
  }

  /* Takes answers apart, which |*out| points into; false if they are not a list, or not of |num| answers. */
  static bool split(std::string_view answers, size_t num, std::vector<std::string_view> *out) {
    out->clear();
    size_t at = 0;
    if (answers.size() < 4) return false;
    const uint64_t told = read_number(answers, &at, 4);
    if (num != 0 && told != num) return false;
    for (uint64_t i = 0; i < told; i++) {
      if (answers.size() - at < 4) return false;
      const uint64_t len = read_number(answers, &at, 4);
      if (len > answers.size() - at) return false;
      out->push_back(answers.substr(at, static_cast<size_t>(len)));
      at += static_cast<size_t>(len);
    }
    return at == answers.size();
  }

  /* A new process, and what it offers. */
  void start(Peer &peer) {
    std::string answers;
    std::vector<std::string_view> offers;
    peer.process.start(peer.command, peer.environment);
    const std::string wrong = peer.process.exchange(message_of({}), kStartMs, &answers);
    if (!wrong.empty() || !split(answers, 0, &offers)) {
      cannot("the peer " + peer.name + " does not say what it offers: " + (wrong.empty() ? "broken" : wrong));
    }
    peer.offers = std::set<std::string>(offers.begin(), offers.end());
  }

  void restart(Peer &peer) {
    peer.process.kill_now();
    peer.restarts++;
    start(peer);
  }

  /* Has |requests| answered; says what went wrong with all of them, or nothing. The answers live until the next. */
  std::string exchanged(Peer &peer, const std::vector<AskedPtr> &requests, std::vector<std::string_view> *out) {
    const auto begin = Clock::now();
    const std::string wrong = peer.process.exchange(message_of(requests), deadline_ms_, &answers_);
    peer.seconds += seconds_since(begin);
    peer.batches++;
    if (!wrong.empty()) return wrong;
    return split(answers_, requests.size(), out) ? "" : "broken";
  }

  void exchange(Peer &peer) {
    std::vector<AskedPtr> requests;
    requests.swap(peer.waiting);
    if (requests.empty()) return;
    peer.requests += requests.size();
    std::vector<std::string_view> answers;
    const std::string wrong = exchanged(peer, requests, &answers);
    if (!wrong.empty()) {
      look_for(peer, requests, wrong);
      return;
    }
    for (size_t i = 0; i < requests.size(); i++) {
      const Facts facts = requests[i]->compare(requests[i]->request, requests[i]->ours, answers[i]);
      if (!facts.empty()) differ(peer, *requests[i], facts);
    }
  }

  /* A batch was not answered: asks for each of its requests alone, so that it is known of which. */
  void look_for(Peer &peer, const std::vector<AskedPtr> &requests, const std::string &wrong) {
    restart(peer);
    bool found = false;
    for (const AskedPtr &asked : requests) {
      std::vector<std::string_view> answers;
      const std::string alone = exchanged(peer, {asked}, &answers);
      Facts facts;
      if (alone.empty()) {
        facts = asked->compare(asked->request, asked->ours, answers[0]);
      } else {
        found = true;
        facts = {{"what", "process"}, {"theirs", alone}};
        restart(peer);
      }
      if (!facts.empty()) differ(peer, *asked, facts);
    }
    if (!found) {
      /* Their order, or the time that they took together. All of them are kept. */
      for (const AskedPtr &asked : requests) keep("batch", asked->input);
      differ(peer, *requests.back(), {{"what", "batch"}, {"theirs", wrong}});
    }
  }

  void differ(Peer &peer, const Asked &asked, const Facts &facts) {
    for (Known &known : peer.known) {
      if (known.is(facts)) {
        known.met++;
        return;
      }
    }
    std::string told = peer.name + ":", kind = peer.name;
    for (const auto &fact : facts) {
      told += " " + fact.first + "=" + fact.second;
      if (fact.first == "codec" || fact.first == "what" || fact.first == "ours" || fact.first == "theirs")
        kind += " " + fact.second;
    }
    peer.differences++;
    if (batch_ == 1) {
      std::fprintf(stderr, "does not hold: the same answer: %s\n", told.c_str());
      std::fflush(stderr);
      std::abort();
    }
    if (findings_.size() >= kFindingsMax || !kinds_.insert(kind).second) return;
    std::fprintf(stderr, "does not hold: the same answer: %s\n", told.c_str());
    findings_.push_back({{"file", keep("difference", asked.input)}, {"peer", peer.name}, {"facts", facts}});
  }

  /* Writes an input to the artifacts, under a name that follows from it, and returns the name. */
  std::string keep(const std::string &prefix, const std::string &input) const {
    uint64_t digest = 14695981039346656037u; /* FNV-1a */
    for (const char c : input) digest = (digest ^ static_cast<uint8_t>(c)) * 1099511628211u;
    char name[64];
    std::snprintf(name, sizeof name, "%s-%016llx", prefix.c_str(), static_cast<unsigned long long>(digest));
    if (!artifacts_.empty()) std::ofstream(artifacts_ + "/" + name, std::ios::binary) << input;
    return name;
  }

  /* How long an input takes with a process of its own. */
  void measure_spawning(Peer &peer) {
    const auto begin = Clock::now();
    for (const std::string &request : first_) {
      Process own;
      std::string answers;
      own.start(peer.command, peer.environment);
      Asked asked;
      asked.request = request;
      if (!own.exchange(message_of({std::make_shared<const Asked>(asked)}), kStartMs, &answers).empty()) break;
      own.finish();
      peer.spawned++;
      if (seconds_since(begin) * 1000 > kSpawnMs) break;
    }
    peer.spawned_seconds = seconds_since(begin);
  }

  void end() {
    struct rusage used = {};
    for (const auto &peer : peers_) {
      if (peer->waiting.empty()) continue;
      exchange(*peer);
    }
    (void)getrusage(RUSAGE_SELF, &used);
    Json peers = Json::array();
    for (const auto &peer : peers_) {
      peer->process.finish();
      if (!report_.empty() && peer->requests != 0) measure_spawning(*peer);
      Json known = Json::object();
      for (const Known &k : peer->known) known[k.name] = k.met;
      peers.push_back({{"name", peer->name},
                       {"requests", peer->requests},
                       {"batches", peer->batches},
                       {"seconds", peer->seconds},
                       {"cpu_seconds", peer->process.cpu()},
                       {"restarts", peer->restarts},
                       {"differences", peer->differences},
                       {"known", known},
                       {"spawned", peer->spawned},
                       {"spawned_seconds", peer->spawned_seconds}});
    }
    const Json told = {{"requests", requests_},
                       {"seconds", seconds_},
                       {"cpu_seconds", cpu_seconds(used)},
                       {"peers", peers},
                       {"findings", findings_}};
    if (!report_.empty()) std::ofstream(report_) << told.dump(2) << "\n";
    if (findings_.empty()) return;
    std::fflush(stdout);
    std::fflush(stderr);
    _exit(1);
  }

  std::vector<std::unique_ptr<Peer>> peers_;
  size_t batch_ = 1;
  int deadline_ms_ = 0;
  std::string artifacts_, report_;
  uint64_t requests_ = 0;
  double seconds_ = 0;
  std::vector<Json> findings_;
  std::set<std::string> kinds_;
  std::vector<std::string> first_;
  std::string message_, answers_; /* of the exchange under way or the last one */
  std::vector<std::shared_ptr<Asked>> all_;
  size_t next_ = 0; /* of all_: what was handed out last */
};

}  // namespace

bool differential_wants(const std::string &offer) { return Run::get().wants(offer); }

void differential_ask(const uint8_t *data, size_t len, const std::string &offer, const std::string &request,
                      Compare compare) {
  Run::get().ask(data, len, offer, request, compare);
}

void append_number(std::string *to, uint64_t value, int width) {
  char bytes[8];
  for (int i = width - 1; i >= 0; i--, value >>= 8) bytes[i] = static_cast<char>(value);
  to->append(bytes, static_cast<size_t>(width));
}

uint64_t read_number(std::string_view from, size_t *at, int width) {
  uint64_t value = 0;
  for (int i = 0; i < width; i++) {
    value = value << 8 | (*at < from.size() ? static_cast<uint8_t>(from[*at]) : 0);
    ++*at;
  }
  return value;
}

std::string status_name(unsigned status) {
  static const char *const names[] = {
#define CTS_STATUS(name) name,
#include "conformance/kits/c/cts_operations.inc"
#undef CTS_STATUS
  };
  return status < sizeof names / sizeof *names ? names[status] : std::to_string(status);
}

std::string shown(std::string_view bytes, size_t max) {
  std::string text;
  for (size_t i = 0; i < bytes.size() && i < max; i++) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
    const bool plain = byte >= 0x20 && byte < 0x7F && byte != '\\';
    text += plain ? std::string(1, bytes[i]) : std::string(escaped);
  }
  return text;
}

}  // namespace fuzz
