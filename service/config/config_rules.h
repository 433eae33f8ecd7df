#pragma once

#include <vector>

#include "cmkstore/config/v1/config.pb.h"
#include "keycache/key_cache_options.h"
#include "service/config/config_reader.h"
#include "vault/token_source.h"

namespace cmkstore::service {

// What no single option can tell: combinations that would not work, would not be safe, or would
// break the promise of 45 s. Reads no file. Pure.
std::vector<ConfigProblem> CheckRules(const config::v1::Config& config);

keycache::KeyCacheOptions ToKeyCacheOptions(const config::v1::Keys& keys);
// As it is written; what a pod's environment adds is not in it.
vault::IdentityOptions ToIdentityOptions(const config::v1::Identity& identity);

// `checked` is what a check of identities[index] says.
std::vector<ConfigProblem> IdentityProblems(int index, const absl::Status& checked);

}  // namespace cmkstore::service
