{{/* What the profile named by `privileges` gives to the pod and the container, and the volumes it needs. */}}

{{- define "epe.podSecurityContext" -}}
{{- $base := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 }}
{{- if include "epe.entersNetns" . }}
{{- $base = dict "runAsNonRoot" false "runAsUser" 0 "runAsGroup" 0 }}
{{- end }}
{{- $_ := set $base "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- toYaml (mergeOverwrite $base (deepCopy .Values.securityContext)) }}
{{- end }}

{{/* The API server refuses allowPrivilegeEscalation: false beside CAP_SYS_ADMIN, but not beside SYS_ADMIN, which is the spelling it asks for. */}}
{{- define "epe.containerSecurityContext" -}}
{{- $capabilities := dict "drop" (list "ALL") }}
{{- if include "epe.entersNetns" . }}
{{- $add := ternary (list "SYS_ADMIN" "SYS_PTRACE") (list "SYS_ADMIN") .Values.setns.ptrace }}
{{- if and (eq .Values.privileges "full") .Values.collectors.nat }}
{{- $add = append $add "NET_ADMIN" }}
{{- end }}
{{- if and (eq .Values.privileges "full") (ne (toString .Values.collectors.buckets) "false") }}
{{- $add = concat $add (list "BPF" "PERFMON") }}
{{- end }}
{{- $_ := set $capabilities "add" $add }}
{{- end }}
{{- $base := dict "allowPrivilegeEscalation" false "privileged" false "readOnlyRootFilesystem" true "capabilities" $capabilities }}
{{- if and (include "epe.appArmorUnconfined" .) (include "epe.hasAppArmorField" .) }}
{{- $_ := set $base "appArmorProfile" (dict "type" "Unconfined") }}
{{- end }}
{{- toYaml (mergeOverwrite $base (deepCopy .Values.containerSecurityContext)) }}
{{- end }}

{{/* The default profiles of containerd and Docker deny looking into processes of another profile, and every write below /sys. */}}
{{- define "epe.appArmorUnconfined" -}}
{{- if or .Values.setns.ptrace (eq .Values.privileges "full") }}true{{ end }}
{{- end }}

{{/* Kubernetes 1.30 has a field for it, before that there was an annotation. */}}
{{- define "epe.hasAppArmorField" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- end }}

{{/* Mounts of the node come with mounts below them: binfmt_misc in /proc/sys would stay writable to root (Kubernetes 1.31 and later can tell). */}}
{{- define "epe.recursivelyReadOnly" -}}
{{- if semverCompare ">=1.31.0-0" .Capabilities.KubeVersion.Version }}
recursiveReadOnly: IfPossible
{{- end }}
{{- end }}

{{- define "epe.volumeMounts" -}}
- name: proc
  mountPath: /host/proc
  readOnly: true
{{- if has .Values.hostProcFsMount.mountPropagation (list "" "None") }}
  {{- with include "epe.recursivelyReadOnly" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- else }}
  mountPropagation: {{ .Values.hostProcFsMount.mountPropagation }}
{{- end }}
- name: cgroup
  mountPath: /host/sys/fs/cgroup
  readOnly: true
  {{- with include "epe.recursivelyReadOnly" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- if include "epe.entersNetns" . }}
- name: netns
  mountPath: /run/netns
  readOnly: true
  # Namespaces that the runtime adds after our start are seen too
  mountPropagation: HostToContainer
{{- end }}
{{- if include "epe.failures" . }}
- name: tracefs
  mountPath: /sys/kernel/tracing
{{- end }}
{{- if .Values.config }}
- name: config
  mountPath: /etc/ephemeral-port-exporter/config
  readOnly: true
{{- end }}
{{- if include "epe.webConfigSecret" . }}
- name: web-config
  mountPath: /etc/ephemeral-port-exporter/web
  readOnly: true
{{- end }}
{{- if .Values.tlsSecret.name }}
- name: tls
  mountPath: /etc/ephemeral-port-exporter/tls
  readOnly: true
{{- end }}
{{- if include "epe.kubernetes" . }}
- name: service-account
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end }}
{{- range $kind := list "configmaps" "secrets" }}
{{- range $i, $it := get $.Values $kind }}
- name: {{ $kind }}-{{ $i }}
  mountPath: {{ $it.mountPath }}
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Modes are decimal (288 is 0440), since a leading zero means different things to different readers of YAML. */}}
{{- define "epe.volumes" -}}
- name: proc
  hostPath:
    path: /proc
    type: Directory
- name: cgroup
  hostPath:
    path: /sys/fs/cgroup
    type: Directory
{{- if include "epe.entersNetns" . }}
- name: netns
  hostPath:
    path: /run/netns
    type: DirectoryOrCreate
{{- end }}
{{- if include "epe.failures" . }}
- name: tracefs
  hostPath:
    path: /sys/kernel/tracing
    type: Directory
{{- end }}
{{- if .Values.config }}
- name: config
  configMap:
    name: {{ include "epe.suffixed" (list . "config") }}
{{- end }}
{{- with include "epe.webConfigSecret" . }}
- name: web-config
  secret:
    secretName: {{ . }}
    defaultMode: 288
{{- end }}
{{- with .Values.tlsSecret.name }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 288
{{- end }}
{{- if include "epe.kubernetes" . }}
# What the kubelet would mount by itself, but of this pod only and for an hour
- name: service-account
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- range $i, $it := .Values.configmaps }}
- name: configmaps-{{ $i }}
  configMap:
    name: {{ $it.name }}
{{- end }}
{{- range $i, $it := .Values.secrets }}
- name: secrets-{{ $i }}
  secret:
    secretName: {{ $it.name }}
    defaultMode: 288
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
