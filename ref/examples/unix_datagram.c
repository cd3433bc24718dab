/* unix_datagram.c - messages to a name, each whole, and an answer to whoever sent one.
 *
 *   cc unix_datagram.c $(pkg-config --cflags --libs ipc-ref)
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000 };

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Receives one message into |text|, which ends in a NUL, and tells who sent it. */
static ipc_status receive(ipc_socket *socket, char *text, size_t text_max, ipc_received *received) {
  const ipc_buffer room = {text, text_max - 1};
  *received = (ipc_received){.size = sizeof *received};
  ipc_status status = ipc_socket_receive(socket, 0, &room, 1, received, NULL, TIMEOUT_MS);
  text[received->len] = '\0';
  return status;
}

/* Asks |server| a question. Its socket has a name, too: an answer needs somewhere to go. */
static int ask(const ipc_name *server, const ipc_name *own) {
  ipc_socket *socket;
  ipc_status status = ipc_socket_bind(own, NULL, &socket);
  if (status.code != IPC_OK) return fail("ipc_socket_bind", status);
  const ipc_const_buffer question = {"what?", 5};
  char text[16];
  ipc_received received;
  int failed = 0;
  status = ipc_socket_send(socket, &question, 1, server, NULL, TIMEOUT_MS);
  if (status.code != IPC_OK) failed = fail("ipc_socket_send", status);
  if (!failed) {
    status = receive(socket, text, sizeof text, &received);
    failed = status.code != IPC_OK ? fail("ipc_socket_receive", status) : strcmp(text, "that") != 0;
  }
  ipc_socket_free(socket); /* removes the name */
  return failed;
}

static int answer(ipc_socket *socket) {
  char text[16];
  ipc_received received;
  ipc_status status = receive(socket, text, sizeof text, &received);
  if (status.code != IPC_OK) return fail("ipc_socket_receive", status);
  printf("asked: %s\n", text);
  /* The sender's name, as the system has it. */
  const ipc_name sender = {IPC_NAME_NATIVE, received.from, received.from_len};
  const ipc_const_buffer reply = {"that", 4};
  status = ipc_socket_send(socket, &reply, 1, &sender, NULL, TIMEOUT_MS);
  return status.code == IPC_OK ? 0 : fail("ipc_socket_send", status);
}

int main(void) {
  char paths[2][64];
  ipc_name names[2];
  for (int i = 0; i < 2; i++) {
    int len = snprintf(paths[i], sizeof paths[i], "/tmp/ipc-example-%d-%ld", i, (long)getpid());
    names[i] = (ipc_name){IPC_NAME_PATH, paths[i], (size_t)len};
  }
  ipc_socket *socket;
  ipc_status status = ipc_socket_bind(&names[0], NULL, &socket);
  if (status.code != IPC_OK) return fail("ipc_socket_bind", status);
  pid_t child = fork();
  if (child == 0) {
    ipc_socket_free(socket); /* the parent's */
    _exit(ask(&names[0], &names[1]));
  }
  int failed = child < 0 || answer(socket);
  int ended = 1;
  if (child > 0) (void)waitpid(child, &ended, 0);
  ipc_socket_free(socket);
  return failed || ended != 0;
}
