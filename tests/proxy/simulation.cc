#include "tests/proxy/simulation.h"

#include <algorithm>
#include <charconv>

namespace sluice::proxy {
namespace {

constexpr std::size_t kTurnsMax = 400'000;

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  return text;
}

std::shared_ptr<conf::Config> make_config(const Simulation::Options& options,
                                          const std::vector<Address>& origins) {
  auto config = std::make_shared<conf::Config>();
  config->limits.stream_buffer_bytes = options.stream_buffer_bytes;
  conf::Backend backend;
  backend.name = "blue";
  if (options.http2_servers) backend.protocol = conf::HttpVersion::http2;
  for (std::size_t i = 0; i < origins.size(); ++i) {
    backend.servers.push_back({"s" + std::to_string(i), origins[i]});
  }
  config->backends.push_back(backend);
  conf::Route route;
  route.name = "app";
  route.split.push_back({"blue", *Decimal::parse("1")});
  route.limits = config->limits;
  config->routes.push_back(route);
  return config;
}

// One chunk or body of a message that is framed by `fields`; npos where it isn't whole yet.
Reading take_chunked(const std::string& text, std::size_t& at, std::string& body) {
  for (;;) {
    const std::size_t line_end = text.find("\r\n", at);
    if (line_end == std::string::npos) return Reading::incomplete;
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + line_end, size, 16);
    if (error != std::errc{} || end != text.data() + line_end) return Reading::malformed;
    at = line_end + 2;
    if (text.size() < at + size + 2) return Reading::incomplete;
    body.append(text, at, size);
    at += size;
    if (text.compare(at, 2, "\r\n") != 0) return Reading::malformed;
    at += 2;
    if (size == 0) return Reading::whole;
  }
}

}  // namespace

std::string pattern(std::uint64_t name, std::size_t bytes) {
  std::string text(bytes, '\0');
  io::Chance chance(name);
  for (std::size_t i = 0; i < bytes; i += 8) {
    const std::uint64_t word = chance.next();
    for (std::size_t j = i; j < std::min(i + 8, bytes); ++j) {
      text[j] = static_cast<char>('a' + ((word >> (8 * (j - i))) & 0xff) % 26);
    }
  }
  return text;
}

std::string Wish::target() const {
  const char* kinds[] = {"length", "chunked", "close"};
  return "/" + std::string(kinds[static_cast<int>(kind)]) + "/" + std::to_string(name) + "/" +
         std::to_string(bytes);
}

Wish Wish::from_target(std::string_view target) {
  Wish wish;
  wish.kind = target.starts_with("/length")    ? Kind::length
              : target.starts_with("/chunked") ? Kind::chunked
                                               : Kind::close;
  const std::size_t first = target.find('/', 1);
  const std::size_t second = target.find('/', first + 1);
  std::from_chars(target.data() + first + 1, target.data() + second, wish.name);
  std::from_chars(target.data() + second + 1, target.data() + target.size(), wish.bytes);
  return wish;
}

std::string SimpleMessage::field(std::string_view name) const {
  for (const auto& [field, value] : fields) {
    if (field == name) return value;
  }
  return {};
}

Reading read_message(std::string& text, bool is_response, bool ended, bool bodiless,
                     SimpleMessage& message) {
  message = {};
  const std::size_t head_end = text.find("\r\n\r\n");
  if (head_end == std::string::npos) return Reading::incomplete;
  std::size_t at = text.find("\r\n");
  message.start_line = text.substr(0, at);
  at += 2;
  while (at < head_end + 2) {
    const std::size_t end = text.find("\r\n", at);
    const std::size_t colon = text.find(": ", at);
    if (colon == std::string::npos || colon > end) return Reading::malformed;
    message.fields.emplace_back(lower(text.substr(at, colon - at)),
                                text.substr(colon + 2, end - colon - 2));
    at = end + 2;
  }
  at = head_end + 4;
  const std::string length = message.field("content-length");
  if (message.field("transfer-encoding") == "chunked") {
    if (!length.empty()) return Reading::malformed;
    const Reading reading = take_chunked(text, at, message.body);
    if (reading != Reading::whole) return reading;
  } else if (!length.empty() && !bodiless) {
    const std::size_t bytes = std::stoull(length);
    if (text.size() < at + bytes) return Reading::incomplete;
    message.body = text.substr(at, bytes);
    at += bytes;
  } else if (is_response && !bodiless) {
    if (!ended) return Reading::incomplete;
    message.body = text.substr(at);
    at = text.size();
  }
  text.erase(0, at);
  return Reading::whole;
}

