/* trusted_path.c - walking a path directory by directory, and looking at each link before following it. */
#define _XOPEN_SOURCE 700 /* the sticky bit */

#include "ref/posix/trusted_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ref/posix/system.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { LINKS_MAX = 40 }; /* as many as Linux follows: path_resolution(7) */

/* Where a walk has come to, and what is left of the way. */
typedef struct walk {
  int directory; /* opened, or AT_FDCWD */
  unsigned num_links;
  char *rest; /* into `text` */
  char text[PATH_MAX];
} walk;

static void move_to(walk *w, int directory) {
  if (w->directory >= 0) (void)close(w->directory);
  w->directory = directory;
}

/* Begins at the root if the way does. errno. */
static int begin(walk *w) {
  w->rest = w->text;
  if (w->text[0] != '/') return 0;
  int root = open("/", ipc_system_directory_flags | O_CLOEXEC);
  if (root < 0) return errno;
  move_to(w, root);
  return 0;
}

static int walk_init(walk *w, const char *path) {
  size_t len = strlen(path);
  w->directory = AT_FDCWD;
  w->num_links = 0;
  if (len >= sizeof w->text) return ENAMETOOLONG;
  memcpy(w->text, path, len + 1);
  return begin(w);
}

/* The last name of |path|, with the slashes behind it; all of |path| if it has none but slashes. */
static const char *last_name(const char *path) {
  size_t end = strlen(path);
  while (end > 0 && path[end - 1] == '/') end--;
  if (end == 0) return path;
  while (end > 0 && path[end - 1] != '/') end--;
  return path + end;
}

static bool is_trusted_owner(uid_t owner) { return owner == 0 || owner == geteuid(); }

/* Whether nobody but this user and root can change what |link|, which stands in the directory of |w|, leads to. */
static int check_link(const walk *w, const struct stat *link) {
  struct stat directory;
  if (fstatat(w->directory, ".", &directory, 0) != 0) return errno;
  bool open_to_others = (directory.st_mode & (S_IWGRP | S_IWOTH)) != 0 && (directory.st_mode & S_ISVTX) == 0;
  return is_trusted_owner(link->st_uid) && is_trusted_owner(directory.st_uid) && !open_to_others ? 0 : EACCES;
}

/* Puts in front of |behind|, the rest of the way, what the link |name| says. errno, ENOTDIR if it is no link. */
static int follow(walk *w, const char *name, const char *behind) {
  struct stat found;
  if (fstatat(w->directory, name, &found, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (!S_ISLNK(found.st_mode)) return ENOTDIR;
  int error = check_link(w, &found);
  if (error != 0) return error;
  if (++w->num_links > LINKS_MAX) return ELOOP;
  char target[PATH_MAX];
  ssize_t target_len = readlinkat(w->directory, name, target, sizeof target);
  if (target_len < 0) return errno;
  if (target_len == 0) return ENOENT;
  size_t behind_len = strlen(behind);
  if ((size_t)target_len + 1 + behind_len >= sizeof w->text) return ENAMETOOLONG;
  bool needs_slash = behind_len != 0;
  memmove(w->text + target_len + (needs_slash ? 1 : 0), behind, behind_len + 1);
  memcpy(w->text, target, (size_t)target_len);
  if (needs_slash) w->text[target_len] = '/';
  return begin(w);
}

/* Takes one step, into the directory that the way begins with. errno. */
static int step(walk *w) {
  char *end = w->rest + strcspn(w->rest, "/");
  char ended_with = *end;
  *end = '\0';
  int next = openat(w->directory, w->rest, ipc_system_directory_flags | O_NOFOLLOW | O_CLOEXEC);
  if (next >= 0) {
    move_to(w, next);
    *end = ended_with;
    w->rest = end;
    return 0;
  }
  int error = errno;
  if (error != ENOTDIR && error != ELOOP && error != EMLINK) return error;
  /* The link's text is written over the name: it must not be where the name is read from. */
  char name[NAME_MAX + 1];
  size_t name_len = strlen(w->rest);
  if (name_len > NAME_MAX) return ENAMETOOLONG;
  memcpy(name, w->rest, name_len + 1);
  *end = ended_with;
  return follow(w, name, end);
}

/* Walks until the last name is all that is left. errno. */
static int walk_to_last_name(walk *w) {
  for (;;) {
    while (*w->rest == '/') w->rest++;
    if (strchr(w->rest, '/') == NULL || last_name(w->rest) == w->rest) return 0;
    int error = step(w);
    if (error != 0) return error;
  }
}

int ipc_place_open(const char *path, ipc_place *out_place) {
  walk w;
  int error = walk_init(&w, path);
  if (error == 0) error = walk_to_last_name(&w);
  if (error != 0) {
    move_to(&w, -1);
    return error;
  }
  *out_place = (ipc_place){w.directory, last_name(path)};
  return 0;
}

void ipc_place_close(const ipc_place *place) {
  if (place->directory >= 0) (void)close(place->directory);
}

int ipc_trusted_path_check(const char *path) {
  walk w;
  int error = walk_init(&w, path);
  while (error == 0) {
    struct stat found;
    error = walk_to_last_name(&w);
    if (error != 0) break;
    w.rest[strcspn(w.rest, "/")] = '\0'; /* a slash behind the name would follow it unseen */
    if (*w.rest == '\0') break;
    if (fstatat(w.directory, w.rest, &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISLNK(found.st_mode)) break;
    char name[NAME_MAX + 1];
    memcpy(name, w.rest, strlen(w.rest) + 1); /* it exists: it fits */
    error = follow(&w, name, "");
  }
  move_to(&w, -1);
  return error == ENOENT ? 0 : error;
}
