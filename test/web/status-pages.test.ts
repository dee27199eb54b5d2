import request from 'supertest'
import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Snapshot } from '../../src/snapshot.ts'
import { pathOfNamespace } from '../../src/web/page.ts'
import { renderStatusPage } from '../../src/web/status-page.ts'
import { noneHeld } from '../support/netns/namespace.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSettings,
  buildSnapshot,
  buildState,
  linux,
  upstream,
} from '../support/render/cli-snapshot.ts'
import { sampleBuild } from '../support/render/sample-snapshot.ts'
import { createSampleApp, unready } from './sample-app.ts'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const get = (path: string, changes = {}) =>
  request(createSampleApp(changes)).get(path).set('Accept', BROWSER)

test('an inode is told by the program that has been there longest, escaped, on both pages', async () => {
  const namespace = buildNamespace({
    netns: 'inode/4026532249',
    netnsKind: 'inode',
    oldest: { pid: 4711, program: '<sleep>' },
    state: buildState({}),
  })
  const currentSnapshot = () => buildSnapshot({ namespaces: [namespace] })
  for (const path of ['/', '/namespaces/inode/4026532249']) {
    const { text } = await get(path, { currentSnapshot })
    expect(text, path).toContain('&#60;sleep&#62;, PID 4711')
  }
  const { text } = await request(createSampleApp({ currentSnapshot })).get('/')
  expect(text).toMatch(/Oldest process +<sleep>, PID 4711/)
})

