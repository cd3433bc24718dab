// line_peer.h - a peer process for tests: starts it, writes lines to it, reads its lines.
#ifndef CTS_KITS_C_TESTS_LINE_PEER_H
#define CTS_KITS_C_TESTS_LINE_PEER_H

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

// A running peer. Every wait has a deadline of ten seconds, after which what was read so far is returned.
class LinePeer {
 public:
  explicit LinePeer(std::vector<std::string> command) {
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) abort();
    signal(SIGPIPE, SIG_IGN);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      for (int fd : {in[0], in[1], out[0], out[1]}) close(fd);
      std::vector<char *> argv;
      for (std::string &word : command) argv.push_back(&word[0]);
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }

  ~LinePeer() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close_in();
    close(out_);
  }

  LinePeer(const LinePeer &) = delete;
  LinePeer &operator=(const LinePeer &) = delete;

  pid_t pid() const { return pid_; }

  void send_raw(const std::string &bytes) {
    for (size_t at = 0; at < bytes.size();) {
      ssize_t put = write(in_, bytes.data() + at, bytes.size() - at);
      if (put <= 0) return;
      at += static_cast<size_t>(put);
    }
  }
  void send(const std::string &line) { send_raw(line + "\n"); }

  // The next line without its LF.
  std::string line() {
    size_t lf;
    while ((lf = read_.find('\n')) == std::string::npos) {
      char bytes[65536];
      pollfd ready = {out_, POLLIN, 0};
      if (poll(&ready, 1, 10000) <= 0) return "(nothing came) " + read_;
      ssize_t got = read(out_, bytes, sizeof(bytes));
      if (got <= 0) return "(the end) " + read_;
      read_.append(bytes, static_cast<size_t>(got));
    }
    std::string result = read_.substr(0, lf);
    read_.erase(0, lf + 1);
    return result;
  }

  std::string ask(const std::string &request) {
    send(request);
    return line();
  }

  void close_in() {
    if (in_ >= 0) close(in_);
    in_ = -1;
  }

  // Ends standard input and returns the wait status: 0 is what the protocol asks for.
  int end() {
    close_in();
    int status = -1;
    for (char byte; read(out_, &byte, 1) > 0;) continue;  // a peer that ends closes its output
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  std::string read_;
};

#endif  // CTS_KITS_C_TESTS_LINE_PEER_H
