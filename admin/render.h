// Replies: what the API says. JSON that a person can read, or tables with `?format=text`.
// Control calls the second half once a Command has run; what left the configuration while a call
// was waiting is answered with 404.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "admin/api.h"
#include "routing/revision.h"
#include "routing/state.h"

namespace sluice::admin {

// --- What GET answers -------------------------------------------------------------------------
Reply render_index(const View& view, Format format);
Reply render_weights(const View& view, Format format);
// Precondition: the route exists.
Reply render_route(const View& view, std::string_view route, Format format);
Reply render_backends(const View& view, Format format);
// Precondition: the backend exists.
Reply render_backend(const View& view, std::string_view backend, Format format);

// --- What becomes of a Command ----------------------------------------------------------------
// The plan was refused: 404, 412 or 422, and nothing changed.
Reply render_plan_error(const View& view, const Command& command, const routing::PlanError& error);
// The plan changes nothing, and what is already so is in force everywhere (control makes sure, as
// after a change: an earlier call may have ended in 504): 200. Shift and Switch; a Drain gets
// render_drain.
Reply render_noop(const View& view, const Command& command);
// A shift or switch is in force everywhere: 200.
Reply render_shift_done(const View& view, const Command& command,
                        const routing::Revision& revision);
// A drain or resume is in force everywhere, and what `wait` asked for is so: 200. `changed` is
// false when it was already so.
Reply render_drain(const View& view, const Command& command, bool changed);
// What `wait` asked for did not come in time: 504 with the server's state. The drain stays.
Reply render_wait_lapsed(const View& view, const Command& command);
// The revision is durable, but these workers did not adopt it in time: 504.
Reply render_not_adopted(const View& view, routing::RevisionNumber revision,
                         std::span<const std::size_t> workers);
// The ledger took no record: 503, and nothing changed. `why` is a sentence.
Reply render_ledger_failed(std::string_view why);

}  // namespace sluice::admin
