// A rendered DaemonSet -> what its container is started with, as the kubelet would read it. Pure.

export interface ContainerMount {
  /** Inside the container. */
  readonly path: string
  readonly readOnly: boolean
  readonly propagation: string
  readonly source:
    | { readonly kind: 'hostPath'; readonly path: string; readonly type: string }
    | { readonly kind: 'configMap' | 'secret'; readonly name: string }
    /** Files below `path`. */
    | { readonly kind: 'projected'; readonly files: readonly string[] }
    | { readonly kind: 'emptyDir' }
}

export interface ContainerProbe {
  readonly kind: 'liveness' | 'readiness' | 'startup'
  /** Undefined where a connection is enough. */
  readonly path: string | undefined
  readonly scheme: string | undefined
  readonly port: number
}

export interface RenderedContainer {
  readonly image: string
  /** Empty for the image's own ENTRYPOINT. */
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly fsGroup: number | undefined
  readonly runAsNonRoot: boolean
  /** Without CAP_. */
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] }
  readonly noNewPrivileges: boolean
  readonly privileged: boolean
  readonly readOnlyRoot: boolean
  readonly seccomp: string | undefined
  readonly appArmor: string | undefined
  readonly hostNetwork: boolean
  readonly hostPid: boolean
  readonly ports: readonly { readonly name: string; readonly port: number }[]
  readonly probes: readonly ContainerProbe[]
  readonly mounts: readonly ContainerMount[]
}

/** What the downward API says on the node. */
export interface NodeView {
  readonly nodeName: string
  readonly hostIp: string
  readonly podIp?: string
}

type Fields = Readonly<Record<string, unknown>>

/** Of the first container of the DaemonSet among the objects. */
export function takeContainer(objects: readonly unknown[], node: NodeView): RenderedContainer {
  const daemonSet = objects.map(fieldsOf).find(({ kind }) => kind === 'DaemonSet')
  if (daemonSet === undefined) throw new TypeError('Cannot take a container: no DaemonSet')
  const template = at(daemonSet, 'spec', 'template')
  const pod = at(template, 'spec')
  const container = fieldsOf(listOf(pod.containers)[0])
  const podContext = at(pod, 'securityContext')
  const context = at(container, 'securityContext')
  const either = (key: string) => context[key] ?? podContext[key]
  const env = takeEnv(container, node)
  const name = String(container.name)
  const annotation = at(template, 'metadata', 'annotations')[
    `container.apparmor.security.beta.kubernetes.io/${name}`
  ]
  const ports = listOf(container.ports)
    .map(fieldsOf)
    .map((port) => ({ name: String(port.name), port: Number(port.containerPort) }))
  return {
    image: String(container.image),
    command: listOf(container.command).map(String),
    args: listOf(container.args).map((arg) => expand(String(arg), env)),
    env,
    uid: numberOf(either('runAsUser')),
    gid: numberOf(either('runAsGroup')),
    fsGroup: numberOf(podContext.fsGroup),
    runAsNonRoot: either('runAsNonRoot') === true,
    capabilities: {
      add: listOf(at(context, 'capabilities').add).map(String),
      drop: listOf(at(context, 'capabilities').drop).map(String),
    },
    noNewPrivileges: context.allowPrivilegeEscalation === false,
    privileged: context.privileged === true,
    readOnlyRoot: context.readOnlyRootFilesystem === true,
    seccomp: textOf(fieldsOf(either('seccompProfile')).type),
    appArmor:
      annotation === 'unconfined' ? 'Unconfined' : textOf(fieldsOf(either('appArmorProfile')).type),
    hostNetwork: pod.hostNetwork === true,
    hostPid: pod.hostPID === true,
    ports,
    probes: (['liveness', 'readiness', 'startup'] as const).flatMap((kind) =>
      takeProbe(kind, container[`${kind}Probe`], ports),
    ),
    mounts: listOf(container.volumeMounts).map((mount) => takeMount(fieldsOf(mount), pod)),
  }
}

function takeEnv(container: Fields, node: NodeView): Readonly<Record<string, string>> {
  const said: Readonly<Record<string, string>> = {
    'spec.nodeName': node.nodeName,
    'status.hostIP': node.hostIp,
    'status.podIP': node.podIp ?? node.hostIp,
  }
  const entries = listOf(container.env)
    .map(fieldsOf)
    .map((variable): [string, string | undefined] => {
      const path = textOf(at(variable, 'valueFrom', 'fieldRef').fieldPath)
      return [String(variable.name), textOf(variable.value) ?? (path && said[path])]
    })
  const env: Record<string, string> = {}
  // Each may name those before it.
  for (const [name, value] of entries) if (value) env[name] = expand(value, env)
  return env
}

/** $(NAME) as the kubelet replaces it; one that it does not know stays. */
function expand(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\(([A-Za-z_]\w*)\)/g, (whole, name) => env[name] ?? whole)
}

function takeProbe(
  kind: ContainerProbe['kind'],
  probe: unknown,
  ports: RenderedContainer['ports'],
): ContainerProbe[] {
  if (probe === undefined) return []
  const { httpGet, tcpSocket } = fieldsOf(probe)
  const action = fieldsOf(httpGet ?? tcpSocket)
  const port = ports.find(({ name }) => name === action.port)?.port ?? Number(action.port)
  return [{ kind, path: textOf(action.path), scheme: textOf(action.scheme), port }]
}

function takeMount(mount: Fields, pod: Fields): ContainerMount {
  const volume = listOf(pod.volumes)
    .map(fieldsOf)
    .find(({ name }) => name === mount.name)
  if (volume === undefined)
    throw new TypeError(`Cannot mount ${String(mount.name)}: no such volume`)
  return {
    path: String(mount.mountPath),
    readOnly: mount.readOnly === true,
    propagation: textOf(mount.mountPropagation) ?? 'None',
    source: takeSource(volume),
  }
}

function takeSource(volume: Fields): ContainerMount['source'] {
  const { hostPath, configMap, secret, projected } = volume
  if (hostPath !== undefined) {
    const { path, type } = fieldsOf(hostPath)
    return { kind: 'hostPath', path: String(path), type: textOf(type) ?? '' }
  }
  if (configMap !== undefined) return { kind: 'configMap', name: String(fieldsOf(configMap).name) }
  if (secret !== undefined) return { kind: 'secret', name: String(fieldsOf(secret).secretName) }
  if (projected !== undefined) {
    const files = listOf(fieldsOf(projected).sources).map(fieldsOf).flatMap(takeProjectedFiles)
    return { kind: 'projected', files }
  }
  if (volume.emptyDir !== undefined) return { kind: 'emptyDir' }
  throw new TypeError(`Cannot tell what volume ${String(volume.name)} is`)
}

function takeProjectedFiles(source: Fields): string[] {
  const token = source.serviceAccountToken
  if (token !== undefined) return [String(fieldsOf(token).path)]
  const { items } = fieldsOf(source.configMap ?? source.secret ?? source.downwardAPI)
  return listOf(items).map((item) => String(fieldsOf(item).path))
}

/** An empty object where there is none, so that what is absent reads as undefined. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null
    ? Object.fromEntries(Object.entries(value))
    : {}
}

/** What stands at the end of a path of keys. */
export function at(value: unknown, ...path: readonly string[]): Fields {
  return path.reduce((fields, key) => fieldsOf(fields[key]), fieldsOf(value))
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
