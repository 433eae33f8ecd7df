{{/* At most 52 characters, for names of pods and of revisions are longer; always with the chart's name, by which alerts know a server. */}}
{{- define "cmkstore.fullname" -}}
{{- $release := .Release.Name | trunc 52 | trimSuffix "-" }}
{{- if contains .Chart.Name $release }}{{ $release }}
{{- else }}{{ printf "%s-%s" (.Release.Name | trunc 43 | trimSuffix "-") .Chart.Name }}{{ end }}
{{- end }}

{{- define "cmkstore.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cmkstore.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "cmkstore.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "cmkstore.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "cmkstore.fullname" .) }}
{{- end }}

{{- define "cmkstore.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- define "cmkstore.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "cmkstore.fullname" .)) }}
{{- end }}

{{/* The release's own pods that call the server, by their app.kubernetes.io/name. */}}
{{- define "cmkstore.callingPods" -}}
{{- $pods := list }}
{{- if .Values.backup.enabled }}{{ $pods = append $pods (include "cmkstore.backupName" .) }}{{ end }}
{{- if .Values.test.existingSecret }}{{ $pods = append $pods (include "cmkstore.testName" .) }}{{ end }}
{{- join " " $pods }}
{{- end }}

{{/* A CronJob's name has at most 52 characters, too. */}}
{{- define "cmkstore.backupName" -}}{{ include "cmkstore.fullname" . | trunc 45 | trimSuffix "-" }}-backup{{- end }}

{{- define "cmkstore.testName" -}}{{ include "cmkstore.fullname" . }}-test{{- end }}

{{/* Pull secrets by name, which may be given as a pod has them, too. */}}
{{- define "cmkstore.pullSecrets" -}}
{{- range .Values.imagePullSecrets }}
- name: {{ if kindIs "map" . }}{{ .name }}{{ else }}{{ . }}{{ end }}
{{- end }}
{{- end }}

