{{- /* Short enough for the Service, whose name `polyaxon port-forward` makes of the release's: <release>-polyaxon-gateway. */ -}}
{{- define "polyaxon.fullname" -}}
{{- printf "%s-polyaxon" .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- end -}}

{{- /* As upstream's, so that one chart can take the other's place. */ -}}
{{- define "polyaxon.selector" -}}
app.kubernetes.io/name: {{ include "polyaxon.fullname" . }}-gateway
{{- end -}}

{{- define "polyaxon.labels" -}}
{{ include "polyaxon.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The host names under which the cluster calls the server. */ -}}
{{- define "polyaxon.host" -}}
{{- printf "%s-gateway.%s.svc.cluster.local" (include "polyaxon.fullname" .) .Release.Namespace -}}
{{- end -}}
