/* stream_benchmark.c - what the library adds to the bare calls of the system, as ratios within one run.
 *
 *   stream_benchmark [rounds]
 *
 * Everything runs on one processor. Each pair, bare and through the library, is measured in turns, and the medians of
 * the turns are compared: a machine that is busy makes both slower. It judges nothing; numbers are for people. */
#define _GNU_SOURCE

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "ipc/ipc.h"

enum { TURNS = 31, FRAME = 64, FRAMES_MAX = 64, BODY_MAX = 4096 };

static int bare[2];            /* connected sockets */
static ipc_stream *streams[2]; /* the same through the library */
static ipc_framed *framed[2];
static unsigned char data[BODY_MAX];
static unsigned char room[65536];

static void must(bool good, const char *what) {
  if (good) return;
  fprintf(stderr, "stream_benchmark: %s failed\n", what);
  exit(2);
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------------------------------------ what is measured */

static void bare_bytes(size_t len) {
  must(send(bare[0], data, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
  must(recv(bare[1], room, sizeof room, 0) == (ssize_t)len, "recv");
}

static void library_bytes(size_t len) {
  size_t moved;
  must(ipc_stream_write(streams[0], data, len, IPC_NO_TIMEOUT, &moved).code == IPC_OK, "ipc_stream_write");
  must(ipc_stream_read(streams[1], room, sizeof room, IPC_NO_TIMEOUT, &moved).code == IPC_OK, "ipc_stream_read");
}

/* |num| frames of FRAME bytes: one writev, one read, and the bodies copied out of the buffer. */
static void bare_frames(size_t num) {
  static const unsigned char header[4] = {0, 0, 0, FRAME};
  static unsigned char body[FRAME];
  struct iovec parts[2 * FRAMES_MAX];
  for (size_t i = 0; i < num; i++) {
    parts[2 * i] = (struct iovec){(void *)(uintptr_t)header, sizeof header};
    parts[2 * i + 1] = (struct iovec){data, FRAME};
  }
  const size_t total = num * (sizeof header + FRAME);
  must(writev(bare[0], parts, (int)(2 * num)) == (ssize_t)total, "writev");
  must(read(bare[1], room, sizeof room) == (ssize_t)total, "read");
  for (size_t at = 0; at < total; at += sizeof header + FRAME) {
    must(room[at + 3] == FRAME, "header");
    memcpy(body, room + at + sizeof header, FRAME);
    __asm__ volatile("" : : "r"(body) : "memory");
  }
}

static void library_frames(size_t num) {
  static unsigned char body[FRAME];
  ipc_const_buffer bodies[FRAMES_MAX] = {{data, FRAME}};
  size_t len;
  for (size_t i = 0; i < num; i++) bodies[i] = (ipc_const_buffer){data, FRAME};
  must(ipc_framed_write(framed[0], bodies, num, IPC_NO_TIMEOUT, &len).code == IPC_OK, "ipc_framed_write");
  for (size_t i = 0; i < num; i++) {
    must(ipc_framed_read(framed[1], body, FRAME, IPC_NO_TIMEOUT, &len).code == IPC_OK, "ipc_framed_read");
  }
}

static void *bare_echo(void *rounds) {
  unsigned char byte[FRAME];
  for (size_t i = *(size_t *)rounds; i > 0; i--) {
    must(recv(bare[1], byte, FRAME, 0) == FRAME && send(bare[1], byte, FRAME, MSG_NOSIGNAL) == FRAME, "echo");
  }
  return NULL;
}

static void *library_echo(void *rounds) {
  unsigned char byte[FRAME];
  size_t moved;
  for (size_t i = *(size_t *)rounds; i > 0; i--) {
    must(ipc_stream_read(streams[1], byte, FRAME, IPC_NO_TIMEOUT, &moved).code == IPC_OK, "ipc_stream_read");
    must(ipc_stream_write(streams[1], byte, FRAME, IPC_NO_TIMEOUT, &moved).code == IPC_OK, "ipc_stream_write");
  }
  return NULL;
}

static void bare_ping_pong(size_t rounds) {
  pthread_t echo;
  must(pthread_create(&echo, NULL, bare_echo, &rounds) == 0, "pthread_create");
  for (size_t i = 0; i < rounds; i++) {
    must(send(bare[0], data, FRAME, MSG_NOSIGNAL) == FRAME && recv(bare[0], room, FRAME, 0) == FRAME, "ping-pong");
  }
  pthread_join(echo, NULL);
}

static void library_ping_pong(size_t rounds) {
  pthread_t echo;
  size_t moved;
  must(pthread_create(&echo, NULL, library_echo, &rounds) == 0, "pthread_create");
  for (size_t i = 0; i < rounds; i++) {
    must(ipc_stream_write(streams[0], data, FRAME, IPC_NO_TIMEOUT, &moved).code == IPC_OK, "ipc_stream_write");
    must(ipc_stream_read(streams[0], room, FRAME, IPC_NO_TIMEOUT, &moved).code == IPC_OK, "ipc_stream_read");
  }
  pthread_join(echo, NULL);
}

/* --------------------------------------------------------------------------------------------------- how */

static double time_of(void (*body)(size_t), size_t argument, size_t rounds) {
  const double begun = now_s();
  for (size_t i = 0; i < rounds; i++) body(argument);
  return (now_s() - begun) / (double)rounds * 1e9;
}

static int ascending(const void *left, const void *right) {
  const double a = *(const double *)left, b = *(const double *)right;
  return a < b ? -1 : a > b;
}

static void compare(const char *name, void (*first)(size_t), void (*second)(size_t), size_t argument, size_t rounds) {
  double ns[2][TURNS];
  for (int turn = 0; turn < TURNS; turn++) {
    ns[0][turn] = time_of(first, argument, rounds);
    ns[1][turn] = time_of(second, argument, rounds);
  }
  for (int i = 0; i < 2; i++) qsort(ns[i], TURNS, sizeof ns[i][0], ascending);
  const double bare_ns = ns[0][TURNS / 2], library_ns = ns[1][TURNS / 2];
  printf("%-44s bare %10.0f ns  library %10.0f ns  ratio %.3f\n", name, bare_ns, library_ns, library_ns / bare_ns);
}

static ipc_stream *stream_of(int fd) {
  const ipc_raw raw = {IPC_RAW_FD, (uint64_t)fd};
  ipc_stream *stream = NULL;
  must(ipc_stream_adopt(&raw, &stream).code == IPC_OK, "ipc_stream_adopt");
  return stream;
}

int main(int argc, char **argv) {
  const size_t rounds = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 20000;
  const ipc_framing framing = {.size = sizeof framing, .codec = IPC_FRAMING_U32};
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  (void)sched_setaffinity(0, sizeof one, &one);
  int ends[2];
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, bare) == 0, "socketpair");
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  for (int i = 0; i < 2; i++) streams[i] = stream_of(ends[i]);
  must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
  for (int i = 0; i < 2; i++) {
    must(ipc_framed_open(stream_of(ends[i]), &framing, &framed[i]).code == IPC_OK, "ipc_framed_open");
  }
  compare("write and read of 64 bytes", bare_bytes, library_bytes, 64, rounds);
  compare("write and read of 4096 bytes", bare_bytes, library_bytes, 4096, rounds);
  compare("frames of 64 bytes, one at a time", bare_frames, library_frames, 1, rounds);
  compare("frames of 64 bytes, 64 at a time", bare_frames, library_frames, 64, rounds / 16 + 1);
  compare("ping-pong of 64 bytes, 1000 times", bare_ping_pong, library_ping_pong, 1000, rounds / 4000 + 1);
  for (int i = 0; i < 2; i++) {
    ipc_framed_free(framed[i]);
    ipc_stream_free(streams[i]);
    close(bare[i]);
  }
  return 0;
}
