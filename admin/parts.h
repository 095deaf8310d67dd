// Parts that several replies and the audit log say in the same way.
#pragma once

#include <string>
#include <string_view>

#include "admin/api.h"
#include "admin/json_writer.h"
#include "admin/view.h"
#include "routing/revision.h"

namespace sluice::admin {

// {"blue": 90, "green": 10}, on one line.
void write_split(JsonWriter& json, const routing::Split& split);
// The same of states, where any is other than active; else nothing.
void write_states(JsonWriter& json, const routing::Split& split);
// "states", "maintenance": what of a setting is not its weights, as members.
void write_setting(JsonWriter& json, const routing::RouteSetting& setting);
// One change of a revision, as an object of "route", "before" and "after".
void write_changes(JsonWriter& json, const routing::Revision& revision);
void write_lease(JsonWriter& json, routing::RevisionNumber number, const routing::Lease& lease);
// The object of one server.
void write_server(JsonWriter& json, const ServerView& server);
// {"everywhere": true, "workers": 4, "weights": {...}}, or by_worker where workers differ.
void write_in_force(JsonWriter& json, const View& view, std::string_view route);

// Whether every worker routes by the route's desired weights.
bool is_in_force(const View& view, std::string_view route);
// "up", "down", "unknown"; "unprobed" without a health check.
std::string_view status_word(const ServerView& server);
// Whether it gets new requests.
bool takes_new_work(const ServerView& server);
// "blue=90 green=10".
std::string split_text(const routing::Split& split);

Reply json_reply(JsonWriter& json);
Reply text_reply(std::string text);

}  // namespace sluice::admin
