#include "admin/metrics.h"

#include <gtest/gtest.h>

#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>

#include "admin/worker_counters.h"

namespace sluice::admin {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};
struct Family {
  std::string type;
  std::string help;
  std::vector<Sample> samples;
};

bool is_name(std::string_view text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
         std::string_view::npos;
}

// Reads one sample line of the text format 0.0.4; nullopt for anything that is not exactly one.
std::optional<Sample> read_sample(std::string_view line) {
  Sample sample;
  const std::size_t name_end = line.find_first_of("{ ");
  if (name_end == std::string_view::npos) return {};
  sample.name = line.substr(0, name_end);
  if (!is_name(sample.name)) return {};
  line.remove_prefix(name_end);
  if (line.starts_with('{')) {
    do {
      line.remove_prefix(1);
      const std::size_t equals = line.find("=\"");
      if (equals == std::string_view::npos || !is_name(line.substr(0, equals))) return {};
      const std::string label(line.substr(0, equals));
      line.remove_prefix(equals + 2);
      std::string value;
      while (!line.empty() && line[0] != '"') {
        if (line[0] == '\\') {
          line.remove_prefix(1);
          if (line.empty() || (line[0] != '\\' && line[0] != '"' && line[0] != 'n')) return {};
          value += line[0] == 'n' ? '\n' : line[0];
        } else {
          value += line[0];
        }
        line.remove_prefix(1);
      }
      if (line.empty() || !sample.labels.emplace(label, value).second) return {};
      line.remove_prefix(1);
    } while (line.starts_with(','));
    if (!line.starts_with('}')) return {};
    line.remove_prefix(1);
  }
  if (!line.starts_with(' ')) return {};
  line.remove_prefix(1);
  const auto read = std::from_chars(line.data(), line.data() + line.size(), sample.value);
  if (read.ec != std::errc{} || read.ptr != line.data() + line.size()) return {};
  return sample;
}

// Strict: HELP, TYPE and samples of each family together and once; no sample twice.
std::map<std::string, Family> read_metrics(const std::string& text) {
  std::map<std::string, Family> families;
  std::set<std::string> seen;
  std::string current;
  std::istringstream lines(text);
  std::string line;
  EXPECT_TRUE(text.ends_with('\n'));
  while (std::getline(lines, line)) {
    if (line.starts_with("# HELP ")) {
      const std::size_t space = line.find(' ', 7);
      current = line.substr(7, space - 7);
      EXPECT_FALSE(families.contains(current)) << line;
      families[current].help = line.substr(space + 1);
    } else if (line.starts_with("# TYPE ")) {
      EXPECT_TRUE(line.starts_with("# TYPE " + current + " ")) << line;
      EXPECT_TRUE(families[current].samples.empty()) << line;
      families[current].type = line.substr(line.rfind(' ') + 1);
    } else {
      const auto sample = read_sample(line);
      EXPECT_TRUE(sample) << line;
      if (!sample) continue;
      EXPECT_TRUE(seen.insert(line.substr(0, line.rfind(' '))).second) << line;
      std::string base = sample->name;
      if (families[current].type == "histogram") base = base.substr(0, base.rfind('_'));
      EXPECT_EQ(base, current) << line;
      families[current].samples.push_back(*sample);
    }
  }
  return families;
}

MetricsInput full_input() {
  MetricsInput input;
  input.version = "0.1.0";
  input.started = WallTime(milliseconds(1'795'000'000'250));
  input.epoch = 9;
  input.ready = true;
  input.listeners = {{.name = "https"}, {.name = "http"}};
  input.servers = {{.key = {"blue", "web-1"}, .up = true, .running = 3, .requests = 10},
                   {.key = {"blue", "odd\"\\\n\xff"}, .draining = true, .probes_failed = 2}};
  input.shares = {{"app", "blue", 99.5, 1000}, {"app", "green", 0.000001, 0}};
  input.ledger = {.revision = 42, .bytes = 5000, .writes = 41, .write_time = milliseconds(205)};
  return input;
}

double value_of(const std::map<std::string, Family>& families, const std::string& family,
                const std::map<std::string, std::string>& labels, const std::string& name = "") {
  const auto found = families.find(family);
  if (found != families.end()) {
    for (const Sample& sample : found->second.samples) {
      if (sample.labels == labels && (name.empty() || sample.name == name)) return sample.value;
    }
  }
  ADD_FAILURE() << "no such sample of " << family;
  return -1;
}

