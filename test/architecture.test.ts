// Who may import whom, as a table.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const src = join(root, 'src')

const CONTRACT = 'observation|settings|snapshot|snapshot-pools|sample'

/**
 * Top to bottom is the direction of the data. The first pattern that fits a file rules it. A folder is one thread or none:
 * sampler/ and ledger/ belong to the main thread, worker/ and what it calls to the sampling thread, model/ to neither.
 */
const mayImport: readonly (readonly [file: RegExp, imports: RegExp])[] = [
  [/^observation\.ts$/, /^$/],
  [/^(settings|snapshot-pools)\.ts$/, /^observation\.ts$/],
  [/^snapshot-nat\.ts$/, /^(observation|snapshot-pools)\.ts$/],
  [/^snapshot\.ts$/, /^(observation|snapshot-pools|snapshot-nat)\.ts$/],
  [/^sample\.ts$/, /^(observation|settings|snapshot)\.ts$/],
  [/^kernel\/libc\.ts$/, /^(koffi|node:(os|util))$/],
  [/^(countdown|error-code|host-port|json-object)\.ts$/, /^$/],
  [/^port-ranges\.ts$/, /^observation\.ts$/],
  [/^kernel\//, /^((error-code|observation|port-ranges)\.ts|kernel\/.*|node:(fs|os|util))$/],
  [
    /^sources\/systeminformation\.ts$/,
    /^((observation|port-ranges)\.ts|kernel\/.*|sources\/.*|systeminformation|node:.*)$/,
  ],
  [/^sources\/source\.ts$/, /^((observation|settings)\.ts|kernel\/libc\.ts)$/],
  [/^sources\//, /^(observation\.ts|kernel\/.*|sources\/.*|ipaddr\.js|node:(fs|net|os))$/],
  [
    /^pods\//,
    /^((error-code|host-port|json-object|sample|snapshot)\.ts|pods\/.*|node:(http|https|tls))$/,
  ],
  [
    /^owners\//,
    /^((error-code|observation|snapshot)\.ts|owners\/.*|kernel\/proc-file\.ts|node:(crypto|fs))$/,
  ],
  [
    /^failures\//,
    /^((error-code|observation|sample)\.ts|kernel\/.*|failures\/.*|model\/addresses\.ts|owners\/cgroup-path\.ts|node:(crypto|fs))$/,
  ],
  [/^ledger\//, /^((sample|snapshot)\.ts|model\/share-out\.ts|ledger\/.*)$/],
  [/^probes\//, /^((observation|snapshot)\.ts|kernel\/.*|probes\/.*)$/],
  [
    /^model\//,
    /^((host-port|observation|port-ranges|settings|snapshot|snapshot-nat|snapshot-pools)\.ts|model\/.*|ipaddr\.js)$/,
  ],
  [/^namespaces\/names\.ts$/, /^(snapshot|owners\/cgroup-path)\.ts$/],
  [
    /^namespaces\//,
    /^((error-code|observation|settings)\.ts|kernel\/.*|sources\/.*|namespaces\/.*|node:fs)$/,
  ],
  [
    /^worker\//,
    new RegExp(
      `^((${CONTRACT})\\.ts|model/(addresses|hidden-ports|nat/.*|step|timestamps)\\.ts|(kernel|namespaces|owners|failures|probes|worker)/.*|sources/(conntrack|sources)\\.ts|node:(fs|worker_threads))$`,
    ),
  ],
  [
    /^sampler\//,
    new RegExp(
      `^((${CONTRACT}|countdown)\\.ts|sampler/.*|ledger/.*|failures/instance\\.ts|kernel/(descriptors|tracefs)\\.ts|node:(fs/promises|v8|worker_threads))$`,
    ),
  ],
  [/^metrics\/(render|process)\.ts$/, /^(snapshot\.ts|metrics\/.*|prom-client|node:.*)$/],
  [
    /^metrics\//,
    /^((observation|snapshot|snapshot-pools)\.ts|metrics\/.*|prom-client|node:(util|zlib))$/,
  ],
  [/^diagnosis\//, /^((observation|port-ranges|snapshot|snapshot-nat)\.ts|diagnosis\/.*)$/],
  [/^web\/app\.ts$/, /^(snapshot\.ts|diagnosis\/diagnose\.ts|web\/[^/]*|metrics\/.*|express)$/],
  [
    /^web\/(page|status-page|namespace-page)\.ts$/,
    /^(snapshot\.ts|diagnosis\/.*|web\/.*|node:crypto)$/,
  ],
  // The text of the page is what the command line prints.
  [
    /^web\/status-pages\.ts$/,
    /^(snapshot\.ts|diagnosis\/diagnose\.ts|cli\/(status|namespace-text|text)\.ts|web\/.*)$/,
  ],
  [
    /^web\/protection\/bcrypt-worker\.ts$/,
    /^(web\/protection\/bcrypt-messages\.ts|bcryptjs|node:worker_threads)$/,
  ],
  [
    /^web\/protection\//,
    /^(error-code\.ts|web\/.*|config\/(problem|yaml-tree)\.ts|node:(crypto|fs|http|https|net|path|tls|worker_threads))$/,
  ],
  [
    /^web\//,
    /^((error-code|snapshot)\.ts|web\/.*|metrics\/render\.ts|node:(crypto|http|https|net|tls|worker_threads))$/,
  ],
  [/^cli\/terminal\.ts$/, /^(cli\/.*|node:(events|tty))$/],
  [
    /^cli\/running-exporter\.ts$/,
    /^((countdown|snapshot)\.ts|cli\/(own-peer|snapshot-shape)\.ts|node:https?)$/,
  ],
  [/^cli\/own-peer\.ts$/, /^node:(net|os)$/],
  [/^cli\/listener\.ts$/, /^(kernel\/listener-uids\.ts|node:fs)$/],
  [/^cli\/snapshot-shape\.ts$/, /^(json-object|observation|snapshot|snapshot-pools)\.ts$/],
  [/^cli\//, /^(snapshot\.ts|cli\/.*|diagnosis\/.*|config\/options\.ts)$/],
  [/^config\//, /^((observation|settings)\.ts|config\/.*|yaml|node:(net|util))$/],
  [/^failure-log\.ts$/, /^(log|snapshot)\.ts$/],
  [/^ending\.ts$/, /^$/],
  [/^build\.ts$/, /^(snapshot\.ts|node:(fs|path))$/],
  [/^log\.ts$/, /^(pino|node:util)$/],
  [
    /^main\.ts$/,
    /^(?!worker\/|kernel\/(?!bpf\/listing\.ts)|model\/|sources\/|namespaces\/|koffi|prom-client|express|systeminformation)/,
  ],
]

const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
)

function importsOf(file: string): string[] {
  const text = readFileSync(join(src, file), 'utf8')
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map(
    ([, s]) => s ?? '',
  )
  return specifiers.map((specifier) =>
    specifier.startsWith('.') ? relative(src, join(src, dirname(file), specifier)) : specifier,
  )
}

/** A file, and all that it imports, and so on. */
function reachedFrom(start: string): ReadonlySet<string> {
  const reached = new Set<string>()
  function reach(file: string): void {
    if (reached.has(file) || !files.includes(file)) return
    reached.add(file)
    for (const next of importsOf(file)) reach(next)
  }
  reach(start)
  return reached
}

describe('architecture', () => {
  test.each(files)('%s imports only what its place allows', (file) => {
    const rule = mayImport.find(([pattern]) => pattern.test(file))
    expect(rule, 'no row of the table rules this file').toBeDefined()
    const forbidden = importsOf(file).filter((name) => !rule?.[1].test(name))
    expect(forbidden).toEqual([])
  })

  test('no import leads back to where it began', () => {
    const circles: string[][] = []
    const done = new Set<string>()
    function follow(file: string, path: readonly string[]): void {
      if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file])
      if (done.has(file) || path.includes(file)) return
      for (const next of importsOf(file)) if (files.includes(next)) follow(next, [...path, file])
      done.add(file)
    }
    for (const file of files) follow(file, [])
    expect(circles).toEqual([])
  })

  test('the main thread never reaches code of the sampling thread', () => {
    const reached = reachedFrom('main.ts')
    expect([...reached]).toContain('sampler/supervisor.ts')
    const sampling =
      /^(worker|namespaces|sources|probes)\/|^model\/(?!share-out\.ts$)|^failures\/(?!instance\.ts$)/
    expect([...reached].filter((file) => sampling.test(file))).toEqual([])
  })

  test('the main thread never reaches code that changes the namespace of its thread', () => {
    const changes = files.filter((file) =>
      /\bsetns\b/.test(
        readFileSync(join(src, file), 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, ''),
      ),
    )
    // libc.ts offers the call, netns.ts makes it, and goes home again.
    expect(changes.toSorted()).toEqual(['kernel/libc.ts', 'kernel/netns.ts'])
    const entering = files.filter((file) => importsOf(file).includes('kernel/netns.ts'))
    expect(entering).toEqual(['namespaces/node.ts'])
    expect([...reachedFrom('main.ts')]).not.toContain('kernel/netns.ts')
    expect([...reachedFrom('worker/worker.ts')]).toContain('kernel/netns.ts')
  })

  test('the simulation of the forecast bench knows nothing of what it judges', () => {
    const bench = join(root, 'test/bench/forecast')
    const world = readdirSync(bench).filter((name) =>
      /^(simulation|random|family|families.*|scenarios|shapes|traffic)\.ts$/.test(name),
    )
    expect(world).toContain('simulation.ts')
    const importsSource = world.filter((name) =>
      /src\/model|from '[^']*\/src\//.test(readFileSync(join(bench, name), 'utf8')),
    )
    expect(importsSource).toEqual([])
    for (const name of world) {
      const text = readFileSync(join(bench, name), 'utf8')
      const imported = [...text.matchAll(/from '\.\/([^']+)'/g)].map(([, file]) => file)
      expect(imported.filter((file) => !world.includes(file ?? ''))).toEqual([])
    }
  })

  test('every row of the table rules some file', () => {
    const unused = mayImport.filter(([pattern]) => !files.some((file) => pattern.test(file)))
    expect(unused).toEqual([])
  })

  test('impure doors are where they belong', () => {
    const users = (name: RegExp) =>
      files.filter((file) => importsOf(file).some((s) => name.test(s)))
    expect(users(/^koffi$/)).toEqual(['kernel/libc.ts'])
    expect(users(/^bcryptjs$/)).toEqual(['web/protection/bcrypt-worker.ts'])
    expect(users(/^yaml$/)).toEqual(['config/yaml-tree.ts'])
    expect(users(/^express$/)).toEqual(['web/app.ts'])
    expect(users(/^systeminformation$/)).toEqual(['sources/systeminformation.ts'])
    expect(users(/^node:child_process$/)).toEqual(['sources/systeminformation.ts'])
    expect(users(/^prom-client$/).every((file) => file.startsWith('metrics/'))).toBe(true)
    const text = (file: string) =>
      readFileSync(join(src, file), 'utf8').replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
    const process = files.filter((file) => /(?<![\w./])process\./.test(text(file)))
    expect(process.filter((file) => !file.startsWith('metrics/process'))).toEqual(['main.ts'])
  })
})