{{/* What runs beside nothing else of the pod: no rights, a root file system that cannot be written. */}}
{{- define "cmkstore.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{/* Where the chart itself mounts what into the server's container. */}}
{{- define "cmkstore.mounts" -}}
- {name: data, mountPath: /var/lib/cmkstore}
- {name: tmp, mountPath: /tmp}
- {name: config, mountPath: /etc/cmkstore/config, readOnly: true}
{{- if not .Values.development.enabled }}
- {name: tls, mountPath: /etc/cmkstore/tls, readOnly: true}
{{- end }}
{{- if .Values.jwks.existingConfigMap }}
- {name: issuer, mountPath: /etc/cmkstore/issuer, readOnly: true}
{{- end }}
{{- if .Values.backup.enabled }}
- {name: backup, mountPath: /var/lib/cmkstore-backup}
{{- if .Values.backup.receiptsClaim }}
- {name: receipts, mountPath: /var/lib/cmkstore-receipts}
{{- end }}
{{- end }}
{{- end }}

{{/* A quantity of Kubernetes as a number, to compare it by. */}}
{{- define "cmkstore.quantity" -}}
{{- $decimal := dict "n" 1e-9 "u" 1e-6 "m" 1e-3 "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 }}
{{- $units := merge $decimal (dict "Ki" 0x1p10 "Mi" 0x1p20 "Gi" 0x1p30 "Ti" 0x1p40 "Pi" 0x1p50 "Ei" 0x1p60) }}
{{- if kindIs "string" . }}{{ mulf (regexFind "^[0-9.]+([eE][0-9+-]+)?" . | float64) (get $units (regexFind "[A-Za-z]*$" .)) }}{{ else }}{{ float64 . }}{{ end }}
{{- end }}

{{/* A duration such as 2160h0m0s in whole seconds, to compare it by; nothing for what is none. */}}
{{- define "cmkstore.seconds" -}}
{{- if regexMatch "^([0-9]*\\.?[0-9]+(ns|us|ms|s|m|h))+$" . }}
{{- $from := toDate "2006-01-02" "2000-01-01" }}
{{- sub (mustDateModify . $from | unixEpoch) (unixEpoch $from) }}
{{- end }}
{{- end }}

{{/* A range of IPv4 addresses as numbers: the address that is written, and the first and the last of the range. */}}
{{- define "cmkstore.addresses" -}}
{{- $parts := regexSplit "[./]" . -1 }}
{{- $size := 1 }}
{{- range until (sub 32 (index $parts 4 | atoi) | int) }}{{ $size = mul $size 2 }}{{ end }}
{{- $address := 0 }}
{{- range slice $parts 0 4 }}{{ $address = mul $address 256 | add (atoi .) }}{{ end }}
{{- $first := sub $address (mod $address $size) }}
{{- list $address $first (add $first $size -1) | toJson }}
{{- end }}

{{/* The groups of 16 bits of a range of IPv6 addresses that have bits beyond it: none where it is written by its first address. */}}
{{- define "cmkstore.groupsBeyond" -}}
{{- $parts := splitList "/" . }}
{{- $halves := splitList "::" (first $parts) }}
{{- $left := without (splitList ":" (first $halves)) "" }}
{{- $right := without (splitList ":" (rest $halves | join "")) "" }}
{{- range until (sub 8 (concat $left $right | len) | int) }}{{ $left = append $left "0" }}{{ end }}
{{- range $i, $group := concat $left $right }}
  {{- $size := 1 }}
  {{- range until (sub (add1 $i | mul 16) (last $parts | atoi) | max 0 | min 16 | int) }}{{ $size = mul $size 2 }}{{ end }}
  {{- if mod (printf "0x%s" $group | int64) $size }}{{ $group }} {{ end }}
{{- end }}
{{- end }}

{{/* Ranges that the load balancer lets in, and networkPolicy.callers no address of; IPv4 only. With Cluster, callers come from other addresses. */}}
{{- define "cmkstore.shutOut" -}}
{{- $shutOut := list }}
{{- $callers := .Values.networkPolicy.callers }}
{{- if and (eq .Values.service.type "LoadBalancer") (eq .Values.service.externalTrafficPolicy "Local") .Values.networkPolicy.enabled $callers }}
{{- range $range := .Values.service.loadBalancerSourceRanges }}
  {{- $enters := contains ":" $range }}
  {{- range $callers }}
    {{- if and .ipBlock (not $enters) (not (contains ":" .ipBlock.cidr)) }}
      {{- $from := include "cmkstore.addresses" $range | fromJsonArray }}
      {{- $of := include "cmkstore.addresses" .ipBlock.cidr | fromJsonArray }}
      {{- $enters = and (le (index $from 1) (index $of 2)) (le (index $of 1) (index $from 2)) }}
    {{- end }}
  {{- end }}
  {{- if not $enters }}{{ $shutOut = append $shutOut $range }}{{ end }}
{{- end }}
{{- end }}
{{- join ", " $shutOut }}
{{- end }}

{{/* The configuration file: what the chart knows, under what the operator says. */}}
{{- define "cmkstore.config" -}}
{{- $config := dict "data_dir" "/var/lib/cmkstore" "admin" (dict "address" "0.0.0.0:9464") }}
{{- if .Values.development.enabled }}
{{- $_ := set $config "listeners" (list (dict "address" "127.0.0.1:7443")) }}
{{- $_ := set $config "development" (dict "enabled" true "tenant" .Values.development.tenant) }}
{{- else }}
{{- $_ := set $config "listeners" (list (dict "address" "0.0.0.0:7443")) }}
{{- $_ := set $config "tls" (dict "certificate_file" "/etc/cmkstore/tls/tls.crt" "key_file" "/etc/cmkstore/tls/tls.key" "client_ca_file" "/etc/cmkstore/tls/ca.crt") }}
{{- end }}
{{- with .Values.issuers }}{{ $_ := set $config "issuers" . }}{{ end }}
{{- if .Values.workloadIdentity.enabled }}
{{- $_ := set $config "identities" (list (dict "kind" "workload-identity" "tenant_id" .Values.workloadIdentity.tenantId "client_id" .Values.workloadIdentity.clientId "token_file" "/var/run/secrets/azure/tokens/azure-identity-token")) }}
{{- end }}
{{- with .Values.backup.operatorTenant }}{{ $_ := set $config "operator_tenant" . }}{{ end }}
{{- with .Values.backup }}{{ if .enabled }}
{{- $backup := dict "directory" "/var/lib/cmkstore-backup" "keep" .keep }}
{{- if .receiptsClaim }}{{ $_ := set $backup "receipts_directory" "/var/lib/cmkstore-receipts" }}{{ end }}
{{- $_ := set $config "backup" $backup }}
{{- end }}{{ end }}
{{- /* null leaves a list out, and must not put out what the chart knows. */}}
{{- $theirs := deepCopy .Values.config }}
{{- range $option, $value := .Values.config }}{{ if kindIs "invalid" $value }}{{ $_ := unset $theirs $option }}{{ end }}{{ end }}
{{- toYaml (mergeOverwrite $config $theirs) }}
{{- end }}

{{/* What takes effect only at a start: the rest the server takes over by itself when kubelet has swapped the file. */}}
{{- define "cmkstore.configOfStart" -}}
{{- toYaml (omit (include "cmkstore.config" . | fromYaml) "issuers" "quotas" "log") }}
{{- end }}

{{/* One step of `helm test`: cmkctl as a tenant. */}}
{{- define "cmkstore.testContainer" }}
image: {{ include "cmkstore.image" .root }}
command: [/usr/bin/cmkctl]
args: {{- toYaml .args | nindent 2 }}
env:
  - {name: CMKSTORE_ENDPOINT, value: "{{ include "cmkstore.fullname" .root }}:{{ .root.Values.service.port }}"}
  - {name: CMKSTORE_TENANT, value: {{ .root.Values.test.tenant | quote }}}
  - {name: CMKSTORE_CA, value: /credentials/ca.crt}
  - {name: CMKSTORE_CERT, value: /credentials/tls.crt}
  - {name: CMKSTORE_KEY, value: /credentials/tls.key}
  - {name: CMKSTORE_TOKEN_FILE, value: /credentials/token}
securityContext: {{- include "cmkstore.containerSecurity" .root | nindent 2 }}
resources: {requests: {cpu: 50m, memory: 64Mi, ephemeral-storage: 8Mi}, limits: {memory: 128Mi, ephemeral-storage: 16Mi}}
volumeMounts:
  - {name: credentials, mountPath: /credentials, readOnly: true}
  - {name: document, mountPath: /test, readOnly: true}
{{- end }}
