# shellcheck shell=bash
# Calls of a local vault as the owner of its keys. Sourced, with $work set: cmkdevvault keeps its state in $work/vault.

# ready FIELD: of what cmkdevvault says once it serves: url, ca_file, tenant_id, client_id, secret_file, authority
ready() { jq -r ".$1" "${work:?}/vault/ready.json"; }

# vault_call METHOD PATH [JSON]: with a new token each time, since a vault that was started again knows no old one.
vault_call() {
  local ca vault token
  ca=$(ready ca_file) vault=$(ready url)
  token=$(curl -sf --cacert "$ca" "$vault/$(ready tenant_id)/oauth2/v2.0/token" \
    -d grant_type=client_credentials -d "client_id=$(ready client_id)" -d scope=https://vault.azure.net/.default \
    --data-urlencode "client_secret@$(ready secret_file)" | jq -r .access_token)
  curl -sf --cacert "$ca" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    -X "$1" "$vault$2?api-version=7.4" -d "${3:-{\}}"
}
