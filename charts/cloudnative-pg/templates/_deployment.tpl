{{- /* Sets our values in the manifest's Deployment. Takes a list: root context, Deployment. Changes it in place. */ -}}
{{- define "cloudnative-pg.deployment" -}}
{{- $root := index . 0 -}}{{- $deployment := index . 1 -}}{{- $values := $root.Values -}}
{{- $image := printf "%s:%s" $values.image.repository ($values.image.tag | default $root.Chart.AppVersion) -}}

{{- $_ := set $deployment.metadata "name" (include "cloudnative-pg.fullname" $root) -}}
{{- $_ := set $deployment.spec "replicas" ($values.replicaCount | int) -}}

{{- /* The selector of the upstream chart: it cannot be changed, and one release may go from one chart to the other. */ -}}
{{- $selector := include "cloudnative-pg.selector" $root | fromYaml -}}
{{- $_ := set $deployment.spec.selector "matchLabels" $selector -}}

{{- $template := $deployment.spec.template -}}
{{- $_ := set $template.metadata "labels" (merge (dict) $selector $values.podLabels) -}}
{{- if $values.podAnnotations -}}
{{- $_ := set $template.metadata "annotations" $values.podAnnotations -}}
{{- end -}}

{{- $pod := $template.spec -}}
{{- $_ := set $pod "enableServiceLinks" false -}}
{{- $_ := set $pod "securityContext" $values.podSecurityContext -}}
{{- range $key := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" -}}
{{- with index $values $key -}}
{{- $_ := set $pod $key . -}}
{{- end -}}
{{- end -}}

{{- $manager := index $pod.containers 0 -}}
{{- $_ := set $manager "image" $image -}}
{{- $_ := set $manager "imagePullPolicy" $values.image.pullPolicy -}}
{{- $_ := set $manager "resources" $values.resources -}}
{{- $_ := set $manager "securityContext" $values.containerSecurityContext -}}
{{- $_ := set $manager "args" (concat (list
    "controller"
    "--leader-elect"
    (printf "--max-concurrent-reconciles=%d" (int $values.config.maxConcurrentReconciles))
    (printf "--config-map-name=%s" $values.config.name)
    (printf "--webhook-port=%d" (int $values.webhook.port))
  ) $values.additionalArgs) -}}
{{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" -}}
{{- $_ := set (index $manager $probe).httpGet "port" "webhook-server" -}}
{{- end -}}
{{- $_ := set $manager "startupProbe" (mergeOverwrite $manager.startupProbe $values.webhook.startupProbe) -}}
{{- range $port := $manager.ports -}}
{{- if eq $port.name "webhook-server" -}}
{{- $_ := set $port "containerPort" (int $values.webhook.port) -}}
{{- end -}}
{{- end -}}
{{- /* The operator starts every PostgreSQL pod with this image in an init container. */ -}}
{{- range $variable := $manager.env -}}
{{- if eq $variable.name "OPERATOR_IMAGE_NAME" -}}
{{- $_ := set $variable "value" $image -}}
{{- end -}}
{{- end -}}
{{- $_ := set $manager "env" (concat $manager.env $values.additionalEnv) -}}
{{- end -}}
