/* naming.c - broken names. */
#include <string.h>

#include "conformance/mutants/mutants.h"

enum { CUT = 107, PADDED = 108 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

static size_t up_to_nul(const void *data, size_t len) {
  const unsigned char *nul = len != 0 ? memchr(data, 0, len) : NULL;
  return nul != NULL ? (size_t)(nul - (const unsigned char *)data) : len;
}

/* ---------------------------------------------------------------------------------------------------- text */

static ipc_status takes_every_at_off(const void *text, size_t text_len, uint32_t *out_kind, void *out_name,
                                     size_t name_max, size_t *out_len) {
  const unsigned char *at = text;
  while (text_len > 2 && at[0] == '@' && at[1] == '@') at++, text_len--;
  return ipc_name_parse(at, text_len, out_kind, out_name, name_max, out_len);
}
REPLACES(name_parse, takes_every_at_off)

static ipc_status finds_an_at_inside(const void *text, size_t text_len, uint32_t *out_kind, void *out_name,
                                     size_t name_max, size_t *out_len) {
  ipc_status status = ipc_name_parse(text, text_len, out_kind, out_name, name_max, out_len);
  if (status.code == IPC_OK && memchr(out_name, '@', *out_len) != NULL) *out_kind = IPC_NAME_NAMESPACED;
  return status;
}
REPLACES(name_parse, finds_an_at_inside)

static ipc_status takes_a_lone_at(const void *text, size_t text_len, uint32_t *out_kind, void *out_name,
                                  size_t name_max, size_t *out_len) {
  if (text_len != 1 || *(const char *)text != '@')
    return ipc_name_parse(text, text_len, out_kind, out_name, name_max, out_len);
  *out_kind = IPC_NAME_NAMESPACED;
  *out_len = 0;
  return mutant_status(IPC_OK);
}
REPLACES(name_parse, takes_a_lone_at)

static ipc_status cuts_text_at_nul(const void *text, size_t text_len, uint32_t *out_kind, void *out_name,
                                   size_t name_max, size_t *out_len) {
  return ipc_name_parse(text, up_to_nul(text, text_len), out_kind, out_name, name_max, out_len);
}
REPLACES(name_parse, cuts_text_at_nul)

static ipc_status forgets_the_dot_slash(const ipc_name *name, void *out_text, size_t text_max, size_t *out_len) {
  ipc_status status = ipc_name_format(name, out_text, text_max, out_len);
  if (status.code == IPC_OK && name->kind == IPC_NAME_PATH && *(const char *)name->data == '@') {
    *out_len -= 2;
    memmove(out_text, (const char *)out_text + 2, *out_len);
  }
  return status;
}
REPLACES(name_format, forgets_the_dot_slash)

static ipc_status formats_without_trailing_slashes(const ipc_name *name, void *out_text, size_t text_max,
                                                   size_t *out_len) {
  ipc_status status = ipc_name_format(name, out_text, text_max, out_len);
  if (status.code == IPC_OK && *out_len > 1 && ((const char *)out_text)[*out_len - 1] == '/') --*out_len;
  return status;
}
REPLACES(name_format, formats_without_trailing_slashes)

/* --------------------------------------------------------------------------------------------- addresses */

static ipc_status cuts_names_at_nul(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                    size_t *out_len) {
  ipc_name cut = *name;
  if (cut.kind != IPC_NAME_NATIVE) cut.len = up_to_nul(cut.data, cut.len);
  return ipc_name_native(&cut, os, out_native, native_max, out_len);
}
REPLACES(name_native, cuts_names_at_nul)

static ipc_status cuts_long_names(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                  size_t *out_len) {
  ipc_name cut = *name;
  size_t limit = 0;
  if (os == IPC_OS_LINUX && name->kind == IPC_NAME_PATH && ipc_name_limit(name->kind, os, &limit).code == IPC_OK)
    cut.len = smaller(cut.len, limit);
  return ipc_name_native(&cut, os, out_native, native_max, out_len);
}
REPLACES(name_native, cuts_long_names)

static ipc_status keeps_lengths_in_a_byte(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                          size_t *out_len) {
  ipc_name cut = *name;
  if (cut.len > 256) cut.len = (uint8_t)cut.len;
  return ipc_name_native(&cut, os, out_native, native_max, out_len);
}
REPLACES(name_native, keeps_lengths_in_a_byte)

static ipc_status pads_abstract_names(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                      size_t *out_len) {
  ipc_status status = ipc_name_native(name, os, out_native, native_max, out_len);
  if (status.code == IPC_OK && name->kind == IPC_NAME_NAMESPACED && *(const char *)out_native == 0) {
    memset((char *)out_native + *out_len, 0, PADDED - *out_len);
    *out_len = PADDED;
  }
  return status;
}
REPLACES(name_native, pads_abstract_names)

static ipc_status makes_a_file_of_a_name(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                         size_t *out_len) {
  ipc_name path = *name;
  if (os == IPC_OS_MACOS || os == IPC_OS_FREEBSD) path.kind = IPC_NAME_PATH;
  return ipc_name_native(&path, os, out_native, native_max, out_len);
}
REPLACES(name_native, makes_a_file_of_a_name)

static ipc_status makes_a_pipe_of_a_path(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                         size_t *out_len) {
  ipc_name pipe = *name;
  if (os == IPC_OS_WINDOWS && pipe.kind == IPC_NAME_PATH) pipe.kind = IPC_NAME_NAMESPACED;
  return ipc_name_native(&pipe, os, out_native, native_max, out_len);
}
REPLACES(name_native, makes_a_pipe_of_a_path)

/* limited_to answers as for a limit of |limit| bytes for paths of |os|. */
static ipc_status limited_to(size_t limit, uint32_t only_os, const ipc_name *name, uint32_t os, void *out_native,
                             size_t native_max, size_t *out_len) {
  if (name->kind != IPC_NAME_PATH || os != only_os) return ipc_name_native(name, os, out_native, native_max, out_len);
  *out_len = 0;
  if (name->len > limit) return mutant_status(IPC_NAME_TOO_LONG);
  return ipc_name_native(name, name->len > 103 ? IPC_OS_LINUX : os, out_native, native_max, out_len);
}

static ipc_status refuses_the_longest_macos_path(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                                 size_t *out_len) {
  return limited_to(102, IPC_OS_MACOS, name, os, out_native, native_max, out_len);
}
REPLACES(name_native, refuses_the_longest_macos_path)

static ipc_status takes_linux_limit_for_macos(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                              size_t *out_len) {
  return limited_to(CUT, IPC_OS_MACOS, name, os, out_native, native_max, out_len);
}
REPLACES(name_native, takes_linux_limit_for_macos)

static ipc_status counts_the_nul_in_the_limit(uint32_t kind, uint32_t os, size_t *out_max) {
  ipc_status status = ipc_name_limit(kind, os, out_max);
  if (status.code == IPC_OK && kind == IPC_NAME_PATH && os == IPC_OS_LINUX) ++*out_max;
  return status;
}
REPLACES(name_limit, counts_the_nul_in_the_limit)

static ipc_status counts_bytes_on_windows(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                          size_t *out_len) {
  if (os == IPC_OS_WINDOWS && name->kind == IPC_NAME_NAMESPACED && name->len > 247) {
    *out_len = 0;
    return mutant_status(IPC_NAME_TOO_LONG);
  }
  return ipc_name_native(name, os, out_native, native_max, out_len);
}
REPLACES(name_native, counts_bytes_on_windows)

static ipc_status folds_case_on_windows(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                        size_t *out_len) {
  ipc_status status = ipc_name_native(name, os, out_native, native_max, out_len);
  for (size_t i = 0; os == IPC_OS_WINDOWS && status.code == IPC_OK && i < *out_len; i++) {
    unsigned char *c = (unsigned char *)out_native + i;
    if (*c >= 'A' && *c <= 'Z') *c = (unsigned char)(*c + 32);
  }
  return status;
}
REPLACES(name_native, folds_case_on_windows)

static ipc_status drops_trailing_dots_on_windows(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                                 size_t *out_len) {
  ipc_name kept = *name;
  const char *data = name->data;
  if (os == IPC_OS_WINDOWS && name->kind == IPC_NAME_NAMESPACED) {
    while (kept.len > 1 && (data[kept.len - 1] == '.' || data[kept.len - 1] == ' ')) kept.len--;
  }
  return ipc_name_native(&kept, os, out_native, native_max, out_len);
}
REPLACES(name_native, drops_trailing_dots_on_windows)

static ipc_status takes_one_spelling_of_the_pipe_prefix(const ipc_name *name, uint32_t os, void *out_native,
                                                        size_t native_max, size_t *out_len) {
  const char *data = name->data;
  if (os == IPC_OS_WINDOWS && name->kind == IPC_NAME_NATIVE && name->len > 8 && data[4] != 'p') {
    *out_len = 0;
    return mutant_status(IPC_INVALID_NAME);
  }
  return ipc_name_native(name, os, out_native, native_max, out_len);
}
REPLACES(name_native, takes_one_spelling_of_the_pipe_prefix)

static ipc_status maps_native_names_again(const ipc_name *name, uint32_t os, void *out_native, size_t native_max,
                                          size_t *out_len) {
  ipc_name again = *name;
  if (again.kind == IPC_NAME_NATIVE && os == IPC_OS_WINDOWS) again.kind = IPC_NAME_NAMESPACED;
  return ipc_name_native(&again, os, out_native, native_max, out_len);
}
REPLACES(name_native, maps_native_names_again)

/* --------------------------------------------------------------------------------------------- names at work */

static ipc_name cut_path(const ipc_name *name) {
  ipc_name cut = *name;
  if (cut.kind != IPC_NAME_NAMESPACED && cut.len > CUT && *(const char *)cut.data != 0) cut.len = CUT;
  return cut;
}

static ipc_status connects_to_a_cut_path(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  const ipc_name cut = cut_path(name);
  return ipc_local_connect(&cut, timeout_ms, out_stream);
}
REPLACES(local_connect, connects_to_a_cut_path)

static ipc_status listens_on_a_cut_path(const ipc_name *name, const ipc_local_listen_options *options,
                                        ipc_listener **out_listener) {
  const ipc_name cut = cut_path(name);
  return ipc_local_listen(&cut, options, out_listener);
}
REPLACES(local_listen, listens_on_a_cut_path)

static ipc_status listens_on_ninety_two_bytes(const ipc_name *name, const ipc_local_listen_options *options,
                                              ipc_listener **out_listener) {
  if (name->kind == IPC_NAME_PATH && name->len > 92) return mutant_status(IPC_NAME_TOO_LONG);
  return ipc_local_listen(name, options, out_listener);
}
REPLACES(local_listen, listens_on_ninety_two_bytes)

static ipc_status binds_less_than_it_says(const ipc_name *name, const ipc_local_listen_options *options,
                                          ipc_listener **out_listener) {
  ipc_name cut = *name;
  if (cut.kind == IPC_NAME_PATH && cut.len > 100 && cut.len <= CUT) cut.len = 100;
  return ipc_local_listen(&cut, options, out_listener);
}
REPLACES(local_listen, binds_less_than_it_says)

static ipc_status calls_a_long_path_invalid(const ipc_name *name, const ipc_local_listen_options *options,
                                            ipc_listener **out_listener) {
  ipc_status status = ipc_local_listen(name, options, out_listener);
  if (status.code == IPC_NAME_TOO_LONG && name->kind == IPC_NAME_PATH) status.code = IPC_INVALID_ARGUMENT;
  return status;
}
REPLACES(local_listen, calls_a_long_path_invalid)

static ipc_status listens_up_to_the_nul(const ipc_name *name, const ipc_local_listen_options *options,
                                        ipc_listener **out_listener) {
  ipc_name cut = *name;
  if (cut.kind == IPC_NAME_PATH) cut.len = up_to_nul(cut.data, cut.len);
  return ipc_local_listen(&cut, options, out_listener);
}
REPLACES(local_listen, listens_up_to_the_nul)

static ipc_status connects_up_to_the_nul(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_name cut = *name;
  if (cut.kind == IPC_NAME_PATH) cut.len = up_to_nul(cut.data, cut.len);
  return ipc_local_connect(&cut, timeout_ms, out_stream);
}
REPLACES(local_connect, connects_up_to_the_nul)

/* padded makes the native name that fills all of sun_path. */
static ipc_name padded(const ipc_name *name, char *room) {
  memset(room, 0, PADDED);
  memcpy(room + 1, name->data, smaller(name->len, PADDED - 1));
  return (ipc_name){IPC_NAME_NATIVE, room, PADDED};
}

static ipc_status listens_on_a_padded_name(const ipc_name *name, const ipc_local_listen_options *options,
                                           ipc_listener **out_listener) {
  char room[PADDED];
  if (name->kind != IPC_NAME_NAMESPACED || name->len >= PADDED) return ipc_local_listen(name, options, out_listener);
  const ipc_name filled = padded(name, room);
  return ipc_local_listen(&filled, options, out_listener);
}
static ipc_status connects_to_a_padded_name(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  char room[PADDED];
  if (name->kind != IPC_NAME_NAMESPACED || name->len >= PADDED) return ipc_local_connect(name, timeout_ms, out_stream);
  const ipc_name filled = padded(name, room);
  return ipc_local_connect(&filled, timeout_ms, out_stream);
}
static void install_padded_names(ipc_table *table) {
  table->local_listen = listens_on_a_padded_name;
  table->local_connect = connects_to_a_padded_name;
}

static ipc_status compares_beginnings(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_local_connect(name, timeout_ms, out_stream);
  ipc_name shorter = *name;
  if (status.code != IPC_REFUSED && status.code != IPC_NAME_TOO_LONG) return status;
  if (shorter.kind != IPC_NAME_NAMESPACED || shorter.len < PADDED) return status;
  shorter.len = CUT;
  return ipc_local_connect(&shorter, timeout_ms, out_stream);
}
REPLACES(local_connect, compares_beginnings)

static ipc_status wants_utf8(const ipc_name *name, const ipc_local_listen_options *options,
                             ipc_listener **out_listener) {
  const unsigned char *data = name->data;
  for (size_t i = 0; name->kind == IPC_NAME_PATH && i < name->len; i++) {
    if (data[i] >= 0xF8) return mutant_status(IPC_INVALID_NAME);
  }
  return ipc_local_listen(name, options, out_listener);
}
REPLACES(local_listen, wants_utf8)

const mutant naming_mutants[] = {
    {"naming.every_at", "takes every @ at the beginning of a text off, not the first alone",
     "Naming.LeadingAtMeansNamespaced", NULL, NULL, install_takes_every_at_off},
    {"naming.at_inside", "takes a path with an @ inside for a namespaced name", "Naming.TextWithoutLeadingAtIsAPath",
     NULL, NULL, install_finds_an_at_inside},
    {"naming.lone_at", "takes a lone @ for the empty name (libzmq#700)", "Naming.EmptyTextIsInvalid", NULL, NULL,
     install_takes_a_lone_at},
    {"naming.text_cut_at_nul", "reads a text as a C string, up to its first NUL", "Naming.NulInTextIsInvalid", NULL,
     NULL, install_cuts_text_at_nul},
    {"naming.no_dot_slash", "writes a path that begins with @ as it is, so that it is read as a namespaced name",
     "Naming.FormatThenParseGivesTheNameBack", NULL, NULL, install_forgets_the_dot_slash},
    {"naming.trailing_slash_dropped", "drops a slash at the end of a path when it writes it",
     "Naming.FormatNeverSharesAText", NULL, NULL, install_formats_without_trailing_slashes},
    {"naming.name_cut_at_nul", "reads a name as a C string, up to its first NUL (libuv#4209)",
     "Naming.NulInANameIsInvalid", NULL, NULL, install_cuts_names_at_nul},
    {"naming.cut_to_fit", "cuts paths that are too long to the limit (libuv#4036)", "Naming.NothingIsEverCut", NULL,
     NULL, install_cuts_long_names},
    {"naming.length_in_a_byte", "keeps the length of a name in 8 bits, so that very long ones are accepted (grpc#8464)",
     "Naming.NothingIsEverCut", NULL, NULL, install_keeps_lengths_in_a_byte},
    {"naming.native_padded", "gives abstract names the length of all of sun_path (node#50889)",
     "Naming.LinuxNamespacedNameIsAbstract", NULL, NULL, install_pads_abstract_names},
    {"naming.namespaced_is_a_file", "makes a file of a namespaced name where there are none (libzmq#1011)",
     "Naming.KindTheSystemLacksIsUnsupported", NULL, NULL, install_makes_a_file_of_a_name},
    {"naming.path_is_a_pipe", "makes a pipe name of a file path on Windows (next-browser#7)",
     "Naming.KindTheSystemLacksIsUnsupported", NULL, NULL, install_makes_a_pipe_of_a_path},
    {"naming.macos_limit_low", "refuses a path of 103 bytes on macOS (vscode-languageserver-node#1143)",
     "Naming.UnixPathLimitIsExact", NULL, NULL, install_refuses_the_longest_macos_path},
    {"naming.macos_limit_high", "accepts paths on macOS that only Linux has room for (bazel#978)",
     "Naming.UnixPathLimitIsExact", NULL, NULL, install_takes_linux_limit_for_macos},
    {"naming.limit_with_nul", "publishes a limit that counts the NUL behind a path (libzmq#1176)",
     "Naming.UnixPathLimitIsExact", NULL, NULL, install_counts_the_nul_in_the_limit},
    {"naming.windows_counts_bytes", "counts bytes instead of UTF-16 units on Windows",
     "Naming.WindowsLimitCountsUtf16Units", NULL, NULL, install_counts_bytes_on_windows},
    {"naming.windows_folds_case", "makes pipe names lower case", "Naming.DifferentNamesHaveDifferentAddresses", NULL,
     NULL, install_folds_case_on_windows},
    {"naming.windows_drops_dots", "drops dots and spaces at the end of pipe names, as the system would",
     "Naming.WindowsRefusesNamesItWouldRewrite", NULL, NULL, install_drops_trailing_dots_on_windows},
    {"naming.windows_prefix_case", "knows the prefix of pipe names in lower case alone (toolhive#5201)",
     "Naming.WindowsPipePrefixHasNoCase", NULL, NULL, install_takes_one_spelling_of_the_pipe_prefix},
    {"naming.native_mapped_again", "maps a native name as if it were not one", "Naming.NativeNameIsUnchanged", NULL,
     NULL, install_maps_native_names_again},
    {"naming.connect_cuts", "cuts a path that is too long when it connects (libuv#244)", "Naming.OverlongPathIsRefused",
     NULL, NULL, install_connects_to_a_cut_path},
    {"naming.listen_cuts", "cuts a path that is too long when it listens (libuv#4036)", "Naming.OverlongPathIsRefused",
     NULL, NULL, install_listens_on_a_cut_path},
    {"naming.limit_of_92", "listens on paths of at most 92 bytes, the limit of another system (PowerShell#16994)",
     "Naming.PortablePathLengthIsUsable", NULL, NULL, install_listens_on_ninety_two_bytes},
    {"naming.binds_less", "binds the beginning of a path of legal length and goes on as if it were all (node#52347)",
     "Naming.PortablePathLengthIsUsable", NULL, NULL, install_binds_less_than_it_says},
    {"naming.long_is_invalid", "calls a path that is too long an invalid argument (libuv#4040, vscode#196543)",
     "Naming.OverlongPathIsNameTooLong", NULL, NULL, install_calls_a_long_path_invalid},
    {"naming.listens_up_to_nul", "listens on a path up to its first NUL (libuv#4209)", "Naming.PathWithANulIsRefused",
     NULL, NULL, install_listens_up_to_the_nul},
    {"naming.connects_up_to_nul", "connects to a path up to its first NUL (libuv#4209)", "Naming.PathWithANulIsRefused",
     NULL, NULL, install_connects_up_to_the_nul},
    {"naming.bound_padded", "fills an abstract name up with NULs where it binds and connects (node#50889)",
     "Naming.AbstractNameHasItsExactLength", NULL, NULL, install_padded_names},
    {"naming.abstract_cut", "cuts an abstract name that is too long when it connects",
     "Naming.LongestAbstractNameIsUsable", NULL, NULL, install_compares_beginnings},
    {"naming.wants_utf8", "refuses paths that are no UTF-8", "Naming.PathNamesAreBytes", NULL, NULL,
     install_wants_utf8},
    {0},
};
