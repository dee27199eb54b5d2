// The files of the chart against each other and against what they speak about, without Helm.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { envNameOf, envPrefix, optionNames, optionOf } from '../../../src/config/options.ts'
import { cipherSuites, curves } from '../../../src/web/protection/tls-names.ts'
import { parseWebConfig } from '../../../src/web/protection/web-config.ts'
import { commandLineOptions, configOptions } from '../../support/cluster/chart-options.ts'
import { CHART } from '../../support/cluster/helm.ts'
import { at, fieldsOf, listOf } from '../../support/cluster/kube-container.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const read = (...path: string[]) => readFileSync(join(...path), 'utf8')
const schema: unknown = JSON.parse(read(CHART, 'values.schema.json'))
const values: unknown = parse(read(CHART, 'values.yaml'))
/** Without comments, which may name a value that nothing uses. */
const templates = readdirSync(join(CHART, 'templates'), { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(ya?ml|tpl)$/.test(name) && !name.startsWith('_contradictions'))
  .map((name) => read(CHART, 'templates', name))
  .join('\n')
  .replace(/\{\{-? *\/\*.*?\*\/ *-?\}\}/gs, '')
  .replace(/^ *#.*/gm, '')
const contradictions = read(CHART, 'templates', '_contradictions.tpl')
const rules = ['alerts', 'recording'].map((name) => read(ROOT, `deploy/prometheus/${name}.yaml`))

const check = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true }).compile(
  fieldsOf(schema),
)

