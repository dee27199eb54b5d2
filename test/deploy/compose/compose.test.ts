// The demo as text: what refers to what, and what it may do on the machine of a newcomer.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { COMPOSE, listMounts, readCompose } from '../../support/cluster/compose-demo.ts'

const { name: project, services } = readCompose()
const service = (name: string) => {
  const found = services[name]
  if (found === undefined) throw new Error(`There is no service ${name}`)
  return found
}
const readYaml = (path: string) => parse(readFileSync(join(COMPOSE, path), 'utf8'))
const dockerfile = readFileSync(new URL('../../../deploy/Dockerfile', import.meta.url), 'utf8')

describe('compose.yaml', () => {
  test('has all that shows a pool running out', () => {
    expect(Object.keys(services).sort()).toEqual([
      'alertmanager',
      'exporter',
      'grafana',
      'load',
      'prometheus',
    ])
  })

  test.each(Object.entries(services))(
    '%s gets no right and nothing that others can reach',
    (_, it) => {
      expect(it.cap_drop).toEqual(['ALL'])
      expect(it.security_opt).toEqual(['no-new-privileges:true'])
      expect(it.privileged).toBeUndefined()
      expect(it.network_mode).not.toBe('host')
      for (const port of it.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
    },
  )

  test.each(Object.entries(services))(
    '%s runs what is built here, or what a digest names',
    (_, it) => {
      if (it.build === undefined)
        expect(it.image).toMatch(/^[\w/]+:v?\d+\.\d+\.\d+@sha256:[0-9a-f]{64}$/)
      else expect(existsSync(join(COMPOSE, it.build.context, it.build.dockerfile))).toBe(true)
    },
  )

  test('names each image that is built once, since all are built at the same time', () => {
    const built = Object.entries(services)
      .filter(([, it]) => it.build !== undefined)
      .map(([name, it]) => it.image ?? `${project}-${name}`)
    expect(built).toEqual(['ephemeral-port-demo-load', 'ephemeral-port-demo-exporter'])
  })

  test.each(Object.entries(services))(
    '%s mounts files that exist, and cannot change them',
    (_, it) => {
      const mounts = listMounts(it)
      expect(mounts.filter(({ source }) => !existsSync(source))).toEqual([])
      expect(mounts.filter(({ mode }) => mode !== 'ro')).toEqual([])
    },
  )

  test('lets the exporter see the ports of the load, and both run the Node of the image', () => {
    expect(service('exporter').network_mode).toBe('service:load')
    const [node, script] = service('load').entrypoint ?? []
    expect(dockerfile).toContain(`ENTRYPOINT ["${node}",`)
    expect(listMounts(service('load')).map(({ target }) => target)).toEqual([script])
  })
})

test('the range of the load is small, and lasts for the minutes that the comment promises', () => {
  const { sysctls = {}, environment = {} } = service('load')
  const [first = 0, last = 0] = String(sysctls['net.ipv4.ip_local_port_range'])
    .split(' ')
    .map(Number)
  const minutes = (last - first + 1) / Number(environment.LOAD_CONNECTIONS_PER_SECOND) / 60
  expect(minutes).toBeGreaterThan(4)
  expect(minutes).toBeLessThan(7)
  expect(Number(environment.LOAD_HOLD_SECONDS)).toBeGreaterThanOrEqual(120)
})

describe('Prometheus', () => {
  const config = readYaml('prometheus.yaml')

  test('loads every rule that ships', () => {
    const targets = listMounts(service('prometheus')).map(({ target }) => target)
    const rules = config.rule_files.map((path: string) => `/etc/prometheus/${path}`)
    expect(targets.filter((path) => path.includes('/rules/')).sort()).toEqual(rules.sort())
    expect(rules).toHaveLength(2)
    expect(targets).toContain('/etc/prometheus/prometheus.yml')
  })

  test('finds the exporter and Alertmanager by the names of their services', () => {
    const [job, ...others] = config.scrape_configs
    expect(others).toEqual([])
    expect(job).toMatchObject({ job_name: 'ephemeral-port-exporter', honor_labels: true })
    expect(job.static_configs).toEqual([{ targets: ['load:10132'] }])
    const [alertmanager] = config.alerting.alertmanagers
    expect(alertmanager.static_configs).toEqual([{ targets: ['alertmanager:9093'] }])
  })
})

test('Alertmanager reads the inhibition that ships', () => {
  expect(service('alertmanager').volumes).toEqual([
    '../prometheus/alertmanager-inhibit.yaml:/etc/alertmanager/alertmanager.yml:ro',
  ])
})

describe('Grafana', () => {
  const mounts = listMounts(service('grafana'))

  test('gets Prometheus as its only and default source', () => {
    expect(readYaml('grafana/datasources.yaml')).toEqual({
      apiVersion: 1,
      datasources: [
        expect.objectContaining({
          type: 'prometheus',
          access: 'proxy',
          url: 'http://prometheus:9090',
          isDefault: true,
        }),
      ],
    })
  })

  test('gets both dashboards, and opens one of them', () => {
    const { apiVersion, providers } = readYaml('grafana/dashboards.yaml')
    expect(apiVersion).toBe(1)
    expect(providers).toHaveLength(1)
    expect(providers[0]).toMatchObject({ type: 'file', name: expect.any(String) })
    const folder = `${providers[0].options.path}/`
    const dashboards = mounts.filter(({ target }) => target.startsWith(folder))
    expect(dashboards).toHaveLength(2)
    const uids = dashboards.map(({ source }) => JSON.parse(readFileSync(source, 'utf8')).uid)
    expect(new Set(uids).size).toBe(2)
    const home = service('grafana').environment?.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH
    expect(dashboards.map(({ target }) => target)).toContain(home)
  })

  test('reads its provisioning where Grafana looks for it', () => {
    const targets = mounts.map(({ target }) => target)
    expect(targets).toContain('/etc/grafana/provisioning/datasources/datasources.yaml')
    expect(targets).toContain('/etc/grafana/provisioning/dashboards/dashboards.yaml')
  })
})
