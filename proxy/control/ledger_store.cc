#include "proxy/control/ledger_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace sluice::proxy {

struct LedgerStore::Reading {
  std::string text;
  routing::LedgerContents contents;  // as far as it can be read
  std::size_t good_bytes = 0;
  std::string damage;  // not empty: a sentence
  bool is_good() const { return damage.empty(); }
};

namespace {

std::string path_of(const std::string& directory, std::size_t copy) {
  return directory + (copy == 0 ? "/ledger" : "/ledger.2");
}

// The records of `shorter` are the first ones of `longer`, as far as both have them.
bool agree(const routing::LedgerContents& shorter, const routing::LedgerContents& longer) {
  for (const routing::Revision& revision : shorter.revisions) {
    if (revision.number <= longer.base.revision) continue;
    const auto found =
        std::ranges::lower_bound(longer.revisions, revision.number, {}, &routing::Revision::number);
    if (found == longer.revisions.end() || *found != revision) return false;
  }
  return true;
}

// One a record, and one for the header.
std::ptrdiff_t lines(std::string_view text) {
  return std::ranges::count(text, '\n');
}

}  // namespace

LedgerStore::LedgerStore(const Places& places)
    : copies_{
          LedgerCopy(path_of(places.directory, 0)),
          LedgerCopy(path_of(
              places.second_directory.empty() ? places.directory : places.second_directory, 1))} {
}

std::expected<io::FileDescriptor, std::string> LedgerStore::hold(const std::string& directory) {
  const std::string path = directory + "/ledger.lock";
  io::FileDescriptor lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!lock) {
    return std::unexpected(
        fmt::format("ledger {}: cannot open it: {}", path, std::strerror(errno)));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  return std::unexpected(fmt::format(
      "ledger {}: another process holds it; is Sluice running with this state directory already?",
      path));
}

std::expected<LedgerStore::Opened, std::string> LedgerStore::open(const Places& places) {
  for (const std::string& directory : {places.directory, places.second_directory}) {
    if (directory.empty()) continue;
    if (const auto made = make_directory(directory); !made) return std::unexpected(made.error());
  }
  Opened opened;
  opened.store.reset(new LedgerStore(places));
  LedgerStore& store = *opened.store;
  auto lock = hold(places.directory);
  if (!lock) return std::unexpected(std::move(lock.error()));
  store.lock_ = std::move(*lock);
  std::array<Reading, kCopies> readings;
  for (std::size_t i = 0; i < kCopies; ++i) {
    LedgerCopy& copy = store.copies_[i];
    auto text = copy.open();
    if (!text) return std::unexpected(std::move(text.error()));
    Reading& reading = readings[i];
    reading.text = std::move(*text);
    auto contents = routing::read_ledger(reading.text);
    if (contents) {
      reading.contents = std::move(*contents);
    } else {
      const routing::LedgerDamage& damage = contents.error();
      reading.damage = fmt::format("ledger {}: damaged at byte {}: {}", copy.path(), damage.offset,
                                   damage.message);
      auto before = routing::read_ledger(std::string_view(reading.text).substr(0, damage.offset));
      if (before) reading.contents = std::move(*before);
    }
    reading.good_bytes = reading.contents.good_bytes;
  }
  store.choose(readings, opened);
  if (opened.damage.empty()) {
    if (const auto same = store.make_same(readings, opened); !same) {
      return std::unexpected(same.error());
    }
  }
  return opened;
}

// Which copy counts: of the good ones the one that knows more. Where neither can be believed, for
// reading only, likewise.
void LedgerStore::choose(std::array<Reading, kCopies>& readings, Opened& opened) {
  const auto knows_more = [](const Reading& a, const Reading& b) {
    return a.contents.last() > b.contents.last();
  };
  Reading& first = readings[0];
  Reading& second = readings[1];
  const bool one_is_damaged = first.is_good() != second.is_good();
  if (one_is_damaged) {
    // A good copy that lacks more than the one change that may have been in flight was not written
    // beside the damaged one to its end: it must not pass for all there was.
    const std::size_t good = first.is_good() ? 0 : 1;
    const std::size_t bad = 1 - good;
    if (lines(readings[bad].text) > lines(readings[good].text) + 1) {
      readings[good].damage =
          fmt::format("ledger {}: it ends at revision {}, long before the other copy",
                      copies_[good].path(), readings[good].contents.last());
    }
  } else if (first.is_good() && !agree(first.contents, second.contents) &&
             !agree(second.contents, first.contents)) {
    first.damage = second.damage = fmt::format(
        "ledger {}: the two copies hold different revisions of the same number: keep the right "
        "one, and take the other away",
        copies_[0].path());
  }
  const bool neither = !first.is_good() && !second.is_good();
  if (neither) {
    opened.damage = first.damage;
    if (second.damage != first.damage) opened.damage += "; " + second.damage;
  }
  const bool second_is_better = neither || (first.is_good() && second.is_good())
                                    ? knows_more(second, first)
                                    : second.is_good();
  const Reading& best = second_is_better ? second : first;
  const Reading& other = second_is_better ? first : second;
  opened.base = best.contents.base;
  opened.revisions = best.contents.revisions;
  opened.torn_bytes = best.contents.torn_bytes;
  if (other.is_good() && other.contents.last() == best.contents.last()) {
    opened.torn_bytes = std::max(opened.torn_bytes, other.contents.torn_bytes);
  }
  text_ = best.text.substr(0, best.good_bytes);
  chain_ = best.contents.chain;
  revision_count_ = opened.revisions.size();
  damage_ = opened.damage;
}

