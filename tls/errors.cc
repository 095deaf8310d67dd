#include "tls/errors.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "tls/session.h"

namespace sluice::tls {
namespace {

std::string to_words(const char* reason) {
  std::string words = reason;
  std::ranges::transform(words, words.begin(), [](char c) {
    if (c == '_') return ' ';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return words;
}

}  // namespace

std::string take_error() {
  // The first entry of the TLS layer says what went wrong in the protocol's terms; the entries
  // before it, if any, are details of the crypto or parsing beneath.
  std::uint32_t cause = 0;
  while (const std::uint32_t error = ERR_get_error()) {
    if (cause == 0 || (ERR_GET_LIB(cause) != ERR_LIB_SSL && ERR_GET_LIB(error) == ERR_LIB_SSL)) {
      cause = error;
    }
  }
  if (cause == 0) return "unknown";
  const int reason = ERR_GET_REASON(cause);
  if (ERR_GET_LIB(cause) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET) {
    return std::string(kPeerAlert) + SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
  }
  const char* text = ERR_reason_error_string(cause);
  return text != nullptr ? to_words(text) : "unknown";
}

}  // namespace sluice::tls
