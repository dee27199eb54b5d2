{{/* Names, labels and addresses of the objects. */}}

{{- define "epe.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "epe.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* With an ending that survives the limit of 63 letters: (list $ "config"). */}}
{{- define "epe.suffixed" -}}
{{- $root := index . 0 }}{{ $suffix := index . 1 }}
{{- printf "%s-%s" (include "epe.fullname" $root | trunc (sub 62 (len $suffix) | int) | trimSuffix "-") $suffix }}
{{- end }}

{{- define "epe.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{- define "epe.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "epe.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "epe.selectorLabels" -}}
app.kubernetes.io/name: {{ include "epe.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "epe.labels" -}}
{{- include "epe.labelsWith" (list . dict) }}
{{- end }}

{{/* And further ones, (list $ .Values.podLabels), whose values may be templates: none of them replaces one of the chart's own. */}}
{{- define "epe.labelsWith" -}}
{{- $root := index . 0 }}
{{- $labels := include "epe.selectorLabels" $root | fromYaml }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $_ := set $labels "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/component" "metrics" }}
{{- $_ := set $labels "app.kubernetes.io/part-of" (include "epe.name" $root) }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" $root.Release.Service }}
{{- if $root.Values.releaseLabel }}{{ $_ := set $labels "release" $root.Release.Name }}{{ end }}
{{- $given := mergeOverwrite (deepCopy $root.Values.commonLabels) (deepCopy (index . 1)) }}
{{- toYaml (mergeOverwrite (tpl (toYaml $given) $root | fromYaml) $labels) }}
{{- end }}

{{/* Of the pod of `helm test`: not those that the Service selects by. */}}
{{- define "epe.testLabels" -}}
app.kubernetes.io/name: {{ include "epe.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "epe.image" -}}
{{- $image := .Values.image }}
{{- $repository := list (default $image.registry .Values.global.imageRegistry) $image.repository | compact | join "/" }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "epe.imagePullSecrets" -}}
{{- range concat .Values.global.imagePullSecrets .Values.imagePullSecrets }}
{{- if kindIs "string" . }}
- name: {{ . }}
{{- else }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}
