{{- /* The labels by which pods are found, as upstream has them. Takes a list: root, component. */ -}}
{{- define "jupyterhub.selector" -}}
app: jupyterhub
component: {{ index . 1 }}
release: {{ (index . 0).Release.Name }}
{{- end -}}

{{- define "jupyterhub.labels" -}}
{{ include "jupyterhub.selector" . }}
app.kubernetes.io/name: jupyterhub
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- /* The variable with which hub and proxy know each other. */ -}}
{{- define "jupyterhub.token" -}}
- name: CONFIGPROXY_AUTH_TOKEN
  valueFrom: {secretKeyRef: {name: {{ .Values.hub.existingSecret | quote }}, key: hub.config.ConfigurableHTTPProxy.auth_token}}
{{- end -}}

{{- /* Ways out of a pod. Takes a list: root, the network policy's values. */ -}}
{{- define "jupyterhub.egress" -}}
{{- $rules := (index . 1).egressAllowRules -}}
{{- $metadata := printf "%s/32" (index . 0).Values.singleuser.cloudMetadata.ip -}}
{{- $private := list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" -}}
{{- $names := list -}}
{{- if $rules.dnsPortsCloudMetadataServer }}{{ $names = append $names (dict "ipBlock" (dict "cidr" $metadata)) }}{{ end -}}
{{- if $rules.dnsPortsKubeSystemNamespace -}}
{{- $names = append $names (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" "kube-system"))) -}}
{{- end -}}
{{- if $rules.dnsPortsPrivateIPs }}{{ range $private }}{{ $names = append $names (dict "ipBlock" (dict "cidr" .)) }}{{ end }}{{ end -}}
{{- $found := list -}}
{{- if $names -}}
{{- $ports := list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP") -}}
{{- $found = append $found (dict "to" $names "ports" $ports) -}}
{{- end -}}
{{- if $rules.nonPrivateIPs -}}
{{- $found = append $found (dict "to" (list (dict "ipBlock" (dict "cidr" "0.0.0.0/0" "except" (append $private $metadata))))) -}}
{{- end -}}
{{- if $rules.privateIPs -}}
{{- $blocks := list }}{{ range $private }}{{ $blocks = append $blocks (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $found = append $found (dict "to" $blocks) -}}
{{- end -}}
{{- if $rules.cloudMetadataServer -}}
{{- $found = append $found (dict "to" (list (dict "ipBlock" (dict "cidr" $metadata)))) -}}
{{- end -}}
{{- concat $found (index . 1).egress | toYaml -}}
{{- end -}}
