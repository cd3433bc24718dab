// The runner of the in-process cases: each case, in each of its shapes, runs in a process of its own, which loads the
// library anew. So a case that crashes, hangs or trips a sanitizer costs that case and no other.
//
//   abi --cts_plan=FILE [--gtest_…]     by a plan of the harness; its server's command is the library (spec/results.md)
//   abi --library=FILE [--deadline_ms=N] [--gtest_…]
//                                       by itself, as `bazel test //conformance/abi:ref_abi_test` does
//   abi --cts_case=TEST …               what the runner starts for one case
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include "conformance/abi/case.h"
#include "conformance/support/plan.h"
#include "conformance/support/process.h"
#include "conformance/support/record.h"
#include "gtest/gtest.h"

extern char **environ;

namespace cts {
namespace abi {
namespace {

constexpr int kDeadlinesMax = 6;  // of a case, as many times the deadline of a step

/// What lasts over the cases of one run.
struct Session {
  Plan plan;
  std::string self;  // this program
  std::ofstream records;
  std::deque<Requirement> canaries;  // they have none in the specification
};

Session &TheSession() {
  static Session session;
  return session;
}

std::string TestName(const Requirement &requirement, const Shape &shape) {
  const std::string suffix = ShapeName(requirement, shape);
  return requirement.id + (suffix.empty() ? "" : "/" + suffix);
}

// ------------------------------------------------------------------------------------------- the runner's side

/// What a process of a case has told.
struct Told {
  std::string buffer, step;
  Json result;  // null: none

  /// Takes what arrived; true if there was a whole line.
  bool Take(std::string *output) {
    buffer += *output;
    output->clear();
    bool any = false;
    for (size_t end; (end = buffer.find('\n')) != std::string::npos; buffer.erase(0, end + 1)) {
      const std::string line = buffer.substr(0, end);
      any = true;
      if (line.rfind("step ", 0) == 0) step = line.substr(5);
      if (line.rfind("result ", 0) == 0) result = Json::parse(line.substr(7), nullptr, false);
    }
    return any;
  }
};

/// What a process said before it died: a sanitizer's headline, else its last line.
std::string LastWords(const std::string &errors) {
  std::string last, report;
  for (size_t begin = 0; begin < errors.size();) {
    const size_t end = std::min(errors.find('\n', begin), errors.size());
    const std::string line = errors.substr(begin, end - begin);
    begin = end + 1;
    const bool headline =
        line.find("Sanitizer: ") != std::string::npos || line.find("runtime error: ") != std::string::npos;
    if (headline && line.find("SUMMARY") == std::string::npos && report.empty()) report = line;
    if (!line.empty()) last = line;
  }
  const std::string words = report.empty() ? last : report;
  return words.empty() ? "" : "; it said: " + OneLine(words).substr(0, 400);
}

/// Waits for the process of a case, and says what came of it.
Result Watch(Process *process) {
  Told told;
  Result result;
  const int deadline_ms = TheSession().plan.deadline_ms;
  const int64_t begun = NowMs();
  int64_t moved = begun;
  auto where = [&] { return told.step.empty() ? std::string() : " in: " + told.step; };
  while (!process->ended()) {
    PumpAll({process}, 50);
    const int64_t now = NowMs();
    if (told.Take(&process->output())) moved = now;
    if (now - moved < deadline_ms && now - begun < int64_t{deadline_ms} * kDeadlinesMax) continue;
    process->Kill();
    result.outcome = "hung";
    result.message = "nothing happened for " + std::to_string(now - moved) + " ms" + where();
    return result;
  }
  told.Take(&process->output());
  Exit exit;
  if (!process->Wait(deadline_ms, &exit)) {  // as a leak checker at the end may
    process->Kill();
    result.outcome = "hung";
    result.message = "the case's process did not end" + where();
  } else if (exit.by_signal || exit.code != 0) {
    result.outcome = "crashed";
    const bool over = told.result.is_object();
    result.message = "the case's process ended by " + exit.describe() + (over ? " after the case" : where()) +
                     LastWords(process->errors());
    if (over && told.result.value("message", std::string()) != "")
      result.message += "; before: " + told.result.value("message", std::string());
  } else if (!told.result.is_object()) {
    result.outcome = "crashed";
    result.message = "the case's process ended in the middle" + where() + LastWords(process->errors());
  } else {
    result.outcome = told.result.value("outcome", std::string("failed"));
    result.message = told.result.value("message", std::string());
    result.proof = told.result.value("proof", std::string("none"));
  }
  return result;
}

/// A sanitizer is told by the environment what to do; other variables of ours are none of a library's business.
std::map<std::string, std::string> EnvironmentOfCases() {
  std::map<std::string, std::string> environment = InheritedEnvironment();
  for (char **entry = environ; *entry != nullptr; entry++) {
    const std::string variable = *entry;
    const size_t equals = variable.find('=');
    if (equals == std::string::npos || variable.substr(0, equals).find("SAN_OPTIONS") == std::string::npos) continue;
    environment[variable.substr(0, equals)] = variable.substr(equals + 1);
  }
  for (const auto &variable : TheSession().plan.server.environment) environment[variable.first] = variable.second;
  return environment;
}

Result RunIsolated(const std::string &test) {
  Session &session = TheSession();
  char made[PATH_MAX];
  snprintf(made, sizeof made, "%s/cXXXXXX", session.plan.work_dir.c_str());
  Result result;
  if (mkdtemp(made) == nullptr) {
    result.outcome = "failed";
    result.message = std::string("no directory for the case: ") + strerror(errno);
    return result;
  }
  const std::vector<std::string> command = {session.self,
                                            "--cts_case=" + test,
                                            "--library=" + session.plan.server.command[0],
                                            "--cts_os=" + session.plan.os,
                                            "--cts_run_id=" + session.plan.run_id,
                                            "--cts_work_dir=" + std::string(made)};
  std::string error;
  std::unique_ptr<Process> process = Process::Start(command, EnvironmentOfCases(), made, &error);
  if (process == nullptr) {
    result.outcome = "failed";
    result.message = error;
  } else {
    result = Watch(process.get());
    process->Kill();
  }
  KillOrphans();
  std::error_code ignored;
  std::filesystem::remove_all(made, ignored);
  return result;
}

/// A case as the runner's GoogleTest sees it.
class Isolated : public testing::Test {
 public:
  Isolated(const Requirement *requirement, Shape shape) : requirement_(requirement), shape_(std::move(shape)) {}

