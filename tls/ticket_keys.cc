#include "tls/ticket_keys.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "proxy/base/check.h"
#include "tls/context.h"

namespace sluice::tls {
namespace {

constexpr std::size_t kNameBytes = 16;
constexpr std::size_t kNonceBytes = 12;
constexpr std::size_t kTagBytes = 16;
static_assert(kNameBytes + kNonceBytes + kTagBytes == TicketKeys::kOverhead);

}  // namespace

// A sealed ticket is ciphertext, tag, nonce, name: in this order it can be sealed and opened in
// place. AES-GCM-SIV (RFC 8452) because nonces are random: were one to repeat, nothing would show
// but that two sessions are equal.
struct TicketKeys::Key {
  std::array<std::uint8_t, kNameBytes> name;
  // Safe to use from many threads at once; wiped when freed.
  bssl::UniquePtr<EVP_AEAD_CTX> aead;

  static std::shared_ptr<const Key> make() {
    auto key = std::make_shared<Key>();
    std::array<std::uint8_t, 32> secret;
    RAND_bytes(key->name.data(), key->name.size());
    RAND_bytes(secret.data(), secret.size());
    key->aead.reset(EVP_AEAD_CTX_new(EVP_aead_aes_256_gcm_siv(), secret.data(), secret.size(),
                                     EVP_AEAD_DEFAULT_TAG_LENGTH));
    OPENSSL_cleanse(secret.data(), secret.size());
    SLUICE_CHECK(key->aead != nullptr);
    return key;
  }
};

TicketKeys::TicketKeys(std::function<TimePoint()> now)
    : now_(std::move(now)), pair_{.current = Key::make()}, rotated_(now_()) {
}
TicketKeys::~TicketKeys() = default;

std::shared_ptr<TicketKeys> make_ticket_keys() {
  return std::make_shared<TicketKeys>([] { return TimePoint(std::chrono::steady_clock::now()); });
}

void TicketKeys::rotate() {
  const TimePoint now = now_();
  const std::lock_guard lock(mutex_);
  rotate_locked(now);
}

void TicketKeys::rotate_locked(TimePoint now) {
  pair_.previous = std::exchange(pair_.current, Key::make());
  rotated_ = now;
}

TicketKeys::Pair TicketKeys::keys() {
  const TimePoint now = now_();
  const std::lock_guard lock(mutex_);
  const Duration age = now - rotated_;
  if (age >= kRotation) rotate_locked(now);
  // Nobody came for so long that even the newest key is past its time.
  if (age >= 2 * kRotation) pair_.previous.reset();
  return pair_;
}

std::optional<std::size_t> TicketKeys::seal(std::span<const std::uint8_t> session,
                                            std::span<std::uint8_t> out) {
  if (out.size() < session.size() + kOverhead) return std::nullopt;
  const std::shared_ptr<const Key> key = keys().current;
  std::array<std::uint8_t, kNonceBytes> nonce;
  RAND_bytes(nonce.data(), nonce.size());
  std::size_t size = 0;
  if (EVP_AEAD_CTX_seal(key->aead.get(), out.data(), &size, out.size(), nonce.data(), nonce.size(),
                        session.data(), session.size(), nullptr, 0) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  std::ranges::copy(nonce, out.subspan(size).begin());
  std::ranges::copy(key->name, out.subspan(size + kNonceBytes).begin());
  return size + kNonceBytes + kNameBytes;
}

std::optional<std::size_t> TicketKeys::open(std::span<const std::uint8_t> ticket,
                                            std::span<std::uint8_t> out) {
  if (ticket.size() < kOverhead) return std::nullopt;
  const auto name = ticket.last<kNameBytes>();
  const auto nonce = ticket.last<kNonceBytes + kNameBytes>().first<kNonceBytes>();
  const auto sealed = ticket.first(ticket.size() - kNonceBytes - kNameBytes);
  const Pair pair = keys();
  const auto named = [&](const std::shared_ptr<const Key>& key) {
    return key != nullptr && std::ranges::equal(name, key->name);
  };
  const Key* const key = named(pair.current)    ? pair.current.get()
                         : named(pair.previous) ? pair.previous.get()
                                                : nullptr;
  if (key == nullptr) return std::nullopt;
  std::size_t size = 0;
  if (EVP_AEAD_CTX_open(key->aead.get(), out.data(), &size, out.size(), nonce.data(), nonce.size(),
                        sealed.data(), sealed.size(), nullptr, 0) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  return size;
}

}  // namespace sluice::tls