struct Simulation::Client {
  io::Peer peer;
  std::string input;
  std::deque<Asked> waiting;  // sent, not answered
  std::size_t sent = 0;
  std::size_t answered = 0;
  bool http_1_0 = false;
  bool done = false;
  std::size_t abort_at_turn = 0;  // 0: never
  std::size_t turns = 0;
};

Simulation::Simulation(const Options& options)
    : options_(options), plan_(options.plan), chance_(plan_.seed * 77 + 5), network_(plan_) {
  for (std::size_t i = 0; i < options_.servers; ++i) {
    origin_addresses_.push_back(*Address::parse("10.0.1." + std::to_string(i + 1) + ":80"));
    network_.listen_scripted(origin_addresses_.back());
  }
  const auto config = make_config(options_, origin_addresses_);
  config_ = config;
  reactor_ = std::make_unique<Reactor>(std::make_unique<io::FakeRing>(network_), counters_,
                                       connections_, config_);
  worker_ = std::make_unique<Worker>(0, *reactor_, nullptr, *this);
  routing::State state;
  state.apply(*state.plan_reload(*config_, WallTime{}).revision);
  routing::Registry registry(1);
  ServerSettingsTable servers;
  for (const conf::Backend& backend : config_->backends) {
    servers.push_back(std::make_shared<const ServerSettings>(settings_without_tls(backend)));
  }
  worker_->adopt(registry.build(config_, state, 1),
                 std::make_shared<const ServerSettingsTable>(std::move(servers)));
  auto settings = std::make_shared<ConnectionSettings>();
  settings->listener = "http";
  settings->limits = config_->limits;
  settings->http2 = true;
  reactor_->listen("http", io::FileDescriptor(network_.listen(kSimulatedListener)), settings,
                   worker_->service());
  add_clients();
}

void Simulation::add_clients() {
  for (std::size_t i = 0; i < options_.clients; ++i) {
    const bool http2 = options_.http2_clients > 0 && chance_.happens(options_.http2_clients);
    std::size_t abort_at_turn = 0;
    if (options_.client_aborts && chance_.happens(0.5)) abort_at_turn = chance_.between(1, 400);
    if (options_.clients_reset_at > 0) abort_at_turn = options_.clients_reset_at;
    if (http2) {
      http2_clients_.push_back(std::make_unique<Http2Client>(
          H2Peer(network_.connect(kSimulatedListener)), abort_at_turn));
      continue;
    }
    clients_.push_back(std::make_unique<Client>());
    Client& client = *clients_.back();
    client.peer = network_.connect(kSimulatedListener);
    client.http_1_0 = chance_.happens(0.15);
    client.abort_at_turn = abort_at_turn;
  }
}

Simulation::~Simulation() = default;

void Simulation::fail(std::string what) {
  if (failure_.empty()) failure_ = "seed " + std::to_string(plan_.seed) + ": " + std::move(what);
}

bool Simulation::server_resets_now() {
  return turns_ == options_.servers_reset_at || (options_.server_aborts && chance_.happens(0.002));
}

bool Simulation::may_break() const {
  return options_.server_aborts || options_.servers_reset_at > 0 ||
         options_.server_streams_reset_at > 0 || plan_.reset > 0 || plan_.open_error > 0;
}

Simulation::Asked Simulation::next_request() {
  Asked asked;
  asked.wish.kind = static_cast<Wish::Kind>(chance_.between(0, 2));
  asked.wish.name = chance_.next() % 1'000'000 + 1;
  asked.wish.bytes = chance_.happens(0.2) ? 0 : chance_.between(1, options_.body_bytes_max);
  const std::size_t body_bytes = chance_.between(0, options_.body_bytes_max);
  const char* methods[] = {"GET", "POST", "PUT", "HEAD"};
  asked.method = methods[chance_.between(0, 3)];
  if (asked.method == "POST" || asked.method == "PUT") {
    asked.body = pattern(asked.wish.name + 7, body_bytes);
  }
  return asked;
}

