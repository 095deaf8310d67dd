// DiskModel: what a disk may hold after the power fails, from the calls that a process made of the
// file system. Calls of this test program go through it while it records (disk_model.cc stands in
// front of the C library's functions).
//
// Files and the names in their directory are apart, as they are on a disk: fsync of a file makes
// its bytes durable, fsync of the directory the names. What is not synced may be there, in part or
// whole, or not. After a mere kill everything is there.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace sluice::testing_disk {

struct Call {
  enum class Kind : std::uint8_t { create, write, truncate, sync, sync_directory, rename, remove };
  Kind kind = Kind::write;
  std::string path;  // within the directory; of `rename`: the old name
  std::string to;    // of `rename`
  std::uint64_t offset = 0;
  std::string bytes;
  int mark = 0;  // what mark() had said before it
};

// Names and what is in them.
using Image = std::map<std::string, std::string>;

// Everything that happens below `directory` is recorded from here on; one at a time.
void begin_recording(const std::string& directory);
std::vector<Call> end_recording();
// A number that calls carry from now on.
void mark(int number);

// The nth call from now on of this kind fails with this errno (0: none does), `times` times.
void fail(Call::Kind kind, int nth, int error, int times = 1);

// What is on the disk after the first `count` calls: all of it (a kill), or what survives a power
// failure, as `random` has it.
Image after_kill(const std::vector<Call>& calls, std::size_t count);
Image after_power_loss(const std::vector<Call>& calls, std::size_t count, std::mt19937& random);
void put_on_disk(const Image& image, const std::string& directory);

}  // namespace sluice::testing_disk
