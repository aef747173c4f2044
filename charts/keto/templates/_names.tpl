{{- define "keto.fullname" -}}
{{- $default := contains "keto" .Release.Name | ternary .Release.Name (printf "%s-keto" .Release.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "keto.selector" -}}
app.kubernetes.io/name: keto
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keto.labels" -}}
{{ include "keto.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
