{{- define "mlflow.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-mlflow" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "mlflow.selector" -}}
app.kubernetes.io/name: mlflow
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mlflow.labels" -}}
{{ include "mlflow.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "mlflow.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary (include "mlflow.fullname" .) "default") -}}
{{- end -}}

{{- /* An environment variable from a plain value or a reference, nothing when both are empty.
       Takes a list: name, value, reference. */ -}}
{{- define "mlflow.envVar" -}}
{{- $name := index . 0 -}}{{- $value := index . 1 -}}{{- $from := index . 2 -}}
{{- if $from -}}
- name: {{ $name }}
  valueFrom: {{ toJson $from }}
{{- else if $value -}}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end -}}
{{- end -}}

{{- /* Takes a list: probe settings, path. */ -}}
{{- define "mlflow.probe" -}}
{{- toYaml (merge (dict "httpGet" (dict "path" (index . 1) "port" "http")) (omit (index . 0) "enabled")) -}}
{{- end -}}
