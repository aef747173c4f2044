{{- /* The program looks for objects and a Service of this name; it cannot be chosen. */ -}}
{{- define "envoy-gateway.name" -}}envoy-gateway{{- end -}}

{{- /* The selector of the upstream chart: it cannot be changed, and one release may go from one chart to the other. */ -}}
{{- define "envoy-gateway.selector" -}}
control-plane: envoy-gateway
app.kubernetes.io/name: gateway-helm
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "envoy-gateway.labels" -}}
{{ include "envoy-gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "envoy-gateway.image" -}}
{{- with .Values.deployment.envoyGateway.image -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "envoy-gateway.config" -}}
{{- $own := dict
    "apiVersion" "gateway.envoyproxy.io/v1alpha1"
    "kind" "EnvoyGateway"
    "gateway" (dict "controllerName" "gateway.envoyproxy.io/gatewayclass-controller")
    "logging" (dict "level" (dict "default" "info"))
    "provider" (dict "type" "Kubernetes" "kubernetes" (dict "shutdownManager" (dict "image" (include "envoy-gateway.image" .))))
    "proxyTopologyInjector" (dict "disabled" true) -}}
{{- mergeOverwrite $own (deepCopy .Values.config.envoyGateway) | toYaml -}}
{{- end -}}
