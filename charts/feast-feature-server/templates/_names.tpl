{{- define "feast-feature-server.fullname" -}}
{{- .Values.fullnameOverride | default (printf "%s-feast-feature-server" .Release.Name) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "feast-feature-server.selector" -}}
app.kubernetes.io/name: feast-feature-server
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "feast-feature-server.labels" -}}
{{ include "feast-feature-server.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The command that follows from the mode, and its port. */ -}}
{{- define "feast-feature-server.modes" -}}
online: {command: [serve, -h, 0.0.0.0], port: 6566}
offline: {command: [serve_offline, -h, 0.0.0.0], port: 8815}
ui: {command: [ui, -h, 0.0.0.0], port: 8888}
registry: {command: [serve_registry], port: 6570}
{{- end -}}
