#pragma once

#include <ctime>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace shoal {

// Folders that all units of an executor have in common, as /tmp: many programs name them, and do
// not ask for TMPDIR. What a unit has left there would be in the way of the next one, or change
// what it makes, and would stay until there is no room. So when a unit ends, whatever has not been
// touched since the oldest one that still runs began goes away. Safe to use from several threads.
class CommonFolders {
 public:
  // What lies in them now stays: files that are read from there may be mounted below.
  explicit CommonFolders(std::vector<std::filesystem::path> folders);

  // While it lives, nothing goes that the unit may have made.
  class Use {
   public:
    explicit Use(CommonFolders& folders);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    CommonFolders& folders_;
    std::multiset<std::pair<std::time_t, long>>::iterator begun_;
  };

 private:
  using Moment = std::pair<std::time_t, long>;
  static bool older(const std::filesystem::path& path, const Moment& than);

  std::mutex lock_;
  std::vector<std::pair<std::filesystem::path, std::set<std::string>>> folders_;
  std::multiset<Moment> running_;
};

}  // namespace shoal
