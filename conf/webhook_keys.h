// [webhooks.NAME]: who is called when something happens.
#pragma once

#include "conf/config.h"
#include "conf/document.h"
#include "conf/reader.h"
#include "conf/section.h"

namespace sluice::conf {

inline constexpr std::size_t kWebhooksMax = 16;
inline constexpr std::size_t kWebhookHeadersMax = 32;

Section<Webhook> webhook_section();

// What keys of one webhook say together. `document`: the whole file.
void check_webhooks(Reader& reader, const Entry& document, const Config& config);

}  // namespace sluice::conf
