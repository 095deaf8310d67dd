#include "proxy/demo/app_servers.h"

#include <future>
#include <thread>

#include "admin/json_writer.h"
#include "proxy/data/local_service.h"
#include "proxy/data/reactor.h"
#include "proxy/io/listening_socket.h"
#include "proxy/io/uring_ring.h"

namespace sluice::proxy {
namespace {

constexpr std::size_t kBodyBytesMax = 1024 * 1024;

// One app server's answers.
class App {
 public:
  App(std::string backend, std::string version)
      : backend_(std::move(backend)), version_(std::move(version)) {}

  LocalReply serve(const LocalRequest& request) {
    const std::string_view path = request.head.path();
    if (path == "/health") {
      return healthy_ ? text(200, "healthy\n") : text(503, "made to fail\n");
    }
    if (path == "/health/fail" || path == "/health/ok") {
      if (request.head.method != http::Method::post) return text(405, "use POST\n");
      healthy_ = path == "/health/ok";
      return text(200, healthy_ ? "healthy from now on\n" : "failing from now on\n");
    }
    return show(request);
  }

 private:
  static LocalReply text(int status, std::string body) {
    return {.status = status,
            .content_type = "text/plain; charset=utf-8",
            .fields = {},
            .body = std::move(body)};
  }

  LocalReply show(const LocalRequest& request) const {
    admin::JsonWriter json;
    json.begin_object();
    json.key("backend").value(backend_);
    json.key("version").value(version_);
    json.key("request");
    json.begin_object();
    json.key("method").value(request.head.method_text);
    json.key("path").value(request.head.target);
    json.key("host").value(request.head.authority);
    json.key("fields");
    json.begin_array();
    for (const http::Field field : request.head.fields) {
      json.value(std::string(field.name) + ": " + std::string(field.value));
    }
    json.end_array();
    json.key("body_bytes").value(request.body.size());
    json.end_object();
    json.end_object();
    LocalReply reply{.status = 200, .content_type = "application/json", .fields = {}, .body = {}};
    reply.body = json.finish();
    return reply;
  }

  const std::string backend_;
  const std::string version_;
  bool healthy_ = true;
};

}  // namespace

struct AppServers::State {
  Address blue;
  Address green;
  std::thread thread;
  io::Loop* loop = nullptr;

  void serve(std::promise<std::expected<void, std::string>> started) {
    auto ring = io::make_uring_ring();
    const Address any_port = *Address::parse("127.0.0.1:0");
    auto blue_socket = io::open_listening_socket(any_port);
    auto green_socket = io::open_listening_socket(any_port);
    for (const auto* error :
         {ring ? nullptr : &ring.error(), blue_socket ? nullptr : &blue_socket.error(),
          green_socket ? nullptr : &green_socket.error()}) {
      if (!error) continue;
      started.set_value(std::unexpected(*error));
      return;
    }
    blue = io::bound_address(blue_socket->get());
    green = io::bound_address(green_socket->get());

    admin::WorkerCounters counters;
    ConnectionCount connections;
    Reactor reactor(std::move(*ring), counters, connections, std::make_shared<conf::Config>());
    const auto settings = std::make_shared<ConnectionSettings>();
    App blue_app("blue", "1.0");
    App green_app("green", "2.0");
    LocalService blue_service(
        reactor.loop(), kBodyBytesMax,
        [&](LocalRequest request, Answer answer) { answer(blue_app.serve(request)); });
    LocalService green_service(
        reactor.loop(), kBodyBytesMax,
        [&](LocalRequest request, Answer answer) { answer(green_app.serve(request)); });
    reactor.listen("blue", std::move(*blue_socket), settings, blue_service);
    reactor.listen("green", std::move(*green_socket), settings, green_service);
    loop = &reactor.loop();
    started.set_value({});
    reactor.run();
    reactor.drain();
    reactor.cut_clients();
    reactor.join();
  }
};

std::expected<std::unique_ptr<AppServers>, std::string> AppServers::start() {
  auto state = std::make_unique<State>();
  std::promise<std::expected<void, std::string>> started;
  auto result = started.get_future();
  state->thread =
      std::thread([state = state.get()](auto promise) { state->serve(std::move(promise)); },
                  std::move(started));
  if (const auto outcome = result.get(); !outcome) {
    state->thread.join();
    return std::unexpected(outcome.error());
  }
  return std::unique_ptr<AppServers>(new AppServers(std::move(state)));
}

AppServers::AppServers(std::unique_ptr<State> state) : state_(std::move(state)) {
}

AppServers::~AppServers() {
  state_->loop->post([loop = state_->loop] { loop->stop(); });
  state_->thread.join();
}

const Address& AppServers::blue() const {
  return state_->blue;
}

const Address& AppServers::green() const {
  return state_->green;
}

}  // namespace sluice::proxy
