// A real Alertmanager inside a network namespace, with a committed configuration and a receiver that is listened to: what it
// sends, in order.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { Netns } from '../support/netns/actor.ts'
import { hasProgram } from '../support/program/tools.ts'
import { divide } from '../support/prometheus/rules-faster.ts'

/** Debian's name, and that of the project. */
export const alertmanagerProgram = ['prometheus-alertmanager', 'alertmanager'].find(hasProgram)
export const ALERTMANAGER = '127.0.0.1:9093'
const SINK_PORT = 9099
const SINK = fileURLToPath(new URL('webhook-sink.mts', import.meta.url))

export interface Notification {
  readonly receiver: string
  readonly alerts: readonly {
    readonly status: 'firing' | 'resolved'
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
    /** When the rule began to fire, and, once it is resolved, when it ended. */
    readonly startsAt: string
    readonly endsAt: string
  }[]
  /** By the clock of this process. */
  readonly atMs: number
}

interface Route {
  readonly routes?: readonly Route[]
}
export interface AlertmanagerConfig {
  readonly route: Route
  readonly receivers: readonly { readonly name: string }[]
}

/** Every duration of the routes divided by one number, as those of the rules are; every receiver but nobody is listened to. */
export function listenFaster(config: AlertmanagerConfig, factor: number): object {
  const hurry = (route: Route): Route => ({
    ...Object.fromEntries(
      Object.entries(route).map(([key, value]) => [
        key,
        /^(group_wait|group_interval|repeat_interval)$/.test(key)
          ? divide(`${value}`, factor)
          : value,
      ]),
    ),
    ...(route.routes === undefined ? {} : { routes: route.routes.map(hurry) }),
  })
  const url = `http://127.0.0.1:${SINK_PORT}/`
  return {
    ...config,
    route: hurry(config.route),
    receivers: config.receivers.map((receiver) => ({
      ...receiver,
      ...(receiver.name === 'nobody' ? {} : { webhook_configs: [{ url, send_resolved: true }] }),
    })),
  }
}

/** `use` is given the notifications so far, a list that grows. */
export async function withAlertmanager<T>(
  netns: Netns,
  configuration: object,
  use: (notifications: readonly Notification[]) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'alertmanager-'))
  const file = join(directory, 'alertmanager.yml')
  writeFileSync(file, stringify(configuration))
  const enter = (words: readonly string[], output: 'pipe' | 'ignore') =>
    spawn('nsenter', [`--net=/proc/${netns.pid}/ns/net`, ...words], {
      stdio: ['ignore', output, 'inherit'],
    })
  const sink = enter([process.execPath, '--import', 'tsx', SINK, `${SINK_PORT}`], 'pipe')
  const notifications: Notification[] = []
  const children: ChildProcess[] = [sink]
  try {
    await new Promise<void>((resolve, reject) => {
      sink.once('exit', () => reject(new Error('Cannot start the receiver of notifications')))
      createInterface({ input: sink.stdout ?? process.stdin }).on('line', (line) => {
        if (line === 'ready') resolve()
        else notifications.push({ ...(JSON.parse(line) as Notification), atMs: Date.now() })
      })
    })
    children.push(
      enter(
        [
          alertmanagerProgram ?? '',
          `--config.file=${file}`,
          `--storage.path=${directory}`,
          `--web.listen-address=${ALERTMANAGER}`,
          '--cluster.listen-address=',
          '--log.level=error',
        ],
        'ignore',
      ),
    )
    return await use(notifications)
  } finally {
    for (const child of children) {
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      if (child.exitCode === null && child.kill('SIGKILL')) await ended
    }
    rmSync(directory, { recursive: true, force: true })
  }
}