TEST(Metrics, AreWellFormedAndComplete) {
  for (const MetricsInput& input : {MetricsInput{}, full_input()}) {
    const auto families = read_metrics(render_metrics(input));
    const auto definitions = metric_definitions();
    EXPECT_EQ(families.size(), definitions.size());
    for (const MetricDefinition& definition : definitions) {
      const auto found = families.find(std::string(definition.name));
      ASSERT_NE(found, families.end()) << definition.name;
      EXPECT_EQ(found->second.type, to_string(definition.type));
      EXPECT_EQ(found->second.help, definition.help);
      std::string labels;
      for (const Sample& sample : found->second.samples) {
        // In no order; `le` is left out of the definition.
        std::set<std::string> names;
        for (const auto& [name, value] : sample.labels) {
          if (name != "le") names.insert(name);
        }
        std::set<std::string> defined;
        std::istringstream list{std::string(definition.labels)};
        for (std::string name; std::getline(list, name, ',');) defined.insert(name);
        EXPECT_EQ(names, defined) << definition.name;
      }
    }
  }
}

TEST(Metrics, AreNamedByTheRules) {
  std::set<std::string_view> names;
  for (const MetricDefinition& definition : metric_definitions()) {
    EXPECT_TRUE(definition.name.starts_with("sluice_")) << definition.name;
    EXPECT_TRUE(is_name(definition.name));
    EXPECT_EQ(definition.name.ends_with("_total"), definition.type == MetricType::counter)
        << definition.name;
    EXPECT_TRUE(names.insert(definition.name).second) << definition.name;
    EXPECT_TRUE(definition.help.ends_with('.')) << definition.help;
    EXPECT_EQ(definition.help.find_first_of("\\\n"), std::string_view::npos);
    for (const char* unit : {"_ms", "_milliseconds", "_kb", "_percent", "_ns"})
      EXPECT_EQ(definition.name.find(unit), std::string_view::npos) << definition.name;
  }
}

TEST(Metrics, SumWhatWorkersCounted) {
  const auto workers = std::make_unique<std::array<WorkerCounters, 2>>();
  for (WorkerCounters& worker : *workers) {
    worker.add(Count::client_bytes_received, 500);
    worker.add(count_for_status(204));
    worker.add(count_for_status(502), 2);
    worker.add(count_for_refusal(431));
    worker.add(count_for_refusal(418));
    worker.add(Count::timeout_connect, 3);
    worker.add(Count::backend_connects, 10);
    worker.add(Count::backend_connects_failed, 1);
    worker.add(Count::backend_connections_closed, 4);
    worker.listeners[0].accepted.add(7);
    worker.listeners[0].closed.add(2);
    worker.listeners[0].tls_handshakes.add(6);
    worker.listeners[0].tls_resumed.add(4);
    worker.listeners[0].tls_failed.add(1);
    worker.listeners[1].accepted.add(1);
  }
  (*workers)[1].add(Count::loop_turns, 77);
  MetricsInput input = full_input();
  input.add((*workers)[0], 8);
  input.add((*workers)[1], 9);
  const auto families = read_metrics(render_metrics(input));
  EXPECT_EQ(value_of(families, "sluice_workers", {}), 2);
  EXPECT_EQ(value_of(families, "sluice_worker_loop_turns_total", {{"worker", "1"}}), 77);
  EXPECT_EQ(value_of(families, "sluice_worker_epoch", {{"worker", "0"}}), 8);
  EXPECT_EQ(value_of(families, "sluice_received_bytes_total", {{"peer", "client"}}), 1000);
  EXPECT_EQ(value_of(families, "sluice_requests_total", {{"status", "2xx"}}), 2);
  EXPECT_EQ(value_of(families, "sluice_requests_total", {{"status", "5xx"}}), 4);
  EXPECT_EQ(value_of(families, "sluice_requests_refused_total", {{"status", "431"}}), 2);
  EXPECT_EQ(value_of(families, "sluice_requests_refused_total", {{"status", "other"}}), 2);
  EXPECT_EQ(value_of(families, "sluice_timeouts_total", {{"timeout", "connect"}}), 6);
  EXPECT_EQ(value_of(families, "sluice_backend_connections", {}), 10);
  EXPECT_EQ(value_of(families, "sluice_client_connections", {{"listener", "https"}}), 10);
  EXPECT_EQ(value_of(families, "sluice_client_connections_accepted_total", {{"listener", "http"}}),
            2);
  const auto handshakes = [&](const char* result) {
    return value_of(families, "sluice_tls_handshakes_total",
                    {{"listener", "https"}, {"result", result}});
  };
  EXPECT_EQ(handshakes("full"), 4);
  EXPECT_EQ(handshakes("resumed"), 8);
  EXPECT_EQ(handshakes("failed"), 2);
}

