{{/* Values that are each allowed but cannot work together, or as the program reads them: all of them in one message. */}}

{{- define "epe.refuseContradictions" -}}
{{- $problems := include "epe.contradictions" . | trim }}
{{- if $problems }}
{{- fail (printf "\n\nThese values cannot work:\n%s\n" $problems) }}
{{- end }}
{{- end }}

{{- define "epe.contradictions" -}}
{{- template "epe.contradictionsOfPrivileges" . }}
{{- template "epe.contradictionsOfOptions" . }}
{{- template "epe.contradictionsOfConfig" . }}
{{- template "epe.contradictionsOfAccess" . }}
{{- template "epe.contradictionsOfMonitoring" . }}
{{- if include "epe.sidecar" . }}{{ template "epe.contradictionsOfSidecar" . }}{{ end }}
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
{{- if $v.hostPID }}
- hostPID with privileges: none, which needs no more of the node's processes than the mounted /proc shows
{{- end }}
{{- range $key := list "securityContext.seccompProfile" "containerSecurityContext.seccompProfile" "containerSecurityContext.appArmorProfile" }}
{{- $path := splitList "." $key }}
{{- if eq (get (default dict (get (get $v (first $path)) (last $path))) "type" | toString) "Unconfined" }}
- {{ $key }}: Unconfined with privileges: none, which is for a pod that may do nothing
{{- end }}
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
{{- if and (eq (toString $v.collectors.failures) "true") (ne $v.privileges "full") }}
- collectors.failures reads the node's tracefs, which needs privileges: full, not {{ $v.privileges }}
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
{{- with include "epe.valueOfOption" ($arg | trimPrefix "--" | trimPrefix "no-" | splitList "=" | first) }}
- extraArgs: {{ $arg }} is for the chart to set; {{ . }}
{{- end }}
{{- end }}
{{- range $name, $_ := $v.env }}
{{- if hasPrefix "EPHEMERAL_PORT_EXPORTER_" $name }}
{{- with include "epe.valueOfOption" ($name | trimPrefix "EPHEMERAL_PORT_EXPORTER_") }}
- env.{{ $name }} is for the chart to set; {{ . }}
{{- end }}
{{- else if or (and (eq $name "NODE_NAME") $v.collectors.kubernetes) (and (eq $name "LISTEN_IP") (not $v.service.listenOnAllInterfaces)) }}
- env.{{ $name }} is for the chart to set; it names what the pod itself knows
{{- end }}
{{- end }}
{{- if and $v.webConfig $v.webConfigExistingSecret.name }}
- webConfig and webConfigExistingSecret.name: only one file can be given to --web.config.file
{{- end }}
{{- if and (not $v.webConfigExistingSecret.name) (or $v.webConfigExistingSecret.tls $v.webConfigExistingSecret.authentication $v.webConfigExistingSecret.rateLimit) }}
- webConfigExistingSecret.tls, .authentication and .rateLimit describe a Secret, and webConfigExistingSecret.name names none
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

{{/* What to use instead of an extra flag, or of the environment variable of the same name; "" where these are the way. */}}
{{- define "epe.valueOfOption" -}}
{{- $name := . | upper | replace "." "_" | replace "-" "_" }}
{{- $values := dict "WEB_LISTEN_ADDRESS" "service.port" "WEB_CONFIG_FILE" "webConfig" "NETNS" "netns" "CONFIG_FILE" "config" }}
{{- if hasKey $values $name }}use {{ get $values $name }}
{{- else if has $name (list "WEB_TELEMETRY_PATH" "SOURCE") }}use config, which the chart reads as well
{{- else if hasPrefix "COLLECTOR_" $name }}use collectors.{{ $name | trimPrefix "COLLECTOR_" | lower }}
{{- else if hasPrefix "PATH_" $name }}it says where the node's file systems are mounted
{{- else if has $name (list "HELP" "VERSION" "WATCH" "JSON") }}the pod serves
{{- end }}
{{- end }}

