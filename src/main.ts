#!/usr/bin/env node
// Composition root: commands, wiring and signals. The only file that touches process.*.

import { existsSync, readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import { readBuild } from './build.ts'
import { renderHelp } from './cli/help.ts'
import { isListenerTrusted } from './cli/listener.ts'
import { describeSampling, renderReport, reportExitCode } from './cli/report.ts'
import { askExporter } from './cli/running-exporter.ts'
import { describeTerminal, takeScreen } from './cli/terminal.ts'
import { asksToSample } from './config/argv.ts'
import { type Config, ConfigError, readConfig } from './config/config.ts'
import { createDiagnoser } from './diagnosis/diagnoser.ts'
import { listExposedPorts } from './diagnosis/own-port.ts'
import { createEnding } from './ending.ts'
import { createFailureLog } from './failure-log.ts'
import { createInstanceName } from './failures/instance.ts'
import { joinHostPort } from './host-port.ts'
import { listBucketProgram } from './kernel/bpf/listing.ts'
import { createLog, type Log } from './log.ts'
import { createPageRenderer } from './metrics/page.ts'
import { SourceError } from './observation.ts'
import { readInClusterSettings } from './pods/cluster.ts'
import { openPodNames, type PodNames, type TellPods } from './pods/pod-names.ts'
import type { WorkerOptions } from './sample.ts'
import { type Sampler, type SamplerEvents, startSampler } from './sampler/sampler.ts'
import { warmThreadPool } from './sampler/thread-pool.ts'
import type { Build, Snapshot } from './snapshot.ts'
import { createApp } from './web/app.ts'
import { ListenError, type RunningServer, startServer } from './web/listen.ts'
import type { Protection } from './web/protection/protection.ts'

const EXIT_OK = 0
const EXIT_BUG = 1
const EXIT_BAD_USAGE = 2
const EXIT_UNREADABLE = 3
/** After this long connections that are still open are left behind. */
const STOP_DEADLINE_MS = 1500

const { sampling, end, endOnBugs, endAtOnce } = createEnding(process, complain)
await main()

async function main(): Promise<void> {
  process.stdout.on('error', endUnwritten)
  // Who cannot log any more, as on a full disk, still has something to serve.
  process.stderr.on('error', () => {})
  try {
    const config = await readConfig({
      argv: process.argv.slice(2),
      env: process.env,
      readFile: (path) => readFileSync(path, 'utf8'),
    })
    const build = readBuild(fileURLToPath(new URL('..', import.meta.url)), process)
    if (config.showHelp) process.stdout.write(renderHelp())
    else if (config.showVersion) process.stdout.write(`ephemeral-port-exporter ${build.version}\n`)
    else if (config.command === 'serve') await serve(config, build)
    else if (config.command === 'bpf') process.stdout.write(listBucketProgram())
    else await inspect({ ...config, command: config.command }, build)
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof SourceError)) throw error
    for (const problem of 'problems' in error ? error.problems : [error.message]) complain(problem)
    const isServe = 'command' in error && error.command === 'serve'
    process.exitCode = isServe ? EXIT_BAD_USAGE : EXIT_UNREADABLE
  }
}

