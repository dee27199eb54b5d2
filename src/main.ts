#!/usr/bin/env node
// Composition root: commands, wiring and signals. The only file that touches process.*.

import { readFileSync } from 'node:fs'
import { diagnose } from './cli/doctor.ts'
import { renderFindings } from './cli/finding.ts'
import { listExposedPorts } from './cli/own-port.ts'
import { renderStatus, renderStatusJson, statusExitCode } from './cli/status.ts'
import { renderHelp } from './config/help.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { createLog } from './log.ts'
import { createPageRenderer } from './metrics/page.ts'
import type { WorkerOptions } from './sampler/messages.ts'
import { type Sampler, type SamplerEvents, startSampler } from './sampler/sampler.ts'
import type { Build, Snapshot } from './snapshot.ts'
import { createApp } from './web/app.ts'
import { ListenError, startServer } from './web/listen.ts'

const EXIT_OK = 0
const EXIT_BAD_USAGE = 2
const EXIT_UNREADABLE = 3
/** After this long whatever still hangs is left behind. */
const STOP_DEADLINE_MS = 1500
const CLEAR_SCREEN = '\u001b[H\u001b[2J\u001b[3J'

await main()

async function main(): Promise<void> {
  try {
    const config = await readConfig({
      argv: process.argv.slice(2),
      env: process.env,
      readFile: (path) => readFileSync(path, 'utf8'),
    })
    const build = readBuild()
    if (config.showHelp) print(renderHelp())
    else if (config.showVersion) print(`ephemeral-port-exporter ${build.version}\n`)
    else if (config.command === 'serve') await serve(config, build)
    else await inspect(config)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) complain(problem)
    process.exitCode = error.command === 'status' ? EXIT_UNREADABLE : EXIT_BAD_USAGE
  }
}

/** Listens, samples and serves until a signal ends it. */
async function serve(config: Config, build: Build): Promise<void> {
  const log = createLog({ ...config.log, write: (line) => process.stderr.write(line) })
  let sampler: Sampler | undefined
  const app = createApp({
    build,
    telemetryPath: config.telemetryPath,
    renderer: createPageRenderer({ build, includeProcessMetrics: config.exporterMetrics }),
    currentSnapshot: () => sampler?.currentSnapshot(),
    readiness: () => sampler?.readiness() ?? { ready: false, reason: 'Opening the source' },
    healthy: () => true,
    onError: (error) => log.error('Request failed', { error }),
  })
  const server = await startServer(app, config.listenAddresses, {
    onError: (error) => log.error('Listening failed', { error }),
  }).catch((error: unknown) => {
    if (!(error instanceof ListenError)) throw error
    complain(error.message)
    return process.exit(EXIT_BAD_USAGE)
  })

  const stop = () => {
    setTimeout(() => process.exit(EXIT_OK), STOP_DEADLINE_MS).unref()
    void Promise.all([server.close(), sampler?.stop()]).then(() => process.exit(EXIT_OK))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)

  const ports = server.addresses.map(({ port }) => port)
  log.info('Listening', { addresses: server.addresses.map(renderAddress).join(' ') })
  let failure: string | undefined
  let warned = false
  sampler = await openSampler(config, ports[0], {
    opened: ({ reader, traits, refusals }) => {
      for (const reason of refusals) log.warn('A better source does not work here', { reason })
      log.info('Reading sockets', { reader, ...traits })
    },
    snapshot: (snapshot) => {
      const message = snapshot.namespaces.find((namespace) => namespace.failure)?.failure?.message
      if (message !== failure) {
        if (message === undefined) log.info('Sockets can be read again')
        else log.warn('Sockets cannot be read', { reason: message })
      }
      failure = message
      const settings = snapshot.namespaces[0]?.state?.settings
      const exposed = warned || !settings ? undefined : listExposedPorts(settings, ports)[0]
      if (exposed !== undefined) {
        warned = true
        log.warn(
          'The port listened on lies inside the ephemeral range and is not reserved: a restart can lose it to any client',
          { port: exposed },
        )
      }
    },
    died: (reason, backoffMs) => log.error('Sampling worker died', { reason, backoffMs }),
    stuck: (reason) => {
      log.error('Sampling worker hangs in the kernel, ending the process', { reason })
      process.kill(process.pid, 'SIGKILL')
    },
  })
}

/** `status` and `doctor`: one sample, printed, or with --watch one after another. */
async function inspect(config: Config): Promise<void> {
  // The reader of a pipe may leave early, as head does.
  process.stdout.on('error', () => process.exit(EXIT_OK))
  const show = async (snapshot: Snapshot): Promise<void> => {
    if (config.command === 'doctor') {
      const facts = {
        platform: process.platform,
        listenPorts: config.listenAddresses.map(({ port }) => port),
      }
      print(renderFindings(diagnose(snapshot, facts), { tty: process.stdout.isTTY }))
    } else if (config.json) {
      print(renderStatusJson(snapshot))
    } else {
      if (config.watch && process.stdout.isTTY) print(CLEAR_SCREEN)
      print(renderStatus(snapshot))
    }
    if (config.watch) return
    await sampler.stop()
    process.exitCode = config.command === 'doctor' ? EXIT_OK : statusExitCode(snapshot)
  }
  const sampler = await openSampler(config, undefined, {
    opened: () => {},
    snapshot: (snapshot) => void show(snapshot),
    died: (reason) => {
      complain(`Sampling worker died: ${reason}`)
      if (!config.watch) process.exit(EXIT_UNREADABLE)
    },
    stuck: () => process.kill(process.pid, 'SIGKILL'),
  })
}

/** Ends the program with one line when no source of sockets works. */
async function openSampler(
  config: Config,
  ownPort: number | undefined,
  events: SamplerEvents,
): Promise<Sampler> {
  const worker: WorkerOptions = {
    source: config.source,
    procfs: config.procfs,
    platform: process.platform,
    ownPort,
    top: config.top,
    peakWindowSeconds: config.peakWindowSeconds,
    forecastHorizonSeconds: config.forecastHorizonSeconds,
    ...config.collectors,
  }
  const budget = {
    configuredIntervalMs: config.sampleIntervalMs,
    cpuRatio: config.cpuBudgetRatio,
  }
  try {
    return await startSampler({ ...budget, worker }, events)
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error))
    return process.exit(config.command === 'serve' ? EXIT_BAD_USAGE : EXIT_UNREADABLE)
  }
}

function renderAddress({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function readBuild(): Build {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const { version, gitHead }: { version: string; gitHead?: string } = JSON.parse(text)
  return {
    version,
    revision: gitHead ?? 'unknown',
    nodeVersion: process.version,
    platform: process.platform,
    arch: process.arch,
  }
}

function print(text: string): void {
  process.stdout.write(text)
}

function complain(problem: string): void {
  process.stderr.write(`ephemeral-port-exporter: ${problem}\n`)
}