{{- define "epe.contradictionsOfConfig" -}}
{{- $config := .Values.config }}
{{- range $group, $inner := $config }}
{{- if kindIs "map" $inner }}
{{- range $key, $_ := $inner }}
{{- if hasKey $config (printf "%s.%s" $group $key) }}
- config.{{ $group }}.{{ $key }} is given twice, flat and in its group
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- range $limits := list (list "sample" "interval" "100ms" "5m") (list "sample" "peak-window" "1s" "1h") (list "forecast" "horizon" "1m" "1d") }}
{{- with include "epe.configOption" (list $ (index $limits 0) (index $limits 1)) }}
{{- $ms := include "epe.milliseconds" . | int64 }}
{{- if or (lt $ms (include "epe.milliseconds" (index $limits 2) | int64)) (gt $ms (include "epe.milliseconds" (index $limits 3) | int64)) }}
- config.{{ index $limits 0 }}.{{ index $limits 1 }}: {{ . }} is not from {{ index $limits 2 }} to {{ index $limits 3 }}
{{- end }}
{{- end }}
{{- end }}
{{- $path := include "epe.telemetryPath" . }}
{{- $own := $path | lower | trimSuffix "/" }}
{{- if or (has $own (list "/-/healthy" "/-/ready" "/api/v1/snapshot" "/api/v1/diagnosis" "/namespaces")) (hasPrefix "/namespaces/" $own) }}
- config.web.telemetry-path: {{ $path }} is a page that the program has already
{{- else if regexMatch "/[.][.]?(/|$)" $path }}
- config.web.telemetry-path: {{ $path }} has a part that clients would resolve
{{- end }}
{{- with default dict .Values.webConfig.tls_server_config }}
{{- $tls := . }}
{{- range $what := list "cert" "key" }}
{{- if not (or (get $tls $what) (get $tls (printf "%s_file" $what))) }}
- webConfig.tls_server_config has neither {{ $what }}_file nor {{ $what }}
{{- end }}
{{- end }}
{{- if and (eq (default "" .client_auth_type) "RequireAndVerifyClientCert") (not (or .client_ca .client_ca_file)) }}
- webConfig.tls_server_config.client_auth_type: {{ .client_auth_type }} without client_ca_file has no authority to verify by
{{- end }}
{{- end }}
{{- end }}

{{/* Of a duration as Prometheus writes it, 1m30s. */}}
{{- define "epe.milliseconds" -}}
{{- $text := . }}{{ $sum := 0 }}
{{- range $unit, $ms := dict "y" 31536000000 "w" 604800000 "d" 86400000 "h" 3600000 "m" 60000 "s" 1000 "ms" 1 }}
{{- with regexFind (printf "[0-9]+%s([0-9]|$)" $unit) $text }}
{{- $sum = add $sum (mul (regexFind "^[0-9]+" . | int64) $ms) }}
{{- end }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* Who can reach the pod, and what it may reach. */}}
{{- define "epe.contradictionsOfAccess" -}}
{{- $v := .Values }}
{{- if and $v.hostNetwork (lt (int $v.service.port) 1024) }}
- service.port: {{ $v.service.port }} with hostNetwork: a port below 1024 needs NET_BIND_SERVICE, which no privileges give; service.servicePort may be that low
{{- end }}
{{- if and $v.collectors.kubernetes (not $v.serviceAccount.create) (not $v.serviceAccount.name) }}
- serviceAccount.create: false without serviceAccount.name: every pod of the namespace that names no account could list pods as well
{{- end }}
{{- end }}

