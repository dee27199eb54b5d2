{{/* Values that are each allowed but make no sense together: all of them in one message. */}}

{{- define "epe.refuseContradictions" -}}
{{- $problems := include "epe.contradictions" . | trim }}
{{- if $problems }}
{{- fail (printf "\n\nThese values contradict each other:\n%s\n" $problems) }}
{{- end }}
{{- end }}

{{- define "epe.contradictions" -}}
{{- template "epe.contradictionsOfPrivileges" . }}
{{- template "epe.contradictionsOfOptions" . }}
{{- template "epe.contradictionsOfMonitoring" . }}
{{- end }}

{{- define "epe.contradictionsOfPrivileges" -}}
{{- $v := .Values }}
{{- $user := get $v.securityContext "runAsUser" }}
{{- $hasUser := hasKey $v.securityContext "runAsUser" }}
{{- if eq $v.privileges "none" }}
{{- if and $hasUser (eq (int64 $user) 0) }}
- securityContext.runAsUser: 0 is root, which privileges: none never is; choose setns or full, or another user
{{- end }}
{{- if $v.setns.ptrace }}
- setns.ptrace adds a capability, and privileges: none has none; choose privileges: setns or full
{{- end }}
{{- if not $v.hostNetwork }}
- hostNetwork: false with privileges: none would leave out the node's own pool: its range is readable in its network namespace only
{{- end }}
{{- else }}
{{- if and $hasUser (ne (int64 $user) 0) }}
- securityContext.runAsUser: {{ int64 $user }} with privileges: {{ $v.privileges }} would have no capability: Kubernetes gives them to root only
{{- end }}
{{- if get $v.securityContext "runAsNonRoot" }}
- securityContext.runAsNonRoot with privileges: {{ $v.privileges }}, which needs root for its capability
{{- end }}
{{- if eq $v.netns "self" }}
- netns: self enters no other namespace, so privileges: {{ $v.privileges }} would be for nothing; choose privileges: none or netns: all
{{- end }}
{{- if and (not $v.hostNetwork) (not $v.setns.ptrace) }}
- hostNetwork: false needs setns.ptrace: the node's own namespace is then entered through /proc/1/ns/net
{{- end }}
{{- end }}
{{- if and (kindIs "bool" $v.collectors.failures) (ne $v.collectors.failures (eq $v.privileges "full")) }}
{{- if $v.collectors.failures }}
- collectors.failures reads the node's tracefs, which needs privileges: full, not {{ $v.privileges }}
{{- else }}
- collectors.failures: false with privileges: full, whose only gain over setns is that collector; choose privileges: setns
{{- end }}
{{- end }}
{{- $profile := default dict (get $v.containerSecurityContext "appArmorProfile") }}
{{- if and (include "epe.appArmorUnconfined" .) $profile }}
{{- if ne (get $profile "type") "Unconfined" }}
- containerSecurityContext.appArmorProfile with {{ ternary "setns.ptrace" "privileges: full" $v.setns.ptrace }}, which a profile of AppArmor's would forbid
{{- end }}
{{- end }}
{{- if and (ne $v.privileges "none") (eq (get $v.config "source" | toString) "procfs") }}
- config.source: procfs reads other namespaces without rights, so privileges: {{ $v.privileges }} would be for nothing
{{- end }}
{{- end }}

{{- define "epe.contradictionsOfOptions" -}}
{{- $v := .Values }}
{{- range $arg := $v.extraArgs }}
{{- $flag := $arg | trimPrefix "--" | trimPrefix "no-" | splitList "=" | first }}
{{- if or (has $flag (list "web.listen-address" "web.config.file" "path.procfs" "path.cgroup" "netns" "config.file")) (hasPrefix "collector." $flag) }}
- extraArgs: {{ $arg }} is set by the chart; use the value made for it
{{- end }}
{{- end }}
{{- if and $v.webConfig $v.webConfigExistingSecret.name }}
- webConfig and webConfigExistingSecret.name: only one file can be given to --web.config.file
{{- end }}
{{- if and (not $v.webConfigExistingSecret.name) (or $v.webConfigExistingSecret.tls $v.webConfigExistingSecret.authentication) }}
- webConfigExistingSecret.tls and .authentication describe a Secret, and webConfigExistingSecret.name names none
{{- end }}
{{- if and $v.tlsSecret.name (not (include "epe.webConfigSecret" .)) }}
- tlsSecret.name is mounted for a web config to point at, and there is neither webConfig nor webConfigExistingSecret.name
{{- end }}
{{- $rolling := default dict $v.updateStrategy.rollingUpdate }}
{{- if and (ne $v.updateStrategy.type "RollingUpdate") $rolling }}
{{- if ne (toJson $rolling) (toJson (dict "maxUnavailable" 1)) }}
- updateStrategy.rollingUpdate with type: {{ $v.updateStrategy.type }}, which does not roll
{{- end }}
{{- end }}
{{- if and $v.hostNetwork (not (has (get $rolling "maxSurge" | toString) (list "" "0" "0%" "<nil>"))) }}
- updateStrategy.rollingUpdate.maxSurge with hostNetwork: two pods of a node cannot listen on one port
{{- end }}
{{- end }}

{{- define "epe.contradictionsOfMonitoring" -}}
{{- $v := .Values }}
{{- if and $v.prometheus.monitor.enabled $v.prometheus.podMonitor.enabled }}
- prometheus.monitor and prometheus.podMonitor would both scrape every pod; enable one
{{- end }}
{{- if and $v.prometheus.monitor.enabled (not $v.service.enabled) }}
- prometheus.monitor finds pods through the Service, and service.enabled is false; use prometheus.podMonitor
{{- end }}
{{- if and $v.serviceAccount.imagePullSecrets (not $v.serviceAccount.create) }}
- serviceAccount.imagePullSecrets with serviceAccount.create: false, which leaves the account as it is
{{- end }}
{{- range $name := list "highUtilization" "fullUtilization" "udpUtilization" }}
{{- $clear := printf "%sClear" $name }}
{{- if gt (get $v.prometheusRule.thresholds $clear | float64) (get $v.prometheusRule.thresholds $name | float64) }}
- prometheusRule.thresholds.{{ $clear }} is above {{ $name }}: an alert ends below the one and begins above the other
{{- end }}
{{- end }}
{{- end }}
