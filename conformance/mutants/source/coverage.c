/* coverage.c - notes which blocks of the library have run, for `cts mutants --source`.
 *
 * The library is compiled with -fsanitize-coverage=trace-pc, this file without. The file that CTS_COVERAGE names gets a
 * byte that is not 0 at the offset of each return address of such a call, from the library's beginning. It is a shared
 * mapping: a process that ends by a signal or by _exit(2), and a child of a fork, leave what they did as well. Where
 * the file cannot be had, nothing is noted. Linux with gcc or clang. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROOM = 1 << 20 }; /* bytes of code, at most */

extern const char __ehdr_start; /* the linker's: where the library begins */
static unsigned char *ran;

void __sanitizer_cov_trace_pc(void);

__attribute__((constructor)) static void open_map(void) {
  const char *path = getenv("CTS_COVERAGE");
  int fd = path == NULL ? -1 : open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return;
  if (ftruncate(fd, ROOM) == 0) {
    void *mapped = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped != MAP_FAILED) ran = mapped;
  }
  close(fd);
}

void __sanitizer_cov_trace_pc(void) {
  uintptr_t offset = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&__ehdr_start;
  if (ran != NULL && offset < ROOM) ran[offset] = 1;
}
