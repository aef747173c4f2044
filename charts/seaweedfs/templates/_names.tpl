{{- /* As upstream: <release>-seaweedfs, or the release's name where that contains it already, and the form. */}}
{{- define "seaweedfs.name" -}}
{{- $default := contains "seaweedfs" .Release.Name | ternary .Release.Name (printf "%s-seaweedfs" .Release.Name) -}}
{{- printf "%s-all-in-one" ($default | trunc 52 | trimSuffix "-") -}}
{{- end -}}

{{- define "seaweedfs.selector" -}}
app.kubernetes.io/name: seaweedfs
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: seaweedfs-all-in-one
{{- end -}}

{{- define "seaweedfs.labels" -}}
{{ include "seaweedfs.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
