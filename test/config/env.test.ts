import { describe, expect, test } from 'vitest'
import { parseEnv } from '../../src/config/env.ts'
import { envNameOf, optionNames } from '../../src/config/options.ts'

describe('parseEnv()', () => {
  test('leaves the variables of others alone', () => {
    expect(parseEnv({ PATH: '/bin', EPHEMERAL_PORT: '1', NODE_OPTIONS: '' })).toStrictEqual({
      given: [],
      problems: [],
    })
  })

  test.each([
    ['EPHEMERAL_PORT_EXPORTER_LOG_LEVL', ': did you mean EPHEMERAL_PORT_EXPORTER_LOG_LEVEL?'],
    ['EPHEMERAL_PORT_EXPORTER_INTERVAL', ': did you mean EPHEMERAL_PORT_EXPORTER_SAMPLE_INTERVAL?'],
    ['EPHEMERAL_PORT_EXPORTER_', ': see --help for what exists'],
    ['EPHEMERAL_PORT_EXPORTER_HELP', ': see --help for what exists'],
    ['EPHEMERAL_PORT_EXPORTER_PORT', ': see --help for what exists'],
  ])('reports the unknown %s', (variable, ending) => {
    expect(parseEnv({ [variable]: '1' }).problems).toStrictEqual([
      `Unknown variable ${variable}${ending}`,
    ])
  })

  test('reports an unknown variable even when it is empty', () => {
    expect(parseEnv({ EPHEMERAL_PORT_EXPORTER_XYZ: '' }).problems).toHaveLength(1)
  })

  test('passes over what Kubernetes says of a Service that has our name', () => {
    const env = {
      EPHEMERAL_PORT_EXPORTER_SERVICE_HOST: '10.0.0.11',
      EPHEMERAL_PORT_EXPORTER_SERVICE_PORT: '10132',
      EPHEMERAL_PORT_EXPORTER_SERVICE_PORT_METRICS: '10132',
      EPHEMERAL_PORT_EXPORTER_PORT: 'tcp://10.0.0.11:10132',
      EPHEMERAL_PORT_EXPORTER_PORT_10132_TCP: 'tcp://10.0.0.11:10132',
      EPHEMERAL_PORT_EXPORTER_PORT_10132_TCP_PROTO: 'tcp',
      EPHEMERAL_PORT_EXPORTER_PORT_10132_TCP_PORT: '10132',
      EPHEMERAL_PORT_EXPORTER_PORT_10132_TCP_ADDR: '10.0.0.11',
      EPHEMERAL_PORT_EXPORTER_CANARY_SERVICE_HOST: '10.0.0.12',
      EPHEMERAL_PORT_EXPORTER_CANARY_PORT: 'udp://10.0.0.12:53',
    }
    expect(parseEnv(env)).toStrictEqual({ given: [], problems: [] })
  })
})

describe('envNameOf()', () => {
  test('gives every option a name of its own that a shell can hold', () => {
    const names = optionNames.map(envNameOf)
    expect(new Set(names).size).toBe(optionNames.length)
    for (const name of names) expect(name).toMatch(/^EPHEMERAL_PORT_EXPORTER_[A-Z_]+$/)
  })
})
