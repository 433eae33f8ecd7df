#pragma once

namespace cmkstore::testing {

// Self-signed, with its key; valid in January of 2025 only.
inline constexpr char kEndedCertificate[] = R"PEM(-----BEGIN CERTIFICATE-----
MIIBDDCBs6ADAgECAgEBMAoGCCqGSM49BAMCMBAxDjAMBgNVBAMMBWRhdGVzMB4X
DTI1MDEwMTAwMDAwMFoXDTI1MDIwMTAwMDAwMFowEDEOMAwGA1UEAwwFZGF0ZXMw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT9HDjCyEuQ7hTEg93cNVgr1jOY7IyJ
UqOsETlBErPjgC5VUZ7IRywucWo3M/kySGOu8Gaa4Y2pBdmewc3JyHhVMAoGCCqG
SM49BAMCA0gAMEUCIQDwIqR1cymM72Oeq8i6Q4C5+CZ9IlnC+q3RhJTuRD1tHgIg
UDfPvne2NHOC71KQLEZULadE9SkWi7E47lSDG5PoVJY=
-----END CERTIFICATE-----
)PEM";
inline constexpr char kKeyOfEndedCertificate[] = R"PEM(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQglOgOXtqdxnW+XCJt
OUl6aq/xan54OKC9rBrIhc1Fns+hRANCAAT9HDjCyEuQ7hTEg93cNVgr1jOY7IyJ
UqOsETlBErPjgC5VUZ7IRywucWo3M/kySGOu8Gaa4Y2pBdmewc3JyHhV
-----END PRIVATE KEY-----
)PEM";

}  // namespace cmkstore::testing
