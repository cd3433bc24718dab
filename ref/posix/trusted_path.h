/* trusted_path.h - where a path leads, as long as nobody else decides that.
 *
 * The rule, for every symbolic link that stands in a path and would be followed:
 *
 * 1. the link belongs to this user (the effective one) or to root, and
 * 2. the directory in which it stands belongs to one of the two, and neither its group nor others may write to it,
 *    unless its sticky bit is set: then only the owners of directory and link can replace the link.
 *
 * What the link leads to is held to the same rule. A path that breaks it is EACCES. Directories that others may write
 * to are no matter where no link stands: what happens there is decided by permissions that the program can see. The
 * rule is for making and removing names, not for connecting to one.
 */
#ifndef REF_POSIX_TRUSTED_PATH_H
#define REF_POSIX_TRUSTED_PATH_H

#ifdef __cplusplus
extern "C" {
#endif

/* A name within an opened directory: what happens there goes on to happen there, whatever becomes of the path. */
typedef struct ipc_place {
  int directory;    /* a descriptor for calls like fstatat(2), or AT_FDCWD */
  const char *name; /* the end of the path it was made of, with slashes that were behind it */
} ipc_place;

/* ipc_place_open finds the place of |path|, which must outlive it. The last name is not followed and need not exist.
 * errno: EACCES also for a link that somebody else could change. */
int ipc_place_open(const char *path, ipc_place *out_place);

/* ipc_place_close closes what ipc_place_open opened. */
void ipc_place_close(const ipc_place *place);

/* ipc_trusted_path_check holds |path| to the rule, links in its last name included: for calls that follow them. What
 * is not there at all breaks no rule. errno. */
int ipc_trusted_path_check(const char *path);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_POSIX_TRUSTED_PATH_H */
