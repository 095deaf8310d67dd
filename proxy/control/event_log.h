// Events: what an operator reads of the process itself, one JSON object a line on standard error:
// {"time":…,"level":…,"event":…, …}. Rare by nature; never called by workers.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace sluice::proxy {

enum class Level : std::uint8_t { info, warning, error };

using EventFields = std::initializer_list<std::pair<std::string_view, std::string>>;

// Thread-safe; one write() a line.
// One that can't be written at once (a pipe that nobody reads) is dropped: nothing waits for it.
void log_event(Level level, std::string_view event, EventFields fields = {});

// A line of another kind for the same place. `line` ends with a line feed.
void write_log_line(std::string_view line);

}  // namespace sluice::proxy
