"""The official Azure SDK for Python, unchanged, works against cmkdevvault and errs as it does on Azure."""

import base64
import datetime
import hashlib
import signal

import pytest
import requests
from azure.core.exceptions import (ClientAuthenticationError, HttpResponseError, ResourceExistsError,
                                   ResourceNotFoundError, ServiceResponseError)
from azure.identity import (CertificateCredential, ChainedTokenCredential, ClientAssertionCredential,
                            CredentialUnavailableError, DefaultAzureCredential, EnvironmentCredential,
                            ManagedIdentityCredential, WorkloadIdentityCredential)
from azure.keyvault.keys import JsonWebKey
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

DEK = bytes(range(32))
OAEP = KeyWrapAlgorithm.rsa_oaep_256


def wrap_at_vault(vault, key_id: str) -> bytes:
    """The SDK wraps locally once it has the public key, so the server's own wrap is asked for by plain HTTP."""
    token = vault.secret_credential().get_token("https://vault.azure.net/.default").token
    answer = requests.post(f"{key_id}/wrapkey?api-version=7.4", timeout=30, verify=vault.at["ca_file"],
                           headers={"Authorization": f"Bearer {token}"},
                           json={"alg": "RSA-OAEP-256", "value": base64.urlsafe_b64encode(DEK).decode().rstrip("=")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["kid"] == key_id
    value = answer.json()["value"]
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def crypto(client, key):
    return client.get_cryptography_client(key.name, key_version=key.properties.version)


def inner_code(error: HttpResponseError) -> str:
    return error.error.innererror["code"]


# Logins

def test_a_client_secret_logs_in(vault):
    assert list(vault.client(vault.secret_credential()).list_properties_of_keys()) is not None


def test_a_certificate_logs_in(vault):
    credential = CertificateCredential(vault.at["tenant_id"], vault.at["client_id"],
                                       certificate_path=vault.at["certificate_file"], **vault.login())
    assert list(vault.client(credential).list_properties_of_keys()) is not None


def test_a_workload_identity_logs_in_with_the_token_that_the_file_holds_now(vault, tmp_path):
    file = tmp_path / "token"

    def credential():
        return WorkloadIdentityCredential(tenant_id=vault.at["tenant_id"], client_id=vault.at["client_id"],
                                          token_file_path=str(file), **vault.login())

    file.write_text(vault.admin("POST", "federated-token", {"lifetime_seconds": -1})["token"])
    with pytest.raises(ClientAuthenticationError, match="AADSTS700024"):
        credential().get_token("https://vault.azure.net/.default")
    file.write_text(vault.admin("POST", "federated-token")["token"])
    assert list(vault.client(credential()).list_properties_of_keys()) is not None


def test_a_managed_identity_logs_in(vault, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", vault.at["imds_url"])
    vault.admin("PUT", "identities/user-assigned", {"managed": "user"})
    vault.admin("PUT", "vaults/localhost", {"access": {"user-assigned": ["list"]}})
    for credential in (ManagedIdentityCredential(), ManagedIdentityCredential(client_id="user-assigned")):
        assert list(vault.client(credential).list_properties_of_keys()) is not None
    with pytest.raises((CredentialUnavailableError, ClientAuthenticationError), match="Identity not found"):
        ManagedIdentityCredential(client_id="nobody").get_token("https://vault.azure.net/.default")


def test_a_managed_identity_is_asked_for_again_after_a_failure(vault, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", vault.at["imds_url"])
    vault.script({"operation": "imds", "status": 500, "body": "{}"})
    assert ManagedIdentityCredential().get_token("https://vault.azure.net/.default").token


def test_an_assertion_logs_in(vault):
    credential = ClientAssertionCredential(vault.at["tenant_id"], vault.at["client_id"],
                                           lambda: vault.admin("POST", "federated-token")["token"], **vault.login())
    assert list(vault.client(credential).list_properties_of_keys()) is not None


@pytest.mark.parametrize("proof", ["secret", "certificate"])
def test_the_environment_logs_in(vault, monkeypatch, proof):
    monkeypatch.setenv("AZURE_TENANT_ID", vault.at["tenant_id"])
    monkeypatch.setenv("AZURE_CLIENT_ID", vault.at["client_id"])
    if proof == "secret":
        monkeypatch.setenv("AZURE_CLIENT_SECRET", vault.file("secret_file"))
    else:
        monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", vault.at["certificate_file"])
    assert list(vault.client(EnvironmentCredential(**vault.login())).list_properties_of_keys()) is not None


def test_the_default_credential_logs_in_as_a_pod_of_aks_would(vault, monkeypatch, tmp_path):
    file = tmp_path / "token"
    file.write_text(vault.admin("POST", "federated-token")["token"])
    for name, value in {"TENANT_ID": vault.at["tenant_id"], "CLIENT_ID": vault.at["client_id"],
                        "AUTHORITY_HOST": vault.at["authority"], "FEDERATED_TOKEN_FILE": str(file)}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    assert list(vault.client(DefaultAzureCredential(**vault.login())).list_properties_of_keys()) is not None


def test_a_chain_takes_the_first_credential_that_there_is(vault):
    chain = ChainedTokenCredential(EnvironmentCredential(), vault.secret_credential())
    assert list(vault.client(chain).list_properties_of_keys()) is not None


def test_a_wrong_secret_is_a_client_authentication_error(vault):
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        vault.secret_credential("wrong").get_token("https://vault.azure.net/.default")


# Keys

@pytest.mark.parametrize("size", [2048, 3072, 4096])
def test_a_key_wraps_and_unwraps(vault, client, name, size):
    key = client.create_rsa_key(name, size=size, tags={"a": "b"})
    assert key.key_type == "RSA" and len(key.key.n) * 8 == size and key.properties.tags == {"a": "b"}
    assert client.get_key(name).id == key.id
    local = crypto(client, key).wrap_key(OAEP, DEK)
    for wrapped in (local.encrypted_key, wrap_at_vault(vault, key.id)):
        assert crypto(client, key).unwrap_key(OAEP, wrapped).key == DEK


def test_a_hardware_key_says_so(client, name):
    assert client.create_rsa_key(name, hardware_protected=True).key_type == "RSA-HSM"


def test_an_imported_key_opens_what_was_wrapped_for_it(vault, client, name):
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()

    def octets(number: int) -> bytes:
        return number.to_bytes((number.bit_length() + 7) // 8, "big")

    jwk = JsonWebKey(kty="RSA", key_ops=["wrapKey", "unwrapKey"], n=octets(numbers.public_numbers.n),
                     e=octets(numbers.public_numbers.e), d=octets(numbers.d), p=octets(numbers.p),
                     q=octets(numbers.q), dp=octets(numbers.dmp1), dq=octets(numbers.dmq1), qi=octets(numbers.iqmp))
    key = client.import_key(name, jwk)
    assert key.key.n == jwk.n and key.key_operations == ["wrapKey", "unwrapKey"]
    assert crypto(client, key).unwrap_key(OAEP, wrap_at_vault(vault, key.id)).key == DEK


def test_encryption_and_signatures_go_round(client, name):
    use = crypto(client, client.create_rsa_key(name))
    sealed = use.encrypt(EncryptionAlgorithm.rsa_oaep_256, DEK)
    assert use.decrypt(EncryptionAlgorithm.rsa_oaep_256, sealed.ciphertext).plaintext == DEK
    digest = hashlib.sha256(DEK).digest()
    signed = use.sign(SignatureAlgorithm.ps256, digest)
    assert use.verify(SignatureAlgorithm.ps256, digest, signed.signature).is_valid


def test_a_rotated_key_has_two_versions_and_the_old_one_still_unwraps(vault, client, name):
    old = client.create_rsa_key(name)
    wrapped = wrap_at_vault(vault, old.id)
    new = client.rotate_key(name)
    assert new.id != old.id and client.get_key(name).id == new.id
    assert {one.id for one in client.list_properties_of_key_versions(name)} == {old.id, new.id}
    assert crypto(client, old).unwrap_key(OAEP, wrapped).key == DEK
    with pytest.raises(HttpResponseError) as refused:
        crypto(client, new).unwrap_key(OAEP, wrapped)
    assert refused.value.status_code == 400 and refused.value.error.code == "BadParameter"


def test_a_disabled_key_is_shown_and_refuses_to_unwrap(vault, client, name):
    key = client.create_rsa_key(name)
    wrapped = wrap_at_vault(vault, key.id)
    client.update_key_properties(name, enabled=False)
    assert client.get_key(name).properties.enabled is False
    wrap_at_vault(vault, key.id)
    with pytest.raises(HttpResponseError) as refused:
        crypto(client, key).unwrap_key(OAEP, wrapped)
    assert refused.value.status_code == 403 and inner_code(refused.value) == "KeyDisabled"
    client.update_key_properties(name, enabled=True)
    assert crypto(client, key).unwrap_key(OAEP, wrapped).key == DEK


def test_an_expired_key_still_unwraps(vault, client, name):
    key = client.create_rsa_key(name)
    wrapped = wrap_at_vault(vault, key.id)
    yesterday = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    client.update_key_properties(name, key.properties.version, expires_on=yesterday)
    assert crypto(client, key).unwrap_key(OAEP, wrapped).key == DEK


def test_a_deleted_key_is_gone_cannot_be_purged_and_comes_back(vault, client, name):
    key = client.create_rsa_key(name)
    wrapped = wrap_at_vault(vault, key.id)
    deleted = client.begin_delete_key(name).result()
    assert deleted.recovery_id and deleted.scheduled_purge_date > deleted.deleted_date
    with pytest.raises(ResourceNotFoundError):
        client.get_key(name)
    with pytest.raises(ResourceExistsError) as taken:
        client.create_rsa_key(name)
    assert inner_code(taken.value) == "ObjectIsDeletedButRecoverable"
    assert name in [one.name for one in client.list_deleted_keys()]
    with pytest.raises(HttpResponseError, match="purge protection") as refused:
        client.purge_deleted_key(name)
    assert refused.value.status_code == 403
    assert client.begin_recover_deleted_key(name).result().id == key.id
    assert crypto(client, key).unwrap_key(OAEP, wrapped).key == DEK


def test_a_list_of_more_than_a_page_is_complete(client, name):
    versions = {client.create_rsa_key(name).id, *(client.rotate_key(name).id for _ in range(3))}
    listed = client.list_properties_of_key_versions(name, max_page_size=2)
    assert {one.id for one in listed} == versions


# Refusals and retries

@pytest.mark.parametrize("code", ["ForbiddenByPolicy", "ForbiddenByRbac", "AccessDenied"])
def test_a_missing_permission_is_an_http_response_error(vault, client, name, code):
    client.create_rsa_key(name)
    vault.admin("PUT", "vaults/localhost", {"denied": ["get"], "denial_code": code})
    try:
        with pytest.raises(HttpResponseError) as refused:
            client.get_key(name)
        assert refused.value.status_code == 403 and inner_code(refused.value) == code
    finally:
        vault.admin("PUT", "vaults/localhost", {"denied": []})


def test_throttling_and_outages_are_retried(vault, client, name):
    key = client.create_rsa_key(name)
    vault.admin("DELETE", "stats")
    vault.script({"operation": "get", "status": 429, "code": "Throttled"},
                 {"operation": "get", "status": 503, "body": "{}"},
                 {"operation": "get", "status": 429, "code": "Throttled", "headers": {"Retry-After": "1"}})
    assert client.get_key(name).id == key.id
    assert vault.admin("GET", "stats")["get"] == 4


def test_a_throttling_that_does_not_end_is_reported(vault, client, name):
    client.create_rsa_key(name)
    vault.script({"operation": "get", "status": 429, "code": "Throttled", "count": -1})
    with pytest.raises(HttpResponseError) as throttled:
        client.get_key(name)
    assert throttled.value.status_code == 429


def test_a_broken_connection_is_a_service_response_error(vault, client, name):
    client.create_rsa_key(name)
    vault.script({"operation": "get", "kind": "reset", "count": -1})
    with pytest.raises(ServiceResponseError):
        client.get_key(name)


def test_a_revoked_token_is_a_client_authentication_error_until_the_next_login(vault, client, name):
    key = client.create_rsa_key(name)
    vault.admin("PUT", "tokens", {"revoke_all": True})
    with pytest.raises(ClientAuthenticationError, match="revoked"):
        client.get_key(name)
    assert vault.client().get_key(name).id == key.id


def test_a_killed_vault_has_all_that_it_acknowledged(vault, client, name):
    key = client.create_rsa_key(name)
    wrapped = wrap_at_vault(vault, key.id)
    client.update_key_properties(name, tags={"kept": "yes"})
    vault.end(signal.SIGKILL)
    vault.start()
    again = vault.client()
    assert again.get_key(name).properties.tags == {"kept": "yes"}
    assert crypto(again, key).unwrap_key(OAEP, wrapped).key == DEK
