/* replay_main.cc - runs a fuzz target over files, without a fuzzer: the corpora and every old finding, in any build.
 *
 * Arguments: files, and directories whose files (not those of directories within) are meant. Status 2 if there is no
 * input at all. */
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/input.h"

namespace {

bool is_directory(const std::string &path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

std::vector<std::string> files_of(const std::string &path) {
  if (!is_directory(path)) return {path};
  std::vector<std::string> files;
  DIR *directory = opendir(path.c_str());
  if (directory == nullptr) return files;
  while (const dirent *entry = readdir(directory)) {
    const std::string file = path + "/" + entry->d_name;
    if (entry->d_name[0] != '.' && !is_directory(file)) files.push_back(file);
  }
  closedir(directory);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char **argv) {
  size_t inputs = 0;
  for (int i = 1; i < argc; i++) {
    for (const std::string &file : files_of(argv[i])) {
      std::ifstream stream(file, std::ios::binary);
      if (!stream) {
        std::fprintf(stderr, "%s cannot be read\n", file.c_str());
        return 2;
      }
      const std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
      /* Said before, so that an abort names its input. */
      std::printf("%s\n", file.c_str());
      std::fflush(stdout);
      /* Its own memory, exactly as long as the input. */
      const std::vector<uint8_t> input(bytes.begin(), bytes.end());
      (void)LLVMFuzzerTestOneInput(input.data(), input.size());
      inputs++;
    }
  }
  if (inputs == 0) {
    std::fprintf(stderr, "usage: %s FILE-OR-DIRECTORY...; there was no input\n", argv[0]);
    return 2;
  }
  std::printf("%zu inputs\n", inputs);
  return 0;
}