std::expected<void, std::string> LedgerStore::make_same(
    const std::array<Reading, kCopies>& readings, Opened& opened) {
  if (text_.empty()) {
    text_ = routing::kLedgerHeader;
    chain_ = routing::ledger_chain_start();
  }
  const routing::RevisionNumber last =
      opened.revisions.empty() ? opened.base.revision : opened.revisions.back().number;
  for (std::size_t i = 0; i < kCopies; ++i) {
    LedgerCopy& copy = copies_[i];
    const Reading& reading = readings[i];
    if (!reading.is_good()) {
      const std::string aside = fmt::format("{}.damaged-{}", copy.path(), std::time(nullptr));
      if (const auto kept = write_whole(aside, reading.text); !kept) {
        return std::unexpected(kept.error());
      }
      opened.repairs.push_back(reading.damage + "; it was made anew from the other copy, and its " +
                               "bytes are kept in " + aside);
    }
    const bool same =
        reading.is_good() && std::string_view(reading.text).substr(0, reading.good_bytes) == text_;
    if (!same && reading.is_good() && reading.contents.last() != last && !reading.text.empty()) {
      opened.repairs.push_back(fmt::format(
          "ledger {}: it ended at revision {}, and was made anew from the other copy, which ends "
          "at {}",
          copy.path(), reading.contents.last(), last));
    }
    // Whatever the process before us was cut off in: what is served from here on is on the disk.
    auto done = same ? copy.settle(reading.good_bytes) : copy.replace(text_);
    if (!done) return done;
  }
  return {};
}

// --- Appending ----------------------------------------------------------------------------------

std::expected<void, std::string> LedgerStore::append(const routing::Revision& revision) {
  if (!damage_.empty()) return std::unexpected(damage_);
  if (owed_) {
    if (auto written = append_one(*owed_); !written) return written;
    owed_.reset();
  }
  return append_one(revision);
}

std::expected<void, std::string> LedgerStore::append_one(const routing::Revision& revision) {
  auto record = routing::encode_record(revision, chain_);
  if (!record) return std::unexpected(record.error());
  restore_broken_copies();
  if (auto written = write_durably(record->text); !written) return written;
  chain_ = record->chain;
  ++revision_count_;
  const std::lock_guard held(mutex_);
  text_ += record->text;
  return {};
}

std::expected<void, std::string> LedgerStore::write_durably(std::string_view record) {
  if (good_copies() == 0) return std::unexpected(alarm());
  std::string error;
  for (LedgerCopy& copy : copies_) {
    if (!copy.broken().empty() || !error.empty()) continue;
    if (auto written = copy.write(record); !written) error = std::move(written.error());
  }
  for (LedgerCopy& copy : copies_) {
    if (!copy.broken().empty() || !error.empty()) continue;
    if (auto synced = copy.sync(); !synced) error = std::move(synced.error());
  }
  if (error.empty()) return {};
  take_back_all();
  return std::unexpected(error);
}

// So that a restart doesn't put in force what was refused. A copy whose fsync was fine has the
// record on the disk already: it is rewritten to be without.
void LedgerStore::take_back_all() {
  for (LedgerCopy& copy : copies_) {
    if (copy.bytes() > text_.size()) {
      if (auto made = copy.replace(text_); !made) copy.give_up(std::move(made.error()));
    } else if (auto back = copy.take_back(); !back && copy.broken().empty()) {
      copy.give_up(std::move(back.error()));
    }
  }
}

void LedgerStore::restore_broken_copies() {
  for (LedgerCopy& copy : copies_) {
    if (copy.broken().empty()) continue;
    if (auto made = copy.replace(text_); !made) copy.give_up(std::move(made.error()));
  }
}

std::expected<void, std::string> LedgerStore::compact(std::size_t kept) {
  if (!damage_.empty()) return std::unexpected(damage_);
  auto contents = routing::read_ledger(text_);
  if (!contents) return std::unexpected(contents.error().message);
  if (contents->revisions.size() <= kept) return {};
  const auto first_kept = contents->revisions.end() - static_cast<std::ptrdiff_t>(kept);
  routing::State base(std::move(contents->base));
  for (auto it = contents->revisions.begin(); it != first_kept; ++it) base.apply(*it);
  const auto encoded =
      routing::encode_ledger(base.image(), {first_kept, contents->revisions.end()});
  if (!encoded) return std::unexpected(encoded.error());
  {
    const std::lock_guard held(mutex_);
    text_ = encoded->text;
  }
  chain_ = encoded->chain;
  revision_count_ = kept;
  std::string error;
  for (LedgerCopy& copy : copies_) {
    // A copy that can't be replaced is longer, and says the same; but appending goes on from here.
    if (auto made = copy.replace(text_); !made) {
      error = made.error();
      copy.give_up(std::move(made.error()));
    }
  }
  if (!error.empty()) return std::unexpected(error);
  return {};
}

// --- What there is to say -----------------------------------------------------------------------

std::string LedgerStore::text() const {
  const std::lock_guard held(mutex_);
  return text_;
}

std::size_t LedgerStore::good_copies() const {
  if (!damage_.empty()) return 0;
  return static_cast<std::size_t>(
      std::ranges::count_if(copies_, [](const LedgerCopy& copy) { return copy.broken().empty(); }));
}

std::string LedgerStore::alarm() const {
  std::string all = damage_;
  for (const LedgerCopy& copy : copies_) {
    if (copy.broken().empty()) continue;
    if (!all.empty()) all += "; ";
    all += copy.broken();
  }
  return all;
}

}  // namespace sluice::proxy
