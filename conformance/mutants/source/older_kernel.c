/* older_kernel.c - runs a program as on a kernel that lacks what is newer, for `cts mutants --source`.
 *
 *   older_kernel PROGRAM ARGUMENT…
 *
 * For the program and all it starts, as older kernels answered: preadv2(2) and pwritev2(2) know no flag (EOPNOTSUPP),
 * socket(2) no SOCK_CLOEXEC (EINVAL), and there is no accept4(2) (ENOSYS). What the reference does in their place runs
 * nowhere else on a kernel of today. (It knows close_range(2), which such kernels did not: what waits in a thread with
 * descriptors of its own, connecting to a full backlog in a loop, then asks for what is refused and fails.) Exit status
 * 2 if the filter cannot be had; Linux, x86-64 and AArch64. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__
#define NATIVE AUDIT_ARCH_X86_64
#else
#define NATIVE AUDIT_ARCH_AARCH64
#endif

/* The low half of an argument: both machines are little-endian. */
#define ARGUMENT(i) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[i]))
#define FAIL(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define IF_EQUAL(value, then, otherwise) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, then, otherwise)

int main(int argc, char **argv) {
  struct sock_filter filter[] = {
      /*  0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
      /*  1 */ IF_EQUAL(NATIVE, 0, 8),
      /*  2 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      /*  3 */ IF_EQUAL(SYS_preadv2, 7, 0),
      /*  4 */ IF_EQUAL(SYS_pwritev2, 6, 0),
      /*  5 */ IF_EQUAL(SYS_accept4, 3, 0),
      /*  6 */ IF_EQUAL(SYS_socket, 0, 3),
      /*  7 */ ARGUMENT(1),
      /*  8 */ BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SOCK_CLOEXEC, 5, 1),
      /*  9 */ FAIL(ENOSYS),
      /* 10 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      /* 11 */ ARGUMENT(5),
      /* 12 */ IF_EQUAL(0, 2, 0),
      /* 13 */ FAIL(EOPNOTSUPP),
      /* 14 */ FAIL(EINVAL),
      /* 15 */ BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
  if (argc < 2) return 2;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("older_kernel: seccomp");
    return 2;
  }
  execv(argv[1], argv + 1);
  perror(argv[1]);
  return 2;
}
