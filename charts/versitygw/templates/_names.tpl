{{- define "versitygw.fullname" -}}
{{- $default := contains "versitygw" .Release.Name | ternary .Release.Name (printf "%s-versitygw" .Release.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "versitygw.selector" -}}
app.kubernetes.io/name: versitygw
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "versitygw.labels" -}}
{{ include "versitygw.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "versitygw.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "versitygw.fullname" .) "default") -}}
{{- end -}}

{{- define "versitygw.claim" -}}
{{- .Values.persistence.claimName | default (printf "%s-data" (include "versitygw.fullname" .)) -}}
{{- end -}}
