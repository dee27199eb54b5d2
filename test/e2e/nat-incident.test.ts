// A NAT that runs out of ports, in reality: a pod leaks connections through it until the next ones hang, Prometheus fires
// the alert, which names the destination and the pod, and takes it back when the pod has gone. All durations of the rules
// are divided by twenty.

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { podObject } from '../support/cluster/fake-api-server.ts'
import { liveTest } from '../support/cluster/pod-node.ts'
import { randomId } from '../support/netns/fresh-ids.ts'
import { clientPeers, SERVER, whyNoNatLab, withNatLab } from '../support/netns/nat-lab.ts'
import { hasProgram } from '../support/program/tools.ts'
import { withPrometheusServer } from '../support/prometheus/prometheus-server.ts'
import { makeFaster } from '../support/prometheus/rules-faster.ts'
import { readRuleFile } from '../support/prometheus/rules-files.ts'

const FACTOR = 20
const PORTS = 100
const POD_UID = randomUUID()
const OFTEN = { interval: 500 }

interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: string
}

async function listFiring(url: string, name: RegExp): Promise<readonly Alert[]> {
  const answer = await fetch(`${url}/api/v1/alerts`)
  const { data } = (await answer.json()) as { data: { alerts: readonly Alert[] } }
  return data.alerts.filter(
    ({ labels, state }) => state === 'firing' && name.test(labels.alertname ?? ''),
  )
}

const configuration = (target: string) => (ruleFiles: readonly string[]) =>
  stringify({
    global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
    rule_files: ruleFiles,
    scrape_configs: [
      { job_name: 'node', honor_labels: true, static_configs: [{ targets: [target] }] },
    ],
  })

test('A NAT without ports fires an alert that names the destination and the pod, and none before and after', async (ctx) => {
  if (!hasProgram('prometheus') && process.env.CI !== 'true') ctx.skip('needs prometheus')
  const reason = whyNoNatLab()
  if (reason !== undefined) return ctx.skip(reason)
  await liveTest(ctx, ({ fake, move, withExporter }) =>
    withNatLab(async (lab) => {
      const [client = { address: '', port: 0 }] = clientPeers(1)
      const pod = podObject({ uid: POD_UID, name: 'crawler-5f8' })
      fake.pods = [{ ...pod, status: { ...pod.status, podIPs: [{ ip: client.address }] } }]
      move({ pid: lab.client.pid }, POD_UID, randomId())
      await lab.server.call('serve', [SERVER.port])
      lab.rules(
        'table ip nat { chain post { type nat hook postrouting priority 100; ' +
          `ip saddr 10.77.1.0/24 meta l4proto tcp masquerade to :40000-${40_000 + PORTS - 1}; }; }`,
      )
      let lastPort = 20_000
      /** A leak: whatever gets through is held. */
      const leak = async (count: number, timeoutMs = 20_000) => {
        const from = Array.from({ length: count }, () => ({ ...client, port: lastPort++ }))
        return (await lab.client.call('connect', { to: SERVER, from, timeoutMs })).length
      }
      await withExporter(async (exporter) => {
        const rules = ['alerts.yaml', 'recording.yaml'].map((name) =>
          stringify(makeFaster(readRuleFile(name), FACTOR)),
        )
        const options = { rules, configuration: configuration(exporter.address) }
        await withPrometheusServer(options, async ({ url }) => {
          expect(await leak(PORTS * 0.3)).toBe(PORTS * 0.3)
          await exporter.until(
            (page) =>
              page.list('ephemeral_port_nat_client_used_ports', { client: client.address })[0],
          )
          await delay(5000)
          expect(await listFiring(url, /Nat/)).toEqual([])

          expect(await leak(PORTS * 0.7)).toBe(PORTS * 0.7)
          const name = 'EphemeralPortNatPortsExhausted'
          await expect
            .poll(async () => {
              expect(await leak(2, 1500)).toBe(0)
              return (await listFiring(url, new RegExp(name))).length
            }, OFTEN)
            .toBe(1)
          // On a busy machine the counters may tell it before a listing does.
          await expect
            .poll(async () => {
              const [alert] = await listFiring(url, new RegExp(name))
              return [alert?.labels.severity, alert?.annotations.description]
            }, OFTEN)
            .toEqual([
              'critical',
              expect.stringContaining(
                'Worst destination of nat_tcp: 10.77.2.2:9001 from 10.77.2.1. ' +
                  `Top client: shop/crawler-5f8 (${client.address}) with ${PORTS} ports.`,
              ),
            ])

          await lab.client.call('drop', undefined)
          await expect
            .poll(async () => (await listFiring(url, new RegExp(name))).length, OFTEN)
            .toBe(0)
        })
      })
    }),
  )
})
