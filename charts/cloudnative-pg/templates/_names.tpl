{{- define "cloudnative-pg.fullname" -}}
{{- $default := contains "cloudnative-pg" .Release.Name | ternary .Release.Name (printf "%s-cloudnative-pg" .Release.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "cloudnative-pg.selector" -}}
app.kubernetes.io/name: cloudnative-pg
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cloudnative-pg.labels" -}}
{{ include "cloudnative-pg.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
