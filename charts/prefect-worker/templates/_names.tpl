{{- define "prefect-worker.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-prefect-worker" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "prefect-worker.selector" -}}
app.kubernetes.io/name: prefect-worker
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "prefect-worker.labels" -}}
{{ include "prefect-worker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "prefect-worker.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "prefect-worker.fullname" .) "default") -}}
{{- end -}}

{{- define "prefect-worker.env" -}}
- {name: HOME, value: /home/prefect}
- {name: PREFECT_API_URL, value: {{ .Values.worker.selfHostedServerApiConfig.apiUrl | quote }}}
- {name: PREFECT_KUBERNETES_CLUSTER_UID, value: {{ .Values.worker.clusterUid | quote }}}
{{- end -}}