 private:
  void TestBody() override {
    const int64_t begun_us = NowUs();
    Result result = RunIsolated(TestName(*requirement_, shape_));
    result.duration_us = NowUs() - begun_us;
    if (result.outcome == "failed" || result.outcome == "crashed" || result.outcome == "hung") result.blame = "peer";
    Session &session = TheSession();
    if (session.records.is_open())
      session.records << Dump(RecordOf(session.plan, *requirement_, shape_, result)) << "\n" << std::flush;
    if (result.outcome == "not_applicable" || result.outcome == "unverifiable") {
      GTEST_SKIP() << result.outcome << ": " << result.message;
    }
    if (result.outcome != "passed") ADD_FAILURE() << result.outcome << ": " << result.message;
  }

  const Requirement *requirement_;
  const Shape shape_;
};

/// What a canary is instead of a requirement.
Requirement CanaryOf(const std::string &id) {
  Requirement canary;
  canary.id = id;
  canary.level = "MUST";
  canary.needs["library"] =
      id == "Canary.NotOffered" ? std::vector<std::string>{"canary.never"} : std::vector<std::string>();
  return canary;
}

const Requirement *RequirementOf(const std::string &id) {
  if (id.rfind("Canary.", 0) != 0) return FindRequirement(id);
  TheSession().canaries.push_back(CanaryOf(id));
  return &TheSession().canaries.back();
}

/// Makes a test of each case and shape: of `only` alone, as it is, or of each, isolated.
bool Register(const std::string &only, std::string *error) {
  bool found = false;
  for (const Registered &entry : Registry()) {
    if (!only.empty() && only.substr(0, only.find('/')) != entry.id) continue;
    const Requirement *requirement = RequirementOf(entry.id);
    if (requirement == nullptr || !requirement->in_process()) {
      *error = entry.file + ":" + std::to_string(entry.line) + ": case " + entry.id +
               " has no requirement in spec/ that is about a library";
      return false;
    }
    for (const Shape &shape : ShapesOf(*requirement)) {
      const std::string name = TestName(*requirement, shape);
      if (!only.empty() && name != only) continue;
      found = true;
      const CaseMaker maker = entry.maker;
      auto factory = [=]() -> testing::Test * {
        if (only.empty()) return new Isolated(requirement, shape);
        return maker(requirement, shape);
      };
      testing::RegisterTest(requirement->family().c_str(), name.substr(requirement->family().size() + 1).c_str(),
                            nullptr, nullptr, entry.file.c_str(), entry.line, factory);
    }
  }
  if (!found) *error = "there is no case " + only;
  return found;
}

// --------------------------------------------------------------------------------------------- the case's side

/// Gathers what became of the one test.
class Gather : public testing::EmptyTestEventListener {
 public:
  Json result() const {
    if (failures_ > 0) return {{"outcome", "failed"}, {"message", message_}};
    const Ended &ended = TheSurroundings().ended;
    return {{"outcome", ended.outcome}, {"message", ended.message}, {"proof", TheSurroundings().proof}};
  }

 private:
  void OnTestPartResult(const testing::TestPartResult &part) override {
    const std::string text = OneLine(part.message());
    if (!part.failed() || ++failures_ > 3) return;
    message_ += (failures_ == 1 ? "" : " ; ") + text + Place(part.file_name(), part.line_number());
  }

