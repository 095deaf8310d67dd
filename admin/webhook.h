// GET /webhooks: who is called, and how that goes.
#pragma once

#include "admin/api.h"
#include "admin/view.h"

namespace sluice::admin {

Reply render_webhooks(const View& view, Format format);

}  // namespace sluice::admin
