import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  type FakePod,
  type Handler,
  podObject,
  refuse,
} from '../support/cluster/fake-api-server.ts'
import {
  info,
  liveTest,
  PLAIN,
  RANGED,
  SERVER,
  samples,
  success,
} from '../support/cluster/pod-node.ts'
import { withNetns } from '../support/netns/actor.ts'
import type { Page } from '../support/netns/actor-page.ts'
import { randomId } from '../support/netns/fresh-ids.ts'

const labelsOf = (page: Page, netns: string) => page.list(info, { netns })[0]?.labels
const isShown = (page: Page, netns: string) => labelsOf(page, netns) !== undefined
/** What the pods of this run are called: the machine may have others. */
const RUN = randomId().slice(0, 8)
const called = (name: string) => `${name}-${RUN}`
const podsOf = (page: Page, podUid: string) =>
  page
    .list(info, { netns_kind: 'pod' })
    .map(({ labels: { netns = '' } }) => netns)
    .filter((netns) => netns.includes(RUN) || netns.includes(podUid))

/** A pod whose spec has a port range of its own. */
function podWithRange(pod: FakePod, range: string): object {
  const { spec, ...rest } = podObject(pod)
  const sysctls = [{ name: 'net.ipv4.ip_local_port_range', value: range }]
  return { ...rest, spec: { ...spec, securityContext: { sysctls } } }
}