/** Listens, samples and serves until a signal ends it. */
async function serve(config: Config, build: Build): Promise<void> {
  endOnBugs(EXIT_BUG)
  let server: RunningServer | undefined
  let pods: PodNames | undefined
  let sampler: Sampler | undefined
  // First: where the program is PID 1, as in a container, a signal that nobody handles is ignored.
  const stop = () => {
    setTimeout(end, STOP_DEADLINE_MS, EXIT_OK).unref()
    pods?.stop()
    void Promise.all([server?.close(), sampler?.stop()]).then(() => end(EXIT_OK))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)

  const log = createLog({ ...config.log, write: (line) => process.stderr.write(line) })
  const protection = await openProtection(config, log)
  pods = openPods(config, log, (...told) => sampler?.tellPods(...told))
  let ports: readonly number[] = []
  const diagnoser = createDiagnoser(() => ({ platform: process.platform, listenPorts: ports }))
  const app = createApp({
    build,
    host: hostname(),
    diagnose: diagnoser.diagnose,
    telemetryPath: config.telemetryPath,
    renderer: createPageRenderer({ build, includeProcessMetrics: config.exporterMetrics }),
    currentSnapshot: () => sampler?.currentSnapshot(),
    readiness: () => sampler?.readiness() ?? { ready: false, reason: 'Opening the source' },
    healthy: () => true,
    onError: (error) => log.error('Request failed', { error }),
  })
  server = await startServer(protection?.guard(app) ?? app, config.listenAddresses, {
    createSecure: protection?.createSecure,
    onError: (error) => log.error('Listening failed', { error }),
  }).catch((error: unknown) => {
    if (!(error instanceof ListenError)) throw error
    complain(error.message)
    return process.exit(EXIT_BAD_USAGE)
  })

  ports = server.addresses.map(({ port }) => port)
  log.info('Listening', { addresses: server.addresses.map(joinHostPort).join(' ') })
  const logFailures = createFailureLog(log)
  let warned = false
  sampler = await openSampler(
    config,
    { ownPort: ports[0], pods },
    {
      opened: ({ reader, traits, refusals }) => {
        for (const reason of refusals) log.warn('A better source does not work here', { reason })
        log.info('Reading sockets', { reader, ...traits })
      },
      snapshot: (snapshot) => {
        logFailures(snapshot)
        diagnoser.note(snapshot)
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
        endAtOnce()
      },
    },
  )
}

/** TLS, basic authentication and the like, where a file asks for them. */
async function openProtection(config: Config, log: Log): Promise<Protection | undefined> {
  if (config.webConfigFile === undefined) return undefined
  const web = await import('./web/protection/protection.ts')
  const protection = web.openProtection(config.webConfigFile, {
    changed: () => log.info('Took over the changed web configuration'),
    refused: (problems) =>
      log.warn('The changed web configuration cannot be used, the last one stays in force', {
        reason: problems.join('; '),
      }),
    failed: (error) => log.error('Authentication failed to work', { error }),
  })
  if ('problems' in protection) throw new ConfigError(protection.problems, 'serve')
  for (const note of protection.notes) log.warn(note)
  return protection
}

/** The names of this node's pods, where they are asked for. Throws ConfigError when that cannot be. */
function openPods(config: Config, log: Log, tell: TellPods): PodNames | undefined {
  // One sample does not wait for an answer.
  if (!config.collectors.kubernetes || isSingle(config)) return undefined
  const cluster = readInClusterSettings({
    env: process.env,
    exists: existsSync,
    read: (path) => readFileSync(path, 'utf8'),
  })
  if ('problem' in cluster) {
    throw new ConfigError(
      [`Cannot ask Kubernetes for the names of pods: ${cluster.problem}`],
      config.command,
    )
  }
  return openPodNames(cluster.settings, { log, tell })
}

function isSingle({ command, watch }: Config): boolean {
  return command !== 'serve' && !watch
}

type Inspection = Config & { readonly command: 'status' | 'doctor' }

