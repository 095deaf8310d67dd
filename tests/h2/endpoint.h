// An HTTP/2 session under test with an owner that writes down what it hears, and a peer that is
// nothing but bytes: raw frames in, and what comes out told in words, a line for each frame.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/h2/session.h"
#include "tests/harness/h2_frames.h"

namespace sluice::h2 {

using harness::Fields;

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Fields from pairs, for tables: {{":method", "GET"}, …}.
Fields fields_of(const Pairs& pairs);
Section section_of(const Pairs& pairs);
Fields get_request(std::string_view path = "/");
Fields request_with(const Pairs& more, std::string method = "GET");
// The frame of a request's head: a GET that ends with it, a POST that has a body still to come.
std::string get(std::uint32_t stream, const Pairs& more = {});
std::string post(std::uint32_t stream, const Pairs& more = {});
// A head in one line: `GET /a?b at 'h' body 5` and its fields as [name|value].
std::string tell(const http::RequestHead& head);
std::string tell(const http::ResponseHead& head);
std::string tell(const http::Fields& fields);

class Endpoint final : public SessionHandler, public Output {
 public:
  // A stream that has a handler, and what it heard.
  struct Heard final : StreamHandler {
    Endpoint* owner = nullptr;
    Stream* stream = nullptr;  // null: gone, or let go of
    std::int32_t id = 0;
    std::string body;
    std::string head;
    std::string closed;  // how; empty: not yet
    bool ended = false;  // END_STREAM has come
    int writable = 0;

    void on_response_head(http::ResponseHead& head, bool complete) override;
    void on_data(Bytes bytes) override;
    void on_end(const http::Fields& trailers) override;
    void on_writable() override;
    void on_closed(const Reset* reset) override;
  };

  explicit Endpoint(Options options = server_options());
  static Options server_options();
  static Options client_options();

  // Feeds the session, flushes it and delivers. False if the session failed.
  bool take(std::string_view bytes);
  // The same without flushing.
  bool receive(std::string_view bytes);
  void settle();  // flush and deliver until nothing is left to do, or to say
  // The peer's preface and SETTINGS, and the acknowledgement of ours; forgets what came out.
  void greet(const harness::h2::Settings& settings = {});

  // Everything that came out since the last call, told, but for SETTINGS and WINDOW_UPDATE of the
  // beginning once greet() was called.
  std::vector<std::string> frames();
  std::string raw_frames();  // likewise, as bytes
  // What handlers heard since the last call, joined by newlines; data of one stream joined.
  std::string events();
  Heard& stream(std::int32_t id);
  // Client role: opens a stream with this request.
  Heard& ask(const std::vector<std::pair<std::string, std::string>>& fields, bool end = true);
  // Server role.
  void answer(std::int32_t id, std::string_view body, std::string_view status = "200");

  // Output.
  void write(Bytes bytes) override;
  bool has_room() const override { return out_.size() < room; }

  // SessionHandler.
  StreamHandler* on_request(Stream& stream, http::RequestHead&& head, bool complete) override;
  void on_refused_request(Stream& stream, const http::RequestHead& head,
                          const http::ParseError& error) override;
  void on_goaway() override { note("goaway"); }
  void on_settings() override { note("settings"); }

  void note(const std::string& event) { events_.push_back(event); }

  Session session;
  TimePoint now{std::chrono::hours(1)};
  std::size_t room = static_cast<std::size_t>(-1);
  std::size_t written = 0;  // bytes that came out in all
  // Called where a handler is called, before anything else; may do what handlers may.
  std::function<void(Heard&, std::string_view event)> during;
  bool answer_refused = true;
  bool keep_events = true;

 private:
  Heard& hear(Stream& stream);
  void note_data(std::int32_t id, std::string_view bytes);

  std::string out_;
  std::vector<std::string> events_;
  std::map<std::int32_t, std::unique_ptr<Heard>> heard_;
  std::vector<std::unique_ptr<Heard>> asked_;
  harness::h2::SectionDecoder decoder_;
  std::string section_;  // of HEADERS that CONTINUATION goes on with
};

}  // namespace sluice::h2
