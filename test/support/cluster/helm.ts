// Helm 3 and Helm 4 as programs: the chart with some values -> the objects it renders to, or what Helm says against it.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'

export const CHART = fileURLToPath(
  new URL('../../../deploy/helm/ephemeral-port-exporter', import.meta.url),
)
/** Where tools are kept that no package manager installs. */
export const CACHE = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'ephemeral-port-exporter',
)
export const NEWEST_KUBERNETES = '1.37.0'

export interface Helm {
  readonly name: 'helm3' | 'helm4'
  /** Undefined where it is not installed. */
  readonly path: string | undefined
}

export function findHelm(): readonly Helm[] {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(CACHE, 'bin')]
  return (['helm3', 'helm4'] as const).map((name) => ({
    name,
    path: folders.map((folder) => join(folder, name)).find((path) => existsSync(path)),
  }))
}

export interface HelmRun {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Without a home of its own or a cluster: only what the arguments name. */
export function runHelm(helm: Helm, args: readonly string[], input = ''): HelmRun {
  if (helm.path === undefined) throw new Error(`Cannot run ${helm.name}: not installed`)
  const { status, stdout, stderr, error } = spawnSync(helm.path, args, {
    input,
    encoding: 'utf8',
    env: { ...process.env, KUBECONFIG: '/dev/null' },
    maxBuffer: 64 * 1024 * 1024,
  })
  if (error !== undefined) throw error
  return { status, stdout, stderr }
}

export interface RenderOptions {
  readonly chart?: string
  readonly kubeVersion?: string
  readonly release?: string
  readonly namespace?: string
  /** Paths of values files, before `values`. */
  readonly files?: readonly string[]
}

/** What `helm template` does with the values, given as JSON, which YAML contains. */
export function templateChart(helm: Helm, values: unknown, options: RenderOptions = {}): HelmRun {
  const { chart = CHART, kubeVersion = NEWEST_KUBERNETES, files = [] } = options
  const { release = 'ports', namespace = 'ports' } = options
  const given = [...files, '-'].flatMap((file) => ['--values', file])
  return runHelm(
    helm,
    ['template', release, chart, '--namespace', namespace, '--kube-version', kubeVersion, ...given],
    JSON.stringify(values),
  )
}

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly [key: string]: unknown }
  readonly [key: string]: unknown
}

/** Throws what Helm says where it refuses. */
export function renderChart(
  helm: Helm,
  values: unknown,
  options: RenderOptions = {},
): KubeObject[] {
  const { status, stdout, stderr } = templateChart(helm, values, options)
  if (status !== 0) throw new Error(`Cannot render the chart: ${stderr}`)
  return parseManifest(stdout)
}

/** Documents of one object each; what is empty, or repeats a key, is no manifest. */
export function parseManifest(text: string): KubeObject[] {
  const documents = parseAllDocuments(text, { uniqueKeys: true })
  if (!Array.isArray(documents)) return []
  return documents
    .map((document) => {
      if (document.errors[0] !== undefined) throw document.errors[0]
      return document.toJS()
    })
    .filter((object) => object !== null)
}

export function objectOf(objects: readonly KubeObject[], kind: string, name?: string): KubeObject {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  )
  if (found[0] === undefined || found.length > 1) {
    throw new Error(`Expected one ${kind} ${name ?? ''}, got ${found.length}`)
  }
  return found[0]
}

/** Names of the files in a package, below the folder that bears the chart's name. */
export function listArchive(path: string): readonly string[] {
  const { stdout } = spawnSync('tar', ['--list', '--gzip', '--file', path], { encoding: 'utf8' })
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((name) => name.replace(/^[^/]*\//, ''))
}
