// What Helm prints after an installation. `helm template` leaves it out, so a copy of the chart includes it in an object.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { CHART, findHelm, objectOf, renderChart } from '../support/cluster/helm.ts'
import { fieldsOf } from '../support/cluster/kube-container.ts'

const helms = findHelm()

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const wrapper = `apiVersion: v1
kind: ConfigMap
metadata:
  name: notes
data:
  notes: |
    {{- include (print $.Template.BasePath "/NOTES.txt") . | nindent 4 }}
`

describe.each(helms)('$name', (helm) => {
  function renderNotes(values: unknown): string {
    const folder = mkdtempSync(join(tmpdir(), 'notes-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    cpSync(CHART, folder, { recursive: true, dereference: true })
    writeFileSync(join(folder, 'templates/notes.yaml'), wrapper)
    const objects = renderChart(helm, values, { chart: folder })
    return String(fieldsOf(objectOf(objects, 'ConfigMap', 'notes').data).notes)
  }

  /** The values that the notes tell to turn on. */
  function listNext(notes: string): readonly string[] {
    const [, next = ''] = notes.split('What to turn on next')
    return [...next.matchAll(/^ {2}(\S+) +\S/gm)].map(([, value = '']) => value)
  }

  test('tell how to look, what Pod Security needs, and what to turn on next', () => {
    const notes = renderNotes({})
    for (const line of [
      'kubectl -n ports rollout status daemonset/ports-ephemeral-port-exporter',
      'kubectl -n ports port-forward daemonset/ports-ephemeral-port-exporter 10132',
      'curl -s http://localhost:10132/metrics | grep ephemeral_port_pool',
      'kubectl -n ports exec daemonset/ports-ephemeral-port-exporter -- /nodejs/bin/node /app/dist/main.js status',
      'helm -n ports test ports',
      'kubectl label namespace ports pod-security.kubernetes.io/enforce=privileged',
    ]) {
      expect(notes.split('\n')).toContain(`  ${line}`)
    }
    expect(listNext(notes)).toEqual([
      'prometheus.podMonitor.enabled=true',
      'prometheusRule.enabled=true',
      'grafanaDashboard.enabled=true',
      'collectors.kubernetes=true',
      'privileges=setns',
      'privileges=full',
      'webConfig',
    ])
    expect(notes).not.toContain('WARNING')
    expect(notes).not.toContain('takes a sample of its own')
    expect(notes).not.toMatch(/\n{3}|<no value>|%!/)
  })

  test('name no value that is on already, and each that they name is one', () => {
    const all = {
      privileges: 'full',
      collectors: { kubernetes: true },
      prometheus: { monitor: { enabled: true } },
      prometheusRule: { enabled: true },
      grafanaDashboard: { enabled: true },
      webConfigExistingSecret: { name: 'x', tls: true, authentication: true },
      helmTest: { enabled: false },
    }
    const notes = renderNotes(all)
    expect(notes).not.toContain('What to turn on next')
    expect(notes).not.toContain('helm -n')
    expect(notes).toContain('curl -sk -u <user> https://localhost:10132/metrics')
    // The page is shown to clients with credentials only, which status has not.
    expect(notes).toContain('takes a sample of its own')
    const overTls = renderNotes({ webConfigExistingSecret: { name: 'x', tls: true } })
    expect(overTls).not.toContain('takes a sample of its own')
    expect(listNext(renderNotes({ privileges: 'setns' }))).toContain('privileges=full')
    expect(listNext(renderNotes({ privileges: 'setns' }))).not.toContain('privileges=setns')
    expect(listNext(renderNotes({ netns: 'self' })).join()).not.toContain('privileges')
  })

  test('warn of a policy that does not bind, and of a port that clients can take', () => {
    expect(renderNotes({ networkPolicy: { enabled: true } })).toContain(
      'WARNING: networkPolicy.enabled hardly protects anything',
    )
    expect(renderNotes({ service: { port: 40_000 } })).toContain(
      "WARNING: service.port 40000 lies inside the kernel's default ephemeral range",
    )
  })
})