  std::string message_;
  int failures_ = 0;
};

/// Runs one case here; the exit status says only that it went to its end.
int RunCase(const std::string &test, const std::string &library) {
  Surroundings &surroundings = TheSurroundings();
  // A library may print: what it says is no result.
  surroundings.results = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  auto tell = [&](const Json &result) {
    const std::string line = "result " + Dump(result) + "\n";
    return write(surroundings.results, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  };
  std::string error;
  Json result;
  if (!TheLibrary().Open(library, &error) || !Register(test, &error)) {
    result = {{"outcome", "failed"}, {"message", error}};
  } else {
    testing::TestEventListeners &listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    Gather *gather = new Gather;  // GoogleTest's from here
    listeners.Append(gather);
    surroundings.end_now = [&] { _exit(tell(gather->result()) ? 0 : 3); };
    const int failed = RUN_ALL_TESTS();  // told by the listener
    (void)failed;
    result = gather->result();
  }
  return tell(result) ? 0 : 3;
}

// ----------------------------------------------------------------------------------------------------- both

std::string SelfPath() {
  std::error_code ignored;
  return std::filesystem::read_symlink("/proc/self/exe", ignored).string();
}

/// A plan for a library alone.
bool PlanFor(const std::string &library, Plan *plan, std::string *error) {
  char made[] = "/tmp/cts-abi-XXXXXX";
  if (mkdtemp(made) == nullptr) {
    *error = std::string("no directory for the run: ") + strerror(errno);
    return false;
  }
  std::random_device random;
  char digits[33];
  for (int i = 0; i < 4; i++) snprintf(digits + 8 * i, 9, "%08x", random());
  plan->run_id = digits;
  plan->work_dir = made;
#if defined(__APPLE__)
  plan->os = "macos";
#elif defined(__FreeBSD__)
  plan->os = "freebsd";
#else
  plan->os = "linux";
#endif
  plan->server.name = plan->client.name = std::filesystem::path(library).filename().string();
  plan->server.mode = plan->client.mode = "abi";
  plan->server.command = plan->client.command = {std::filesystem::absolute(library).string()};
  return true;
}

int RunAll(const std::string &plan_file, const std::string &library) {
  Session &session = TheSession();
  session.self = SelfPath();
  std::string error;
  const bool listing = GTEST_FLAG_GET(list_tests) && plan_file.empty();
  const bool own = plan_file.empty() && !listing;
  if (!listing && !(own ? PlanFor(library, &session.plan, &error) : LoadPlan(plan_file, &session.plan, &error))) {
    std::cerr << error << "\n";
    return 2;
  }
  if (!session.plan.records.empty()) session.records.open(session.plan.records, std::ios::app | std::ios::binary);
  if (!Register("", &error)) {
    std::cerr << error << "\n";
    return 2;
  }
  Library probe;
  if (!listing && !probe.Open(session.plan.server.command[0], &error)) {
    std::cerr << error << "\n";
    return 2;
  }
  // By itself it has no harness that knows canaries: one that must fail would fail the run.
  if (own && std::string(GTEST_FLAG_GET(filter)) == "*") GTEST_FLAG_SET(filter, "-Canary.*");
  PrepareForPeers();
  const int result = RUN_ALL_TESTS();
  KillOrphans();
  if (own) {
    std::error_code ignored;
    std::filesystem::remove_all(session.plan.work_dir, ignored);
  }
  if (session.records.fail()) {
    std::cerr << "records could not be written\n";
    return 2;
  }
  return result == 0 ? 0 : 1;
}

int Main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  std::string plan, library, test, deadline_ms;
  Surroundings &surroundings = TheSurroundings();
  const std::pair<const char *, std::string *> options[] = {{"--cts_plan=", &plan},
                                                            {"--library=", &library},
                                                            {"--cts_case=", &test},
                                                            {"--deadline_ms=", &deadline_ms},
                                                            {"--cts_os=", &surroundings.os},
                                                            {"--cts_run_id=", &surroundings.run_id},
                                                            {"--cts_work_dir=", &surroundings.work_dir}};
  for (int i = 1; i < argc; i++) {
    bool known = false;
    for (const auto &option : options) {
      if (strncmp(argv[i], option.first, strlen(option.first)) != 0) continue;
      *option.second = argv[i] + strlen(option.first);
      known = true;
    }
    if (!known) {
      std::cerr << "unknown argument " << argv[i] << "; usage: abi --cts_plan=FILE | --library=FILE [--gtest_…]\n";
      return 2;
    }
  }
  if (!test.empty()) return RunCase(test, library);
  if (plan.empty() == library.empty() && !GTEST_FLAG_GET(list_tests)) {
    std::cerr << "usage: abi --cts_plan=FILE | --library=FILE [--gtest_…]\n";
    return 2;
  }
  if (!deadline_ms.empty()) TheSession().plan.deadline_ms = std::max(1, atoi(deadline_ms.c_str()));
  return RunAll(plan, library);
}

}  // namespace
}  // namespace abi
}  // namespace cts

// Without a requirement: they prove that a run can fail, and that what nobody offers is not taken for passed.
CTS_CANARY(MustFail) {
  step("the canary");
  EXPECT_STATUS(IPC_FAILED, (ipc_status{IPC_OK, 0}));
}

CTS_CANARY(NotOffered) { ADD_FAILURE() << "the library offers canary.never"; }

int main(int argc, char **argv) { return cts::abi::Main(argc, argv); }