describe('--collector.kubernetes', () => {
  test('a pod has its name a sample or two after it was told, and nobody is asked again', async (ctx) => {
    // So long that no page is missed while samples are counted on a busy machine.
    const intervalMs = 2000
    await liveTest(ctx, ({ fake, start, rotateToken, withExporter }) =>
      withExporter(
        async ({ until, read }) => {
          const podUid = randomUUID()
          await until((page) => samples(page) >= 5 || undefined)
          expect(fake.requests).toEqual([])
          expect(success(await read())).toBeUndefined()

          fake.pods = [podObject({ uid: podUid, name: called('cart-7d9f') })]
          let askedAtSample = 0
          const answerLater: Handler = async (request, response) => {
            askedAtSample = samples(await read())
            fake.answer(request, response)
          }
          fake.mishaps.push(answerLater)
          await start(podUid)
          const netns = `pod/shop/${called('cart-7d9f')}`
          const page = await until((one) => (isShown(one, netns) ? one : undefined))
          expect(samples(page) - askedAtSample).toBeLessThanOrEqual(2)
          expect(podsOf(page, podUid)).toEqual([netns])
          expect(labelsOf(page, netns)).toEqual({
            netns,
            netns_kind: 'pod',
            namespace: 'shop',
            pod: called('cart-7d9f'),
          })
          expect(success(page)).toBe(1)
          expect(fake.requests).toEqual([
            {
              url: '/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1&resourceVersion=0',
              token: 'token-1',
            },
          ])
          // Longer than the least time between two lists.
          const before = samples(page)
          await until((one) => samples(one) > before + 6000 / intervalMs || undefined)
          expect(fake.requests).toHaveLength(1)

          rotateToken('token-2')
          const nextUid = randomUUID()
          fake.pods.push(podObject({ uid: nextUid, name: called('cart-b6c4') }))
          await start(nextUid)
          await until((one) => isShown(one, `pod/shop/${called('cart-b6c4')}`) || undefined)
          expect(fake.requests.map(({ token }) => token)).toEqual(['token-1', 'token-2'])
        },
        { intervalMs },
      ),
    )
  })

  test('containers are called what Kubernetes calls them', async (ctx) => {
    await liveTest(ctx, ({ fake, move, withExporter }) =>
      withNetns(async (actor) => {
        const podUid = randomUUID()
        const [web, sidecar] = [randomId(), randomId()]
        fake.pods = [
          podObject({
            uid: podUid,
            name: called('front-1'),
            containers: { [web]: 'web', [sidecar]: 'envoy' },
          }),
        ]
        await actor.call('open', { bind: SERVER, listen: 100 })
        move(actor, podUid, web)
        await actor.call('open', { connect: SERVER, count: 8 })
        move(actor, podUid, sidecar)
        await actor.call('open', { connect: SERVER, count: 3 })
        await withExporter(async ({ until, readSnapshot }) => {
          const netns = `pod/shop/${called('front-1')}`
          const ownersOf = (page: Page) =>
            page
              .list('ephemeral_port_owner_used_ports', { netns, protocol: 'tcp' })
              .map(({ labels, value }) => `${labels.owner_kind} ${labels.owner} ${value}`)
          // The rows with their ids, from before the pod was known, stay for some samples without ports.
          const owners = await until((page) => {
            const rows = ownersOf(page)
            return rows.length === 2 && rows.includes(`container shop/${called('front-1')}/web 8`)
              ? rows
              : undefined
          })
          expect(owners).toContain(`container shop/${called('front-1')}/envoy 3`)
          const { namespaces } = await readSnapshot()
          expect(namespaces.find((one) => one.netns === netns)).toMatchObject({
            podUid,
            pod: { namespace: 'shop', name: called('front-1') },
          })
        })
      }),
    )
  })

  test('without an answer a pod is called by its UID at once, and renamed once', async (ctx) => {
    await liveTest(ctx, ({ fake, start, withExporter }) =>
      withExporter(async ({ until, read, program }) => {
        const podUid = randomUUID()
        const netns = `pod/${podUid}`
        fake.pods = [podObject({ uid: podUid, name: called('late') })]
        // Each is a reason of its own, which the log tells when it comes.
        fake.mishaps.push(refuse(401, 'Unauthorized'), refuse(403, 'pods is forbidden'))
        let answerAtLast = () => {}
        const asked = new Promise<void>((resolve) => {
          fake.mishaps.push((request, response) => {
            answerAtLast = () => fake.answer(request, response)
            resolve()
          })
        })
        await start(podUid)
        const page = await until((one) => (isShown(one, netns) ? one : undefined))
        expect(labelsOf(page, netns)).toEqual({ netns, netns_kind: 'pod', namespace: '', pod: '' })
        expect(page.value('ephemeral_port_netns_success', { netns })).toBe(1)
        await asked
        expect(success(await read())).toBe(0)
        expect(program.stderr().match(/reason=(unauthorized|forbidden)/g)).toEqual([
          'reason=unauthorized',
          'reason=forbidden',
        ])

        answerAtLast()
        const named = `pod/shop/${called('late')}`
        const renamed = await until((one) => (isShown(one, named) ? one : undefined))
        expect(podsOf(renamed, podUid)).toEqual([named])
        expect(renamed.value('ephemeral_port_netns_success', { netns: named })).toBe(1)
        expect(success(renamed)).toBe(1)
        const before = samples(renamed)
        const later = await until((one) => (samples(one) > before + 3 ? one : undefined))
        expect(podsOf(later, podUid)).toEqual([named])
      }),
    )
  })

  test('a server that does not answer delays no sample, and hides no pod', async (ctx) => {
    await liveTest(ctx, ({ fake, start, withExporter }) =>
      withExporter(async ({ until, read }) => {
        const podUid = randomUUID()
        fake.pods = [podObject({ uid: podUid, name: called('slow') })]
        fake.mishaps.push(() => {}) // until the client gives up
        await start(podUid)
        await until(() => fake.requests[0])
        const before = samples(await read())
        const during = await until((page) => (podsOf(page, podUid).length > 0 ? page : undefined))
        expect(fake.requests).toHaveLength(1)
        expect(success(during)).toBeUndefined()
        expect(podsOf(during, podUid)).toEqual([`pod/${podUid}`])
        // The client gives up after 10 s, and asks again a little later.
        const after = await until((page) => (success(page) === 0 ? page : undefined))
        expect(samples(after)).toBeGreaterThanOrEqual(before + 3)
        const named = await until((page) =>
          isShown(page, `pod/shop/${called('slow')}`) ? page : undefined,
        )
        expect(podsOf(named, podUid)).toEqual([`pod/shop/${called('slow')}`])
      }),
    )
  })

  test('without a capability the range of a pod is that of its spec', async (ctx) => {
    await liveTest(ctx, ({ fake, start, withExporter }) =>
      withExporter(
        async ({ until }) => {
          fake.pods = [
            podWithRange({ uid: RANGED, name: called('ranged') }, '20000 20999'),
            podObject({ uid: PLAIN, name: called('plain') }),
          ]
          await start(RANGED)
          await start(PLAIN)
          const sourceOf = (page: Page, name: string) =>
            page.list('ephemeral_port_source_info', { netns: `pod/shop/${called(name)}` })[0]
              ?.labels
          const page = await until((one) =>
            sourceOf(one, 'plain') && sourceOf(one, 'ranged')?.range === 'pod_spec'
              ? one
              : undefined,
          )
          expect(sourceOf(page, 'ranged')).toMatchObject({
            reader: 'procfs',
            exactness: 'upper_bound',
          })
          const netns = `pod/shop/${called('ranged')}`
          expect(page.value('ephemeral_port_range_first_port', { netns })).toBe(20_000)
          expect(page.value('ephemeral_port_usable_ports', { netns })).toBe(1000)
          expect(sourceOf(page, 'plain')).toMatchObject({ range: 'default' })
        },
        { unprivileged: true },
      ),
    )
  })
})
