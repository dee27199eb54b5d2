{{/* What ServiceMonitor and PodMonitor have in common: dict of root and monitor. */}}

{{- define "epe.monitorMetadata" -}}
name: {{ include "epe.fullname" .root }}
namespace: {{ default (include "epe.namespace" .root) .monitor.namespace }}
labels:
  {{- include "epe.labelsWith" (list .root .monitor.additionalLabels) | nindent 2 }}
{{- with .monitor.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "epe.monitorSpec" -}}
{{- /* Without a label of that name the job is called after the monitor, which the alerts find; a sidecar's pod is named after its program. */}}
{{- $sidecar := include "epe.sidecar" .root }}
{{- with default (ternary "" "app.kubernetes.io/name" (ne $sidecar "")) .monitor.jobLabel }}
jobLabel: {{ . }}
{{- end }}
{{- range $key := list "targetLabels" "podTargetLabels" }}
{{- with get $.monitor $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
selector:
  {{- if .monitor.selectorOverride }}
  {{- toYaml .monitor.selectorOverride | nindent 2 }}
  {{- else if $sidecar }}
  matchLabels:
    ephemeral-port-exporter: sidecar
  {{- else }}
  matchLabels:
    {{- include "epe.selectorLabels" .root | nindent 4 }}
  {{- end }}
namespaceSelector:
  {{- if $sidecar }}
  any: true
  {{- else }}
  matchNames:
    - {{ include "epe.namespace" .root }}
  {{- end }}
{{- if .monitor.attachMetadata.node }}
attachMetadata:
  node: true
{{- end }}
{{- range $limit := list "sampleLimit" "targetLimit" "labelLimit" "labelNameLengthLimit" "labelValueLengthLimit" }}
{{- with get $.monitor $limit }}
{{ $limit }}: {{ . | int64 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "epe.monitorEndpoint" -}}
port: {{ .root.Values.service.portName }}
path: {{ include "epe.telemetryPath" .root }}
# The labels namespace and pod are those of the pod that has the ports, not the exporter's own
honorLabels: {{ .monitor.honorLabels }}
scheme: {{ default (ternary "https" "http" (ne (include "epe.tls" .root) "")) .monitor.scheme }}
{{- range $key := list "tlsConfig" "basicAuth" "bearerTokenSecret" "relabelings" "metricRelabelings" }}
{{- with get $.monitor $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $key := list "interval" "scrapeTimeout" "proxyUrl" }}
{{- with get $.monitor $key }}
{{ $key }}: {{ . }}
{{- end }}
{{- end }}
{{- end }}