{{- define "epe.contradictionsOfMonitoring" -}}
{{- $v := .Values }}
{{- if $v.prometheus.podMonitor.targetLabels }}
- prometheus.podMonitor.targetLabels are labels of a Service, which a PodMonitor does not look at; use podTargetLabels
{{- end }}
{{- $severities := dict }}
{{- range (.Files.Get "files/alerts.json" | fromJson).groups }}
{{- range $rule := .rules }}
{{- with $rule.alert }}{{ $_ := set $severities . (append (default list (get $severities .)) $rule.labels.severity) }}{{ end }}
{{- end }}
{{- end }}
{{- range $alert, $switches := $v.prometheusRule.alerts }}
{{- range $what := list "for" "keepFiringFor" "severity" }}
{{- range $severity, $_ := default dict (get $switches $what) }}
{{- if not (has $severity (get $severities $alert)) }}
- prometheusRule.alerts.{{ $alert }}.{{ $what }}.{{ $severity }}: that alert comes as {{ get $severities $alert | join " and " }} only
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.prometheus.monitor.enabled $v.prometheus.podMonitor.enabled }}
- prometheus.monitor and prometheus.podMonitor would both scrape every pod; enable one
{{- end }}
{{- if and $v.prometheus.monitor.enabled (not $v.service.enabled) }}
- prometheus.monitor finds pods through the Service, and service.enabled is false; use prometheus.podMonitor
{{- end }}
{{- if and $v.serviceAccount.imagePullSecrets (not $v.serviceAccount.create) }}
- serviceAccount.imagePullSecrets with serviceAccount.create: false, which leaves the account as it is
{{- end }}
{{- range $name := list "exhaustedUtilization" "criticalRisk" "highUtilization" "fullUtilization" "udpUtilization" }}
{{- $clear := printf "%sClear" $name }}
{{- if gt (get $v.prometheusRule.thresholds $clear | float64) (get $v.prometheusRule.thresholds $name | float64) }}
- prometheusRule.thresholds.{{ $clear }} is above {{ $name }}: an alert ends below the one and begins above the other
{{- end }}
{{- end }}
{{- end }}

{{/* A sidecar is in the pod of somebody else, where nothing of the release can be mounted. */}}
{{- define "epe.contradictionsOfSidecar" -}}
{{- $v := .Values }}
{{- if or (ne $v.privileges "none") $v.collectors.kubernetes }}
- workload: Sidecar has no rights: privileges are to be none, and collectors.kubernetes false
{{- end }}
{{- if or $v.webConfig $v.webConfigExistingSecret.name $v.tlsSecret.name $v.configmaps $v.secrets $v.extraVolumeMounts }}
- workload: Sidecar mounts nothing: give webConfig and the like to the pod by hand
{{- end }}
{{- $ofPod := list }}
{{- range $key := list "securityContext" "podLabels" "podAnnotations" "daemonsetAnnotations" "priorityClassName" "dnsPolicy" "dnsConfig" "runtimeClassName" "imagePullSecrets" "extraVolumes" "extraInitContainers" "sidecars" }}
{{- if get $v $key }}{{ $ofPod = append $ofPod $key }}{{ end }}
{{- end }}
{{- with $ofPod }}
- {{ join ", " . }} with workload: Sidecar, whose pod is somebody else's{{ if has "securityContext" . }}; use containerSecurityContext{{ end }}
{{- end }}
{{- if $v.networkPolicy.enabled }}
- networkPolicy.enabled with workload: Sidecar, which has no pods of its own to bind
{{- end }}
{{- if and $v.prometheusRule.enabled (not $v.prometheusRule.job) $v.prometheus.podMonitor.enabled $v.prometheus.podMonitor.jobLabel }}
- prometheus.podMonitor.jobLabel with workload: Sidecar calls the job after a label of somebody else's pod; say in prometheusRule.job what it comes to
{{- end }}
{{- if $v.prometheus.monitor.enabled }}
- prometheus.monitor finds pods through a Service, which workload: Sidecar has not; use prometheus.podMonitor
{{- end }}
{{- if not $v.service.listenOnAllInterfaces }}
- service.listenOnAllInterfaces: false with workload: Sidecar, whose pod has one address alone
{{- end }}
{{- end }}
