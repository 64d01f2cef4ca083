{{- define "register-collections.chart" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* The name of every object: the release's and the chart's, or one of them where it ends with or contains the other. A
CronJob's may have 52 characters. */}}
{{- define "register-collections.name" -}}
{{- $chart := include "register-collections.chart" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if hasSuffix (print "-" .Release.Name) (print "-" $chart) }}
{{- $chart }}
{{- else if contains $chart .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $chart | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "register-collections.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (ternary (include "register-collections.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "register-collections.labels" -}}
app.kubernetes.io/name: {{ include "register-collections.chart" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels and annotations of an object, but for those of a hook. */}}
{{- define "register-collections.metadata" -}}
labels:
  {{- include "register-collections.labels" . | nindent 2 }}
{{- with .Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The spec of the Job, and of the Jobs that the CronJob makes. manifests/base/job.yaml has the reasons. */}}
{{- define "register-collections.jobSpec" -}}
{{- $existing := .Values.existingConfigMap }}
{{- /* Kubernetes waits 10 s before the second try, 20 s before the third, and so on, at most six minutes. */ -}}
{{- $waits := 0 }}
{{- $wait := 10 }}
{{- range until (int .Values.backoffLimit) }}
{{- $waits = add $waits $wait }}
{{- $wait = min 360 (mul 2 $wait) }}
{{- end }}
{{- if ge (add (mul .Values.timeoutSeconds (add1 .Values.backoffLimit)) $waits) (int64 .Values.activeDeadlineSeconds) }}
{{- fail "activeDeadlineSeconds must be above timeoutSeconds times the tries (backoffLimit + 1) and the waits between them (10 s, 20 s, 40 s, …), or the Job ends before the program can say why it failed" }}
{{- end }}
{{- if not (or .Values.collections $existing.name .Values.allowEmpty) }}
{{- fail "nothing to register: set collections, existingConfigMap.name or allowEmpty" }}
{{- end }}
{{- if eq .Values.publishConfigMap ($existing.name | default (include "register-collections.name" .)) }}
{{- fail "publishConfigMap must not be the ConfigMap that declares the collections" }}
{{- end -}}
backoffLimit: {{ .Values.backoffLimit }}
activeDeadlineSeconds: {{ .Values.activeDeadlineSeconds }}
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes:
        containerName: register-collections
        operator: In
        values: [2, 4, 5, 6]
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
template:
  metadata:
    labels:
      {{- include "register-collections.podLabels" . | nindent 6 }}
    annotations:
      {{- include "register-collections.podAnnotations" . | nindent 6 }}
  spec:
    {{- include "register-collections.podSpec" . | nindent 4 }}
{{- end }}

{{- define "register-collections.podLabels" -}}
{{- /* No app.kubernetes.io/instance: by it alone another chart's Service may select its own pods. */ -}}
app.kubernetes.io/name: {{ include "register-collections.chart" . }}
app.kubernetes.io/part-of: llama-stack
sidecar.istio.io/inject: "false"
{{- with merge dict .Values.podLabels .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "register-collections.podAnnotations" -}}
sidecar.istio.io/inject: "false"
{{- with .Values.podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "register-collections.podSpec" -}}
{{- $existing := .Values.existingConfigMap -}}
{{- /* The volume of each Secret, the variable that names its file, and the file. */ -}}
{{- $secrets := list
  (list "api-key" "LLAMA_STACK_API_KEY_FILE" "token" .Values.apiKeySecret)
  (list "consumer-api-key" "HOOK_CONSUMER_API_KEY_FILE" "token" .Values.consumerApiKeySecret)
  (list "oauth-client" "HOOK_OAUTH_CLIENT_SECRET_FILE" "client-secret" .Values.oauth.clientSecret)
  (list "consumer-oauth-client" "HOOK_CONSUMER_OAUTH_CLIENT_SECRET_FILE" "client-secret" .Values.consumerOauth.clientSecret)
  (list "headers" "HOOK_HEADERS_FILE" "headers" .Values.headersSecret)
  (list "consumer-headers" "HOOK_CONSUMER_HEADERS_FILE" "headers" .Values.consumerHeadersSecret)
-}}
{{- /* Each variable, its value, and the program's own default, with which it is left out. */ -}}
{{- $variables := list
  (list "LLAMA_STACK_URL" .Values.url "")
  (list "HOOK_CONFIG" (printf "/config/%s" (ternary $existing.key "collections.yaml" (ne $existing.name ""))) "")
  (list "HOOK_TIMEOUT_SECONDS" .Values.timeoutSeconds "")
  (list "REQUESTS_CA_BUNDLE" (ternary "/etc/service-ca/service-ca.crt" "" .Values.serviceCa.enabled) "")
  (list "HOOK_OAUTH_TOKEN_URL" .Values.oauth.tokenUrl "")
  (list "HOOK_OAUTH_CLIENT_ID" .Values.oauth.clientId "")
  (list "HOOK_CONSUMER_OAUTH_CLIENT_ID" .Values.consumerOauth.clientId "")
  (list "HOOK_ALLOW_EMPTY" .Values.allowEmpty false)
  (list "HOOK_REQUEST_TIMEOUT_SECONDS" .Values.requestTimeoutSeconds 30)
  (list "HOOK_CONNECTIONS" .Values.connections 20)
  (list "HOOK_PROVE" .Values.prove "write")
  (list "HOOK_ON_DUPLICATE" .Values.onDuplicate "fail")
  (list "HOOK_ON_LOST" .Values.onLost "fail")
  (list "HOOK_ON_UNPROVEN" .Values.onUnproven "warn")
  (list "HOOK_WAIT_FOR_DEPLOYMENT" .Values.waitForDeployment "")
  (list "HOOK_PUBLISH_CONFIGMAP" .Values.publishConfigMap "")
  (list "HOOK_OUTPUT" .Values.output "json")
  (list "HOOK_LOG_LEVEL" .Values.logLevel "info")
  (list "HOOK_LOG_FORMAT" .Values.logFormat "json")
-}}
{{- range $secrets }}
{{- if (last .).name }}
{{- $variables = append $variables (list (index . 1) (printf "/etc/llama-stack-%s/%s" (first .) (index . 2)) "") }}
{{- end }}
{{- end }}
{{- /* What extraEnv names is there once, as extraEnv has it. */ -}}
{{- $extra := list }}
{{- range .Values.extraEnv }}
{{- if has .name $extra }}
{{- fail (printf "extraEnv names %s twice: keep one" .name) }}
{{- end }}
{{- $extra = append $extra .name }}
{{- end -}}
restartPolicy: Never
serviceAccountName: {{ include "register-collections.serviceAccountName" . }}
automountServiceAccountToken: {{ or (ne .Values.publishConfigMap "") (ne .Values.waitForDeployment "") }}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.extraInitContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: register-collections
    {{- with .Values.image }}
    image: {{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
    imagePullPolicy: {{ .pullPolicy }}
    {{- end }}
    env:
      {{- range $variables }}
      {{- if and (ne (toString (index . 1)) (toString (index . 2))) (not (has (first .) $extra)) }}
      - name: {{ first . }}
        value: {{ index . 1 | quote }}
      {{- end }}
      {{- end }}
      {{- with .Values.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.envFrom }}
    envFrom:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    terminationMessagePolicy: FallbackToLogsOnError
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: config
        mountPath: /config
        readOnly: true
      - name: tmp
        mountPath: /tmp
      {{- if .Values.serviceCa.enabled }}
      - name: service-ca
        mountPath: /etc/service-ca
        readOnly: true
      {{- end }}
      {{- range $secrets }}
      {{- if (last .).name }}
      - name: {{ first . }}
        mountPath: /etc/llama-stack-{{ first . }}
        readOnly: true
      {{- end }}
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ $existing.name | default (include "register-collections.name" .) }}
      {{- if $existing.name }}
      items:
        - key: {{ $existing.key }}
          path: {{ $existing.key }}
      {{- end }}
  - name: tmp
    emptyDir:
      sizeLimit: 16Mi
  {{- if .Values.serviceCa.enabled }}
  - name: service-ca
    configMap:
      name: {{ include "register-collections.name" . }}-service-ca
      items:
        - key: service-ca.crt
          path: service-ca.crt
  {{- end }}
  {{- range $secrets }}
  {{- if (last .).name }}
  - name: {{ first . }}
    secret:
      secretName: {{ (last .).name }}
      items:
        - key: {{ (last .).key }}
          path: {{ index . 2 }}
  {{- end }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
