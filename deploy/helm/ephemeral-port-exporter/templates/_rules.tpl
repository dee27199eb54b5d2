{{/* The groups of files/alerts.json and files/recording.json with the user's switches and thresholds. */}}

{{- define "epe.ruleGroups" -}}
{{- $groups := list }}
{{- range $file := list "recording" "alerts" }}
{{- $text := required (printf "The chart is incomplete: files/%s.json is missing" $file) ($.Files.Get (printf "files/%s.json" $file)) }}
{{- range $group := (fromJson $text).groups }}
{{- $rules := list }}
{{- range $rule := $group.rules }}
{{- $switches := dict }}
{{- with $rule.alert }}{{ $switches = default dict (get $.Values.prometheusRule.alerts .) }}{{ end }}
{{- if ne (get $switches "enabled" | toString) "false" }}
{{- $rules = append $rules (include "epe.rule" (dict "root" $ "rule" $rule "switches" $switches) | fromYaml) }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- $groups = append $groups (set $group "rules" $rules) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $groups }}
{{- end }}

{{- define "epe.rule" -}}
{{- $values := .root.Values.prometheusRule }}
{{- $rule := .rule }}
{{- $_ := set $rule "expr" (include "epe.ruleExpr" .) }}
{{- if $rule.alert }}
{{- $severity := $rule.labels.severity }}
{{- with get (default dict .switches.for) $severity }}{{ $_ := set $rule "for" . }}{{ end }}
{{- with get (default dict .switches.keepFiringFor) $severity }}{{ $_ := set $rule "keep_firing_for" . }}{{ end }}
{{- with get (default dict .switches.severity) $severity }}{{ $_ := set $rule.labels "severity" . }}{{ end }}
{{- $_ := set $rule "labels" (mergeOverwrite (deepCopy $values.additionalRuleLabels) $rule.labels) }}
{{- if $values.runbookUrl }}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s.md" (trimSuffix "/" $values.runbookUrl) $rule.alert) }}
{{- end }}
{{- $_ := set $rule "annotations" (mergeOverwrite (deepCopy $values.additionalRuleAnnotations) $rule.annotations) }}
{{- end }}
{{- toYaml $rule }}
{{- end }}

{{/* A line of an expression that may be tuned ends in `# threshold: <name>`. */}}
{{- define "epe.ruleExpr" -}}
{{- $expr := .rule.expr }}
{{- range $name, $value := .root.Values.prometheusRule.thresholds }}
{{- $expr = regexReplaceAll (printf "(?m)[0-9.]+( # threshold: %s)$" $name) $expr (printf "%v${1}" $value) }}
{{- end }}
{{- $job := default (include "epe.jobs" .root) .root.Values.prometheusRule.job }}
{{- regexReplaceAll "(?m)job=~\"[^\"]*\"(.* # threshold: job)$" $expr (printf "job=~%s${1}" ($job | toJson | replace "$" "$$")) }}
{{- end }}

{{/*
Regular expression of what the job may be called: as the chart is, in whatever words, and as the monitors call it. That is the
value of a label, or <namespace>/<name of the monitor> where the label is missing. A short name is matched as a whole.
*/}}
{{- define "epe.jobs" -}}
{{- $names := list (include "epe.name" .) (include "epe.fullname" .) }}
{{- range $kind := list "monitor" "podMonitor" }}
{{- $monitor := get $.Values.prometheus $kind }}
{{- $labels := include "epe.labelsWith" (list $ (ternary $.Values.service.labels $.Values.podLabels (eq $kind "monitor"))) | fromYaml }}
{{- if $monitor.enabled }}{{ with get $labels (default "" $monitor.jobLabel) }}{{ $names = append $names . }}{{ end }}{{ end }}
{{- end }}
{{- $jobs := list (printf ".*%s.*" .Chart.Name) }}
{{- range $name := $names | uniq }}
{{- if not (contains $.Chart.Name $name) }}{{ $jobs = append $jobs (printf "(.+/)?%s" $name) }}{{ end }}
{{- end }}
{{- join "|" $jobs }}
{{- end }}