/** `status` and `doctor`: what the exporter of this host knows, else a sample; with --watch one after another. */
async function inspect(config: Inspection, build: Build): Promise<void> {
  // The exit status 1, which an exception has by itself, stands for a warning.
  endOnBugs(EXIT_UNREADABLE)
  const listenPorts = config.listenAddresses.map(({ port }) => port)
  const diagnoser = createDiagnoser(() => ({ platform: process.platform, listenPorts }))
  const terminal = () => describeTerminal(process.stdout, process.env)
  const isFullScreen = config.watch && !config.json && terminal().rows !== undefined
  const quit = { events: process, quit: () => end() }
  const screen = isFullScreen ? takeScreen(process, terminal, quit) : undefined
  const show = (snapshot: Snapshot, origin: string): void => {
    diagnoser.note(snapshot)
    const view = { snapshot, diagnosis: diagnoser.diagnose(snapshot), origin }
    process.exitCode = reportExitCode(config, view)
    const text = renderReport(config, view, terminal())
    if (screen === undefined) process.stdout.write(text)
    else screen.show(text)
  }
  let refusal: string | undefined
  const ask = async (): Promise<number | undefined> => {
    const question = {
      addresses: config.listenAddresses,
      version: build.version,
      isTrusted: (port: number) => isListenerTrusted(port, process),
    }
    const answer = asksToSample(process.argv.slice(2)) ? undefined : await askExporter(question)
    refusal = answer && 'refusal' in answer ? answer.refusal : undefined
    if (answer === undefined || 'refusal' in answer) return undefined
    show(answer.snapshot, `from the exporter at ${answer.address}`)
    return answer.snapshot.intervalSeconds
  }
  for (;;) {
    const seconds = await ask()
    if (seconds === undefined) break
    if (!config.watch) return
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  }
  const { origin, complaint } = describeSampling(config, refusal)
  if (complaint !== undefined) complain(complaint)
  await sampleAndShow(config, (snapshot) => show(snapshot, origin))
}

/** Samples by itself. */
async function sampleAndShow(
  config: Inspection,
  show: (snapshot: Snapshot) => void,
): Promise<void> {
  const log = createLog({ ...config.log, write: (line) => process.stderr.write(line) })
  const logFailures = createFailureLog(log)
  const pods = openPods(config, log, (...told) => sampler.tellPods(...told))
  const sampler = await openSampler(
    { ...config, cpuBudgetRatio: 1 },
    { pods },
    {
      opened: () => {},
      snapshot: (snapshot) => {
        logFailures({ ...snapshot, namespaces: [], absences: [] })
        show(snapshot)
        if (!config.watch) void Promise.all([pods?.stop(), sampler.stop()])
      },
      died: (reason) => {
        complain(`Sampling worker died: ${reason}`)
        if (!config.watch) process.exit(EXIT_UNREADABLE)
      },
      stuck: (reason) => {
        complain(`Sampling worker hangs in the kernel: ${reason}`)
        endAtOnce()
      },
    },
  )
}

/** The reader of a pipe may leave early, as head does; whatever else cannot be written is an error. */
function endUnwritten(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') complain(`Cannot write: ${error.message}`)
  void end(error.code === 'EPIPE' ? EXIT_OK : EXIT_UNREADABLE)
}

/** Ends the program with one line when no source of sockets works. */
async function openSampler(
  config: Config,
  { ownPort, pods }: { readonly ownPort?: number | undefined; readonly pods: PodNames | undefined },
  events: SamplerEvents,
): Promise<Sampler> {
  const worker: WorkerOptions = {
    ...config,
    ...config.collectors,
    platform: process.platform,
    ownPort,
    serving: config.command === 'serve',
    kubernetes: config.collectors.kubernetes && !isSingle(config),
    failuresAsked: config.collectors.failures === true,
    // A counter of one sample says nothing.
    failures:
      config.collectors.failures !== false &&
      config.command === 'serve' &&
      process.platform === 'linux'
        ? createInstanceName(process.pid)
        : undefined,
  }
  const { sampleIntervalMs: configuredIntervalMs, cpuBudgetRatio: cpuRatio } = config
  try {
    await warmThreadPool()
    const sampler = startSampler({ configuredIntervalMs, cpuRatio, worker, pods }, events)
    sampling(sampler.stop)
    await sampler.opened
    return sampler
  } catch (error) {
    complain(error instanceof Error ? error.message : String(error))
    return process.exit(config.command === 'serve' ? EXIT_BAD_USAGE : EXIT_UNREADABLE)
  }
}

function complain(problem: string): void {
  process.stderr.write(`ephemeral-port-exporter: ${problem}\n`)
}
