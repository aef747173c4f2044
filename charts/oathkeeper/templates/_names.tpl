{{- define "oathkeeper.fullname" -}}
{{- $default := contains "oathkeeper" .Release.Name | ternary .Release.Name (printf "%s-oathkeeper" .Release.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "oathkeeper.selector" -}}
app.kubernetes.io/name: oathkeeper
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "oathkeeper.labels" -}}
{{ include "oathkeeper.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
