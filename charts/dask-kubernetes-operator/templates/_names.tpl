{{- define "dask-kubernetes-operator.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-dask-kubernetes-operator" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "dask-kubernetes-operator.selector" -}}
app.kubernetes.io/name: dask-kubernetes-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dask-kubernetes-operator.labels" -}}
{{ include "dask-kubernetes-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "dask-kubernetes-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "dask-kubernetes-operator.fullname" .) "default") -}}
{{- end -}}
