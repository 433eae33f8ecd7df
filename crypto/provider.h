#pragma once

#include <string>

#include "absl/status/status.h"

namespace cmkstore::crypto {

// Selects which OpenSSL provider computes everything from here on, TLS included, by an OpenSSL
// property query:
// "" (any provider), "fips=yes" (a FIPS provider, which the machine must have and openssl.cnf must
// describe), "provider=NAME". Every algorithm that is used is looked up once, so that what a
// provider lacks shows at the start and not at the first document.
//
// Call once, before the first use of any function of this folder and before threads are started:
// algorithms are remembered at their first use.
//
// Errors: STATE_INVALID, naming what is not to be had.
absl::Status SelectProvider(const std::string& property_query);

}  // namespace cmkstore::crypto
