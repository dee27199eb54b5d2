{{/* What the values come to: yes is "true", no is "". */}}

{{- define "epe.entersNetns" -}}
{{- if ne .Values.privileges "none" }}true{{ end }}
{{- end }}

{{- define "epe.failures" -}}
{{- if eq .Values.privileges "full" }}true{{ end }}
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

{{- define "epe.telemetryPath" -}}
{{- $nested := get .Values.config "web" }}
{{- $inGroup := "" }}
{{- if kindIs "map" $nested }}{{ $inGroup = get $nested "telemetry-path" }}{{ end }}
{{- coalesce (get .Values.config "web.telemetry-path") $inGroup "/metrics" }}
{{- end }}

{{- define "epe.listenAddress" -}}
{{- if .Values.service.listenOnAllInterfaces -}}
:{{ .Values.service.port }}
{{- else if eq (first .Values.service.ipDualStack.ipFamilies) "IPv6" -}}
[$(HOST_IP)]:{{ .Values.service.port }}
{{- else -}}
$(HOST_IP):{{ .Values.service.port }}
{{- end }}
{{- end }}

{{- define "epe.args" -}}
- --web.listen-address={{ include "epe.listenAddress" . }}
- --path.procfs=/host/proc
- --path.cgroup=/host/sys/fs/cgroup
- --netns={{ .Values.netns }}
{{- range $name := list "destinations" "owners" "listeners" "probe" "kubernetes" }}
- --{{ if not (get $.Values.collectors $name) }}no-{{ end }}collector.{{ $name }}
{{- end }}
- --{{ if not (include "epe.failures" .) }}no-{{ end }}collector.failures
{{- if .Values.config }}
- --config.file=/etc/ephemeral-port-exporter/config/config.yaml
{{- end }}
{{- if include "epe.webConfigSecret" . }}
- --web.config.file=/etc/ephemeral-port-exporter/web/{{ include "epe.webConfigKey" . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "epe.probe" -}}
{{- if include "epe.authentication" .root -}}
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
- name: HOST_IP
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | toString | quote }}
  {{- end }}
{{- end }}
{{- end }}
