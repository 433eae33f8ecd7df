{{/*
What one field of a schedule stands for: numbers with spaces between them, among them a star where every one is meant; nothing if cron refuses the field.
Takes a dict of text, low, high and names (of low and what follows). Source: robfig/cron 3, by which Kubernetes goes.
*/}}
{{- define "cmkstore.cronField" -}}
{{- $field := . }}
{{- $values := list }}
{{- $wrong := false }}
{{- $text := lower .text }}
{{- range $i, $name := .names }}{{ $text = regexReplaceAll (printf "\\b%s\\b" $name) $text (add $i $field.low | toString) }}{{ end }}
{{- range splitList "," $text }}
  {{- if regexMatch "^([*?]|[0-9]{1,2}(-[0-9]{1,2})?)(/0*[1-9][0-9]{0,3})?$" . }}
    {{- $parts := splitList "/" . }}
    {{- $range := splitList "-" (first $parts) }}
    {{- $low := $field.low }}
    {{- $high := $field.high }}
    {{- if regexMatch "^[0-9]" . }}
      {{- $low = first $range | atoi }}
      {{- if not (and (contains "/" .) (eq (len $range) 1)) }}{{ $high = last $range | atoi }}{{ end }}
    {{- else if regexMatch "^.(/0*1)?$" . }}
      {{- $values = append $values "*" }}
    {{- end }}
    {{- if or (lt $low $field.low) (lt $high $low) (gt $high $field.high) }}{{ $wrong = true }}{{ end }}
    {{- $step := 1 }}
    {{- if contains "/" . }}{{ $step = last $parts | atoi }}{{ end }}
    {{- $values = concat $values (untilStep $low (add1 $high | int) $step) }}
  {{- else }}{{ $wrong = true }}{{ end }}
{{- end }}
{{- if not $wrong }}{{ join " " $values }}{{ end }}
{{- end }}

{{/* How many days lie between two that a schedule names, at most; 0: it names none. Takes a dict of days, months and weekdays, each of cmkstore.cronField. */}}
{{- define "cmkstore.daysBetween" -}}
{{- $days := splitList " " .days }}
{{- $months := splitList " " .months }}
{{- $weekdays := splitList " " .weekdays }}
{{- /* Where both name some, cron takes the days of either. */}}
{{- $both := or (has "*" $days) (has "*" $weekdays) }}
{{- $longest := 0 }}
{{- $last := -1 }}
{{- /* From Sunday, January 1st of 2023, over the leap year after it, and on into 2026. */}}
{{- range $day := until 1127 }}
  {{- $date := dateInZone "2 1" (mul $day 86400 | add 1672531200) "UTC" | splitList " " }}
  {{- $ofMonth := has (first $date) $days }}
  {{- $ofWeek := has (mod $day 7 | toString) $weekdays }}
  {{- if and (has (last $date) $months) (ternary (and $ofMonth $ofWeek) (or $ofMonth $ofWeek) $both) }}
    {{- if ge $last 0 }}{{ $longest = max $longest (sub $day $last) }}{{ end }}
    {{- $last = $day }}
  {{- end }}
{{- end }}
{{- /* Only February 29th is seen once; a century may lack it. */}}
{{- if ge $last 0 }}{{ $longest | default 2922 }}{{ else }}0{{ end }}
{{- end }}
