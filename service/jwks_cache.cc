#include "service/jwks_cache.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64url.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

using nlohmann::json;

std::string TextOf(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

bool Holds(const json& list, const std::string& wanted) {
  return list.is_array() && std::any_of(list.begin(), list.end(), [&](const json& one) {
           return one.is_string() && one.get<std::string>() == wanted;
         });
}

// A key that its issuer means for something else verifies no token.
bool IsForSignatures(const json& key) {
  return TextOf(key, "kty") == "RSA" && !TextOf(key, "kid").empty() &&
         (!key.contains("use") || TextOf(key, "use") == "sig") &&
         (!key.contains("alg") || TextOf(key, "alg") == "RS256") &&
         (!key.contains("issuer") || !TextOf(key, "issuer").empty()) &&
         (!key.contains("key_ops") || Holds(key["key_ops"], "verify"));
}

}  // namespace

absl::StatusOr<SigningKeys> ParseJwks(absl::string_view text) {
  SigningKeys keys;
  if (text.size() > kMaxJwksBytes) return FieldInvalid("jwks", "must be at most 256 KiB");
  const json set = json::parse(text.begin(), text.end(), nullptr, false);
  if (set.is_object() && set.contains("keys") && set["keys"].is_array()) {
    for (const json& one : set["keys"]) {
      if (keys.size() == kMaxJwksKeys) break;
      if (!one.is_object() || !IsForSignatures(one)) continue;
      const std::optional<std::string> n = DecodeBase64Url(TextOf(one, "n"));
      const std::optional<std::string> e = DecodeBase64Url(TextOf(one, "e"));
      if (!n.has_value() || !e.has_value()) continue;
      if (auto key = crypto::RsaPublicKey::Create(*n, *e); key.ok()) {
        keys.emplace(TextOf(one, "kid"), SigningKey{*key, TextOf(one, "issuer")});
      }
    }
  }
  if (keys.empty()) return FieldInvalid("jwks", "must hold at least one RSA key for signatures");
  return keys;
}

absl::Status JwksCache::Load() {
  {
    absl::MutexLock lock(&mutex_);
    last_try_ = clock_.MonotonicNow();
  }
  CMK_ASSIGN_OR_RETURN(const std::string text, fetch_());
  CMK_ASSIGN_OR_RETURN(SigningKeys keys, ParseJwks(text));
  absl::MutexLock lock(&mutex_);
  keys_ = std::make_shared<const SigningKeys>(std::move(keys));
  last_success_ = clock_.MonotonicNow();
  return absl::OkStatus();
}

std::optional<SigningKey> JwksCache::Find(const std::string& kid) {
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (const auto found = keys_->find(kid); found != keys_->end()) return found->second;
  }
  FetchIfOlderThan(options_.refetch_at_least);
  return std::nullopt;
}

void JwksCache::Tick() { FetchIfOlderThan(options_.refetch_every); }

void JwksCache::FetchIfOlderThan(absl::Duration age) {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = clock_.MonotonicNow();
  const bool due = now - last_success_ >= age && now - last_try_ >= options_.refetch_at_least;
  if (fetching_ || !due) return;
  fetching_ = worker_.TryRun([this, self = shared_from_this()] {
    const absl::Status loaded = Load();
    if (!loaded.ok()) {
      Log(LogLevel::kWarning, "jwks_not_refreshed", {{"reason", ReasonOf(loaded)}});
    }
    absl::MutexLock done(&mutex_);
    fetching_ = false;
  });
}

}  // namespace cmkstore::service