TEST(Metrics, EveryCountIsShownOnce) {
  // Each counter alone must change the text, and no two may change it in the same place.
  MetricsInput none;
  const std::string before = render_metrics(none);
  std::set<std::string> changed;
  for (std::size_t i = 0; i < kCountCount; ++i) {
    WorkerCounters counters;
    counters.counts[i].add(1);
    MetricsInput input;
    input.add(counters, 0);
    MetricsInput without;
    without.add(WorkerCounters{}, 0);
    const std::string text = render_metrics(input);
    const bool subtracted = static_cast<Count>(i) == Count::backend_connections_closed;
    if (subtracted) continue;  // shows only beside connects
    EXPECT_NE(text, render_metrics(without)) << i;
    EXPECT_TRUE(changed.insert(text).second) << i;
  }
  EXPECT_FALSE(before.empty());
}

TEST(Metrics, DurationsFillTheBucketsUpToTheirBounds) {
  WorkerCounters counters;
  counters.durations.observe(Duration(0));
  counters.durations.observe(Duration(-5));
  counters.durations.observe(milliseconds(1));
  counters.durations.observe(milliseconds(1) + Duration(1));
  counters.durations.observe(milliseconds(499));
  counters.durations.observe(seconds(10));
  counters.durations.observe(seconds(100));
  MetricsInput input;
  input.add(counters, 0);
  const auto families = read_metrics(render_metrics(input));
  const std::string family = "sluice_request_duration_seconds";
  const auto bucket = [&](const char* le) {
    return value_of(families, family, {{"le", le}}, family + "_bucket");
  };
  EXPECT_EQ(bucket("0.001"), 3);
  EXPECT_EQ(bucket("0.002"), 4);
  EXPECT_EQ(bucket("0.2"), 4);
  EXPECT_EQ(bucket("0.5"), 5);
  EXPECT_EQ(bucket("10"), 6);
  EXPECT_EQ(bucket("+Inf"), 7);
  EXPECT_EQ(value_of(families, family, {}, family + "_count"), 7);
  EXPECT_NEAR(value_of(families, family, {}, family + "_sum"), 110.501, 0.001);
}

TEST(Metrics, LabelValuesAreEscaped) {
  const std::string text = render_metrics(full_input());
  EXPECT_NE(text.find("server=\"odd\\\"\\\\\\n\xef\xbf\xbd\""), std::string::npos);
  const auto families = read_metrics(text);
  EXPECT_EQ(value_of(families, "sluice_server_draining",
                     {{"backend", "blue"}, {"server", "odd\"\\\n\xef\xbf\xbd"}}),
            1);
}

TEST(Metrics, ValuesAreExact) {
  const auto families = read_metrics(render_metrics(full_input()));
  EXPECT_NEAR(value_of(families, "sluice_start_time_seconds", {}), 1795000000.25, 1e-6);
  EXPECT_EQ(value_of(families, "sluice_route_weight", {{"route", "app"}, {"backend", "green"}}),
            0.000001);
  EXPECT_EQ(value_of(families, "sluice_ledger_write_seconds_total", {}), 0.205);
  EXPECT_EQ(value_of(families, "sluice_revision", {}), 42);
  EXPECT_EQ(value_of(families, "sluice_server_up", {{"backend", "blue"}, {"server", "web-1"}}), 1);
}

TEST(Metrics, GaugesOfDifferencesNeverWrap) {
  MetricsInput input = full_input();
  input.listeners[0].closed = 5;
  const auto families = read_metrics(render_metrics(input));
  EXPECT_EQ(value_of(families, "sluice_client_connections", {{"listener", "https"}}), 0);
}

TEST(WorkerCounters_, ShareNoCacheLine) {
  EXPECT_EQ(alignof(WorkerCounters), 64u);
  EXPECT_EQ(sizeof(WorkerCounters) % 64, 0u);
}

TEST(WorkerCounters_, EveryStatusHasItsClass) {
  EXPECT_EQ(count_for_status(101), Count::responses_1xx);
  EXPECT_EQ(count_for_status(200), Count::responses_2xx);
  EXPECT_EQ(count_for_status(304), Count::responses_3xx);
  EXPECT_EQ(count_for_status(499), Count::responses_4xx);
  EXPECT_EQ(count_for_status(599), Count::responses_5xx);
}

}  // namespace
}  // namespace sluice::admin
