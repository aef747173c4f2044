{{- define "kserve-resources.selector" -}}
app.kubernetes.io/name: kserve-controller-manager
app.kubernetes.io/instance: {{ .Release.Name }}
control-plane: kserve-controller-manager
{{- end -}}

{{- define "kserve-resources.labels" -}}
app.kubernetes.io/name: kserve-controller-manager
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}
