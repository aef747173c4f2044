{{- define "prefect-server.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-prefect-server" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "prefect-server.selector" -}}
app.kubernetes.io/name: prefect-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "prefect-server.labels" -}}
{{ include "prefect-server.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "prefect-server.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "prefect-server.fullname" .) "default") -}}
{{- end -}}

{{- /* Takes a list: probe settings, base path of the API, what to ask. */ -}}
{{- define "prefect-server.probe" -}}
{{- toYaml (merge (dict "httpGet" (dict "path" (printf "%s/%s" (index . 1) (index . 2)) "port" "http")) (index . 0).config) -}}
{{- end -}}
