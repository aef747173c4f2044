{{- define "kratos.fullname" -}}
{{- $default := contains "kratos" .Release.Name | ternary .Release.Name (printf "%s-kratos" .Release.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "kratos.selector" -}}
app.kubernetes.io/name: kratos
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kratos.labels" -}}
{{ include "kratos.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
