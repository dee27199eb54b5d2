// The OpenAPI schemas of Kubernetes and of the Prometheus operator, as .ci/run has fetched them -> what is wrong with an object.
// Strict: a field that the API does not know is an error, which the API server would only drop.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv, type ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { CACHE, type KubeObject } from './helm.ts'
import { at, fieldsOf, listOf } from './kube-container.ts'

const KUBERNETES = join(CACHE, 'schemas/kubernetes-validate-1.37.0')
const OPERATOR = join(CACHE, 'schemas/prometheus-operator-0.85.0')

/** As in 1.25.0, oldest first; none where the schemas have not been fetched. */
export function listKubernetesVersions(): readonly string[] {
  if (!existsSync(KUBERNETES) || !existsSync(OPERATOR)) return []
  return readdirSync(KUBERNETES)
    .map((file) => file.replace(/^v|\.json$/g, ''))
    .toSorted((a, b) => Number(a.split('.')[1]) - Number(b.split('.')[1]))
}

export type Judge = (object: KubeObject) => readonly string[]

/** Problems of an object; one of a kind that no schema knows is a problem. */
export function createJudge(kubernetesVersion: string): Judge {
  const kinds = new Map([...readKubernetes(kubernetesVersion), ...readOperator()])
  return (object) => {
    const validate = kinds.get(`${object.apiVersion} ${object.kind}`)?.()
    if (validate === undefined) return [`No schema for ${object.apiVersion} ${object.kind}`]
    if (validate(object)) return findNulls(object, '')
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    )
  }
}

type Kinds = Iterable<readonly [kind: string, validate: () => ValidateFunction]>

// Nothing but types, fields and enumerations is declared there, so formats need no definition.
const ajvOptions = { strict: false, validateFormats: false, allErrors: true }

function readKubernetes(version: string): Kinds {
  const schema: unknown = JSON.parse(readFileSync(join(KUBERNETES, `v${version}.json`), 'utf8'))
  const ajv = new Ajv2020(ajvOptions)
  ajv.addSchema(fieldsOf(schema), 'kubernetes')
  return Object.entries(at(schema, '$defs')).flatMap(([name, definition]) => {
    const { apiVersion, kind } = at(definition, 'properties')
    const [one] = listOf(fieldsOf(apiVersion).enum)
    if (typeof one !== 'string') return []
    const validate = () => ajv.compile({ $ref: `kubernetes#/$defs/${name}` })
    return [[`${one} ${listOf(fieldsOf(kind).enum)[0]}`, validate] as const]
  })
}

function readOperator(): Kinds {
  const ajv = new Ajv(ajvOptions)
  return readdirSync(OPERATOR).flatMap((file) => {
    const definition: unknown = parse(readFileSync(join(OPERATOR, file), 'utf8'))
    const { group, names, versions } = at(definition, 'spec')
    return listOf(versions).map((version) => {
      const schema = closeObjects(at(version, 'schema', 'openAPIV3Schema'))
      const kind = `${String(group)}/${String(fieldsOf(version).name)} ${String(fieldsOf(names).kind)}`
      return [kind, () => ajv.compile(fieldsOf(schema))] as const
    })
  })
}

/** A structural schema leaves unknown fields to be pruned; here they are refused. */
function closeObjects(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closeObjects)
  if (typeof schema !== 'object' || schema === null) return schema
  const closed = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === 'pattern' && typeof value === 'string' ? withoutFlag(value) : closeObjects(value),
    ]),
  )
  const isObject = 'properties' in closed && typeof closed.properties === 'object'
  const isOpen =
    'additionalProperties' in closed || 'x-kubernetes-preserve-unknown-fields' in closed
  return isObject && closed.type === 'object' && !isOpen
    ? { ...closed, additionalProperties: false }
    : closed
}

/** Go's (?i) is no JavaScript. */
function withoutFlag(pattern: string): string {
  if (!pattern.includes('(?i)')) return pattern
  return pattern
    .replace('(?i)', '')
    .replace(/[a-z]/gi, (letter) => `[${letter.toLowerCase()}${letter.toUpperCase()}]`)
}

/** The schemas allow null everywhere, but in a manifest it is a key whose value a template forgot. */
function findNulls(value: unknown, path: string): readonly string[] {
  if (value === null) return [`${path} is null`]
  if (typeof value !== 'object') return []
  return Object.entries(fieldsOf(value)).flatMap(([key, inner]) =>
    findNulls(inner, `${path}/${key}`),
  )
}
