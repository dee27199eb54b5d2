// Whether we run in a pod, and how its Kubernetes API is reached: environment and mounted files -> settings or a
// problem.

export interface ClusterSettings {
  readonly nodeName: string
  /** IPv6 without brackets. */
  readonly apiServer: { readonly host: string; readonly port: number }
  readonly readToken: () => string
  readonly readCa: () => string
}

export interface ClusterView {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly exists: (path: string) => boolean
  readonly read: (path: string) => string
}

const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const NOT_IN_CLUSTER = 'this is not a pod of a Kubernetes cluster'

/** `problem` is the end of a sentence: what is missing, and what to do about it. */
export function readInClusterSettings({
  env,
  exists,
  read,
}: ClusterView): { readonly settings: ClusterSettings } | { readonly problem: string } {
  const host = env.KUBERNETES_SERVICE_HOST?.replace(/^\[(.*)\]$/, '$1') ?? ''
  if (host === '') return { problem: `KUBERNETES_SERVICE_HOST is not set: ${NOT_IN_CLUSTER}` }
  const portText = env.KUBERNETES_SERVICE_PORT ?? ''
  const port = /^\d{1,5}$/.test(portText) ? Number(portText) : 0
  if (port < 1 || port > 65_535) {
    return { problem: `KUBERNETES_SERVICE_PORT is not a port: ${JSON.stringify(portText)}` }
  }
  const missing = ['token', 'ca.crt'].map((file) => `${ACCOUNT}/${file}`).find((p) => !exists(p))
  if (missing !== undefined) {
    return {
      problem: `${missing} does not exist: set automountServiceAccountToken: true on the pod`,
    }
  }
  const nodeName = env.NODE_NAME ?? ''
  if (nodeName === '') {
    return { problem: 'NODE_NAME is not set: take it from the field spec.nodeName of the pod' }
  }
  if (!/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(nodeName)) {
    return { problem: `NODE_NAME is not the name of a node: ${JSON.stringify(nodeName)}` }
  }
  return {
    settings: {
      nodeName,
      apiServer: { host, port },
      readToken: () => read(`${ACCOUNT}/token`),
      readCa: () => read(`${ACCOUNT}/ca.crt`),
    },
  }
}
