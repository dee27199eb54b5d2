{{/* What the values come to: yes is "true", no is "". */}}

{{- define "epe.sidecar" -}}
{{- if eq .Values.workload "Sidecar" }}true{{ end }}
{{- end }}

{{- define "epe.entersNetns" -}}
{{- if ne .Values.privileges "none" }}true{{ end }}
{{- end }}

{{- define "epe.failures" -}}
{{- if and (eq .Values.privileges "full") (ne (toString .Values.collectors.failures) "false") }}true{{ end }}
{{- end }}

{{- define "epe.kubernetes" -}}
{{- if .Values.collectors.kubernetes }}true{{ end }}
{{- end }}

{{/* Name of the Secret with the web config, "" without one. */}}
{{- define "epe.webConfigSecret" -}}
{{- if .Values.webConfig }}
{{- include "epe.suffixed" (list . "web-config") }}
{{- else }}
{{- .Values.webConfigExistingSecret.name }}
{{- end }}
{{- end }}

{{- define "epe.webConfigKey" -}}
{{- if .Values.webConfig }}web-config.yaml{{ else }}{{ .Values.webConfigExistingSecret.key }}{{ end }}
{{- end }}

{{- define "epe.tls" -}}
{{- if .Values.webConfig }}
{{- if .Values.webConfig.tls_server_config }}true{{ end }}
{{- else if and .Values.webConfigExistingSecret.name .Values.webConfigExistingSecret.tls }}true
{{- end }}
{{- end }}

{{/* Whether a client without credentials is turned away: by a password, or by TLS for want of a certificate. */}}
{{- define "epe.authentication" -}}
{{- if .Values.webConfig }}
{{- $tls := default dict .Values.webConfig.tls_server_config }}
{{- if or .Values.webConfig.basic_auth_users (has (default "" $tls.client_auth_type) (list "RequireAnyClientCert" "RequireClientCert" "RequireAndVerifyClientCert")) }}true{{ end }}
{{- else if and .Values.webConfigExistingSecret.name .Values.webConfigExistingSecret.authentication }}true
{{- end }}
{{- end }}

{{/* Whether requests can be turned away for their number alone. */}}
{{- define "epe.rateLimit" -}}
{{- if .Values.webConfig }}
{{- if .Values.webConfig.rate_limit }}true{{ end }}
{{- else if and .Values.webConfigExistingSecret.name .Values.webConfigExistingSecret.rateLimit }}true
{{- end }}
{{- end }}

{{/* What config says of an option, flat or in its group: (list $ "web" "telemetry-path"); "" where it says nothing. */}}
{{- define "epe.configOption" -}}
{{- $config := (index . 0).Values.config }}{{ $group := index . 1 }}{{ $key := index . 2 }}
{{- $inGroup := "" }}
{{- with get $config $group }}{{ $inGroup = default "" (get . $key) }}{{ end }}
{{- default $inGroup (get $config (printf "%s.%s" $group $key)) }}
{{- end }}

{{- define "epe.telemetryPath" -}}
{{- default "/metrics" (include "epe.configOption" (list . "web" "telemetry-path")) }}
{{- end }}

{{/* Brackets are right for both families, and the chart cannot know which one the pod has. */}}
{{- define "epe.listenAddress" -}}
{{- if .Values.service.listenOnAllInterfaces -}}
:{{ .Values.service.port }}
{{- else -}}
[$(LISTEN_IP)]:{{ .Values.service.port }}
{{- end }}
{{- end }}

{{/* All that `kubectl exec ... status` needs as well, to ask the exporter or to sample as it does; without the prefix. */}}
{{- define "epe.environment" -}}
{{- $sidecar := include "epe.sidecar" . }}
WEB_LISTEN_ADDRESS: {{ include "epe.listenAddress" . | quote }}
NETNS: {{ if $sidecar }}self{{ else }}{{ .Values.netns }}{{ end }}
{{- if not $sidecar }}
PATH_PROCFS: /host/proc
PATH_CGROUP: /host/sys/fs/cgroup
{{- end }}
{{- range $name := list "destinations" "listeners" "nat" "probe" "kubernetes" }}
COLLECTOR_{{ upper $name }}: {{ get $.Values.collectors $name | quote }}
{{- end }}
{{- /* The containers of a pod do not see each other's cgroups, and no container without rights a tracefs. */}}
COLLECTOR_OWNERS: {{ and .Values.collectors.owners (not $sidecar) | quote }}
COLLECTOR_FAILURES: {{ include "epe.failures" . | not | not | quote }}
{{- if not (kindIs "invalid" .Values.collectors.buckets) }}
COLLECTOR_BUCKETS: {{ .Values.collectors.buckets | quote }}
{{- end }}
{{- if include "epe.webConfigSecret" . }}
WEB_CONFIG_FILE: /etc/ephemeral-port-exporter/web/{{ include "epe.webConfigKey" . }}
{{- end }}
{{- if and .Values.config (not $sidecar) }}
CONFIG_FILE: /etc/ephemeral-port-exporter/config/config.yaml
{{- end }}
{{- end }}

{{/* What config says, as variables: a sidecar has no file to read it from. */}}
{{- define "epe.configEnvironment" -}}
{{- $options := dict }}
{{- range $name, $value := .Values.config }}
{{- if kindIs "map" $value }}
{{- range $key, $inner := $value }}{{ $_ := set $options (printf "%s_%s" $name $key) $inner }}{{ end }}
{{- else }}{{ $_ := set $options $name $value }}
{{- end }}
{{- end }}
{{- range $name, $value := $options }}
{{ $name | upper | replace "." "_" | replace "-" "_" }}: {{ ternary (join "," $value) $value (kindIs "slice" $value) | toString | quote }}
{{- end }}
{{- end }}

{{- define "epe.probe" -}}
{{- if or (include "epe.authentication" .root) (include "epe.rateLimit" .root) -}}
tcpSocket:
  port: {{ .root.Values.service.portName }}
{{- else -}}
httpGet:
  path: {{ .path }}
  port: {{ .root.Values.service.portName }}
  scheme: {{ if include "epe.tls" .root }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}
{{ toYaml .timing }}
{{- end }}

{{- define "epe.env" -}}
{{- if include "epe.kubernetes" . }}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end }}
{{- if not .Values.service.listenOnAllInterfaces }}
# That of the node with hostNetwork
- name: LISTEN_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
{{- end }}
{{- $variables := include "epe.environment" . | fromYaml }}
{{- if include "epe.sidecar" . }}{{ $variables = merge $variables (include "epe.configEnvironment" . | fromYaml) }}{{ end }}
{{- range $name, $value := $variables }}
{{- $variable := printf "EPHEMERAL_PORT_EXPORTER_%s" $name }}
{{- if not (hasKey $.Values.env $variable) }}
- name: {{ $variable }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- include "epe.userEnv" . }}
{{- end }}

{{- define "epe.userEnv" -}}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Of the container, beside its probes. */}}
{{- define "epe.ending" -}}
{{- with .Values.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.terminationMessageParams }}
{{- if .enabled }}
terminationMessagePath: {{ .terminationMessagePath }}
terminationMessagePolicy: {{ .terminationMessagePolicy }}
{{- end }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