void Simulation::send_next(Client& client) {
  Asked asked = next_request();
  const bool last = client.sent + 1 == options_.requests_per_client;
  std::string text = asked.method + " " + asked.wish.target() +
                     (client.http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n") + "Host: sim\r\n";
  if (client.http_1_0 && !last) text += "Connection: keep-alive\r\n";
  if (asked.method == "POST" || asked.method == "PUT") {
    if (!client.http_1_0 && chance_.happens(0.5)) {
      text += "Transfer-Encoding: chunked\r\n\r\n";
      std::size_t at = 0;
      while (at < asked.body.size()) {
        const std::size_t part = std::min(chance_.between(1, 9000), asked.body.size() - at);
        char size[20];
        const auto end = std::to_chars(size, size + sizeof size, part, 16).ptr;
        text.append(size, end).append("\r\n").append(asked.body, at, part).append("\r\n");
        at += part;
      }
      text += "0\r\n\r\n";
    } else {
      text += "Content-Length: " + std::to_string(asked.body.size()) + "\r\n\r\n" + asked.body;
    }
  } else {
    text += "\r\n";
  }
  client.peer.write(text);
  client.waiting.push_back(std::move(asked));
  ++client.sent;
}

void Simulation::check_response(const Asked& asked, const SimpleMessage& response) {
  ++responses_whole_;
  const std::string status = response.start_line.substr(0, 12);
  if (status != "HTTP/1.1 200") {
    // The proxy's own answers to what broke behind it.
    const bool own = status == "HTTP/1.1 502" || status == "HTTP/1.1 503" ||
                     status == "HTTP/1.1 504" || status == "HTTP/1.1 408";
    if (!may_break() || !own)
      fail("unexpected status: " + response.start_line + ", " + response.body);
    return;
  }
  if (response.field("x-method") != asked.method) fail("answer to another request");
  if (response.field("x-body-bytes") != std::to_string(asked.body.size()) ||
      response.field("x-body-hash") != std::to_string(std::hash<std::string>{}(asked.body))) {
    fail("the origin got another body than was sent");
  }
  if (asked.method != "HEAD" && response.body != asked.wish.body()) {
    fail("the client got another body than was sent: " + std::to_string(response.body.size()) +
         " bytes of " + std::to_string(asked.wish.bytes));
  }
}

void Simulation::step_client(Client& client) {
  if (client.done) return;
  ++client.turns;
  if (client.abort_at_turn == client.turns) {
    client.peer.reset();
    client.done = true;
    return;
  }
  const std::string news = client.peer.take();
  client.input += news;
  const bool ended = client.peer.saw_end() || client.peer.saw_reset();
  while (!client.waiting.empty() && (!news.empty() || ended)) {
    SimpleMessage response;
    const bool head = client.waiting.front().method == "HEAD";
    // A reset is never the end of a response.
    const Reading reading = read_message(client.input, true, client.peer.saw_end(), head, response);
    if (reading == Reading::malformed) {
      fail("malformed response");
      client.done = true;
      return;
    }
    if (reading == Reading::incomplete) break;
    check_response(client.waiting.front(), response);
    client.waiting.pop_front();
    ++client.answered;
  }
  if (ended && client.waiting.empty() && client.answered < options_.requests_per_client &&
      client.http_1_0) {
    // Its last answer ended with the connection; the rest comes on another.
    client.peer.close();
    client.peer = network_.connect(kSimulatedListener);
    client.input.clear();
  } else if (ended) {
    responses_cut_ += client.waiting.size();
    client.peer.close();
    client.done = true;
    return;
  }
  if (client.answered == options_.requests_per_client) {
    client.peer.close();
    client.done = true;
    return;
  }
  const bool pipelines = options_.pipelining && !client.http_1_0;
  const std::size_t ahead = pipelines ? chance_.between(1, 3) : 1;
  while (client.sent < options_.requests_per_client && client.waiting.size() < ahead) {
    send_next(client);
  }
}

void Simulation::step_origins() {
  if (options_.http2_servers) return step_http2_origins();
  for (const Address& address : origin_addresses_) {
    while (auto peer = network_.accept(address)) origins_.push_back({*peer, {}, false});
  }
  for (OriginConnection& connection : origins_) {
    const std::string news = connection.peer.take();
    connection.input += news;
    if (connection.answered_last) continue;
    if (server_resets_now()) {
      connection.peer.reset();
      connection.answered_last = true;
      continue;
    }
    SimpleMessage request;
    // One at a time: the proxy waits for each answer.
    const Reading reading = news.empty()
                                ? Reading::incomplete
                                : read_message(connection.input, false, false, false, request);
    if (reading == Reading::malformed) fail("an origin got a malformed request");
    if (reading == Reading::whole) answer(connection, request);
    if (connection.peer.saw_end() || connection.peer.saw_reset()) {
      connection.peer.close();
      connection.answered_last = true;
    }
  }
  std::erase_if(origins_, [](const OriginConnection& c) {
    return c.answered_last && (c.peer.saw_end() || c.peer.saw_reset());
  });
}

void Simulation::answer(OriginConnection& connection, const SimpleMessage& request) {
  ++requests_at_origins_;
  const std::size_t space = request.start_line.find(' ');
  const std::string method = request.start_line.substr(0, space);
  const std::string_view target = std::string_view(request.start_line)
                                      .substr(space + 1, request.start_line.rfind(' ') - space - 1);
  if (!request.start_line.ends_with(" HTTP/1.1")) fail("an origin got " + request.start_line);
  const Wish wish = Wish::from_target(target);
  const std::string body = wish.body();
  std::string text = "HTTP/1.1 200 OK\r\nX-Method: " + method +
                     "\r\nX-Body-Bytes: " + std::to_string(request.body.size()) +
                     "\r\nX-Body-Hash: " + std::to_string(std::hash<std::string>{}(request.body)) +
                     "\r\n";
  const bool bodiless = method == "HEAD";
  switch (wish.kind) {
    case Wish::Kind::length:
      text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
      if (!bodiless) text += body;
      break;
    case Wish::Kind::chunked:
      text += "Transfer-Encoding: chunked\r\n\r\n";
      if (bodiless) break;
      for (std::size_t at = 0; at < body.size();) {
        const std::size_t part = std::min(chance_.between(1, 7000), body.size() - at);
        char size[20];
        const auto end = std::to_chars(size, size + sizeof size, part, 16).ptr;
        text.append(size, end).append("\r\n").append(body, at, part).append("\r\n");
        at += part;
      }
      text += "0\r\n\r\n";
      break;
    case Wish::Kind::close:
      text += "Connection: close\r\n\r\n";
      if (!bodiless) text += body;
      connection.answered_last = true;
      break;
  }
  if (options_.server_aborts && chance_.happens(0.1)) {
    text.resize(chance_.between(0, text.size()));
    connection.peer.write(text);
    connection.peer.reset();
    connection.answered_last = true;
    return;
  }
  connection.peer.write(text);
  if (connection.answered_last) connection.peer.finish();
}

bool Simulation::all_done() const {
  const auto done = [](const auto& client) { return client->done; };
  return std::ranges::all_of(clients_, done) && std::ranges::all_of(http2_clients_, done);
}

std::string Simulation::run() {
  while (!all_done() && failure_.empty()) {
    if (++turns_ > kTurnsMax) {
      fail("it hangs");
      break;
    }
    for (const auto& client : clients_) step_client(*client);
    for (const auto& client : http2_clients_) step_http2_client(*client);
    step_origins();
    reactor_->loop().turn(reactor_->loop().now() + std::chrono::milliseconds(1));
  }
  const std::size_t turns = std::exchange(turns_, kTurnsMax + 1);  // nothing is broken off any more
  reactor_->drain();
  worker_->close_pools();
  for (int i = 0; i < 2000 && reactor_->loop().attached() > 0; ++i) {
    if (i == 1000) reactor_->cut_clients();
    step_origins();
    reactor_->loop().turn(reactor_->loop().now() + std::chrono::milliseconds(10));
  }
  if (reactor_->loop().attached() > 0) fail("something is never joined");
  if (reactor_->loop().blocks().lent() > 0) fail("output blocks are lost");
  if (const std::string left = network_.check_clean(); !left.empty()) fail(left);
  worker_.reset();
  turns_ = turns;
  return failure_;
}

}  // namespace sluice::proxy
