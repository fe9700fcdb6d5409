{{- define "compression-operator.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "compression-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- $name := include "compression-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Names of cluster-scoped objects contain the namespace, so that releases of one name do not conflict. */ -}}
{{- define "compression-operator.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "compression-operator.fullname" .) }}
{{- end }}

{{- define "compression-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default (include "compression-operator.fullname" .) }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "compression-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "compression-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "compression-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: {{ include "compression-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: compression-operator
{{- end }}

{{- define "compression-operator.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "compression-operator.runnerImage" -}}
{{- with .Values.runner.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "compression-operator.runnerCudaImage" -}}
{{- with .Values.runner.image }}
{{- if .cudaDigest }}
{{- printf "%s@%s" .repository .cudaDigest }}
{{- else }}
{{- printf "%s:%s-cuda" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Pods of all child Jobs, as the operator labels them. */ -}}
{{- define "compression-operator.runnerLabels" -}}
app.kubernetes.io/managed-by: compression-operator
{{- end }}

{{- /* Whether the API server serves CompressionRuntimes already: "" or "true". See templates/runtimes.yaml. */ -}}
{{- define "compression-operator.apiServed" -}}
{{- if .Capabilities.APIVersions.Has "compression-operator.io/v1alpha1/CompressionRuntime" }}true{{ end }}
{{- end }}

{{- /* Ownership metadata that lets a release take over an object: Helm adds it to all objects except hooks. */ -}}
{{- define "compression-operator.ownership" -}}
meta.helm.sh/release-name: {{ .Release.Name }}
meta.helm.sh/release-namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* The receivers of notifications as JSON, without those that are null; "{}" when there are none. */ -}}
{{- define "compression-operator.receivers" -}}
{{- $receivers := dict }}
{{- range $name, $receiver := .Values.notifications.receivers }}
{{- if $receiver }}
{{- $settings := omit $receiver "signingKey" }}
{{- if $receiver.signingKey }}
{{- $_ := set $settings "keyFile" (printf "/etc/compression-operator/notifications/keys/%s" $name) }}
{{- end }}
{{- $_ := set $receivers $name $settings }}
{{- end }}
{{- end }}
{{- $receivers | toJson }}
{{- end }}

{{- define "compression-operator.leaseName" -}}
{{- include "compression-operator.fullname" . }}
{{- end }}

{{- /* Whether the operator manages NetworkPolicies for the runners' pods: "" or "true". */ -}}
{{- define "compression-operator.keepsNetworkPolicies" -}}
{{- if and .Values.networkPolicy.enabled .Values.networkPolicy.runners }}true{{ end }}
{{- end }}

{{- define "compression-operator.runnerPolicyName" -}}
{{- printf "%s-runners" (include "compression-operator.fullname" .) }}
{{- end }}

{{- /* The file of --network-policy. */ -}}
{{- define "compression-operator.runnerNetwork" -}}
{{- $egress := .Values.networkPolicy.runnerEgress }}
name: {{ include "compression-operator.runnerPolicyName" . }}
labels:
  app.kubernetes.io/name: {{ include "compression-operator.name" . }}
  app.kubernetes.io/instance: {{ .Release.Name }}
  app.kubernetes.io/part-of: compression-operator
operator:
  namespace: {{ .Release.Namespace }}
  podLabels:
    {{- include "compression-operator.selectorLabels" . | nindent 4 }}
metricsFrom: {{ .Values.networkPolicy.metricsFrom | toJson }}
egress: {{ pick $egress "mode" "to" "ports" "dns" "metadataAddresses" | toJson }}
{{- end }}

{{- /* The Secret with the certificate of the metrics: the named one, or the one that the chart creates. */ -}}
{{- define "compression-operator.metricsSecretName" -}}
{{- .Values.metrics.secure.certSecretName | default (printf "%s-metrics" (include "compression-operator.fullname" .)) }}
{{- end }}

{{- define "compression-operator.metricsHost" -}}
{{- printf "%s.%s.svc" (include "compression-operator.fullname" .) .Release.Namespace }}
{{- end }}
