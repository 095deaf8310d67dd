// The few pieces of cryptography that other rooms need outside a TLS connection. Pure functions,
// for any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sluice::tls {

// SHA-1 (RFC 3174) of the bytes, in base64 (RFC 4648 §4). No secret is kept by it: the WebSocket
// handshake asks for it (RFC 6455 §4.2.2).
std::string sha1_base64(std::string_view bytes);

using Sha256 = std::array<std::uint8_t, 32>;
// SHA-256 (RFC 6234) of the bytes.
Sha256 sha256(std::string_view bytes);
// HMAC with SHA-256 (RFC 2104).
Sha256 hmac_sha256(std::string_view secret, std::string_view bytes);
// Whether they are the same, in a time that only their length tells of. Precondition: of one size.
bool equal_in_constant_time(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b);
// That nobody can guess.
void fill_with_random(std::span<std::uint8_t> bytes);

// That many random bytes, in base64; and in base64url without padding (§5).
std::string random_base64(std::size_t bytes);
std::string random_base64url(std::size_t bytes);

// SHA-256 (FIPS 180-4) of the bytes, in lower-case hex.
std::string sha256_hex(std::string_view bytes);

// In a time that says nothing of where they differ.
bool equal_in_constant_time(std::string_view one, std::string_view other);

}  // namespace sluice::tls