function validate(candidate: unknown): readonly string[] {
  check(candidate)
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

/** Dotted names of the properties of an object in the schema, groups by their members. */
function listProperties(group: unknown, prefix = ''): readonly string[] {
  return Object.entries(at(group, 'properties')).flatMap(([name, inner]) => {
    const { properties } = fieldsOf(inner)
    return properties === undefined ? [prefix + name] : listProperties(inner, `${prefix}${name}.`)
  })
}

describe('values.schema.json', () => {
  test('accepts the defaults and every file of ci/', () => {
    expect(validate(values)).toEqual([])
    const files = readdirSync(join(CHART, 'ci'))
    expect(files.length).toBeGreaterThan(10)
    for (const file of files) {
      expect([file, validate(parse(read(CHART, 'ci', file)))]).toEqual([file, []])
    }
  })

  test('knows exactly the values that there are', () => {
    const known = Object.keys(at(schema, 'properties')).filter((name) => name !== 'enabled')
    expect(known.toSorted()).toEqual(Object.keys(fieldsOf(values)).toSorted())
    const groups = ['service', 'prometheusRule', 'grafanaDashboard', 'collectors', 'image']
    for (const group of groups) {
      expect(Object.keys(at(schema, 'properties', group, 'properties')).toSorted()).toEqual(
        Object.keys(at(values, group)).toSorted(),
      )
    }
    const monitor = Object.keys(at(schema, 'definitions', 'monitor', 'properties'))
    expect(monitor.toSorted()).toEqual(Object.keys(at(values, 'prometheus', 'monitor')).toSorted())
  })

  test('takes every option of the program in config that the chart does not set itself', () => {
    const inFile = listProperties(at(schema, 'properties', 'config'))
    // Each stands there flat and, where it has a dot, in its group as well.
    expect([...new Set(inFile)].toSorted()).toEqual([...configOptions].toSorted())
    const grouped = configOptions.filter((name) => name.includes('.'))
    expect(inFile.length).toBe(configOptions.length + grouped.length)
  })

  test('refuses every option that means nothing to a program that serves', () => {
    const [, refused = ''] = /list ([^)]*)\) }}the pod serves/.exec(contradictions) ?? []
    const names = commandLineOptions.map((name) => envNameOf(name).slice(envPrefix.length))
    expect(refused.match(/\w+/g)?.toSorted()).toEqual(names.toSorted())
  })

  test('knows every key and word of the web configuration that the program knows', () => {
    const group = (name: string) => at(schema, 'properties', 'webConfig', 'properties', name)
    const tls = at(schema, 'definitions', 'tlsServerConfig')
    // The program names what it knows where it is given something else.
    const known = (text: string) => {
      const parsed = parseWebConfig(text, 'web.yaml')
      const [problem = ''] = 'problems' in parsed ? parsed.problems : []
      return problem
        .replace(/^.*expected /, '')
        .split(/, | or /)
        .toSorted()
    }
    const keys = (of: unknown) => Object.keys(at(of, 'properties')).toSorted()
    expect(keys(at(schema, 'properties', 'webConfig'))).toEqual(known('?: 1'))
    expect(keys(tls)).toEqual(known('tls_server_config: { ?: 1 }'))
    expect(keys(group('http_server_config'))).toEqual(known('http_server_config: { ?: 1 }'))
    expect(keys(at(group('http_server_config'), 'properties', 'headers'))).toEqual(
      known('http_server_config: { headers: { ?: 1 } }'),
    )
    expect(keys(group('rate_limit'))).toEqual(known('rate_limit: { ?: 1 }'))
    const words = (key: string) => {
      const field = at(tls, 'properties', key)
      return listOf(field.enum ?? at(field, 'items').enum).map(String)
    }
    for (const key of ['client_auth_type', 'min_version', 'max_version']) {
      const files = 'cert_file: a, key_file: b'
      expect([key, ...words(key).toSorted()]).toEqual([
        key,
        ...known(`tls_server_config: { ${files}, ${key}: none }`),
      ])
    }
    expect(words('cipher_suites')).toEqual([...cipherSuites.keys()])
    expect(words('curve_preferences')).toEqual([...curves.keys()])
  })

  test('knows every alert and threshold of the rules, with the number that is in the rules', () => {
    const alerts = rules.flatMap((text) => [...text.matchAll(/^ +- alert: (\w+)$/gm)])
    expect(
      Object.keys(
        at(schema, 'properties', 'prometheusRule', 'properties', 'alerts', 'properties'),
      ).toSorted(),
    ).toEqual([...new Set(alerts.map(([, name = '']) => name))].toSorted())
    const found = rules.flatMap((text) => [...text.matchAll(/ ([0-9.]+) # threshold: (\w+)$/gm)])
    const thresholds = at(values, 'prometheusRule', 'thresholds')
    // The job is a regular expression, with a value of its own.
    const numbers = found.filter(([, , name]) => name !== 'job')
    expect(new Set(numbers.map(([, number, name]) => `${name} ${number}`))).toEqual(
      new Set(Object.entries(thresholds).map(([name, number]) => `${name} ${number}`)),
    )
  })
})

describe('the chart', () => {
  test('uses every value', () => {
    const unused = Object.keys(fieldsOf(values)).filter(
      (name) => !new RegExp(`\\.Values\\.${name}\\b`).test(templates),
    )
    expect(unused).toEqual([])
    const monitor = Object.keys(at(values, 'prometheus', 'monitor'))
    expect(monitor.filter((name) => !new RegExp(`[."]${name}\\b`).test(templates))).toEqual([])
  })

  test('passes every switch of a collector that the program has', () => {
    const collectors = optionNames.flatMap((name) => /^collector\.(.*)$/.exec(name)?.[1] ?? [])
    expect(Object.keys(at(values, 'collectors')).toSorted()).toEqual(collectors.toSorted())
    const [row = ''] = /^\| `collectors\.\*`.*$/m.exec(read(CHART, 'README.md')) ?? []
    for (const name of collectors) expect(row).toContain(name)
  })

  test('has the version of the program', () => {
    const { version } = JSON.parse(read(ROOT, 'package.json'))
    expect(parse(read(CHART, 'Chart.yaml'))).toMatchObject({ version, appVersion: version })
  })

  test('keeps its port out of the ephemeral range, where the program listens by default', () => {
    const port = at(values, 'service').port
    expect(optionOf('web.listen-address').fallback).toBe(`:${port}`)
  })

  test('lacks what README says that it leaves out of prometheus-node-exporter', () => {
    const [, table = ''] = read(CHART, 'README.md').split('| there | here |\n| --- | --- |\n')
    const rows = table.slice(0, table.indexOf('\n\n')).split('\n')
    expect(rows.length).toBeGreaterThan(5)
    for (const row of rows) {
      let before = ''
      for (const [, name = ''] of (row.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)) {
        // Those that begin with a dot stand beside the one before.
        before = name.startsWith('.') ? before.replace(/\.[^.]*$/, name) : name
        const path = before.replace('*', 'monitor').split('.')
        const values = path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), 1)
        expect([before, validate(values)]).toEqual([
          before,
          [expect.stringContaining('must NOT have additional properties')],
        ])
      }
    }
  })

  test('says in README and in the notes what Pod Security needs and what each choice costs', () => {
    const readme = read(CHART, 'README.md')
    const label = 'pod-security.kubernetes.io/enforce'
    expect(readme).toContain(label)
    expect(read(CHART, 'templates/NOTES.txt')).toContain(`${label}=privileged`)
    const choices = listOf(at(schema, 'properties', 'privileges').enum)
    expect(choices).toEqual(['none', 'setns', 'full'])
    for (const choice of choices) expect(readme).toContain(`| \`${choice}\``)
  })
})