describe('GET /', () => {
  test('says the verdict in the title and in one status, and links to what there is', async () => {
    const app = createSampleApp({ telemetryPath: '/probe/metrics' })
    const { text, headers } = await request(app).get('/').set('Accept', BROWSER)
    expect(headers['content-type']).toBe('text/html; charset=utf-8')
    expect(headers.vary).toBe('Accept')
    const verdict = '✖ 1 of 2 namespaces is about to run out of ports, 1 cannot be read'
    expect(text).toContain(`<title>${verdict} on node-1</title>`)
    expect(text).toContain(`<div role="status"><h1 class="critical">${verdict}</h1></div>`)
    expect(text.match(/role="status"/g)).toHaveLength(1)
    expect(text).toContain('0.1.0, revision abc1234')
    const links = [...text.matchAll(/href="(\/[^"]*)"/g)].map(([, path = '']) => path)
    expect(links).toContain('/probe/metrics')
    expect(links).toContain('/namespaces/host')
    for (const path of new Set(links)) expect((await request(app).get(path)).status, path).toBe(200)
  })

  test('gives everybody else what the command status prints', async () => {
    for (const accept of ['*/*', 'text/plain', undefined]) {
      const asked = request(createSampleApp()).get('/')
      const { text, headers } = await (accept === undefined ? asked : asked.set('Accept', accept))
      expect(headers['content-type']).toBe('text/plain; charset=utf-8')
      expect(headers).not.toHaveProperty('refresh')
      expect(text).toMatch(/^critical: 1 of 2 namespaces is about to run out of ports/)
      expect(text).toContain('NAMESPACE  POOL')
    }
  })

  test('makes a page and its text once for all who ask within a second', async () => {
    const snapshot = buildSnapshot({ takenAtSeconds: Date.now() / 1000 + 3600 })
    let rendered = 0
    const counted = new Proxy(snapshot, {
      get(target, key) {
        if (key === 'namespaces') rendered++
        return Reflect.get(target, key)
      },
    })
    for (const accept of ['text/plain', BROWSER]) {
      const app = createSampleApp({
        currentSnapshot: () => counted,
        diagnose: () => diagnose(snapshot, linux),
      })
      const first = await request(app).get('/').set('Accept', accept)
      const before = rendered
      const second = await request(app).get('/').set('Accept', accept)
      expect(second.text).toBe(first.text)
      expect(rendered).toBe(before)
      expect(before).toBeGreaterThan(0)
    }
  })

  test('refreshes itself, by a header and not by its markup', async () => {
    const { headers, text } = await get('/')
    expect(headers.refresh).toBe('15')
    expect(text).not.toContain('http-equiv')
  })

  test('allows its own style sheet and nothing else, and needs no more', async () => {
    const { headers, text } = await get('/')
    const policy = headers['content-security-policy']
    expect(policy).toContain("default-src 'none'")
    const style = /<style>(.*?)<\/style>/s.exec(text)?.[1] ?? ''
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
    expect(policy).toContain(`style-src 'sha256-${Buffer.from(digest).toString('base64')}'`)
    expect(text).not.toMatch(/<script|style="| on\w+="|<img|url\(|@import/)
  })

  test('says once that there is no sample yet, and asks again soon', async () => {
    const reason = 'No sample has been taken yet'
    const { status, text, headers } = await get('/', {
      ...unready,
      readiness: () => ({ ready: false, reason }),
    })
    expect(status).toBe(503)
    expect(text.match(/<h1[^>]*>.*?No sample has been taken yet.*?<\/h1>/g)).toHaveLength(1)
    expect(headers.refresh).toBe('2')
    const plain = await request(
      createSampleApp({ ...unready, readiness: () => ({ ready: false, reason }) }),
    ).get('/metrics')
    expect(plain.text).toBe('No sample has been taken yet\n')
  })

  test('escapes what it shows', async () => {
    const version = `<script>alert("1") & '2'</script>`
    const build = { ...sampleBuild, version }
    const { text } = await get('/', { build, telemetryPath: `/"><b>` })
    expect(text).not.toMatch(/<script|<b>/)
    expect(text).toContain('&#60;script&#62;alert(&#34;1&#34;) &#38; &#39;2&#39;&#60;/script&#62;')
    expect(text).toContain('href="/&#34;&#62;&#60;b&#62;"')
  })

  test('has a page of refusals for other methods and names', async () => {
    expect((await request(createSampleApp()).post('/')).status).toBe(405)
    expect((await get('/namespaces/pod/none')).status).toBe(404)
  })
})

describe('GET /namespaces/NAME', () => {
  test('says so where conntrack drops new connections although no pool is short', async () => {
    const conntrack = {
      entries: 1000,
      limitEntries: 1000,
      collisions: 0,
      insertFailed: 0,
      dropped: 7,
      clashesResolved: 0,
      dropSignature: undefined,
      translatesIpv6: undefined,
    }
    const of = (part: Partial<typeof conntrack>) =>
      buildSnapshot({
        namespaces: [
          buildNamespace({ state: buildState({}), conntrack: { ...conntrack, ...part } }),
        ],
      })
    const titles = async (part: Partial<typeof conntrack>) => {
      const now = of(part)
      const diagnosed = { diagnose: () => diagnose(now, linux, of({})) }
      const changes = { currentSnapshot: () => now, ...diagnosed }
      const pages = await Promise.all(['/namespaces/host', '/'].map((path) => get(path, changes)))
      return pages.map(({ text }) => /<h1 .*?<\/h1>/.exec(text)?.[0])
    }
    expect(await titles({ dropped: 9 })).toEqual([
      '<h1 class="critical">✖ host drops new connections</h1>',
      '<h1 class="critical">✖ The namespace drops new connections</h1>',
    ])
    const doubted = await titles({ dropped: 9, insertFailed: 2, collisions: 900 })
    expect(doubted).toEqual([
      expect.stringMatching(/^<h1 class="warning">.* host drops packets and may lack NAT ports</),
      expect.stringMatching(/^<h1 class="warning">.* The namespace drops packets and may lack NAT/),
    ])
  })

  test('shows one namespace, whatever its name', async () => {
    const evil = `named/<img src=x>'"&%2F `
    const snapshot = buildSnapshot({
      namespaces: [buildNamespace({ netns: evil, netnsKind: 'named' })],
    })
    const { text, status } = await get(pathOfNamespace(evil), { currentSnapshot: () => snapshot })
    expect(status).toBe(200)
    expect(text).not.toContain('<img')
    expect(text).toContain('named/&#60;img src=x&#62;&#39;&#34;&#38;%2F  has enough ports')
  })

  test('shows states, destinations, owners, listeners, release and failures', async () => {
    const { text } = await get('/namespaces/host')
    for (const part of [
      '20,000 established',
      '10.0.0.9:443',
      'checkout',
      '50051',
      '2,500 in 60 s',
      '40',
    ])
      expect(text, part).toContain(part)
  })

  test('is text for curl', async () => {
    const { text } = await request(createSampleApp()).get('/namespaces/host')
    expect(text).toMatch(/^Namespace host\n/)
  })
})

describe('the cards', () => {
  const leak = buildPool({
    capacityPorts: 400,
    availablePorts: 0,
    worstDestination: upstream,
    heldPorts: { ...noneHeld, close_wait: 400 },
    cause: {
      cause: 'close_wait',
      ports: 400,
      owners: [{ owner: 'payments', ownerKind: 'container', ports: 400 }],
    },
  })
  const sick = (netns: string) =>
    buildNamespace({
      netns,
      netnsKind: 'pod',
      state: buildState({
        pools: [leak],
        settings: buildSettings({ firstPort: 40_000, lastPort: 40_399 }),
      }),
    })
  const render = (namespaces: Parameters<typeof buildSnapshot>[0]) => {
    const snapshot = buildSnapshot(namespaces)
    return renderStatusPage({
      snapshot,
      diagnosis: diagnose(snapshot, linux),
      ageSeconds: 3,
      build: sampleBuild,
      host: 'node-1',
      links: [],
    })
  }

  test('say what is left, held by whom in which state, and one command', () => {
    const html = render({ namespaces: [sick('pod/a/b')] })
    expect(html).toContain('✖ 0 of 400 ports left to 10.0.0.9:443 from 10.0.0.5')
    expect(html).toContain('400 of 400 ports are in CLOSE_WAIT, held by payments.')
    const card = /<article.*?<\/article>/s.exec(html)?.[0] ?? ''
    expect(card.match(/<pre>/g)).toHaveLength(1)
    expect(card).toContain('ss -tK state close-wait')
  })

  test('are five at most, and the rest is counted', () => {
    const html = render({ namespaces: ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map(sick) })
    expect(html.match(/<article/g)).toHaveLength(5)
    expect(html).toContain('2 more pools in the table below.')
  })

  test('are the three fullest where all is well', () => {
    const html = render({ namespaces: [buildNamespace(), buildNamespace({ netns: 'b' })] })
    expect(html.match(/<article/g)).toHaveLength(3)
    expect(html).toContain('The fullest pools')
  })

  const inDoubt = [buildPool({ uncertainPorts: 5, availablePorts: 28_000 })]
  const failure = { reason: 'permission', message: 'EACCES' } as const
  test.each<[text: string, Partial<Snapshot>]>([
    ['than shown', buildHost({ exactness: 'inferred', pools: inDoubt })],
    ['than shown', buildHost({ exactness: 'upper_bound' })],
    ['range is unknown', buildHost({ rangeOrigin: 'default' })],
    [
      'a right is missing',
      { namespaces: [buildNamespace(), buildNamespace({ netns: 'b', state: undefined, failure })] },
    ],
    ['the collector buckets', { absences: [{ collector: 'buckets', reason: 'No BTF' }] }],
    ['1 namespace left out', { leftOut: { namespaces: 1, postponed: 0 } }],
  ])('leave to another part what is not known: %s', (text, part) => {
    const html = render(part)
    const [, unknown = ''] = html.split('What is not known')
    expect(unknown.split('What will bite')[0]).toContain(text)
    expect(html.split('What will bite')[1] ?? '').not.toContain(text)
  })

  test('each of 600 namespaces is looked at as often as each of 60, and what is cut is counted', () => {
    const sickOnes = (length: number) => Array.from({ length }, (_, i) => sick(`pod/a/${i}`))
    const countLooks = (length: number) => {
      let looks = 0
      const known = new WeakMap<object, object>()
      /** Counts each property that is read of it, and of all that is in it. */
      const watch = <Watched extends object>(watched: Watched): Watched => {
        const seen = known.get(watched) ?? new Proxy(watched, { get: look })
        known.set(watched, seen)
        return seen as Watched
      }
      function look(target: object, key: string | symbol): unknown {
        looks++
        const value: unknown = Reflect.get(target, key)
        return typeof value === 'object' && value !== null ? watch(value) : value
      }
      render({ namespaces: sickOnes(length).map(watch) })
      return looks
    }
    expect(countLooks(600)).toBeLessThanOrEqual(10 * countLooks(60))
    const html = render({ namespaces: sickOnes(300) })
    expect(html).toContain('150 more namespaces in the JSON of the last sample.')
  })
})
