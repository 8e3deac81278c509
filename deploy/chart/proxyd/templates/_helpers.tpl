{{- define "proxyd.selector" -}}
app.kubernetes.io/name: proxyd
{{- end }}

{{- define "proxyd.labels" -}}
{{ include "proxyd.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "proxyd.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "proxyd.config" -}}
{{- if not (or .Values.config.clusterCIDR .Values.config.detectLocalMode) }}
{{- fail "config.clusterCIDR is required: the networks of pods, such as 10.244.0.0/16 (or say with config.detectLocalMode how else pods are told)" }}
{{- end }}
{{- $client := .Values.config.clientConnection | default dict }}
{{- $connection := merge (dict "kubeconfig" "/var/lib/kube-proxy/kubeconfig.conf") $client }}
{{- $head := dict "apiVersion" "kubeproxy.config.k8s.io/v1alpha1" "kind" "KubeProxyConfiguration" "clientConnection" $connection }}
{{- toYaml (merge $head .Values.config) }}
{{- end }}

{{- define "proxyd.kubeconfig" -}}
apiVersion: v1
kind: Config
clusters:
  - name: default
    cluster:
      certificate-authority: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
      server: {{ required "apiServer is required: the URL of the API server that kubelets use" .Values.apiServer | quote }}
contexts:
  - name: default
    context:
      cluster: default
      namespace: default
      user: default
current-context: default
users:
  - name: default
    user:
      tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
{{- end }}

{{- define "proxyd.args" -}}
- --config=/var/lib/kube-proxy/config.conf
- --hostname-override=$(NODE_NAME)
{{- end }}

{{- define "proxyd.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "proxyd.livez" -}}
httpGet:
  path: /livez
  port: healthz
{{- end }}

{{- define "proxyd.metricsPort" -}}
{{- $address := .Values.config.metricsBindAddress }}
{{- if or (hasPrefix "127." $address) (hasPrefix "[::1]" $address) }}
{{- fail "serviceMonitor needs config.metricsBindAddress on an address Prometheus can reach, such as 0.0.0.0:10249" }}
{{- end }}
{{- regexFind "[0-9]+$" $address }}
{{- end }}
